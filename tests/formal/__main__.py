"""`make formal`: prove all properties, or a sample of them, and say which hold.

The table of properties, ``docs/proofs.md``, is made of the harnesses by ``python -m tests.formal --docs``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .harness import Proof
from .solver import Verdict

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "proofs.md"
PACKAGE = "tests.formal.proofs"
#: Seconds that one run of the solver may take.
LIMIT = 800.0


def harnesses(package: str = PACKAGE) -> list[type[Proof]]:
    """All harnesses of the package's modules, by module, then as they stand."""
    found: list[type[Proof]] = []
    for path in sorted(ROOT.joinpath(*package.split(".")).glob("*.py")):
        module = importlib.import_module(f"{package}.{path.stem}")
        for made in vars(module).values():
            if not isinstance(made, type) or not issubclass(made, Proof) or made.__module__ != module.__name__:
                continue
            if "properties" in vars(made):  # what has none is a base of others
                found.append(made)
    return found


def decide(harness: type[Proof], build: Path, limit: float = LIMIT) -> Verdict | str:
    """The verdict on one harness, or why there is none."""
    folder = build / f"{harness.__module__.rpartition('.')[2]}.{harness.__name__}"
    command = [sys.executable, "-m", "tests.formal.one", harness.__module__, harness.__name__, str(folder)]
    command += ["--limit", str(limit)]
    if harness.digits is not None:
        command += ["--digits", str(harness.digits), "--max-seq", str(harness.max_seq)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"the process ended with status {done.returncode}"
    return Verdict(**json.loads(done.stdout.splitlines()[-1]))


def complaint(verdict: Verdict | str) -> str:
    """What is wrong with it; empty if all is proved and every cover is reached."""
    if isinstance(verdict, str):
        return verdict
    if verdict.failed:
        return f"does not hold: {', '.join(sorted(set(verdict.failed)))}"
    if verdict.unreached:
        return f"never reached: {', '.join(sorted(set(verdict.unreached)))}"
    said = {"base": verdict.base, "induction": verdict.step, "covers": verdict.covers}
    wrong = [f"{what} {status}" for what, status in said.items() if status not in ("PASSED", "BOUNDED")]
    return ", ".join(wrong)


def method(harness: type[Proof]) -> str:
    """How it is proved."""
    if harness.induction is None:
        return f"bounded, {harness.depth} cycles"
    return f"induction, k = {harness.induction}"


def page() -> str:
    """The table of properties, as Markdown."""
    text = [
        "# Proofs",
        "",
        "<!-- Made by `make docs` of the harnesses in tests/formal/proofs: change them, not this page. -->",
        "",
        "What `make formal` proves of the gateware, with Yosys and z3 from PyPI: for any input in any order that the "
        "assumptions allow, not for a sample of them. Each property has a cover: a situation in which it "
        "says something, "
        "which the solver has to reach. *Induction* holds for any number of cycles; *bounded* for so many cycles from "
        "reset. Why it is done so: [decision 10](decisions/0010-proofs.md).",
    ]
    for harness in harnesses():
        text += ["", f"## {harness.__name__}", ""]
        parameters = [harness.parameters] if harness.parameters else []
        if harness.digits is not None:
            parameters.append(f"numbers of {harness.digits} digits up to {harness.max_seq}")
        text.append(f"Of `{harness.component}`; {'; '.join([*parameters, method(harness)])}.")
        if harness.assumes:
            text.append(f"Assumes: {harness.assumes}.")
        text += ["", "| property | rules | statement |", "|---|---|---|"]
        text += [f"| `{p.name}` | {', '.join(p.rules)} | {p.statement} |" for p in harness.properties]
    return "\n".join(text) + "\n"


def prove(chosen: list[type[Proof]], jobs: int, build: Path) -> int:
    """Decide all of them, print each as it is decided; the number of those that do not hold."""
    failed = 0
    began = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        running = {harness: pool.submit(decide, harness, build) for harness in chosen}
        for harness, future in running.items():
            verdict = future.result()
            wrong = complaint(verdict)
            failed += bool(wrong)
            seconds = f"{verdict.seconds:6.1f} s" if isinstance(verdict, Verdict) else " " * 8
            print(
                f"{seconds}  {harness.component}: {harness.__name__} ({method(harness)}){': FAILED' if wrong else ''}"
            )
            if wrong:
                print(f"          {wrong}")
            else:
                for prop in harness.properties:
                    print(f"          {prop.name} [{' '.join(prop.rules)}]")
            sys.stdout.flush()
    properties = sum(len(harness.properties) for harness in chosen)
    print(f"{properties} properties in {len(chosen)} proofs, {failed} proofs failed, {time.monotonic() - began:.0f} s")
    return failed


def main(arguments: list[str]) -> int:
    """The command; status 1 if something does not hold, could not be decided, or a cover was not reached."""
    parser = argparse.ArgumentParser(prog="make formal", description=__doc__)
    parser.add_argument("names", nargs="*", help="names, or parts of names, of harnesses or properties; default: all")
    parser.add_argument("--sample", action="store_true", help="the quick ones only")
    parser.add_argument("--jobs", type=int, default=2, help="proofs at a time (default: %(default)s)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "formal", help="folder for the solver's files")
    parser.add_argument("--docs", action="store_true", help="write docs/proofs.md, prove nothing")
    options = parser.parse_args(arguments)
    if options.docs:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    chosen = [harness for harness in harnesses() if harness.sample or not options.sample]
    if options.names:
        chosen = [
            harness
            for harness in chosen
            if any(
                part in name
                for part in options.names
                for name in (harness.__name__, *(p.name for p in harness.properties))
            )
        ]
    if not chosen:
        print(f"tag34: no proof is called {' '.join(options.names)}", file=sys.stderr)
        return 2
    return 1 if prove(chosen, options.jobs, options.build.resolve()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
