"""Queues: what goes in comes out in order, and in time."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from tag34_hdl.queue import SMALL, queue, quick_queue
from tests.hdl.bench import simulate


@pytest.mark.parametrize("depth", [3, SMALL, SMALL + 1, 200])
@pytest.mark.parametrize("made", [queue, quick_queue])
def test_words_come_out_in_order(made: Callable[[int, int], Any], depth: int, rng: random.Random) -> None:
    """Filled, emptied and both at once. A small queue shows a word in the cycle after it came; in a large one it may be
    late by two cycles, but not the first word of an empty one."""
    dut = made(12, depth)
    words: deque[tuple[int, int]] = deque()  # with the cycle from which each must be shown
    levels = set()

    async def testbench(ctx: Any) -> None:
        first_since = 0  # the cycle since when the first word is the first one
        for cycle in range(6000):
            fill = 0.9 if cycle // 500 % 2 else 0.1
            ready = ctx.get(dut.r_rdy)
            assert not ready or words
            if ready:
                assert ctx.get(dut.r_data) == words[0][0]
            elif words:
                late = 2 if depth > SMALL and first_since > words[0][1] else 0
                assert cycle <= max(first_since, words[0][1] + late), "late"
            takes = bool(ready) and rng.random() > fill
            puts = rng.random() < fill and len(words) < depth
            word = rng.getrandbits(12)
            ctx.set(dut.r_en, takes)
            ctx.set(dut.w_en, puts)
            ctx.set(dut.w_data, word)
            if takes:
                words.popleft()
                first_since = cycle + 1
            if puts:
                if not words:
                    first_since = cycle + 1
                words.append((word, cycle + 1))
            levels.add(len(words))
            await ctx.tick()
        assert {0, depth} <= levels

    simulate(dut, testbench)
