"""What is counted for each session in block memory is what was received and framed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34_hdl.layouts import Shape
from tag34_hdl.receive.tally import Received, Total
from tests.hdl.bench import simulate

SESSIONS = 3
SHAPE = Shape(sessions=SESSIONS, window=2, max_message=64)


@pytest.mark.rule("F4", "R17")
def test_bytes_and_starts_of_sessions_in_turn(rng: random.Random) -> None:
    dut = Received(SHAPE)
    received, starts = [0] * SESSIONS, [0] * SESSIONS

    async def step(ctx: Any, **values: int) -> None:
        for name in ("turn", "take", "may_begin", "begins", "clear", "forget"):
            ctx.set(getattr(dut, name), values.get(name, 0))
        await ctx.tick()

    async def testbench(ctx: Any) -> None:
        session = 0
        while ctx.get(dut.busy):
            await step(ctx)
        for turns in range(150):
            since = 0  # cycles since the message began
            busy = rng.choice((0.2, 0.9, 1.0))
            for _ in range(rng.choice((1, 3, 20, 70))):
                ctx.set(dut.partial, received[session] & 0xFF)
                since += 1
                if rng.random() < busy:
                    begins = since > 4 and rng.random() < 0.2
                    if begins:
                        starts[session], since = received[session] - 4, 0
                    received[session] += 1
                    await step(ctx, take=1, begins=begins, may_begin=begins or rng.random() < 0.1)
                elif rng.random() < 0.01:
                    cleared = rng.randrange(SESSIONS)
                    received[cleared] = 0
                    ctx.set(dut.clear_session, cleared)
                    since = 0
                    await step(ctx, clear=1, forget=cleared == session)
                    starts[cleared] = -1
                else:
                    await step(ctx, may_begin=rng.random() < 0.5)
                if since >= 2 and starts[session] >= 0:
                    assert ctx.get(dut.start) == starts[session]
                if starts[session] == -1 and received[session] < 4:
                    since = 0
            if turns % 10 == 0:
                ctx.set(dut.partial, received[session] & 0xFF)
                for _ in range(3):
                    await step(ctx)
                for asked in range(SESSIONS):
                    ctx.set(dut.host_session, asked)
                    for _ in range(3):
                        await step(ctx)
                    assert ctx.get(dut.bytes) == received[asked]
                    assert ctx.get(dut.shown_partial) in (received[asked] & 0xFF, 0)
            following = rng.choice([other for other in range(SESSIONS) if other != session])
            ctx.set(dut.partial, received[session] & 0xFF)
            ctx.set(dut.next_session, following)
            await step(ctx)
            await step(ctx, turn=1)
            session = following
            ctx.set(dut.session, session)
        assert max(received) > 1 << 8

    simulate(dut, testbench)


@pytest.mark.rule("F4", "R17")
def test_totals_of_sessions_in_turn(rng: random.Random) -> None:
    dut = Total(SHAPE)
    totals = [0] * SESSIONS

    async def testbench(ctx: Any) -> None:
        session = 0
        while ctx.get(dut.busy):
            await ctx.tick()
        for _ in range(600):
            kind = rng.choice(("add", "add", "add", "turn", "read")) if rng.random() < 0.98 else "forget"
            if kind == "add":
                amount = rng.choice((1, 300, (1 << 24) - 1))
                totals[session] += amount
                ctx.set(dut.amount, amount)
                ctx.set(dut.add, 1)
                await ctx.tick()
                ctx.set(dut.add, 0)
                await ctx.tick().repeat(2)
            elif kind == "forget":
                forgotten = rng.randrange(SESSIONS)
                totals[forgotten] = 0
                ctx.set(dut.forget_session, forgotten)
                ctx.set(dut.forget, 1)
                await ctx.tick()
                ctx.set(dut.forget, 0)
                await ctx.tick().repeat(2)
            elif kind == "turn":
                session = rng.randrange(SESSIONS)
                ctx.set(dut.next_session, session)
                await ctx.tick()
                ctx.set(dut.session, session)
                await ctx.tick()
            else:
                asked = rng.randrange(SESSIONS)
                ctx.set(dut.host_session, asked)
                await ctx.tick().repeat(3)
                assert ctx.get(dut.total) == totals[asked]
        assert max(totals) > 1 << 24

    simulate(dut, testbench)
