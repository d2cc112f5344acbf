"""A design that is built in seconds, with the border of a shell."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tag34_boards.bitstream.top import Top
from tag34_boards.boards.board import Board


class Blink(wiring.Component):
    """A counter that drives ``tx``."""

    rx: In(1)  # type: ignore[valid-type]
    tx: Out(1)  # type: ignore[valid-type]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(20)
        m.d.sync += count.eq(count + 1)
        m.d.comb += self.tx.eq(count[-1] ^ self.rx)
        return m


def blink(board: Board) -> Top:
    """The top of a board with nothing but the counter in it."""
    return Top(board, Blink())
