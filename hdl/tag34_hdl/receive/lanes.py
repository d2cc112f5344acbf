"""Lanes of a word as bits of a value, lane 0 lowest."""

from __future__ import annotations

from amaranth import Cat, Value
from amaranth.utils import ceil_log2


def lane_of(one_hot: Value) -> Value:
    """The number of the lane that ``one_hot`` has a bit for; 0 if it has none."""
    width = len(one_hot)
    return Cat(Cat(one_hot[lane] for lane in range(width) if lane >> bit & 1).any() for bit in range(ceil_log2(width)))
