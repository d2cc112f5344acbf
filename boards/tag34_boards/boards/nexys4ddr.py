"""Nexys 4 DDR, sold as Nexys A7-100T later."""

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import VIVADO

BOARD = Board(
    name="nexys4ddr",
    title="Digilent Nexys 4 DDR",
    fpga="xc7a100t",
    platform="amaranth_boards.nexys4ddr:Nexys4DDRPlatform",
    toolchain=VIVADO,
    shape=Shape(width=1, sessions=16, window=64, max_message=4096, hold=45, clock_hz=100_000_000),
    # What the FT2232H makes exactly, and 100 MHz divide to.
    baud=4_000_000,
    loader="nexys_a7_100",
)
