"""A board's core at the other end of a link."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ..contract.link import Request
from ..device import DeviceError
from ..records import Message
from .endpoint import ASK_AFTER, Endpoint, State
from .packet import Info, Packet
from .requests import MAX_LENGTH, Answers, encode

#: Seconds within which a hello has to come to its end.
HELLO: Final = 1.9
#: Seconds without any progress after which a core that has to come to rest is said to hang.
PATIENCE: Final = 10.0
#: Bytes of requests that may wait for the device: a call that would queue more waits instead.
QUEUE: Final = 1 << 17
#: Bytes that go into one RECEIVE.
PIECE: Final = 1 << 12
#: Bytes of answers that may wait for :meth:`LinkCore.take`. The window on the wire closes long before; but a
#: :meth:`LinkCore.read` has to take in all answers before its own.
UNREAD: Final = 1 << 26


class Transport(Protocol):
    """What carries packets. It may lose, double, reorder and damage them. Raises DeviceError where it is broken."""

    def send(self, packet: bytes) -> None:
        """Send one packet."""

    def receive(self, timeout: float) -> list[bytes]:
        """Packets that have come, as they are; if there are none wait for at most ``timeout`` seconds."""

    def close(self) -> None:
        """Give it back."""


class LinkCore:
    """A :class:`~tag34.core_device.DeviceCore` behind a link.

    Requests are queued and pipelined. :meth:`read` and :meth:`take` wait for what the device has to say, and a call
    waits that would queue more than QUEUE bytes. Nothing happens between calls; answers that come then wait in the wire
    and in the device.

    Parameters:
        transport: closed by :meth:`close`, and after an error.
        endpoint: a new one.
        clock: seconds; that of the endpoint.
        hello: seconds within which the link session has to open.

    Members: ``info``, what the device says of itself.

    Raises DeviceError if the link session cannot be opened. After an error each method but :meth:`close` raises it
    again.
    """

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        hello: float = HELLO,
        patience: float = PATIENCE,
    ):
        self._transport, self._clock, self._patience = transport, clock, patience
        self.endpoint = Endpoint(clock()) if endpoint is None else endpoint
        self._answers = Answers()
        self._reads = 0  # values that are still to be handed out
        self._settles = 0  # asked for
        self._unsettled = False  # whether anything was asked for since
        self._pumped = clock()
        self._closed = False
        deadline = clock() + hello
        while self.endpoint.state is not State.OPEN:
            if clock() >= deadline:
                heard = self.endpoint.info is not None
                why = "a tag34 board is there, but opens no link session" if heard else "no tag34 board answers"
                raise self._failed(why)
            self._pump(deadline - clock())
        assert self.endpoint.info is not None
        self.info: Info = self.endpoint.info

    def receive(self, session: int, data: bytes) -> None:
        """Queue bytes for rx."""
        for at in range(0, len(data), PIECE):
            self._ask(encode(Request.RECEIVE, data[at : at + PIECE], session=session))

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        """Queue a message for the composer."""
        if len(body) > MAX_LENGTH:
            raise ValueError(f"a body has at most {MAX_LENGTH} bytes on a link, not {len(body)}")
        self._ask(
            encode(Request.SEND, body, session=session, msg_type=msg_type, replay=int(replay), seq=seq_bcd),
        )

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        self._ask(encode(Request.WRITE, address=address, value=value & 0xFFFFFFFF))

    def read(self, address: int) -> int:
        """Read a register. Waits for its value."""
        return self.exchange([(address, None)])[0]

    def exchange(self, operations: Sequence[tuple[int, int | None]]) -> list[int]:
        """Write registers (address and value) and read others (address and None), in this order: what was read. Waits
        once for all."""
        reads = 0
        for address, value in operations:
            if value is None:
                unsettled = self._unsettled
                self._ask(encode(Request.READ, address=address))
                self._unsettled = unsettled  # reading changes nothing
                self._reads += 1
                reads += 1
            else:
                self.write(address, value)
        self._wait(lambda: len(self._answers.values) >= self._reads, "did not answer")
        # More than were asked for here if somebody has interrupted (Ctrl-C) who waited for his.
        values = list(self._answers.values)
        self._answers.values.clear()
        self._reads = 0
        return values[len(values) - reads :]

    def run(self, limit: int) -> bool:
        """Let the core come to rest before anything that is asked for later; does not wait for it. ``limit`` means
        nothing here: a core that hangs is found by the next call that waits."""
        self._settle()
        self._pump(0)
        return True

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Raw records, delivered messages and sent messages since the last call: all that was caused by what was asked
        for before this call. Waits for it, if there is anything to wait for."""
        if self._unsettled:
            self._settle()
        self._wait(lambda: self._answers.settled >= self._settles, "did not come to rest")
        return self._answers.take()

    def close(self) -> None:
        """Tell the device, if it can be told, and give the transport back."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(DeviceError):
            for packet in self.endpoint.close():
                self._transport.send(packet.encode())
        self._transport.close()

    def _settle(self) -> None:
        self._ask(encode(Request.SETTLE))
        self._settles += 1
        self._unsettled = False

    def _ask(self, request: bytes) -> None:
        if self.endpoint.unacknowledged >= QUEUE:
            self._wait(lambda: self.endpoint.unacknowledged < QUEUE // 2, "took no more requests")
        self.endpoint.write(request)
        self._unsettled = True

    def _wait(self, done: Callable[[], bool], failure: str) -> None:
        self.endpoint.wait(True, self._clock())
        try:
            progress, since = self.endpoint.progress, self._clock()
            self._pump(0)
            self._take_in()
            while not done():
                self._pump(ASK_AFTER)
                self._take_in()
                now = self._clock()
                if self.endpoint.progress != progress:
                    progress, since = self.endpoint.progress, now
                elif now - since >= self._patience:
                    raise self._failed(f"the board answers, but its core {failure} within {self._patience:g} s")
        finally:
            self.endpoint.wait(False, self._clock())

    def _take_in(self) -> None:
        try:
            self._answers.feed(self.endpoint.read())
        except DeviceError as error:
            raise self._failed(str(error)) from None
        if self._answers.unread > UNREAD:
            raise self._failed(f"{UNREAD >> 20} MiB of records that nobody has fetched: poll the device")

    def _pump(self, wait: float) -> None:
        """Feed what has come, send what is to be sent; if nothing has come wait for it, at most ``wait`` seconds."""
        self.endpoint.check()
        now = self._clock()
        if now - self._pumped >= ASK_AFTER:
            self.endpoint.resume(now)
        try:
            if not self._feed(0) and wait > 0:
                due, now = self.endpoint.next_time(), self._clock()
                self._feed(wait if due is None else max(0.0, min(wait, due - now)))
        except DeviceError as error:
            raise self._failed(str(error)) from error
        self._pumped = self._clock()

    def _feed(self, timeout: float) -> bool:
        received = self._transport.receive(timeout)
        for data in received:
            packet = Packet.decode(data)
            if packet is not None:
                self.endpoint.feed(packet, self._clock())
        for packet in self.endpoint.outgoing(self._clock()):
            self._transport.send(packet.encode())
        return bool(received)

    def _failed(self, why: str) -> DeviceError:
        error = self.endpoint.fail(why)
        if not self._closed:
            self._closed = True
            self._transport.close()
        return error
