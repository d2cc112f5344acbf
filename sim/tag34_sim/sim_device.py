"""The ``sim:`` device: the real gateware, in process."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Protocol

from tag34.contract import (
    CONTRACT_VERSION,
    DEVICE_ID,
    REGISTERS,
    RULE_VERDICT,
    SOH,
    Command,
    Phase,
    from_bcd,
    to_bcd,
)
from tag34.device import DeviceError, DeviceInfo, Record, SessionConfig, SessionState
from tag34_hdl.layouts import Shape

from .checked_device import CheckedDevice
from .records import Decoder, Message
from .verilator import BuildError, VerilatedCore

#: Cycles within which the core must come to rest after all of its input: far above what any message can cause.
REST_CYCLES = 1 << 22
#: For each byte of it as many more: far above what a compact core takes.
BYTE_CYCLES = 1 << 9
#: Bytes of the requests that R14 may send for a session before it gives up.
REPEATED_BYTES = 1 << 14
#: Bytes that are given to the core at a time, so that a hang is found soon.
CHUNK = 1 << 16
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class SimulatedCore(Protocol):
    """A core that is simulated, by whatever simulator: queues in, queues out, registers. Sequence numbers are packed
    BCD."""

    @property
    def cycles(self) -> int:
        """Cycles since the start."""

    def receive(self, session: int, data: bytes) -> None:
        """Queue bytes for rx."""

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        """Queue a message for the composer."""

    def write(self, address: int, value: int) -> None:
        """Write a register."""

    def read(self, address: int) -> int:
        """Read a register."""

    def run(self, limit: int) -> bool:
        """Run until all is at rest; False if ``limit`` cycles were not enough."""

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Raw records, delivered messages and sent messages since the last call."""

    def reset(self) -> None:
        """Reset the core; what was queued or not taken yet is lost."""

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """Let inputs pause and outputs not be ready, at random by ``seed``."""

    def close(self) -> None:
        """Give it back."""


