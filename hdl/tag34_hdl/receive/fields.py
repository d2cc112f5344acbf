"""Fields: the header and the few body fields that the rules ask for (F2)."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tag34 import contract

from .. import bcd
from ..block_memory import BlockMemory
from ..layouts import IDENT_BITS, MAX_SEQ_BCD, NUMBER, MessageByte, Shape
from ..session.table import Context, Sweep, Table

#: Regions of the ident memory.
BEGIN_STRING, OURS, THEIRS = range(3)

TAG_DIGITS = 4
#: Of a length field, that is believed.
LENGTH_DIGITS = 6


def tag_code(tag: int) -> int:
    """A tag as the scanner has it: digits in BCD and their count, so that ``034`` is not ``34``."""
    return (len(str(tag)) << 4 * TAG_DIGITS) | contract.to_bcd(tag, TAG_DIGITS)


class Fields(wiring.Component):
    """Reads the fields of a message as its bytes go by.

    A tag is matched when its ``=`` arrives, a value is taken over when its SOH arrives. Numbers are shifted in as BCD
    digits; their low bits are accumulated beside (the place in the window). CompIDs and BeginString are compared byte
    by byte with the ident memory, whose read port is always one byte ahead. Values of data fields are passed over by
    their length (docs/decisions/0002). Sessions share it as they share the framer, one cycle behind it; their numbers
    and MsgTypes stay in block memory, which registers follow: one that is loaded costs a choice for each bit.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        byte_valid, byte: from the framer.
        switch, next_session: from the framer: the session changes.
        session: whose message it is.
        ident_addr, ident_data: read port of the ident memory; data one cycle after the address.
        fields: what was found so far; final when ``complete`` and not ``changed``, stable until the next message
            starts. ``mirror`` is believed until it is disproved, and final two cycles after ``complete``: before, what
            is missing may come yet.
        settled: the number is in (the header's 34 has been closed), or the message is ``complete``: what is known
            is likely to be all that the rules will ask for, once ``changed`` is not set any more.
        changed: ``fields`` may not be what it was a cycle ago, ``mirror`` apart. One cycle behind the byte that changes
            it; of many sessions for three cycles: in the last of them ``seq``, ``new_seq``, their low bits and
            ``msg_type`` are what they should be, before they are as they were, or another session's.
        complete: the message's last body byte is in, and nobody has said ``done`` since.
        done: the message has been dealt with.

    Latency: last body byte at ``byte`` to ``complete``, one cycle; the SOH of 34 to ``settled``, one cycle, and of many
        sessions two more to ``seq``.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        super().__init__(
            {
                "byte_valid": In(1),
                "byte": In(MessageByte),
                "switch": In(1),
                "next_session": In(shape.session_bits),
                "session": Out(shape.session_bits),
                "ident_addr": Out(shape.ident_bits),
                "ident_data": In(8),
                "fields": Out(shape.fields),
                "settled": Out(1),
                "changed": Out(1),
                "complete": Out(1),
                "done": In(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        many = self.shape.sessions > 1
        out = self.fields
        byte = self.byte.data
        is_soh = self.byte.soh
        is_digit = self.byte.digit
        digit = byte[:4]

        # The tag at hand. `tag_bad` catches what no tag looks like: empty, a letter, more than four digits.
        tag = Signal(4 * TAG_DIGITS)
        tag_count = Signal(range(TAG_DIGITS + 1))
        tag_bad = Signal()

        def is_tag(number: int) -> Value:
            return ~tag_bad & (Cat(tag, tag_count) == tag_code(number))

        in_header = Signal()
        header_tag = Signal()
        m.d.comb += header_tag.eq(Cat(is_tag(number) for number in sorted(contract.HEADER_TAGS)).any())
        still_header = Signal()
        m.d.comb += still_header.eq(in_header & header_tag)

        # Fields looked for: where they may stand. Each counts at its first occurrence only.
        places = {
            35: still_header,
            34: still_header,
            43: still_header,
            49: still_header,
            56: still_header,
            97: still_header,
            36: out.is_sequence_reset,
            123: out.is_sequence_reset,
            141: out.is_logon,
        }
        found = {number: Signal(name=f"found_{number}") for number in places}
        current = {number: Signal(name=f"current_{number}") for number in places}

        # The value at hand, as far as anybody may ask for it.
        first = Signal()  # no character yet
        is_y = Signal()
        number = Signal(NUMBER)
        low = Signal(self.shape.window_bits)
        number_bad = Signal()  # a non-digit, or more than ten significant digits
        type_place = Signal(range(contract.MSG_TYPE_BYTES + 1))

        # Data fields.
        pairs = sorted(contract.DATA_FIELDS.items())
        length = Signal(20)
        length_digits = Signal(3)  # 7: more than six, or none to believe
        announced = Signal(len(pairs))
        length_tag = Signal(len(pairs))
        is_data = Signal()
        length_left = Signal(20)  # of the length field just before
        data_left = Signal(20)
        m.d.comb += is_data.eq((announced & Cat(is_tag(data_tag) for _, data_tag in pairs)).any())
        passes = is_data & (length_left != 0)
        if many:
            # A choice less for each bit of three registers: the number is counted down where it was read, in BCD.
            passes = is_data
            length_left = data_left = number[: 4 * LENGTH_DIGITS]

        # Ident memory: the address shown is that of the byte which comes next.
        ident = Signal(2 + IDENT_BITS)
        ident_next = Signal.like(ident)
        session = Signal(self.shape.session_bits)  # as of the next cycle
        m.d.comb += [ident_next.eq(ident), self.ident_addr.eq(Cat(ident_next, session)), session.eq(self.session)]
        m.d.sync += ident.eq(ident_next)
        begin_ok, value_ok, idents_ok = (Signal(name=n) for n in ("begin_ok", "value_ok", "idents_ok"))
        both = found[49] & found[56]
        m.d.sync += out.mirror.eq(begin_ok & idents_ok & (both | ~self.complete))

        # Comparison takes a cycle of its own, as block memory is slow to answer.
        compared = Signal(8)
        known = Signal(8, reset_less=True)
        is_begin = Signal()
        is_value = Signal()
        is_end = Signal()
        is_theirs = Signal()
        is_ours = Signal()
        same = Signal()
        m.d.sync += [
            compared.eq(byte),
            known.eq(self.ident_data),
            is_begin.eq(self.byte_valid & self.byte.begin),
            is_end.eq(is_soh),
            is_theirs.eq(current[49]),
            is_ours.eq(current[56]),
        ]
        m.d.comb += same.eq(compared == known)
        with m.If(is_begin & ~same):
            m.d.sync += begin_ok.eq(0)
        with m.If(is_value & ~same):
            m.d.sync += value_ok.eq(0)
        with m.If(is_value & is_end & (is_theirs | is_ours) & ~(value_ok & same)):
            m.d.sync += idents_ok.eq(0)

        take = Signal()
        number_closed = Signal()  # the header's 34
        m.d.comb += take.eq(self.byte_valid & self.byte.body)
        # Of many sessions numbers and MsgType stay in memory, and a change is told until it shows.
        changed, domain = (Signal(), "comb") if many else (self.changed, "sync")
        new_number_closed = Signal()
        type_write = Signal(contract.MSG_TYPE_BYTES)
        m.d[domain] += changed.eq(0)
        with m.If(self.done | (self.byte_valid & self.byte.start)):
            m.d.sync += [self.complete.eq(0), self.settled.eq(0)]
        with m.Elif(self.byte_valid & self.byte.last):
            m.d.sync += [self.complete.eq(1), self.settled.eq(1)]
        with m.Elif(number_closed):
            m.d.sync += self.settled.eq(1)

        def new_tag() -> list:
            return [tag.eq(0), tag_count.eq(0), tag_bad.eq(0)]

        with m.If(self.byte_valid & self.byte.start):
            m.d.comb += ident_next.eq((BEGIN_STRING << IDENT_BITS) + len("FIX"))
            m.d.sync += [
                begin_ok.eq(1),
                idents_ok.eq(1),
                out.mirror.eq(1),
                in_header.eq(1),
                announced.eq(0),
                *new_tag(),
            ]
            m.d[domain] += changed.eq(1)
            m.d.sync += [signal.eq(0) for signal in found.values()]
            if many:
                m.d.comb += type_write.eq(~0)
            for name in (*(() if many else ("msg_type",)), "is_logon", "is_sequence_reset", "is_resend_request"):
                m.d.sync += out[name].eq(0)
            for name in ("seq_ok", "possdup", "possresend", "gap_fill", "reset_seq_num", "new_seq_ok"):
                m.d.sync += out[name].eq(0)

        with m.If(self.byte_valid & self.byte.begin):
            m.d.comb += ident_next.eq(ident + 1)

        with m.FSM(name="fields") as fsm:

            def restarted() -> None:
                """A message that turned out garbled leaves the scanner anywhere."""
                with m.If(self.byte_valid & self.byte.start):
                    m.next = "TAG"

            with m.State("TAG"):
                with m.If(take):
                    with m.If(self.byte.equals):
                        m.d.sync += [
                            in_header.eq(still_header),
                            first.eq(1),
                            is_y.eq(0),
                            number.eq(Mux(passes, number, 0) if many else 0),
                            low.eq(0),
                            number_bad.eq(0),
                            type_place.eq(0),
                            *([] if many else [length.eq(0)]),
                            length_digits.eq(0),
                            length_tag.eq(Cat(is_tag(length_tag_) for length_tag_, _ in pairs)),
                            announced.eq(0),
                            *([] if many else [data_left.eq(length_left)]),
                            value_ok.eq(1),
                        ]
                        for tag_number, place in places.items():
                            is_current = is_tag(tag_number) & place & ~found[tag_number]
                            m.d.sync += current[tag_number].eq(is_current)
                            with m.If(is_current):
                                m.d.sync += found[tag_number].eq(1)
                        # 49 or 56, by the bit that tells them apart: of other fields it does not matter.
                        m.d.comb += ident_next.eq(Mux(tag[0], THEIRS << IDENT_BITS, OURS << IDENT_BITS))
                        with m.If(passes):
                            m.next = "DATA"
                        with m.Else():
                            m.next = "VALUE"
                    with m.Elif(is_soh):
                        # A field without `=` is no header field.
                        m.d.sync += [in_header.eq(0), announced.eq(0), *new_tag()]
                    with m.Else():
                        m.d.sync += [tag.eq(Cat(digit, tag)), tag_count.eq(tag_count + 1)]
                        with m.If(~is_digit | (tag_count == TAG_DIGITS)):
                            m.d.sync += [tag_bad.eq(1), tag_count.eq(tag_count)]

            with m.State("VALUE"):
                with m.If(take):
                    m.d.comb += ident_next.eq(ident + 1)
                    with m.If(is_soh):
                        m.d[domain] += changed.eq(Cat(current[tag] for tag in places if tag not in (49, 56)).any())
                        m.d.comb += number_closed.eq(current[34])
                        with m.If(current[34]):
                            legal = ~number_bad & ~first & (number != 0) & (number <= MAX_SEQ_BCD)
                            if not many:
                                m.d.sync += [out.seq.eq(number), out.seq_low.eq(low)]
                            m.d.sync += out.seq_ok.eq(legal)
                        with m.If(current[36]):
                            legal = ~number_bad & ~first & (number <= MAX_SEQ_BCD)
                            if many:
                                m.d.comb += new_number_closed.eq(1)
                            else:
                                m.d.sync += [out.new_seq.eq(number), out.new_seq_low.eq(low)]
                            m.d.sync += out.new_seq_ok.eq(legal)
                        for tag_number, name in (
                            (43, "possdup"),
                            (97, "possresend"),
                            (123, "gap_fill"),
                            (141, "reset_seq_num"),
                        ):
                            with m.If(current[tag_number]):
                                m.d.sync += out[name].eq(is_y)
                        if not many:
                            with m.If(current[35]):
                                single = type_place == 1
                                m.d.sync += [
                                    out.is_logon.eq(single & (out.msg_type[:8] == ord("A"))),
                                    out.is_sequence_reset.eq(single & (out.msg_type[:8] == ord("4"))),
                                    out.is_resend_request.eq(single & (out.msg_type[:8] == ord("2"))),
                                ]
                        believed = (length_digits != 0) & (length_digits != 7)
                        with m.If(believed & (length_left != 0) if many else believed):
                            # The data field that may follow is passed over by this length.
                            m.d.sync += announced.eq(length_tag)
                            if not many:
                                m.d.sync += length_left.eq(length)
                        m.d.sync += new_tag()
                        m.next = "TAG"
                    with m.Else():
                        m.d.sync += [first.eq(0), is_y.eq(first & (byte == ord("Y")))]
                        m.d.sync += [number.eq(Cat(digit, number)), low.eq((low << 3) + (low << 1) + digit)]
                        with m.If(~is_digit | (number[-4:] != 0)):
                            m.d.sync += number_bad.eq(1)
                        if not many:
                            m.d.sync += length.eq((length << 3) + (length << 1) + digit)
                        with m.If(~is_digit | (length_digits >= LENGTH_DIGITS)):
                            m.d.sync += length_digits.eq(7)
                        with m.Else():
                            m.d.sync += length_digits.eq(length_digits + 1)
                        with m.If(current[35]):
                            if many:
                                # The first character is all of it until another one comes.
                                m.d.sync += [
                                    out.is_logon.eq(first & (byte == ord("A"))),
                                    out.is_sequence_reset.eq(first & (byte == ord("4"))),
                                    out.is_resend_request.eq(first & (byte == ord("2"))),
                                ]
                            with m.If(type_place < contract.MSG_TYPE_BYTES):
                                m.d[domain] += changed.eq(1)
                                if many:
                                    m.d.comb += type_write.bit_select(type_place[:2], 1).eq(1)
                                else:
                                    m.d.sync += out.msg_type.word_select(type_place[:2], 8).eq(byte)
                                m.d.sync += type_place.eq(type_place + 1)
                restarted()

            with m.State("DATA"):
                with m.If(take):
                    m.d.sync += data_left.eq(bcd.decrement(data_left) if many else data_left - 1)
                    with m.If(data_left == 1):
                        m.next = "VALUE"
                restarted()
        m.d.sync += is_value.eq(take & fsm.ongoing("VALUE"))

        # -- Sessions: one cycle to find the other one's word, one to change to it
        if many:
            kept = {
                "numbers": (Cat(out.seq, out.seq_low), number_closed, Cat(number, low)),
                "new_numbers": (Cat(out.new_seq, out.new_seq_low), new_number_closed, Cat(number, low)),
                "types": (out.msg_type, type_write, Mux(self.byte.start, 0, byte).replicate(contract.MSG_TYPE_BYTES)),
            }
            self._keep(m, kept)
            in_memory = ("msg_type", "seq", "seq_low", "new_seq", "new_seq_low")
            found_fields = {name: out[name] for name, _ in self.shape.fields if name not in ("mirror", *in_memory)}
            recent = Signal(2)  # cycles behind a change
            m.d.sync += [recent.eq(Cat(changed, recent)), self.changed.eq(changed | recent.any())]
            context = Context(
                stage=fsm.state,
                tag=tag,
                tag_count=tag_count,
                tag_bad=tag_bad,
                in_header=in_header,
                **{signal.name: signal for signal in (*found.values(), *current.values())},
                first=first,
                is_y=is_y,
                number=number,
                low=low,
                number_bad=number_bad,
                type_place=type_place,
                length_digits=length_digits,
                announced=announced,
                length_tag=length_tag,
                ident=ident,
                begin_ok=begin_ok,
                value_ok=value_ok,
                idents_ok=idents_ok,
                settled=self.settled,
                complete=self.complete,
                **found_fields,
            )
            m.submodules.messages = messages = Table(context.layout, self.shape.sessions, sweep=self._sweep)
            change = Signal()
            m.d.sync += change.eq(self.switch)
            wanted = Signal(self.shape.session_bits)
            m.d.sync += wanted.eq(self.next_session)
            m.d.comb += [
                messages.address.eq(self.next_session),
                messages.put.eq(change),
                messages.put_address.eq(self.session),
                messages.put_entry.eq(context.word),
            ]
            with m.If(change):
                m.d.comb += [session.eq(wanted), ident_next.eq(messages.entry.ident)]
                m.d.comb += changed.eq(1)
                m.d.sync += self.session.eq(wanted)
            context.take_up(m, change, messages.entry, messages.known)
        return m

    def _keep(self, m: Module, kept: dict[str, tuple[Value, Value, Value]]) -> None:
        """Many sessions: registers that are not loaded, but follow block memory.

        They show a value that was written, or another session's, from the third cycle after on.

        Parameters: ``kept``, by the memory's name: the register, when it is written (bits of it: parts), and what.
        """
        for name, (register, write, value) in kept.items():
            granularity = len(value) // len(write)
            m.submodules[name] = memory = BlockMemory(len(value), self.shape.sessions, granularity=granularity)
            m.d.comb += [
                memory.address.eq(self.session),
                memory.enable.eq(~write.any()),
                memory.write.eq(write),
                memory.write_address.eq(self.session),
                memory.write_data.eq(value),
            ]
            m.d.sync += register.eq(memory.data)
