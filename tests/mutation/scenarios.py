"""The differential tests' scenarios, told once by the golden model and then asked of one broken core after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tag34.device import Device, open_device
from tag34_sim.differential import comparable
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import MIX, Operation, perform
from tests.sim.test_differential import SHAPES, life

#: Some of the scenarios of everything, and of those without a halt, of tests/sim/test_differential: seed, pieces of
#: traffic, share of stalls.
EVERYTHING = [(seed, 300, stall) for seed in range(6) for stall in (0.0, 0.3)]
LONG = [(1000 + seed, 1500, 0.0) for seed in range(3)]


@dataclass
class Script:
    """A scenario: its ``name``, the ``shape`` of the device, ``seed`` and share of ``stalls``, and the operations with
    what the golden model said to each."""

    name: str
    shape: str
    seed: int
    stall: float
    steps: list[tuple[Operation, Any]]

    def run(self) -> bool:
        """Whether a core says the same. What it raises is a difference as well."""
        with open_device("sim:", **SHAPES[self.shape]) as device:
            assert isinstance(device, SimDevice)
            device.stalls(self.seed, self.stall, self.stall)
            return all(_said(device, operation) == wanted for operation, wanted in self.steps)


def _said(device: Device, operation: Operation) -> Any:
    refused = perform(device, operation)
    records = comparable(device.poll())
    session = operation.arguments.get("session")
    return refused, records, None if session is None else device.state(session)


def scripts(few: bool = False) -> Iterator[Script]:
    """All scenarios, those first that find most; ``few``: one of each shape."""
    everything = [(shape, *case, None) for case in EVERYTHING for shape in ("shared", "small", "usual")]
    long = [(shape, *case, MIX) for case in LONG for shape in ("shared", "usual")]
    cases = everything[:12] + long[:2] + everything[12:] + long[2:]
    for shape, seed, pieces, stall, mix in cases[:3] if few else cases:
        with open_device("model:", **SHAPES[shape]) as model:
            steps = [(operation, _said(model, operation)) for operation in life(model, seed, pieces, mix)]
        yield Script(f"{shape} {seed} {stall}", shape, seed, stall, steps)
