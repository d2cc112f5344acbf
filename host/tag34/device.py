"""What every device offers: the golden model and the simulated gateware look the same from here, and so will a board.

A device judges inbound bytes, delivers what is in order, numbers and composes what leaves. It has no sockets and no
timers of its own that the host could not see: bytes and time go in by calls, :class:`Record` objects come out of
:meth:`Device.poll`.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from importlib import metadata

from . import contract
from .contract import EventCode, Phase, Policy, Rule, Verdict


class DeviceError(Exception):
    """The device cannot be opened or does not do what was asked."""


@dataclass(frozen=True)
class DeviceInfo:
    """What a device is.

    Members: ``name`` (``"model"``, ``"sim"``, ...), ``sessions``, ``window`` (largest hold window, in numbers),
    ``max_message`` (bytes), ``hold`` (messages that can be held at a time, over all sessions), ``hold_limit`` (of
    these, by one session at most), ``width`` (bytes per beat; 0 where there are no beats), ``clock_hz`` (nominal clock;
    0 where there is none), ``detail`` (one line), ``board`` (its name) and ``build_id`` (hex, of its gateware); both
    empty where there is no board.
    """

    name: str
    sessions: int
    window: int
    max_message: int
    hold: int
    hold_limit: int
    width: int = 0
    clock_hz: int = 0
    detail: str = ""
    board: str = ""
    build_id: str = ""


@dataclass(frozen=True)
class SessionConfig:
    """Configuration of one session, as the device needs it.

    Parameters:
        begin_string: 8 of both directions; starts with ``FIX``.
        sender: our SenderCompID (49 of what we send, 56 of what we receive).
        target: our TargetCompID (56 of what we send, 49 of what we receive).
        policy, chunk: what a ResendRequest asks for (R11); ``chunk`` numbers at a time with ``Policy.CHUNK``.
        window: hold window in numbers; None: the device's largest. A message is held if seq - expected < window (R10).
        resend_timeout: milliseconds without progress before a request is repeated (R14); 0: never.
        resend_retries: repeats before RECOVERY_FAILED (R14), 0 to 255.
        fraction: digits of the fraction of 52: 0, 3, 6 or 9; None: by ``begin_string`` (S5).
        early_gap: tell an event GAP as soon as a number that opens a range is read, before the checksum of its message
            (``docs/decisions/0013-early-gap.md``).

    Raises ValueError, with the offending name, for anything out of range.
    """

    begin_string: str
    sender: str
    target: str
    policy: Policy = Policy.INFINITY
    chunk: int = 100
    window: int | None = None
    resend_timeout: int = 0
    resend_retries: int = 3
    fraction: int | None = None
    early_gap: bool = False

    def __post_init__(self) -> None:
        for name in ("begin_string", "sender", "target"):
            value = getattr(self, name)
            if not isinstance(value, str) or not 1 <= len(value) <= contract.MAX_IDENT or not value.isascii():
                raise ValueError(f"{name} must be 1 to {contract.MAX_IDENT} ASCII characters, not {value!r}")
            if any(ord(char) < 32 or ord(char) == 127 for char in value):
                raise ValueError(f"{name} must not hold control characters: {value!r}")
        if not self.begin_string.startswith("FIX"):
            raise ValueError(f"begin_string must start with FIX, not {self.begin_string!r}")
        if not 1 <= self.chunk <= contract.MAX_SEQ:
            raise ValueError(f"chunk must be 1 to {contract.MAX_SEQ}, not {self.chunk}")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1, not {self.window}")
        if not 0 <= self.resend_timeout < 2**32:
            raise ValueError(f"resend_timeout must be 0 to 4294967295 ms, not {self.resend_timeout}")
        if not 0 <= self.resend_retries <= 255:
            raise ValueError(f"resend_retries must be 0 to 255, not {self.resend_retries}")
        if self.fraction not in (None, 0, 3, 6, 9):
            raise ValueError(f"fraction must be 0, 3, 6 or 9 digits, not {self.fraction}")

    @property
    def fraction_digits(self) -> int:
        """Digits of the fraction of 52 in force."""
        return contract.default_fraction(self.begin_string) if self.fraction is None else self.fraction

    @property
    def infinity_end(self) -> int:
        """EndSeqNo that means "to the last message" for this BeginString."""
        return contract.infinity_end(self.begin_string)


@dataclass(frozen=True)
class SessionState:
    """A session's state in the device. ``recovery`` is True while a requested range is open."""

    phase: Phase
    may_request: bool
    expected: int
    highest: int
    next_out: int
    recovery: bool


