"""What a session reports: frozen events, returned by the calls that caused them, in the order of what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import overload

from .contract import Rule
from .message import FixMessage


@dataclass(frozen=True)
class LoggedOn:
    """The session is up.

    ``heartbeat`` is 108 in force (seconds), ``reset`` says that numbers began at 1, ``logon`` is the peer's Logon.
    """

    heartbeat: int
    reset: bool
    logon: FixMessage


@dataclass(frozen=True)
class Message:
    """A message for the application, in order, exactly once (R8, R12).

    Session-level Rejects (35=3) are among them: they are its errors.

    Members:
        seq, msg_type: 34 and 35.
        possdup: 43=Y: it came by a replay. For an application that has taken every message before, it is still new
            (R12).
        possresend: 97=Y: the sender may have sent it before under another number; the application decides (H5).
        view: its fields.
        ordinal: how many messages this session object delivered before.
    """

    seq: int
    msg_type: str
    possdup: bool
    possresend: bool
    view: FixMessage
    ordinal: int = field(default=0, compare=False)

    @property
    def raw(self) -> bytes:
        """The bytes as received."""
        return self.view.raw

    @overload
    def get(self, tag: int) -> str | None: ...
    @overload
    def get(self, tag: int, default: str) -> str: ...
    def get(self, tag: int, default: str | None = None) -> str | None:
        """The first value of ``tag`` as text, ``default`` if there is none."""
        value = self.view.get(tag)
        return default if value is None else value

    def __getitem__(self, tag: int) -> str:
        return self.view[tag]


@dataclass(frozen=True)
class Sent:
    """A message left the composer; its bytes come out of ``data_to_send``.

    ``replay``: sent again under its old number, or a GapFill (H3). ``device``: a ResendRequest that the device built.
    ``cycle``: device cycle of its first byte.
    """

    seq: int
    msg_type: str
    raw: bytes
    replay: bool
    device: bool
    cycle: int


@dataclass(frozen=True)
class GapSuspected:
    """Numbers from ``expected`` on seem to be missing: a message with the number ``seq`` is arriving.

    A guess that costs nothing and comes early, with ``early_gap`` only: whether the message is good is known at its
    end. If it is, RecoveryOpened follows. ``cycle``: device cycle of the guess.
    """

    seq: int
    expected: int
    cycle: int


@dataclass(frozen=True)
class RecoveryOpened:
    """Numbers are missing and were requested: 7 = ``begin``, 16 = ``end``.

    ``rule``: R11, or R13a, R14 for a repeated request.

    ``cycle``: device cycle in which the last byte of the message that proved it was accepted.
    """

    begin: int
    end: int
    rule: Rule
    cycle: int


@dataclass(frozen=True)
class RecoveryClosed:
    """The requested numbers are complete; ``expected`` is the next one."""

    expected: int


@dataclass(frozen=True)
class SequenceReset:
    """The peer reset its numbers to ``expected`` (R3): messages below may never come."""

    expected: int


@dataclass(frozen=True)
class ReplayDone:
    """A ResendRequest was answered: ``begin`` to ``end``, of which ``filled`` numbers were gap-filled (H3)."""

    begin: int
    end: int
    filled: int


@dataclass(frozen=True)
class PeerError:
    """The peer broke a rule and the session goes on. ``text`` says what, ``rule`` is its id."""

    rule: str
    text: str


@dataclass(frozen=True)
class LoggedOut:
    """A Logout arrived; ``text`` is its 58.

    ``by_peer``: the peer began it, else it answers ours. Before LoggedOn: our Logon was refused.
    """

    text: str
    by_peer: bool


@dataclass(frozen=True)
class Disconnect:
    """Write what ``data_to_send`` has, then close the connection. ``clean``: an orderly end (H4)."""

    reason: str
    clean: bool


@dataclass(frozen=True)
class Closed:
    """The connection is gone, answer to ``connection_lost``. ``reason`` and ``clean`` as in :class:`Disconnect`."""

    reason: str
    clean: bool


Event = (
    LoggedOn
    | Message
    | Sent
    | GapSuspected
    | RecoveryOpened
    | RecoveryClosed
    | SequenceReset
    | ReplayDone
    | PeerError
    | LoggedOut
    | Disconnect
    | Closed
)
