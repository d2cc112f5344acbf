"""Expected: the next inbound number and the sums that move with it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34.contract import MAX_SEQ, SEQ_DIGITS, from_bcd, to_bcd
from tag34_hdl.layouts import Shape
from tag34_hdl.session.expected import Expected
from tests.hdl.bench import simulate

#: Cycles that the sums may take after a jump, and of many sessions.
BUSY, BUSY_OF_MANY = SEQ_DIGITS + 1, SEQ_DIGITS + 2
#: Cycles between two steps, of many sessions.
APART = 4


class Model:
    """The numbers as they should be."""

    def __init__(self, shape: Shape, window: int, chunk: int):
        self.size = 1 << shape.window_bits
        self.window, self.chunk = window, chunk
        self.value = 1

    def shown(self) -> dict[str, int]:
        return {
            "value": self.value,
            "low": self.value % self.size,
            "limit": self.value + self.window,
            "chunk_end": self.value + self.chunk - 1,
        }


class Driver:
    """Operations on the component and on the model, compared after each."""

    def __init__(self, dut: Expected, model: Model, ctx: Any):
        self.dut, self.model, self.ctx = dut, model, ctx
        ctx.set(dut.window_limit, to_bcd(model.window))
        ctx.set(dut.chunk, to_bcd(model.chunk))

    async def increment(self, times: int) -> None:
        self.ctx.set(self.dut.increment, 1)
        for _ in range(times):
            await self.ctx.tick()
            self.model.value += 1
            self.compare()
        self.ctx.set(self.dut.increment, 0)

    async def load(self, value: int, *, with_low: bool) -> None:
        dut, ctx = self.dut, self.ctx
        ctx.set(dut.load, 1)
        ctx.set(dut.new_value, to_bcd(value))
        ctx.set(dut.load_low, with_low)
        ctx.set(dut.new_low, value % self.model.size if with_low else 0)
        await ctx.tick()
        ctx.set(dut.load, 0)
        ctx.set(dut.new_value, 0)
        self.model.value = value
        assert ctx.get(dut.busy)
        assert from_bcd(ctx.get(dut.value)) == value, "the number itself is there at once"
        if with_low:
            assert ctx.get(dut.low) == value % self.model.size, "and so is its place, if it was known"
        for _ in range(BUSY):
            if not ctx.get(dut.busy):
                break
            await ctx.tick()
        assert not ctx.get(dut.busy), f"busy for more than {BUSY} cycles"
        self.compare()

    def compare(self) -> None:
        shown = {name: self.ctx.get(getattr(self.dut, name)) for name in self.model.shown()}
        assert {
            name: value if name == "low" else from_bcd(value) for name, value in shown.items()
        } == self.model.shown()


@pytest.mark.rule("R7", "R8", "R10", "R11")
@pytest.mark.parametrize(
    ("size", "window", "chunk"), [(2, 1, 1), (4, 3, 7), (64, 64, 100), (64, 64, MAX_SEQ), (1000, 999, 1000)]
)
def test_it_counts_and_jumps_like_a_number(size: int, window: int, chunk: int, rng: random.Random) -> None:
    shape = Shape(window=size)
    dut = Expected(shape)
    jumps = [1, 2, 9, 10, 99, 100, 9_999_990, 999_999_999, 10**9, MAX_SEQ - 3, MAX_SEQ, MAX_SEQ + 1]
    jumps += [rng.randrange(1, 10 ** rng.randint(1, 9)) for _ in range(40)]

    async def testbench(ctx: Any) -> None:
        driver = Driver(dut, Model(shape, window, chunk), ctx)
        for number in jumps:
            await driver.load(number, with_low=rng.random() < 0.5)
            if number <= MAX_SEQ:
                await driver.increment(rng.choice((0, 1, 1, 2, 30)) if number < MAX_SEQ - 40 else 1)

    simulate(dut, testbench)


def test_it_begins_at_one() -> None:
    dut = Expected(Shape(window=2))

    async def testbench(ctx: Any) -> None:
        assert (ctx.get(dut.value), ctx.get(dut.low)) == (1, 1)

    simulate(dut, testbench)


def test_a_jump_takes_window_and_chunk_as_they_are_now(rng: random.Random) -> None:
    shape = Shape(window=64)
    dut = Expected(shape)

    async def testbench(ctx: Any) -> None:
        for _ in range(10):
            driver = Driver(dut, Model(shape, rng.randint(1, 64), rng.randint(1, 1000)), ctx)
            await driver.load(rng.randint(1, MAX_SEQ), with_low=True)

    simulate(dut, testbench)


class Turns(Driver):
    """The same with many sessions, each of which has a model; what of it is restored is kept here."""

    def __init__(self, dut: Expected, models: list[Model], ctx: Any):
        super().__init__(dut, models[0], ctx)
        self.models = models
        self.session = 0

    async def turn(self, session: int) -> None:
        """Another session's turn, as the sequencer does it: it is asked for, a cycle later it is taken up."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.next_session, session)
        await ctx.tick()
        model = self.models[session]
        ctx.set(dut.restored, {"value": to_bcd(model.value), "low": model.value % model.size})
        ctx.set(dut.known, 1)
        ctx.set(dut.restore, 1)
        await ctx.tick()
        ctx.set(dut.restore, 0)
        ctx.set(dut.session, session)
        self.model = model
        ctx.set(dut.window_limit, to_bcd(model.window))
        ctx.set(dut.chunk, to_bcd(model.chunk))

    async def step(self) -> None:
        """Up by one. The number is there at once, what is derived from it in the third cycle."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.increment, 1)
        await ctx.tick()
        ctx.set(dut.increment, 0)
        self.model.value += 1
        assert from_bcd(ctx.get(dut.value)) == self.model.value
        await ctx.tick().repeat(2)
        self.compare()
        await ctx.tick().repeat(APART - 3)
        self.compare()

    async def jump(self, value: int) -> None:
        """A number from the host."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.load, 1)
        ctx.set(dut.new_value, to_bcd(value))
        await ctx.tick()
        ctx.set(dut.load, 0)
        self.model.value = value
        for _ in range(BUSY_OF_MANY):
            assert ctx.get(dut.busy)
            await ctx.tick()
        assert not ctx.get(dut.busy)
        await ctx.tick()
        self.compare()


@pytest.mark.rule("R8", "R10", "R11", "R17")
def test_each_session_has_its_own_sums(rng: random.Random) -> None:
    sessions = 3
    shape = Shape(sessions=sessions, window=8)
    dut = Expected(shape)
    models = [Model(shape, rng.randint(1, 8), chunk) for chunk in (1, 1000, MAX_SEQ)]

    async def testbench(ctx: Any) -> None:
        driver = Turns(dut, models, ctx)
        for session in range(sessions):
            await driver.turn(session)
            await driver.jump(rng.choice((1, 1, 10, 1000)))
        for _ in range(200):
            await driver.turn(rng.randrange(sessions))
            driver.compare()
            for _ in range(rng.choice((0, 1, 1, 2, 12))):
                await driver.step()
            if rng.random() < 0.2:
                await driver.jump(rng.choice((1, 9, 99, 1000, 9_999_990, MAX_SEQ - 30)))

    simulate(dut, testbench, cycles=20_000)
