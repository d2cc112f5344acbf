"""CheckSum: the sum of bytes in decimal."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34_hdl.receive.checksum import START_SUM, Checksum
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
