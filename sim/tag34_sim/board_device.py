"""The ``board:`` device: a supported board in simulation. All of its gateware is compiled, and the host talks to the
pins of its UART as it would talk to the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import metadata

from tag34.device import DeviceError
from tag34.link.device import LinkDevice
from tag34.link.serial_port import connect
from tag34_hdl.layouts import Shape
from tag34_hdl.link.packet import LinkInfo

from .verilated_top import board_on_pty

#: What a board's shell is made of; see :class:`~tag34_hdl.link.uart_shell.UartShell`.
Shell = tuple[Shape, int, LinkInfo]
#: Entry points that give boards by name: this package does not know those who make them.
GROUP = "tag34.boards"
#: Bits per second of a pseudo-terminal: it has no wire.
RATE = 3_000_000
#: How many times more time than a real board it has for everything: others may use the processor, too.
SLOWER = 20.0


def shells() -> dict[str, Callable[[], Shell]]:
    """The boards that are installed, by name."""
    found: dict[str, Callable[[], Shell]] = {}
    for point in metadata.entry_points(group=GROUP):
        try:
            of_package: Callable[[], Mapping[str, Callable[[], Shell]]] = point.load()
        except ImportError as error:
            raise DeviceError(f"boards of {point.value} cannot be loaded: {error}") from error
        found.update(of_package())
    return found


def open_board(rest: str, **options: object) -> LinkDevice:
    """Open ``board:NAME``, for example ``board:icebreaker``; the entry point of group ``tag34.devices``.

    The board runs in a thread until the device is closed. Raises DeviceError for a name that is no board's, for any
    option, since a board is what it is, and where the gateware cannot be compiled.
    """
    boards = shells()
    if rest not in boards:
        raise DeviceError(f"there is no board {rest!r}: of {', '.join(sorted(boards))}")
    if options:
        raise DeviceError(f"board: has no options, not {', '.join(sorted(options))}: the board's file decides all")
    shape, divisor, info = boards[rest]()
    with ExitStack() as stack:
        port = stack.enter_context(board_on_pty(shape, divisor, info))
        device = connect(port, (RATE,), "board", lambda: running.close(), SLOWER)
        running = stack.pop_all()
    return device
