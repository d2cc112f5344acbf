"""Composer: whole, valid messages, the same bytes as the golden model's; numbering and priority (S1 to S4, S6)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from amaranth import Elaboratable, Module

from tag34.contract import MAX_SEQ, EventCode, Flag, RecordKind, from_bcd, to_bcd
from tag34.device import SessionConfig
from tag34_hdl.layouts import Shape
from tag34_hdl.receive.fields import BEGIN_STRING, IDENT_BITS, OURS, THEIRS
from tag34_hdl.send.composer import Composer
from tag34_sim.golden import compose
from tests.hdl.bench import Simulation, Sink, Source

WIDTHS = (1, 2, 4, 8)
MAX_MESSAGE = 512
CONFIG = SessionConfig("FIX.4.4", "TAG34", "PEER")
NOW = 1_709_251_199_123_456_789  # 2024-02-29 23:59:59.123456789
#: Cycles from a request taken to its first beat, if nothing leaves.
LATENCY = 1


def load_ident(ctx: Any, dut: Composer, session: int, region: int, text: str) -> None:
    """What the host would write byte by byte: an ident and its SOH."""
    words, width = dut.idents.store.memory.memories[0], dut.shape.width
    for index, byte in enumerate(text.encode("ascii") + b"\x01"):
        address = dut.idents.address_of(session, region, index)
        word, lane = words.data[address // width], address % width
        ctx.set(word, ctx.get(word) & ~(0xFF << 8 * lane) | byte << 8 * lane)


class Bench(Elaboratable):
    """The component and the device's cycle counter."""

    def __init__(self, width: int) -> None:
        self.dut = Composer(Shape(width=width, window=2, max_message=MAX_MESSAGE))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.sync += dut.cycle.eq(dut.cycle + 1)
        return m

    async def prepare(self, ctx: Any, config: SessionConfig = CONFIG, next_out: int = 1) -> None:
        """Cycle 0: what the host writes: idents, fraction, the time, and the next number."""
        dut = self.dut
        lengths = 0
        for region, text in ((BEGIN_STRING, config.begin_string), (OURS, config.sender), (THEIRS, config.target)):
            lengths |= len(text) << IDENT_BITS * region
            load_ident(ctx, dut, 0, region, text)
        ctx.set(dut.ident_lengths, lengths)
        ctx.set(dut.fraction, config.fraction_digits)
        set_time(ctx, dut, NOW)
        ctx.set(dut.new_next_out, to_bcd(next_out))
        ctx.set(dut.set_next_out, 1)
        await ctx.tick()
        ctx.set(dut.set_next_out, 0)


@cache
def simulation(width: int) -> Simulation:
    return Simulation(Bench(width))


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    """Bytes per beat."""
    value: int = request.param
    return value


def set_time(ctx: Any, dut: Composer, utc_ns: int) -> None:
    time = datetime(1970, 1, 1) + timedelta(seconds=utc_ns // 10**9)
    ns = f"{utc_ns % 10**9:09d}"
    parts = {"date": f"{time:%Y%m%d}", "day": f"{time:%H%M%S}", "milli": ns[:3], "micro": ns[3:6], "nano": ns[6:]}
    ctx.set(dut.time, {name: int(digits, 16) for name, digits in parts.items()})


@dataclass
class Send:
    """A message of the host; ``seq`` None: the next number."""

    msg_type: str
    body: bytes = b""
    seq: int | None = None

    def header(self) -> dict[str, int]:
        return {
            "msg_type": int.from_bytes(self.msg_type.encode(), "little"),
            "replay": self.seq is not None,
            "seq": to_bcd(self.seq or 0),
            "body": bool(self.body),
        }

    def beats(self, width: int, rng: random.Random, partial: float = 0.5) -> Iterable[dict[str, int]]:
        """Full beats, but for a share of those that are cut at random; what they have beside their bytes is random."""
        place = 0
        while place < len(self.body):
            count = min(width, len(self.body) - place)
            if rng.random() < partial:
                count = rng.randint(1, count)
            piece = self.body[place : place + count]
            place += count
            data = int.from_bytes(piece + rng.randbytes(width - count), "little")
            yield {"data": data, "count": count, "last": place == len(self.body)}


@dataclass
class Request:
    """A ResendRequest."""

    begin: int
    end: int

    def payload(self) -> dict[str, int]:
        return {"begin": to_bcd(self.begin), "end": to_bcd(self.end)}


@dataclass
class Out:
    """What came out: messages, with the cycles in which their first byte was offered and taken, and records."""

    messages: list[bytes] = field(default_factory=list)
    offered: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, tx: Sink, records: Sink, width: int) -> Out:
        out, data, begins = cls(), b"", True
        for payload, offered, taken in zip(tx.payloads, tx.offered, tx.cycles, strict=True):
            piece = payload.data.to_bytes(width, "little")[: payload.count]
            # Beats are full, but for the last, and the first if so much is not known of the message.
            short_begin = begins and width == 8 and b"\x01" in piece
            assert payload.count == width or payload.last or short_begin
            assert 1 <= payload.count <= width
            if begins:
                out.offered.append(offered)
                out.taken.append(taken)
            data += piece
            begins = bool(payload.last)
            if begins:
                out.messages.append(data)
                out.ends.append(taken)
                data = b""
        assert data == b"", "a message has an end"
        for raw in records.payloads:
            record = {name: raw[name] for name in ("code", "rule", "session", "cycle", "offset", "length", "number")}
            record |= {"kind": RecordKind(raw.kind), "flags": Flag(raw.flags), "seq": from_bcd(raw.seq)}
            record["msg_type"] = raw.msg_type.to_bytes(4, "little").rstrip(b"\0").decode()
            out.records.append(record)
        return out


