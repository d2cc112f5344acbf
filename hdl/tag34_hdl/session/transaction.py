"""What the sequencer's transactions share: where a walk goes, how numbers compare, what is told."""

from __future__ import annotations

from typing import Any

from amaranth import Module, Mux, Signal, Value

from tag34.contract import EventCode, Phase, Policy, Rule

from .. import bcd
from ..layouts import MAX_SEQ_BCD, NUMBER, Frame, Shape
from ..onehot import OneHot
from .expected import Expected
from .preparation import Plan, Preparation
from .state import State, States
from .teller import Teller
from .window import Window

#: 16 = "all" from FIX.4.2 on, and before; BCD.
INFINITY, INFINITY_OLD = 0, 0x999999


class Transaction:
    """One message, operation or timer, from its commit to its end.

    Parameters, members of the same names: ``m``; ``dut``, the sequencer, for its ports; ``fsm``; ``shape``;
    ``state``, ``states``, ``expected``, ``window``, ``preparation``, ``teller``.

    Members, registers:
        frame: of the message. slot: the one that it is in. plan: what it does. cause: of the request.
        in_message: it is a message's. advanced: `expected` has moved.
        entry: the window's answer; block memory is slow to leave, so it is taken into a register before anything
            depends on it.
        target, target_low: where `expected` goes. load_low: the low bits are known.
        walk_place, walk_left: places of the window still to be emptied. walk_all: all of them, while `expected` stays;
            else only those up to `target`, and `expected` walks along.
        is_reset: the jump is R3's or the host's: `highest` is set anew.
        close_now: the open range ends whatever its numbers (R3, R5).
        may_ask: phase and host allow a request, as of a cycle ago.
        at_target, target_above, target_below, top_reaches, top_is_expected, past_end, past_highest, past_largest,
            window_empty, tried_enough: comparisons, each a cycle behind what it compares: who asks has let a cycle
            pass.
    """

    def __init__(
        self,
        m: Module,
        dut: Any,
        fsm: OneHot,
        shape: Shape,
        state: State,
        states: States,
        expected: Expected,
        window: Window,
        preparation: Preparation,
        teller: Teller,
    ):
        self.m, self.dut, self.fsm, self.shape = m, dut, fsm, shape
        self.state, self.states, self.expected, self.window = state, states, expected, window
        self.preparation, self.teller = preparation, teller
        self.message = preparation.message
        self.frame = Signal(Frame, reset_less=True)
        self.slot = Signal(shape.slot_bits, reset_less=True)
        self.plan = Signal(Plan)
        self.cause = Signal(Rule)
        self.in_message = Signal()
        self.advanced = Signal()
        self.entry = Signal(shape.window_entry, reset_less=True)
        self.target = Signal(NUMBER, reset_less=True)
        self.target_low = Signal(shape.window_bits, reset_less=True)
        self.load_low = Signal()
        self.walk_place = Signal(shape.window_bits)
        self.walk_left = Signal(shape.window_bits + 1)
        self.walk_all = Signal()
        self.is_reset = Signal()
        self.close_now = Signal()
        self.infinity = Signal()
        self.serves_due = Signal()  # it is a timer's

        self.at_target = Signal()
        self.target_above = Signal()
        self.target_below = Signal(NUMBER)
        self.top_reaches = Signal()
        self.top_is_expected = Signal()
        self.past_end = Signal()
        self.past_highest = Signal()
        self.past_largest = Signal()
        self.window_empty = Signal()
        self.tried_enough = Signal()
        self.may_ask = Signal()
        m.d.sync += [
            self.entry.eq(window.entry),
            self.infinity.eq(dut.config.policy == Policy.INFINITY),
            self.at_target.eq(expected.value == self.target),
            self.target_above.eq(self.target > expected.value),
            self.target_below.eq(bcd.decrement(self.target)),
            self.top_reaches.eq(state.top_valid & (state.top >= self.target)),
            self.top_is_expected.eq(state.top == expected.value),
            self.past_end.eq(expected.value > state.end),
            self.past_highest.eq(expected.value > state.highest),
            self.past_largest.eq(expected.value == MAX_SEQ_BCD + 1),
            self.window_empty.eq(state.entries == 0),
            self.may_ask.eq((state.phase == Phase.ACTIVE) & state.may_request),
            self.tried_enough.eq(state.retries == dut.config.resend_retries),
        ]
        request = dut.request.payload
        end = state.end if shape.sessions == 1 else state.end_soon
        self.request_end = Signal(NUMBER, reset_less=True)  # as sent, for the record
        m.d.comb += [
            request.session.eq(dut.session),
            request.begin.eq(expected.value),
            request.end.eq(Mux(self.infinity, Mux(dut.config.infinity_old, INFINITY_OLD, INFINITY), end)),
        ]

    def event(
        self, code: EventCode, *, seq: Value | None = None, number: Value | None = None, why: Value | int = 0
    ) -> None:
        """Tell of an event. What is told without ``teller.can_tell`` is lost."""
        cycle = Mux(self.in_message, self.frame.cycle, self.teller.last_cycle)
        self.teller.event(code, cycle=cycle, seq=seq, number=number, why=why)

    def clear_entry(self, place: Value, *, message: Value | int) -> None:
        """An entry of zeros is EMPTY; a ``message`` among them is held no longer."""
        state = self.state
        self.m.d.comb += [self.window.put.eq(1), self.window.put_place.eq(place)]
        self.m.d.sync += state.entries.eq(state.entries - 1)
        with self.m.If(message):
            self.m.d.sync += [state.holding.eq(state.holding - 1), state.holding_all.eq(state.holding_all - 1)]

    def moved(self) -> list[Any]:
        """``expected`` moves, or is about to."""
        return [self.advanced.eq(1), *self.state.moved()]

    def begin_walk(self, *, everything: Value | bool) -> list[Any]:
        """Empty the window from `expected` on; see ``walk_all``."""
        places = 1 << self.shape.window_bits
        return [self.walk_all.eq(everything), self.walk_place.eq(self.expected.low), self.walk_left.eq(places)]

    def ask(self, by_r11: Value, by_r13a: Value) -> None:
        """Offer the request; when it is taken, on to its record."""
        self.m.d.comb += self.dut.request.valid.eq(1)
        self.fsm.go("REQUEST")
        with self.m.If(self.dut.request.ready):
            self.m.d.sync += self.request_end.eq(self.dut.request.payload.end)
            self.state.begin()
            with self.m.If(by_r11):
                self.m.d.sync += self.state.open_range()
            with self.m.If(by_r13a):
                self.m.d.sync += self.state.again_done.eq(1)
            self.fsm.go("TELL REQUEST")

    def finish(self) -> None:
        """All that follows has been done."""
        with self.m.If(self.advanced & self.past_largest):
            self.fsm.go("EXHAUSTED")
        with self.m.Elif(self.in_message):
            self.fsm.go("MESSAGE")
        with self.m.Else():
            self.fsm.go("SETTLE")
