"""R1 to R9b on every device: what is decided about one message at or below the number expected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tag34.contract import REGISTERS, Phase, Policy, Rule
from tag34.device import MessageRecord, open_device
from tag34_sim.messages import Field, Peer, encode, frame
from tag34_sim.sim_device import SimDevice
from tests.sim.bench import Bench
from tests.sim.conftest import WIDTHS

#: What is shown here is also shown on a whole board.
ON_BOARD = True

MakeBench = Callable[..., Bench]

PEER = Peer()

# R1, R2


@pytest.mark.rule("R1")
def test_R1_nothing_is_judged_while_closed(bench: MakeBench) -> None:
    b = bench()
    b.device.disconnect(0)
    assert b.phase is Phase.CLOSED
    assert b.feed(PEER.order(1), PEER.logon(1, reset=True), PEER.reset(9)) == [
        "R1 1 -> 1",
        "R1 1 -> 1",
        "R1 1 -> 1",
    ]
    assert b.device.counters(0)["R1"] == 3


@pytest.mark.rule("R1")
def test_R1_nothing_is_judged_while_halted(bench: MakeBench) -> None:
    b = bench()
    b.feed(PEER.message("D", "abc"))
    before = b.device.state(0)
    assert before.phase is Phase.HALTED
    foreign = Peer(sender="OTHER").order(1)
    assert b.feed(PEER.order(1), foreign, PEER.reset(9), PEER.logon(1, reset=True), PEER.resend_request(5)) == [
        "R1 1 -> 1",
        "R1 1 -> 1",
        "R1 1 -> 1",
        "R1 1 -> 1",
        "R1 5 -> 1",
    ]
    assert b.device.state(0) == before


@pytest.mark.rule("F3", "R1")
def test_R1_garbled_is_garbled_in_any_phase(bench: MakeBench) -> None:
    b = bench()
    b.device.disconnect(0)
    assert b.feed(PEER.order(1)[:-2] + b"x\x01" + b" " * 9) == ["F3 none -> 1"]


@pytest.mark.rule("R2")
@pytest.mark.parametrize(
    "other",
    [
        Peer(begin_string="FIX.4.2"),
        Peer(begin_string="FIX.4.44"),
        Peer(begin_string="FIX.4."),
        Peer(sender="PEERS"),
        Peer(sender="PEE"),
        Peer(sender="peer"),
        Peer(target="TAG3"),
        Peer(target="TAG345"),
        Peer(sender="TAG34", target="PEER"),
        Peer(sender=""),
    ],
)
def test_R2_another_session_s_message(bench: MakeBench, other: Peer) -> None:
    b = bench()
    before = b.device.state(0)
    messages = (other.order(1), other.order(7), other.reset(9), other.logon(1, reset=True), other.message("D", None))
    assert b.feed(*messages) == ["R2 1 -> 1", "R2 7 -> 1", "R2 1 -> 1", "R2 1 -> 1", "R2 none -> 1"]
    assert b.device.state(0) == before
    assert b.delivered == []


@pytest.mark.rule("R2")
@pytest.mark.parametrize("tag", [b"\x0149=PEER", b"\x0156=TAG34"])
def test_R2_a_missing_comp_id(bench: MakeBench, tag: bytes) -> None:
    body = PEER.order(1)[:-7].replace(tag, b"").split(b"\x01", 2)[2]
    assert bench().feed(frame(body)) == ["R2 1 -> 1"]


@pytest.mark.rule("R2")
@pytest.mark.parametrize("width", WIDTHS)
def test_R2_the_gateware_compares_all_bits_of_a_name(width: int) -> None:
    """The driver configures ASCII only; what is compared is bytes."""
    with open_device("sim:", width=width) as device:
        assert isinstance(device, SimDevice)
        peer = Peer(sender="NAME")
        device.configure(0, peer.config())
        for value in (0x80, 0xFF, 0xAA, 0xD5):
            name = bytes([value]) * 4
            for index, byte in enumerate(name):
                device.core.write(REGISTERS["IDENT"].address, byte | index << 8 | 2 << 14)
            for flipped in (0, *(1 << bit for bit in range(8))):
                for place in range(4):
                    received = bytearray(name)
                    received[place] ^= flipped
                    device.disconnect(0)
                    device.set_expected(0, 1)
                    device.connect(0, phase=Phase.ACTIVE)
                    fields: list[Field] = [(35, "D"), (49, bytes(received)), (56, peer.target), (34, 1)]
                    device.receive(0, frame(encode(fields)))
                    [judged] = [record for record in device.poll() if isinstance(record, MessageRecord)]
                    assert judged.rule is (Rule.R2 if flipped else Rule.R8)


# R3


@pytest.mark.rule("R3", "R11", "R12")
def test_R3_reset_moves_expected_and_releases(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(3, 4, 6, 8))
    assert b.feed(PEER.reset(6)) == ["deliver 6", "recovered 7", "request 7-0 R11", "R3 1 -> 7"]
    assert b.highest == 8, "the highest number held: what is missing below it is asked for"
    assert b.feed(b.order(7)) == ["deliver 7", "deliver 8", "recovered 9", "R8 7 -> 9"]


@pytest.mark.rule("R3")
def test_R3_what_is_held_below_is_freed(bench: MakeBench) -> None:
    b = bench(window=4)
    b.feed(b.orders(2, 3, 4))
    assert b.feed(PEER.reset(5)) == ["recovered 5", "R3 1 -> 5"]
    assert b.feed(b.order(5)) == ["deliver 5", "R8 5 -> 6"]
    assert [d.seq for d in b.delivered] == [5]


@pytest.mark.rule("R3")
def test_R3_highest_forgets_what_was_not_held(bench: MakeBench) -> None:
    b = bench(window=4)
    b.feed(b.orders(3, 90))
    assert b.highest == 90
    assert b.feed(PEER.reset(10)) == ["recovered 10", "R3 1 -> 10"]
    assert b.highest == 9


@pytest.mark.rule("R3", "R10d")
def test_R3_highest_counts_a_consumed_number_as_held(bench: MakeBench) -> None:
    b = bench()
    b.feed(PEER.resend_request(5))
    assert b.feed(PEER.reset(4)) == ["recovered 4", "request 4-0 R11", "R3 1 -> 4"]


@pytest.mark.rule("R3")
def test_R3_34_is_ignored(bench: MakeBench) -> None:
    b = bench(expected=4)
    assert b.feed(PEER.reset(6, seq=1), PEER.reset(7, seq=None), PEER.reset(8, seq="x"), PEER.reset(9, seq=99)) == [
        "R3 1 -> 6",
        "R3 none -> 7",
        "R3 none -> 8",
        "R3 99 -> 9",
    ]
    assert b.feed(PEER.message("4", 9, [(123, "N"), (36, 12)])) == ["R3 9 -> 12"]


@pytest.mark.rule("R3", "R11")
def test_R3_acts_while_a_logon_is_awaited_but_opens_no_recovery(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON)
    assert b.feed(PEER.reset(6)) == ["R3 1 -> 6"]
    assert b.phase is Phase.LOGON
    assert b.feed(PEER.logon(6)) == ["deliver 6", "R8 6 -> 7"]


@pytest.mark.rule("R3", "R11", "R13")
@pytest.mark.parametrize(
    ("new", "released", "asked"),
    [
        (2, [], (2, 2)),
        (3, [3, 4], (5, 6)),  # at the first that is held
        (4, [4], (5, 6)),  # inside what is held
        (5, [], (5, 6)),  # into a gap, right above what is held
        (6, [], (6, 6)),  # into a gap, right below what is held
        (7, [7, 8], (9, 10)),
        (9, [], (9, 10)),
        (11, [11], None),  # at the last that is held
        (12, [], None),
        (500, [], None),  # far beyond
    ],
)
@pytest.mark.parametrize("policy", list(Policy))
def test_R3_reset_with_held_numbers_on_both_sides(
    bench: MakeBench, policy: Policy, new: int, released: list[int], asked: tuple[int, int] | None
) -> None:
    """3, 4, 7, 8 and 11 are held: what is below 36 is freed, the rest stays; highest is the highest that is held."""
    b = bench(policy=policy)
    b.feed(b.orders(3, 4, 7, 8, 11))
    after = released[-1] + 1 if released else new
    request = [] if asked is None else [f"request {asked[0]}-{0 if policy is Policy.INFINITY else 10} R11"]
    story = [*(f"deliver {seq}" for seq in released), f"recovered {after}", *request, f"R3 1 -> {after}"]
    assert b.feed(PEER.reset(new)) == story
    assert b.highest == (new - 1 if new > 11 else 11)
    assert b.state.recovery is (asked is not None)
    # What was freed is gone, what was kept is there.
    b.feed(b.orders(*range(after, 12), possdup=True))
    assert [d.seq for d in b.delivered] == [*range(new, 12)]
    assert b.feed(b.order(max(12, new)))[-1] == f"R8 {max(12, new)} -> {max(12, new) + 1}"


@pytest.mark.rule("R3", "R10e")
def test_R3_a_held_gap_fill_at_36_acts(bench: MakeBench) -> None:
    b = bench()
    b.feed(PEER.gap_fill(5, 9), b.order(9))
    assert b.feed(PEER.reset(5)) == ["held_gap_fill 5 9", "deliver 9", "recovered 10", "R3 1 -> 10"]


@pytest.mark.rule("R3", "R9")
def test_R3_earlier_requests_are_not_forgotten(bench: MakeBench) -> None:
    """Only R5, R15 and the host do that."""
    b = bench()
    b.feed(b.order(3), PEER.reset(10), b.order(12))
    assert b.feed(PEER.gap_fill(1, 12, possdup=True)) == ["deliver 12", "recovered 13", "R9 1 -> 13"]


@pytest.mark.rule("R3", "R10")
def test_R3_far_beyond_the_window_leaves_nothing_behind(bench: MakeBench) -> None:
    b = bench(expected=50)
    window = b.device.info.window
    b.feed(b.orders(*range(51, 50 + window)))
    assert b.feed(PEER.reset(10_000)) == ["recovered 10000", "R3 1 -> 10000"]
    seqs = range(10_001, 10_000 + window)
    assert [line for line in b.feed(b.orders(*seqs)) if line.startswith("R10")] == [
        f"R10 {seq} -> 10000" for seq in seqs
    ]


@pytest.mark.rule("R3", "R3a", "R3b", "R4")
def test_R3_takes_no_reset_with_possdup_for_another(bench: MakeBench) -> None:
    b = bench(expected=5)
    assert b.feed(PEER.message("4", "x", [(36, 7)], possdup=True)) == ["R3 none -> 7"]
    assert b.feed(PEER.message("4", 1, [(123, "n"), (36, 7)], possdup=True)) == ["reset_unchanged 7", "R3a 1 -> 7"]
    assert b.feed(PEER.message("4", 1, [(123, ""), (36, 6)], possdup=True)) == ["R3b 1 -> 7"]


@pytest.mark.rule("R3a")
def test_R3a_reset_to_the_number_expected(bench: MakeBench) -> None:
    b = bench(expected=5)
    b.feed(b.order(7))
    before = b.device.state(0)
    assert b.feed(PEER.reset(5)) == ["reset_unchanged 5", "R3a 1 -> 5"]
    assert b.device.state(0) == before


@pytest.mark.rule("R3b")
@pytest.mark.parametrize("new", [4, 1, 0, None, "", "x", "-6", "6.0", "4294967296", "99999999999999999999", "6 "])
def test_R3b_a_bad_reset_changes_nothing(bench: MakeBench, new: int | str | None) -> None:
    b = bench(expected=5)
    b.feed(b.order(7))
    before = b.device.state(0)
    assert b.feed(PEER.reset(new, seq=5)) == ["R3b 5 -> 5"]
    assert b.device.state(0) == before


@pytest.mark.rule("R3")
def test_R3_leading_zeros_are_legal(bench: MakeBench) -> None:
    assert bench(expected=5).feed(PEER.reset("0" * 60 + "8")) == ["R3 1 -> 8"]


# R4


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    "seq",
    [
        None,
        "",
        "-5",
        "2.0",
        "abc",
        "0",
        "000",
        "4294967296",
        "4294967298",
        "99999999999",
        " 2",
        "2 ",
        "+2",
        "2x",
        "0x2",
    ],
)
def test_R4_no_legal_number_halts(bench: MakeBench, seq: str | None) -> None:
    b = bench(expected=2)
    assert b.feed(PEER.message("D", seq), b.order(2)) == ["halted 2 R4", "R4 none -> 2", "R1 2 -> 2"]
    assert b.phase is Phase.HALTED


@pytest.mark.rule("F5", "R4")
def test_R4_leading_zeros_are_legal(bench: MakeBench) -> None:
    b = bench(expected=2)
    assert b.feed(PEER.message("D", "0" * 5000 + "2")) == ["halted 2 F5", "F5 none -> 2"], (
        "but only if the message can be stored"
    )
    b.reconnect()
    assert b.feed(PEER.message("D", "0" * 3000 + "2")) == ["deliver 2", "R8 2 -> 3"]


@pytest.mark.rule("R4")
def test_R4_the_largest_number_is_legal(bench: MakeBench) -> None:
    assert bench(may_request=False).feed(PEER.message("D", "04294967295")) == ["R10b 4294967295 -> 1"]


@pytest.mark.rule("R4", "R5", "R6")
@pytest.mark.parametrize("phase", [Phase.LOGON, Phase.ACTIVE])
@pytest.mark.parametrize("msg_type", ["A", "2", "5"])
def test_R4_whatever_the_type(bench: MakeBench, phase: Phase, msg_type: str) -> None:
    """A Logon with 141=Y, too: 141 counts with 34=1, not without 34."""
    b = bench(phase=phase)
    assert b.feed(PEER.message(msg_type, None, [(141, "Y")])) == ["halted 1 R4", "R4 none -> 1"]
    assert b.phase is Phase.HALTED


@pytest.mark.rule("R4", "R7a")
def test_R4_comes_before_a_gap_fill(bench: MakeBench) -> None:
    assert bench().feed(PEER.message("4", "x", [(123, "Y"), (36, 7)])) == ["halted 1 R4", "R4 none -> 1"]


@pytest.mark.rule("R4", "R6")
def test_R4_comes_before_the_wait_for_a_logon(bench: MakeBench) -> None:
    assert bench(phase=Phase.LOGON).feed(PEER.message("D", "x")) == ["halted 1 R4", "R4 none -> 1"]


# R5, R6


@pytest.mark.rule("R5")
@pytest.mark.parametrize("phase", [Phase.LOGON, Phase.ACTIVE])
def test_R5_a_logon_with_reset_begins_anew(bench: MakeBench, phase: Phase) -> None:
    b = bench(expected=50, phase=phase)
    assert b.feed(PEER.logon(1, reset=True)) == ["deliver 1", "R5 1 -> 2"]
    assert (b.phase, b.expected, b.highest) == (Phase.ACTIVE, 2, 1)
    assert not b.delivered[0].early


@pytest.mark.rule("R5", "R9", "R13")
def test_R5_forgets_window_recovery_and_requests(bench: MakeBench) -> None:
    b = bench(expected=5)
    assert b.feed(b.orders(7, 8)) == ["request 5-0 R11", "R10 7 -> 5", "R10 8 -> 5"]
    assert b.feed(PEER.logon(1, reset=True)) == ["deliver 1", "recovered 2", "R5 1 -> 2"]
    assert not b.device.state(0).recovery
    assert b.feed(b.orders(2, 3, 4, 5, 6))[-1] == "R8 6 -> 7", "7 is not held any more"
    assert b.feed(PEER.gap_fill(6, 9, possdup=True)) == ["R9a 6 -> 7"], "nothing was requested since (R9)"


@pytest.mark.rule("R5", "R8", "R9b")
@pytest.mark.parametrize("seq", [2, 9])
def test_R5_takes_the_number_one(bench: MakeBench, seq: int) -> None:
    b = bench(expected=9)
    assert b.feed(PEER.logon(seq, reset=True))[-1] == ("R8 9 -> 10" if seq == 9 else "R9b 2 -> 9")


@pytest.mark.rule("R5")
def test_R5_takes_the_flag(bench: MakeBench) -> None:
    assert bench(expected=9).feed(PEER.logon(1)) == ["halted 9 R9b", "R9b 1 -> 9"]


@pytest.mark.rule("R6")
def test_R6_nothing_but_a_logon_opens_a_session(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON)
    before = b.device.state(0)
    assert b.feed(b.orders(1, 5), PEER.resend_request(1), PEER.gap_fill(1, 4), b.order(1, possdup=True)) == [
        "R6 1 -> 1",
        "R6 5 -> 1",
        "R6 1 -> 1",
        "R6 1 -> 1",
        "R6 1 -> 1",
    ]
    assert b.device.state(0) == before


@pytest.mark.rule("R6")
def test_R6_what_follows_the_logon_in_the_same_segment_is_judged(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON)
    assert b.feed(PEER.logon(1), b.order(2)) == ["deliver 1", "R8 1 -> 2", "deliver 2", "R8 2 -> 3"]
    assert b.phase is Phase.ACTIVE


@pytest.mark.rule("R6")
def test_R6_a_logon_that_is_not_delivered_does_not_open_the_session(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON, expected=5)
    assert b.feed(PEER.logon(3, possdup=True), b.order(5)) == ["R9a 3 -> 5", "R6 5 -> 5"]
    assert b.phase is Phase.LOGON


@pytest.mark.rule("R5")
def test_R5_at_one_and_again(bench: MakeBench) -> None:
    """It is R5 where R8 would do, and where 1 was had before."""
    b = bench(phase=Phase.LOGON)
    assert b.feed(PEER.logon(1, reset=True), PEER.logon(1, reset=True)) == ["deliver 1", "R5 1 -> 2"] * 2
    assert b.feed(PEER.logon(1, reset=True, possdup=True)) == ["deliver 1", "R5 1 -> 2"]
    assert b.feed(b.order(2)) == ["deliver 2", "R8 2 -> 3"]


@pytest.mark.rule("R5", "R13a")
def test_R5_a_new_range_is_asked_for_as_the_first(bench: MakeBench) -> None:
    """Nothing of the old recovery lives on: not its end, not its repeats, not its timer."""
    b = bench(policy=Policy.CLOSED, resend_timeout=10, resend_retries=1)
    b.feed(b.order(9), b.order(4, possdup=True))
    assert b.wait(10) == ["request 1-8 R14"]
    b.wait(5)
    assert b.feed(PEER.logon(1, reset=True))[-1] == "R5 1 -> 2"
    assert b.feed(b.order(5)) == ["request 2-4 R11", "R10 5 -> 2"]
    assert b.feed(b.order(4, possdup=True)) == ["request 2-4 R13a", "R10 4 -> 2"]
    assert b.wait(9) == []
    assert b.wait(1) == ["request 2-4 R14"]
    assert b.wait(10) == ["recovery_failed 2"]


@pytest.mark.rule("R6")
def test_R6_nothing_is_held_for_later(bench: MakeBench) -> None:
    b = bench(phase=Phase.LOGON)
    b.feed(b.orders(2, 3))
    assert b.feed(PEER.logon(1)) == ["deliver 1", "R8 1 -> 2"]
    assert b.highest == 1


# R7, R8


@pytest.mark.rule("R7", "R12")
def test_R7_gap_fill_moves_expected_and_release_goes_on(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(2, 3, 5, 6))
    assert b.feed(PEER.gap_fill(1, 5)) == ["deliver 5", "deliver 6", "recovered 7", "R7 1 -> 7"]
    assert [d.seq for d in b.delivered] == [5, 6], "what was held below 36 is freed"


@pytest.mark.rule("R7")
def test_R7_gap_fill_of_one_number(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(PEER.gap_fill(1, 2), PEER.gap_fill(2, "0004294967295")) == ["R7 1 -> 2", "R7 2 -> 4294967295"]
    assert b.highest == 0, "a GapFill moves no highest"


@pytest.mark.rule("R7", "R10")
def test_R7_frees_the_places_it_passes(bench: MakeBench) -> None:
    b = bench(window=3)
    b.feed(b.orders(2, 3))
    b.feed(PEER.gap_fill(1, 4))
    assert b.feed(b.orders(5, 6)) == ["request 4-0 R11", "R10 5 -> 4", "R10 6 -> 4"]
    assert b.feed(b.order(4)) == ["deliver 4", "deliver 5", "deliver 6", "recovered 7", "R8 4 -> 7"]


@pytest.mark.rule("R7a")
@pytest.mark.parametrize("new", [5, 4, 1, 0, None, "", "x", "4294967296", "4294967302"])
def test_R7a_a_bad_gap_fill_changes_nothing(bench: MakeBench, new: int | str | None) -> None:
    b = bench(expected=5)
    before = b.device.state(0)
    assert b.feed(PEER.gap_fill(5, new)) == ["R7a 5 -> 5"]
    assert b.device.state(0) == before
    assert b.feed(b.order(5)) == ["deliver 5", "R8 5 -> 6"]


@pytest.mark.rule("R7", "R7a")
@pytest.mark.parametrize("possdup", [False, True])
def test_R7_possdup_does_not_matter(bench: MakeBench, possdup: bool) -> None:
    b = bench()
    assert b.feed(PEER.gap_fill(1, 1, possdup=possdup), PEER.gap_fill(1, 4, possdup=possdup)) == [
        "R7a 1 -> 1",
        "R7 1 -> 4",
    ]


@pytest.mark.rule("R7", "R11", "R13")
@pytest.mark.parametrize("new", [64, 65, 66, 1000])
def test_R7_beyond_the_window(bench: MakeBench, new: int) -> None:
    """What is not kept is filled, too; what was seen above is still missing."""
    b = bench()
    b.feed(b.orders(2, 30, 64), b.order(1500))
    released = new == 64
    after = new + released
    assert b.feed(PEER.gap_fill(1, new)) == [*["deliver 64"] * released, f"R7 1 -> {after}"]
    assert (b.highest, b.state.recovery) == (1500, True)
    assert b.feed(b.order(after + 1))[-1] == f"R10 {after + 1} -> {after}"


@pytest.mark.rule("R8")
@pytest.mark.parametrize("msg_type", ["0", "1", "2", "3", "5", "8", "A", "D", "AE", "UX1"])
def test_R8_in_order_is_delivered(bench: MakeBench, msg_type: str) -> None:
    b = bench()
    message = PEER.message(msg_type, 1)
    assert b.feed(message) == ["deliver 1", "R8 1 -> 2"]
    assert (b.delivered[0].data, b.delivered[0].msg_type, b.delivered[0].early) == (message, msg_type, False)
    assert (b.expected, b.highest) == (2, 1)


@pytest.mark.rule("R8", "R9a", "R10")
def test_a_new_number_counts_in_a_sequence_reset_alone(bench: MakeBench) -> None:
    """36 and 123 in any other message are the application's."""
    b = bench()
    fields: list[Field] = [(36, 9), (123, "Y")]
    assert b.feed(PEER.message("D", 1, fields)) == ["deliver 1", "R8 1 -> 2"]
    assert b.feed(PEER.message("D", 1, fields, possdup=True)) == ["R9a 1 -> 2"]
    assert b.feed(PEER.message("D", 3, fields)) == ["request 2-0 R11", "R10 3 -> 2"]
    assert b.feed(PEER.message("0", 2, fields)) == ["deliver 2", "deliver 3", "recovered 4", "R8 2 -> 4"]


