"""The gateware against the golden model: seeded scenarios of everything that a counterparty may send, with stalls on
every stream."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tag34.contract import EventCode, Phase
from tag34.device import Device, EventRecord, open_device
from tag34_sim.differential import Difference, compare
from tag34_sim.messages import Peer
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import MIX, Operation, scenario

#: Builds of the gateware: a usual one, and one so small that its window, its slots and its messages end all the time.
SHAPES = {"usual": {"window": 64, "max_message": 4096}, "small": {"window": 4, "max_message": 256}}


def devices(shape: str) -> tuple[Device, SimDevice]:
    gateware = open_device("sim:", **SHAPES[shape])
    assert isinstance(gateware, SimDevice)
    return open_device("model:", **SHAPES[shape]), gateware


def operations(shape: str, seed: int, messages: int, mix: dict[str, float] | None = None) -> list[Operation]:
    return list(scenario(random.Random(seed), messages=messages, mix=mix, **SHAPES[shape]))


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(20))
def test_scenarios_of_everything(shape: str, seed: int, stall: float) -> None:
    model, gateware = devices(shape)
    with model, gateware:
        gateware.stalls(seed, stall, stall)
        difference = compare(model, gateware, operations(shape, seed, 300))
        assert difference is None, f"seed {seed}, shape {shape}, stalls {stall}: {difference}"


@pytest.mark.parametrize("seed", range(10))
def test_long_sessions_without_a_halt(seed: int) -> None:
    model, gateware = devices("usual")
    with model, gateware:
        difference = compare(model, gateware, operations("usual", 1000 + seed, 1500, MIX))
        assert difference is None, f"seed {1000 + seed}: {difference}"


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(seed=st.integers(0, 2**32 - 1), messages=st.integers(1, 60), stall=st.sampled_from([0.0, 0.2, 0.6]))
def test_scenarios_that_nobody_chose(seed: int, messages: int, stall: float) -> None:
    model, gateware = devices("small")
    with model, gateware:
        gateware.stalls(seed, stall, stall)
        assert compare(model, gateware, operations("small", seed, messages)) is None


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    noise=st.lists(
        st.binary(max_size=60) | st.sampled_from([b"8=FIX", b"\x01", b"9=", b"10=", b"8=FIX.4.4\x019=5\x01"])
    )
)
def test_bytes_that_mean_nothing(noise: list[bytes]) -> None:
    model, gateware = devices("small")
    with model, gateware:
        start = operations("small", 1, 0)
        garbage = [Operation("receive", {"session": 0, "data": piece}) for piece in noise]
        assert compare(model, gateware, [*start, *garbage]) is None


def test_a_difference_is_found() -> None:
    """The comparison can fail: devices that store messages of different lengths disagree, and it is said where."""
    model, gateware = devices("small")
    with model, gateware, open_device("model:", window=4, max_message=200) as other:
        script = operations("small", 3, 200)
        difference = compare(model, other, script)
        assert isinstance(difference, Difference)
        assert f"operation {difference.index}" in str(difference)
        assert compare(model, gateware, []) is None


def test_latency_is_the_same_for_every_gap() -> None:
    """Last byte of the proving message to the first byte of its ResendRequest, as the device's own counter tells it."""

    _, gateware = devices("usual")
    peer = Peer()
    with gateware:
        gateware.configure(0, peer.config())
        gateware.connect(0, phase=Phase.ACTIVE)
        for seq in range(1, 300, 3):
            for number, possdup in ((seq, False), (seq + 2, False), (seq + 1, True)):
                gateware.receive(0, peer.order(number, possdup=possdup))
        records = gateware.poll()
    asked = [r.cycle for r in records if isinstance(r, EventRecord) and r.code is EventCode.REQUEST]
    sent = [r.cycle for r in records if type(r).__name__ == "SentRecord"]
    latencies = {after - before for before, after in zip(asked, sent, strict=True)}
    assert len(asked) == 100
    assert len(latencies) == 1
    assert latencies.pop() <= 4
