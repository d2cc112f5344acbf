"""What stays in block memory while it is a session's turn.

A value that is loaded at a turn costs a choice for each of its bits. So what is long and need not be there in the next
cycle is not loaded: it is written to the memory when it changes, and a register follows the memory, which chooses
nothing.
"""

from __future__ import annotations

from typing import Any

from amaranth import Elaboratable, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..block_memory import BlockMemory
from .table import Sweep, Table


class Kept(wiring.Component):
    """One value per session, that of one of them in a register.

    Parameters: ``shape``, of a value; ``sessions``; ``begins``: it is 0 until it is written first, else undefined;
    ``sweep``: see :class:`~tag34_hdl.session.table.Table`; of use with ``begins`` only.

    Members:
        next_session: whose value is looked at.
        write, session, new: that session's becomes ``new``.
        soon: the value, from the second cycle after ``next_session`` or ``write`` on; it comes late in its cycle.
        value: the same, from the third cycle after on.
    """

    def __init__(self, shape: Any, sessions: int, *, begins: bool = False, sweep: Sweep | None = None):
        self._sessions, self._begins, self._sweep = sessions, begins, sweep
        self._shape = shape
        session = max(1, ceil_log2(sessions))
        super().__init__(
            {
                "next_session": In(session),
                "write": In(1),
                "session": In(session),
                "new": In(shape),
                "soon": Out(shape),
                "value": Out(shape),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        value, soon, new = Value.cast(self.value), Value.cast(self.soon), Value.cast(self.new)
        m.d.sync += value.eq(soon)
        if self._begins:
            m.submodules.words = table = Table(self._shape, self._sessions, host=True, sweep=self._sweep)
            m.d.comb += [
                table.address.eq(self.next_session),
                table.put.eq(self.write),
                table.put_address.eq(self.session),
                Value.cast(table.put_entry).eq(new),
                soon.eq(table.entry),
            ]
            # To synthesis it is a reset.
            with m.If(~table.known):
                m.d.sync += value.eq(0)
        else:
            m.submodules.words = words = BlockMemory(self._shape, self._sessions)
            m.d.comb += [
                words.address.eq(self.next_session),
                words.enable.eq(~words.collides),
                words.write.eq(self.write),
                words.write_address.eq(self.session),
                Value.cast(words.write_data).eq(new),
                soon.eq(words.data),
            ]
        return m
