"""Core: all parts together. Latency, throughput, back-pressure, and sessions as the golden model has them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from tag34.contract import REGISTERS, Command, Phase, Policy, RecordKind, Rule, from_bcd, to_bcd
from tag34_hdl.core import Core
from tag34_hdl.layouts import Shape
from tag34_sim.amaranth_core import AmaranthCore
from tag34_sim.differential import compare
from tag34_sim.messages import Peer
from tag34_sim.model_device import ModelDevice
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import scenario
from tests.hdl.bench import Simulation, Sink, Source

SHAPE = Shape(window=4, max_message=256)
PEER = Peer()
#: Cycles from the last byte of a message taken to the first byte of what it causes.
BUDGET = 4


@cache
def simulation() -> Simulation:
    return Simulation(Core(SHAPE))


@dataclass
class Run:
    """What a stream of messages caused, by cycle.

    Members: ``lasts``, when the last byte of each message was taken; ``rx``, when each byte was; ``deliver``, ``tx``:
    for each message that left, when its first byte was offered, and its bytes; ``records``.
    """

    lasts: list[int] = field(default_factory=list)
    rx: list[int] = field(default_factory=list)
    deliver: list[tuple[int, bytes]] = field(default_factory=list)
    tx: list[tuple[int, bytes]] = field(default_factory=list)
    records: list[Any] = field(default_factory=list)

    def kind(self, kind: RecordKind) -> list[Any]:
        return [record for record in self.records if record.kind == kind]


async def configure(ctx: Any, core: Core) -> None:
    """An ACTIVE session for PEER, by registers."""

    async def write(name: str, value: int) -> None:
        ctx.set(core.address, REGISTERS[name].address)
        ctx.set(core.write_data, value)
        ctx.set(core.write, 1)
        await ctx.tick()
        ctx.set(core.write, 0)

    lengths = 0
    for region, text in enumerate((PEER.begin_string, PEER.target, PEER.sender)):
        lengths |= len(text) << 8 * region
        for index, byte in enumerate(text.encode() + b"\x01"):
            await write("IDENT", byte | (region * 64 + index) << 8)
    await write("IDENT_LENGTH", lengths)
    await write("POLICY", Policy.CLOSED | 3 << 4)
    await write("WINDOW_LIMIT", to_bcd(SHAPE.window))
    for command in (Command.SET_EXPECTED, Command.CONNECT):
        await write("NUMBER_LO", 1)
        await write("COMMAND", command | Phase.ACTIVE << 4 | 1 << 6)
        await ctx.tick().repeat(60)


def starts(sink: Sink) -> list[tuple[int, bytes]]:
    messages: list[tuple[int, bytes]] = []
    data, since = b"", 0
    for payload, offered in zip(sink.payloads, sink.offered, strict=True):
        since = offered if not data else since
        data += bytes([payload.data])
        if payload.last:
            messages.append((since, data))
            data = b""
    return messages


def run(messages: list[bytes], *, apart: bool) -> Run:
    """Feed the messages, back to back or (``apart``) each when all is quiet; nothing stalls."""
    core = simulation().component
    sinks = {name: Sink(getattr(core, name)) for name in ("deliver", "tx", "records")}
    result = Run()

    async def testbench(ctx: Any) -> None:
        await configure(ctx, core)
        cycle = await count(ctx)
        for data in messages if apart else [b"".join(messages)]:
            source = Source(core.rx, [{"data": byte, "count": 1} for byte in data])
            await source.run(ctx)
            result.rx += [cycle + taken for taken in source.taken]
            cycle += source.taken[-1] + 1
            for _ in range(2000):
                if ctx.get(core.idle):
                    break
                await ctx.tick()
                cycle += 1
            assert ctx.get(core.idle)

    async def count(ctx: Any) -> int:
        """The cycle at hand, by the device's own counter."""
        ctx.set(core.address, REGISTERS["CYCLE_LO"].address)
        ctx.set(core.read, 1)
        await ctx.tick()
        ctx.set(core.read, 0)
        await ctx.tick()
        return int(ctx.get(core.read_data)) + 2

    simulation().run(testbench, background=[sink.run for sink in sinks.values()], cycles=20_000)
    result.deliver, result.tx = starts(sinks["deliver"]), starts(sinks["tx"])
    result.records = sinks["records"].payloads
    end = -1
    for message in messages:
        end += len(message)
        result.lasts.append(result.rx[end])
    return result


