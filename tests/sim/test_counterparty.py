"""The counterparties: each a FIX acceptor in a process of its own, which never outlives us."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tag34 import FixMessage
from tag34_sim.counterparty import PEER, Counterparty, CounterpartyError, execution_report
from tag34_sim.golden.framing import Framer
from tag34_sim.messages import Field, encode, frame

SECONDS = 60
KINDS = [
    "builtin",
    pytest.param(
        "quickfix",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("quickfix") is None, reason="there is no wheel of QuickFIX for this Python"
        ),
    ),
]


class Client:
    """A connection to a counterparty: we write what we want, it is a FIX engine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framer = Framer(4096)
        self._received: list[FixMessage] = []
        self._seq = 0

    def say(self, msg_type: str, *fields: Field, seq: int | None = None) -> None:
        self._seq = self._seq + 1 if seq is None else seq
        now = datetime.now(timezone.utc).strftime("%Y%m%d-%H:%M:%S")
        head: list[Field] = [(35, msg_type), (49, PEER.target), (56, PEER.sender), (34, self._seq), (52, now)]
        self._writer.write(frame(encode([*head, *fields]), begin_string=PEER.begin_string))

    async def hear(self) -> FixMessage:
        """The next message of the counterparty."""
        while not self._received:
            data = await asyncio.wait_for(self._reader.read(65536), SECONDS)
            assert data, "the counterparty closed the connection"
            self._received = [FixMessage(found.raw) for found in self._framer.feed(data)]
        return self._received.pop(0)

    async def hear_nothing_more(self) -> None:
        assert not self._received
        assert await asyncio.wait_for(self._reader.read(-1), SECONDS) == b""


@asynccontextmanager
async def connected(venue: Counterparty) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", venue.hello.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


Talk = Callable[[Counterparty, Client], Awaitable[None]]


def converse(kind: str, talk: Talk) -> int:
    """Start a counterparty, log on, talk, and return its exit status."""

    async def conversation() -> int:
        async with Counterparty(kind, seed=5) as venue, connected(venue) as client:
            client.say("A", (98, 0), (108, 30))
            logon = await client.hear()
            assert (logon[35], logon[34], logon[49], logon[56], logon[108]) == ("A", "1", "VENUE", "TAG34", "30")
            await talk(venue, client)
            return await asyncio.wait_for(venue.ended(), SECONDS)

    return asyncio.run(conversation())


@pytest.mark.parametrize("kind", KINDS)
def test_reports_and_logout(kind: str) -> None:
    async def talk(venue: Counterparty, client: Client) -> None:
        for first, credit in ((1, 3), (4, 5)):
            venue.credit(credit)
            for index in range(first, credit + 1):
                report = await client.hear()
                assert (report[35], report[34], report[17]) == ("8", str(index + 1), str(index))
                for tag, value in execution_report(index, 5):
                    assert report[tag] == value
        venue.credit(5)  # nothing new: the next thing heard is the Logout
        venue.logout()
        assert (await client.hear())[35] == "5"
        client.say("5")
        await client.hear_nothing_more()

    assert converse(kind, talk) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("begin", "end", "indexes"), [(1, 0, [1, 2, 3]), (3, 3, [2]), (4, 0, [3]), (2, 99, [1, 2, 3])])
def test_resend(kind: str, begin: int, end: int, indexes: list[int]) -> None:
    async def talk(venue: Counterparty, client: Client) -> None:
        venue.credit(3)
        sent = {report[17]: report for report in [await client.hear() for _ in range(3)]}
        client.say("2", (7, begin), (16, end))
        if begin == 1:
            gap_fill = await client.hear()
            assert (gap_fill[35], gap_fill[34], gap_fill[43], gap_fill[123], gap_fill[36]) == ("4", "1", "Y", "Y", "2")
        for index in indexes:
            report, first = await client.hear(), sent[str(index)]
            assert (report[17], report[34], report[43], report[122]) == (first[17], first[34], "Y", first[52])
        client.say("1", (112, "still there?"))
        answer = await client.hear()
        assert (answer[35], answer[34], answer[112]) == ("0", "5", "still there?")
        client.say("5")
        assert (await client.hear())[35] == "5"
        venue.logout()

    assert converse(kind, talk) == 0


def test_heartbeat_of_the_builtin_one() -> None:
    async def conversation() -> None:
        async with Counterparty("builtin", seed=5) as venue, connected(venue) as client:
            client.say("A", (98, 0), (108, 1))
            assert [(await client.hear())[35] for _ in range(2)] == ["A", "0"]

    asyncio.run(conversation())


def test_builtin_one_does_not_take_what_is_out_of_order() -> None:
    async def talk(venue: Counterparty, client: Client) -> None:
        client.say("0", seq=5)
        logout = await client.hear()
        assert (logout[35], logout[58]) == ("5", "MsgSeqNum: expecting 2")
        await client.hear_nothing_more()
        venue.credit(1)

    assert converse("builtin", talk) == 1


def test_reports_depend_on_index_and_seed_alone() -> None:
    assert execution_report(3, 1) == execution_report(3, 1)
    assert execution_report(3, 1) != execution_report(3, 2)
    assert dict(execution_report(3, 1))[17] == "3"


def test_kind_says_what_it_is() -> None:
    async def hello(kind: str) -> str:
        async with Counterparty(kind, seed=1) as venue:
            return venue.hello.kind

    assert asyncio.run(hello("builtin")) == "builtin"
    expected = "builtin" if importlib.util.find_spec("quickfix") is None else "quickfix"
    assert asyncio.run(hello("auto")) == expected


@pytest.fixture
def no_quickfix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A QuickFIX that cannot be imported, in the child's eyes too."""
    (tmp_path / "quickfix.py").write_text("raise ImportError('not for this machine')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))))


@pytest.mark.usefixtures("no_quickfix")
def test_builtin_one_takes_the_place_of_quickfix() -> None:
    async def conversation() -> None:
        async with Counterparty("auto", seed=1) as venue:
            assert venue.hello.kind == "builtin"
            assert venue.hello.note == "QuickFIX cannot be imported: not for this machine"

    asyncio.run(conversation())


@pytest.mark.usefixtures("no_quickfix")
def test_quickfix_that_is_asked_for_and_not_there() -> None:
    async def conversation() -> None:
        async with Counterparty("quickfix", seed=1):
            pass

    with pytest.raises(CounterpartyError, match="does not start: not for this machine"):
        asyncio.run(conversation())


def test_process_that_says_nothing_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    async def conversation(command: list[str]) -> None:
        venue = Counterparty("builtin", seed=1)
        monkeypatch.setattr(venue, "_command", command)
        async with venue:
            pass

    for command in (["true"], ["echo", "Usage: echo"]):
        with pytest.raises(CounterpartyError, match="does not start"):
            asyncio.run(conversation(command))


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_outlive_its_parent(kind: str) -> None:
    parent = (
        "import asyncio, sys\n"
        "from tag34_sim.counterparty import Counterparty\n"
        "async def main():\n"
        f"    async with Counterparty({kind!r}, seed=1):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGKILL)
        # Parent and child share standard error: it ends when both have.
        assert process.stderr.read() == b""
