"""What a campaign found: as JSON, as a page, and whether it is good enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .campaign import Fate
from .faults import COMPONENTS, Fault
from .survivors import SURVIVORS, Kind, Named, reason, spoken_of, stale

#: Least share that tests have to kill of the faults that make a difference in what is promised.
GOAL = 0.95
#: Least share of those that are not proved equivalent, whatever is said of the survivors.
LEAST = 0.9


@dataclass
class Row:
    """Of one component, or of all: numbers of faults ``planted``, killed by the ``scenarios`` and by other ``tests``,
    proved ``equivalent``, ``survived``."""

    name: str
    planted: int
    scenarios: int
    tests: int
    equivalent: int
    survived: int

    @property
    def score(self) -> float:
        """The share that was killed of those that are not proved equivalent; 1 if there are none."""
        seen = self.planted - self.equivalent
        return self.killed / seen if seen else 1.0

    @property
    def killed(self) -> int:
        """By anything."""
        return self.scenarios + self.tests


def rows(faults: Sequence[Fault], fates: Mapping[int, Fate]) -> list[Row]:
    """A row for each component that has faults, and one for all."""
    names = [component.name for component in COMPONENTS]
    groups = {name: [fault for fault in faults if fault.component == name] for name in names}
    return [_row(name, group, fates) for name, group in groups.items() if group] + [_row("all", faults, fates)]


def _row(name: str, faults: Sequence[Fault], fates: Mapping[int, Fate]) -> Row:
    how = Counter(fates[fault.number].how for fault in faults)
    return Row(name, len(faults), *(how[kind] for kind in ("scenario", "test", "equivalent", "survived")))


def survivors(faults: Iterable[Fault], fates: Mapping[int, Fate]) -> list[Fault]:
    """The faults that nothing told."""
    return [fault for fault in faults if fates[fault.number].how == "survived"]


def kinds(left: Iterable[Fault], named: Sequence[Named] = SURVIVORS) -> Counter[Kind | None]:
    """How many survivors there are of each kind; None: nobody says."""
    entries = [spoken_of(fault, named) for fault in left]
    return Counter(entry.kind if entry else None for entry in entries)


def argued(faults: Sequence[Fault], fates: Mapping[int, Fate], named: Sequence[Named] = SURVIVORS) -> float:
    """The share that was killed of those that make a difference in what is promised, if what is said of the survivors
    is right."""
    counts = kinds(survivors(faults, fates), named)
    killed = rows(faults, fates)[-1].killed
    seen = killed + counts[None] + counts[Kind.LONG]
    return killed / seen if seen else 1.0


def complaints(
    faults: Sequence[Fault], fates: Mapping[int, Fate], whole: bool, named: Sequence[Named] = SURVIVORS
) -> list[str]:
    """What is not good enough. ``whole``: these are all faults, so the scores count and each entry of the list of
    survivors has to speak of one."""
    left = survivors(faults, fates)
    wrong = [f"survived, and nobody says why: {fault}" for fault in left if not reason(fault, named)]
    if whole:
        score = rows(faults, fates)[-1].score
        if score < LEAST:
            wrong.append(f"only {score:.1%} of what is not proved equivalent were killed, {LEAST:.0%} is the least")
        score = argued(faults, fates, named)
        if score < GOAL:
            wrong.append(f"only {score:.1%} were killed, {GOAL:.0%} is the goal")
        wrong += [f"does not survive: {entry.component} {entry.source} {entry.what}" for entry in stale(left, named)]
    return wrong


def table(faults: Sequence[Fault], fates: Mapping[int, Fate]) -> list[str]:
    """The rows as a table in Markdown."""
    lines = ["| component | planted | killed by scenarios | killed by tests | equivalent | survived | score |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows(faults, fates):
        counts = (row.planted, row.scenarios, row.tests, row.equivalent, row.survived)
        lines.append(f"| {row.name} | {' | '.join(map(str, counts))} | {row.score:.1%} |")
    return lines


def summary(faults: Sequence[Fault], fates: Mapping[int, Fate]) -> str:
    """Both scores, and what the survivors are."""
    left = survivors(faults, fates)
    counts = kinds(left)
    said = [f"{kind.value if kind else 'nobody knows what'} ({count})" for kind, count in counts.most_common()]
    text = f"{rows(faults, fates)[-1].score:.1%} of the faults that are not proved equivalent were killed."
    if left:
        text += (
            f" The {len(left)} survivors are said, and not proved, to make {'; '.join(said)}. If that is right, "
            f"{argued(faults, fates):.1%} of the faults that make a difference in what is promised were killed."
        )
    return text


def page(faults: Sequence[Fault], fates: Mapping[int, Fate], seed: int) -> str:
    """The page on a whole campaign, as Markdown."""
    text = [
        "# Mutations",
        "",
        "<!-- Made by `make mutate` of a whole campaign: run it again, do not change this page. -->",
        "",
        f"What came of {len(faults)} faults, planted one at a time in the gateware (`make mutate`, seed {seed}): "
        "*killed* by the scenarios that the differential tests play against the golden model, or by the other tests of "
        "device behaviour; proved *equivalent*; or *survived*. The score is the share killed of those that are not "
        "proved equivalent. How it is done: [decision 11](decisions/0011-mutations.md).",
        "",
        *table(faults, fates),
        "",
        summary(faults, fates),
        "",
        "## Survivors",
        "",
        "Why each survives stands in [survivors.py](../tests/mutation/survivors.py).",
        "",
        "| component | fault | source | what is said of it |",
        "|---|---|---|---|",
    ]
    for fault in survivors(faults, fates):
        code = fault.code.replace("|", "\\|")
        name = fault.source.rpartition(":")[0]
        entry = spoken_of(fault)
        said = f"{entry.kind.value[0].upper()}{entry.kind.value[1:]}. {entry.reason}" if entry else ""
        text.append(f"| {fault.component} | `{fault.what}` | {name}: `{code}` | {said} |")
    return "\n".join(text) + "\n"


def data(faults: Sequence[Fault], fates: Mapping[int, Fate], seed: int) -> dict[str, Any]:
    """The report for programs."""
    return {
        "seed": seed,
        "components": {row.name: {**vars(row), "score": row.score} for row in rows(faults, fates)},
        "faults": [_told(fault, fates[fault.number]) for fault in faults],
    }


def _told(fault: Fault, fate: Fate) -> dict[str, Any]:
    entry = spoken_of(fault) if fate.how == "survived" else None
    return {
        "number": fault.number,
        "component": fault.component,
        "what": fault.what,
        "source": fault.source,
        "code": fault.code,
        "fate": fate.how,
        "by": fate.by,
        "kind": entry.kind.name.lower() if entry else "",
        "reason": entry.reason if entry else "",
    }
