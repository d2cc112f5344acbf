"""Tables and the page that is made of the newest entry."""

from __future__ import annotations

import pytest

from tag34_boards.timing import __main__ as command
from tag34_boards.timing import history
from tag34_boards.timing.page import area_tables, clock_table, goal_lines, markdown, session_lines
from tag34_boards.timing.table import Table, is_number
from tests.boards.tiny import area, clock, entry


def test_the_page_is_made_of_the_newest_entry() -> None:
    entries = history.load(command.HISTORY)
    assert entries, "no history: make timing"
    assert command.PAGE.read_text() == markdown(entries[-1]), "docs/timing.md is stale: make timing"


@pytest.mark.parametrize(
    ("mhz", "found"),
    [({1: 126.0, 2: 90.0, 3: 125.0}, "reached"), ({1: 126.0, 2: 124.9}, "MISSED"), ({1: 124.9}, "MISSED")],
)
def test_a_goal_is_reached_by_the_median(mhz: dict[int, float], found: str) -> None:
    one = clock(mhz)
    assert clock_table([one]).rows[0][8] == found
    (line,) = goal_lines([one])
    assert f": {found} with" in line


def test_the_worst_seed_is_named() -> None:
    (line,) = goal_lines([clock({1: 126.0, 2: 90.0, 3: 125.0})])
    assert "median of 3 seeds, worst 90.0 MHz (seed 2)" in line


def test_a_goal_that_was_not_measured_is_missed() -> None:
    failed = clock({}, part="LFE5U-85F-8", width=8, failed="not built: width must be 1, not 8")
    assert clock_table([failed]).rows[0][7:] == ("156.25", "MISSED", "not built: width must be 1, not 8")
    (line,) = goal_lines([failed])
    assert line.endswith("MISSED (not built: width must be 1, not 8).")


def test_a_shape_without_a_goal_has_no_verdict() -> None:
    other = clock({1: 99.0}, width=2)
    assert clock_table([other]).rows[0][7:9] == ("", "")
    assert goal_lines([other]) == []


@pytest.mark.parametrize(("many", "found"), [(1100, "reached"), (1101, "MISSED")])
def test_sessions_may_take_ten_percent(many: int, found: str) -> None:
    (line,) = session_lines([area(1, 1000), area(16, 1020), area(256, many)])
    assert line.endswith(f"the goal of at most +10 % is {found}.")


def test_the_area_table_has_a_row_for_all() -> None:
    ((width, table),) = area_tables([area(1, 1000), area(256, 1050)])
    assert width == 1
    assert table.rows == [("framer", 1000, 50, 0, 1050, 50, 0), ("all", 1000, 50, 0, 1050, 50, 0)]


def test_the_page_tells_of_changes_that_are_in_no_commit() -> None:
    assert "abc1234, with changes" in markdown(entry(clock({1: 100.0}), changed=True))
    assert "with changes" not in markdown(entry(clock({1: 100.0})))


def test_a_table_lines_up() -> None:
    table = Table(["name", "MHz"], [("a", 9.5), ("longer", 100.0)])
    assert table.text() == "name      MHz\na         9.5\nlonger  100.0"
    assert table.markdown() == "| name | MHz |\n|---|--:|\n| a | 9.5 |\n| longer | 100.0 |"


@pytest.mark.parametrize("cell", [1, -2.5, "+3.0 %", ""])
def test_numbers(cell: object) -> None:
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["a", "1 a", "reached"])
def test_no_numbers(cell: object) -> None:
    assert not is_number(cell)
