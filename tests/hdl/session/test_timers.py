"""Timers: each is due at its tick, session 0 first, whatever else runs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34_hdl.layouts import Shape
from tag34_hdl.session.timers import Timers
from tests.hdl.bench import simulate

#: Cycles within which a tick is through, beside one per session and what the due ones wait for.
LIMIT = 20


class Driver:
    """Sets timers and lets ticks pass. ``deadlines``: of the timers that run."""

    def __init__(self, dut: Timers, ctx: Any, sessions: int):
        self.dut, self.ctx, self.sessions = dut, ctx, sessions
        self.deadlines: dict[int, int] = {}
        self.now = 0

    async def put(self, session: int, deadline: int | None) -> None:
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.put, 1)
        ctx.set(dut.put_session, session)
        ctx.set(dut.put_timer, {"runs": deadline is not None, "deadline": (deadline or 0) % 2**32})
        ctx.set(dut.put_ran, session in self.deadlines)
        if deadline is None:
            self.deadlines.pop(session, None)
        else:
            self.deadlines[session] = deadline % 2**32
        await ctx.tick()
        ctx.set(dut.put, 0)

    async def tick(self, rng: random.Random) -> list[int]:
        """One tick; the sessions that were due, in order. A due timer is set anew or stopped before it is taken."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.ticks, 1)
        taken, dropped = ctx.get(dut.tick), ctx.get(dut.ticks_drop)
        assert dropped == (not self.deadlines), "ticks are dropped when no timer runs"
        assert taken == bool(self.deadlines)
        await ctx.tick()
        ctx.set(dut.ticks, 0)
        self.now = (self.now + taken) % 2**32
        assert ctx.get(dut.now) == self.now
        due: list[int] = []
        for _ in range(2 * self.sessions + LIMIT * self.sessions):
            if ctx.get(dut.idle):
                return due
            if ctx.get(dut.due.valid) and rng.random() < 0.5:
                session = ctx.get(dut.due.payload)
                due.append(session)
                await self.put(session, rng.choice((None, self.now + 1, self.now + rng.randint(1, 9))))
                ctx.set(dut.due.ready, 1)
                await ctx.tick()
                ctx.set(dut.due.ready, 0)
            else:
                await ctx.tick()
        raise AssertionError("the tick did not come to its end")


@pytest.mark.rule("R14", "R17")
@pytest.mark.parametrize("sessions", [1, 2, 3, 16])
def test_due_at_its_tick_and_never_else(sessions: int, rng: random.Random) -> None:
    dut = Timers(Shape(sessions=sessions))

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, sessions)
        for _ in range(sessions + 1):  # the table is swept
            await ctx.tick()
        seen = 0
        for _ in range(300):
            for _ in range(rng.randint(0, 2)):
                choice = rng.choice((None, driver.now + 1, driver.now + rng.randint(1, 12)))
                await driver.put(rng.randrange(sessions), choice)
            expected = sorted(s for s, deadline in driver.deadlines.items() if deadline == (driver.now + 1) % 2**32)
            due = await driver.tick(rng)
            assert due == expected
            seen += len(due)
        assert seen > 20

    simulate(dut, testbench, cycles=60_000)


@pytest.mark.rule("R14", "R17")
@pytest.mark.parametrize("sessions", [2, 3, 16])
def test_a_tick_takes_two_cycles_for_each_session(sessions: int) -> None:
    dut = Timers(Shape(sessions=sessions))

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, sessions)
        await ctx.tick().repeat(sessions + 1)  # the table is swept
        await driver.put(sessions - 1, 100)
        ctx.set(dut.ticks, 1)
        await ctx.tick()
        ctx.set(dut.ticks, 0)
        cycles = 0
        while not ctx.get(dut.idle):
            cycles += 1
            await ctx.tick()
        assert cycles == 2 * sessions + 1

    simulate(dut, testbench)


@pytest.mark.rule("R14", "R17")
def test_all_may_run_and_all_may_stop(rng: random.Random) -> None:
    """Whether ticks are dropped is known of as many as there are."""
    sessions = 4
    dut = Timers(Shape(sessions=sessions))

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, sessions)
        await ctx.tick().repeat(sessions + 1)  # the table is swept
        for deadline in (1000, None, 1000, 2000, None):
            for session in rng.sample(range(sessions), sessions):
                await driver.put(session, deadline)
                assert await driver.tick(rng) == []

    simulate(dut, testbench)
