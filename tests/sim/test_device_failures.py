"""Real failures of other FIX engines, shown on every device not to happen here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tag34 import Disconnect, Message
from tag34.contract import Phase, Policy
from tag34.device import DeliverRecord, Device, SentRecord, open_device
from tag34_sim.messages import Peer
from tests.host.bench import Bench as HostBench
from tests.host.bench import types
from tests.sim.bench import Bench, Stage
from tests.sim.conftest import DEVICES

MakeBench = Callable[..., Bench]

PEER = Peer()

#: What a failure must not depend on: how the device asks.
each_policy = pytest.mark.parametrize("policy", list(Policy), ids=lambda policy: policy.name.lower())


def delivering(seqs: Iterable[int]) -> list[str]:
    """The story of these deliveries."""
    return [f"deliver {seq}" for seq in seqs]


def asked(policy: Policy, begin: int, end: int, *, chunk: int = 100) -> str:
    """The story of a range that opens: ``begin`` to ``end`` are missing."""
    last = {Policy.INFINITY: 0, Policy.CLOSED: end, Policy.CHUNK: min(end, begin + chunk - 1)}[policy]
    return f"request {begin}-{last} R11"


# A GapFill over held messages must release those from NewSeqNo on at once.


@pytest.mark.rule("R7", "R12")
@each_policy
@pytest.mark.parametrize("new", range(2, 11))
def test_a_gap_fill_over_held_messages_releases_those_from_new_seq_no_on_at_once(
    bench: MakeBench, policy: Policy, new: int
) -> None:
    """3 to 9 are held; the GapFill from 1 ends below them, at each of them, right behind them."""
    b = bench(policy=policy)
    assert b.feed(b.orders(*range(3, 10)))[0] == asked(policy, 1, 2)
    story = b.feed(PEER.gap_fill(1, new, possdup=True))
    if new == 2:
        assert story == ["R7 1 -> 2"], "2 is still missing"
        story = b.feed(b.order(2, possdup=True))
        assert story == [*delivering(range(2, 10)), "recovered 10", "R8 2 -> 10"]
    else:
        assert story == [*delivering(range(new, 10)), "recovered 10", "R7 1 -> 10"]
    assert b.feed(b.order(10)) == ["deliver 10", "R8 10 -> 11"]
    assert [d.seq for d in b.delivered] == list(range(max(new, 2), 11)), "what is below NewSeqNo is never delivered"
    assert len(b.requests) == 1


@pytest.mark.rule("R10e", "R12")
@each_policy
def test_a_held_gap_fill_over_held_messages_releases_those_from_new_seq_no_on_at_once(
    bench: MakeBench, policy: Policy
) -> None:
    """The GapFill itself is held, above the gap and below what it fills."""
    b = bench(policy=policy)
    b.feed(b.orders(*range(4, 10)), PEER.gap_fill(2, 6, possdup=True))
    assert b.feed(b.order(1, possdup=True)) == [
        "deliver 1",
        "held_gap_fill 2 6",
        *delivering(range(6, 10)),
        "recovered 10",
        "R8 1 -> 10",
    ]


# A peer that never resends must not grow memory.


@pytest.mark.rule("R10b", "R11")
@each_policy
def test_a_peer_that_never_resends_does_not_grow_memory(bench: MakeBench, policy: Policy) -> None:
    b = bench(policy=policy)
    window = b.device.info.window
    b.feed(*(b.order(seq) for seq in range(2, 3000)))
    counters = b.device.counters(0)
    assert (counters["R10"], counters["R10b"]) == (window - 1, 2998 - (window - 1))
    assert b.delivered == []
    assert len(b.requests) == 1, "and it is asked once, not for each message"
    assert (b.expected, b.highest, b.phase) == (1, 2999, Phase.ACTIVE)
    # At last it does: nothing was lost, and the places are free again.
    b.feed(b.order(1, possdup=True))
    assert b.expected == window + 1
    b.feed(*(b.order(seq, possdup=True) for seq in range(window + 1, 3000)))
    assert [d.seq for d in b.delivered] == list(range(1, 3000))
    assert not b.state.recovery


@pytest.mark.rule("R10b", "R14")
def test_a_peer_that_never_resends_is_given_up_in_the_end(bench: MakeBench) -> None:
    b = bench(resend_timeout=1000, resend_retries=3)
    b.feed(b.orders(*range(2, 200)))
    for _ in range(3):
        assert b.wait(1000) == ["request 1-0 R14"]
        assert b.feed(b.orders(*range(200, 300)))[-1] == "R10b 299 -> 1"
    assert b.wait(1000) == ["recovery_failed 1"]
    assert b.feed(b.order(300)) == ["R1 300 -> 1"]


# A request lost with the connection must be asked again after the next Logon.


@pytest.mark.rule("R10c", "R11", "R15")
@each_policy
def test_a_request_lost_with_the_connection_is_asked_again_after_the_next_logon(
    bench: MakeBench, policy: Policy
) -> None:
    b = bench(phase=Phase.LOGON, policy=policy)
    assert b.feed(PEER.logon(1), b.order(5)) == ["deliver 1", "R8 1 -> 2", asked(policy, 2, 4), "R10 5 -> 2"]
    for logon in (6, 7):
        b.reconnect(phase=Phase.LOGON)
        assert b.story() == [], "not before the Logon"
        assert b.feed(PEER.logon(logon)) == [
            f"deliver {logon} early",
            asked(policy, 2, logon - 1),
            f"R10c {logon} -> 2",
        ]
    assert [begin for begin, _ in b.requests] == [2, 2, 2], "all of them left"
    assert b.feed(b.orders(2, 3, 4, 5, possdup=True), PEER.gap_fill(6, 7, possdup=True))[-2:] == [
        "recovered 8",
        "R7 6 -> 8",
    ]
    assert [d.seq for d in b.delivered] == [1, 6, 7, 2, 3, 4, 5]


@pytest.mark.rule("R10c", "R11", "R15")
@each_policy
def test_a_request_lost_with_the_connection_is_asked_again_by_an_acceptor_too(bench: MakeBench, policy: Policy) -> None:
    """It waits for its own Logon to be out."""
    b = bench(phase=Phase.LOGON, may_request=False, policy=policy)
    for logon in (5, 6):
        assert b.feed(PEER.logon(logon)) == [f"deliver {logon} early", f"R10c {logon} -> 1"]
        b.send("A")
        b.device.set_may_request(0, True)
        assert b.story() == [asked(policy, 1, logon - 1)]
        b.reconnect(phase=Phase.LOGON, may_request=False)
    assert [record.msg_type for record in b.sent] == ["A", "2", "A", "2"]


@pytest.mark.rule("R11", "R15")
@each_policy
def test_a_request_lost_with_the_connection_is_asked_again_by_the_first_gap_after_the_logon(
    bench: MakeBench, policy: Policy
) -> None:
    """The Logon itself has the number expected: what was held is gone, so it is missing again."""
    b = bench(policy=policy)
    b.feed(b.orders(3, 4))
    b.reconnect(phase=Phase.LOGON)
    assert b.feed(PEER.logon(1)) == ["deliver 1", "R8 1 -> 2"]
    assert b.feed(b.order(5)) == [asked(policy, 2, 4), "R10 5 -> 2"]
    assert b.feed(b.orders(2, 3, 4, possdup=True))[-1] == "R8 4 -> 6"
    assert [d.seq for d in b.delivered] == [1, 2, 3, 4, 5]


# A GapFill that arrives after the held number was released.


@pytest.mark.rule("R9")
@each_policy
def test_a_gap_fill_that_arrives_after_the_held_number_was_released(bench: MakeBench, policy: Policy) -> None:
    """It begins below what is expected by now and covers what is still missing: no second request is needed."""
    b = bench(policy=policy)
    assert b.feed(b.orders(2, 1), b.order(4))[-2:] == [asked(policy, 3, 3), "R10 4 -> 3"]
    requests = len(b.requests)
    assert b.feed(PEER.gap_fill(1, 4, possdup=True)) == ["deliver 4", "recovered 5", "R9 1 -> 5"]
    assert len(b.requests) == requests
    assert not b.state.recovery
    assert b.feed(b.order(5)) == ["deliver 5", "R8 5 -> 6"]


@pytest.mark.rule("R9", "R9a")
@each_policy
def test_a_gap_fill_that_covers_only_what_was_released_changes_nothing(bench: MakeBench, policy: Policy) -> None:
    b = bench(policy=policy)
    b.feed(b.orders(2, 1), b.order(4))
    before = b.state
    assert b.feed(PEER.gap_fill(1, 3, possdup=True)) == ["R9a 1 -> 3"]
    assert b.state == before


# Chunked requests whose next chunk starts after a GapFill (not one too far).


@pytest.mark.rule("R11", "R13")
@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("beyond", [0, 1, 2])
def test_the_next_chunk_starts_right_after_a_gap_fill(bench: MakeBench, chunk: int, beyond: int) -> None:
    """The GapFill ends with its chunk, or goes beyond it."""
    b = bench(policy=Policy.CHUNK, chunk=chunk)
    b.feed(b.order(20))
    new = chunk + 1 + beyond
    assert b.feed(PEER.gap_fill(1, new, possdup=True)) == [
        f"recovered {new}",
        f"request {new}-{new + chunk - 1} R11",
        f"R7 1 -> {new}",
    ]
    assert b.feed(b.order(new, possdup=True))[-1] == f"R8 {new} -> {new + 1}", "the first number of the chunk is missed"


@pytest.mark.rule("R11", "R13")
def test_the_next_chunk_starts_right_after_a_gap_fill_inside_the_chunk(bench: MakeBench) -> None:
    """Not before the chunk is complete, and with the number behind it."""
    b = bench(policy=Policy.CHUNK, chunk=5)
    b.feed(b.order(20))
    assert b.feed(PEER.gap_fill(1, 4, possdup=True)) == ["R7 1 -> 4"]
    assert b.feed(b.orders(4, 5, possdup=True))[-3:] == ["recovered 6", "request 6-10 R11", "R8 5 -> 6"]


@pytest.mark.rule("R10e", "R11", "R13")
def test_the_next_chunk_starts_right_after_a_held_gap_fill(bench: MakeBench) -> None:
    b = bench(policy=Policy.CHUNK, chunk=3)
    b.feed(b.order(20), PEER.gap_fill(3, 8))
    assert b.feed(b.orders(1, 2, possdup=True))[-4:] == [
        "held_gap_fill 3 8",
        "recovered 8",
        "request 8-10 R11",
        "R8 2 -> 8",
    ]


@pytest.mark.rule("R9", "R11", "R13")
def test_the_next_chunk_starts_right_after_a_late_gap_fill(bench: MakeBench) -> None:
    b = bench(policy=Policy.CHUNK, chunk=3)
    b.feed(b.order(20), b.order(1, possdup=True))
    assert b.feed(PEER.gap_fill(1, 6, possdup=True)) == ["recovered 6", "request 6-8 R11", "R9 1 -> 6"]


# Chunks sent one at a time.


@pytest.mark.rule("R11", "R13")
@pytest.mark.parametrize("chunk", [1, 4, 5, 19, 20, 21])
def test_chunks_are_sent_one_at_a_time(bench: MakeBench, chunk: int) -> None:
    """Messages go on arriving above: they bring forth no request of their own."""
    b = bench(policy=Policy.CHUNK, chunk=chunk)
    b.feed(b.order(21))
    for seq in range(1, 21):
        b.feed(b.order(21 + seq))
        assert len(b.requests) == (seq - 1) // chunk + 1, f"before {seq} is there"
        b.feed(b.order(seq, possdup=True))
    assert b.expected == 42, "and with 20 all that was held is released"
    # 21 was the highest when the first one was asked for; by the time of the others more has been seen.
    assert b.requests == [(1, min(chunk, 20)), *((begin, begin + chunk - 1) for begin in range(1, 21, chunk)[1:])]
    assert not b.state.recovery


@pytest.mark.rule("R11", "R14")
def test_a_timeout_repeats_the_chunk_under_way_and_no_other(bench: MakeBench) -> None:
    b = bench(policy=Policy.CHUNK, chunk=3, resend_timeout=10)
    b.feed(b.order(10))
    b.feed(b.order(1, possdup=True))
    assert b.wait(10) == ["request 2-3 R14"]
    assert b.feed(b.orders(2, 3, possdup=True))[-2] == "request 4-6 R11"
    assert b.requests == [(1, 3), (2, 3), (4, 6)]


# Both sides resending at the same time must not deadlock.


class Side:
    """A device, and a host that answers ResendRequests from what it has sent."""

    def __init__(self, device: Device, name: str, other: str, policy: Policy) -> None:
        self.bench = Bench(device, peer=Peer(sender=other, target=name), policy=policy, chunk=2)
        self.got: list[int] = []

    def send(self, count: int) -> list[bytes]:
        """Send some orders; their bytes."""
        return [self.bench.send("D", b"11=x\x01").data for _ in range(count)]

    def receive(self, data: bytes) -> bytes:
        """What leaves in answer: requests of the device, and replays for those of the other side."""
        b = self.bench
        b.device.receive(0, data)
        out = b""
        while records := b.device.poll():
            for record in records:
                if isinstance(record, SentRecord):
                    out += record.data
                elif isinstance(record, DeliverRecord):
                    self.got.append(record.seq)
                    if record.msg_type == "2":
                        self._replay(record.data)
        return out

    def _replay(self, request: bytes) -> None:
        fields = dict(field.split(b"=", 1) for field in request.split(b"\x01")[:-1])
        begin, end = int(fields[b"7"]), int(fields[b"16"])
        last = self.bench.state.next_out - 1
        for seq in range(begin, (end or last) + 1):
            body = b"43=Y\x01122=20240229-23:59:59.000\x01"
            if seq > 6:  # the orders are the first six, a ResendRequest is not sent again
                self.bench.device.send(0, "4", body + b"123=Y\x0136=%d\x01" % (seq + 1), seq=seq)
            else:
                self.bench.device.send(0, "D", body + b"11=x\x01", seq=seq)


@pytest.mark.rule("R10d", "R11", "R12")
@pytest.mark.parametrize("device", DEVICES)
@each_policy
@pytest.mark.parametrize("lost", [(0, 2), (1, 3), (0, 5)])
def test_both_sides_resending_at_the_same_time_do_not_deadlock(
    device: tuple[str, dict[str, int]], policy: Policy, lost: tuple[int, int]
) -> None:
    """Each side has lost messages of the other, and asks in a message that is itself above the other's gap."""
    url, options = device
    with open_device(url, **options) as one, open_device(url, **options) as two:
        a, b = Side(one, "A", "B", policy), Side(two, "B", "A", policy)
        to_b, to_a = ([m for at, m in enumerate(side.send(6)) if at not in lost] for side in (a, b))
        ways = [b"".join(to_b), b"".join(to_a)]
        for _ in range(50):
            if not any(ways):
                break
            ways = [a.receive(ways[1]), b.receive(ways[0])]
        else:
            pytest.fail("they go on for ever")
        for side, other in ((a, b), (b, a)):
            assert not side.bench.state.recovery
            assert side.bench.expected == other.bench.state.next_out, "all that was sent is there"
            assert sorted(seq for seq in side.got if seq <= 6) == list(range(1, 7)), "once each"
            assert [seq for seq in side.got if seq <= 6] == list(range(1, 7)), "and in order"


