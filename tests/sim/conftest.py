"""The devices that the tests of device behaviour run on: each test is written once, against the interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tag34.device import Device, open_device
from tag34.link import serial_port
from tag34_hdl.layouts import Shape
from tag34_hdl.link.packet import LinkInfo
from tag34_sim.verilated_top import board_on_pty
from tests.sim.bench import Bench, Stage
from tests.sim.compiler import needs_compiler

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
#: A whole board in simulation.
BOARDS = [pytest.param(("board", {}), id="serial:", marks=needs_compiler)]
#: A device of several sessions with so little memory that they have to share it: five sessions, each may hold three
#: messages of the five that can be held at a time.
SHARED = {"sessions": 5, "window": 8, "max_message": 256, "hold": 5, "hold_limit": 3}
#: The size of the compact core on a small FPGA.
SMALL = {"window": 8, "max_message": 256, "hold": 2}


@pytest.fixture(scope="session")
def simulated_board() -> Iterator[str]:
    """The port of a whole board in simulation, of the default size: a pseudo-terminal leads to the pins of its UART."""
    with board_on_pty(Shape(clock_hz=12_000_000), divisor=4, info=LinkInfo(board="simulated")) as port:
        yield port


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated board has the time that it takes: how much of the processor it gets is no matter of these tests."""
    for limit in ("PROBE", "HELLO", "SILENCE", "PATIENCE"):
        monkeypatch.setattr(serial_port, limit, 60.0)
    monkeypatch.setattr(serial_port, "TIMEOUT", 5.0)


@pytest.fixture
def board(simulated_board: str, unhurried: None) -> str:
    """Its URL."""
    return f"serial:{simulated_board}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of a module with ``ON_BOARD = True`` run on a board too: the others would take it too long."""
    if "device" in metafunc.fixturenames and not any(
        "device" in str(mark.args[0]).split(",") for mark in metafunc.definition.iter_markers("parametrize")
    ):
        metafunc.parametrize(
            "device", [*DEVICES, *(BOARDS if hasattr(metafunc.module, "ON_BOARD") else [])], indirect=True
        )


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device of each kind, of the default size: one session, a window of 64 numbers, messages of up to 4096 bytes."""
    url, options = request.param
    with open_device(request.getfixturevalue("board") if url == "board" else url, **options) as opened:
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
