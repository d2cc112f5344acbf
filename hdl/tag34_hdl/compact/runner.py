"""The runner: takes bytes that nobody needs to look at."""

from amaranth import Elaboratable, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import SOH

from ..layouts import Shape


class Runner(wiring.Component):
    """Takes the bytes of a message that are there, one per cycle, sums them up and has them stored; the engine stands
    still meanwhile. What is left of a value, or of a whole message, costs as little as one byte.

    Parameters: ``shape``.

    Members:
        start, limit, to_soh: take up to ``limit`` bytes (at least one), up to the first SOH if that is wanted.
        session_set, session: whose bytes.
        rx_valid, rx_data, rx_session: what is offered.
        runs: the engine has to wait. take: the byte offered is taken.
        bytes, sum, last: how many were taken, their sum, the last one.
    """

    def __init__(self, shape: Shape):
        session = unsigned(shape.session_bits)
        super().__init__(
            {
                "start": In(1),
                "limit": In(8),
                "to_soh": In(1),
                "session_set": In(1),
                "session": In(session),
                "rx_valid": In(1),
                "rx_data": In(8),
                "rx_session": In(session),
                "runs": Out(1),
                "take": Out(1),
                "bytes": Out(8),
                "sum": Out(8),
                "last": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        left = Signal(8)
        to_soh = Signal()
        session = Signal.like(self.session)
        with m.If(self.session_set):
            m.d.sync += session.eq(self.session)
        m.d.comb += self.take.eq(self.runs & self.rx_valid & (self.rx_session == session))
        with m.If(self.start):
            m.d.sync += [
                self.runs.eq(1),
                left.eq(self.limit),
                to_soh.eq(self.to_soh),
                self.bytes.eq(0),
                self.sum.eq(0),
            ]
        with m.Elif(self.take):
            m.d.sync += [
                left.eq(left - 1),
                self.bytes.eq(self.bytes + 1),
                self.sum.eq(self.sum + self.rx_data),
                self.last.eq(self.rx_data),
            ]
            with m.If((left == 1) | (to_soh & (self.rx_data == SOH))):
                m.d.sync += self.runs.eq(0)
        with m.Else():
            m.d.sync += self.runs.eq(0)
        return m