@dataclass
class Stalls:
    """Shares of cycles: ``tx``, ``records``: not ready; ``inputs``, ``requests``: nothing is offered."""

    tx: float = 0.0
    records: float = 0.0
    inputs: float = 0.0
    requests: float = 0.0


NONE = Stalls()


def rtl(
    width: int,
    sends: list[Send],
    requests: list[Request],
    rng: random.Random,
    stalls: Stalls = NONE,
    *,
    config: SessionConfig = CONFIG,
    next_out: int = 1,
    told: int | None = None,
    first: int = 1,
    partial: float = 0.5,
) -> tuple[Out, list[int]]:
    """Give all to the component until it is at rest; also the cycles in which requests were taken.

    ``told``: records that are expected, one for each message if None; ``first``: cycle in which the first is given.
    """
    bench = simulation(width).component
    dut = bench.dut
    tx = Sink(dut.tx, rng, stalls.tx)
    records = Sink(dut.records, rng, stalls.records)
    told = len(sends) + len(requests) if told is None else told
    beats = [beat for send in sends for beat in send.beats(width, rng, partial)]
    limit = 20_000
    headers = Source(dut.send_header, [send.header() for send in sends], rng, stalls.inputs, start=first, limit=limit)
    bodies = Source(dut.send_body, beats, rng, stalls.inputs, start=first, limit=limit)
    asked = Source(
        dut.request, [request.payload() for request in requests], rng, stalls.requests, start=first, limit=limit
    )

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx, config, next_out)
        while len(records.payloads) < told or not ctx.get(dut.idle):
            await ctx.tick()
        await ctx.tick().repeat(20)  # nothing follows
        assert ctx.get(dut.idle)

    background = [tx.run, records.run]
    simulation(width).run(testbench, headers.run, bodies.run, asked.run, background=background, cycles=60_000)
    assert len(records.payloads) == told
    return Out.of(tx, records, width), asked.taken


def check(
    out: Out, sends: list[Send], requests: list[Request], config: SessionConfig = CONFIG, next_out: int = 1
) -> list[bool]:
    """Compare what left with what the golden model composes; for each message, whether it was a request."""
    left, asked = iter(sends), iter(requests)
    order = []
    for message, offered, record in zip(out.messages, out.offered, out.records, strict=True):
        device = Flag.DEVICE in record["flags"]
        order.append(device)
        flags = Flag.SEQ
        if device:
            request = next(asked)
            send = Send("2", b"7=%d\x0116=%d\x01" % (request.begin, request.end))
            flags |= Flag.DEVICE
        else:
            send = next(left)
        seq = send.seq
        if seq is None:
            seq = next_out
            next_out += 1
        else:
            flags |= Flag.REPLAY
        assert message == compose(config, send.msg_type, seq, NOW, send.body)
        expected = {"kind": RecordKind.SENT, "seq": seq, "msg_type": send.msg_type, "flags": flags, "cycle": offered}
        assert record == {**dict.fromkeys(record, 0), **expected}
    assert (next(left, None), next(asked, None)) == (None, None), "all have left"
    return order


