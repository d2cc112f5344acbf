"""The top of a design: a shell between the pins of a board."""

from amaranth import Elaboratable, Module
from amaranth.lib import io, wiring

from ..boards.board import Board
from .pll import Ecp5Pll


def uart_shell(board: Board) -> wiring.Component:
    """The core with its host link, as a board has it."""
    # Only here, so that boards can be listed without the gateware.
    from tag34_hdl.link.uart_shell import UartShell

    from .shells import shell_of

    return UartShell(*shell_of(board))


class Top(Elaboratable):
    """A shell on a board's UART.

    Parameters: ``board``; ``shell``, a component with ``rx`` and ``tx``, which synchronizes what arrives.
    """

    def __init__(self, board: Board, shell: wiring.Component):
        self.board = board
        self.shell = shell

    def elaborate(self, platform) -> Module:
        m = Module()
        if self.board.pll != 1:
            m.submodules.pll = Ecp5Pll(self.board.pll)
        m.submodules.shell = shell = self.shell
        # Some UARTs have more pins than two: they are not touched.
        pins = {pin.name: "-" for pin in platform.lookup("uart").ios if hasattr(pin, "name")}
        uart = platform.request("uart", 0, dir=pins)
        m.submodules.rx_pin = rx_pin = io.Buffer("i", uart.rx)
        m.submodules.tx_pin = tx_pin = io.Buffer("o", uart.tx)
        m.d.comb += [shell.rx.eq(rx_pin.i), tx_pin.o.eq(shell.tx)]
        return m
