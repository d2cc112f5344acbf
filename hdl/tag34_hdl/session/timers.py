"""Timers: when a session's open range has waited too long (R14)."""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import Shape
from .table import Sweep, Table

#: A tick counter, or the tick at which a timer ends: modulo 2**32.
TICKS = unsigned(32)
Timer = data.StructLayout({"runs": 1, "deadline": TICKS})


class Timers(wiring.Component):
    """One timer per session. With each tick all are looked at, session 0 first.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        ticks, tick, ticks_drop: timer ticks are waiting; one is taken; all are dropped as no timer runs.
        now: ticks taken so far.
        put, put_session, put_timer: set a session's timer. ``put_ran``: it runs until now.
        due: a session whose deadline is now; taken when its timer has been set anew.
        idle: nothing is under way; ticks may be waiting.

    Throughput: a tick takes two cycles per session, and one or two more; the next is not taken before.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        super().__init__(
            {
                "ticks": In(1),
                "tick": Out(1),
                "ticks_drop": Out(1),
                "now": Out(TICKS),
                "put": In(1),
                "put_session": In(shape.session_bits),
                "put_timer": In(Timer),
                "put_ran": In(1),
                "due": Out(stream.Signature(unsigned(shape.session_bits))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        sessions = self.shape.sessions
        m.submodules.timers = timers = Table(Timer, sessions, sweep=self._sweep)
        m.d.comb += [
            timers.put.eq(self.put),
            timers.put_address.eq(self.put_session),
            timers.put_entry.eq(self.put_timer),
        ]
        running = Signal(range(sessions + 1))
        index = Signal(range(sessions + 1))
        m.d.comb += timers.address.eq(index)
        if sessions > 1:
            self._count(m, running)
            self._scan(m, timers, running, index)
            return m
        with m.If(self.put & self.put_timer.runs & ~self.put_ran):
            m.d.sync += running.eq(running + 1)
        with m.If(self.put & ~self.put_timer.runs & self.put_ran):
            m.d.sync += running.eq(running - 1)
        shown = Signal(self.shape.session_bits)  # whose timer the table shows
        shows = Signal()
        looked = Signal.like(shown)  # whose timer was shown in the cycle before
        looks = Signal()  # one was
        ends = Signal()  # and it ends with this tick
        m.d.sync += [
            looked.eq(shown),
            looks.eq(0),
            ends.eq(shows & timers.known & timers.entry.runs & (timers.entry.deadline == self.now)),
        ]
        with m.FSM(name="timers"):
            self._rest(m, running, index)

            with m.State("LOOK"):
                # One that is set just now is looked at in the next cycle.
                m.d.sync += [shown.eq(index), shows.eq(~timers.collides), looks.eq(shows)]
                with m.If(~timers.collides):
                    m.d.sync += index.eq(index + 1)
                with m.If(looks & ends):
                    m.d.sync += [self.due.valid.eq(1), self.due.payload.eq(looked), shows.eq(0), looks.eq(0)]
                    m.next = "DUE"
                with m.Elif(looks & (looked == sessions - 1)):
                    m.d.sync += [shows.eq(0), looks.eq(0)]
                    m.next = "IDLE"

            with m.State("DUE"):
                m.d.sync += index.eq(self.due.payload + 1)
                with m.If(self.due.ready):
                    m.d.sync += self.due.valid.eq(0)
                    with m.If(self.due.payload == sessions - 1):
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "LOOK"
        return m

    def _rest(self, m: Module, running: Signal, index: Signal) -> None:
        """The state in which a tick is waited for: it begins a scan, or is dropped."""
        with m.State("IDLE"):
            m.d.comb += self.idle.eq(1)
            m.d.sync += index.eq(0)
            with m.If(self.ticks & (running == 0)):
                m.d.comb += self.ticks_drop.eq(1)
            with m.Elif(self.ticks):
                m.d.comb += self.tick.eq(1)
                m.d.sync += self.now.eq(self.now + 1)
                m.next = "LOOK"

    def _count(self, m: Module, running: Signal) -> None:
        """Timers that run, with one adder."""
        with m.If(self.put & (self.put_timer.runs ^ self.put_ran)):
            m.d.sync += running.eq(running + Cat(C(1, 1), self.put_ran.replicate(len(running) - 1)))

    def _scan(self, m: Module, timers: Table, running: Signal, index: Signal) -> None:
        """Many sessions: the next one is not asked for before it is time, so that nobody has to go back to it."""
        ends = Signal()  # the timer looked at in the cycle before ends with this tick
        sees = Signal()
        m.d.sync += ends.eq(sees & timers.known & timers.entry.runs & (timers.entry.deadline == self.now))
        with m.FSM(name="timers"):
            self._rest(m, running, index)

            with m.State("LOOK"):
                with m.If(ends):
                    m.d.sync += self.due.valid.eq(1)
                    m.next = "DUE"
                with m.Elif(index == self.shape.sessions):
                    m.next = "IDLE"
                # One that is set just now is looked at in the next cycle.
                with m.Elif(~timers.collides):
                    m.next = "SEE"

            with m.State("SEE"):
                m.d.comb += sees.eq(1)
                m.d.sync += [self.due.payload.eq(index), index.eq(index + 1)]
                m.next = "LOOK"

            with m.State("DUE"):
                with m.If(self.due.ready):
                    m.d.sync += self.due.valid.eq(0)
                    m.next = "LOOK"