def random_send(rng: random.Random, longest: int = 300) -> Send:
    size = rng.choice((0, 0, 2, 3, 20, rng.randint(2, longest)))
    body = b"5=" + rng.randbytes(size - 3) + b"\x01" if size > 2 else b"\x01" * size
    seq = rng.randint(1, 10 ** rng.randint(1, 9)) if rng.random() < 0.3 else None
    return Send("".join(rng.choices("ADj8", k=rng.randint(1, 4))), body, seq)


def random_config(rng: random.Random) -> SessionConfig:
    def name() -> str:
        return "".join(rng.choices("ABab09.-_ ", k=rng.choice((1, 2, 7, 62, 63, rng.randint(1, 63)))))

    begin = "FIX" + name()[: rng.choice((0, 4, 60))]
    return SessionConfig(begin, name(), name(), fraction=rng.choice((0, 3, 6, 9)))


STALLS = [NONE, Stalls(tx=0.6), Stalls(records=0.9), Stalls(inputs=0.7, requests=0.9), Stalls(0.3, 0.3, 0.3, 0.99)]


@pytest.mark.rule("S1")
@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_S1_messages_are_those_of_the_model(width: int, stalls: Stalls, rng: random.Random) -> None:
    config, next_out = random_config(rng), rng.randint(1, 10 ** rng.randint(1, 9))
    sends = [random_send(rng) for _ in range(4)]
    requests = [Request(rng.randint(1, 10 ** rng.randint(1, 9)), rng.choice((0, 7, 999999, MAX_SEQ))) for _ in range(2)]
    out, _ = rtl(width, sends, requests, rng, stalls, config=config, next_out=next_out)
    check(out, sends, requests, config, next_out)


@pytest.mark.rule("S5")
@pytest.mark.parametrize("fraction", [0, 3, 6, 9])
def test_S5_the_fraction_of_52(width: int, fraction: int, rng: random.Random) -> None:
    config = SessionConfig("FIX.4.2", "US", "YOU", fraction=fraction)
    out, _ = rtl(width, [Send("0")], [], rng, config=config)
    check(out, [Send("0")], [], config)
    assert b"\x0152=" + b"20240229-23:59:59.123456789"[: 18 + fraction if fraction else 17] + b"\x01" in out.messages[0]


@pytest.mark.rule("S2")
@pytest.mark.parametrize("digits", range(1, 11))
def test_S2_numbers_have_no_leading_zeros(width: int, digits: int, rng: random.Random) -> None:
    low, high = 10 ** (digits - 1), min(10**digits - 1, MAX_SEQ)
    sends = [Send("0"), Send("D", b"58=x\x01", seq=low), Send("D", b"58=x\x01", seq=high)]
    requests = [Request(low, high), Request(high, low)]
    out, _ = rtl(width, sends, requests, rng, next_out=high - 2)
    check(out, sends, requests, next_out=high - 2)


@pytest.mark.rule("S1")
def test_S1_every_length_and_sum(width: int, rng: random.Random) -> None:
    """BodyLength of 2 and 3 digits, CheckSum over its whole range."""
    sends = [Send("0", b"58=" + b"x" * n + b"\x01") for n in (*range(14, 24), 400)]
    out, _ = rtl(width, sends, [], rng)
    check(out, sends, [])


@pytest.mark.rule("S3")
def test_S3_a_request_goes_before_waiting_messages_and_between_two(width: int, rng: random.Random) -> None:
    sends = [Send("D", b"58=" + b"x" * rng.randint(1, 60) + b"\x01") for _ in range(12)]
    requests = [Request(n, 0) for n in range(1, 7)]
    out, asked = rtl(width, sends, requests, rng, Stalls(tx=0.2, requests=0.997))
    order = check(out, sends, requests)
    assert True in order[1:-6], "some were asked for in the midst of it"
    starts = [start for start, device in zip(out.offered, order, strict=True) if device]
    for cycle, start in zip(asked, starts, strict=True):
        # What leaves when the request is taken may end. Nothing else begins.
        between = [begin for begin in out.offered if cycle < begin < start]
        assert between == []


