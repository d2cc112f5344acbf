"""The boards: each in a short file of this folder, which gives one :class:`~.board.Board` the name ``BOARD``."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .board import Board

#: Files that are no board's.
_COMMON = ("board", "toolchain")


def _table() -> dict[str, Board]:
    table: dict[str, Board] = {}
    for module in sorted(module.name for module in iter_modules(__path__) if module.name not in _COMMON):
        board: Board = import_module(f"{__name__}.{module}").BOARD
        if board.name != module:
            raise ValueError(f"boards/{module}.py calls its board {board.name!r}: file and board have one name")
        table[board.name] = board
    return table


#: All boards by name.
BOARDS = _table()
