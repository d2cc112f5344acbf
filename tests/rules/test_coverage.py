"""The coverage of rules: what is due, the table, and a run of it over several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tag34_sim.rulebook import RULES
from tests.rules import report, sources


def all_seen(**changes: int) -> dict[str, dict[str, int]]:
    """Every rule seen twice on every device where it is due, but for the changes, which are on all devices."""
    return {
        device: {rule: changes.get(rule, 0 if (rule, device) in report.EXCUSED else 2) for rule in RULES}
        for device in report.DEVICES
    }


def test_excuses_are_of_rules_and_devices_that_exist_and_leave_no_rule_out() -> None:
    assert {rule for rule, _ in report.EXCUSED} <= set(RULES)
    assert {device for _, device in report.EXCUSED} <= set(report.DEVICES)
    for rule in RULES:
        assert [device for device in report.DEVICES if (rule, device) not in report.EXCUSED], rule


def test_what_is_due_and_was_not_seen_is_missing() -> None:
    assert report.missing(all_seen()) == []
    assert report.missing(all_seen(R8=0)) == [
        "R8 was never seen on model: delivered in its turn",
        "R8 was never seen on sim: delivered in its turn",
    ]


def test_an_excuse_that_is_not_needed_is_told() -> None:
    (line,) = report.missing(all_seen(R16=1))
    assert line.startswith("R16 was seen on model, which is excused from it")


def test_the_table_has_every_rule_every_device_and_the_excuses() -> None:
    lines = report.table({**all_seen(R8=1234567), "serial": {"R8": 5}})
    assert lines[0].split() == ["rule", "model", "sim", "serial", "seen", "when"]
    assert [line.split()[0] for line in lines[1 : len(RULES) + 1]] == list(RULES)
    cells = {line.split()[0]: line.split()[1:4] for line in lines[1:]}
    assert (cells["R8"], cells["R9"], cells["R16"]) == (["1234567", "1234567", "5"], ["2", "2", "0"], ["-", "2", "0"])
    assert len([line for line in lines if line.startswith("- ")]) == len(report.EXCUSED)


def test_counts_of_several_processes_are_added(tmp_path: Path) -> None:
    (tmp_path / "gw0.json").write_text('{"model": {"R8": 1}}', encoding="utf-8")
    (tmp_path / "gw1.json").write_text('{"model": {"R8": 2, "R9": 1}, "serial": {"F1": 1}}', encoding="utf-8")
    assert report.read(tmp_path) == {"model": {"R8": 3, "R9": 1}, "sim": {}, "serial": {"F1": 1}}


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run(tmp_path: Path, processes: str) -> None:
    """A few tests are too few: the run fails, says what is missing, and has counted what there was."""
    target = tmp_path / "new" / "coverage.json"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", processes, "-p", "no:cacheprovider", "--rule-coverage", str(target)]
        + [
            "tests/sim/test_device_rules.py",
            "-k",
            "model and (test_R8 or come_and_go)",
            "tests/host/test_logon.py",
        ],
        cwd=sources.ROOT,
        # A run of its own, even if this one is a worker's.
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert " 12 passed" in run.stdout
    assert "R9 was never seen on model" in run.stdout
    assert "R8 was never seen on model" not in run.stdout
    hits = json.loads(target.read_text(encoding="utf-8"))
    assert set(hits) == {"model", "sim"}
    assert hits["model"]["R8"] >= 11
    assert hits["model"]["H1"] == 2
    assert hits["model"].get("R9", 0) == hits["sim"].get("R8", 0) == 0
