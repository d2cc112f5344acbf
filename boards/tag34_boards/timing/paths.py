"""The worst path, told by component: where it begins and ends, what it passes through, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .ring import Design
from .sdf import Delays, Step
from .tools import ToolError

#: What Yosys and nextpnr add to a signal's name when they name a cell after it.
CELL_SUFFIX = re.compile(r"_(TRELLIS_FF|TRELLIS_DPR16X4|TRELLIS_COMB|LUT4|PFUMX|L6MUX21|CCU2C|DP16KD)(_.*|\$.*)?$")
#: Signals of the ring stand for it.
RING = "(ring)"


@dataclass(frozen=True)
class Place:
    """A component, and the signal that a cell in it was named after."""

    component: str
    signal: str

    def __str__(self) -> str:
        return f"{self.component}.{self.signal}" if self.signal else self.component


@dataclass(frozen=True)
class Segment:
    """A stretch of a path within one component: nanoseconds and levels of logic. The way to it belongs to it."""

    component: str
    ns: float
    levels: int


@dataclass(frozen=True)
class Timed:
    """A path from register to register. ``ns`` is all of it, ``routing_ns`` what of that is wires."""

    start: Place
    end: Place
    ns: float
    routing_ns: float
    segments: tuple[Segment, ...]

    @property
    def levels(self) -> int:
        """LUTs (with the multiplexers behind them) and carries passed."""
        return sum(segment.levels for segment in self.segments)

    @property
    def through(self) -> str:
        """Each component passed, with its nanoseconds and levels."""
        return ", ".join(f"{one.component} {one.ns:.1f} / {one.levels}" for one in self.segments)

    @property
    def text(self) -> str:
        """``from -> to``, then what is passed."""
        return f"{self.start} -> {self.end} ({self.through})"


def timed(kept: Mapping[str, Any]) -> Timed:
    """A path as :func:`dataclasses.asdict` made a mapping of it."""
    return Timed(
        start=Place(**kept["start"]),
        end=Place(**kept["end"]),
        ns=kept["ns"],
        routing_ns=kept["routing_ns"],
        segments=tuple(Segment(**segment) for segment in kept["segments"]),
    )


def place_of(cell: str, design: Design) -> Place:
    """Component and signal that a routed cell's name tells of.

    The components are the parts of what is in the ring, and this itself for what is in none of them.
    """
    # Numbers that Amaranth appends to keep names apart change with what stands beside them.
    name = re.sub(r"\$\d+", "", CELL_SUFFIX.sub("", cell))
    inside, dot, rest = name.partition(".")
    if inside != design.top or not dot:
        return Place(RING, name)
    part, _, signal = rest.partition(".")
    return Place(part, signal) if part in design.parts else Place(design.top, rest)


def path_of(steps: Sequence[Step], design: Design) -> Timed:
    """A path by component. A carry chain is one level, however long."""
    segments: list[list[Any]] = []
    for number, step in enumerate(steps):
        place = place_of(step.cell, design)
        # Cells that nextpnr made have no component in their names: they belong to what leads there.
        made = place.component == RING and place.signal.startswith("$nextpnr") and segments
        component = segments[-1][0] if made else place.component
        if not segments or segments[-1][0] != component:
            segments.append([component, 0.0, 0])
        segments[-1][1] += step.ns
        segments[-1][2] += not step.wire and not step.carry and 0 < number < len(steps) - 1
    return Timed(
        start=place_of(steps[0].cell, design),
        end=place_of(steps[-1].cell, design),
        ns=round(sum(step.ns for step in steps), 3),
        routing_ns=round(sum(step.ns for step in steps if step.wire), 3),
        segments=tuple(Segment(component, round(ns, 3), levels) for component, ns, levels in segments),
    )


def worst_paths(delays: Delays, design: Design, count: int) -> tuple[Timed, ...]:
    """So many worst paths, worst first, of each pair of signals (all bits of them) the worst one."""
    found: dict[tuple[Place, Place], Timed] = {}
    for _ps, end in delays.ends():
        path = path_of(delays.path(end), design)
        found.setdefault((path.start, path.end), path)
        if len(found) == count:
            break
    if not found:
        raise ToolError("there is no path between registers")
    return tuple(found.values())
