"""Tang Nano 9K."""

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import GOWIN

BOARD = Board(
    name="tang_nano_9k",
    title="Sipeed Tang Nano 9K",
    fpga="GW1NR-9C",
    platform="amaranth_boards.tang_nano_9k:TangNano9kPlatform",
    toolchain=GOWIN,
    shape=Shape(width=1, sessions=1, window=16, max_message=1024, hold=12, clock_hz=27_000_000),
    baud=3_000_000,
    loader="tangnano9k",
)
