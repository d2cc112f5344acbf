"""The hold window: what is known of each number from ``expected`` on."""

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..layouts import EntryState, Shape


class Window(wiring.Component):
    """One entry per number, at number modulo the window's size (a power of two). Holding and releasing is index
    arithmetic.

    Parameters: ``shape``.

    Members:
        place, entry: read port; ``entry`` is what lies at ``place``, one cycle after it.
        put, put_place, put_entry: write an entry; it can be read, and counts, from the second cycle after on. An entry
            that is not EMPTY goes to an EMPTY place only, EMPTY to any other only: so the count is right.
        count: entries that are not EMPTY.
        busy: after a reset, while the entries of the time before are being emptied; nothing may be put.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "place": In(shape.window_bits),
                "entry": Out(shape.window_entry),
                "put": In(1),
                "put_place": In(shape.window_bits),
                "put_entry": In(shape.window_entry),
                "busy": Out(1),
                "count": Out(ceil_log2((1 << shape.window_bits) + 1)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.entries = entries = memory.Memory(
            shape=self.shape.window_entry, depth=1 << self.shape.window_bits, init=[]
        )
        read = entries.read_port()
        write = entries.write_port()
        # A register before the memory: who writes has a long way behind him.
        put = Signal()
        put_place = Signal(self.shape.window_bits, reset_less=True)
        put_entry = Signal(self.shape.window_entry, reset_less=True)
        m.d.sync += [put.eq(self.put), put_place.eq(self.put_place), put_entry.eq(self.put_entry)]
        m.d.comb += [
            read.addr.eq(self.place),
            self.entry.eq(read.data),
            write.addr.eq(put_place),
            write.data.eq(put_entry),
            write.en.eq(put),
        ]
        # A reset does not reach into a memory.
        sweep = Signal(self.shape.window_bits + 1)
        m.d.comb += self.busy.eq(~sweep[-1])
        with m.If(self.busy):
            m.d.sync += sweep.eq(sweep + 1)
            m.d.comb += [write.addr.eq(sweep), write.data.eq(0), write.en.eq(1)]
        with m.If(put):
            with m.If(put_entry.state == EntryState.EMPTY):
                m.d.sync += self.count.eq(self.count - 1)
            with m.Else():
                m.d.sync += self.count.eq(self.count + 1)
        return m
