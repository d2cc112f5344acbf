"""The file that keeps what was measured, one entry per recorded run, and the comparison with it."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .area import Area, total
from .measure import AreaOf, ClockOf, Entry, entry_from
from .table import Table
from .tools import ToolError

#: What makes the gateware: a commit that changes none of it is not named.
GATEWARE = ("hdl", "host/tag34/contract")


def revision(root: Path, parts: Sequence[str] = GATEWARE) -> tuple[str, bool]:
    """The last commit that changed the gateware (or other ``parts``), and whether it has been changed since then.

    Raises ToolError outside a git repository.
    """
    try:
        found = git(root, "log", "-1", "--format=%h", "--", *parts)
        return found, bool(git(root, "status", "--porcelain", "--", *parts))
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"git does not tell the gateware's revision: {error}") from None


def git(root: Path, *arguments: str) -> str:
    """What git says."""
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def load(path: Path) -> list[Entry]:
    """Entries of a history file, oldest first; none if there is no file.

    Raises ToolError if it is no history file.
    """
    if not path.exists():
        return []
    try:
        return [entry_from(kept) for kept in json.loads(path.read_text())]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{path} is no history of timing: {error!r}") from None


def add(path: Path, entry: Entry) -> list[Entry]:
    """Add an entry to a history file; it takes the newest one's place if that is of the same gateware and tools.

    Of older entries only the worst path is kept. Returns all entries.
    """
    entries = load(path)
    if entries and not entries[-1].changed and same_run(entries[-1], entry):
        entries.pop()
    entries = [replace(old, clocks=tuple(replace(c, paths=c.paths[:1]) for c in old.clocks)) for old in entries]
    entries.append(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([kept.as_data() for kept in entries], indent=1) + "\n")
    return entries


def same_run(one: Entry, other: Entry) -> bool:
    """Whether two entries are of the same gateware, measured in the same way."""
    how = ("revision", "changed", "tools", "script", "options")
    return all(getattr(one, key) == getattr(other, key) for key in how)


def shape_key(measured: ClockOf | AreaOf) -> tuple[tuple[str, int], ...]:
    """What areas have to have in common to be compared; clocks are of the same part, too."""
    return tuple(sorted(measured.shape.items()))


def by_shape(entry: Entry) -> dict[tuple[tuple[str, int], ...], ClockOf | AreaOf]:
    """What has an area, each shape once."""
    measured: tuple[ClockOf | AreaOf, ...] = (*entry.areas, *entry.clocks)
    return {shape_key(one): one for one in measured if one.components}


def compare(before: Entry, now: Entry) -> tuple[Table, Table]:
    """Two entries side by side: clocks (medians over the seeds that both have), and areas by component."""
    clocks = Table(["part", "width", "sessions", "seeds", "MHz before", "MHz now", "change", "worst path now"])
    old_clocks = {(clock.part, shape_key(clock)): clock for clock in before.clocks}
    for clock in now.clocks:
        old = old_clocks.get((clock.part, shape_key(clock)))
        what = (clock.part, clock.width, clock.sessions)
        seeds = sorted(set(clock.mhz) & set(old.mhz if old else ()))
        if clock.failed or old is None or not seeds:
            told = f"{clock.median}" if clock.mhz else "-"
            clocks.rows.append((*what, len(clock.mhz), "-", told, "-", clock.failed or clock.paths[0].text))
            continue
        was, is_now = (statistics.median_low(one.mhz[seed] for seed in seeds) for one in (old, clock))
        clocks.rows.append((*what, len(seeds), was, is_now, change(was, is_now), clock.paths[0].text))

    areas = Table(["width", "sessions", "component", "LUT4", "was", "FF", "was", "block memories", "was"])
    old_areas = by_shape(before)
    for key, one in by_shape(now).items():
        if key not in old_areas:
            continue
        for name, new_area, old_area in pairs(old_areas[key].components, one.components):
            if new_area != old_area or name == "all":
                both = zip(vars(new_area).values(), vars(old_area).values(), strict=True)
                areas.rows.append((one.width, one.sessions, name, *(cell for pair in both for cell in pair)))
    return clocks, areas


def pairs(before: Mapping[str, Area], now: Mapping[str, Area]) -> list[tuple[str, Area, Area]]:
    """Components of both, with nothing where one has none; all together last."""
    nothing = Area(0, 0, 0)
    names = [*now, *(name for name in before if name not in now)]
    rows = [(name, now.get(name, nothing), before.get(name, nothing)) for name in names]
    return [*rows, ("all", total(now), total(before))]


def change(before: float, now: float) -> str:
    """In percent of what was."""
    return f"{100 * (now - before) / before:+.1f} %"
