"""The state of a session: in registers while it is its turn, else in block memory."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from tag34.contract import Phase, Policy

from ..layouts import NUMBER, Shape
from .expected import Expected
from .kept import Kept
from .table import Context, Sweep, Table
from .timers import TICKS

#: Configuration of a session, as the rules need it. ``infinity_old``: infinity is 999999;
#: ``early_gap``: GAP is told.
Config = data.StructLayout(
    {
        "policy": Policy,
        "infinity_old": 1,
        "early_gap": 1,
        "window_limit": NUMBER,
        "chunk": NUMBER,
        "resend_timeout": TICKS,
        "resend_retries": 8,
    }
)

#: What the host may read of a session.
SessionState = data.StructLayout(
    {
        "phase": Phase,
        "may_request": 1,
        "recovery": 1,
        "expected": NUMBER,
        "highest": NUMBER,
    }
)


class State:
    """The registers of the session at hand, beside its window and :class:`Expected`.

    Parameters: ``m``, the module that they are in; ``shape``; ``expected``; ``config``, of the session at hand.

    Members, a register each:
        session: whose state it is.
        phase, may_request, highest, recovery: as the rules page calls them.
        top, top_valid: highest number in the window. entries: numbers in it. holding: messages among them, in slots.
            holding_all: the same, of all sessions.
        end: of the open range, or of the one about to open (policies CLOSED and CHUNK).
        again_done: R13a has repeated the request for this value of `expected`.
        first_begin, begin_valid: lowest begin of the requests on this connection.
        timer, timer_runs: the tick at which the timer ends if it runs, else what is left of it: nobody has to count.
            timer_starts: in this transaction.
        retries: by R14.
        running: the timer should run, by the state of a cycle ago.

    Of many sessions, ``highest``, ``top``, ``end``, ``first_begin`` and ``timer`` are not loaded: they follow block
    memory (:class:`~tag34_hdl.session.kept.Kept`), and are what they should be from the third cycle on after they have
    been set, or another session has been asked for. Until then nobody looks. Only a request may be in a hurry:
    ``end_soon`` is ``end`` a cycle earlier. ``settled`` is what ``timer`` becomes when the state is put away.
    """

    def __init__(self, m: Module, shape: Shape, expected: Expected, config: Any):
        self._m, self._shape, self._expected, self._config = m, shape, expected, config
        self.phase = Signal(Phase)
        self.may_request = Signal()
        self.highest = Signal(NUMBER)
        self.top = Signal(NUMBER)
        self.top_valid = Signal()
        self.entries = Signal(range(shape.window + 1))
        self.holding = Signal(range(shape.hold_limit + 1))
        self.holding_all = Signal(range(shape.hold + 1))
        self.recovery = Signal()
        self.end = Signal(NUMBER)
        self.again_done = Signal()
        self.first_begin = Signal(NUMBER)
        self.begin_valid = Signal()
        self.timer = Signal(TICKS)
        self.timer_runs = Signal()
        self.timer_starts = Signal()
        self.retries = Signal(8)
        self.running = Signal()
        timed = config.resend_timeout != 0
        m.d.sync += self.running.eq((self.phase == Phase.ACTIVE) & self.recovery & self.may_request & timed)
        # Many sessions: what these become, and when.
        self.new_top = Signal(NUMBER)
        self.tops = Signal()
        self.begins = Signal()
        self.new_highest = Signal(NUMBER)
        self.highests = Signal()
        self.new_end = Signal(NUMBER)
        self.ends = Signal()
        self.end_soon = Signal(NUMBER)
        self.settled = Signal(TICKS)
        # The first request of a connection has the lowest begin.
        if shape.sessions == 1:
            with m.If(~self.begin_valid):
                m.d.sync += self.first_begin.eq(expected.value)

    @property
    def room(self) -> Value:
        """There is memory for one more message of this session."""
        return (self.holding != self._shape.hold_limit) & (self.holding_all != self._shape.hold)

    @property
    def shown(self) -> Value:
        """As :data:`SessionState`."""
        words = {"expected": self._expected.value}
        return Cat(words.get(name, getattr(self, name, None)) for name, _ in SessionState)

    def raise_top(self, number: Value) -> None:
        """``number`` is the highest one in the window. (Of many sessions it is what ``new_top`` is anyway.)"""
        if self._shape.sessions == 1:
            self._m.d.sync += self.top.eq(number)
        else:
            self._m.d.comb += self.tops.eq(1)
        self._m.d.sync += self.top_valid.eq(1)

    def set_highest(self, number: Value) -> None:
        """``highest`` becomes ``number``. (Of many sessions it is what ``new_highest`` is anyway.)"""
        if self._shape.sessions == 1:
            self._m.d.sync += self.highest.eq(number)
        else:
            self._m.d.comb += self.highests.eq(1)

    def set_end(self, number: Value) -> None:
        """``end`` becomes ``number``. (Of many sessions it is what ``new_end`` is anyway.)"""
        if self._shape.sessions == 1:
            self._m.d.sync += self.end.eq(number)
        else:
            self._m.d.comb += self.ends.eq(1)

    def begin(self) -> None:
        """A request is taken."""
        if self._shape.sessions > 1:
            self._m.d.comb += self.begins.eq(~self.begin_valid)
        self._m.d.sync += self.begin_valid.eq(1)

    def moved(self) -> list[Any]:
        """``expected`` has moved: the timers of the open range start anew (R13a, R14)."""
        return [self.again_done.eq(0), self.timer_starts.eq(1), self.retries.eq(0)]

    def forget(self) -> list[Any]:
        """Recovery and requests of the old numbering, or of the old connection, are forgotten."""
        return [self.top_valid.eq(0), self.begin_valid.eq(0), self.again_done.eq(0), self.retries.eq(0)]

    def open_range(self) -> list[Any]:
        """R11 has asked."""
        return [self.recovery.eq(1), self.again_done.eq(0), self.timer_starts.eq(1), self.retries.eq(0)]

    def settle_timer(self, now: Value) -> list[Any]:
        """The timer starts or stops, if it has to."""
        left = Mux(self.timer_starts, self._config.resend_timeout, self.timer)
        stops = self.timer_runs & ~self.running & ~self.timer_starts
        starts = self.running & (self.timer_starts | ~self.timer_runs)
        shift = Mux(stops, ~now, Mux(starts, now, 0))
        # One adder: what is subtracted needs the carry.
        ends = (Cat(1, left) + Cat(stops, shift))[1:]
        settled = self.timer if self._shape.sessions == 1 else self.settled
        return [settled.eq(ends), self.timer_runs.eq(self.running), self.timer_starts.eq(0)]


class States:
    """What all sessions have, and one of them in :class:`State`.

    Parameters: ``m``; ``state``; ``expected``; ``session``, the session at hand, a register; ``sessions``;
        ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        wanted: whose state is to be taken up. It is there two cycles after, for :meth:`take_up`.
        put: the state at hand is written back. busy: after a reset; nothing may be put.
        timer_ran: as written back last.
    """

    def __init__(
        self, m: Module, state: State, expected: Expected, session: Signal, sessions: int, sweep: Sweep | None
    ):
        self._state, self._expected, self._session = state, expected, session
        self.wanted = Signal.like(session)
        self.put = Signal()
        self.busy = Signal()
        self.timer_ran = Signal()
        self._sessions = sessions
        if sessions == 1:
            return
        self._context = context = Context(
            top_valid=state.top_valid,
            entries=state.entries,
            holding=state.holding,
            again_done=state.again_done,
            begin_valid=state.begin_valid,
            timer_runs=state.timer_runs,
            retries=state.retries,
        )
        saved = data.StructLayout({"expected": expected.state, "rest": context.layout})
        m.submodules.states = self._states = states = Table(saved, sessions, sweep=sweep)
        m.submodules.shown = self._shown = shown = Table(SessionState, sessions, ports=2, host=True, sweep=sweep)
        for name, register, written, number in (
            ("tops", state.top, state.tops, state.new_top),
            ("first_begins", state.first_begin, state.begins, expected.value),
            ("highests", state.highest, state.highests, state.new_highest),
            ("ends", state.end, state.ends, state.new_end),
            ("timers", state.timer, self.put, state.settled),
        ):
            m.submodules[name] = kept = Kept(register.shape(), sessions, begins=name == "highests", sweep=sweep)
            m.d.comb += [
                kept.next_session.eq(self.wanted),
                kept.write.eq(written),
                kept.session.eq(session),
                kept.new.eq(number),
                register.eq(kept.value),
            ]
            if name == "ends":
                m.d.comb += state.end_soon.eq(kept.soon)
        # A cycle later `highest` is what it should be even after the shortest transaction.
        put = Signal()
        m.d.sync += put.eq(self.put)
        m.d.comb += [
            self.busy.eq(states.busy),
            states.address.eq(self.wanted),
            states.put.eq(self.put),
            states.put_address.eq(session),
            states.put_entry.rest.eq(context.word),
            shown.address.eq(self.wanted),
            shown.put.eq(put),
            shown.put_address.eq(session),
            Value.cast(shown.put_entry).eq(state.shown),
            expected.restored.eq(states.entry.expected),
            expected.known.eq(states.known),
        ]
        for name, _ in expected.state:
            m.d.comb += states.put_entry.expected[name].eq(getattr(expected, name))

    def show(self, m: Module, session: Value, shown: Any) -> None:
        """``shown`` is the state of ``session``, two cycles later at most, as of its last transaction; of many
        sessions, the last that was put away four cycles ago."""
        if self._sessions == 1:
            m.d.comb += Value.cast(shown).eq(self._state.shown)
        else:
            # A register, which costs less than a choice.
            read = Signal(SessionState)
            m.d.comb += [self._shown.address_1.eq(session), shown.eq(read)]
            m.d.sync += read.eq(self._shown.entry_1)
            with m.If(~self._shown.known_1):
                m.d.sync += read.eq(SessionState.const({"expected": 1}))

    def take_up(self, m: Module, when: Value) -> None:
        """The state of ``wanted`` is at hand from the cycle after ``when`` on."""
        state, shown, known = self._state, self._shown.entry, self._states.known
        with m.If(when):
            m.d.sync += [self._session.eq(self.wanted), self.timer_ran.eq(self._states.entry.rest.timer_runs & known)]
        also = Context(phase=state.phase, may_request=state.may_request, recovery=state.recovery)
        self._context.take_up(m, when, self._states.entry.rest, known)
        also.take_up(m, when, Cat(shown.phase, shown.may_request, shown.recovery), known)
