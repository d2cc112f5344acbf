"""The same jobs in software. Each peer says what it does and what it leaves out; one that is not installed says so."""

from __future__ import annotations

import ctypes
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable
from importlib import metadata
from itertools import accumulate
from typing import Any

from ..verilator import BuildError
from . import native
from .streams import FIRST, PEER, Gap, Stream, logon

#: Where QuickFIX is told what to do: no dictionary, no clock to compare with, nothing on disk.
_SETTINGS = """\
[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort=1
NonStopSession=Y
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
CheckLatency=N
[SESSION]
BeginString={peer.begin_string}
SenderCompID={peer.target}
TargetCompID={peer.sender}
"""


class Missing(Exception):
    """A peer is not there; the text says what is missing."""


class Scan:
    """A peer that looks at bytes, without a session.

    Members: ``name``; ``does``: the job, and what it leaves out.
    """

    name = ""
    does = ""

    def prepare(self, stream: Stream) -> Callable[[], int]:
        """What is timed: called once, it does the job on the whole stream and returns the number of messages."""
        raise NotImplementedError


class PlainScan(Scan):
    """Plain Python."""

    name = "plain Python scan"
    does = "frames by BodyLength, checks the CheckSum, finds 34"

    def prepare(self, stream: Stream) -> Callable[[], int]:
        data = stream.data
        return lambda: len(plain_scan(data))


def plain_scan(data: bytes) -> list[tuple[int, int, int]]:
    """Offset, length and 34 (0: none) of each valid message in ``data``."""
    found, at = [], data.find(b"8=FIX")
    while at >= 0:
        length = 0
        nine = data.find(b"\x019=", at, at + 64)
        soh = data.find(b"\x01", nine + 3, nine + 14) if nine >= 0 else -1
        if soh >= 0 and data[nine + 3 : soh].isdigit():
            end = soh + 1 + int(data[nine + 3 : soh])
            trailer = data[end : end + 7]
            if trailer == b"10=%03d\x01" % (sum(data[at:end]) % 256):
                seq = data.find(b"\x0134=", soh, end)
                value = data[seq + 4 : data.find(b"\x01", seq + 4)] if seq >= 0 else b""
                length = end + 7 - at
                found.append((at, length, int(value) if value.isdigit() else 0))
        at = data.find(b"8=FIX", at + (length or 1))
    return found


class SimpleFix(Scan):
    """The package simplefix."""

    def __init__(self) -> None:
        try:
            import simplefix
        except ImportError as error:
            raise Missing(f"simplefix is not installed: {error}") from None
        self._parser: Any = simplefix.FixParser
        self.name = f"simplefix {metadata.version('simplefix')}"
        self.does = "splits into fields, finds 34; no CheckSum"

    def prepare(self, stream: Stream) -> Callable[[], int]:
        data = stream.data

        def work() -> int:
            parser, count = self._parser(), 0
            parser.append_buffer(data)
            while (message := parser.get_message()) is not None:
                message.get(34)
                count += 1
            return count

        return work


class CppScan(Scan):
    """The scanner in C++."""

    name = "C++ scanner, one core"
    does = "frames by BodyLength, checks the CheckSum, finds 34, in memory; no session"

    def __init__(self) -> None:
        try:
            self._library = native.scanner()
        except BuildError as error:
            raise Missing(str(error)) from None

    def prepare(self, stream: Stream) -> Callable[[], int]:
        data = stream.data
        return lambda: int(self._library.tag34_scan(data, len(data), None, 0))

    def messages(self, data: bytes) -> list[tuple[int, int, int]]:
        """As :func:`plain_scan`."""

        class Found(ctypes.Structure):
            _fields_ = (("length", ctypes.c_uint32), ("seq", ctypes.c_uint32), ("offset", ctypes.c_uint64))

        room = len(data) // 16 + 1
        found = (Found * room)()
        count = self._library.tag34_scan(data, len(data), found, room)
        return [(one.offset, one.length, one.seq) for one in found[:count]]


class Engine:
    """A peer with a session.

    Members: ``name``; ``does``: the job, and what it leaves out; ``timing``: what a latency is measured from and to.
    """

    name = ""
    does = ""
    timing = ""

    def prepare(self, stream: Stream) -> Callable[[], int]:
        """What is timed: called once, it does the job on the whole stream and returns the messages that the application
        got. Messages come one by one: whoever has a socket has framed them before."""
        raise NotImplementedError

    def latencies(self, gaps: Iterable[Gap]) -> list[float]:
        """Nanoseconds from a message that proves a gap, handed over, to the ResendRequest: one for each gap."""
        raise NotImplementedError


