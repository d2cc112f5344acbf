"""The devices that the tests of device behaviour run on: each test is written once, against the interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tag34.device import Device, open_device
from tests.sim.bench import Bench

#: All that must show the same behaviour.
DEVICE_URLS = ["model:", "sim:"]


@pytest.fixture(params=DEVICE_URLS)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device of each kind, of the default size: one session, a window of 64 numbers, messages of up to 4096 bytes."""
    with open_device(request.param) as opened:
        yield opened


@pytest.fixture
def bench(device: Device) -> Callable[..., Bench]:
    """Makes a :class:`Bench` on the device; parameters as there."""
    return lambda **options: Bench(device, **options)
