"""One device, many sessions: each session takes its own records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from .device import Device, Record


class DeviceHub:
    """Hands a device's records to the sessions that they belong to.

    Parameters: ``device``, which nobody else may poll.

    A call for one session can bring another one's records to light (a timer that ran out, R14). Then the other is
    woken: it should be ticked soon.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._waiting: defaultdict[int, list[Record]] = defaultdict(list)
        self._wake: dict[int, Callable[[], None]] = {}

    def poll(self, session: int) -> list[Record]:
        """The records of ``session`` since the last call, in order."""
        others: set[int] = set()
        for record in self.device.poll():
            self._waiting[record.session].append(record)
            if record.session != session:
                others.add(record.session)
        for other in others & self._wake.keys():
            self._wake[other]()
        return self._waiting.pop(session, [])

    def on_wake(self, session: int, wake: Callable[[], None] | None) -> None:
        """Have ``wake`` called when records of ``session`` wait; None: nobody cares any more."""
        if wake is None:
            self._wake.pop(session, None)
        else:
            self._wake[session] = wake
