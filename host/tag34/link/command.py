"""``tag34 devices``: the boards that answer on this machine's serial ports."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cli import FAILED
from ..device import DeviceError
from . import serial_port
from .packet import Info

if TYPE_CHECKING:
    from ..cli import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "devices",
        help="list the boards that answer on serial ports",
        description="Ask every serial port, and those named, whether a board is there: whatever is behind one gets a "
        "few bytes, at each rate. An open link session does not notice. Exit status 1 if none answers.",
    )
    parser.add_argument("ports", nargs="*", metavar="PORT", help="a port beside those that are found")
    parser.add_argument("--baud", help="bits per second (default: all that a board may use)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, by the device's URL")
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Found:
    """What is at a port: ``info`` of a board of this version and the ``baud`` at which it answers, or the ``reason``
    why there is none."""

    port: str
    info: Info | None = None
    baud: int = 0
    reason: str = ""

    @property
    def url(self) -> str:
        """Of the device."""
        return f"serial:{self.port}"

    def __str__(self) -> str:
        told = self.reason if self.info is None else f"{describe(self.info)}, {self.baud} bits per second"
        return f"{self.url}  {told}"

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        if self.info is None:
            return {"answers": False, "reason": self.reason}
        names = ("board", "width", "sessions", "window", "max_message", "hold", "clock_hz")
        sizes = {name: getattr(self.info, name) for name in names}
        return {"answers": True, **sizes, "build_id": self.info.build_id.hex(), "baud": self.baud}


def run(args: argparse.Namespace) -> int:
    """Print a line per port, or an object. Returns the exit status."""
    rates = serial_port.rates_of(args.baud)
    ports = list(dict.fromkeys([*args.ports, *found_ports()]))
    found = []
    for port in ports:
        found.append(ask(port, rates))
        if not args.json:
            print(found[-1])
    if args.json:
        print(json.dumps({each.url: each.as_dict() for each in found}))
    elif not ports:
        print("no serial ports")
    return 0 if any(each.info for each in found) else FAILED


def found_ports() -> Iterable[str]:
    """Serial ports of this machine. Raises DeviceError if pyserial is missing."""
    serial_port.require()
    from serial.tools import list_ports

    return sorted(str(port.device) for port in list_ports.comports())


def ask(port: str, rates: Iterable[int] = serial_port.RATES) -> Found:
    """What is at a port."""
    rates = tuple(rates)
    try:
        transport = serial_port.SerialTransport(port, rates[-1])
        try:
            found = serial_port.probe(transport, rates)
        finally:
            transport.close()
        if found is None:
            return Found(port, reason="does not answer")
        info, rate = found
        info.check()
    except DeviceError as error:
        return Found(port, reason=str(error))
    return Found(port, info, rate)


def describe(info: Info) -> str:
    """What a board is, in a line."""
    return (
        f"{info.board or 'no name'}: width {info.width}, sessions {info.sessions}, window {info.window}, "
        f"build {info.build_id.hex()}"
    )