class QuickFixPython(Engine):
    """QuickFIX by its Python binding. There can be one of these in a process."""

    _alive: tuple[Any, ...] = ()

    def __init__(self) -> None:
        try:
            import quickfix
        except ImportError as error:
            raise Missing(f"QuickFIX's Python binding is not installed: {error}") from None
        package = metadata.packages_distributions().get("quickfix", ["quickfix"])[0]
        self.name = f"QuickFIX, Python binding ({package} {metadata.version(package)})"
        self.does = "a session without sockets; whole messages as str, no framing; memory store, no dictionary"
        self.timing = "from the call with the message to the call of toAdmin with the ResendRequest"
        self._now = quickfix.UtcTimeStamp()
        if not QuickFixPython._alive:
            QuickFixPython._alive = open_quickfix(quickfix)
        self._application, self._session = QuickFixPython._alive[:2]

    def prepare(self, stream: Stream) -> Callable[[], int]:
        messages = [message.decode("ascii") for message in stream.messages]
        application, session, now = self._application, self._session, self._now
        session.setNextTargetMsgSeqNum(FIRST)
        before = application.taken

        def work() -> int:
            for message in messages:
                session.next(message, now)
            return int(application.taken - before)

        return work

    def latencies(self, gaps: Iterable[Gap]) -> list[float]:
        session, now, application, found = self._session, self._now, self._application, []
        session.setNextTargetMsgSeqNum(FIRST)
        for gap in gaps:
            proof, missing, rest = (part.decode("ascii") for part in (gap.proof, gap.missing, gap.rest))
            started = time.thread_time_ns()
            session.next(proof, now)
            found.append(float(application.requested - started))
            assert application.requested > started
            session.next(missing, now)
            session.next(rest, now)
        return found


def open_quickfix(quickfix: Any) -> tuple[Any, ...]:
    """A session that is logged on, and what has to live as long as it does."""

    class Application(quickfix.Application):
        taken = 0
        requested = 0

        def toAdmin(self, message: Any, session: Any) -> None:
            self.requested = time.thread_time_ns()

        def fromApp(self, message: Any, session: Any) -> None:
            self.taken += 1

        def onCreate(self, session: Any) -> None: ...

        def onLogon(self, session: Any) -> None: ...

        def onLogout(self, session: Any) -> None: ...

        def toApp(self, message: Any, session: Any) -> None: ...

        def fromAdmin(self, message: Any, session: Any) -> None: ...

    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(_SETTINGS.format(peer=PEER))
        file.flush()
        settings = quickfix.SessionSettings(file.name)
    application, stores = Application(), quickfix.MemoryStoreFactory()
    acceptor = quickfix.SocketAcceptor(application, stores, settings)  # never started: nobody listens
    session = quickfix.Session.lookupSession(quickfix.SessionID(PEER.begin_string, PEER.target, PEER.sender))
    session.next(logon().decode("ascii"), quickfix.UtcTimeStamp())
    assert session.isLoggedOn()
    return application, session, acceptor, settings, stores


class QuickFixCpp(Engine):
    """QuickFIX's C++ library. There can be one of these in a process.

    Parameters: ``build``: compile it if that has not been done.
    """

    name = f"QuickFIX, C++ in process ({native.QUICKFIX.replace('==', ' ')})"
    does = "a session without sockets; whole messages, no framing; memory store, no dictionary"
    timing = "from the call with the message to the call of the responder with the ResendRequest"
    _handle: int | None = None

    def __init__(self, *, build: bool = False) -> None:
        try:
            self._library = native.quickfix(build=build)
        except BuildError as error:
            raise Missing(f"QuickFIX's C++ library is {error}") from None
        if QuickFixCpp._handle is None:
            settings = _SETTINGS.format(peer=PEER).encode("ascii")
            names = (name.encode("ascii") for name in (PEER.begin_string, PEER.target, PEER.sender))
            QuickFixCpp._handle = self._library.qf_new(settings, *names)
            self._run([logon()])

    def prepare(self, stream: Stream) -> Callable[[], int]:
        data, ends, count = stream.data, self._ends(stream.messages), len(stream.messages)
        self._library.qf_expect(self._handle, FIRST)
        before = self._run([])
        return lambda: int(self._library.qf_run(self._handle, data, ends, count)) - before

    def latencies(self, gaps: Iterable[Gap]) -> list[float]:
        self._library.qf_expect(self._handle, FIRST)
        found = []
        for gap in gaps:
            found.append(float(self._library.qf_gap(self._handle, gap.proof, len(gap.proof))))
            assert found[-1] >= 0
            self._run([gap.missing, gap.rest])
        return found

    def _run(self, messages: list[bytes]) -> int:
        return int(self._library.qf_run(self._handle, b"".join(messages), self._ends(messages), len(messages)))

    @staticmethod
    def _ends(messages: list[bytes]) -> Any:
        ends = array("I", accumulate(map(len, messages)))
        return (ctypes.c_uint32 * len(ends)).from_buffer(ends) if ends else None
