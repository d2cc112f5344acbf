"""Two devices, one script: where they say different things, one of them is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

from tag34.contract import EventCode
from tag34.device import (
    DeliverRecord,
    Device,
    DeviceError,
    EventRecord,
    MessageRecord,
    Record,
    SentRecord,
    SessionState,
)

from .traffic import Operation, perform, refusal


@dataclass(frozen=True)
class Difference:
    """The first operation after which two devices differ, and what each of them said.

    Members: ``index`` of the operation, ``operation``, ``left`` and ``right``: why it was refused or could not be read,
        else the records (without cycles, sent messages last), or the states if the records agree.
    """

    index: int
    operation: Operation
    left: str | list[Record] | SessionState
    right: str | list[Record] | SessionState

    @property
    def failure(self) -> str:
        """Why ``right`` could not go on: the text of its DeviceError. Empty if it could."""
        sign = refusal(DeviceError())
        return self.right.removeprefix(sign) if isinstance(self.right, str) and self.right.startswith(sign) else ""

    def __str__(self) -> str:
        return self.told("left", "right")

    def of_device(self) -> str:
        """:meth:`told` where ``left`` is the golden model, and ``right`` the device that is held against it."""
        return self.told("golden model", "device")

    def told(self, left: str, right: str) -> str:
        """What differs first, in a few lines. Parameters: what the two devices are called."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.operation.arguments.items())
        lines = [f"operation {self.index}: {_short(f'{self.operation.verb}({arguments})')}"]
        rows: list[tuple[str, str]] = []
        pair = [str(said or "done") for said in (self.left, self.right)]
        if isinstance(self.left, list) and isinstance(self.right, list):
            same = 0
            while self.left[same : same + 1] and self.left[same : same + 1] == self.right[same : same + 1]:
                same += 1
            if same:
                lines.append(f"the first {same} records agree; the last of them, and the next:")
                rows.append(("both", _short(str(self.left[same - 1]))))
            else:
                lines.append("the first record differs:")
            pair = [str((*records[same : same + 1], "nothing more")[0]) for records in (self.left, self.right)]
        rows += zip((left, right), _stretch(pair[0], pair[1]), strict=True)
        width = max(len(name) for name, _ in rows)
        lines += [f"  {name:<{width}}  {text}" for name, text in rows]
        return "\n".join(lines)


#: Characters shown of a text's beginning, and on each side of the place that matters.
_HEAD = 80
_AROUND = 60
_LONG = _HEAD + 2 * _AROUND


def _short(text: str) -> str:
    """A text, but for its middle if that is long."""
    return text if len(text) <= _LONG else f"{text[:_HEAD]} ... {text[-_AROUND:]}"


def _stretch(one: str, other: str) -> tuple[str, str]:
    """Of two texts how they begin and the place where they first differ."""
    unlike_at = (at for at, (here, there) in enumerate(zip(one, other, strict=False)) if here != there)
    at = next(unlike_at, min(len(one), len(other)))
    return _near(one, at), _near(other, at)


def _near(text: str, at: int) -> str:
    if len(text) <= _LONG:
        return text
    begin, end = at - _AROUND, at + _AROUND
    shown = text[:end] if begin <= _HEAD else f"{text[:_HEAD]} ... {text[begin:end]}"
    return shown if end >= len(text) else f"{shown} ..."


def is_guess(record: Record) -> bool:
    """Whether it tells what is not certain yet."""
    return isinstance(record, EventRecord) and record.code is EventCode.GAP


def comparable(records: Iterable[Record]) -> list[Record]:
    """The records without what is a device's own affair: cycles, and when a message leaves after its decision, before
    or behind those of other sessions (docs/decisions/0004). Messages that left stand last, session by session. Early
    warnings of gaps are guesses, and left out (docs/decisions/0013)."""
    plain = [replace(record, cycle=0) for record in records if not is_guess(record)]
    sent = [record for record in plain if isinstance(record, SentRecord)]
    return [r for r in plain if not isinstance(r, SentRecord)] + sorted(sent, key=attrgetter("session"))