@dataclass(frozen=True)
class MessageRecord:
    """One framed message was judged.

    It closes a transaction: the DeliverRecords and EventRecords of what the message caused come before it.

    Members:
        offset: of its ``8``, in bytes since the connection began.
        length: of the whole message. Garbled at its declared end, or without a usable length: bytes up to where the
            search went on (F4).
        msg_type: 35, at most four characters; None if garbled.
        seq: 34; None if missing, not a legal number (R4) or garbled.
        rule: the rule that decided.
        expected: the next inbound number after the message and all that it released.
        possdup: 43=Y.
        cycle: device cycle in which the last byte was accepted (0 where there are no cycles).
    """

    session: int
    offset: int
    length: int
    msg_type: str | None
    seq: int | None
    rule: Rule
    expected: int
    possdup: bool
    cycle: int = 0

    @property
    def verdict(self) -> Verdict:
        """The verdict that ``rule`` stands for."""
        return contract.RULE_VERDICT[self.rule]


@dataclass(frozen=True)
class DeliverRecord:
    """One message for the host, whole, in order, exactly once.

    ``early`` marks a Logon or ResendRequest that was delivered ahead of its turn (R10c, R10d). ``data`` holds the
    message from its 8 to the SOH behind its 10. ``cycle`` is the device cycle in which it was released.
    """

    session: int
    seq: int
    msg_type: str
    possdup: bool
    possresend: bool
    early: bool
    data: bytes
    cycle: int = 0


@dataclass(frozen=True)
class SentRecord:
    """One message left the composer: its bytes are to be written to the connection, in the order of these records (S4).

    ``device`` marks a ResendRequest that the device built by itself, ``replay`` one with an explicit number (S2).
    ``cycle`` is the device cycle in which its first byte was offered.
    """

    session: int
    seq: int
    msg_type: str
    data: bytes
    replay: bool
    device: bool
    cycle: int = 0

    @property
    def sending_time(self) -> str:
        """52 as it was sent."""
        return self.data.split(b"\x0152=", 1)[1].split(b"\x01", 1)[0].decode("ascii")


@dataclass(frozen=True)
class EventRecord:
    """Something happened; :class:`tag34.contract.EventCode` says what ``seq``, ``number`` and ``rule`` mean."""

    session: int
    code: EventCode
    seq: int | None = None
    number: int | None = None
    rule: Rule | None = None
    cycle: int = 0


Record = MessageRecord | DeliverRecord | SentRecord | EventRecord


