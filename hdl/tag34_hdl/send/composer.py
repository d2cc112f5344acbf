"""The composer: everything that leaves (S1 to S4, S6)."""

from dataclasses import dataclass

from amaranth import Array, C, Cat, Elaboratable, Module, Mux, Signal, unsigned
from amaranth.lib import enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34.contract import MSG_TYPE_BYTES, SOH, EventCode, Flag, RecordKind

from .. import bcd
from ..layouts import CYCLE, MAX_SEQ_BCD, NUMBER, Record, Shape
from ..receive.checksum import Checksum
from ..receive.fields import BEGIN_STRING, IDENT_BITS, OURS, THEIRS
from .clock import Time
from .decimal import Decimal


class Source(enum.Enum, shape=3):
    """Where the bytes of a step come from."""

    TEXT = 0  #: one literal byte
    IDENT = 1  #: BeginString or a CompID
    NUMBER = 2  #: a number without leading zeros
    TYPE = 3  #: MsgType
    TIME = 4  #: SendingTime
    BODY = 5  #: what the host gave
    SUM = 6  #: three digits of CheckSum
    END = 7


class Numbers(enum.Enum, shape=2):
    """Numbers that a message may show."""

    BODY_LENGTH = 0
    SEQ = 1
    BEGIN = 2
    END = 3


@dataclass(frozen=True)
class Step:
    """One step of the program: ``what`` is the byte, the ident region or the number. ``summed``: its bytes count for CheckSum."""

    source: Source
    what: int = 0
    summed: bool = True


def text(characters: bytes, *, summed: bool = True) -> list[Step]:
    return [Step(Source.TEXT, byte, summed) for byte in characters]


SOH_BYTE = bytes([SOH])
HEADER = [
    *text(b"8="),
    Step(Source.IDENT, BEGIN_STRING),
    *text(SOH_BYTE + b"9="),
    Step(Source.NUMBER, Numbers.BODY_LENGTH.value),
    *text(SOH_BYTE + b"35="),
    Step(Source.TYPE),
    *text(SOH_BYTE + b"49="),
    Step(Source.IDENT, OURS),
    *text(SOH_BYTE + b"56="),
    Step(Source.IDENT, THEIRS),
    *text(SOH_BYTE + b"34="),
    Step(Source.NUMBER, Numbers.SEQ.value),
    *text(SOH_BYTE + b"52="),
    Step(Source.TIME),
]
REQUEST_BODY = [
    *text(SOH_BYTE + b"7="),
    Step(Source.NUMBER, Numbers.BEGIN.value),
    *text(SOH_BYTE + b"16="),
    Step(Source.NUMBER, Numbers.END.value),
]
TRAILER = [
    *text(SOH_BYTE),
    *text(b"10=", summed=False),
    Step(Source.SUM, summed=False),
    *text(SOH_BYTE, summed=False),
    Step(Source.END, summed=False),
]
#: HEADER, then the body of a ResendRequest, then the trailer; a host message jumps over the request's body.
PROGRAM = [*HEADER, *REQUEST_BODY, *TRAILER]
TRAILER_AT = len(HEADER) + len(REQUEST_BODY)
REQUEST_TYPE = ord("2")


