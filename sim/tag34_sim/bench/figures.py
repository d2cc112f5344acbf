"""Figures: distributions of times, and the rows of the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spread:
    """A distribution of times. Members in the unit of the values; ``jitter`` is p99.9 - p50."""

    count: int
    least: float
    p50: float
    p99: float
    p999: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The distribution of ``values``, which are at least one: each percentile is one of them (nearest rank)."""
        ranked = sorted(values)
        p50, p99, p999 = (percentile(ranked, share) for share in (0.5, 0.99, 0.999))
        return cls(len(ranked), ranked[0], p50, p99, p999, ranked[-1])

    @property
    def jitter(self) -> float:
        """p99.9 - p50."""
        return self.p999 - self.p50

    def scaled(self, factor: float) -> Spread:
        """The same in another unit."""
        least, p50, p99, p999, most = (
            factor * value for value in (self.least, self.p50, self.p99, self.p999, self.most)
        )
        return Spread(self.count, least, p50, p99, p999, most)


def percentile(ranked: Sequence[float], share: float) -> float:
    """The smallest of the values, in ascending order, that ``share`` of them do not exceed."""
    return ranked[max(0, math.ceil(share * len(ranked) - 1e-9) - 1)]


@dataclass(frozen=True)
class Row:
    """One comparison.

    Parameters:
        name: what of tag34 is compared.
        value: of tag34; None: not known here, ``how`` says why.
        unit: of both values.
        peer: what it is compared with.
        peer_value: None: not known here, ``how`` says why.
        how: how both were measured.
        less: a smaller value is the better one. None: neither, there is no ratio.

    Members: ``ratio``: how many times better tag34 is; below 1 the peer is better. None where it has no meaning.
    """

    name: str
    value: float | None
    unit: str
    peer: str
    peer_value: float | None
    how: str
    less: bool | None = True
    ratio: float | None = field(init=False)

    def __post_init__(self) -> None:
        better, other = (self.peer_value, self.value) if self.less else (self.value, self.peer_value)
        known = self.less is not None and better is not None and other
        object.__setattr__(self, "ratio", better / other if known and better is not None and other else None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = {"how": "how measured", "peer_value": "peer value"}
        row = {names.get(name, name): value for name, value in asdict(self).items() if name != "less"}
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}


def told(value: float | None) -> str:
    """A number with three digits that count, for people."""
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


#: Columns of the table: title, what is in it, whether it is a number.
COLUMNS = (
    ("what", lambda row: row.name, False),
    ("tag34", lambda row: told(row.value), True),
    ("unit", lambda row: row.unit, False),
    ("compared with", lambda row: row.peer, False),
    ("its value", lambda row: told(row.peer_value), True),
    ("times better", lambda row: told(row.ratio), True),
)


def as_table(rows: Sequence[Row]) -> str:
    """For a terminal. ``how`` follows each group of rows that share it."""
    cells = [[text(row) for _, text, _ in COLUMNS] for row in rows]
    widths = [max(len(title), *(len(line[at]) for line in cells)) for at, (title, _, _) in enumerate(COLUMNS)]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.rjust(width) if number else text.ljust(width)
            for text, width, (_, _, number) in zip(texts, widths, COLUMNS, strict=True)
        )
        return "  ".join(padded).rstrip()

    lines = [line([title for title, _, _ in COLUMNS])]
    for at, row in enumerate(rows):
        lines.append(line(cells[at]))
        if at + 1 == len(rows) or rows[at + 1].how != row.how:
            lines.append(f"    {row.how}")
    return "\n".join(lines)
