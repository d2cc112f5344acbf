"""The gateware against the golden model while one part of it after the other has to wait: messages so short that
releases fall behind, inputs that pause, outputs that are hardly ever ready."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tag34.contract import Phase
from tag34_sim.differential import listen, perform_unbroken, unlike
from tag34_sim.messages import Peer, damaged_checksum, encode, frame
from tag34_sim.traffic import Operation
from tests.sim.conftest import MADE, Made
from tests.sim.test_differential import devices

#: Shares of the cycles in which inputs pause and outputs are not ready.
STALLS = [(0.0, 0.0), (0.9, 0.0), (0.0, 0.9), (0.5, 0.5), (0.6, 0.9)]


def shortest(peer: Peer, seq: int) -> bytes:
    """The shortest message that has a session's header."""
    body = encode([(35, "0"), (49, peer.sender), (56, peer.target), (34, seq)])
    return frame(body, begin_string=peer.begin_string)


def groups(peer: Peer, rng: random.Random, count: int) -> bytes:
    """Groups of messages of which the first comes last, or a GapFill over some of them does; garbled ones and bytes
    that mean nothing between them."""
    seq, data = 1, b""
    for _ in range(count):
        size = rng.choice((1, 2, 3, 4))
        messages = [shortest(peer, at) for at in range(seq, seq + size)]
        first = rng.choice((messages[0], peer.gap_fill(seq, seq + rng.randint(1, size), possdup=True)))
        for message in (*messages[1:], first):
            data += rng.choice((b"", b"", b"", b"8=FI", damaged_checksum(message), b"8=FIX.4.4\x019=x")) + message
        seq += size
    return data


def script(sessions: int, rng: random.Random, count: int) -> Iterator[Operation]:
    """All sessions at once, their bytes cut into pieces."""
    peers = [Peer(sender=f"P{session}") for session in range(sessions)]
    streams = []
    for session, peer in enumerate(peers):
        yield Operation("configure", {"session": session, "config": peer.config(early_gap=session % 2 == 0)})
        yield Operation("connect", {"session": session, "phase": Phase.ACTIVE})
        streams.append(groups(peer, rng, count))
    while any(streams):
        session = rng.choice([index for index, stream in enumerate(streams) if stream])
        size = rng.choice((1, 7, 40, 150, 600))
        yield Operation("receive", {"session": session, "data": streams[session][:size]})
        streams[session] = streams[session][size:]


@pytest.mark.rule("R8", "R10", "R12", "R16", "R17", "F4")
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("shape", ["shared", "usual"])
def test_everything_waits_for_everything(shape: str, stalls: tuple[float, float], made: Made) -> None:
    model, gateware = devices(shape, made)
    with model, gateware:
        rng = random.Random(f"{shape} {stalls}")
        operations = list(script(model.info.sessions, rng, 60 // model.info.sessions + 10))
        gateware.stalls(34, *stalls)
        said = [listen(device, operations, perform_unbroken(device, operations)) for device in (model, gateware)]
        difference = unlike(0, operations[-1], *said)
        assert difference is None, f"{shape}, stalls {stalls}, {made}: {difference}"
        for session in range(model.info.sessions):
            assert model.counters(session) == gateware.counters(session), f"session {session}"


def drops(peer: Peer, rng: random.Random, rounds: int) -> bytes:
    """Messages are held, some that need not wait leave at once, and a Reset drops all that are held meanwhile."""
    seq, data = 1, b""
    for _ in range(rounds):
        held = rng.choice((8, 40, 58))
        data += b"".join(shortest(peer, at) for at in range(seq + 1, seq + held))
        early = rng.randint(1, 5)
        for at in range(seq + held, seq + held + early):
            body = encode([(35, "2"), (49, peer.sender), (56, peer.target), (34, at)])
            data += frame(body, begin_string=peer.begin_string)
        seq += held + early + 10
        data += peer.reset(seq)
    return data


@pytest.mark.rule("R3", "R10d", "R12", "R16")
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("stall", [0.0, 0.3, 0.6, 0.9])
def test_messages_leave_while_held_ones_are_dropped(stall: float, made: Made) -> None:
    """Two give slots back at a time, and none gets lost."""
    model, gateware = devices("usual", made)
    peer = Peer()
    with model, gateware:
        setup = [
            Operation("configure", {"session": 0, "config": peer.config()}),
            Operation("connect", {"session": 0, "phase": Phase.ACTIVE}),
        ]
        data = drops(peer, random.Random(f"drops {stall}"), 60)
        operations = [*setup, Operation("receive", {"session": 0, "data": data})]
        gateware.stalls(34, 0.0, stall)
        said = [listen(device, operations, perform_unbroken(device, operations)) for device in (model, gateware)]
        difference = unlike(0, operations[-1], *said)
        assert difference is None, f"stalls {stall}, {made}: {difference}"


@pytest.mark.rule("R8", "R16")
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("shape", ["shared", "usual"])
def test_long_messages_wait_for_a_slot(shape: str, made: Made) -> None:
    """Nothing is ready for what is delivered for so long that all slots are in use, and no byte gets lost or is written
    where it does not belong."""
    model, gateware = devices(shape, made)
    rng = random.Random("long")
    peer = Peer()
    with model, gateware:
        for session in range(model.info.sessions):
            for device in (model, gateware):
                device.configure(session, peer.config())
                device.connect(session, phase=Phase.ACTIVE)
        messages = [peer.order(seq, rng.choice("abc") * rng.randrange(20, 150)) for seq in range(1, 50)]
        turns = [session for session in range(model.info.sessions) for _ in messages]
        rng.shuffle(turns)
        left = {session: iter(messages) for session in turns}
        mixed = [Operation("receive", {"session": session, "data": next(left[session])}) for session in turns]
        gateware.stalls(34, 0.0, 0.9)
        said = [listen(device, mixed, perform_unbroken(device, mixed)) for device in (model, gateware)]
        difference = unlike(0, mixed[-1], *said)
        assert difference is None, f"{shape}, {made}: {difference}"
