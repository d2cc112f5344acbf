"""What the synthesized netlist takes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from ..boards.toolchain import Part
from ..timing.tools import ToolError


def cell_counts(path: Path, top: str) -> Counter[str]:
    """How many cells of each type a flat netlist has.

    Raises ToolError if the file is no netlist of ``top``.
    """
    try:
        cells = json.loads(path.read_text())["modules"][top]["cells"]
        return Counter(cell["type"] for cell in cells.values())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{path} is no netlist of {top}: {error!r}") from None


def taken(cells: Counter[str], part: Part) -> int:
    """How many places of a kind the cells take."""
    return sum(count * part.cells.get(cell, 0) for cell, count in cells.items())
