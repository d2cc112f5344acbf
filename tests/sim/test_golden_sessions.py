"""R17, the order of all records, and time, on the golden model with many sessions."""

from __future__ import annotations

import random

import pytest

from tag34.contract import Phase, Rule
from tag34.device import DeliverRecord, DeviceError, MessageRecord, Record
from tag34_sim.messages import Peer, cut
from tag34_sim.model_device import ModelDevice
from tag34_sim.traffic import Traffic
from tests.sim.bench import tell

PEERS = [Peer(sender=f"PEER{index}") for index in range(5)]


def connected(sessions: int, **options: object) -> ModelDevice:
    """A model with all its sessions ACTIVE."""
    device = ModelDevice(sessions=sessions)
    for index in range(sessions):
        device.configure(index, PEERS[index].config(**options))
        device.connect(index, phase=Phase.ACTIVE)
    return device


@pytest.mark.rule("R17")
def test_R17_sessions_do_not_know_of_each_other(rng: random.Random) -> None:
    streams = []
    for peer in PEERS:
        traffic = Traffic(rng, peer)
        streams.append([chunk for _ in range(200) for chunk in cut(traffic.next(), rng)])

    def alone(index: int) -> list[Record]:
        device = connected(5)
        for chunk in streams[index]:
            device.receive(index, chunk)
        return device.poll()

    want = [alone(index) for index in range(5)]
    device = connected(5)
    order = [index for index in range(5) for _ in streams[index]]
    rng.shuffle(order)
    for index in order:
        device.receive(index, streams[index].pop(0))
    records = device.poll()
    for index in range(5):
        assert [record for record in records if record.session == index] == want[index]


@pytest.mark.rule("R17")
def test_R17_each_session_has_its_own_configuration_and_numbers() -> None:
    device = connected(2)
    device.set_expected(1, 9)
    device.set_next_out(1, 5)
    device.receive(0, PEERS[0].order(1) + PEERS[1].order(1))
    device.receive(1, PEERS[1].order(9))
    device.send(1, "0")
    device.send(0, "0")
    assert [(record.session, tell(record)) for record in device.poll()] == [
        (0, "deliver 1"),
        (0, "R8 1 -> 2"),
        (0, "R2 1 -> 2"),
        (1, "deliver 9"),
        (1, "R8 9 -> 10"),
        (1, "sent 0 5"),
        (0, "sent 0 1"),
    ]
    device.disconnect(0)
    assert (device.state(0).phase, device.state(1).phase) == (Phase.CLOSED, Phase.ACTIVE)
    assert (device.counters(0)["R8"], device.counters(1)["R8"]) == (1, 1)


@pytest.mark.rule("R14", "R17")
def test_R14_ticks_go_through_the_sessions_one_after_the_other() -> None:
    device = connected(3, resend_timeout=10)
    device.advance(0)
    device.receive(2, PEERS[2].order(3))
    device.receive(0, PEERS[0].order(3))
    device.advance(5_000_000)
    device.receive(1, PEERS[1].order(3))
    device.poll()
    device.advance(20_000_000)
    assert [(record.session, tell(record)) for record in device.poll()] == [
        (0, "request 1-0 R14"),
        (0, "sent 2 2"),
        (2, "request 1-0 R14"),
        (2, "sent 2 2"),
        (1, "request 1-0 R14"),
        (1, "sent 2 2"),
        (0, "request 1-0 R14"),
        (0, "sent 2 3"),
        (2, "request 1-0 R14"),
        (2, "sent 2 3"),
    ]


@pytest.mark.rule("S3", "S4")
def test_S3_a_request_leaves_right_behind_the_record_of_its_message() -> None:
    device = connected(1)
    device.receive(0, PEERS[0].order(3) + PEERS[0].order(1) + PEERS[0].order(2))
    assert [tell(record) for record in device.poll()] == [
        "request 1-0 R11",
        "R10 3 -> 1",
        "sent 2 1",
        "deliver 1",
        "R8 1 -> 2",
        "deliver 2",
        "deliver 3",
        "recovered 4",
        "R8 2 -> 4",
    ]


@pytest.mark.rule("S2")
def test_S2_a_request_that_gets_no_number_any_more_does_not_leave() -> None:
    device = connected(1)
    device.set_next_out(0, 4294967295)
    device.send(0, "0")
    device.poll()
    device.receive(0, PEERS[0].order(3))
    assert [tell(record) for record in device.poll()] == ["request 1-0 R11", "R10 3 -> 1"]
    with pytest.raises(DeviceError, match="used up"):
        device.send(0, "0")


def test_a_small_message_memory_is_kept_to() -> None:
    device = ModelDevice(max_message=len(PEERS[0].order(1)))
    device.configure(0, PEERS[0].config())
    device.connect(0, phase=Phase.ACTIVE)
    device.receive(0, PEERS[0].order(1) + PEERS[0].order(22))
    assert [tell(record) for record in device.poll()] == ["deliver 1", "R8 1 -> 2", "halted 2 F5", "F5 none -> 2"]


@pytest.mark.rule("R4")
def test_R4_a_number_of_thousands_of_digits_is_no_number() -> None:
    device = ModelDevice(max_message=10_000)
    device.configure(0, PEERS[0].config())
    device.connect(0, phase=Phase.ACTIVE)
    device.receive(0, PEERS[0].message("D", "1" * 9000))
    assert [tell(record) for record in device.poll()] == ["halted 1 R4", "R4 none -> 1"]


@pytest.mark.parametrize(
    ("msg_type", "told"), [("A\0", "A"), ("\0A", "\0A"), ("ABCDEF", "ABCD"), ("A\0\0\0B", "A"), ("", ""), ("\0", "")]
)
def test_a_record_carries_what_fits_of_35(msg_type: str, told: str) -> None:
    device = connected(1)
    device.receive(0, PEERS[0].message(msg_type, 1))
    delivered, judged = device.poll()
    assert isinstance(delivered, DeliverRecord)
    assert isinstance(judged, MessageRecord)
    assert (delivered.msg_type, judged.msg_type) == (told, told)
    assert judged.rule is Rule.R8, "and 35 is compared whole: this is no Logon"
