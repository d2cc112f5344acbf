"""The core's pins: clock, reset, registers, and a driver or monitor on each stream.

One task does all of it, once per clock edge: a coroutine per pin would cost a multiple of the time. Values are sampled
as a flip-flop would see them at the edge; what is written changes behind it.
"""

from __future__ import annotations

import json
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import cocotb
from amaranth.lib import data
from cocotb.clock import Clock
from cocotb.triggers import Event, NullTrigger, RisingEdge

from tag34.contract import RECORD_BYTES, REGISTERS
from tag34_hdl.layouts import Shape

#: Environment variable in which test_core.py hands down the build parameters: JSON of :class:`Shape`'s.
SHAPE_VARIABLE = "TAG34_SHAPE"
#: Cycles in which the core must come to rest, far above what any test asks of it.
REST_CYCLES = 200_000
RESET_CYCLES = 3


def shape() -> Shape:
    """What the simulated core was built with."""
    return Shape(**json.loads(os.environ[SHAPE_VARIABLE]))


def pack(layout: data.StructLayout, **fields: int) -> int:
    """A payload as an integer; fields that are not given are 0."""
    value = 0
    for name, content in fields.items():
        field = layout[name]
        assert 0 <= content < 1 << field.width, f"{name}={content} does not fit"
        value |= content << field.offset
    return value


def pauses(rng: random.Random, share: float) -> Iterator[bool]:
    """Endless: True for each cycle in which to pause, in runs of one to thirty cycles that make up about ``share``."""
    lengths = (1, 1, 1, 2, 3, 30)
    while True:
        for _ in range(rng.choice(lengths)):
            yield True
        mean = sum(lengths) / len(lengths) * (1 - share) / share
        for _ in range(1 + int(rng.expovariate(1 / mean))):
            yield False


class Source:
    """Drives a stream into the core.

    Members: ``stalls``, cycles in which the core did not take what was offered; ``taken``, the cycles in which it did.
    """

    def __init__(self, dut: Any, name: str):
        self._valid, self._ready, self._payload = (dut[f"{name}__{pin}"] for pin in ("valid", "ready", "payload"))
        self.queue: deque[int] = deque()
        self.taken: list[int] = []
        self.stalls = 0
        self._pauses: Iterator[bool] = repeat(False)
        self._offering = False
        self._valid.value = 0

    def reset(self) -> None:
        """Forget everything, offer nothing."""
        self.queue.clear()
        self.taken.clear()
        self.stalls = 0
        self._offering = False
        self._valid.value = 0

    def pause(self, pattern: Iterator[bool]) -> None:
        """Offer nothing new while ``pattern`` says True; what is offered stays offered."""
        self._pauses = pattern

    @property
    def busy(self) -> bool:
        """Something has not been taken yet."""
        return bool(self.queue)

    @property
    def offering(self) -> bool:
        """Something is offered now."""
        return self._offering

    def edge(self, cycle: int) -> None:
        """One clock edge."""
        if self._offering:
            if not self._ready.value:
                self.stalls += 1
                return
            self.queue.popleft()
            self.taken.append(cycle)
        elif not self.queue:
            return
        offers = bool(self.queue) and not next(self._pauses)
        if offers:
            self._payload.value = self.queue[0]
        if offers != self._offering:
            self._valid.value = int(offers)
            self._offering = offers


class Sink:
    """Takes a stream from the core, and checks that nothing changes while it stalls.

    Members: ``beats``, what was taken: payload and the cycle in which it was first offered.
    """

    def __init__(self, dut: Any, name: str):
        self._valid, self._ready, self._payload = (dut[f"{name}__{pin}"] for pin in ("valid", "ready", "payload"))
        self._name = name
        self.beats: list[tuple[int, int]] = []
        self._pauses: Iterator[bool] = repeat(False)
        self._is_ready = False
        self._stalled: tuple[int, int] | None = None
        self._ready.value = 0

    def reset(self) -> None:
        """Forget everything."""
        self.beats.clear()
        self._stalled = None

    def pause(self, pattern: Iterator[bool]) -> None:
        """Be not ready while ``pattern`` says True."""
        self._pauses = pattern

    @property
    def offered(self) -> bool:
        """Something is offered now."""
        return bool(self._valid.value)

    def edge(self, cycle: int) -> None:
        """One clock edge."""
        stalled = self._stalled
        if self._valid.value:
            payload = int(self._payload.value)
            if stalled is None:
                stalled = (payload, cycle)
            assert payload == stalled[0], f"{self._name}: payload {payload:#x} at cycle {cycle}, stalled was {stalled}"
            if self._is_ready:
                self.beats.append(stalled)
                stalled = None
            self._stalled = stalled
        else:
            assert stalled is None, f"{self._name}: no longer valid at cycle {cycle}, stalled was {stalled}"
        ready = not next(self._pauses)
        if ready != self._is_ready:
            self._ready.value = int(ready)
            self._is_ready = ready


