"""F2: the fields of a message that the rules look at. Corners: ``docs/decisions/0002-field-corners.md``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tag34.contract import DATA_FIELDS, HEADER_TAGS, MAX_SEQ

from .framing import SOH, Frame, FrameKind

_TRAILER_BYTES = len(b"10=000\x01")
#: The header: as many header fields as stand at the beginning. Tags count exactly as written: ``034=`` ends the header.
_HEADER = re.compile(b"(?:(?:%b)=[^\x01]*\x01)*" % b"|".join(b"%d" % tag for tag in sorted(HEADER_TAGS)))
#: Data field: the length field that has to stand right before it.
_LENGTH_FIELD = {b"%d" % data: b"%d" % length for length, data in DATA_FIELDS.items()}


@dataclass(slots=True)
class Message:
    """What the rules see of a well framed message.

    Members: ``stored`` is False for an oversize one (F5), whose other members but ``msg_type`` are empty;
    ``begin_string``, ``sender`` (49), ``target`` (56), ``msg_type`` (35, whole); ``seq`` (34) and ``new_seq_no``
    (36), None if missing or no legal number; ``possdup`` (43=Y), ``possresend`` (97=Y), ``gap_fill`` (35=4
    with 123=Y), ``reset_seq_num`` (35=A with 141=Y); ``raw``, the whole message.
    """

    stored: bool
    msg_type: bytes
    begin_string: bytes | None = None
    sender: bytes | None = None
    target: bytes | None = None
    seq: int | None = None
    possdup: bool = False
    possresend: bool = False
    gap_fill: bool = False
    new_seq_no: int | None = None
    reset_seq_num: bool = False
    raw: bytes = b""

    @property
    def is_logon(self) -> bool:
        """35=A."""
        return self.msg_type == b"A"

    @property
    def is_resend_request(self) -> bool:
        """35=2."""
        return self.msg_type == b"2"

    @property
    def is_reset(self) -> bool:
        """35=4 that is no GapFill."""
        return self.msg_type == b"4" and not self.gap_fill


def number(value: bytes | None) -> int | None:
    """A sequence number: digits alone, leading zeros allowed, at most 4294967295 (R4). Anything else is None."""
    if value is None or not value.isdigit():
        return None
    digits = value.lstrip(b"0") or b"0"
    if len(digits) > len(str(MAX_SEQ)) or int(digits) > MAX_SEQ:
        return None
    return int(digits)


class Header:
    """The header at the beginning of a message, where SOH closes each field and does nothing else.

    Parameters: ``raw``, which it is part of; ``end``, where the trailer begins, if that is known.

    Members: ``end``, where it ends.
    """

    def __init__(self, raw: bytes, end: int | None = None) -> None:
        self._raw = raw
        self.end = _HEADER.match(raw, 0, len(raw) if end is None else end).end()  # type: ignore[union-attr]

    def get(self, tag: bytes) -> bytes | None:
        """First occurrence of a tag."""
        at = self._raw.find(b"\x01%b=" % tag, 0, self.end)
        return None if at < 0 else self._raw[at + len(tag) + 2 : self._raw.index(SOH, at + 1)]

    @property
    def seq(self) -> int | None:
        """34, None if it is missing or no legal number."""
        return number(self.get(b"34")) or None  # zero is no MsgSeqNum (R4)


def parse_early(arriving: bytes) -> Message:
    """The fields of a message that is still arriving, as far as its header is there: 35 and 34."""
    header = Header(arriving)
    return Message(stored=True, msg_type=header.get(b"35") or b"", seq=header.seq)


def parse(frame: Frame) -> Message:
    """The fields of a frame that is not garbled."""
    if frame.kind is FrameKind.OVERSIZE:
        return Message(stored=False, msg_type=b"")
    raw = frame.raw
    end = len(raw) - _TRAILER_BYTES
    header = Header(raw, end)
    msg_type = header.get(b"35") or b""
    body: dict[bytes, bytes] = {}
    if msg_type in (b"A", b"4"):
        body = _body_fields(raw, raw.rfind(SOH, 0, header.end - 1) + 1, end)
    return Message(
        stored=True,
        msg_type=msg_type,
        begin_string=raw[2 : raw.index(SOH)],
        sender=header.get(b"49"),
        target=header.get(b"56"),
        seq=header.seq,
        possdup=header.get(b"43") == b"Y",
        possresend=header.get(b"97") == b"Y",
        gap_fill=msg_type == b"4" and body.get(b"123") == b"Y",
        new_seq_no=number(body.get(b"36")),
        reset_seq_num=msg_type == b"A" and body.get(b"141") == b"Y",
        raw=raw,
    )


def _body_fields(raw: bytes, start: int, end: int) -> dict[bytes, bytes]:
    """First occurrence of each tag from ``start`` on, the values of data fields passed over by their lengths.

    ``start`` is the last field of the header: it may hold the length of a data field that begins the body (90 and 212
    are header tags).
    """
    fields: dict[bytes, bytes] = {}
    previous, length = b"", b""
    while start < end:
        stop = raw.index(SOH, start)
        tag, equals, value = raw[start:stop].partition(b"=")
        if equals and _LENGTH_FIELD.get(tag) == previous and length.isdigit() and len(length) <= 6:
            stop = raw.find(SOH, start + len(tag) + 1 + int(length), end)
            if stop < 0:
                break  # the declared end of the message overrules the length
        if equals:
            fields.setdefault(tag, value)
        previous, length = tag, value
        start = stop + 1
    return fields
