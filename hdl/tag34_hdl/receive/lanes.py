"""Values of a bit for each lane of a word, lane 0 lowest.

What is asked of every lane is asked of all of them in one operation. To hardware this is the same; a simulator executes
one instruction where it would take several for each lane (docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2


def any_of(lanes: Iterable[Value]) -> Value:
    """Lanes that are in one of several values."""
    return reduce(or_, lanes)


def wire(m: Module, value: Value, name: str = "lanes") -> Signal:
    """A signal for what is asked more than once: Amaranth writes an expression down as often as it occurs."""
    result = Signal(len(value), name=name)
    m.d.comb += result.eq(value)
    return result


def lane_of(one_hot: Value) -> Value:
    """The number of the lane that ``one_hot`` has a bit for; 0 if it has none."""
    width = len(one_hot)
    masks = (sum(1 << lane for lane in range(width) if lane >> bit & 1) for bit in range(ceil_log2(width)))
    return Cat((one_hot & mask).any() for mask in masks)


def up(lanes: Value, by: int) -> Value:
    """Each bit so many lanes further up."""
    return Cat(C(0, by), lanes)[: len(lanes)]


def down(lanes: Value, by: int) -> Value:
    """Each bit so many lanes further down."""
    return Cat(lanes[by:], C(0, min(by, len(lanes))))


def from_first(m: Module, lanes: Value) -> Value:
    """All lanes from the first bit on."""
    for step in range(ceil_log2(len(lanes))):
        lanes = wire(m, lanes)
        lanes = wire(m, lanes | up(lanes, 1 << step), "since")
    return lanes


def to_last(m: Module, lanes: Value) -> Value:
    """All lanes up to the last bit."""
    for step in range(ceil_log2(len(lanes))):
        lanes = wire(m, lanes)
        lanes = wire(m, lanes | down(lanes, 1 << step), "until")
    return lanes


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


def runs(m: Module, lanes: Value, longest: int) -> list[Value]:
    """For each length up to ``longest``: lanes that so many bits end in. A lane below the first one has none."""
    result = [C(-1, len(lanes)), wire(m, lanes, "run_1")]
    for length in range(2, longest + 1):
        half = 1 << ceil_log2(length) - 1
        result.append(wire(m, result[half] & up(result[half], length - half), f"run_{length}"))
    return result


def behind(m: Module, starts: Value, stops: Value, before: Value) -> Value:
    """Where what begins behind a lane of ``starts`` goes on: up to and including the next lane of ``stops``.

    ``before``: it goes on from the word before. A bit for each lane, and one for the first lane of the next word.
    """
    sources = wire(m, Cat(before, starts), "sources")  # what stands in front of lane 0, 1, ...
    reach = runs(m, Cat(C(0, 1), ~stops), len(starts))
    return any_of([sources, *(up(sources, by) & reach[by] for by in range(1, len(sources)))])


def gather(m: Module, data: Value, size: int) -> Value:
    """The lowest bit of each lane, where a lane has ``size`` bits; the number of lanes is a power of two."""
    count = -(-len(data) // size)
    group = 1  # bits that are side by side
    data = data & _groups(count, group, size)
    while group < count:
        data = wire(m, data, "gathered")
        data = data | data[(size - 1) * group :]
        group *= 2
        data = data & _groups(count, group, size)
    return data[:count]


def spread(m: Module, lanes: Value, size: int) -> Value:
    """Each bit ``size`` times; the number of lanes and ``size`` are powers of two."""
    count = group = len(lanes)
    data = wire(m, lanes)
    while group > 1:
        group //= 2
        apart = Cat(C(0, (size - 1) * group), data)
        data = wire(m, (data | apart) & _groups(count, group, size), "spread")
    filled = 1
    while filled < size:
        data = wire(m, (data | Cat(C(0, filled), data))[: size * count], "spread")
        filled *= 2
    return data


def _groups(count: int, group: int, size: int) -> Value:
    """A mask: so many bits side by side at every ``group`` times ``size``."""
    bits = sum((1 << group) - 1 << place * size for place in range(0, count, group))
    return C(bits, size * count)


def planes(m: Module, data: Value, size: int) -> list[Value]:
    """The bits of lanes that have ``size`` each: lowest bits, then second ones, and so on."""
    data = wire(m, data, "data")
    return [wire(m, gather(m, data[bit:], size), f"plane_{bit}") for bit in range(size)]


def any_bit(m: Module, data: Value, size: int) -> Value:
    """Lanes of ``size`` bits (a power of two) that are not zero."""
    by = size
    while by > 1:
        by //= 2
        data = wire(m, data, "data")
        data = data | data[by:]
    return gather(m, data, size)


def pick(m: Module, which: Value, data: Value) -> Value:
    """What ``data`` has in the lane of ``which`` (one-hot); a lane of it has as many bits as fit."""
    data = data & spread(m, which, len(data) // len(which))
    for _ in range(ceil_log2(len(which))):
        data = wire(m, data, "picked")
        half = len(data) // 2
        data = data[:half] | data[half:]
    return data


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
