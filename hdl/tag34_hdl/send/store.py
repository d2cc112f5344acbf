"""A block memory that is never read and written in the same cycle."""

from amaranth import Elaboratable, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..block_memory import BlockMemory


class Store(wiring.Component):
    """Words of ``width`` bytes. There is no read while something is written.

    Parameters: ``width``, ``depth`` in words, ``init``.

    Members:
        write, write_address, write_data: write a word; ``write``: a bit for each byte.
        enable, address, data: read a word, one cycle later. Without ``enable``, or if something is written, ``data``
            stays.
    """

    def __init__(self, width: int, depth: int, init: list[int] | None = None):
        self.width = width
        self.memory = BlockMemory(8 * width, depth, granularity=8, init=init or [])
        super().__init__(
            {
                "write": In(width),
                "write_address": In(ceil_log2(depth)),
                "write_data": In(8 * width),
                "enable": In(1),
                "address": In(ceil_log2(depth)),
                "data": Out(8 * width),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.memory = memory = self.memory
        m.d.comb += [
            memory.write.eq(self.write),
            memory.write_address.eq(self.write_address),
            memory.write_data.eq(self.write_data),
            memory.address.eq(self.address),
            memory.enable.eq(self.enable & ~self.write.any()),
            self.data.eq(memory.data),
        ]
        return m
