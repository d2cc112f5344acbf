"""The ``serial:`` device: a board on a serial port. Needs the packages ``pyserial`` and ``cobs``."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from ..contract.link import PacketKind
from ..device import DeviceError
from .core import HELLO, PATIENCE, LinkCore
from .device import LinkDevice
from .endpoint import SILENCE, TIMEOUT, Endpoint
from .frames import Deframer, encode
from .packet import Info, Packet

#: Rates that are tried where none is named, the likeliest first.
RATES: Final = (3_000_000, 4_000_000, 2_000_000, 1_000_000, 921_600, 460_800, 230_400, 115_200)
#: Seconds that a board has for its answer to a PROBE, over all rates that are tried. With eight of them this is 160 ms
#: for each: an INFO takes 10 ms at the slowest, a USB adapter holds it back for 16 ms, and there is time for a second
#: try.
PROBE: Final = 1.28
#: Seconds between two PROBEs.
PROBE_AGAIN: Final = 0.08
#: Seconds that a port may take to accept a packet.
WRITE: Final = 2.0
#: Bytes of requests that may be under way at a time: what WRITE seconds suffice for by far.
SEND_WINDOW: Final = 4096
#: Bits of a byte on the wire.
_BYTE_BITS: Final = 10


class SerialTransport:
    """Packets on a serial port, which nobody else has open. Once it is closed the port is set as it was before.

    Parameters: ``path`` of the port; ``rate``, bits per second.

    Raises DeviceError, also from each method, if there is no such port, it is in use, or it breaks.
    """

    def __init__(self, path: str, rate: int):
        self.path = path
        self._deframer = Deframer()
        serial = require()
        with self._clear("cannot be opened"):
            self._before = _settings(path)
            self._port = serial.Serial(path, rate, timeout=0, write_timeout=WRITE, exclusive=True)

    def set_rate(self, rate: int) -> bool:
        """Go on with another rate; False if the port cannot do that. What has come before is dropped."""
        try:
            with self._clear("cannot be set"):
                if self._port.baudrate != rate:
                    self._port.baudrate = rate
                self._port.reset_input_buffer()
        except _Unsupported:
            return False
        self._deframer = Deframer()
        return True

    def send(self, packet: bytes) -> None:
        """See :class:`~tag34.link.core.Transport`."""
        with self._clear("takes no bytes"):
            self._port.write(encode(packet))

    def receive(self, timeout: float) -> list[bytes]:
        """See :class:`~tag34.link.core.Transport`. A line that never falls silent does not hold it up: it returns after
        ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            with self._clear("broke"):
                ready, _, _ = select.select([self._port.fileno()], [], [], max(0.0, deadline - time.monotonic()))
                # In one go, but not without end. Where nothing waits in spite of select, reading says what is wrong.
                data = self._port.read(max(1, min(self._port.in_waiting, 1 << 16))) if ready else b""
            packets = self._deframer.feed(data)
            if packets or time.monotonic() >= deadline:
                return packets

    def close(self) -> None:
        """Give the port back."""
        import termios

        with contextlib.suppress(DeviceError), self._clear("broke"):
            if self._port.is_open:
                termios.tcsetattr(self._port.fileno(), termios.TCSANOW, self._before)
        with contextlib.suppress(DeviceError), self._clear("broke"):
            self._port.close()

    @contextlib.contextmanager
    def _clear(self, what: str) -> Iterator[None]:
        """All that a port can raise, as one line."""
        import termios

        try:
            yield
        except DeviceError:
            raise
        except (OSError, termios.error) as error:  # pyserial's own are OSErrors
            if isinstance(error, termios.error) and error.args[:1] == (errno.EINVAL,):
                raise _Unsupported(f"serial port {self.path} {what}: {_reason(error)}") from error
            raise DeviceError(f"serial port {self.path} {what}: {_reason(error)}") from error
        except (ValueError, OverflowError) as error:
            raise _Unsupported(f"serial port {self.path} cannot be set: {error}") from error


class _Unsupported(DeviceError):
    """The port cannot do what was asked of it."""


def _settings(path: str) -> list[Any]:
    """How a port is set: a terminal of somebody else's, perhaps, that is only asked whether it is a board."""
    import termios

    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        return termios.tcgetattr(port)
    finally:
        os.close(port)


def require() -> Any:
    """The package pyserial. Raises DeviceError if it or cobs is missing."""
    try:
        import cobs.cobs  # noqa: F401 (frames need it; here it is said what to do)
        import serial
    except ImportError as error:
        raise DeviceError(f"a serial port needs pyserial and cobs ({error}): pip install 'tag34[serial]'") from None
    return serial


