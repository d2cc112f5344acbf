"""CheckSum (10): a sum modulo 256, and its three decimal digits."""

from collections.abc import Sequence

from amaranth import C, Cat, Module, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import to_bcd

#: Sum of the bytes of ``8=FIX``, with which every message begins.
START_SUM = sum(b"8=FIX") % 256

Digits = data.ArrayLayout(unsigned(4), 3)
#: A sum under way.
SumState = data.StructLayout({"total": 8, "digits": Digits})


def reads_as(digits: Sequence[Value], totals: Sequence[Value]) -> Value:
    """Three decimal digits (BCD, most significant first) say what one or two sums of eight bits come to, modulo 256.

    Nothing is added up, as no carry need be waited for: if what is added to ``a`` and ``b`` and what should come out
    are given, each place tells whether it fits by what stands in it and in the place below.
    """
    hundreds, tens, ones = digits
    # All but the last digit: a table of six bits.
    upper = [
        Cat((hundreds[:2] == value // 10) & (tens == value % 10) for value in range(30) if value * 10 >> bit & 1).any()
        for bit in range(8)
    ]
    # total + other - ones is upper: that is total + other + ~ones + 1. Of three, two are made without a carry.
    total, other = [*totals, C(0, 8)][:2]
    less = ~Cat(ones, C(0, 4))
    a = total ^ other ^ less
    b = Cat(C(0, 1), ((total & other) | (total & less) | (other & less))[:7])
    fits = []
    for bit, wanted in enumerate(upper):
        if bit:
            carry = (a[bit - 1] & b[bit - 1]) | ((a[bit - 1] | b[bit - 1]) & ~upper[bit - 1])
        else:
            carry = C(1, 1)
        fits.append(a[bit] ^ b[bit] ^ wanted ^ ~carry)
    too_high = (hundreds > 2) | ((hundreds == 2) & ((tens > 5) | ((tens == 5) & (ones > 5))))
    return Cat(fits).all() & ~too_high


class Checksum(wiring.Component):
    """Adds up bytes and shows the sum as FIX writes it.

    Members: ``restart`` sets the sum to ``first`` (it wins over ``add``); ``add`` adds ``byte``. ``digits`` is the sum
        in decimal, most significant digit first, three cycles after the last ``add`` and stable from then on.
    ``state`` is all there is of a sum under way, ``load`` sets it to ``loaded``: another sum goes on where it was.

    Source: F3, S1.
    """

    restart: In(1)
    first: In(8)
    add: In(1)
    byte: In(8)
    digits: Out(Digits)
    state: Out(SumState)
    load: In(1)
    loaded: In(SumState)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = memory.Memory(
            shape=unsigned(12), depth=256, init=[to_bcd(n, 3) for n in range(256)]
        )
        port = table.read_port()
        total = Signal(8)
        with m.If(self.restart):
            m.d.sync += total.eq(self.first)
        with m.Elif(self.add):
            m.d.sync += total.eq(total + self.byte)
        m.d.comb += [port.addr.eq(total), self.state.total.eq(total), self.state.digits.eq(self.digits)]
        # The memory's own register is slow to leave; one more keeps it off the paths of those who look at the digits.
        stale = Signal()  # it still speaks of the sum before the one that was loaded
        m.d.sync += stale.eq(self.load)
        with m.If(~stale):
            for place in range(3):
                m.d.sync += self.digits[place].eq(port.data[8 - 4 * place : 12 - 4 * place])
        with m.If(self.load):
            m.d.sync += [total.eq(self.loaded.total), self.digits.eq(self.loaded.digits)]
        return m
