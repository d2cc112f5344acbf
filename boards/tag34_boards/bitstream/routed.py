"""What nextpnr says: in its report if it came to an end, in its log if it did not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..timing.tools import ToolError
from .report import Used

#: A line of the log that tells how much of one kind of place is used: `Info: TRELLIS_FF: 1234/24288 5%`.
_USED = re.compile(r"^Info:\s+(\w+):\s*(\d+)\s*/\s*(\d+)\s+\d+%$", re.MULTILINE)


@dataclass(frozen=True)
class Routed:
    """A design that was routed: the slowest clock (``asked_mhz``, ``reached_mhz``), and what is used of the device."""

    asked_mhz: float
    reached_mhz: float
    device: Mapping[str, Used]


def read_route(path: Path) -> Routed:
    """nextpnr's report. Of several clocks the one counts that is farthest from what is asked of it.

    Raises ToolError if it is no report of a design with a clock.
    """
    try:
        kept = json.loads(path.read_text())
        clocks = [(float(clock["constraint"]), float(clock["achieved"])) for clock in kept["fmax"].values()]
        asked, reached = min(clocks, key=lambda clock: clock[1] / clock[0])
        used = {name: Used(name, cells["used"], cells["available"]) for name, cells in kept["utilization"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{path} is no report of a design with a clock: {error!r}") from None
    return Routed(round(asked, 3), round(reached, 2), used)


def read_log(path: Path) -> dict[str, Used]:
    """What is used of the device, of a log that may have ended early; nothing if it did not come to that."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return {name: Used(name, int(used), int(available)) for name, used, available in _USED.findall(text)}


def too_much(device: Mapping[str, Used]) -> str:
    """What does not fit, and by how much; empty if all does."""
    over = [used for used in device.values() if used.used > used.available]
    return ", ".join(f"{one.used} {one.name} of {one.available} ({one.used - one.available} too many)" for one in over)
