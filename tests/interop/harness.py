"""Both ends of an interop test: QuickFIX's process as seen from the test, and a wire that loses what it is told to."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tag34 import FixMessage

SCRIPT = Path(__file__).parent / "quickfix_peer.py"
WHOLE_MESSAGE = re.compile(rb"8=FIX.*?\x0110=\d{3}\x01", re.DOTALL)


class QuickFix:
    """QuickFIX in a process of its own (``async with``).

    Parameters: ``role`` (acceptor or initiator), ``begin_string``, ``port`` to connect to (an acceptor finds its
    own), ``settings`` of QuickFIX.
    """

    def __init__(self, role: str, begin_string: str, port: int = 0, *settings: str) -> None:
        self._command = [sys.executable, str(SCRIPT), role, begin_string, str(port), *settings]
        self.port = 0
        self.events: list[dict[str, Any]] = []  # all so far
        self._early: list[dict[str, Any]] = []  # from before it was ready: an initiator may be logged on by then

    async def __aenter__(self) -> QuickFix:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        self.port = (await self.wait("ready"))["port"]
        self._early = self.events[:-1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    def do(self, what: str, **more: object) -> None:
        """Give a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")

    def send(self, msg_type: str, fields: list[tuple[int, str]]) -> None:
        """Let QuickFIX send a message."""
        self.do("send", type=msg_type, fields=fields)

    async def wait(self, event: str, msg_type: str | None = None) -> dict[str, Any]:
        """The next event of a kind (and message type), its message as ``message``; what comes before is noted only."""
        assert self._process.stdout is not None
        while True:
            if self._early:
                found = self._early.pop(0)
            else:
                line = await self._process.stdout.readline()
                assert line, f"QuickFIX has ended, waiting for {event} {msg_type}; it said {self.events}"
                found = json.loads(line)
                if "raw" in found:
                    found["message"] = FixMessage(found["raw"].encode("latin-1"))
                self.events.append(found)
            if found["event"] == event and (msg_type is None or found["message"][35] == msg_type):
                return dict(found)


class Wire:
    """A TCP relay (``async with``) to ``port`` that loses whole messages.

    Parameters: ``lose``, called with each message and True if it comes from the side that connected; True: it is lost.
    """

    def __init__(self, port: int, lose: Callable[[FixMessage, bool], bool]) -> None:
        self._target = port
        self._lose = lose
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.lost: list[FixMessage] = []

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._tasks.add(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(self._pump(reader, far_writer, True), self._pump(far_reader, writer, False))
        except ConnectionError:
            pass  # one side cut the connection: both are closed
        finally:
            writer.close()
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, outward: bool) -> None:
        pending = b""
        while data := await reader.read(65536):
            pending += data
            end = 0
            for match in WHOLE_MESSAGE.finditer(pending):
                end = match.end()
                message = FixMessage(match[0])
                if self._lose(message, outward):
                    self.lost.append(message)
                else:
                    writer.write(match[0])
            pending = pending[end:]
        writer.close()