class Composer(wiring.Component):
    """Builds whole FIX messages: 8, 9, 35, 49, 56, 34, 52, what the sender gave, 10. BodyLength and CheckSum are computed.

    A message is a program of steps (:data:`PROGRAM`). The first stage walks over it and addresses the memories, the second has the byte. A host
    message is stored whole before it may start, so that its length is known and a request waits for one message at most (S3).
    ``next_out`` is counted up when the first byte of a message is taken (S2).

    Parameters: ``shape``.

    Members:
        request: a ResendRequest; one may wait while a message leaves.
        send_header, send_body: a host message: its header, then its bytes (if ``body``), each field closed by SOH, ``last`` with the last byte.
            One longer than max_message is not sent: event SEND_DROPPED.
        tx: the messages' bytes; ``last`` with the last of a message.
        records: SENT for each message whose first byte was taken, SEND_DROPPED.
        ident_addr, ident_data, ident_lengths: read port of the ident memory (data a cycle after an address with ``ident_enable``), lengths of the regions.
        time, fraction: now; digits of 52's fraction.
        set_next_out, new_next_out, next_out: the numbering. Not while a message leaves.
        clear: a new connection: a request that has not begun to leave is dropped (S6).
        cycle: the device's cycle counter.
        idle: nothing to send, nothing leaving.

    Latency: ``request`` taken to the first byte offered, two cycles. Throughput: one byte per cycle; BodyLength may make a message with a very short
    BeginString wait for a few cycles.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "request": In(stream.Signature(shape.request)),
                "send_header": In(stream.Signature(shape.send_header)),
                "send_body": In(stream.Signature(shape.beat)),
                "tx": Out(stream.Signature(shape.beat)),
                "records": Out(stream.Signature(Record)),
                "ident_enable": Out(1),
                "ident_addr": Out(2 + IDENT_BITS),
                "ident_data": In(8),
                "ident_lengths": In(3 * IDENT_BITS),
                "time": In(Time),
                "fraction": In(4),
                "set_next_out": In(1),
                "new_next_out": In(NUMBER),
                "next_out": Out(NUMBER, init=1),
                "clear": In(1),
                "cycle": In(CYCLE),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        m.submodules.checksum = checksum = Checksum()
        m.submodules.decimal = decimal = Decimal()
        m.submodules.body = store = memory.Memory(shape=8, depth=shape.max_message, init=[])
        store_write = store.write_port()
        store_read = store.read_port()
        m.submodules.program = program = memory.Memory(
            shape=unsigned(12),
            depth=len(PROGRAM),
            init=[step.source.value | step.summed << 3 | step.what << 4 for step in PROGRAM],
        )

        # -- The host's message waits whole --------------------------------------------------------------------------------------------
        header = Signal(shape.send_header)
        header_held = Signal()
        body_length = Signal(ceil_log2(shape.max_message + 1))
        body_whole = Signal()
        too_long = Signal()
        release_body = Signal()
        m.d.comb += [
            self.send_header.ready.eq(~header_held),
            self.send_body.ready.eq(header_held & ~body_whole),
            store_write.addr.eq(body_length),
            store_write.data.eq(self.send_body.payload.data),
            store_write.en.eq(self.send_body.valid & self.send_body.ready & (body_length != shape.max_message)),
        ]
        with m.If(self.send_header.valid & self.send_header.ready):
            m.d.sync += [
                header.eq(self.send_header.payload),
                header_held.eq(1),
                body_whole.eq(~self.send_header.payload.body),
                body_length.eq(0),
                too_long.eq(0),
            ]
        with m.If(self.send_body.valid & self.send_body.ready):
            with m.If(body_length == shape.max_message):
                m.d.sync += too_long.eq(1)
            with m.Else():
                m.d.sync += body_length.eq(body_length + 1)
            m.d.sync += body_whole.eq(self.send_body.payload.last)
        with m.If(release_body):
            m.d.sync += [header_held.eq(0), body_whole.eq(0)]

        # -- A request waits ------------------------------------------------------------------------------------------------------------
        request = Signal(shape.request)
        request_held = Signal()
        m.d.comb += self.request.ready.eq(~request_held)
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [request.eq(self.request.payload), request_held.eq(1)]

        # -- The message that leaves ------------------------------------------------------------------------------------------------------
        active = Signal()
        begun = Signal()  # its first byte was taken
        is_request = Signal()
        begin, end, seq = Signal(NUMBER), Signal(NUMBER), Signal(NUMBER)
        is_replay = Signal()
        msg_type = Signal(8 * MSG_TYPE_BYTES)
        now = Signal(Time)
        type_length = Signal(range(MSG_TYPE_BYTES + 1))
        for place in range(MSG_TYPE_BYTES):
            with m.If(msg_type.word_select(place, 8) != 0):
                m.d.comb += type_length.eq(place + 1)
        time_length = Signal(range(28))
        m.d.comb += time_length.eq(17 + Mux(self.fraction == 0, 0, self.fraction + 1))
        lengths = [self.ident_lengths[IDENT_BITS * region :][:IDENT_BITS] for region in range(3)]

        # Lengths, in three small sums; the conversion is ready before the first digit of BodyLength is due.
        prelude = Signal(2)
        part_ident, part_rest, part_body = Signal(9), Signal(8), Signal(17)
        body_is = Signal(17)
        fixed = len("35=|49=|56=|34=|52=|")
        with m.Switch(prelude):
            with m.Case(1):
                m.d.sync += [
                    part_ident.eq(lengths[OURS] + lengths[THEIRS] + fixed),
                    part_rest.eq(type_length + bcd.significant_digits(seq) + time_length),
                    part_body.eq(
                        Mux(is_request, len("7=|16=|") + bcd.significant_digits(begin) + bcd.significant_digits(end), body_length)
                    ),
                    prelude.eq(2),
                ]
            with m.Case(2):
                m.d.comb += body_is.eq(part_ident + part_rest + part_body)
                m.d.comb += [decimal.value.eq(body_is), decimal.start.eq(1)]
                m.d.sync += prelude.eq(0)

        # -- First stage: the step at hand, and the address of its byte -----------------------------------------------------------------------
        at = Signal(range(len(PROGRAM)))
        at_next = Signal.like(at)
        place = Signal(range(max(64, shape.max_message)))  # byte of the step
        # The program is read one step ahead, so that the step at hand is a register.
        step_memory = program.read_port()
        m.d.comb += [at_next.eq(at), step_memory.addr.eq(at_next)]
        m.d.sync += at.eq(at_next)
        source = step_memory.data[:3]
        what = step_memory.data[4:]
        summed = step_memory.data[3]
        # A host message's body stands between header and trailer, as a step of its own.
        in_body = Signal()

        number = Signal(NUMBER)
        with m.Switch(what):
            for which, signal in (
                (Numbers.BODY_LENGTH, decimal.digits),
                (Numbers.SEQ, seq),
                (Numbers.BEGIN, begin),
                (Numbers.END, end),
            ):
                with m.Case(which.value):
                    m.d.comb += number.eq(signal)
        number_count = bcd.significant_digits(number)
        ident_length = Array(lengths)[what[:2]]

        last_place = Signal.like(place)
        ready_to_step = Signal(init=1)
        with m.Switch(source):
            with m.Case(Source.IDENT):
                m.d.comb += last_place.eq(ident_length - 1)
            with m.Case(Source.NUMBER):
                m.d.comb += last_place.eq(number_count - 1)
                with m.If(what == Numbers.BODY_LENGTH.value):
                    m.d.comb += ready_to_step.eq((prelude == 0) & ~decimal.busy)
            with m.Case(Source.TYPE):
                m.d.comb += last_place.eq(type_length - 1)
            with m.Case(Source.TIME):
                m.d.comb += last_place.eq(time_length - 1)
            with m.Case(Source.SUM):
                m.d.comb += last_place.eq(2)
        with m.If(in_body):
            m.d.comb += last_place.eq(body_length - 1)

        # -- Second stage: the byte ---------------------------------------------------------------------------------------------------------
        valid = Signal()
        advance = Signal()
        fire = Signal()  # a byte goes from the first stage to the second
        m.d.comb += [advance.eq(~valid | self.tx.ready), fire.eq(active & advance & ready_to_step & (source != Source.END))]
        literal = Signal(8)
        from_ident, from_body = Signal(), Signal()
        is_last = Signal()
        byte = Signal(8)
        add = Signal()
        m.d.comb += [
            self.ident_enable.eq(fire),
            self.ident_addr.eq(Cat(place[:IDENT_BITS], what[:2])),
            store_read.addr.eq(place),
            store_read.en.eq(fire),
            byte.eq(Mux(from_ident, self.ident_data, Mux(from_body, store_read.data, literal))),
            self.tx.valid.eq(valid),
            self.tx.payload.data.eq(byte),
            self.tx.payload.count.eq(1),
            self.tx.payload.last.eq(is_last),
            checksum.byte.eq(byte),
            checksum.add.eq(add & valid & self.tx.ready),
        ]

        # Digits and characters of the step at hand.
        digit = Array(bcd.digits_of(number))[(number_count - 1 - place)[:4]]
        clock_characters = []
        for name, size, after in (("date", 8, b"-"), ("day", 6, b"."), ("milli", 3, b""), ("micro", 3, b""), ("nano", 3, b"")):
            digits = bcd.digits_of(now[name])[::-1]
            for index in range(size):
                clock_characters.append(Cat(digits[index], C(3, 4)))
                if name == "day" and index in (1, 3):
                    clock_characters.append(C(ord(":"), 8))
            clock_characters += [C(char, 8) for char in after]
        character = Signal(8)
        with m.Switch(source):
            with m.Case(Source.TEXT):
                m.d.comb += character.eq(what)
            with m.Case(Source.NUMBER):
                m.d.comb += character.eq(Cat(digit, C(3, 4)))
            with m.Case(Source.TYPE):
                m.d.comb += character.eq(msg_type.word_select(place[:2], 8))
            with m.Case(Source.TIME):
                m.d.comb += character.eq(Array(clock_characters)[place[:5]])
            with m.Case(Source.SUM):
                m.d.comb += character.eq(Cat(Array(checksum.digits[i] for i in range(3))[place[:2]], C(3, 4)))

        with m.If(advance):
            m.d.sync += valid.eq(fire)
        with m.If(fire):
            m.d.sync += [
                literal.eq(character),
                from_ident.eq((source == Source.IDENT) & ~in_body),
                from_body.eq(in_body),
                add.eq(summed | in_body),
                is_last.eq((at == len(PROGRAM) - 2) & ~in_body),
                place.eq(place + 1),
            ]
            with m.If(place == last_place):
                m.d.sync += place.eq(0)
                with m.If(in_body):
                    # The body closes its own last field: the trailer's first SOH is passed over.
                    m.d.sync += in_body.eq(0)
                    m.d.comb += at_next.eq(TRAILER_AT + 1)
                with m.Elif(~is_request & (at == len(HEADER))):
                    # The SOH behind 52; it is the first step of the request's body too.
                    with m.If(body_length == 0):
                        m.d.comb += at_next.eq(TRAILER_AT + 1)
                    with m.Else():
                        m.d.sync += in_body.eq(1)
                with m.Else():
                    m.d.comb += at_next.eq(at + 1)

        # -- Start, first byte, end -----------------------------------------------------------------------------------------------------------
        # Only one thing is told at a time: the next message does not start before the record of this one is gone.
        telling = Signal()
        dropping = Signal()
        record = self.records.payload
        sent_cycle = Signal(CYCLE)
        m.d.comb += [
            self.records.valid.eq(telling | dropping),
            record.kind.eq(Mux(dropping, RecordKind.EVENT, RecordKind.SENT)),
            record.code.eq(Mux(dropping, EventCode.SEND_DROPPED, 0)),
            record.msg_type.eq(Mux(dropping, 0, msg_type)),
            record.seq.eq(Mux(dropping, 0, seq)),
            record.flags.eq(
                Mux(dropping, 0, Flag.SEQ | Mux(is_replay, Flag.REPLAY, 0) | Mux(is_request, Flag.DEVICE, 0))
            ),
            record.cycle.eq(Mux(dropping, self.cycle, sent_cycle)),
        ]
        with m.If(self.records.ready):
            m.d.sync += [telling.eq(0), dropping.eq(0)]

        start = Signal()
        numbered = Signal()  # there is a number left for it
        m.d.comb += numbered.eq(self.next_out <= MAX_SEQ_BCD)
        m.d.comb += start.eq(~active & ~telling & ~dropping)
        host_ready = header_held & body_whole
        with m.If(start):
            m.d.sync += [
                place.eq(0),
                in_body.eq(0),
                now.eq(self.time),
                seq.eq(self.next_out),
                begin.eq(request.begin),
                end.eq(request.end),
            ]
            with m.If(request_held):
                m.d.sync += request_held.eq(0)
                with m.If(numbered):
                    m.d.sync += [active.eq(1), is_request.eq(1), is_replay.eq(0), msg_type.eq(REQUEST_TYPE)]
            with m.Elif(host_ready & (too_long | ~(numbered | header.replay))):
                m.d.comb += release_body.eq(1)
                m.d.sync += dropping.eq(1)
            with m.Elif(host_ready):
                m.d.sync += [active.eq(1), is_request.eq(0), is_replay.eq(header.replay), msg_type.eq(header.msg_type)]
                with m.If(header.replay):
                    m.d.sync += seq.eq(header.seq)
        with m.If(start & ((request_held & numbered) | (host_ready & ~request_held))):
            m.d.sync += prelude.eq(1)
            m.d.comb += [checksum.restart.eq(1), checksum.first.eq(0), at_next.eq(0)]

        first_taken = Signal()
        m.d.comb += first_taken.eq(active & valid & self.tx.ready & ~begun)
        offered = Signal()
        with m.If(valid & ~begun & ~offered):
            m.d.sync += [offered.eq(1), sent_cycle.eq(self.cycle)]
        with m.If(first_taken):
            m.d.sync += [begun.eq(1), telling.eq(1)]
            with m.If(~is_replay):
                m.d.sync += self.next_out.eq(bcd.increment(self.next_out))
        with m.If(active & valid & self.tx.ready & is_last):
            m.d.sync += [active.eq(0), begun.eq(0), offered.eq(0)]
            m.d.comb += release_body.eq(~is_request)
            m.d.comb += at_next.eq(0)
        with m.If(self.set_next_out):
            m.d.sync += self.next_out.eq(self.new_next_out)
        with m.If(self.clear):
            m.d.sync += request_held.eq(0)
            with m.If(active & is_request & ~begun & ~first_taken):
                m.d.sync += [active.eq(0), valid.eq(0), offered.eq(0), prelude.eq(0)]
                m.d.comb += at_next.eq(0)
        m.d.comb += self.idle.eq(~active & ~request_held & ~header_held & ~telling & ~dropping)
        return m
