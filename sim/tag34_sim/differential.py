"""Two devices, one script: where they say different things, one of them is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tag34.device import Device, Record, SentRecord, SessionState

from .traffic import Operation, perform


@dataclass(frozen=True)
class Difference:
    """The first operation after which two devices differ, and what each of them said.

    Members: ``index`` of the operation, ``operation``, ``left`` and ``right``: why it was refused, else the records
        (without cycles, sent messages last), or the states if the records agree.
    """

    index: int
    operation: Operation
    left: str | list[Record] | SessionState
    right: str | list[Record] | SessionState

    def __str__(self) -> str:
        lines = [f"operation {self.index}: {self.operation}"]
        if isinstance(self.left, list) and isinstance(self.right, list):
            same = 0
            while self.left[same : same + 1] and self.left[same : same + 1] == self.right[same : same + 1]:
                same += 1
            lines.append(f"the first {same} records agree, then")
            lines += [f"  left  {record}" for record in self.left[same : same + 3]]
            lines += [f"  right {record}" for record in self.right[same : same + 3]]
        else:
            lines += [f"  left  {self.left or 'done'}", f"  right {self.right or 'done'}"]
        return "\n".join(lines)


def comparable(records: Iterable[Record]) -> list[Record]:
    """The records without what is a device's own affair: cycles, and how soon after its decision a message leaves
    (docs/decisions/0004)."""
    plain = [replace(record, cycle=0) for record in records]
    return [r for r in plain if not isinstance(r, SentRecord)] + [r for r in plain if isinstance(r, SentRecord)]


def compare(left: Device, right: Device, operations: Iterable[Operation]) -> Difference | None:
    """Run ``operations`` on both devices, and compare after each what they say and, at the session it spoke of, their
    state.

    Returns the first difference, or None.
    """
    for index, operation in enumerate(operations):
        refused = [perform(device, operation) for device in (left, right)]
        if refused[0] != refused[1]:
            return Difference(index, operation, refused[0], refused[1])
        said = [comparable(device.poll()) for device in (left, right)]
        if said[0] != said[1]:
            return Difference(index, operation, said[0], said[1])
        if "session" in operation.arguments:
            session = operation.arguments["session"]
            states = [device.state(session) for device in (left, right)]
            if states[0] != states[1]:
                return Difference(index, operation, states[0], states[1])
    return None
