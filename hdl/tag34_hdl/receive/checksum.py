"""CheckSum (10): a sum modulo 256, and its three decimal digits."""

from amaranth import Module, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import to_bcd

#: Sum of the bytes of ``8=FIX``, with which every message begins.
START_SUM = sum(b"8=FIX") % 256

Digits = data.ArrayLayout(unsigned(4), 3)
#: A sum under way.
SumState = data.StructLayout({"total": 8, "digits": Digits})


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
