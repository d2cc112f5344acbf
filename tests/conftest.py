"""What all tests share: fixed seeds, and how a failure tells which seed it had."""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.rules import coverage, markers

DEFAULT_SEED = 34

# The same examples in every run: a red test stays red until the code changes. No deadline: the machine may be busy.
settings.register_profile("tag34", derandomize=True, deadline=None, print_blob=True, database=None)
settings.load_profile("tag34")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=DEFAULT_SEED, help="seed of random stimulus (default: %(default)s)")
    parser.addoption(
        "--rule-coverage", type=Path, metavar="FILE.json", help="count what is seen of each rule on each device"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(markers)
    target: Path | None = config.getoption("rule_coverage")
    if target is not None:
        config.pluginmanager.register(coverage.Coverage(target))


def pytest_report_header(config: pytest.Config) -> str:
    return f"tag34: random stimulus from --seed {config.getoption('seed')}"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run, for what makes random numbers of its own."""
    value: int = request.config.getoption("seed")
    return value


@pytest.fixture
def rng(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """Random numbers of this test alone: the seed and the test's name decide them, not which tests run before it."""
    return random.Random(f"{seed} {request.node.nodeid}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and {"seed", "rng"} & set(getattr(item, "fixturenames", ())):
        report.sections.append(("seed", f"again: pytest --seed {item.config.getoption('seed')} '{item.nodeid}'"))
    return report
