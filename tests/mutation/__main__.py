"""`make mutate`: plant faults in the gateware, one at a time, and see which of them the tests tell."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tag34_sim.verilator import BuildError
from tests.conftest import DEFAULT_SEED
from tests.formal.solver import SolverError

from . import report
from .campaign import Campaign
from .faults import COMPONENTS
from .suite import ROOT

PAGE = ROOT / "docs" / "mutation.md"


def tell(line: str) -> None:
    """Print it now; also where pytest keeps what is printed."""
    print(line, file=sys.__stdout__, flush=True)


def main(arguments: list[str]) -> int:
    """The command. Status 1 if too few faults were killed or one survived without a reason, 2 if it cannot be said."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    names = [component.name for component in COMPONENTS]
    parser.add_argument("--sample", type=int, metavar="N", help="only so many faults, spread over all")
    parser.add_argument(
        "--component", action="append", default=[], choices=names, help="only this one's; may be given again"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="decides which faults (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (default: %(default)s)")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="folder for the report and what is kept")
    options = parser.parse_args(arguments)
    if (options.sample is not None and options.sample < 1) or options.jobs < 1:
        parser.error("--sample and --jobs are 1 or more")
    build = options.build.resolve()
    try:
        campaign = Campaign(build / "mutation", options.seed, options.sample, options.component, options.jobs, tell)
        fates = campaign.run()
    except (BuildError, SolverError, RuntimeError) as error:
        print(f"tag34: {error}", file=sys.stderr)
        return 2
    faults = campaign.faults
    (build / "mutation.json").write_text(json.dumps(report.data(faults, fates, options.seed), indent=1) + "\n")
    whole = options.sample is None and not options.component and options.seed == DEFAULT_SEED
    if whole:
        PAGE.write_text(report.page(faults, fates, options.seed), encoding="utf-8")
    tell("\n".join([*report.table(faults, fates), report.summary(faults, fates)]))
    for fault in report.survivors(faults, fates):
        tell(f"survived: {fault}\n    {report.reason(fault) or 'nobody says why'}")
    wrong = report.complaints(faults, fates, whole)
    for complaint in wrong:
        print(f"tag34: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
