"""A sequence number in the wide scanner: digits at any lanes, across pieces and words."""

from __future__ import annotations

from functools import reduce

from amaranth import Cat, Module, Mux, Signal, Value

from tag34.contract import SEQ_DIGITS

from ..layouts import MAX_SEQ_BCD, NUMBER, Shape
from ..vectors import spread, wire
from .digits import times
from .lanes import behind, first_of

#: Two fields with the same two digits: ``34=|34=``.
APART = 4


def low_bits(number: Value, bits: int) -> Value:
    """A BCD number modulo 2 ** ``bits``."""

    digits = [number.word_select(place, 4) for place in range(min(bits, SEQ_DIGITS))]
    parts = [times(digit, 10**place, bits) for place, digit in enumerate(digits)]
    return reduce(lambda total, more: (total + more)[:bits], parts)


class WideNumber:
    """The value of one tag, 34 or 36, wherever it stands; whether it counts is decided by others (``take``).

    Digits that are not the value's are zero here, so the number that a SOH in some lane closes is what the ten lanes
    before it hold. In lane 0 these are the words before: that number, its low bits and its comparison are there
    beforehand. In other lanes the number is selected first and looked at in the next cycle.

    Members: ``value``, ``low``, ``legal`` (not above MAX_SEQ; ``zero_ok``: or zero), the last number taken: a cycle
    after ``take`` if it was closed in lane 0, else two. ``lands``: they are new as of the next cycle.
    ``begins``, ``ends``: the piece at stage 3 has the ``=`` (in which lanes), the byte behind the value or behind its
    digits. ``late``: it is not in lane 0.
    """

    def __init__(self, shape: Shape, name: str, *, zero_ok: bool):
        self.width = width = shape.width
        self.name = name
        self.zero_ok = zero_ok
        bits = shape.window_bits
        self.value = Signal(NUMBER, name=f"{name}_value")
        self.low = Signal(bits, name=f"{name}_low")
        self.legal = Signal(name=f"{name}_legal")
        self.lands = Signal(name=f"{name}_lands")
        # Stage 2
        self.run = Signal(2, name=f"{name}_run")  # goes on from the word before: behind `=`, behind a digit
        # Stage 3
        self.begins = Signal(width, name=f"{name}_begins")
        self.stops = Signal(width, name=f"{name}_stops")
        self.closed = Signal(width, name=f"{name}_closed")
        self.digits = Signal(4 * width, name=f"{name}_digits")  # the last lane lowest
        self.all_digits = Signal(name=f"{name}_all_digits")
        self.ends = Signal(name=f"{name}_ends")
        self.late = Signal(name=f"{name}_late")
        self.past = Signal(NUMBER, name=f"{name}_past")  # digits of the words before, the last one lowest
        self.past_low = Signal(bits, name=f"{name}_past_low")
        self.past_fits = Signal(name=f"{name}_past_fits", init=1)
        self.past_zero = Signal(name=f"{name}_past_zero", init=1)
        self.past_over = Signal(name=f"{name}_past_over")  # significant digits before these
        # Stage 4
        self.number = Signal(NUMBER, name=f"{name}_number")
        self.number_valid = Signal(name=f"{name}_number_valid")
        self.number_good = Signal(name=f"{name}_number_good")

    @property
    def early_state(self) -> list[Signal]:
        """What stage 2 knows of a session."""
        return [self.run]

    @property
    def state(self) -> list[Signal]:
        """What the later stages know of a session."""
        return [
            *(self.past, self.past_low, self.past_fits, self.past_zero, self.past_over),
            *(self.value, self.low, self.legal),
        ]

    def decode(
        self,
        m: Module,
        go: Value,
        equals: Value,
        nibbles: Value,
        is_digit: Value,
        is_soh: Value,
        mask: Value,
        full: Value,
    ) -> None:
        """Stage 2 to 3. ``equals``: the lanes with the ``=`` of the tag; ``nibbles``: the digits, where ``is_digit``;
        ``is_soh``."""
        width = self.width
        logic = m.submodules[f"{self.name}_decode"] = Module()
        goes_on = Signal(width + 1, name=f"{self.name}_goes_on")
        m.d.comb += goes_on.eq(behind(logic, equals, ~is_digit, self.run.any()))
        is_value = Signal(width, name=f"{self.name}_is_value")
        m.d.comb += is_value.eq(goes_on & is_digit)
        digits = wire(logic, nibbles & spread(logic, is_value, 4))
        with m.If(go):
            m.d.sync += [
                self.begins.eq(equals & mask),
                self.stops.eq(goes_on & ~is_digit & mask),
                self.closed.eq(Cat(self.run[1], is_value) & is_soh & mask),
                self.digits.eq(Cat(digits.word_select(lane, 4) for lane in reversed(range(width)))),
                self.all_digits.eq(self.run.any() & is_digit.all()),
            ]
            with m.If(full):
                m.d.sync += self.run.eq(Cat(equals[width - 1], is_value[width - 1]))

    def collect(self, m: Module, go: Value, full: Value, take: Value, *, goes_on: Value) -> None:
        """Stage 3 to 4, and from 4 on. ``take``: the number that ends in the piece at stage 3 is wanted; ``goes_on``:
        and it began in an earlier one, as it must if it ends in lane 0."""
        width = self.width
        m.d.comb += [self.ends.eq(self.stops.any()), self.late.eq(self.stops.any() & ~self.stops[0])]

        def before(lane: int) -> Value:
            """The ten digits before a lane, the last one lowest."""
            return Cat(self.digits[4 * (width - lane) :], self.past)[: len(self.past)]

        def past_over(lane: int) -> Value:
            """Of the words before something stands before the ten digits before a lane."""
            return self.past[4 * (SEQ_DIGITS - lane) :].any()

        # The words before.
        following = Signal(NUMBER, name=f"{self.name}_following")
        m.d.comb += following.eq(before(width))
        with m.If(go & full):
            m.d.sync += [
                self.past.eq(following),
                self.past_low.eq(low_bits(following, len(self.low))),
                self.past_fits.eq(following <= MAX_SEQ_BCD),
                self.past_zero.eq(following == 0),
                self.past_over.eq(self.all_digits & (self.past_over | past_over(width))),
            ]

        # Lanes but the first: selected now, looked at in the next cycle.
        chosen = Signal(width, name=f"{self.name}_chosen")
        m.d.comb += chosen.eq(first_of(m, self.stops, APART))
        number: Value = 0
        over = self.past_over
        for lane in range(1, width):
            number = number | Mux(chosen[lane], before(lane), 0)
            over = over | (chosen[lane] & past_over(lane))
        m.d.sync += self.number_valid.eq(0)
        # Which of the two it would be is known before it is taken; they do not come in one cycle.
        fits = self.number_good & (self.number <= MAX_SEQ_BCD)
        past_fits = self.closed[0] & self.past_fits & ~self.past_over
        if not self.zero_ok:
            fits &= self.number != 0
            past_fits &= ~self.past_zero
        with m.If(self.lands):
            m.d.sync += [
                self.value.eq(Mux(self.number_valid, self.number, self.past)),
                self.low.eq(Mux(self.number_valid, low_bits(self.number, len(self.low)), self.past_low)),
                self.legal.eq(Mux(self.number_valid, fits, past_fits)),
            ]
        with m.If(take & ~self.stops[0]):
            m.d.sync += self.number_valid.eq(1)
        m.d.sync += [
            self.number.eq(number),
            self.number_good.eq((chosen & self.closed).any() & ~over),
        ]
        m.d.comb += self.lands.eq((goes_on & self.stops[0]) | self.number_valid)
