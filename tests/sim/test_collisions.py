"""Nobody relies on what a block memory shows of a word that is being written: there the gateware is made of memories
that then show the wrong word, and says the same as the golden model all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from amaranth.back.verilog import convert

from tag34_hdl.block_memory import UndefinedCollisions
from tag34_hdl.core import Core
from tag34_hdl.layouts import Shape
from tag34_sim import verilator
from tag34_sim.differential import compare
from tests.sim.conftest import COMPACT, Made
from tests.sim.test_differential import SHAPES, devices, life


def undefined(shape: Shape) -> str:
    """The core's Verilog, with memories of that kind."""
    text = convert(Core(shape), name=verilator.TOP, platform=UndefinedCollisions(), strip_internal_attrs=True)
    return verilator.whole(text)


def built(shape: Shape) -> Path:
    """Its shared library."""
    name = f"collisions-{verilator.content_key(shape, verilator.harness_source())}"
    return verilator.cached(name, lambda work, library: verilator.compile_core(shape, undefined, work, library))


@pytest.mark.rule("R17")
@pytest.mark.parametrize("made", [1, 8, COMPACT])
@pytest.mark.parametrize("seed", range(8))
def test_collisions_in_block_memory_change_nothing(seed: int, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Shape(**SHAPES["shared"]).sessions > 1
    monkeypatch.setattr(verilator, "build", built)
    model, gateware = devices("shared", made)
    with model, gateware:
        gateware.stalls(seed, 0.3 * (seed % 2), 0.3 * (seed % 2))
        difference = compare(model, gateware, life(model, 2000 + seed, 300))
        assert difference is None, f"seed {2000 + seed}, {made}: {difference}"
