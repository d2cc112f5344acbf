"""Clock: UTC, exact to the nanosecond, over every carry."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tag34.contract import to_bcd
from tag34_hdl.send.clock import Clock
from tag34_sim.golden import sending_time
from tests.hdl.bench import refusal, simulate

EPOCH = datetime(1970, 1, 1)
NS = 1_000_000_000
#: Cycles behind a load in which the time stands still.
SETTLE = 2
#: Whole nanoseconds, fractions of all kinds, the ends of what is allowed.
CLOCKS = [2_000_000, 12_000_000, 27_000_000, 48_000_000, 125_000_000, 156_250_000, 999_999_937, 1_000_000_000]


def since_epoch(time: datetime) -> int:
    return (time - EPOCH) // timedelta(seconds=1) * NS


def packed(utc_ns: int) -> dict[str, int]:
    """A time as the component has it."""
    time = EPOCH + timedelta(seconds=utc_ns // NS)
    ns = utc_ns % NS
    return {
        "date": int(f"{time.year:04d}{time.month:02d}{time.day:02d}", 16),
        "day": int(f"{time.hour:02d}{time.minute:02d}{time.second:02d}", 16),
        "milli": to_bcd(ns // 10**6, 3),
        "micro": to_bcd(ns // 10**3 % 1000, 3),
        "nano": to_bcd(ns % 1000, 3),
    }


def text(ctx: Any, dut: Clock) -> str:
    """The time shown, as 52 would have it."""
    time = ctx.get(dut.time)
    day = f"{time.day:06x}"
    return f"{time.date:08x}-{day[:2]}:{day[2:4]}:{day[4:]}.{time.milli:03x}{time.micro:03x}{time.nano:03x}"


def possible(start: int, cycles: int, clock_hz: int) -> set[str]:
    """What may be shown ``cycles`` after ``start``: exact, but for the part of a nanosecond that was there before."""
    whole, part = divmod(cycles * NS, clock_hz)
    return {sending_time(start + whole, 9), sending_time(start + whole + (part > 0), 9)}


async def load(ctx: Any, dut: Clock, utc_ns: int) -> None:
    """Set the time, and wait until it goes on."""
    ctx.set(dut.new_time, packed(utc_ns))
    ctx.set(dut.load, 1)
    await ctx.tick()
    ctx.set(dut.load, 0)
    for _ in range(SETTLE):
        assert text(ctx, dut) == sending_time(utc_ns, 9)
        await ctx.tick()
    assert text(ctx, dut) == sending_time(utc_ns, 9)


def carries() -> Iterator[datetime]:
    """Moments right behind every kind of carry."""
    yield datetime(2024, 3, 5, 7, 9, 10)  # a second
    yield datetime(2024, 3, 5, 7, 10)  # ten of them: a minute
    yield datetime(2024, 3, 5, 8)
    yield datetime(2024, 3, 5, 10)
    yield datetime(2024, 3, 5, 20)
    for day in (2, 10, 11, 20, 30):
        yield datetime(2024, 3, day)
    for year in (1970, 2023, 2024):
        for month in range(1, 13):
            yield datetime(year, month, 1)
    for year in (1900, 1904, 1999, 2000, 2004, 2010, 2096, 2100, 2200, 2300, 2400):
        yield datetime(year, 2, 28)
        yield datetime(year, 2, 28) + timedelta(days=1)
        yield datetime(year, 3, 1)
        yield datetime(year, 3, 2)
        yield datetime(year + 1, 1, 1)
    yield datetime(9999, 12, 31)


@pytest.mark.rule("S5")
@pytest.mark.parametrize("clock_hz", [2_000_000, 27_000_000, 125_000_000, 1_000_000_000])
def test_S5_every_carry(clock_hz: int, rng: random.Random) -> None:
    dut = Clock(clock_hz)

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.run, 1)
        for moment in carries():
            start = since_epoch(moment) - rng.randint(1, 6 * NS // clock_hz)
            await load(ctx, dut, start)
            for cycle in range(1, 10):
                await ctx.tick()
                assert text(ctx, dut) in possible(start, cycle, clock_hz)
            assert text(ctx, dut) >= sending_time(since_epoch(moment), 9), "it went over the carry"

    simulate(dut, testbench)


@pytest.mark.rule("S5")
@pytest.mark.parametrize("clock_hz", CLOCKS)
def test_S5_it_is_exact_over_thousands_of_cycles(clock_hz: int, rng: random.Random) -> None:
    dut = Clock(clock_hz)
    cycles = 3000
    # Microseconds, milliseconds and a second end on the way.
    start = since_epoch(datetime(2024, 2, 29)) - cycles // 2 * NS // clock_hz

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.run, 1)
        await load(ctx, dut, start)
        first = text(ctx, dut)
        for cycle in range(1, cycles):
            before = text(ctx, dut)
            await ctx.tick()
            assert text(ctx, dut) >= before, "monotonic"
            if cycle % 50 == 0 or cycle > cycles - 5:
                assert text(ctx, dut) in possible(start, cycle, clock_hz)
        assert first < text(ctx, dut)

    simulate(dut, testbench)


@pytest.mark.rule("S5")
def test_it_begins_at_1970_and_stands_still() -> None:
    dut = Clock(125_000_000)

    async def testbench(ctx: Any) -> None:
        for _ in range(20):
            await ctx.tick()
            assert text(ctx, dut) == sending_time(0, 9)

    simulate(dut, testbench)


@pytest.mark.rule("S5")
@pytest.mark.parametrize("clock_hz", [2_000_000, 27_000_000, 125_000_000])
def test_only_cycles_in_which_it_runs_count(clock_hz: int, rng: random.Random) -> None:
    dut = Clock(clock_hz)
    start = since_epoch(datetime(2024, 12, 31, 23, 59, 59)) + NS - 300 * NS // clock_hz

    async def testbench(ctx: Any) -> None:
        await load(ctx, dut, start)
        counted = 0
        run = False
        for _ in range(1000):
            counted += run  # as of the cycle before
            run = rng.random() < 0.5
            ctx.set(dut.run, run)
            await ctx.tick()
            assert text(ctx, dut) in possible(start, counted, clock_hz)

    simulate(dut, testbench)


@pytest.mark.rule("S5")
def test_a_load_may_come_at_any_time(rng: random.Random) -> None:
    dut = Clock(125_000_000)

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.run, 1)
        for _ in range(100):
            start = rng.randrange(since_epoch(datetime(2400, 1, 1)))
            await load(ctx, dut, start)
            cycles = rng.randint(0, 20)
            for _ in range(cycles):
                await ctx.tick()
            assert text(ctx, dut) == sending_time(start + 8 * cycles, 9)

    simulate(dut, testbench)


@pytest.mark.parametrize("clock_hz", [0, 1_999_999, 1_000_000_001])
def test_clocks_that_it_cannot_count_are_refused(clock_hz: int) -> None:
    assert refusal(lambda: Clock(clock_hz)) == f"clock_hz must be 2 MHz to 1 GHz, not {clock_hz}"
