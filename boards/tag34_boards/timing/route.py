"""Place and route with nextpnr. What has been routed of the same netlist with the same options is not routed again."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .paths import Timed, worst_paths
from .ring import Design
from .synthesis import Netlist, digest
from .targets import Part
from .tools import NEXTPNR, ToolError, run, tool, version

#: Options beyond those that name the part, the clock and the seed.
OPTIONS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Routed:
    """Result of one place and route: ``mhz`` reached with ``seed``, and the worst paths between registers, worst first
    (nextpnr tells one)."""

    seed: int
    mhz: float
    paths: tuple[Timed, ...]


def median(routed: Sequence[Routed]) -> float:
    """Median clock of some seeds; the lower one of the middle two."""
    return statistics.median_low(result.mhz for result in routed)


def route(netlist: Netlist, part: Part, seed: int, options: Sequence[str] = OPTIONS) -> Routed:
    """Place and route a netlist for a part with a seed.

    Raises ToolError if the tool is missing or fails, for instance because the design does not fit.
    """
    arguments = [
        *(f"--{part.device}", "--package", part.package, "--speed", str(part.speed)),
        *("--freq", str(part.mhz), "--seed", str(seed), *options),
        *("--timing-allow-fail", "--lpf-allow-unconstrained"),
    ]
    stem = f"route-{part.name}-{seed}-{digest(netlist.hash, version(NEXTPNR), *arguments)}"
    report = netlist.folder / f"{stem}.json"
    if not report.exists():
        unfinished = report.with_suffix(".part")
        command = [tool(NEXTPNR), *arguments, "--json", netlist.json.name, "--report", unfinished.name]
        run(command, netlist.folder / f"{stem}.log")
        unfinished.rename(report)
    return read_report(report, seed, netlist.design)


def read_report(report: Path, seed: int, design: Design) -> Routed:
    """What nextpnr's report says of the one clock.

    Raises ToolError if it is not such a report.
    """
    try:
        result: dict[str, Any] = json.loads(report.read_text())
        clocks = list(result["fmax"].values())
        (clock,) = clocks
        mhz = round(float(clock["achieved"]), 1)
    except (KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{report} is no report of a design with one clock: {error!r}") from None
    return Routed(seed, mhz, worst_paths(result, design))


def route_all(jobs: Sequence[Callable[[], Routed]], parallel: int) -> list[Routed]:
    """Run routes, so many at a time; the results in the order asked for."""
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            return [future.result() for future in running]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
