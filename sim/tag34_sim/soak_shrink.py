"""Makes a failing case small, so that it can be read: operations are left out first, then what was configured, then
fields and bytes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import TypeVar

from tag34.device import SessionConfig, open_device

from .messages import checksummed
from .soak_case import Case, Opener, check
from .traffic import Operation, perform

T = TypeVar("T")

#: Members of a SessionConfig that have a default.
_CONFIGURED = [field.name for field in fields(SessionConfig) if field.name not in ("begin_string", "sender", "target")]


#: Where a message begins behind another one.
_BORDER = re.compile(rb"(?<=\x01)(?=8=FIX)")


class _Enough(Exception):
    """Time is up."""


class Shrinker:
    """Makes cases smaller as long as device and model still differ, in whatever they do.

    Parameters:
        case: one that fails.
        opener: of devices.
        seconds: how long it may take.
        clock: tells seconds.

    Members: ``case``, the smallest found so far; ``shows``, False if the case that was given does not fail when it runs
    by itself, without what the device has done before or in another rhythm; ``trials``, how many were run.
    """

    def __init__(
        self,
        case: Case,
        opener: Opener = open_device,
        *,
        seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.case = case
        self.shows = True
        self.trials = 0
        self._opener = opener
        self._clock = clock
        self._until = clock() + seconds

    def run(self) -> Case:
        """The smallest case that was found in time. Ctrl-C ends the search, too."""
        try:
            self.shows = self._fails(self.case)
            if not self.shows:
                return self.case
            self._settle()
            self._sessions()
            self._reduce_operations()
            self._one_message_each()
            self._reduce_operations()
            self._start_late()
            self._reduce_operations()
            self._simplify()
            self._reduce_chunks()
            self._reduce_operations()
        except (_Enough, KeyboardInterrupt):
            pass
        return self.case

    def _fails(self, case: Case) -> bool:
        """Whether the devices differ; the case is kept if they do."""
        if self._clock() > self._until:
            raise _Enough
        self.trials += 1
        found = check(case, self._opener)
        if found is None:
            return False
        # What comes behind the difference does not matter.
        self.case = replace(case, operations=case.operations[: found.index + 1])
        return True

    def _fails_with(self, operations: Sequence[Operation]) -> bool:
        return self._fails(replace(self.case, operations=list(operations)))

    def _settle(self) -> None:
        """Without pauses of the streams, and operation by operation, if that does it: it is the easiest to follow."""
        self._fails(replace(self.case, unbroken=False))
        self._fails(replace(self.case, stalls=None))

    def _sessions(self) -> None:
        """One session alone, if that does it."""
        for session in sorted({op.arguments["session"] for op in self.case.operations if "session" in op.arguments}):
            alone = [op for op in self.case.operations if op.arguments.get("session", session) == session]
            if len(alone) < len(self.case.operations) and self._fails_with(alone):
                return

    def _reduce_operations(self) -> None:
        reduce(self.case.operations, lambda fewer: self.case.operations if self._fails_with(fewer) else None)

    def _one_message_each(self) -> None:
        """A chunk for each message: neighbouring ones joined, and cut where messages begin."""
        joined: list[Operation] = []
        for operation in self.case.operations:
            if joined and joined[-1].verb == operation.verb == "receive":
                before = joined[-1].arguments
                if before["session"] == operation.arguments["session"]:
                    joined[-1] = _receive(operation, before["data"] + operation.arguments["data"])
                    continue
            joined.append(operation)
        cut = [part for operation in joined for part in _messages(operation)]
        if cut != self.case.operations:
            self._fails_with(cut)

    def _start_late(self) -> None:
        """The host sets the number expected where so far messages led to it."""
        for at in reversed(range(len(self.case.operations))):
            operation = self.case.operations[at]
            if operation.verb != "receive":
                continue
            session = operation.arguments["session"]
            before = [
                op for op in self.case.operations[:at] if op.verb != "receive" or op.arguments["session"] != session
            ]
            jump = Operation("set_expected", {"session": session, "expected": self._expected(session, at)})
            if len(before) + 1 < at and self._fails_with([*before, jump, *self.case.operations[at:]]):
                return

    def _expected(self, session: int, at: int) -> int:
        """The number that the golden model expects before operation ``at``."""
        with self._opener("model:", **self.case.options) as model:
            for operation in self.case.operations[:at]:
                perform(model, operation)
            return model.state(session).expected

    def _reduce_chunks(self) -> None:
        """From the last chunk to the first, because what comes late is what the difference is about: fields of whole
        messages, bytes of all else."""
        for at in reversed(range(len(self.case.operations))):
            if at >= len(self.case.operations) or self.case.operations[at].verb != "receive":
                continue
            data = self.case.operations[at].arguments["data"]
            head, fields = _fields(data)
            if _message(head, fields) == data:
                self._reduce_chunk(at, fields, partial(_message, head))
            else:
                self._reduce_chunk(at, list(data), bytes)

    def _reduce_chunk(self, at: int, parts: Sequence[T], joined: Callable[[Sequence[T]], bytes]) -> None:
        def attempt(kept: Sequence[T]) -> Sequence[T] | None:
            operations = list(self.case.operations)
            if at >= len(operations):
                return None  # the difference has come earlier
            operations[at] = _receive(operations[at], joined(kept))
            return kept if self._fails_with(operations) else None

        reduce(parts, attempt)

    def _simplify(self) -> None:
        """Configurations nearer to the default."""
        for at, operation in enumerate(self.case.operations):
            for name in _CONFIGURED:
                if at >= len(self.case.operations) or operation.verb != "configure":
                    break
                config = self.case.operations[at].arguments["config"]
                default = SessionConfig.__dataclass_fields__[name].default
                if getattr(config, name) != default:
                    simple = {**operation.arguments, "config": replace(config, **{name: default})}
                    operations = list(self.case.operations)
                    operations[at] = Operation("configure", simple)
                    self._fails_with(operations)


def _messages(operation: Operation) -> list[Operation]:
    """An operation for each message of a chunk."""
    if operation.verb != "receive":
        return [operation]
    return [_receive(operation, data) for data in re.split(_BORDER, operation.arguments["data"])]


def _receive(operation: Operation, data: bytes) -> Operation:
    return Operation("receive", {**operation.arguments, "data": data})


def _fields(data: bytes) -> tuple[bytes, list[bytes]]:
    """What looks like a message: 8, and the fields between 9 and 10."""
    parts = data.split(b"\x01")
    return parts[0], parts[2:-2]


def _message(head: bytes, fields: Sequence[bytes]) -> bytes:
    """A message of these fields, well framed."""
    body = b"".join(field + b"\x01" for field in fields)
    return checksummed(b"%b\x019=%d\x01%b" % (head, len(body), body))


def reduce(items: Sequence[T], attempt: Callable[[Sequence[T]], Sequence[T] | None]) -> Sequence[T]:
    """Delta debugging: leave out what is not needed, in ever smaller portions.

    Parameters:
        items: what is to be made less.
        attempt: takes fewer items; gives them back, or even fewer of them, if they will do, else None.

    Returns items that will do and from which no single one can be left out.
    """
    size = max(1, len(items) // 2)
    while items:
        at, before = 0, len(items)
        while at < len(items):
            fewer = attempt([*items[:at], *items[at + size :]])
            if fewer is not None:
                items = fewer
            else:
                at += size
        if size == 1 and len(items) == before:
            break
        size = max(1, size // 2)
    return items