# A ResendRequest with a number above expected is still served.


@pytest.mark.rule("R10d")
@each_policy
@pytest.mark.parametrize("seq", [2, 7, 64, 65, 5000])
def test_a_resend_request_above_expected_is_served(bench: MakeBench, policy: Policy, seq: int) -> None:
    """Right above, further up, at the end of the window and beyond it: delivered at once, and whole."""
    b = bench(policy=policy)
    message = PEER.resend_request(seq, 2, 4)
    assert b.feed(message)[0] == f"deliver {seq} early"
    assert [(d.seq, d.msg_type, d.early, d.data) for d in b.delivered] == [(seq, "2", True, message)]
    assert b.expected == 1
    assert [begin for begin, _ in b.requests] == [1], "and our own gap is asked for"


@pytest.mark.rule("R10d")
def test_a_resend_request_above_expected_is_served_while_a_gap_is_open(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(b.order(3), PEER.resend_request(7, 2, 4)) == [
        "request 1-0 R11",
        "R10 3 -> 1",
        "deliver 7 early",
        "R10d 7 -> 1",
    ]
    replay = b.send("8", b"43=Y\x01122=20240229-23:59:59.000\x01", seq=2)
    assert (replay.seq, replay.replay) == (2, True)


# Heartbeats held in recovery must not cause a false timeout.


@pytest.mark.rule("H2", "R10")
def test_heartbeats_held_in_recovery_cause_no_false_timeout(device: Device) -> None:
    """Nothing but heartbeats comes, all above a gap that stays open: the peer lives."""
    b = HostBench(device, resend_timeout=0).log_on()
    b.seq = 3
    for _ in range(10):  # of 30 s each; without life the peer would be asked after 36 s, and given up after 72 s
        b.wait(29)
        b.peer("0")
        b.wait(1)
    assert "1" not in types(b.sent)
    assert not b.of(Disconnect)
    assert b.session.logged_on
    b.peer("8", seq=2, possdup=True)
    assert [message.seq for message in b.of(Message)] == [2]
    assert b.session.expected == 13
    # And without them it is asked: the timer does run.
    assert "1" in types(b.wait(37))


@pytest.mark.rule("R10")
def test_heartbeats_held_in_recovery_are_told(bench: MakeBench) -> None:
    """Their records are the signs of life."""
    b = bench()
    b.feed(b.order(3))
    for seq in (4, 5, 200):
        assert len(b.feed(PEER.heartbeat(seq))) == 1
        assert (b.messages[-1].msg_type, b.messages[-1].seq) == ("0", seq)


# A Heartbeat or Reject or Logout above expected must not move expected.


@pytest.mark.rule("R10", "R10f")
@each_policy
@pytest.mark.parametrize("msg_type", ["0", "1", "3", "5"])
def test_a_heartbeat_or_reject_or_logout_above_expected_does_not_move_it(
    bench: MakeBench, policy: Policy, msg_type: str
) -> None:
    b = bench(policy=policy)
    message = PEER.message(msg_type, 4)
    assert b.feed(message) == [asked(policy, 1, 3), "R10 4 -> 1"]
    assert (b.expected, b.highest, b.delivered) == (1, 4, [])
    assert b.feed(message) == ["R10a 4 -> 1"]
    # Every number below it is still taken, and it comes in its turn.
    assert b.feed(b.orders(1, 2, 3)) == [
        "deliver 1",
        "R8 1 -> 2",
        "deliver 2",
        "R8 2 -> 3",
        "deliver 3",
        "deliver 4",
        "recovered 5",
        "R8 3 -> 5",
    ]
    assert b.delivered[-1].data == message


# A GapFill below expected with 43=Y must not disconnect.


@pytest.mark.rule("R9", "R9a")
@pytest.mark.parametrize("new", [2, 3, 5, 6, 4294967295])
@pytest.mark.parametrize("seq", [1, 2, 4])
def test_a_gap_fill_below_expected_with_possdup_does_not_disconnect(bench: MakeBench, seq: int, new: int) -> None:
    """Whatever it fills: nobody asked for it."""
    b = bench(expected=5)
    before = b.state
    assert b.feed(PEER.gap_fill(seq, new, possdup=True)) == [f"R9a {seq} -> 5"]
    assert b.state == before
    assert b.feed(b.order(5)) == ["deliver 5", "R8 5 -> 6"]


@pytest.mark.rule("R9a", "H5")
def test_a_gap_fill_below_expected_with_possdup_does_not_disconnect_the_host(device: Device) -> None:
    b = HostBench(device).log_on()
    for _ in range(3):
        b.peer("8")
    assert b.peer("4", [(123, "Y"), (36, 3)], seq=2, possdup=True) == []
    assert b.session.logged_on
    b.peer("8")
    assert [message.seq for message in b.of(Message)] == [2, 3, 4, 5]


# 34=4294967298 must not pass for 2.


@pytest.mark.rule("R4")
@pytest.mark.parametrize("number", [2**32 + 2, 2**33 + 2, 2**40 + 2, 2**64 + 2, 10**10 + 2, 10**12 + 2, 16**10 + 2])
@pytest.mark.parametrize("zeros", ["", "0", "0" * 30])
def test_4294967298_does_not_pass_for_2(bench: MakeBench, number: int, zeros: str) -> None:
    """Nor any other number that is 2 in fewer bits or digits."""
    b = bench(expected=2)
    assert b.feed(PEER.message("D", f"{zeros}{number}")) == ["halted 2 R4", "R4 none -> 2"]
    assert b.delivered == []
    b.reconnect()
    assert b.feed(b.order(2)) == ["deliver 2", "R8 2 -> 3"]


@pytest.mark.rule("R3b", "R7a", "R10e")
@pytest.mark.parametrize("number", [2**32 + 9, 2**40 + 9, 10**10 + 9, 10**12 + 9])
def test_4294967305_does_not_pass_for_9_in_new_seq_no(bench: MakeBench, number: int) -> None:
    b = bench(expected=2)
    assert b.feed(PEER.gap_fill(2, number), PEER.reset(number)) == ["R7a 2 -> 2", "R3b 1 -> 2"]
    b.feed(PEER.gap_fill(3, number))
    assert b.feed(b.order(2))[:2] == ["deliver 2", "held_bad_gap_fill 3"]
    assert b.expected == 3


@pytest.mark.rule("R17", "R10b")
def test_a_peer_that_never_resends_does_not_take_the_memory_of_others(stage: Stage) -> None:
    """It gets its share; what is left holds another session's messages."""
    limit, peers = stage.device.info.hold_limit, [Peer(sender="SILENT"), Peer(sender="OTHER")]
    silent, other = (Bench(stage, session, peer=peer) for session, peer in enumerate(peers))
    silent.feed(*(peers[0].order(seq) for seq in range(2, 200)))
    assert stage.device.counters(0)["R10"] == limit
    assert other.feed(peers[1].order(2), peers[1].order(3)) == ["request 1-0 R11", "R10 2 -> 1", "R10 3 -> 1"]
    assert other.feed(peers[1].order(1)) == ["deliver 1", "deliver 2", "deliver 3", "recovered 4", "R8 1 -> 4"]
