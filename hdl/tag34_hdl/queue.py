"""Queues, in what they cost least."""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

#: Words up to which a queue is in distributed memory; from there on block memory is cheaper.
SMALL = 64


def queue(width: int, depth: int) -> fifo.SyncFIFO | RegisteredQueue:
    """A queue that shows its first word a cycle after it came. Parameters: ``width``, in bits; ``depth``, in words."""
    return (fifo.SyncFIFO if depth <= SMALL else RegisteredQueue)(width=width, depth=depth)


class RegisteredQueue(wiring.Component):
    """A queue that shows its first word a cycle after it came, from a register: whoever looks at it has a whole cycle.

    The others are in distributed memory or, if there may be many, in block memory, which takes two cycles to show one:
    the next word may be late by so much if the one in front of it is taken just after it came.

    Parameters: ``width``, in bits; ``depth``, in words: so many fit.

    Members: as of Amaranth's queues: ``w_data``, ``w_en`` (not if it is full), ``r_data``, ``r_rdy``, ``r_en``.
    """

    def __init__(self, width: int, depth: int):
        self.width, self.depth = width, depth
        super().__init__({"w_data": In(width), "w_en": In(1), "r_data": Out(width), "r_rdy": Out(1), "r_en": In(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.words = words = self._others()
        first = Signal(self.width, reset_less=True)
        wanted = Signal()  # there is no first word in the next cycle but for what comes now
        behind = Signal(range(self.depth + 1))  # words behind the first one, shown or not
        passes = Signal()
        m.d.comb += [
            self.r_data.eq(first),
            wanted.eq(~self.r_rdy | self.r_en),
            passes.eq(wanted & (behind == 0)),
            words.w_data.eq(self.w_data),
            words.w_en.eq(self.w_en & ~passes),
            words.r_en.eq(wanted),
        ]
        m.d.sync += behind.eq(behind + words.w_en - (words.r_en & words.r_rdy))
        with m.If(wanted):
            m.d.sync += [self.r_rdy.eq(words.r_rdy | (passes & self.w_en)), first.eq(words.r_data)]
            with m.If(passes):
                m.d.sync += first.eq(self.w_data)
        return m

    def _others(self) -> fifo.SyncFIFO | fifo.SyncFIFOBuffered:
        """What keeps all words but the first one."""
        return (fifo.SyncFIFO if self.depth <= SMALL else fifo.SyncFIFOBuffered)(width=self.width, depth=self.depth)
