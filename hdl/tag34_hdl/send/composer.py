"""The composer: everything that leaves (S1 to S4, S6)."""

from dataclasses import dataclass

from amaranth import Array, C, Cat, Elaboratable, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34.contract import MSG_TYPE_BYTES, SEQ_DIGITS, SOH, EventCode, Flag, RecordKind

from .. import bcd
from ..layouts import CYCLE, IDENT_BITS, MAX_SEQ_BCD, NUMBER, Record, Shape
from ..receive.checksum import Checksum
from ..receive.fields import BEGIN_STRING, OURS, THEIRS
from ..receive.framer import START
from ..session.table import Table
from .clock import Time
from .decimal import DIGITS, Decimal


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


class Then(enum.Enum, shape=2):
    """What follows a step."""

    NEXT = 0  #: the step behind it
    BODY = 1  #: what this message has for a body: a request's fields, the host's bytes or nothing
    TRAILER = 2  #: the trailer


@dataclass(frozen=True)
class Step:
    """One step of the program: ``what`` is the byte, the number, or the ident region and (from bit 2 on) where in it to
    begin; ``summed``: its bytes count for CheckSum."""

    source: Source
    what: int = 0
    summed: bool = True
    then: Then = Then.NEXT  # type: ignore[assignment]  # Amaranth's enumerations are not known to mypy

    @property
    def word(self) -> int:
        """The step as the program memory has it."""
        return self.source.value | self.summed << 3 | self.then.value << 4 | self.what << 6


def text(characters: bytes, *, summed: bool = True) -> list[Step]:
    """A step for each character."""
    return [Step(Source.TEXT, byte, summed) for byte in characters]


SOH_BYTE = bytes([SOH])
HEADER = [
    *text(START),
    Step(Source.IDENT, BEGIN_STRING | len("FIX") << 2),  # its closing SOH included
    *text(b"9="),
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
    Step(Source.TEXT, SOH, then=Then.BODY),
]
REQUEST_BODY = [
    *text(b"7="),
    Step(Source.NUMBER, Numbers.BEGIN.value),
    *text(SOH_BYTE + b"16="),
    Step(Source.NUMBER, Numbers.END.value),
    Step(Source.TEXT, SOH, then=Then.TRAILER),
]
HOST_BODY = [Step(Source.BODY, then=Then.TRAILER)]
TRAILER = [
    *text(b"10=", summed=False),
    Step(Source.SUM, summed=False),
    Step(Source.TEXT, SOH, summed=False),
    Step(Source.END),
]
PROGRAM = [*HEADER, *REQUEST_BODY, *HOST_BODY, *TRAILER]
REQUEST_AT = len(HEADER)
HOST_AT = REQUEST_AT + len(REQUEST_BODY)
TRAILER_AT = HOST_AT + len(HOST_BODY)
REQUEST_TYPE = ord("2")


