"""Acceptors: a listening socket, and a session for whoever is known (H1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from ssl import SSLContext

from .device import Device
from .engine import DEFAULT_QUEUE, Connection, Wire, open_hub
from .errors import NotLoggedOn, SessionClosed
from .events import Event
from .hub import DeviceHub
from .message import FixMessage, first_message
from .session import Session
from .settings import SessionSettings
from .store import MessageStore

#: What an application gives to :func:`serve`: called with each session that is up.
Handler = Callable[[Connection], Awaitable[None]]


class Server:
    """A listening acceptor. Made by :func:`serve`.

    Members: ``addresses``, what it listens on; ``refused``, why callers got no session, newest last (the last 100).
    """

    def __init__(
        self,
        handler: Handler,
        sessions: dict[tuple[str, str, str], Session],
        hub: DeviceHub,
        queue: int,
        on_event: Callable[[Connection, Event], None] | None,
    ) -> None:
        self.refused: list[str] = []
        self.addresses: list[tuple[str, int]] = []
        self._handler = handler
        self._sessions = sessions
        self._hub = hub
        self._queue = queue
        self._on_event = on_event
        self._lobby: set[asyncio.Transport] = set()
        self._tasks: dict[asyncio.Task[None], Connection] = {}

    @property
    def port(self) -> int:
        """The port of the first address."""
        return self.addresses[0][1]

    @property
    def connections(self) -> list[Connection]:
        """The connections that are being served."""
        return list(self._tasks.values())

    async def serve_forever(self) -> None:
        """Wait until cancelled."""
        await asyncio.get_running_loop().create_future()

    def _refuse(self, transport: asyncio.Transport, reason: str) -> None:
        self.refused = [*self.refused[-99:], reason]
        transport.abort()

    def _admit(self, transport: asyncio.Transport, data: bytes, message: bytes) -> None:
        """A caller has shown who it is: give it its session, unless it is unknown or is here already."""
        first = FixMessage(message)
        caller = first.get(8, ""), first.get(56, ""), first.get(49, "")
        session = self._sessions.get(caller)
        if session is None:
            self._refuse(transport, f"unknown session: 8={caller[0]} 49={caller[2]} 56={caller[1]}")
            return
        # A handler that still works off what an earlier connection brought keeps the session: two of them would take
        # messages twice.
        if any(held.session is session for held in self.connections):
            self._refuse(transport, f"session is up already: 8={caller[0]} 49={caller[2]} 56={caller[1]}")
            return
        on_event = self._on_event
        connection = Connection(
            session,
            queue=self._queue,
            on_event=None if on_event is None else lambda event: on_event(connection, event),
        )
        self._hub.on_wake(session.index, connection.wake)
        wire = Wire(connection)
        transport.set_protocol(wire)
        wire.connection_made(transport)
        wire.data_received(data)
        task = asyncio.ensure_future(self._serve(connection))
        self._tasks[task] = connection
        task.add_done_callback(self._finished)

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection._settled.wait()
            if connection.logon is None:
                self.refused = [*self.refused[-99:], connection.end_reason]
                return
            await self._handler(connection)
        except (NotLoggedOn, SessionClosed):
            # The session ended under the handler, which need not prepare for it; whatever else these may mean is an
            # error.
            was_up = connection.session.logged_on
            await connection._shut()
            if was_up:
                raise
        except BaseException:
            await connection._shut()
            raise
        else:
            await connection.close()

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the handler of a FIX session failed", "exception": task.exception(), "task": task}
            )

    async def _close(self, patience: float) -> None:
        """Log everybody out, then wait for the handlers, in the end no longer than ``patience`` seconds."""
        for transport in list(self._lobby):
            transport.abort()
        # Not close(): what a handler has in its hands is taken when the handler says so, by asking for more or by
        # ending.
        await asyncio.gather(*(connection._shut() for connection in self.connections))
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=patience)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


class _Lobby(asyncio.Protocol):
    """Where a caller waits until its first message is complete."""

    def __init__(self, server: Server, limit: int, patience: float) -> None:
        self._server = server
        self._limit = limit
        self._data = bytearray()
        self._patience = patience

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._lobby.add(transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._patience, self._leave, "no Logon in time")

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            message = first_message(bytes(self._data), self._limit)
        except ValueError as error:
            self._leave(str(error))
            return
        if message is not None:
            self._timer.cancel()
            self._server._lobby.discard(self._transport)
            self._server._admit(self._transport, bytes(self._data), message)

    def _leave(self, reason: str) -> None:
        self._server._refuse(self._transport, reason)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._server._lobby.discard(self._transport)


@asynccontextmanager
async def serve(
    handler: Handler,
    host: str | None,
    port: int,
    sessions: SessionSettings | Iterable[SessionSettings],
    *,
    device: str | Device | DeviceHub = "model:",
    stores: Callable[[SessionSettings], MessageStore] | None = None,
    queue: int = DEFAULT_QUEUE,
    ssl: SSLContext | None = None,
    on_event: Callable[[Connection, Event], None] | None = None,
    shutdown_timeout: float = 10.0,
) -> AsyncIterator[Server]:
    """Accept FIX sessions; at the end of the ``async with`` block stop listening and log out of all of them.

    Parameters:
        handler: called with a :class:`Connection` once its session is up; when it returns, the session is logged out.
            A session has one handler at a time: as long as it runs, another connection of the session is refused.
        host, port: where to listen; port 0: any free one, see :attr:`Server.port`.
        sessions: the sessions that may connect, each with ``initiator=False``; known by BeginString and CompIDs.
        device: a URL, an open device or a hub with room for all sessions.
        stores: gives each session its store when the server starts; None: in memory, for the life of the server.
        queue: see :class:`Connection`. ssl: for TLS.
        on_event: called with each event of each session.
        shutdown_timeout: seconds that handlers have to end when the server stops; then they are cancelled.

    Raises OSError if it cannot listen, DeviceError if there is no device, ValueError for sessions that cannot be. An
    error in a handler ends its session and goes to the event loop's exception handler.
    """
    known = [sessions] if isinstance(sessions, SessionSettings) else list(sessions)
    if not known:
        raise ValueError("there is no session to serve")
    if any(settings.initiator for settings in known):
        raise ValueError("sessions of an acceptor have initiator=False")
    by_caller = {(settings.begin_string, settings.sender, settings.target): settings for settings in known}
    if len(by_caller) < len(known):
        raise ValueError("two sessions have the same BeginString and CompIDs")
    hub, ours = await open_hub(device, sessions=len(known))
    try:
        table = {
            caller: Session(hub.device, index, settings, stores and stores(settings), poll=partial(hub.poll, index))
            for index, (caller, settings) in enumerate(by_caller.items())
        }
        server = Server(handler, table, hub, queue, on_event)
        limit = hub.device.info.max_message
        patience = max(settings.logon_timeout for settings in known)
        listener = await asyncio.get_running_loop().create_server(
            lambda: _Lobby(server, limit, patience), host, port, ssl=ssl
        )
        try:
            server.addresses = [sock.getsockname()[:2] for sock in listener.sockets]
            yield server
        finally:
            listener.close()
            await server._close(shutdown_timeout)
            await listener.wait_closed()
    finally:
        if ours:
            hub.device.close()
