"""tag34's own host path: what the processor does per message, with the model as the device, and with a real one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from tag34 import Message, Session, SessionSettings
from tag34.clock import Instant, parse_utc
from tag34.contract import Phase
from tag34.device import Device, DeviceInfo, Record, SessionConfig, SessionState

from ..messages import SENDING_TIME
from ..model_device import ModelDevice
from .software import Engine
from .streams import PEER, Gap, Stream, logon

#: Bytes that arrive at a time: a TCP segment of an Ethernet frame.
SEGMENT = 1460
_NOW = Instant(parse_utc(SENDING_TIME), 0.0)


class Recorder(Device):
    """A device that works, and keeps what each call of :meth:`poll` returned.

    Parameters: ``device``. Members: ``polled``.
    """

    def __init__(self, device: Device) -> None:
        self.info = device.info
        self.polled: list[list[Record]] = []
        self._device = device

    def configure(self, session: int, config: SessionConfig) -> None:
        self._device.configure(session, config)

    def connect(self, session: int, *, phase: Phase = Phase.LOGON, may_request: bool = True) -> None:
        self._device.connect(session, phase=phase, may_request=may_request)

    def disconnect(self, session: int) -> None:
        self._device.disconnect(session)

    def set_may_request(self, session: int, allowed: bool) -> None:
        self._device.set_may_request(session, allowed)

    def set_expected(self, session: int, expected: int) -> None:
        self._device.set_expected(session, expected)

    def set_next_out(self, session: int, next_out: int) -> None:
        self._device.set_next_out(session, next_out)

    def state(self, session: int) -> SessionState:
        return self._device.state(session)

    def counters(self, session: int) -> dict[str, int]:
        return self._device.counters(session)

    def receive(self, session: int, data: bytes) -> None:
        self._device.receive(session, data)

    def send(self, session: int, msg_type: str, fields: bytes = b"", *, seq: int | None = None) -> None:
        self._device.send(session, msg_type, fields, seq=seq)

    def advance(self, utc_ns: int) -> None:
        self._device.advance(utc_ns)

    def poll(self) -> list[Record]:
        self.polled.append(self._device.poll())
        return self.polled[-1]


class Player(Device):
    """A device that takes no time: whoever makes the same calls again gets the records that were kept.

    Parameters: ``info``; ``polled``, of a :class:`Recorder`.
    """

    def __init__(self, info: DeviceInfo, polled: Iterable[list[Record]]) -> None:
        self.info = info
        self._polled = iter(polled)

    def configure(self, session: int, config: SessionConfig) -> None: ...

    def connect(self, session: int, *, phase: Phase = Phase.LOGON, may_request: bool = True) -> None: ...

    def disconnect(self, session: int) -> None: ...

    def set_may_request(self, session: int, allowed: bool) -> None: ...

    def set_expected(self, session: int, expected: int) -> None: ...

    def set_next_out(self, session: int, next_out: int) -> None: ...

    def receive(self, session: int, data: bytes) -> None: ...

    def send(self, session: int, msg_type: str, fields: bytes = b"", *, seq: int | None = None) -> None: ...

    def advance(self, utc_ns: int) -> None: ...

    def state(self, session: int) -> SessionState:
        raise NotImplementedError("no state was kept")

    def counters(self, session: int) -> dict[str, int]:
        raise NotImplementedError("no counters were kept")

    def poll(self) -> list[Record]:
        return next(self._polled)


def logged_on(device: Device) -> Session:
    """A session on the device that has taken the peer's Logon."""
    settings = SessionSettings(PEER.begin_string, PEER.target, PEER.sender, initiator=False)
    session = Session(device, 0, settings)
    session.connect(_NOW)
    session.bytes_received(logon(), _NOW)
    session.data_to_send()
    assert session.logged_on
    return session


def segments(data: bytes) -> Iterator[bytes]:
    """The stream as it comes from a socket."""
    return (data[at : at + SEGMENT] for at in range(0, len(data), SEGMENT))


def take_all(session: Session, data: bytes) -> int:
    """Hand over the stream in segments, take each message. Returns their number."""
    taken = 0
    for segment in segments(data):
        for event in session.bytes_received(segment, _NOW):
            if isinstance(event, Message):
                session.acknowledge(event)
                taken += 1
        session.data_to_send()
    return taken


class ModelHost(Engine):
    """``tag34.Session`` on the ``model:`` device."""

    name = "tag34, model: device, whole host path"
    does = "bytes in segments of 1460, framed and judged by the golden model, session in Python"
    timing = "from the call with the message's bytes to the bytes of the ResendRequest"

    def prepare(self, stream: Stream) -> Callable[[], int]:
        session, data = logged_on(ModelDevice()), stream.data
        return lambda: take_all(session, data)

    def latencies(self, gaps: Iterable[Gap]) -> list[float]:
        session, found = logged_on(ModelDevice()), []
        for gap in gaps:
            started = time.thread_time_ns()
            session.bytes_received(gap.proof, _NOW)
            sent = session.data_to_send()
            found.append(float(time.thread_time_ns() - started))
            assert b"\x0135=2\x01" in sent
            session.bytes_received(gap.missing + gap.rest, _NOW)
        return found


class RecordsHost(Engine):
    """``tag34.Session`` on a device that is not this processor: its records are there already."""

    name = "tag34, host path of a device"
    does = "the device's records are ready in memory; session in Python; no link, no simulation"

    def prepare(self, stream: Stream) -> Callable[[], int]:
        recorder = Recorder(ModelDevice())
        data = stream.data
        take_all(logged_on(recorder), data)
        session = logged_on(Player(recorder.info, recorder.polled))
        return lambda: take_all(session, data)
