"""The real QuickFIX engine as a process of its own, told what to do by lines of JSON.

Run as a script: ``quickfix_peer.py acceptor|initiator BEGIN_STRING PORT [SETTING=VALUE ...]``. It ends where its
    standard
input ends. On standard output it reports, a line of JSON each: ``{"event": "ready", "port": ...}``, ``logon``,
``logout``, and ``app`` or ``admin`` with the raw message that it accepted.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile

import quickfix

SETTINGS = """\
[DEFAULT]
ConnectionType={role}
SocketAcceptPort={port}
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
SocketNodelay=Y
ReconnectInterval=1
NonStopSession=Y
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
{more}
[SESSION]
BeginString={begin_string}
SenderCompID=QUICKFIX
TargetCompID=TAG34
"""


class Peer(quickfix.Application):
    """Reports what QuickFIX calls it with."""

    def say(self, event: str, **more: object) -> None:
        # One write per line: QuickFIX's threads and ours share the pipe.
        os.write(1, json.dumps({"event": event, **more}).encode() + b"\n")

    def onCreate(self, session: quickfix.SessionID) -> None: ...

    def onLogon(self, session: quickfix.SessionID) -> None:
        self.say("logon")

    def onLogout(self, session: quickfix.SessionID) -> None:
        self.say("logout")

    def toAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def toApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def fromAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None:
        self.say("admin", raw=message.toString())

    def fromApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None:
        self.say("app", raw=message.toString())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def obey(command: dict[str, object], name: quickfix.SessionID) -> None:
    session = quickfix.Session.lookupSession(name)
    match command["do"]:
        case "send":
            message = quickfix.Message()
            message.getHeader().setField(35, command["type"])
            for tag, value in command["fields"]:  # type: ignore[attr-defined]
                message.setField(tag, value)
            assert quickfix.Session.sendToTarget(message, name)
        case "logout":
            session.logout()
        case "skip":  # numbers that were never used: the other side will ask for them
            session.setNextSenderMsgSeqNum(session.getExpectedSenderNum() + command["count"])
        case other:
            raise ValueError(other)


def main(role: str, begin_string: str, port: int, more: list[str]) -> None:
    peer = Peer()
    for _ in range(20):
        listening = port or free_port()
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
            text = SETTINGS.format(role=role, port=listening, begin_string=begin_string, more="\n".join(more))
            file.write(text)
            file.flush()
            settings = quickfix.SessionSettings(file.name)
        stores = quickfix.MemoryStoreFactory()
        engine = (quickfix.SocketAcceptor if role == "acceptor" else quickfix.SocketInitiator)(peer, stores, settings)
        try:
            engine.start()
            break
        except quickfix.RuntimeError:  # somebody else was given the port in between
            continue
    peer.say("ready", port=listening)
    for line in sys.stdin:
        obey(json.loads(line), quickfix.SessionID(begin_string, "QUICKFIX", "TAG34"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    os._exit(0)  # the engine's threads may still run, and there is nothing to be saved
