"""``tag34 selftest``: a fixed set of sessions on a device, and the same on the golden model: do they say the same?

What the owner of a board does first.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import inf
from textwrap import indent
from typing import TYPE_CHECKING

from tag34.cli import FAILED, CommandError
from tag34.contract import RULE_VERDICT, EventCode
from tag34.device import Device, DeviceError, DeviceInfo, EventRecord, MessageRecord, Record, SentRecord, open_device
from tag34.playback import parse_number

from .differential import Difference, compare
from .soak_case import counters_unlike
from .traffic import HALTING_MIX, MIX, Operation, scenario

if TYPE_CHECKING:
    from tag34.cli import Subparsers

#: Sessions that take part, of those that the device has.
_SESSIONS = 4
_SIZES = ("width", "sessions", "window", "max_message", "hold", "hold_limit")


@dataclass(frozen=True)
class Exercise:
    """A part of the test. Members: ``name``; ``seed``, which decides all of it; ``messages``, pieces of traffic;
    ``mix``, kinds of traffic and how often each comes."""

    name: str
    seed: int
    messages: int
    mix: dict[str, float]


EXERCISES = (
    Exercise("in order", 1, 60, {"in_order": 1}),
    Exercise("gaps", 2, 120, {"in_order": 10, "lost": 4, "replayed": 5, "gap_filled": 1, "odd_gap_fill": 1}),
    Exercise("duplicates", 3, 60, {"in_order": 6, "doubled": 3, "swapped": 3, "lost": 1, "replayed": 2}),
    Exercise("logons and resets", 4, 80, {"in_order": 5, "logon": 2, "reset_logon": 1, "reset": 1, "lost": 1}),
    Exercise("requests of the peer", 5, 60, {"in_order": 4, "resend_request": 3, "lost": 1, "replayed": 1}),
    Exercise("damage and noise", 6, 80, {"in_order": 4, "garbled": 3, "noise": 3, "foreign": 1}),
    Exercise("hostile peer", 7, 120, {"in_order": 4, **HALTING_MIX}),
    Exercise("everything", 8, 250, {**MIX, **HALTING_MIX}),
)


@dataclass
class Report:
    """What came of it.

    Members: ``exercises``, by name the number of messages judged; ``rules``, how often each decided; ``requests``,
    ResendRequests that left; ``latencies``, cycles from the last byte of each message that has caused one of them to
    its first byte, where there are cycles; ``difference``, the first one, or ``failure``, why the device could not go
    on, and ``ended``, the exercise in which that came: None if there is none.
    """

    exercises: dict[str, int] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    latencies: list[int] = field(default_factory=list)
    difference: Difference | None = None
    failure: str | None = None
    ended: str | None = None


class _Listener:
    """Counts what a device says."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._judged: set[int] = set()
        # By session: requests leave in the order of their events, but an event may be told after the message has left.
        self._asked = defaultdict[int, list[int]](list)
        self._sent = defaultdict[int, list[int]](list)

    def hear(self, records: list[Record]) -> None:
        """Records of the device, in order."""
        for record in records:
            if isinstance(record, MessageRecord):
                self._report.rules[record.rule.id] += 1
                self._judged.add(record.cycle)
            elif isinstance(record, EventRecord) and record.code is EventCode.REQUEST:
                self._asked[record.session].append(record.cycle)
            elif isinstance(record, SentRecord) and record.device:
                self._report.requests += 1
                self._sent[record.session].append(record.cycle)

    def finish(self) -> None:
        """All has been heard. A request that a timer or the host has caused has the cycle of its decision, which is
        that of no message; one may be forgotten before it leaves, by a new connection."""
        for session, asked in self._asked.items():
            for proved, following in zip_longest(asked, asked[1:], fillvalue=inf):
                sent = [cycle for cycle in self._sent[session] if proved <= cycle < following]
                if sent and sent[0] and proved in self._judged:
                    self._report.latencies.append(int(sent[0] - proved))


def selftest(device: Device, model: Device, exercises: Sequence[Exercise] = EXERCISES) -> Report:
    """Run the exercises on a device that has just been opened and on a golden model of its sizes, until they differ or
    the device fails."""
    report = Report()
    listener = _Listener(report)
    done: list[Operation] = []

    def noted(operations: Iterator[Operation]) -> Iterator[Operation]:
        for operation in operations:
            done.append(operation)
            yield operation

    for exercise in exercises:
        before = report.rules.total()
        life = scenario(
            random.Random(exercise.seed),
            messages=exercise.messages,
            sessions=min(model.info.sessions, _SESSIONS),
            window=model.info.window,
            max_message=model.info.max_message,
            mix=exercise.mix,
            watch=model.state,
        )
        try:
            found = compare(model, device, noted(life), listener.hear) or counters_unlike(model, device, done)
        except DeviceError as error:
            report.failure = str(error)
        else:
            if found is not None and found.failure:
                report.failure = found.failure
            else:
                report.difference = found
        report.exercises[exercise.name] = report.rules.total() - before
        if report.failure is not None or report.difference is not None:
            report.ended = exercise.name
            return report
    listener.finish()
    return report


