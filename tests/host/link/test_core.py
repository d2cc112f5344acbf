"""The host's core over a link against the golden model of the device's side: whole lives, bad wires, and their ends."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace

import pytest

from tag34.contract.link import Answer, PacketKind, Request
from tag34.device import DeviceError
from tag34.link.core import QUEUE, LinkCore
from tag34.link.packet import Packet
from tag34.link.requests import Answers, encode
from tag34.link.streams import MAX_WINDOW
from tag34.records import SEVERAL
from tag34_sim.chaos import BAD, Faults
from tests.host.link.bench import INFO, Link

SEEDS = range(25)


def traffic(rng: random.Random, core: LinkCore, steps: int) -> tuple[bytes, bytes, list[bytes]]:
    """Asks a lot of an EchoCore and checks what it answers; the bytes that it should have received from connection 1
    and 2, and the bodies it was to send."""
    received: defaultdict[int, bytes] = defaultdict(bytes)
    echoed: defaultdict[int, bytes] = defaultdict(bytes)
    bodies: list[bytes] = []
    sent: list[bytes] = []
    registers: dict[int, int] = {}
    for _ in range(steps):
        what = rng.randrange(6)
        if what < 2:
            session, data = rng.choice((1, 2)), rng.randbytes(rng.choice((1, 30, 700, 5000)))
            received[session] += data
            core.receive(session, data)
        elif what == 2:
            bodies.append(rng.randbytes(rng.randrange(1, 900)))
            core.send(3, 0x44, False, len(bodies), bodies[-1])
        elif what == 3:
            address, registers[address] = (address := rng.randrange(40)), rng.getrandbits(32)
            core.write(address, registers[address])
        elif what == 4 and registers:
            address = rng.choice(list(registers))
            assert core.read(address) == registers[address]
        else:
            core.run(1)
        if rng.random() < 0.2:
            _, delivered, composed = core.take()
            for session, data in delivered:
                echoed[session] += data
            sent += [data for _, data in composed]
            assert echoed == received, "what was asked for before take is there"
            assert sent == bodies
    _, delivered, composed = core.take()
    for session, data in delivered:
        echoed[session] += data
    assert echoed == received
    assert sent + [data for _, data in composed] == bodies
    return received[1], received[2], bodies


def check(link: Link, core: LinkCore, steps: int = 60) -> None:
    """Everything arrives, once, in order."""
    first, second, bodies = traffic(link.rng, core, steps)
    assert (link.core.received[1], link.core.received[2]) == (first, second)
    assert [body for *_, body in link.core.asked] == bodies
    assert [seq for *_, seq, _ in link.core.asked] == list(range(1, len(bodies) + 1))


def test_a_life_over_a_perfect_wire_sends_nothing_again() -> None:
    link = Link(1)
    core = link.host()
    check(link, core)
    assert core.info == INFO
    assert core.endpoint.counts.again == core.endpoint.counts.timeouts == core.endpoint.counts.dropped == 0
    assert link.peer.opened == link.core.resets == 1


@pytest.mark.parametrize("case", SEEDS)
def test_streams_arrive_once_and_in_order_over_a_wire_that_loses_doubles_and_reorders(case: int) -> None:
    link = Link(case, BAD, room=random.Random(case).choice((64, 300, 2048)))
    core = link.patient()
    check(link, core)
    assert core.endpoint.counts.again > 0
    assert link.peer.opened == 1, "late OPENs reset nothing"


@pytest.mark.parametrize("case", SEEDS)
def test_streams_arrive_once_and_in_order_over_a_line_with_bit_errors_lost_bytes_and_garbage(case: int) -> None:
    link = Link(case).bytewise(errors=0.001, lost=0.0005, garbage=0.1)
    core = link.patient()
    check(link, core)
    assert core.endpoint.counts.again > 0


def test_everything_that_a_request_carries_arrives() -> None:
    link = Link(1)
    core = link.host()
    core.send(3, 0x44434241, True, 0x4294967295, b"body")
    core.send(0xFFFF, 1, False, 0, b"")
    core.write(40, -1)
    assert core.exchange([(40, None), (40, 7), (41, None), (40, None)]) == [0xFFFFFFFF, 0, 7]
    core.receive(2, b"")
    assert core.take() == (b"", [], [(3, b"body")])
    assert link.core.asked == [(3, 0x44434241, True, 0x4294967295, b"body"), (0xFFFF, 1, False, 0, b"")]
    with pytest.raises(ValueError, match="at most 65535 bytes on a link, not 65536"):
        core.send(0, 1, False, 0, bytes(65536))


def test_many_registers_are_read_in_one_way_there_and_back() -> None:
    link = Link(1)
    core = link.host()
    before = link.wire.now
    core.exchange([(address, None) for address in range(30)])
    assert link.wire.now - before < 0.01


# -- Beginning and end of a link session -------------------------------------------------------------------------------


def test_a_host_that_comes_back_in_the_middle_of_a_message_begins_anew() -> None:
    for length in range(1, 12):
        link = Link(length)
        first = link.host()
        first.receive(1, b"half a mess")
        request = encode(Request.SEND, b"of the first host", session=1, msg_type=1, replay=0, seq=1)
        first.endpoint.write(request[:length])
        first.run(1)
        second = link.host()
        assert link.core.resets == link.peer.opened == 2
        check(link, second, 20)
        assert (b"half" in link.core.received[1]) is False
        with pytest.raises(DeviceError, match="was reset, or somebody else opened it"):
            first.take()


def test_a_device_that_is_reset_in_the_middle_of_a_message_is_a_clear_error_and_opens_again() -> None:
    link = Link(1)
    core = link.host()
    core.receive(1, bytes(3000))
    core.run(1)
    link.wire.receive(0.001)
    link.peer.reset()
    for attempt in (core.take, lambda: core.read(1), lambda: core.write(1, 1), lambda: core.run(1), core.take):
        with pytest.raises(DeviceError, match="the board was reset, or somebody else opened it"):
            attempt()
    core.close()
    check(link, link.host(), 20)


def test_an_open_that_comes_late_resets_nothing() -> None:
    link = Link(1)
    late = Packet(PacketKind.OPEN, 0x1234, link.challenge())
    (answer,) = link.exchange(late)
    assert (answer.kind, answer.token, answer.seq, answer.ack) == (PacketKind.DATA, 0x1234, 0, 0)
    core = link.host()
    core.receive(1, b"x")
    (answer,) = link.exchange(late)
    assert answer.kind is PacketKind.INFO
    core.receive(1, b"y")
    assert [data for _, data in core.take()[1]] == [b"x", b"y"]
    assert link.peer.opened == 2


def test_an_open_that_comes_twice_is_answered_twice_and_obeyed_once() -> None:
    link = Link(1)
    packet = Packet(PacketKind.OPEN, 0x1234, link.challenge())
    for _ in range(2):
        (answer,) = link.exchange(packet)
        assert (answer.kind, answer.token) == (PacketKind.DATA, 0x1234)
    assert link.peer.opened == link.core.resets == 1
    assert link.challenge() != packet.seq


def test_an_open_without_a_token_is_not_obeyed() -> None:
    link = Link(1)
    (answer,) = link.exchange(Packet(PacketKind.OPEN, 0, link.challenge()))
    assert answer.kind is PacketKind.INFO
    assert link.peer.opened == 0


def test_a_probe_does_not_disturb_an_open_link_session() -> None:
    link = Link(1)
    core = link.host()
    core.receive(1, b"x")
    (info,) = link.exchange(Packet(PacketKind.PROBE))
    assert (info.kind, info.token) == (PacketKind.INFO, link.peer.token)
    core.endpoint.feed(info, link.wire.now)
    assert [data for _, data in core.take()[1]] == [b"x"]
    assert link.peer.opened == 1


def test_close_ends_it_and_a_close_of_another_session_does_not() -> None:
    link = Link(1)
    core = link.host()
    token = link.peer.token
    assert link.exchange(Packet(PacketKind.CLOSE, token ^ 1)) == []
    assert link.peer.token == token
    core.close()
    core.close()
    link.wire.receive(0.1)
    assert link.peer.token == 0
    with pytest.raises(DeviceError, match="the link is closed"):
        core.read(1)
    (answer,) = link.exchange(Packet(PacketKind.DATA, token))
    assert (answer.kind, answer.token) == (PacketKind.REFUSED, token)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"link_version": 2}, "the board speaks link version 2, this tag34 speaks 1"),
        ({"contract_version": 99}, "the board speaks contract version 99, this tag34 speaks"),
        ({"magic": 0}, "no tag34 device"),
    ],
)
def test_a_board_of_another_version_is_told_apart(changed: dict[str, int], message: str) -> None:
    link = Link(1, info=replace(INFO, **changed))  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match=message):
        link.host()
    assert link.peer.opened == 0


def test_a_wire_with_nobody_at_its_end() -> None:
    link = Link(1, Faults(lost=1.0))
    with pytest.raises(DeviceError, match="no tag34 board answers"):
        link.host()
    assert link.wire.now < 2.0


def test_a_board_that_opens_nothing() -> None:
    link = Link(1)
    link.peer._open = lambda packet: None  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="a tag34 board is there, but opens no link session"):
        link.host()
    assert link.wire.now < 2.0


def test_a_wire_that_is_cut_is_an_error_after_two_seconds() -> None:
    for cut in ("there", "back"):
        link = Link(1)
        core = link.host()
        setattr(getattr(link.wire, cut), "cut", True)  # noqa: B010
        since = link.wire.now
        with pytest.raises(DeviceError, match="does not answer any more: nothing was heard of it for 2 s"):
            core.read(1)
        assert 2.0 <= link.wire.now - since < 2.6


def test_a_host_that_was_away_for_long_does_not_take_that_for_silence() -> None:
    link = Link(1)
    core = link.host()
    core.receive(1, b"x")
    core.run(1)
    link.wire.now += 1000.0
    core.receive(1, b"y")
    assert [data for _, data in core.take()[1]] == [b"x", b"y"]


def test_a_core_that_takes_its_time_is_waited_for_as_long_as_the_board_answers() -> None:
    link = Link(1)
    core = link.host(patience=30)
    link.core.rests = False
    core.run(1)
    with pytest.raises(DeviceError, match="the board answers, but its core did not come to rest within 30 s"):
        core.take()
    assert link.wire.now > 30


def test_a_request_that_is_none_ends_the_session() -> None:
    link = Link(1)
    core = link.host()
    core.endpoint.write(b"\x77")
    with pytest.raises(DeviceError, match="the link session is gone"):
        core.read(1)
    check(link, link.host(), 10)


# -- Answers -----------------------------------------------------------------------------------------------------------


def test_a_host_that_takes_no_answers_holds_back_the_device_and_loses_nothing() -> None:
    link = Link(1)
    core = link.host()
    count = 1000
    for index in range(count):
        core.receive(1, index.to_bytes(2, "big") * 40)
        core.run(1)
        link.wire.receive(0.0)
    for _ in range(50):
        core.run(1)
        link.wire.now += 0.01
    asked = len(link.core.received[1])
    assert asked < 80 * count, "it is held back"
    assert core.endpoint._streams.readable <= MAX_WINDOW
    assert b"".join(data for _, data in core.take()[1]) == b"".join(i.to_bytes(2, "big") * 40 for i in range(count))


def test_requests_that_wait_have_a_bound() -> None:
    link = Link(1)
    core = link.host()
    for _ in range(100):
        core.receive(1, bytes(10_000))
        assert core.endpoint.unacknowledged <= QUEUE + 11_000
    core.take()
    assert len(link.core.received[1]) == 1_000_000


def test_answers_cut_anywhere_are_put_together_again() -> None:
    data = bytes([Answer.RECORD]) + bytes(34) + bytes([Answer.SETTLED, Answer.VALUE, 1, 2, 3, 4])
    data += b"\x42\x01\x00abc" + b"\xa0\x02\x00x" + b"\x60\x01\x00d" + b"\x41\x01\x00ef" + b"\x60\x02\x00g"
    for size in range(1, len(data) + 1):
        answers = Answers()
        for at in range(0, len(data), size):
            answers.feed(data[at : at + size])
        assert answers.settled == 1
        assert list(answers.values) == [0x04030201]
        assert answers.take() == (bytes(34), [(1, b"abcd"), (SEVERAL, b"efg")], [(2, b"x")])
        assert answers.take() == (b"", [], [])


def test_only_whole_messages_are_given_out() -> None:
    answers = Answers()
    answers.feed(b"\x40\x01\x00a\x42\x01\x00b")
    assert answers.take() == (b"", [], [])
    answers.feed(b"cd\x60\x01\x00e")
    assert answers.take() == (b"", [(1, b"abcde")], [])


@pytest.mark.parametrize("first", [0x00, 0x04, 0x20, 0xC0, 0xFF])
def test_an_answer_that_is_none_is_an_error_that_stays(first: int) -> None:
    link = Link(1)
    core = link.host()
    assert link.peer._streams is not None
    link.peer._streams.write(bytes([first]) + bytes(40))
    for _ in range(2):
        with pytest.raises(DeviceError, match=f"an answer that is none: it begins with {first:#04x}"):
            core.read(1)


def test_what_somebody_else_waited_for_does_not_come_in_the_place_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a register is read."""
    link = Link(1)
    core = link.host()
    core.write(1, 11)
    core.write(2, 22)
    with monkeypatch.context() as patch:
        patch.setattr(link.wire, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            core.read(1)
    assert core.read(2) == 22


def interrupted(timeout: float) -> list[bytes]:
    raise KeyboardInterrupt
