"""Composer with many sessions: each has its numbers, idents and fraction, whoever's message left before."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from amaranth import Array, Elaboratable, Module, Signal

from tag34.contract import MAX_SEQ, Flag, RecordKind, from_bcd, to_bcd
from tag34.device import SessionConfig
from tag34_hdl.layouts import IDENT_BITS, Shape
from tag34_hdl.send.composer import Composer
from tag34_sim.golden import compose
from tests.hdl.bench import Simulation, Sink
from tests.hdl.send.test_composer import (
    NOW,
    WIDTHS,
    Request,
    Send,
    load_ident,
    random_config,
    random_send,
    set_time,
)

SESSIONS = 3
#: Cycles by which the sequencer knows a session ahead of its request.
AHEAD = 5


class Bench(Elaboratable):
    """The component and what the host has configured, as the registers keep it: shown two cycles after the address."""

    def __init__(self, width: int) -> None:
        self.dut = Composer(Shape(width=width, sessions=SESSIONS, window=4, max_message=400))
        self.lengths = [Signal(3 * IDENT_BITS, name=f"lengths_{index}") for index in range(SESSIONS)]
        self.fractions = [Signal(4, name=f"fraction_{index}") for index in range(SESSIONS)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        session = Signal.like(dut.config_session)
        m.d.sync += [
            session.eq(dut.config_session),
            dut.ident_lengths.eq(Array(self.lengths)[session]),
            dut.fraction.eq(Array(self.fractions)[session]),
            dut.cycle.eq(dut.cycle + 1),
        ]
        return m

    async def prepare(self, ctx: Any, configs: list[SessionConfig], numbers: list[int]) -> None:
        """What the host writes."""
        await ctx.tick().repeat(SESSIONS + 1)
        set_time(ctx, self.dut, NOW)
        for index, (config, number) in enumerate(zip(configs, numbers, strict=True)):
            lengths = 0
            for region, text in enumerate((config.begin_string, config.sender, config.target)):
                lengths |= len(text) << IDENT_BITS * region
                load_ident(ctx, self.dut, index, region, text)
            ctx.set(self.lengths[index], lengths)
            ctx.set(self.fractions[index], config.fraction_digits)
            ctx.set(self.dut.set_next_out, 1)
            ctx.set(self.dut.set_session, index)
            ctx.set(self.dut.new_next_out, to_bcd(number))
            await ctx.tick()
            ctx.set(self.dut.set_next_out, 0)
            await ctx.tick().repeat(2)


@cache
def simulation(width: int) -> Simulation:
    return Simulation(Bench(width))


@pytest.mark.rule("S1", "S2", "R17")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_numbers_and_idents_are_those_of_the_session(width: int, stall: float, rng: random.Random) -> None:
    """Some of the sessions use up their last number on the way: nothing of theirs leaves then, all of the others."""
    bench = simulation(width).component
    dut = bench.dut
    configs = [random_config(rng) for _ in range(SESSIONS)]
    numbers = [MAX_SEQ - rng.randint(1, 3), rng.randint(1, 10**6), MAX_SEQ]
    tx, records = Sink(dut.tx, rng, stall), Sink(dut.records, rng, stall)
    requests = [(rng.randrange(SESSIONS), Request(rng.randint(1, 999), 0)) for _ in range(40)]
    sends = [(rng.randrange(SESSIONS), random_send(rng, 60)) for _ in range(40)]

    async def ask(ctx: Any) -> None:
        await ctx.tick().repeat(30)
        for session, request in requests:
            ctx.set(dut.next_session, session)
            await ctx.tick().repeat(AHEAD)
            ctx.set(dut.request.payload, {"session": session, **request.payload()})
            ctx.set(dut.request.valid, 1)
            for _ in range(3000):
                _, _, ready = await ctx.tick().sample(dut.request.ready)
                if ready:
                    break
            else:
                raise AssertionError("a request was not taken")
            ctx.set(dut.request.valid, 0)
            ctx.set(dut.next_session, rng.randrange(SESSIONS))
            await ctx.tick().repeat(rng.choice((1, 1, 20, 300)))

    async def send(ctx: Any) -> None:
        await ctx.tick().repeat(30)
        for session, message in sends:
            ctx.set(dut.send_header.payload, {"session": session, **message.header()})
            ctx.set(dut.send_header.valid, 1)
            for _ in range(3000):
                _, _, ready = await ctx.tick().sample(dut.send_header.ready)
                if ready:
                    break
            else:
                raise AssertionError("a header was not taken")
            ctx.set(dut.send_header.valid, 0)
            ctx.set(dut.send_body.valid, 1)
            for beat in message.beats(width, rng):
                ctx.set(dut.send_body.payload, beat)
                while not (await ctx.tick().sample(dut.send_body.ready))[2]:
                    pass
            ctx.set(dut.send_body.valid, 0)

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx, configs, numbers)
        quiet = 0
        for _ in range(50_000):
            quiet = quiet + 1 if ctx.get(dut.idle) else 0
            if quiet == 400:
                break
            await ctx.tick()
        for session in range(SESSIONS):
            ctx.set(dut.next_out_session, session)
            await ctx.tick().repeat(2)
            left_over.append(from_bcd(ctx.get(dut.next_out)))

    left_over: list[int] = []
    simulation(width).run(testbench, ask, send, background=[tx.run, records.run], cycles=60_000)

    following = list(numbers)

    def compose_next(session: int, message: Send) -> bytes | None:
        """What should leave; None if no number is left."""
        seq = message.seq
        if seq is None:
            if following[session] > MAX_SEQ:
                return None
            seq = following[session]
            following[session] += 1
        return compose(configs[session], message.msg_type, seq, NOW, message.body)

    # Requests and host messages leave each in their order; which came first is told by the records.
    bodies = [(session, Send("2", b"7=%d\x0116=%d\x01" % (r.begin, r.end))) for session, r in requests]
    messages: list[list[Any]] = []
    begins = True
    for beat in tx.payloads:
        if begins:
            messages.append([beat.session, b""])
        assert beat.session == messages[-1][0]
        messages[-1][1] += beat.data.to_bytes(width, "little")[: beat.count]
        begins = bool(beat.last)
    left = iter(messages)
    for record in records.payloads:
        waiting = bodies if Flag(record.flags) & Flag.DEVICE else sends
        dropped = record.kind == RecordKind.EVENT.value
        while True:  # a request without a number is dropped in silence, as its event has told of it
            session, message = waiting.pop(0)
            wanted = compose_next(session, message)
            if wanted is not None or waiting is sends:
                break
        assert record.session == session
        assert dropped == (wanted is None)
        if not dropped:
            assert next(left) == [session, wanted]
    assert next(left, None) is None
    assert [compose_next(session, message) for session, message in [*bodies, *sends]] == [None] * len(bodies)
    assert left_over == following
    assert following[0] == following[2] == MAX_SEQ + 1


@pytest.mark.rule("S1", "S3", "R17")
@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_beat_of_a_request_is_that_of_its_session(width: int, rng: random.Random) -> None:
    """One cycle behind it, if the session was known as long before as it is said; where a BeginString that does not
    fill the first beat comes or goes it may take longer."""
    bench = simulation(width).component
    dut = bench.dut
    strings = ["FIX", "FIX.4.4", "FIXT.1.1"]
    configs = [SessionConfig(text, "A" * index, "B", fraction=3) for index, text in enumerate(strings, 1)]
    tx, records = Sink(dut.tx), Sink(dut.records)
    asked: list[int] = []
    others: list[int] = []
    sessions = [rng.randrange(SESSIONS) for _ in range(40)]

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx, configs, [1] * SESSIONS)
        for session in sessions:
            others.append(rng.randrange(SESSIONS))
            ctx.set(dut.next_session, others[-1])
            while not ctx.get(dut.idle):
                await ctx.tick()
            await ctx.tick().repeat(rng.randint(1, 9))
            ctx.set(dut.next_session, session)
            await ctx.tick().repeat(AHEAD)
            ctx.set(dut.request.payload, {"session": session, **Request(1, 0).payload()})
            ctx.set(dut.request.valid, 1)
            _, _, cycle, ready = await ctx.tick().sample(dut.cycle, dut.request.ready)
            assert ready
            asked.append(cycle)
            ctx.set(dut.request.valid, 0)
            await ctx.tick().repeat(3)
        while not ctx.get(dut.idle):
            await ctx.tick()

    simulation(width).run(testbench, background=[tx.run, records.run], cycles=20_000)
    left = b"".join(beat.data.to_bytes(width, "little")[: beat.count] for beat in tx.payloads)
    numbers = [0] * SESSIONS
    wanted = b""
    for session in sessions:
        numbers[session] += 1
        wanted += compose(configs[session], "2", numbers[session], NOW, b"7=1\x0116=0\x01")
    assert left == wanted
    known = 0
    for session, other, before, cycle, record in zip(
        sessions, others, [0, *sessions[:-1]], asked, records.payloads, strict=True
    ):
        latency = record.cycle - cycle
        if width == 8 and "FIX" in (strings[session], strings[other], strings[before]):
            assert 1 <= latency <= 5
        else:
            known += 1
            assert latency == 1
    assert known >= 5