@pytest.mark.rule("R8")
def test_R8_possdup_does_not_matter(bench: MakeBench) -> None:
    b = bench()
    assert b.feed(b.order(1, possdup=True)) == ["deliver 1", "R8 1 -> 2"]
    assert b.delivered[0].possdup


# R9


def gapped(make: MakeBench, **options: object) -> Bench:
    """The numbers from 3 on were asked for, 3 to 6 are there, 7 is missing, 8 is held."""
    b = make(expected=3, **options)
    b.feed(b.orders(5, 6, 8), b.orders(3, 4))
    assert (b.expected, b.requests[0][0]) == (7, 3)
    return b


@pytest.mark.rule("R9")
def test_R9_a_late_gap_fill_covers_what_is_still_missing(bench: MakeBench) -> None:
    b = gapped(bench)
    assert b.feed(PEER.gap_fill(3, 8, possdup=True)) == ["deliver 8", "recovered 9", "R9 3 -> 9"]


@pytest.mark.rule("R9", "R9a")
@pytest.mark.parametrize(
    ("message", "why"),
    [
        (PEER.gap_fill(3, 7, possdup=True), "36 covers nothing that is missing"),
        (PEER.gap_fill(3, None, possdup=True), "36 is missing"),
        (PEER.gap_fill(3, "x", possdup=True), "36 is no number"),
        (PEER.gap_fill(2, 8, possdup=True), "nothing below 3 was requested"),
        (PEER.order(3, possdup=True), "it is no GapFill"),
        (PEER.logon(3, possdup=True), "it is no GapFill"),
        (PEER.message("A", 3, [(123, "Y"), (36, 8)], possdup=True), "it is no GapFill"),
        (PEER.resend_request(3, possdup=True), "it is no GapFill"),
    ],
)
def test_R9a_other_old_messages_are_dropped(bench: MakeBench, message: bytes, why: str) -> None:
    b = gapped(bench)
    before = b.device.state(0)
    assert b.feed(message)[-1].startswith("R9a "), why
    assert b.device.state(0) == before
    assert b.device.counters(0)["R9a"] == 1


