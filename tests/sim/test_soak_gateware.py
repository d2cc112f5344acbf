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
#: Messages of each run: not every build is made in every width, as each takes a minute to compile.
MESSAGES = 8_500


@pytest.mark.parametrize(
    ("shape", "width"),
    [(shape, width) for shape in SHAPES for width in (WIDTHS if shape in ("one", "shared") else (1, 8))],
)
def test_gateware_and_golden_model_say_the_same(shape: str, width: int, seed: int) -> None:
    options = SHAPES[shape] | {"width": width}
    soak = Soak("sim:", options, seed)
    outcome = soak.run(MESSAGES)
    again = " ".join(f"--{name.replace('_', '-')} {size}" for name, size in options.items())
    assert outcome.difference is None, f"again: tag34 soak --seed {seed} {again}\n{outcome.difference}"
    assert outcome.messages >= MESSAGES
    assert outcome.cycles * width > 60 * outcome.messages, "a message has more bytes than that"
    assert {rule.id for rule in RULE_VERDICT} == set(+outcome.rules)
