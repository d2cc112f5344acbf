"""Queues, in what they cost least."""

from __future__ import annotations

from amaranth import Elaboratable, Module, Mux, Signal
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .block_memory import BlockMemory

#: Words up to which a queue is in distributed memory; from there on block memory is cheaper.
SMALL = 64


def queue(width: int, depth: int) -> fifo.SyncFIFO | LargeQueue:
    """A queue that shows its first word a cycle after it came. Parameters: ``width``, in bits; ``depth``, in words."""
    return (fifo.SyncFIFO if depth <= SMALL else LargeQueue)(width=width, depth=depth)


def quick_queue(width: int, depth: int) -> RegisteredQueue | LargeQueue:
    """A :func:`queue` whose first word is in a register, however small it is: whoever looks at it has a whole cycle."""
    return (RegisteredQueue if depth <= SMALL else LargeQueue)(width=width, depth=depth)


class RegisteredQueue(wiring.Component):
    """A queue that shows its first word a cycle after it came, from a register: whoever looks at it has a whole cycle.

    Parameters: ``width``, in bits; ``depth``, in words: so many fit.

    Members: as of Amaranth's queues: ``w_data``, ``w_en`` (not if it is full), ``r_data``, ``r_rdy``, ``r_en``.
    """

    def __init__(self, width: int, depth: int):
        self.width, self.depth = width, depth
        super().__init__({"w_data": In(width), "w_en": In(1), "r_data": Out(width), "r_rdy": Out(1), "r_en": In(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.words = words = fifo.SyncFIFO(width=self.width, depth=self.depth)
        first = Signal(self.width, reset_less=True)
        wanted = Signal()  # there is no first word in the next cycle but for what comes now
        passes = Signal()
        m.d.comb += [
            self.r_data.eq(first),
            wanted.eq(~self.r_rdy | self.r_en),
            passes.eq(wanted & ~words.r_rdy),
            words.w_data.eq(self.w_data),
            words.w_en.eq(self.w_en & ~passes),
            words.r_en.eq(wanted),
        ]
        with m.If(wanted):
            m.d.sync += [self.r_rdy.eq(words.r_rdy | (passes & self.w_en)), first.eq(words.r_data)]
            with m.If(passes):
                m.d.sync += first.eq(self.w_data)
        return m


class LargeQueue(wiring.Component):
    """A queue with its first word in a register and the others in block memory, which takes two cycles to show one: the
    next word may be late by so much if the one in front of it is taken just after it came. Nothing is counted: who puts
    more into it than there is room for loses it.

    Parameters: ``width``, in bits; ``depth``, in words: so many fit.

    Members: as of Amaranth's queues: ``w_data``, ``w_en`` (not if it is full), ``r_data``, ``r_rdy``, ``r_en``;
        ``empty``: there is no word, shown or not.
    """

    def __init__(self, width: int, depth: int):
        self.width, self.depth = width, depth
        super().__init__(
            {
                "w_data": In(width),
                "w_en": In(1),
                "r_data": Out(width),
                "r_rdy": Out(1),
                "r_en": In(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.words = words = BlockMemory(self.width, 1 << ceil_log2(self.depth))
        first = Signal(self.width, reset_less=True)
        wanted = Signal()  # there is no first word in the next cycle but for what comes now
        produced = Signal(len(words.address))
        consumed = Signal.like(produced)
        behind = Signal()  # there are words behind the first one
        fetched = Signal()  # the memory shows the next one
        m.d.comb += [
            self.r_data.eq(first),
            wanted.eq(~self.r_rdy | self.r_en),
            behind.eq(produced != consumed),
            self.empty.eq(~self.r_rdy & ~behind),
            words.address.eq(consumed),
            words.write.eq(self.w_en & (behind | ~wanted)),
            words.write_address.eq(produced),
            words.write_data.eq(self.w_data),
        ]
        # A word that comes in this cycle is read in the next one.
        m.d.sync += fetched.eq(behind)
        with m.If(words.write):
            m.d.sync += produced.eq(produced + 1)
        with m.If(wanted):
            m.d.sync += [self.r_rdy.eq(fetched | (self.w_en & ~behind)), first.eq(Mux(behind, words.data, self.w_data))]
            with m.If(fetched):
                m.d.sync += [consumed.eq(consumed + 1), fetched.eq(0)]
        return m
