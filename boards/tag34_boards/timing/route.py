"""Place and route with nextpnr. What has been routed of the same netlist with the same options is not routed again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .paths import Timed, timed, worst_paths
from .sdf import read_delays
from .synthesis import Netlist, digest
from .targets import Part
from .tools import NEXTPNR, ToolError, run, tool, version

#: Options beyond those that name the part, the clock and the seed. Wires are most of every long path: the placer is to
#: mind them more than it does by itself (10).
OPTIONS: tuple[str, ...] = ("--placer-heap-timingweight", "100")
#: So many worst paths are looked for.
PATHS = 10
#: Version of what is kept of a route.
KEPT = "1"


@dataclass(frozen=True)
class Routed:
    """Result of one place and route: ``mhz`` reached with ``seed``, and the worst paths between registers, the worst
    first, one for each pair of signals."""

    seed: int
    mhz: float
    paths: tuple[Timed, ...]


def route(netlist: Netlist, part: Part, seed: int, options: Sequence[str] = OPTIONS) -> Routed:
    """Place and route a netlist for a part with a seed, with ``options`` and those of the part.

    Raises ToolError if the tool is missing or fails, for instance because the design does not fit.
    """
    arguments = [
        *(f"--{part.device}", "--package", part.package, "--speed", str(part.speed)),
        *("--freq", str(part.mhz), "--seed", str(seed), *options, *part.options),
        *("--timing-allow-fail", "--lpf-allow-unconstrained"),
    ]
    stem = f"route-{part.name}-{seed}-{digest(netlist.hash, version(NEXTPNR), KEPT, *arguments)}"
    report, delays, unfinished = (netlist.folder / f"{stem}.{end}" for end in ("json", "sdf", "part"))
    if not report.exists():
        command = [tool(NEXTPNR), *arguments, "--json", netlist.json.name]
        run([*command, "--report", unfinished.name, "--sdf", delays.name], netlist.folder / f"{stem}.log")
        mhz = clock_of(unfinished)
        paths = worst_paths(read_delays(delays), netlist.design, PATHS)
        report.write_text(json.dumps({"mhz": mhz, "paths": [asdict(path) for path in paths]}, indent=1) + "\n")
        delays.unlink()  # large
        unfinished.unlink()
    kept = json.loads(report.read_text())
    return Routed(seed, kept["mhz"], tuple(timed(path) for path in kept["paths"]))


def clock_of(report: Path) -> float:
    """What nextpnr's report says of the one clock, in MHz.

    Raises ToolError if it is not such a report.
    """
    try:
        (clock,) = json.loads(report.read_text())["fmax"].values()
        return round(float(clock["achieved"]), 1)
    except (KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{report} is no report of a design with one clock: {error!r}") from None
