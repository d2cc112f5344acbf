"""The last stage: what is offered, and one word more."""

from typing import Any

from amaranth import Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Offer(wiring.Component):
    """Two registers between stages that cannot stop at once and a stream that may: full rate, and no path from
    ``ready`` of the stream to the stages.

    Parameters: ``payload`` of the stream.

    Members:
        open: the stream is offered something; else what comes replaces what is there.
        clear: drop all but the first word.
        go: a word is taken.
        valid, word: it.
        stream: what is offered.
    """

    def __init__(self, payload: Any):
        super().__init__(
            {
                "open": In(1),
                "clear": In(1),
                "go": Out(1),
                "valid": In(1),
                "word": In(payload),
                "stream": Out(stream.Signature(payload)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        filled = Signal()
        waits = Signal()
        waiting = Signal.like(self.word)
        leaves = self.stream.ready | ~self.open
        m.d.comb += [self.go.eq(~waits), self.stream.valid.eq(filled & self.open)]
        with m.If(~filled | leaves):
            m.d.sync += [
                filled.eq(waits | self.valid),
                waits.eq(0),
                Value.cast(self.stream.payload).eq(Mux(waits, Value.cast(waiting), Value.cast(self.word))),
            ]
        with m.Elif(self.valid):
            m.d.sync += waits.eq(1)
        with m.If(~waits):
            m.d.sync += waiting.eq(self.word)
        with m.If(self.clear):
            m.d.sync += waits.eq(0)
        return m
