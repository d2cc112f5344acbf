"""A queue of bytes in block memory."""

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..block_memory import BlockMemory

DEPTH = 512


class BytesQueue(wiring.Component):
    """Takes bytes without being asked, so whoever writes looks first if there is room for all that he has.

    Members: ``write``, ``data``: a byte comes; ``half``: half of the room, 256 bytes, may be used up; ``out``: the
    bytes, two cycles later; ``idle``: there are none.
    """

    write: In(1)
    data: In(8)
    half: Out(1)
    out: Out(stream.Signature(8))
    idle: Out(1)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.bytes = memory = BlockMemory(8, DEPTH)
        to = Signal(range(DEPTH))
        at = Signal(range(DEPTH))
        waits = Signal()
        m.d.comb += [
            waits.eq(to != at),
            memory.write.eq(self.write),
            memory.write_address.eq(to),
            memory.write_data.eq(self.data),
            memory.address.eq(at),
            memory.enable.eq(~self.out.valid | self.out.ready),
            self.out.payload.eq(memory.data),
            self.half.eq((to - at)[len(to) - 1]),
            self.idle.eq(~waits & ~self.out.valid),
        ]
        with m.If(self.write):
            m.d.sync += to.eq(to + 1)
        with m.If(~self.out.valid | self.out.ready):
            m.d.sync += self.out.valid.eq(waits)
            with m.If(waits):
                m.d.sync += at.eq(at + 1)
        return m
