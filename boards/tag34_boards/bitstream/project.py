"""The project of a design: what Amaranth writes for a toolchain, with the commands that it would run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth import Elaboratable

from ..boards.board import Board
from ..timing.tools import ToolError


@dataclass(frozen=True)
class Project:
    """A project in a folder.

    Members: ``files`` (their names), ``script`` (of them, the one that runs all commands), ``commands`` (each as its
    words, the tool by Amaranth's name for it).
    """

    folder: Path
    files: tuple[str, ...]
    script: str
    commands: tuple[tuple[str, ...], ...]


def write_project(board: Board, design: Callable[[Board], Elaboratable], folder: Path) -> Project:
    """Write the project of a board into a folder; ``design`` makes its top.

    Nothing in it depends on the machine or the time: the same sources give the same files.

    Raises ToolError if the packages of the extra ``boards`` are not installed.
    """
    try:
        platform = board.open_platform()
    except ModuleNotFoundError as error:
        raise ToolError(f"{error.name} is not installed (pip install 'tag34[boards]')") from None
    with warnings.catch_warnings():
        # Amaranth's own, of wires that only some vendors want.
        warnings.simplefilter("ignore")
        # Places in the sources are paths of this machine.
        plan = platform.prepare(design(board), board.name, emit_src=False)
    plan.extract(folder)
    listing = plan.files.get(f"{plan.script}.json")
    commands = json.loads(listing)["commands"] if listing else []
    return Project(folder, tuple(plan.files), f"{plan.script}.sh", tuple(tuple(words) for words in commands))
