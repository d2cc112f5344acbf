"""How long everything is: digits of numbers, characters of MsgType and the time, and all together: BodyLength."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from tag34.contract import MSG_TYPE_BYTES, SEQ_DIGITS

from ..layouts import IDENT_BITS, MSG_TYPE, NUMBER, Shape
from ..receive.fields import OURS, THEIRS
from ..vectors import any_bit, wire
from .decimal import Decimal

#: What a header may have at most, and a request for its body.
LONGEST_HEADER = len("35=|49=|56=|34=|52=|") + MSG_TYPE_BYTES + 2 * 63 + SEQ_DIGITS + 27
FIXED = len("35=|49=|56=|34=|52=|")
FIXED_REQUEST = len("7=|16=|")


def first_digit(flags: Value) -> Value:
    """Place of the highest flag that is set; 0 if none is."""
    place: Value = Cat(0)
    for index in range(1, len(flags)):
        place = Mux(flags[index], index, place)
    return place


class Lengths(wiring.Component):
    """Lengths of the steps of a message, in small cycles, while its first bytes leave. What ends in ``last`` is the
    place of a step's last byte.

    Parameters: ``shape``.

    Members:
        start: the inputs are those of a message from the next cycle on, and stay.
        seq, begin, end, msg_type, is_request, ident_lengths, fraction, body_length: the message.
        numbers: last digit of BodyLength, MsgSeqNum, BeginSeqNo, EndSeqNo.
        type_last, time_last, body_last: of MsgType, the time, the body.
        digits: BodyLength; valid, with all the rest, when ``known``.

    Latency: four cycles, and those of the conversion, from ``start`` to ``known``.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        self.bits = bits_for(shape.max_message + LONGEST_HEADER)
        self.decimal = Decimal(self.bits)
        super().__init__(
            {
                "start": In(1),
                "seq": In(NUMBER),
                "begin": In(NUMBER),
                "end": In(NUMBER),
                "msg_type": In(MSG_TYPE),
                "is_request": In(1),
                "ident_lengths": In(3 * IDENT_BITS),
                "fraction": In(4),
                "body_length": In(ceil_log2(shape.max_message + shape.width + 1)),
                "numbers": Out(data.ArrayLayout(4, 4)),
                "type_last": Out(range(MSG_TYPE_BYTES)),
                "time_last": Out(range(27)),
                "body_last": Out(range(shape.max_message)),
                "digits": Out(4 * self.decimal.places),
                "known": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.decimal = decimal = self.decimal
        lengths = [self.ident_lengths[IDENT_BITS * region :][:IDENT_BITS] for region in range(3)]
        for index, value in enumerate((self.seq, self.begin, self.end), 1):
            flags = Signal(SEQ_DIGITS, name=f"flags_{index}")
            m.d.sync += [
                flags.eq(any_bit(m, value, 4)),
                self.numbers[index].eq(first_digit(flags)),
            ]
        for place in range(MSG_TYPE_BYTES):
            with m.If(self.msg_type.word_select(place, 8) != 0):
                m.d.sync += self.type_last.eq(place)
        idents = Signal(range(2 * 63 + FIXED + 1))
        rest = Signal(8)
        body = Signal(self.bits)
        m.d.sync += [
            self.time_last.eq(Mux(self.fraction == 0, 16, self.fraction + 17)),
            self.body_last.eq(self.body_length - 1),
            idents.eq(lengths[OURS] + lengths[THEIRS] + FIXED),
            # One byte more than the place of its last says, each.
            rest.eq(self.type_last + self.numbers[1] + self.time_last + 3),
            body.eq(
                Mux(self.is_request, self.numbers[2] + self.numbers[3] + FIXED_REQUEST + 2, self.body_length),
            ),
        ]
        # Flags, places, parts, then their sum.
        steps = Signal(4)
        was_busy = Signal()
        m.d.sync += [steps.eq(Cat(self.start, steps)), was_busy.eq(decimal.busy)]
        m.d.comb += [
            decimal.start.eq(steps[-1]),
            decimal.value.eq(idents + rest + body),
            self.digits.eq(decimal.digits),
        ]
        m.d.sync += self.numbers[0].eq(first_digit(wire(m, any_bit(m, decimal.digits, 4))))
        with m.If(self.start | steps.any()):
            m.d.sync += self.known.eq(0)
        with m.Elif(was_busy & ~decimal.busy):
            m.d.sync += self.known.eq(1)
        return m
