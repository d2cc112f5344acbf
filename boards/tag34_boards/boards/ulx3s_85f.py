"""ULX3S with the large ECP5."""

from fractions import Fraction

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import ECP5

BOARD = Board(
    name="ulx3s_85f",
    title="Radiona ULX3S 85F",
    fpga="LFE5U-85F",
    platform="amaranth_boards.ulx3s:ULX3S_85F_Platform",
    toolchain=ECP5,
    # 25 MHz divide to no baud rate above 1 MBaud that the FT231X makes.
    pll=Fraction(12, 5),
    shape=Shape(width=1, sessions=16, window=64, max_message=4096, hold=45, clock_hz=60_000_000),
    baud=3_000_000,
    loader="ulx3s",
)
