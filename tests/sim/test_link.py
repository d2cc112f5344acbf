"""A device on a link: the compiled gateware behind the golden model of the link shows what it shows without one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tag34.device import Device, DeviceError, SessionConfig, open_device
from tag34.link.core import LinkCore
from tag34.link.device import LinkDevice
from tag34.link.endpoint import Endpoint
from tag34_hdl.layouts import Shape
from tag34_sim.chaos import BAD, PERFECT, ChaosTransport, Faults, PacketWire
from tag34_sim.differential import comparable
from tag34_sim.link_peer import LinkPeer, info_of
from tag34_sim.traffic import perform, scenario
from tag34_sim.verilator import VerilatedCore
from tests.sim.compiler import needs_compiler

SHAPE: dict[str, Any] = {"sessions": 3, "window": 8, "max_message": 512}


def linked(seed: int, faults: Faults) -> LinkDevice:
    rng = random.Random(seed)
    peer = LinkPeer(VerilatedCore(Shape(**SHAPE)), rng, timeout=0.1, cycles=rng.choice((0, 50, 2000)))
    wire = ChaosTransport(peer, PacketWire(rng, faults), PacketWire(rng, faults))
    endpoint = Endpoint(0.0, timeout=0.1, silence=60, token=lambda: seed + 1)
    return LinkDevice(LinkCore(wire, endpoint, clock=wire.clock, hello=60, patience=600), "link", "in a test")


def life(device: Device, seed: int) -> list[object]:
    """All that a device says in its life, but for cycles."""
    said: list[object] = []
    operations = scenario(random.Random(seed), messages=120, sessions=3, window=8, max_message=512)
    for operation in operations:
        said.append((operation.verb, perform(device, operation)))
        said += comparable(device.poll())
    said += [(device.state(session), device.counters(session)) for session in range(device.info.sessions)]
    return said


@needs_compiler
@pytest.mark.parametrize(("case", "faults"), [(1, PERFECT), (2, PERFECT), (3, BAD), (4, BAD)])
def test_a_device_on_a_link_shows_what_the_device_shows(case: int, faults: Faults) -> None:
    with open_device("sim:", **SHAPE) as plain:
        wanted = life(plain, case)
        plain_info = plain.info
    with linked(case, faults) as device:
        assert life(device, case) == wanted
        assert device.info == replace(
            plain_info, name="link", detail="in a test", board="model", build_id="0000000000000000"
        )
    assert len(wanted) > 150


@needs_compiler
def test_a_link_without_early_warnings_says_so() -> None:
    core = VerilatedCore(Shape(**SHAPE))
    rng = random.Random(1)
    peer = LinkPeer(core, rng, info=replace(info_of(core), capabilities=0))  # type: ignore[arg-type]
    wire = ChaosTransport(peer, PacketWire(rng), PacketWire(rng))
    with LinkDevice(LinkCore(wire, Endpoint(0.0), clock=wire.clock), "link") as device:
        config = SessionConfig("FIX.4.4", "A", "B")
        with pytest.raises(DeviceError, match="no early warning of a gap"):
            device.configure(0, replace(config, early_gap=True))
        with pytest.raises(DeviceError, match="session 0 is not configured"):
            device.connect(0)
        device.configure(0, config)
        device.connect(0)
