"""The table of boards: it holds together, and each board's project can be written."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tag34.link.serial_port import RATES
from tag34_boards.bitstream.build import empty_report, whole
from tag34_boards.bitstream.identity import BUILD_ID_BYTES, build_id, sources
from tag34_boards.bitstream.page import PAGE, REPORTS, markdown, table
from tag34_boards.bitstream.pll import VCO_MHZ, vco_divider
from tag34_boards.bitstream.project import Project, write_project
from tag34_boards.bitstream.report import read_reports
from tag34_boards.bitstream.top import Top
from tag34_boards.boards import BOARDS
from tag34_boards.boards.board import Board
from tag34_boards.boards.toolchain import ECP5
from tag34_hdl.link.uart_shell import UartShell
from tests.boards.blink import blink

ALL = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))


@ALL
def test_the_clock_is_the_boards_own_or_a_multiple_of_it(board: Board) -> None:
    platform = board.open_platform()
    assert board.shape.clock_hz == board.pll * platform.default_clk_frequency
    assert board.pll == 1 or board.toolchain is ECP5


@pytest.fixture(scope="module", params=BOARDS.values(), ids=list(BOARDS))
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, Project, Project]:
    """A board, and its project written twice."""
    folders = (tmp_path_factory.mktemp(request.param.name) for _ in range(2))
    one, other = (write_project(request.param, blink, folder) for folder in folders)
    return request.param, one, other


def test_the_project_has_the_pins_of_the_uart_and_the_clock(project: tuple[Board, Project, Project]) -> None:
    board, one, _ = project
    suffixes = {".pcf", ".lpf", ".cst", ".xdc", ".qsf"}
    (constraints,) = (path for path in one.folder.iterdir() if path.suffix in suffixes)
    text = constraints.read_text()
    assert "uart_0__rx__io" in text
    assert "uart_0__tx__io" in text
    assert f"{board.open_platform().default_clk}_0__io" in text
    # Pins beyond these are not touched.
    assert "uart_0__rts" not in text
    assert {words[0] for words in one.commands} >= set(board.toolchain.tools)
    assert one.script in one.files


def test_a_project_is_the_same_each_time_and_on_every_machine(project: tuple[Board, Project, Project]) -> None:
    _, one, other = project
    assert one.files == other.files
    for name in one.files:
        text = (one.folder / name).read_text()
        assert text == (other.folder / name).read_text()
        assert str(Path(__file__).parents[2]) not in text
        assert "attribute \\src" not in text


def test_a_board_has_the_core_and_its_link_between_its_pins(tmp_path: Path) -> None:
    board = BOARDS["icebreaker"]
    made: list[Top] = []

    def keep(board: Board) -> Top:
        made.append(whole(board))
        return made[0]

    project = write_project(board, keep, tmp_path)
    text = (project.folder / "icebreaker.il").read_text()
    assert all(f"module \\icebreaker.shell.{part}" in text for part in ("receiver", "sender", "link"))
    assert isinstance(made[0].shell, UartShell)
    assert (made[0].shell.divisor, made[0].shell.link.shape) == (board.divisor, board.shape)


def test_titles_are_unique() -> None:
    assert len({board.title for board in BOARDS.values()}) == len(BOARDS)


def test_the_baud_rate_has_to_be_met() -> None:
    board = BOARDS["icebreaker"]
    assert (board.divisor, board.baud_error) == (4, 0.0)
    # 12 MHz / 13 is 923,077: 0.16 % off 921,600.
    assert replace(board, baud=921_600).baud_error == pytest.approx(0.1603, abs=1e-4)
    with pytest.raises(
        ValueError, match=r"baud must be met within 1\.5 %, but 12000000 Hz / 5 is -4\.00 % off 2500000"
    ):
        replace(board, baud=2_500_000)


@pytest.mark.parametrize("name", ["", "a-b", "a_name_of_17_byte", "brett_ü"])
def test_the_name_has_to_fit_into_info(name: str) -> None:
    with pytest.raises(ValueError, match="name must be an ASCII identifier of at most 16 characters"):
        replace(BOARDS["icebreaker"], name=name)


def test_the_build_id_is_of_sources_board_and_shape() -> None:
    board = BOARDS["icebreaker"]
    assert len(build_id(board)) == BUILD_ID_BYTES
    assert build_id(board) == build_id(board)
    assert len({build_id(board) for board in BOARDS.values()}) == len(BOARDS)
    assert build_id(board) != build_id(replace(board, shape=replace(board.shape, window=16)))
    assert {"hdl/core.py", "contract/link.py", "top/top.py", "board"} <= set(sources(board))


@pytest.mark.parametrize(("mhz", "divider"), [(75.0, 8), (600.0, 1), (10.0, 60)])
def test_the_oscillator_of_the_pll_is_in_the_middle(mhz: float, divider: int) -> None:
    assert vco_divider(mhz) == divider
    assert VCO_MHZ[0] <= mhz * divider <= VCO_MHZ[1]


def test_the_pll_has_the_factor_of_the_board(tmp_path: Path) -> None:
    board = replace(BOARDS["ulx3s_25f"], pll=Fraction(3, 2))
    write_project(board, blink, tmp_path)
    text = (tmp_path / "ulx3s_25f.il").read_text()
    found = {name: int(value) for name, value in re.findall(r"parameter \\(CLK\w+_DIV) (?:signed )?(\d+)$", text, re.M)}
    # 25 MHz / 2 * 3 = 37.5 MHz; the oscillator runs at 600.
    assert found == {"CLKI_DIV": 2, "CLKFB_DIV": 3, "CLKOP_DIV": 16}


def test_a_clock_beyond_the_oscillator_is_refused() -> None:
    with pytest.raises(ValueError, match="no PLL of ECP5 makes 900 MHz"):
        vco_divider(900.0)


def test_the_page_is_made_of_the_table_and_the_reports() -> None:
    reports = read_reports(REPORTS)
    assert set(reports) <= set(BOARDS), "docs/boards.json has boards that are no more: make bitstreams"
    assert PAGE.read_text() == markdown(reports), "docs/boards.md is stale: make docs"


def test_the_page_and_the_report_tell_which_core_a_board_has() -> None:
    for board in BOARDS.values():
        core = "compact" if board.name in ("icebreaker", "tang_nano_9k") else "fast"
        assert empty_report(board).shape["core"] == core
        # Whatever the reports say: some are older than this word.
        assert f"\n| {board.name} | {board.title} | {core} |" in markdown({})


@ALL
def test_the_host_tries_the_boards_rate(board: Board) -> None:
    assert board.baud in RATES, "tag34 devices and serial: without baud would not find it"


def test_boards_that_were_not_built_are_listed_as_such() -> None:
    rows = table({}).rows
    assert [row[0] for row in rows] == list(BOARDS)
    assert {row[-1] for row in rows} == {"not built yet"}
