"""What is told of a board that was built: plain data, for build/<board>/report.json and docs/boards.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..timing.tools import ToolError


@dataclass(frozen=True)
class Used:
    """How much of a kind of thing is used: ``name`` is the device's, ``used`` and ``available`` count them."""

    name: str
    used: int
    available: int


@dataclass(frozen=True)
class Report:
    """How a board was built, or why it was not.

    Members:
        board, fpga, toolchain: of the board.
        shape, build_id: of the gateware; ``core`` of the shape is ``fast`` or ``compact``.
        revision, changed: the last commit that changed what a bitstream is made of, and whether it was changed since.
        tools: versions.
        failed: why there is no bitstream; empty if there is one, or none was to be made.
        asked_mhz, reached_mhz: the clock; 0.0 if nothing was routed.
        seed, seeds: of place and route: the one of the bitstream, and what each that was tried has reached.
        luts, flip_flops, memories: what the netlist takes, of what the device has.
        device: all that is used of the device, by its own names.
        file, sha256: the bitstream.
        finish: for toolchains that are not ours: the command that makes the bitstream, in the board's folder.
    """

    board: str
    fpga: str
    toolchain: str
    shape: Mapping[str, int | str]
    build_id: str
    revision: str
    changed: bool
    tools: Mapping[str, str]
    asked_mhz: float
    failed: str = ""
    reached_mhz: float = 0.0
    seed: int = 0
    seeds: Mapping[str, float] = field(default_factory=dict)
    luts: Used | None = None
    flip_flops: Used | None = None
    memories: Used | None = None
    device: Mapping[str, Used] = field(default_factory=dict)
    file: str = ""
    sha256: str = ""
    finish: str = ""

    def but(self, **changes: Any) -> Report:
        """The same with other members."""
        return replace(self, **changes)

    def as_data(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(self.as_data(), indent=1) + "\n")


def report_from(kept: Mapping[str, Any]) -> Report:
    """A report as a file keeps it. Raises KeyError or TypeError if it is none."""
    sums = {key: Used(**kept[key]) if kept[key] else None for key in ("luts", "flip_flops", "memories")}
    device = {name: Used(**used) for name, used in kept["device"].items()}
    return Report(**{**kept, **sums, "device": device})


def read_reports(path: Path) -> dict[str, Report]:
    """Reports by board, as docs/boards.json keeps them; none if there is no file.

    Raises ToolError if it is no such file.
    """
    if not path.exists():
        return {}
    try:
        return {name: report_from(kept) for name, kept in json.loads(path.read_text()).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{path} is no file of reports: {error!r}") from None


def write_reports(path: Path, reports: Mapping[str, Report]) -> None:
    """Write reports by board."""
    data = {name: report.as_data() for name, report in sorted(reports.items())}
    path.write_text(json.dumps(data, indent=1) + "\n")
