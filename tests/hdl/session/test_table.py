"""Table: one word per session, and all of them anew after a reset."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import C, ClockDomain, Module, Signal, unsigned
from amaranth.lib import data

from tag34_hdl.session.table import Context, Table
from tests.hdl.bench import simulate


async def swept(ctx: Any, dut: Table) -> None:
    for _ in range(dut.sessions):
        assert ctx.get(dut.busy)
        await ctx.tick()
    assert not ctx.get(dut.busy)


@pytest.mark.rule("R17")
@pytest.mark.parametrize("sessions", [2, 3, 64])
def test_each_session_has_its_word(sessions: int, rng: random.Random) -> None:
    """Words are put and forgotten; what is read while it is put is undefined, but for the host, who still has the word
    that he was shown."""
    dut = Table(unsigned(20), sessions, ports=2, host=True)
    model: dict[int, int] = {}
    seen = {"known": 0, "unknown": 0, "held": 0}

    async def testbench(ctx: Any) -> None:
        await swept(ctx, dut)
        held: int | None = None
        for cycle in range(4000):
            session, word = rng.randrange(sessions), rng.getrandbits(20)
            put, forget = rng.random() < 0.5, rng.random() < 0.3
            ctx.set(dut.put, put)
            ctx.set(dut.forget, forget)
            ctx.set(dut.put_address, session)
            ctx.set(dut.put_entry, word)
            reads = [rng.randrange(sessions) for _ in range(2)]
            ctx.set(dut.address, reads[0])
            ctx.set(dut.address_1, reads[1])
            await ctx.tick()
            shown = [(ctx.get(dut.known), ctx.get(dut.entry)), (ctx.get(dut.known_1), ctx.get(dut.entry_1))]
            if not (put and reads[0] == session):
                check(shown[0], model.get(reads[0]), seen)
            if not (put and reads[1] == session):
                held = model.get(reads[1])
                check(shown[1], held, seen)
            elif cycle:
                check(shown[1], held, seen)
                seen["held"] += 1
            if put:
                model.pop(session, None)
                if not forget:
                    model[session] = word
        assert min(seen.values()) > 20, seen

    simulate(dut, testbench)


def check(shown: tuple[int, int], word: int | None, seen: dict[str, int]) -> None:
    """What a port shows is that word, or nothing is known of it."""
    seen["unknown" if word is None else "known"] += 1
    assert shown[0] == (word is not None)
    assert word is None or shown[1] == word


def test_a_reset_makes_every_word_unknown(rng: random.Random) -> None:
    dut = Table(unsigned(8), 5)
    m = Module()
    m.domains.sync = sync = ClockDomain()
    m.submodules.dut = dut

    async def testbench(ctx: Any) -> None:
        async def known() -> list[int]:
            shown = []
            for session in range(5):
                ctx.set(dut.address, session)
                await ctx.tick()
                shown.append(ctx.get(dut.known))
            return shown

        await swept(ctx, dut)
        ctx.set(dut.put, 1)
        for session in range(5):
            ctx.set(dut.put_address, session)
            ctx.set(dut.put_entry, rng.getrandbits(8))
            await ctx.tick()
        ctx.set(dut.put, 0)
        assert await known() == [1] * 5
        ctx.set(sync.rst, 1)
        await ctx.tick()
        ctx.set(sync.rst, 0)
        await swept(ctx, dut)
        assert await known() == [0] * 5

    simulate(m, testbench)


@pytest.mark.parametrize("known", [0, 1])
def test_a_context_is_taken_up_or_begins_anew(known: int, rng: random.Random) -> None:
    register = Signal(6, init=5)
    context = Context(register=register)
    when, entry = Signal(), Signal(6)
    m = Module()
    m.d.sync += register.eq(register + 1)
    context.take_up(m, when, entry, C(known, 1))

    async def testbench(ctx: Any) -> None:
        for _ in range(20):
            before, word = ctx.get(register), rng.getrandbits(6)
            takes = rng.random() < 0.5
            ctx.set(when, takes)
            ctx.set(entry, word)
            await ctx.tick()
            assert ctx.get(register) == ((word if known else 5) if takes else (before + 1) % 64)

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
