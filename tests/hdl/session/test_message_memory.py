"""The message memory: bytes come back from where they were written, however many banks it has."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34_hdl.session.message_memory import BANK_WORDS, MORE_BLOCKS, MessageMemory, bank_words, banks
from tests.hdl.bench import simulate


@pytest.mark.parametrize(
    ("words", "uneven"),
    [(100, False), (3 * BANK_WORDS - 5, False), (19 * BANK_WORDS, False), (68 * BANK_WORDS - 1, False), (17536, True)],
)
def test_bytes_come_back_from_their_places(words: int, uneven: bool, rng: random.Random) -> None:
    size = banks(words, uneven=uneven)[0]
    edges = {place for bank in range(0, words, size) for place in (bank, bank + size - 1) if place < words}
    places = sorted({*edges, 0, words - 1, *(rng.randrange(words) for _ in range(50))})
    dut = MessageMemory(words, uneven=uneven)

    async def testbench(ctx: Any) -> None:
        kept = {place: rng.getrandbits(8) for place in places}
        ctx.set(dut.write, 1)
        for place in rng.sample(places, len(places)):
            ctx.set(dut.write_address, place)
            ctx.set(dut.write_data, kept[place])
            await ctx.tick()
        ctx.set(dut.write, 0)
        for place in rng.sample(places, len(places)):
            ctx.set(dut.read, 1)
            ctx.set(dut.read_address, place)
            await ctx.tick()
            ctx.set(dut.read, 0)
            ctx.set(dut.latch, 1)
            await ctx.tick()
            ctx.set(dut.latch, 0)
            # What is latched stays, whatever is asked for.
            ctx.set(dut.read_address, rng.randrange(words))
            await ctx.tick()
            assert ctx.get(dut.read_data) == kept[place], place

    simulate(dut, testbench)


def test_banks_are_few_and_waste_little() -> None:
    for words in (1, BANK_WORDS, BANK_WORDS + 1, 19 * BANK_WORDS, 1 << 20):
        size = bank_words(words)
        assert size & (size - 1) == 0
        assert -(-words // size) <= 32
        blocks = -(-words // BANK_WORDS)
        assert -(-words // size) * size <= MORE_BLOCKS * blocks * BANK_WORDS
    assert bank_words(19 * BANK_WORDS) == 4 * BANK_WORDS, "five banks, not nineteen"


def test_the_last_bank_of_an_uneven_memory_has_the_rest() -> None:
    for words in (1, BANK_WORDS, 16384, 17536, 35072, 140288, 1 << 20):
        uneven, even = banks(words, uneven=True), banks(words, uneven=False)
        assert sum(uneven) >= words
        assert len(uneven) <= len(even)
    assert banks(17536, uneven=True) == [16384, 1152], "two banks, not nine"
    assert len(banks(17536, uneven=False)) == 9