def register(subparsers: Subparsers) -> None:
    """Add the subcommand ``selftest``."""
    parser = subparsers.add_parser(
        "selftest",
        help="a fixed set of sessions on a device: does it do what the golden model does?",
        description="Runs a fixed set of sessions on a device. Every verdict, delivery, byte sent, event and counter "
        "has to be that of the golden model.",
        epilog="Exit status: 0 no difference; 1 a difference, or the device failed; 2 wrong option, no such device.",
    )
    add = parser.add_argument
    add("device", metavar="DEVICE", help="serial:/dev/ttyUSB1, sim:, ...")
    for name in _SIZES:
        add(f"--{name.replace('_', '-')}", type=parse_number, metavar="N", help="of a device that has a choice: sim:")
    add("--baud", type=parse_number, metavar="N", help="bits per second, of serial: (default: usual ones are tried)")
    add("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The subcommand. Returns the exit status."""
    options = {name: getattr(args, name) for name in (*_SIZES, "baud") if getattr(args, name) is not None}
    try:
        device = open_device(args.device, **options)
    except (DeviceError, ValueError) as error:
        raise CommandError(str(error)) from error
    with device, model_like(device.info) as model:
        report = selftest(device, model)
        info = device.info
    print(json.dumps(_as_dict(args.device, info, report)) if args.json else _as_text(args.device, info, report))
    if report.failure is not None:
        raise CommandError(f"the device failed in {report.ended!r}: {report.failure}", FAILED)
    if report.difference is not None:
        raise CommandError(f"the device differs from the golden model in {report.ended!r}", FAILED)
    return 0


def model_like(info: DeviceInfo) -> Device:
    """A golden model of a device's sizes."""
    names = ("sessions", "window", "max_message", "hold", "hold_limit")
    return open_device("model:", **{name: getattr(info, name) for name in names})


def _as_dict(url: str, info: DeviceInfo, report: Report) -> dict[str, object]:
    latencies = report.latencies
    cycles = (
        {"min": min(latencies), "median": statistics.median(latencies), "max": max(latencies)} if latencies else None
    )
    return {
        "device": url,
        "device_detail": info.detail,
        "sessions": info.sessions,
        "messages": report.rules.total(),
        "exercises": report.exercises,
        "rules": {rule.id: report.rules[rule.id] for rule in RULE_VERDICT},
        "resend_requests": report.requests,
        "resend_latencies": len(latencies),
        "resend_latency_cycles": cycles,
        "clock_hz": info.clock_hz or None,
        "differences": int(report.difference is not None),
        "difference": None if report.difference is None else report.difference.of_device(),
        "failure": report.failure,
        "ended": report.ended,
    }


def _as_text(url: str, info: DeviceInfo, report: Report) -> str:
    lines = [f"{url} {info.detail}"]
    end = "DIFFERS" if report.failure is None else "FAILED"
    for name, messages in report.exercises.items():
        lines.append(f"  {name:<22}{messages:>6} messages  {end if name == report.ended else 'as the model'}")
    unseen = [rule.id for rule in RULE_VERDICT if not report.rules[rule.id]]
    lines.append(f"rules that decided: {len(RULE_VERDICT) - len(unseen)} of {len(RULE_VERDICT)}")
    lines.append(f"ResendRequests: {report.requests}")
    if report.latencies:
        cycles = (min(report.latencies), int(statistics.median(report.latencies)), max(report.latencies))
        lines.append("gap to ResendRequest: {} / {} / {} cycles".format(*cycles) + f", {len(report.latencies)} times")
        if info.clock_hz:
            times = [round(count * 1e9 / info.clock_hz) for count in cycles]
            lines[-1] += ", {} / {} / {} ns".format(*times) + f" at {info.clock_hz / 1e6:g} MHz (min / median / max)"
    if report.difference is not None:
        lines += ["differences: yes, the test has ended there", indent(report.difference.of_device(), "  ")]
    else:
        lines.append("differences: none" + ("" if report.failure is None else " until the device failed"))
    return "\n".join(lines)