def _reason(error: Exception) -> str:
    # pyserial puts some of them into its text only.
    codes = [*error.args, *map(int, re.findall(r"(?:\[Errno |: \()(\d+)[\],]", str(error)))]
    known = {
        errno.ENOENT: "there is no such port",
        errno.ENXIO: "there is no such port",
        errno.ENODEV: "it is gone",
        errno.EIO: "it is gone",
        errno.EBADF: "it is gone",
        errno.EACCES: "permission denied (on many systems, members of the group dialout may use it)",
        errno.EBUSY: "it is in use",
        errno.EAGAIN: "it is in use",
        errno.ENOTTY: "it is no serial port",
        errno.EISDIR: "it is no serial port",
        errno.EINVAL: "it is no serial port, or cannot be set like that",
    }
    for code in codes:
        if code in known:
            return known[code]
    text = " ".join(str(error).split())
    return "it is gone" if "returned no data" in text else text


def probe(
    transport: SerialTransport,
    rates: Sequence[int] = RATES,
    clock: Callable[[], float] = time.monotonic,
    slower: float = 1.0,
) -> tuple[Info, int] | None:
    """What a board says of itself, and the rate at which it does; None if none answers. An open link session does not
    notice. Takes PROBE seconds at most, times ``slower``."""
    for rate in rates:
        if not transport.set_rate(rate):
            continue
        deadline = clock() + PROBE * slower / len(rates)
        while (now := clock()) < deadline:
            transport.send(Packet(PacketKind.PROBE).encode())
            again = min(deadline, now + PROBE_AGAIN)
            while (now := clock()) < again:
                for data in transport.receive(again - now):
                    packet = Packet.decode(data)
                    info = Info.decode(packet.payload) if packet and packet.kind is PacketKind.INFO else None
                    if info is not None:
                        return info, rate
    return None


def rates_of(baud: object) -> Sequence[int]:
    """The rates that an option ``baud`` asks for. Raises DeviceError if it is no number above 0."""
    if baud is None:
        return RATES
    try:
        rate = int(str(baud))
    except ValueError:
        rate = 0
    if not 1 <= rate < 1 << 31:
        raise DeviceError(f"serial: baud must be a number of bits per second, not {baud!r}")
    return (rate,)


def open_serial(rest: str, *, baud: object = None, **options: object) -> LinkDevice:
    """Open ``serial:PORT``, for example ``serial:/dev/ttyUSB1``; the entry point of group ``tag34.devices``.

    ``baud``: bits per second; None: what the board answers to, of RATES. The core is reset. Raises DeviceError, within
    two seconds, if there is no board that answers; for any other option, since a board is what it is; and if
    ``pyserial`` or ``cobs`` is missing.
    """
    if not rest:
        raise DeviceError("serial: takes a port behind the colon, for example serial:/dev/ttyUSB1; see tag34 devices")
    if options:
        raise DeviceError(
            f"serial: has the option baud, not {', '.join(sorted(options))}: the board's gateware decides all else"
        )
    return connect(rest, rates_of(baud))


def connect(
    path: str,
    rates: Sequence[int],
    scheme: str = "serial",
    closed: Callable[[], object] = lambda: None,
    slower: float = 1.0,
) -> LinkDevice:
    """The board on a serial port, at one of the ``rates``.

    Parameters: ``scheme`` of the device's URL; ``closed`` is called once it is closed; ``slower``, how many times more
    time than a real board it has for everything. Raises DeviceError, within two seconds (times ``slower``), if none
    answers.
    """
    started = time.monotonic()
    transport = SerialTransport(path, rates[-1])
    try:
        found = probe(transport, rates, slower=slower)
        if found is None:
            tried = ", ".join(map(str, rates))
            raise DeviceError(f"no tag34 board answers on serial port {path} (tried {tried} bits per second)")
        info, rate = found
        info.check()
        # All that may be under way in both directions, and what adapters and operating systems add.
        timeout = slower * (TIMEOUT + 2 * SEND_WINDOW * _BYTE_BITS / rate)
        endpoint = Endpoint(time.monotonic(), send_window=SEND_WINDOW, timeout=timeout, silence=SILENCE * slower)
        left = HELLO * slower - (time.monotonic() - started)
        core = LinkCore(transport, endpoint, hello=left, patience=PATIENCE * slower)
        name = info.board or "a board"
        return LinkDevice(core, scheme, f"{name} on {path}, {rate} bits per second", closed)
    except BaseException:
        transport.close()
        raise
