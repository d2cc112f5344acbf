"""Packer: the bytes of chunks, in full words."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest

from tag34_hdl.send.packer import Packer
from tests.hdl.bench import Simulation

WIDTHS = (1, 2, 4, 8)
Chunk = tuple[bytes, bool, bool]


@cache
def simulation(width: int) -> Simulation:
    return Simulation(Packer(width))


def pack(width: int, chunks: list[Chunk | None], rng: random.Random, stall: float) -> list[tuple[bytes, bool]]:
    """Give chunks (bytes, in the highest lanes, the last one), None: a cycle without; the words that come out."""
    dut = simulation(width).component
    words: list[tuple[bytes, bool]] = []

    async def testbench(ctx: Any) -> None:
        late = 0
        for chunk in [*chunks, None, None, None, None]:
            piece, right, last = chunk or (b"", False, False)
            ctx.set(dut.valid, chunk is not None)
            ctx.set(dut.count, len(piece))
            ctx.set(dut.right, right)
            ctx.set(dut.last, last)
            ctx.set(dut.data, late)
            while True:
                go = rng.random() >= stall
                ctx.set(dut.go, go)
                sampled = await ctx.tick().sample(dut.word_valid, dut.word, dut.word_count, dut.word_last)
                if go:
                    break
            _, _, valid, word, count, end = sampled
            if valid:
                words.append((word.to_bytes(width, "little")[:count], bool(end)))
            rest = rng.randbytes(width - len(piece))
            late = int.from_bytes(rest + piece if right else piece + rest, "little")

    simulation(width).run(testbench)
    return words


@pytest.mark.rule("S1")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_words_are_full_and_have_all_bytes(width: int, stall: float, rng: random.Random) -> None:
    chunks: list[Chunk | None] = []
    wanted = []
    for _ in range(60):
        text = b""
        count = rng.randint(1, 8)
        for place in range(count):
            last = place == count - 1
            piece = rng.randbytes(rng.randint(1 if width == 1 or last else 0, width))
            rest = last and len(text) % width + len(piece) > width
            text += piece
            chunks.append((piece, width > 1 and rng.random() < 0.4, last))
            if rest or rng.random() < 0.3:
                chunks.append(None)
        words = [text[place : place + width] for place in range(0, len(text), width)]
        wanted += [(word, place == len(words) - 1) for place, word in enumerate(words)]
    assert pack(width, chunks, rng, stall) == wanted


@pytest.mark.parametrize("width", WIDTHS)
def test_clear_forgets_what_was_under_way(width: int, rng: random.Random) -> None:
    dut = simulation(width).component

    async def testbench(ctx: Any) -> None:
        for clear_at in range(1, 5):
            ctx.set(dut.go, 1)
            ctx.set(dut.count, width)
            ctx.set(dut.valid, 1)
            await ctx.tick().repeat(clear_at)
            ctx.set(dut.valid, 0)
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            for _ in range(4):
                _, _, valid = await ctx.tick().sample(dut.word_valid)
                assert not valid
        ctx.set(dut.valid, 1)
        ctx.set(dut.count, 1)
        ctx.set(dut.last, 1)
        await ctx.tick()
        ctx.set(dut.valid, 0)
        ctx.set(dut.data, 0x41)
        words = []
        for _ in range(4):
            _, _, valid, word, count = await ctx.tick().sample(dut.word_valid, dut.word, dut.word_count)
            if valid:
                words.append((word & 0xFF, count))
        assert words == [(0x41, 1)]

    simulation(width).run(testbench)
