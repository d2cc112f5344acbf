"""AXI ports: the rules of the bus, beats with holes, packets of messages to be sent."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from amaranth import Elaboratable, Module
from amaranth.back import rtlil
from amaranth.lib import wiring

from tag34.contract import CONTRACT_VERSION, DEVICE_ID, REGISTERS, Access, Rule
from tag34.contract.axi import SEND_FIELDS
from tag34_hdl.axi.core import AxiCore, ports
from tag34_hdl.axi.lite import AxiLite
from tag34_hdl.axi.streams import Entry, SendPackets
from tag34_hdl.layouts import Shape
from tag34_hdl.registers import Registers
from tests.hdl.bench import Simulation, Sink, Source, plain

SHAPE = Shape(sessions=4, window=8, max_message=256)
OKAY, SLVERR = 0, 2
#: Cycles within which a request must be answered if nobody holds back the answer.
LIMIT = 40


class Bank(wiring.Component):
    """The AXI4-Lite port with the register bank behind it, and what the core would do about counters."""

    def __init__(self) -> None:
        self.lite = AxiLite()
        self.registers = Registers(SHAPE)
        super().__init__({})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.lite, m.submodules.registers = lite, registers = self.lite, self.registers
        m.d.comb += [
            registers.address.eq(lite.address),
            registers.write.eq(lite.write),
            registers.write_data.eq(lite.write_data),
            registers.read.eq(lite.read),
            lite.read_data.eq(registers.read_data),
        ]
        return m


@cache
def bank() -> Simulation:
    return Simulation(Bank())


class Manager:
    """The other side of the bus. It checks what a subordinate may not do: take back an answer, change it, or give one
    that nobody asked for.

    Parameters: ``pause`` and ``stall``, shares of the cycles in which it offers nothing new and takes no answer.
    """

    def __init__(self, rng: random.Random, pause: float = 0.0, stall: float = 0.0):
        self.rng, self.pause, self.stall = rng, pause, stall
        self.queues: dict[str, list[dict[str, int]]] = {"aw": [], "w": [], "ar": []}
        self.answers: dict[str, list[tuple[int, int]]] = {"b": [], "r": []}
        self.asked = {"aw": 0, "w": 0, "ar": 0}

    def write(self, address: int, value: int, strobes: int = 15) -> None:
        self.queues["aw"].append({"addr": address})
        self.queues["w"].append({"data": value, "strb": strobes})

    def read(self, address: int) -> None:
        self.queues["ar"].append({"addr": address})

    @property
    def waits(self) -> bool:
        """Something is not answered yet."""
        answered = {name: len(answers) for name, answers in self.answers.items()}
        return any(self.queues.values()) or self.asked["aw"] > answered["b"] or self.asked["ar"] > answered["r"]

    async def run(self, ctx: Any) -> None:
        """Until the testbench is at its end."""
        bus = bank().component.lite
        offered = dict.fromkeys(self.queues, False)
        ready = dict.fromkeys(self.answers, False)
        stalled: dict[str, tuple[int, int] | None] = dict.fromkeys(self.answers, None)
        signals = [getattr(bus, f"{name}ready") for name in self.queues]
        signals += [getattr(bus, name) for name in ("bvalid", "rvalid", "bresp", "rresp", "rdata")]
        tick = ctx.tick().sample(*signals)
        while True:
            for name, queue in self.queues.items():
                if not offered[name] and queue and self.rng.random() >= self.pause:
                    offered[name] = True
                    for part, value in queue[0].items():
                        ctx.set(getattr(bus, name + part), value)
                ctx.set(getattr(bus, f"{name}valid"), offered[name])
            for name in ready:
                ready[name] = self.rng.random() >= self.stall
                ctx.set(getattr(bus, f"{name}ready"), ready[name])
            _, _, *sampled = await tick
            valid, response = dict(zip("br", sampled[3:5], strict=True)), sampled[5:]
            for name, given in zip(self.queues, sampled[:3], strict=True):
                if offered[name] and given:
                    del self.queues[name][0]
                    offered[name] = False
                    self.asked[name] += 1
            for name, answer in (("b", (response[0], 0)), ("r", (response[1], response[2]))):
                answer = (getattr(answer[0], "value", answer[0]), answer[1])
                if stalled[name] is not None:
                    assert valid[name], f"{name}valid taken back"
                    assert answer == stalled[name], f"{name} changed"
                stalled[name] = None
                if valid[name]:
                    asked = min(self.asked["aw"], self.asked["w"]) if name == "b" else self.asked["ar"]
                    assert len(self.answers[name]) < asked, f"{name} without a request"
                    if ready[name]:
                        self.answers[name].append(answer)
                    else:
                        stalled[name] = answer


async def swept(ctx: Any) -> None:
    """After a reset nothing may be written for a while."""
    await ctx.tick().repeat(bank().component.registers.counters + 2)


async def answered(ctx: Any, manager: Manager, limit: int = LIMIT) -> None:
    for _ in range(limit):
        if not manager.waits:
            return
        await ctx.tick()
    raise AssertionError(f"not answered within {limit} cycles")


def offset(name: str) -> int:
    return 4 * REGISTERS[name].address


def on_the_bus(testbench: Callable[[Any, Manager], Any], rng: random.Random, **shares: float) -> Manager:
    manager = Manager(rng, **shares)

    async def job(ctx: Any) -> None:
        await swept(ctx)
        await testbench(ctx, manager)

    bank().run(job, background=[manager.run])
    return manager


async def read_one(ctx: Any, manager: Manager, address: int) -> tuple[int, int]:
    manager.read(address)
    await answered(ctx, manager, 2000)
    return manager.answers["r"][-1]


async def write_one(ctx: Any, manager: Manager, address: int, value: int, strobes: int = 15) -> int:
    manager.write(address, value, strobes)
    await answered(ctx, manager, 2000)
    return manager.answers["b"][-1][0]


def test_registers_are_words_at_byte_addresses(rng: random.Random) -> None:
    async def testbench(ctx: Any, manager: Manager) -> None:
        assert await read_one(ctx, manager, offset("ID")) == (OKAY, DEVICE_ID)
        assert await read_one(ctx, manager, offset("VERSION")) == (OKAY, CONTRACT_VERSION)
        assert await read_one(ctx, manager, offset("SESSIONS") + 3) == (OKAY, 4)
        for name in ("NUMBER_LO", "TICK_CYCLES", "RESEND_TIMEOUT"):
            value = rng.getrandbits(32)
            assert await write_one(ctx, manager, offset(name), value) == OKAY
            assert await read_one(ctx, manager, offset(name)) == (OKAY, value)

    on_the_bus(testbench, rng)


def test_what_cannot_be_written_or_read_is_an_error_and_does_nothing(rng: random.Random) -> None:
    async def testbench(ctx: Any, manager: Manager) -> None:
        shown = [r for r in REGISTERS.values() if r.access is not Access.WO and not r.name.startswith("CYCLE")]
        assert await write_one(ctx, manager, offset("NUMBER_LO"), 0x12345678) == OKAY
        before = [await read_one(ctx, manager, 4 * r.address) for r in shown]
        for strobes in range(1, 15):
            assert await write_one(ctx, manager, offset("NUMBER_LO"), 0xFFFFFFFF, strobes) == SLVERR
        assert await write_one(ctx, manager, offset("NUMBER_LO"), 0xFFFFFFFF, 0) == OKAY
        for register in REGISTERS.values():
            if register.access is Access.RO:
                assert await write_one(ctx, manager, 4 * register.address, 0xFFFFFFFF) == SLVERR, register.name
        # Also where the bits that the bank looks at name a register.
        beyond = (4 * len(REGISTERS), 0xFC, 0x100 + offset("NUMBER_LO"), 0x800 + offset("NUMBER_LO"), 0xFFC)
        for address in beyond:
            assert await write_one(ctx, manager, address, 0xFFFFFFFF) == SLVERR
            assert await read_one(ctx, manager, address) == (SLVERR, 0)
        assert [await read_one(ctx, manager, 4 * r.address) for r in shown] == before
        for register in REGISTERS.values():
            if register.access is Access.WO:
                assert await read_one(ctx, manager, 4 * register.address) == (OKAY, 0), register.name

    on_the_bus(testbench, rng)


def test_an_address_without_a_register_latches_nothing(rng: random.Random) -> None:
    async def testbench(ctx: Any, manager: Manager) -> None:
        expected = bank().component.registers.state.expected
        ctx.set(expected, 0x11_22222222)
        assert await read_one(ctx, manager, offset("EXPECTED_LO")) == (OKAY, 0x22222222)
        ctx.set(expected, 0x33_44444444)
        assert await read_one(ctx, manager, 0x400 + offset("EXPECTED_LO")) == (SLVERR, 0)
        assert await read_one(ctx, manager, offset("EXPECTED_HI")) == (OKAY, 0x11)
        assert await read_one(ctx, manager, offset("EXPECTED_LO")) == (OKAY, 0x44444444)
        assert await read_one(ctx, manager, offset("EXPECTED_HI")) == (OKAY, 0x33)

    on_the_bus(testbench, rng)


def test_a_read_behind_a_write_sees_what_was_written(rng: random.Random) -> None:
    """The next read is on the bus as soon as the write has its response: SESSION and COUNTER are slow."""

    async def testbench(ctx: Any, manager: Manager) -> None:
        registers = bank().component.registers
        for session in range(4):
            await write_one(ctx, manager, offset("SESSION"), session)
            await write_one(ctx, manager, offset("RESEND_TIMEOUT"), 1000 + session)
        counts = {}
        for session in range(4):
            for rule in (Rule.R8, Rule.R10):
                counts[session, rule] = rng.randint(1, 5)
                ctx.set(registers.counted_session, session)
                ctx.set(registers.counted_rule, rule)
                for _ in range(counts[session, rule]):
                    ctx.set(registers.counted, 1)
                    await ctx.tick()
                    ctx.set(registers.counted, 0)
                    await ctx.tick().repeat(3)
        for _ in range(20):
            session, rule = rng.randrange(4), rng.choice([Rule.R8, Rule.R10])
            await write_one(ctx, manager, offset("SESSION"), session)
            assert await read_one(ctx, manager, offset("RESEND_TIMEOUT")) == (OKAY, 1000 + session)
            await write_one(ctx, manager, offset("SESSION"), session)
            await write_one(ctx, manager, offset("COUNTER"), rule)
            assert await read_one(ctx, manager, offset("COUNTER")) == (OKAY, counts[session, rule])

    on_the_bus(testbench, rng)


def test_a_read_right_behind_a_write_waits_for_slow_registers(rng: random.Random) -> None:
    """The address of the read comes one to five cycles behind that of the write, while messages are counted."""

    async def testbench(ctx: Any, manager: Manager) -> None:
        registers = bank().component.registers
        for session in range(4):
            await write_one(ctx, manager, offset("SESSION"), session)
            await write_one(ctx, manager, offset("RESEND_TIMEOUT"), 1000 + session)
        ctx.set(registers.counted_session, 3)
        ctx.set(registers.counted_rule, Rule.R8)
        for _ in range(9):
            ctx.set(registers.counted, 1)
            await ctx.tick()
            ctx.set(registers.counted, 0)
            await ctx.tick().repeat(3)
        ctx.set(registers.counted_rule, Rule.R5)
        for delay in (1, 2, 3, 4, 5) * 4:
            for written, value, read, wanted in (
                ("SESSION", session := rng.randrange(3), "RESEND_TIMEOUT", 1000 + session),
                ("SESSION", 3, "RESEND_TIMEOUT", 1003),
                ("COUNTER", Rule.R10, "COUNTER", 0),
                ("COUNTER", Rule.R8, "COUNTER", 9),
            ):
                await read_one(ctx, manager, offset("ID"))  # so that the write is next
                manager.write(offset(written), value)
                pulse = rng.randrange(8)
                for cycle in range(LIMIT):
                    if cycle == delay:
                        manager.read(offset(read))
                    ctx.set(registers.counted, cycle % 4 == pulse)
                    await ctx.tick()
                ctx.set(registers.counted, 0)
                assert not manager.waits
                assert manager.answers["r"][-1] == (OKAY, wanted), (written, value, delay)

    on_the_bus(testbench, rng)


def test_a_read_sees_a_write_whose_response_nobody_has_taken(rng: random.Random) -> None:
    async def testbench(ctx: Any, manager: Manager) -> None:
        for value in range(1, 20):
            manager.stall = 1.0
            manager.write(offset("NUMBER_LO"), value)
            while not ctx.get(bank().component.lite.bvalid):
                await ctx.tick()
            manager.read(offset("NUMBER_LO"))
            for _ in range(LIMIT):
                await ctx.tick()
            assert ctx.get(bank().component.lite.rdata) == value
            manager.stall = 0.0
            await answered(ctx, manager)

    on_the_bus(testbench, rng)


@pytest.mark.parametrize(("pause", "stall"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.4)])
def test_one_answer_for_each_request(pause: float, stall: float, rng: random.Random) -> None:
    """Reads and writes at once, with pauses and answers that nobody takes: each is answered once, in order."""
    names = ["NUMBER_LO", "TICK_CYCLES", "RESEND_TIMEOUT", "ID", "WIDTH"]
    writes = [(rng.choice(names), rng.getrandbits(32), rng.choice([15, 15, 3])) for _ in range(40)]
    reads = [rng.choice(["ID", "WIDTH", "WINDOW"]) for _ in range(40)]
    known = {"ID": DEVICE_ID, "WIDTH": SHAPE.width, "WINDOW": SHAPE.window}

    async def testbench(ctx: Any, manager: Manager) -> None:
        for name, value, strobes in writes:
            manager.write(offset(name), value, strobes)
        for name in reads:
            manager.read(offset(name))
        await answered(ctx, manager, 4000)
        await ctx.tick().repeat(LIMIT)  # no further answer
        for name in names[:3]:
            kept = [value for written, value, strobes in writes if written == name and strobes == 15]
            if kept:
                assert await read_one(ctx, manager, offset(name)) == (OKAY, kept[-1])

    manager = on_the_bus(testbench, rng, pause=pause, stall=stall)
    wanted = [OKAY if strobes == 15 and name in names[:3] else SLVERR for name, _, strobes in writes]
    assert [response for response, _ in manager.answers["b"]] == wanted
    assert manager.answers["r"][: len(reads)] == [(OKAY, known[name]) for name in reads]


def test_neither_reads_nor_writes_starve(rng: random.Random) -> None:
    """Both without a pause: they take turns."""

    async def testbench(ctx: Any, manager: Manager) -> None:
        for value in range(30):
            manager.write(offset("NUMBER_LO"), value)
            manager.read(offset("ID"))
        for _ in range(30 * LIMIT):
            if not manager.waits:
                break
            await ctx.tick()
            assert abs(len(manager.answers["b"]) - len(manager.answers["r"])) <= 2
        assert not manager.waits

    on_the_bus(testbench, rng)


def test_an_address_waits_for_its_data_and_the_other_way_round(rng: random.Random) -> None:
    async def testbench(ctx: Any, manager: Manager) -> None:
        for first, second in (("aw", "w"), ("w", "aw")):
            manager.write(offset("NUMBER_LO"), 0xABC)
            kept, manager.queues[second] = manager.queues[second], []
            await ctx.tick().repeat(LIMIT)
            assert not manager.queues[first], "taken, though nothing else is there"
            before = len(manager.answers["b"])
            # Meanwhile reads go on.
            manager.read(offset("ID"))
            await ctx.tick().repeat(LIMIT)
            assert manager.answers["r"][-1] == (OKAY, DEVICE_ID)
            assert len(manager.answers["b"]) == before
            manager.queues[second] = kept
            await answered(ctx, manager)
            assert len(manager.answers["b"]) == before + 1

    on_the_bus(testbench, rng)


def test_no_output_of_the_bus_depends_on_an_input_at_once() -> None:
    """In each state, whatever the inputs say: READY and VALID are what they are until the next edge."""

    async def testbench(ctx: Any) -> None:
        rng = random.Random(1)
        bus = bank().component.lite
        inputs = [bus.awvalid, bus.wvalid, bus.arvalid, bus.bready, bus.rready, bus.awaddr, bus.wstrb, bus.araddr]
        outputs = [bus.awready, bus.wready, bus.arready, bus.bvalid, bus.rvalid, bus.bresp, bus.rresp, bus.rdata]
        for _ in range(300):
            seen = set()
            for _ in range(6):
                for signal in inputs:
                    ctx.set(signal, rng.getrandbits(len(signal)))
                seen.add(tuple(getattr(ctx.get(signal), "value", ctx.get(signal)) for signal in outputs))
            assert len(seen) == 1
            await ctx.tick()

    bank().run(testbench)


# -- Streams


def entry_beats(shape: Shape, rng: random.Random, count: int) -> list[dict[str, int]]:
    return [
        {
            "tdata": rng.getrandbits(8 * shape.width),
            "tkeep": rng.choice([rng.getrandbits(shape.width), (1 << shape.width) - 1, 0]),
            "tid": rng.getrandbits(shape.session_bits),
            "tlast": rng.getrandbits(1),
        }
        for _ in range(count)
    ]


def contiguous(keep: int) -> int:
    count = 0
    while keep >> count & 1:
        count += 1
    return count


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("sessions", [1, 3, 4])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_beats_with_holes(width: int, sessions: int, ends: bool, rng: random.Random) -> None:
    shape = Shape(width=width, sessions=sessions, window=8, max_message=256)
    entry = Entry(shape, ends=ends)
    beats = entry_beats(shape, rng, 300)
    sink = Sink(entry.beats, random.Random(rng.random()), stall=0.3)

    async def drive(ctx: Any) -> None:
        tick = ctx.tick().sample(entry.tready)
        for beat in beats:
            while rng.random() < 0.2:
                await tick
            for name, value in beat.items():
                ctx.set(getattr(entry, name), value)
            ctx.set(entry.tvalid, 1)
            for _ in range(100):
                _, _, ready = await tick
                if ready:
                    break
            else:
                raise AssertionError("not taken")
            ctx.set(entry.tvalid, 0)
        await ctx.tick().repeat(20)

    Simulation(entry).run(drive, background=[sink.run])
    wanted = [
        {
            "data": beat["tdata"],
            "count": contiguous(beat["tkeep"]),
            "session": beat["tid"],
            "last": beat["tlast"] if ends else 0,
        }
        for beat in beats
        if beat["tid"] < sessions and (contiguous(beat["tkeep"]) or (ends and beat["tlast"]))
    ]
    assert [plain(beat) for beat in sink.payloads] == wanted


@pytest.mark.parametrize("width", [1, 8])
def test_a_beat_costs_one_cycle_and_none_of_the_rate(width: int) -> None:
    shape = Shape(width=width, window=8, max_message=256)
    entry = Entry(shape, ends=False)
    sink = Sink(entry.beats)

    async def drive(ctx: Any) -> None:
        ctx.set(entry.tvalid, 1)
        ctx.set(entry.tkeep, (1 << width) - 1)
        for cycle in range(20):
            ctx.set(entry.tdata, cycle)
            _, _, ready = await ctx.tick().sample(entry.tready)
            assert ready
        ctx.set(entry.tvalid, 0)
        await ctx.tick().repeat(3)

    Simulation(entry).run(drive, background=[sink.run])
    assert [(beat.data, cycle) for beat, cycle in zip(sink.payloads, sink.cycles, strict=True)] == [
        (number, number + 1) for number in range(20)
    ]


def packet(width: int, header: dict[str, int], body: bytes, rng: random.Random) -> list[dict[str, int]]:
    """Beats of a packet. Those of the body may be of any size, also without bytes, and so may the last one."""
    raw = b"".join(header[name].to_bytes(size, "little") for name, size in SEND_FIELDS)
    cut = [raw[at : at + width] for at in range(0, len(raw), width)]
    at = 0
    while at < len(body):
        size = rng.choice([width, width, rng.randint(1, width)])
        cut.append(body[at : at + size])
        at += size
    if rng.random() < 0.4:
        cut.append(b"")
    return [
        {"data": int.from_bytes(piece, "little"), "count": len(piece), "last": int(index == len(cut) - 1)}
        for index, piece in enumerate(cut)
    ]


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_packets_become_messages(width: int, rng: random.Random) -> None:
    """Any size of body, ends without bytes, packets that are too short or of no session: what is right goes on."""
    shape = Shape(width=width, sessions=3, window=8, max_message=256)
    dut = SendPackets(shape)
    beats: list[dict[str, int]] = []
    wanted: list[tuple[dict[str, int], bytes]] = []
    for _ in range(60):
        header = {"msg_type": rng.getrandbits(32), "seq": rng.getrandbits(40), "replay": rng.getrandbits(1)}
        header |= {"session": rng.choice([0, 1, 2, 3, 0x100, 0xFFFF]), "reserved": rng.getrandbits(32)}
        body = bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 2, rng.randint(0, 40)])))
        if rng.random() < 0.2:  # ends within its header
            short = packet(width, header, b"", rng)[: rng.randint(1, 16 // width - 1)]
            short[-1]["last"] = 1
            beats += short
        beats += packet(width, header, body, rng)
        if header["session"] < 3:
            fields = {name: header[name] for name in ("session", "msg_type", "replay", "seq")}
            wanted.append((fields | {"body": int(bool(body))}, body))
    source = Source(dut.beats, beats, random.Random(rng.random()), pause=0.3)
    got: list[tuple[dict[str, int], bytes]] = []

    async def take(ctx: Any) -> None:
        """As the core does: a header, then its bytes."""
        dice = random.Random(7)
        while True:
            ctx.set(dut.header.ready, 1)
            valid = False
            while not valid:
                _, _, valid, header = await ctx.tick().sample(dut.header.valid, dut.header.payload)
            ctx.set(dut.header.ready, 0)
            body, more = b"", header.body
            while more:
                ready = dice.random() < 0.7
                ctx.set(dut.body.ready, ready)
                _, _, valid, beat = await ctx.tick().sample(dut.body.valid, dut.body.payload)
                if ready and valid:
                    assert beat.session == header.session
                    assert beat.count, "a beat without bytes"
                    body += beat.data.to_bytes(width, "little")[: beat.count]
                    more = not beat.last
            ctx.set(dut.body.ready, 0)
            got.append((plain(header), body))

    async def drive(ctx: Any) -> None:
        await source.run(ctx)
        await ctx.tick().repeat(60)

    Simulation(dut).run(drive, background=[take], cycles=40_000)
    assert got == wanted


# -- The whole


@pytest.mark.parametrize("width", [1, 8])
def test_ports_are_named_as_tools_expect_them(width: int) -> None:
    shape = Shape(width=width, sessions=3, window=4, max_message=64)
    core = AxiCore(shape)
    table = {port.name: port for port in ports(shape)}
    for bus in ("s_axis_rx", "m_axis_deliver", "m_axis_tx", "m_axis_records", "s_axis_send"):
        assert {f"{bus}_tdata", f"{bus}_tvalid", f"{bus}_tready", f"{bus}_tlast"} <= set(table)
        if bus != "m_axis_records":
            assert table[f"{bus}_tkeep"].width == width
        assert table[f"{bus}_tdata"].width % 8 == 0
    members = {path[0]: (member.flow, len(port)) for path, member, port in core.signature.flatten(core)}
    assert members == {name: (port.flow, port.width) for name, port in table.items()}
    # No loop, and no clock or reset but its own.
    text = rtlil.convert(core, name="top", emit_src=False)
    top = text[text.index("module \\top\n") :].split("\nend\n")[0]
    pins = {line.split()[-1] for line in top.splitlines() if " input " in line or " output " in line}
    assert pins == {f"\\{name}" for name in table}
