"""Values of a bit for each of many: what is asked of each is asked of all of them in one operation.

To hardware this is the same; a simulator executes one instruction where it would take several for each bit
(docs/decisions/0016). ``m`` is where logic goes: a module of its own where it would be said under a condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth import C, Cat, Module, Signal, Value
from amaranth.utils import ceil_log2


def wire(m: Module, value: Value, name: str = "lanes") -> Signal:
    """A signal for what is asked more than once: Amaranth writes an expression down as often as it occurs."""
    result = Signal(len(value), name=name)
    m.d.comb += result.eq(value)
    return result


def any_of(lanes: Iterable[Value]) -> Value:
    """Lanes that are in one of several values."""
    return reduce(or_, lanes)


def up(lanes: Value, by: int) -> Value:
    """Each bit so many lanes further up."""
    return Cat(C(0, by), lanes)[: len(lanes)]


def down(lanes: Value, by: int) -> Value:
    """Each bit so many lanes further down."""
    return Cat(lanes[by:], C(0, min(by, len(lanes))))


def from_first(m: Module, lanes: Value) -> Value:
    """All lanes from the first bit on."""
    lanes = wire(m, lanes)
    return wire(m, Cat(lanes[: lane + 1].any() for lane in range(len(lanes))), "since")


def to_last(m: Module, lanes: Value) -> Value:
    """All lanes up to the last bit."""
    lanes = wire(m, lanes)
    return wire(m, Cat(lanes[lane:].any() for lane in range(len(lanes))), "until")


def runs(m: Module, lanes: Value, longest: int) -> list[Value]:
    """For each length up to ``longest``: lanes that so many bits end in. A lane below the first one has none."""
    result = [C(-1, len(lanes)), wire(m, lanes, "run_1")]
    for length in range(2, longest + 1):
        half = 1 << ceil_log2(length) - 1
        result.append(wire(m, result[half] & up(result[half], length - half), f"run_{length}"))
    return result


def gather(m: Module, data: Value, size: int) -> Value:
    """The lowest bit of each lane, where a lane has ``size`` bits."""
    count = -(-len(data) // size)
    group = 1  # bits that are side by side
    data = data & _groups(count, group, size)
    while group < count:
        data = wire(m, data, "gathered")
        data = data | data[(size - 1) * group :]
        group *= 2
        data = data & _groups(count, group, size)
    return data[:count]


def apart(m: Module, lanes: Value, size: int) -> Value:
    """Each bit as the lowest one of a lane of ``size`` bits: what :func:`gather` undoes."""
    count = len(lanes)
    data = wire(m, lanes)
    for step in reversed(range(ceil_log2(count))):
        moved = Cat(C(0, (size - 1) << step), data)
        data = wire(m, (data | moved) & _groups(count, 1 << step, size), "apart")
    return data


def spread(m: Module, lanes: Value, size: int) -> Value:
    """Each bit ``size`` times (a power of two)."""
    data = apart(m, lanes, size)
    for step in range(ceil_log2(size)):
        data = wire(m, (data | Cat(C(0, 1 << step), data))[: size * len(lanes)], "spread")
    return data


def _groups(count: int, group: int, size: int) -> Value:
    """A mask of ``count`` lanes: so many bits side by side at the first one of ``group`` lanes each."""
    bits = sum((1 << group) - 1 << place * size for place in range(0, count, group))
    return C(bits & (1 << size * count) - 1, size * count)


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
