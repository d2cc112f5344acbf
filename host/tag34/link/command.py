"""``tag34 devices``: the boards that answer on this machine's serial ports."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line per port. Returns the exit status."""
    rates = serial_port.rates_of(args.baud)
    ports = list(dict.fromkeys([*args.ports, *found_ports()]))
    if not ports:
        print("no serial ports")
    answered = False
    for port in ports:
        line, answers = ask(port, rates)
        answered |= answers
        print(line)
    return 0 if answered else FAILED


def found_ports() -> Iterable[str]:
    """Serial ports of this machine. Raises DeviceError if pyserial is missing."""
    serial_port.require()
    from serial.tools import list_ports

    return sorted(str(port.device) for port in list_ports.comports())


def ask(port: str, rates: Iterable[int] = serial_port.RATES) -> tuple[str, bool]:
    """A line on what is at a port, and whether a board of this version is."""
    rates = tuple(rates)
    try:
        transport = serial_port.SerialTransport(port, rates[-1])
        try:
            found = serial_port.probe(transport, rates)
        finally:
            transport.close()
        if found is None:
            return f"serial:{port}  does not answer", False
        info, rate = found
        info.check()
    except DeviceError as error:
        return f"serial:{port}  {error}", False
    return f"serial:{port}  {describe(info)}, {rate} bits per second", True


def describe(info: Info) -> str:
    """What a board is, in a line."""
    return (
        f"{info.board or 'no name'}: width {info.width}, sessions {info.sessions}, window {info.window}, "
        f"build {info.build_id.hex()}"
    )
