"""Release: slot numbers in order to bytes in order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from amaranth import Cat, Elaboratable, Module
from amaranth.lib import memory

from tag34_hdl.layouts import Shape
from tag34_hdl.session.release import Release
from tests.hdl.bench import Simulation, Sink

SHAPE = Shape(window=4, max_message=128)
START = b"8=FIX"
#: Cycles from a push to its first byte.
LATENCY = 2


class Bench(Elaboratable):
    """The component and the message memory that it reads."""

    def __init__(self) -> None:
        self.dut = Release(SHAPE)
        self.memory = memory.Memory(shape=8, depth=SHAPE.slots << SHAPE.offset_bits, init=[])

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self.dut
        m.submodules.memory = self.memory
        read = self.memory.read_port()
        m.d.comb += [
            read.addr.eq(Cat(self.dut.read_offset, self.dut.read_slot)),
            read.en.eq(self.dut.read_enable),
        ]
        # The data appear with the second enabled cycle after their address.
        with m.If(self.dut.read_enable):
            m.d.sync += self.dut.read_data.eq(read.data)
        return m

    def store(self, ctx: Any, slot: int, data: bytes) -> None:
        """Put a message into a slot, without its first bytes: they are never stored."""
        for offset in range(len(START), len(data)):
            ctx.set(self.memory.data[(slot << SHAPE.offset_bits) + offset], data[offset])


@cache
def simulation() -> Simulation:
    return Simulation(Bench())


@dataclass
class Push:
    """What was pushed: when, from which slot, which message."""

    cycle: int
    slot: int
    data: bytes


def message(rng: random.Random, longest: int = SHAPE.max_message) -> bytes:
    return START + rng.randbytes(rng.choice((1, 2, 20, rng.randint(1, longest - 5), longest - 5)))


def run(messages: Iterator[bytes], rng: random.Random, *, pause: float, stall: float, stall_free: float) -> None:
    """Push ``messages`` as slots allow; all that comes out must be they, and their slots in the same order."""
    bench = simulation().component
    dut = bench.dut
    deliver = Sink(dut.deliver, rng, stall)
    pushed: list[Push] = []
    freed: list[int] = []
    available = list(range(SHAPE.slots))

    async def push(ctx: Any) -> None:
        cycle = 0
        tick = ctx.tick().sample(dut.free.valid, dut.free.ready, dut.free.payload)
        waiting = next(messages, None)
        while waiting is not None or len(freed) < len(pushed) or not ctx.get(dut.idle):
            go = waiting is not None and bool(available) and rng.random() >= pause
            ctx.set(dut.push, go)
            if go:
                assert waiting is not None
                slot = available.pop(rng.randrange(len(available)))
                bench.store(ctx, slot, waiting)
                ctx.set(dut.delivery, {"slot": slot, "length": len(waiting), "session": 0})
                pushed.append(Push(cycle, slot, waiting))
                waiting = next(messages, None)
            ctx.set(dut.free.ready, rng.random() >= stall_free)
            _, _, valid, ready, slot = await tick
            if valid and ready:
                freed.append(slot)
                available.append(slot)
                # Its bytes belong to somebody else now.
                bench.store(ctx, slot, b"\xee" * SHAPE.max_message)
            cycle += 1

    simulation().run(push, background=[deliver.run], cycles=30_000)
    assert freed == [item.slot for item in pushed]
    out, beats = b"", []
    for payload in deliver.payloads:
        assert (payload.count, payload.session) == (1, 0)
        out += bytes([payload.data])
        if payload.last:
            beats.append(out)
            out = b""
    assert out == b""
    assert beats == [item.data for item in pushed]


@pytest.mark.rule("R12")
@pytest.mark.parametrize(
    ("pause", "stall", "stall_free"), [(0, 0, 0), (0.9, 0, 0), (0, 0.5, 0.5), (0.5, 0.7, 0), (0, 0, 0.9)]
)
def test_messages_come_out_whole_and_in_order(
    pause: float, stall: float, stall_free: float, rng: random.Random
) -> None:
    run((message(rng) for _ in range(40)), rng, pause=pause, stall=stall, stall_free=stall_free)


def outputs(messages: list[bytes], gap: int = 0) -> tuple[list[int], Sink]:
    """Push messages ``gap`` cycles apart with nothing stalling: the cycles of the pushes, and what was delivered."""
    bench = simulation().component
    dut = bench.dut
    deliver = Sink(dut.deliver, enough=sum(map(len, messages)))
    pushes = []

    async def push(ctx: Any) -> None:
        ctx.set(dut.free.ready, 1)
        cycle = 10
        await ctx.tick().repeat(cycle)
        for slot, data in enumerate(messages):
            bench.store(ctx, slot, data)
            ctx.set(dut.delivery, {"slot": slot, "length": len(data), "session": 0})
            ctx.set(dut.push, 1)
            pushes.append(cycle)
            await ctx.tick()
            ctx.set(dut.push, 0)
            cycle += 1
            for _ in range(gap):
                await ctx.tick()
                cycle += 1

    simulation().run(push, deliver.run)
    return pushes, deliver


def test_the_first_byte_is_offered_soon_behind_the_push(rng: random.Random) -> None:
    pushes, deliver = outputs([message(rng) for _ in range(4)], gap=150)
    starts = [deliver.offered[0]]
    starts += [deliver.offered[i + 1] for i, payload in enumerate(deliver.payloads[:-1]) if payload.last]
    assert [start - push for start, push in zip(starts, pushes, strict=True)] == [LATENCY] * 4


def test_there_is_no_bubble_within_and_between_messages(rng: random.Random) -> None:
    _, deliver = outputs([message(rng, 40) for _ in range(SHAPE.slots)])
    first = deliver.cycles[0]
    assert deliver.cycles == list(range(first, first + len(deliver.cycles)))


def test_idle(rng: random.Random) -> None:
    bench = simulation().component
    dut = bench.dut

    async def testbench(ctx: Any) -> None:
        await ctx.tick().repeat(10)
        assert ctx.get(dut.idle)
        bench.store(ctx, 1, START + b"x")
        ctx.set(dut.free.ready, 1)
        ctx.set(dut.delivery, {"slot": 1, "length": 6, "session": 0})
        ctx.set(dut.push, 1)
        await ctx.tick()
        ctx.set(dut.push, 0)
        for _ in range(20):  # nobody takes it
            assert not ctx.get(dut.idle)
            await ctx.tick()
        ctx.set(dut.deliver.ready, 1)
        await ctx.tick().repeat(6 + LATENCY)
        assert ctx.get(dut.idle)

    simulation().run(testbench)
