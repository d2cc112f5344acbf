"""The traffic of the tests themselves: the same seed makes the same, and it reaches every rule."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tag34.contract import RULE_VERDICT, EventCode, Phase, Rule
from tag34.device import DeliverRecord, EventRecord, MessageRecord
from tag34_sim.golden import FrameKind, Framer
from tag34_sim.hostile import TRICKS, Aim, jump, swallow
from tag34_sim.messages import Peer, cut, damaged_checksum, flipped, truncated
from tag34_sim.model_device import ModelDevice
from tag34_sim.traffic import HALTING_MIX, MIX, Operation, Traffic, perform, run, scenario

PEER = Peer()


@pytest.mark.parametrize("watched", [False, True])
def test_the_same_seed_makes_the_same(seed: int, watched: bool) -> None:
    def life(seed: int) -> list[Operation]:
        device = ModelDevice(sessions=3)
        operations = []
        for operation in scenario(
            random.Random(seed), messages=300, sessions=3, watch=device.state if watched else None
        ):
            perform(device, operation)
            operations.append(operation)
        return operations

    assert life(seed) == life(seed)
    assert life(seed) != life(seed + 1)


@pytest.mark.parametrize("sessions", [1, 20])
@pytest.mark.parametrize("watched", [False, True])
def test_a_scenario_reaches_every_rule_and_event(seed: int, sessions: int, watched: bool) -> None:
    shape = {"sessions": sessions, "window": 16, "max_message": 300}
    device = ModelDevice(**shape, hold=10)
    watch = device.state if watched else None
    records = run(device, scenario(random.Random(seed), messages=8000, **shape, watch=watch))  # type: ignore[arg-type]
    judged = Counter(record.rule for record in records if isinstance(record, MessageRecord))
    events = [record for record in records if isinstance(record, EventRecord)]
    assert set(judged) == set(RULE_VERDICT)
    # What is too long to be sent is refused at once, early warnings are not asked for.
    assert {event.code for event in events} == set(EventCode) - {EventCode.SEND_DROPPED, EventCode.GAP}
    assert {event.rule for event in events if event.code is EventCode.REQUEST} == {Rule.R11, Rule.R13A, Rule.R14}
    if watched:
        assert judged[Rule.R1] < 0.15 * judged.total(), "most messages find a session that is up"


def test_a_scenario_cuts_everywhere_and_changes_sessions_everywhere(seed: int) -> None:
    """Chunk borders fall into every part of a message, the trailer too, and bytes of other sessions come in between."""
    framers = [Framer(4096) for _ in range(3)]
    streams = [b""] * 3
    borders: list[set[int]] = [set() for _ in framers]
    cut_in, last = Counter[str](), -1
    parts = {"8": "begin string", "9": "body length", "35": "35", "34": "34", "49": "49", "52": "52", "10": "trailer"}
    for operation in scenario(random.Random(seed), messages=3000, sessions=3):
        session: int = operation.arguments.get("session", last)
        if operation.verb == "connect":
            framers[session].reset()
            streams[session] = b""
            borders[session].clear()
        elif operation.verb == "receive":
            data = operation.arguments["data"]
            if session != last and data:
                borders[session].add(len(streams[session]))
            streams[session] += data
            for frame in framers[session].feed(data):
                for at in borders[session]:
                    if frame.kind is FrameKind.VALID and frame.offset < at < frame.offset + frame.length:
                        field = frame.raw[: at - frame.offset].rpartition(b"\x01")[2]
                        whole = frame.raw[at - frame.offset - len(field) :]
                        tag = whole.partition(b"=")[0].decode("latin-1")
                        cut_in[parts.get(tag, "other")] += 1
                        cut_in["within a tag"] += b"=" not in field and field != b""
                borders[session].clear()
            last = session
    assert set(cut_in) == {*parts.values(), "other", "within a tag"}
    assert min(cut_in.values()) >= 5, cut_in


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_a_trick_is_told_by_its_seed_and_leads_on(trick: Callable[[Aim], bytes], seed: int) -> None:
    """Hostile messages are many, reproducible, and what comes behind them can still be judged."""

    def played(seed: int) -> list[bytes]:
        return [trick(Aim(random.Random(f"{seed} {n}"), PEER, 7, 16, 300)) for n in range(50)]

    messages = played(seed)
    assert messages == played(seed)
    assert len(set(messages)) > 3
    for message in messages:
        device = ModelDevice(window=16, max_message=300)
        device.configure(0, PEER.config())
        device.connect(0, phase=Phase.ACTIVE)
        device.receive(0, message)
        device.receive(0, bytes(2**17))  # a declared end that is further away than this is the trick of another kind
        device.receive(0, PEER.order(1))
        told = [record for record in device.poll() if isinstance(record, MessageRecord)]
        assert told[-1].length == len(PEER.order(1))


@pytest.mark.parametrize("trick", [swallow, jump])
def test_a_trick_that_ends_a_session(trick: Callable[[Aim], bytes], seed: int) -> None:
    for n in range(50):
        device = ModelDevice(window=16, max_message=300)
        device.configure(0, PEER.config())
        device.connect(0, phase=Phase.ACTIVE)
        device.receive(0, trick(Aim(random.Random(f"{seed} {n}"), PEER, 1, 16, 300)) + PEER.order(1))
        assert device.state(0).phase is (Phase.HALTED if trick is jump else Phase.ACTIVE)
        assert not any(isinstance(record, DeliverRecord) for record in device.poll()) or trick is jump


@pytest.mark.parametrize("kind", [*MIX, *HALTING_MIX])
def test_every_kind_of_traffic_can_be_made_alone(kind: str, rng: random.Random) -> None:
    traffic = Traffic(rng, mix={kind: 1})
    assert b"".join(traffic.next() for _ in range(50)) or kind == "lost"
    assert traffic.halting == (kind in HALTING_MIX)


@pytest.mark.parametrize("kind", sorted({*MIX, *HALTING_MIX} - {"lost", "garbled", "noise", "hostile", "swallowed"}))
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
