"""The devices that the host is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tag34 import Device, open_device
from tests.host.bench import DEVICE_URLS, Bench, usable


@pytest.fixture(params=DEVICE_URLS)
def device_url(request: pytest.FixtureRequest) -> str:
    """Every test of a session runs on each of these."""
    return usable(request.param)


@pytest.fixture
def device(device_url: str) -> Iterator[Device]:
    """A device of one session."""
    with open_device(device_url) as opened:
        yield opened


@pytest.fixture
def initiator(device: Device) -> Bench:
    """A session that begins with our Logon, not connected yet."""
    return Bench(device)


@pytest.fixture
def acceptor(device: Device) -> Bench:
    """A session that waits for the peer's Logon, not connected yet."""
    return Bench(device, initiator=False)