class Composer(wiring.Component):
    """Builds whole FIX messages: 8, 9, 35, 49, 56, 34, 52, what the sender gave, 10. BodyLength and CheckSum are
    computed.

    A message is a program of steps (:data:`PROGRAM`). Four stages move together: the first walks over the steps and
    addresses the memories, the next two have the byte as its source gave it, the last offers it. They are filled before
    a message starts, as all messages of all sessions begin with ``8=FIX``; starting a message is to show the first
    byte. A host message is stored whole before it may start, so that its length is known and a request waits for one
    message at most (S3). ``next_out`` is counted up when the first byte of a message is taken (S2).

    Parameters: ``shape``.

    Members:
        request: a ResendRequest; one may wait while a message leaves.
        send_header, send_body: a host message: its header, then its bytes (if ``body``), each field closed by SOH,
            ``last`` with the last byte. One longer than max_message is not sent: event SEND_DROPPED.
        tx: the messages' bytes; ``last`` with the last of a message.
        records: SENT for each message whose first byte was taken, SEND_DROPPED.
        next_session: whose request comes next, if one comes; known at least four cycles before it.
        ident_addr, ident_data: read port of the ident memory; data a cycle after an address with ``ident_enable``.
        config_session, ident_lengths, fraction: lengths of a session's idents and digits of 52's fraction, two cycles
            later.
        time: now.
        set_next_out, set_session, new_next_out: next_out of a session := new_next_out. Not while a message of it
            leaves, nor again within two cycles.
        next_out_session, next_out: next_out of a session, one cycle later; two cycles after a first byte.
        clear, clear_session: a new connection: a request that has not begun to leave is dropped (S6).
        cycle: the device's cycle counter.
        idle: nothing to send, nothing leaving.

    Latency: ``request`` taken while idle to the first byte offered, two cycles. Throughput: one byte per cycle, but for
        a few cycles before BodyLength, which has to be converted, and before CheckSum.
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
                "next_session": In(shape.session_bits),
                "ident_enable": Out(1),
                "ident_addr": Out(shape.ident_bits),
                "ident_data": In(8),
                "config_session": Out(shape.session_bits),
                "ident_lengths": In(3 * IDENT_BITS),
                "time": In(Time),
                "fraction": In(4),
                "set_next_out": In(1),
                "set_session": In(shape.session_bits),
                "new_next_out": In(NUMBER),
                "next_out_session": In(shape.session_bits),
                "next_out": Out(NUMBER),
                "clear": In(1),
                "clear_session": In(shape.session_bits),
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
            shape=unsigned(14), depth=len(PROGRAM), init=[step.word for step in PROGRAM]
        )

        # -- The host's message waits whole
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

        settling = Signal(2, init=3)  # cycles until the program is at its first step

        # -- A request waits
        request = Signal(shape.request)
        request_held = Signal()
        m.d.comb += self.request.ready.eq(~request_held)
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [request.eq(self.request.payload), request_held.eq(1)]

        # -- Numbers: the next one of each session, read for whoever may start next
        session = Signal(shape.session_bits)  # of the message that leaves
        Number = data.StructLayout({"value": NUMBER, "left": 1})  # left: it is a legal one
        put_number = Signal()
        put_session = Signal(shape.session_bits)
        number = Signal(Number)
        request_session = Signal(shape.session_bits)
        request_number = Signal(Number)
        host_number = Signal(Number)
        m.d.comb += request_session.eq(Mux(request_held, request.session, self.next_session))
        first_number = Number.const({"value": 1, "left": 1})
        if shape.sessions == 1:
            next_out = Signal(Number, init={"value": 1, "left": 1})
            with m.If(put_number):
                m.d.sync += next_out.eq(number)
            m.d.sync += [request_number.eq(next_out), host_number.eq(next_out)]
            m.d.comb += self.next_out.eq(next_out.value)
        else:
            m.submodules.numbers = numbers = Table(Number, shape.sessions, lambda session: first_number, readers=3)
            m.d.comb += [
                numbers.put.eq(put_number),
                numbers.put_address.eq(put_session),
                numbers.put_entry.eq(number),
                numbers.address.eq(request_session),
                numbers.address_1.eq(header.session),
                numbers.address_2.eq(self.next_out_session),
                self.next_out.eq(numbers.entry_2.value),
            ]
            m.d.sync += [request_number.eq(numbers.entry), host_number.eq(numbers.entry_1)]
        numbers_change = Signal()
        request_session_before = Signal.like(request_session)
        m.d.sync += request_session_before.eq(request_session)
        m.d.comb += numbers_change.eq(
            put_number | (request_session != request_session_before) | (numbers.busy if shape.sessions > 1 else 0)
        )
        # Who starts has a number that was read after the last change, and after his session was known.
        numbers_known = Signal(3)
        header_known = Signal(3)
        m.d.sync += [
            numbers_known.eq(Mux(numbers_change, 0, Cat(1, numbers_known))),
            header_known.eq(Mux(header_held, Cat(1, header_known), 0)),
        ]

        # -- The message that leaves
        active = Signal()
        begun = Signal()  # its first byte was taken
        is_request = Signal()
        is_replay = Signal()
        begin = Signal(NUMBER)
        end = Signal(NUMBER)
        seq = Signal(NUMBER)
        msg_type = Signal(8 * MSG_TYPE_BYTES)
        now = Signal(Time)

        # Lengths, in small steps; the conversion is ready shortly before the first digit of BodyLength is due.
        # Whatever a step needs is in a
        # register by then: what ends in `last` is the place of a step's last byte.
        prelude = Signal(3)  # 0: done
        lengths = [self.ident_lengths[IDENT_BITS * region :][:IDENT_BITS] for region in range(3)]
        digit_flags = [Signal(SEQ_DIGITS, name=f"digit_flags_{name}") for name in ("seq", "begin", "end")]
        lasts = [Signal(4, name=f"last_{name}") for name in ("seq", "begin", "end")]  # place of the first digit
        type_last = Signal(range(MSG_TYPE_BYTES))
        time_last = Signal(range(28))
        ident_lasts = [Signal(IDENT_BITS, name=f"ident_last_{region}") for region in range(3)]
        body_last = Signal(range(shape.max_message))
        part_ident = Signal(9)
        part_rest = Signal(8)
        part_body = Signal(17)
        fixed = len("35=|49=|56=|34=|52=|")
        m.d.comb += decimal.value.eq(part_ident + part_rest + part_body)
        m.d.sync += [
            time_last.eq(Mux(self.fraction == 0, 16, self.fraction + 17)),
            body_last.eq(body_length - 1),
            # BeginString's bytes behind 8=FIX, and its SOH.
            ident_lasts[BEGIN_STRING].eq(lengths[BEGIN_STRING] - len("FIX")),
            *(ident_lasts[region].eq(lengths[region] - 1) for region in (OURS, THEIRS)),
        ]
        # The configuration is that of the session which starts next, or has started; it takes three cycles to come.
        config_session = Signal(shape.session_bits)
        config_known = Signal(3)
        m.d.sync += [
            config_session.eq(self.config_session),
            config_known.eq(Mux(config_session == self.config_session, Cat(1, config_known), 0)),
        ]
        with m.If((prelude != 0) & ((prelude != 2) | config_known.all())):
            m.d.sync += prelude.eq(prelude + 1)
        with m.Switch(prelude):
            with m.Case(1):
                for flags, value in zip(digit_flags, (seq, begin, end), strict=True):
                    m.d.sync += flags.eq(Cat(digit != 0 for digit in bcd.digits_of(value)))
                for place in range(MSG_TYPE_BYTES):
                    with m.If(msg_type.word_select(place, 8) != 0):
                        m.d.sync += type_last.eq(place)
            with m.Case(2):
                for flags, last in zip(digit_flags, lasts, strict=True):
                    m.d.sync += last.eq(0)
                    for place in range(1, SEQ_DIGITS):
                        with m.If(flags[place]):
                            m.d.sync += last.eq(place)
            with m.Case(3):
                m.d.sync += [
                    part_ident.eq(lengths[OURS] + lengths[THEIRS] + fixed),
                    # A number has one digit more than the place of its first says.
                    part_rest.eq(type_last + lasts[0] + time_last + 3),
                    part_body.eq(Mux(is_request, len("7=|16=|") + lasts[1] + lasts[2] + 2, body_length)),
                ]
            with m.Case(4):
                m.d.comb += decimal.start.eq(1)
                m.d.sync += prelude.eq(0)
        length_flags = Signal(DIGITS)
        length_known = Signal(3)  # the digits are there, their flags, their count
        length_last = Signal(range(DIGITS))
        m.d.sync += [
            length_known.eq(Cat((prelude == 0) & ~decimal.busy, length_known)),
            length_flags.eq(Cat(digit != 0 for digit in bcd.digits_of(decimal.digits))),
            length_last.eq(0),
        ]
        for place in range(1, DIGITS):
            with m.If(length_flags[place]):
                m.d.sync += length_last.eq(place)

        # -- First stage: the step at hand, the step ahead
        ahead_port = program.read_port()
        ahead = ahead_port.data
        ahead_source, ahead_then, ahead_what = ahead[:3], ahead[4:6], ahead[6:]
        at = Signal(range(len(PROGRAM)))  # of the step ahead
        source = Signal(3)
        summed = Signal()
        what = Signal(8)
        place = Signal(range(max(64, shape.max_message)))  # byte of the step
        left = Signal.like(place)  # bytes of the step behind this one
        is_last = Signal()  # none
        body_at = Signal.like(at)

        ahead_left = Signal.like(place)
        ahead_ready = Signal(init=1)
        quiet = Signal(3)  # cycles without a byte for the checksum: its digits are ready
        with m.Switch(ahead_source):
            with m.Case(Source.IDENT):
                m.d.comb += [ahead_left.eq(Array(ident_lasts)[ahead_what[:2]]), ahead_ready.eq(config_known.all())]
            with m.Case(Source.NUMBER):
                m.d.comb += ahead_left.eq(Array([length_last, *lasts])[ahead_what[:2]])
                with m.If(ahead_what[:2] == Numbers.BODY_LENGTH.value):
                    m.d.comb += ahead_ready.eq(length_known.all())
            with m.Case(Source.TYPE):
                m.d.comb += ahead_left.eq(type_last)
            with m.Case(Source.TIME):
                m.d.comb += ahead_left.eq(time_last)
            with m.Case(Source.SUM):
                m.d.comb += [ahead_left.eq(2), ahead_ready.eq(quiet.all())]
            with m.Case(Source.BODY):
                m.d.comb += ahead_left.eq(body_last)

        filled = Signal()  # the last stage has a byte
        advance = Signal()  # it has none, or it is taken
        fire = Signal()  # a byte goes from the first stage to the second
        step = Signal()  # it is the step's last
        m.d.comb += [
            advance.eq(~filled | (self.tx.valid & self.tx.ready)),
            fire.eq((settling == 0) & advance & (source != Source.END) & (~is_last | ahead_ready)),
            step.eq(fire & is_last),
        ]
        with m.If(fire):
            m.d.sync += [place.eq(place + 1), left.eq(left - 1), is_last.eq(left == 1)]
        with m.If(step):
            m.d.sync += [
                source.eq(ahead_source),
                summed.eq(ahead[3]),
                what.eq(ahead_what),
                place.eq(Mux(ahead_source == Source.IDENT, ahead_what[2:], 0)),
                left.eq(ahead_left),
                is_last.eq(ahead_left == 0),
                at.eq(ahead_port.addr),
            ]
        m.d.comb += [ahead_port.en.eq(step), ahead_port.addr.eq(at + 1)]
        with m.Switch(ahead_then):
            with m.Case(Then.BODY):
                m.d.comb += ahead_port.addr.eq(body_at)
            with m.Case(Then.TRAILER):
                m.d.comb += ahead_port.addr.eq(TRAILER_AT)

        # -- Second and third stage: the byte from its source
        numbers = Array([decimal.digits, seq, begin, end])
        digit = Array(bcd.digits_of(numbers[what[:2]]))[left[:4]]
        clock_characters = []
        for name, size, after in (
            ("date", 8, b"-"),
            ("day", 6, b"."),
            ("milli", 3, b""),
            ("micro", 3, b""),
            ("nano", 3, b""),
        ):
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
        read = Signal()
        literal = Signal(8, reset_less=True)
        from_ident = Signal()
        from_body = Signal()
        read_summed = Signal()
        read_last = Signal()
        m.d.comb += [
            self.ident_enable.eq(fire),
            self.ident_addr.eq(Cat(place[:IDENT_BITS], what[:2], session)),
            store_read.addr.eq(place),
            store_read.en.eq(fire),
        ]
        # Block memory is slow to leave: its bytes get a register before they are chosen from.
        latched = Signal()
        latched_literal = Signal(8)
        latched_ident = Signal(8, reset_less=True)
        latched_body = Signal(8, reset_less=True)
        latched_from_ident = Signal()
        latched_from_body = Signal()
        latched_summed = Signal()
        latched_last = Signal()
        with m.If(advance):
            m.d.sync += [
                read.eq(fire),
                latched.eq(read),
                latched_literal.eq(literal),
                latched_ident.eq(self.ident_data),
                latched_body.eq(store_read.data),
                latched_from_ident.eq(from_ident),
                latched_from_body.eq(from_body),
                latched_summed.eq(read_summed),
                latched_last.eq(read_last),
            ]
        with m.If(fire):
            m.d.sync += [
                literal.eq(character),
                from_ident.eq(source == Source.IDENT),
                from_body.eq(source == Source.BODY),
                read_summed.eq(summed),
                read_last.eq(step & (ahead_source == Source.END)),
            ]

        # -- Last stage: the byte offered
        offered_summed = Signal()
        taken = Signal()
        m.d.comb += [
            self.tx.payload.count.eq(1),
            self.tx.payload.session.eq(session),
            self.tx.valid.eq(filled & active),
            taken.eq(self.tx.valid & self.tx.ready),
            checksum.byte.eq(self.tx.payload.data),
            checksum.add.eq(taken & offered_summed),
        ]
        with m.If(advance):
            m.d.sync += [
                filled.eq(latched),
                self.tx.payload.data.eq(
                    Mux(latched_from_ident, latched_ident, Mux(latched_from_body, latched_body, latched_literal))
                ),
                self.tx.payload.last.eq(latched_last),
                offered_summed.eq(latched_summed),
            ]
        # The checksum's digits are ready when nothing to be summed has been under way for three cycles.
        m.d.sync += quiet.eq(Cat(1, quiet))
        with m.If((read & read_summed) | (latched & latched_summed) | (filled & offered_summed)):
            m.d.sync += quiet.eq(0)

        # -- Start, first byte, end
        # Only one thing is told at a time: the next message does not start before the record of this one is gone.
        telling = Signal()
        dropping = Signal()
        record = self.records.payload
        sent_cycle = Signal(CYCLE)
        m.d.comb += [
            # A request's REQUEST event is on its way when its first byte is offered; BodyLength is known long after it
            # has arrived.
            self.records.valid.eq((telling & length_known.all()) | dropping),
            record.session.eq(session),
            record.kind.eq(Mux(dropping, RecordKind.EVENT, RecordKind.SENT)),
            record.code.eq(Mux(dropping, EventCode.SEND_DROPPED, 0)),
            record.msg_type.eq(Mux(dropping, 0, msg_type)),
            record.seq.eq(Mux(dropping, 0, seq)),
            record.flags.eq(
                Mux(dropping, 0, Flag.SEQ | Mux(is_replay, Flag.REPLAY, 0) | Mux(is_request, Flag.DEVICE, 0))
            ),
            record.cycle.eq(sent_cycle),
        ]
        with m.If(self.records.valid & self.records.ready):
            m.d.sync += [telling.eq(0), dropping.eq(0)]

        free = Signal()
        start = Signal()
        host_ready = header_held & body_whole & header_known.all()
        host_good = ~too_long & (host_number.left | header.replay)
        m.d.comb += [
            # Nothing starts in the cycle of a clear: what waits may just be forgotten (S6).
            free.eq(~active & ~telling & ~dropping & (settling == 0) & ~self.clear & numbers_known.all()),
            start.eq(free & Mux(request_held, request_number.left, host_ready & host_good)),
            self.config_session.eq(
                Mux(active, session, Mux(host_ready & ~request_held, header.session, request_session))
            ),
        ]
        with m.If(free):
            m.d.sync += [
                now.eq(self.time),
                session.eq(Mux(request_held, request.session, header.session)),
                seq.eq(Mux(request_held, request_number.value, host_number.value)),
                begin.eq(request.begin),
                end.eq(request.end),
                is_request.eq(request_held),
                is_replay.eq(~request_held & header.replay),
                msg_type.eq(Mux(request_held, REQUEST_TYPE, header.msg_type)),
                body_at.eq(Mux(request_held, REQUEST_AT, Mux(body_length == 0, TRAILER_AT, HOST_AT))),
            ]
            with m.If(request_held):
                # Without a number left it is dropped.
                m.d.sync += request_held.eq(0)
            with m.Elif(header.replay):
                m.d.sync += seq.eq(header.seq)
            with m.If(~request_held & host_ready & ~host_good):
                m.d.comb += release_body.eq(1)
                m.d.sync += [dropping.eq(1), sent_cycle.eq(self.cycle)]
        with m.If(start):
            m.d.sync += [active.eq(1), prelude.eq(1), length_known.eq(0)]
            m.d.comb += [checksum.restart.eq(1), checksum.first.eq(0)]

        first_taken = Signal()
        first_offered = Signal()
        m.d.comb += [first_offered.eq(start | (active & ~begun & ~filled)), first_taken.eq(taken & ~begun)]
        with m.If(first_offered):
            m.d.sync += sent_cycle.eq(self.cycle + 1)
        with m.If(first_taken):
            m.d.sync += [begun.eq(1), telling.eq(1)]

        # A number is used with the first byte. What the host sets waits for that.
        used = Signal()
        set_waits = Signal()
        set_session = Signal(shape.session_bits)
        set_number = Signal(NUMBER)
        m.d.sync += used.eq(first_taken & ~is_replay)
        with m.If(self.set_next_out):
            m.d.sync += [set_waits.eq(1), set_session.eq(self.set_session), set_number.eq(self.new_next_out)]
        with m.Elif(~used):
            m.d.sync += set_waits.eq(0)
        m.d.comb += [
            put_number.eq(used | set_waits),
            put_session.eq(Mux(used, session, set_session)),
            number.value.eq(Mux(used, bcd.increment(seq), set_number)),
            number.left.eq(Mux(used, seq != MAX_SEQ_BCD, set_number <= MAX_SEQ_BCD)),
        ]

        rewind = Signal()
        with m.If(taken & self.tx.payload.last):
            m.d.comb += [rewind.eq(1), release_body.eq(~is_request)]
        with m.If(self.clear):
            with m.If(request.session == self.clear_session):
                m.d.sync += request_held.eq(0)
            with m.If(active & is_request & ~begun & ~first_taken & (session == self.clear_session)):
                m.d.comb += rewind.eq(1)

        # Back to the first step: two reads fill the steps ahead and at hand, then the stages fill.
        with m.If(rewind):
            m.d.sync += [
                active.eq(0),
                begun.eq(0),
                filled.eq(0),
                latched.eq(0),
                read.eq(0),
                prelude.eq(0),
                settling.eq(3),
            ]
        with m.If(settling != 0):
            m.d.sync += settling.eq(settling - 1)
        with m.Switch(settling):
            with m.Case(3):
                m.d.comb += [ahead_port.en.eq(1), ahead_port.addr.eq(0)]
            with m.Case(2):
                m.d.comb += [ahead_port.en.eq(1), ahead_port.addr.eq(1)]
                m.d.sync += [
                    source.eq(ahead_source),
                    summed.eq(ahead[3]),
                    what.eq(ahead_what),
                    place.eq(0),
                    left.eq(0),
                    is_last.eq(1),
                    at.eq(1),
                ]
        m.d.comb += self.idle.eq(~active & ~request_held & ~header_held & ~telling & ~dropping & filled & ~set_waits)
        return m
