"""The register map, register by register, as :data:`tag34.contract.REGISTERS` says it."""

from __future__ import annotations

from typing import Any

import cocotb
import pytest

from tag34.contract import (
    CONTRACT_VERSION,
    DEVICE_ID,
    MAX_SEQ,
    REGISTERS,
    Access,
    Command,
    Phase,
    Rule,
    from_bcd,
    to_bcd,
)
from tag34_sim.messages import Peer
from tests.cocotb.bench import Bench
from tests.cocotb.pin_device import connect

WORD = 0xFFFFFFFF
#: Largest legal number, as the two words of packed BCD in which registers show it.
TOP_LO, TOP_HI = to_bcd(MAX_SEQ) & WORD, to_bcd(MAX_SEQ) >> 32

#: What a register may be written with, of those that show what was written: extremes, and each bit both ways.
SHOWN: dict[str, list[int]] = {
    "TICK_CYCLES": [1, 0xAAAAAAAA, 0x55555555, WORD, 0],
    "SESSION": [0],
    "NUMBER_LO": [TOP_LO, 0x99999999, 0x12345678, 1],
    "NUMBER_HI": [TOP_HI, 0x09, 0],
    "POLICY": [
        policy | old << 2 | fraction << 4
        for policy, old, fraction in ((0, 0, 0), (1, 1, 3), (2, 0, 6), (2, 1, 9), (0, 1, 9), (0, 0, 3))
    ],
    "CHUNK_LO": [TOP_LO, 0x99999999, 0x12345678, 1],
    "CHUNK_HI": [TOP_HI, 0x09, 0],
    "WINDOW_LIMIT": [1],  # and the largest, which is the core's own
    "RESEND_TIMEOUT": [WORD, 0x55555555, 0xAAAAAAAA, 0],
    "RESEND_RETRIES": [0, 0x55, 0xAA, 255],
    "IDENT_LENGTH": [63 | 63 << 8 | 63 << 16, 7 | 21 << 8 | 42 << 16, 0],
}
#: Registers of the clock: they show the time, which changes with TIME_LOAD.
CLOCK = {"TIME_DATE": 0x20240229, "TIME_DAY": 0x00235958, "TIME_MILLI": 0x123, "TIME_NANO": 0x456789}
#: Registers that change by themselves, or show the other half of one that was read.
MOVING = {"CYCLE_LO", "CYCLE_HI"}
#: Registers whose writing does something, each shown below or in the scenarios.
ACTIONS = {"TICK", "TIME_LOAD", "COMMAND", "IDENT", "COUNTER"}


async def snapshot(bench: Bench, without: set[str] = frozenset()) -> dict[str, int]:  # type: ignore[assignment]
    """All registers that stand still, except those named."""
    return {
        name: await bench.read_register(name)
        for name, register in REGISTERS.items()
        if register.access is not Access.WO and name not in MOVING | without
    }


async def read_wide(bench: Bench, name: str) -> int:
    """A register of two words: the low one first."""
    low = await bench.read_register(f"{name}_LO")
    return low | await bench.read_register(f"{name}_HI") << 32


@cocotb.test()
async def map_is_covered(dut: Any) -> None:
    """Every register is in exactly one of the groups that these tests walk over."""
    writable = {name for name, register in REGISTERS.items() if register.access is not Access.RO}
    assert writable == set(SHOWN) | set(CLOCK) | ACTIONS
    assert len(writable) == len(SHOWN) + len(CLOCK) + len(ACTIONS)
    assert max(register.address for register in REGISTERS.values()) < 1 << len(dut.address)


@cocotb.test()
async def constants(dut: Any) -> None:
    """What the core is, and how it stands after reset."""
    bench = await Bench.start(dut)
    await bench.rest()
    seen = await snapshot(bench)
    shape = bench.shape
    wanted = {
        "ID": DEVICE_ID,
        "VERSION": CONTRACT_VERSION,
        "WIDTH": shape.width,
        "SESSIONS": shape.sessions,
        "WINDOW": shape.window,
        "MAX_MESSAGE": shape.max_message,
        "HOLD": shape.hold,
        "HOLD_LIMIT": shape.hold_limit,
        "CLOCK_HZ": shape.clock_hz,
        "STATUS": 1,
        "TICK_CYCLES": 0,
        "STATE": Phase.CLOSED,
        "EXPECTED_LO": 1,
        "EXPECTED_HI": 0,
        "HIGHEST_LO": 0,
        "HIGHEST_HI": 0,
        "NEXT_OUT_LO": 1,
        "NEXT_OUT_HI": 0,
        "BYTES_LO": 0,
        "BYTES_HI": 0,
        "FRAMED_LO": 0,
        "FRAMED_HI": 0,
        "PARTIAL": 0,
    }
    assert {name: seen[name] for name in wanted} == wanted


@cocotb.test()
async def written_is_read(dut: Any) -> None:
    """A register that shows what was written shows it, and no other register changes."""
    bench = await Bench.start(dut)
    await bench.rest()
    for name, values in SHOWN.items():
        others = await snapshot(bench, {name})
        for value in [*values, *([to_bcd(bench.shape.window)] if name == "WINDOW_LIMIT" else [])]:
            await bench.write_register(name, value)
            assert await bench.read_register(name) == value, f"{name} written with {value:#x}"
        assert await snapshot(bench, {name}) == others, name


