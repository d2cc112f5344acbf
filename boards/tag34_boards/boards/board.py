"""What is said of a board: one :class:`Board`, in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import Any

from tag34.contract.link import INFO_FIELDS
from tag34_hdl.layouts import Shape

from .toolchain import Toolchain

#: Longest name of a board: INFO has room for so many bytes.
NAME_BYTES = dict(INFO_FIELDS)["board"]
#: How far a UART may be off its baud rate, in percent. The last bit of a byte is sampled nine and a half bits after its
#: edge: both ends together may be off by about 5 %, of which the host's adapter and the sampling have their parts.
BAUD_ERROR_LIMIT = 1.5


@dataclass(frozen=True)
class Board:
    """A board, and what is built for it.

    Parameters:
        name: on the command line, of the folder and of the files; at most NAME_BYTES ASCII characters.
        title: name as its maker writes it.
        fpga: the device.
        platform: ``module:Class`` of amaranth-boards. The board is described there: its pins, its clock.
        toolchain: makes the bitstream.
        shape: of the gateware. ``clock_hz`` is the clock it runs with: that of the board, or ``pll`` times that.
        baud: of the UART; one that the board's USB adapter makes exactly.
        pll: factor of a PLL between the board's clock and the gateware, 1: none. For ECP5.
        loader: name of the board for openFPGALoader.
        options: for place and route, beyond those of the toolchain.
        notes: what a user should know, as sentences.

    Raises ValueError, naming the parameter, for anything out of range.
    """

    name: str
    title: str
    fpga: str
    platform: str
    toolchain: Toolchain
    shape: Shape
    baud: int
    loader: str
    pll: Fraction = Fraction(1)
    options: tuple[str, ...] = ()
    notes: str = ""

    #: How the host is connected; the only shell there is.
    shell = "uart"

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or not self.name.isascii() or len(self.name) > NAME_BYTES:
            raise ValueError(f"name must be an ASCII identifier of at most {NAME_BYTES} characters, not {self.name!r}")
        if abs(self.baud_error) >= BAUD_ERROR_LIMIT:
            told = f"{self.shape.clock_hz} Hz / {self.divisor} is {self.baud_error:+.2f} % off"
            raise ValueError(f"baud must be met within {BAUD_ERROR_LIMIT} %, but {told} {self.baud}")

    @property
    def core(self) -> str:
        """Which core it has: ``fast``, or ``compact``, which is small and by far slower (docs/decisions/0018)."""
        return "compact" if self.shape.compact else "fast"

    @property
    def divisor(self) -> int:
        """Clock cycles of a bit on the UART."""
        return max(1, round(self.shape.clock_hz / self.baud))

    @property
    def baud_error(self) -> float:
        """How far the UART is off its baud rate, in percent."""
        return 100 * (self.shape.clock_hz / self.divisor - self.baud) / self.baud

    def open_platform(self) -> Any:
        """A new object of the platform's class.

        Raises ModuleNotFoundError if amaranth-boards is not installed.
        """
        module, _, cls = self.platform.partition(":")
        return getattr(import_module(module), cls)()
