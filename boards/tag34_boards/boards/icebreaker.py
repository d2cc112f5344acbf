"""iCEBreaker: the smallest one."""

from tag34_hdl.layouts import Shape

from .board import Board
from .toolchain import ICE40

BOARD = Board(
    name="icebreaker",
    title="1BitSquared iCEBreaker",
    fpga="iCE40UP5K",
    platform="amaranth_boards.icebreaker:ICEBreakerPlatform",
    toolchain=ICE40,
    shape=Shape(compact=True, sessions=1, window=8, max_message=512, hold=3, clock_hz=12_000_000),
    baud=3_000_000,
    loader="ice40_generic",
)
