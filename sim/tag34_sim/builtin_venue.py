"""A small FIX acceptor in plain Python: the venue where QuickFIX cannot be installed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from datetime import datetime, timezone

from .golden.framing import Framer
from .messages import Field, Peer, encode, frame

_MAX_MESSAGE = 1 << 16
_LOGON_SECONDS = 60.0


class BuiltinVenue:
    """One connection, one session, its messages kept in memory.

    Logon, Heartbeat, TestRequest, Logout, the answer to a ResendRequest, no more: what it receives must be in order.

    Parameters: ``peer``: who it is, and to whom it talks.

    Members: ``port``, where it listens.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._lock = threading.RLock()
        self._sent: list[tuple[str, list[Field], str]] = []  # MsgType, fields, SendingTime: number 1 first
        self._expected = 1
        self._logged_on = threading.Event()
        self._ended = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def send(self, msg_type: str, fields: Iterable[tuple[int, str]]) -> None:
        """Send an application message. Waits for the Logon. Raises OSError if there is no session."""
        if not self._logged_on.wait(_LOGON_SECONDS):
            raise OSError(f"no Logon within {_LOGON_SECONDS:g} s")
        if self._ended.is_set():
            raise OSError("the session has ended")
        self._say(msg_type, list(fields))

    def logout(self) -> None:
        """Log out; return when that is over, however it ended."""
        # One side's Logout ends the session for both: whether it is over is asked, and answered, under the lock.
        with self._lock:
            if not self._logged_on.is_set() or self._ended.is_set():
                return
            self._say("5", [])
        self._ended.wait(_LOGON_SECONDS)

    def _serve(self) -> None:
        self._connection, _ = self._server.accept()
        self._server.close()
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        framer = Framer(_MAX_MESSAGE)
        try:
            while not self._ended.is_set():
                try:
                    data = self._connection.recv(65536)
                except TimeoutError:
                    self._say("0", [])
                    continue
                if not data:
                    break
                for received in framer.feed(data):
                    self._take(received.raw)
        except OSError:
            pass  # the other side is gone: that is the end of the session, too
        finally:
            self._ended.set()
            self._logged_on.set()
            self._connection.close()

    def _take(self, raw: bytes) -> None:
        fields = {tag: value for tag, _, value in (part.partition(b"=") for part in raw.split(b"\x01"))}
        if int(fields.get(b"34", b"0")) != self._expected:
            self._say("5", [(58, f"MsgSeqNum: expecting {self._expected}")])
            self._ended.set()
            return
        self._expected += 1
        msg_type = fields[b"35"]
        if msg_type == b"A":
            heartbeat = int(fields[b"108"])
            self._connection.settimeout(heartbeat or None)
            self._say("A", [(98, 0), (108, heartbeat)])
            self._logged_on.set()
        elif msg_type == b"1":
            self._say("0", [(112, fields[b"112"])])
        elif msg_type == b"2":
            self._replay(int(fields[b"7"]), int(fields[b"16"]))
        elif msg_type == b"5":
            with self._lock:
                if not self._sent or self._sent[-1][0] != "5":
                    self._say("5", [])
                self._ended.set()

    def _say(self, msg_type: str, fields: list[Field]) -> None:
        with self._lock:
            time = _now()
            self._sent.append((msg_type, fields, time))
            self._write(msg_type, len(self._sent), [(52, time)], fields)

    def _replay(self, begin: int, end: int) -> None:
        """Application messages again, everything else as GapFill (H3)."""
        with self._lock:
            last = len(self._sent) if end == 0 else min(end, len(self._sent))
            fill = None
            for seq in range(begin, last + 1):
                msg_type, fields, time = self._sent[seq - 1]
                if msg_type in "012345A":
                    fill = seq if fill is None else fill
                    continue
                self._fill(fill, seq)
                fill = None
                self._write(msg_type, seq, [(43, "Y"), (52, _now()), (122, time)], fields)
            self._fill(fill, last + 1)

    def _fill(self, begin: int | None, following: int) -> None:
        if begin is not None:
            self._write("4", begin, [(43, "Y"), (52, _now()), (122, _now())], [(123, "Y"), (36, following)])

    def _write(self, msg_type: str, seq: int, header: list[Field], fields: list[Field]) -> None:
        first: list[Field] = [(35, msg_type), (49, self._peer.sender), (56, self._peer.target), (34, seq)]
        self._connection.sendall(frame(encode([*first, *header, *fields]), begin_string=self._peer.begin_string))


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]
