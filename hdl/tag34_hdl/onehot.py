"""State machines with a bit per state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from amaranth import Module, Signal, Value


class OneHot:
    """A state machine whose states are one bit each: who asks for a state looks at a wire, however many there are, and
    the next state is an OR of what each of them says.

    Used as :meth:`amaranth.Module.FSM` is. A state that says nothing stays.

    Parameters: ``m``, the module that it is a part of; ``name``; ``states``, the first is that after reset.

    Members: ``bits``, by the name of the state.

    Raises ValueError for a state that does not exist, that is given twice, or, by :meth:`finish`, not at all.
    """

    def __init__(self, m: Module, name: str, states: Sequence[str]):
        self._m = m
        self._places = {state: place for place, state in enumerate(states)}
        if len(self._places) != len(states):
            raise ValueError(f"{name}: two states have one name")
        words = {state: state.lower().replace(" ", "_") for state in states}
        self.bits = {
            state: Signal(name=f"{name}_{words[state]}", init=not place) for state, place in self._places.items()
        }
        self._name = name
        self._next = {state: Signal(len(states), name=f"after_{words[state]}") for state in states}
        self._given: list[str] = []

    @contextmanager
    def state(self, state: str) -> Iterator[None]:
        """What is done in ``state``."""
        if state not in self.bits or state in self._given:
            raise ValueError(f"{self._name}: {state} is no state, or it was given before")
        self._given.append(state)
        with self._m.If(self.bits[state]):
            self.go(state)
            yield

    def go(self, state: str) -> None:
        """The next state; what is said last counts."""
        if state not in self.bits:
            raise ValueError(f"{self._name}: {state} is no state")
        self._m.d.comb += self._next[self._given[-1]].eq(1 << self._places[state])

    def among(self, *states: str) -> Value:
        """The state at hand is one of these."""
        first, *others = (self.bits[state] for state in states)
        result: Value = first
        for bit in others:
            result = result | bit
        return result

    def finish(self) -> None:
        """All states have been given."""
        missing = self.bits.keys() - set(self._given)
        if missing:
            raise ValueError(f"{self._name}: nothing is done in {', '.join(sorted(missing))}")
        for state, place in self._places.items():
            following: Value = self._next[self._given[0]][place]
            for other in self._given[1:]:
                following = following | self._next[other][place]
            self._m.d.sync += self.bits[state].eq(following)
