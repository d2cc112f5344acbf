"""Sequencer: the same records, requests and state as the golden model, from the same messages and host's operations."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from amaranth import Elaboratable, Module
from amaranth.lib.wiring import connect

from tag34.contract import RECORD_BYTES, Command, Phase, Policy, Rule, from_bcd, to_bcd
from tag34.device import Record, SessionConfig
from tag34.records import Decoder
from tag34_hdl.layouts import Shape
from tag34_hdl.session.sequencer import Sequencer
from tag34_hdl.session.timers import Timers
from tag34_sim.golden import Frame, FrameKind, Framer, Session
from tag34_sim.messages import Peer
from tag34_sim.traffic import MIX, Operation, Traffic, scenario
from tests.hdl.bench import Simulation, Sink
from tests.hdl.messages import fields_of

SHAPE = Shape(sessions=3, window=8, max_message=256)
#: The session that is looked at, 0 in the operations; the others only pass by.
SESSION = 2
PEER = Peer(sender="PEER0")
#: Cycles from the last change of the fields to the frame behind which a message is prepared; more if its session was
#: not at hand.
PREPARED = 3
FETCHED = 5
#: Cycles at least between a frame and the fields of the next message: it has that many bytes.
SHORTEST = 15
#: Cycles within which everything that a message causes must be done.
LIMIT = 3000


class Bench(Elaboratable):
    """The component and its timers."""

    def __init__(self) -> None:
        self.dut = Sequencer(SHAPE)
        self.timers = Timers(SHAPE)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        m.submodules.timers = timers = self.timers
        connect(m, timers.due, dut.due)
        m.d.comb += [
            timers.put.eq(dut.put_timer),
            timers.put_session.eq(dut.session),
            timers.put_timer.eq(dut.timer),
            timers.put_ran.eq(dut.timer_ran),
            dut.now.eq(timers.now),
            dut.state_session.eq(SESSION),
            dut.clear.ready.eq(1),
        ]
        return m


@cache
def simulation() -> Simulation:
    return Simulation(Bench())


class Slots:
    """The message memory, as far as it matters: which slot holds which message, and who has it."""

    def __init__(self, dut: Sequencer, rng: random.Random):
        self.dut, self.rng = dut, rng
        self.free = list(range(1, SHAPE.slots))
        self.current: int | None = 0
        self.arriving = b""  # the message whose frame is offered
        self.owned: dict[int, bytes] = {}
        self.delivering: list[int] = []
        self.deliveries: list[tuple[int, bytes]] = []

    async def run(self, ctx: Any) -> None:
        """Hand out slots, take them back: those of deliveries some time later."""
        dut = self.dut
        tick = ctx.tick().sample(
            dut.take, dut.push, dut.delivery, dut.free.valid, dut.free.payload, dut.counted, dut.counted_rule,
            dut.clear.valid,
        )  # fmt: skip
        ready = True
        while True:
            ctx.set(dut.current, self.current or 0)
            ctx.set(dut.free.ready, ready)
            _, _, take, push, delivery, freed, slot, counted, rule, clear = await tick
            if take:
                assert self.current is not None
                self.owned[self.current] = self.arriving
                self.current = None
            if push:
                assert delivery.session == SESSION
                self.deliveries.append((delivery.session, self.owned[delivery.slot][: delivery.length]))
                self.delivering.append(delivery.slot)
            if freed and ready:
                assert slot not in self.delivering
                self.give_back(slot)
            if self.delivering and self.rng.random() < 0.3:
                self.give_back(self.delivering.pop(0))
            if self.current is None and self.free:
                self.current = self.free.pop(self.rng.randrange(len(self.free)))
            self.judged[Rule(rule)] += counted
            self.clears += clear
            ready = self.rng.random() < 0.8

    def give_back(self, slot: int) -> None:
        del self.owned[slot]  # a slot is not given back twice
        self.free.append(slot)

    judged: Counter[Rule]
    clears: int


class Driver:
    """One session: the component, and the golden model beside it.

    Parameters: ``ctx``; ``slots``; ``records``, ``requests``: sinks; ``rng``.
    """

    def __init__(self, ctx: Any, slots: Slots, records: Sink, requests: Sink, rng: random.Random):
        self.ctx, self.slots, self.records, self.requests, self.rng = ctx, slots, records, requests, rng
        self.dut = slots.dut
        self.timers = simulation().component.timers
        self.told: list[Record] = []
        self.asked: list[tuple[int, int]] = []
        self.golden = Session(0, SHAPE.window, self.told.append)
        self.framer = Framer(SHAPE.max_message)
        self.data = b""
        self.utc_ns: int | None = None
        self.decoder = Decoder()
        self.connects = 0
        ctx.set(self.dut.rx_quiet, 1)

    # Operations of a device's scenario.

    async def receive(self, session: int, data: bytes) -> None:
        self.data += data
        for frame in self.framer.feed(data):
            self.golden.receive(frame)
            self.asked += self.golden.requests
            self.golden.requests.clear()
            await self.frame(frame)
            if self.rng.random() < 0.3:
                await self.compare()

    async def configure(self, session: int, config: SessionConfig) -> None:
        self.golden.configure(config)
        values = {
            "policy": config.policy,
            "infinity_old": config.infinity_end != 0,
            "window_limit": to_bcd(config.window or SHAPE.window),
            "chunk": to_bcd(config.chunk),
            "resend_timeout": config.resend_timeout,
            "resend_retries": config.resend_retries,
        }
        self.ctx.set(self.dut.config, values)

    async def connect(self, session: int, phase: Phase = Phase.LOGON, may_request: bool = True) -> None:
        self.golden.connect(phase, may_request)
        self.framer.reset()
        self.data = b""
        self.connects += 1
        await self.command(Command.CONNECT, phase=phase, may_request=may_request)

    async def disconnect(self, session: int) -> None:
        self.golden.disconnect()
        await self.command(Command.DISCONNECT)

    async def set_expected(self, session: int, expected: int) -> None:
        self.golden.set_expected(expected)
        await self.command(Command.SET_EXPECTED, number=to_bcd(expected))

    async def set_may_request(self, session: int, allowed: bool) -> None:
        self.golden.allow_requests(allowed)
        self.asked += self.golden.requests
        self.golden.requests.clear()
        await self.command(Command.MAY_REQUEST, may_request=allowed)

    async def advance(self, utc_ns: int) -> None:
        before, self.utc_ns = self.utc_ns, utc_ns
        ticks = 0 if before is None else utc_ns // 10**6 - before // 10**6
        left = ticks
        while left > 0 and (timer := self.golden.ticks_left()) is not None:
            step = min(left, timer)
            self.golden.pass_ticks(step)
            left -= step
        self.asked += self.golden.requests
        self.golden.requests.clear()
        await self.tick(ticks)

    async def send(self, **arguments: object) -> None:
        """The sequencer has nothing to do with it."""

    async def set_next_out(self, **arguments: object) -> None:
        """Nor with this."""

    # What the component gets to see.

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await self.ctx.tick()

    async def rest(self) -> None:
        for _ in range(LIMIT):
            if self.ctx.get(self.dut.idle) and self.ctx.get(self.timers.idle):
                return
            await self.ctx.tick()
        raise AssertionError(f"at work for more than {LIMIT} cycles")

    async def frame(self, frame: Frame) -> None:
        ctx, dut, rng = self.ctx, self.dut, self.rng
        raw = self.data[frame.offset : frame.offset + frame.length]
        garbled = frame.kind is FrameKind.GARBLED
        for _ in range(LIMIT):
            if self.slots.current is not None:
                break
            await ctx.tick()
        self.slots.arriving = raw
        fields = {name: rng.getrandbits(len(dut.fields[name])) for name, _ in SHAPE.fields}
        if not garbled:
            fields |= fields_of(raw, PEER, SHAPE)
        late = False  # the last change comes with the frame
        ctx.set(dut.oversize, rng.getrandbits(1))  # it is that of the message before
        if not garbled or rng.random() < 0.5:  # what turns out garbled at its trailer had fields
            ctx.set(dut.fields_session, SESSION)
            while rng.random() < 0.3:  # the number is in, not all that counts
                await self.show({name: rng.getrandbits(len(dut.fields[name])) for name, _ in SHAPE.fields})
                await self.wait(rng.randint(0, 6))
            late = rng.random() < 0.1
            believed = fields["mirror"] or rng.random() < 0.7
            await self.show(fields | {"mirror": believed}, at_once=not late)
            if not late and rng.random() < 0.2:  # the rest of it comes after bytes of another session
                await self.wait(rng.randint(1, 12))
                ctx.set(dut.fields_session, rng.choice((0, 1)))
                ctx.set(dut.fields_settled, rng.getrandbits(1))
                await self.wait(rng.randint(3, 12))
                ctx.set(dut.fields_session, SESSION)
                ctx.set(dut.fields_settled, 1)
            if not late:
                await self.wait(PREPARED + rng.randint(0, 5) if rng.random() < 0.9 else rng.randint(0, 3))
                if rng.random() < 0.5:
                    ctx.set(dut.fields_complete, 1)
                    await self.wait(rng.randint(1, 3))
        else:
            ctx.set(dut.fields_session, SESSION)
        payload = {"garbled": garbled, "offset": frame.offset, "length": frame.length, "cycle": rng.getrandbits(48)}
        ctx.set(dut.frame.payload, payload)
        ctx.set(dut.frame.valid, 1)
        ctx.set(dut.oversize, frame.kind is FrameKind.OVERSIZE)
        ctx.set(dut.fields.mirror, fields["mirror"])
        if not garbled:
            ctx.set(dut.fields_complete, 1)
        for _ in range(LIMIT):
            _, _, ready = await ctx.tick().sample(dut.frame.ready)
            ctx.set(dut.fields_changed, 0)
            if ready:
                break
        else:
            raise AssertionError(f"a frame was not taken within {LIMIT} cycles")
        ctx.set(dut.frame.valid, 0)
        ctx.set(dut.fields_settled, 0)
        ctx.set(dut.fields_complete, 0)
        if rng.random() < 0.3:  # another session's bytes come next
            await self.wait(rng.randint(1, 3))
            ctx.set(dut.fields_session, rng.choice((0, 1)))
        await self.wait(SHORTEST - 2)
        for name, _ in SHAPE.fields:  # the next message has begun
            ctx.set(dut.fields[name], rng.getrandbits(len(dut.fields[name])))
        await self.wait(rng.choice((2, 2, 60)))

    async def show(self, fields: dict[str, int], *, at_once: bool = True) -> None:
        """These are the fields from now on; ``at_once``: for a cycle at least."""
        self.ctx.set(self.dut.fields, fields)
        self.ctx.set(self.dut.fields_changed, 1)
        self.ctx.set(self.dut.fields_settled, 1)
        if at_once:
            await self.ctx.tick()
            self.ctx.set(self.dut.fields_changed, 0)

    async def command(self, command: Command, **arguments: int) -> None:
        await self.rest()
        self.ctx.set(self.dut.command, {"op": command, "session": SESSION, **arguments})
        self.ctx.set(self.dut.command_valid, 1)
        for _ in range(LIMIT):
            _, _, done = await self.ctx.tick().sample(self.dut.command_done)
            if done:
                break
        else:
            raise AssertionError(f"{command!r} was not carried out within {LIMIT} cycles")
        self.ctx.set(self.dut.command_valid, 0)
        await self.compare()

    async def tick(self, ticks: int) -> None:
        await self.rest()
        for _ in range(LIMIT):
            self.ctx.set(self.timers.ticks, ticks > 0)
            if ticks <= 0:
                break
            _, _, taken, dropped = await self.ctx.tick().sample(self.timers.tick, self.timers.ticks_drop)
            ticks = 0 if dropped else ticks - taken
        else:
            raise AssertionError(f"ticks are left after {LIMIT} cycles")
        await self.compare()

    async def compare(self) -> None:
        """All that was said since the last time, and the state."""
        await self.rest()
        await self.wait(1)
        # What was said is on its way to a host that does not always listen.
        for _ in range(LIMIT):
            if not self.ctx.get(self.dut.records.valid):
                break
            await self.ctx.tick()
        await self.rest()
        await self.wait(2)
        assert all(payload.session == SESSION for payload in [*self.records.payloads, *self.requests.payloads])
        raw = b"".join(payload.as_bits().to_bytes(RECORD_BYTES, "little") for payload in self.records.payloads)
        self.records.payloads.clear()
        said = [replace(record, cycle=0, session=0) for record in self.decoder.feed(raw, self.slots.deliveries, [])]
        self.slots.deliveries = []
        assert said == self.told
        self.told.clear()
        assert [(from_bcd(p.begin), from_bcd(p.end)) for p in self.requests.payloads] == self.asked
        self.requests.payloads.clear()
        self.asked.clear()
        state = self.ctx.get(self.dut.state)
        shown = (Phase(state.phase), bool(state.may_request), bool(state.recovery))
        golden = self.golden
        assert shown == (golden.phase, golden.may_request, golden.recovery is not None)
        assert (from_bcd(state.expected), from_bcd(state.highest)) == (golden.expected, golden.highest)

    def check_slots(self) -> None:
        """Owned is what is held, GapFills and consumed numbers apart, and what is being delivered."""
        held = [m for m in self.golden.held.values() if m is not None and not m.gap_fill]
        kept = sorted(raw for slot, raw in self.slots.owned.items() if slot not in self.slots.delivering)
        assert kept == sorted(m.raw for m in held)


def run(operations: list[Operation], rng: random.Random, *, records: float = 0.0, requests: float = 0.0) -> Driver:
    """Carry out the operations on both; ``records``, ``requests``: shares of cycles in which they are not taken."""
    dut = simulation().component.dut
    slots = Slots(dut, rng)
    slots.judged, slots.clears = Counter(), 0
    record_sink, request_sink = Sink(dut.records, rng, records), Sink(dut.request, rng, requests)
    drivers: list[Driver] = []

    async def testbench(ctx: Any) -> None:
        driver = Driver(ctx, slots, record_sink, request_sink, rng)
        drivers.append(driver)
        for operation in operations:
            await getattr(driver, operation.verb)(**operation.arguments)
        await driver.compare()
        driver.check_slots()

    background = [slots.run, record_sink.run, request_sink.run]
    simulation().run(testbench, background=background, cycles=100_000)
    (driver,) = drivers
    assert slots.judged == +Counter(driver.golden.judged)
    assert slots.clears == driver.connects
    return driver


@pytest.mark.rule("R11", "R12", "R13", "R13a", "R14", "R15", "R17")
@pytest.mark.parametrize(("records", "requests"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.95), (0.5, 0.9)])
def test_scenarios(records: float, requests: float, rng: random.Random) -> None:
    operations = list(scenario(rng, messages=70, window=SHAPE.window, max_message=SHAPE.max_message))
    run(operations, rng, records=records, requests=requests)


@pytest.mark.rule("R10", "R10e", "R11", "R12", "R13", "R13a")
@pytest.mark.parametrize("policy", list(Policy))
def test_gaps_and_replays(policy: Policy, rng: random.Random) -> None:
    """One long connection on which nothing halts the session."""
    kinds = ("in_order", "lost", "replayed", "swapped", "gap_filled")
    traffic = Traffic(rng, PEER, mix={kind: MIX[kind] for kind in kinds} | {"lost": 15, "replayed": 15}, window=8)
    config = PEER.config(policy=policy, chunk=3, window=rng.choice((None, 5)), resend_timeout=20, resend_retries=9)
    operations = [
        Operation("configure", {"session": 0, "config": config}),
        Operation("connect", {"session": 0, "phase": Phase.ACTIVE}),
    ]
    for now in range(80):
        operations.append(Operation("receive", {"session": 0, "data": traffic.next()}))
        if rng.random() < 0.1:
            operations.append(Operation("advance", {"utc_ns": now * 10**6}))
    judged = run(operations, rng, records=0.3).golden.judged
    assert min(judged[rule] for rule in (Rule.R8, Rule.R10)) >= 1, judged
    assert judged[Rule.R1] == 0


ACTIVE = [
    Operation("configure", {"session": 0, "config": PEER.config()}),
    Operation("connect", {"session": 0, "phase": Phase.ACTIVE}),
]


def receive(*messages: bytes) -> Operation:
    return Operation("receive", {"session": 0, "data": b"".join(messages)})


def orders(*numbers: int) -> list[Operation]:
    return [receive(PEER.order(seq)) for seq in numbers]


@pytest.mark.rule("R5", "R9", "R15")
@pytest.mark.parametrize(
    "anew",
    [
        Operation("connect", {"session": 0, "phase": Phase.ACTIVE}),
        Operation("set_expected", {"session": 0, "expected": 4}),
        receive(PEER.logon(1, reset=True), *(PEER.order(seq) for seq in (2, 3))),
    ],
    ids=["R15", "set_expected", "R5"],
)
def test_R9_earlier_requests_are_forgotten(anew: Operation, rng: random.Random) -> None:
    asked = [*ACTIVE, receive(*(PEER.order(seq) for seq in (3, 1, 2)))]
    late = receive(PEER.gap_fill(2, 6, possdup=True))
    judged = run([*asked, late], rng).golden.judged
    assert (judged[Rule.R9], judged[Rule.R9A]) == (1, 0)
    judged = run([*asked, anew, late], rng).golden.judged
    assert (judged[Rule.R9], judged[Rule.R9A]) == (0, 1)


@pytest.mark.rule("R11", "R14")
def test_R14_the_timer_stands_still_while_nothing_may_be_asked(rng: random.Random) -> None:
    def may_request(allowed: bool) -> Operation:
        return Operation("set_may_request", {"session": 0, "allowed": allowed})

    config = PEER.config(resend_timeout=10, resend_retries=1)
    configure = Operation("configure", {"session": 0, "config": config})
    times = iter(range(0, 10**9, 7 * 10**6))  # two of them are more than the timeout
    operations = [configure, ACTIVE[1], Operation("advance", {"utc_ns": next(times)}), *orders(3)]
    for allowed in (False, True):
        operations += [may_request(allowed), *(Operation("advance", {"utc_ns": next(times)}) for _ in range(2))]
    driver = run(operations, rng)
    assert driver.golden.recovery is not None
    assert driver.golden.recovery.retries == 1


@pytest.mark.rule("R11")
@pytest.mark.parametrize(
    ("before", "seq", "asks", "delivers"),
    [
        ([], 1, False, True),
        ([], 2, True, False),
        ([], 500, True, False),
        ([1, 2, 3], 4, False, True),
        ([1, 2, 3], 9, True, False),
        ([2, 3], 1, False, True),
        ([2, 3], 4, False, False),
    ],
)
def test_a_prepared_message_is_taken_with_its_frame_and_committed_a_cycle_later(
    before: list[int], seq: int, asks: bool, delivers: bool, rng: random.Random
) -> None:
    dut = simulation().component.dut
    slots = Slots(dut, rng)
    slots.judged, slots.clears = Counter(), 0
    records, requests = Sink(dut.records), Sink(dut.request)

    async def testbench(ctx: Any) -> None:
        driver = Driver(ctx, slots, records, requests, rng)
        for operation in ACTIVE + orders(*before):
            await getattr(driver, operation.verb)(**operation.arguments)
        await driver.compare()
        await driver.wait(SHORTEST)
        raw = PEER.order(seq)
        slots.arriving = raw
        fields = fields_of(raw, PEER, SHAPE)
        ctx.set(dut.fields_session, SESSION)
        await driver.wait(FETCHED)
        await driver.show(fields | {"possdup": 1 - fields["possdup"]})
        await driver.wait(rng.randint(0, 2 * PREPARED))
        await driver.show(fields)
        await driver.wait(PREPARED - 1)
        assert not ctx.get(dut.push)
        assert not ctx.get(dut.request.valid)
        ctx.set(dut.oversize, 0)
        ctx.set(dut.fields_complete, 1)
        ctx.set(dut.frame.payload, {"garbled": 0, "offset": 0, "length": len(raw), "cycle": 0})
        ctx.set(dut.frame.valid, 1)
        assert (ctx.get(dut.frame.ready), ctx.get(dut.push), ctx.get(dut.request.valid)) == (1, delivers, 0)
        await driver.wait(1)
        ctx.set(dut.frame.valid, 0)
        ctx.set(dut.fields_settled, 0)
        assert ctx.get(dut.request.valid) == asks

    simulation().run(testbench, background=[slots.run, records.run, requests.run])


@pytest.mark.rule("F5", "R2", "R8")
@pytest.mark.parametrize(
    ("change", "cycles"),
    [({}, 0), ({"mirror": 0}, 4), ({"oversize": 1}, 4), ({"complete": 7}, 7), ({"changed": 1}, PREPARED)],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_only_the_whole_message_tells_costs_always_the_same(
    change: dict[str, int], cycles: int, rng: random.Random
) -> None:
    """``change``: what the frame tells against all expectation, or for how long it is too early."""
    dut = simulation().component.dut
    slots = Slots(dut, rng)
    slots.judged, slots.clears = Counter(), 0
    records, requests = Sink(dut.records), Sink(dut.request)

    async def testbench(ctx: Any) -> None:
        driver = Driver(ctx, slots, records, requests, rng)
        for operation in ACTIVE:
            await getattr(driver, operation.verb)(**operation.arguments)
        slots.arriving = PEER.order(1)
        ctx.set(dut.fields_session, SESSION)
        await driver.wait(FETCHED)
        await driver.show(fields_of(slots.arriving, PEER, SHAPE))
        await driver.wait(PREPARED + 2)
        ctx.set(dut.frame.payload, {"garbled": 0, "offset": 0, "length": len(slots.arriving), "cycle": 0})
        ctx.set(dut.frame.valid, 1)
        ctx.set(dut.oversize, change.get("oversize", 0))
        ctx.set(dut.fields.mirror, change.get("mirror", 1))
        ctx.set(dut.fields_changed, change.get("changed", 0))
        for cycle in range(20):
            ctx.set(dut.fields_complete, cycle >= change.get("complete", 0))
            delivers = "mirror" not in change and "oversize" not in change
            assert ctx.get(dut.frame.ready) == (cycle == cycles)
            assert ctx.get(dut.push) == (cycle == cycles and delivers)
            if cycle == cycles:
                break
            await ctx.tick()
            ctx.set(dut.fields_changed, 0)

    simulation().run(testbench, background=[slots.run, records.run, requests.run])


@pytest.mark.rule("F6", "R15")
def test_a_connect_waits_until_all_that_came_before_it_has_been_judged(rng: random.Random) -> None:
    """The pipeline in front is not empty: messages of this and of other sessions come out of it first."""
    dut = simulation().component.dut
    slots = Slots(dut, rng)
    slots.judged, slots.clears = Counter(), 0
    records, requests = Sink(dut.records), Sink(dut.request)
    pushed: list[int] = []

    async def testbench(ctx: Any) -> None:
        driver = Driver(ctx, slots, records, requests, rng)
        for operation in ACTIVE:
            await getattr(driver, operation.verb)(**operation.arguments)
        clears = slots.clears
        ctx.set(dut.rx_quiet, 0)
        ctx.set(dut.command, {"op": Command.CONNECT, "session": SESSION, "phase": Phase.LOGON})
        ctx.set(dut.command_valid, 1)
        await driver.wait(1)
        assert ctx.get(dut.hold_rx)
        for seq in (1, 2, 3):
            before = len(slots.deliveries)
            data = PEER.order(seq)
            driver.data += data
            (frame,) = driver.framer.feed(data)
            await driver.frame(frame)
            pushed.append(len(slots.deliveries) - before)
            assert ctx.get(dut.hold_rx)
            assert not ctx.get(dut.command_done)
        assert slots.clears == clears
        ctx.set(dut.fields_session, SESSION)
        ctx.set(dut.rx_quiet, 1)
        for _ in range(LIMIT):
            _, _, done = await ctx.tick().sample(dut.command_done)
            if done:
                break
        ctx.set(dut.command_valid, 0)
        assert not ctx.get(dut.hold_rx)
        await driver.rest()
        await driver.wait(3)
        assert slots.clears == clears + 1
        assert Phase(ctx.get(dut.state).phase) is Phase.LOGON

    simulation().run(testbench, background=[slots.run, records.run, requests.run])
    assert pushed == [1, 1, 1]
