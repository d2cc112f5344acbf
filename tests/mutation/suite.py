"""The tests of device behaviour, collected once; each broken core runs them in a child of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tag34 import core_device

ROOT = Path(__file__).parents[2]
#: Those first that say most in little time.
FILES = (
    *("tests/sim/test_differential_*.py", "tests/sim/test_device_*.py"),
    *("tests/sim/test_differential.py", "tests/sim/test_latency.py"),
)
#: These are run by :mod:`.scenarios`.
ELSEWHERE = "test_scenarios_of_everything", "test_long_sessions_without_a_halt"
#: In the names of tests that take a third of the time of all, and say step by step what scenarios say at random.
LONG = "at_every_byte"
#: A broken core that hangs is found sooner than a whole one has to be.
REST_CYCLES = 1 << 20


def concerns(item: pytest.Item) -> bool:
    """Whether a test says something of a core with faults, which has a width of one byte."""
    if not isinstance(item, pytest.Function) or item.name.startswith(ELSEWHERE) or LONG in item.name:
        return False
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    url, options = parameters.get("device") or parameters.get("stage") or ("sim:", {"width": 1})
    of_test = parameters.get("options", {})
    widths = options.get("width"), of_test.get("width", 1), parameters.get("width", 1), parameters.get("made", 1)
    return bool(url == "sim:" and widths == (1, 1, 1, 1) and not of_test.get("compact"))


def file_of(test: str) -> str:
    """Where a test is, by its name."""
    return test.partition("::")[0]


class Suite:
    """A pytest plugin that hands its collected tests to a campaign instead of running them.

    Parameters: ``campaign``, called with this object.

    Members: ``error``, what the campaign raised.
    """

    def __init__(self, campaign: Callable[[Suite], None]):
        self._campaign = campaign
        self._session: pytest.Session | None = None
        self.error: BaseException | None = None

    def pytest_configure(self) -> None:
        # The first example that fails says enough.
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutation", hypothesis.settings.get_profile("tag34"), phases=phases)
        hypothesis.settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if concerns(item)]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._session = session
        try:
            self._campaign(self)
        except BaseException as error:  # noqa: BLE001 - raised again by run()
            self.error = error
        return True

    @property
    def files(self) -> list[str]:
        """The files that the tests are in, those first that say most in little time."""
        assert self._session is not None
        return list(dict.fromkeys(map(file_of, (item.nodeid for item in self._session.items))))

    def run(self, names: Collection[str]) -> str:
        """Run the tests of these names, or in files of these names, in a child: the first one that fails, empty if
        none does."""
        session = self._session
        assert session is not None
        items = [item for item in session.items if item.nodeid in names or file_of(item.nodeid) in names]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return item.nodeid
        return ""


def run(campaign: Callable[[Suite], None]) -> None:
    """Collect the tests and call ``campaign``. Raises what it raises, and RuntimeError if there are no tests."""
    core_device.REST_CYCLES = REST_CYCLES
    suite = Suite(campaign)
    files = [str(path) for pattern in FILES for path in sorted(ROOT.glob(pattern))]
    options = ["-q", "-q", "-s", "--no-header", "--no-summary", "--assert=plain", "--tb=no", "-p", "no:cacheprovider"]
    plugins: list[Any] = [suite]
    status = pytest.main([*options, f"--rootdir={ROOT}", *files], plugins)
    if suite.error is not None:
        raise suite.error
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or suite._session is None:
        raise RuntimeError(f"pytest could not collect the tests, status {status}")
