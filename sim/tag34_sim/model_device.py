"""The ``model:`` device: the golden model behind the :class:`~tag34.device.Device` interface."""

from __future__ import annotations

from tag34.contract import MAX_SEQ, MSG_TYPE_BYTES, Phase
from tag34.device import Device, DeviceError, DeviceInfo, Record, SessionConfig, SessionState

from .golden import Golden, compose

#: Limits of a record's fields ``session`` and ``length``.
_MAX_SESSIONS = 1 << 16
_MAX_MESSAGE = (1 << 24) - 1


class ModelDevice(Device):
    """A device in plain Python: exact, without cycles, and fast enough where there is no FPGA.

    Parameters:
        sessions: number of sessions, 1 to 65536.
        window: largest hold window in numbers, 1 to 4294967295.
        max_message: longest message that is stored and sent, in bytes, 1 to 16777215.

    Raises ValueError, with the offending name, for anything out of range.
    """

    def __init__(self, sessions: int = 1, window: int = 64, max_message: int = 4096) -> None:
        limits = {
            "sessions": (sessions, _MAX_SESSIONS),
            "window": (window, MAX_SEQ),
            "max_message": (max_message, _MAX_MESSAGE),
        }
        for name, (value, limit) in limits.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
                raise ValueError(f"{name} must be 1 to {limit}, not {value!r}")
        self.info = DeviceInfo("model", sessions, window, max_message, detail="the golden model, in plain Python")
        self._model: Golden | None = Golden(sessions, window, max_message)

    def configure(self, session: int, config: SessionConfig) -> None:
        """See :meth:`Device.configure`."""
        model = self._session(session)
        if model.state(session).phase not in (Phase.CLOSED, Phase.HALTED):
            raise DeviceError(f"session {session} is connected: configure it before connect or after disconnect")
        if config.window is not None and config.window > self.info.window:
            raise ValueError(f"window must be at most {self.info.window} on this device, not {config.window}")
        model.configure(session, config)

    def connect(self, session: int, *, phase: Phase = Phase.LOGON, may_request: bool = True) -> None:
        """See :meth:`Device.connect`."""
        model = self._session(session)
        if phase not in (Phase.LOGON, Phase.ACTIVE):
            raise ValueError(f"phase must be LOGON or ACTIVE, not {phase!r}")
        self._config(session)
        model.connect(session, phase, may_request)

    def disconnect(self, session: int) -> None:
        """See :meth:`Device.disconnect`."""
        self._session(session).disconnect(session)

    def set_may_request(self, session: int, allowed: bool) -> None:
        """See :meth:`Device.set_may_request`."""
        self._session(session).set_may_request(session, allowed)

    def set_expected(self, session: int, expected: int) -> None:
        """See :meth:`Device.set_expected`."""
        model = self._session(session)
        if not 1 <= expected <= MAX_SEQ + 1:
            raise ValueError(f"expected must be 1 to {MAX_SEQ + 1}, not {expected}")
        model.set_expected(session, expected)

    def set_next_out(self, session: int, next_out: int) -> None:
        """See :meth:`Device.set_next_out`."""
        model = self._session(session)
        if not 1 <= next_out <= MAX_SEQ:
            raise ValueError(f"next_out must be 1 to {MAX_SEQ}, not {next_out}")
        model.set_next_out(session, next_out)

    def state(self, session: int) -> SessionState:
        """See :meth:`Device.state`."""
        return self._session(session).state(session)

    def counters(self, session: int) -> dict[str, int]:
        """See :meth:`Device.counters`."""
        return self._session(session).counters(session)

    def receive(self, session: int, data: bytes) -> None:
        """See :meth:`Device.receive`."""
        self._session(session).receive(session, data)

    def send(self, session: int, msg_type: str, fields: bytes = b"", *, seq: int | None = None) -> None:
        """See :meth:`Device.send`."""
        model = self._session(session)
        if not 1 <= len(msg_type) <= MSG_TYPE_BYTES or not all(32 <= ord(char) < 127 for char in msg_type):
            raise ValueError(f"msg_type must be 1 to {MSG_TYPE_BYTES} printable ASCII characters, not {msg_type!r}")
        if fields and not fields.endswith(b"\x01"):
            raise ValueError(f"fields must be closed by SOH, not end with {fields[-20:]!r}")
        if seq is not None and not 1 <= seq <= MAX_SEQ:
            raise ValueError(f"seq must be 1 to {MAX_SEQ}, not {seq}")
        config = self._config(session)
        number = model.state(session).next_out if seq is None else seq
        if number > MAX_SEQ:
            raise DeviceError(f"session {session} has used up its outbound numbers: set_next_out begins anew")
        length = len(compose(config, msg_type, number, model.clock, fields))
        if length > self.info.max_message:
            raise ValueError(f"the message would have {length} bytes, the longest is {self.info.max_message}")
        model.send(session, msg_type, fields, seq=seq)

    def advance(self, utc_ns: int) -> None:
        """See :meth:`Device.advance`."""
        self._open().advance(utc_ns)

    def poll(self) -> list[Record]:
        """See :meth:`Device.poll`."""
        return self._open().poll()

    def close(self) -> None:
        """See :meth:`Device.close`."""
        self._model = None

    def _open(self) -> Golden:
        if self._model is None:
            raise DeviceError("the device is closed")
        return self._model

    def _session(self, session: int) -> Golden:
        model = self._open()
        if not 0 <= session < self.info.sessions:
            raise ValueError(f"session must be 0 to {self.info.sessions - 1}, not {session}")
        return model

    def _config(self, session: int) -> SessionConfig:
        config = self._open().config(session)
        if config is None:
            raise DeviceError(f"session {session} is not configured")
        return config


def open_model(
    rest: str, *, sessions: int = 1, window: int = 64, max_message: int = 4096, **options: object
) -> ModelDevice:
    """Open ``model:``; the entry point of group ``tag34.devices``.

    Raises DeviceError for anything behind the colon, for an option that is not one of ``sessions``, ``window``,
    ``max_message``, and for a value that is out of range.
    """
    if rest:
        raise DeviceError(f"model: takes nothing behind the colon, not {rest!r}")
    if options:
        raise DeviceError(f"model: has the options sessions, window, max_message, not {', '.join(sorted(options))}")
    try:
        return ModelDevice(sessions, window, max_message)
    except ValueError as error:
        raise DeviceError(f"model: {error}") from error
