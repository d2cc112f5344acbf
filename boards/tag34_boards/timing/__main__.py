"""The command behind `make timing`, `make area` and `make timing-diff`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tag34.contract import WIDTHS

from . import history
from .matrix import Bench
from .measure import AreaOf, ClockOf, Entry
from .page import area_tables, clock_table, component_table, goal_lines, markdown, path_table, session_lines
from .ring import COMPONENTS
from .route import OPTIONS
from .synthesis import BEHIND, SCRIPT
from .targets import AREA_MESSAGE, GOALS, PARTS, SEEDS, SESSIONS, Size, part
from .tools import NEXTPNR, YOSYS, ToolError, version

ROOT = Path(__file__).resolve().parents[3]
HISTORY = ROOT / "docs" / "timing-history.json"
PAGE = ROOT / "docs" / "timing.md"


def numbers(text: str) -> list[int]:
    """``1,2,4`` as a list."""
    try:
        found = [int(item) for item in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 1,2,4") from None
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers from 1 on")
    return found


def positive(text: str) -> int:
    """A number from 1 on."""
    found = numbers(text)
    if len(found) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one number")
    return found[0]


def parts(text: str) -> list[str]:
    """Names of parts, separated by commas."""
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no part {unknown[0]!r}: of {', '.join(PARTS)}")
    return names


def say(line: str) -> None:
    """How far it is, on stderr: the tables are what is of use to others."""
    print(line, file=sys.stderr, flush=True)


def failed(rows: list[ClockOf] | list[AreaOf]) -> bool:
    """Whether a tool failed, or nothing at all was measured."""
    return any(row.failed and not row.failed.startswith("not built") for row in rows) or all(row.failed for row in rows)


def one_component(bench: Bench, options: argparse.Namespace) -> bool:
    """Clock and area of one component alone, for each width, part and session count asked for."""
    cells = [
        (part(name), Size(width, count))
        for name in options.parts or list(PARTS)[:1]
        for width in options.widths or [1]
        for count in options.sessions or [1]
    ]
    clocks = bench.clocks(cells, range(1, (options.seeds or 1) + 1))
    for clock in clocks:
        print(f"\n{bench.component}, width {clock.width}, sessions {clock.sessions}, {clock.part}")
        if clock.failed:
            print(clock.failed)
            continue
        print(f"\n{component_table(dict(clock.components)).text()}\n\n{path_table(clock.paths).text()}\n")
        seeds = ", ".join(f"{mhz} (seed {seed})" for seed, mhz in clock.mhz.items())
        print(f"{clock.median} MHz; by seed: {seeds}")
    return not failed(clocks)


def clocks_and_areas(bench: Bench, options: argparse.Namespace) -> bool:
    """The tables; the default matrix is recorded, and the page made of it."""
    if options.sample:
        options.widths, options.parts, options.seeds, options.sessions = [1], list(PARTS)[:1], 1, [1]
    limited = any((options.widths, options.parts, options.seeds, options.sessions, options.goals))
    widths = options.widths or list(WIDTHS)
    if options.goals:
        widths = [width for width in widths if any(width == wanted for _, wanted in GOALS)]
    cells = [
        (part(name), Size(width, count))
        for name in options.parts or list(PARTS)
        for width in widths
        for count in options.sessions or [1]
        if not options.goals or (name, width) in GOALS
    ]
    clocks = bench.clocks(cells, range(1, (options.seeds or SEEDS) + 1))
    areas = [] if limited and not options.record else bench.areas(area_sizes(widths, options.sessions or SESSIONS))
    entry = entry_of(clocks, areas)
    print_entry(entry)
    good = not failed(clocks) and not (areas and failed(areas))
    if options.record or not limited:
        if not good:
            raise ToolError("not recorded, as not all of it was measured")
        history.add(HISTORY, entry)
        PAGE.write_text(markdown(entry))
        print(f"\nrecorded in {HISTORY.relative_to(ROOT)}, {PAGE.relative_to(ROOT)} is made of it")
    return good


def area_sizes(widths: list[int], sessions: list[int] | tuple[int, ...]) -> list[Size]:
    """Rows of the area table."""
    return [Size(width, count, AREA_MESSAGE) for width in widths for count in sessions]


def entry_of(clocks: list[ClockOf], areas: list[AreaOf]) -> Entry:
    """An entry of this tree."""
    revision, changed = history.revision(ROOT)
    tools = {name: version(name) for name in (YOSYS, NEXTPNR)}
    options = (*OPTIONS, *(f"{part.name}: {' '.join(part.options)}" for part in PARTS.values() if part.options))
    return Entry(revision, changed, tools, f"{SCRIPT}# {BEHIND}\n", options, tuple(clocks), tuple(areas))


def print_entry(entry: Entry) -> None:
    """An entry for a terminal."""
    print(f"\n{clock_table(entry.clocks).text()}")
    for clock in entry.clocks:
        if not clock.failed:
            size = f"width {clock.width}, sessions {clock.sessions}"
            print(f"\nworst paths: {size}, {clock.part}, seed {clock.worst_seed}")
            print(f"\n{path_table(clock.paths).text()}")
            print(f"\n{component_table(dict(clock.components)).text()}")
    print_areas(entry.areas)
    print("\n" + "\n".join(goal_lines(entry.clocks)))


def print_areas(areas: list[AreaOf] | tuple[AreaOf, ...]) -> None:
    """Areas for a terminal, a table for each width."""
    for width, table in area_tables(areas):
        print(f"\nwidth {width}\n\n{table.text()}")
    if lines := session_lines(areas):
        print("\n" + "\n".join(lines))


def areas_only(bench: Bench, options: argparse.Namespace) -> bool:
    """Area by component, width and session count."""
    areas = bench.areas(area_sizes(options.widths or list(WIDTHS), options.sessions or SESSIONS))
    print_areas(areas)
    return not failed(areas)


def difference(bench: Bench, options: argparse.Namespace) -> bool:
    """This tree against the newest entry of the history, for what that one measured."""
    entries = history.load(HISTORY)
    if not entries:
        raise ToolError(f"{HISTORY.relative_to(ROOT)} has no entry to compare with: make timing")
    before = entries[-1]
    cells = [
        (part(clock.part), Size(clock.width, clock.sessions, clock.shape["max_message"]))
        for clock in before.clocks
        if (not options.parts or clock.part in options.parts)
        and (not options.widths or clock.width in options.widths)
        and not clock.failed
    ]
    if not cells:
        raise ToolError("the newest entry has none of the widths and parts asked for")
    clocks = bench.clocks(cells, range(1, (options.seeds or 1) + 1))
    tables = history.compare(before, entry_of(clocks, []))
    print(f"\nagainst commit {before.revision}, the last one recorded\n")
    print("\n\n".join(table.text() for table in tables if table.rows))
    return not failed(clocks)


def arguments_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make timing", description="Clock and area of the gateware on ECP5.")
    parser.add_argument("what", nargs="?", choices=("timing", "area", "diff"), default="timing")
    parser.add_argument(
        "--component", metavar="NAME", help=f"one component alone: module:Class or one of {', '.join(COMPONENTS)}"
    )
    parser.add_argument("--sample", action="store_true", help="one shape, one seed")
    parser.add_argument("--goals", action="store_true", help="only the widths and parts that a clock is set for")
    parser.add_argument("--widths", "--width", type=numbers, metavar="N,N", help="default: all, or 1 with --component")
    parser.add_argument("--parts", "--part", type=parts, metavar="NAME,NAME", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--sessions", type=numbers, metavar="N,N", help="default: 1; of the area table 1,16,256")
    parser.add_argument("--seeds", type=positive, metavar="N", help=f"default: {SEEDS}; else 1")
    parser.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="tools at a time")
    parser.add_argument("--record", action="store_true", help="record also what is not the whole matrix")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "timing", help="folder for netlists and logs")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Status 1 if a tool is missing or fails, or nothing could be built."""
    options = arguments_of(arguments)
    bench = Bench(options.build, options.jobs, say, options.component or "core")
    commands = {"timing": clocks_and_areas, "area": areas_only, "diff": difference}
    run = one_component if options.component else commands[options.what]
    try:
        return 0 if run(bench, options) else 1
    except ToolError as error:
        print(f"timing: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
