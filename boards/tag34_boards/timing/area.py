"""Area by component, from the synthesized netlist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .paths import place_of
from .synthesis import Netlist
from .tools import ToolError

#: What a cell of the netlist counts as: (LUT4, flip-flops, block memories). A carry cell is two LUTs; so many LUTs'
#: places hold 16 x 4 bits.
CELLS = {
    "LUT4": (1, 0, 0),
    "CCU2C": (2, 0, 0),
    "TRELLIS_DPR16X4": (4, 0, 0),
    "TRELLIS_FF": (0, 1, 0),
    "DP16KD": (0, 0, 1),
}


@dataclass(frozen=True)
class Area:
    """Cells of one component, its own parts included."""

    lut4: int
    flip_flops: int
    block_memories: int


def area_by_component(netlist: Netlist) -> dict[str, Area]:
    """Cells by component, by the names that the synthesized cells got from it, the largest component first; the ring is
    left out.

    Logic between two components may have been merged into one cell; it counts for the one it is named after.

    Raises ToolError if the file is no netlist of a ring.
    """
    design = netlist.design
    try:
        cells = json.loads(netlist.json.read_text())["modules"][design.module]["cells"]
    except (KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{netlist.json} is no netlist: {error!r}") from None
    sums: dict[str, list[int]] = {}
    for name, cell in cells.items():
        weight = CELLS.get(cell["type"].split("\\")[-1])
        if weight:
            row = sums.setdefault(place_of(f"{design.top}.{name}", design).component, [0, 0, 0])
            row[:] = [total + one for total, one in zip(row, weight, strict=True)]
    rows = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return {component: Area(*row) for component, row in rows}


def total(areas: Mapping[str, Area]) -> Area:
    """All components together."""
    return Area(
        sum(area.lut4 for area in areas.values()),
        sum(area.flip_flops for area in areas.values()),
        sum(area.block_memories for area in areas.values()),
    )
