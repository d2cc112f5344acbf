"""Both sides of a link session: what is sent again, when, and what is not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tag34.contract.link import PACKET_PAYLOAD, PacketFlag, PacketKind
from tag34.link.packet import Packet
from tag34.link.streams import Streams


def pair(room: int = 1000) -> tuple[Streams, Streams]:
    """A sender that knows of the room, and a receiver."""
    return Streams(1, room=room, timeout=1.0, window=room), Streams(1, room=room, timeout=1.0, window=room)


def payloads(packets: list[Packet]) -> list[tuple[int, bytes]]:
    return [(packet.seq, packet.payload) for packet in packets]


def test_nothing_is_said_where_there_is_nothing_to_say() -> None:
    left, _ = pair()
    assert left.outgoing(0.0) == []
    assert left.next_time() is None


def test_a_piece_is_answered_taken_once_and_not_sent_again() -> None:
    left, right = pair()
    left.write(b"abc")
    (packet,) = left.outgoing(0.0)
    assert payloads([packet]) == [(0, b"abc")]
    for _ in range(3):
        right.feed(packet, 0.0)
        (answer,) = right.outgoing(0.0)
        assert (answer.ack, answer.payload, answer.flags) == (3, b"", 0)
    assert right.read() == b"abc"
    left.feed(answer, 0.5)
    assert left.unacknowledged == 0
    assert left.next_time() is None
    assert left.outgoing(99.0) == []


def test_what_is_not_acknowledged_is_sent_again_when_the_timer_has_run_out() -> None:
    left, right = pair()
    left.write(b"abc")
    left.outgoing(0.0)
    assert left.next_time() == 1.0
    assert left.outgoing(0.99) == []
    (again,) = left.outgoing(1.0)
    assert payloads([again]) == [(0, b"abc")]
    assert left.next_time() == 2.0
    right.feed(again, 1.0)
    assert right.read() == b"abc"


def test_an_acknowledgement_that_moves_on_starts_the_timer_anew() -> None:
    left, right = pair()
    left.write(bytes(2 * PACKET_PAYLOAD))
    first, _ = left.outgoing(0.0)
    right.feed(first, 0.0)
    (answer,) = right.outgoing(0.0)
    left.feed(answer, 0.9)
    assert left.next_time() == pytest.approx(1.9)
    left.feed(answer, 1.2)  # it moves nothing on
    assert left.next_time() == pytest.approx(1.9)


def test_a_gap_is_told_once_until_something_is_taken_and_closed_at_once() -> None:
    left, right = pair()
    left.write(bytes(range(200)) + bytes(600))
    first, *rest = left.outgoing(0.0)
    assert len(rest) == 3
    told = []
    for packet in rest:
        right.feed(packet, 0.1)
        told += right.outgoing(0.1)
    assert [bool(packet.flags & PacketFlag.GO_BACK) for packet in told] == [True, False, False]
    left.feed(told[0], 0.2)
    again = left.outgoing(0.2)
    assert payloads(again) == payloads([first, *rest])
    right.feed(again[0], 0.3)
    right.feed(again[2], 0.3)
    assert right.outgoing(0.3)[0].flags & PacketFlag.GO_BACK


def test_a_payload_is_taken_only_if_there_is_room_for_all_of_it() -> None:
    _, right = pair(room=10)
    right.feed(Packet(PacketKind.DATA, 1, payload=b"0123456789A"), 0.0)
    (answer,) = right.outgoing(0.0)
    assert (answer.ack, answer.window) == (0, 10)
    right.feed(Packet(PacketKind.DATA, 1, payload=b"0123456789"), 0.0)
    (answer,) = right.outgoing(0.0)
    assert (answer.ack, answer.window) == (10, 0)


def test_no_more_than_the_window_is_under_way() -> None:
    left, _ = pair(room=10)
    left.write(bytes(range(30)))
    (packet,) = left.outgoing(0.0)
    assert packet.payload == bytes(range(10))
    assert left.outgoing(0.5) == []


def test_a_window_that_opens_again_is_told_and_if_that_is_lost_asked_for() -> None:
    left, right = pair(room=10)
    left.write(bytes(range(30)))
    right.feed(left.outgoing(0.0)[0], 0.0)
    (full,) = right.outgoing(0.0)
    assert full.window == 0
    left.feed(full, 0.1)
    assert left.outgoing(0.1) == []
    assert right.read() == bytes(range(10))
    (opened,) = right.outgoing(0.2)
    assert opened.window == 10
    # It is lost. The timer runs since the acknowledgement.
    assert left.next_time() == pytest.approx(1.1)
    (asking,) = left.outgoing(1.1)
    assert (asking.payload, asking.flags) == (b"", PacketFlag.ASK)
    right.feed(asking, 1.2)
    (answer,) = right.outgoing(1.2)
    left.feed(answer, 1.3)
    assert payloads(left.outgoing(1.3)) == [(10, bytes(range(10, 20)))]


def test_an_old_packet_says_nothing_of_acknowledgements_and_windows() -> None:
    left, right = pair()
    left.write(b"abc")
    right.feed(left.outgoing(0.0)[0], 0.0)
    (answer,) = right.outgoing(0.0)
    left.write(b"def")
    (second,) = left.outgoing(0.0)
    right.feed(second, 0.0)
    left.feed(right.outgoing(0.0)[0], 0.0)
    left.feed(replace(answer, window=0, flags=PacketFlag.GO_BACK), 0.0)
    left.write(b"ghi")
    assert payloads(left.outgoing(0.0)) == [(6, b"ghi")]
    left.feed(replace(answer, ack=10, window=0), 0.0)  # more than was sent
    assert left.unacknowledged == 3


def test_places_go_round() -> None:
    """After 2**32 bytes places begin at 0 again."""
    left, right = pair()
    for streams in (left, right):
        start = (1 << 32) - 5
        streams._base = streams._next = streams._top = streams._expected = start
    left.write(b"0123456789")
    (packet,) = left.outgoing(0.0)
    right.feed(packet, 0.0)
    (answer,) = right.outgoing(0.0)
    assert answer.ack == 5
    left.feed(answer, 0.0)
    assert left.unacknowledged == 0
    left.write(b"more")
    (packet,) = left.outgoing(0.0)
    assert packet.seq == 5
    right.feed(packet, 0.0)
    assert right.read() == b"0123456789more"


def test_hostile_packets_change_nothing(rng: random.Random) -> None:
    """Of the right token, with rubbish in every field: what is taken is what may be taken by its place."""
    left, _ = pair()
    left.write(bytes(500))
    left.outgoing(0.0)
    for _ in range(2000):
        seq = rng.randrange(1, 1 << 32)
        ack = rng.randrange(501, 1 << 32)
        left.feed(Packet(PacketKind.DATA, 1, seq, ack, rng.randrange(1 << 16), payload=rng.randbytes(20)), 0.0)
    assert left.read() == b""
    assert left.unacknowledged == 500


def test_the_time_doubles_until_something_new_is_acknowledged() -> None:
    left, right = (Streams(1, room=1000, timeout=0.2, window=1000) for _ in range(2))
    left.write(b"abc")
    (first,) = left.outgoing(0.0)
    sent_again = []
    for _ in range(6):
        due = left.next_time()
        assert due is not None
        sent_again.append(due)
        assert payloads(left.outgoing(due)) == [(0, b"abc")]
    assert sent_again == pytest.approx([0.2, 0.6, 1.4, 2.4, 3.4, 4.4]), "a second at the most"
    right.feed(first, 4.5)
    (answer,) = right.outgoing(4.5)
    left.feed(answer, 4.5)
    left.write(b"def")
    (fresh,) = left.outgoing(5.0)
    assert left.next_time() == pytest.approx(6.0), "which of them was acknowledged is not known"
    right.feed(fresh, 5.1)
    (answer,) = right.outgoing(5.1)
    left.feed(answer, 5.1)
    left.write(b"ghi")
    left.outgoing(6.0)
    assert left.next_time() == pytest.approx(6.2)


def test_a_wire_that_is_slower_than_thought_is_not_filled_with_what_it_carries() -> None:
    """It takes longer for a packet than the timer."""
    rate, window, total = 1000, 4096, 100_000
    left = Streams(1, room=window, timeout=0.2, window=window, send_window=window)
    right = Streams(1, room=window, timeout=0.2)
    left.write(bytes(total))
    wire: list[tuple[float, Packet]] = []  # when each comes out at the other end
    now = free = 0.0
    taken = 0
    while left.unacknowledged:
        for packet in left.outgoing(now):
            free = max(free, now) + len(packet.payload) / rate
            wire.append((free, packet))
        due = [time for time in (wire[0][0] if wire else None, left.next_time()) if time is not None]
        now = max(now, min(due))
        while wire and wire[0][0] <= now:
            right.feed(wire.pop(0)[1], now)
            taken += len(right.read())
            for answer in right.outgoing(now):
                left.feed(answer, now)
        assert free - now < 5 * window / rate, "what waits in the wire stays bounded"
    assert taken == total
    assert now < 6 * total / rate
