"""Frames on a stream of bytes: Consistent Overhead Byte Stuffing, each frame closed by a zero."""

from __future__ import annotations

from amaranth import Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..block_memory import BlockMemory
from .packet import PacketByte


class CobsDecoder(wiring.Component):
    """Frames out of bytes.

    Members:
        bytes: from the wire.
        frames: their bytes. Empty frames are passed over. In one that ends too soon a bit of the last byte is inverted:
            a CRC that would have been right is wrong.

    Throughput: a byte per cycle. Latency: a byte leaves with the one behind it.
    """

    def __init__(self) -> None:
        super().__init__({"bytes": In(stream.Signature(8)), "frames": Out(stream.Signature(PacketByte))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        left = Signal(8, init=1)  # bytes until the next block's length
        block_ends = Signal()
        full = Signal()  # it is one of 254 bytes: no zero behind it
        begun = Signal()  # the frame has a block
        held = Signal(8)
        holds = Signal()
        ends = Signal()
        counts = Signal()  # the byte is the length of a block
        gives = Signal()  # the byte is one of the frame's, or stands for one
        m.d.comb += [
            ends.eq(self.bytes.payload == 0),
            block_ends.eq(left == 1),
            counts.eq(block_ends & ~ends),
            gives.eq(~ends & ~(counts & (full | ~begun))),
            self.frames.valid.eq(self.bytes.valid & holds & (gives | ends)),
            self.frames.payload.data.eq(held ^ (ends & ~block_ends)),
            self.frames.payload.last.eq(ends),
            self.bytes.ready.eq(self.frames.ready | ~(holds & (gives | ends))),
        ]
        with m.If(self.bytes.valid & self.bytes.ready):
            with m.If(gives):
                m.d.sync += [holds.eq(1), held.eq(self.bytes.payload & ~counts.replicate(8))]
            m.d.sync += begun.eq(1)
            with m.If(ends):
                m.d.sync += [left.eq(1), begun.eq(0), holds.eq(0)]
            with m.Elif(counts):
                m.d.sync += [left.eq(self.bytes.payload), full.eq(self.bytes.payload == 255)]
            with m.Else():
                m.d.sync += left.eq(left - 1)
        return m


class CobsEncoder(wiring.Component):
    """Bytes out of frames.

    Members:
        frames: at most 256 bytes each, none empty.
        bytes: for the wire.

    A block's bytes wait in a memory of 512 bytes until the block's length is known; then they leave while others come.

    Throughput: a byte per cycle comes in, but for a cycle behind each 254 bytes without a zero and two behind a frame;
    one in two cycles goes out.
    """

    DEPTH = 512

    def __init__(self) -> None:
        super().__init__({"frames": In(stream.Signature(PacketByte)), "bytes": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.memory = memory = BlockMemory(8, self.DEPTH)
        start = Signal(range(self.DEPTH))  # place of the block's length; all before it may leave
        put = Signal.like(start, init=1)
        get = Signal.like(start)
        put_next = Signal.like(put)
        length = Signal(8, init=1)
        room = Signal()
        takes = Signal()
        closes = Signal()  # the block's length is written, and the next one begins
        frame = self.frames.payload
        # Behind the last byte of a frame its last block is closed, and then one that is nothing but a length of zero.
        # So is the first thing after a reset: the wire may hold half a frame from before.
        ended = Signal(init=1)
        zero = Signal(init=1)
        m.d.comb += [
            put_next.eq(put + 1),
            room.eq(put_next != get),
            takes.eq(self.frames.valid & room & ~ended & (length != 255)),
            closes.eq(room & (ended | (self.frames.valid & ((length == 255) | (frame.data == 0))))),
            self.frames.ready.eq(takes),
            memory.write.eq(takes | closes),
            memory.write_address.eq(Mux(closes, start, put)),
            memory.write_data.eq(Mux(closes, Mux(zero, 0, length), frame.data)),
        ]
        with m.If(takes | closes):
            m.d.sync += [put.eq(put_next), length.eq(Mux(closes, 1, length + 1))]
        with m.If(closes):
            m.d.sync += [start.eq(put), zero.eq(ended & ~zero), ended.eq(ended & ~zero)]
        with m.If(takes & frame.last):
            m.d.sync += ended.eq(1)

        taken = Signal()
        m.d.comb += [
            taken.eq(self.bytes.valid & self.bytes.ready),
            memory.address.eq(get),
            self.bytes.payload.eq(memory.data),
        ]
        m.d.sync += self.bytes.valid.eq((get != start) & ~taken)
        with m.If(taken):
            m.d.sync += get.eq(get + 1)
        return m
