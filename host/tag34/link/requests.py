"""Requests of the host as bytes, and what of the answers' bytes came back (:mod:`tag34.contract.link`)."""

from __future__ import annotations

from collections import deque
from typing import Final

from ..contract import RECORD_BYTES
from ..contract.link import ANSWER_BYTES, DELIVER, LAST, PIECE_BYTES, REQUEST_FIELDS, SENT, Answer, Request
from ..device import DeviceError
from ..records import SEVERAL, Message

#: Longest body of a request.
MAX_LENGTH: Final = 0xFFFF


def encode(request: Request, body: bytes = b"", **values: int) -> bytes:
    """One request. ``length`` is that of ``body``. Raises ValueError if a value does not fit its field."""
    values["length"] = len(body)
    data = bytearray([request])
    for name, size in REQUEST_FIELDS[request]:
        value = values[name]
        if not 0 <= value < 1 << 8 * size:
            raise ValueError(f"{name} of a {request.name} must fit into {size} bytes, not be {value}")
        data += value.to_bytes(size, "little")
    return bytes(data) + body


class _Messages:
    """Messages that come in pieces, each whole before the next of its kind."""

    def __init__(self) -> None:
        self.whole: list[Message] = []
        self._pieces = bytearray()
        self._session: int | None = None

    def feed(self, session: int, piece: bytes, last: bool) -> None:
        self._session = session if self._session in (None, session) else SEVERAL
        self._pieces += piece
        if last:
            self.whole.append((self._session, bytes(self._pieces)))
            self._pieces.clear()
            self._session = None

    def take(self) -> list[Message]:
        whole, self.whole = self.whole, []
        return whole


class Answers:
    """Takes the stream of answers apart.

    Members:
        values: what READs have read, oldest first.
        settled: SETTLED so far.
        unread: bytes of answers that :meth:`take` has not given out.
    """

    def __init__(self) -> None:
        self.values: deque[int] = deque()
        self.settled = 0
        self.unread = 0
        self._data = bytearray()
        self._records = bytearray()
        self._delivered, self._sent = _Messages(), _Messages()

    def feed(self, data: bytes) -> None:
        """What has come, cut anywhere. Raises DeviceError if it is no stream of answers."""
        self._data += data
        self.unread += len(data)
        at = 0
        while (size := self._size(at)) and at + size <= len(self._data):
            self._answer(bytes(self._data[at : at + size]))
            at += size
        del self._data[:at]

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Raw records, deliveries and sent messages since the last call; of messages whole ones only."""
        records = bytes(self._records)
        self._records.clear()
        self.unread = len(self._data)
        return records, self._delivered.take(), self._sent.take()

    def _size(self, at: int) -> int:
        """Bytes of the answer that begins here; 0 if there is none."""
        if at >= len(self._data):
            return 0
        first = self._data[at]
        if first & (DELIVER | SENT):
            return 3 + (first & PIECE_BYTES - 1) + 1
        try:
            return 1 + ANSWER_BYTES[Answer(first)]
        except ValueError:
            raise DeviceError(f"the board gave an answer that is none: it begins with {first:#04x}") from None

    def _answer(self, answer: bytes) -> None:
        first, rest = answer[0], answer[1:]
        if first & (DELIVER | SENT):
            if first & DELIVER and first & SENT:
                raise DeviceError(f"the board gave an answer that is none: it begins with {first:#04x}")
            messages = self._delivered if first & DELIVER else self._sent
            messages.feed(int.from_bytes(rest[:2], "little"), rest[2:], bool(first & LAST))
        elif first == Answer.RECORD:
            assert len(rest) == RECORD_BYTES
            self._records += rest
        elif first == Answer.VALUE:
            self.values.append(int.from_bytes(rest, "little"))
        else:
            self.settled += 1
