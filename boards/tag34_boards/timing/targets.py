"""Devices, goals, and the sizes that are measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tag34_hdl.layouts import Shape

from .tools import ToolError


@dataclass(frozen=True)
class Part:
    """A device as nextpnr knows it.

    Members: ``name`` (as on the command line), ``device`` (nextpnr's switch), ``package``, ``speed`` (speed grade: 6 is
    the slowest, 8 the fastest), ``mhz`` (the clock that is asked of place and route), ``options`` (for place and route,
    beyond those that all have).
    """

    name: str
    device: str
    package: str
    speed: int
    mhz: float
    options: tuple[str, ...] = ()


PARTS = {
    part.name: part
    for part in (
        Part("LFE5U-25F-6", "25k", "CABGA381", 6, 125.0),
        # Arcs that are too slow are routed anew.
        Part("LFE5U-85F-8", "85k", "CABGA381", 8, 156.25, ("--tmg-ripup",)),
    )
}

#: Seeds of a table's row.
SEEDS = 5
#: Session counts of the area table.
SESSIONS = (1, 16, 256)
#: How many times the LUTs of one session the largest count may take.
SESSIONS_LUT_LIMIT = 1.10


@dataclass(frozen=True)
class Goal:
    """A clock that has to be reached: ``mhz``, and what is hoped for beyond that (``target``, 0: nothing)."""

    mhz: float
    target: float
    what: str


#: By part and width.
GOALS = {
    ("LFE5U-25F-6", 1): Goal(125.0, 0.0, "1 Gbit/s"),
    ("LFE5U-85F-8", 8): Goal(156.25, 200.0, "10 Gbit/s"),
}


class NotBuilt(ToolError):
    """The gateware does not come in the size asked for."""


@dataclass(frozen=True)
class Size:
    """A size of the gateware that is measured.

    Parameters:
        width, sessions, max_message: of the shape. Messages of 2048 bytes leave half of the small device's block memory
            free; the area of many sessions is told with shorter ones, so that their memories fit into a device.

    The window is of 16 numbers, and 15 messages can be held, whatever the number of sessions: these are what differs.
    """

    width: int = 1
    sessions: int = 1
    max_message: int = 2048

    def __str__(self) -> str:
        return f"width {self.width}, sessions {self.sessions}, messages of {self.max_message} bytes"

    def as_data(self) -> dict[str, int]:
        """For a file, where there is no shape."""
        return asdict(self)

    def shape(self) -> Shape:
        """The shape.

        Raises NotBuilt for a size that cannot be built.
        """
        try:
            return Shape(width=self.width, sessions=self.sessions, window=16, max_message=self.max_message, hold=15)
        except ValueError as error:
            raise NotBuilt(f"not built: {error}") from None


#: Message size of the area table.
AREA_MESSAGE = 512


def part(name: str) -> Part:
    """A part by its name.

    Raises ToolError for one that is not known.
    """
    if name not in PARTS:
        raise ToolError(f"no part {name!r}: one of {', '.join(PARTS)}")
    return PARTS[name]
