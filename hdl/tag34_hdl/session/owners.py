"""Who owns a slot: the list of the free ones, and the current one of the session at hand."""

from __future__ import annotations

from typing import Any

from amaranth import Module, Signal, Value

from ..layouts import Shape
from ..queue import queue


def current_slot(
    m: Module, shape: Shape, *, take: Value, free: Any, switch: Value, late: bool = False
) -> tuple[Signal, Signal, Value]:
    """Add to ``m`` the list of free slots and the registers that say which slot is current, and if there is one.

    Parameters:
        take: the current slot is owned from now on; the next free one becomes current.
        free: stream of slots that are no longer owned. Ready once the list is filled.
        switch: the registers are loaded by the caller in this cycle.
        late: ``take`` is known late in its cycle. So the next free one is in a register, and taken from the list a
            cycle behind; between two takes are two cycles at least.

    Returns: ``current``, ``has_current``, and whether there is a next free one.
    """
    m.submodules.list = listed = queue(shape.slot_bits, shape.slots)
    # After reset every slot that is not a session's current one is put on the list.
    # Whether there are any left is a register, as it decides whether a slot can be given back.
    fresh = Signal(range(shape.slots + 1), init=shape.sessions)
    filling = Signal(init=shape.slots != shape.sessions)
    with m.If(filling):
        m.d.comb += [listed.w_data.eq(fresh), listed.w_en.eq(1)]
        m.d.sync += [fresh.eq(fresh + 1), filling.eq(fresh != shape.slots - 1)]
    with m.Else():
        m.d.comb += [listed.w_data.eq(free.payload), listed.w_en.eq(free.valid), free.ready.eq(1)]

    current = Signal(shape.slot_bits)
    has_current = Signal(init=1)
    wanted = take | (~has_current & ~switch)
    following, has_following = listed.r_data, listed.r_rdy
    if late:
        following, has_following = Signal(shape.slot_bits, name="following"), Signal(name="has_following")
        m.d.comb += listed.r_en.eq(~has_following)
        with m.If(~has_following):
            m.d.sync += [following.eq(listed.r_data), has_following.eq(listed.r_rdy)]
        with m.Elif(wanted):
            m.d.sync += has_following.eq(0)
    else:
        m.d.comb += listed.r_en.eq(wanted)
    with m.If(wanted):
        m.d.sync += [current.eq(following), has_current.eq(has_following)]
    return current, has_current, has_following
