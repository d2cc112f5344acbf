"""Devices, goals, and the shapes that are measured."""

from __future__ import annotations

from dataclasses import dataclass

from tag34_hdl.layouts import Shape

from .tools import ToolError


@dataclass(frozen=True)
class Part:
    """A device as nextpnr knows it.

    Members: ``name`` (as on the command line), ``device`` (nextpnr's switch), ``package``, ``speed`` (speed grade: 6 is
    the slowest, 8 the fastest), ``mhz`` (the clock that is asked of place and route).
    """

    name: str
    device: str
    package: str
    speed: int
    mhz: float


PARTS = {
    part.name: part
    for part in (
        Part("LFE5U-25F-6", "25k", "CABGA381", 6, 125.0),
        Part("LFE5U-85F-8", "85k", "CABGA381", 8, 156.25),
    )
}

#: The clock that has to be reached, MHz, by part and width: 1 GbE's line rate, and 10 GbE's.
GOALS = {("LFE5U-25F-6", 1): 125.0, ("LFE5U-85F-8", 8): 156.25}
#: What is hoped for beyond that.
TARGETS = {("LFE5U-85F-8", 8): 200.0}

WIDTHS = (1, 2, 4, 8)
#: Session counts of the area table. 256 may have at most so many times the LUTs of 1.
SESSIONS = (1, 16, 256)
SESSIONS_LUT_LIMIT = 1.10


def shape(width: int, sessions: int, mhz: float = 125.0) -> Shape:
    """The shape that is measured: a window and messages of a size that leaves half of the small device's block memory
    free; 15 messages held, whatever the number of sessions, so that the area of sessions is what differs.

    Raises ToolError for a shape that cannot be built.
    """
    try:
        return Shape(width=width, sessions=sessions, window=16, max_message=2048, hold=15, clock_hz=int(mhz * 1e6))
    except ValueError as error:
        raise ToolError(f"width {width}, {sessions} sessions cannot be built: {error}") from None


def part(name: str) -> Part:
    """A part by its name.

    Raises ToolError for one that is not known.
    """
    if name not in PARTS:
        raise ToolError(f"no part {name!r}: one of {', '.join(PARTS)}")
    return PARTS[name]
