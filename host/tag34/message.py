"""FIX messages as the application sees them: a view of received bytes, and the encoding of fields to be sent.

Framing is no business of this module: what is viewed here was framed and summed by a device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import overload

from .contract import DATA_FIELDS, HEADER_TAGS

#: What a field's value may be given as. Float is missing on purpose: 0.1 + 0.2 is no price.
Value = str | bytes | bool | int | Decimal
#: Fields to be sent: a mapping, or pairs where a tag occurs more than once (repeating groups).
Fields = Mapping[int, Value] | Sequence[tuple[int, Value]]

SOH = b"\x01"
#: Tags that the device writes itself (S1), and the two that make a message a replayed one (H3).
RESERVED_TAGS = frozenset({8, 9, 10, 34, 35, 43, 49, 52, 56, 122})
_HEADER_DATA = frozenset({90, 91, 212, 213})
_DATA_TAGS = {tag: length for length, tag in DATA_FIELDS.items()}


class FixMessage:
    """The fields of one message, read when first asked for.

    Parameters:
        raw: a whole message, or any run of fields each closed by SOH.

    Values are text (Latin-1, which never fails) or bytes. A field that is not ``number=value`` is listed with tag 0
    and its whole text as its value. The value of a data field (RawData, ...) may hold SOH if its length field stands
    right before it.
    """

    __slots__ = ("_fields", "_first", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._fields: tuple[tuple[int, bytes], ...] | None = None
        self._first: dict[int, bytes] | None = None

    @property
    def fields(self) -> tuple[tuple[int, bytes], ...]:
        """All fields in their order."""
        if self._fields is None:
            self._fields = tuple(_parse(self.raw))
        return self._fields

    def _index(self) -> dict[int, bytes]:
        if self._first is None:
            self._first = dict(reversed(self.fields))  # the first occurrence wins
        return self._first

    @overload
    def get(self, tag: int) -> str | None: ...
    @overload
    def get(self, tag: int, default: str) -> str: ...
    def get(self, tag: int, default: str | None = None) -> str | None:
        """The first value of ``tag`` as text, ``default`` if there is none."""
        value = self._index().get(tag)
        return default if value is None else value.decode("latin-1")

    def get_bytes(self, tag: int) -> bytes | None:
        """The first value of ``tag``, None if there is none."""
        return self._index().get(tag)

    def get_int(self, tag: int) -> int | None:
        """The first value of ``tag`` as a number without sign; None if it is missing or no such number."""
        value = self._index().get(tag)
        return int(value) if value is not None and value.isdigit() else None

    def get_all(self, tag: int) -> list[str]:
        """All values of ``tag``, in order."""
        return [value.decode("latin-1") for found, value in self.fields if found == tag]

    def __getitem__(self, tag: int) -> str:
        value = self.get(tag)
        if value is None:
            raise KeyError(tag)
        return value

    def __contains__(self, tag: object) -> bool:
        return tag in self._index()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return ((tag, value.decode("latin-1")) for tag, value in self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixMessage) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<FixMessage {self.raw.replace(SOH, b'|').decode('latin-1')}>"


def _parse(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at, end = 0, len(raw)
    data_tag = data_length = 0  # the data field that may follow, and the length it was announced with
    while at < end:
        close = raw.find(SOH, at)
        if close < 0:
            close = end
        equals = raw.find(b"=", at, close)
        name = raw[at:equals] if equals > at else b""
        if not name.isdigit():
            yield 0, raw[at:close]
            data_tag, at = 0, close + 1
            continue
        tag = int(name)
        if data_tag == tag and raw[equals + 1 + data_length : equals + 2 + data_length] == SOH:
            close = equals + 1 + data_length
        value = raw[equals + 1 : close]
        data_tag = DATA_FIELDS.get(tag, 0)
        if data_tag:
            if value.isdigit() and len(value) <= 6:
                data_length = int(value)
            else:
                data_tag = 0
        yield tag, value
        at = close + 1


def header_value(raw: bytes, tag: int) -> bytes | None:
    """The value of a header field that no body has (52, 122), found without reading the others; None: missing."""
    mark = b"\x01%d=" % tag
    start = raw.find(mark)
    if start < 0:
        return None
    start += len(mark)
    return raw[start : raw.find(SOH, start)]


def as_pairs(fields: Fields) -> tuple[tuple[int, Value], ...]:
    """``fields`` as pairs, in order."""
    return tuple(fields.items() if isinstance(fields, Mapping) else fields)


def encode_value(tag: int, value: Value) -> bytes:
    """The bytes of a field's value.

    Bool is Y or N. Raises TypeError or ValueError, with the tag, for what cannot be sent.
    """
    if isinstance(value, bool):
        return b"Y" if value else b"N"
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode("ascii")
        except UnicodeEncodeError:
            raise ValueError(
                f"field {tag}: {value!r} is not ASCII; give bytes in the encoding that 347 names"
            ) from None
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"field {tag}: {value} is not a number that FIX can write")
        return f"{value:f}".encode()  # never with an exponent
    raise TypeError(f"field {tag}: give str, bytes, bool, int or Decimal, not {type(value).__name__}")


def encode_fields(fields: Fields) -> bytes:
    """The bytes of ``fields``, each closed by SOH: those of the standard header first, otherwise in the order given.

    Raises ValueError for a tag below 1, an empty value, and for SOH in a value that is not a data field right behind
    its length field.
    """
    header: list[bytes] = []
    data_pairs: list[bytes] = []
    body: list[bytes] = []
    before: tuple[int, bytes] = (0, b"")
    for tag, value in as_pairs(fields):
        if isinstance(tag, bool) or not isinstance(tag, int) or tag < 1:
            raise ValueError(f"{tag!r} is not a tag")
        encoded = encode_value(tag, value)
        if not encoded:
            raise ValueError(f"field {tag} is empty, which FIX does not allow")
        if SOH in encoded and before != (_DATA_TAGS.get(tag), b"%d" % len(encoded)):
            raise ValueError(f"field {tag} holds SOH, and the field before it is not its length")
        before = (tag, encoded)
        # 90 and 212 are header fields, but the data that must follow right behind each ends the header (F2): they
        # come last in it.
        part = data_pairs if tag in _HEADER_DATA else header if tag in HEADER_TAGS else body
        part.append(b"%d=%b\x01" % (tag, encoded))
    return b"".join(header + data_pairs + body)


def application_fields(fields: Fields) -> bytes:
    """:func:`encode_fields` for the application: ValueError for a tag that the session layer writes."""
    pairs = as_pairs(fields)
    for tag, _ in pairs:
        if tag in RESERVED_TAGS:
            raise ValueError(f"field {tag} is written by the session layer")
    return encode_fields(pairs)


def first_message(data: bytes, limit: int) -> bytes | None:
    """The first message of a connection, from which an acceptor learns who calls (H1); None while it is not complete.

    Raises ValueError if ``data`` cannot become a whole, valid message of at most ``limit`` bytes: a caller that
    begins with something else gets no session. What follows the message is left alone: from here on the device
    frames.
    """
    if not data.startswith(b"8=FIX"[: len(data)]):
        raise ValueError("does not begin with 8=FIX")
    begin = data.find(SOH)
    length_end = data.find(SOH, begin + 1) if begin >= 0 else -1
    if length_end < 0:
        if len(data) > 96:
            raise ValueError("no BodyLength behind BeginString")
        return None
    name, _, digits = data[begin + 1 : length_end].partition(b"=")
    if name != b"9" or not digits.isdigit() or len(digits) > 6:
        raise ValueError("no BodyLength behind BeginString")
    declared = length_end + 1 + int(digits)
    if declared + 7 > limit:
        raise ValueError(f"first message has more than {limit} bytes")
    if len(data) < declared + 7:
        return None
    if data[declared : declared + 7] != b"10=%03d\x01" % (sum(data[:declared]) % 256):
        raise ValueError("first message is garbled")
    return data[: declared + 7]
