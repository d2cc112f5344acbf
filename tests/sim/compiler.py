"""Whether the gateware can be compiled here."""

from __future__ import annotations

import pytest

from tag34_sim import verilator
from tag34_sim.verilator import BuildError


def _can_compile() -> bool:
    try:
        verilator.verilator_root()
        verilator.compiler()
    except BuildError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not _can_compile(), reason="Verilator or a C++ compiler is missing")
