"""What the host driver raises.

A user's mistake in an argument is a ValueError or TypeError; these are about a session's life.
"""

from __future__ import annotations


class SessionError(Exception):
    """Base of all errors about a FIX session."""


class NotLoggedOn(SessionError):
    """The session is not logged on: a message of the application cannot be sent now."""


class ConnectError(SessionError):
    """No session came about: nobody there, or the peer does not answer as a FIX engine does."""


class LogonRejected(ConnectError):
    """The peer answered the Logon with a Logout. ``text`` is its 58 (empty if there was none)."""

    def __init__(self, text: str) -> None:
        super().__init__(f"logon rejected: {text}" if text else "logon rejected")
        self.text = text


class SessionClosed(SessionError):
    """The session ended otherwise than by an orderly Logout, or is used after its end. The message says why."""
