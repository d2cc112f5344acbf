"""A whole board, compiled by Verilator: bytes go through the pins of its UART, or through a pseudo-terminal."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

from tag34_hdl.layouts import Shape
from tag34_hdl.link.packet import LinkInfo

from .verilator import cached, compile_top, content_key, packaged, whole

TOP = "tag34_board"
#: Cycles that a board on a pseudo-terminal runs between two looks at it.
SLICE = 5_000


def verilog(shape: Shape, divisor: int, info: LinkInfo) -> str:
    """A :class:`~tag34_hdl.link.uart_shell.UartShell` as Verilog."""
    from amaranth.back.verilog import convert

    from tag34_hdl.link.uart_shell import UartShell
    from tag34_hdl.session.message_memory import ExternalMemory

    top = UartShell(shape, divisor, info)
    return whole(convert(top, name=TOP, platform=ExternalMemory(), strip_internal_attrs=True))


def build(shape: Shape, divisor: int, info: LinkInfo) -> Path:
    """The shared library of such a board, built if it is not in the cache. Raises BuildError."""
    harness = packaged("verilated_top.cpp")
    parts = (divisor, info, TOP, harness, packaged("verilated_top.py"))
    key = hashlib.sha256(repr((content_key(shape, ""), parts)).encode()).hexdigest()[:24]
    return cached(
        f"board-{key}",
        lambda work, library: compile_top(TOP, verilog(shape, divisor, info), harness, work, library),
    )


class VerilatedBoard:
    """A compiled board in this process. It moves while :meth:`run` is called. One object, one board; not thread-safe.

    Parameters:
        shape: of its core.
        divisor: cycles per bit on its UART.
        info: what it says of itself.

    Raises BuildError.
    """

    def __init__(self, shape: Shape, divisor: int = 4, info: LinkInfo | None = None):
        self.shape = shape
        self.divisor = divisor
        self.library = ctypes.CDLL(str(build(shape, divisor, info or LinkInfo())))
        pointer, size, u64 = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64
        for name, result, arguments in (
            ("new", pointer, [ctypes.c_uint]),
            ("delete", None, [pointer]),
            ("reset", None, [pointer]),
            ("cycles", u64, [pointer]),
            ("write", None, [pointer, ctypes.c_char_p, size]),
            ("waiting", size, [pointer]),
            ("run", None, [pointer, u64]),
            ("read", size, [pointer, ctypes.c_char_p, size]),
        ):
            function = getattr(self.library, f"tag34_board_{name}")
            function.restype, function.argtypes = result, arguments
        self.handle: int | None = self.library.tag34_board_new(divisor)

    def reset(self) -> None:
        """Reset the gateware, as by a button; what is on its way to it stays there."""
        self.library.tag34_board_reset(self.handle)

    def write(self, data: bytes) -> None:
        """Queue bytes for the board."""
        self.library.tag34_board_write(self.handle, data, len(data))

    def run(self, cycles: int) -> None:
        """Let the board run."""
        self.library.tag34_board_run(self.handle, cycles)

    def read(self, size: int = 1 << 16) -> bytes:
        """Bytes of the board since the last call, ``size`` at most."""
        buffer = ctypes.create_string_buffer(size)
        count = self.library.tag34_board_read(self.handle, buffer, size)
        return buffer.raw[:count]

    @property
    def waiting(self) -> int:
        """Bytes that are still on their way to the board."""
        return int(self.library.tag34_board_waiting(self.handle))

    @property
    def cycles(self) -> int:
        """Cycles since the start."""
        return int(self.library.tag34_board_cycles(self.handle))

    def close(self) -> None:
        """Give it back."""
        if self.handle is not None:
            self.library.tag34_board_delete(self.handle)
            self.handle = None

    def __enter__(self) -> VerilatedBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def board_on_pty(shape: Shape, divisor: int = 4, info: LinkInfo | None = None) -> Iterator[str]:
    """A board that runs in a thread, as fast as it can; what it is given is the path of a pseudo-terminal that stands
    for its serial port. Raises BuildError."""
    with VerilatedBoard(shape, divisor, info) as board, plugged(board) as path:
        yield path


@contextlib.contextmanager
def plugged(board: VerilatedBoard, pulled_after: int | None = None) -> Iterator[str]:
    """A board with its cable in: it runs in a thread, and a pseudo-terminal, whose path is given, stands for its serial
    port. Then the cable is pulled, or before that, when so many bytes have gone through it. Nobody else may use the
    board meanwhile."""
    master, slave = os.openpty()
    stop = threading.Event()
    try:
        tty.setraw(slave)
        tty.setraw(master)
        os.set_blocking(master, False)
        path = os.ttyname(slave)
    except BaseException:
        os.close(slave)
        os.close(master)
        raise

    def serve() -> None:
        try:
            _serve(board, master, stop, pulled_after)
        finally:
            os.close(slave)
            os.close(master)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        stop.set()
        thread.join()


def _serve(board: VerilatedBoard, master: int, stop: threading.Event, limit: int | None) -> None:
    """Carry bytes between a board and a pseudo-terminal until ``stop``, or until there were ``limit`` of them."""
    unread = b""
    busy = True
    carried = 0
    while not stop.is_set() and (limit is None or carried < limit):
        left = 4096 if limit is None else min(4096, limit - carried)
        # The board is faster than the host: a moment's rest when nothing moves leaves the processor to the latter.
        if select.select([master], [], [], 0 if busy else 0.001)[0]:
            with contextlib.suppress(BlockingIOError):
                data = os.read(master, left)
                board.write(data)
                carried += len(data)
                left -= len(data)
        board.run(SLICE)
        unread += board.read()
        if unread and left:
            with contextlib.suppress(BlockingIOError):
                written = os.write(master, unread[:left])
                unread = unread[written:]
                carried += written
        busy = bool(unread or board.waiting)
