"""All faults in one compiled core: which one is at work is read from the environment when a core is made."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tag34_hdl.layouts import Shape
from tag34_sim import verilator

from .netlist import SELECT, SELECT_BITS

#: Names the fault, by number; 0 or missing: none.
VARIABLE = "TAG34_MUTANT"


def chosen_at_start(text: str) -> str:
    """The Verilog with the fault's number as a register of the core that is set once, instead of a port: nothing has to
    be computed again for it in each cycle, and what drives the core need not know of it. ValueError if the core
    has no such port."""
    head = re.compile(rf"(\nmodule {verilator.TOP}\(.*?), {SELECT}\);", re.DOTALL)
    port = f"  input [{SELECT_BITS - 1}:0] {SELECT};\n  wire [{SELECT_BITS - 1}:0] {SELECT};\n"
    getenv = f'::std::getenv(\\"{VARIABLE}\\")'.replace('\\"', '\\"')
    number = f'$c32("({getenv} ? ::std::atoi({getenv}) : 0)")'
    register = f"  reg [{SELECT_BITS - 1}:0] {SELECT};\n  initial {SELECT} = {number};\n"
    text, heads = head.subn(r"\1);", text, count=1)
    at = text.index(f"\nmodule {verilator.TOP}(")
    before, after = text[:at], text[at:]
    if heads != 1 or port not in after:
        raise ValueError(f"the core has no port {SELECT}")
    return before + after.replace(port, register, 1)


def library(shape: Shape, planted: str) -> Path:
    """The shared library of a core with faults, built if it is not in the cache; ``planted``, its Verilog from Yosys.
    Raises BuildError."""
    text = verilator.whole(chosen_at_start(planted))
    # The key of the original speaks for tools and parameters, the text for the rest.
    key = hashlib.sha256(f"{verilator.content_key(shape, verilator.harness_source())} {text}".encode()).hexdigest()[:24]
    return verilator.cached(
        f"mutants-{key}", lambda work, made: verilator.compile_core(shape, lambda _: text, work, made)
    )


@contextmanager
def instead(libraries: Mapping[Shape, Path], number: int) -> Iterator[None]:
    """Within, a core of these shapes is the one with faults, and the fault ``number`` is at work in it."""
    original, before = verilator.build, os.environ.get(VARIABLE)
    verilator.build = lambda shape: libraries.get(shape) or original(shape)
    os.environ[VARIABLE] = str(number)
    try:
        yield
    finally:
        verilator.build = original
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
