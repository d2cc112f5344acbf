"""docs/benchmarks.md: the rows of a run for readers, and what they do and do not say."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from .figures import COLUMNS, Row, told
from .measure import Result
from .plots import latency_plot, size_plot

#: What is compared with a goal, not with a peer.
UNITS_OF_GOALS = ("bytes/cycle", "cycles", "cycles/s")
_HEAD = """\
# Benchmarks

<!-- Written by `make bench ARGS="--docs docs"`. -->

{command}, on {machine}.

Each row compares tag34 with one other thing. All was measured in one run, the peers in turns; times of a shared machine
are comparable within such a run only. "Times better" is above 1 where tag34 is better, below 1 where the other one is.

- **Latency and jitter are what the gateware is for**: the time from the last byte that proves a gap to the first byte
  of the ResendRequest, and how much it varies. It is counted by the device, in cycles; nanoseconds are given only where
  the clock was routed.
- **Bytes per second are not.** A C++ scanner reads a message in memory faster than a datapath of up to eight bytes per
  cycle takes it in at an FPGA's clock: see the rows called *speed*. The gateware has to keep up with the line and lose
  no cycle: see *throughput* and *stalls*.
- The software is timed inside its process, from the call with a whole message in memory to the request in memory, and
  only while its thread has the processor. Network card, kernel, copies, the waking of a thread and the wait for the
  processor come on top of that, and most of its jitter with them; a device on the line has none of them.
- A device takes framing, CheckSum, numbers, order and requests off the processor. The rest of a session is done by the
  host: see *per message*. Ours is in Python.
"""


def machine() -> str:
    """This machine in a few words."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {platform.system()}, Python {platform.python_version()}"


def page(result: Result, command: str, plots: Sequence[tuple[str, str]]) -> str:
    """The page.

    Parameters: ``command`` that was run; ``plots``, title and file name of each.
    """
    parts = [_HEAD.format(command=f"`{command}`", machine=machine())]
    parts += [f"![{title}]({name})\n" for title, name in plots]
    parts += ["## Where software is better\n", *software_wins(result.rows), ""]
    groups: dict[str, list[Row]] = {}
    for row in result.rows:
        groups.setdefault(group(row), []).append(row)
    for title, rows in groups.items():
        parts.append(f"## {title}\n")
        parts.append(table(rows))
    if result.notes:
        parts.append("## Not measured\n")
        parts.append("\n".join(f"- {note}" for note in result.notes) + "\n")
    return "\n".join(parts)


def software_wins(rows: Sequence[Row]) -> list[str]:
    """The rows in which a peer is better, in words. Goals are no peers."""
    lost = [row for row in rows if row.ratio is not None and row.ratio < 1 and row.unit not in UNITS_OF_GOALS]
    if not lost:
        return ["In no row of this run."]
    return [
        f"- {row.name}: {row.peer} is {told(1 / row.ratio)} times better ({told(row.peer_value)} against "
        f"{told(row.value)} {row.unit})"
        for row in lost
        if row.ratio
    ]


def group(row: Row) -> str:
    """The heading that a row stands under."""
    first = row.name.partition(",")[0]
    return first[0].upper() + first[1:] if first.startswith("width") else "Host"


def table(rows: Sequence[Row]) -> str:
    """A table, with how things were measured as numbered notes below it."""
    hows = list(dict.fromkeys(row.how for row in rows))
    lines = ["| " + " | ".join([*(title for title, _, _ in COLUMNS), "how"]) + " |"]
    lines.append("|" + "|".join("--:" if number else "---" for *_, number in COLUMNS) + "|--:|")
    for row in rows:
        cells = [text(row) for _, text, _ in COLUMNS]
        lines.append("| " + " | ".join([*cells, str(hows.index(row.how) + 1)]) + " |")
    return "\n".join([*lines, "", *(f"{at}. {how}" for at, how in enumerate(hows, 1)), ""])


def write(result: Result, command: str, folder: Path) -> list[Path]:
    """Write page and plots to ``folder``. Returns the files."""
    drawn = {
        "benchmarks-latency.svg": latency_plot(result.latencies) if result.latencies else None,
        "benchmarks-size.svg": size_plot(result.clocks.all()),
    }
    titles = ("Latency distribution, logarithmic axis", "Clock and area over width and sessions")
    folder.mkdir(parents=True, exist_ok=True)
    files, shown = [], []
    for title, (name, text) in zip(titles, drawn.items(), strict=True):
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
            shown.append((title, name))
            files.append(folder / name)
    (folder / "benchmarks.md").write_text(page(result, command, shown), encoding="utf-8")
    return [folder / "benchmarks.md", *files]
