"""What the component tests share: a simulation with an end, and streams that are driven, collected and watched.

A cycle here is what lies between two rising edges: inputs are set behind an edge, outputs are sampled right before the
next.
"""

from __future__ import annotations

import gc
import random
import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from amaranth import Module, Signal, Value
from amaranth.hdl import UnusedElaboratable
from amaranth.lib import data
from amaranth.sim import Simulator

Testbench = Callable[[Any], Awaitable[None]]

PERIOD = 1e-6


class Simulation:
    """A component's simulator, to be run from the reset as often as one likes: making it takes longer than most runs.

    Parameters: ``component``, simulated with everything below it.
    """

    _CRITICAL, _BACKGROUND = 6, 6  # testbenches that a run may have

    def __init__(self, component: Any):
        self.component = component
        self._simulator = Simulator(component)
        self._simulator.add_clock(PERIOD, if_exists=True)  # what is combinational has none
        self._used = False
        self._jobs: list[Testbench | None] = []
        for place in range(self._CRITICAL + self._BACKGROUND):
            self._simulator.add_testbench(self._job(place), background=place >= self._CRITICAL)

    def _job(self, place: int) -> Testbench:
        async def job(ctx: Any) -> None:
            testbench = self._jobs[place]
            if testbench is not None:
                await testbench(ctx)

        return job

    def run(self, *testbenches: Testbench, background: Sequence[Testbench] = (), cycles: int = 10_000) -> None:
        """Run until all ``testbenches`` are at their end. AssertionError if ``cycles`` were not enough."""
        assert len(testbenches) <= self._CRITICAL
        assert len(background) <= self._BACKGROUND
        unused = [None] * (self._CRITICAL - len(testbenches))
        self._jobs = [*testbenches, *unused, *background, *[None] * (self._BACKGROUND - len(background))]
        if self._used:
            self._simulator.reset()
        self._used = True
        for _ in range(2 * cycles):  # two edges each
            if not self._simulator.advance():
                return
        raise AssertionError(f"the testbench was not at its end after {cycles} cycles")


def simulate(component: Any, *testbenches: Testbench, cycles: int = 10_000) -> None:
    """One run of a component that is simulated only once."""
    Simulation(component).run(*testbenches, cycles=cycles)


def evaluate(
    function: Callable[..., Value], widths: Sequence[int], vectors: Iterable[Sequence[int]]
) -> list[tuple[int, ...]]:
    """Values of a combinational expression: ``function`` of inputs of these ``widths``, for each vector of inputs.

    ``function`` may return a Value or a tuple of Values.
    """
    m = Module()
    inputs = [Signal(width, name=f"input_{index}") for index, width in enumerate(widths)]
    result = function(*inputs)
    outputs: list[Signal] = []
    for value in result if isinstance(result, tuple) else (result,):
        outputs.append(Signal(Value.cast(value).shape(), name=f"output_{len(outputs)}"))
        m.d.comb += outputs[-1].eq(value)
    results = []

    async def testbench(ctx: Any) -> None:
        for vector in vectors:
            for signal, value in zip(inputs, vector, strict=True):
                ctx.set(signal, value)
            results.append(tuple(ctx.get(output) for output in outputs))

    simulate(m, testbench)
    return results


def refusal(construct: Callable[[], Any]) -> str:
    """The message of the ValueError with which a constructor refuses its parameters.

    Amaranth would warn that the half made component was never used; it is thrown away while nobody listens.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        try:
            construct()
        except ValueError as error:
            message = str(error)
        else:
            raise AssertionError("the parameters were not refused")
        gc.collect()
    return message


class Source:
    """Offers payloads on an input stream of the component, one per cycle if it is taken, with pauses at random.

    A payload that is offered stays offered until it is taken, as the contract of streams wants it.

    Parameters:
        stream: the component's port.
        payloads: what is offered, as integers, dictionaries or constants of the payload's shape.
        rng, pause: share of the cycles in which nothing new is offered.
        start: cycle in which the first one is offered at the earliest.
        limit: cycles within which each payload must be taken.

    Members: ``taken``, the cycle in which each payload was taken.
    """

    def __init__(
        self,
        stream: Any,
        payloads: Iterable[Any],
        rng: random.Random | None = None,
        pause: float = 0.0,
        start: int = 0,
        limit: int = 2000,
    ):
        self.stream = stream
        self.payloads = payloads
        self.rng = rng or random.Random(0)
        self.pause = pause
        self.start = start
        self.limit = limit
        self.taken: list[int] = []

    async def run(self, ctx: Any) -> None:
        """The testbench. It ends when all is taken."""
        stream, cycle = self.stream, 0
        tick = ctx.tick().sample(stream.ready)
        while cycle < self.start:
            await tick
            cycle += 1
        for payload in self.payloads:
            while self.pause and self.rng.random() < self.pause:
                await tick
                cycle += 1
            ctx.set(stream.payload, payload)
            ctx.set(stream.valid, 1)
            for _ in range(self.limit):
                _, _, ready = await tick
                cycle += 1
                if ready:
                    break
            else:
                raise AssertionError(f"payload {len(self.taken)} was not taken within {self.limit} cycles")
            self.taken.append(cycle - 1)
            ctx.set(stream.valid, 0)


class Sink:
    """Takes payloads from an output stream of the component, is not ready at random, watches the contract of streams.

    What was offered and not taken must stay offered, unchanged; ``may_withdraw`` (a signal) lifts this for the cycle
    behind one in which it is 1.

    Parameters:
        stream: the component's port.
        rng, stall: share of the cycles in which it is not ready.
        enough: the testbench ends when it has taken so many; None: never.

    Members: ``payloads``, what was taken; ``cycles``, when; ``offered``, since when it was offered.
    """

    def __init__(
        self,
        stream: Any,
        rng: random.Random | None = None,
        stall: float = 0.0,
        enough: int | None = None,
        may_withdraw: Any = None,
    ):
        self.stream = stream
        self.rng = rng or random.Random(0)
        self.stall = stall
        self.enough = enough
        self.may_withdraw = 0 if may_withdraw is None else may_withdraw
        self.payloads: list[Any] = []
        self.cycles: list[int] = []
        self.offered: list[int] = []

    async def run(self, ctx: Any) -> None:
        """The testbench."""
        stream, cycle = self.stream, 0
        since: int | None = None
        before = 0
        shown = None
        # The raw payload: making it readable in each cycle would take longer than the simulation.
        tick = ctx.tick().sample(stream.valid, Value.cast(stream.payload), self.may_withdraw)
        read = stream.payload.shape().from_bits if isinstance(stream.payload, data.View) else int
        while self.enough is None or len(self.payloads) < self.enough:
            ready = not (self.stall and self.rng.random() < self.stall)
            if ready is not shown:
                ctx.set(stream.ready, ready)
                shown = ready
            _, _, valid, payload, withdrawn = await tick
            if since is not None:
                assert valid, f"cycle {cycle}: the payload was withdrawn before it was taken"
                assert payload == before, f"cycle {cycle}: the payload changed before it was taken"
            if valid:
                since, before = cycle if since is None else since, payload
                if ready:
                    self.payloads.append(read(payload))
                    self.cycles.append(cycle)
                    self.offered.append(since)
            if not valid or ready or withdrawn:
                since = None
            cycle += 1
        ctx.set(stream.ready, 0)


def plain(payload: Any) -> dict[str, int]:
    """A payload as a dictionary of integers."""
    return {name: getattr(payload[name], "value", payload[name]) for name, _ in payload.shape()}
