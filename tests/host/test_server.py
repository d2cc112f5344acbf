"""The asyncio engine as acceptor: who gets a session, and who handles it (H1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

import tag34
from tag34 import Connection, Message, SessionSettings
from tests.host.loopback import (
    CALLER,
    LOGON,
    VENUE,
    echo,
    message,
    run,
    until,
)


@pytest.mark.rule("H4")
def test_h4_server_logs_everybody_out_when_it_stops(device_url: str) -> None:
    async def test() -> list[Message]:
        async with contextlib.AsyncExitStack() as stack:
            async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
                connecting = tag34.connect("127.0.0.1", venue.port, device=device_url, **CALLER)
                session = await stack.enter_async_context(connecting)
            return [message async for message in session]

    assert run(test()) == []


@pytest.mark.rule("H1")
@pytest.mark.parametrize(
    ("first", "says"),
    [
        (lambda: message("A", 1, LOGON, sender="STRANGER"), "unknown session: 8=FIX.4.4 49=STRANGER 56=VENUE"),
        (lambda: b"GET / HTTP/1.1\r\n\r\n", "does not begin with 8=FIX"),
        (lambda: message("0", 1, sender="BUYER"), "the peer's first message is no Logon but of type 0"),
    ],
    ids=["stranger", "no FIX", "no Logon"],
)
def test_h1_callers_without_a_session(device_url: str, first: Callable[[], bytes], says: str) -> None:
    async def test() -> None:
        async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.port)
            writer.write(first())
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            await until(lambda: bool(venue.refused))
            assert venue.refused == [says]

    run(test())


@pytest.mark.rule("H1")
def test_h1_caller_that_says_nothing(device_url: str) -> None:
    async def test() -> None:
        settings = SessionSettings("FIX.4.4", "VENUE", "BUYER", initiator=False, logon_timeout=0.01)
        async with tag34.serve(echo, "127.0.0.1", 0, settings, device=device_url) as venue:
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.port)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert venue.refused == ["no Logon in time"]

    run(test())


@pytest.mark.rule("H1")
def test_h1_second_connection_is_refused(device_url: str) -> None:
    async def test() -> None:
        async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            async with tag34.connect("127.0.0.1", venue.port, device=device_url, **CALLER) as session:
                with pytest.raises(tag34.ConnectError):
                    async with tag34.connect("127.0.0.1", venue.port, device=device_url, **CALLER):
                        pytest.fail("there is no second session")
                await session.send("D", {11: "still here"})
                assert (await session.receive())[11] == "still here"
                assert venue.refused == ["session is up already: 8=FIX.4.4 49=BUYER 56=VENUE"]

    run(test())


@pytest.mark.rule("R17")
@pytest.mark.parametrize("device_url", ["model:"])  # the gateware has one session
def test_r17_many_sessions_on_one_device(device_url: str) -> None:
    names = [f"BUYER{index}" for index in range(4)]

    async def trade(venue: tag34.Server, name: str) -> list[str]:
        options = {**CALLER, "sender": name}
        async with tag34.connect("127.0.0.1", venue.port, device=device_url, **options) as session:
            for index in range(20):
                await session.send("D", {11: f"{name} {index}"})
            return [(await session.receive())[11] for _ in range(20)]

    async def test() -> None:
        known = [SessionSettings("FIX.4.4", "VENUE", name, initiator=False) for name in names]
        async with tag34.serve(echo, "127.0.0.1", 0, known, device=device_url) as venue:
            results = await asyncio.gather(*(trade(venue, name) for name in names))
        assert results == [[f"{name} {index}" for index in range(20)] for name in names]

    run(test())


@pytest.mark.rule("H1")
def test_h1_session_belongs_to_its_handler_until_that_ends(device_url: str) -> None:
    """The connection is lost while the handler works on a message: no second handler gets the same message."""

    async def test() -> None:
        working, finish = asyncio.Event(), asyncio.Event()
        seen: list[str] = []

        async def slow(session: Connection) -> None:
            async for order in session:
                seen.append(order[11])
                working.set()
                await finish.wait()

        async with tag34.serve(slow, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            store = tag34.MemoryStore()
            async with tag34.connect("127.0.0.1", venue.port, device=device_url, store=store, **CALLER) as session:
                await session.send("D", {11: "first"})
                await session.send("D", {11: "second"})
                await working.wait()
                await session.abort()
            with pytest.raises(tag34.ConnectError):
                async with tag34.connect("127.0.0.1", venue.port, device=device_url, store=store, **CALLER):
                    pytest.fail("its handler is still at work")
            finish.set()
            await until(lambda: not venue.connections)
            async with tag34.connect("127.0.0.1", venue.port, device=device_url, store=store, **CALLER) as session:
                await session.send("D", {11: "third"})
                await until(lambda: len(seen) == 3)
        assert seen == ["first", "second", "third"]

    run(test())


def test_handler_that_fails_is_reported_and_ends_its_session(device_url: str) -> None:
    async def broken(session: Connection) -> None:
        await session.receive()
        raise ZeroDivisionError

    async def test() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        async with tag34.serve(broken, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            async with tag34.connect("127.0.0.1", venue.port, device=device_url, **CALLER) as session:
                await session.send("D", {11: "x"})
                assert [message async for message in session] == []
        assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]

    run(test())


def test_handler_that_does_not_end_is_cancelled(device_url: str) -> None:
    cancelled = False
    store = tag34.MemoryStore()

    async def stubborn(session: Connection) -> None:
        nonlocal cancelled
        try:
            assert (await session.receive()).seq == 2
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with tag34.serve(
                stubborn, "127.0.0.1", 0, VENUE, device=device_url, shutdown_timeout=0.01, stores=lambda _: store
            ) as venue:
                connecting = tag34.connect("127.0.0.1", venue.port, device=device_url, **CALLER)
                session = await stack.enter_async_context(connecting)
                await session.send("D", {11: "x"})
                await until(lambda: venue.connections[0]._taken is not None)

    run(test())
    assert cancelled
    assert store.expected == 2  # it never got done with its message


@pytest.mark.parametrize(
    ("sessions", "says"),
    [
        ([], "no session"),
        ([SessionSettings(**CALLER)], "initiator=False"),
        ([VENUE, VENUE], "same BeginString"),
    ],
)
def test_mistakes_of_an_acceptor(sessions: list[SessionSettings], says: str) -> None:
    async def test() -> None:
        async with tag34.serve(echo, "127.0.0.1", 0, sessions):
            pytest.fail("there is no server")

    with pytest.raises(ValueError, match=says):
        run(test())
