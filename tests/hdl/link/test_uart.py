"""UART: bytes through the wire, at the edges of what a receiver must take."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth import Elaboratable, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tag34_hdl.link.uart import UartReceiver, UartSender
from tests.hdl.bench import Sink, Source, refusal, simulate

DIVISORS = (4, 5, 12, 104)


class Loop(wiring.Component):
    """A sender and, with another clock, a receiver: both ends of a wire."""

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "line": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.sender = sender = UartSender(self.divisor)
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        connect(m, flipped(self.i), sender.bytes)
        connect(m, receiver.bytes, flipped(self.o))
        m.d.comb += [receiver.pin.eq(sender.pin), self.line.eq(sender.pin)]
        return m


@pytest.mark.parametrize("divisor", DIVISORS)
def test_bytes_arrive(divisor: int, rng: random.Random) -> None:
    """All of them, in order, back to back and with pauses, each in the time of ten bits."""
    dut = Loop(divisor)
    data = [0, 255, 0x55, 0xAA, 1, 128, *rng.randbytes(30)]
    source = Source(dut.i, data, rng, pause=0.02)
    sink = Sink(dut.o, rng, stall=0.3, enough=len(data))
    simulate(dut, source.run, sink.run, cycles=len(data) * (10 * divisor + 60) + 200)
    assert sink.payloads == data


@pytest.mark.parametrize("divisor", DIVISORS)
def test_sender_keeps_the_pace(divisor: int) -> None:
    """Ten bits per byte, no more, no less; the levels are those of 8N1."""
    dut = Loop(divisor)
    data = [0x35, 0x00]
    source = Source(dut.i, data)
    levels: list[int] = []

    async def watch(ctx: Any) -> None:
        for _ in range(22 * divisor):
            _, _, line = await ctx.tick().sample(dut.line)
            levels.append(line)

    simulate(dut, source.run, watch)
    start = levels.index(0)
    bits = [level for byte in data for level in (0, *(byte >> bit & 1 for bit in range(8)), 1)]
    assert levels[start : start + 20 * divisor] == [level for level in bits for _ in range(divisor)]
    assert set(levels[start + 20 * divisor :]) == {1}


async def put(ctx: Any, dut: Any, byte: int, divisor: float, stop: int = 1) -> None:
    """A byte on the receiver's pin, bits of any length."""
    done = 0
    for number, level in enumerate((0, *(byte >> bit & 1 for bit in range(8)), stop)):
        ctx.set(dut.pin, level)
        until = round((number + 1) * divisor)
        await ctx.tick().repeat(until - done)
        done = until
    ctx.set(dut.pin, 1)


@pytest.mark.parametrize("ratio", [0.97, 1.0, 1.03])
def test_receiver_takes_another_clock(ratio: float, rng: random.Random) -> None:
    """A sender that is three in a hundred too fast or too slow."""
    dut = UartReceiver(12)
    data = [0, 255, 0x55, *rng.randbytes(10)]
    sink = Sink(dut.bytes, enough=len(data))

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.pin, 1)
        await ctx.tick().repeat(5)
        for byte in data:
            await put(ctx, dut, byte, 12 * ratio)

    simulate(dut, testbench, sink.run)
    assert sink.payloads == data


def test_break_and_lost_stop_bits() -> None:
    """A long low level gives no byte, nor does a byte without its stop bit; a byte behind them is right. A glitch
    shorter than half a bit is none."""
    dut = UartReceiver(8)
    sink = Sink(dut.bytes, enough=3)

    async def testbench(ctx: Any) -> None:
        for level, cycles in ((0, 1000), (1, 10)):
            ctx.set(dut.pin, level)
            await ctx.tick().repeat(cycles)
        await put(ctx, dut, 0x31, 8)
        await put(ctx, dut, 0x32, 8, stop=0)
        await ctx.tick().repeat(20)
        await put(ctx, dut, 0x33, 8)
        await ctx.tick().repeat(20)
        ctx.set(dut.pin, 0)
        await ctx.tick().repeat(2)
        ctx.set(dut.pin, 1)
        await ctx.tick().repeat(20)
        await put(ctx, dut, 0x34, 8)
        await ctx.tick().repeat(20)

    simulate(dut, testbench, sink.run)
    assert sink.payloads == [0x31, 0x33, 0x34]


def test_overrun_drops_the_new_byte() -> None:
    """A byte that is not taken stays as it is."""
    dut = UartReceiver(4)
    sink = Sink(dut.bytes, enough=2)

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.pin, 1)
        await ctx.tick().repeat(5)
        for byte in (1, 2, 3):
            await put(ctx, dut, byte, 4)
        await ctx.tick().repeat(5)

    async def late(ctx: Any) -> None:
        await ctx.tick().repeat(140)
        await put(ctx, dut, 4, 4)

    async def take(ctx: Any) -> None:
        await ctx.tick().repeat(135)
        await sink.run(ctx)

    simulate(dut, testbench, late, take)
    assert sink.payloads == [1, 4]


def test_divisor_is_checked() -> None:
    assert "divisor must be at least 4" in refusal(lambda: UartReceiver(3))
    assert "divisor must be at least 4" in refusal(lambda: UartSender(0))
