"""What a bitstream was made of, in a few bytes that the board tells its host."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

import tag34.contract
import tag34_hdl

from .. import boards
from ..boards.board import Board

BUILD_ID_BYTES = 8


def folder_of(package: object) -> Path:
    """Folder of a package's sources."""
    return Path(str(vars(package)["__file__"])).parent


def sources(board: Board) -> dict[str, Path]:
    """All files that decide on a board's gateware, by a name that is the same on every machine."""
    here = Path(__file__).parent
    found = {
        f"{label}/{path.relative_to(folder).as_posix()}": path
        for label, folder in (("hdl", folder_of(tag34_hdl)), ("contract", folder_of(tag34.contract)))
        for path in folder.rglob("*")
        if path.suffix in (".py", ".asm")
    }
    found |= {f"top/{name}.py": here / f"{name}.py" for name in ("top", "pll")}
    found["board"] = Path(str(import_module(f"{boards.__name__}.{board.name}").__file__))
    return dict(sorted(found.items()))


def build_id(board: Board) -> bytes:
    """A hash over the sources of the gateware, the board's file and its shape. No git is needed."""
    total = hashlib.sha256(repr(board.shape).encode())
    for name, path in sources(board).items():
        text = path.read_bytes()
        total.update(f"\0{name}\0{len(text)}\0".encode())
        total.update(text)
    return total.digest()[:BUILD_ID_BYTES]
