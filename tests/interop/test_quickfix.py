"""tag34 against the real QuickFIX engine, as initiator and as acceptor (H1 to H5, R11, R12)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

import tag34
from tag34 import Connection, Event, FixMessage, Message, RecoveryClosed, RecoveryOpened, ReplayDone, SessionSettings
from tests.host.bench import DEVICE_URLS, usable
from tests.interop.harness import QuickFix, Wire

pytest.importorskip("quickfix", reason="QuickFIX is not installed: it has no wheel for this Python")

#: A bound on what takes a second.
PATIENCE = 120.0
ROLES = ["initiator", "acceptor"]
VERSIONS = ["FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.4", "FIXT.1.1"]
REPORT = [(37, "x"), (17, "x"), (150, "0"), (39, "0"), (55, "X"), (54, "1"), (151, "0"), (14, "0"), (6, "0")]


@pytest.fixture(params=DEVICE_URLS)
def device_url(request: pytest.FixtureRequest) -> str:
    """The device that plays our part."""
    return usable(request.param)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, PATIENCE))


def lossless(message: FixMessage, outward: bool) -> bool:
    return False


class Events:
    """Our events: ``all`` so far, ``more`` is set with each."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self.more = asyncio.Event()

    def add(self, event: Event) -> None:
        """One more."""
        self.all.append(event)
        self.more.set()


class Pair:
    """Our end and QuickFIX's, logged on to each other."""

    def __init__(self, us: Connection, quickfix: QuickFix, wire: Wire, events: Events) -> None:
        self.us = us
        self.quickfix = quickfix
        self.wire = wire
        self.events = events

    def of(self, kind: type[Event]) -> list[Any]:
        """Our events of one kind so far."""
        return [event for event in self.events.all if isinstance(event, kind)]

    async def happens(self, kind: type[Event]) -> None:
        """Wait until there is an event of this kind."""
        while not self.of(kind):
            self.events.more.clear()
            await self.events.more.wait()


