"""S1 to S6 on every device: what leaves, and what the host's calls refuse."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from tag34.contract import MAX_SEQ, Phase, Policy
from tag34.device import Device, DeviceError, SentRecord
from tag34_sim.golden import compose
from tag34_sim.messages import Peer, damaged_checksum, encode
from tests.sim.bench import START_MS, Bench, Stage, tell

MakeBench = Callable[..., Bench]

PEER = Peer()


def utc_ns(when: datetime) -> int:
    return (
        (when.replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc))
        // timedelta(microseconds=1)
        * 1000
    )


# S1


@pytest.mark.rule("S1")
def test_S1_a_message_byte_by_byte(bench: MakeBench) -> None:
    b = bench()
    record = b.send("D", b"50=DESK\x0111=x\x01")
    body = b"35=D\x0149=TAG34\x0156=PEER\x0134=1\x0152=20240229-23:59:59.000\x0150=DESK\x0111=x\x01"
    head = b"8=FIX.4.4\x019=%d\x01" % len(body) + body
    assert record.data == head + b"10=%03d\x01" % (sum(head) % 256)
    assert (record.session, record.seq, record.msg_type, record.replay, record.device) == (0, 1, "D", False, False)


@pytest.mark.rule("S1")
def test_S1_body_lengths_of_all_digits(device: Device) -> None:
    """Up to the longest message, so close to each other that no eight lengths in a row are left out."""
    b = Bench(device)
    config = PEER.config()
    for size in (*range(10), *range(10, device.info.max_message - 120, 8)):
        fields = b"58=" + b"x" * size + b"\x01"
        record = b.send("D", fields)
        assert record.data == compose(config, "D", record.seq, START_MS * 10**6, fields), size


@pytest.mark.rule("S1")
@pytest.mark.parametrize("size", [0, 1, 9, 20, 30, 40, 100, 1000])
def test_S1_body_length_and_checksum_of_any_size(bench: MakeBench, size: int, rng: random.Random) -> None:
    b = bench()
    value = rng.randbytes(size)
    data = b.send("8", encode([(95, size), (96, value)])).data
    head, _, trailer = data.rpartition(b"\x0110=")
    length = head.split(b"\x01")[1]
    assert length == b"9=%d" % (len(head) + 1 - data.index(b"35="))
    assert trailer == b"%03d\x01" % (sum(head + b"\x01") % 256)


@pytest.mark.rule("S1")
def test_S1_what_a_device_sends_a_device_takes(bench: MakeBench) -> None:
    b = bench(peer=Peer(sender="SAME", target="SAME"))
    for msg_type, fields in (("A", b"98=0\x01108=30\x01"), ("0", b""), ("UX12", b"58=\x01")):
        b.send(msg_type, fields)
    assert b.feed(*(record.data for record in b.sent))[-1] == "R8 3 -> 4"


@pytest.mark.rule("R11", "S1")
def test_S1_a_resend_request_is_a_complete_message(bench: MakeBench) -> None:
    b = bench()
    b.device.set_next_out(0, 41)
    b.feed(b.order(3))
    body = b"35=2\x0149=TAG34\x0156=PEER\x0134=41\x0152=20240229-23:59:59.000\x017=1\x0116=0\x01"
    head = b"8=FIX.4.4\x019=%d\x01" % len(body) + body
    (record,) = b.sent
    assert record.data == head + b"10=%03d\x01" % (sum(head) % 256)
    assert (record.seq, record.msg_type, record.replay, record.device) == (41, "2", False, True)


# S2


@pytest.mark.rule("S2")
def test_S2_one_numbering_authority(bench: MakeBench) -> None:
    b = bench()
    b.send("D")
    b.feed(b.order(3))
    b.send("D")
    assert [(record.seq, record.device) for record in b.sent] == [(1, False), (2, True), (3, False)]
    assert b.device.state(0).next_out == 4
    b.reconnect()
    assert b.send("0").seq == 4, "a new connection goes on with the numbers"


@pytest.mark.rule("S2")
def test_S2_a_replay_does_not_touch_next_out(bench: MakeBench) -> None:
    b = bench()
    b.device.set_next_out(0, 100)
    record = b.send("8", b"43=Y\x01122=20240101-00:00:00\x01", seq=7)
    assert (record.seq, record.replay) == (7, True)
    assert b"\x0134=7\x01" in record.data
    assert b.device.state(0).next_out == 100
    assert (b.send("8").seq, b.sent[-1].replay) == (100, False)


@pytest.mark.rule("S2")
@pytest.mark.parametrize("seq", [1, 9, 10, 99, 100, 4294967295])
def test_S2_decimal_without_leading_zeros(bench: MakeBench, seq: int) -> None:
    b = bench()
    b.device.set_next_out(0, seq)
    assert b"\x0134=%d\x01" % seq in b.send("0").data


@pytest.mark.rule("S2", "R11")
@pytest.mark.parametrize("seq", [1, 9, 10, 99, 100, 1000, 4294967294])
def test_S2_all_numbers_of_requests_and_replays_without_leading_zeros(bench: MakeBench, seq: int) -> None:
    b = bench(expected=seq, policy=Policy.CLOSED)
    b.device.set_next_out(0, seq)
    b.feed(b.order(seq + 1))
    assert b.sent[-1].data.split(b"\x01")[5] == b"34=%d" % seq
    assert b.sent[-1].data.split(b"\x01")[7:9] == [b"7=%d" % seq, b"16=%d" % seq]
    assert b.send("8", b"43=Y\x01", seq=seq).data.split(b"\x01")[5] == b"34=%d" % seq


@pytest.mark.rule("S1")
@pytest.mark.parametrize("value", [63, 1])
def test_S1_names_of_every_length(bench: MakeBench, value: int) -> None:
    peer = Peer("FIX" + "x" * (value - 3) if value > 3 else "FIX", "P" * value, "T" * value)
    b = bench(peer=peer)
    b.feed(peer.order(2))
    b.send("ABCD", b"58=x\x01")
    for record, body in zip(b.sent, (b"7=1\x0116=0\x01", b"58=x\x01"), strict=True):
        assert record.data == compose(peer.config(), record.msg_type, record.seq, START_MS * 10**6, body)
    assert b.feed(peer.order(1))[-1] == "R8 1 -> 3"


@pytest.mark.rule("S2")
def test_S2_the_outbound_numbers_end(bench: MakeBench) -> None:
    b = bench()
    b.device.set_next_out(0, MAX_SEQ)
    b.send("0")
    with pytest.raises(DeviceError):
        b.device.send(0, "0")
    assert b.story() == []
    assert b.send("0", seq=5).replay
    b.device.set_next_out(0, 1)
    assert b.send("0").seq == 1


# S3 to S6


@pytest.mark.rule("S3")
def test_S3_the_resend_request_leaves_before_what_is_sent_later(bench: MakeBench) -> None:
    b = bench()
    b.device.receive(0, b.orders(5))
    b.device.send(0, "D", b"11=x\x01")
    b.story()
    assert [record.msg_type for record in b.sent] == ["2", "D"]


@pytest.mark.rule("S4")
def test_S4_every_message_sent_is_told_with_its_time(bench: MakeBench) -> None:
    b = bench()
    b.send("D")
    b.wait(1)
    b.feed(b.order(3))
    assert [(r.session, r.seq, r.msg_type, r.sending_time) for r in b.sent] == [
        (0, 1, "D", "20240229-23:59:59.000"),
        (0, 2, "2", "20240229-23:59:59.001"),
    ]


@pytest.mark.rule("R13a", "R14", "S4")
def test_S4_repeated_requests_are_told_too(bench: MakeBench) -> None:
    b = bench(resend_timeout=10)
    b.feed(b.order(5), b.order(3, possdup=True))
    b.wait(20)
    assert [(record.seq, record.msg_type, record.device) for record in b.sent] == [
        (seq, "2", True) for seq in (1, 2, 3, 4)
    ]


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("begin_string", "fraction", "text"),
    [
        ("FIX.4.0", None, ""),
        ("FIX.4.1", None, ""),
        ("FIX.4.2", None, ".123"),
        ("FIXT.1.1", None, ".123"),
        ("FIX.4.4", 0, ""),
        ("FIX.4.0", 3, ".123"),
        ("FIX.4.4", 6, ".123456"),
        ("FIX.4.4", 9, ".123456789"),
    ],
)
def test_S5_the_fraction(bench: MakeBench, begin_string: str, fraction: int | None, text: str) -> None:
    b = bench(peer=Peer(begin_string), fraction=fraction)
    b.device.advance(utc_ns(datetime(2024, 3, 1, 3, 4, 5)) + 123_456_789)
    assert b.send("0").sending_time == "20240301-03:04:05" + text


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (datetime(2024, 2, 28), "20240229-00:00:00.000"),
        (datetime(2024, 2, 29), "20240301-00:00:00.000"),
        (datetime(2023, 2, 28), "20230301-00:00:00.000"),
        (datetime(2100, 2, 28), "21000301-00:00:00.000"),
        (datetime(2000, 2, 28), "20000229-00:00:00.000"),
        (datetime(2024, 12, 31), "20250101-00:00:00.000"),
    ],
)
def test_S5_change_of_the_day(device: Device, before: datetime, after: str) -> None:
    midnight = utc_ns(before + timedelta(days=1))
    b = Bench(Stage(device, midnight // 10**6 - 1))
    assert b.send("0").sending_time == before.strftime("%Y%m%d-23:59:59.999")
    b.wait(1)
    assert b.send("0").sending_time == after


@pytest.mark.rule("S5")
@pytest.mark.parametrize("fraction", [0, 3, 6, 9])
def test_S5_the_last_nanosecond_of_a_day(device: Device, fraction: int) -> None:
    b = Bench(device, fraction=fraction)
    midnight = utc_ns(datetime(2024, 3, 1))
    device.advance(midnight - 1)
    point = "." if fraction else ""
    assert b.send("0").sending_time == f"20240229-23:59:59{point}{'9' * fraction}", "cut, not rounded"
    device.advance(midnight)
    assert b.send("0").sending_time == f"20240301-00:00:00{point}{'0' * fraction}"


@pytest.mark.rule("S5")
def test_S5_it_never_steps_back(bench: MakeBench) -> None:
    """As text it grows, or stays, through every kind of carry."""
    b = bench(fraction=9)
    carries = [999, 999_999, 999_999_999, 59 * 10**9, 59 * 60 * 10**9, 23 * 3600 * 10**9]
    now, times = utc_ns(datetime(2024, 2, 28, 23, 59, 59)), []
    for step in [0, *carries, 1, 1, 1000, 10**6, 10**9, 60 * 10**9, 3600 * 10**9]:
        now += step
        b.device.advance(now)
        times.append(b.send("0").sending_time)
    assert times == sorted(times)
    assert len(set(times)) == len(times)


@pytest.mark.rule("R14", "S5")
def test_S5_never_told_the_time(device: Device) -> None:
    device.configure(0, PEER.config(resend_timeout=1))
    device.connect(0, phase=Phase.ACTIVE)
    device.receive(0, PEER.order(4))
    device.advance(utc_ns(datetime(2024, 1, 1)))
    sent = [record for record in device.poll() if isinstance(record, SentRecord)]
    assert [record.sending_time for record in sent] == ["19700101-00:00:00.000"], "the first call lets no timer pass"


@pytest.mark.rule("R14", "S5")
def test_S5_the_clock_is_set_before_the_ticks_pass(bench: MakeBench) -> None:
    b = bench(resend_timeout=10)
    b.feed(b.order(5))
    b.wait(25)
    assert [record.sending_time[-6:] for record in b.sent] == ["59.000", "59.025", "59.025"]


@pytest.mark.rule("R15", "S6")
def test_S6_a_request_of_the_old_connection_is_asked_again(bench: MakeBench) -> None:
    b = bench()
    b.device.receive(0, b.order(3))
    b.reconnect()
    b.feed(b.order(4))
    assert b.requests[-1] == (1, 0)
    assert b.feed(b.order(1))[-1] == "R8 1 -> 2"


# Refusals


@pytest.mark.parametrize("msg_type", ["", "ABCDE", "D\x01", "\x01", "é", "\n"])
def test_send_refuses_a_msg_type(bench: MakeBench, msg_type: str) -> None:
    b = bench()
    with pytest.raises(ValueError, match="msg_type"):
        b.device.send(0, msg_type)
    assert b.device.poll() == []
    assert b.device.state(0).next_out == 1


@pytest.mark.parametrize("seq", [0, -1, MAX_SEQ + 1])
def test_send_refuses_a_number(bench: MakeBench, seq: int) -> None:
    with pytest.raises(ValueError, match="seq"):
        bench().device.send(0, "D", seq=seq)


def test_send_refuses_open_fields(bench: MakeBench) -> None:
    with pytest.raises(ValueError, match="SOH"):
        bench().device.send(0, "D", b"58=x")


def test_send_refuses_what_is_too_long(bench: MakeBench) -> None:
    b = bench()
    room = b.device.info.max_message - len(b.send("B", b"58=\x01").data) - 2  # BodyLength has two digits more
    assert len(b.send("B", b"58=%b\x01" % (b"x" * room)).data) == b.device.info.max_message
    with pytest.raises(ValueError, match=str(b.device.info.max_message)):
        b.device.send(0, "B", b"58=%b\x01" % (b"x" * (room + 1)))
    assert b.device.poll() == []
    assert b.device.state(0).next_out == 3


def test_a_session_before_anything_was_done(device: Device) -> None:
    state = device.state(0)
    assert (state.phase, state.expected, state.highest, state.next_out) == (Phase.CLOSED, 1, 0, 1)
    assert not state.recovery
    device.receive(0, PEER.order(1))
    assert [tell(record) for record in device.poll()] == ["R1 1 -> 1"]
    assert device.poll() == []


def test_a_session_has_to_be_configured(device: Device) -> None:
    with pytest.raises(DeviceError, match="configured"):
        device.connect(0)
    with pytest.raises(DeviceError, match="configured"):
        device.send(0, "0")


def test_configure_only_while_nothing_runs(bench: MakeBench) -> None:
    b = bench()
    with pytest.raises(DeviceError):
        b.device.configure(0, PEER.config())
    b.feed(PEER.message("D", "x"))
    assert b.phase is Phase.HALTED
    b.device.configure(0, Peer(sender="OTHER").config())
    b.reconnect()
    assert b.feed(PEER.order(1), Peer(sender="OTHER").order(1)) == ["R2 1 -> 1", "deliver 1", "R8 1 -> 2"]


def test_configure_refuses_a_window_that_is_too_large(device: Device) -> None:
    with pytest.raises(ValueError, match="window"):
        device.configure(0, PEER.config(window=device.info.window + 1))


@pytest.mark.parametrize("phase", [Phase.CLOSED, Phase.HALTED])
def test_connect_refuses_a_phase(bench: MakeBench, phase: Phase) -> None:
    with pytest.raises(ValueError, match="phase"):
        bench().device.connect(0, phase=phase)


@pytest.mark.parametrize("number", [0, -1, MAX_SEQ + 2])
def test_numbers_out_of_range_are_refused(bench: MakeBench, number: int) -> None:
    b = bench()
    with pytest.raises(ValueError, match="expected"):
        b.device.set_expected(0, number)
    with pytest.raises(ValueError, match="next_out"):
        b.device.set_next_out(0, number if number < 1 else MAX_SEQ + 1)


@pytest.mark.parametrize("session", [-1, 1])
def test_a_session_that_is_not_there_is_refused(device: Device, session: int) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: device.configure(session, PEER.config()),
        lambda: device.connect(session),
        lambda: device.disconnect(session),
        lambda: device.set_may_request(session, True),
        lambda: device.set_expected(session, 1),
        lambda: device.set_next_out(session, 1),
        lambda: device.state(session),
        lambda: device.counters(session),
        lambda: device.receive(session, b""),
        lambda: device.send(session, "0"),
    )
    for call in calls:
        with pytest.raises(ValueError, match="session"):
            call()


def test_a_closed_device_does_nothing_more(device: Device) -> None:
    device.close()
    for call in (lambda: device.state(0), device.poll, lambda: device.advance(0), lambda: device.receive(0, b"")):
        with pytest.raises(DeviceError, match="closed"):
            call()


@pytest.mark.rule("F3", "F4", "R8", "R10", "R10a")
def test_counters_name_every_rule_that_judges(bench: MakeBench) -> None:
    b = bench()
    b.feed(b.orders(1, 3, 3), damaged_checksum(PEER.order(1)), b"\n" * 11, b.order(2))
    counters = b.device.counters(0)
    assert {name: count for name, count in counters.items() if count} == {
        "R8": 2,
        "R10": 1,
        "R10a": 1,
        "F3": 1,
        "skipped": 11,
    }
    assert set(counters) >= {
        "F3",
        "F5",
        "R1",
        "R2",
        "R3",
        "R3a",
        "R3b",
        "R4",
        "R5",
        "R6",
        "R7",
        "R7a",
        "R8",
        "R9",
        "R9a",
        "R9b",
    }
    b.reconnect()
    assert b.device.counters(0)["R8"] == 2, "since the device was opened"
