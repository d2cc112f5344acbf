"""Arty A7-35T."""

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import VIVADO

BOARD = Board(
    name="arty_a7",
    title="Digilent Arty A7-35T",
    fpga="xc7a35ti",
    platform="amaranth_boards.arty_a7:ArtyA7_35Platform",
    toolchain=VIVADO,
    shape=Shape(width=1, sessions=16, window=64, max_message=2048, hold=45, clock_hz=100_000_000),
    # What the FT2232H makes exactly, and 100 MHz divide to.
    baud=4_000_000,
    loader="arty_a7_35t",
)
