"""``make`` as a user runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def make(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it in the checkout, with nothing in its environment but ``env``, PATH and HOME: a ``make`` that runs these
    tests hands its own options, variables and level on."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    bare = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
    root = Path(__file__).parents[2]
    return subprocess.run(["make", *words], cwd=root, env={**bare, **env}, capture_output=True, text=True)
