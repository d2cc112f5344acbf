"""A test that is marked with a rule that does not exist is an error when it is collected: a plugin of pytest."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tag34_sim.rulebook import RULES


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(name: str) -> Generator[None, Any, Any]:
    made = yield
    for item in made if isinstance(made, list) else []:
        for mark in item.iter_markers("rule"):
            unknown = [rule for rule in mark.args if rule not in RULES]
            if unknown or not mark.args:
                wrong = ", ".join(map(repr, unknown)) or "no rule"
                raise pytest.Collector.CollectError(
                    f"{name} is marked with {wrong}: the rules are those of tag34_sim.rulebook"
                )
    return made
