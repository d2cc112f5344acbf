"""Packets on a byte wire."""

from __future__ import annotations

import random

from tag34.contract.link import PACKET_BYTES
from tag34.link.frames import FRAME_BYTES, Deframer, encode


def test_packets_cut_anywhere(rng: random.Random) -> None:
    packets = [rng.choice((rng.randbytes, bytes))(rng.randrange(1, PACKET_BYTES + 1)) for _ in range(200)]
    line = b"".join(map(encode, packets))
    deframer, found, at = Deframer(), [], 0
    while at < len(line):
        size = rng.randrange(1, 400)
        found += deframer.feed(line[at : at + size])
        at += size
    assert found == packets


def test_the_longest_packet_without_a_zero_in_it() -> None:
    packet = b"\xff" * PACKET_BYTES
    frame = encode(packet)
    assert len(frame) == FRAME_BYTES + 2
    assert frame.count(0) == 2
    assert Deframer().feed(frame) == [packet]


def test_noise_before_a_packet_spoils_no_packet(rng: random.Random) -> None:
    for _ in range(300):
        noise = rng.randbytes(rng.randrange(600))
        assert Deframer().feed(noise + encode(b"a packet"))[-1] == b"a packet"


def test_garbage_without_end_takes_no_memory() -> None:
    deframer = Deframer()
    for _ in range(1000):
        assert deframer.feed(b"x" * 1000) == []
        assert len(deframer._frame) <= FRAME_BYTES
    assert deframer.feed(b"\0") == []
    assert deframer.feed(encode(b"a packet")) == [b"a packet"]


def test_a_frame_that_is_none_is_dropped() -> None:
    assert Deframer().feed(b"\0\x09abc\0\0\0" + encode(b"a packet")) == [b"a packet"]
