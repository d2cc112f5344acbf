"""Recorded streams: found in files of all kinds, untouched where they are raw."""

from __future__ import annotations

import random

import pytest

from tag34.recording import Idents, Stream, cut, find_idents, read_stream
from tag34_sim.messages import Peer, damaged_checksum, frame
from tag34_sim.traffic import Traffic

PEER = Peer()
MESSAGES = [PEER.logon(1), PEER.order(2), PEER.heartbeat(3)]
RAW = b"".join(MESSAGES)


def log(delimiter: bytes, before: bytes = b"", after: bytes = b"\n") -> bytes:
    return b"".join(before + message.replace(b"\x01", delimiter) + after for message in MESSAGES)


@pytest.mark.parametrize("delimiter", [b"|", b"^A", b"<SOH>"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"", b"\n"),
        (b"", b"\r\n"),
        (b"20240229-12:00:00.000 : ", b"\n"),
        (b"2024-02-29 12:00:00,123 INFO|in|10=200| [", b"]\n\nhousekeeping done\n"),
    ],
)
def test_text_becomes_the_stream(delimiter: bytes, before: bytes, after: bytes) -> None:
    assert read_stream(log(delimiter, before, after)) == Stream(RAW, f"delimited by {delimiter.decode()}")


@pytest.mark.parametrize("after", [b"\n", b"\r\n", b" -- in\n"])
def test_last_delimiter_of_a_line_may_be_missing(after: bytes) -> None:
    text = b"".join(b"in: " + message.replace(b"\x01", b"|")[:-1] + after for message in MESSAGES)
    assert read_stream(text).data == RAW


def test_value_with_a_line_break() -> None:
    message = PEER.message("B", 4, [(148, "news"), (58, "first\nsecond\r\nthird"), (33, 1)])
    assert read_stream(log(b"|") + b"in " + message.replace(b"\x01", b"|") + b"\n").data == RAW + message


def test_cut_off_message_stays_cut_off() -> None:
    text = log(b"|", b"in ") + b"in " + MESSAGES[1].replace(b"\x01", b"|")[:-20]
    assert read_stream(text).data == RAW + MESSAGES[1][:-20]


@pytest.mark.parametrize(
    "content",
    [
        RAW,
        b"\r\n".join(MESSAGES),
        b"".join(b"20240229-12:00:00 | in | " + message + b"\n" for message in MESSAGES),
        RAW[:-9],
        RAW + b"8=FIX.4.4|9=5|35=0|10=000|\n",
        b"",
        b"\n",
        b"no FIX | in ^A here",
        b"8=FIX",
    ],
)
def test_raw_stays_as_it_is(content: bytes) -> None:
    assert read_stream(content) == Stream(content, "raw")


def test_random_bytes_stay_as_they_are(rng: random.Random) -> None:
    for _ in range(100):
        content = rng.randbytes(rng.randint(0, 2000))
        assert read_stream(content).data == content


def test_damaged_raw_stream_stays_as_it_is(rng: random.Random) -> None:
    traffic = Traffic(rng)
    content = RAW + b"".join(traffic.next() for _ in range(200))
    assert read_stream(content) == Stream(content, "raw")


def test_idents_of_the_first_valid_message() -> None:
    other = Peer("FIX.4.2", sender="A", target="B")
    nameless = frame(b"35=0\x0149=X\x0134=1\x0111=body\x0156=Y\x01")
    noise = b"8=FIX.4.4\x019=900000\x0135=0\x01 8=FIX\x01"
    assert find_idents(damaged_checksum(MESSAGES[0]) + noise + nameless + other.order(7) + RAW) == Idents(
        "FIX.4.2", "A", "B"
    )


def test_idents_are_not_taken_from_inside_a_message() -> None:
    inner = Peer("FIX.4.0", sender="IN", target="NER").heartbeat(1)
    outer = frame(b"35=B\x0134=1\x0195=%d\x0196=%b\x01" % (len(inner), inner))
    assert find_idents(outer + RAW) == Idents("FIX.4.4", "PEER", "TAG34")


@pytest.mark.parametrize("sender", ["S" * 64, "S\xe9", ""])
def test_idents_that_no_session_can_have(sender: str) -> None:
    assert find_idents(Peer(sender=sender).order(1)) is None


def test_no_idents(rng: random.Random) -> None:
    assert find_idents(b"") is None
    assert find_idents(rng.randbytes(5000)) is None
    assert find_idents(b"8=FIX.4.4\x019=000000\x0135=" * 500) is None


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_cut(seed: int | None) -> None:
    data = RAW * 1000
    chunks = list(cut(data, seed))
    assert b"".join(chunks) == data
    assert all(chunks)
    assert chunks == list(cut(data, seed))
    assert (len({len(chunk) for chunk in chunks}) > 10) is (seed is not None)
