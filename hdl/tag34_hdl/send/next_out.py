"""The one numbering authority: next_out of each session (S2)."""

from amaranth import Elaboratable, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .. import bcd
from ..layouts import MAX_SEQ_BCD, NUMBER, Shape
from ..session.table import Sweep, Table

#: The next number of a session; ``left``: it is a legal one.
Entry = data.StructLayout({"value": NUMBER, "left": 1})
FIRST = {"value": 1, "left": 1}


class NextOut(wiring.Component):
    """Keeps the next outbound number of each session.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        session, entry: the number of a session, two cycles later; what was put is in it three cycles later.
        used: the number in ``entry`` is used up, the one behind it is the next of ``session``. Both have been the same
            for some cycles.
        set_next_out, set_session, new_next_out: the next one is this. It waits if one is used up in that cycle.
        changes: an entry may change: what is read now may be stale.
        waits: what was set is not yet put.
        host_session, host_number: the number of a session for the host, two cycles later.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        super().__init__(
            {
                "session": In(shape.session_bits),
                "entry": Out(Entry),
                "used": In(1),
                "set_next_out": In(1),
                "set_session": In(shape.session_bits),
                "new_next_out": In(NUMBER),
                "changes": Out(1),
                "waits": Out(1),
                "host_session": In(shape.session_bits),
                "host_number": Out(NUMBER),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        put = Signal()
        put_session = Signal(shape.session_bits)
        put_entry = Signal(Entry)
        set_session = Signal(shape.session_bits)
        set_number = Signal(NUMBER)
        with m.If(self.set_next_out):
            m.d.sync += [self.waits.eq(1), set_session.eq(self.set_session), set_number.eq(self.new_next_out)]
        with m.Elif(~self.used):
            m.d.sync += self.waits.eq(0)
        # The number behind is made ahead: counting up ten digits is a long path.
        behind = Signal(Entry)
        m.d.sync += [
            behind.value.eq(bcd.increment(self.entry.value)),
            behind.left.eq(self.entry.value != MAX_SEQ_BCD),
        ]
        m.d.comb += [
            put.eq(self.used | self.waits),
            put_session.eq(Mux(self.used, self.session, set_session)),
            put_entry.value.eq(Mux(self.used, behind.value, set_number)),
            put_entry.left.eq(Mux(self.used, behind.left, set_number <= MAX_SEQ_BCD)),
        ]
        if shape.sessions == 1:
            next_out = Signal(Entry, init=FIRST)
            with m.If(put):
                m.d.sync += next_out.eq(put_entry)
            m.d.comb += [self.entry.eq(next_out), self.host_number.eq(next_out.value), self.changes.eq(put)]
            return m
        first = Entry.const(FIRST)
        m.submodules.entries = entries = Table(Entry, shape.sessions, ports=2, host=True, sweep=self._sweep)
        m.d.comb += [
            entries.put.eq(put),
            entries.put_address.eq(put_session),
            entries.put_entry.eq(put_entry),
            entries.address.eq(self.session),
            entries.address_1.eq(self.host_session),
            self.changes.eq(put | entries.busy),
        ]
        m.d.sync += [self.entry.eq(entries.entry), self.host_number.eq(entries.entry_1.value)]
        with m.If(~entries.known_1):
            m.d.sync += self.host_number.eq(first.value)
        with m.If(~entries.known):
            m.d.sync += self.entry.eq(first)
        return m
