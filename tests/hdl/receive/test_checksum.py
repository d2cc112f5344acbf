"""CheckSum: the sum of bytes in decimal."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import Module, Signal

from tag34_hdl.receive.checksum import START_SUM, Checksum, reads_as
from tests.hdl.bench import simulate

#: Cycles from the last byte added to its digits.
LATENCY = 3


def digits(total: int) -> list[int]:
    """The sum as FIX writes it."""
    return [int(char) for char in f"{total % 256:03d}"]


def run(cycles: list[dict[str, int]]) -> list[list[int]]:
    """``digits`` as they are shown in each cycle, for the inputs of each cycle."""
    dut = Checksum()
    shown = []

    async def testbench(ctx: Any) -> None:
        for inputs in cycles:
            for name in ("restart", "first", "add", "byte"):
                ctx.set(getattr(dut, name), inputs.get(name, 0))
            _, _, *now = await ctx.tick().sample(*(dut.digits[place] for place in range(3)))
            shown.append(now)

    simulate(dut, testbench)
    return shown


def test_the_start_of_every_message() -> None:
    assert sum(b"8=FIX") % 256 == START_SUM


@pytest.mark.rule("F3", "S1")
def test_every_sum() -> None:
    cycles: list[dict[str, int]] = []
    for total in range(256):
        cycles += [{"restart": 1, "first": total, "add": 1, "byte": 99}, *[{}] * LATENCY]
    assert run(cycles)[LATENCY :: LATENCY + 1] == [digits(total) for total in range(256)]


@pytest.mark.rule("F3", "S1")
def test_the_digits_follow_and_stay(rng: random.Random) -> None:
    total, sums, cycles = 0, [0] * LATENCY, []
    for _ in range(3000):
        inputs = {
            "restart": int(rng.random() < 0.02),
            "first": rng.randrange(256),
            "add": int(rng.random() < 0.7),
            "byte": rng.randrange(256),
        }
        cycles.append(inputs)
        if inputs["restart"]:
            total = inputs["first"]  # it wins over `add`
        elif inputs["add"]:
            total += inputs["byte"]
        sums.append(total)
    assert run(cycles)[LATENCY:] == [digits(total) for total in sums[LATENCY:-LATENCY]]
    still = run([*cycles[:50], *[{"byte": 77}] * 20])
    assert still[50 + LATENCY - 1 :] == [digits(sums[50 + LATENCY - 1])] * (20 - LATENCY + 1)


@pytest.mark.parametrize("sums", [1, 2])
def test_three_digits_are_those_of_the_sum_or_not(sums: int) -> None:
    """All that three digits can say, each beside sums that it fits and others near and far."""
    m = Module()
    written = [Signal(4, name=f"digit_{place}") for place in range(3)]
    totals = [Signal(8, name=f"total_{place}") for place in range(sums)]
    fits = Signal()
    m.d.comb += fits.eq(reads_as(written, totals))
    rng = random.Random(34)
    differences: list[tuple[int, list[int], int]] = []
    outcomes = set()

    async def testbench(ctx: Any) -> None:
        for number in range(1000):
            for place, digit in enumerate(written):
                ctx.set(digit, number // 10 ** (2 - place) % 10)
            apart = [0, 1, 255, 2, 128, 10, 100, *(rng.randrange(256) for _ in range(5))]
            for off in apart:
                parts = [rng.randrange(256) for _ in totals]
                parts[0] = (number + off - sum(parts[1:])) % 256
                for total, part in zip(totals, parts, strict=True):
                    ctx.set(total, part)
                expected = int(number == sum(parts) % 256)
                outcomes.add(expected)
                if ctx.get(fits) != expected:
                    differences.append((number, parts, expected))

    simulate(m, testbench)
    assert outcomes == {0, 1}
    assert differences == []
