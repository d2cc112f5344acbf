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
from tests.sim.conftest import WIDTHS
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
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("shape", ["shared", "usual"])
def test_everything_waits_for_everything(shape: str, stalls: tuple[float, float], width: int) -> None:
    model, gateware = devices(shape, width)
    with model, gateware:
        rng = random.Random(f"{shape} {stalls}")
        operations = list(script(model.info.sessions, rng, 60 // model.info.sessions + 10))
        gateware.stalls(34, *stalls)
        said = [listen(device, operations, perform_unbroken(device, operations)) for device in (model, gateware)]
        difference = unlike(0, operations[-1], *said)
        assert difference is None, f"{shape}, stalls {stalls}, width {width}: {difference}"
        for session in range(model.info.sessions):
            assert model.counters(session) == gateware.counters(session), f"session {session}"
