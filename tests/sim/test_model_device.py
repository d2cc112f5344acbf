"""The ``model:`` device: opening it. What it does is shown by the tests of every device."""

from __future__ import annotations

import pytest

from tag34.device import DeviceError, open_device
from tag34_sim.model_device import ModelDevice, open_model


def test_it_is_found_by_its_url() -> None:
    with open_device("model:") as device:
        assert isinstance(device, ModelDevice)
        info = device.info
    assert (info.name, info.sessions, info.window, info.max_message) == ("model", 1, 64, 4096)
    assert (info.width, info.clock_hz) == (0, 0)


def test_options() -> None:
    with open_device("model:", sessions=1000, window=7, max_message=300) as device:
        assert (device.info.sessions, device.info.window, device.info.max_message) == (1000, 7, 300)
        assert device.state(999).expected == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"sessions": 0}, "sessions"),
        ({"sessions": 65537}, "sessions"),
        ({"sessions": "4"}, "sessions"),
        ({"window": 0}, "window"),
        ({"window": True}, "window"),
        ({"max_message": 0}, "max_message"),
        ({"max_message": 1 << 24}, "max_message"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], name: str) -> None:
    with pytest.raises(DeviceError, match=name):
        open_device("model:", **options)


def test_nothing_stands_behind_the_colon() -> None:
    with pytest.raises(DeviceError, match="/dev/ttyUSB0"):
        open_model("/dev/ttyUSB0")


def test_the_constructor_refuses_what_is_out_of_range() -> None:
    with pytest.raises(ValueError, match="window must be 1 to 4294967295, not 0"):
        ModelDevice(window=0)