class Bench:
    """The core with all its pins. Made by :meth:`start`.

    Members:
        cycle: number of the last clock edge, as the core's own cycle counter counts.
        rx, send_header, send_body: sources. deliver, tx, records: sinks.
        rng: random numbers of this test: cocotb makes its seed from the run's seed and the test's name.
    """

    def __init__(self, dut: Any):
        self.dut = dut
        self.shape = shape()
        self.cycle = -1
        self.rx, self.send_header, self.send_body = (Source(dut, name) for name in ("rx", "send_header", "send_body"))
        self.deliver, self.tx, self.records = (Sink(dut, name) for name in ("deliver", "tx", "records"))
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.sources = (self.rx, self.send_header, self.send_body)
        self.sinks = (self.deliver, self.tx, self.records)
        self._beats = [[pack(self.shape.beat, data=b, count=1, last=last) for b in range(256)] for last in (0, 1)]
        self._edge = RisingEdge(dut.clk)
        self._in_reset = True
        self._rested = Event()
        self._deadline: int | None = None
        self._failure: AssertionError | None = None

    @property
    def sizes(self) -> dict[str, Any]:
        """The core's sizes, as models and traffic take them."""
        return {"window": self.shape.window, "max_message": self.shape.max_message}

    @classmethod
    async def start(cls, dut: Any, *, stalls: float = 0) -> Bench:
        """Start the clock and reset the core. ``stalls``: share of the cycles in which each stream pauses."""
        bench = cls(dut)
        for pin in ("address", "write", "write_data", "read"):
            dut[pin].value = 0
        Clock(dut.clk, 8, unit="ns").start()
        cocotb.start_soon(bench._run())
        # Let it be first to wait for an edge: then it is first at every edge, and `cycle` is right for all others.
        await NullTrigger()
        await bench.reset()
        if stalls:
            bench.stall(stalls)
        return bench

    def stall(self, share: float) -> None:
        """Let all streams pause at random, each by its own dice."""
        for port in (*self.sources, *self.sinks):
            port.pause(pauses(random.Random(self.rng.random()), share))

    async def reset(self) -> None:
        """Reset the core; sources and sinks begin anew, too."""
        self.dut.rst.value = 1
        self._in_reset = True
        for port in (*self.sources, *self.sinks):
            port.reset()
        for _ in range(RESET_CYCLES):
            await self._edge
        self.dut.rst.value = 0
        self._in_reset = False
        self.cycle = -1

    async def _run(self) -> None:
        edge, idle = self._edge, self.dut.idle
        ports: tuple[Source | Sink, ...] = (*self.sources, *self.sinks)
        try:
            while True:
                await edge
                self.cycle += 1
                if self._in_reset:
                    continue
                cycle = self.cycle
                for port in ports:
                    port.edge(cycle)
                if self._deadline is not None and (cycle >= self._deadline or self._is_at_rest(idle)):
                    self._deadline = None
                    self._rested.set()
        except AssertionError as failure:
            # Whoever waits for the core raises it: were it raised here, a thread that waits would never end.
            self._failure = failure
            self._rested.set()

    def _is_at_rest(self, idle: Any) -> bool:
        return bool(idle.value) and not any(source.busy for source in self.sources)

    async def edge(self, count: int = 1) -> None:
        """Let clock edges pass."""
        for _ in range(count):
            await self._edge
        self._check()

    async def until(self, condition: Callable[[], bool], limit: int = REST_CYCLES) -> None:
        """Let clock edges pass until ``condition`` holds, at most ``limit``."""
        for _ in range(limit):
            await self.edge()
            if condition():
                return
        raise AssertionError(f"not within {limit} cycles")

    async def run(self, limit: int) -> bool:
        """Run until everything was taken and the core rests; False if ``limit`` cycles were not enough."""
        self._check()
        deadline = self._deadline = self.cycle + limit
        self._rested.clear()
        await self._rested.wait()
        self._check()
        return self.cycle < deadline

    async def rest(self, limit: int = REST_CYCLES) -> None:
        """Run until everything was taken and the core rests."""
        assert await self.run(limit), f"the core did not come to rest within {limit} cycles"

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    # Streams.

    def receive(self, data: bytes) -> None:
        """Queue bytes for rx."""
        self.rx.queue.extend(map(self._beats[0].__getitem__, data))

    def send(self, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        """Queue a message for the composer."""
        self.send_header.queue.append(
            pack(self.shape.send_header, msg_type=msg_type, replay=replay, seq=seq_bcd, body=bool(body))
        )
        if body:
            self.send_body.queue.extend(map(self._beats[0].__getitem__, body[:-1]))
            self.send_body.queue.append(self._beats[1][body[-1]])

    def messages(self, sink: Sink, *, take: bool = False) -> list[tuple[bytes, int]]:
        """The whole messages that a byte stream brought, each with the cycle in which its first byte was offered.

        With ``take`` they are gone from the sink then; an unfinished message stays.
        """
        found, begin, last_bit = [], 0, self.shape.beat["last"].offset
        for index, (payload, _) in enumerate(sink.beats):
            last = payload >> last_bit & 1
            assert payload == self._beats[last][payload & 255], (
                f"a beat that is not one byte of session 0: {payload:#x}"
            )
            if last:
                piece = sink.beats[begin : index + 1]
                found.append((bytes(payload & 255 for payload, _ in piece), piece[0][1]))
                begin = index + 1
        if take:
            del sink.beats[:begin]
        return found

    def raw_records(self) -> bytes:
        """The records since the last call."""
        raw = b"".join(payload.to_bytes(RECORD_BYTES, "little") for payload, _ in self.records.beats)
        self.records.beats.clear()
        return raw

    # Registers.

    async def write(self, address: int, value: int) -> None:
        """Write a register: one cycle."""
        self.dut.address.value = address
        self.dut.write_data.value = value
        self.dut.write.value = 1
        await self.edge()
        self.dut.write.value = 0

    async def read(self, address: int) -> int:
        """Read a register: its value is there two cycles after its address, and is sampled then.

        COUNTER is a memory's word: it is given a cycle more, for a write just before.
        """
        self.dut.address.value = address
        self.dut.read.value = 1
        await self.edge()
        self.dut.read.value = 0
        await self.edge(3 if address == REGISTERS["COUNTER"].address else 2)
        return int(self.dut.read_data.value)

    async def write_register(self, name: str, value: int) -> None:
        """Write the register of this name."""
        await self.write(REGISTERS[name].address, value)

    async def read_register(self, name: str) -> int:
        """Read the register of this name."""
        return await self.read(REGISTERS[name].address)
