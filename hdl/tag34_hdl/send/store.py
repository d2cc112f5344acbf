"""A block memory that is never read and written in the same cycle."""

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


class Store(wiring.Component):
    """Words of ``width`` bytes. There is no read while something is written.

    A memory with a clocked read port has to show the old word if it is written in the same cycle. Block memories do not
    all do so, and synthesis puts a comparison and a choice between them and their readers. Here the read is
    combinational, with a register that has a clock enable, so that synthesis sees that the two exclude each other, and
    that all this is one block memory.

    Parameters: ``width``, ``depth`` in words, ``init``.

    Members:
        write, write_address, write_data: write a word; ``write``: a bit for each byte.
        enable, address, data: read a word, one cycle later. Without ``enable``, or if something is written, ``data``
            stays.
    """

    def __init__(self, width: int, depth: int, init: list[int] | None = None):
        self.width = width
        #: The memory, for who looks into it.
        self.words = memory.Memory(shape=8 * width, depth=depth, init=init or [])
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
        m.submodules.words = self.words
        write = self.words.write_port(granularity=8)
        read = self.words.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write),
            read.addr.eq(self.address),
        ]
        # A block memory's register has no reset.
        data = Signal(8 * self.width, reset_less=True)
        m.d.comb += self.data.eq(data)
        with m.If(self.enable & ~self.write.any()):
            m.d.sync += data.eq(read.data)
        return m
