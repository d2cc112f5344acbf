"""From the last byte of the message that proves a gap to the ResendRequest, in cycles, at the pins of the gateware."""

from __future__ import annotations

import pytest

from tag34.contract import EventCode, Phase
from tag34.device import EventRecord, Record, SentRecord, SessionConfig, open_device
from tag34_sim.bench.measure import BUDGET
from tag34_sim.messages import Peer
from tag34_sim.sim_device import SimDevice
from tag34_sim.verilator import VerilatedCore
from tests.sim.compiler import needs_compiler
from tests.sim.conftest import WIDTHS

PEER = Peer()
#: What the documentation says, in cycles, by width; from 2 on it is that of 8.
LATENCY = {1: 3, 8: 6}


def told(width: int, config: SessionConfig, data: bytes) -> tuple[list[Record], int]:
    """What is told of these bytes on a new connection, and the cycle in which the last of them was taken."""
    with open_device("sim:", width=width) as device:
        assert isinstance(device, SimDevice)
        assert isinstance(device.core, VerilatedCore)
        device.configure(0, config)
        device.connect(0, phase=Phase.ACTIVE)
        device.core.counts()
        device.receive(0, data)
        return device.poll(), device.core.counts().rx_last


@needs_compiler
@pytest.mark.rule("R11")
@pytest.mark.parametrize("width", WIDTHS)
def test_R11_latency_is_the_same_in_every_lane(width: int) -> None:
    """Alone and with other bytes right behind it: the record tells the cycle in which the byte was taken."""
    found = set()
    for before in range(8):
        for behind in (b"", b"8=FIX.4.4\x019=100\x0135=D\x01" + b"x" * 70):
            records, last = told(width, PEER.config(), b"x" * before + PEER.message("0", 5) + behind)
            [request] = [r for r in records if isinstance(r, EventRecord) and r.code is EventCode.REQUEST]
            [sent] = [r for r in records if isinstance(r, SentRecord)]
            if not behind:
                assert request.cycle == last
            found.add(sent.cycle - request.cycle)
    assert found == {LATENCY[1] if width == 1 else LATENCY[8]}
    assert found.pop() <= (BUDGET[1] if width == 1 else BUDGET[8])


@needs_compiler
@pytest.mark.parametrize("width", WIDTHS)
def test_a_gap_is_told_within_a_few_cycles_of_its_number(width: int) -> None:
    """GAP, from the SOH behind 34 on."""
    message = PEER.message("0", 5)
    at = message.index(b"\x01", message.index(b"\x0134=") + 1) + 1
    found = set()
    for before in range(8):
        [gap], last = told(width, PEER.config(early_gap=True), b"x" * before + message[:at])
        assert isinstance(gap, EventRecord)
        assert gap.code is EventCode.GAP
        found.add(gap.cycle - last)
    assert max(found) - min(found) <= (0 if width == 1 else 1)
    assert max(found) <= (4 if width == 1 else 7)
