"""What a user is told of a folder that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tag34.cli import FAILED, CommandError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What is done here writes into ``path``, a folder or a file: where the system refuses that, a CommandError names
    it. Output that nobody reads any more is another matter, and passes as it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", FAILED) from error
