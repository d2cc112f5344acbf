"""100,000 messages of random traffic, gateware of each width against golden model."""

from __future__ import annotations

import pytest

from tag34.contract import RULE_VERDICT
from tag34_sim.soak import Soak
from tag34_sim.soak_command import sizes
from tests.sim.conftest import SHARED, WIDTHS

#: Builds of the gateware: one session and much room, one session and hardly any, a few that share too little memory,
#: and many.
SHAPES: dict[str, dict[str, int]] = {
    "one": {"sessions": 1, "window": 64, "max_message": 4096},
    "small": {"sessions": 1, "window": 4, "max_message": 256},
    "shared": SHARED,
    "many": sizes(sessions=64),
}
#: Messages of each run, and runs of each build.
MESSAGES, RUNS = 6_250, 1


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gateware_and_golden_model_say_the_same(shape: str, width: int, run: int, seed: int) -> None:
    options = SHAPES[shape] | {"width": width}
    soak = Soak("sim:", options, seed + run)
    outcome = soak.run(MESSAGES)
    again = " ".join(f"--{name.replace('_', '-')} {size}" for name, size in options.items())
    assert outcome.difference is None, f"again: tag34 soak --seed {seed + run} {again}\n{outcome.difference}"
    assert outcome.messages >= MESSAGES
    assert outcome.cycles * width > 60 * outcome.messages, "a message has more bytes than that"
    assert {rule.id for rule in RULE_VERDICT} == set(+outcome.rules)
