"""The host's part of a FIX session (H1 to H5, H7), sans-IO: bytes and time go in by calls, events and bytes come out.

There are no sockets and no clock in here, and nothing waits. A device judges, numbers and composes (F, R and S
rules); this module holds the
conversation: Logon, Heartbeat, TestRequest, Logout, Reject and the answer to a ResendRequest. `tag34.engine` puts a
    connection around it.
"""

from __future__ import annotations

from collections.abc import Callable

from . import events as ev
from .clock import Instant
from .contract import Phase
from .conversation import Conversation
from .device import DeliverRecord, Device, MessageRecord, Record, SentRecord
from .errors import NotLoggedOn
from .events import Event
from .liveness import Due
from .message import Fields, application_fields, encode_fields
from .replay import SESSION_TYPES
from .settings import SessionSettings
from .states import LOGGED_ON, LOGGING_ON, Cause, State
from .store import MemoryStore, MessageStore


class Session(Conversation):
    """One FIX session over any number of connections, one after the other.

    Parameters:
        device: judges and composes.
        index: the session's number in the device.
        settings: who talks to whom.
        store: what outlives connections; None: a :class:`tag34.MemoryStore`. Its numbers are loaded into the device
            with each connection.
        poll: where the device's records of this session come from; None: ``device.poll``, which serves a device of
            one session. Sessions that share a device take theirs from a :class:`tag34.hub.DeviceHub`.

    Usage: after :meth:`connect` hand over what arrives with :meth:`bytes_received`; call :meth:`tick` when
    :meth:`next_timeout` has come, and :meth:`continue_replay` as long as :attr:`replaying`; after each call write
    what :meth:`data_to_send` returns and look at the events. On :class:`tag34.Disconnect` close the connection; when
    it is gone, for whatever reason, call :meth:`connection_lost`.

    Calls that cause something return events. They take the present :class:`tag34.Instant`; its two clocks decide all
    that depends on time. DeviceError and the store's errors pass through: the session is unusable then, and the
    connection should be closed.
    """

    def __init__(
        self,
        device: Device,
        index: int,
        settings: SessionSettings,
        store: MessageStore | None = None,
        *,
        poll: Callable[[], list[Record]] | None = None,
    ) -> None:
        super().__init__(device, index, settings, MemoryStore() if store is None else store)
        self._poll = device.poll if poll is None else poll
        self._end_reported = False

    # What the caller may ask.

    @property
    def state(self) -> State:
        """Where the conversation stands."""
        return self._state

    @property
    def logged_on(self) -> bool:
        """Whether the application may send."""
        return self._state is State.ACTIVE

    @property
    def expected(self) -> int:
        """The next inbound number."""
        return self._expected

    @property
    def replaying(self) -> bool:
        """Whether :meth:`continue_replay` has something to do now."""
        return self._outbox.busy and not self._outbox.paused and self._state in LOGGED_ON

    def data_to_send(self) -> bytes:
        """The bytes to write now, each message of them in the store before (H6)."""
        return self._outbox.data_to_send()

    def next_timeout(self) -> float | None:
        """When :meth:`tick` is due, by the clock of :attr:`Instant.mono`; None: not before something else happens."""
        due = [when for when, _ in self._timers()]
        if self._recovering and self.settings.resend_timeout and self._state in LOGGED_ON:
            # The device's timer runs by what it is told of the time (R14), in milliseconds; four looks per timeout
            # will do.
            due.append(self._now.mono + max(0.01, self.settings.resend_timeout / 4000))
        return min(due, default=None)

    # What happens to the connection.

    def connect(self, now: Instant) -> list[Event]:
        """A connection is there. An initiator's Logon is ready to be sent; an acceptor waits for the peer's (H1)."""
        settings = self.settings
        self._move(Cause.CALL if settings.initiator else Cause.ANSWER)
        if settings.initiator and settings.reset:
            self.store.reset()
        self._begin(now)
        self._end_reported = False
        self.device.advance(now.utc_ns)
        self.device.set_expected(self.index, self.store.expected)
        self.device.set_next_out(self.index, self.store.next_out)
        self.device.connect(self.index, phase=Phase.LOGON, may_request=self._may_request)
        if settings.initiator:
            self._reset_asked = settings.reset and not settings.is_before("FIX.4.1")
            self._send_logon(settings.heartbeat, reset=self._reset_asked)
        return self._finish()

    def bytes_received(self, data: bytes, now: Instant) -> list[Event]:
        """Bytes arrived; where they were cut has no meaning."""
        self._advance(now)
        if self._state not in (State.DISCONNECTED, State.CLOSING):
            self._tail.feed(data)
            self.device.receive(self.index, data)
        return self._finish(replay=True)

    def tick(self, now: Instant) -> list[Event]:
        """Let time pass: do what is due. Calling it early or often does no harm."""
        self._advance(now)
        for when, action in self._timers():
            if when <= now.mono and self._end is None:
                action()
        return self._finish()

    def continue_replay(self, now: Instant) -> list[Event]:
        """Go on with the answer to a ResendRequest, by at most ``replay_batch`` numbers (H3)."""
        self._advance(now)
        return self._finish(replay=True)

    def pause_replay(self, paused: bool) -> None:
        """The connection takes no more bytes for now (or does again): replays stand still, all else goes on."""
        self._outbox.paused = paused

    def pause_inbound(self, paused: bool, now: Instant) -> None:
        """The caller stops (or resumes) reading the connection: the peer's silence does not count meanwhile (H2)."""
        self._liveness.pause(paused, now)

    def connection_lost(self, now: Instant, reason: str = "connection lost") -> list[Event]:
        """The connection is gone, whoever closed it. The last event is Closed; nothing if there was no connection."""
        if self._state is State.DISCONNECTED:
            return []
        self._advance(now)
        if self._end is None:
            clean = self._state is State.LOGOUT_ANSWERED
            self._end = ("logged out by the peer" if clean else reason, clean)
        self._end_reported = True
        self._move(Cause.LOST)
        self.device.disconnect(self.index)
        return [*self._finish(), ev.Closed(*self._end)]

    # What the application does.

    def send(self, msg_type: str, fields: Fields, now: Instant) -> list[Event]:
        """Send a message of the application.

        Behind a replay under way it waits for its end (H3); an open gap does not hold it up (H7).

        Raises NotLoggedOn if the session is not up, ValueError or TypeError for what cannot be sent; nothing is sent
        then.
        """
        if self._state is not State.ACTIVE:
            raise NotLoggedOn(f"session is {self._state.value}: the message of type {msg_type} is not sent")
        if not (isinstance(msg_type, str) and 1 <= len(msg_type) <= 4 and msg_type.isascii() and msg_type.isalnum()):
            raise ValueError(f"msg_type must be one to four letters or digits, not {msg_type!r}")
        if msg_type in SESSION_TYPES:
            raise ValueError(f"messages of type {msg_type} are the session layer's own")
        encoded = application_fields(fields)
        self._outbox.check_size(msg_type, encoded)
        self._advance(now)
        self._say(msg_type, encoded)
        return self._finish()

    def logout(self, now: Instant, text: str = "") -> list[Event]:
        """Begin the Logout (H4); before the Logon was answered: give up.

        Nothing happens if the session is already ending.
        """
        self._advance(now)
        if self._state is State.ACTIVE:
            self._begin_logout(text)
        elif self._state in LOGGING_ON:
            self._give_up("given up before the Logon was answered")
        return self._finish()

    def acknowledge(self, message: ev.Message) -> None:
        """The application has taken ``message`` and all before it.

        The store's ``expected`` never passes a message that was not taken: one that got lost on the way to the
        application, with its process perhaps, is requested again on the next connection.
        """
        while self._unacknowledged and self._unacknowledged[0][0] <= message.ordinal:
            self._unacknowledged.popleft()
        self._save_expected()

    # How it is done: the frame of every call.

    def _advance(self, now: Instant) -> None:
        self._now = now
        self.device.advance(now.utc_ns)

    def _finish(self, *, replay: bool = False) -> list[Event]:
        """Look at all that the device did, go on with a ``replay`` by one batch, hand out the events."""
        self._pump()
        if replay and self.replaying:
            self._events += self._outbox.serve(self._now)
            self._pump()
        if self._end is not None and not self._end_reported:
            self._end_reported = True
            self._events.append(ev.Disconnect(*self._end))
        events, self._events = self._events, []
        return events

    def _pump(self) -> None:
        while records := self._poll():
            for record in records:
                if isinstance(record, SentRecord):
                    self._on_sent(record)
                elif self._state in (State.DISCONNECTED, State.CLOSING):
                    continue  # nothing that arrived counts any more
                elif isinstance(record, MessageRecord):
                    self._on_judged(record)
                elif isinstance(record, DeliverRecord):
                    self._on_delivered(record)
                else:
                    self._on_event(record)
        self._tail.trim(self._judged_to)

    def _timers(self) -> list[tuple[float, Callable[[], None]]]:
        if self._state in LOGGING_ON:
            waited = f"no Logon within {self.settings.logon_timeout:g} s"
            return [(self._logon_deadline, lambda: self._give_up(waited))]
        if self._state not in LOGGED_ON:
            return []
        timers: list[tuple[float, Callable[[], None]]] = []
        for when, due in self._liveness.timers():
            timers.append(
                (
                    when,
                    self._heartbeat
                    if due is Due.HEARTBEAT
                    else self._probe
                    if due is Due.TEST_REQUEST
                    else self._silent,
                )
            )
        if self._logout_deadline is not None:
            timers.append((self._logout_deadline, self._logout_expired))
        if self._held_logout_deadline is not None:
            timers.append((self._held_logout_deadline, self._held_logout_expired))
        return timers

    def _heartbeat(self) -> None:
        self._say("0", urgent=True)

    def _probe(self) -> None:
        self._tests += 1
        self._liveness.asked(self._now)
        self._say("1", encode_fields([(112, f"TEST{self._tests}")]), urgent=True)

    def _silent(self) -> None:
        self._give_up("the peer is silent, a TestRequest was not answered")

    def _logout_expired(self) -> None:
        ours = self._state is State.LOGOUT_SENT
        # The peer that began the Logout was answered: closing in its place is in order (H4).
        self._give_up("Logout was not answered" if ours else "logged out by the peer", clean=not ours)

    def _held_logout_expired(self) -> None:
        self._fail("Logout received, messages before it are missing")
