"""The command behind `make timing`."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from .area import area_by_component, total
from .ring import COMPONENTS, build, convert
from .route import median, route, route_all
from .synthesis import synthesize
from .targets import PARTS, part, shape
from .tools import ToolError


def one_component(options: argparse.Namespace) -> None:
    """Route one component in its ring and print what came out."""
    where = part(options.part)
    name, made = build(options.component, shape(options.width, options.sessions, where.mhz))
    print(f"synthesis: {options.component}, width {options.width}, sessions {options.sessions}", flush=True)
    netlist = synthesize(convert(name, made), options.build)
    areas = area_by_component(netlist)
    print(f"place and route: {where.name}, {options.seeds} seeds", flush=True)
    jobs = [partial(route, netlist, where, seed) for seed in range(1, options.seeds + 1)]
    routed = route_all(jobs, options.jobs)
    print(f"\n{'component':<14} {'LUT4':>7} {'FF':>7} {'block memory':>13}")
    for component, area in {**areas, "all": total(areas)}.items():
        print(f"{component:<14} {area.lut4:>7} {area.flip_flops:>7} {area.block_memories:>13}")
    print()
    for result in routed:
        print(f"seed {result.seed}: {result.mhz} MHz, worst: {result.paths[0].text}")
    print(f"median {median(routed)} MHz; netlist, logs and reports: {netlist.folder}")


def main(arguments: list[str] | None = None) -> int:
    """Route and print. Status 1 if a tool is missing or fails."""
    parser = argparse.ArgumentParser(prog="make timing")
    parser.add_argument("--component", default="core", help=f"module:Class or one of {', '.join(COMPONENTS)}")
    parser.add_argument("--width", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--part", default=next(iter(PARTS)), help=", ".join(PARTS))
    parser.add_argument("--seeds", type=int, default=1, help="number of placement seeds (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="routes at a time (default %(default)s)")
    parser.add_argument("--build", type=Path, default=Path("build/timing"), help="folder for netlists and logs")
    try:
        one_component(parser.parse_args(arguments))
    except ToolError as error:
        print(f"timing: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
