"""Where a range ends: the number below the highest one, at all places where a decimal borrow may go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tag34.contract import MAX_SEQ, Phase, Policy
from tests.sim.bench import Bench

Make = Callable[..., Bench]

#: One digit and zeros behind it, and the last number.
ROUND = [digit * 10**zeros for zeros in range(1, 10) for digit in range(1, 10) if digit * 10**zeros < MAX_SEQ]


def begin(line: Bench, expected: int, *, may_request: bool = True) -> None:
    """A new connection at this number."""
    line.device.disconnect(line.session)
    line.device.set_expected(line.session, expected)
    line.device.connect(line.session, phase=Phase.ACTIVE, may_request=may_request)


@pytest.mark.rule("R11", "R12", "R13")
def test_R11_a_range_ends_below_the_message_that_opens_it(bench: Make) -> None:
    line = bench(policy=Policy.CLOSED)
    for number in [*ROUND, MAX_SEQ]:
        begin(line, number - 3)
        assert line.feed(line.order(number)) == [
            *(f"request {number - 3}-{number - 1} R11", f"R10 {number} -> {number - 3}"),
        ]
        last = line.feed(line.orders(number - 3, number - 2, number - 1, possdup=True))
        assert f"recovered {number + (number < MAX_SEQ)}" in last or number == MAX_SEQ
        assert line.expected == number + 1
    assert line.requests == [(number - 3, number - 1) for number in [*ROUND, MAX_SEQ]]


@pytest.mark.rule("R11")
def test_R11_a_range_that_had_to_wait_ends_below_the_highest_number(bench: Make) -> None:
    line = bench(policy=Policy.CLOSED)
    for number in [*ROUND, MAX_SEQ]:
        begin(line, number - 3, may_request=False)
        assert line.feed(line.order(number)) == [f"R10 {number} -> {number - 3}"]
        assert line.highest == number
        line.device.set_may_request(0, True)
        assert line.story() == [f"request {number - 3}-{number - 1} R11"]
    assert line.requests == [(number - 3, number - 1) for number in [*ROUND, MAX_SEQ]]


@pytest.mark.rule("R11", "R10b")
def test_R11_a_range_ends_with_a_message_that_was_not_kept(bench: Make) -> None:
    line = bench(policy=Policy.CLOSED, window=2)
    for number in [*ROUND, MAX_SEQ]:
        begin(line, number - 3)
        assert line.feed(line.order(number)) == [
            *(f"request {number - 3}-{number} R11", f"R10b {number} -> {number - 3}"),
        ]


@pytest.mark.rule("R7", "R13")
def test_R7_a_gap_fill_to_a_round_number_and_over_it(bench: Make) -> None:
    line = bench(policy=Policy.CLOSED)
    for number in ROUND:
        begin(line, number - 3)
        line.feed(line.order(number + 1))
        assert line.requests[-1] == (number - 3, number)
        assert line.feed(line.peer.gap_fill(number - 3, number, possdup=True)) == [f"R7 {number - 3} -> {number}"]
        assert line.feed(line.order(number, possdup=True)) == [
            *(f"deliver {number}", f"deliver {number + 1}", f"recovered {number + 2}", f"R8 {number} -> {number + 2}"),
        ]
        assert (line.expected, line.highest) == (number + 2, number + 1)
