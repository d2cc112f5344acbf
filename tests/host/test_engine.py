"""The asyncio engine as initiator, against an acceptor of ours and against peers that misbehave."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

import tag34
from tag34 import Connection, Event, Message
from tag34_sim.messages import Field
from tests.host.loopback import (
    CALLER,
    LOGON,
    MODEL_ONLY,
    VENUE,
    echo,
    message,
    raw_venue,
    read_message,
    run,
    stuck,
    until,
)


@pytest.mark.rule("H1", "H4")
def test_messages_both_ways(device_url: str) -> None:
    async def test() -> None:
        async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            async with tag34.connect("127.0.0.1", venue.port, device=device_url, **CALLER) as session:
                assert session.logon is not None
                assert session.logon.heartbeat == 30
                assert [await session.send("D", {11: f"order {index}"}) for index in range(5)] == [2, 3, 4, 5, 6]
                reports = [await session.receive() for _ in range(5)]
                assert [(report.seq, report.msg_type, report[11]) for report in reports] == [
                    (index + 2, "8", f"order {index}") for index in range(5)
                ]
            assert session.closed
            assert session.end_reason == "logged out"

    run(test())


@pytest.mark.rule("H4")
def test_h4_iteration_ends_with_an_orderly_logout(device_url: str) -> None:
    async def greet(session: Connection) -> None:
        await session.send("8", {58: "hello"})

    async def test() -> None:
        async with tag34.serve(greet, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            async with tag34.connect("127.0.0.1", venue.port, device=device_url, **CALLER) as session:
                assert [message[58] async for message in session] == ["hello"]
                with pytest.raises(tag34.SessionClosed, match="logged out by the peer"):
                    await session.receive()
                with pytest.raises(tag34.SessionClosed):
                    await session.send("D")

    run(test())


def test_connection_is_cut(device_url: str) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(message("A", 1, LOGON) + message("8", 2))

    async def test() -> None:
        async def trade(port: int) -> None:
            async with tag34.connect("127.0.0.1", port, device=device_url, **CALLER) as session:
                async for received in session:
                    seen.append(received.seq)

        seen: list[int] = []
        async with raw_venue(cut) as port:
            with pytest.raises(tag34.SessionClosed, match="the peer closed the connection"):
                await trade(port)
        assert seen == [2]

    run(test())


@pytest.mark.rule("H1")
def test_h1_logon_is_refused(device_url: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(message("5", 1, [(58, "go away")]))

    async def test() -> None:
        async with raw_venue(refuse) as port:
            with pytest.raises(tag34.LogonRejected, match="go away") as refused:
                async with tag34.connect("127.0.0.1", port, device=device_url, **CALLER):
                    pytest.fail("there is no session")
        assert refused.value.text == "go away"

    run(test())


@pytest.mark.rule("H1")
def test_h1_no_answer_to_the_logon(device_url: str) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def test() -> None:
        async with raw_venue(silent) as port:
            with pytest.raises(tag34.ConnectError, match="no Logon within"):
                async with tag34.connect("127.0.0.1", port, device=device_url, logon_timeout=0.01, **CALLER):
                    pytest.fail("there is no session")

    run(test())


def test_nobody_listens(device_url: str) -> None:
    async def test() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(tag34.ConnectError, match=r"cannot connect to 127\.0\.0\.1"):
                async with tag34.connect("127.0.0.1", unused.getsockname()[1], device=device_url, **CALLER):
                    pytest.fail("there is no session")

    run(test())


@pytest.mark.rule("H6")
def test_numbers_go_on_with_the_same_store(device_url: str) -> None:
    async def test() -> None:
        store = tag34.MemoryStore()
        async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            for first in (2, 5):
                async with tag34.connect("127.0.0.1", venue.port, device=device_url, store=store, **CALLER) as session:
                    assert await session.send("D", {11: "x"}) == first
                    assert (await session.receive()).seq == first
                await until(lambda: not venue.connections)
        assert (store.expected, store.next_out) == (7, 7)

    run(test())


@pytest.mark.rule("R11", "H6")
def test_message_that_was_not_finished_is_asked_for_again(device_url: str) -> None:
    """The application fails while it works on a message: it is not taken, and comes again with 43=Y."""

    async def trade(port: int, store: tag34.MessageStore) -> None:
        async with tag34.connect("127.0.0.1", port, device=device_url, store=store, **CALLER) as session:
            await session.send("D", {11: "first"})
            await session.send("D", {11: "second"})
            assert (await session.receive())[11] == "first"
            assert (await session.receive())[11] == "second"
            raise ZeroDivisionError

    async def test() -> None:
        store = tag34.MemoryStore()
        async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            with pytest.raises(ZeroDivisionError):
                await trade(venue.port, store)
            assert store.expected == 3
            await until(lambda: not venue.connections)
            async with tag34.connect("127.0.0.1", venue.port, device=device_url, store=store, **CALLER) as session:
                again = await session.receive()
                assert (again[11], again.seq, again.possdup) == ("second", 3, True)

    run(test())


@pytest.mark.rule("H2", "H7")
@MODEL_ONLY
def test_h7_slow_application_holds_up_the_peer_and_nothing_else(device_url: str) -> None:
    """The venue sends more than anybody reads: the connection is read no further, heartbeats leave nevertheless."""
    count = 2000
    body: list[Field] = [(58, "x" * 500)]

    async def test() -> None:
        logged_on = asyncio.Event()
        stalled = asyncio.Event()

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_message(reader)
            writer.write(message("A", 1, [(98, 0), (108, 1)]))
            logged_on.set()
            sending = asyncio.ensure_future(pour(writer))
            for _ in range(3):  # after 2.4 times 108 the venue would be taken for dead
                assert (await read_message(reader))[35] == "0"
            stalled.set()
            await sending
            await reader.read()

        async def pour(writer: asyncio.StreamWriter) -> None:
            for seq in range(2, count + 2):
                writer.write(message("8", seq, body))
                await writer.drain()

        async with raw_venue(flood) as port:
            async with tag34.connect(
                "127.0.0.1", port, device=device_url, queue=10, heartbeat=1, logout_timeout=0.01, **CALLER
            ) as session:
                await stalled.wait()  # heartbeats, while nobody receives
                assert len(session._inbox) < count // 2  # no more than one read brings
                assert not session.closed
                for seq in range(2, count + 2):
                    assert (await session.receive()).seq == seq

    run(test())


@pytest.mark.rule("H3")
def test_h3_long_replay_lets_others_in(device_url: str) -> None:
    """The answer to a ResendRequest goes in batches; a message sent meanwhile follows it, and all arrives once."""
    count = 1000

    async def test() -> None:
        replayed: list[tag34.FixMessage] = []

        async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_message(reader)
            writer.write(message("A", 1, LOGON))
            for _ in range(count):
                await read_message(reader)
            writer.write(message("2", 2, [(7, 2), (16, 0)]))
            for _ in range(count + 1):
                replayed.append(await read_message(reader))
            await reader.read()

        async with raw_venue(ask) as port:
            events: list[Event] = []
            async with tag34.connect(
                "127.0.0.1", port, device=device_url, on_event=events.append, logout_timeout=0.01, **CALLER
            ) as session:
                for _ in range(count):
                    await session.send("D", {11: "x"})
                await until(lambda: session.session.replaying)
                assert await session.send("D", {11: "live"}) == count + 2
                assert len([event for event in events if isinstance(event, tag34.ReplayDone)]) == 1
        assert [int(found[34]) for found in replayed] == list(range(2, count + 3))
        assert [found.get(43) for found in replayed] == ["Y"] * count + [None]

    run(test())


@pytest.mark.rule("H4")
def test_h4_messages_on_the_way_do_not_hold_up_the_logout(device_url: str) -> None:
    """More than may wait for the application, which is gone: the answer to our Logout is behind them."""

    async def talkative(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(message("A", 1, LOGON))
        while (await read_message(reader))[35] != "5":
            pass
        for seq in range(2, 20):
            writer.write(message("8", seq))
            await writer.drain()
        writer.write(message("5", 20))
        await reader.read()

    async def test() -> None:
        store = tag34.MemoryStore()
        async with raw_venue(talkative) as port:
            async with tag34.connect("127.0.0.1", port, device=device_url, queue=1, store=store, **CALLER) as session:
                pass
        assert session.end_reason == "logged out"
        assert store.expected == 2  # nobody took them

    run(test())


@pytest.mark.rule("H3")
@MODEL_ONLY
def test_h3_replay_waits_for_a_peer_that_does_not_read(device_url: str) -> None:
    async def test() -> None:
        go_on = asyncio.Event()
        async with stuck(device_url, go_on) as session:
            assert session._transport is not None
            for _ in range(100):  # turns of the event loop, none of which may go on with the replay
                await asyncio.sleep(0)
            assert session._transport.get_write_buffer_size() < 300_000
            assert not session.session.replaying
            go_on.set()
            await until(lambda: not session.session._outbox.busy)

    run(test())


@pytest.mark.rule("H4")
@MODEL_ONLY
def test_h4_peer_that_does_not_read_our_logout(device_url: str) -> None:
    async def test() -> None:
        go_on = asyncio.Event()
        async with stuck(device_url, go_on, logout_timeout=0.05) as session:
            await session.close()
            assert session.end_reason == "Logout was not answered"
            go_on.set()

    with pytest.raises((AssertionError, asyncio.IncompleteReadError)):  # the venue does not get all that it asked for
        run(test())


def test_cancelled_application_leaves_no_connection(device_url: str) -> None:
    async def test() -> None:
        up = asyncio.Event()

        async def trade(port: int) -> None:
            async with tag34.connect("127.0.0.1", port, device=device_url, **CALLER) as session:
                up.set()
                await session.receive()

        async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            task = asyncio.ensure_future(trade(venue.port))
            await up.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: not venue.connections)

    run(test())


def test_error_in_a_callback_ends_the_connection(device_url: str) -> None:
    """It is reported by the event loop, and is the cause of what the application sees."""

    def fail(event: Event) -> None:
        if isinstance(event, Message):
            raise ZeroDivisionError

    async def test() -> None:
        async def trade(port: int) -> None:
            async with tag34.connect("127.0.0.1", port, device=device_url, on_event=fail, **CALLER) as session:
                await session.send("D", {11: "x"})
                await session.receive()  # it was delivered
                await session.receive()

        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        async with tag34.serve(echo, "127.0.0.1", 0, VENUE, device=device_url) as venue:
            with pytest.raises(tag34.SessionClosed) as closed:
                await trade(venue.port)
        assert isinstance(closed.value.__cause__, ZeroDivisionError)
        assert len(reported) == 1

    run(test())


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"settings": VENUE}, ValueError, "use serve"),
        ({"settings": VENUE, "sender": "X"}, TypeError, "not both"),
        ({**CALLER, "sendr": "X"}, TypeError, "sendr"),
        ({**CALLER, "queue": 0}, ValueError, "queue"),
        ({**CALLER, "device": "none:"}, tag34.DeviceError, "no device 'none:'"),
    ],
)
def test_mistakes_of_an_initiator(options: dict[str, Any], error: type[Exception], says: str) -> None:
    async def test() -> None:
        async with tag34.connect("127.0.0.1", 1, **options):
            pytest.fail("there is no session")

    with pytest.raises(error, match=says):
        run(test())
