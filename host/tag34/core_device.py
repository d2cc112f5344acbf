"""A device that has a core behind it, simulated or on a board: what its registers, streams and records mean."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Protocol

from .checked_device import CheckedDevice
from .contract import REGISTERS, RULE_VERDICT, SOH, Command, Phase, from_bcd, to_bcd
from .device import DeviceError, DeviceInfo, Record, SessionConfig, SessionState
from .records import Decoder, Message

#: Cycles within which the core must come to rest after all of its input: far above what any message can cause.
REST_CYCLES = 1 << 22
#: For each byte of it as many more: far above what a compact core takes.
BYTE_CYCLES = 1 << 9
#: Bytes of the requests that R14 may send for a session before it gives up.
REPEATED_BYTES = 1 << 14
#: Bytes that are given to the core at a time, so that a hang is found soon.
CHUNK = 1 << 16
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class DeviceCore(Protocol):
    """A core, wherever it runs: queues in, queues out, registers. Sequence numbers are packed BCD.

    What is asked of it is carried out in the order of the calls. Each method may raise DeviceError.
    """

    def receive(self, session: int, data: bytes) -> None:
        """Queue bytes for rx."""

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        """Queue a message for the composer."""

    def write(self, address: int, value: int) -> None:
        """Write a register."""

    def read(self, address: int) -> int:
        """Read a register."""

    def run(self, limit: int) -> bool:
        """Let all come to rest before anything that is asked for later; False if it is known that ``limit`` cycles
        were not enough."""

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Raw records, delivered messages and sent messages since the last call: all that came before the last
        :meth:`run`, whole messages only."""

    def close(self) -> None:
        """Give it back."""


def rest(core: DeviceCore, size: int = 0) -> None:
    """Let the core come to rest; so many bytes may come and go before that. DeviceError if it is known not to."""
    limit = REST_CYCLES + size * BYTE_CYCLES
    if not core.run(limit):
        raise DeviceError(f"the core did not come to rest within {limit} cycles")


