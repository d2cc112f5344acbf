"""asyncio around a session: a TCP connection, real timers, back-pressure.

:func:`connect` is the initiator's door, :func:`tag34.serve` the acceptor's. A connection lives in callbacks of the
event loop: no task of ours runs beside the application's, so there is none to cancel or to wait for.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

from .clock import Instant
from .device import Device, open_device
from .errors import ConnectError, LogonRejected, SessionClosed
from .events import Closed, Disconnect, Event, LoggedOn, LoggedOut, Message, Sent
from .hub import DeviceHub
from .message import Fields
from .replay import SESSION_TYPES
from .session import Session
from .settings import SessionSettings
from .store import MessageStore

#: Messages that may wait for the application before the connection is read no further.
DEFAULT_QUEUE = 1000


class Connection:
    """One FIX session on one TCP connection, as the application holds it.

    Made by :func:`connect` and :func:`tag34.serve`.

    ``async for message in connection`` and :meth:`receive` give the messages, in order, exactly once. When the
    application asks for the next one, the one before counts as taken (:meth:`tag34.Session.acknowledge`). A slow
    application holds up the peer: the connection is read no further while ``queue`` messages wait (what one segment
    brought may be more). It never holds up heartbeats or what is sent (H7).

    Parameters: ``session`` in state DISCONNECTED; ``queue``; ``on_event``, called with each event of the session as
    it happens.
    """

    def __init__(
        self, session: Session, *, queue: int = DEFAULT_QUEUE, on_event: Callable[[Event], None] | None = None
    ) -> None:
        if queue < 1:
            raise ValueError(f"queue must be at least 1, not {queue}")
        self.session = session
        self._queue = queue
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._inbox: deque[Message] = deque()
        self._taken: Message | None = None
        self._numbers: deque[asyncio.Future[int]] = deque()  # of messages that were sent and have no number yet
        self._reading = True
        self._closing = False
        self._replay_scheduled = False
        self._logon: LoggedOn | None = None
        self._refusal: str | None = None
        self._closed: Closed | None = None
        self._error: BaseException | None = None
        self._settled = asyncio.Event()  # logged on, or it came to nothing
        self._arrived = asyncio.Event()  # something for whoever receives: a message or the end
        self._writable = asyncio.Event()
        self._writable.set()
        self._done = asyncio.Event()

    # What the application does.

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._closed is not None

    @property
    def end_reason(self) -> str:
        """Why the connection is gone; empty while it is not."""
        return self._closed.reason if self._closed is not None else ""

    @property
    def logon(self) -> LoggedOn | None:
        """What the peer's Logon said; None before it."""
        return self._logon

    async def logged_on(self) -> LoggedOn:
        """Wait until the session is up. Raises LogonRejected or ConnectError if it comes to nothing."""
        await self._settled.wait()
        if self._logon is not None:
            return self._logon
        if self._refusal is not None:
            raise LogonRejected(self._refusal)
        raise ConnectError(f"no session: {self.end_reason}") from self._error

    async def send(self, msg_type: str, fields: Fields = ()) -> int:
        """Send a message and return its MsgSeqNum.

        ``fields`` is a mapping, or pairs where a tag occurs more than once. Waits while the peer does not read; once
        the message is handed over, cancelling does not take it back. Behind a replay under way it leaves when that is
        through (H3).

        Raises NotLoggedOn or SessionClosed if there is no session now, ValueError or TypeError for what cannot be sent.
        """
        if not self._writable.is_set():
            await self._writable.wait()
        if self._closed is not None:
            raise self._ended()
        number: asyncio.Future[int] = self._loop.create_future()
        events = self.session.send(msg_type, fields, self._now())
        self._numbers.append(number)
        self._call(lambda: events)
        return await number

    async def receive(self) -> Message:
        """The next message. Raises SessionClosed when the session has ended, orderly or not."""
        message = await self._next()
        if message is None:
            raise self._ended()
        return message

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        """The next message; the iteration ends with an orderly Logout and raises SessionClosed after any other end."""
        message = await self._next()
        if message is not None:
            return message
        if self._closed is None or (self._closed.clean and self._error is None):
            raise StopAsyncIteration
        raise self._ended()

    async def close(self, text: str = "") -> None:
        """Log out and close the connection; return when it is gone.

        The peer's answer is waited for no longer than ``logout_timeout``. Messages that were not received are dropped
        here, the peer will be asked for them again on the next connection. Cancelled, it cuts the connection off.
        Does nothing if the connection is gone.
        """
        self._acknowledge()
        await self._shut(text)

    async def abort(self) -> None:
        """Cut the connection off, without a Logout."""
        if self._transport is not None:
            self._transport.abort()
            await self._done.wait()

    async def _shut(self, text: str = "") -> None:
        if self._transport is None or self._closed is not None:
            return
        self._closing = True
        self._inbox.clear()
        self._arrived.set()
        try:
            self._call(lambda: self.session.logout(self._now(), text))
            await self._done.wait()
        finally:
            self._transport.abort()

    async def _next(self) -> Message | None:
        self._acknowledge()
        while not self._inbox:
            if self._closed is not None or self._closing:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        self._taken = self._inbox.popleft()
        self._pace()
        return self._taken

    def _acknowledge(self) -> None:
        if self._taken is not None:
            self.session.acknowledge(self._taken)
            self._taken = None

    def _ended(self) -> SessionClosed:
        error = SessionClosed(self.end_reason or "the connection is being closed")
        error.__cause__ = self._error
        return error

    # What the connection does.

    def _now(self) -> Instant:
        return Instant(time.time_ns(), self._loop.time())

    def _made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call(lambda: self.session.connect(self._now()))

    def _received(self, data: bytes) -> None:
        self._call(lambda: self.session.bytes_received(data, self._now()))

    def _writing(self, allowed: bool) -> None:
        self.session.pause_replay(not allowed)
        if allowed:
            self._writable.set()
            self._call(lambda: self.session.continue_replay(self._now()))
        else:
            self._writable.clear()

    def _lost(self, error: Exception | None) -> None:
        reason = f"connection lost: {error}" if error is not None else "the peer closed the connection"
        self._error = self._error or error
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._handle(self.session.connection_lost(self._now(), reason))
        finally:
            if self._closed is None:
                self._closed = Closed(reason, clean=False)
            for number in self._numbers:
                if not number.done():
                    number.set_exception(self._ended())
            self._numbers.clear()
            for event in (self._settled, self._arrived, self._writable, self._done):
                event.set()

    def _call(self, step: Callable[[], list[Event]]) -> None:
        """One call into the session, and what comes of it.

        An error ends the connection; it is for the caller to report: the application, or the event loop.
        """
        try:
            self._handle(step())
        except BaseException as error:
            self._error = error
            if self._transport is not None:
                self._transport.abort()
            raise

    def _handle(self, events: list[Event]) -> None:
        end = False
        for event in events:
            if isinstance(event, Message):
                if not self._closing:
                    self._inbox.append(event)
                    self._arrived.set()
            elif isinstance(event, Sent):
                if not event.replay and event.msg_type not in SESSION_TYPES:
                    number = self._numbers.popleft()
                    if not number.done():
                        number.set_result(event.seq)
            elif isinstance(event, LoggedOn):
                self._logon = self._logon or event
                self._settled.set()
            elif isinstance(event, LoggedOut):
                if self._logon is None:
                    self._refusal = event.text
            elif isinstance(event, Disconnect):
                end = True
            elif isinstance(event, Closed):
                self._closed = event
            if self._on_event is not None:
                self._on_event(event)
        if self._transport is None or self._closed is not None:
            return
        data = self.session.data_to_send()
        if data:
            self._transport.write(data)
        if end:
            # Whoever does not read our last words is not waited for.
            self._loop.call_later(self.session.settings.logout_timeout, self._transport.abort)
            self._transport.close()
            return
        self._pace()
        self._schedule()

    def _pace(self) -> None:
        """Stop or resume reading, by how much waits for the application."""
        if self._transport is None or self._transport.is_closing():
            return
        wanted = len(self._inbox) < self._queue
        if wanted is not self._reading:
            self._reading = wanted
            self.session.pause_inbound(not wanted, self._now())
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _schedule(self) -> None:
        if self.session.replaying and not self._replay_scheduled:
            self._replay_scheduled = True
            self._loop.call_soon(self._replay_on)  # others get their turn between two batches
        due = self.session.next_timeout()
        if self._timer is not None:
            if due is not None and self._timer.when() <= due:
                return  # it comes early enough, and looks again then
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._timer_expired)

    def _replay_on(self) -> None:
        self._replay_scheduled = False
        if self._closed is None:
            self._call(lambda: self.session.continue_replay(self._now()))

    def _timer_expired(self) -> None:
        self._timer = None
        self._tick()

    def wake(self) -> None:
        """Records of the session wait in a hub."""
        self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        if self._closed is None:
            self._call(lambda: self.session.tick(self._now()))


