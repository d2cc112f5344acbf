"""R11, R13 to R14 on every device: what is asked for, when, and how often."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tag34.contract import MAX_SEQ, Phase, Policy
from tag34_sim.messages import Peer
from tests.sim.bench import Bench

#: What is shown here is also shown on a whole board.
ON_BOARD = True

MakeBench = Callable[..., Bench]

PEER = Peer()

# R11


@pytest.mark.rule("R11")
@pytest.mark.parametrize(
    ("begin_string", "end"), [("FIX.4.0", 999999), ("FIX.4.1", 999999), ("FIX.4.2", 0), ("FIX.4.4", 0), ("FIXT.1.1", 0)]
)
def test_R11_infinity(bench: MakeBench, begin_string: str, end: int) -> None:
    peer = Peer(begin_string)
    b = bench(peer=peer, expected=7)
    assert b.feed(peer.order(9)) == [f"request 7-{end} R11", "R10 9 -> 7"]
    assert b.requests == [(7, end)]
    assert (b.sent[0].msg_type, b.sent[0].device, b.sent[0].replay) == ("2", True, False)


@pytest.mark.rule("R11")
@pytest.mark.parametrize("policy", list(Policy))
def test_R11_one_request_per_open_range(bench: MakeBench, policy: Policy) -> None:
    b = bench(policy=policy)
    b.feed(b.orders(5, 6, 7, 9, 8, 60, 200), PEER.resend_request(12), PEER.logon(14))
    assert len(b.requests) == 1


@pytest.mark.rule("R11")
def test_R11_infinity_lasts_until_all_that_was_seen_is_there(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.order(3))
    assert b.feed(b.orders(6, 1, 2)) == ["R10 6 -> 1", "deliver 1", "R8 1 -> 2", "deliver 2", "deliver 3", "R8 2 -> 4"]
    assert b.feed(b.orders(4, 5)) == ["deliver 4", "R8 4 -> 5", "deliver 5", "deliver 6", "recovered 7", "R8 5 -> 7"]


@pytest.mark.rule("R11")
@pytest.mark.parametrize(
    ("seqs", "end"),
    [((5,), 4), ((5, 9), 4), ((200,), 200), ((2,), 1)],
)
def test_R11_closed_ends_below_a_message_that_was_kept(bench: MakeBench, seqs: tuple[int, ...], end: int) -> None:
    b = bench(policy=Policy.CLOSED)
    b.feed(b.orders(*seqs))
    assert b.requests == [(1, end)]


@pytest.mark.rule("R10c", "R11")
@pytest.mark.parametrize(("window", "end"), [(5, 4), (4, 5)])
def test_R11_closed_and_a_logon_or_resend_request(bench: MakeBench, window: int, end: int) -> None:
    b = bench(policy=Policy.CLOSED, window=window)
    b.feed(PEER.logon(5))
    assert b.requests == [(1, end)], "a consumed number counts as kept, within the window"


@pytest.mark.rule("R11")
def test_R11_closed_looks_at_highest_when_it_opens(bench: MakeBench) -> None:
    b = bench(policy=Policy.CLOSED, may_request=False)
    b.feed(b.orders(3, 6))
    b.device.set_may_request(0, True)
    assert b.story() == ["request 1-5 R11"]


@pytest.mark.rule("R11")
@pytest.mark.parametrize(("chunk", "end"), [(1, 1), (3, 3), (7, 7), (8, 8), (9, 8), (4294967295, 8)])
def test_R11_chunk_asks_for_so_many_at_most(bench: MakeBench, chunk: int, end: int) -> None:
    b = bench(policy=Policy.CHUNK, chunk=chunk)
    b.feed(b.order(9))
    assert b.requests == [(1, end)]


@pytest.mark.rule("R11")
def test_R11_chunks_come_one_at_a_time(bench: MakeBench) -> None:
    b = bench(policy=Policy.CHUNK, chunk=2)
    assert b.feed(b.orders(6, 1)) == ["request 1-2 R11", "R10 6 -> 1", "deliver 1", "R8 1 -> 2"]
    assert b.feed(b.order(2)) == ["deliver 2", "recovered 3", "request 3-4 R11", "R8 2 -> 3"]
    assert b.feed(b.orders(3, 4))[-3:] == ["recovered 5", "request 5-5 R11", "R8 4 -> 5"]
    assert b.feed(b.order(5)) == ["deliver 5", "deliver 6", "recovered 7", "R8 5 -> 7"]


@pytest.mark.rule("R11")
@pytest.mark.parametrize(
    ("expected", "seq", "chunk", "end"),
    [(4_294_967_200, 4_294_967_295, 100, 4_294_967_295), (4_294_967_200, 4_294_967_295, 50, 4_294_967_249)]
    + [(999_999_995, 1_000_000_100, 10, 1_000_000_004), (99, 200, 1, 99), (9, 200, 92, 100)],
)
def test_R11_chunks_of_large_numbers(bench: MakeBench, expected: int, seq: int, chunk: int, end: int) -> None:
    b = bench(policy=Policy.CHUNK, chunk=chunk, expected=expected)
    b.feed(b.order(seq))
    assert b.requests == [(expected, end)]


@pytest.mark.rule("R11")
def test_R11_chunks_of_all_digits(bench: MakeBench) -> None:
    """What is one less than a digit at each place, with zeros behind it."""
    b = bench()
    for number in [digit * 10**place for place in range(10) for digit in range(1, 10)]:
        if 1 < number <= MAX_SEQ:
            b.device.disconnect(0)
            b.device.configure(0, b.peer.config(policy=Policy.CHUNK, chunk=number - 1))
            b.device.set_expected(0, 1)
            b.device.connect(0, phase=Phase.ACTIVE)
            b.feed(b.order(MAX_SEQ))
            assert b.requests[-1] == (1, number - 1)


@pytest.mark.rule("R11")
def test_R11_waits_for_may_request(bench: MakeBench) -> None:
    b = bench(may_request=False)
    assert b.feed(b.orders(3, 4)) == ["R10 3 -> 1", "R10 4 -> 1"]
    assert b.feed(b.order(1)) == ["deliver 1", "R8 1 -> 2"]
    b.device.set_may_request(0, True)
    assert b.story() == ["request 2-0 R11"]


@pytest.mark.rule("R11")
def test_R11_nothing_is_asked_for_when_nothing_is_missing(bench: MakeBench) -> None:
    b = bench(may_request=False)
    b.feed(b.orders(2, 1))
    b.device.set_may_request(0, True)
    assert b.story() == []
    assert b.sent == []


@pytest.mark.rule("R11")
def test_R11_nothing_is_asked_for_before_the_logon(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON, may_request=False)
    b.device.set_may_request(0, True)
    assert b.feed(b.order(5)) == ["R6 5 -> 1"]
    assert b.sent == []


@pytest.mark.rule("R11")
@pytest.mark.parametrize("end", [b"", PEER.message("D", "x")])
def test_R11_nothing_is_asked_for_when_the_session_is_over(bench: MakeBench, end: bytes) -> None:
    b = bench(may_request=False)
    b.feed(b.order(5), end)
    if not end:
        b.device.disconnect(0)
    b.device.set_may_request(0, True)
    assert b.story() == []
    assert b.sent == []


@pytest.mark.rule("R11", "R13a", "R14")
def test_may_request_taken_back_forbids_every_repeat(bench: MakeBench) -> None:
    b = bench(resend_timeout=10)
    b.feed(b.order(5))
    b.device.set_may_request(0, False)
    assert b.feed(b.order(3, possdup=True)) == ["R10 3 -> 1"]
    assert b.wait(1000) == []
    b.device.set_may_request(0, True)
    assert b.story() == []
    assert b.wait(10) == ["request 1-0 R14"]


# R13


@pytest.mark.rule("R11", "R13")
@pytest.mark.parametrize("policy", [Policy.CLOSED, Policy.CHUNK])
def test_R13_a_nested_gap_is_asked_for_at_once(bench: MakeBench, policy: Policy) -> None:
    b = bench(policy=policy)
    assert b.feed(b.orders(3, 6)) == ["request 1-2 R11", "R10 3 -> 1", "R10 6 -> 1"]
    assert b.feed(b.orders(1, 2)) == [
        "deliver 1",
        "R8 1 -> 2",
        "deliver 2",
        "deliver 3",
        "recovered 4",
        "request 4-5 R11",
        "R8 2 -> 4",
    ]


@pytest.mark.rule("R13")
def test_R13_a_range_is_complete_with_its_last_number_not_before(bench: MakeBench) -> None:
    b = bench(policy=Policy.CLOSED)
    b.feed(b.order(4))
    b.feed(b.orders(1, 2))
    assert b.device.state(0).recovery
    assert b.feed(b.order(3)) == ["deliver 3", "deliver 4", "recovered 5", "R8 3 -> 5"]
    assert not b.device.state(0).recovery


@pytest.mark.rule("R13")
def test_R13_a_gap_fill_completes_a_range(bench: MakeBench) -> None:
    b = bench(policy=Policy.CLOSED)
    b.feed(b.order(4))
    assert b.feed(PEER.gap_fill(1, 4, possdup=True)) == ["deliver 4", "recovered 5", "R7 1 -> 5"]


# R13a


@pytest.mark.rule("R13a")
@pytest.mark.parametrize(("policy", "end"), [(Policy.INFINITY, 0), (Policy.CLOSED, 8), (Policy.CHUNK, 5)])
def test_R13a_a_loss_inside_a_replay_is_asked_for_at_once(bench: MakeBench, policy: Policy, end: int) -> None:
    b = bench(policy=policy, chunk=5)
    assert b.feed(b.order(9))[0] == f"request 1-{end} R11"
    assert b.feed(b.orders(1, 3, possdup=True)) == ["deliver 1", "R8 1 -> 2", f"request 2-{end} R13a", "R10 3 -> 2"]
    assert b.feed(b.orders(4, 5, possdup=True)) == ["R10 4 -> 2", "R10 5 -> 2"], "once per value of expected"
    assert b.requests == [(1, end), (2, end)]


@pytest.mark.rule("R13a")
def test_R13a_again_for_another_value_of_expected(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.order(9), b.order(3, possdup=True))
    assert b.feed(b.orders(1, 2, 5, possdup=True))[-2:] == ["request 4-0 R13a", "R10 5 -> 4"]


@pytest.mark.rule("R13a", "R14")
def test_R13a_once_per_value_of_expected_whatever_else_happens(bench: MakeBench) -> None:
    """Since the recovery opened: neither a timeout, nor may_request, nor time makes it due again."""
    b = bench(resend_timeout=10)
    b.feed(b.order(9))
    assert b.feed(b.order(3, possdup=True))[0] == "request 1-0 R13a"
    assert b.wait(10) == ["request 1-0 R14"]
    assert b.feed(b.order(4, possdup=True)) == ["R10 4 -> 1"]
    b.device.set_may_request(0, False)
    b.device.set_may_request(0, True)
    assert b.feed(b.order(5, possdup=True), b.order(3, possdup=True)) == ["R10 5 -> 1", "R10a 3 -> 1"]
    assert b.feed(b.order(1, possdup=True), b.order(8, possdup=True))[-2:] == ["request 2-0 R13a", "R10 8 -> 2"]


@pytest.mark.rule("R13a")
def test_R13a_while_forbidden_is_not_used_up(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.order(9))
    b.device.set_may_request(0, False)
    assert b.feed(b.order(3, possdup=True)) == ["R10 3 -> 1"]
    b.device.set_may_request(0, True)
    assert b.feed(b.order(4, possdup=True)) == ["request 1-0 R13a", "R10 4 -> 1"]


@pytest.mark.rule("R13a")
def test_R13a_a_range_that_this_message_opened_is_not_asked_for_twice(bench: MakeBench) -> None:
    """The gap closes and the next one opens: open before is what counts."""
    b = bench(policy=Policy.CLOSED)
    b.feed(b.orders(2, 5))
    assert b.feed(b.order(1, possdup=True))[-2:] == ["request 3-4 R11", "R8 1 -> 3"]
    assert b.feed(b.order(4, possdup=True)) == ["request 3-4 R13a", "R10 4 -> 3"]


@pytest.mark.rule("R13a")
def test_R13a_counts_anew_in_a_new_range(bench: MakeBench) -> None:
    b = bench(policy=Policy.CLOSED)
    b.feed(b.orders(2, 5), b.order(1))
    assert b.feed(b.order(4, possdup=True)) == ["request 3-4 R13a", "R10 4 -> 3"]
    assert b.feed(b.order(4, possdup=True)) == ["R10a 4 -> 3"]


@pytest.mark.rule("R13a")
@pytest.mark.parametrize(
    ("message", "want"),
    [
        (PEER.order(4, possdup=True), ["request 1-0 R13a", "R10a 4 -> 1"]),
        (PEER.order(100, possdup=True), ["request 1-0 R13a", "R10b 100 -> 1"]),
        (PEER.logon(3, possdup=True), ["deliver 3 early", "request 1-0 R13a", "R10c 3 -> 1"]),
        (PEER.resend_request(3, possdup=True), ["deliver 3 early", "request 1-0 R13a", "R10d 3 -> 1"]),
        (PEER.gap_fill(3, 4, possdup=True), ["request 1-0 R13a", "R10 3 -> 1"]),
        (PEER.order(3), ["R10 3 -> 1"]),
        (PEER.order(0, possdup=True), ["halted 1 R4", "R4 none -> 1"]),
    ],
)
def test_R13a_looks_at_every_message_of_a_replay_above_expected(
    bench: MakeBench, message: bytes, want: list[str]
) -> None:
    b = bench()
    b.feed(b.order(4))
    assert b.feed(message) == want


@pytest.mark.rule("R13a")
def test_R13a_needs_a_recovery_that_was_open_before(bench: MakeBench) -> None:
    assert bench().feed(PEER.order(3, possdup=True)) == ["request 1-0 R11", "R10 3 -> 1"]


@pytest.mark.rule("R13a")
def test_R13a_an_old_message_is_no_sign_of_a_loss(bench: MakeBench) -> None:
    b = bench(expected=5)
    b.feed(b.order(8))
    assert b.feed(b.order(4, possdup=True), b.order(5, possdup=True)) == ["R9a 4 -> 5", "deliver 5", "R8 5 -> 6"]


# R14


@pytest.mark.rule("R14")
def test_R14_repeats_from_the_present_expected_and_gives_up(bench: MakeBench) -> None:
    b = bench(resend_timeout=100, resend_retries=2)
    b.feed(b.order(5))
    assert b.wait(99) == []
    assert b.wait(1) == ["request 1-0 R14"]
    assert b.wait(99) == []
    assert b.wait(1) == ["request 1-0 R14"]
    assert b.wait(100) == ["recovery_failed 1"]
    assert b.phase is Phase.HALTED
    state = b.device.state(0)
    assert (state.expected, state.highest, state.recovery) == (1, 5, True)
    assert b.wait(10_000) == []
    assert b.requests == [(1, 0)] * 3
    assert b.feed(b.order(1)) == ["R1 1 -> 1"]


@pytest.mark.rule("R14")
def test_R14_a_long_wait_is_many_ticks_one_after_the_other(bench: MakeBench) -> None:
    b = bench(resend_timeout=7, resend_retries=3)
    b.feed(b.order(5))
    assert b.wait(86_400_000) == ["request 1-0 R14"] * 3 + ["recovery_failed 1"]


@pytest.mark.rule("R14")
def test_R14_progress_starts_the_timer_again_and_the_retries_too(bench: MakeBench) -> None:
    b = bench(resend_timeout=10, resend_retries=1)
    b.feed(b.order(9))
    assert b.wait(10) == ["request 1-0 R14"]
    for seq in range(1, 8):
        assert b.wait(9) == []
        b.feed(b.order(seq))
    assert b.wait(10) == ["request 8-0 R14"]
    assert b.wait(10) == ["recovery_failed 8"]


@pytest.mark.rule("R14")
@pytest.mark.parametrize(("policy", "end"), [(Policy.INFINITY, 0), (Policy.CLOSED, 8), (Policy.CHUNK, 5)])
def test_R14_keeps_the_end_of_its_range(bench: MakeBench, policy: Policy, end: int) -> None:
    """However far expected has come, and whatever was seen above."""
    b = bench(policy=policy, chunk=5, resend_timeout=10)
    b.feed(b.order(9))
    for seq in (1, 2, 3):
        assert b.wait(10) == [f"request {seq}-{end} R14"]
        b.feed(b.order(seq, possdup=True), b.order(20 + seq))
    assert [asked for asked, _ in b.requests] == [1, 1, 2, 3]


@pytest.mark.rule("R14")
def test_R14_retries_are_counted_anew_after_progress(bench: MakeBench) -> None:
    """A replay that is slow but alive never fails; by a GapFill (R7, R9) as by messages."""
    b = bench(resend_timeout=10, resend_retries=2)
    b.feed(b.order(50))
    progress = [b.order(1), PEER.gap_fill(2, 4), PEER.gap_fill(1, 7, possdup=True), b.order(7, possdup=True)]
    for message in progress:
        for _ in range(2):
            assert b.wait(10) == [f"request {b.expected}-0 R14"]
        assert b.wait(9) == []
        b.feed(message)
    assert b.wait(29) == ["request 8-0 R14"] * 2
    assert b.wait(1) == ["recovery_failed 8"]


@pytest.mark.rule("R13", "R14")
def test_R14_the_next_range_has_all_its_retries(bench: MakeBench) -> None:
    b = bench(policy=Policy.CLOSED, resend_timeout=10, resend_retries=1)
    b.feed(b.orders(2, 4))
    assert b.wait(19) == ["request 1-1 R14"]
    b.feed(b.order(1))
    assert b.wait(19) == ["request 3-3 R14"]
    assert b.wait(1) == ["recovery_failed 3"]


@pytest.mark.rule("R14")
@pytest.mark.parametrize("retries", [0, 1, 255])
def test_R14_at_most_so_many_times(bench: MakeBench, retries: int) -> None:
    b = bench(resend_timeout=3, resend_retries=retries)
    b.feed(b.order(5))
    assert b.wait(3 * retries + 2) == ["request 1-0 R14"] * retries
    assert b.wait(1) == ["recovery_failed 1"]
    assert b.wait(10_000) == []
    b.reconnect()
    assert b.feed(b.order(5)) == ["request 1-0 R11", "R10 5 -> 1"], "the next connection begins anew"


@pytest.mark.rule("R14")
def test_R14_what_is_no_progress_does_not_start_it_again(bench: MakeBench) -> None:
    b = bench(resend_timeout=10)
    b.feed(b.order(9))
    b.wait(9)
    b.feed(b.order(3, possdup=True), b.order(3, possdup=True), b.order(12), PEER.order(3)[:-3] + b"xx\x01" + b" " * 8)
    assert b.requests == [(1, 0), (1, 0)], "by R11 and R13a"
    assert b.wait(1) == ["request 1-0 R14"]


@pytest.mark.rule("R14")
def test_R14_a_range_that_opens_starts_it(bench: MakeBench) -> None:
    b = bench(policy=Policy.CLOSED, resend_timeout=10)
    b.wait(1000)
    b.feed(b.orders(2, 4))
    b.wait(9)
    assert b.feed(b.order(1))[-2] == "request 3-3 R11"
    assert b.wait(9) == []
    assert b.wait(1) == ["request 3-3 R14"]


@pytest.mark.rule("R14")
def test_R14_is_off_with_a_timeout_of_zero(bench: MakeBench) -> None:
    b = bench(resend_timeout=0)
    b.feed(b.order(5))
    assert b.wait(86_400_000) == []


@pytest.mark.rule("R14")
def test_R14_without_retries_the_first_timeout_fails(bench: MakeBench) -> None:
    b = bench(resend_timeout=1, resend_retries=0)
    b.feed(b.order(5))
    assert b.wait(1) == ["recovery_failed 1"]


@pytest.mark.rule("R14", "R15")
def test_R14_does_not_run_without_recovery_or_connection(bench: MakeBench) -> None:
    b = bench(resend_timeout=10)
    b.feed(b.orders(2, 1))
    assert b.wait(100) == []
    b.feed(b.order(5))
    b.device.disconnect(0)
    assert b.wait(100) == []
    b.reconnect()
    assert b.wait(100) == []


@pytest.mark.rule("R14")
def test_R14_does_not_run_while_halted(bench: MakeBench) -> None:
    b = bench(expected=3, resend_timeout=10)
    b.feed(b.order(5), b.order(1))
    assert b.wait(100) == []


@pytest.mark.rule("R9", "R14")
def test_R14_a_request_counts_for_R9(bench: MakeBench) -> None:
    b = bench(resend_timeout=10)
    b.feed(b.order(4), b.orders(1, 2))
    b.wait(10)
    assert b.requests[-1] == (3, 0)
    assert b.feed(PEER.gap_fill(1, 4, possdup=True)) == ["deliver 4", "recovered 5", "R9 1 -> 5"]


@pytest.mark.rule("R14")
def test_R14_time_that_goes_back_lets_no_timer_pass(bench: MakeBench) -> None:
    b = bench(resend_timeout=10)
    b.feed(b.order(5))
    assert b.wait(-1000) == []
    assert b.wait(9) == []
    assert b.wait(1) == ["request 1-0 R14"]


@pytest.mark.rule("R14")
def test_R14_ticks_are_whole_milliseconds_of_the_clock(bench: MakeBench) -> None:
    b = bench(resend_timeout=1)
    b.device.advance(999_999)
    b.feed(b.order(5))
    b.device.advance(1_000_000)
    assert b.story() == ["request 1-0 R14"]
    b.device.advance(1_999_999)
    assert b.story() == []
