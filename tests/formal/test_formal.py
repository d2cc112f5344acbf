"""The runner of the proofs: what is false, never reached or not decided is said, and fails."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from amaranth import Signal

from tag34_hdl.receive.checksum import Checksum
from tests.formal import __main__ as runner
from tests.formal import solver
from tests.formal.harness import Opened, Proof, Property
from tests.hdl.bench import refusal
from tests.rules.sources import proofs


class Counter(Proof):
    """Counts to three and stays there."""

    component = "counter"
    induction: ClassVar[int | None] = 1
    reach = 6
    properties: ClassVar[tuple[Property, ...]] = (Property("counter.bound", ("F1",), "it never passes three"),)
    bound: ClassVar[int] = 3
    target: ClassVar[int] = 3

    def build(self) -> None:
        value = Signal(3)
        with self.m.If(value != 3):
            self.m.d.sync += value.eq(value + 1)
        self.holds("counter.bound", value <= self.bound)
        self.cover("counter.bound", value == self.target)


class Wrong(Counter):
    """Says that it never passes two."""

    bound = 2


class Vacuous(Counter):
    """Asks for a situation that never comes."""

    target = 4


class Missing(Counter):
    """Promises a property and says nothing of it."""

    properties = (*Counter.properties, Property("counter.more", ("F1",), "something else"))


def decide(harness: type[Proof], folder: Path) -> str:
    """What the runner complains of."""
    solver.prepare(harness().text(), folder)
    verdict = solver.check(folder, induction=harness.induction, depth=harness.depth, reach=harness.reach, limit=120)
    return runner.complaint(verdict)


@pytest.mark.parametrize(
    ("harness", "complaint"),
    [(Counter, ""), (Wrong, "does not hold: counter.bound"), (Vacuous, "never reached: counter.bound")],
)
def test_what_is_said_of_it(harness: type[Proof], complaint: str, tmp_path: Path) -> None:
    assert decide(harness, tmp_path) == complaint


def test_a_bounded_check_finds_what_lies_within_its_bound(tmp_path: Path) -> None:
    class Bounded(Wrong):
        """Three is reached in the fourth cycle."""

        induction = None
        depth = 3
        target, reach = 1, 2  # what it covers comes before what it gets wrong

    assert decide(Bounded, tmp_path) == ""
    Bounded.depth = 5
    assert decide(Bounded, tmp_path) == "does not hold: counter.bound"


def test_a_property_without_a_statement_is_an_error() -> None:
    assert "counter.more" in refusal(lambda: Missing().text())


class Renamed(Counter):
    """Looks for a signal of the component under a name that it has not got."""

    def build(self) -> None:
        opened = self.m.submodules.dut = Opened(Checksum())
        self.holds("counter.bound", opened.signal("total") == opened.signal("sum_total"))


def test_a_signal_that_is_gone_stops_a_proof(tmp_path: Path) -> None:
    wrong = runner.complaint(runner.decide(Renamed, tmp_path))
    assert "sum_total: 0 signals have this name" in wrong


def test_a_solver_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    solver.prepare(Counter().text(), tmp_path)
    with pytest.raises(solver.SolverError, match="was not done after"):
        solver.check(tmp_path, induction=1, depth=0, reach=6, limit=0.001)


def test_no_verdict_is_a_complaint(tmp_path: Path) -> None:
    class Gone(Counter):
        """Cannot be found by another process."""

    Gone.__module__ = "tests.formal.nowhere"
    assert "nowhere" in runner.complaint(runner.decide(Gone, tmp_path))


def test_the_page_is_made_of_the_harnesses() -> None:
    assert runner.PAGE.read_text(encoding="utf-8") == runner.page(), "docs/proofs.md is stale: run `make docs`"


def test_every_property_has_a_name_of_its_own_and_a_rule_or_decision() -> None:
    found = [prop for harness in runner.harnesses() for prop in harness.properties]
    assert len({prop.name for prop in found}) == len(found) > 0
    assert all(prop.rules and prop.statement for prop in found)
    assert {p.name for listed in proofs().values() for p in listed} <= {prop.name for prop in found}


def test_unknown_names_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["no-such-proof"]) == 2
    assert "no proof is called no-such-proof" in capsys.readouterr().err