@pytest.mark.rule("S3")
def test_a_request_that_waits_holds_back_the_next_one(width: int, rng: random.Random) -> None:
    requests = [Request(1, 0), Request(2, 0), Request(3, 0)]
    out, asked = rtl(width, [], requests, rng)
    assert check(out, [], requests) == [True] * 3
    assert asked[1] >= asked[0] + 1
    assert asked[2] > out.taken[0], "one leaves, one waits"


@pytest.mark.parametrize("request_", [Request(12, 0), Request(MAX_SEQ, MAX_SEQ), Request(1, 999999)], ids=str)
def test_the_first_byte_of_a_request_is_offered_soon(width: int, request_: Request, rng: random.Random) -> None:
    out, (asked,) = rtl(width, [], [request_], rng, first=20)
    check(out, [], [request_])
    assert out.offered[0] - asked == LATENCY


@pytest.mark.rule("S2")
def test_S2_the_number_is_used_up_when_the_first_byte_is_taken(width: int) -> None:
    bench = simulation(width).component
    dut = bench.dut

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx, next_out=41)
        ctx.set(dut.send_header.payload, Send("0").header())
        ctx.set(dut.send_header.valid, 1)
        await ctx.tick()
        ctx.set(dut.send_header.valid, 0)
        await ctx.tick()
        for _ in range(30):
            assert from_bcd(ctx.get(dut.next_out)) == 41
            assert not ctx.get(dut.records.valid)
            await ctx.tick()
        assert ctx.get(dut.tx.valid)
        ctx.set(dut.tx.ready, 1)
        await ctx.tick().repeat(2)
        assert from_bcd(ctx.get(dut.next_out)) == 42
        for _ in range(5):
            if ctx.get(dut.records.valid):
                break
            await ctx.tick()
        assert from_bcd(ctx.get(dut.records.payload).seq) == 41

    simulation(width).run(testbench)


@pytest.mark.rule("S5")
def test_S5_the_time_is_that_of_the_start_and_whole(width: int, rng: random.Random) -> None:
    """The clock goes on while the message leaves; 52 shows one moment, not a mixture of several."""
    bench = simulation(width).component
    config = SessionConfig("FIX.4.4", "A", "B", fraction=9)
    dut = bench.dut
    tx = Sink(dut.tx, rng, 0.3)
    header = Source(dut.send_header, [Send("0").header()], start=5)
    step = 123_456_789_123

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx, config)
        cycle = 1
        while not (tx.payloads and tx.payloads[-1].last):
            set_time(ctx, dut, NOW + cycle * step)
            await ctx.tick()
            cycle += 1

    simulation(width).run(testbench, header.run, background=[tx.run])
    message = b"".join(p.data.to_bytes(width, "little")[: p.count] for p in tx.payloads)
    moments = [compose(config, "0", 1, NOW + cycle * step, b"") for cycle in range(5, tx.offered[0] + 1)]
    assert message in moments


@pytest.mark.rule("R15", "S6")
@pytest.mark.parametrize("behind", [False, True])
def test_S6_a_request_that_has_not_begun_is_dropped_by_a_new_connection(width: int, behind: bool) -> None:
    """``clear`` comes while nobody takes a byte, some cycles after the request, or (``behind``) after the end of a
    message that it waited for. Then the peer reads again, and the next message is whole."""
    bench = simulation(width).component
    dut = bench.dut
    tx, records = Sink(dut.tx, may_withdraw=dut.clear), Sink(dut.records)
    before, after = Send("8"), Send("0")
    sends = []

    async def wait(ctx: Any, cycles: int) -> None:
        for _ in range(cycles):
            await ctx.tick()

    async def give(ctx: Any, stream: Any, payload: dict[str, int]) -> None:
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        assert ctx.get(stream.ready)
        await ctx.tick()
        ctx.set(stream.valid, 0)

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx)
        for waiting in range(12):
            await wait(ctx, 10)
            if behind:
                sends.append(before)
                await give(ctx, dut.send_header, before.header())
                await wait(ctx, 20)
            tx.stall = 0.0 if behind else 1.0
            await give(ctx, dut.request, Request(5, 0).payload())
            while not tx.stall:
                ends = ctx.get(dut.tx.valid) and ctx.get(dut.tx.payload).last
                await ctx.tick()
                tx.stall = 1.0 if ends else 0.0
            await wait(ctx, waiting)
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            await wait(ctx, 10)
            assert ctx.get(dut.idle), f"cleared after {waiting} cycles"
            assert not ctx.get(dut.tx.valid)
            tx.stall = 0.0
            sends.append(after)
            await give(ctx, dut.send_header, after.header())
            while not ctx.get(dut.idle):
                await ctx.tick()

    simulation(width).run(testbench, background=[records.run, tx.run])
    check(Out.of(tx, records, width), sends, [])