class Device(abc.ABC):
    """The one interface of all devices.

    Every method returns at once; what came of it is fetched with :meth:`poll`. A device in process (``model:``,
    ``sim:``) has finished all work that a call caused when the call returns. Sessions are numbered from 0; a number
    outside ``info.sessions`` raises ValueError.

    Order of records, per session: a message's consequences (its DeliverRecord, those of what it released, EventRecords:
    first RECOVERY_CLOSED, then REQUEST, last HALTED or SEQ_EXHAUSTED) and then its MessageRecord. A SentRecord comes
    when the message's first byte leaves, some time after the REQUEST that caused it.
    """

    info: DeviceInfo

    @abc.abstractmethod
    def configure(self, session: int, config: SessionConfig) -> None:
        """Set a session's configuration.

        Allowed in phase CLOSED or HALTED, else DeviceError. A window above ``info.window``: ValueError.
        """

    @abc.abstractmethod
    def connect(self, session: int, *, phase: Phase = Phase.LOGON, may_request: bool = True) -> None:
        """A new connection (R15, F6): ``expected`` and ``next_out`` stay, all else of the old connection is forgotten.

        DeviceError if the session was never configured. ``phase`` is LOGON or ACTIVE.
        """

    @abc.abstractmethod
    def disconnect(self, session: int) -> None:
        """The connection is gone: phase CLOSED."""

    @abc.abstractmethod
    def set_may_request(self, session: int, allowed: bool) -> None:
        """Allow or forbid ResendRequests; a pending recovery opens at once when they become allowed (R11)."""

    @abc.abstractmethod
    def set_expected(self, session: int, expected: int) -> None:
        """Set the next inbound number (1 to 4294967296).

        Window, recovery and requests are forgotten, ``highest`` := expected - 1. The phase stays, that of a
        session HALTED by SEQ_EXHAUSTED too: a new connection is needed after that.
        """

    @abc.abstractmethod
    def set_next_out(self, session: int, next_out: int) -> None:
        """Set the next outbound number, 1 to 4294967295."""

    @abc.abstractmethod
    def state(self, session: int) -> SessionState:
        """The session's state now."""

    @abc.abstractmethod
    def counters(self, session: int) -> dict[str, int]:
        """What was counted.

        Messages judged per rule id (``"R8"``, ...) since the device was opened, and ``"skipped"``: bytes skipped on
        this connection (F4).
        """

    @abc.abstractmethod
    def receive(self, session: int, data: bytes) -> None:
        """Bytes from the connection. Where they are cut has no meaning (F1)."""

    @abc.abstractmethod
    def send(self, session: int, msg_type: str, fields: bytes = b"", *, seq: int | None = None) -> None:
        """Compose and send one message (S1, S2).

        Parameters:
            msg_type: 35, one to four ASCII characters.
            fields: what follows 52: further header fields first, then the body, each field closed by SOH. 8, 9, 35, 49,
                56, 34, 52 and 10 are written by the device.
            seq: None: the next outbound number is allocated. A number: a replay, ``next_out`` is not touched.

        Raises ValueError if ``fields`` is not closed by SOH, if ``msg_type`` or ``seq`` is illegal or the message is
        longer than ``info.max_message``; nothing is sent then. Raises DeviceError if the session was never configured
        or ``next_out`` is exhausted.
        """

    @abc.abstractmethod
    def advance(self, utc_ns: int) -> None:
        """Tell the time: nanoseconds since 1970-01-01 UTC.

        SendingTime is taken from it; timers (R14) run by the milliseconds between calls. The first call sets the clock
        and starts the timers. A device never told the time stands at 1970 and repeats nothing. Time that goes back sets
        the clock and lets no timer pass.
        """

    @abc.abstractmethod
    def poll(self) -> list[Record]:
        """All records since the last call, in the order in which things happened."""

    def close(self) -> None:  # noqa: B027 (most devices hold nothing to give back)
        """Give the device back. Further calls raise DeviceError."""

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_device(url: str, **options: object) -> Device:
    """Open a device by its URL: ``scheme:rest``, for example ``model:`` or ``sim:``.

    Schemes are entry points of the group ``tag34.devices``: a callable ``(rest: str, **options) -> Device``. Common
    options: ``sessions``, ``window``, ``max_message``, ``hold``, ``hold_limit``. Raises DeviceError for an unknown
    scheme, with the list of those installed.
    """
    scheme, colon, rest = url.partition(":")
    found = {point.name: point for point in metadata.entry_points(group="tag34.devices")}
    if not colon or scheme not in found:
        known = ", ".join(f"{name}:" for name in sorted(found)) or "none"
        raise DeviceError(f"no device {url!r}; installed: {known}")
    try:
        factory = found[scheme].load()
    except ImportError as error:
        raise DeviceError(f"device {scheme}: cannot be loaded: {error}") from error
    device = factory(rest, **options)
    if not isinstance(device, Device):
        raise DeviceError(f"entry point {scheme!r} of group tag34.devices gave {type(device).__name__}, not a Device")
    return device
