"""The subcommands bitstream, boards and flash: what is told, and what of it in one line."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import pytest

from tag34.cli import CommandError, main
from tag34_boards.bitstream import command, flash
from tag34_boards.bitstream.build import BuildError, empty_report
from tag34_boards.bitstream.report import Report, Used, read_reports, write_reports
from tag34_boards.boards import BOARDS
from tag34_boards.boards.board import Board
from tag34_boards.timing.tools import ToolError
from tag34_boards.writing import writing
from tests.boards.make import make

NAMES = ", ".join(BOARDS)
LIBUSB = (
    "/bin/openFPGALoader: error while loading shared libraries: libusb-1.0.so.0: cannot open shared object file: "
    "No such file or directory\n"
)
NO_BOARD = "unable to open ftdi device: -3 (device not found)\nJTAG init failed with: unable to open ftdi device\n"


def failure(board: Board, why: str) -> BuildError:
    return BuildError(empty_report(board).but(failed=why))


def built(board: Board) -> Report:
    used = Used("PLACES", 10, 100)
    done = {"file": f"{board.name}.bit", "sha256": "ab", "seed": 2, "reached_mhz": 80.5}
    return empty_report(board).but(luts=used, flip_flops=used, memories=used, **done)


@pytest.mark.parametrize("arguments", [["bitstream", "nix"], ["flash", "nix"]])
def test_an_unknown_board_is_one_line_with_the_names(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"tag34: no board 'nix': one of {NAMES}\n"


def test_a_board_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bitstream"]) == 2
    assert capsys.readouterr().err == f"tag34: which board? One of {NAMES}, or --all\n"
    assert main(["flash"]) == 2
    assert capsys.readouterr().err == f"tag34: which board? One of {NAMES}\n"


@pytest.mark.parametrize("target", ["bitstream", "flash"])
@pytest.mark.parametrize(
    ("board", "told"),
    [
        ("", f"tag34: which board? One of {NAMES}"),
        ("nix; echo hi", "tag34: no board 'nix; echo hi': one of "),
        ("nix'; echo hi; '", "tag34: no board \"nix'; echo hi; '\": one of "),
    ],
)
def test_make_hands_the_board_on_as_one_word(target: str, board: str, told: str) -> None:
    # Nothing is installed.
    done = make("-o", ".venv/.ready", f"BIN={Path(sys.executable).parent}", target, f"BOARD={board}")
    assert done.stderr.startswith(told)
    assert done.stdout == ""


def test_boards_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in BOARDS)
    (tmp_path / "boards.json").write_text("[]")
    monkeypatch.setattr(command, "REPORTS", tmp_path / "boards.json")
    assert main(["boards"]) == 2
    assert "is no file of reports" in capsys.readouterr().err


def test_the_list_tells_which_core_a_board_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert rows["board"][2] == "core"
    compact = {name for name, row in rows.items() if row[2] == "compact"}
    assert compact == {"icebreaker", "tang_nano_9k"}
    assert {row[2] for row in rows.values()} == {"core", "compact", "fast"}


def test_boards_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = built(BOARDS["icebreaker"])
    monkeypatch.setattr(command, "REPORTS", tmp_path / "boards.json")
    write_reports(tmp_path / "boards.json", {"icebreaker": report})
    assert main(["boards", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == list(BOARDS)
    assert (result["icebreaker"]["core"], result["icebreaker"]["status"]) == ("compact", "built here with open tools")
    assert result["icebreaker"]["report"] == report.as_data()
    assert (result["ulx3s_85f"]["core"], result["ulx3s_85f"]["status"]) == ("fast", "not built yet")
    assert result["ulx3s_85f"]["report"] is None
    assert result["ulx3s_85f"]["clock_hz"] == BOARDS["ulx3s_85f"].shape.clock_hz


def test_a_build_tells_what_came_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "build", lambda board, folder, say: built(board))
    assert main(["bitstream", "ulx3s_85f", "--build", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"{tmp_path}/ulx3s_85f/ulx3s_85f.bit, sha256 ab\n" in out
    asked = f"{BOARDS['ulx3s_85f'].shape.clock_hz / 1e6:g} MHz"
    assert f"80.5 MHz reached, {asked} asked for (seed 2); 10 of 100 PLACES" in out


def test_a_project_tells_who_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        command, "build", lambda board, folder, say: empty_report(board).but(finish="sh build_arty_a7.sh")
    )
    assert main(["bitstream", "arty_a7", "--build", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Vivado, which is not on PyPI, finishes it:" in out
    assert f"cd {tmp_path}/arty_a7 && sh build_arty_a7.sh" in out


def test_a_build_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(board: Board, folder: Path, say: object) -> Report:
        raise failure(board, "icebreaker does not fit into iCE40UP5K: 7000 ICESTORM_LC of 5280 (1720 too many)")

    monkeypatch.setattr(command, "build", fail)
    assert main(["bitstream", "icebreaker", "--build", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_all_boards_make_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def most(board: Board, folder: Path, say: object) -> Report:
        if board.name == "icebreaker":
            raise failure(board, "icebreaker does not fit")
        return built(board)

    monkeypatch.setattr(command, "build", most)
    monkeypatch.setattr(command, "REPORTS", tmp_path / "boards.json")
    monkeypatch.setattr(command, "PAGE", tmp_path / "boards.md")
    assert main(["bitstream", "--all"]) == 1
    assert "icebreaker does not fit" in capsys.readouterr().out
    assert set(read_reports(tmp_path / "boards.json")) == set(BOARDS)
    page = (tmp_path / "boards.md").read_text()
    assert "80.5 MHz (seed 2)" in page
    assert "| icebreaker does not fit |" in page


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the place of openFPGALoader; what is written to it is run."""
    path = tmp_path / "loader"
    monkeypatch.setattr(flash, "tool", lambda name: str(path))
    (tmp_path / "ulx3s_85f").mkdir()
    (tmp_path / "ulx3s_85f" / "ulx3s_85f.bit").write_bytes(b"bits")
    return path


