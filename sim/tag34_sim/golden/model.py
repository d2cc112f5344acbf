"""R17, S3, S4: many sessions, one stream of records."""

from __future__ import annotations

from tag34.contract import Phase
from tag34.device import Record, SessionConfig, SessionState

from .composer import Composer
from .fields import parse_early
from .framing import Framer
from .memory import Memory
from .rules import Session

_MS = 10**6


class Golden:
    """The golden model: the verbs of :class:`tag34.device.Device`, without its checks of arguments.

    Every message is judged, and every ResendRequest is on its way, when the call that caused it returns; ``cycle`` is
    0 everywhere.

    Parameters:
        sessions: number of sessions.
        window: largest hold window, in numbers.
        max_message: longest message that is stored, in bytes.
        hold, hold_limit: messages held at a time, over all sessions and by one of them (R10b).
    """

    def __init__(self, sessions: int, window: int, max_message: int, hold: int, hold_limit: int) -> None:
        self._records: list[Record] = []
        self._framers = [Framer(max_message) for _ in range(sessions)]
        memory = Memory(hold, hold_limit)
        self._sessions = [Session(index, window, self._emit, memory) for index in range(sessions)]
        self._composers = [Composer(index) for index in range(sessions)]
        self._clock: int | None = None

    def _emit(self, record: Record) -> None:
        self._records.append(record)

    def config(self, session: int) -> SessionConfig | None:
        """The session's configuration, None before the first :meth:`configure`."""
        return self._sessions[session].config

    def configure(self, session: int, config: SessionConfig) -> None:
        """Set a session's configuration."""
        self._sessions[session].configure(config)

    def connect(self, session: int, phase: Phase = Phase.LOGON, may_request: bool = True) -> None:
        """A new connection (R15, F6)."""
        self._framers[session].reset()
        self._sessions[session].connect(phase, may_request)

    def disconnect(self, session: int) -> None:
        """The connection is gone."""
        self._sessions[session].disconnect()

    def set_may_request(self, session: int, allowed: bool) -> None:
        """Allow or forbid ResendRequests (R11)."""
        self._sessions[session].allow_requests(allowed)
        self._send_requests(session)

    def set_expected(self, session: int, expected: int) -> None:
        """Set the next inbound number."""
        self._sessions[session].set_expected(expected)

    def set_next_out(self, session: int, next_out: int) -> None:
        """Set the next outbound number."""
        self._composers[session].next_out = next_out

    def state(self, session: int) -> SessionState:
        """The session's state now."""
        rules = self._sessions[session]
        return SessionState(
            phase=rules.phase,
            may_request=rules.may_request,
            expected=rules.expected,
            highest=rules.highest,
            next_out=self._composers[session].next_out,
            recovery=rules.recovery is not None,
        )

    def counters(self, session: int) -> dict[str, int]:
        """Messages judged per rule id, and ``skipped`` bytes (F4)."""
        judged = {rule.id: count for rule, count in self._sessions[session].judged.items()}
        return {**judged, "skipped": self._framers[session].skipped}

    def receive(self, session: int, data: bytes) -> None:
        """Bytes from the session's connection."""
        for frame in self._framers[session].feed(data):
            self._sessions[session].receive(frame)
            self._send_requests(session)
        config = self._sessions[session].config
        if config is not None and config.early_gap:
            self._sessions[session].expect_gap(parse_early(self._framers[session].arriving))

    def send(self, session: int, msg_type: str, fields: bytes = b"", *, seq: int | None = None) -> None:
        """Compose and send one message (S1, S2) of a configured session that has a number left."""
        config = self._sessions[session].config
        assert config is not None
        self._emit(self._composers[session].send(config, self.clock, msg_type, fields, seq=seq))

    @property
    def clock(self) -> int:
        """The time last told, 1970 before that."""
        return self._clock or 0

    def advance(self, utc_ns: int) -> None:
        """Tell the time: the clock is set, then the milliseconds since the last call pass as timer ticks."""
        before, self._clock = self._clock, utc_ns
        if before is not None:
            self._pass_ticks(utc_ns // _MS - before // _MS)

    def poll(self) -> list[Record]:
        """All records since the last call."""
        records = self._records[:]
        self._records.clear()
        return records

    def _pass_ticks(self, ticks: int) -> None:
        """R14, tick by tick, session 0 first within each. Jumps from timeout to timeout."""
        while ticks > 0:
            running = [(session, left) for session in self._sessions if (left := session.ticks_left()) is not None]
            step = min([ticks, *(left for _, left in running)])
            for session, _ in running:
                session.pass_ticks(step)
                self._send_requests(session.index)
            ticks -= step

    def _send_requests(self, session: int) -> None:
        """S3: the device's own ResendRequests leave at once. None can when the outbound numbers are used up (S2)."""
        rules, composer = self._sessions[session], self._composers[session]
        for begin, end in rules.requests:
            if rules.config is not None and not composer.exhausted:
                body = b"7=%d\x0116=%d\x01" % (begin, end)
                self._emit(composer.send(rules.config, self.clock, "2", body, device=True))
        rules.requests.clear()
