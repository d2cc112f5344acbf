"""The command ``tag34``.

``replay`` and ``devices`` are built in; every other subcommand comes from the entry-point group ``tag34.commands``.
Such an entry point is a callable ``register(subparsers) -> None`` that adds one parser and gives it a default ``run``:
a callable that takes the parsed arguments and returns the exit status.

Exit status: 0 what was asked for was done; 1 it was tried and failed; 2 it could not be tried (a wrong option, a
missing file, no such device); 130 interrupted by Ctrl-C; 141 the reader of the output went away (what a shell shows for
SIGPIPE).
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from .device import DeviceError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

COMMANDS = "tag34.commands"
FAILED = 1
NOT_TRIED = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CommandError(Exception):
    """A subcommand cannot go on. The user gets the text in one line, no traceback.

    Parameters: ``message``, ``status`` (exit status; default: could not be tried).
    """

    def __init__(self, message: str, status: int = NOT_TRIED) -> None:
        super().__init__(message)
        self.status = status


def version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("tag34")
    except metadata.PackageNotFoundError:
        return "0+unknown"  # run from a source tree that was never installed


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, str]]:
    """The parser with all subcommands, and those that cannot be loaded: name -> why."""
    from . import playback  # commands import this module
    from .link import command as devices

    parser = argparse.ArgumentParser(prog="tag34", description="FIX sessions whose numbers are kept in hardware.")
    parser.add_argument("--version", action="version", version=f"tag34 {version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    playback.register(subparsers)
    devices.register(subparsers)
    unavailable: dict[str, str] = {}
    for point in sorted(metadata.entry_points(group=COMMANDS), key=lambda point: point.name):
        try:
            register = point.load()
        except (ImportError, AttributeError) as error:
            # Another package's command, or one whose extra is not installed, must not take the others with it.
            unavailable[point.name] = str(error)
        else:
            register(subparsers)
    if unavailable:
        parser.epilog = "not available: " + ", ".join(f"{name} ({why})" for name, why in unavailable.items())
    return parser, unavailable


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: that of the process). Returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, unavailable = build_parser()
    if arguments and arguments[0] in unavailable:
        return _complain(f"{arguments[0]} cannot be loaded: {unavailable[arguments[0]]}", NOT_TRIED)
    args = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            status: int = args.run(args)
        sys.stdout.flush()
    except CommandError as error:
        return _complain(str(error), error.status)
    except DeviceError as error:
        return _complain(str(error), FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _drop_output()
        return _complain(f"cannot write the output: {error.strerror}", FAILED)
    return status


def _drop_output() -> None:
    # Python flushes stdout once more on its way out and would complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _warn(message: Warning | str, *where: object, **more: object) -> None:
    # One line for the user, in the place of Python's two with a line of source.
    _complain(f"warning: {message}", 0)


def _complain(message: str, status: int) -> int:
    print("tag34: " + " ".join(message.split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
