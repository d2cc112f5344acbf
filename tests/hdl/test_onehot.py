"""A state machine with a bit per state: it goes where one with a number would go."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import Cat, Elaboratable, Module, Signal
from amaranth.back import rtlil

from tag34_hdl.onehot import OneHot
from tests.hdl.bench import simulate

STATES = ("A", "B TWO", "C")
#: state, input -> next state; what is not listed stays.
WAYS = {("A", 1): "B TWO", ("A", 2): "C", ("B TWO", 0): "C", ("C", 1): "A", ("C", 2): "B TWO"}


class Machine(Elaboratable):
    """``WAYS`` as a state machine."""

    def __init__(self) -> None:
        self.input = Signal(2)
        self.first = Signal()  # in state A
        self.module = m = Module()
        self.fsm = fsm = OneHot(m, "at", STATES)
        for state in reversed(STATES):  # the order in which they are given means nothing
            with fsm.state(state):
                for (source, value), target in WAYS.items():
                    if source == state:
                        with m.If(self.input == value):
                            fsm.go(target)
                if state == "A":
                    with m.If(self.input == 3):
                        fsm.go("C")  # what is said last counts
                        fsm.go("A")
                    m.d.comb += self.first.eq(1)
        fsm.finish()

    def elaborate(self, platform: object) -> Module:
        return self.module


def test_it_goes_where_it_is_told(rng: random.Random) -> None:
    machine = Machine()
    bits = Cat(machine.fsm.bits[state] for state in STATES)

    async def testbench(ctx: Any) -> None:
        state = "A"
        met = set()
        for _ in range(300):
            assert ctx.get(bits) == 1 << STATES.index(state)
            assert ctx.get(machine.first) == (state == "A")
            assert ctx.get(machine.fsm.among("A", "C")) == (state != "B TWO")
            value = rng.randrange(4)
            met.add((state, value))
            ctx.set(machine.input, value)
            await ctx.tick()
            state = WAYS.get((state, value), state)
        assert len(met) == 4 * len(STATES)

    simulate(machine, testbench)


def test_states_that_do_not_fit_are_refused() -> None:
    m = Module()
    with pytest.raises(ValueError, match="at: two states have one name"):
        OneHot(m, "at", ("A", "A"))
    fsm = OneHot(m, "at", ("A", "B"))
    with fsm.state("A"):
        with pytest.raises(ValueError, match="at: C is no state"):
            fsm.go("C")
    with pytest.raises(ValueError, match="A is no state, or it was given before"), fsm.state("A"):
        pass
    with pytest.raises(ValueError, match="nothing is done in B"):
        fsm.finish()
    rtlil.convert(m, ports=[])  # Amaranth warns of what nobody used
