"""Tables, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Row = Sequence[object]


@dataclass
class Table:
    """Rows under a head. A column whose cells are all numbers (or empty) stands to the right."""

    head: Sequence[str]
    rows: list[Row] = field(default_factory=list)

    def text(self) -> str:
        """For a terminal: columns lined up."""
        cells = [[str(cell) for cell in row] for row in (self.head, *self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.head))]
        right = self._right()
        lines = (
            "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in cells
        )
        return "\n".join(lines)

    def markdown(self) -> str:
        """For a page."""
        marks = ["--:" if right else "---" for right in self._right()]
        lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in (self.head, *self.rows)]
        return "\n".join([lines[0], "|" + "|".join(marks) + "|", *lines[1:]])

    def _right(self) -> list[bool]:
        return [all(is_number(row[column]) for row in self.rows) for column in range(len(self.head))]


def is_number(cell: object) -> bool:
    """Whether a cell counts as a number: also ``+3``, ``-0.5 %`` and nothing at all."""
    text = str(cell).replace("%", "").replace("±", "").strip()
    try:
        float(text or 0)
    except ValueError:
        return False
    return True
