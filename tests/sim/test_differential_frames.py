"""The gateware against the golden model: trailers, lengths and beginnings that are nearly right, one by one, and long
messages that other sessions interrupt."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tag34.contract import Phase
from tag34_sim.differential import compare
from tag34_sim.messages import Peer, checksummed
from tag34_sim.traffic import Operation
from tests.sim.conftest import MADE, Made
from tests.sim.test_differential import devices
from tests.sim.test_differential_fields import EXPECTED, PEER, each_by_itself

ORDER = PEER.order(EXPECTED)
BODY = ORDER[ORDER.index(b"35=") : -len(b"10=000|")]


def trailers() -> Iterator[bytes]:
    """A message begins anywhere in what should be a trailer, also with bytes that the trailer ends with."""
    head = b"8=FIX.4.4\x019=%d\x01%b" % (len(BODY), BODY)
    right = checksummed(head)[-7:]
    for trailer in (right, b"10=008\x01", b"10=888\x01", b"10=08=F", b"10=8=FI", b"8=FIX.4"):
        for size, first in product(range(len(trailer) + 1), range(5)):
            if trailer[:size].endswith(ORDER[:first]):
                yield head + trailer[:size] + ORDER[first:]


def lengths() -> Iterator[bytes]:
    """BodyLength in all spellings, behind BeginStrings of several lengths."""
    for begin in (b"FIX.4.4", b"FIXT.1.1", b"FIX", b"FIX.4.4444", b"FIXX", b"FIXXXX", b"FIXXXXXX8=FIX"):
        size = b"%d" % len(BODY)
        spelt = [size.zfill(digits) for digits in range(1, 9)]
        for text in (*spelt, b"", b"0", b"000000", b"x", size + b"x", b"-1", b"8=FIX", b"1:", b"/", b"999999"):
            yield checksummed(b"8=%b\x019=%b\x01%b" % (begin, text, BODY))
        for missing in (b"", b"9", b"8=", b"8=F", b"8=FIX.4.4\x019="):
            yield checksummed(b"8=%b\x01%b%b\x01%b" % (begin, missing, size, BODY))


TOPICS = [trailers, lengths]


@pytest.mark.rule("F1", "F3", "F4")
@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("topic", TOPICS)
def test_F4_what_is_nearly_a_frame(topic: Callable[[], Iterator[bytes]], made: Made, stall: float) -> None:
    model, gateware = devices("shared", made)
    with model, gateware:
        gateware.stalls(34, stall, stall)
        script = each_by_itself(random.Random("one by one"), list(topic()), model.info.sessions)
        difference = compare(model, gateware, script)
        assert difference is None, f"{made}: {difference}"


def interrupted() -> Iterator[Operation]:
    """A message of each length whose number has one more digit in binary; other sessions are heard in its middle."""
    peers = [Peer(sender=f"PEER{session}") for session in range(5)]
    for session, peer in enumerate(peers):
        yield Operation("configure", {"session": session, "config": peer.config()})
    for power in range(20):
        size = (1 << power) + 700
        session, other = power % 5, (power + 1) % 5
        for index in (session, other):
            yield Operation("set_expected", {"session": index, "expected": 1})
            yield Operation("connect", {"session": index, "phase": Phase.ACTIVE})
        body = BODY + b"58=" + b"x" * (size - len(BODY) - 4) + b"\x01"
        message = checksummed(b"8=FIX.4.4\x019=%d\x01%b" % (size, body))
        # So much of the longest ones that a lost bit of what is still to come would be missed.
        cuts = (60, 300, 650, 800, len(message) if power < 17 else 3000)
        for at, end in zip((0, *cuts), cuts, strict=False):
            yield Operation("receive", {"session": session, "data": message[at:end]})
            yield Operation("receive", {"session": other, "data": peers[other].order(end)[:70]})
            yield Operation("connect", {"session": other, "phase": Phase.ACTIVE})


@pytest.mark.rule("F2", "F5", "R17")
@pytest.mark.parametrize("made", MADE)
def test_R17_a_long_message_that_others_interrupt(made: Made) -> None:
    model, gateware = devices("shared", made)
    with model, gateware:
        difference = compare(model, gateware, interrupted())
        assert difference is None, f"{made}: {difference}"
        for session in range(model.info.sessions):
            assert gateware.counters(session) == model.counters(session), f"session {session}"
