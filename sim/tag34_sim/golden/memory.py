"""R10b: the memory that the held messages of all sessions share. Why: ``docs/decisions/0008``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Memory:
    """Counts the messages that are held with their bytes.

    Parameters:
        hold: messages held at a time, over all sessions.
        hold_limit: of these, by one session.

    Members: ``used``, how many are held now, over all sessions.
    """

    hold: int
    hold_limit: int
    used: int = 0

    def has_room(self, kept: int) -> bool:
        """Whether a session that holds ``kept`` messages may hold one more."""
        return kept < self.hold_limit and self.used < self.hold
