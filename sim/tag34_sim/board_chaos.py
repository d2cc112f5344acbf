"""A compiled board behind bad wires, in virtual time: the board's own clock. The same seed makes the same life."""

from __future__ import annotations

from typing import Final

from tag34.link.frames import Deframer, encode

from .chaos import ChaosTransport, Wire
from .verilated_top import VerilatedBoard

#: Cycles that the board runs between two looks at it: about ten bytes on a fast UART.
_LOOK: Final = 400


class BoardEnd:
    """A board as the other end of a :class:`~tag34_sim.chaos.ChaosTransport`. What goes over its wires are frames, with
    the zeros that close them: damage may join two or break one.

    Parameters: ``board``.

    Members:
        resets: when the board was reset.
        carried: bytes through the board's pins so far, both ways.
        reset_at: the board is reset when so many bytes have been carried; None: never.
    """

    def __init__(self, board: VerilatedBoard):
        self.board = board
        self.carried = 0
        self.resets: list[float] = []
        self.reset_at: int | None = None
        self._began = board.cycles
        self._fed = 0
        self._line = bytearray()

    def feed(self, data: bytes, now: float) -> None:
        """Bytes for the board."""
        self.board.write(data)
        self._fed += len(data)

    def outgoing(self, now: float) -> list[bytes]:
        """Let the board run up to now: the frames that it has ended."""
        board = self.board
        end = self._began + round(now * board.shape.clock_hz)
        while board.cycles < end:
            board.run(min(_LOOK, end - board.cycles))
            said = board.read()
            self.carried += len(said) + self._fed - board.waiting
            self._fed = board.waiting
            self._line += said
            if self.reset_at is not None and self.carried >= self.reset_at:
                self.reset_at = None
                self.resets.append((board.cycles - self._began) / board.shape.clock_hz)
                board.reset()
        *frames, rest = self._line.split(b"\0")
        self._line = rest
        return [bytes(frame) + b"\0" for frame in frames if frame]

    def next_time(self) -> float | None:
        """It does not tell."""
        return None

    @property
    def busy(self) -> bool:
        """Its clock never stands still."""
        return True


class BoardTransport(ChaosTransport):
    """Packets to a board and back, as frames over two bad wires.

    Parameters: ``board``; ``there`` and ``back``, the wires.

    Members: ``end``, the board's; ``sent``, bytes of the host so far; ``host_dies_at``: :meth:`send` raises
    :class:`HostDied` when so many have been sent, wherever in a frame that is; None: never.
    """

    def __init__(self, board: VerilatedBoard, there: Wire, back: Wire):
        self.end = BoardEnd(board)
        super().__init__(self.end, there, back)
        self.sent = 0
        self.host_dies_at: int | None = None
        self._deframer = Deframer()

    def send(self, packet: bytes) -> None:
        """See :class:`~tag34.link.core.Transport`."""
        frame = encode(packet)
        if self.host_dies_at is not None and self.sent + len(frame) > self.host_dies_at:
            super().send(frame[: max(1, self.host_dies_at - self.sent)])
            self.host_dies_at = None
            self._deframer = Deframer()  # the next host's
            raise HostDied("the host died")
        self.sent += len(frame)
        super().send(frame)

    def receive(self, timeout: float) -> list[bytes]:
        """See :class:`~tag34.link.core.Transport`."""
        until = self.now + timeout
        while True:
            packets = self._deframer.feed(b"".join(super().receive(until - self.now)))
            if packets or self.now >= until:
                return packets


class HostDied(Exception):
    """The host has come to a sudden end: it says nothing more, and what it knew is lost but for its store."""
