"""Registers: the map of the contract, seen from the bus and from the core."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import pytest
from amaranth import ClockDomain, Module

from tag34.contract import (
    CONTRACT_VERSION,
    DEVICE_ID,
    REGISTERS,
    RULE_VERDICT,
    Access,
    Command,
    Phase,
    Policy,
    Rule,
)
from tag34_hdl.layouts import Shape
from tag34_hdl.registers import Registers
from tests.hdl.bench import Simulation, simulate

SHAPE = Shape(window=32, max_message=500, clock_hz=48_000_000)


class Bus:
    """The host's side. A read takes the value two cycles after its address was shown."""

    def __init__(self, ctx: Any, dut: Registers):
        self.ctx, self.dut = ctx, dut

    async def write(self, name: str, value: int) -> None:
        self.ctx.set(self.dut.address, REGISTERS[name].address)
        self.ctx.set(self.dut.write_data, value)
        self.ctx.set(self.dut.write, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.write, 0)
        # Nothing that is on the bus without its strobe matters.
        self.ctx.set(self.dut.write_data, ~value & 0xFFFFFFFF)

    async def read(self, name: str) -> int:
        self.ctx.set(self.dut.address, REGISTERS[name].address)
        self.ctx.set(self.dut.read, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.read, 0)
        await self.ctx.tick()
        value: int = self.ctx.get(self.dut.read_data)
        return value


@cache
def simulation() -> Simulation:
    return Simulation(Registers(SHAPE))


def run(testbench: Callable[[Any, Registers, Bus], Awaitable[None]]) -> None:
    dut = simulation().component

    async def job(ctx: Any) -> None:
        await testbench(ctx, dut, Bus(ctx, dut))

    simulation().run(job)


def test_what_the_core_was_built_with() -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        names = ("ID", "VERSION", "WIDTH", "SESSIONS", "WINDOW", "MAX_MESSAGE", "HOLD", "HOLD_LIMIT", "CLOCK_HZ")
        shown = [await bus.read(name) for name in names]
        assert shown == [DEVICE_ID, CONTRACT_VERSION, 1, 1, 32, 500, 31, 31, 48_000_000]

    run(testbench)


def test_read_only_registers_cannot_be_written(rng: random.Random) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        names = [r.name for r in REGISTERS.values() if r.access is Access.RO and not r.name.startswith("CYCLE")]
        before = [await bus.read(name) for name in names]
        for name in names:
            await bus.write(name, rng.getrandbits(32))
        assert [await bus.read(name) for name in names] == before

    run(testbench)


#: Registers that keep what is written: their bits, and where the core sees each part (low bit, width, port).
KEPT: dict[str, tuple[int, list[tuple[int, int, Callable[[Registers], Any]]]]] = {
    "TICK_CYCLES": (0xFFFFFFFF, []),
    "SESSION": (0x1, []),
    "NUMBER_LO": (0xFFFFFFFF, [(0, 32, lambda dut: dut.command.number[:32])]),
    "NUMBER_HI": (0xFF, [(0, 8, lambda dut: dut.command.number[32:])]),
    "POLICY": (
        0xF7,
        [
            (0, 2, lambda dut: dut.config.policy),
            (2, 1, lambda dut: dut.config.infinity_old),
            (4, 4, lambda dut: dut.fraction),
        ],
    ),
    "CHUNK_LO": (0xFFFFFFFF, [(0, 32, lambda dut: dut.config.chunk[:32])]),
    "CHUNK_HI": (0xFF, [(0, 8, lambda dut: dut.config.chunk[32:])]),
    "WINDOW_LIMIT": (0xFFFFFFFF, [(0, 32, lambda dut: dut.config.window_limit)]),
    "RESEND_TIMEOUT": (0xFFFFFFFF, [(0, 32, lambda dut: dut.config.resend_timeout)]),
    "RESEND_RETRIES": (0xFF, [(0, 8, lambda dut: dut.config.resend_retries)]),
    "IDENT_LENGTH": (
        0x3F3F3F,
        [
            (0, 6, lambda dut: dut.ident_lengths[:6]),
            (8, 6, lambda dut: dut.ident_lengths[6:12]),
            (16, 6, lambda dut: dut.ident_lengths[12:]),
        ],
    ),
}


def test_what_is_written_stays_and_reaches_the_core(rng: random.Random) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        for _ in range(3):
            words = {name: rng.getrandbits(32) & mask for name, (mask, _) in KEPT.items()}
            words["POLICY"] = words["POLICY"] & ~3 | rng.choice(list(Policy))
            for name in rng.sample(list(words), len(words)):
                await bus.write(name, words[name])
            for name in rng.sample(list(words), len(words)):
                assert await bus.read(name) == words[name], name
                for low, width, port in KEPT[name][1]:
                    assert ctx.get(port(dut)) == words[name] >> low & (1 << width) - 1, name

    run(testbench)


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("EXPECTED", lambda dut: dut.state.expected),
        ("HIGHEST", lambda dut: dut.state.highest),
        ("NEXT_OUT", lambda dut: dut.next_out),
        ("BYTES", lambda dut: dut.counts.bytes),
    ],
)
def test_the_halves_of_a_wide_register_belong_together(name: str, port: Any, rng: random.Random) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        bits = len(port(dut))
        for _ in range(5):
            value = rng.getrandbits(bits)
            ctx.set(port(dut), value)
            low = await bus.read(f"{name}_LO")
            ctx.set(port(dut), rng.getrandbits(bits))
            await bus.read("ID")
            assert (low, await bus.read(f"{name}_HI")) == (value & 0xFFFFFFFF, value >> 32)

    run(testbench)


