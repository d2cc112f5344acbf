"""The devices that the tests of device behaviour run on: each test is written once, against the interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tag34.device import Device, open_device
from tests.sim.bench import Bench, Stage

#: Bytes per beat of the gateware.
WIDTHS = [1, 2, 4, 8]
#: How the gateware is made: bytes per beat, or the compact one.
Made = int | str
COMPACT = "compact"
MADE: list[Made] = [*WIDTHS, COMPACT]


def made_options(made: Made) -> dict[str, Any]:
    """What a device is opened with that is made so."""
    return {"compact": True} if made == COMPACT else {"width": made}


#: All that must show the same behaviour, with what it is opened with.
DEVICES = [
    pytest.param(("model:", {}), id="model:"),
    *(pytest.param(("sim:", made_options(made)), id=f"sim:{made}") for made in MADE),
]
#: A device of several sessions with so little memory that they have to share it: five sessions, each may hold three
#: messages of the five that can be held at a time.
SHARED = {"sessions": 5, "window": 8, "max_message": 256, "hold": 5, "hold_limit": 3}


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device of each kind, of the default size: one session, a window of 64 numbers, messages of up to 4096 bytes."""
    url, options = request.param
    with open_device(url, **options) as opened:
        yield opened


@pytest.fixture
def bench(device: Device) -> Callable[..., Bench]:
    """Makes a :class:`Bench` on the device; parameters as there."""
    return lambda **options: Bench(device, **options)


@pytest.fixture(params=DEVICES)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A device of each kind, of several sessions (:data:`SHARED`)."""
    url, options = request.param
    with open_device(url, **SHARED, **options) as opened:
        yield Stage(opened)
