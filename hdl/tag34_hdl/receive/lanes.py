"""Values of a bit for each lane of a word, lane 0 lowest (:mod:`..vectors`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from ..vectors import any_of, from_first, runs, up, wire


def lane_of(one_hot: Value) -> Value:
    """The number of the lane that ``one_hot`` has a bit for; 0 if it has none."""
    width = len(one_hot)
    masks = (sum(1 << lane for lane in range(width) if lane >> bit & 1) for bit in range(ceil_log2(width)))
    return Cat((one_hot & mask).any() for mask in masks)


def below(m: Module, number: Value, width: int) -> Value:
    """The lanes below ``number``, of ``width`` (a power of two)."""
    lane_bits = ceil_log2(width)
    lanes: Value = Cat(number[0], C(0, 1))
    for bit in range(1, lane_bits):
        lanes = wire(m, Mux(number[bit], Cat(C(-1, 1 << bit), lanes), lanes), "below")
    return Mux(number[lane_bits:].any(), C(-1, width), lanes) if len(number) > lane_bits else lanes


def first_of(m: Module, lanes: Value, apart: int) -> Value:
    """``lanes`` but for those that stand behind another one; no two are closer than ``apart``."""
    if apart >= len(lanes):
        return lanes
    lanes = wire(m, lanes)
    return lanes & ~Cat(C(0, apart), from_first(m, lanes[:-apart]))


def behind(m: Module, starts: Value, stops: Value, before: Value) -> Value:
    """Where what begins behind a lane of ``starts`` goes on: up to and including the next lane of ``stops``.

    ``before``: it goes on from the word before. A bit for each lane, and one for the first lane of the next word.
    """
    sources = wire(m, Cat(before, starts), "sources")  # what stands in front of lane 0, 1, ...
    reach = runs(m, Cat(C(0, 1), ~stops), len(starts))
    return any_of([sources, *(up(sources, by) & reach[by] for by in range(1, len(sources)))])


class Row:
    """A bit for each lane of the word at hand, and for those before it.

    Parameters: ``word``, the lanes; ``depth``, number of lanes kept of the words before; ``name`` of their register.

    Members: ``past``, that register, the last lane at the end; ``all``: these lanes and the word's.
    """

    def __init__(self, word: Value, depth: int, name: str):
        self.past = Signal(depth, name=f"{name}_past")
        self.all = Cat(self.past, word)
        self.width = len(word)

    def go_on(self) -> Any:
        """The word at hand is full and has been dealt with."""
        return self.past.eq(self.all[self.width :])

    def back(self, by: int) -> Value:
        """For each lane of the word the lane so many before it."""
        return window(self.all, self.width, by)


def window(lanes: Value, width: int, by: int) -> Value:
    """Of the last ``width`` lanes, for each the lane so many before it."""
    top = len(lanes) - by
    return lanes[top - width : top]


class Bytes:
    """Which bytes stand in lanes, by their bits. Members: ``digits``, lanes with 0 to 9.

    Parameters: ``m``, where logic goes; ``planes``, a value for each bit.
    """

    def __init__(self, m: Module, planes: Sequence[Value]):
        self._m = m
        self._planes = planes
        self._nibbles: dict[tuple[int, int], Value] = {}
        self.digits = wire(m, self._nibble(4, 3) & ~(planes[3] & (planes[2] | planes[1])), "digits")

    def _nibble(self, first: int, number: int) -> Value:
        if (first, number) not in self._nibbles:
            bits = [plane if number >> bit & 1 else ~plane for bit, plane in enumerate(self._planes[first : first + 4])]
            value = (bits[0] & bits[1]) & (bits[2] & bits[3])
            self._nibbles[first, number] = wire(self._m, value, f"nibble_{number}")
        return self._nibbles[first, number]

    def hold(self, byte: int) -> Value:
        """Lanes with this byte."""
        return self._nibble(0, byte & 15) & self._nibble(4, byte >> 4)

    def below_four(self) -> Value:
        """Lanes with 0 to 3."""
        return self._nibble(4, 3) & ~(self._planes[3] | self._planes[2])
