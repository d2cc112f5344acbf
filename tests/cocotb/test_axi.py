"""The Verilog that others get, driven at its AXI ports by cocotbext-axi on Verilator, against the golden model.

Build parameters are here, stimulus is in the module ``axi_scenarios``.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import pytest

from tag34_boards.timing.tools import YOSYS
from tag34_boards.verilog import emit
from tag34_hdl.layouts import Shape
from tests.cocotb.bench import SHAPE_VARIABLE
from tests.cocotb.simulator import Design, run_tests

SHAPES = [Shape(width=width, sessions=sessions, window=8, max_message=256) for width in (1, 8) for sessions in (1, 3)]
AXI = Design("axi", emit.verilog, lambda: inspect.getsource(emit) + metadata.version(YOSYS))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.width}x{shape.sessions}")
def test_axi_ports(shape: Shape, seed: int, tmp_path: Path) -> None:
    variables = {SHAPE_VARIABLE: json.dumps(asdict(shape))}
    run_tests(shape, "tests.cocotb.axi_scenarios", seed, tmp_path, variables=variables, design=AXI)
