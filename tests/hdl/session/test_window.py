"""Window: entries by number modulo a power of two."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import ClockDomain, Module

from tag34_hdl.layouts import EntryState, Shape
from tag34_hdl.session.window import Window
from tests.hdl.bench import plain, simulate

EMPTY = 0  # as a number
#: Cycles from a put until it can be read.
READABLE = 2


async def swept(ctx: Any, dut: Window) -> None:
    """Until the memory is empty: there is one entry per cycle to be swept out."""
    for _ in range(1 << dut.shape.window_bits):
        assert ctx.get(dut.busy)
        await ctx.tick()
    assert not ctx.get(dut.busy)


def random_entry(shape: Shape, rng: random.Random) -> dict[str, Any]:
    layout = shape.window_entry
    entry: dict[str, Any] = {name: rng.getrandbits(field.width) for name, field in layout if name != "state"}
    entry["state"] = rng.choice((EntryState.MESSAGE, EntryState.GAP_FILL, EntryState.CONSUMED))
    return entry


@pytest.mark.rule("R10")
@pytest.mark.parametrize("size", [2, 3, 8, 64])
def test_entries_stay_until_they_are_emptied(size: int, rng: random.Random) -> None:
    shape = Shape(window=size)
    dut = Window(shape)
    places = 1 << shape.window_bits
    model: dict[int, dict[str, int]] = {}  # all puts
    recent = [0]  # places of the last puts

    async def testbench(ctx: Any) -> None:
        await swept(ctx, dut)
        for _ in range(1500):
            place = rng.randrange(places)
            put = rng.random() < 0.6
            ctx.set(dut.put, put)
            ctx.set(dut.put_place, place)
            if put:
                fill = place not in model
                entry = random_entry(shape, rng) if fill else {"state": EntryState.EMPTY}
                ctx.set(dut.put_entry, entry)
                if fill:
                    model[place] = {name: getattr(value, "value", value) for name, value in entry.items()}
                else:
                    del model[place]
            # What was put in this cycle or in the one before cannot be read yet.
            recent.append(place if put else -1)
            others = [other for other in range(places) if other not in recent[-READABLE:]]
            reads = bool(others)
            other = rng.choice(others) if reads else 0
            ctx.set(dut.place, other)
            await ctx.tick()
            shown = plain(ctx.get(dut.entry))
            if reads and other in model:
                assert shown == model[other]
            elif reads:
                assert shown["state"] == EMPTY

    simulate(dut, testbench)


def test_a_put_is_seen_by_a_read_soon_after(rng: random.Random) -> None:
    shape = Shape(window=8)
    dut = Window(shape)

    async def testbench(ctx: Any) -> None:
        await swept(ctx, dut)
        for place in range(8):
            entry = random_entry(shape, rng)
            ctx.set(dut.put, 1)
            ctx.set(dut.put_place, place)
            ctx.set(dut.put_entry, entry)
            await ctx.tick()
            ctx.set(dut.put, 0)
            await ctx.tick().repeat(READABLE - 1)
            ctx.set(dut.place, place)
            await ctx.tick()
            assert plain(ctx.get(dut.entry))["new_seq"] == entry["new_seq"]

    simulate(dut, testbench)


def test_a_reset_leaves_nothing_behind(rng: random.Random) -> None:
    """A memory keeps its contents over a reset; the entries of the time before are swept out."""
    shape = Shape(window=8)
    dut = Window(shape)
    m = Module()
    m.domains.sync = sync = ClockDomain()
    m.submodules.dut = dut

    async def testbench(ctx: Any) -> None:
        await swept(ctx, dut)
        ctx.set(dut.put, 1)
        for place in range(8):
            ctx.set(dut.put_place, place)
            ctx.set(dut.put_entry, random_entry(shape, rng))
            await ctx.tick()
        ctx.set(dut.put, 0)
        await ctx.tick().repeat(READABLE - 1)
        ctx.set(sync.rst, 1)
        await ctx.tick()
        ctx.set(sync.rst, 0)
        await swept(ctx, dut)
        for place in range(8):
            ctx.set(dut.place, place)
            await ctx.tick()
            assert plain(ctx.get(dut.entry))["state"] == EMPTY

    simulate(m, testbench)
