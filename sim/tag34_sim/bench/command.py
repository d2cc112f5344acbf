"""The subcommand ``bench``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tag34.cli import CommandError
from tag34.contract import WIDTHS
from tag34.playback import parse_number

from ..verilator import BuildError
from .figures import as_table
from .gateware import Gateware
from .measure import FULL, SAMPLE, Amount, Result, measure, simulation
from .page import machine, write
from .routed import Clocks
from .streams import reports

if TYPE_CHECKING:
    from tag34.cli import Subparsers

_JSON = Path("build/bench.json")


def register(subparsers: Subparsers) -> None:
    """Add the subcommand ``bench``."""
    parser = subparsers.add_parser(
        "bench",
        help="throughput and latency of the gateware, beside software",
        description="Measures the gateware in cycles and software in time, side by side, and prints what is compared "
        "with what. `bench sim` measures the speed of the simulation alone.",
        epilog="Exit status: 0 measured; 1 a device did not do what it should; 2 wrong option, or nothing to "
        "compile with.",
    )
    add = parser.add_argument
    add("what", nargs="?", choices=("all", "sim"), default="all", help="sim: cycles per second of the sim: device")
    add("--sample", action="store_true", help="little of everything, under a minute where the gateware is compiled")
    add("--width", type=int, choices=WIDTHS, metavar="W", help="bytes per beat (default: all there are; sim: 1)")
    add("--sessions", type=parse_number, default=1, metavar="K", help="sessions of the device (default: %(default)s)")
    add("--seed", type=int, default=34, metavar="S", help="decides what the gaps are like (default: %(default)s)")
    add("--messages", type=parse_number, metavar="N", help=f"of each stream (default: {FULL.messages})")
    add("--gaps", type=parse_number, metavar="N", help=f"whose latency is measured (default: {FULL.gaps})")
    add("--quickfix-cpp", action="store_true", help="fetch and compile QuickFIX's C++ library: minutes, once")
    add("--json", type=Path, default=_JSON, metavar="FILE", help="where the rows are kept (default: %(default)s)")
    add("--docs", type=Path, metavar="DIR", help="write benchmarks.md and its plots there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The subcommand. Returns the exit status."""
    amount = SAMPLE if args.sample else FULL
    amount = Amount(args.messages or amount.messages, args.gaps or amount.gaps, amount.rounds)
    if args.what == "sim":
        return run_simulation(args, amount)
    widths = WIDTHS if args.width is None else (args.width,)
    clocks = Clocks(Path())
    result = measure(amount, widths, args.sessions, args.seed, clocks, cpp=args.quickfix_cpp)
    print(as_table(result.rows))
    for note in result.notes:
        print(f"not measured: {note}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(as_data(args, result), indent=1) + "\n", encoding="utf-8")
    files = write(result, command(args), args.docs or args.json.parent / "bench")
    print("\n".join(["", "written:", *(f"  {path}" for path in (args.json, *files))]))
    return 0


def run_simulation(args: argparse.Namespace, amount: Amount) -> int:
    """Cycles per second of the simulation."""
    try:
        gateware = Gateware(args.width or 1, args.sessions)
    except (ValueError, BuildError) as error:
        raise CommandError(str(error)) from error
    try:
        row = simulation(gateware, reports(amount.messages), amount.rounds)
    finally:
        gateware.close()
    print(as_table([row]))
    return 0


def command(args: argparse.Namespace) -> str:
    """The command that makes the same page."""
    options = ["--sample"] * args.sample + ["--quickfix-cpp"] * args.quickfix_cpp
    for name in ("width", "messages", "gaps"):
        if getattr(args, name) is not None:
            options.append(f"--{name} {getattr(args, name)}")
    options += [f"--sessions {args.sessions}"] * (args.sessions != 1) + [f"--seed {args.seed}"] * (args.seed != 34)
    return f'make bench ARGS="{" ".join(options)}"' if options else "make bench"


def as_data(args: argparse.Namespace, result: Result) -> dict[str, object]:
    """For JSON."""
    return {
        "command": command(args),
        "machine": machine(),
        "rows": [row.as_dict() for row in result.rows],
        "latencies": {
            name: {**vars(spread), "jitter": spread.jitter, "unit": "ns"} for name, spread in result.latencies.items()
        },
        "not measured": result.notes,
    }
