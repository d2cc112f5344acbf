"""The traffic of the tests themselves: the same seed makes the same, and it reaches every rule."""

from __future__ import annotations

import random

import pytest

from tag34.contract import RULE_VERDICT, EventCode, Rule
from tag34.device import DeliverRecord, EventRecord, MessageRecord
from tag34_sim.golden import FrameKind, Framer
from tag34_sim.messages import Peer, cut, damaged_checksum, flipped, truncated
from tag34_sim.model_device import ModelDevice
from tag34_sim.traffic import HALTING_MIX, MIX, Traffic, run, scenario


def test_the_same_seed_makes_the_same(seed: int) -> None:
    first, second = (list(scenario(random.Random(seed), messages=300, sessions=3)) for _ in range(2))
    assert first == second
    assert first != list(scenario(random.Random(seed + 1), messages=300, sessions=3))


def test_a_scenario_reaches_every_rule_and_event(seed: int) -> None:
    device = ModelDevice(sessions=2, window=16, max_message=300)
    records = run(device, scenario(random.Random(seed), messages=20_000, sessions=2, window=16, max_message=300))
    events = [record for record in records if isinstance(record, EventRecord)]
    assert {record.rule for record in records if isinstance(record, MessageRecord)} == set(RULE_VERDICT)
    assert {event.code for event in events} == set(EventCode) - {EventCode.SEND_DROPPED}  # refused at once
    assert {event.rule for event in events if event.code is EventCode.REQUEST} == {Rule.R11, Rule.R13A, Rule.R14}


@pytest.mark.parametrize("kind", [*MIX, *HALTING_MIX])
def test_every_kind_of_traffic_can_be_made_alone(kind: str, rng: random.Random) -> None:
    traffic = Traffic(rng, mix={kind: 1})
    assert b"".join(traffic.next() for _ in range(50)) or kind == "lost"
    assert traffic.halting == (kind in HALTING_MIX)


@pytest.mark.parametrize("kind", sorted({*MIX, *HALTING_MIX} - {"lost", "garbled", "noise"}))
def test_what_is_not_meant_to_be_garbled_is_well_framed(kind: str, rng: random.Random) -> None:
    traffic = Traffic(rng, mix={kind: 1, "lost": 0.2})
    framer = Framer(10**6)
    frames = framer.feed(b"".join(traffic.next() for _ in range(100)))
    assert frames
    assert {frame.kind for frame in frames} == {FrameKind.VALID}
    assert framer.skipped == framer.partial == 0


def test_in_order_traffic_is_delivered_whole(rng: random.Random) -> None:
    device = ModelDevice()
    traffic = Traffic(rng, mix={"in_order": 1})
    device.configure(0, traffic.peer.config())
    device.connect(0)
    device.receive(0, traffic.logon() + b"".join(traffic.next() for _ in range(100)))
    assert [record.seq for record in device.poll() if isinstance(record, DeliverRecord)] == list(range(1, 102))


def test_chunks_are_the_whole(rng: random.Random) -> None:
    data = rng.randbytes(5000)
    chunks = cut(data, rng)
    assert b"".join(chunks) == data
    assert all(chunks)


def test_damage(rng: random.Random) -> None:
    message = Peer().order(1)
    for damaged in (damaged_checksum(message), flipped(message, rng), truncated(message, rng)):
        assert damaged != message
        assert [frame.kind for frame in Framer(4096).feed(damaged)] in ([], [FrameKind.GARBLED])