class Wire(asyncio.Protocol):
    """What asyncio calls for a :class:`Connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connection._made(transport)

    def data_received(self, data: bytes) -> None:
        self._connection._received(data)

    def pause_writing(self) -> None:
        self._connection._writing(False)

    def resume_writing(self) -> None:
        self._connection._writing(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection._lost(exc)


async def open_hub(device: str | Device | DeviceHub, **options: object) -> tuple[DeviceHub, bool]:
    """A hub for ``device``, and whether it was opened here and has to be closed.

    Opening may take long (a simulation is compiled the first time), so it is done in a thread. Raises DeviceError as
    :func:`open_device`.
    """
    if isinstance(device, DeviceHub):
        return device, False
    if isinstance(device, Device):
        return DeviceHub(device), False
    opening = asyncio.ensure_future(asyncio.to_thread(open_device, device, **options))
    try:
        return DeviceHub(await asyncio.shield(opening)), True
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unused)
        raise


def _close_unused(opening: asyncio.Future[Device]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


@asynccontextmanager
async def connect(
    host: str,
    port: int,
    settings: SessionSettings | None = None,
    *,
    device: str | Device | DeviceHub = "model:",
    index: int = 0,
    store: MessageStore | None = None,
    queue: int = DEFAULT_QUEUE,
    ssl: SSLContext | None = None,
    on_event: Callable[[Event], None] | None = None,
    **options: Any,
) -> AsyncIterator[Connection]:
    """Connect to an acceptor, log on, and log out at the end of the ``async with`` block.

    Parameters:
        host, port: where the acceptor listens.
        settings: the session's settings; or give them one by one in ``options``: ``begin_string``, ``sender``,
            ``target`` and whatever else :class:`tag34.SessionSettings` has.
        device: a URL (``"model:"``, ``"sim:"``), an open device, or a hub where several sessions share one device.
        index: the session's number in the device.
        store: what outlives the connection. None: nothing does, and numbers begin at 1; the peer may want
            ``reset=True`` then.
        queue, on_event: see :class:`Connection`.
        ssl: for TLS.

    Raises ConnectError (LogonRejected if the peer says so in a Logout) if there is no session, DeviceError if there
    is no device, ValueError and TypeError for settings that cannot be. Leaving the block by an error logs out, too;
    the message that was being worked on counts as not taken then. A connection that is lost is not made again: to
    reconnect is a loop around the block, with the same ``store``.
    """
    if settings is None:
        settings = SessionSettings(**options)
    elif options:
        raise TypeError(f"give settings or {', '.join(sorted(options))}, not both")
    if not settings.initiator:
        raise ValueError("settings are an acceptor's (initiator=False): use serve")
    hub, ours = await open_hub(device)
    try:
        session = Session(hub.device, index, settings, store, poll=lambda: hub.poll(index))
        connection = Connection(session, queue=queue, on_event=on_event)
        hub.on_wake(index, connection.wake)
        try:
            await asyncio.get_running_loop().create_connection(lambda: Wire(connection), host, port, ssl=ssl)
        except OSError as error:
            raise ConnectError(f"cannot connect to {host} port {port}: {error}") from error
        try:
            await connection.logged_on()
            yield connection
        except BaseException:
            await connection._shut()
            raise
        await connection.close()
    finally:
        hub.on_wake(index, None)
        if ours:
            hub.device.close()
