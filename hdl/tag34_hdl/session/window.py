"""The hold window: what is known of each number from ``expected`` on."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..layouts import EntryState, Shape
from .table import Sweep, Table


class Window(wiring.Component):
    """One entry per session and number, at number modulo the window's size (a power of two). Holding and releasing is
    index arithmetic.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        session: whose window is read and written.
        place, entry: read port; ``entry`` is what lies at ``place``, one cycle after it.
        put, put_place, put_entry: write an entry; it can be read from the second cycle after on.
        busy: after a reset, while the entries of the time before are being emptied; nothing may be put.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        super().__init__(
            {
                "session": In(shape.session_bits),
                "place": In(shape.window_bits),
                "entry": Out(shape.window_entry),
                "put": In(1),
                "put_place": In(shape.window_bits),
                "put_entry": In(shape.window_entry),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        m.submodules.entries = entries = Table(
            shape.window_entry, shape.sessions << shape.window_bits, sweep=self._sweep
        )
        read = Signal(shape.window_entry)
        # A register before the memory: who writes has a long way behind him.
        place = Cat(self.put_place, self.session)
        put_entry = Signal(shape.window_entry, reset_less=True, name="entry_to_put")
        m.d.sync += [entries.put.eq(self.put), entries.put_address.eq(place), put_entry.eq(self.put_entry)]
        m.d.comb += [
            entries.address.eq(Cat(self.place, self.session)),
            read.eq(entries.entry),
            self.entry.eq(read),
            self.entry.state.eq(Mux(entries.known, read.state, EntryState.EMPTY)),
            entries.put_entry.eq(put_entry),
            self.busy.eq(entries.busy),
        ]
        return m
