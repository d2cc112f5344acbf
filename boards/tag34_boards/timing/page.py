"""Tables of an entry, and docs/timing.md, which is made of the newest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .area import Area, total
from .measure import AreaOf, ClockOf, Entry
from .paths import Timed
from .table import Table
from .targets import GOALS, PARTS, SESSIONS, SESSIONS_LUT_LIMIT

REACHED, MISSED = "reached", "MISSED"


def verdict(clock: ClockOf) -> str:
    """What became of the goal, if there is one for the part and width; what was not measured has missed it."""
    goal = GOALS.get((clock.part, clock.width))
    if goal is None:
        return ""
    return REACHED if not clock.failed and clock.median >= goal.mhz else MISSED


def clock_table(clocks: Sequence[ClockOf]) -> Table:
    """Clock by part and size, with the goal where there is one."""
    table = Table(["part", "width", "sessions", "seeds", "median MHz", "worst", "best", "goal", "", "worst path"])
    for clock in clocks:
        goal = GOALS.get((clock.part, clock.width))
        mhz = clock.mhz.values()
        measured = ("", "", "", "") if clock.failed else (len(mhz), clock.median, min(mhz), max(mhz))
        worst = clock.failed or clock.paths[0].text
        row = (*measured, f"{goal.mhz:g}" if goal else "", verdict(clock), worst)
        table.rows.append((clock.part, clock.width, clock.sessions, *row))
    return table


def path_table(paths: Sequence[Timed]) -> Table:
    """Paths one below the other."""
    table = Table(["ns", "wires", "levels", "from", "to", "through (ns / levels)"])
    for path in paths:
        row = (f"{path.ns:.1f}", f"{path.routing_ns:.1f}", path.levels, path.start, path.end, path.through)
        table.rows.append(row)
    return table


def component_table(components: Mapping[str, Area]) -> Table:
    """Area by component, all together in the last row."""
    table = Table(["component", "LUT4", "flip-flops", "block memories"])
    for name, area in {**components, "all": total(components)}.items():
        table.rows.append((name, area.lut4, area.flip_flops, area.block_memories))
    return table


def area_tables(areas: Sequence[AreaOf]) -> list[tuple[int, Table]]:
    """For each width that was measured the area by component, with three columns for a session count."""
    tables = []
    for width in dict.fromkeys(area.width for area in areas if not area.failed):
        built = [area for area in areas if area.width == width and not area.failed]
        heads = (f"{what} ({area.sessions})" for area in built for what in ("LUT4", "FF", "BM"))
        table = Table(["component (sessions)", *heads])
        names = dict.fromkeys(name for area in built for name in area.components)
        cells = {name: [area.components.get(name, Area(0, 0, 0)) for area in built] for name in names}
        cells["all"] = [total(area.components) for area in built]
        for name, row in cells.items():
            table.rows.append((name, *(number for cell in row for number in vars(cell).values())))
        tables.append((width, table))
    return tables


def session_lines(areas: Sequence[AreaOf]) -> list[str]:
    """How much larger the largest session count is than one session, by width; and what was not measured."""
    lines = []
    largest = max(SESSIONS)
    by_size = {(area.width, area.sessions): area for area in areas}
    limit = f"+{100 * (SESSIONS_LUT_LIMIT - 1):.0f} %"
    for width in dict.fromkeys(area.width for area in areas):
        one, many = by_size.get((width, 1)), by_size.get((width, largest))
        if one and many and not one.failed and not many.failed:
            more = total(many.components).lut4 / total(one.components).lut4
            found = REACHED if more <= SESSIONS_LUT_LIMIT else MISSED
            told = f"{largest} sessions take {100 * (more - 1):+.1f} % LUT4 against one"
            lines.append(f"Width {width}: {told}; the goal of at most {limit} is {found}.")
    lines += [f"Width {area.width}, {area.sessions} sessions: {area.failed}." for area in areas if area.failed]
    return lines


def goal_lines(clocks: Sequence[ClockOf]) -> list[str]:
    """What became of each goal that was measured."""
    lines = []
    for clock in clocks:
        goal = GOALS.get((clock.part, clock.width))
        if goal is None:
            continue
        what = f"{goal.what}: width {clock.width} at {goal.mhz:g} MHz on {clock.part}"
        if clock.failed:
            lines.append(f"{what}: {MISSED} ({clock.failed}).")
            continue
        beyond = f"; beyond that {goal.target:g} MHz are hoped for" if goal.target else ""
        seeds = f"median of {len(clock.mhz)} seeds, worst {min(clock.mhz.values())} MHz (seed {clock.worst_seed})"
        lines.append(f"{what}: {verdict(clock)} with {clock.median} MHz, {seeds}{beyond}.")
    return lines


def markdown(entry: Entry) -> str:
    """docs/timing.md."""
    parts = ", ".join(f"{part.name} ({part.package}, {part.mhz:g} MHz asked for)" for part in PARTS.values())
    tools = ", ".join(f"{name} {version}" for name, version in entry.tools.items())
    changed = ", with changes that are in no commit" if entry.changed else ""
    history = "`make timing-diff` compares a change with it, and [timing-history.json](timing-history.json) keeps it."
    lines = [
        "# Timing and area",
        "",
        f"Made by `make timing`. {history}",
        "[Decision 15](decisions/0015-timing-tools.md) says how it is measured.",
        "",
        f"Gateware of commit {entry.revision}{changed}.",
        f"Parts: {parts}. Tools: {tools}.",
        "",
        "## Goals",
        "",
        *(f"- {line}" for line in (*goal_lines(entry.clocks), *session_lines(entry.areas))),
        "",
        "## Clock",
        "",
        "The whole core after place and route, within a ring of registers. Window 16, messages of up to 2048 bytes, 15",
        "of them held. A path (of the slowest seed) is told by the signals at its ends, then by component: ns / levels",
        "of logic. A carry chain is one level.",
        "",
        clock_table(entry.clocks).markdown(),
        "",
    ]
    for clock in entry.clocks:
        if not clock.failed:
            lines += [
                f"### Worst paths: width {clock.width}, {clock.part}",
                "",
                f"Of seed {clock.worst_seed}, the slowest; each pair of signals once.",
                "",
                path_table(clock.paths).markdown(),
                "",
            ]
    lines += [
        "## Area",
        "",
        "LUT4 (a carry cell counts as two, 16 x 4 bits of distributed memory as four), flip-flops (FF) and block",
        "memories of 18 kbit (BM) after synthesis, by width x sessions. Window 16, messages of up to 512 bytes, 15 of",
        "them held over all sessions. Logic between two components may be one cell; it counts for the one it is named",
        "after.",
        "",
    ]
    for width, table in area_tables(entry.areas):
        lines += [f"### Width {width}", "", table.markdown(), ""]
    return "\n".join(lines)