@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        (LIBUSB, 2, "cannot run without libusb-1.0.so.0 (Debian: libusb-1.0-0, libftdi1-2)"),
        (NO_BOARD, 1, "no Radiona ULX3S 85F was found: plugged in, and may you open its USB device?"),
        ("Parse file FAIL\nfile is of another device\n", 1, "openFPGALoader failed: file is of another device"),
        ("", 1, "openFPGALoader failed: it says nothing"),
    ],
)
def test_why_nothing_was_loaded(
    said: str, status: int, told: str, loader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loader.write_text(f"#!/bin/sh\ncat <<'END'\n{said}END\nexit 1\n")
    loader.chmod(0o755)
    assert main(["flash", "ulx3s_85f", "--build", str(tmp_path)]) == status
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_a_bitstream_is_loaded(loader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
    loader.chmod(0o755)
    assert main(["flash", "ulx3s_85f", "--build", str(tmp_path)]) == 0
    assert (tmp_path / "arguments").read_text() == f"-b ulx3s {tmp_path}/ulx3s_85f/ulx3s_85f.bit\n"
    assert "is loaded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("icebreaker", "icebreaker.bin: make bitstream BOARD=icebreaker"),
        ("arty_a7", "arty_a7.bit: make bitstream BOARD=arty_a7, then Vivado in "),
    ],
)
def test_a_bitstream_that_was_not_built_is_told(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flash", name, "--build", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_a_loader_that_is_not_there_is_told(loader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise ToolError(f"{name} is not installed (pip install 'tag34[boards]')")

    monkeypatch.setattr(flash, "tool", missing)
    parser = __import__("argparse").ArgumentParser()
    flash.register(parser.add_subparsers())
    with pytest.raises(CommandError, match="openfpgaloader-cli is not installed"):
        flash.run(parser.parse_args(["flash", "ulx3s_85f", "--build", str(tmp_path)]))


@pytest.fixture
def no_folder(tmp_path: Path) -> Path:
    """A file, where a folder is wanted."""
    path = tmp_path / "file"
    path.write_text("")
    return path


@pytest.mark.parametrize("which", ["arty_a7", "--all"])
def test_a_folder_that_cannot_be_made_is_one_line(
    which: str, no_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bitstream", which, "--build", str(no_folder)]) == 1
    assert capsys.readouterr().err == f"tag34: {no_folder}/arty_a7 cannot be written: Not a directory\n"
    assert main(["bitstream", which, "--build", "/proc/none"]) == 1
    assert capsys.readouterr().err.startswith("tag34: /proc/none/arty_a7 cannot be written: ")


def test_a_full_disk_is_told_with_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> Report:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "build", full)
    assert main(["bitstream", "arty_a7", "--build", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"tag34: {tmp_path}/arty_a7 cannot be written: No space left on device\n"


def test_a_page_that_cannot_be_written_is_one_line(
    no_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "build", lambda board, folder, say: built(board))
    monkeypatch.setattr(command, "REPORTS", tmp_path / "boards.json")
    monkeypatch.setattr(command, "PAGE", no_folder / "boards.md")
    assert main(["bitstream", "--all"]) == 1
    assert capsys.readouterr().err == f"tag34: {no_folder}/boards.md cannot be written: Not a directory\n"


def test_a_reader_that_went_away_is_no_folder_that_cannot_be_written() -> None:
    with pytest.raises(BrokenPipeError), writing(Path("build")):
        raise BrokenPipeError
