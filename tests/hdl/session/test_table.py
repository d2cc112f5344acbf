"""Table: one word per session, and all of them anew after a reset."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import C, Cat, ClockDomain, Module, Signal, unsigned
from amaranth.lib import data

from tag34_hdl.session.table import Context, Table
from tests.hdl.bench import simulate

#: Cycles from a put until a reader sees it.
READABLE = 2


async def swept(ctx: Any, dut: Table) -> None:
    for _ in range(dut.sessions):
        assert ctx.get(dut.busy)
        await ctx.tick()
    assert not ctx.get(dut.busy)


@pytest.mark.rule("R17")
@pytest.mark.parametrize("sessions", [2, 3, 64])
def test_each_session_has_its_word(sessions: int, rng: random.Random) -> None:
    dut = Table(unsigned(20), sessions, lambda session: Cat(C(7, 4), session), readers=2)
    model = {session: 7 | session << 4 for session in range(sessions)}
    recent: list[int] = [-1]

    async def testbench(ctx: Any) -> None:
        await swept(ctx, dut)
        for _ in range(1000):
            session, word = rng.randrange(sessions), rng.getrandbits(20)
            put = rng.random() < 0.5
            ctx.set(dut.put, put)
            ctx.set(dut.put_address, session)
            ctx.set(dut.put_entry, word)
            recent.append(session if put else -1)
            reads = [rng.randrange(sessions) for _ in range(2)]
            ctx.set(dut.address, reads[0])
            ctx.set(dut.address_1, reads[1])
            await ctx.tick()
            for read, shown in zip(reads, (ctx.get(dut.entry), ctx.get(dut.entry_1)), strict=True):
                if read not in recent[1 - READABLE :]:
                    assert shown == model[read]
            if put:
                model[session] = word

    simulate(dut, testbench)


def test_a_reset_brings_back_every_initial_word(rng: random.Random) -> None:
    dut = Table(unsigned(8), 5, lambda session: session + 1)
    m = Module()
    m.domains.sync = sync = ClockDomain()
    m.submodules.dut = dut

    async def testbench(ctx: Any) -> None:
        await swept(ctx, dut)
        ctx.set(dut.put, 1)
        for session in range(5):
            ctx.set(dut.put_address, session)
            ctx.set(dut.put_entry, rng.getrandbits(8))
            await ctx.tick()
        ctx.set(dut.put, 0)
        ctx.set(sync.rst, 1)
        await ctx.tick()
        ctx.set(sync.rst, 0)
        await swept(ctx, dut)
        for session in range(5):
            ctx.set(dut.address, session)
            await ctx.tick()
            assert ctx.get(dut.entry) == session + 1

    simulate(m, testbench)


def test_a_context_is_a_word_and_back(rng: random.Random) -> None:
    """Signals and views, at their reset values in the initial word; loading a word sets each of them."""
    small, large = Signal(3, init=5), Signal(data.StructLayout({"a": 4, "b": 9}))
    context = Context(small=small, large=large)
    load, word = Signal(), Signal(context.layout)
    m = Module()
    with m.If(load):
        m.d.sync += context.load(word)
    shown, initial = Signal(16), Signal(16)
    m.d.comb += [shown.eq(context.word), initial.eq(context.initial)]

    async def testbench(ctx: Any) -> None:
        assert (ctx.get(initial), ctx.get(shown)) == (5, 5)
        ctx.set(load, 1)
        for _ in range(20):
            parts = (rng.getrandbits(3), rng.getrandbits(4), rng.getrandbits(9))
            ctx.set(word, {"small": parts[0], "large": parts[1] | parts[2] << 4})
            await ctx.tick()
            assert (ctx.get(small), ctx.get(large.a), ctx.get(large.b)) == parts
            assert ctx.get(shown) == parts[0] | parts[1] << 3 | parts[2] << 7

    simulate(m, testbench)
