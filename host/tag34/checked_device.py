"""Argument checks of devices in process, written once: what passes here cannot upset a device."""

from __future__ import annotations

import abc

from .contract import MAX_SEQ, MSG_TYPE_BYTES, Phase
from .device import Device, DeviceError, Record, SessionConfig, SessionState

#: Length of 52's value without its fraction, ``YYYYMMDD-HH:MM:SS``.
_TIME_LENGTH = 17


def composed_length(config: SessionConfig, msg_type: str, seq: int, fields: bytes) -> int:
    """Bytes of the whole message that the composer would make (S1)."""
    time_length = _TIME_LENGTH + (config.fraction_digits + 1 if config.fraction_digits else 0)
    values = len(msg_type) + len(config.sender) + len(config.target) + len(str(seq)) + time_length
    body = len("35=|49=|56=|34=|52=|") + values + len(fields)
    return len("8=|9=|10=000|") + len(config.begin_string) + len(str(body)) + body


class CheckedDevice(Device):
    """A device in process whose public methods check their arguments and leave the work to the methods with an
    underscore."""

    def __init__(self) -> None:
        self._configs: dict[int, SessionConfig] = {}
        self._open = True

    def configure(self, session: int, config: SessionConfig) -> None:
        """See :meth:`Device.configure`."""
        self._check(session)
        if self._state(session).phase not in (Phase.CLOSED, Phase.HALTED):
            raise DeviceError(f"session {session} is connected: configure it before connect or after disconnect")
        if config.window is not None and config.window > self.info.window:
            raise ValueError(f"window must be at most {self.info.window} on this device, not {config.window}")
        self._configs[session] = config
        self._configure(session, config)

    def connect(self, session: int, *, phase: Phase = Phase.LOGON, may_request: bool = True) -> None:
        """See :meth:`Device.connect`."""
        self._check(session)
        if phase not in (Phase.LOGON, Phase.ACTIVE):
            raise ValueError(f"phase must be LOGON or ACTIVE, not {phase!r}")
        self._config(session)
        self._connect(session, phase, may_request)

    def disconnect(self, session: int) -> None:
        """See :meth:`Device.disconnect`."""
        self._check(session)
        self._disconnect(session)

    def set_may_request(self, session: int, allowed: bool) -> None:
        """See :meth:`Device.set_may_request`."""
        self._check(session)
        self._set_may_request(session, allowed)

    def set_expected(self, session: int, expected: int) -> None:
        """See :meth:`Device.set_expected`."""
        self._check(session)
        if not 1 <= expected <= MAX_SEQ + 1:
            raise ValueError(f"expected must be 1 to {MAX_SEQ + 1}, not {expected}")
        self._set_expected(session, expected)

    def set_next_out(self, session: int, next_out: int) -> None:
        """See :meth:`Device.set_next_out`."""
        self._check(session)
        if not 1 <= next_out <= MAX_SEQ:
            raise ValueError(f"next_out must be 1 to {MAX_SEQ}, not {next_out}")
        self._set_next_out(session, next_out)

    def state(self, session: int) -> SessionState:
        """See :meth:`Device.state`."""
        self._check(session)
        return self._state(session)

    def counters(self, session: int) -> dict[str, int]:
        """See :meth:`Device.counters`."""
        self._check(session)
        return self._counters(session)

    def receive(self, session: int, data: bytes) -> None:
        """See :meth:`Device.receive`."""
        self._check(session)
        self._receive(session, bytes(data))

    def send(self, session: int, msg_type: str, fields: bytes = b"", *, seq: int | None = None) -> None:
        """See :meth:`Device.send`."""
        self._check(session)
        if not 1 <= len(msg_type) <= MSG_TYPE_BYTES or not all(32 <= ord(char) < 127 for char in msg_type):
            raise ValueError(f"msg_type must be 1 to {MSG_TYPE_BYTES} printable ASCII characters, not {msg_type!r}")
        if fields and not fields.endswith(b"\x01"):
            raise ValueError(f"fields must be closed by SOH, not end with {fields[-20:]!r}")
        if seq is not None and not 1 <= seq <= MAX_SEQ:
            raise ValueError(f"seq must be 1 to {MAX_SEQ}, not {seq}")
        config = self._config(session)
        number = self._state(session).next_out if seq is None else seq
        if number > MAX_SEQ:
            raise DeviceError(f"session {session} has used up its outbound numbers: set_next_out begins anew")
        length = composed_length(config, msg_type, number, fields)
        if length > self.info.max_message:
            raise ValueError(f"the message would have {length} bytes, the longest is {self.info.max_message}")
        self._send(session, msg_type, bytes(fields), seq)

    def advance(self, utc_ns: int) -> None:
        """See :meth:`Device.advance`."""
        self._check_open()
        self._advance(utc_ns)

    def poll(self) -> list[Record]:
        """See :meth:`Device.poll`."""
        self._check_open()
        return self._poll()

    def close(self) -> None:
        """See :meth:`Device.close`."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise DeviceError("the device is closed")

    def _check(self, session: int) -> None:
        self._check_open()
        if not 0 <= session < self.info.sessions:
            raise ValueError(f"session must be 0 to {self.info.sessions - 1}, not {session}")

    def _config(self, session: int) -> SessionConfig:
        if session not in self._configs:
            raise DeviceError(f"session {session} is not configured")
        return self._configs[session]

    @abc.abstractmethod
    def _configure(self, session: int, config: SessionConfig) -> None: ...

    @abc.abstractmethod
    def _connect(self, session: int, phase: Phase, may_request: bool) -> None: ...

    @abc.abstractmethod
    def _disconnect(self, session: int) -> None: ...

    @abc.abstractmethod
    def _set_may_request(self, session: int, allowed: bool) -> None: ...

    @abc.abstractmethod
    def _set_expected(self, session: int, expected: int) -> None: ...

    @abc.abstractmethod
    def _set_next_out(self, session: int, next_out: int) -> None: ...

    @abc.abstractmethod
    def _state(self, session: int) -> SessionState: ...

    @abc.abstractmethod
    def _counters(self, session: int) -> dict[str, int]: ...

    @abc.abstractmethod
    def _receive(self, session: int, data: bytes) -> None: ...

    @abc.abstractmethod
    def _send(self, session: int, msg_type: str, fields: bytes, seq: int | None) -> None: ...

    @abc.abstractmethod
    def _advance(self, utc_ns: int) -> None: ...

    @abc.abstractmethod
    def _poll(self) -> list[Record]: ...
