"""The sum of the bytes of a word."""

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2


class ByteSum(wiring.Component):
    """Adds up the bytes of a word modulo 256, in small steps.

    Parameters: ``width`` of the word.

    Members: ``valid``, ``data``; ``sum_valid``, ``sum``, ``latency(width)`` cycles later.
    """

    @staticmethod
    def latency(width: int) -> int:
        """Cycles from a word to its sum: two levels of sums in each, but that the first has the choice of the bytes."""
        return -(-exact_log2(width) // 2)

    def __init__(self, width: int):
        self.width = width
        super().__init__({"valid": In(1), "data": In(8 * width), "sum_valid": Out(1), "sum": Out(8)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        sums = [self.data[place : place + 8] for place in range(0, 8 * self.width, 8)]
        valid = self.valid
        levels = exact_log2(self.width)
        for level in range(levels):
            pairs = [(a + b)[:8] for a, b in zip(sums[::2], sums[1::2], strict=True)]
            if (levels - level) % 2 == 0:
                sums = pairs
                continue
            sums = [Signal(8, name=f"sum_{level}_{index}") for index in range(len(pairs))]
            later = Signal(name=f"valid_{level}")
            m.d.sync += [later.eq(valid), *(sum_.eq(pair) for sum_, pair in zip(sums, pairs, strict=True))]
            valid = later
        m.d.comb += [self.sum_valid.eq(valid), self.sum.eq(sums[0])]
        return m