@pytest.mark.rule("S6")
def test_S6_what_has_begun_leaves_whole(width: int, rng: random.Random) -> None:
    """A request whose first byte was taken goes on, a host message in any case."""
    bench = simulation(width).component
    dut = bench.dut
    tx, records = Sink(dut.tx, rng, 0.5), Sink(dut.records)
    all_requests = [Request(n, 0) for n in range(1, 30)]
    all_sends = [random_send(rng, 60) for _ in range(12)]
    requests = Source(dut.request, [request.payload() for request in all_requests], rng, 0.99, start=1, limit=5000)
    headers = Source(dut.send_header, [send.header() for send in all_sends], rng, 0.99, start=1, limit=5000)
    bodies = Source(dut.send_body, [beat for send in all_sends for beat in send.beats(width, rng)], start=1, limit=5000)
    begun: list[int] = []

    async def clearing(ctx: Any) -> None:
        """A clear now and then; never while an offered byte could be withdrawn by it, as another test shows that."""
        while True:
            first = not tx.payloads or tx.payloads[-1].last
            clear = rng.random() < 0.05 and not (first and ctx.get(dut.tx.valid))
            ctx.set(dut.clear, clear)
            await ctx.tick()
            begun.append(clear)

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx)
        while len(requests.taken) < len(all_requests) or len(headers.taken) < len(all_sends) or not ctx.get(dut.idle):
            await ctx.tick()

    background = [tx.run, records.run, clearing]
    testbenches = [testbench, requests.run, headers.run, bodies.run]
    simulation(width).run(*testbenches, background=background, cycles=30_000)
    out = Out.of(tx, records, width)
    left = [int(message.split(b"\x017=")[1].split(b"\x01")[0]) for message in out.messages if b"\x017=" in message]
    assert 0 < len(left) < len(all_requests), "some were dropped, some not"
    check(out, all_sends, [Request(n, 0) for n in left])


def test_a_body_that_is_too_long_is_dropped_and_told(width: int, rng: random.Random) -> None:
    long = MAX_MESSAGE
    sends = [
        Send("0"),
        Send("D", b"x" * (long + 1)),
        Send("1"),
        Send("D", b"x" * (3 * long), seq=9),
        Send("3", b"58=x\x01"),
    ]
    out, _ = rtl(width, sends, [], rng)
    events = [record for record in out.records if record["kind"] is RecordKind.EVENT]
    out.records = [record for record in out.records if record["kind"] is RecordKind.SENT]
    check(out, [sends[0], sends[2], sends[4]], [])
    assert [(event["code"], event["flags"]) for event in events] == [(EventCode.SEND_DROPPED, 0)] * 2


@pytest.mark.rule("S2")
def test_S2_without_a_number_nothing_but_a_replay_leaves(width: int, rng: random.Random) -> None:
    sends = [Send("0"), Send("1"), Send("D", b"58=x\x01", seq=MAX_SEQ), Send("D")]
    out, _ = rtl(width, sends, [], rng, next_out=MAX_SEQ, told=4)
    events = [record["code"] for record in out.records if record["kind"] is RecordKind.EVENT]
    out.records = [record for record in out.records if record["kind"] is RecordKind.SENT]
    check(out, [sends[0], sends[2]], [], next_out=MAX_SEQ)
    assert events == [EventCode.SEND_DROPPED] * 2


@pytest.mark.rule("S2")
def test_S2_without_a_number_a_request_is_gone(width: int, rng: random.Random) -> None:
    requests = [Request(1, 0), Request(2, 0)]
    out, _ = rtl(width, [], requests, rng, next_out=MAX_SEQ, told=1)
    check(out, [], requests[:1], next_out=MAX_SEQ)
