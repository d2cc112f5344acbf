"""Arithmetic on packed BCD."""

from __future__ import annotations

import random

from tag34.contract import SEQ_DIGITS, to_bcd
from tag34_hdl import bcd
from tests.hdl.bench import evaluate

WIDTH = 4 * SEQ_DIGITS
WRAP = 10**SEQ_DIGITS


def numbers(rng: random.Random) -> list[int]:
    """Numbers of all lengths, and those around each carry."""
    edges = {10**place + step for place in range(SEQ_DIGITS) for step in (-1, 0, 1)}
    edges |= {digit * 10**place for place in range(SEQ_DIGITS) for digit in range(10)}
    edges |= {WRAP - 1 - 10**place for place in range(SEQ_DIGITS)} | {WRAP - 1, 4294967294, 4294967295, 4294967296}
    return sorted(edges) + [rng.randrange(10 ** rng.randint(1, SEQ_DIGITS)) for _ in range(300)]


def test_digits_of_has_the_least_significant_first() -> None:
    assert evaluate(lambda value: tuple(bcd.digits_of(value)), [16], [(0x4321,)]) == [(1, 2, 3, 4)]


def test_increment(rng: random.Random) -> None:
    values = numbers(rng)
    got = evaluate(bcd.increment, [WIDTH], [(to_bcd(value),) for value in values])
    assert got == [(to_bcd((value + 1) % WRAP),) for value in values]


def test_decrement(rng: random.Random) -> None:
    values = numbers(rng)
    got = evaluate(bcd.decrement, [WIDTH], [(to_bcd(value),) for value in values])
    assert got == [(to_bcd((value - 1) % WRAP),) for value in values]


def test_increment_and_decrement_of_a_few_digits() -> None:
    vectors = [(to_bcd(value, 2),) for value in range(100)]
    assert evaluate(bcd.increment, [8], vectors) == [(to_bcd((value + 1) % 100),) for value in range(100)]
    assert evaluate(bcd.decrement, [8], vectors) == [(to_bcd((value - 1) % 100),) for value in range(100)]


def test_significant_digits(rng: random.Random) -> None:
    values = numbers(rng)
    got = evaluate(bcd.significant_digits, [WIDTH], [(to_bcd(value),) for value in values])
    assert got == [(len(str(value)),) for value in values]


def test_add_digit() -> None:
    vectors = [(a, b, carry) for a in range(10) for b in range(10) for carry in range(2)]
    got = evaluate(bcd.add_digit, [4, 4, 1], vectors)
    assert got == [(sum(vector) % 10, sum(vector) // 10) for vector in vectors]


def test_comparing_bcd_is_comparing_numbers(rng: random.Random) -> None:
    values = numbers(rng)
    pairs = [(rng.choice(values), rng.choice(values)) for _ in range(300)]
    got = evaluate(lambda a, b: (a < b, a == b), [WIDTH, WIDTH], [(to_bcd(a), to_bcd(b)) for a, b in pairs])
    assert got == [(a < b, a == b) for a, b in pairs]
