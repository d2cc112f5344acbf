"""Recorded FIX: the byte stream in a file, whose session it is, and cutting it into chunks again."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import contract
from .device import SessionConfig

#: What stands for SOH in logs and on screens.
DELIMITERS = (b"|", b"^A", b"<SOH>")
#: Bytes per chunk where chunk borders are not at random.
CHUNK = 65536


@dataclass(frozen=True)
class Stream:
    """The bytes for the device, and how they were found in the input: ``raw``, or what stood for SOH."""

    data: bytes
    form: str


@dataclass(frozen=True)
class Idents:
    """8, 49 and 56 of inbound messages."""

    begin_string: str
    sender: str
    target: str


def read_stream(content: bytes) -> Stream:
    """The byte stream in ``content``.

    A stream with SOH behind a BeginString is raw and stays as it is, to the byte, log prefixes and damage included: the
    device skips what is no message. So does anything in which no FIX message can be seen. Otherwise, with ``|``, ``^A``
    or ``<SOH>`` in the place of SOH, each line is taken from its first ``8=FIX`` to its last trailer, with SOH again,
    and the rest is left out. A line without ``8=FIX`` goes on with a message that has no trailer yet (a value with a
    line break in it); else it is left out too. A delimiter within a value cannot be told from SOH: such a message
    becomes garbled.
    """
    if _header(b"\x01").search(content):
        return Stream(content, "raw")
    found = [(match.start(), delimiter) for delimiter in DELIMITERS if (match := _header(delimiter).search(content))]
    if not found:
        return Stream(content, "raw")
    delimiter = min(found)[1]
    return Stream(b"".join(_messages(content, delimiter)), f"delimited by {delimiter.decode()}")


def _header(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"8=FIX[^\x01|^<\n]{0,60}" + re.escape(delimiter) + rb"9=")


#: Up to the last trailer. Its delimiter is not looked for: some logs leave out the one at the end of a line.
_WHOLE = re.compile(rb".*\x0110=\d{3}(?!\d)", re.DOTALL)


def _messages(content: bytes, delimiter: bytes) -> Iterator[bytes]:
    unfinished = b""
    for line in content.split(b"\n"):
        start = line.find(b"8=FIX")
        if start >= 0:
            yield unfinished
            text = line[start:].replace(delimiter, b"\x01")
        elif unfinished:
            text = unfinished + b"\n" + line.replace(delimiter, b"\x01")
        else:
            continue
        unfinished = text
        if whole := _WHOLE.match(text):
            yield whole.group() + b"\x01"
            rest = text[whole.end() :].lstrip(b"\x01")
            unfinished = rest if rest.startswith(b"8=FIX") else b""
    yield unfinished


_START = re.compile(rb"8=(FIX[^\x01]{0,60})\x019=(\d{1,6})\x01(?=35=)")
_TRAILER = re.compile(rb"\x0110=\d{3}\x01")


def find_idents(data: bytes) -> Idents | None:
    """8, 49 and 56 of the first valid message (F3) that has usable ones; None if there is no such message."""
    position = 0
    while match := _START.search(data, position):
        end = match.end() + int(match[2])
        trailer = data[end - 1 : end + 7]
        # Not summed before there is known to be a trailer: a declared length may be anything.
        if _TRAILER.fullmatch(trailer) and sum(data[match.start() : end]) % 256 == int(trailer[4:7]):
            values = _header_values(data[match.end() : end])
            try:
                idents = Idents(match[1].decode("ascii"), values[b"49"].decode("ascii"), values[b"56"].decode("ascii"))
                SessionConfig(idents.begin_string, sender=idents.target, target=idents.sender)
            except (KeyError, ValueError):
                pass  # such a message belongs to no session (R2); the next one may
            else:
                return idents
        position = end if end <= len(data) else match.end()
    return None


def _header_values(body: bytes) -> dict[bytes, bytes]:
    """First occurrence of each header field of a message (F2)."""
    values: dict[bytes, bytes] = {}
    for part in body.split(b"\x01"):
        tag, equals, value = part.partition(b"=")
        if not equals or not tag.isdigit() or tag.startswith(b"0") or int(tag) not in contract.HEADER_TAGS:
            break
        values.setdefault(tag, value)
    return values


def cut(data: bytes, seed: int | None) -> Iterator[bytes]:
    """``data`` in chunks: of random length by ``seed``, from bytes to several messages; all alike without one."""
    rng = None if seed is None else random.Random(seed)
    position = 0
    while position < len(data):
        size = CHUNK if rng is None else rng.randint(1, rng.choice((1, 4, 40, 400, 4000)))
        yield data[position : position + size]
        position += size
