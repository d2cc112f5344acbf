"""What the shells of the boards are made of, also for those who simulate them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tag34_hdl.layouts import Shape
from tag34_hdl.link.packet import LinkInfo

from ..boards import BOARDS
from ..boards.board import Board
from .identity import build_id


def shell_of(board: Board) -> tuple[Shape, int, LinkInfo]:
    """Shape of the core, cycles per bit on its UART, and what a board says of itself: the parameters of
    :class:`~tag34_hdl.link.uart_shell.UartShell`."""
    return board.shape, board.divisor, LinkInfo(board.name, build_id(board))


def shells() -> dict[str, Callable[[], tuple[Shape, int, LinkInfo]]]:
    """:func:`shell_of` of each board, by name: what the entry-point group ``tag34.boards`` gives."""
    return {name: partial(shell_of, board) for name, board in BOARDS.items()}
