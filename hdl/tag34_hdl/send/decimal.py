"""Binary to decimal, for BodyLength: the only number that is not decimal to begin with."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..bcd import digits_of
from ..vectors import wire

BITS = 18
STEPS_PER_CYCLE = 3


class Decimal(wiring.Component):
    """Converts a binary number to packed BCD by doubling and adding three, three bits per cycle.

    Parameters: ``bits`` of the number.

    Members: ``start`` takes ``value``; ``busy`` from the next cycle on until ``digits`` is valid; ``digits`` stays
        until the next start.

    Latency: a cycle for three bits, and one more: seven for 18 bits.
    """

    def __init__(self, bits: int = BITS):
        self.bits = bits
        #: Digits of the largest number.
        self.places = len(str((1 << bits) - 1))
        super().__init__({"start": In(1), "value": In(bits), "busy": Out(1), "digits": Out(4 * self.places)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        cycles = -(-self.bits // STEPS_PER_CYCLE)
        left = Signal(range(cycles + 1))
        bits = Signal(cycles * STEPS_PER_CYCLE)

        def double(digits: Value, bit: Value) -> Value:
            adjusted = Cat(Mux(digit >= 5, digit + 3, digit)[:4] for digit in digits_of(digits))
            return Cat(bit, adjusted)[: 4 * self.places]

        digits: Value = self.digits
        for step in range(STEPS_PER_CYCLE):
            digits = wire(m, double(digits, bits[-1 - step]), "doubled")
        m.d.comb += self.busy.eq(left != 0)
        with m.If(self.start):
            m.d.sync += [left.eq(cycles), bits.eq(self.value), self.digits.eq(0)]
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), bits.eq(bits << STEPS_PER_CYCLE), self.digits.eq(digits)]
        return m