class SimDevice(CheckedDevice):
    """The gateware as a device: compiled by Verilator, or run by Amaranth's simulator where nothing can be compiled.

    The simulation runs while a method is called and stands still otherwise; its clock and its timers follow
    :meth:`advance` alone.

    Parameters:
        core: the simulated core.
        detail: one line on how it is simulated.
    """

    def __init__(self, core: SimulatedCore, detail: str = ""):
        super().__init__()
        self.core = core
        self._decoder = Decoder()
        self._utc_ns: int | None = None
        if self._read("ID") != DEVICE_ID or self._read("VERSION") != CONTRACT_VERSION:
            raise DeviceError("the simulated core does not answer as a tag34 core of this version")
        self._rest()  # after a reset memory is swept, and shows nothing of use before
        self.info = DeviceInfo(
            "sim",
            sessions=self._read("SESSIONS"),
            window=self._read("WINDOW"),
            max_message=self._read("MAX_MESSAGE"),
            hold=self._read("HOLD"),
            hold_limit=self._read("HOLD_LIMIT"),
            width=self._read("WIDTH"),
            clock_hz=self._read("CLOCK_HZ"),
            detail=detail,
        )

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """Let the core's inputs pause and its outputs not be ready, at random by ``seed``, in these shares of the
        cycles (0 to 0.95)."""
        self.core.stalls(seed, inputs, outputs)

    def reset(self) -> None:
        """What a reset button does: the device is as new. Records that nobody took are lost; the host sets the time and
        configures the sessions again. How the streams stall (:meth:`stalls`) stays as it is."""
        self._check_open()
        self.core.reset()
        self._decoder = Decoder()
        self._configs.clear()
        self._utc_ns = None
        self._rest()

    def receive_all(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Bytes of many connections, session and bytes, each piece right behind the one before: the core does not come
        to rest between them, as it does between calls of :meth:`receive`."""
        total = 0
        for session, data in pieces:
            self._check(session)
            self.core.receive(session, bytes(data))
            total += len(data)
        self._rest(total)

    def close(self) -> None:
        """See :meth:`Device.close`."""
        if self._open:
            self.core.close()
        super().close()

    # -- Registers
    def _read(self, name: str) -> int:
        return self.core.read(REGISTERS[name].address)

    def _write(self, name: str, value: int) -> None:
        self.core.write(REGISTERS[name].address, value)

    def _read_wide(self, name: str) -> int:
        low = self._read(f"{name}_LO")
        return low | self._read(f"{name}_HI") << 32

    def _write_wide(self, name: str, value: int) -> None:
        self._write(f"{name}_LO", value & 0xFFFFFFFF)
        self._write(f"{name}_HI", value >> 32)

    def _rest(self, size: int = 0) -> None:
        """Let the core come to rest; so many bytes may come and go before that."""
        limit = REST_CYCLES + size * BYTE_CYCLES
        if not self.core.run(limit):
            raise DeviceError(f"the core did not come to rest within {limit} cycles")

    def _select(self, session: int) -> None:
        """Let the registers show this session."""
        self._write("SESSION", session)
        self._read("SESSION")  # what lies in memory comes two cycles later than a register

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
        self._select(session)
        state = self._read("STATE")
        return SessionState(
            phase=Phase(state & 3),
            may_request=bool(state & 4),
            expected=from_bcd(self._read_wide("EXPECTED")),
            highest=from_bcd(self._read_wide("HIGHEST")),
            next_out=from_bcd(self._read_wide("NEXT_OUT")),
            recovery=bool(state & 8),
        )

    def _counters(self, session: int) -> dict[str, int]:
        self._select(session)
        counters = {}
        for rule in RULE_VERDICT:
            self._write("COUNTER", rule)
            self._read("COUNTER")  # the memory behind it answers later than a register
            counters[rule.id] = self._read("COUNTER")
        received = self._read_wide("BYTES")
        counters["skipped"] = received - self._read_wide("FRAMED") - self._read("PARTIAL")
        return counters

    def _receive(self, session: int, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            piece = data[at : at + CHUNK]
            self.core.receive(session, piece)
            self._rest(len(piece))

    def _send(self, session: int, msg_type: str, fields: bytes, seq: int | None) -> None:
        packed = int.from_bytes(msg_type.encode("ascii"), "little")
        self.core.send(session, packed, seq is not None, to_bcd(seq or 0), fields)
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
        return self._decoder.feed(*self.core.take())


def open_sim(
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
) -> SimDevice:
    """Open ``sim:``; the entry point of group ``tag34.devices``.

    ``sim:verilator`` and ``sim:amaranth`` name the simulator; ``sim:`` takes Verilator, and Amaranth's simulator with
    a warning where the gateware
    cannot be compiled. Raises DeviceError for another name, for an unknown option and for a value that cannot be built.
    """
    if rest not in ("", "verilator", "amaranth"):
        raise DeviceError(f"sim: takes verilator or amaranth behind the colon, not {rest!r}")
    if options:
        known = "width, sessions, window, max_message, hold, hold_limit, compact"
        raise DeviceError(f"sim: has the options {known}, not {', '.join(sorted(options))}")
    try:
        shape = Shape(
            width=width,
            sessions=sessions,
            window=max(2, window),
            max_message=max(64, max_message),
            hold=hold,
            hold_limit=hold_limit,
            compact=compact,
        )
    except ValueError as error:
        raise DeviceError(f"sim: {error}") from error
    if rest != "amaranth":
        try:
            return SimDevice(VerilatedCore(shape), "gateware, compiled by Verilator")
        except BuildError as error:
            if rest == "verilator":
                raise
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"{reason}; using Amaranth's simulator, some thousand times slower", RuntimeWarning, stacklevel=3
            )
    from .amaranth_core import AmaranthCore

    return SimDevice(AmaranthCore(shape), "gateware, in Amaranth's simulator")
