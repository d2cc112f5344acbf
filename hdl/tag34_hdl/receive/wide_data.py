"""Bodies with data fields (decision 2), a byte per cycle: rare enough for the pipeline to wait."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal, Value

from tag34.contract import SEQ_DIGITS

from ..layouts import NUMBER, Shape
from .tags import CLASS_BITS, CLASSES, PAIRS

LENGTH_DIGITS = 6
TAG_DIGITS = 4


def minus_one(number: Value) -> Value:
    """A BCD number less one."""
    result = []
    for place in range(len(number) // 4):
        digit = number[4 * place :][:4]
        borrow = number[: 4 * place] == 0 if place else 1
        result.append(Mux(borrow, Mux(digit == 0, 9, digit - 1), digit)[:4])
    return Cat(result)


class DataBody:
    """Takes over behind the ``=`` of a length field, to the end of the message, one byte per cycle.

    Members: ``busy``: bytes of a piece are left, ``last``: but for the one at hand. ``ended``: the message's last piece
    has been read. ``flags``: the value of which of 123 and 141 has been closed, and was it Y. ``number``,
    ``number_good``, ``number_closed``: of 36. These are registered.
    """

    TAGS = ("36", "123", "141")

    def __init__(self, shape: Shape):
        width = shape.width
        self.width = width
        self.classes = [Signal(width, name=f"body_classes_{bit}") for bit in range(CLASS_BITS)]
        self.left = Signal(width, name="body_left")
        self.final = Signal(name="body_final")
        self.busy = Signal(name="body_busy")
        self.last = Signal(name="body_last")
        self.ended = Signal(name="body_ended")
        # The field at hand.
        self.in_value = Signal(name="body_in_value")
        self.in_data = Signal(name="body_in_data")
        self.tag = Signal(CLASS_BITS * TAG_DIGITS, name="body_tag")
        self.tag_digits = Signal(range(TAG_DIGITS + 2), name="body_tag_digits")  # one more: no tag
        self.current = Signal(len(self.TAGS), name="body_current")
        self.first = Signal(name="body_first")
        self.is_y = Signal(name="body_is_y")
        self.number = Signal(NUMBER, name="body_number")
        self.bad = Signal(name="body_bad")
        self.length = Signal(4 * LENGTH_DIGITS, name="body_length")
        self.length_digits = Signal(range(LENGTH_DIGITS + 2), name="body_length_digits")  # one more: not believed
        self.length_tag = Signal(len(PAIRS), name="body_length_tag")
        self.announced = Signal(len(PAIRS), name="body_announced")
        self.closed = Signal(len(self.TAGS), name="body_closed")
        self.closed_y = Signal(name="body_closed_y")
        self.closed_good = Signal(name="body_closed_good")

    @property
    def state(self) -> list[Signal]:
        """What is known of a session's message."""
        return [
            *(self.in_value, self.in_data, self.tag, self.tag_digits, self.current, self.first, self.is_y, self.number),
            *(self.bad, self.length, self.length_digits, self.length_tag, self.announced),
        ]

    def load(self, classes: Sequence[Value], mask: Value, final: Value) -> list:
        """The next piece, if none is ``busy``. ``classes``, bit by bit."""
        own = [kept.eq(plane) for kept, plane in zip(self.classes, classes, strict=True)]
        return [*own, self.left.eq(mask), self.final.eq(final)]

    def enter(self, length_tag: Value) -> list:
        """What follows is the value of a length field."""
        return [
            *(self.in_value.eq(1), self.in_data.eq(0), self.current.eq(0)),
            *(self.length.eq(0), self.length_digits.eq(0), self.length_tag.eq(length_tag), self.announced.eq(0)),
        ]

    def read(self, m: Module, found: Value) -> None:
        """A byte per cycle. ``found``: which of TAGS have been found; the first one counts."""
        code = Cat(plane[0] for plane in self.classes)
        is_soh, is_digit = code == CLASSES["|"], code < 10
        take = self.busy & self.left[0]
        m.d.comb += self.last.eq(self.left[1:] == 0)
        m.d.sync += [self.closed.eq(0), self.ended.eq(0)]
        with m.If(self.busy):
            m.d.sync += [*(plane.eq(plane >> 1) for plane in self.classes), self.left.eq(self.left >> 1)]
            with m.If(self.last):
                m.d.sync += [self.busy.eq(0), self.ended.eq(self.final)]

        def is_tag(text: str) -> Value:
            return (self.tag_digits == len(text)) & (self.tag[: 4 * len(text)] == int(text, 16))

        new_tag = [self.in_value.eq(0), self.in_data.eq(0), self.tag_digits.eq(0)]
        is_length = Cat(is_tag(length) for length, _ in PAIRS)
        is_data = Cat(is_tag(data) for _, data in PAIRS)
        with m.If(take & self.in_data):
            m.d.sync += [self.length.eq(minus_one(self.length)), self.in_data.eq(self.length != 1)]
        with m.Elif(take & self.in_value):
            with m.If(is_soh):
                believed = (self.length_digits != 0) & (self.length_digits != LENGTH_DIGITS + 1)
                m.d.sync += [
                    self.announced.eq(Mux(believed, self.length_tag, 0)),
                    self.closed.eq(self.current),
                    self.closed_y.eq(self.is_y),
                    self.closed_good.eq(~self.bad & ~self.first),
                    *new_tag,
                ]
            with m.Else():
                m.d.sync += [
                    self.first.eq(0),
                    self.is_y.eq(self.first & (code == CLASSES["Y"])),
                    self.number.eq(Cat(code, self.number)),
                ]
                with m.If(~is_digit | (self.number[4 * (SEQ_DIGITS - 1) :] != 0)):
                    m.d.sync += self.bad.eq(1)
                # Of a data field's value only what follows the data comes here, and its length matters no more.
                m.d.sync += self.length.eq(Cat(code, self.length))
                with m.If(~is_digit | (self.length_digits >= LENGTH_DIGITS)):
                    m.d.sync += self.length_digits.eq(LENGTH_DIGITS + 1)
                with m.Else():
                    m.d.sync += self.length_digits.eq(self.length_digits + 1)
        with m.Elif(take):
            with m.If(code == CLASSES["="]):
                m.d.sync += [
                    self.in_value.eq(1),
                    self.in_data.eq((self.announced & is_data).any() & (self.length != 0)),
                    self.current.eq(Cat(is_tag(tag) for tag in self.TAGS) & ~found),
                    self.first.eq(1),
                    self.is_y.eq(0),
                    self.number.eq(0),
                    self.bad.eq(0),
                    self.length_digits.eq(0),
                    self.length_tag.eq(is_length),
                    self.announced.eq(0),
                ]
                with m.If(~(self.announced & is_data).any()):
                    m.d.sync += self.length.eq(0)
            with m.Elif(is_soh):
                m.d.sync += [self.announced.eq(0), *new_tag]
            with m.Elif(is_digit & (self.tag_digits < TAG_DIGITS)):
                m.d.sync += [self.tag.eq(Cat(code, self.tag)), self.tag_digits.eq(self.tag_digits + 1)]
            with m.Else():
                m.d.sync += self.tag_digits.eq(TAG_DIGITS + 1)
