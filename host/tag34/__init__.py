"""tag34: FIX sessions whose numbers are kept in hardware.

A trading engine begins with :func:`connect` (initiator) or :func:`serve` (acceptor). :class:`Session` is the same
without sockets, clocks and asyncio, for an engine that has its own.
"""

from .clock import Instant
from .contract import Policy
from .device import Device, DeviceError, open_device
from .engine import Connection, connect
from .errors import ConnectError, LogonRejected, NotLoggedOn, SessionClosed, SessionError
from .events import (
    Closed,
    Disconnect,
    Event,
    GapSuspected,
    LoggedOn,
    LoggedOut,
    Message,
    PeerError,
    RecoveryClosed,
    RecoveryOpened,
    ReplayDone,
    Sent,
    SequenceReset,
)
from .hub import DeviceHub
from .message import FixMessage
from .server import Server, serve
from .session import Session
from .settings import SessionSettings
from .states import State
from .store import MemoryStore, MessageStore, StoredMessage

__all__ = [
    "Closed",
    "ConnectError",
    "Connection",
    "Device",
    "DeviceError",
    "DeviceHub",
    "Disconnect",
    "Event",
    "FixMessage",
    "GapSuspected",
    "Instant",
    "LoggedOn",
    "LoggedOut",
    "LogonRejected",
    "MemoryStore",
    "Message",
    "MessageStore",
    "NotLoggedOn",
    "PeerError",
    "Policy",
    "RecoveryClosed",
    "RecoveryOpened",
    "ReplayDone",
    "Sent",
    "SequenceReset",
    "Server",
    "Session",
    "SessionClosed",
    "SessionError",
    "SessionSettings",
    "State",
    "StoredMessage",
    "connect",
    "open_device",
    "serve",
]
