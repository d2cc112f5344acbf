"""Block memory: words and parts of them, and what a collision shows."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import Fragment

from tag34_hdl.block_memory import BlockMemory, UndefinedCollisions
from tests.hdl.bench import simulate


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
