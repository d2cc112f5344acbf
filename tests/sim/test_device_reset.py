"""A reset in the middle of a device's life: whatever it was doing, it is as new afterwards. The golden model to compare
with is a fresh one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tag34.contract import EventCode, Phase, Policy
from tag34.device import Device, EventRecord
from tag34_sim.differential import compare
from tag34_sim.messages import Field, Peer, encode
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import Operation, perform
from tests.sim.conftest import COMPACT, MADE, Made
from tests.sim.test_differential import devices, life

#: Milliseconds in which an open range is asked for again, before the reset.
TIMEOUT = 20
NOW = 1_709_251_199_000_000_000
MS = 1_000_000

BUILDS: list[tuple[str, Made]] = [*(("shared", made) for made in MADE), ("usual", 1), ("small", 1), ("small", COMPACT)]


def full_of_life(device: SimDevice, rng: random.Random) -> None:
    """All sessions have messages held, a range open, a timer running, a message of their own sent and a part of another
    one received; and the device is busy."""
    sessions = range(device.info.sessions)
    peers = [Peer(sender=f"OLD{index}", target="ELSEWHERE") for index in sessions]
    device.advance(NOW)
    for session, peer in enumerate(peers):
        config = peer.config(
            policy=rng.choice(list(Policy)),
            chunk=rng.choice((1, 3)),
            window=rng.choice((None, 2)),
            resend_timeout=TIMEOUT,
            resend_retries=rng.choice((0, 5)),
            fraction=rng.choice((None, 0, 9)),
            early_gap=rng.random() < 0.5,
        )
        device.disconnect(session)
        device.configure(session, config)
        device.set_next_out(session, rng.randrange(1, 10**9))
        device.set_expected(session, 1 if rng.random() < 0.5 else rng.randrange(1, 10**9))
        device.connect(session, phase=Phase.ACTIVE)
        device.send(session, "D", b"58=before the reset\x01")
    numbers = [device.state(session).expected for session in sessions]
    for _ in range(2):
        device.receive_all(
            (session, b"".join(peer.order(numbers[session] + ahead) for ahead in rng.sample(range(1, 8), 3)))
            for session, peer in enumerate(peers)
        )
        device.advance(NOW + rng.randrange(3) * MS)
    for session, peer in enumerate(peers):
        body: list[Field] = [(95, 9), (96, "\x0134=9\x0136="), (141, "Y"), (58, "x" * 50)]
        message = peer.message("D", numbers[session] + 2, body)
        size = rng.choice((0, rng.randrange(len(message)), len(message) - rng.randint(1, 9)))
        device.receive(session, message[:size])
    # Nobody waits until it has come to rest.
    for session, peer in rng.sample(list(enumerate(peers)), len(peers)):
        if rng.random() < 0.7:
            device.core.receive(session, peer.order(numbers[session] + rng.randrange(3))[rng.choice((0, 40)) :])
        if rng.random() < 0.3:
            device.core.send(session, ord("D"), False, 0, encode([(58, "x" * 60)]))
    device.core.run(rng.randrange(400))


def strangers(rng: random.Random, sessions: int) -> Iterator[Operation]:
    """Bytes for sessions that nobody has set up: messages and what is left of some."""
    message = Peer().message("D", 2, [(58, "x" * 30)])
    for session in rng.sample(range(sessions), sessions):
        for data in (message[rng.randrange(len(message)) :], message, message[: rng.randrange(len(message))]):
            yield Operation("receive", {"session": session, "data": data})


def hours(sessions: int) -> Iterator[Operation]:
    """All sessions are up, the last one has an open range, and time passes: longer than the others' ranges would have
    waited."""
    yield Operation("advance", {"utc_ns": NOW})
    for session in range(sessions):
        peer = Peer(sender=f"PEER{session}")
        timeout = 0 if session < sessions - 1 else 3 * TIMEOUT
        yield Operation("configure", {"session": session, "config": peer.config(resend_timeout=timeout)})
        yield Operation("connect", {"session": session, "phase": Phase.ACTIVE})
    yield Operation("receive", {"session": sessions - 1, "data": peer.order(4)})
    for passed in range(1, 4 * TIMEOUT):
        yield Operation("advance", {"utc_ns": NOW + passed * MS})


def same(model: Device, gateware: Device, sessions: int) -> None:
    for session in range(sessions):
        assert gateware.state(session) == model.state(session), f"session {session}"
        assert gateware.counters(session) == model.counters(session), f"session {session}"


@pytest.mark.parametrize(("shape", "made"), BUILDS)
def test_nothing_is_left_of_what_was_before_a_reset(shape: str, made: Made) -> None:
    _, gateware = devices(shape, made)
    sessions = gateware.info.sessions
    with gateware:
        for turn in range(24):
            rng = random.Random(f"{shape} {turn}")
            gateware.stalls(turn, 0.3 * (turn % 2), 0.3 * (turn % 2))
            full_of_life(gateware, rng)
            gateware.reset()
            model, other = devices(shape, made)
            other.close()
            with model:
                same(model, gateware, sessions)
                for script in (strangers(rng, sessions), hours(sessions), life(model, turn, 25)):
                    difference = compare(model, gateware, script)
                    assert difference is None, f"turn {turn}, shape {shape}, {made}: {difference}"
                same(model, gateware, sessions)


@pytest.mark.parametrize("made", MADE)
def test_a_life_after_a_life(made: Made) -> None:
    """Random traffic ends with a reset, and random traffic begins anew."""
    model, gateware = devices("shared", made)
    with gateware:
        for seed in range(4):
            with model:
                for operation in life(model, 40 + seed, 60):
                    perform(model, operation)
                    perform(gateware, operation)
            gateware.reset()
            model, other = devices("shared", made)
            other.close()
            difference = compare(model, gateware, life(model, 50 + seed, 60))
            assert difference is None, f"seed {seed}, {made}: {difference}"


def test_after_a_reset_a_session_is_configured_again() -> None:
    """And nothing that was not taken before comes afterwards."""
    peer = Peer()
    gateware = devices("usual")[1]
    with gateware:
        gateware.configure(0, peer.config())
        gateware.connect(0, phase=Phase.ACTIVE)
        gateware.receive(0, peer.order(1) + peer.order(3))
        gateware.reset()
        assert gateware.poll() == []
        assert gateware.state(0).phase is Phase.CLOSED
        gateware.receive(0, peer.order(2))
        assert [record.rule.id for record in gateware.poll()] == ["R1"]  # type: ignore[union-attr]


@pytest.mark.parametrize("made", MADE)
def test_after_a_reset_no_gap_is_told_of_what_was_read_before(made: Made) -> None:
    """Of a message of which the number was read, and nothing else."""
    gateware = devices("shared", made)[1]
    peer = Peer()
    sessions = range(gateware.info.sessions)
    with gateware:
        for _ in range(2):
            for session in sessions:
                gateware.configure(session, peer.config(early_gap=True))
                gateware.connect(session, phase=Phase.ACTIVE)
            gateware.receive_all((session, b"between messages") for session in sessions)
            assert gateware.poll() == []
            message = peer.order(9)
            gateware.receive_all((session, message[:-20]) for session in sessions)
            told = [record for record in gateware.poll() if isinstance(record, EventRecord)]
            assert [(event.code, event.session) for event in told] == [(EventCode.GAP, n) for n in sessions]
            gateware.reset()
