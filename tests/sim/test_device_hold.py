"""R10 to R12 and R15 to R16a on every device: the hold window."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tag34.contract import MAX_SEQ, Phase, Policy
from tag34_sim.messages import Peer, encode, frame
from tests.sim.bench import ALL_DIGITS, Bench

MakeBench = Callable[..., Bench]

PEER = Peer()


@pytest.mark.rule("R10", "R11", "R12", "R13")
def test_R10_a_message_above_is_held_and_released_in_its_turn(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(b.order(3)) == ["request 1-0 R11", "R10 3 -> 1"]
    assert (b.expected, b.highest, b.delivered) == (1, 3, [])
    assert b.feed(b.order(1)) == ["deliver 1", "R8 1 -> 2"]
    assert b.feed(b.order(2)) == ["deliver 2", "deliver 3", "recovered 4", "R8 2 -> 4"]
    assert [d.data for d in b.delivered] == [b.order(1), b.order(2), b.order(3)]


@pytest.mark.rule("R10", "R10b", "R12")
def test_R10_the_whole_window_is_held(bench: MakeBench) -> None:
    b = bench()
    window = b.device.info.window
    assert b.feed(b.order(window))[-1] == f"R10 {window} -> 1"
    assert b.feed(b.order(window + 1)) == [f"R10b {window + 1} -> 1"]
    b.feed(b.orders(*range(2, window)))
    assert b.feed(b.order(1))[-2:] == [f"deliver {window}", f"R8 1 -> {window + 1}"]
    assert [d.seq for d in b.delivered] == list(range(1, window + 1))


@pytest.mark.rule("R10", "R10b")
def test_R10_the_window_goes_with_expected(bench: MakeBench) -> None:
    b = bench(window=3)
    assert b.feed(b.orders(1, 2), b.orders(4, 5, 6))[-1] == "R10b 6 -> 3"
    assert b.feed(b.order(3))[-1] == "R8 3 -> 6"
    assert b.feed(b.orders(7, 8, 9))[-3:] == ["R10 7 -> 6", "R10 8 -> 6", "R10b 9 -> 6"]
    assert b.feed(b.order(6)) == ["deliver 6", "deliver 7", "deliver 8", "R8 6 -> 9"], (
        "the recovery lasts until 9 is there"
    )
    assert b.feed(b.order(9)) == ["deliver 9", "recovered 10", "R8 9 -> 10"]


@pytest.mark.rule("R10", "R10b")
def test_R10_a_window_of_one_holds_nothing(bench: MakeBench) -> None:
    assert bench(window=1).feed(PEER.order(2))[-1] == "R10b 2 -> 1"


@pytest.mark.rule("R10")
def test_R10_possdup_and_possresend_are_kept(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.order(3, possdup=True), PEER.message("D", 2, possresend=True), b.order(1))
    assert [(d.seq, d.possdup, d.possresend, d.early) for d in b.delivered] == [
        (1, False, False, False),
        (2, False, True, False),
        (3, True, False, False),
    ]


@pytest.mark.rule("R10")
def test_R10_the_type_of_what_is_held_is_kept_whatever_it_is(bench: MakeBench) -> None:
    """Any bytes but SOH, in each of its four places."""
    b = bench()
    values = [bytes([byte]) for byte in (0x02, 0x3D, 0x55, 0x2A, 0x7F, 0x80, 0xAA, 0xD5, 0xFF)]
    types = [value * length for value in values for length in (1, 2, 3, 4)]
    types += [b"ABCD"[:place] + value + b"ABCD"[place + 1 :] for value in values for place in range(4)]
    for start in range(0, len(types), 2):
        begin = b.expected
        held = [
            frame(encode([(35, kind), (49, PEER.sender), (56, PEER.target), (34, begin + place)]))
            for place, kind in enumerate(types[start : start + 2], 1)
        ]
        b.feed(*held, b.order(begin))
    assert [d.msg_type for d in b.delivered if d.msg_type != "D"] == [kind.decode("latin-1") for kind in types]


@pytest.mark.rule("R10a")
def test_R10a_the_first_copy_stays(bench: MakeBench) -> None:
    b = bench()
    b.feed(PEER.order(2, "first"))
    assert (
        b.feed(PEER.order(2, "second"), PEER.logon(2), PEER.gap_fill(2, 9), PEER.resend_request(2))
        == ["R10a 2 -> 1"] * 4
    )
    assert b.feed(b.order(1))[-1] == "R8 1 -> 3"
    assert [d.data for d in b.delivered] == [b.order(1), PEER.order(2, "first")]


@pytest.mark.rule("R10a")
def test_R10a_holds_for_every_place_of_the_window(bench: MakeBench) -> None:
    b = bench(expected=60)  # the numbers' places wrap around inside a window of 64
    seqs = [62, 64, 65, 123]
    b.feed(b.orders(*seqs))
    assert b.feed(b.orders(*seqs)) == [f"R10a {seq} -> 60" for seq in seqs]
    assert b.feed(b.orders(61, 63))[-1] == "R10 63 -> 60"


@pytest.mark.rule("R10b", "R11")
def test_R10b_beyond_the_window_nothing_is_lost(bench: MakeBench) -> None:
    b = bench(window=4)
    assert b.feed(b.orders(2, 90)) == ["request 1-0 R11", "R10 2 -> 1", "R10b 90 -> 1"]
    assert b.highest == 90
    assert b.feed(b.orders(*range(1, 90), possdup=True))[-2:] == ["deliver 89", "R8 89 -> 90"]
    assert b.feed(b.order(90, possdup=True)) == ["deliver 90", "recovered 91", "R8 90 -> 91"]


@pytest.mark.rule("R10b", "R11")
def test_R10b_opens_recovery(bench: MakeBench) -> None:
    b = bench(window=4)
    assert b.feed(b.order(5)) == ["request 1-0 R11", "R10b 5 -> 1"]
    assert b.feed(b.orders(1, 2, 3, 4, possdup=True))[-1] == "R8 4 -> 5"
    assert b.device.state(0).recovery


@pytest.mark.rule("R10b", "R10a")
def test_R10b_what_is_not_kept_is_not_known_when_it_comes_again(bench: MakeBench) -> None:
    b = bench(window=4)
    assert b.feed(b.orders(9, 9, 7)) == ["request 1-0 R11", "R10b 9 -> 1", "R10b 9 -> 1", "R10b 7 -> 1"]
    assert b.highest == 9, "it goes up only"


@pytest.mark.rule("R10b", "R11")
@pytest.mark.parametrize("policy", list(Policy))
def test_R10b_nothing_is_lost_however_wide_the_gap(bench: MakeBench, policy: Policy) -> None:
    """A peer that answers each request: a gap of hundreds, a window of four."""
    b = bench(window=4, policy=policy, chunk=7)
    b.feed(b.order(300))
    answered = 0
    while answered < len(b.requests):
        begin, end = b.requests[answered]
        answered += 1
        b.feed(*(b.order(seq, possdup=True) for seq in range(begin, (end or 300) + 1)))
    assert [d.seq for d in b.delivered] == list(range(1, 301))
    assert not b.state.recovery


# R10c to R10f


@pytest.mark.rule("R6", "R10a", "R10c", "R12")
def test_R10c_a_logon_above_is_delivered_at_once_and_only_once(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON)
    assert b.feed(PEER.logon(4)) == ["deliver 4 early", "request 1-0 R11", "R10c 4 -> 1"]
    assert (b.phase, b.expected, b.highest) == (Phase.ACTIVE, 1, 4)
    assert b.delivered[0].early
    assert b.feed(PEER.logon(4)) == ["R10a 4 -> 1"]
    assert b.feed(b.orders(1, 2, 3))[-3:] == ["deliver 3", "recovered 5", "R8 3 -> 5"], (
        "4 is consumed when its turn comes"
    )
    assert [d.seq for d in b.delivered] == [4, 1, 2, 3]


@pytest.mark.rule("R10c", "R11", "S2")
def test_R10c_recovery_waits_for_the_host(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON, may_request=False)
    assert b.feed(PEER.logon(4), b.order(5)) == ["deliver 4 early", "R10c 4 -> 1", "R10 5 -> 1"]
    assert not b.device.state(0).recovery
    b.device.send(0, "A", b"98=0\x01108=30\x01")
    b.device.set_may_request(0, True)
    assert b.story() == ["request 1-0 R11"]
    assert [(record.msg_type, record.seq) for record in b.sent] == [("A", 1), ("2", 2)], "the Logon reply leaves first"
    assert b.device.state(0).may_request
    b.device.set_may_request(0, True)
    assert b.story() == []


@pytest.mark.rule("R10c")
def test_R10c_beyond_the_window_leaves_no_mark(bench: MakeBench) -> None:
    b = bench(window=4)
    assert b.feed(PEER.logon(5), PEER.logon(5)) == [
        "deliver 5 early",
        "request 1-0 R11",
        "R10c 5 -> 1",
        "deliver 5 early",
        "R10c 5 -> 1",
    ]
    assert b.feed(b.orders(1, 2, 3, 4))[-1] == "R8 4 -> 5"
    assert b.device.state(0).recovery, "its number is still missing"


@pytest.mark.rule("R10a", "R10d", "R12")
def test_R10d_a_resend_request_above_is_delivered_at_once_and_only_once(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.resend_request(3)) == ["deliver 3 early", "request 1-0 R11", "R10d 3 -> 1"]
    assert b.feed(PEER.resend_request(3)) == ["R10a 3 -> 1"]
    assert b.feed(b.orders(1, 2), b.order(4)) == [
        "deliver 1",
        "R8 1 -> 2",
        "deliver 2",
        "recovered 4",
        "R8 2 -> 4",
        "deliver 4",
        "R8 4 -> 5",
    ]


@pytest.mark.rule("R10c", "R15")
@pytest.mark.parametrize("message", [PEER.logon(4), PEER.resend_request(4)])
def test_R10c_a_mark_does_not_outlive_its_connection(bench: MakeBench, message: bytes) -> None:
    """On the next one the same number is delivered again, and is missing if it does not come."""
    b = bench()
    for _ in range(2):
        assert b.feed(message)[0] == "deliver 4 early"
        b.reconnect()
    assert b.feed(b.orders(1, 2, 3, 4))[-2:] == ["deliver 4", "R8 4 -> 5"]


@pytest.mark.rule("R10c", "R11")
def test_R10c_what_arrives_while_recovery_is_pending_is_held(bench: MakeBench) -> None:
    """Nothing is asked for, R13a included; then one request is enough."""
    b = bench(phase=Phase.LOGON, may_request=False, policy=Policy.CLOSED)
    assert b.feed(PEER.logon(4), b.order(3, possdup=True), b.order(7), PEER.resend_request(9)) == [
        "deliver 4 early",
        "R10c 4 -> 1",
        "R10 3 -> 1",
        "R10 7 -> 1",
        "deliver 9 early",
        "R10d 9 -> 1",
    ]
    assert (b.state.recovery, b.sent) == (False, [])
    b.device.set_may_request(0, True)
    assert b.story() == ["request 1-8 R11"]
    assert b.feed(b.orders(1, 2))[-1] == "R8 2 -> 5", "3 was held, 4 is consumed"


@pytest.mark.rule("R10c")
def test_R10c_a_pending_recovery_may_end_without_a_request(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON, may_request=False)
    b.feed(PEER.logon(3))
    assert b.feed(b.orders(1, 2)) == ["deliver 1", "R8 1 -> 2", "deliver 2", "R8 2 -> 4"]
    b.device.set_may_request(0, True)
    assert b.story() == []


@pytest.mark.rule("R10c", "R5")
def test_R10c_a_logon_with_141_above_expected_is_no_reset(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON)
    assert b.feed(PEER.logon(4, reset=True)) == ["deliver 4 early", "request 1-0 R11", "R10c 4 -> 1"]


@pytest.mark.rule("R7", "R10c", "R10d")
def test_R10c_R10d_marks_are_passed_over_by_a_gap_fill(bench: MakeBench) -> None:
    b = bench()
    b.feed(PEER.logon(3), PEER.resend_request(4), b.order(5))
    assert b.feed(PEER.gap_fill(1, 4, possdup=True)) == ["deliver 5", "recovered 6", "R7 1 -> 6"]


@pytest.mark.rule("R10d", "R12")
def test_R10d_consumed_numbers_inside_a_release(bench: MakeBench) -> None:
    """They are passed over, and what is behind them follows in the same release."""
    b = bench()
    b.feed(b.order(2), PEER.resend_request(3), PEER.logon(4), b.order(5), PEER.resend_request(6))
    assert b.feed(b.order(1)) == ["deliver 1", "deliver 2", "deliver 5", "recovered 7", "R8 1 -> 7"]


@pytest.mark.rule("R10d")
def test_R10d_beyond_the_window(bench: MakeBench) -> None:
    assert bench(window=2).feed(PEER.resend_request(3)) == ["deliver 3 early", "request 1-0 R11", "R10d 3 -> 1"]


@pytest.mark.rule("R10e")
def test_R10e_a_held_gap_fill_may_go_to_any_number(bench: MakeBench) -> None:
    b = bench()
    for number in ALL_DIGITS:
        if number > 2:
            b.device.disconnect(0)
            b.device.set_expected(0, 1)
            b.device.connect(0, phase=Phase.ACTIVE)
            b.feed(b.peer.gap_fill(2, number))
            assert b.feed(b.order(1)) == [
                *("deliver 1", f"held_gap_fill 2 {number}", f"recovered {number}", f"R8 1 -> {number}"),
            ]
            assert b.expected == number


@pytest.mark.rule("R10e", "R12")
def test_R10e_a_held_gap_fill_acts_when_its_turn_comes(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.gap_fill(3, 6), b.orders(2, 5, 6)) == [
        "request 1-0 R11",
        "R10 3 -> 1",
        "R10 2 -> 1",
        "R10 5 -> 1",
        "R10 6 -> 1",
    ]
    assert b.highest == 6
    assert b.feed(b.order(1)) == [
        "deliver 1",
        "deliver 2",
        "held_gap_fill 3 6",
        "deliver 6",
        "recovered 7",
        "R8 1 -> 7",
    ]


@pytest.mark.rule("R10e")
def test_R10e_held_gap_fills_in_a_row(bench: MakeBench) -> None:
    b = bench()
    b.feed(PEER.gap_fill(2, 3), PEER.gap_fill(3, 200))
    assert b.feed(PEER.gap_fill(1, 2)) == ["held_gap_fill 2 3", "held_gap_fill 3 200", "recovered 200", "R7 1 -> 200"]


@pytest.mark.rule("R10e")
@pytest.mark.parametrize("new", [2, 1, None, "x"])
def test_R10e_a_bad_held_gap_fill_is_dropped_and_its_number_missing(bench: MakeBench, new: int | str | None) -> None:
    b = bench()
    b.feed(PEER.gap_fill(2, new), b.order(3))
    assert b.feed(b.order(1)) == ["deliver 1", "held_bad_gap_fill 2", "R8 1 -> 2"]
    assert b.device.state(0).recovery
    assert b.feed(b.order(2)) == ["deliver 2", "deliver 3", "recovered 4", "R8 2 -> 4"]


@pytest.mark.rule("R10e", "R11", "R13")
def test_R10e_a_bad_held_gap_fill_opens_the_next_closed_range(bench: MakeBench) -> None:
    b = bench(policy=1)
    assert b.feed(PEER.gap_fill(2, 2)) == ["request 1-1 R11", "R10 2 -> 1"]
    assert b.feed(b.order(1)) == ["deliver 1", "held_bad_gap_fill 2", "recovered 2", "request 2-2 R11", "R8 1 -> 2"]


@pytest.mark.rule("R10e", "R14")
@pytest.mark.parametrize("policy", list(Policy))
def test_R10e_the_number_of_a_bad_held_gap_fill_is_brought_again(bench: MakeBench, policy: Policy) -> None:
    """By the open range if it covers it, else by the next one; or, if the peer sends no more, by the timer."""
    b = bench(policy=policy, resend_timeout=10)
    b.feed(PEER.gap_fill(3, 3), b.order(5), b.order(1, possdup=True))
    assert b.feed(b.order(2, possdup=True))[:2] == ["deliver 2", "held_bad_gap_fill 3"]
    assert (b.expected, b.state.recovery) == (3, True)
    b.wait(10)
    assert b.requests[-1][0] == 3
    b.feed(b.orders(3, 4, possdup=True))
    assert [d.seq for d in b.delivered] == [1, 2, 3, 4, 5]
    assert not b.state.recovery


@pytest.mark.rule("R10e", "R12")
def test_R10e_a_held_gap_fill_frees_what_is_held_below_its_end(bench: MakeBench) -> None:
    b = bench(window=8)
    b.feed(PEER.gap_fill(2, 7), b.orders(3, 4, 5, 6), b.order(8))
    assert b.feed(b.order(1)) == ["deliver 1", "held_gap_fill 2 7", "R8 1 -> 7"]
    assert b.feed(b.order(7)) == ["deliver 7", "deliver 8", "recovered 9", "R8 7 -> 9"]
    assert b.feed(b.orders(*range(10, 17)))[-1] == "R10 16 -> 9", "all places are free again"


@pytest.mark.rule("R10e", "R10a")
def test_R10e_a_gap_fill_above_is_a_first_copy_as_any_other(bench: MakeBench) -> None:
    b = bench()
    b.feed(PEER.gap_fill(2, 5))
    assert b.feed(PEER.order(2), PEER.gap_fill(2, 9)) == ["R10a 2 -> 1"] * 2
    assert b.feed(b.order(1)) == ["deliver 1", "held_gap_fill 2 5", "recovered 5", "R8 1 -> 5"]


@pytest.mark.rule("R10f")
def test_R10f_a_logout_above_is_held(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.logout(2)) == ["request 1-0 R11", "R10 2 -> 1"]
    assert b.feed(b.order(1)) == ["deliver 1", "deliver 2", "recovered 3", "R8 1 -> 3"]


# R12, R15 to R16a


@pytest.mark.rule("R12")
def test_R12_release_is_atomic_for_the_next_message(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(*range(2, 60)))
    assert b.feed(b.order(1), b.order(60), b.order(62))[-4:] == [
        "deliver 60",
        "R8 60 -> 61",
        "request 61-0 R11",
        "R10 62 -> 61",
    ]
    assert [d.seq for d in b.delivered] == list(range(1, 61))


@pytest.mark.rule("R15")
def test_R15_a_new_connection_drops_what_was_held_and_asks_again(bench: MakeBench) -> None:
    b = bench(expected=5)
    assert b.feed(b.orders(7, 8)) == ["request 5-0 R11", "R10 7 -> 5", "R10 8 -> 5"]
    b.reconnect()
    assert b.story() == []
    state = b.device.state(0)
    assert (state.expected, state.highest, state.recovery) == (5, 4, False)
    assert b.feed(b.order(9)) == ["request 5-0 R11", "R10 9 -> 5"], (
        "a request lost with the old connection is not believed to be under way"
    )
    assert b.feed(b.orders(5, 6))[-1] == "R8 6 -> 7"
    assert [d.seq for d in b.delivered] == [5, 6]


@pytest.mark.rule("R15", "R10")
def test_R15_what_was_held_is_dropped_and_its_places_are_free(bench: MakeBench) -> None:
    b = bench()
    window = b.device.info.window
    for _ in range(3):
        assert b.feed(b.orders(*range(2, window + 1)))[-1] == f"R10 {window} -> 1"
        b.reconnect()
    assert b.feed(b.order(1)) == ["deliver 1", "R8 1 -> 2"]
    assert [d.seq for d in b.delivered] == [1]


@pytest.mark.rule("R13a", "R14", "R15")
def test_R15_the_new_range_is_asked_for_as_the_first(bench: MakeBench) -> None:
    """R13a is owed again for the same number, the timer and the retries begin anew."""
    b = bench(resend_timeout=10, resend_retries=1)
    for _ in range(2):
        assert b.feed(b.order(5)) == ["request 1-0 R11", "R10 5 -> 1"]
        assert b.feed(b.order(3, possdup=True)) == ["request 1-0 R13a", "R10 3 -> 1"]
        assert b.wait(10) == ["request 1-0 R14"]
        b.wait(5)
        b.reconnect()
        assert b.wait(100) == []
    assert b.feed(b.order(5))[0] == "request 1-0 R11"
    assert b.wait(9) == []


@pytest.mark.rule("R15")
def test_R15_connect_without_a_disconnect_is_a_new_connection_too(bench: MakeBench) -> None:
    b = bench(expected=5)
    b.feed(b.order(7), b.order(8)[:20])
    b.device.connect(0, phase=Phase.LOGON, may_request=False)
    state = b.device.state(0)
    assert (state.phase, state.may_request, state.highest, state.recovery) == (Phase.LOGON, False, 4, False)
    assert b.feed(PEER.logon(6)) == ["deliver 6 early", "R10c 6 -> 5"]


@pytest.mark.rule("R1", "R15")
def test_R15_a_new_connection_ends_a_halt(bench: MakeBench) -> None:
    b = bench(expected=5)
    b.feed(b.order(3))
    b.reconnect()
    assert b.feed(b.order(5)) == ["deliver 5", "R8 5 -> 6"]


@pytest.mark.rule("R16")
def test_R16_a_burst_loses_nothing(bench: MakeBench) -> None:
    b = bench()
    story = b.feed(b.orders(*range(1, 1001)))
    assert story[0::2] == [f"deliver {seq}" for seq in range(1, 1001)]


@pytest.mark.rule("R16a")
def test_R16a_the_last_number(bench: MakeBench) -> None:
    b = bench(expected=MAX_SEQ - 1)
    assert b.feed(b.order(MAX_SEQ - 1), b.order(MAX_SEQ), b.order(MAX_SEQ)) == [
        "deliver 4294967294",
        "R8 4294967294 -> 4294967295",
        "deliver 4294967295",
        "seq_exhausted 4294967295 R16a",
        "R8 4294967295 -> 4294967296",
        "R1 4294967295 -> 4294967296",
    ]
    assert b.phase is Phase.HALTED
    b.device.set_expected(0, 1)
    assert b.phase is Phase.HALTED, "until a new connection"
    b.reconnect()
    assert b.feed(b.order(1)) == ["deliver 1", "R8 1 -> 2"]


@pytest.mark.rule("R16a")
def test_R16a_the_last_number_by_release(bench: MakeBench) -> None:
    b = bench(expected=MAX_SEQ - 2)
    b.feed(b.orders(MAX_SEQ, MAX_SEQ - 1))
    assert b.feed(b.order(MAX_SEQ - 2)) == [
        "deliver 4294967293",
        "deliver 4294967294",
        "deliver 4294967295",
        "recovered 4294967296",
        "seq_exhausted 4294967295 R16a",
        "R8 4294967293 -> 4294967296",
    ]


@pytest.mark.rule("R10c", "R10d", "R16a")
@pytest.mark.parametrize("early", [PEER.logon(MAX_SEQ), PEER.resend_request(MAX_SEQ)])
def test_R16a_the_last_number_consumed_early(bench: MakeBench, early: bytes) -> None:
    """It is consumed when its turn comes, not when it is delivered."""
    b = bench(expected=MAX_SEQ - 1)
    assert b.feed(early)[0] == "deliver 4294967295 early"
    assert b.phase is Phase.ACTIVE
    assert b.feed(b.order(MAX_SEQ - 1)) == [
        "deliver 4294967294",
        "recovered 4294967296",
        "seq_exhausted 4294967295 R16a",
        "R8 4294967294 -> 4294967296",
    ]


@pytest.mark.rule("R3", "R7", "R7a", "R16a")
def test_R16a_what_skips_numbers_cannot_skip_the_last(bench: MakeBench) -> None:
    """36 is at most 4294967295, which is then expected and not consumed."""
    b = bench(expected=MAX_SEQ - 9)
    assert b.feed(PEER.gap_fill(MAX_SEQ - 9, MAX_SEQ - 5), PEER.reset(MAX_SEQ - 3)) == [
        f"R7 {MAX_SEQ - 9} -> {MAX_SEQ - 5}",
        f"R3 1 -> {MAX_SEQ - 3}",
    ]
    assert b.feed(PEER.gap_fill(MAX_SEQ - 3, MAX_SEQ)) == [f"R7 {MAX_SEQ - 3} -> {MAX_SEQ}"]
    assert (
        b.feed(PEER.gap_fill(MAX_SEQ, MAX_SEQ), PEER.gap_fill(MAX_SEQ, MAX_SEQ + 1))
        == [f"R7a {MAX_SEQ} -> {MAX_SEQ}"] * 2
    )
    assert b.feed(PEER.reset(MAX_SEQ)) == [f"reset_unchanged {MAX_SEQ}", f"R3a 1 -> {MAX_SEQ}"]
    assert b.phase is Phase.ACTIVE
    assert b.feed(b.order(MAX_SEQ))[1] == f"seq_exhausted {MAX_SEQ} R16a"


@pytest.mark.rule("R10", "R11", "R16a")
@pytest.mark.parametrize(
    ("policy", "end"), [(Policy.INFINITY, 0), (Policy.CLOSED, MAX_SEQ - 1), (Policy.CHUNK, MAX_SEQ - 1)]
)
def test_R16a_gaps_just_below_the_end(bench: MakeBench, policy: Policy, end: int) -> None:
    """Windows and chunks that would reach beyond the last number end there."""
    b = bench(expected=MAX_SEQ - 3, policy=policy, chunk=100)
    assert b.feed(b.order(MAX_SEQ)) == [f"request {MAX_SEQ - 3}-{end} R11", f"R10 {MAX_SEQ} -> {MAX_SEQ - 3}"]
    assert b.feed(b.orders(MAX_SEQ - 3, MAX_SEQ - 2, MAX_SEQ - 1, possdup=True))[-3:] == [
        f"recovered {MAX_SEQ + 1}",
        f"seq_exhausted {MAX_SEQ} R16a",
        f"R8 {MAX_SEQ - 1} -> {MAX_SEQ + 1}",
    ]


@pytest.mark.rule("R9a", "R9b", "R16a")
def test_R16a_a_new_connection_alone_is_no_reset(bench: MakeBench) -> None:
    b = bench(expected=MAX_SEQ)
    b.feed(b.order(MAX_SEQ))
    b.reconnect()
    assert b.expected == MAX_SEQ + 1
    assert b.feed(b.order(MAX_SEQ, possdup=True)) == [f"R9a {MAX_SEQ} -> {MAX_SEQ + 1}"], "not delivered again"
    assert b.feed(b.order(MAX_SEQ)) == [f"halted {MAX_SEQ + 1} R9b", f"R9b {MAX_SEQ} -> {MAX_SEQ + 1}"]


@pytest.mark.rule("R4", "R5", "R16a")
def test_R16a_nothing_wraps_around(bench: MakeBench) -> None:
    b = bench(expected=MAX_SEQ + 1)
    assert b.feed(PEER.order(MAX_SEQ, possdup=True), PEER.order(1, possdup=True)) == [
        "R9a 4294967295 -> 4294967296",
        "R9a 1 -> 4294967296",
    ]
    assert b.feed(PEER.gap_fill(5, MAX_SEQ, possdup=True)) == ["R9a 5 -> 4294967296"]
    assert b.feed(PEER.logon(1, reset=True)) == ["deliver 1", "R5 1 -> 2"]


@pytest.mark.rule("R9")
def test_set_expected_forgets_window_recovery_and_requests(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(3, 4))
    b.device.set_expected(0, 2)
    state = b.device.state(0)
    assert (state.expected, state.highest, state.recovery, state.phase) == (2, 1, False, Phase.ACTIVE)
    assert b.feed(b.order(2)) == ["deliver 2", "R8 2 -> 3"]
    assert b.feed(PEER.gap_fill(1, 9, possdup=True)) == ["R9a 1 -> 3"]


@pytest.mark.rule("R3b", "R4", "R9a", "R9b", "R16a")
def test_R16a_the_end_of_the_numbers_is_told_once(bench: MakeBench) -> None:
    """What arrives on the next connection, and moves nothing, does not tell of it again."""
    b = bench(expected=MAX_SEQ)
    assert b.feed(b.order(MAX_SEQ))[1] == f"seq_exhausted {MAX_SEQ} R16a"
    for message, want in (
        (b.order(5, possdup=True), [f"R9a 5 -> {MAX_SEQ + 1}"]),
        (PEER.gap_fill(5, 9, possdup=True), [f"R9a 5 -> {MAX_SEQ + 1}"]),
        (PEER.reset(3, seq=8), [f"R3b 8 -> {MAX_SEQ + 1}"]),
        (PEER.message("D", "x"), [f"halted {MAX_SEQ + 1} R4", f"R4 none -> {MAX_SEQ + 1}"]),
        (b.order(5), [f"halted {MAX_SEQ + 1} R9b", f"R9b 5 -> {MAX_SEQ + 1}"]),
    ):
        b.reconnect()
        assert b.feed(message) == want
