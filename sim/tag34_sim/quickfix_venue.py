"""The QuickFIX engine as a venue: an acceptor that sends what it is told to, and answers for it."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterable

import quickfix

from .messages import Peer

#: In the rest QuickFIX's own defaults hold. Without a dictionary it checks the session layer only.
_SETTINGS = """\
[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
NonStopSession=Y
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
[SESSION]
BeginString={peer.begin_string}
SenderCompID={peer.sender}
TargetCompID={peer.target}
"""
_PORT_ATTEMPTS = 20
_LOGON_SECONDS = 60.0


class QuickFixVenue(quickfix.Application):
    """One session of a QuickFIX acceptor with its messages kept in memory.

    Parameters: ``peer``: who it is, and to whom it talks.

    Members: ``port``, where it listens. Raises OSError if there is no port for it.
    """

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._session = quickfix.SessionID(peer.begin_string, peer.sender, peer.target)
        self._logged_on = threading.Event()
        self._logged_out = threading.Event()
        for _ in range(_PORT_ATTEMPTS):
            self.port = _free_port()
            with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
                file.write(_SETTINGS.format(port=self.port, peer=peer))
                file.flush()
                settings = quickfix.SessionSettings(file.name)
            # The acceptor uses these as long as it lives, and does not keep them alive.
            self._kept = (settings, quickfix.MemoryStoreFactory())
            self._acceptor = quickfix.SocketAcceptor(self, self._kept[1], settings)
            try:
                self._acceptor.start()
            except quickfix.RuntimeError:
                continue  # somebody else was given the port in between
            return
        raise OSError("QuickFIX found no port to listen on")

    def send(self, msg_type: str, fields: Iterable[tuple[int, str]]) -> None:
        """Send an application message. Waits for the Logon. Raises OSError if there is no session."""
        if not self._logged_on.wait(_LOGON_SECONDS):
            raise OSError(f"no Logon within {_LOGON_SECONDS:g} s")
        message = quickfix.Message()
        message.getHeader().setField(35, msg_type)
        for tag, value in fields:
            message.setField(tag, value)
        if not quickfix.Session.sendToTarget(message, self._session):
            raise OSError("QuickFIX has no connection to send on")

    def logout(self) -> None:
        """Log out; return when that is over, however it ended."""
        session = quickfix.Session.lookupSession(self._session)
        if session is not None:
            session.logout()
            self._logged_out.wait(_LOGON_SECONDS)

    # QuickFIX calls these.

    def onLogon(self, session: quickfix.SessionID) -> None:
        self._logged_on.set()

    def onLogout(self, session: quickfix.SessionID) -> None:
        self._logged_out.set()

    def onCreate(self, session: quickfix.SessionID) -> None: ...

    def toAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def fromAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def toApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def fromApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...


def _free_port() -> int:
    # QuickFIX takes a number and does not tell which one it got for 0.
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
