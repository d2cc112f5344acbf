"""H5, and what the host answers to the device's verdicts (R2 to R9, R14, F5)."""

from __future__ import annotations

import pytest

from tag34 import (
    Device,
    DeviceError,
    Disconnect,
    GapSuspected,
    MemoryStore,
    Message,
    PeerError,
    RecoveryClosed,
    RecoveryOpened,
    SequenceReset,
)
from tag34.contract import Rule
from tag34_sim.messages import encode, frame
from tests.host.bench import Bench, types


@pytest.fixture
def bench(initiator: Bench) -> Bench:
    """Logged on."""
    return initiator.log_on()


@pytest.mark.rule("H5")
def test_h5_possdup_without_orig_sending_time(bench: Bench) -> None:
    (reject,) = bench.peer("8", possdup=True, original=None)
    assert [reject[tag] for tag in (35, 45, 371, 372, 373)] == ["3", "2", "122", "8", "1"]
    assert not bench.of(Message)
    assert bench.session.logged_on


@pytest.mark.rule("H5")
def test_h5_orig_sending_time_later_than_sending_time(bench: Bench) -> None:
    reject, logout = bench.peer("8", possdup=True, original="20240229-12:00:00.001")
    assert [reject[tag] for tag in (35, 45, 373)] == ["3", "2", "10"]
    assert logout[35] == "5"
    assert not bench.of(Message)


@pytest.mark.rule("H5")
def test_h5_orig_sending_time_is_no_time(bench: Bench) -> None:
    (reject,) = bench.peer("8", possdup=True, original="yesterday")
    assert (reject[371], reject[373]) == ("122", "6")


@pytest.mark.rule("R9a", "H5")
@pytest.mark.parametrize(("original", "sent"), [(None, "3"), ("20240229-12:00:00.001", "35"), ("", "")])
def test_h5_in_a_message_that_was_had_before(bench: Bench, original: str | None, sent: str) -> None:
    """R9a drops it, but what it says must be right."""
    bench.peer("8")
    assert types(bench.peer("8", seq=2, possdup=True, original=original)) == sent
    assert len(bench.of(Message)) == 1


@pytest.mark.rule("H5")
def test_h5_gap_fill_that_was_had_before_needs_no_orig_sending_time(bench: Bench) -> None:
    bench.peer("8")
    assert bench.peer("4", [(123, "Y"), (36, 3)], seq=2, possdup=True, original=None) == []


@pytest.mark.rule("H5")
def test_h5_possdup_is_delivered_with_its_flag(bench: Bench) -> None:
    bench.peer("8", possdup=True)
    bench.peer("8")
    assert [message.possdup for message in bench.of(Message)] == [True, False]


@pytest.mark.rule("H5")
def test_h5_possresend_is_delivered_with_its_flag(bench: Bench) -> None:
    bench.peer("8", [(97, "Y"), (37, "x")])
    bench.peer("8", [(37, "97=Y")])
    assert [message.possresend for message in bench.of(Message)] == [True, False]


@pytest.mark.rule("H1")
def test_h1_message_without_sending_time(bench: Bench) -> None:
    (reject,) = bench.peer("8", time=None)
    assert [reject[tag] for tag in (371, 373)] == ["52", "1"]


@pytest.mark.rule("R3b", "R7a")
@pytest.mark.parametrize("fields", [[(123, "Y"), (36, 2)], [(123, "Y")], [(36, 1)], [(36, "x")]])
def test_r7a_r3b_new_seq_no_that_cannot_be(bench: Bench, fields: list[tuple[int, str]]) -> None:
    (reject,) = bench.peer("4", fields, seq=2)
    assert [reject[tag] for tag in (35, 45, 371, 372, 373)] == ["3", "2", "36", "4", "5"]
    assert bench.session.logged_on
    assert bench.session.expected == 2


@pytest.mark.rule("R10e")
def test_r10e_held_gap_fill_that_turns_out_bad(bench: Bench) -> None:
    bench.peer("4", [(123, "Y"), (36, 3)], seq=3)
    sent = bench.peer("8", seq=2)
    assert types(sent).count("3") == 1
    (reject,) = [message for message in sent if message[35] == "3"]
    assert (reject[45], reject[371]) == ("3", "36")


@pytest.mark.rule("R3")
def test_r3_reset_is_reported(bench: Bench) -> None:
    bench.peer("4", [(36, 20)], seq=1)
    assert bench.of(SequenceReset) == [SequenceReset(20)]
    bench.peer("8", seq=20)
    assert [message.seq for message in bench.of(Message)] == [20]


@pytest.mark.rule("R3a")
def test_r3a_reset_to_what_is_expected_anyway(bench: Bench) -> None:
    bench.peer("4", [(36, 2)])
    assert [event.rule for event in bench.of(PeerError)] == ["R3a"]


@pytest.mark.rule("R4")
@pytest.mark.parametrize("seq", ["", "-5", "2.0", "abc", "0", "4294967298"])
def test_r4_message_without_a_number(bench: Bench, seq: str) -> None:
    (logout,) = bench.peer("8", seq=seq)
    assert (logout[35], logout[58]) == ("5", "MsgSeqNum missing or invalid")
    assert not bench.of(Disconnect)[0].clean


