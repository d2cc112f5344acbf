"""``tag34 verilog``: the core with AXI ports, as files for a design of one's own."""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tag34.cli import FAILED, CommandError, version
from tag34.contract import CONTRACT_VERSION
from tag34_hdl.layouts import Shape

from ..timing.tools import YOSYS, ToolError
from ..timing.tools import version as tool_version
from ..writing import writing
from .emit import TOP, verilog
from .header import header
from .page import page
from .sizes import sizes_of

if TYPE_CHECKING:
    from tag34.cli import Subparsers

FOLDER = Path("build") / "verilog"
HELP = {
    "width": "bytes per beat: 1, 2, 4 or 8",
    "sessions": "number of sessions, 1 to 1024",
    "window": "hold window in numbers, 2 to 1024",
    "max_message": "longest message in bytes, 64 to 65536",
    "hold": "messages held at a time, over all sessions; 0: all that the windows take",
    "hold_limit": "of these, by one session; 0: see decision 8",
    "clock_hz": "clock of the core, 2000000 to 1000000000",
}


def sizes() -> list[Field[int]]:
    """What can be chosen of a shape. A compact core has no AXI ports."""
    return [field for field in fields(Shape) if field.name in HELP]


def register(subparsers: Subparsers) -> None:
    """Add the subcommand ``verilog``."""
    parser = subparsers.add_parser(
        "verilog",
        help="the core as Verilog with AXI ports",
        description=f"Writes {TOP}.v, tag34_registers.h, PORTS.md and build.json: the core with AXI4-Stream and "
        "AXI4-Lite ports, for a design of your own.",
        epilog="Exit status: 0 written; 1 a tool failed or a file cannot be written; 2 no such core.",
    )
    for field in sizes():
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(
            option, type=int, default=field.default, metavar="N", help=f"{HELP[field.name]} (default: {field.default})"
        )
    parser.add_argument("--output", type=Path, metavar="DIR", help=f"folder (default: one in {FOLDER} that says which)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The subcommand. Returns the exit status."""
    asked = {field.name: getattr(args, field.name) for field in sizes()}
    try:
        shape = Shape(**asked)
    except ValueError as error:
        raise CommandError(str(error)) from None
    folder = args.output or FOLDER / name_of(asked)
    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files(shape, folder).items():
                (folder / name).write_text(text, encoding="utf-8")
    except ToolError as error:
        raise CommandError(str(error), FAILED) from error
    print(folder)
    return 0


def name_of(asked: dict[str, int]) -> str:
    """A folder's name: width and sessions, and whatever else is not as usual."""
    usual = {field.name: field.default for field in sizes()}
    parts = [f"{name}{value}" for name, value in asked.items() if name in ("width", "sessions") or value != usual[name]]
    return "-".join(parts).replace("_", "")


def files(shape: Shape, folder: Path) -> dict[str, str]:
    """All files, by name: the same whenever they are made from the same sources with the same tools.

    Parameters: ``folder``, where there is room to work. Raises ToolError.
    """
    made = {f"{TOP}.v": verilog(shape, folder), "tag34_registers.h": header(shape), "PORTS.md": page(shape)}
    about = {
        "tag34": version(),
        "contract": CONTRACT_VERSION,
        "parameters": sizes_of(shape),
        "tools": {name: tool_version(name) for name in ("amaranth", YOSYS)},
        "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in made.items()},
    }
    return {**made, "build.json": json.dumps(about, indent=2) + "\n"}
