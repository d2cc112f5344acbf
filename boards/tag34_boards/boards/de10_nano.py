"""DE10-Nano."""

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import QUARTUS

BOARD = Board(
    name="de10_nano",
    title="Terasic DE10-Nano",
    fpga="5CSEBA6U23I7",
    platform="amaranth_boards.de10_nano:DE10NanoPlatform",
    toolchain=QUARTUS,
    shape=Shape(width=1, sessions=16, window=64, max_message=4096, hold=45, clock_hz=50_000_000),
    baud=2_000_000,
    loader="de10nano",
    notes="Its own USB serial port leads to the ARM cores: a USB adapter of 3.3 V at the Arduino header, D0 (in) and "
    "D1 (out), is the host's.",
)
