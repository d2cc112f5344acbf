"""The host's end of the link, without clock and wire: the time in seconds and packets go in, packets come out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import Enum
from typing import Final

from ..contract.link import PACKET_PAYLOAD, PacketKind
from ..device import DeviceError
from .packet import Info, Packet
from .streams import MAX_WINDOW, Counts, Streams

#: Seconds without a valid packet after which a device that is to answer does not answer.
SILENCE: Final = 2.0
#: Seconds between two PROBEs or OPENs that are not answered.
HELLO_AGAIN: Final = 0.1
#: Seconds of silence after which a host that waits for an answer asks whether there is anybody.
ASK_AFTER: Final = 0.4
#: Seconds after which bytes are sent again, where the wire says nothing better.
TIMEOUT: Final = 0.15


class State(Enum):
    """What the host's end does."""

    PROBING = "probing"
    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


def random_token() -> int:
    """A token that nobody else will take: 32 bits, not 0."""
    return secrets.randbelow(0xFFFFFFFF) + 1


class Endpoint:
    """One link session from the hello to the end. A failed one stays failed: make a new one.

    Parameters:
        now: seconds, any clock that does not go back.
        room: bytes of answers that can wait to be read, at most 65535.
        send_window: bytes of requests that may be under way at a time, beside what the device has room for.
        timeout: seconds after which requests that are not acknowledged are sent again: more than all that may be under
            way takes on the wire.
        silence: seconds (:data:`SILENCE`).
        token: makes the random token.

    Members:
        state: see :class:`State`.
        info: what the device says of itself, once it has answered.

    Every method but :meth:`close` raises DeviceError once the session has failed, always the same one.
    """

    def __init__(
        self,
        now: float,
        *,
        room: int = MAX_WINDOW,
        send_window: int = MAX_WINDOW,
        timeout: float = TIMEOUT,
        silence: float = SILENCE,
        token: Callable[[], int] = random_token,
    ):
        self.state = State.PROBING
        self.info: Info | None = None
        self._silence = silence
        self._token = token()
        self._challenge = 0
        self._hello: float | None = now  # when to send the next PROBE or OPEN
        self._heard = now
        self._waiting = False
        self._asked = now
        self._streams = Streams(self._token, room=room, send_window=send_window, timeout=timeout)
        self._error: str | None = None

    # -- For the user of the streams
    def write(self, requests: bytes) -> None:
        """Append to the stream of requests; before the session is open they wait for it."""
        self.check()
        self._streams.write(requests)

    def read(self) -> bytes:
        """Answers that have come. What is not read closes the window."""
        self.check()
        return self._streams.read()

    def wait(self, waiting: bool, now: float) -> None:
        """Whether an answer is waited for: then the device is asked if it is still there, and silence is an error.

        Unacknowledged requests are waited for in any case.
        """
        if waiting and not self._listening:
            self._heard = max(self._heard, now)  # the time in which nobody listened is no silence
            self._asked = now
        self._waiting = waiting

    @property
    def unacknowledged(self) -> int:
        """Bytes of requests that the device has not acknowledged."""
        return self._streams.unacknowledged

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of requests acknowledged, bytes of answers taken."""
        return self._streams.acknowledged, self._streams.taken

    @property
    def counts(self) -> Counts:
        """What was counted."""
        return self._streams.counts

    def resume(self, now: float) -> None:
        """Nobody has called for a while: what the device has said meanwhile is still to be fed, and the time is no
        silence."""
        self._heard = max(self._heard, now)

    def fail(self, why: str) -> DeviceError:
        """The session is over, for a reason from outside (a wire that broke): the error that all further calls
        raise. The first reason stays."""
        if self._error is None:
            self._error = why
            self.state = State.CLOSED
        return DeviceError(self._error)

    def close(self) -> list[Packet]:
        """The session is over: what tells the device."""
        opened = self.state in (State.OPENING, State.OPEN)
        self.fail("the link is closed")
        self.state = State.CLOSED
        return [Packet(PacketKind.CLOSE, self._token)] if opened else []

    # -- Packets
    def feed(self, packet: Packet, now: float) -> None:
        """A packet from the device. Raises DeviceError if it ends the session."""
        self.check()
        if packet.kind is PacketKind.INFO:
            self._feed_info(packet, now)
        elif packet.token != self._token or self.state not in (State.OPENING, State.OPEN):
            return  # of another link session, or of an earlier one
        elif packet.kind is PacketKind.REFUSED:
            if self.state is State.OPEN:
                raise self.fail(
                    "the board was reset, or somebody else opened it: the link session is gone; open it again"
                )
        elif packet.kind is PacketKind.DATA:
            self._heard = self._asked = now
            if self.state is State.OPENING:
                self.state = State.OPEN
                self._hello = None
            self._streams.feed(packet, now)

    def _feed_info(self, packet: Packet, now: float) -> None:
        info = Info.decode(packet.payload)
        if info is None:
            return
        self._heard = now
        if self.state is State.OPEN:
            return  # an answer to a PROBE from before, or to somebody else's
        try:
            info.check()
        except DeviceError as error:
            raise self.fail(str(error)) from None
        if self.state is State.OPENING and packet.seq == self._challenge:
            return  # another answer to the same PROBE
        self.info = info
        self.state = State.OPENING
        self._challenge = packet.seq
        self._hello = now
        self._streams.limit_payload(min(info.max_payload, PACKET_PAYLOAD))

    def outgoing(self, now: float) -> list[Packet]:
        """All that is to be sent now. Raises DeviceError if the device has been silent for too long."""
        self.check()
        if self._listening and now - self._heard >= self._silence:
            if self.state is State.OPEN:
                raise self.fail(f"the board does not answer any more: nothing was heard of it for {self._silence:g} s")
            raise self.fail("no tag34 board answers")
        if self.state is not State.OPEN:
            if self._hello is None or now < self._hello:
                return []
            self._hello = now + HELLO_AGAIN
            if self.state is State.PROBING:
                return [Packet(PacketKind.PROBE)]
            return [Packet(PacketKind.OPEN, self._token, self._challenge)]
        if self._waiting and now >= max(self._heard, self._asked) + ASK_AFTER:
            self._asked = now
            self._streams.ask()
        if not self._listening:
            self._heard = now
        return self._streams.outgoing(now)

    def next_time(self) -> float | None:
        """When :meth:`outgoing` is to be called again, if nothing comes before; None: not until something is asked."""
        times = [self._hello, self._streams.next_time() if self.state is State.OPEN else None]
        if self._listening:
            times.append(self._heard + self._silence)
        if self.state is State.OPEN and self._waiting:
            times.append(max(self._heard, self._asked) + ASK_AFTER)
        return min((time for time in times if time is not None), default=None)

    @property
    def _listening(self) -> bool:
        """Whether the device has to say something."""
        return self.state is not State.OPEN or self._waiting or self._streams.unacknowledged > 0

    def check(self) -> None:
        """Raises the DeviceError that ended the session, if one has."""
        if self._error is not None:
            raise DeviceError(self._error)