@pytest.mark.rule("F4")
def test_framed_and_partial_are_of_the_moment_of_bytes(rng: random.Random) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        for _ in range(5):
            framed, partial = rng.getrandbits(48), rng.getrandbits(24)
            ctx.set(dut.counts.framed, framed)
            ctx.set(dut.counts.partial, partial)
            await bus.read("BYTES_LO")
            ctx.set(dut.counts.framed, 0)
            ctx.set(dut.counts.partial, 0)
            low, high, rest = [await bus.read(name) for name in ("FRAMED_LO", "FRAMED_HI", "PARTIAL")]
            assert (low | high << 32, rest) == (framed, partial)

    run(testbench)


def test_the_cycle_counter_counts_cycles() -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        for cycle in range(20):
            assert ctx.get(dut.cycle) == cycle
            await ctx.tick()
        first = await bus.read("CYCLE_LO")
        await ctx.tick().repeat(100)
        assert await bus.read("CYCLE_LO") - first == 102
        assert await bus.read("CYCLE_HI") == 0

    run(testbench)


def test_status_and_state(rng: random.Random) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        for idle in range(2):
            ctx.set(dut.core_idle, idle)
            assert await bus.read("STATUS") == idle
        for phase in Phase:
            may_request, recovery = rng.getrandbits(1), rng.getrandbits(1)
            ctx.set(dut.state.phase, phase)
            ctx.set(dut.state.may_request, may_request)
            ctx.set(dut.state.recovery, recovery)
            assert await bus.read("STATE") == phase | may_request << 2 | recovery << 3

    run(testbench)


def test_a_command_waits_until_it_is_carried_out(rng: random.Random) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        for command in Command:
            phase, may_request = rng.choice(list(Phase)), rng.getrandbits(1)
            await bus.write("COMMAND", command | phase << 4 | may_request << 6)
            for _ in range(3):
                assert ctx.get(dut.command_valid)
                shown = ctx.get(dut.command)
                assert (shown.op, shown.phase, shown.may_request) == (command, phase, may_request)
                assert await bus.read("STATUS") == 2
            ctx.set(dut.command_done, 1)
            await ctx.tick()
            ctx.set(dut.command_done, 0)
            assert not ctx.get(dut.command_valid)
            assert await bus.read("STATUS") == 0

    run(testbench)


async def take_ticks(ctx: Any, dut: Registers, cycles: int) -> int:
    """Take every tick that is offered; their number."""
    taken = 0
    for _ in range(cycles):
        waiting = ctx.get(dut.ticks)
        ctx.set(dut.tick, waiting)
        taken += waiting
        await ctx.tick()
    ctx.set(dut.tick, 0)
    return taken


@pytest.mark.rule("R14")
@pytest.mark.parametrize("ticks", [0, 1, 2, 17])
def test_ticks_of_the_host_come_one_after_the_other(ticks: int) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        await bus.write("TICK", ticks)
        assert await take_ticks(ctx, dut, 40) == ticks
        await bus.write("TICK", ticks)
        ctx.set(dut.ticks_drop, 1)
        await ctx.tick()
        ctx.set(dut.ticks_drop, 0)
        assert await take_ticks(ctx, dut, 40) == 0

    run(testbench)


@pytest.mark.rule("R14")
@pytest.mark.parametrize("period", [2, 5, 48])
def test_ticks_of_the_prescaler(period: int) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        assert await take_ticks(ctx, dut, 100) == 0, "without a period there are none"
        await bus.write("TICK_CYCLES", period - 1)
        await take_ticks(ctx, dut, 3 * period)
        assert await take_ticks(ctx, dut, 10 * period) == 10
        # Nobody takes them: they wait.
        await ctx.tick().repeat(5 * period)
        await bus.write("TICK_CYCLES", 0)
        assert await take_ticks(ctx, dut, 6 * period) in (5, 6)

    run(testbench)


@pytest.mark.rule("R14")
@pytest.mark.parametrize("passed", range(96, 106))
def test_a_shorter_period_begins_at_once(passed: int) -> None:
    """However much of the one before has passed, also when it is just over or the ticks have stopped meanwhile."""

    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        for pause in (False, True):
            await bus.write("TICK_CYCLES", 99)
            await take_ticks(ctx, dut, passed)
            if pause:
                await bus.write("TICK_CYCLES", 0)
                await take_ticks(ctx, dut, 20)
            await bus.write("TICK_CYCLES", 9)
            await take_ticks(ctx, dut, 20)
            assert await take_ticks(ctx, dut, 100) == 10

    run(testbench)