def compare(
    left: Device,
    right: Device,
    operations: Iterable[Operation],
    hear: Callable[[list[Record]], None] = lambda records: None,
) -> Difference | None:
    """Run ``operations`` on both devices, and compare after each what they say and, at the session it spoke of, their
    state.

    Returns the first difference, or None. ``hear`` is given all that ``right`` says.
    """
    for index, operation in enumerate(operations):
        refused = [perform(device, operation) for device in (left, right)]
        if refused[0] != refused[1]:
            return Difference(index, operation, refused[0], refused[1])
        said = [_poll(device) for device in (left, right)]
        told = [records if isinstance(records, str) else comparable(records) for records in said]
        if told[0] != told[1]:
            return Difference(index, operation, told[0], told[1])
        if isinstance(said[1], list):
            hear(said[1])
        if "session" in operation.arguments:
            session = operation.arguments["session"]
            states = [_state(device, session) for device in (left, right)]
            if states[0] != states[1]:
                return Difference(index, operation, states[0], states[1])
    return None


@runtime_checkable
class Unbroken(Protocol):
    """A device that takes bytes of many connections at a time."""

    def receive_all(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Session and bytes, each piece right behind the one before."""


def perform_unbroken(device: Device, operations: Sequence[Operation]) -> list[str]:
    """Carry out the operations, bytes that follow on bytes without a pause where the device can do that. What was
    refused, and why."""
    refused = []
    unbroken = device if isinstance(device, Unbroken) else None
    for receives, group in groupby(operations, lambda operation: operation.verb == "receive"):
        if receives and unbroken is not None:
            try:
                unbroken.receive_all((piece.arguments["session"], piece.arguments["data"]) for piece in group)
            except (DeviceError, ValueError) as error:
                refused.append(refusal(error))
        else:
            refused += filter(None, (perform(device, operation) for operation in group))
    return refused


@dataclass
class Said:
    """What a device said in a row of operations: what it ``refused``, its ``records``, and the ``states`` of its
    sessions afterwards."""

    refused: list[str]
    records: list[Record]
    states: dict[int, SessionState | str]


def listen(device: Device, operations: Sequence[Operation], refused: list[str]) -> Said:
    """All that the device said in these operations, which it has carried out, and what it ``refused`` of them."""
    records = _poll(device)
    if isinstance(records, str):
        refused, records = [*refused, records], []
    sessions = {operation.arguments["session"] for operation in operations if "session" in operation.arguments}
    return Said(refused, records, {session: _state(device, session) for session in sorted(sessions)})


def unlike(index: int, operation: Operation, left: Said, right: Said) -> Difference | None:
    """Compare what two devices said in a row of operations that ends with ``operation``: per session, as
    :class:`~tag34.device.Device` has it."""
    if left.refused != right.refused:
        return Difference(index, operation, "; ".join(left.refused), "; ".join(right.refused))
    told = _by_session(left.records), _by_session(right.records)
    if told[0] != told[1]:
        session = min(key for key in {*told[0], *told[1]} if told[0].get(key) != told[1].get(key))[0]
        of_session = [comparable(r for r in said.records if r.session == session) for said in (left, right)]
        return Difference(index, operation, of_session[0], of_session[1])
    for session, state in left.states.items():
        if state != right.states[session]:
            return Difference(index, operation, state, right.states[session])
    return None


#: All of a record but its cycle.
_PLAIN = {
    kind: attrgetter(*(field.name for field in fields(kind) if field.name != "cycle"))
    for kind in (MessageRecord, DeliverRecord, SentRecord, EventRecord)
}


def _by_session(records: Iterable[Record]) -> dict[tuple[int, bool], list[Any]]:
    """What was said of each session, messages that left apart, without cycles."""
    told = defaultdict[tuple[int, bool], list[Any]](list)
    for record in records:
        if is_guess(record):
            continue
        kind = type(record)
        told[record.session, kind is SentRecord].append((kind, _PLAIN[kind](record)))
    return told


def _poll(device: Device) -> list[Record] | str:
    """The device's records, or why they cannot be read."""
    try:
        return device.poll()
    except (DeviceError, ValueError) as error:
        return refusal(error)


def _state(device: Device, session: int) -> SessionState | str:
    """The session's state, or why it cannot be read."""
    try:
        return device.state(session)
    except (DeviceError, ValueError) as error:
        return refusal(error)
