"""Bytes on a wire: 8 data bits, no parity, one stop bit."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

#: Fewest cycles per bit: below it the middle of a bit cannot be told.
LEAST_DIVISOR = 4


def check_divisor(divisor: int) -> None:
    """Raises ValueError for a divisor that is too small."""
    if divisor < LEAST_DIVISOR:
        raise ValueError(f"divisor must be at least {LEAST_DIVISOR}, not {divisor}")


class UartReceiver(wiring.Component):
    """Bytes from a pin.

    Parameters: ``divisor``, cycles per bit, at least 4.

    Members:
        pin: idle high; asynchronous.
        bytes: one that comes while the one before is not taken is lost.

    Latency: a byte is shown in the middle of its stop bit, two cycles behind the pin. One without a stop bit is
    dropped, and nothing begins before the line is high again.
    """

    def __init__(self, divisor: int):
        check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"pin": In(1), "bytes": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        pin = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.pin, pin, init=1)
        timer = Signal(range(self.divisor))
        # The bits shift in from above; a one that is ahead of them tells when there are eight.
        shift = Signal(9)
        ends = Signal()
        with m.FSM():
            with m.State("HIGH"):
                # Not a falling edge but a high level and then a low one: after a break nothing begins.
                with m.If(pin):
                    m.next = "IDLE"
            with m.State("IDLE"):
                m.d.sync += [timer.eq((self.divisor - 1) // 2), shift.eq(1 << 8)]
                with m.If(~pin):
                    m.next = "START"
            with m.State("START"):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    m.d.sync += timer.eq(self.divisor - 1)
                    m.next = "BITS"
                    with m.If(pin):  # too short for a bit
                        m.next = "IDLE"
            with m.State("BITS"):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(self.divisor - 1), shift.eq(Cat(shift[1:], pin))]
                    with m.If(shift[0]):  # this is the stop bit
                        m.d.comb += ends.eq(pin)
                        m.next = "HIGH"
        with m.If(self.bytes.ready):
            m.d.sync += self.bytes.valid.eq(0)
        with m.If(ends & (~self.bytes.valid | self.bytes.ready)):
            m.d.sync += [self.bytes.valid.eq(1), self.bytes.payload.eq(shift[1:])]
        return m


class UartSender(wiring.Component):
    """Bytes to a pin.

    Parameters: ``divisor``, cycles per bit, at least 4.

    Members:
        bytes: one is taken as soon as the one before has left.
        pin: idle high.
    """

    def __init__(self, divisor: int):
        check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "pin": Out(1, init=1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        timer = Signal(range(self.divisor))
        shift = Signal(9)  # what is left, closed by a one: the stop bit
        m.d.comb += self.bytes.ready.eq((shift == 0) & (timer == 0))
        m.d.sync += timer.eq(Mux(timer == 0, 0, timer - 1))
        with m.If(timer == 0):
            with m.If(shift != 0):
                m.d.sync += [self.pin.eq(shift[0]), shift.eq(shift[1:]), timer.eq(self.divisor - 1)]
            with m.Elif(self.bytes.valid):
                m.d.sync += [self.pin.eq(0), shift.eq(Cat(self.bytes.payload, 1)), timer.eq(self.divisor - 1)]
        return m
