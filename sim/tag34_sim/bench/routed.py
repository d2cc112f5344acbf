"""What place and route has said: clocks and areas by width and sessions, from the files of `make timing`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Where the files are, the one that is believed first.
FILES = (Path("docs/timing-history.json"), Path("build/timing/timing.json"))


@dataclass(frozen=True)
class Routed:
    """One size on one device.

    Members: ``mhz``, median over the seeds, or None if only the area is known; ``lut4``; ``part``; ``origin``, where
    that was read.
    """

    width: int
    sessions: int
    part: str
    mhz: float | None
    lut4: int | None
    origin: str


class Clocks:
    """Clocks and areas that are known. Nothing is assumed: what was not routed is not there.

    Parameters: ``root``, the folder of the project. Files that cannot be read are passed over; ``notes`` says so.
    """

    def __init__(self, root: Path) -> None:
        self._known: list[list[Routed]] = []
        self.notes: list[str] = []
        for name in FILES:
            try:
                kept = json.loads((root / name).read_text(encoding="utf-8"))
                self._known.append((history if isinstance(kept, list) else single)(kept, str(name)))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                self.notes.append(f"{name} is not understood: {error!r}")

    def of(self, width: int, sessions: int = 1) -> Routed | None:
        """The fastest clock at this width: with as many sessions if that was routed, else with one."""
        for known in self._known:
            found = [one for one in known if one.width == width and one.mhz is not None]
            for wanted in (sessions, 1):
                same = [one for one in found if one.sessions == wanted]
                if same:
                    return max(same, key=lambda one: one.mhz or 0.0)
        return None

    def all(self) -> list[Routed]:
        """What the first file says that says anything, for a plot."""
        return next((known for known in self._known if known), [])


def history(entries: list[Mapping[str, Any]], origin: str) -> list[Routed]:
    """Of a history of `make timing`, the newest entry."""
    if not entries:
        return []
    newest = entries[-1]
    where = f"{origin}, {newest['revision']}"
    found = [one(clock, clock["part"], clock["mhz"].values(), where) for clock in newest["clocks"] if clock["mhz"]]
    return found + [one(area, "", (), where) for area in newest["areas"] if area["components"]]


def one(kept: Mapping[str, Any], part: str, mhz: Iterable[float], where: str) -> Routed:
    """A clock, or an area alone."""
    speeds = [float(value) for value in mhz]
    lut4 = sum(int(area["lut4"]) for area in kept.get("components", {}).values())
    clock = statistics.median_low(speeds) if speeds else None
    return Routed(int(kept["width"]), int(kept["sessions"]), part, clock, lut4 or None, where)


def single(kept: Mapping[str, Any], origin: str) -> list[Routed]:
    """Of a file with the routes of one size."""
    speeds = [float(route["mhz"]) for route in kept["routed"]]
    shape = kept["shape"]
    area = [int(area["lut4"]) for area in kept["area"] if area["component"] == "core, all"]
    lut4 = area[0] if area else None
    where = (int(shape["width"]), int(shape["sessions"]), str(kept["part"]))
    return [Routed(*where, statistics.median_low(speeds), lut4, origin)] if speeds else []
