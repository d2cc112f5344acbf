"""A venue in a process of its own, which sends execution reports: the real QuickFIX engine, or a small one in Python.

The process is told what to do by lines on its standard input: ``credit N`` (send up to report N) and ``logout``. Where
that input ends, it ends: it is never left behind, however its parent came to its end. On standard output it says one
thing, as one line of JSON: where it listens and what it is, or why it cannot be.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol

from .messages import Peer

#: Who the venue is, and to whom it talks.
PEER = Peer("FIX.4.4", sender="VENUE", target="TAG34")
KINDS = ("auto", "quickfix", "builtin")

_HELLO_SECONDS = 60.0
_EXIT_SECONDS = 3.0


class CounterpartyError(Exception):
    """The counterparty cannot be started or has failed."""


class Venue(Protocol):
    """A FIX acceptor with one session."""

    port: int

    def send(self, msg_type: str, fields: Iterable[tuple[int, str]]) -> None:
        """Send an application message. Waits for the Logon. Raises OSError if there is no session."""

    def logout(self) -> None:
        """Log out; return when that is over, however it ended."""


def execution_report(index: int, seed: int) -> list[tuple[int, str]]:
    """The fields of report ``index``. Its ExecID (17) is the index: the receiver can tell whether it has them all."""
    rng = random.Random(f"{seed} {index}")
    quantity = rng.randint(1, 50) * 100
    price = f"{rng.randint(1000, 99999) / 100:.2f}"
    return [
        (37, f"O{rng.randrange(10**9):09}"),
        (11, f"C{index}"),
        (17, str(index)),
        (150, "F"),
        (39, "2"),
        (55, rng.choice(("ACME", "GLOBEX", "INITECH", "HOOLI"))),
        (54, rng.choice("12")),
        (38, str(quantity)),
        (32, str(quantity)),
        (31, price),
        (151, "0"),
        (14, str(quantity)),
        (6, price),
        (58, "fill " * rng.randint(0, 12) + "done"),
    ]


@dataclass(frozen=True)
class Hello:
    """What a venue is: ``kind`` (quickfix or builtin), ``detail``, ``port``; ``note``: why it is not the other kind."""

    kind: str
    detail: str
    port: int
    note: str = ""


class Counterparty:
    """The venue's process, seen from outside. Enter it (``async with``) to start it; leaving ends it.

    Parameters: ``kind`` (one of KINDS; auto: QuickFIX if it can be imported), ``seed`` of the reports' contents.

    Members: ``hello``. Raises CounterpartyError if it does not start.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self._command = [sys.executable, "-m", "tag34_sim.counterparty", kind, str(seed)]
        self._process: asyncio.subprocess.Process | None = None
        self.hello = Hello(kind, "", 0)

    async def __aenter__(self) -> Counterparty:
        # A session of its own: Ctrl-C is for us, and we end it in order.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            assert self._process.stdout is not None
            line = await asyncio.wait_for(self._process.stdout.readline(), _HELLO_SECONDS)
            said = json.loads(line or '{"error": "it ended at once"}')
        except (asyncio.TimeoutError, ValueError) as error:
            await self._end()
            raise CounterpartyError(f"the counterparty does not start: {error or 'it is silent'}") from error
        except BaseException:
            await self._end()
            raise
        if "error" in said:
            await self._end()
            raise CounterpartyError(f"the counterparty does not start: {said['error']}")
        self.hello = Hello(**said)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._end()

    def credit(self, count: int) -> None:
        """Let it send the reports up to number ``count``."""
        self._tell(f"credit {count}")

    def logout(self) -> None:
        """Let it log out, and end."""
        self._tell("logout")

    async def ended(self) -> int:
        """Return its exit status when it has ended: 0 after a Logout."""
        assert self._process is not None
        return await self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def _end(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _EXIT_SECONDS)
        except asyncio.TimeoutError:
            pass
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


def _open_quickfix() -> tuple[Venue, str]:
    # Its wheel does not exist for every Python: asked for here, not above.
    from .quickfix_venue import QuickFixVenue

    found = metadata.packages_distributions().get("quickfix", ["quickfix"])[0]
    return QuickFixVenue(PEER), f"QuickFIX ({found} {metadata.version(found)})"


def _open_builtin() -> tuple[Venue, str]:
    from .builtin_venue import BuiltinVenue

    return BuiltinVenue(PEER), "built-in, plain Python"


def _open(kind: str) -> tuple[Venue, Hello]:
    note = ""
    if kind in ("auto", "quickfix"):
        try:
            venue, detail = _open_quickfix()
        except ImportError as error:
            if kind == "quickfix":
                raise
            note = f"QuickFIX cannot be imported: {error}"
        else:
            return venue, Hello("quickfix", detail, venue.port)
    venue, detail = _open_builtin()
    return venue, Hello("builtin", detail, venue.port, note)


def _obey(venue: Venue, seed: int) -> None:
    sent = 0
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "logout":
            venue.logout()
            return
        while sent < int(argument):
            sent += 1
            venue.send("8", execution_report(sent, seed))


def main(kind: str, seed: int) -> int:
    """The venue's process. Returns its exit status."""
    try:
        venue, hello = _open(kind)
    except (ImportError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    print(json.dumps(vars(hello)), flush=True)
    try:
        _obey(venue, seed)
    except OSError as error:
        print(f"counterparty: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1], int(sys.argv[2]))
    sys.stderr.flush()
    os._exit(status)  # an engine's threads may still run, and there is nothing to be saved
