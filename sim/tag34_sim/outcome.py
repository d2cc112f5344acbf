"""What came of a demo: counted while it runs, then shown as a table or as JSON."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping

from tag34 import Event, RecoveryOpened, Sent
from tag34.contract import Rule
from tag34.device import DeviceInfo

from .counterparty import Hello
from .relay import Tally


class Outcome:
    """Collects what happened.

    Parameters: ``url`` and ``info`` of the device, ``messages`` that should be sent, the relay's ``tally``.

    Members: ``delivered``, messages that the application got; ``distinct``, different ones among them; ``problems``,
    texts; ``counterparty``, ``seconds``, set from outside.
    """

    def __init__(self, url: str, info: DeviceInfo, messages: int, tally: Tally) -> None:
        self.delivered = 0
        self.distinct = 0
        self.problems: list[str] = []
        self.counterparty: Hello | None = None
        self.seconds = 0.0
        self._url = url
        self._info = info
        self._megahertz = info.clock_hz / 1e6
        self._messages = messages
        self._tally = tally
        self._seen: set[int] = set()
        self._last = 0
        self._in_order = True
        self._requests = 0
        self._opened: deque[int | None] = deque()  # the proving byte's cycle; None: no byte did, but a timer
        self._latencies: list[int] = []
        self._duplicates = self._garbled = 0

    def take(self, index: int) -> None:
        """The application got report ``index``."""
        self.delivered += 1
        self._in_order = self._in_order and index == self._last + 1
        self._last = index
        self._seen.add(index)
        self.distinct = len(self._seen)

    def note(self, event: Event) -> None:
        """The session reports something. A ResendRequest's decision and its departure come in the same order."""
        if isinstance(event, RecoveryOpened):
            self._opened.append(None if event.rule is Rule.R14 else event.cycle)
        elif isinstance(event, Sent) and event.device:
            self._requests += 1
            proved = self._opened.popleft()
            if proved is not None:
                self._latencies.append(event.cycle - proved)

    def count(self, counters: Mapping[str, int]) -> None:
        """Take what the device counted, per rule."""
        self._duplicates = counters["R9a"] + counters["R10a"]
        self._garbled = counters["F3"]

    @property
    def failure(self) -> str:
        """Why this is no success, in one line; empty if it is one."""
        problems = list(self.problems)
        lost, duplicated = self._messages - self.distinct, self.delivered - self.distinct
        if lost:
            problems.append(f"{lost} messages not delivered")
        if duplicated:
            problems.append(f"{duplicated} messages delivered twice")
        if not self._in_order:
            problems.append("messages delivered out of order")
        return ", ".join(problems)

    def as_dict(self) -> dict[str, object]:
        """For ``--json``. ``sent`` to ``resend_latency_ns`` as in the table; the latencies are null without cycles."""
        latency = self._latency()
        return {
            "sent": self._tally.messages,
            "delivered": self.delivered,
            "in_order": self._in_order,
            "lost": self._tally.messages - self.distinct,
            "duplicated": self.delivered - self.distinct,
            "gaps": self._tally.gaps,
            "resend_requests": self._requests,
            "duplicates_dropped": self._duplicates,
            "garbled": self._garbled,
            "resend_latency_cycles": latency,
            "resend_latency_ns": {
                name: None if v is None else v * 1000 / self._megahertz for name, v in latency.items()
            },
            "relay": {name: value for name, value in vars(self._tally).items() if name not in ("messages", "gaps")},
            "device": self._url,
            "device_detail": self._info.detail,
            "counterparty": self.counterparty.kind if self.counterparty else None,
            "counterparty_detail": self.counterparty.detail if self.counterparty else None,
            "counterparty_note": self.counterparty.note if self.counterparty else None,
            "seconds": round(self.seconds, 3),
            "failure": self.failure or None,
        }

    def _latency(self) -> dict[str, int | float | None]:
        if not self._latencies or not self._info.width:
            return {"min": None, "median": None, "max": None}
        median = statistics.median(self._latencies)
        return {
            "min": min(self._latencies),
            "median": int(median) if median == int(median) else median,
            "max": max(self._latencies),
        }

    def as_table(self) -> str:
        """For people."""
        tally, latency = self._tally, self._latency()
        cycles = " / ".join("n/a" if value is None else f"{value:g}" for value in latency.values())
        times = " / ".join(
            "n/a" if value is None else f"{value * 1000 / self._megahertz:g}" for value in latency.values()
        )
        detail = self.counterparty.detail if self.counterparty else "none"
        rows = [
            ("device", f"{self._url} {self._info.detail}"),
            ("counterparty", detail),
            ("messages sent / delivered", f"{tally.messages} / {self.delivered}"),
            ("gaps made by the relay", str(tally.gaps)),
            (
                "  dropped / garbled / delayed / doubled",
                f"{tally.dropped} / {tally.garbled} / {tally.delayed} / {tally.doubled}",
            ),
            ("ResendRequests", str(self._requests)),
            ("duplicates dropped", str(self._duplicates)),
            ("garbled", str(self._garbled)),
            ("proving byte to ResendRequest, cycles", f"{cycles} (min / median / max)"),
            (f"  in ns at {self._megahertz:g} MHz", times),
            ("seconds", f"{self.seconds:.1f}"),
            ("every message once and in order", "no: " + self.failure if self.failure else "yes"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
