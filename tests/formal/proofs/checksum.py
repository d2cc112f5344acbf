"""CheckSum: the sum and its digits."""

from __future__ import annotations

from amaranth import Cat, Signal

from tag34_hdl.receive.checksum import Checksum

from ..harness import Proof, Property
from .numbers import PLACES


class ChecksumDigits(Proof):
    """Any bytes, any pauses, sums put away and taken up again."""

    component = "checksum"
    sample = True
    induction = 3
    reach = 8
    properties = (
        Property("checksum.sum", ("F3", "S1"), "the sum is that of the bytes since its start, modulo 256"),
        Property(
            "checksum.digits",
            ("F3", "S1"),
            "three cycles after the last byte, start or change of sum the digits are those of the sum",
        ),
    )

    def build(self) -> None:
        """Every input is free."""
        m = self.m
        dut = Checksum()
        m.submodules.dut = dut
        self.free(dut.restart, dut.first, dut.add, dut.byte, dut.load, dut.loaded)
        total = Signal(8)
        calm = Signal(range(4))
        with m.If(calm != 3):
            m.d.sync += calm.eq(calm + 1)
        with m.If(dut.load):
            m.d.sync += [total.eq(dut.loaded.total), calm.eq(0)]
        with m.Elif(dut.restart):
            m.d.sync += [total.eq(dut.first), calm.eq(0)]
        with m.Elif(dut.add):
            m.d.sync += [total.eq((total + dut.byte) % 256), calm.eq(0)]

        self.holds("checksum.sum", dut.state.total == total)
        self.cover("checksum.sum", self.past(dut.add) & (self.past(total) == 255) & (total == 1))
        decimal = Cat(dut.digits[place] <= 9 for place in range(3)).all()
        shown = sum(dut.digits[place] * PLACES[2 - place] for place in range(3))
        self.holds("checksum.digits", (calm < 2) | ((shown == total) & decimal))
        self.cover("checksum.digits", (calm == 2) & (total == 199))