@pytest.mark.rule("R9b")
def test_r9b_number_too_low(bench: Bench) -> None:
    bench.peer("8")
    (logout,) = bench.peer("8", seq=2)
    assert logout[58] == "MsgSeqNum too low, expecting 3 but received 2"
    assert bench.of(Disconnect)


@pytest.mark.rule("R2")
def test_r2_other_comp_ids(bench: Bench) -> None:
    reject, logout = bench.peer("8", sender="STRANGER")
    assert [reject.get(tag) for tag in (35, 45, 371, 372, 373)] == ["3", "2", None, "8", "9"]
    assert logout[35] == "5"
    assert bench.of(Disconnect)


@pytest.mark.rule("R2")
def test_r2_other_begin_string(bench: Bench) -> None:
    (logout,) = bench.peer("8", begin_string="FIX.4.2")
    assert (logout[35], logout[58]) == ("5", "Incorrect BeginString")
    assert bench.of(Disconnect)


@pytest.mark.rule("F5")
def test_f5_message_too_long(bench: Bench, device: Device) -> None:
    (logout,) = bench.peer("8", [(58, "x" * device.info.max_message)])
    assert logout[35] == "5"
    assert bench.of(Disconnect)


@pytest.mark.rule("F3")
def test_f3_garbled_message_is_reported(bench: Bench) -> None:
    bench.receive(frame(encode([(35, "8")]))[:-2] + b"9\x01")
    assert [event.rule for event in bench.of(PeerError)] == ["F3"]
    assert bench.session.logged_on


@pytest.mark.parametrize("begin_string", ["FIX.4.0", "FIX.4.1"])
def test_old_versions_have_no_reject_reason(device: Device, begin_string: str) -> None:
    bench = Bench(device, begin_string=begin_string).log_on()
    (reject,) = bench.peer("1")
    assert [tag for tag, _ in reject] == [8, 9, 35, 49, 56, 34, 52, 45, 58, 10]


@pytest.mark.rule("R11", "R12")
def test_r11_r12_gap_is_recovered(bench: Bench) -> None:
    missing = [bench.message("8"), bench.message("8")]
    sent = bench.peer("8")
    assert types(sent) == "2"
    assert [(event.begin, event.rule) for event in bench.of(RecoveryOpened)] == [(2, Rule.R11)]
    assert missing
    bench.peer("8", seq=2, possdup=True)
    bench.peer("8", seq=3, possdup=True)
    assert [message.seq for message in bench.of(Message)] == [2, 3, 4]
    assert [event.expected for event in bench.of(RecoveryClosed)] == [5]


@pytest.mark.rule("R11")
def test_r11_a_gap_is_suspected_before_it_is_certain(device: Device) -> None:
    bench = Bench(device, early_gap=True).log_on()
    bench.seq += 1
    message = bench.message("8", [(58, "x" * 40)])
    at = message.index(b"\x01", message.index(b"\x0134=") + 1) + 1
    bench.receive(message[:at])
    assert [(event.seq, event.expected) for event in bench.of(GapSuspected)] == [(3, 2)]
    assert not bench.of(RecoveryOpened)
    assert types(bench.receive(message[at:])) == "2"
    assert [event.begin for event in bench.of(RecoveryOpened)] == [2]
    assert len(bench.of(GapSuspected)) == 1


@pytest.mark.rule("R11", "R14")
def test_r14_request_without_answer(device: Device) -> None:
    """Asked again and again, then told and closed. The device's timer runs because the session wants to be ticked."""
    bench = Bench(device, heartbeat=0, resend_timeout=1000, resend_retries=2).log_on()
    bench.seq += 1
    bench.peer("8")
    sent = bench.wait(10)
    assert types(sent) == "225"
    assert [event.rule for event in bench.of(RecoveryOpened)] == [Rule.R11, Rule.R14, Rule.R14]
    assert bench.of(Disconnect)[0].reason == "ResendRequest from 2 was not answered"


@pytest.mark.rule("H7")
def test_h7_sending_goes_on_while_a_gap_is_open(device: Device) -> None:
    bench = Bench(device, resend_timeout=0).log_on()
    bench.seq += 1
    bench.peer("8")
    assert types(bench.send()) == "D"
    assert types(bench.peer("8")) == ""
    assert types(bench.wait(30.1)) == "0"


@pytest.mark.rule("R16a")
def test_r16a_last_number(device: Device) -> None:
    bench = Bench(device, store=MemoryStore(expected=4294967294))
    bench.seq = 4294967294
    bench.log_on()
    (logout,) = bench.peer("8")
    assert logout[35] == "5"
    assert len(bench.of(Message)) == 1
    assert bench.of(Disconnect)


@pytest.mark.rule("R9b", "S2")
def test_our_numbers_run_out(device: Device) -> None:
    """No number is left for a Logout either: closing says it."""
    bench = Bench(device, store=MemoryStore(next_out=4294967294)).log_on()
    bench.send()
    with pytest.raises(DeviceError):
        bench.send()
    assert bench.peer("8", seq=1) == []
    assert "used up" in bench.of(Disconnect)[0].reason


def test_reject_is_a_message_for_the_application(bench: Bench) -> None:
    bench.peer("3", [(45, 2), (58, "no such field")])
    assert [message[58] for message in bench.of(Message)] == ["no such field"]
