"""The next inbound number, and the sums that move with it."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import SEQ_DIGITS

from .. import bcd
from ..layouts import NUMBER, Shape
from .kept import Kept
from .table import Context

#: What is derived from ``expected`` and lasts.
Sums = data.StructLayout({"limit": NUMBER, "chunk_end": NUMBER})
#: Cycles until complete sums show, of many sessions.
SETTLING = 2


class Expected(wiring.Component):
    """``expected`` and what is derived from it: its low bits, the first number beyond the window, the end of a chunk.

    All are counted up together; after a jump the sums are made anew digit by digit (docs/decisions/0005).

    Parameters: ``shape``.

    Members:
        increment: expected + 1, in one cycle; not together with ``load``.
        load, new_value, new_low: expected := new_value.
        load_low: with ``load``: the low bits are ``new_low``; without: they are computed from the digits (a number
            from the host).
        busy: the sums and low bits are not valid yet: from the cycle after ``load`` on, for SEQ_DIGITS + 1 cycles.
        window_limit, chunk: hold window and chunk in numbers.
        value, low: the next inbound number, and its place in the window.
        limit: expected + window_limit.
        chunk_end: expected + chunk - 1.
        restore, restored, known: ``value``, ``low``, ``limit`` and ``chunk_end`` become those of another session, or
            if nothing is known of it what they are after a reset; not while busy.
        session, next_session: of many sessions, who is at hand, and who will be.

    Of many sessions ``limit`` and ``chunk_end`` are not restored: they follow block memory
    (:class:`~tag34_hdl.session.kept.Kept`), and are valid from the third cycle on after ``next_session`` has become
    another one, or after an ``increment``; the next one comes no earlier. ``busy`` is a cycle longer, and they are
    valid in the second cycle after it. Nothing is known of them until the first ``load``.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        #: What there is to be kept of a session.
        saved = {"value": NUMBER, "low": unsigned(shape.window_bits)}
        turns = {}
        if shape.sessions == 1:
            saved |= {"limit": NUMBER, "chunk_end": NUMBER}
        else:
            turns = {"session": In(shape.session_bits), "next_session": In(shape.session_bits)}
        self.state = data.StructLayout(saved)
        super().__init__(
            turns
            | {
                "increment": In(1),
                "load": In(1),
                "load_low": In(1),
                "new_value": In(NUMBER),
                "new_low": In(shape.window_bits),
                "busy": Out(1),
                "window_limit": In(NUMBER),
                "chunk": In(NUMBER),
                "value": Out(NUMBER, init=1),
                "low": Out(shape.window_bits, init=1),
                "limit": Out(NUMBER),
                "chunk_end": Out(NUMBER),
                "restore": In(1),
                "restored": In(self.state),
                "known": In(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        many = self.shape.sessions > 1
        last = SETTLING if many else 1  # what is left when the sums are complete
        left = Signal(range(SEQ_DIGITS + last + 1))
        make_low = Signal()
        # The addends are shifted out least significant digit first, the sums are shifted in from above; for the low
        # bits the digits are taken in reading order.
        value, window, chunk, reading = (
            Signal(NUMBER, name=f"{name}_left") for name in ("value", "window", "chunk", "reading")
        )
        window_carry = Signal()
        chunk_carry = Signal()
        limit, chunk_end = self.limit, self.chunk_end
        borrow = Signal()
        chunk_value = value[:4]
        if many:
            # The sums on their way. One is taken from the digits, and not from what is complete: it costs less.
            limit, chunk_end = Signal(NUMBER, name="limit_sum"), Signal(NUMBER, name="chunk_sum")
            chunk_value = Mux(borrow, Mux(chunk_value == 0, 9, chunk_value - 1), chunk_value)[:4]

        with m.If(left > last):
            window_digit, window_over = bcd.add_digit(value[:4], window[:4], window_carry)
            chunk_digit, chunk_over = bcd.add_digit(chunk_value, chunk[:4], chunk_carry)
            m.d.sync += [
                left.eq(left - 1),
                value.eq(value >> 4),
                window.eq(window >> 4),
                chunk.eq(chunk >> 4),
                reading.eq(reading << 4),
                window_carry.eq(window_over),
                chunk_carry.eq(chunk_over),
                limit.eq(Cat(limit[4:], window_digit)),
                chunk_end.eq(Cat(chunk_end[4:], chunk_digit)),
            ]
            if many:
                m.d.sync += borrow.eq(borrow & (value[:4] == 0))
            with m.If(make_low):
                m.d.sync += self.low.eq((self.low << 3) + (self.low << 1) + reading[-4:])
        if many:
            with m.Elif(left != 0):
                m.d.sync += [left.eq(left - 1), self.busy.eq(left != 1)]
            m.submodules.sums = sums = Kept(Sums, self.shape.sessions)
            m.d.comb += [
                sums.next_session.eq(self.next_session),
                sums.session.eq(self.session),
                sums.write.eq(self.increment | (left == last)),
                sums.new.limit.eq(Mux(self.increment, bcd.increment(self.limit), limit)),
                sums.new.chunk_end.eq(Mux(self.increment, bcd.increment(self.chunk_end), chunk_end)),
                self.limit.eq(sums.value.limit),
                self.chunk_end.eq(sums.value.chunk_end),
            ]
        else:
            with m.Elif(left == 1):
                # The serial sum is expected + chunk; the end of a chunk is one less.
                m.d.sync += [left.eq(0), self.busy.eq(0), self.chunk_end.eq(bcd.decrement(self.chunk_end))]
        with m.If(self.increment):
            m.d.sync += [self.value.eq(bcd.increment(self.value)), self.low.eq(self.low + 1)]
            if not many:
                m.d.sync += [
                    self.limit.eq(bcd.increment(self.limit)),
                    self.chunk_end.eq(bcd.increment(self.chunk_end)),
                ]
        with m.If(self.load):
            m.d.sync += [
                self.value.eq(self.new_value),
                self.low.eq(0),
                make_low.eq(~self.load_low),
                left.eq(SEQ_DIGITS + last),
                self.busy.eq(1),
                value.eq(self.new_value),
                reading.eq(self.new_value),
                window.eq(self.window_limit),
                chunk.eq(self.chunk),
                window_carry.eq(0),
                chunk_carry.eq(0),
            ]
            if many:
                m.d.sync += borrow.eq(1)
            with m.If(self.load_low):
                m.d.sync += self.low.eq(self.new_low)
        Context(**{name: getattr(self, name) for name, _ in self.state}).take_up(
            m, self.restore, self.restored, self.known
        )
        return m
