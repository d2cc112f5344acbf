"""A pseudo-terminal with somebody at its other end."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tag34.link.frames import Deframer, encode
from tag34_sim.link_peer import LinkPeer


class Line:
    """A pseudo-terminal.

    Parameters:
        answer: what the other end says to what it reads; called with nothing at the beginning.
        chatter: what it says all the time, as fast as it is taken.

    Members: ``path``, of the serial port.
    """

    def __init__(self, answer: Callable[[bytes], bytes], chatter: Callable[[], bytes] | None = None):
        self._answer, self._chatter = answer, chatter
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._stop, self._stopped = os.pipe()
        self._out = b""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def pull(self) -> None:
        """Pull the cable."""
        self._end()
        for end in (self._slave, self._master):
            os.close(end)
        self._master = -1

    def close(self) -> None:
        """The test is over."""
        if self._master >= 0:
            self.pull()
        os.close(self._stop)

    def _end(self) -> None:
        os.close(self._stopped)  # select sees it
        self._thread.join()

    def _serve(self) -> None:
        self._out = self._answer(b"")
        while True:
            if self._chatter is not None and not self._out:
                self._out = self._chatter()
            writing = [self._master] if self._out else []
            # The peer's timers want a look now and then.
            ready, writable, _ = select.select([self._master, self._stop], writing, [], 0.02)
            if self._stop in ready:
                return
            data = os.read(self._master, 4096) if ready else b""
            self._out += self._answer(data)
            if writable:
                with suppress(BlockingIOError):
                    self._out = self._out[os.write(self._master, self._out[:512]) :]


def board(peer: LinkPeer) -> Callable[[bytes], bytes]:
    """What a board says."""
    deframer = Deframer()

    def answer(data: bytes) -> bytes:
        for packet in deframer.feed(data):
            peer.feed(packet, time.monotonic())
        return b"".join(map(encode, peer.outgoing(time.monotonic())))

    return answer


@contextmanager
def line(answer: Callable[[bytes], bytes], chatter: Callable[[], bytes] | None = None) -> Iterator[Line]:
    """A :class:`Line` for a while."""
    made = Line(answer, chatter)
    try:
        yield made
    finally:
        made.close()
