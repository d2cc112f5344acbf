"""Who was heard last, and when: heartbeats, TestRequests and their ends (H2)."""

from __future__ import annotations

from enum import Enum

from .clock import Instant

SILENCE_TEST = 1.2  #: of 108: the peer is asked whether it is alive
SILENCE_END = 2.4  #: of 108: it is not, if half of that has passed since it was asked


class Due(Enum):
    """What silence asks for."""

    HEARTBEAT = "we were silent for 108 seconds"
    TEST_REQUEST = "the peer was silent for 1.2 times 108"
    END = "the peer was silent for 2.4 times 108"


class Liveness:
    """Silence on both ways of a connection.

    Members: ``interval``, 108 in seconds, 0 before Logon and where there are no heartbeats; ``grace``, seconds that
    reading was paused for: what was received since may be that much older than it would be.
    """

    def __init__(self, now: Instant) -> None:
        self.interval = 0
        self.grace = 0.0
        self._last_in = self._last_out = now.mono
        self._asked_at: float | None = None
        self._paused_at: float | None = None

    def heard(self, now: Instant) -> None:
        """A valid message came, held and dropped ones included: recovery never looks like silence."""
        self._last_in = now.mono
        self._asked_at = None

    def spoke(self, now: Instant) -> None:
        """A message was sent."""
        self._last_out = now.mono

    def asked(self, now: Instant) -> None:
        """A TestRequest was sent; the next one waits until the peer has been heard."""
        self._asked_at = now.mono

    def pause(self, paused: bool, now: Instant) -> None:
        """Reading stops or goes on. While it stands the peer cannot be heard, so its silence does not count."""
        if paused and self._paused_at is None:
            self._paused_at = now.mono
        elif not paused and self._paused_at is not None:
            pause = now.mono - self._paused_at
            self._last_in += pause
            if self._asked_at is not None:
                self._asked_at += pause
            self.grace += pause
            self._paused_at = None

    def timers(self) -> list[tuple[float, Due]]:
        """What is due at which time of :attr:`Instant.mono`, if nothing happens until then."""
        if not self.interval:
            return []
        timers = [(self._last_out + self.interval, Due.HEARTBEAT)]
        if self._paused_at is None:
            if self._asked_at is None:
                timers.append((self._last_in + SILENCE_TEST * self.interval, Due.TEST_REQUEST))
            else:
                # A process that stood still itself asks late. The peer has its time to answer nevertheless.
                answered_by = self._asked_at + (SILENCE_END - SILENCE_TEST) * self.interval
                timers.append((max(self._last_in + SILENCE_END * self.interval, answered_by), Due.END))
        return timers
