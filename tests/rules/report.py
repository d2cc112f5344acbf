"""The coverage table: how often each rule was seen on each device, and what is missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.rules.bins import SEEN

#: Devices on which every rule is due.
DEVICES: Final = ("model", "sim")
#: What cannot be seen on a device, and why.
EXCUSED: Final[dict[tuple[str, str], str]] = {
    ("R16", "model"): "it has no outputs that could be held back: a call has finished its work when it returns",
    ("S3", "model"): "no message of the host ever waits: it leaves within the call that gives it",
    ("S6", "model"): "no request ever waits: it leaves within the call that causes it",
}

Hits = Mapping[str, Mapping[str, int]]


def merge(parts: Iterable[Hits]) -> dict[str, Counter[str]]:
    """Counts by device and rule id, over all test processes."""
    total: dict[str, Counter[str]] = {device: Counter() for device in DEVICES}
    for part in parts:
        for device, hits in part.items():
            total.setdefault(device, Counter()).update(hits)
    return total


def read(folder: Path) -> dict[str, Counter[str]]:
    """The sum of what the test processes have left in ``folder``."""
    return merge(json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))


def missing(total: Hits) -> list[str]:
    """What is due and was never seen, one line each; and excuses for what was seen all the same."""
    lines = []
    for rule in SEEN:
        for device in DEVICES:
            excuse, count = EXCUSED.get((rule, device)), total[device].get(rule, 0)
            if count == 0 and excuse is None:
                lines.append(f"{rule} was never seen on {device}: {SEEN[rule]}")
            elif count and excuse is not None:
                lines.append(f"{rule} was seen on {device}, which is excused from it: {excuse}")
    return lines


def table(total: Hits) -> list[str]:
    """The counts, rule by device; behind them the excuses."""
    devices = list(total)
    width = max(len(f"{count}") for counts in total.values() for count in [0, *counts.values()])
    width = max([width, *map(len, devices)])
    lines = [f"{'rule':<5}" + "".join(f"{device:>{width + 2}}" for device in devices) + "  seen when"]
    for rule, seen in SEEN.items():
        cells = ""
        for device in devices:
            count = total[device].get(rule, 0)
            cells += f"{'-' if count == 0 and (rule, device) in EXCUSED else count:>{width + 2}}"
        lines.append(f"{rule:<5}{cells}  {seen}")
    lines += [f"- {rule} on {device}: {excuse}" for (rule, device), excuse in EXCUSED.items()]
    return lines
