"""A relay between two FIX engines on loopback that loses, garbles, delays and doubles whole messages, by seed.

TCP itself does none of this: the relay stands for what happens to messages on the way into a connection, and it damages
only what the FIX session layer can mend. It works on the messages from the counterparty to the initiator that connects
to it; the other direction passes untouched, as do messages of the session layer (Logon, Heartbeat, ...).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from enum import Enum

from .golden.framing import FrameKind, Framer

#: MsgTypes of the session layer.
_SESSION_TYPES = (b"0", b"1", b"2", b"3", b"4", b"5", b"A")
#: Most messages lost or garbled in one place, and most messages that a delayed one lets pass.
_MAX_RUN = 3
_MAX_DELAY = 6
#: Messages at the end of the stream that arrive untouched: what is lost there would show with the next Heartbeat only.
_TAIL = 2
#: Longest message that the relay takes in, in bytes.
_MAX_MESSAGE = 1 << 20


class RelayError(Exception):
    """The counterparty sent something that the relay cannot take for FIX, or cannot be reached."""


class Fault(Enum):
    """What is done to new messages in one place. Each is a gap for the receiver."""

    DROP = "drop"
    GARBLE = "garble"
    DELAY = "delay"


@dataclass(frozen=True)
class Place:
    """``fault`` befalls ``length`` messages in a row; DELAY lets one message wait until ``length`` others have passed.

    ``double``: the next message comes twice.
    """

    fault: Fault
    length: int
    double: bool


@dataclass
class Tally:
    """New application messages, places where they were damaged; then what was done, to replayed messages as well."""

    messages: int = 0
    gaps: int = 0
    dropped: int = 0
    garbled: int = 0
    delayed: int = 0
    doubled: int = 0


def plan(messages: int, gaps: int, rng: random.Random) -> dict[int, Place]:
    """``gaps`` places in a stream of ``messages`` new messages: the index of the first message -> what befalls it.

    The places are spread evenly and never touch: at least one whole message follows each. Raises ValueError, with the
    largest number that is possible, if there are too many of them.
    """
    largest = max(0, (messages - _TAIL) // 2)
    if not 0 <= gaps <= largest:
        raise ValueError(f"gaps must be 0 to {largest} for {messages} messages, not {gaps}")
    places: dict[int, Place] = {}
    for number in range(gaps):
        start = (messages - _TAIL) * number // gaps
        stride = (messages - _TAIL) * (number + 1) // gaps - start
        fault = rng.choice((Fault.DROP, Fault.DROP, Fault.GARBLE, Fault.DELAY))
        length = rng.randint(1, min(stride - 1, _MAX_DELAY if fault is Fault.DELAY else _MAX_RUN))
        index = start + rng.randint(0, stride - 1 - length)
        places[index] = Place(fault, length, rng.random() < 0.3)
    return places


def garble(message: bytes, rng: random.Random) -> bytes:
    """``message`` with one byte changed between its BodyLength and its trailer: its end is found, and it is garbled."""
    start = message.index(b"\x0135=") + 1
    at = rng.randrange(start, len(message) - len(b"10=000\x01"))
    other = bytes([message[at] ^ rng.randrange(1, 256)])
    return message[:at] + other + message[at + 1 :]


@dataclass
class _Delayed:
    """A message that waits: it goes when ``left`` others have passed. ``overtaken``: one has."""

    seq: int
    message: bytes
    left: int
    overtaken: bool = False


class Faults:
    """What the relay does, without its sockets: messages in, messages out.

    Everything is decided by ``seed``, by a message's place among the new messages and, for replayed ones, by its number
    and by how often it was replayed; only what the receiver must not see is avoided as it comes. A delayed message
    behind its replay, or a doubled one without an open gap below it, would have a number too low (R9b).

    Parameters:
        messages: new application messages that will come.
        gaps: places in which they are damaged.
        seed: decides the rest.
        replay_faults: probability of each of these: a replayed application message is lost, garbled, doubled.

    Members: ``tally``. Raises ValueError if there are too many gaps for the messages.
    """

    def __init__(self, messages: int, gaps: int, seed: int, replay_faults: float = 0.01) -> None:
        self.tally = Tally()
        self._seed = seed
        self._rng = random.Random(seed)
        self._places = plan(messages, gaps, self._rng)
        self._replay_faults = replay_faults
        self._victims = 0  # messages still to be damaged in this place
        self._place: Place | None = None
        self._double = False
        self._delayed: _Delayed | None = None
        self._replays: Counter[int] = Counter()
        # Which numbers have passed: the receiver expects at most the lowest one that has not.
        self._missing = 1
        self._passed: set[int] = set()

    def feed(self, message: bytes) -> list[bytes]:
        """What to pass on when ``message`` comes: any number of messages. Raises RelayError if it has no number."""
        fields = {tag: value for tag, _, value in (part.partition(b"=") for part in reversed(message.split(b"\x01")))}
        try:
            seq, msg_type = int(fields[b"34"]), fields[b"35"]
            following = int(fields[b"36"]) if msg_type == b"4" else seq + 1
        except (KeyError, ValueError) as error:
            raise RelayError(f"a message without its numbers: {message!r}") from error
        if fields.get(b"43") == b"Y" or msg_type == b"4":
            out = self._release()
            if msg_type not in _SESSION_TYPES:
                return out + self._replayed(seq, message)
            self._mark(range(seq, following))
            return [*out, message]
        return self._pass(seq, message) if msg_type in _SESSION_TYPES else self._new(seq, message)

    def _new(self, seq: int, message: bytes) -> list[bytes]:
        place = self._places.get(self.tally.messages)
        self.tally.messages += 1
        if place is not None:
            self.tally.gaps += 1
            self._place, self._double = place, place.double
            self._victims = 1 if place.fault is Fault.DELAY else place.length
        if self._place is not None and self._victims:
            self._victims -= 1
            if self._place.fault is Fault.DELAY:
                self._delayed = _Delayed(seq, message, self._place.length)
                return []
            return self._damage(self._place.fault, message, self._rng)
        out = self._pass(seq, message)
        if self._double and self._missing < seq:
            self.tally.doubled += 1
            out.insert(0, message)
        self._double = False
        return out

    def _replayed(self, seq: int, message: bytes) -> list[bytes]:
        self._replays[seq] += 1
        rng = random.Random(f"{self._seed} {seq} {self._replays[seq]}")
        dice = rng.random() / self._replay_faults if self._replay_faults else 3.0
        if dice < 2:
            return self._damage(Fault.DROP if dice < 1 else Fault.GARBLE, message, rng)
        self._mark(range(seq, seq + 1))
        if dice < 3:
            self.tally.doubled += 1
            return [message, message]  # 43=Y makes the second one a duplicate whatever is expected by now (R9a, R10a)
        return [message]

    def _damage(self, fault: Fault, message: bytes, rng: random.Random) -> list[bytes]:
        if fault is Fault.DROP:
            self.tally.dropped += 1
            return []
        self.tally.garbled += 1
        return [garble(message, rng)]

    def _pass(self, seq: int, message: bytes) -> list[bytes]:
        self._mark(range(seq, seq + 1))
        if self._delayed is None:
            return [message]
        self._delayed.overtaken = True
        self._delayed.left -= 1
        return [message] if self._delayed.left else [message, *self._release()]

    def _release(self) -> list[bytes]:
        """The delayed message: the last moment for it is before a replay."""
        delayed, self._delayed = self._delayed, None
        if delayed is None:
            return []
        if not delayed.overtaken:  # nobody would notice that it was late
            self.tally.dropped += 1
            return []
        self.tally.delayed += 1
        self._mark(range(delayed.seq, delayed.seq + 1))
        return [delayed.message]

    def _mark(self, numbers: range) -> None:
        self._passed.update(number for number in numbers if number >= self._missing)
        while self._missing in self._passed:
            self._passed.remove(self._missing)
            self._missing += 1


class Relay:
    """Accepts one connection after the other on loopback and joins each with one to the counterparty.

    Parameters: ``port`` of the counterparty on loopback, ``faults``.

    Members: ``port``, where it listens, as soon as it is entered (``async with``); ``failure``, why a connection ended
    if it was not that one side closed it.
    """

    def __init__(self, port: int, faults: Faults) -> None:
        self._target = port
        self._faults = faults
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self.failure: Exception | None = None

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            ways = [asyncio.ensure_future(way) for way in (_copy(reader, back), self._damage(there, writer))]
            try:
                await asyncio.gather(*ways)
            finally:
                for way in ways:
                    way.cancel()
                back.close()
        except (OSError, RelayError) as error:
            self.failure = error
        except asyncio.CancelledError:
            pass  # the relay is being closed; asyncio would report a handler that ends so
        finally:
            writer.close()

    async def _damage(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer(_MAX_MESSAGE)
        while data := await reader.read(65536):
            for frame in framer.feed(data):
                if frame.kind is not FrameKind.VALID:
                    raise RelayError(f"a message at byte {frame.offset} of the counterparty is {frame.kind.value}")
                writer.writelines(self._faults.feed(frame.raw))
            await writer.drain()
        writer.write_eof()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
