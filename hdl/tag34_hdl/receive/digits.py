"""Functions of a digit, as tables: one look-up table each, and as little to simulate."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth import C, Cat, Value


def one_of(number: Value, values: Iterable[int]) -> Value:
    """``number`` is one of ``values``."""
    return (C(sum(1 << value for value in set(values)), 1 << len(number)) >> number)[0]


def times(digit: Value, weight: int, bits: int | None = None) -> Value:
    """A digit times a weight, modulo 2 ** ``bits``: each bit is a function of the digit's four. Of no digit it is 0."""
    if bits is None:
        bits = (9 * weight).bit_length()
    return Cat(one_of(digit, (value for value in range(10) if value * weight >> bit & 1)) for bit in range(bits))
