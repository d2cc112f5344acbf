"""ULX3S with the small ECP5."""

from fractions import Fraction

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import ECP5

BOARD = Board(
    name="ulx3s_25f",
    title="Radiona ULX3S 25F",
    fpga="LFE5U-25F",
    platform="amaranth_boards.ulx3s:ULX3S_25F_Platform",
    toolchain=ECP5,
    # 25 MHz divide to no baud rate above 1 MBaud that the FT231X makes.
    pll=Fraction(12, 5),
    shape=Shape(width=1, sessions=4, window=32, max_message=2048, hold=25, clock_hz=60_000_000),
    baud=3_000_000,
    loader="ulx3s",
)
