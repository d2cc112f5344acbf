"""The whole core as Verilog, driven at its pins by cocotb on Verilator, against the golden model.

Build parameters are here, stimulus is in the modules ``pins_*``: each of them runs in a simulator of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tag34_hdl.layouts import Shape
from tests.cocotb.bench import SHAPE_VARIABLE
from tests.cocotb.simulator import run_tests

SHAPES = [Shape(window=4, max_message=256), Shape(window=64, max_message=1024)]
MODULES = ["scenarios", "latency", "flow", "reset", "registers"]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.window}x{shape.max_message}")
@pytest.mark.parametrize("module", MODULES)
def test_pins(module: str, shape: Shape, seed: int, tmp_path: Path) -> None:
    variables = {SHAPE_VARIABLE: json.dumps(asdict(shape))}
    run_tests(shape, f"tests.cocotb.pins_{module}", seed, tmp_path, variables=variables)
