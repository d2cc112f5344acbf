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
    shape=Shape(compact=True, sessions=4, window=32, max_message=1024, hold=10, clock_hz=27_000_000),
    baud=3_000_000,
    loader="tangnano9k",
)
