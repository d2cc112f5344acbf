"""Faults that no test tells from the whole gateware, and that are not proved to make no difference: why it is so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .faults import Fault


@dataclass(frozen=True)
class Named:
    """Survivors that have one reason.

    Parameters: ``component``; ``source``, the file, as a report has it; ``code``, a part of the line; ``what``, a
    regular expression for all of "cell port[bit] wire mode", as in ``"add Y\\[3\\] count\\[3\\] const0"`` (no wire:
    ``-``); ``reason``.
    """

    component: str
    source: str
    code: str
    what: str
    reason: str

    def matches(self, fault: Fault) -> bool:
        """Whether it speaks of this fault."""
        return (
            (self.component, self.source) == (fault.component, fault.source.rpartition(":")[0])
            and self.code in fault.code
            and re.fullmatch(self.what, fault.what) is not None
        )


#: By component.
SURVIVORS: tuple[Named, ...] = ()


def reason(fault: Fault, named: Iterable[Named] = SURVIVORS) -> str:
    """Why the fault survives; empty if nobody says."""
    return next((entry.reason for entry in named if entry.matches(fault)), "")


def stale(survived: Sequence[Fault], named: Iterable[Named] = SURVIVORS) -> list[Named]:
    """The entries that speak of none of these."""
    return [entry for entry in named if not any(entry.matches(fault) for fault in survived)]
