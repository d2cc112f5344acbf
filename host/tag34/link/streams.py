"""The two streams of a link session: what both sides do with DATA packets (``docs/link.md``, Streams).

No clock and no wire: packets and the time in seconds go in, packets come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..contract.link import PACKET_PAYLOAD, PacketFlag, PacketKind
from .packet import Packet

#: The largest ``window`` that a packet can tell.
MAX_WINDOW: Final = 0xFFFF
#: Seconds up to which the time grows after which something is sent again.
LONGEST: Final = 1.0
_HALF: Final = 1 << 31


@dataclass
class Counts:
    """What was counted of the streams: payloads sent, of these again, payloads taken, dropped; timers that ran out."""

    sent: int = 0
    again: int = 0
    taken: int = 0
    dropped: int = 0
    timeouts: int = 0


class Streams:
    """Both streams of one link session, seen from one of its sides. A place in a stream is a number of bytes since the
    session began; it grows for ever here and is modulo 2**32 in packets.

    Parameters:
        token: of the link session.
        room: bytes that can wait to be read, at most MAX_WINDOW.
        timeout: seconds after which something unacknowledged is sent again: more than all that may be under way takes.
            Twice as long after each time that it was too short or in vain, up to LONGEST; and then one packet is sent
            until there is an answer: a wire that is slower than thought is not filled with what it carries already.
        max_payload: bytes in a packet that is sent.
        send_window: bytes that may be under way at a time, beside what the other side has room for.
        window: what the other side has room for until it says so itself.
    """

    def __init__(
        self,
        token: int,
        *,
        room: int,
        timeout: float,
        max_payload: int = PACKET_PAYLOAD,
        send_window: int = MAX_WINDOW,
        window: int = 0,
    ):
        self.token = token
        self.timeout = timeout
        self.counts = Counts()
        self._capacity = min(room, MAX_WINDOW)
        self._max_payload = min(max_payload, PACKET_PAYLOAD)
        self._send_window = send_window
        # Our stream. _out begins at _base; places up to _next were sent since the last time we went back, up to _top
        # ever.
        self._out = bytearray()
        self._base = self._next = self._top = 0
        self._window = window
        self._deadline: float | None = None
        self._patience = timeout
        self._careful = False
        self._doubtful = 0  # an acknowledgement up to here may be one of what was sent first, or of what was sent again
        # The other side's.
        self._in = bytearray()
        self._expected = 0
        self._told = 0  # up to where we have said that there is room
        self._answer = False
        self._ask = False
        self._go_back = False
        self._went_back = False

    # -- For the user of the streams
    def write(self, data: bytes) -> None:
        """Append to our stream."""
        self._out += data

    def read(self, limit: int | None = None) -> bytes:
        """Take what has come of the other side's stream, at most ``limit`` bytes."""
        size = len(self._in) if limit is None else min(limit, len(self._in))
        data = bytes(self._in[:size])
        del self._in[:size]
        # Worth a packet of its own if much of the room is new, or if the other side may be waiting for it.
        edge = self._expected + self._room
        told = self._told - self._expected
        if edge > self._told and (told < PACKET_PAYLOAD or edge - self._told >= self._capacity // 2):
            self._answer = True
        return data

    @property
    def readable(self) -> int:
        """Bytes that wait to be read."""
        return len(self._in)

    @property
    def unacknowledged(self) -> int:
        """Bytes of our stream that the other side has not acknowledged, whether they were sent or not."""
        return len(self._out)

    @property
    def acknowledged(self) -> int:
        """Bytes of our stream that the other side has acknowledged."""
        return self._base

    @property
    def taken(self) -> int:
        """Bytes of the other side's stream that were taken."""
        return self._expected

    def ask(self) -> None:
        """Have the next packet ask for an answer."""
        self._ask = True

    def limit_payload(self, size: int) -> None:
        """Put at most this many bytes into a packet from now on."""
        self._max_payload = min(size, PACKET_PAYLOAD)

    def answer(self) -> None:
        """Send a packet, whether there is anything to say or not."""
        self._answer = True

    # -- Packets
    def feed(self, packet: Packet, now: float) -> None:
        """A DATA packet of this link session."""
        if packet.payload:
            self._answer = True
            self._take(packet)
        if packet.flags & PacketFlag.ASK:
            self._answer = True
        self._acknowledge(packet, now)

    def _take(self, packet: Packet) -> None:
        ahead = (packet.seq - self._expected) % (1 << 32)
        if ahead == 0 and len(packet.payload) <= self._room:
            self._in += packet.payload
            self._expected += len(packet.payload)
            self._went_back = False
            self._go_back = False
            self.counts.taken += 1
            return
        self.counts.dropped += 1
        if 0 < ahead < _HALF and not self._went_back:
            self._go_back = self._went_back = True

    def _acknowledge(self, packet: Packet, now: float) -> None:
        moved = (packet.ack - self._base) % (1 << 32)
        if moved > self._top - self._base:
            return
        self._window = packet.window
        if moved:
            del self._out[:moved]
            self._base += moved
            self._next = max(self._next, self._base)
            self._deadline = None  # _arm starts it anew
            self._careful = False
            if self._base > self._doubtful:
                self._patience = self.timeout
        if packet.flags & PacketFlag.GO_BACK:
            self._next = self._base
            self._careful = False
        self._arm(now)

    def outgoing(self, now: float) -> list[Packet]:
        """All that is to be sent now."""
        self._arm(now)
        if self._deadline is not None and now >= self._deadline:
            self.counts.timeouts += 1
            self._next = self._base
            self._doubtful = self._top
            self._careful = True
            self._patience = max(self._patience, min(2 * self._patience, LONGEST))
            self._deadline = now + self._patience
            if not self._sendable:
                self._ask = True
        packets = []
        while size := self._sendable:
            at = self._next - self._base
            packets.append(self._packet(bytes(self._out[at : at + size])))
            self.counts.sent += 1
            self.counts.again += self._next < self._top
            self._next += size
            self._top = max(self._top, self._next)
        if not packets and (self._answer or self._ask or self._go_back):
            packets.append(self._packet(b""))
        return packets

    def next_time(self) -> float | None:
        """When :meth:`outgoing` has something to say again, if nothing comes before."""
        return self._deadline

    @property
    def _room(self) -> int:
        return self._capacity - len(self._in)

    @property
    def _sendable(self) -> int:
        """Bytes of the next packet with a payload."""
        under_way = self._next - self._base
        room = min(self._window, self._send_window) - under_way
        if self._careful and under_way:
            return 0
        return max(0, min(self._max_payload, room, len(self._out) - under_way))

    def _arm(self, now: float) -> None:
        if not self._out:
            self._deadline = None
        elif self._deadline is None:
            self._deadline = now + self._patience

    def _packet(self, payload: bytes) -> Packet:
        flags = PacketFlag(0)
        if self._ask:
            flags |= PacketFlag.ASK
        if self._go_back:
            flags |= PacketFlag.GO_BACK
        self._ask = self._answer = self._go_back = False
        self._told = self._expected + self._room
        return Packet(
            PacketKind.DATA,
            self.token,
            self._next % (1 << 32),
            self._expected % (1 << 32),
            self._room,
            flags,
            payload,
        )
