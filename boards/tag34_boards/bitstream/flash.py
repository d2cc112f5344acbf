"""The subcommand ``flash``: loads a bitstream into a board, with openFPGALoader."""

from __future__ import annotations

import argparse
import re
import subprocess
from typing import TYPE_CHECKING

from tag34.cli import FAILED, CommandError

from ..boards import BOARDS
from ..timing.tools import ToolError, tool
from .build import bitstream_path
from .command import add_build, board_of

if TYPE_CHECKING:
    from tag34.cli import Subparsers

LOADER = "openfpgaloader-cli"
#: What openFPGALoader says when there is nothing to talk to, or it may not.
_NO_BOARD = re.compile(
    r"unable to open ftdi device|device not found|no (usb )?device|JTAG init failed|can't open|cable not found", re.I
)


def register(subparsers: Subparsers) -> None:
    """Add the subcommand ``flash``."""
    parser = subparsers.add_parser(
        "flash",
        help="load what was built into a board",
        description="Loads the bitstream that `tag34 bitstream` has made into a board on USB.",
        epilog="Exit status: 0 loaded; 1 no board found, or loading failed; 2 no such board, no bitstream, no tool.",
    )
    parser.add_argument("board", metavar="BOARD", nargs="?", help=f"one of {', '.join(BOARDS)}")
    add_build(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The subcommand. Returns the exit status."""
    board = board_of(args.board)
    folder = args.build / board.name
    path = bitstream_path(board, folder)
    if not path.exists():
        finish = "" if board.toolchain.is_open else f", then {board.toolchain.name} in {folder}"
        raise CommandError(f"there is no {path}: make bitstream BOARD={board.name}{finish}")
    try:
        command = [tool(LOADER), "-b", board.loader, str(path)]
    except ToolError as error:
        raise CommandError(str(error)) from None
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode == 0:
        print(f"{board.title}: {path} is loaded")
        return 0
    raise complaint(board.title, done.stdout)


def complaint(title: str, said: str) -> CommandError:
    """What openFPGALoader's last words mean."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if "error while loading shared libraries" in said:
        found = re.search(r"shared libraries: (\S+?):", said)
        library = found[1] if found else "a library"
        return CommandError(f"openFPGALoader cannot run without {library} (Debian: libusb-1.0-0, libftdi1-2)")
    last = lines[-1] if lines else "it says nothing"
    if _NO_BOARD.search(said):
        return CommandError(f"no {title} was found: plugged in, and may you open its USB device? ({last})", FAILED)
    return CommandError(f"openFPGALoader failed: {last}", FAILED)
