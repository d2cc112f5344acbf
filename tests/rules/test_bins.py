"""What makes a bin of the coverage count, and what just does not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tag34 import events as ev
from tag34.contract import MAX_SEQ, EventCode, Rule
from tag34.device import DeliverRecord, EventRecord, MessageRecord, Record, SentRecord
from tag34.message import FixMessage
from tag34_sim.golden import compose
from tag34_sim.messages import Peer
from tag34_sim.rulebook import RULES
from tests.rules.bins import SEEN, DeviceWatch, SessionWatch

PEER = Peer()
CONFIG = PEER.config()
#: 2024-02-29 23:59:59, as benches have it.
NOW = 1_709_251_199_000_000_000

Call = tuple[str, dict[str, Any], list[Record]]


def test_every_rule_is_a_bin() -> None:
    assert list(SEEN) == list(RULES)


def judged(rule: Rule, seq: int | None, expected: int, *, at: int = 0, length: int = 100, **more: Any) -> MessageRecord:
    """A message of 100 bytes at byte ``at`` was judged."""
    fields: dict[str, Any] = {"session": 0, "msg_type": "D", "possdup": False, **more}
    return MessageRecord(offset=at, length=length, seq=seq, rule=rule, expected=expected, **fields)


def delivered(seq: int, data: bytes = b"", *, early: bool = False) -> DeliverRecord:
    return DeliverRecord(0, seq, "D", False, False, early, data)


def event(code: EventCode, rule: Rule | None = None, seq: int = 1, number: int | None = None) -> EventRecord:
    return EventRecord(0, code, seq, number, rule)


def request(rule: Rule = Rule.R11) -> EventRecord:
    return event(EventCode.REQUEST, rule, number=0)


def sent(seq: int, *, device: bool = False, replay: bool = False, data: bytes | None = None) -> SentRecord:
    message = compose(CONFIG, "2" if device else "0", seq, NOW, b"") if data is None else data
    return SentRecord(0, seq, "2" if device else "0", message, replay, device)


def receive(*records: Record, size: int = 100, session: int = 0) -> Call:
    """So many bytes came, and this came of them."""
    return "receive", {"session": session, "data": b"x" * size}, list(records)


def call(verb: str, *records: Record, **arguments: Any) -> Call:
    return verb, {"session": 0, **arguments}, list(records)


CONNECT = call("connect")
CLOSED = event(EventCode.RECOVERY_CLOSED)
HALTED = event(EventCode.HALTED)
LOOKS_LIKE_34 = PEER.message("D", 1, [(58, "34=9")])


def seen(*calls: Call) -> Counter[str]:
    """What a watch counts of these calls, behind those that bring a session up with 5 as the number expected."""
    hits: Counter[str] = Counter()
    watch = DeviceWatch(hits)
    start: list[Call] = [("advance", {"utc_ns": NOW}, []), call("configure", config=CONFIG)]
    start += [call("set_expected", expected=5), CONNECT]
    for verb, arguments, records in [*start, *calls]:
        watch.call(verb, arguments, records)
    return hits


@pytest.mark.parametrize(
    ("rule", "calls"),
    [
        ("F1", [receive(size=60), receive(judged(Rule.R8, 5, 6), size=40)]),
        ("F2", [receive(delivered(1, LOOKS_LIKE_34))]),
        ("F2", [receive(delivered(1, PEER.message("D", 1, [(95, 9), (96, b"\x0110=000\x018")])))]),
        ("F3", [receive(judged(Rule.F3, None, 5))]),
        ("F4", [receive(judged(Rule.F3, None, 5), judged(Rule.R8, 5, 6, at=100), size=200)]),
        ("F4", [receive(judged(Rule.R8, 5, 6, at=1), size=101)]),
        ("F5", [receive(HALTED, judged(Rule.F5, None, 5))]),
        ("F6", [("receive", {"session": 0, "data": b"8=FIX.4"}, []), CONNECT, receive(judged(Rule.R8, 5, 6))]),
        ("R1", [receive(judged(Rule.R1, 5, 5))]),
        ("R2", [receive(judged(Rule.R2, 5, 5))]),
        ("R3", [receive(judged(Rule.R3, 1, 9))]),
        ("R3a", [receive(event(EventCode.RESET_UNCHANGED), judged(Rule.R3A, 1, 5))]),
        ("R3b", [receive(judged(Rule.R3B, 1, 5))]),
        ("R4", [receive(HALTED, judged(Rule.R4, None, 5))]),
        ("R5", [receive(delivered(1), judged(Rule.R5, 1, 2))]),
        ("R6", [receive(judged(Rule.R6, 1, 5))]),
        ("R7", [receive(judged(Rule.R7, 5, 9))]),
        ("R7a", [receive(judged(Rule.R7A, 5, 5))]),
        ("R8", [receive(delivered(5), judged(Rule.R8, 5, 6))]),
        ("R9", [receive(judged(Rule.R9, 3, 9))]),
        ("R9a", [receive(judged(Rule.R9A, 3, 5))]),
        ("R9b", [receive(HALTED, judged(Rule.R9B, 3, 5))]),
        ("R10", [receive(request(), judged(Rule.R10, 7, 5))]),
        ("R10a", [receive(judged(Rule.R10A, 7, 5))]),
        ("R10b", [receive(judged(Rule.R10B, 99, 5))]),
        ("R10c", [receive(delivered(7, early=True), judged(Rule.R10C, 7, 5))]),
        ("R10d", [receive(delivered(7, early=True), judged(Rule.R10D, 7, 5))]),
        ("R10e", [receive(event(EventCode.HELD_GAP_FILL), judged(Rule.R8, 5, 9))]),
        ("R10e", [receive(event(EventCode.HELD_BAD_GAP_FILL), judged(Rule.R8, 5, 6))]),
        ("R10f", [receive(judged(Rule.R10, 7, 5, msg_type="5"))]),
        ("R11", [receive(request())]),
        ("R12", [receive(delivered(5), delivered(6), judged(Rule.R8, 5, 7))]),
        (
            "R13",
            [receive(request(), judged(Rule.R10, 7, 5)), receive(CLOSED, request(), judged(Rule.R8, 5, 6, at=100))],
        ),
        ("R13a", [receive(request(Rule.R13A), judged(Rule.R10, 7, 5))]),
        ("R14", [("advance", {"utc_ns": NOW}, [request(Rule.R14)])]),
        ("R15", [receive(request(), judged(Rule.R10, 7, 5)), CONNECT, receive(request())]),
        ("R16", [("stalls", {"seed": 1, "inputs": 0.0, "outputs": 0.5}, []), receive(delivered(5))]),
        ("R16a", [receive(event(EventCode.SEQ_EXHAUSTED, Rule.R16A, MAX_SEQ))]),
        ("R17", [receive(size=60), receive(size=9, session=1), receive(judged(Rule.R8, 5, 6), size=40)]),
        ("S1", [call("send", sent(1))]),
        ("S2", [call("send", sent(1)), call("send", sent(1, replay=True)), call("send", sent(2))]),
        ("S2", [call("set_next_out", next_out=9), call("send", sent(1, replay=True)), call("send", sent(9))]),
        ("S3", [receive(request(), sent(1, device=True), sent(2))]),
        ("S4", [call("send", sent(1)), receive(sent(2, device=True))]),
        ("S5", [call("send", sent(1))]),
        ("S6", [receive(request()), CONNECT]),
    ],
)
def test_it_counts(rule: str, calls: list[Call]) -> None:
    assert seen(*calls)[rule] == 1
    assert seen(*calls, *calls)[rule] >= 1


@pytest.mark.parametrize(
    ("rule", "calls"),
    [
        ("F1", [receive(judged(Rule.R8, 5, 6), judged(Rule.R8, 6, 7, at=100), size=200)]),
        ("F1", [receive(judged(Rule.R8, 5, 6)), receive(judged(Rule.R8, 6, 7, at=100))]),
        ("F1", [receive(size=60), receive(judged(Rule.F3, None, 5), size=40)]),
        ("F2", [receive(delivered(1, PEER.order(1)))]),
        ("F3", [receive(judged(Rule.F3, None, 6))]),
        ("F3", [receive(request(), judged(Rule.F3, None, 5))]),
        ("F4", [receive(judged(Rule.R8, 5, 6)), receive(judged(Rule.F3, None, 6, at=101), size=101)]),
        ("F5", [receive(judged(Rule.F5, None, 5))]),
        ("F6", [receive(size=7), CONNECT, receive(judged(Rule.R8, 5, 6))]),
        ("F6", [("receive", {"session": 0, "data": b"8=FIX.4"}, []), CONNECT, receive(judged(Rule.R8, 5, 6, at=1))]),
        (
            "F6",
            [("receive", {"session": 0, "data": b"8=FIX" + b"x" * 95}, [judged(Rule.R8, 5, 6)]), CONNECT]
            + [receive(judged(Rule.R8, 5, 6))],
        ),
        ("R1", [receive(delivered(5), judged(Rule.R1, 5, 5))]),
        ("R2", [receive(judged(Rule.R2, 5, 6))]),
        ("R3", [receive(judged(Rule.R3, 1, 5))]),
        ("R3a", [receive(judged(Rule.R3A, 1, 5))]),
        ("R4", [receive(judged(Rule.R4, None, 5))]),
        ("R5", [receive(judged(Rule.R5, 1, 2))]),
        ("R5", [receive(delivered(1), judged(Rule.R5, 1, 3))]),
        ("R6", [receive(delivered(1), judged(Rule.R6, 1, 5))]),
        ("R7", [receive(judged(Rule.R7, 5, 5))]),
        ("R7a", [receive(judged(Rule.R7A, 5, 6))]),
        ("R8", [receive(judged(Rule.R8, 5, 6))]),
        ("R8", [receive(delivered(6), judged(Rule.R8, 5, 6))]),
        ("R8", [receive(delivered(5), judged(Rule.R8, 5, 5))]),
        ("R9", [receive(judged(Rule.R9, 3, 5))]),
        ("R9a", [receive(delivered(3), judged(Rule.R9A, 3, 5))]),
        ("R9b", [receive(judged(Rule.R9B, 3, 5))]),
        ("R10", [receive(delivered(7), judged(Rule.R10, 7, 5))]),
        ("R10a", [receive(judged(Rule.R10A, 7, 6))]),
        ("R10b", [receive(judged(Rule.R10B, 99, 6))]),
        ("R10c", [receive(delivered(7), judged(Rule.R10C, 7, 5))]),
        ("R10d", [receive(judged(Rule.R10D, 7, 5))]),
        ("R10f", [receive(judged(Rule.R10B, 99, 5, msg_type="5"))]),
        ("R12", [receive(delivered(7, early=True), judged(Rule.R10D, 7, 5))]),
        ("R13", [receive(CLOSED, judged(Rule.R8, 5, 6)), receive(request(), judged(Rule.R10, 8, 6, at=100))]),
        ("R15", [receive(request(), CLOSED, judged(Rule.R10, 7, 5)), CONNECT, receive(request())]),
        ("R15", [receive(request()), call("set_expected", expected=9), CONNECT, receive(request())]),
        ("R15", [receive(request()), CONNECT, receive(judged(Rule.R10, 7, 5))]),
        ("R16", [("stalls", {"seed": 1, "inputs": 0.5, "outputs": 0.0}, []), receive(delivered(5))]),
        ("R17", [receive(size=60), receive(judged(Rule.R8, 5, 6), size=40), receive(session=1)]),
        ("R17", [receive(size=60), receive(size=0, session=1), receive(judged(Rule.R8, 5, 6), size=40)]),
        ("S1", [call("send", sent(1, data=compose(CONFIG, "0", 2, NOW, b"")))]),
        ("S1", [call("send", sent(1, data=compose(CONFIG, "0", 1, NOW, b"")[:-2] + b"x\x01"))]),
        ("S1", [call("send", sent(1, data=compose(CONFIG, "0", 1, NOW, b"").replace(b"\x0149=", b"\x0150=")))]),
        (
            "S1",
            [call("send", sent(1, data=compose(PEER.config(fraction=0), "0", 1, NOW, b"58=x\x01")[:-4] + b"000\x01"))],
        ),
        ("S2", [call("send", sent(1)), call("send", sent(2))]),
        ("S2", [call("send", sent(1)), call("send", sent(1, replay=True)), call("send", sent(3))]),
        ("S3", [receive(request(), sent(1, device=True)), call("send", sent(2))]),
        ("S3", [call("send", sent(1), request(), sent(2, device=True))]),
        ("S4", [call("send", sent(1)), receive(sent(3, device=True))]),
        ("S5", [call("send", sent(1, data=compose(CONFIG, "0", 1, NOW + 1_000_000, b"")))]),
        ("S5", [call("send", sent(1, data=compose(PEER.config(fraction=6), "0", 1, NOW, b"")))]),
        ("S6", [receive(request(), sent(1, device=True)), CONNECT]),
        ("S6", [call("send", sent(MAX_SEQ)), receive(request()), CONNECT]),
        ("S6", [call("send", sent(MAX_SEQ)), receive(request()), call("set_next_out", next_out=1), CONNECT]),
    ],
)
def test_it_does_not_count(rule: str, calls: list[Call]) -> None:
    assert seen(*calls)[rule] == 0


MESSAGE = ev.Message(1, "D", False, True, FixMessage(PEER.order(1)))
LOGGED_ON = ev.LoggedOn(30, False, FixMessage(PEER.logon(1)))
OPENED = ev.RecoveryOpened(1, 0, Rule.R11, 0)


def out(msg_type: str, raw: bytes = b"", *, seq: int = 1, replay: bool = False) -> ev.Sent:
    return ev.Sent(seq, msg_type, raw, replay, False, 0)


def seen_of(*calls: tuple[str, list[ev.Event]]) -> Counter[str]:
    """What a watch of a session counts."""
    hits: Counter[str] = Counter()
    watch = SessionWatch(hits)
    for verb, events in calls:
        watch.call(verb, events)
    return hits


@pytest.mark.parametrize(
    ("rule", "count", "calls"),
    [
        ("H1", 1, [("bytes_received", [LOGGED_ON])]),
        ("H1", 1, [("connect", []), ("bytes_received", [ev.Disconnect("no Logon", clean=False)])]),
        ("H1", 1, [("bytes_received", [LOGGED_ON, ev.Disconnect("silent", clean=False)])]),
        ("H2", 2, [("tick", [out("0"), out("1")])]),
        ("H2", 1, [("bytes_received", [out("0", b"\x01112=x\x01")])]),
        ("H2", 0, [("bytes_received", [out("0")]), ("tick", [out("D")]), ("tick", [out("01")])]),
        ("H3", 1, [("bytes_received", [ev.ReplayDone(1, 2, 0)])]),
        ("H3", 0, [("bytes_received", [out("D", replay=True)])]),
        ("H4", 1, [("bytes_received", [ev.LoggedOut("", by_peer=True)])]),
        ("H4", 1, [("tick", [ev.Disconnect("Logout was not answered", clean=False)])]),
        ("H4", 0, [("tick", [ev.Disconnect("the peer is silent", clean=False)])]),
        ("H5", 1, [("bytes_received", [MESSAGE])]),
        ("H5", 1, [("bytes_received", [ev.PeerError("H5", ""), ev.PeerError("H3", "")])]),
        ("H7", 1, [("bytes_received", [OPENED]), ("send", [out("D")])]),
        ("H7", 0, [("bytes_received", [OPENED, ev.RecoveryClosed(5)]), ("send", [out("D")])]),
        ("H7", 0, [("bytes_received", [OPENED]), ("connect", []), ("send", [out("D")])]),
        ("H7", 0, [("bytes_received", [OPENED, out("D")]), ("send", [out("D", replay=True)])]),
    ],
)
def test_of_a_session(rule: str, count: int, calls: list[tuple[str, list[ev.Event]]]) -> None:
    assert seen_of(*calls)[rule] == count


@pytest.mark.parametrize(
    ("events", "data", "stored", "count"),
    [
        ([out("D", seq=1), out("D", seq=2)], b"x", {1, 2}, 1),
        ([out("D", seq=1), out("D", seq=2)], b"x", {1}, 0),
        ([out("D", seq=1)], b"", {1}, 0),
        ([out("D", seq=1, replay=True)], b"x", {1}, 0),
    ],
)
def test_bytes_that_leave_and_the_store(events: list[ev.Event], data: bytes, stored: set[int], count: int) -> None:
    hits: Counter[str] = Counter()
    watch = SessionWatch(hits)
    watch.call("send", events)
    watch.left(data, stored)
    watch.left(data, stored)
    assert hits["H6"] == count