@cocotb.test()
async def read_only(dut: Any) -> None:
    """Writing to a register that is read only changes nothing, and neither does writing where no register is."""
    bench = await Bench.start(dut)
    await connect(bench, Peer(), expected=5)
    before = await snapshot(bench)
    used = {register.address for register in REGISTERS.values()}
    beyond = set(range(1 << len(dut.address))) - used
    closed = {register.address for register in REGISTERS.values() if register.access is Access.RO}
    for address in sorted(closed | beyond):
        for value in (WORD, 0):
            await bench.write(address, value)
    assert await snapshot(bench) == before


@cocotb.test()
async def cycle_counter(dut: Any) -> None:
    """CYCLE counts the clock from the reset on, and its two words belong together."""
    bench = await Bench.start(dut)
    for wait in (0, 1, 7, 100):
        await bench.edge(wait)
        before = bench.cycle
        assert await read_wide(bench, "CYCLE") == before + 1  # the cycle in which the address was shown


@cocotb.test()
@pytest.mark.rule("S5")
async def time(dut: Any) -> None:
    """The TIME registers take effect with TIME_LOAD; the clock stands still, or runs by the nanoseconds of a cycle."""
    bench = await Bench.start(dut)

    async def now() -> dict[str, int]:
        return {name: await bench.read_register(name) for name in CLOCK}

    before = await now()
    for name, value in CLOCK.items():
        await bench.write_register(name, value)
    assert await now() == before
    await bench.write_register("TIME_LOAD", 0)
    await bench.edge(10)
    assert await now() == CLOCK
    await bench.edge(100)
    assert await now() == CLOCK

    await bench.write_register("TIME_LOAD", 1)
    await bench.edge(10)
    at = bench.cycle
    first = from_bcd(await bench.read_register("TIME_NANO"))
    await bench.edge(1000)
    passed = bench.cycle - at
    later = from_bcd(await bench.read_register("TIME_NANO"))
    assert later - first == passed * 10**9 // bench.shape.clock_hz
    await bench.write_register("TIME_LOAD", 0)
    await bench.edge(10)
    assert await now() == CLOCK


@cocotb.test()
@pytest.mark.rule("R14")
async def ticks(dut: Any) -> None:
    """Timer ticks come from TICK, or one every TICK_CYCLES + 1 cycles: R14 repeats a request by them."""
    bench = await Bench.start(dut)
    peer = Peer()
    await connect(bench, peer, resend_timeout=5, resend_retries=3)
    bench.receive(peer.order(2))
    await bench.rest()

    async def requests(wait: int = 0) -> int:
        await bench.edge(wait)
        await bench.rest()
        return len(bench.messages(bench.tx))

    assert await requests() == 1
    await bench.write_register("TICK", 4)
    assert await requests() == 1
    await bench.write_register("TICK", 1)
    assert await requests() == 2
    await bench.write_register("TICK_CYCLES", 199)
    assert await requests(4 * 200 + 100) == 2
    assert await requests(200) == 3
    await bench.write_register("TICK_CYCLES", 0)
    assert await requests(2000) == 3


@cocotb.test()
@pytest.mark.rule("R11", "R14")
async def session_state(dut: Any) -> None:
    """STATE, EXPECTED, HIGHEST, NEXT_OUT and the byte counts follow what happens; COUNTER counts rule by rule."""
    bench = await Bench.start(dut)
    peer = Peer()
    await connect(bench, peer, expected=99_999_999, resend_timeout=0)

    async def counter(rule: Rule) -> int:
        await bench.write_register("COUNTER", rule)
        return await bench.read_register("COUNTER")

    rules = [rule for rule in Rule if rule is not Rule.NONE]
    before = {rule: await counter(rule) for rule in rules}
    stream = [b"??", peer.order(99_999_999), b"?", peer.order(100_000_002), peer.order(100_000_003), peer.order(5)[:40]]
    bench.receive(b"".join(stream))
    await bench.rest()
    assert await bench.read_register("STATE") == Phase.ACTIVE | 1 << 2 | 1 << 3
    assert from_bcd(await read_wide(bench, "EXPECTED")) == 100_000_000
    assert from_bcd(await read_wide(bench, "HIGHEST")) == 100_000_003
    assert from_bcd(await read_wide(bench, "NEXT_OUT")) == 2
    assert await read_wide(bench, "BYTES") == sum(map(len, stream))
    assert await read_wide(bench, "FRAMED") == sum(map(len, stream)) - 3 - 40
    assert await bench.read_register("PARTIAL") == 40
    counted = {rule: await counter(rule) - before[rule] for rule in rules}
    assert {rule: count for rule, count in counted.items() if count} == {Rule.R8: 1, Rule.R10: 2}

    await bench.write_register("NUMBER_LO", TOP_LO)
    await bench.write_register("NUMBER_HI", TOP_HI)
    await bench.write_register("COMMAND", Command.SET_NEXT_OUT)
    await bench.rest()
    assert from_bcd(await read_wide(bench, "NEXT_OUT")) == MAX_SEQ
    await bench.write_register("COMMAND", Command.MAY_REQUEST)
    await bench.rest()
    assert await bench.read_register("STATE") == Phase.ACTIVE | 1 << 3
    await bench.write_register("COMMAND", Command.CONNECT | Phase.LOGON << 4 | 1 << 6)
    await bench.rest()
    assert await bench.read_register("STATE") == Phase.LOGON | 1 << 2
    assert from_bcd(await read_wide(bench, "HIGHEST")) == 99_999_999
    assert await read_wide(bench, "BYTES") == 0
    assert await bench.read_register("PARTIAL") == 0
    await bench.write_register("COMMAND", Command.DISCONNECT)
    await bench.rest()
    assert await bench.read_register("STATE") & 3 == Phase.CLOSED