@pytest.mark.rule("R9", "R15")
def test_R9_needs_a_request_of_this_connection(bench: MakeBench) -> None:
    b = gapped(bench)
    b.reconnect()
    assert b.feed(PEER.gap_fill(3, 9, possdup=True)) == ["R9a 3 -> 7"]
    assert b.feed(b.order(9)) == ["request 7-0 R11", "R10 9 -> 7"]
    assert b.feed(b.order(7)) == ["deliver 7", "R8 7 -> 8"]
    assert b.feed(PEER.gap_fill(6, 9, possdup=True)) == ["R9a 6 -> 8"]
    assert b.feed(PEER.gap_fill(7, 9, possdup=True)) == ["deliver 9", "recovered 10", "R9 7 -> 10"]


@pytest.mark.rule("R9")
def test_R9_compares_with_the_lowest_request(bench: MakeBench) -> None:
    b = gapped(bench)
    b.feed(b.orders(7), b.order(11))
    assert b.requests[-1][0] == 9
    assert b.feed(PEER.gap_fill(4, 11, possdup=True)) == ["deliver 11", "recovered 12", "R9 4 -> 12"]


@pytest.mark.rule("R9", "R9a")
def test_R9_a_pending_recovery_has_asked_for_nothing(bench: MakeBench) -> None:
    """The gap is known, but no request was allowed: nobody can be answering one."""
    b = bench(expected=3, may_request=False)
    b.feed(b.orders(5, 3))
    assert b.feed(PEER.gap_fill(3, 5, possdup=True)) == ["R9a 3 -> 4"]
    b.device.set_may_request(0, True)
    assert b.story() == ["request 4-0 R11"]
    assert b.feed(PEER.gap_fill(3, 5, possdup=True)) == ["R9a 3 -> 4"], "and then from 4 on"


