"""Window: entries by number modulo a power of two."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34_hdl.layouts import EntryState, Shape
from tag34_hdl.session.window import Window
from tests.hdl.bench import plain, simulate

EMPTY = 0  # as a number


def random_entry(shape: Shape, rng: random.Random) -> dict[str, Any]:
    layout = shape.window_entry
    entry: dict[str, Any] = {name: rng.getrandbits(field.width) for name, field in layout if name != "state"}
    entry["state"] = rng.choice((EntryState.MESSAGE, EntryState.GAP_FILL, EntryState.CONSUMED))
    return entry


@pytest.mark.parametrize("size", [2, 3, 8, 64])
def test_entries_stay_until_they_are_emptied(size: int, rng: random.Random) -> None:
    shape = Shape(window=size)
    dut = Window(shape)
    places = 1 << shape.window_bits
    model: dict[int, dict[str, int]] = {}

    async def testbench(ctx: Any) -> None:
        for _ in range(1500):
            place = rng.randrange(places)
            put = rng.random() < 0.6
            ctx.set(dut.put, put)
            ctx.set(dut.put_place, place)
            if put:
                fill = place not in model
                entry = random_entry(shape, rng) if fill else {"state": EntryState.EMPTY}
                ctx.set(dut.put_entry, entry)
            # What is read in the cycle of a put is another place's entry, as the sequencer does it.
            other = rng.choice([p for p in range(places) if p != place])
            ctx.set(dut.place, other)
            await ctx.tick()
            if put and fill:
                model[place] = {name: getattr(value, "value", value) for name, value in entry.items()}
            elif put:
                del model[place]
            shown = plain(ctx.get(dut.entry))
            if other in model:
                assert shown == model[other]
            else:
                assert shown["state"] == EMPTY
            assert ctx.get(dut.count) == len(model)

    simulate(dut, testbench)


def test_a_put_is_seen_by_a_read_in_the_next_cycle(rng: random.Random) -> None:
    shape = Shape(window=8)
    dut = Window(shape)

    async def testbench(ctx: Any) -> None:
        for place in range(8):
            entry = random_entry(shape, rng)
            ctx.set(dut.put, 1)
            ctx.set(dut.put_place, place)
            ctx.set(dut.put_entry, entry)
            await ctx.tick()
            ctx.set(dut.put, 0)
            ctx.set(dut.place, place)
            await ctx.tick()
            assert plain(ctx.get(dut.entry))["new_seq"] == entry["new_seq"]
        assert ctx.get(dut.count) == 8

    simulate(dut, testbench)
