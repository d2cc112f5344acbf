"""The command line: where subcommands come from, how they end."""

from __future__ import annotations

import argparse
import errno
import warnings
from collections.abc import Callable
from importlib import metadata

import pytest

from tag34 import cli
from tag34.cli import CommandError, main
from tag34.device import DeviceError


class Point:
    """An entry point of the test's own."""

    def __init__(self, name: str, load: Callable[[], object]) -> None:
        self.name = name
        self.load = load


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[argparse.Namespace], int]], None]:
    """Installs a subcommand ``try`` that does what it is given."""

    def install(run: Callable[[argparse.Namespace], int]) -> None:
        def register(subparsers: cli.Subparsers) -> None:
            subparsers.add_parser("try").set_defaults(run=run)

        monkeypatch.setattr(metadata, "entry_points", lambda group: [Point("try", lambda: register)])

    return install


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"tag34 {metadata.version('tag34')}\n"


def test_version_of_a_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert cli.version() == "0+unknown"


def test_installed_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "replay" in out
    assert "demo" in out
    assert "not available" not in out


@pytest.mark.parametrize("arguments", [[], ["toast"], ["--toast"]])
def test_unknown_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "tag34: error: " in capsys.readouterr().err


def test_command_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load() -> object:
        raise ImportError("no module named toaster")

    monkeypatch.setattr(metadata, "entry_points", lambda group: [Point("toast", load)])
    assert main(["toast", "--brown"]) == 2
    assert capsys.readouterr().err == "tag34: toast cannot be loaded: no module named toaster\n"
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "toast (no module named toaster)" in capsys.readouterr().out


def test_status_of_a_command(command: Callable[[Callable[[argparse.Namespace], int]], None]) -> None:
    command(lambda args: 7)
    assert main(["try"]) == 7


def test_warning_is_one_line(
    command: Callable[[Callable[[argparse.Namespace], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: argparse.Namespace) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("no compiler;\nslow", RuntimeWarning, stacklevel=2)
        return 0

    command(run)
    assert main(["try"]) == 0
    assert capsys.readouterr().err == "tag34: warning: no compiler; slow\n"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (CommandError("wrong\nfile"), 2, "tag34: wrong file\n"),
        (CommandError("lost", 1), 1, "tag34: lost\n"),
        (DeviceError("gone"), 1, "tag34: gone\n"),
        (KeyboardInterrupt(), 130, "tag34: interrupted\n"),
    ],
)
def test_end_of_a_command(
    command: Callable[[Callable[[argparse.Namespace], int]], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    text: str,
) -> None:
    command(raising(error))
    assert main(["try"]) == status
    assert capsys.readouterr().err == text


def test_no_room_for_the_output(
    command: Callable[[Callable[[argparse.Namespace], int]], None], capfd: pytest.CaptureFixture[str]
) -> None:
    command(raising(OSError(errno.ENOSPC, "No space left on device")))
    assert main(["try"]) == 1
    assert capfd.readouterr().err == "tag34: cannot write the output: No space left on device\n"


def test_mistakes_in_the_program_are_not_hidden(
    command: Callable[[Callable[[argparse.Namespace], int]], None],
) -> None:
    command(raising(OSError(errno.EBADF, "Bad file descriptor")))
    with pytest.raises(OSError, match="Bad file descriptor"):
        main(["try"])
