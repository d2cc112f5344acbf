"""The worst path, told by component: where it begins and ends, what it passes through, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .ring import Design
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
    def text(self) -> str:
        """``from -> to``, then each component passed with its nanoseconds and levels."""
        ways = ", ".join(f"{one.component} {one.ns:.1f} ns / {one.levels}" for one in self.segments)
        return f"{self.start} -> {self.end} ({ways})"


def place_of(cell: str, design: Design) -> Place:
    """Component and signal that a routed cell's name tells of.

    The components are the parts of what is in the ring, and this itself for what is in none of them.
    """
    name = CELL_SUFFIX.sub("", cell)
    inside, dot, rest = name.partition(".")
    if inside != design.top or not dot:
        return Place(RING, name)
    part, _, signal = rest.partition(".")
    return Place(part, signal) if part in design.parts else Place(design.top, rest)


def worst_paths(report: Mapping[str, Any], design: Design) -> tuple[Timed, ...]:
    """The paths between registers that nextpnr's report names, worst first.

    Raises ToolError if the report names none.
    """
    found = [path_of(path["path"], design) for path in report.get("critical_paths", ()) if path["from"] == path["to"]]
    if not found:
        raise ToolError("the report names no path between registers")
    return tuple(sorted(found, key=lambda path: -path.ns))


def path_of(steps: list[Mapping[str, Any]], design: Design) -> Timed:
    """A path of nextpnr's report: its steps are cells (``clk-to-q``, ``logic``, ``setup``) and the wires between."""
    segments: list[list[Any]] = []
    for step in steps:
        # A wire counts for where it leads to.
        component = place_of(step["to"]["cell"], design).component
        if not segments or segments[-1][0] != component:
            segments.append([component, 0.0, 0])
        segments[-1][1] += step["delay"]
        segments[-1][2] += step["type"] == "logic"
    return Timed(
        start=place_of(steps[0]["from"]["cell"], design),
        end=place_of(steps[-1]["to"]["cell"], design),
        ns=sum(step["delay"] for step in steps),
        routing_ns=sum(step["delay"] for step in steps if step["type"] == "routing"),
        segments=tuple(Segment(*segment) for segment in segments),
    )
