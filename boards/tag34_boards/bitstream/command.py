"""The subcommands ``bitstream`` and ``boards``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tag34.cli import FAILED, CommandError

from ..boards import BOARDS
from ..boards.board import Board
from ..timing.tools import ToolError
from ..writing import writing
from .build import BuildError, bitstream_path, build
from .page import PAGE, REPORTS, data, markdown, share, table
from .report import Report, read_reports, write_reports

if TYPE_CHECKING:
    from tag34.cli import Subparsers

#: Where boards are built, as `make` sees it.
BUILD = Path("build")


def register_bitstream(subparsers: Subparsers) -> None:
    """Add the subcommand ``bitstream``."""
    parser = subparsers.add_parser(
        "bitstream",
        help="build what is loaded into a board's FPGA",
        description="Builds the bitstream of a board with tools from PyPI, in a folder that keeps everything made on "
        "the way and a report. For boards whose toolchain is not on PyPI the project is written.",
        epilog="Exit status: 0 built; 1 a tool failed, it does not fit, its clock is not reached, or a file cannot "
        "be written; 2 no such board.",
    )
    add = parser.add_argument
    add("board", metavar="BOARD", nargs="?", help=f"one of {', '.join(BOARDS)}")
    add("--all", action="store_true", help="all boards; docs/boards.json and docs/boards.md are made of the reports")
    add_build(parser)
    parser.set_defaults(run=run_bitstream)


def register_boards(subparsers: Subparsers) -> None:
    """Add the subcommand ``boards``."""
    parser = subparsers.add_parser(
        "boards",
        help="list the boards, and what the gateware takes of each",
        description="Lists the boards: how far each gets with tools from PyPI, and what the gateware takes of it.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, by board, with the build reports")
    parser.set_defaults(run=run_boards)


def add_build(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where boards are built."""
    parser.add_argument(
        "--build",
        type=Path,
        default=BUILD,
        metavar="DIR",
        help="boards are built in DIR/<board> (default: %(default)s)",
    )


def board_of(name: str | None, instead: str = "") -> Board:
    """A board by its name.

    Parameters: ``instead`` says what else could have been asked for. Raises CommandError, with the names, for a board
    that is not known, and for none.
    """
    if name is None:
        raise CommandError(f"which board? One of {', '.join(BOARDS)}{instead}")
    if name not in BOARDS:
        raise CommandError(f"no board {name!r}: one of {', '.join(BOARDS)}")
    return BOARDS[name]


def run_boards(args: argparse.Namespace) -> int:
    """The subcommand ``boards``. Returns the exit status."""
    try:
        reports = read_reports(REPORTS)
    except ToolError as error:
        raise CommandError(str(error)) from None
    print(json.dumps(data(reports)) if args.json else table(reports).text())
    return 0


def run_bitstream(args: argparse.Namespace) -> int:
    """The subcommand ``bitstream``. Returns the exit status."""
    if args.all:
        return run_all(args.build)
    board = board_of(args.board, ", or --all")
    folder = args.build / board.name
    try:
        with writing(folder):
            report = build(board, folder, Progress())
    except BuildError as error:
        raise CommandError(str(error), FAILED) from None
    print("\n".join(summary(board, report, folder)))
    return 0


def run_all(folder: Path) -> int:
    """Build all boards, and make the page of what came out."""
    reports: dict[str, Report] = {}
    for board in BOARDS.values():
        try:
            with writing(folder / board.name):
                reports[board.name] = build(board, folder / board.name, Progress())
        except BuildError as error:
            reports[board.name] = error.report
            print(f"tag34: {error}", file=sys.stderr)
    if not REPORTS.parent.is_dir():
        raise CommandError(f"{REPORTS.parent} is not there: --all is for a checkout")
    with writing(REPORTS):
        write_reports(REPORTS, reports)
    with writing(PAGE):
        PAGE.write_text(markdown(reports))
    print(table(reports).text())
    return FAILED if any(report.failed for report in reports.values()) else 0


def summary(board: Board, report: Report, folder: Path) -> list[str]:
    """What was built, for a terminal."""
    if report.finish:
        return [
            f"{board.title}: the project is written; {board.toolchain.name}, which is not on PyPI, finishes it:",
            f"  cd {folder} && {report.finish}",
            f"It makes {bitstream_path(board, folder).name}; then: tag34 flash {board.name}",
        ]
    used = ", ".join(f"{share(part)}" for part in (report.luts, report.flip_flops, report.memories))
    return [
        f"{board.title}: {bitstream_path(board, folder)}, sha256 {report.sha256}",
        f"{report.reached_mhz:g} MHz reached, {report.asked_mhz:g} MHz asked for (seed {report.seed}); {used}",
        f"build id {report.build_id}; load it: tag34 flash {board.name}",
    ]


class Progress:
    """Says how far a build is, and since when, on stderr."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self.begun:5.0f} s  {line}", file=sys.stderr, flush=True)
