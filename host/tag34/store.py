"""What a session remembers beyond a connection: its numbers and what the peer may ask for again (H3, H6)."""

from __future__ import annotations

import abc
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredMessage:
    """One message as it was first sent.

    ``sending_time`` is its 52, which becomes 122 in a replay; ``raw`` is the whole message.
    """

    seq: int
    sending_time: str
    msg_type: str
    raw: bytes


class MessageStore(abc.ABC):
    """The memory of one session.

    The session calls :meth:`save_sent` and :meth:`save_expected` as things happen and :meth:`sync` before the bytes
    concerned leave: a durable store may gather the former and has to be safe on disk when the latter returns. Every
    method returns only when it is done.
    """

    @property
    @abc.abstractmethod
    def expected(self) -> int:
        """The next inbound number that the application has not taken; 1 in a new store."""

    @property
    @abc.abstractmethod
    def next_out(self) -> int:
        """The next outbound number: one above the last message saved; 1 in a new store."""

    @abc.abstractmethod
    def save_sent(self, message: StoredMessage) -> None:
        """Remember a message that is about to leave. ``next_out`` becomes its number + 1."""

    @abc.abstractmethod
    def save_expected(self, expected: int) -> None:
        """Remember the next inbound number."""

    @abc.abstractmethod
    def messages(self, begin: int, end: int) -> Iterator[StoredMessage]:
        """The messages numbered ``begin`` to ``end`` (inclusive), ascending; numbers that are not stored are left out.

        Messages may be saved while the iterator is in use; it need not see them.
        """

    @abc.abstractmethod
    def reset(self, expected: int = 1, next_out: int = 1) -> None:
        """Forget all messages and set the numbers (141=Y)."""

    def sync(self) -> None:  # noqa: B027 (a store that promises nothing has nothing to do)
        """Return when everything saved so far would survive what the store promises to survive."""

    def close(self) -> None:  # noqa: B027
        """Give back files and the like. The store is not used afterwards."""


class MemoryStore(MessageStore):
    """A store that lives as long as its process.

    Parameters: ``expected`` and ``next_out``, the numbers to start with.
    """

    def __init__(self, expected: int = 1, next_out: int = 1) -> None:
        self.reset(expected, next_out)

    @property
    def expected(self) -> int:
        return self._expected

    @property
    def next_out(self) -> int:
        return self._next_out

    def save_sent(self, message: StoredMessage) -> None:
        if self._sent and message.seq <= self._sent[-1].seq:
            raise ValueError(f"number {message.seq} was sent before: the last one is {self._sent[-1].seq}")
        self._sent.append(message)
        self._next_out = message.seq + 1

    def save_expected(self, expected: int) -> None:
        self._expected = expected

    def messages(self, begin: int, end: int) -> Iterator[StoredMessage]:
        sent = self._sent
        first = bisect_left(sent, begin, key=_seq) if sent else 0
        for index in range(first, len(sent)):
            if sent[index].seq > end:
                return
            yield sent[index]

    def reset(self, expected: int = 1, next_out: int = 1) -> None:
        self._sent: list[StoredMessage] = []
        self._expected = expected
        self._next_out = next_out


def _seq(message: StoredMessage) -> int:
    return message.seq
