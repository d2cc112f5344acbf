"""Real failures of other FIX engines, shown on every device not to happen here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tag34.contract import Phase, Policy
from tag34_sim.messages import Peer
from tests.sim.bench import Bench

MakeBench = Callable[..., Bench]

PEER = Peer()


@pytest.mark.rule("R7", "R12")
def test_a_gap_fill_over_held_messages_releases_those_from_new_seq_no_on_at_once(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(*range(3, 10)))
    assert b.feed(PEER.gap_fill(1, 6, possdup=True)) == [
        "deliver 6",
        "deliver 7",
        "deliver 8",
        "deliver 9",
        "recovered 10",
        "R7 1 -> 10",
    ]


@pytest.mark.rule("R10b")
def test_a_peer_that_never_resends_does_not_grow_memory(bench: MakeBench) -> None:
    b = bench()
    window = b.device.info.window
    b.feed(*(b.order(seq) for seq in range(2, 3000)))
    counters = b.device.counters(0)
    assert (counters["R10"], counters["R10b"]) == (window - 1, 2998 - (window - 1))
    assert b.requests == [(1, 0)], "and it is asked once, not for each message"


@pytest.mark.rule("R10c", "R15")
def test_a_request_lost_with_the_connection_is_asked_again_after_the_next_logon(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON)
    b.feed(PEER.logon(1), b.order(5))
    b.reconnect(phase=Phase.LOGON)
    assert b.feed(PEER.logon(6)) == ["deliver 6 early", "request 2-0 R11", "R10c 6 -> 2"]
    assert b.requests == [(2, 0), (2, 0)]


@pytest.mark.rule("R9")
def test_a_gap_fill_that_arrives_after_the_held_number_was_released(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(2, 1), b.order(4))
    assert b.feed(PEER.gap_fill(1, 4, possdup=True)) == ["deliver 4", "recovered 5", "R9 1 -> 5"]


@pytest.mark.rule("R11", "R13")
@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_the_next_chunk_starts_right_after_a_gap_fill(bench: MakeBench, chunk: int) -> None:
    b = bench(policy=Policy.CHUNK, chunk=chunk)
    b.feed(b.order(10))
    assert b.feed(PEER.gap_fill(1, chunk + 1, possdup=True)) == [
        f"recovered {chunk + 1}",
        f"request {chunk + 1}-{2 * chunk} R11",
        f"R7 1 -> {chunk + 1}",
    ]


@pytest.mark.rule("R11")
def test_chunks_are_sent_one_at_a_time(bench: MakeBench) -> None:
    b = bench(policy=Policy.CHUNK, chunk=5)
    b.feed(b.order(21))
    for seq in range(1, 21):
        assert len(b.requests) == (seq + 4) // 5
        b.feed(b.order(seq, possdup=True))
    assert b.requests == [(1, 5), (6, 10), (11, 15), (16, 20)]
    assert b.expected == 22


@pytest.mark.rule("R10d")
def test_both_sides_resending_at_the_same_time_do_not_deadlock(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.resend_request(5)) == ["deliver 5 early", "request 1-0 R11", "R10d 5 -> 1"]
    b.device.send(0, "8", b"43=Y\x01", seq=1)
    assert b.feed(b.orders(1, 2, 3, possdup=True), PEER.gap_fill(4, 6, possdup=True))[-2:] == [
        "recovered 6",
        "R7 4 -> 6",
    ]


@pytest.mark.rule("R10d")
def test_a_resend_request_above_expected_is_served(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.order(3), PEER.resend_request(7, 2, 4))
    assert [(d.seq, d.msg_type, d.early, d.data) for d in b.delivered] == [(7, "2", True, PEER.resend_request(7, 2, 4))]


@pytest.mark.rule("R10", "H2")
def test_heartbeats_held_in_recovery_are_seen_by_the_host(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.order(3))
    assert b.feed(PEER.heartbeat(4)) == ["R10 4 -> 1"], "its record is the sign of life (H2)"
    assert b.messages[-1].msg_type == "0"


@pytest.mark.rule("R10", "R10f")
@pytest.mark.parametrize("msg_type", ["0", "3", "5"])
def test_a_heartbeat_or_reject_or_logout_above_expected_does_not_move_it(bench: MakeBench, msg_type: str) -> None:
    b = bench()
    assert b.feed(PEER.message(msg_type, 4)) == ["request 1-0 R11", "R10 4 -> 1"]
    assert b.expected == 1


@pytest.mark.rule("R9", "R9a")
@pytest.mark.parametrize("new", [2, 3, 5, 6])
def test_a_gap_fill_below_expected_with_possdup_does_not_disconnect(bench: MakeBench, new: int) -> None:
    b = bench(expected=5)
    assert b.feed(PEER.gap_fill(2, new, possdup=True)) == ["R9a 2 -> 5"]
    assert b.phase is Phase.ACTIVE


@pytest.mark.rule("R3b", "R4", "R7a")
def test_2_to_the_32_plus_2_does_not_pass_for_2(bench: MakeBench) -> None:
    b = bench(expected=2)
    assert b.feed(PEER.message("D", 4294967298)) == ["halted 2 R4", "R4 none -> 2"]
    b.reconnect()
    assert b.feed(PEER.gap_fill(2, 4294967299), PEER.reset(4294967299)) == ["R7a 2 -> 2", "R3b 1 -> 2"]