@pytest.mark.rule("R11")
def test_a_request_is_offered_soon_and_always_as_soon() -> None:
    messages: list[bytes] = []
    proofs: list[int] = []
    for seq in (2, 6, 10):
        proofs.append(len(messages))
        messages += [PEER.order(seq, "proof"), PEER.gap_fill(seq - 1, seq + 3)]
    result = run(messages, apart=True)
    assert [data.split(b"\x017=")[1].split(b"\x0116=")[0] for _, data in result.tx] == [b"1", b"5", b"9"]
    latencies = [offered - result.lasts[proof] for proof, (offered, _) in zip(proofs, result.tx, strict=True)]
    assert max(latencies) <= BUDGET
    assert len(set(latencies)) == 1, "no jitter"


@pytest.mark.rule("R8")
def test_a_message_in_order_is_delivered_soon_and_always_as_soon() -> None:
    messages = [PEER.order(seq, "x" * seq) for seq in range(1, 7)]
    result = run(messages, apart=True)
    assert [data for _, data in result.deliver] == messages
    latencies = [offered - last for last, (offered, _) in zip(result.lasts, result.deliver, strict=True)]
    assert max(latencies) <= BUDGET
    assert len(set(latencies)) == 1, "no jitter"


def test_records_carry_the_cycles_of_what_they_tell() -> None:
    result = run([PEER.order(1), PEER.order(3), PEER.gap_fill(2, 3)], apart=True)
    assert [record.cycle for record in result.kind(RecordKind.MESSAGE)] == result.lasts
    assert [record.cycle for record in result.kind(RecordKind.SENT)] == [offered for offered, _ in result.tx]
    (request,) = (record for record in result.kind(RecordKind.EVENT) if record.rule == Rule.R11)
    assert request.cycle == result.lasts[1], "an event has the cycle of the byte that proved it"
    assert (from_bcd(request.seq), from_bcd(request.number)) == (2, 2)


def test_one_beat_per_cycle_on_back_to_back_messages() -> None:
    messages = [PEER.order(seq) for seq in (1, 2, 5, 3, 4, 6, 7)]
    result = run(messages, apart=False)
    assert result.rx == list(range(result.rx[0], result.rx[0] + len(result.rx)))
    assert [data for _, data in result.deliver] == [PEER.order(seq) for seq in range(1, 8)]


@pytest.mark.rule("R16")
def test_R16_a_host_that_takes_nothing_holds_back_the_input_and_loses_nothing() -> None:
    core = simulation().component
    records, deliver, tx = Sink(core.records), Sink(core.deliver), Sink(core.tx)
    messages = [PEER.order(seq) for seq in range(1, 20)]
    source = Source(core.rx, [{"data": byte, "count": 1} for byte in b"".join(messages)], start=400, limit=5000)

    async def testbench(ctx: Any) -> None:
        await configure(ctx, core)
        for stalled in (records, deliver):
            stalled.stall = 1.0
            waited = 0
            for _ in range(5000):  # until it takes no more
                _, _, valid, ready = await ctx.tick().sample(core.rx.valid, core.rx.ready)
                waited = waited + 1 if valid and not ready else 0
                if waited == 50:
                    break
            assert waited == 50
            stalled.stall = 0.0

    async def at_rest(ctx: Any) -> None:
        await source.run(ctx)
        while not ctx.get(core.idle):
            await ctx.tick()

    simulation().run(testbench, at_rest, background=[records.run, deliver.run, tx.run], cycles=20_000)
    assert [data for _, data in starts(deliver)] == messages


@pytest.mark.rule("R12", "R16")
@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_scenarios_are_those_of_the_model(stalls: float, seed: int) -> None:
    core = AmaranthCore(SHAPE)
    device = SimDevice(core)
    with device, ModelDevice(window=4, max_message=256) as model:
        device.stalls(seed, stalls, stalls)
        operations = scenario(random.Random(seed), messages=16, window=4, max_message=256)
        difference = compare(device, model, operations)
    assert difference is None, str(difference)
