"""ECPIX-5 with the large ECP5."""

from fractions import Fraction

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import ECP5

BOARD = Board(
    name="ecpix5",
    title="LambdaConcept ECPIX-5 85F",
    fpga="LFE5UM5G-85F",
    platform="amaranth_boards.ecpix5:ECPIX585Platform",
    toolchain=ECP5,
    pll=Fraction(3, 4),
    shape=Shape(width=1, sessions=16, window=64, max_message=4096, hold=45, clock_hz=75_000_000),
    # What the FT2232H makes exactly, and 75 MHz divide to.
    baud=3_000_000,
    loader="ecpix5",
)
