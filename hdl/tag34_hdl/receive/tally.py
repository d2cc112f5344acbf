"""What the framer counts for each session, where it is kept: in block memory.

A number of 48 bits in a register costs a choice for each of its bits when another session's is loaded. So a total stays
in the memory: what is added to it is added to the word that was read, and goes back. A register shows that word, as
block memory is slow to leave; it follows the memory, and chooses nothing.
"""

from amaranth import Cat, Elaboratable, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..block_memory import BlockMemory
from ..layouts import LENGTH, OFFSET, Shape
from ..session.table import Sweep, Table

#: Low bits of the bytes received that are counted in a register.
LOW = 4


class Total(wiring.Component):
    """One number per session, to which something is added now and then.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        next_session: the session at hand in the next cycle; it changes every second cycle at most.
        session, add, amount: ``amount`` is added to that session's, the one at hand. Not before it has been at hand for
            a cycle, nor within two cycles of the addition before.
        forget, forget_session: that session's is 0. Not together with ``add``.
        host_session, total: a session's, two cycles later; one that has just changed, three.
        busy: after a reset.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        super().__init__(
            {
                "next_session": In(shape.session_bits),
                "session": In(shape.session_bits),
                "add": In(1),
                "amount": In(LENGTH),
                "forget": In(1),
                "forget_session": In(shape.session_bits),
                "host_session": In(shape.session_bits),
                "total": Out(OFFSET),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.totals = totals = Table(OFFSET, self.shape.sessions, ports=2, host=True, sweep=self._sweep)
        shown = Signal(OFFSET)
        m.d.comb += [
            totals.address.eq(self.next_session),
            totals.address_1.eq(self.host_session),
            totals.put.eq(self.add | self.forget),
            totals.put_address.eq(self.forget_session),
            totals.put_entry.eq(shown + self.amount),
            totals.forget.eq(self.forget),
            self.busy.eq(totals.busy),
        ]
        with m.If(self.add):
            m.d.comb += totals.put_address.eq(self.session)
        m.d.sync += [shown.eq(totals.entry), self.total.eq(totals.entry_1)]
        with m.If(~totals.known):
            m.d.sync += shown.eq(0)
        with m.If(~totals.known_1):
            m.d.sync += self.total.eq(0)
        return m


class Received(wiring.Component):
    """Bytes received of each session, one at a time, and the offset at which its message began.

    The lowest bits are counted in a register. Their carry waits until the rest, which stays in the memory, has been
    written and read again. That is done all the time, so the host sees what was received.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        next_session: the session at hand in the next cycle.
        session: the session at hand. turn: it changes with this cycle, to what ``next_session`` was a cycle ago.
        take: a byte of it is received, the last one taken being ``partial`` bytes from its message's start.
        may_begin: ``begins`` may be true in this cycle.
        begins: this byte is the X of a message's ``8=FIX``.
        start: where the message of the session began; from two cycles behind ``begins`` on.
        clear, clear_session: nothing has been received of that session. Not together with ``turn`` nor in the cycle
            before. forget: it is the one at hand.
        host_session, bytes, shown_partial: what was received of a session, two cycles later; of what has just been
            received up to five.
        busy: after a reset; nothing may be taken.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        session = shape.session_bits
        super().__init__(
            {
                "next_session": In(session),
                "session": In(session),
                "turn": In(1),
                "take": In(1),
                "partial": In(LENGTH),
                "may_begin": In(1),
                "begins": In(1),
                "start": Out(OFFSET),
                "clear": In(1),
                "clear_session": In(session),
                "forget": In(1),
                "host_session": In(session),
                "bytes": Out(OFFSET),
                "shown_partial": Out(LENGTH),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        word = data.StructLayout({"low": LOW, "high": OFFSET.width - LOW, "partial": LENGTH})
        m.submodules.counted = counted = Table(word, self.shape.sessions, ports=2, host=True, sweep=self._sweep)
        m.submodules.starts = starts = BlockMemory(OFFSET, self.shape.sessions)
        low = Signal(LOW)
        high = Signal(OFFSET.width - LOW)
        carry = Signal()  # of the lowest bits, not yet in `high`

        # One adder: what has been received, or with `may_begin` four less.
        start = Signal(range(-4, 1 << LOW))
        minus, plus = Signal(), Signal()
        below = self.may_begin & start[LOW]
        m.d.comb += [
            start.eq(low - 4),
            plus.eq(carry & ~below),
            minus.eq(below & ~carry),
        ]
        total = (Cat(1, high) + Cat(plus, minus.replicate(len(high))))[1 : len(high) + 1]

        # Flushed: what has been counted is written, and read in the next cycle if a carry went with it.
        flush, flushed, reads, shows = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            flush.eq(~(self.may_begin | self.turn | flushed | self.clear | self.busy)),
            counted.address.eq(self.next_session),
            counted.address_1.eq(self.host_session),
            counted.put.eq(flush | self.turn | self.clear),
            counted.put_address.eq(self.session),
            counted.put_entry.low.eq(low),
            counted.put_entry.high.eq(total),
            counted.put_entry.partial.eq(self.partial),
            counted.forget.eq(self.clear),
            starts.write.eq(self.begins),
            starts.write_address.eq(self.session),
            starts.write_data.eq(Cat(start[:LOW], total)),
            starts.address.eq(self.next_session),
            self.start.eq(starts.data),
            self.busy.eq(counted.busy),
        ]
        with m.If(self.clear):
            m.d.comb += counted.put_address.eq(self.clear_session)
        m.d.sync += [
            flushed.eq(flush),
            reads.eq(flush & carry),
            shows.eq(reads & ~self.turn),
            self.bytes.eq(Cat(counted.entry_1.low, counted.entry_1.high)),
            self.shown_partial.eq(counted.entry_1.partial),
        ]
        with m.If(~counted.known_1):
            m.d.sync += [self.bytes.eq(0), self.shown_partial.eq(0)]

        with m.If(self.turn):
            m.d.sync += low.eq(counted.entry.low)
        with m.Elif(self.take):
            m.d.sync += low.eq(low + 1)
        with m.If(self.turn | shows):
            m.d.sync += [high.eq(counted.entry.high), carry.eq(0)]
        with m.If(self.take & low.all()):
            m.d.sync += carry.eq(1)
        with m.If((self.turn & ~counted.known) | self.forget):
            m.d.sync += [low.eq(0), high.eq(0), carry.eq(0), shows.eq(0)]
        return m
