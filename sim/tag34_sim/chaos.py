"""Bad wires between the two ends of a host link, in virtual time. The same ``random.Random`` makes the same faults."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import Final, Protocol

from tag34.link.frames import Deframer, encode

#: Seconds from one end to the other, at least.
DELAY: Final = 0.001


@dataclass(frozen=True)
class Faults:
    """How bad a wire is, in shares of packets: ``lost``, ``doubled``, ``late`` (by up to ``late_by`` seconds, so that
    others overtake it), ``damaged`` (bits turned over)."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_by: float = 0.3
    damaged: float = 0.0


PERFECT: Final = Faults()
#: A fifth of the packets is lost, and so on.
BAD: Final = Faults(lost=0.2, doubled=0.1, late=0.15, damaged=0.1)


class Wire(Protocol):
    """One direction."""

    def send(self, packet: bytes, now: float) -> None:
        """Put a packet in."""

    def receive(self, now: float) -> list[bytes]:
        """What has come out by now."""

    def next_time(self) -> float | None:
        """When something comes out."""


class PacketWire:
    """A wire that carries packets, like UDP datagrams.

    Parameters: ``rng``, ``faults``.

    Members: ``cut``: nothing gets through while it is set.
    """

    def __init__(self, rng: random.Random, faults: Faults = PERFECT):
        self.faults = faults
        self.cut = False
        self._rng = rng
        self._count = 0
        self._under_way: list[tuple[float, int, bytes]] = []

    def send(self, packet: bytes, now: float) -> None:
        """See :class:`Wire`."""
        rng, faults = self._rng, self.faults
        for _ in range(2 if rng.random() < faults.doubled else 1):
            if rng.random() < faults.lost or self.cut:
                continue
            copy = bytearray(packet)
            if rng.random() < faults.damaged:
                for _ in range(rng.randrange(1, 4)):
                    copy[rng.randrange(len(copy))] ^= 1 << rng.randrange(8)
            late = rng.random() * faults.late_by if rng.random() < faults.late else 0.0
            self._count += 1  # what is sent at once comes in this order
            heapq.heappush(self._under_way, (now + DELAY + late, self._count, bytes(copy)))

    def receive(self, now: float) -> list[bytes]:
        """See :class:`Wire`."""
        packets = []
        while self._under_way and self._under_way[0][0] <= now:
            packets.append(heapq.heappop(self._under_way)[2])
        return packets

    def next_time(self) -> float | None:
        """See :class:`Wire`."""
        return self._under_way[0][0] if self._under_way else None


class ByteWire:
    """A wire that carries bytes in order, like a UART: packets go over it as COBS frames.

    Parameters:
        rng: decides the faults.
        errors: share of bytes in which a bit is turned over.
        lost: share of bytes that are lost.
        garbage: share of packets before which some random bytes come.
        rate: bytes per second.
    """

    def __init__(
        self,
        rng: random.Random,
        errors: float = 0.0,
        lost: float = 0.0,
        garbage: float = 0.0,
        rate: float = 100_000.0,
    ):
        self.errors, self.lost, self.garbage = errors, lost, garbage
        self.cut = False
        self._rng, self._rate = rng, rate
        self._deframer = Deframer()
        self._free = 0.0  # when the line is free
        self._under_way: list[tuple[float, bytes]] = []

    def send(self, packet: bytes, now: float) -> None:
        """See :class:`Wire`."""
        rng = self._rng
        data = encode(packet)
        if rng.random() < self.garbage:
            data = rng.randbytes(rng.randrange(1, 400)) + data
        out = bytearray()
        for byte in data:
            if rng.random() < self.errors:
                byte ^= 1 << rng.randrange(8)
            if rng.random() >= self.lost:
                out.append(byte)
        self._free = max(self._free, now) + len(data) / self._rate
        if not self.cut:
            self._under_way.append((self._free + DELAY, bytes(out)))

    def receive(self, now: float) -> list[bytes]:
        """See :class:`Wire`."""
        packets = []
        while self._under_way and self._under_way[0][0] <= now:
            packets += self._deframer.feed(self._under_way.pop(0)[1])
        return packets

    def next_time(self) -> float | None:
        """See :class:`Wire`."""
        return self._under_way[0][0] if self._under_way else None


class FarEnd(Protocol):
    """Who is at the other end: a :class:`~tag34_sim.link_peer.LinkPeer`, for example."""

    def feed(self, data: bytes, now: float) -> None:
        """What has come over the wire."""

    def outgoing(self, now: float) -> list[bytes]:
        """What is to go over the wire now."""

    def next_time(self) -> float | None:
        """When there is something again, if nothing comes before."""

    @property
    def busy(self) -> bool:
        """Whether it has something to do in the meantime."""


class ChaosTransport:
    """A :class:`~tag34.link.core.Transport` over two bad wires. Time passes while :meth:`receive` waits.

    Parameters: ``peer``, who is at the other end; ``there`` and ``back``, the wires.

    Members: ``now``, the virtual time in seconds.
    """

    def __init__(self, peer: FarEnd, there: Wire, back: Wire):
        self.peer, self.there, self.back = peer, there, back
        self.now = 0.0

    def clock(self) -> float:
        """The virtual time."""
        return self.now

    def send(self, packet: bytes) -> None:
        """Host to device."""
        self.there.send(packet, self.now)

    def receive(self, timeout: float) -> list[bytes]:
        """Device to host; see :class:`~tag34.link.core.Transport`."""
        until = self.now + timeout
        while True:
            for packet in self.there.receive(self.now):
                self.peer.feed(packet, self.now)
            for packet in self.peer.outgoing(self.now):
                self.back.send(packet, self.now)
            packets = self.back.receive(self.now)
            if packets or self.now >= until:
                return packets
            times = (self.there.next_time(), self.back.next_time(), self.peer.next_time())
            coming = min((time for time in times if time is not None), default=until)
            if self.peer.busy:
                coming = min(coming, self.now + DELAY)
            # It never stands still, even if somebody's time has come already.
            self.now = min(until, max(coming, self.now + 1e-6))

    def close(self) -> None:
        """There is nothing to give back."""
