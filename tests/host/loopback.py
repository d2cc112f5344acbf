"""Loopback for tests of the asyncio engine: names, messages, and a raw socket behind which the test plays the venue."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

import tag34
from tag34 import Connection, SessionSettings
from tag34.clock import format_utc
from tag34_sim.messages import Field, encode, frame

T = TypeVar("T")

CALLER: dict[str, Any] = {"begin_string": "FIX.4.4", "sender": "BUYER", "target": "VENUE"}
VENUE = SessionSettings("FIX.4.4", "VENUE", "BUYER", initiator=False)
#: For what only the engine decides, with more bytes than a simulation gets through in passing.
MODEL_ONLY = pytest.mark.parametrize("device_url", ["model:"])
#: A bound on what takes milliseconds.
PATIENCE = 60.0


def run(test: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(test, PATIENCE))


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until ``condition`` holds; :func:`run` sets the bound."""
    while not condition():
        await asyncio.sleep(0)


async def echo(session: Connection) -> None:
    """A venue that answers each order with a report."""
    async for message in session:
        await session.send("8", {11: message[11]})


def message(msg_type: str, seq: int, fields: list[Field] | None = None, sender: str = "VENUE") -> bytes:
    """A message as the other side of a raw socket writes it."""
    target = "BUYER" if sender == "VENUE" else "VENUE"
    header: list[Field] = [(35, msg_type), (49, sender), (56, target), (34, seq)]
    return frame(encode([*header, (52, format_utc(tag34.Instant.now().utc_ns)), *(fields or [])]))


LOGON: list[Field] = [(98, 0), (108, 30)]

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_venue(peer: Peer) -> AsyncIterator[int]:
    """A listening socket behind which the test plays the venue; gives its port."""
    failures: list[BaseException] = []
    done: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await peer(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(asyncio.ensure_future(serve(reader, writer)))

    # Little room on the way: what the test does not read is soon felt by the other side.
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    listening.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(accept, sock=listening)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        failures += [found for found in await asyncio.gather(*done, return_exceptions=True) if found is not None]
        assert not [failure for failure in failures if not isinstance(failure, ConnectionError)]


async def read_message(reader: asyncio.StreamReader) -> tag34.FixMessage:
    data = await reader.readuntil(b"\x0110=")
    return tag34.FixMessage(data + await reader.readexactly(4))


@contextlib.asynccontextmanager
async def stuck(device_url: str, go_on: asyncio.Event, **options: Any) -> AsyncIterator[Connection]:
    """A session whose peer asks for a long replay and reads none of it until ``go_on``."""
    count = 150

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(message("A", 1, LOGON))
        for _ in range(count):
            await read_message(reader)
        writer.write(message("2", 2, [(7, 2), (16, 0)]))
        await go_on.wait()
        for seq in range(2, count + 2):
            assert (await read_message(reader))[34] == str(seq)

    async with raw_venue(ask) as port:
        async with tag34.connect("127.0.0.1", port, device=device_url, **options, **CALLER) as session:
            assert session._transport is not None
            session._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            for _ in range(count):
                await session.send("8", {58: "x" * 3500})
            await until(lambda: not session._writable.is_set() and session.session._outbox.busy)
            yield session
        go_on.set()
