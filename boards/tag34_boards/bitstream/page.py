"""Tables of boards: for a terminal, and docs/boards.md, which is made of the boards' files and docs/boards.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..boards import BOARDS
from ..boards.board import Board
from ..timing.table import Table
from .report import Report, Used, read_reports

ROOT = Path(__file__).resolve().parents[3]
#: Reports of all boards, as the last `make bitstreams` of a commit left them. An installed package has none.
REPORTS = ROOT / "docs" / "boards.json"
PAGE = ROOT / "docs" / "boards.md"

NOT_BUILT = "not built yet"


def size(board: Board) -> str:
    """The shape, in a few words."""
    shape = board.shape
    sessions = "1 session" if shape.sessions == 1 else f"{shape.sessions} sessions"
    return f"{sessions}, window {shape.window}, {shape.hold} held, {shape.max_message} bytes"


def clock(board: Board) -> str:
    """The clock, and where it comes from."""
    return f"{board.shape.clock_hz / 1e6:g} MHz" + (f" (PLL, x {board.pll})" if board.pll != 1 else "")


def link(board: Board) -> str:
    """The link, and how well its rate is met."""
    error = f", {board.baud_error:+.2f} %" if board.baud_error else ""
    return f"{board.shell} {board.baud / 1e6:g} MBaud (/ {board.divisor}{error})"


def share(used: Used | None) -> str:
    """How much of a kind of thing is used."""
    if used is None:
        return ""
    return f"{used.used} of {used.available} {used.name}" if used.available else f"{used.used} {used.name}"


def status(board: Board, report: Report | None) -> str:
    """What became of a board."""
    if report is None:
        return NOT_BUILT
    return report.failed or board.toolchain.status


def reached(report: Report | None) -> str:
    """The clock after place and route."""
    return f"{report.reached_mhz:g} MHz (seed {report.seed})" if report and report.reached_mhz else ""


def table(reports: Mapping[str, Report]) -> Table:
    """All boards, their status and resources."""
    rows = Table(["board", "FPGA", "core", "clock", "reached", "LUTs", "flip-flops", "block memories", "status"])
    for board in BOARDS.values():
        report = reports.get(board.name)
        parts = (report.luts, report.flip_flops, report.memories) if report else (None, None, None)
        rows.rows.append(
            (
                board.name,
                board.fpga,
                board.core,
                clock(board),
                reached(report),
                *map(share, parts),
                status(board, report),
            )
        )
    return rows


def data(reports: Mapping[str, Report]) -> dict[str, dict[str, object]]:
    """The same by board, for programs: its status, what its file says, and the report (None: not built yet)."""
    return {
        board.name: {
            "title": board.title,
            "fpga": board.fpga,
            "toolchain": board.toolchain.name,
            "core": board.core,
            "sessions": board.shape.sessions,
            "window": board.shape.window,
            "hold": board.shape.hold,
            "max_message": board.shape.max_message,
            "clock_hz": board.shape.clock_hz,
            "baud": board.baud,
            "status": status(board, reports.get(board.name)),
            "report": reports[board.name].as_data() if board.name in reports else None,
        }
        for board in BOARDS.values()
    }


def markdown(reports: Mapping[str, Report]) -> str:
    """docs/boards.md."""
    what = Table(["board", "", "core", "link", "width", "holds", "toolchain"])
    for board in BOARDS.values():
        what.rows.append(
            (
                board.name,
                board.title,
                board.core,
                link(board),
                board.shape.width,
                size(board),
                board.toolchain.name,
            )
        )
    lines = [
        "# Boards",
        "",
        "Made by `make bitstreams` of [the boards' files](../boards/tag34_boards/boards) and",
        "[boards.json](boards.json). The [guide](guide.md#boards) says how a board is built, programmed and added.",
        "",
        "What has not been on a real board is not called tested: a bitstream that is built here fits and reaches its",
        "clock by the tools' own analysis. amaranth-boards 0.0.21 has no board with a Lattice Nexus (CrossLink-NX,",
        "Certus-NX), so none is here.",
        "",
        "## What is built",
        "",
        "The compact core does the same as the fast one in less room and more time: from a gap to its ResendRequest it",
        "takes about 5,000 cycles, the fast one 3 ([guide](guide.md#devices)).",
        "",
        what.markdown(),
        "",
        *(f"- {board.name}: {board.notes}" for board in BOARDS.values() if board.notes),
        "",
        "## What it takes",
        "",
        "LUTs (a carry cell of ECP5 counts as two), flip-flops and block memories of the netlist, of what the device",
        "has by its own names. Where LUTs and flip-flops have one name, one of each can share a place.",
        "",
        table(reports).markdown(),
        "",
        *(provenance(reports[name]) for name in BOARDS if name in reports),
    ]
    return "\n".join(lines).rstrip() + "\n"


def provenance(report: Report) -> str:
    """Of what a board was built, and with what."""
    changed = ", with changes that are in no commit" if report.changed else ""
    tools = ", ".join(f"{name} {version}" for name, version in report.tools.items())
    digest = f"; sha256 of {report.file} `{report.sha256}`" if report.sha256 else ""
    return f"- {report.board}: commit {report.revision}{changed}, build id {report.build_id}; {tools}{digest}"


def main() -> None:
    """Write docs/boards.md."""
    PAGE.write_text(markdown(read_reports(REPORTS)))


if __name__ == "__main__":
    main()