@contextlib.asynccontextmanager
async def pair(
    device: str,
    role: str,
    begin_string: str = "FIX.4.4",
    *,
    lose: Callable[[FixMessage, bool], bool] = lossless,
    theirs: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[Pair]:
    """Log on.

    ``role`` is ours; ``lose`` as in :class:`Wire`, its flag is True for what we send; ``theirs`` are settings of
    QuickFIX.
    """
    if begin_string == "FIXT.1.1":
        options["default_appl_ver"] = "9"
        theirs = (*theirs, "DefaultApplVerID=9")
    settings = SessionSettings(begin_string, "TAG34", "QUICKFIX", initiator=role == "initiator", **options)
    events = Events()
    if role == "initiator":
        async with QuickFix("acceptor", begin_string, 0, *theirs) as quickfix, Wire(quickfix.port, lose) as wire:
            async with tag34.connect("127.0.0.1", wire.port, settings, device=device, on_event=events.add) as us:
                await quickfix.wait("logon")
                yield Pair(us, quickfix, wire, events)
        return
    accepted: asyncio.Queue[Connection] = asyncio.Queue()
    over = asyncio.Event()

    async def handler(connection: Connection) -> None:
        accepted.put_nowait(connection)
        await over.wait()

    async with tag34.serve(
        handler, "127.0.0.1", 0, settings, device=device, on_event=lambda _, event: events.add(event)
    ) as server:
        async with Wire(server.port, lambda message, outward: lose(message, not outward)) as wire:
            async with QuickFix("initiator", begin_string, wire.port, "HeartBtInt=30", *theirs) as quickfix:
                us = await accepted.get()
                await quickfix.wait("logon")
                try:
                    yield Pair(us, quickfix, wire, events)
                    await us.close()
                finally:
                    over.set()


async def chat(ends: Pair, count: int) -> None:
    """``count`` orders out, ``count`` reports in, all of them there, once and in order."""
    for index in range(count):
        await ends.us.send("D", {11: f"order {index}", 55: "X", 54: 1, 38: 100, 40: 1, 21: 1, 60: "20240229-12:00:00"})
        ends.quickfix.send("8", [(11, f"report {index}"), *REPORT])
    for index in range(count):
        assert (await ends.us.receive())[11] == f"report {index}"
    for index in range(count):
        assert (await ends.quickfix.wait("app"))["message"][11] == f"order {index}"


@pytest.mark.rule("H1", "H4")
@pytest.mark.parametrize("begin_string", VERSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_h1_h4_logon_messages_both_ways_logout(device_url: str, role: str, begin_string: str) -> None:
    async def test() -> None:
        async with pair(device_url, role, begin_string) as ends:
            await chat(ends, 5)
            await ends.us.close("good night")
            logout = await ends.quickfix.wait("admin", "5")
            assert logout["message"][58] == "good night"
            assert ends.us.end_reason == "logged out"
            assert not ends.of(RecoveryOpened)

    run(test())


@pytest.mark.rule("H4")
@pytest.mark.parametrize("role", ROLES)
def test_h4_quickfix_logs_out(device_url: str, role: str) -> None:
    async def test() -> None:
        async with pair(device_url, role) as ends:
            ends.quickfix.do("logout")
            assert [message async for message in ends.us] == []
            assert ends.us.end_reason == "logged out by the peer"

    run(test())


def losing(*ordinals: int) -> Callable[[FixMessage], bool]:
    """Lose the first sending of these of a side's orders or reports, counted from 0.

    Nothing else: QuickFIX does not ask twice, a ResendRequest of its own that is lost is lost for ever.
    """
    count = iter(range(1_000_000))
    return lambda message: message[35] in "D8" and message.get(43) != "Y" and next(count) in ordinals


@pytest.mark.rule("R11", "R12")
@pytest.mark.parametrize("begin_string", VERSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_r11_r12_what_quickfix_sent_in_vain_is_recovered(device_url: str, role: str, begin_string: str) -> None:
    async def test() -> None:
        lost = losing(1, 2, 6)
        async with pair(device_url, role, begin_string, lose=lambda m, ours: not ours and lost(m)) as ends:
            await chat(ends, 10)
            assert len(ends.wire.lost) == 3
            assert ends.of(RecoveryOpened)
            assert ends.of(RecoveryClosed)

    run(test())


@pytest.mark.rule("H3")
@pytest.mark.parametrize("begin_string", VERSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_h3_quickfix_asks_for_what_it_missed(device_url: str, role: str, begin_string: str) -> None:
    async def test() -> None:
        lost = losing(1, 2, 6)
        async with pair(device_url, role, begin_string, lose=lambda m, ours: ours and lost(m)) as ends:
            await chat(ends, 10)
            assert len(ends.wire.lost) == 3
            assert ends.of(ReplayDone)

    run(test())


@pytest.mark.rule("R10d", "H3")
@pytest.mark.parametrize("role", ROLES)
def test_h3_both_miss_something_at_once(device_url: str, role: str) -> None:
    """R10d: two ResendRequests, each above a gap of its own."""

    async def test() -> None:
        lost = {True: losing(1, 2, 4), False: losing(0, 1, 5)}
        async with pair(device_url, role, lose=lambda m, ours: lost[ours](m)) as ends:
            await chat(ends, 10)
            assert len(ends.wire.lost) == 6
            assert ends.of(ReplayDone)
            assert ends.of(RecoveryClosed)

    run(test())


@pytest.mark.rule("R7")
@pytest.mark.parametrize("role", ROLES)
def test_r7_quickfix_fills_numbers_that_it_never_used(device_url: str, role: str) -> None:
    async def test() -> None:
        async with pair(device_url, role) as ends:
            ends.quickfix.do("skip", count=5)
            # Its store finds nothing from a number it does not have, and fills over what it just sent: not a report.
            ends.quickfix.send("1", [(112, "x")])
            await ends.happens(RecoveryClosed)
            await chat(ends, 2)
            assert [(event.begin, event.end) for event in ends.of(RecoveryOpened)] == [(2, 0)]

    run(test())


@pytest.mark.rule("H2")
@pytest.mark.parametrize("role", ROLES)
def test_h2_test_requests(device_url: str, role: str) -> None:
    """QuickFIX asks us; and when its heartbeats get lost, we ask it."""

    async def test() -> None:
        def silent(message: FixMessage, ours: bool) -> bool:
            return not ours and message[35] == "0" and 112 not in message

        theirs = ("HeartBtInt=1",) if role == "acceptor" else ()
        async with pair(device_url, role, lose=silent, heartbeat=1, theirs=theirs) as ends:
            ends.quickfix.send("1", [(112, "are you there?")])
            while (answer := await ends.quickfix.wait("admin", "0"))["message"].get(112) != "are you there?":
                pass
            assert answer["message"][35] == "0"
            asked = await ends.quickfix.wait("admin", "1")
            assert asked["message"][112]
            await chat(ends, 3)
            assert not ends.us.closed

    run(test())


@pytest.mark.rule("H1")
def test_h1_reset_of_an_initiator(device_url: str) -> None:
    """QuickFIX expects 8 and would have sent 7; both begin anew."""

    async def test() -> None:
        async with QuickFix("acceptor", "FIX.4.4") as quickfix:
            for reset, sent in ((False, 2), (True, 2)):
                async with tag34.connect(
                    "127.0.0.1",
                    quickfix.port,
                    begin_string="FIX.4.4",
                    sender="TAG34",
                    target="QUICKFIX",
                    reset=reset,
                    device=device_url,
                ) as us:
                    await quickfix.wait("logon")
                    assert us.logon is not None
                    assert us.logon.reset is reset
                    assert await us.send("D", {11: "x"}) == sent
                    await quickfix.wait("app")
                await quickfix.wait("logout")

    run(test())


@pytest.mark.rule("H1")
def test_h1_quickfix_resets(device_url: str) -> None:
    async def test() -> None:
        async with pair(device_url, "acceptor", theirs=("ResetOnLogon=Y",)) as ends:
            assert ends.us.logon is not None
            assert ends.us.logon.reset
            await chat(ends, 3)

    run(test())


@pytest.mark.rule("H1")
def test_h1_next_expected(device_url: str) -> None:
    async def test() -> None:
        async with pair(device_url, "initiator", next_expected=True, theirs=("SendNextExpectedMsgSeqNum=Y",)) as ends:
            await chat(ends, 3)

    run(test())


@pytest.mark.rule("R15")
def test_r15_what_was_not_taken_is_recovered_on_the_next_connection(device_url: str) -> None:
    """The application stops in the middle: what it did not take comes again, marked as possibly seen."""

    async def test() -> None:
        store = tag34.MemoryStore()
        async with QuickFix("acceptor", "FIX.4.4") as quickfix:
            received: list[Message] = []
            for _ in range(2):
                async with tag34.connect(
                    "127.0.0.1",
                    quickfix.port,
                    begin_string="FIX.4.4",
                    sender="TAG34",
                    target="QUICKFIX",
                    store=store,
                    device=device_url,
                ) as us:
                    await quickfix.wait("logon")
                    if not received:
                        for index in range(5):
                            quickfix.send("8", [(11, str(index)), *REPORT])
                    received += [await us.receive() for _ in range(5 - len(received) if received else 2)]
                await quickfix.wait("logout")
        assert [message[11] for message in received] == ["0", "1", "2", "3", "4"]
        assert [message.possdup for message in received] == [False, False, True, True, True]

    run(test())