@pytest.mark.rule("S5")
def test_the_time_is_written_to_the_clock_and_read_from_it() -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        words = {"TIME_DATE": 0x20240229, "TIME_DAY": 0x235958, "TIME_MILLI": 0x123, "TIME_NANO": 0x456789}
        for name, word in words.items():
            await bus.write(name, word)
        for run_bit in (0, 1, 0):
            assert not ctx.get(dut.time_load)
            await bus.write("TIME_LOAD", run_bit)
            assert (ctx.get(dut.time_load), ctx.get(dut.time_run)) == (1, run_bit)
            new = ctx.get(dut.new_time)
            assert (new.date, new.day, new.milli, new.micro, new.nano) == (0x20240229, 0x235958, 0x123, 0x456, 0x789)
            await ctx.tick()
        ctx.set(dut.time, {"date": 0x20991231, "day": 0x010203, "milli": 0x987, "micro": 0x654, "nano": 0x321})
        assert [await bus.read(name) for name in words] == [0x20991231, 0x010203, 0x987, 0x654321]

    run(testbench)


@pytest.mark.rule("R2", "S1")
def test_idents_go_to_their_region(rng: random.Random) -> None:
    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        for _ in range(20):
            region, index, byte = rng.randrange(3), rng.randrange(64), rng.randrange(256)
            ctx.set(dut.address, REGISTERS["IDENT"].address)
            ctx.set(dut.write_data, byte | (region * 64 + index) << 8)
            assert not ctx.get(dut.ident_write)
            ctx.set(dut.write, 1)
            seen = (ctx.get(dut.ident_write), ctx.get(dut.ident_address), ctx.get(dut.ident_data))
            assert seen == (1, region * 64 + index, byte)
            await ctx.tick()
            ctx.set(dut.write, 0)

    run(testbench)


def test_counters_count_messages_per_rule(rng: random.Random) -> None:
    model: Counter[Rule] = Counter()

    async def testbench(ctx: Any, dut: Registers, bus: Bus) -> None:
        await rested(ctx, dut)
        for _ in range(150):
            rule = rng.choice(list(RULE_VERDICT))
            ctx.set(dut.counted, 1)
            ctx.set(dut.counted_rule, rule)
            await ctx.tick()
            ctx.set(dut.counted, 0)
            model[rule] += 1
            await ctx.tick().repeat(rng.randint(1, 4))
            if rng.random() < 0.2:
                asked = rng.choice(list(RULE_VERDICT))
                await bus.write("COUNTER", asked)
                await ctx.tick()
                assert await bus.read("COUNTER") == model[asked]

    run(testbench)


async def rested(ctx: Any, dut: Registers) -> None:
    """What was there before the reset is forgotten."""
    for _ in range(32 * dut.shape.sessions):
        assert ctx.get(dut.busy)
        await ctx.tick()
    assert not ctx.get(dut.busy)


@pytest.mark.rule("R17")
@pytest.mark.parametrize("sessions", [1, 3])
def test_a_reset_forgets_configurations_and_counters(sessions: int, rng: random.Random) -> None:
    dut = Registers(Shape(window=32, sessions=sessions))
    m = Module()
    m.domains.sync = sync = ClockDomain()
    m.submodules.dut = dut
    configured = {
        "POLICY": (0b0110_0001, 0b0011_0000),
        "CHUNK_LO": (0x12345678, 0),
        "CHUNK_HI": (0x12, 0),
        "WINDOW_LIMIT": (0x20, 0),
        "RESEND_TIMEOUT": (500, 0),
        "RESEND_RETRIES": (3, 0),
        "IDENT_LENGTH": (0x030205, 0),
    }

    async def testbench(ctx: Any) -> None:
        bus = Bus(ctx, dut)

        async def shown() -> list[list[int]]:
            """Of each session."""
            result = []
            for session in range(sessions):
                await bus.write("SESSION", session)
                await bus.write("COUNTER", Rule.R8)
                await ctx.tick()
                result.append([await bus.read(name) for name in (*configured, "COUNTER")])
            return result

        await rested(ctx, dut)
        fresh = await shown()
        assert fresh == [[initial for _, initial in configured.values()] + [0]] * sessions
        for session in range(sessions):
            await bus.write("SESSION", session)
            for name, (value, _) in configured.items():
                await bus.write(name, value)
            ctx.set(dut.counted_session, session)
            ctx.set(dut.counted_rule, Rule.R8)
            ctx.set(dut.counted, 1)
            await ctx.tick()
            ctx.set(dut.counted, 0)
            await ctx.tick().repeat(2)
        assert await shown() == [[value for value, _ in configured.values()] + [1]] * sessions
        ctx.set(sync.rst, 1)
        await ctx.tick()
        ctx.set(sync.rst, 0)
        await rested(ctx, dut)
        assert await shown() == fresh

    simulate(m, testbench)
