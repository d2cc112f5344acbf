"""The parts around the engine: the runner, the queue of records, and what makes the wide ports of the narrow ones."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34.contract import RECORD_BYTES, SOH, to_bcd
from tag34_hdl.compact.bytes_queue import DEPTH, BytesQueue
from tag34_hdl.compact.runner import Runner
from tag34_hdl.compact.wide import RegisterBus, SendBytes, WideRecords
from tag34_hdl.layouts import Shape
from tests.hdl.bench import Simulation, Sink, Source, simulate

SHAPE = Shape(sessions=3, window=4, max_message=256, compact=True)


@pytest.mark.parametrize("to_soh", [0, 1])
def test_the_runner_takes_what_is_there(to_soh: int, rng: random.Random) -> None:
    """Up to the limit, the SOH, the byte of another session or the first cycle without a byte."""
    dut = Runner(SHAPE)

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.session, 2)
        ctx.set(dut.session_set, 1)
        await ctx.tick()
        ctx.set(dut.session_set, 0)
        for _ in range(200):
            offered = [rng.choice((SOH, rng.randrange(256))) for _ in range(rng.randrange(12))]
            limit = rng.randint(1, 12)
            ends = rng.choice(("nothing", "another"))
            taken = offered[:limit]
            if to_soh and SOH in taken:
                taken = taken[: taken.index(SOH) + 1]
            ctx.set(dut.limit, limit)
            ctx.set(dut.to_soh, to_soh)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            at = 0
            while ctx.get(dut.runs):
                there = at < len(offered)
                ctx.set(dut.rx_valid, there or ends == "another")
                ctx.set(dut.rx_session, 2 if there else 1)
                ctx.set(dut.rx_data, offered[at] if there else 99)
                at += ctx.get(dut.take)
                await ctx.tick()
            assert at == len(taken)
            assert ctx.get(dut.bytes) == len(taken)
            assert ctx.get(dut.sum) == sum(taken) % 256
            if taken:
                assert ctx.get(dut.last) == taken[-1]

    simulate(dut, testbench)


@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_bytes_leave_the_queue_in_order(stall: float, rng: random.Random) -> None:
    dut = BytesQueue()
    data = [rng.randrange(256) for _ in range(2000)]
    sink = Sink(dut.out, rng, stall, enough=len(data))

    async def write(ctx: Any) -> None:
        for byte in data:
            while ctx.get(dut.half):  # what is written then has half of the room
                await ctx.tick()
            ctx.set(dut.write, 1)
            ctx.set(dut.data, byte)
            await ctx.tick()
            ctx.set(dut.write, 0)
            if rng.random() < 0.2:
                await ctx.tick()

    simulate(dut, write, sink.run)
    assert sink.payloads == data


def test_half_of_the_queue_s_room_is_told_of() -> None:
    dut = BytesQueue()

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.write, 1)
        for count in range(DEPTH - 1):
            # One byte waits at the end of the queue.
            assert bool(ctx.get(dut.half)) == (count > DEPTH // 2)
            assert bool(ctx.get(dut.idle)) == (count == 0)
            await ctx.tick()

    simulate(dut, testbench)


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_records_become_wide(stall: float, rng: random.Random) -> None:
    dut = WideRecords()
    records = [rng.randbytes(RECORD_BYTES) for _ in range(20)]
    source = Source(
        dut.bytes,
        [{"data": byte, "last": place == RECORD_BYTES - 1} for record in records for place, byte in enumerate(record)],
        rng,
        stall,
    )
    sink = Sink(dut.records, rng, stall, enough=len(records))
    simulate(dut, source.run, sink.run)
    # The highest bits are of no field.
    bits = dut.records.payload.shape().size
    assert [record.as_bits() for record in sink.payloads] == [
        int.from_bytes(record, "little") & (1 << bits) - 1 for record in records
    ]


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_host_messages_become_bytes(stall: float, rng: random.Random) -> None:
    dut = SendBytes(SHAPE)
    headers, bodies, wanted = [], [], []
    for _ in range(20):
        body = rng.randbytes(rng.choice((0, 1, 9)))
        seq = rng.randrange(10**10)
        session, msg_type, replay = rng.randrange(3), rng.randrange(1 << 32), rng.randrange(2)
        headers.append(
            {"session": session, "msg_type": msg_type, "replay": replay, "seq": to_bcd(seq), "body": bool(body)}
        )
        bodies += [{"data": byte, "count": 1, "last": place == len(body) - 1} for place, byte in enumerate(body)]
        whole = session.to_bytes(2, "little") + msg_type.to_bytes(4, "little") + bytes([replay])
        whole += to_bcd(seq).to_bytes(5, "little") + body
        wanted += [(byte, int(place == len(whole) - 1)) for place, byte in enumerate(whole)]
    sink = Sink(dut.bytes, rng, stall, enough=len(wanted))
    sources = [Source(dut.send_header, headers, rng, stall), Source(dut.send_body, bodies, rng, stall)]
    simulate(dut, *(source.run for source in sources), sink.run)
    assert [(byte.data, byte.last) for byte in sink.payloads] == wanted


def test_accesses_to_registers_become_bytes(rng: random.Random) -> None:
    dut = RegisterBus(6)
    given: list[int] = []
    values = [rng.getrandbits(32) for _ in range(10)]

    async def core(ctx: Any) -> None:
        """Takes accesses, gives the words in turn, and takes its time."""
        words = iter(values)
        left = 0
        while True:
            ctx.set(dut.control.ready, 1)
            _, _, valid, payload = await ctx.tick().sample(dut.control.valid, dut.control.payload)
            ctx.set(dut.control.ready, 0)
            if not valid:
                continue
            given.append(payload)
            if left:
                left -= 1
            elif payload & 128:
                left = 4
            else:
                for byte in next(words).to_bytes(4, "little"):
                    for _ in range(rng.randrange(3)):
                        await ctx.tick()
                    ctx.set(dut.answers.valid, 1)
                    ctx.set(dut.answers.payload, byte)
                    await ctx.tick()
                    ctx.set(dut.answers.valid, 0)

    async def host(ctx: Any) -> None:
        for value in values:
            assert ctx.get(dut.ready)
            for strobe in (dut.write, dut.read):
                ctx.set(dut.address, 17)
                ctx.set(dut.write_data, value)
                ctx.set(strobe, 1)
                await ctx.tick()
                ctx.set(strobe, 0)
                await ctx.tick().until(dut.ready)
            assert ctx.get(dut.read_data) == value

    Simulation(dut).run(host, background=[core])
    assert given == [byte for value in values for byte in (17 | 128, *value.to_bytes(4, "little"), 17)]
