"""Who owns a slot: the list of the free ones, and the current one of the session at hand."""

from __future__ import annotations

from typing import Any

from amaranth import Module, Mux, Signal, Value

from ..layouts import Shape
from ..queue import queue


def current_slot(m: Module, shape: Shape, *, take: Value, free: Any, switch: Value) -> tuple[Signal, Signal, Value]:
    """Add to ``m`` the list of free slots and the registers that say which slot is current, and if there is one.

    Parameters:
        take: the current slot is owned from now on; the next free one becomes current.
        free: stream of slots that are no longer owned. Ready once the list is filled.
        switch: the registers are loaded by the caller in this cycle.

    Returns: ``current``, ``has_current``, and whether there is a current one in the next cycle, if that is not up to
    the caller; after reset the first slot is current.
    """
    m.submodules.list = listed = queue(shape.slot_bits, shape.slots)
    # After reset every slot that is not a session's current one is put on the list.
    fresh = Signal(range(shape.slots + 1), init=shape.sessions)
    filling = Signal()
    m.d.comb += filling.eq(fresh != shape.slots)
    with m.If(filling):
        m.d.comb += [listed.w_data.eq(fresh), listed.w_en.eq(1)]
        m.d.sync += fresh.eq(fresh + 1)
    with m.Else():
        m.d.comb += [listed.w_data.eq(free.payload), listed.w_en.eq(free.valid), free.ready.eq(1)]

    current = Signal(shape.slot_bits)
    has_current = Signal(init=1)
    m.d.comb += listed.r_en.eq(take | (~has_current & ~switch))
    with m.If(listed.r_en):
        m.d.sync += [current.eq(listed.r_data), has_current.eq(listed.r_rdy)]
    return current, has_current, Mux(take | ~has_current, listed.r_rdy, 1)
