"""The devices that the tests of device behaviour run on: each test is written once, against the interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tag34.device import Device, open_device
from tests.sim.bench import Bench, Stage

#: All that must show the same behaviour.
DEVICE_URLS = ["model:", "sim:"]
#: A device of several sessions with so little memory that they have to share it: five sessions, each may hold three
#: messages of the five that can be held at a time.
SHARED = {"sessions": 5, "window": 8, "max_message": 256, "hold": 5, "hold_limit": 3}


@pytest.fixture(params=DEVICE_URLS)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device of each kind, of the default size: one session, a window of 64 numbers, messages of up to 4096 bytes."""
    with open_device(request.param) as opened:
        yield opened


@pytest.fixture
def bench(device: Device) -> Callable[..., Bench]:
    """Makes a :class:`Bench` on the device; parameters as there."""
    return lambda **options: Bench(device, **options)


@pytest.fixture(params=DEVICE_URLS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A device of each kind, of several sessions (:data:`SHARED`)."""
    with open_device(request.param, **SHARED) as opened:
        yield Stage(opened)