class CoreDevice(CheckedDevice):
    """A device with a core behind it.

    Parameters:
        core: the core, at rest after a reset.
        info: what it is.
    """

    def __init__(self, core: DeviceCore, info: DeviceInfo):
        super().__init__()
        self._core = core
        self.info = info
        self._decoder = Decoder()
        self._utc_ns: int | None = None

    def close(self) -> None:
        """See :meth:`Device.close`."""
        if self._open:
            self._core.close()
        super().close()

    # -- Registers
    def _exchange(self, *operations: str | tuple[str, int]) -> list[int]:
        """Write registers (name and value) and read others (name), in this order: what was read."""
        read = []
        for operation in operations:
            if isinstance(operation, str):
                read.append(self._core.read(REGISTERS[operation].address))
            else:
                self._write(*operation)
        return read

    def _write(self, name: str, value: int) -> None:
        self._core.write(REGISTERS[name].address, value)

    def _write_wide(self, name: str, value: int) -> None:
        self._write(f"{name}_LO", value & 0xFFFFFFFF)
        self._write(f"{name}_HI", value >> 32)

    def _rest(self, size: int = 0) -> None:
        rest(self._core, size)

    def _command(
        self, session: int, op: Command, *, phase: Phase = Phase.CLOSED, may_request: bool = False, number: int = 0
    ) -> None:
        self._write("SESSION", session)
        self._write_wide("NUMBER", to_bcd(number))
        self._write("COMMAND", op | phase << 4 | may_request << 6)
        self._rest()

    # -- The work behind Device
    def _configure(self, session: int, config: SessionConfig) -> None:
        self._write("SESSION", session)
        old = config.infinity_end != 0
        self._write("POLICY", config.policy | old << 2 | config.early_gap << 3 | config.fraction_digits << 4)
        self._write_wide("CHUNK", to_bcd(config.chunk))
        self._write("WINDOW_LIMIT", to_bcd(config.window or self.info.window))
        self._write("RESEND_TIMEOUT", config.resend_timeout)
        self._write("RESEND_RETRIES", config.resend_retries)
        lengths = 0
        for region, text in enumerate((config.begin_string, config.sender, config.target)):
            lengths |= len(text) << 8 * region
            for index, byte in enumerate(text.encode("ascii") + bytes([SOH])):
                self._write("IDENT", byte | index << 8 | region << 14)
        self._write("IDENT_LENGTH", lengths)

    def _connect(self, session: int, phase: Phase, may_request: bool) -> None:
        self._command(session, Command.CONNECT, phase=phase, may_request=may_request)

    def _disconnect(self, session: int) -> None:
        self._command(session, Command.DISCONNECT)

    def _set_may_request(self, session: int, allowed: bool) -> None:
        self._command(session, Command.MAY_REQUEST, may_request=allowed)

    def _set_expected(self, session: int, expected: int) -> None:
        self._command(session, Command.SET_EXPECTED, number=expected)

    def _set_next_out(self, session: int, next_out: int) -> None:
        self._command(session, Command.SET_NEXT_OUT, number=next_out)

    def _state(self, session: int) -> SessionState:
        numbers = (f"{name}_{half}" for name in ("EXPECTED", "HIGHEST", "NEXT_OUT") for half in ("LO", "HI"))
        _, state, *halves = self._exchange(*_selected(session), "STATE", *numbers)
        try:
            expected, highest, next_out = (from_bcd(low | high << 32) for low, high in _pairs(halves))
        except ValueError as error:
            raise DeviceError(f"the device shows a sequence number that is none: {error}") from None
        return SessionState(
            phase=Phase(state & 3),
            may_request=bool(state & 4),
            expected=expected,
            highest=highest,
            next_out=next_out,
            recovery=bool(state & 8),
        )

    def _counters(self, session: int) -> dict[str, int]:
        operations: list[str | tuple[str, int]] = [*_selected(session)]
        for rule in RULE_VERDICT:
            # Read twice: the memory behind it answers later than a register.
            operations += [("COUNTER", rule), "COUNTER", "COUNTER"]
        read = self._exchange(*operations, "BYTES_LO", "BYTES_HI", "FRAMED_LO", "FRAMED_HI", "PARTIAL")
        *counted, bytes_low, bytes_high, framed_low, framed_high, partial = read[1:]
        counters = {rule.id: count for rule, count in zip(RULE_VERDICT, counted[1::2], strict=True)}
        counters["skipped"] = (bytes_low | bytes_high << 32) - (framed_low | framed_high << 32) - partial
        return counters

    def _receive(self, session: int, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            piece = data[at : at + CHUNK]
            self._core.receive(session, piece)
            self._rest(len(piece))

    def _send(self, session: int, msg_type: str, fields: bytes, seq: int | None) -> None:
        packed = int.from_bytes(msg_type.encode("ascii"), "little")
        self._core.send(session, packed, seq is not None, to_bcd(seq or 0), fields)
        self._rest(len(fields))

    def _advance(self, utc_ns: int) -> None:
        before, self._utc_ns = self._utc_ns, utc_ns
        ticks = 0 if before is None else utc_ns // 1_000_000 - before // 1_000_000
        if ticks > 0:
            # The clock shows the new time to what the ticks cause.
            self._set_time(utc_ns)
            while ticks:
                # A tick looks at all sessions: no more of them than the core can be through with in time.
                step = min(ticks, REST_CYCLES // 4 // (self.info.sessions + 2))
                ticks -= step
                self._write("TICK", step)
                self._rest(self.info.sessions * REPEATED_BYTES)
        else:
            self._set_time(utc_ns)

    def _set_time(self, utc_ns: int) -> None:
        seconds, nano = divmod(utc_ns, 1_000_000_000)
        time = EPOCH + timedelta(seconds=seconds)
        self._write("TIME_DATE", int(time.strftime("%Y%m%d"), 16))
        self._write("TIME_DAY", int(time.strftime("%H%M%S"), 16))
        milli, rest = divmod(nano, 1_000_000)
        self._write("TIME_MILLI", to_bcd(milli, 3))
        self._write("TIME_NANO", to_bcd(rest, 6))
        self._write("TIME_LOAD", 0)
        self._rest()

    def _poll(self) -> list[Record]:
        return self._decoder.feed(*self._core.take())


def _selected(session: int) -> tuple[str | tuple[str, int], ...]:
    # What lies in memory comes two cycles later than a register: one is read in vain.
    return ("SESSION", session), "SESSION"


def _pairs(words: list[int]) -> zip[tuple[int, int]]:
    return zip(words[::2], words[1::2], strict=True)
