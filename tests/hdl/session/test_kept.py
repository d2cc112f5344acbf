"""Kept: a value per session that stays in block memory, and the register that follows it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import ResetInserter, Signal, unsigned

from tag34_hdl.session.kept import Kept
from tests.hdl.bench import simulate


class Driver:
    """Turns and writes. ``values``: what has been written, of sessions that were written."""

    def __init__(self, dut: Kept, ctx: Any, sessions: int):
        self.dut, self.ctx, self.sessions = dut, ctx, sessions
        self.values: dict[int, int] = {}
        self.session = 0

    async def turn(self, session: int) -> None:
        """Another session, or the same one, is looked at."""
        self.session = session
        self.ctx.set(self.dut.next_session, session)
        await self.ctx.tick()
        await self.shows()

    async def write(self, value: int) -> None:
        """The value of the session at hand becomes another one."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.write, 1)
        ctx.set(dut.session, self.session)
        ctx.set(dut.new, value)
        await ctx.tick()
        ctx.set(dut.write, 0)
        ctx.set(dut.new, value ^ 0xFF)  # what is not written need not be 0
        self.values[self.session] = value
        await ctx.tick()
        await self.shows()

    async def shows(self) -> None:
        """The value: in the register one cycle after it has left the memory, and from then on."""
        known = self.session in self.values
        expected = self.values.get(self.session, 0)
        if known:
            assert self.ctx.get(self.dut.soon) == expected
        for _ in range(3):
            await self.ctx.tick()
            assert self.ctx.get(self.dut.value) == expected


@pytest.mark.rule("R17")
@pytest.mark.parametrize("begins", [False, True])
def test_each_session_has_its_own_value(begins: bool, rng: random.Random) -> None:
    sessions = 5
    dut = Kept(unsigned(8), sessions, begins=begins)

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, ctx, sessions)
        await ctx.tick().repeat(sessions + 1)  # the table is swept
        if not begins:
            for session in range(sessions):
                ctx.set(dut.next_session, session)
                driver.session = session
                await driver.write(rng.randrange(1, 256))
        for _ in range(200):
            await driver.turn(rng.randrange(sessions))
            for _ in range(rng.choice((0, 0, 1, 2))):
                await driver.write(rng.randrange(1, 256))
        assert len(driver.values) == sessions

    simulate(dut, testbench, cycles=10_000)


@pytest.mark.rule("R17")
def test_of_the_time_before_a_reset_nothing_is_left(rng: random.Random) -> None:
    """Block memory keeps its words over a reset."""
    sessions = 3
    dut = Kept(unsigned(8), sessions, begins=True)
    reset = Signal()

    async def testbench(ctx: Any) -> None:
        for written in (True, False):
            driver = Driver(dut, ctx, sessions)
            await ctx.tick().repeat(sessions + 1)  # the table is swept
            for session in range(sessions):
                await driver.turn(session)
                if written:
                    await driver.write(rng.randrange(1, 256))
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)

    simulate(ResetInserter(reset)(dut), testbench)
