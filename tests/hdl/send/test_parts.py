"""The smaller parts of the composer: idents, the sum of a word, what is offered."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.lib import data

from tag34_hdl.layouts import IDENT_BITS, Shape
from tag34_hdl.receive.fields import BEGIN_STRING, OURS, THEIRS
from tag34_hdl.send.byte_sum import ByteSum
from tag34_hdl.send.idents import Idents
from tag34_hdl.send.offer import Offer
from tests.hdl.bench import Simulation, Sink, simulate

WIDTHS = (1, 2, 4, 8)
REGIONS = (BEGIN_STRING, OURS, THEIRS)


@pytest.mark.rule("S1", "R17")
@pytest.mark.parametrize("width", WIDTHS)
def test_idents_are_read_as_words_with_8_in_front(width: int, rng: random.Random) -> None:
    """Idents of all sessions and of the longest size; the fourth region, which there is not, does no harm."""
    sessions = 3
    dut = Idents(Shape(width=width, sessions=sessions, window=2, max_message=64))
    texts = {(session, region): rng.randbytes(64) for session in range(sessions) for region in REGIONS}

    async def testbench(ctx: Any) -> None:
        writes = [
            (session << IDENT_BITS + 2 | region << IDENT_BITS | index, byte)
            for (session, region), text in texts.items()
            for index, byte in enumerate(text)
        ]
        rng.shuffle(writes)
        for address, byte in [*writes, *((3 << IDENT_BITS | index, 0xFF) for index in range(64))]:
            ctx.set(dut.write, 1)
            ctx.set(dut.address, address)
            ctx.set(dut.data, byte)
            await ctx.tick()
        ctx.set(dut.write, 0)
        await ctx.tick()
        ctx.set(dut.enable, 1)
        for (session, region), text in texts.items():
            shown = b"8=" + text if region == BEGIN_STRING else text
            for word in range(len(shown) // width):
                ctx.set(dut.session, session)
                ctx.set(dut.region, region)
                ctx.set(dut.word, word)
                await ctx.tick()
                assert ctx.get(dut.read).to_bytes(width, "little") == shown[word * width :][:width]

    simulate(dut, testbench)


@pytest.mark.rule("S1")
@pytest.mark.parametrize("width", WIDTHS[1:])
def test_the_sum_of_a_word(width: int, rng: random.Random) -> None:
    dut = ByteSum(width)
    words = [(rng.random() < 0.7, rng.choice((rng.randbytes(width), b"\xff" * width))) for _ in range(60)]
    sums: list[tuple[int, int]] = []

    async def testbench(ctx: Any) -> None:
        for valid, word in [*words, *[(False, bytes(width))] * ByteSum.latency(width)]:
            ctx.set(dut.valid, valid)
            ctx.set(dut.data, int.from_bytes(word, "little"))
            _, _, sum_valid, total = await ctx.tick().sample(dut.sum_valid, dut.sum)
            sums.append((sum_valid, total))

    simulate(dut, testbench)
    assert sums[ByteSum.latency(width) :] == [(valid, sum(word) % 256) for valid, word in words]


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_what_is_offered_is_complete_and_stays(stall: float, rng: random.Random) -> None:
    dut = Offer(data.StructLayout({"number": 16}))
    sink = Sink(dut.stream, rng, stall)
    given: list[int] = []

    async def testbench(ctx: Any) -> None:
        # While it is closed what comes replaces what is there.
        for number in range(5):
            ctx.set(dut.word.number, number)
            ctx.set(dut.valid, 1)
            assert ctx.get(dut.go)
            await ctx.tick()
        given.append(4)
        ctx.set(dut.valid, 0)
        ctx.set(dut.open, 1)
        for number in range(100, 400):
            ctx.set(dut.word.number, number)
            ctx.set(dut.valid, rng.random() < 0.8)
            _, _, valid, go = await ctx.tick().sample(dut.valid, dut.go)
            if valid and go:
                given.append(number)
        ctx.set(dut.valid, 0)
        await ctx.tick().repeat(20)

    Simulation(dut).run(testbench, background=[sink.run])
    assert [payload.number for payload in sink.payloads] == given
