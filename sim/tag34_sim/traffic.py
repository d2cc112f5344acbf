"""Seeded random traffic: what a counterparty on a bad line may send, and whole scenarios of it for any device.

Everything is decided by the ``random.Random`` that is given: the same seed makes the same traffic, whatever the
device answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tag34.contract import MAX_SEQ, Phase, Policy
from tag34.device import Device, DeviceError, Record, SessionState

from .messages import Peer, encode
from .peer_traffic import HALTING_MIX, MIX, Traffic

__all__ = ["HALTING_MIX", "MIX", "Operation", "Traffic", "perform", "run", "scenario"]

#: When scenarios begin, in nanoseconds since 1970: 2024-02-29 23:59:59, the day changes soon.
START_NS = 1_709_251_199_000_000_000
_MS = 1_000_000
_DOWN = (Phase.CLOSED, Phase.HALTED)


@dataclass(frozen=True)
class Operation:
    """One call of a method of :class:`~tag34.device.Device`: its name and its arguments by name."""

    verb: str
    arguments: dict[str, Any]


def perform(device: Device, operation: Operation) -> str:
    """Carry out one operation; why the device refused it, empty if it did not."""
    try:
        getattr(device, operation.verb)(**operation.arguments)
    except (DeviceError, ValueError) as error:
        return refusal(error)
    return ""


def refusal(error: Exception) -> str:
    """Why a device refused something, as a text that says which kind of error it was."""
    return f"{type(error).__name__}: {error}"


def run(device: Device, operations: Iterable[Operation]) -> list[Record]:
    """Carry out the operations; all records, in order."""
    records: list[Record] = []
    for operation in operations:
        perform(device, operation)
        records += device.poll()
    return records


def scenario(
    rng: random.Random,
    *,
    messages: int,
    sessions: int = 1,
    window: int = 64,
    max_message: int = 4096,
    mix: dict[str, float] | None = None,
    peers: Sequence[Peer] | None = None,
    watch: Callable[[int], SessionState] | None = None,
) -> Iterator[Operation]:
    """A device's life: sessions of random configuration and traffic, cut at random and interleaved (R17), with all
    that a host does.

    Parameters:
        messages: pieces of traffic, over all sessions.
        sessions, window, max_message: of the device.
        mix: kinds of traffic, :data:`MIX` and :data:`HALTING_MIX` if None.
        peers: one per session; None: FIX.4.4, each with a CompID of its own.
        watch: tells a session's state, so that host and peers can act on it: a host connects anew when a session has
            come to a halt, a peer replays from the number expected. It has to be that of the golden model after
            the operations so far, or the same seed would not make the same scenario. None: they guess.
    """
    peers = peers or [Peer(sender=f"PEER{index}") for index in range(sessions)]
    return _Life(rng, peers, window, max_message, mix, watch).operations(messages)


class _Life:
    """What :func:`scenario` makes. ``waiting`` has each connection's bytes that are still on their way."""

    def __init__(
        self,
        rng: random.Random,
        peers: Sequence[Peer],
        window: int,
        max_message: int,
        mix: dict[str, float] | None,
        watch: Callable[[int], SessionState] | None,
    ) -> None:
        self.rng = rng
        self.window = window
        self.watch = watch
        self.now = START_NS
        self.waiting = [b""] * len(peers)
        # Time passes for all sessions at once: the more there are, the less often, or there is nothing but timeouts.
        time = 4 / (3 + len(peers))
        #: What a host does beside connecting, and how often.
        self.acts: dict[Callable[[int], Iterator[Operation]], float] = {
            self.allow: 2,
            self.disconnect: 1,
            self.time: 5 * time,
            self.timeouts: 0.5 * time,
            self.send: 4,
            self.outbound: 0.7,
            self.inbound: 0.5,
        }
        self.traffics = [
            Traffic(
                rng,
                peer,
                mix=mix,
                window=window,
                max_message=max_message,
                expected=None if watch is None else partial(self._expected, watch, index),
            )
            for index, peer in enumerate(peers)
        ]

    @staticmethod
    def _expected(watch: Callable[[int], SessionState], index: int) -> int:
        return watch(index).expected

    def operations(self, messages: int) -> Iterator[Operation]:
        """Everything, from the first connections to the last bytes."""
        rng, everybody = self.rng, range(len(self.waiting))
        yield Operation("advance", {"utc_ns": self.now})
        for index in everybody:
            yield from self.connection(index)
        #: Ways to deliver, how often each is taken, and for how many pieces of traffic at most.
        ways = {
            self.pieces: (4, 40),
            self.whole: (4, 40),
            self.borders: (1, 10),
            self.gathered: (2, 40),
            self.crumbs: (1, 4),
        }
        while messages > 0:
            (way,) = rng.choices(list(ways), [weight for weight, _ in ways.values()])
            busy = rng.sample(everybody, min(len(everybody), rng.choice((1, 2, 3, 8, len(everybody)))))
            for _ in range(min(messages, rng.randint(1, ways[way][1]))):
                messages -= 1
                index = rng.choice(busy)
                self.waiting[index] += self.traffics[index].next()
                yield from way(index, busy)
                yield from self.host(index)
            for index in busy:
                if self.waiting[index] and rng.random() < 0.5:
                    yield self.deliver(index)
        for index in everybody:
            yield self.deliver(index)

    # Ways to deliver what waits: chunk borders carry no meaning (F1), sessions change at any of them (R17).

    def deliver(self, index: int, size: int | None = None) -> Operation:
        """The next ``size`` bytes of a connection; None: all that wait."""
        data = self.waiting[index]
        size = len(data) if size is None else size
        self.waiting[index] = data[size:]
        return Operation("receive", {"session": index, "data": data[:size]})

    def whole(self, index: int, busy: Sequence[int]) -> Iterator[Operation]:
        """All at once."""
        yield self.deliver(index)

    def pieces(self, index: int, busy: Sequence[int]) -> Iterator[Operation]:
        """Cut anywhere."""
        length = len(self.waiting[index])
        yield self.deliver(index, self.rng.choice((0, 1, 7, 60, length, length)))

    def borders(self, index: int, busy: Sequence[int]) -> Iterator[Operation]:
        """Cut where fields begin and end and inside the trailer, and another session's bytes in between."""
        rng = self.rng
        for _ in range(rng.randint(1, 8)):
            index = rng.choice((index, rng.choice(busy)))
            data = self.waiting[index]
            mark = data.find(rng.choice((b"\x01", b"=", b"\x0110=", b"8=FIX", b"\x0134=")), rng.randint(0, len(data)))
            yield self.deliver(index, len(data) if mark < 0 else max(0, mark + rng.randint(-1, 8)))

    def gathered(self, index: int, busy: Sequence[int]) -> Iterator[Operation]:
        """Many messages in a row."""
        if len(self.waiting[index]) > 2000:
            yield self.deliver(index)

    def crumbs(self, index: int, busy: Sequence[int]) -> Iterator[Operation]:
        """A few bytes of one, a few bytes of another."""
        for _ in range(50):
            waiting = [session for session in busy if self.waiting[session]]
            if not waiting:
                break
            yield self.deliver(self.rng.choice(waiting), self.rng.choice((1, 1, 1, 2, 3, 9)))

    # What a host does.

    def host(self, index: int) -> Iterator[Operation]:
        """Now and then something, after a piece of traffic of session ``index``."""
        rng, traffic = self.rng, self.traffics[index]
        down = self.watch is not None and self.watch(index).phase in _DOWN
        chance = rng.random()
        if chance < 0.02 or (down and chance < 0.6) or (traffic.halting and chance < 0.2):
            if rng.random() < 0.5:
                yield self.deliver(index)
            yield from self.connection(index)
        elif chance < 0.14:
            (act,) = rng.choices(list(self.acts), list(self.acts.values()))
            yield from act(index)

    def allow(self, index: int) -> Iterator[Operation]:
        """ResendRequests are allowed, or are not."""
        yield Operation("set_may_request", {"session": index, "allowed": self.rng.random() < 0.7})

    def disconnect(self, index: int) -> Iterator[Operation]:
        """The connection is gone; the peer goes on sending."""
        yield Operation("disconnect", {"session": index})

    def time(self, index: int) -> Iterator[Operation]:
        """Time passes; now and then it goes back."""
        yield self.later(self.rng.choice((1, 999_999, _MS, _MS, 2 * _MS, 5 * _MS, 20 * _MS, -_MS)))

    def later(self, step: int) -> Operation:
        """``step`` nanoseconds pass."""
        self.now += step
        return Operation("advance", {"utc_ns": self.now})

    def timeouts(self, index: int) -> Iterator[Operation]:
        """Several sessions have a gap, and time passes (R14); messages of the application leave meanwhile."""
        rng = self.rng
        for session in rng.sample(range(len(self.waiting)), min(len(self.waiting), 6)):
            self.waiting[session] += self.traffics[session].lost() + self.traffics[session].in_order()
            yield self.deliver(session)
        for _ in range(rng.randint(1, 8)):
            yield self.later(_MS * rng.choice((1, 1, 4, 5, 49, 50, 200)))
            if rng.random() < 0.3:
                yield from self.send(index)

    def send(self, index: int) -> Iterator[Operation]:
        """The application sends."""
        rng = self.rng
        fields = encode([(58, "x" * rng.choice((0, 5, 30, 200)))]) if rng.random() < 0.8 else b""
        seq = None if rng.random() < 0.8 else rng.choice((rng.randint(1, 99), 10 ** rng.randint(1, 9), MAX_SEQ))
        msg_type = rng.choice(("0", "5", "8", "D", "AE", "UABC"))
        yield Operation("send", {"session": index, "msg_type": msg_type, "fields": fields, "seq": seq})

    def outbound(self, index: int) -> Iterator[Operation]:
        """The host sets the next outbound number, up to the last ones there are."""
        rng = self.rng
        next_out = rng.choice((1, rng.randint(1, 10**6), 10 ** rng.randint(1, 9) - 1, MAX_SEQ - rng.randint(0, 3)))
        yield Operation("set_next_out", {"session": index, "next_out": next_out})

    def inbound(self, index: int) -> Iterator[Operation]:
        """The host sets the number expected, to where the peer is, a bit aside or to the end of all numbers."""
        traffic, rng = self.traffics[index], self.rng
        near = max(1, traffic.next_seq + rng.choice((0, 0, 0, -3, 3)))
        expected = MAX_SEQ + rng.randint(-2, 1) if rng.random() < 0.1 else min(near, MAX_SEQ)
        yield Operation("set_expected", {"session": index, "expected": expected})

    def connection(self, index: int) -> Iterator[Operation]:
        """A new connection, perhaps with another configuration and other numbers. What was on its way is lost."""
        rng, traffic = self.rng, self.traffics[index]
        self.waiting[index] = b""
        traffic.halting = False
        known = rng.random() < 0.8
        if rng.random() < 0.03:
            traffic.restart(MAX_SEQ - rng.randint(0, 40))
        elif rng.random() < 0.2:
            traffic.restart(rng.choice((1, rng.randint(1, 10**6), 10 ** rng.randint(1, 9) - rng.randint(0, 9))))
        elif self.watch is not None and not known:
            traffic.restart(self.watch(index).expected + rng.choice((0, 0, 2)))
        config = traffic.peer.config(
            policy=rng.choice(list(Policy)),
            chunk=rng.choice((1, 2, 3, 10, 100, MAX_SEQ)),
            window=rng.choice((None, None, None, 1, *(rng.randint(1, self.window) for _ in range(3)))),
            resend_timeout=rng.choice((0, 0, 1, 5, 50, 50)),
            resend_retries=rng.choice((0, 1, 1, 3, 3, 255)),
            fraction=rng.choice((None, 0, 3, 6, 9)),
        )
        yield Operation("disconnect", {"session": index})
        yield Operation("configure", {"session": index, "config": config})
        if known:
            expected = traffic.missing[0] if traffic.missing else traffic.next_seq
            yield Operation("set_expected", {"session": index, "expected": expected})
        phase = rng.choice((Phase.LOGON, Phase.ACTIVE, Phase.ACTIVE))
        yield Operation("connect", {"session": index, "phase": phase, "may_request": rng.random() < 0.8})
        if phase is Phase.LOGON and rng.random() < 0.9:
            yield Operation("receive", {"session": index, "data": traffic.logon()})