@pytest.mark.rule("R9", "R15")
@pytest.mark.parametrize("seq", [1, 2, 3, 4, 5])
def test_R9_begin_is_compared_with_the_number_of_the_gap_fill(bench: MakeBench, seq: int) -> None:
    """3 on were asked for, then 6 on: a GapFill from 3 or later may be the answer, one from before cannot."""
    b = bench(expected=3)
    b.feed(b.orders(5, 3, 4), b.order(8))
    assert b.requests == [(3, 0), (6, 0)]
    rule, after = ("R9", 9) if seq >= 3 else ("R9a", 6)
    assert b.feed(PEER.gap_fill(seq, 8, possdup=True))[-1] == f"{rule} {seq} -> {after}"


@pytest.mark.rule("R9", "R13")
@pytest.mark.parametrize("policy", [Policy.CLOSED, Policy.CHUNK])
def test_R9_moves_on_to_the_next_range(bench: MakeBench, policy: Policy) -> None:
    b = bench(policy=policy)
    b.feed(b.orders(3, 6, 1))
    assert b.feed(PEER.gap_fill(1, 4, possdup=True)) == ["recovered 4", "request 4-5 R11", "R9 1 -> 4"]


@pytest.mark.rule("R9")
def test_R9_frees_and_releases_as_R7(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(2, 1), b.orders(4, 5, 7, 8))
    assert b.feed(PEER.gap_fill(2, 7, possdup=True)) == ["deliver 7", "deliver 8", "recovered 9", "R9 2 -> 9"]
    assert [d.seq for d in b.delivered] == [1, 2, 7, 8]


@pytest.mark.rule("R9b")
def test_R9b_too_low_halts(bench: MakeBench) -> None:
    b = bench(expected=5)
    assert b.feed(b.order(4), b.order(5)) == ["halted 5 R9b", "R9b 4 -> 5", "R1 5 -> 5"]
    assert b.phase is Phase.HALTED


@pytest.mark.rule("R9b")
def test_R9b_also_for_a_gap_fill_and_a_logon(bench: MakeBench) -> None:
    b = gapped(bench)
    assert b.feed(PEER.gap_fill(3, 9)) == ["halted 7 R9b", "R9b 3 -> 7"]
    b.reconnect(phase=Phase.LOGON)
    assert b.feed(PEER.logon(1)) == ["halted 7 R9b", "R9b 1 -> 7"]
