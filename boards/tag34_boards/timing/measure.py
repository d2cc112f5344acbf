"""What is measured: the clock of a shape on a part, the area of a shape. Plain data that a file can keep."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tag34_hdl.layouts import Shape

from .area import Area
from .paths import Timed, timed

#: The parameters of a shape that matter here, in the order in which they are told.
SHAPE_KEYS = ("width", "sessions", "window", "max_message", "hold")


def key_of(shape: Shape) -> dict[str, int]:
    """A shape as plain data."""
    return {key: getattr(shape, key) for key in SHAPE_KEYS}


@dataclass(frozen=True)
class AreaOf:
    """Area of a shape: ``components`` by name, largest first, or why there is none (``failed``)."""

    width: int
    sessions: int
    shape: Mapping[str, int]
    components: Mapping[str, Area]
    failed: str = ""


@dataclass(frozen=True)
class ClockOf:
    """Clock of a shape on a part: ``mhz`` by seed, the worst paths of the worst seed, or why there is none
    (``failed``)."""

    part: str
    width: int
    sessions: int
    shape: Mapping[str, int]
    mhz: Mapping[int, float]
    paths: tuple[Timed, ...]
    components: Mapping[str, Area]
    failed: str = ""

    @property
    def median(self) -> float:
        """Median clock over the seeds; the lower one of the middle two."""
        return statistics.median_low(self.mhz.values())

    @property
    def worst_seed(self) -> int:
        """The seed with the slowest clock."""
        return min(self.mhz, key=lambda seed: (self.mhz[seed], seed))


@dataclass(frozen=True)
class Entry:
    """One run: which gateware (revision, changed since or not), which tools with which script and options, and what
    came out."""

    revision: str
    changed: bool
    tools: Mapping[str, str]
    script: str
    options: tuple[str, ...]
    clocks: tuple[ClockOf, ...]
    areas: tuple[AreaOf, ...]

    def as_data(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def areas_from(kept: Mapping[str, Mapping[str, int]]) -> dict[str, Area]:
    """Areas by component as a file keeps them."""
    return {name: Area(**area) for name, area in kept.items()}


def entry_from(kept: Mapping[str, Any]) -> Entry:
    """An entry as a file keeps it. Raises KeyError, TypeError or ValueError if it is none."""
    clocks = (
        ClockOf(
            **{
                **clock,
                "mhz": {int(seed): float(mhz) for seed, mhz in clock["mhz"].items()},
                "paths": tuple(timed(path) for path in clock["paths"]),
                "components": areas_from(clock["components"]),
            }
        )
        for clock in kept["clocks"]
    )
    areas = (AreaOf(**{**area, "components": areas_from(area["components"])}) for area in kept["areas"])
    options = tuple(kept["options"])
    return Entry(**{**kept, "options": options, "clocks": tuple(clocks), "areas": tuple(areas)})
