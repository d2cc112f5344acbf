"""The history file, and the comparison with its newest entry."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tag34_boards.timing import history
from tag34_boards.timing.area import Area
from tag34_boards.timing.tools import ToolError
from tests.boards.tiny import area, clock, entry


def test_an_entry_survives_the_file(tmp_path: Path) -> None:
    kept = entry(clock({1: 100.0, 2: 98.5}), areas=(area(1, 1000), area(256, 1050)))
    assert history.add(tmp_path / "docs" / "history.json", kept) == [kept]
    assert history.load(tmp_path / "docs" / "history.json") == [kept]


def test_entries_add_up_and_older_ones_keep_their_worst_path(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    first, second = entry(clock({1: 100.0}), revision="a"), entry(clock({1: 101.0}), revision="b")
    history.add(path, first)
    entries = history.add(path, second)
    assert [one.revision for one in entries] == ["a", "b"]
    assert [len(one.clocks[0].paths) for one in entries] == [1, 2]
    assert history.load(path) == entries


def test_the_same_gateware_takes_its_own_place(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    history.add(path, entry(clock({1: 100.0})))
    assert len(history.add(path, entry(clock({1: 100.0, 2: 99.0})))) == 1
    changed = entry(clock({1: 90.0}), changed=True)
    assert len(history.add(path, changed)) == 2
    assert len(history.add(path, changed)) == 3  # changed since the commit: in what way nobody knows


def test_no_file_is_an_empty_history(tmp_path: Path) -> None:
    assert history.load(tmp_path / "history.json") == []


@pytest.mark.parametrize("text", ["", "{}x", '{"a": 1}', '[{"revision": "a"}]', '["a"]'])
def test_another_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(ToolError, match="is no history of timing"):
        history.load(path)


def test_clocks_are_compared_over_the_seeds_that_both_have() -> None:
    before = entry(clock({1: 100.0, 2: 90.0, 3: 80.0}))
    clocks, _ = history.compare(before, entry(clock({1: 110.0, 4: 10.0})))
    assert clocks.rows[0][:7] == ("LFE5U-25F-6", 1, 1, 1, 100.0, 110.0, "+10.0 %")


def test_what_was_not_measured_before_is_not_compared() -> None:
    before = entry(clock({1: 100.0}))
    other = clock({1: 110.0}, part="LFE5U-85F-8")
    failed = clock({}, failed="does not fit", paths=(), components={})
    clocks, _ = history.compare(before, entry(other, failed))
    assert [row[3:7] for row in clocks.rows] == [(1, "-", "110.0", "-"), (0, "-", "-", "-")]
    assert clocks.rows[1][-1] == "does not fit"


def test_areas_are_compared_by_component() -> None:
    before = entry(clock({1: 100.0}))
    now = entry(clock({1: 100.0}, {"framer": Area(110, 50, 0), "slots": Area(30, 20, 4), "new": Area(5, 6, 7)}))
    _, areas = history.compare(before, now)
    assert areas.rows == [
        (1, 1, "framer", 110, 100, 50, 50, 0, 0),  # slots is what it was
        (1, 1, "new", 5, 0, 6, 0, 7, 0),
        (1, 1, "all", 145, 130, 76, 70, 11, 4),
    ]


def test_a_component_that_is_gone_is_told() -> None:
    _, areas = history.compare(entry(clock({1: 100.0})), entry(clock({1: 100.0}, {"framer": Area(100, 50, 0)})))
    assert areas.rows[0] == (1, 1, "slots", 0, 30, 0, 20, 0, 4)


def test_the_revision_is_the_last_one_that_changed_the_gateware(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "hdl").mkdir()
    for file in ("hdl/core.py", "README.md"):
        (tmp_path / file).write_text("1")
        git("add", "-A")
        git("commit", "-qm", file)
    assert history.revision(tmp_path) == (git("rev-parse", "--short", "HEAD~"), False)
    (tmp_path / "README.md").write_text("2")
    assert not history.revision(tmp_path)[1]
    (tmp_path / "hdl/core.py").write_text("2")
    assert history.revision(tmp_path)[1]


def test_without_git_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="git does not tell"):
        history.revision(tmp_path / "nowhere")


def test_the_file_is_json_for_others() -> None:
    json.dumps(entry(clock({1: 100.0})).as_data())
