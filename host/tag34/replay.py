"""The answer to a ResendRequest, step by step (H3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .message import SOH
from .store import MessageStore, StoredMessage

#: Session-level messages: never sent again, their numbers are gap-filled. FIX leaves the Reject (3) to us. It refers
#: to one message of one moment and nobody waits for it, so its number is filled as well.
SESSION_TYPES = frozenset("012345A")


@dataclass(frozen=True)
class Step:
    """One message of a replay: its number, type and the fields behind 52 (43 and 122 included).

    ``next`` is the number after it.
    """

    seq: int
    msg_type: str
    fields: bytes
    next: int


def gap_fill(first: int, following: int, sending_time: str) -> Step:
    """The GapFill for ``first`` up to the number below ``following``. ``sending_time`` becomes 122."""
    fields = f"43=Y\x01122={sending_time}\x01123=Y\x0136={following}\x01".encode("ascii")
    return Step(first, "4", fields, following)


def sent_fields(raw: bytes) -> bytes:
    """What the sender gave to the composer: everything behind 52 and before 10 (S1)."""
    time = raw.index(b"\x0152=") + 1
    return raw[raw.index(SOH, time) + 1 : -7]


def replay(
    store: MessageStore, begin: int, end: int, stale: Callable[[StoredMessage], bool] | None, now: str
) -> Iterator[Step | None]:
    """The messages that answer a request for ``begin`` to ``end``, both sent before.

    Messages of the application come with 43=Y and 122 = their first 52; runs of session messages, stale orders and
    numbers that the store does not have become one GapFill each. None stands for a message that was looked at and
    goes into a run: a caller that works in batches can pause there, too.

    Parameters: ``stale`` as in :class:`tag34.SessionSettings`, ``now`` is 122 of a GapFill for numbers of which
    nothing is known.
    """
    run, run_time = begin, None  # where the run began, if run < the number at hand
    for message in store.messages(begin, end):
        if message.msg_type in SESSION_TYPES or (stale is not None and stale(message)):
            if run_time is None:
                run_time = message.sending_time
            yield None
            continue
        if run < message.seq:
            yield gap_fill(run, message.seq, run_time or now)
        fields = b"43=Y\x01122=" + message.sending_time.encode("ascii") + SOH + sent_fields(message.raw)
        yield Step(message.seq, message.msg_type, fields, message.seq + 1)
        run, run_time = message.seq + 1, None
    if run <= end:
        yield gap_fill(run, end + 1, run_time or now)


class ReplayQueue:
    """Requests of the peer that wait for their answer: the one being answered and at most one more.

    A request that comes while another waits is joined with it: memory is bounded, and the peer drops what it gets
        twice (R9a).
    """

    def __init__(self) -> None:
        self.begin = self.end = self.filled = 0
        self._steps: Iterator[Step | None] | None = None
        self._next: tuple[int, int] | None = None

    @property
    def active(self) -> bool:
        """Whether an answer is under way."""
        return self._steps is not None

    @property
    def busy(self) -> bool:
        """Whether an answer is under way or waits."""
        return self._steps is not None or self._next is not None

    def add(self, begin: int, end: int) -> None:
        """Ask for ``begin`` to ``end``."""
        if self._next is not None:
            begin, end = min(begin, self._next[0]), max(end, self._next[1])
        self._next = begin, end

    def start(self, store: MessageStore, stale: Callable[[StoredMessage], bool] | None, now: str) -> bool:
        """Begin the waiting request's answer if none is under way. Return whether one is now."""
        if self._steps is None and self._next is not None:
            (self.begin, self.end), self._next, self.filled = self._next, None, 0
            self._steps = replay(store, self.begin, self.end, stale, now)
        return self.active

    def step(self) -> Step | None:
        """The next step of the answer; None if it only went on counting, or ended (``active`` tells)."""
        if self._steps is None:
            return None
        try:
            step = next(self._steps)
        except StopIteration:
            self._steps = None
            return None
        if step is not None and step.msg_type == "4":
            self.filled += step.next - step.seq
        return step

    def clear(self) -> None:
        """Forget all requests."""
        self._steps = self._next = None
