"""Block memory: words and parts of them, and what a collision shows."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import Fragment, Shape

from tag34_hdl.block_memory import BlockMemory, UndefinedCollisions, slices
from tests.hdl.bench import simulate


@pytest.mark.parametrize(
    ("bits", "depth", "parts"),
    [
        (94, 2048, [94]),  # as wide as synthesis likes
        (94, 4096, [4] * 23 + [2]),
        (32, 8192, [2] * 16),
        (9, 16384, [1] * 9),
        (8, 4096, [8]),  # no ninth bit to be saved
        (94, 32768, [94]),  # more than a block for each bit
    ],
)
def test_deep_words_are_cut_for_blocks(bits: int, depth: int, parts: list[int]) -> None:
    assert slices(bits, depth) == parts

    def widths(**options: Any) -> list[int]:
        dut = BlockMemory(bits, depth, **options)
        Fragment.get(dut, None)
        return [Shape.cast(memory.shape).width for memory in dut.memories]

    assert widths() == parts
    # What is written in parts, or there at the beginning, stays whole.
    assert widths(granularity=1) == widths(init=[1]) == [bits]


@pytest.mark.parametrize("undefined", [False, True])
def test_words_that_are_cut_are_written_and_read(undefined: bool, rng: random.Random) -> None:
    bits, depth = 21, 4096
    dut = BlockMemory(bits, depth)
    inside = Fragment.get(dut, UndefinedCollisions()) if undefined else dut
    places = [rng.randrange(depth) for _ in range(20)]
    model = dict.fromkeys(places, 0)

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.enable, 1)
        for _ in range(300):
            place, where, word, write = *rng.choices(places, k=2), rng.getrandbits(bits), rng.getrandbits(1)
            for name, value in (("write_address", where), ("write_data", word), ("write", write), ("address", place)):
                ctx.set(getattr(dut, name), value)
            shown = model[place] ^ ((1 << bits) - 1 if undefined and write and place == where else 0)
            await ctx.tick()
            assert ctx.get(dut.data) == shown
            model[where] = word if write else model[where]

    simulate(inside, testbench)


@pytest.mark.parametrize("granularity", [None, 8])
@pytest.mark.parametrize("undefined", [False, True])
def test_words_are_written_and_read(granularity: int | None, undefined: bool, rng: random.Random) -> None:
    """A word that is read while it is written comes out as it was, or, where that is asked for, with all bits wrong."""
    depth, parts = 5, 16 // (granularity or 16)
    model = [rng.getrandbits(16) for _ in range(depth)]
    dut = BlockMemory(16, depth, ports=2, granularity=granularity, init=list(model))
    inside = Fragment.get(dut, UndefinedCollisions()) if undefined else dut
    shown = [0, 0]
    collisions = 0

    async def testbench(ctx: Any) -> None:
        nonlocal collisions
        ctx.set(dut.enable, 1)
        for _ in range(600):
            where, word, write = rng.randrange(depth), rng.getrandbits(16), rng.getrandbits(parts)
            enables = [1, rng.getrandbits(1)]
            ctx.set(dut.write, write)
            ctx.set(dut.write_address, where)
            ctx.set(dut.write_data, word)
            reads = [rng.randrange(depth) for _ in range(2)]
            for reader, address in zip(("", "_1"), reads, strict=True):
                ctx.set(getattr(dut, f"address{reader}"), address)
                ctx.set(getattr(dut, f"enable{reader}"), enables[reader == "_1"])
            for port, address in enumerate(reads):
                if enables[port]:
                    collides = bool(write) and address == where
                    collisions += collides
                    shown[port] = model[address] ^ (0xFFFF if collides and undefined else 0)
            await ctx.tick()
            assert [ctx.get(dut.data), ctx.get(dut.data_1)] == shown
            mask = sum((1 << 16 // parts) - 1 << 16 // parts * part for part in range(parts) if write >> part & 1)
            model[where] = model[where] & ~mask | word & mask
        assert collisions > 50

    simulate(inside, testbench)
