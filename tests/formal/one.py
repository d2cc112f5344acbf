"""One harness in a process of its own, as some of them want the gateware with narrower numbers: a verdict as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from . import solver
from .narrowing import narrow


def main(arguments: list[str]) -> int:
    """Decide one harness; status 0 if there is a verdict, whatever it is."""
    parser = argparse.ArgumentParser(prog="python -m tests.formal.one")
    parser.add_argument("module")
    parser.add_argument("harness")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--digits", type=int)
    parser.add_argument("--max-seq", type=int)
    parser.add_argument("--limit", type=float, required=True)
    options = parser.parse_args(arguments)
    if options.digits is not None:
        narrow(options.digits, options.max_seq)
    harness = getattr(importlib.import_module(options.module), options.harness)
    try:
        solver.prepare(harness().text(), options.folder)
        verdict = solver.check(
            options.folder,
            induction=harness.induction,
            depth=harness.depth,
            reach=harness.reach,
            limit=options.limit,
        )
    except solver.SolverError as error:
        print(f"tag34: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(verdict)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
