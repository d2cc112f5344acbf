"""Decimal: binary to packed BCD."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34.contract import to_bcd
from tag34_hdl.send.decimal import BITS, Decimal
from tests.hdl.bench import simulate


def latency(bits: int) -> int:
    """Cycles from a start to its digits."""
    return 1 + -(-bits // 3)


def convert(bits: int, values: list[int], pause: int) -> list[tuple[int, int]]:
    """For each value: ``digits`` when ``busy`` ends, and the cycles that it lasted. ``pause`` cycles between two."""
    dut = Decimal(bits)
    results = []

    async def testbench(ctx: Any) -> None:
        for value in values:
            ctx.set(dut.start, 1)
            ctx.set(dut.value, value)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.value, ~value & (1 << bits) - 1)
            cycles = 0
            while ctx.get(dut.busy):
                await ctx.tick()
                cycles += 1
            digits = ctx.get(dut.digits)
            results.append((digits, cycles))
            for _ in range(pause):
                _, _, busy, later = await ctx.tick().sample(dut.busy, dut.digits)
                assert (busy, later) == (0, digits), "the digits stay until the next start"

    simulate(dut, testbench)
    return results


@pytest.mark.rule("S1")
@pytest.mark.parametrize("pause", [0, 5])
@pytest.mark.parametrize("bits", [BITS, 17, 10, 9])
def test_it_converts_in_a_few_cycles(bits: int, pause: int, rng: random.Random) -> None:
    values = sorted(
        {0, (1 << bits) - 1, *(10**n + d for n in range(6) for d in (-1, 0, 1)), *(1 << n for n in range(bits))}
    )
    values = [value for value in values if value < 1 << bits]
    values += [rng.randrange(1 << bits) for _ in range(100)]
    results = convert(bits, values, pause)
    assert [digits for digits, _ in results] == [to_bcd(value, 6) for value in values]
    assert {1 + cycles for _, cycles in results} == {latency(bits)}


def test_a_start_while_busy_begins_anew() -> None:
    dut = Decimal()

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.start, 1)
        for value in (99999, 1234):
            ctx.set(dut.value, value)
            await ctx.tick().repeat(3)
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(latency(BITS) + 1)
        assert (ctx.get(dut.busy), ctx.get(dut.digits)) == (0, 0x1234)

    simulate(dut, testbench)
