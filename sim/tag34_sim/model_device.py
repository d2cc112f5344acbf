"""The ``model:`` device: the golden model behind the :class:`~tag34.device.Device` interface."""

from __future__ import annotations

from tag34.checked_device import CheckedDevice
from tag34.contract import MAX_SEQ, Phase, hold_shares
from tag34.device import DeviceError, DeviceInfo, Record, SessionConfig, SessionState

from .golden import Golden

#: Limits of a record's fields ``session`` and ``length``.
_MAX_SESSIONS = 1 << 16
_MAX_MESSAGE = (1 << 24) - 1


class ModelDevice(CheckedDevice):
    """A device in plain Python: exact, without cycles, and fast enough where there is no FPGA.

    Parameters:
        sessions: number of sessions, 1 to 65536.
        window: largest hold window in numbers, 1 to 4294967295.
        max_message: longest message that is stored and sent, in bytes, 1 to 16777215.
        hold, hold_limit: see :func:`tag34.contract.hold_shares`.

    Raises ValueError, with the offending name, for anything out of range.
    """

    def __init__(
        self, sessions: int = 1, window: int = 64, max_message: int = 4096, *, hold: int = 0, hold_limit: int = 0
    ) -> None:
        limits = {
            "sessions": (sessions, _MAX_SESSIONS),
            "window": (window, MAX_SEQ),
            "max_message": (max_message, _MAX_MESSAGE),
        }
        for name, (value, limit) in limits.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
                raise ValueError(f"{name} must be 1 to {limit}, not {value!r}")
        hold, hold_limit = hold_shares(sessions, window, hold, hold_limit)
        super().__init__()
        self.info = DeviceInfo(
            "model", sessions, window, max_message, hold, hold_limit, detail="the golden model, in plain Python"
        )
        self._model = Golden(sessions, window, max_message, hold, hold_limit)

    def _configure(self, session: int, config: SessionConfig) -> None:
        self._model.configure(session, config)

    def _connect(self, session: int, phase: Phase, may_request: bool) -> None:
        self._model.connect(session, phase, may_request)

    def _disconnect(self, session: int) -> None:
        self._model.disconnect(session)

    def _set_may_request(self, session: int, allowed: bool) -> None:
        self._model.set_may_request(session, allowed)

    def _set_expected(self, session: int, expected: int) -> None:
        self._model.set_expected(session, expected)

    def _set_next_out(self, session: int, next_out: int) -> None:
        self._model.set_next_out(session, next_out)

    def _state(self, session: int) -> SessionState:
        return self._model.state(session)

    def _counters(self, session: int) -> dict[str, int]:
        return self._model.counters(session)

    def _receive(self, session: int, data: bytes) -> None:
        self._model.receive(session, data)

    def _send(self, session: int, msg_type: str, fields: bytes, seq: int | None) -> None:
        self._model.send(session, msg_type, fields, seq=seq)

    def _advance(self, utc_ns: int) -> None:
        self._model.advance(utc_ns)

    def _poll(self) -> list[Record]:
        return self._model.poll()


def open_model(
    rest: str,
    *,
    width: int = 1,
    sessions: int = 1,
    window: int = 64,
    max_message: int = 4096,
    hold: int = 0,
    hold_limit: int = 0,
    compact: bool = False,
    **options: object,
) -> ModelDevice:
    """Open ``model:``; the entry point of group ``tag34.devices``.

    The options are those of ``sim:``; ``width`` says how many bytes the gateware takes at a time, ``compact`` how it is
    made; the model does not care. Raises DeviceError for anything behind the colon, for an option that is not one of
    ``width``, ``sessions``, ``window``, ``max_message``, ``hold``, ``hold_limit``, ``compact``, and for a value that is
    out of range.
    """
    if rest:
        raise DeviceError(f"model: takes nothing behind the colon, not {rest!r}")
    if options:
        known = "width, sessions, window, max_message, hold, hold_limit, compact"
        raise DeviceError(f"model: has the options {known}, not {', '.join(sorted(options))}")
    try:
        return ModelDevice(sessions, window, max_message, hold=hold, hold_limit=hold_limit)
    except ValueError as error:
        raise DeviceError(f"model: {error}") from error
