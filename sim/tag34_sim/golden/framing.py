"""F1, F3 to F6: bytes of one connection to frames. Corners: ``docs/decisions/0001-framing-corners.md``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from tag34.contract import MSG_TYPE_BYTES

SOH = b"\x01"
_START = b"8=FIX"
_MSG_TYPE = b"35="


def _prefix_of(*parts: bytes) -> re.Pattern[bytes]:
    """Pattern that always matches: as much of the sequence ``parts`` as there is."""
    pattern = b""
    for part in reversed(parts):
        pattern = b"(?:" + part + pattern + b")?"
    return re.compile(pattern)


_BODY_LENGTH_FIELD = _prefix_of(b"9", b"=", rb"[0-9]{1,6}", SOH)
_TRAILER = _prefix_of(b"1", b"0", b"=", b"[0-9]", b"[0-9]", b"[0-9]", SOH)
_TRAILER_BYTES = len(b"10=000\x01")


def msg_type_text(value: bytes) -> str:
    """35 as records carry it: at most four characters, no zero bytes at its end (records are filled up with them)."""
    return value[:MSG_TYPE_BYTES].rstrip(b"\0").decode("latin-1")


class FrameKind(Enum):
    """What framing found out about a message."""

    VALID = "valid"
    GARBLED = "garbled"  #: F3
    OVERSIZE = "oversize"  #: F5: well framed and summed, but not stored


@dataclass(frozen=True)
class Frame:
    """One framed message.

    Members: ``kind``; ``offset`` of its 8 since the connection began; ``length`` in bytes, as MessageRecord has it;
    ``msg_type``, at most four characters, None if garbled; ``raw``, the message's bytes, empty unless it is valid.
    """

    kind: FrameKind
    offset: int
    length: int
    msg_type: str | None = None
    raw: bytes = b""


class Framer:
    """Cuts the bytes of one connection into messages (F1).

    A message walks through the stages ``hunt``, ``begin_string``, ``body_length``, ``body``, ``trailer``. A stage
    returns True when it has handed over to another one and False when it needs more bytes, so the work done does not
    depend on where the bytes were cut.

    Parameters:
        max_message: longest message that is stored, in bytes (F5).

    Members: ``received``, bytes so far; ``framed``, those of them that belonged to a framed message; ``partial``;
    ``skipped``.
    """

    def __init__(self, max_message: int) -> None:
        self.max_message = max_message
        self.reset()

    def reset(self) -> None:
        """A new connection: nothing has been received (F6)."""
        self.received = 0
        self.framed = 0
        self._buffer = bytearray()  # received, not yet taken into the message
        self._offset = 0
        self._start_message()
        self._stage = self._hunt

    @property
    def partial(self) -> int:
        """Bytes of the message now arriving; 0 as long as its ``8=FIX`` is not complete."""
        return 0 if self._stage == self._hunt else self._length + len(self._buffer)

    @property
    def arriving(self) -> bytes:
        """The bytes of the message now arriving, as far as they may be stored; empty as long as its body has not
        begun."""
        return bytes(self._raw) if self._stage in (self._body, self._trailer) else b""

    @property
    def skipped(self) -> int:
        """Bytes that belonged to no message (F4)."""
        return self.received - self.framed - self.partial

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes, return the messages that they complete."""
        self.received += len(data)
        self._buffer += data
        frames: list[Frame] = []
        while self._stage(frames):
            pass
        return frames

    def _start_message(self) -> None:
        self._length = 0  # bytes taken
        self._sum = 0  # of the bytes taken
        self._last = b""  # the last byte taken
        self._raw = bytearray()  # the bytes taken, as long as they may be stored
        self._head = b""  # the body's first bytes: 35= and what a record carries of its value
        self._left = 0  # bytes of the body still to come

    def _take(self, count: int) -> bytes:
        """Move bytes from the buffer into the message."""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._length += len(taken)
        self._sum += sum(taken)
        self._last = taken[-1:] or self._last
        if self._length <= self.max_message:
            self._raw += taken
        else:
            self._raw.clear()
        return taken

    def _end_message(self, frames: list[Frame], kind: FrameKind, length: int) -> bool:
        """Report the message and hunt for the next one in what the buffer holds (F4)."""
        msg_type = None
        if kind is not FrameKind.GARBLED:
            msg_type = msg_type_text(self._head[len(_MSG_TYPE) :].partition(SOH)[0])
        raw = bytes(self._raw) if kind is FrameKind.VALID else b""
        frames.append(Frame(kind, self._offset, length, msg_type, raw))
        self.framed += length
        self._stage = self._hunt
        return True

    def _hunt(self, frames: list[Frame]) -> bool:
        at = self._buffer.find(_START)
        if at < 0:
            del self._buffer[: -(len(_START) - 1)]  # a start may be cut anywhere
            return False
        del self._buffer[:at]
        self._offset = self.received - len(self._buffer)
        self._start_message()
        self._stage = self._begin_string
        return True

    def _begin_string(self, frames: list[Frame]) -> bool:
        closed = self._buffer.find(SOH) + 1
        self._take(closed or len(self._buffer))
        if not closed:
            return False
        self._stage = self._body_length
        return True

    def _body_length(self, frames: list[Frame]) -> bool:
        good = _BODY_LENGTH_FIELD.match(self._buffer).end()  # type: ignore[union-attr]  # it always matches
        field = bytes(self._buffer[:good])
        if field.endswith(SOH):
            self._take(good)
            self._left = int(field[2:-1])
            self._stage = self._body
            return True
        if good == len(self._buffer):
            return False
        # No usable length: the byte at ``good`` proves it. The hunt goes on there, or at an 8 that may begin a message.
        if self._buffer[good - 1 : good + 1] == _START[:2]:
            good -= 1
        del self._buffer[:good]
        return self._end_message(frames, FrameKind.GARBLED, self._length + good)

    def _body(self, frames: list[Frame]) -> bool:
        taken = self._take(min(self._left, len(self._buffer)))
        self._left -= len(taken)
        self._head += taken[: len(_MSG_TYPE) + MSG_TYPE_BYTES - len(self._head)]
        if self._left:
            return False
        self._stage = self._trailer
        return True

    def _trailer(self, frames: list[Frame]) -> bool:
        good = _TRAILER.match(self._buffer).end()  # type: ignore[union-attr]  # it always matches
        if good < _TRAILER_BYTES:
            if good == len(self._buffer):
                return False
            return self._end_message(frames, FrameKind.GARBLED, self._length)  # the hunt goes on from the declared end
        well_formed = self._head.startswith(_MSG_TYPE) and self._last == SOH
        summed = self._sum % 256
        checksum = int(self._take(_TRAILER_BYTES)[3:6])
        kind = FrameKind.VALID
        if not well_formed or checksum != summed:
            kind = FrameKind.GARBLED
        elif self._length > self.max_message:
            kind = FrameKind.OVERSIZE
        return self._end_message(frames, kind, self._length)
