"""Link: packets in and out, around a core that is easy to see through."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import pytest
from amaranth import Elaboratable, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import RECORD_BYTES
from tag34.contract.link import (
    DELIVER,
    INFO_BYTES,
    LAST,
    SENT,
    Answer,
    PacketFlag,
    PacketKind,
    Request,
)
from tag34_hdl.layouts import Record, Shape
from tag34_hdl.link.link import Link
from tag34_hdl.link.packet import LinkInfo
from tag34_hdl.registers import ADDRESS_BITS
from tests.hdl.bench import Simulation
from tests.hdl.link.packets import Packet, request

TIMEOUT = 8192
INFO = LinkInfo(board="bench", build_id=b"12345678")


class Echo(wiring.Component):
    """A core's members: what is received is delivered, what is to be sent is sent, each header and each write makes a
    record, and a register says what was written last and at which address."""

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "rx": In(stream.Signature(shape.beat)),
                "deliver": Out(stream.Signature(shape.beat)),
                "tx": Out(stream.Signature(shape.beat)),
                "records": Out(stream.Signature(Record)),
                "send_header": In(stream.Signature(shape.send_header)),
                "send_body": In(stream.Signature(shape.beat)),
                "address": In(ADDRESS_BITS),
                "write": In(1),
                "write_data": In(32),
                "read": In(1),
                "read_data": Out(32),
                "ready": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        for name in ("rx", "send_body"):
            source, target = getattr(self, name), getattr(self, "deliver" if name == "rx" else "tx")
            m.d.comb += [
                target.valid.eq(source.valid),
                source.ready.eq(target.ready),
                target.payload.eq(source.payload),
            ]
        last = Signal(16)
        m.d.comb += self.deliver.payload.last.eq(
            self.rx.payload.data.word_select((self.rx.payload.count - 1)[: len(self.rx.payload.count)], 8) == ord("!")
        )
        with m.If(self.write):
            m.d.sync += last.eq(self.write_data)
        m.d.sync += self.read_data.eq(last | self.address << 24)
        m.d.comb += self.ready.eq(1)
        m.d.comb += [
            self.records.valid.eq(self.send_header.valid),
            self.send_header.ready.eq(self.records.ready),
            self.records.payload.seq.eq(self.send_header.payload.seq),
            self.records.payload.msg_type.eq(self.send_header.payload.msg_type),
            self.records.payload.session.eq(self.send_header.payload.session),
            self.records.payload.kind.eq(2),
            self.records.payload.cycle.eq(0x123456789ABC),
            self.idle.eq(~(self.records.valid | self.deliver.valid | self.tx.valid)),
        ]
        return m


SHAPES = {width: Shape(width=width, sessions=3, window=4, max_message=256) for width in (1, 4)}


@cache
def simulation(width: int) -> Simulation:
    shape = SHAPES[width]
    return Simulation(Link(shape, info=INFO, timeout_cycles=TIMEOUT, core=Echo(shape)))


class Host:
    """Packets to and from the link, one by one."""

    def __init__(self, ctx: Any, link: Any):
        self.ctx, self.link = ctx, link
        self.token = 0
        self.challenge = 0
        self.unfinished = bytearray()
        self.came: list[Packet] = []
        self.rng = random.Random(34)
        self.stall = 0.0  # share of the cycles in which nothing is taken
        self.ready = True
        ctx.set(link.outbound.ready, 1)

    async def cycle(self) -> bool:
        """One cycle; what leaves is kept. True if what is offered was taken."""
        link = self.link
        _, _, taken, valid, payload = await self.ctx.tick().sample(
            link.inbound.ready, link.outbound.valid, link.outbound.payload
        )
        if valid and self.ready:
            self.unfinished.append(payload.data)
            if payload.last:
                self.came.append(Packet.decode(bytes(self.unfinished)))
                self.unfinished.clear()
        ready = not (self.stall and self.rng.random() < self.stall)
        if ready is not self.ready:
            self.ctx.set(link.outbound.ready, ready)
            self.ready = ready
        return bool(taken)

    async def put(self, data: bytes) -> None:
        for at, byte in enumerate(data):
            self.ctx.set(self.link.inbound.payload, {"data": byte, "last": at == len(data) - 1})
            self.ctx.set(self.link.inbound.valid, 1)
            for _ in range(5000):
                if await self.cycle():
                    break
            else:
                raise AssertionError("a byte was not taken within 5000 cycles")
        self.ctx.set(self.link.inbound.valid, 0)

    async def take(self, cycles: int = 12_000) -> Packet:
        """The next packet."""
        for _ in range(cycles):
            if self.came:
                return self.came.pop(0)
            await self.cycle()
        raise AssertionError(f"no packet within {cycles} cycles")

    async def silence(self, cycles: int = 3000) -> None:
        for _ in range(cycles):
            await self.cycle()
        assert self.came == []
        assert not self.unfinished

    async def ask(self, packet: Packet) -> Packet:
        await self.put(packet.encode())
        return await self.take()

    async def open(self, token: int = 0xABCD1234) -> Packet:
        """Probe and open."""
        self.challenge = (await self.ask(Packet(PacketKind.PROBE))).seq
        self.token = token
        return await self.ask(Packet(PacketKind.OPEN, token=token, seq=self.challenge))

    def data(self, payload: bytes = b"", *, seq: int = 0, ack: int = 0, window: int = 400, flags: int = 0) -> Packet:
        return Packet(PacketKind.DATA, flags, window, self.token, seq, ack, payload)

    async def answers(self, size: int, ack: int = 0) -> bytes:
        """So many bytes of the answers from ``ack`` on, however they are cut."""
        got = b""
        while len(got) < size:
            packet = await self.take()
            assert packet.kind == PacketKind.DATA
            if packet.payload:
                assert packet.seq == ack + len(got)
                got += packet.payload
        assert len(got) == size
        return got


def scenario(
    width: int = 1, cycles: int = 120_000
) -> Callable[[Callable[[Host], Awaitable[None]]], Callable[[], None]]:
    """Runs a test with a host at a link that was just reset."""

    def decorate(test: Callable[[Host], Awaitable[None]]) -> Callable[[], None]:
        def run() -> None:
            async def testbench(ctx: Any) -> None:
                await test(Host(ctx, simulation(width).component))

            simulation(width).run(testbench, cycles=cycles)

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


SETTLE = request(Request.SETTLE)
SETTLED = bytes([Answer.SETTLED])


@scenario()
async def test_probe(host: Host) -> None:
    """INFO has the constants, a challenge that stays, and no token, in each version; nothing else happens."""
    first = await host.ask(Packet(PacketKind.PROBE, token=7, seq=8, ack=9, window=10))
    assert (first.kind, first.token, len(first.payload)) == (PacketKind.INFO, 0, INFO_BYTES)
    assert first.payload == INFO.payload(SHAPES[1])
    assert first.seq != 0
    again = await host.ask(Packet(PacketKind.PROBE, version=9))
    assert again == first
    await host.silence()


@scenario()
async def test_open(host: Host) -> None:
    """With the challenge a link session begins, with the token it goes on, with another challenge nothing happens."""
    answer = await host.open()
    assert answer == Packet(PacketKind.DATA, window=507, token=host.token)
    assert await host.ask(Packet(PacketKind.OPEN, token=host.token, seq=host.challenge)) == answer
    assert await host.ask(Packet(PacketKind.OPEN, token=host.token, seq=5)) == answer
    info = await host.ask(Packet(PacketKind.OPEN, token=99, seq=host.challenge))
    assert (info.kind, info.token) == (PacketKind.INFO, host.token)
    assert info.seq != host.challenge
    # Something under way of the old session is not of the new one.
    await host.put(host.data(SETTLE).encode())
    assert await host.answers(1) == SETTLED
    assert (await host.ask(Packet(PacketKind.OPEN, token=99, seq=info.seq))).token == 99
    host.token, old = 99, host.token
    await host.put(host.data(SETTLE).encode())
    assert await host.answers(1) == SETTLED
    refused = await host.ask(Packet(PacketKind.DATA, token=old))
    assert refused == Packet(PacketKind.REFUSED, token=old)


@scenario()
async def test_open_needs_a_challenge(host: Host) -> None:
    """Before the first packet there is none that is right, and a token of 0 is none."""
    info = await host.ask(Packet(PacketKind.OPEN, token=5, seq=0))
    assert info.kind == PacketKind.INFO
    await host.put(Packet(PacketKind.OPEN, token=0, seq=info.seq).encode())
    await host.silence()


@scenario()
async def test_what_does_not_count(host: Host) -> None:
    """Damage, other versions, other lengths: not a word."""
    await host.open()
    good = host.data(SETTLE).encode()
    for bad in (
        Packet(PacketKind.DATA, token=host.token, payload=SETTLE, damage=1).encode(),
        Packet(PacketKind.DATA, token=host.token, payload=SETTLE, damage=1 << 31).encode(),
        Packet(PacketKind.DATA, token=host.token, payload=SETTLE, version=2).encode(),
        Packet(PacketKind.OPEN, token=1, version=2).encode(),
        Packet(PacketKind.INFO, token=host.token).encode(),
        Packet(9, token=host.token).encode(),
        Packet(PacketKind.PROBE, payload=bytes(237)).encode(),
        Packet(PacketKind.PROBE, payload=bytes(300)).encode(),
        Packet(PacketKind.PROBE, payload=bytes(600)).encode(),
        good[:-1],
        good[1:],
        good + b"\0",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\1",
    ):
        await host.put(bad)
        await host.silence(700)
    await host.put(good)
    assert await host.answers(1) == SETTLED


@scenario()
async def test_longest_packet(host: Host) -> None:
    """256 bytes are taken, and as many come."""
    await host.open()
    settles = SETTLE * 236
    await host.put(host.data(settles).encode())
    assert await host.answers(236) == SETTLED * 236
    await host.put(host.data(settles, seq=236, ack=236).encode())
    assert await host.answers(236, 236) == SETTLED * 236


@scenario()
async def test_order_of_requests(host: Host) -> None:
    """A piece comes again, cut otherwise, comes too early, comes: each byte is taken once, GO_BACK is said once."""
    await host.open()
    requests = b"".join(
        request(Request.WRITE, address=at, value=at) + request(Request.READ, address=at) for at in range(6)
    )
    early = await host.ask(host.data(requests[20:40], seq=20))
    assert (early.ack, early.goes_back) == (0, True)
    early = await host.ask(host.data(requests[20:40], seq=20))
    assert (early.ack, early.goes_back) == (0, False)
    await host.put(host.data(requests[:30]).encode())
    expected = b"".join(bytes([Answer.VALUE]) + (at | at << 24).to_bytes(4, "little") for at in range(6))
    assert (await host.answers(15))[:15] == expected[:15]
    # The first bytes of this one are there: it is dropped, but it tells so.
    old = await host.ask(host.data(requests[20:40], seq=20, ack=15))
    assert (old.ack, old.goes_back) == (30, False)
    early = await host.ask(host.data(requests[40:], seq=40, ack=15))
    assert (early.ack, early.goes_back) == (30, True)
    await host.put(host.data(requests[30:], seq=30, ack=15).encode())
    assert await host.answers(15, 15) == expected[15:]
    asked = await host.ask(host.data(seq=48, ack=30, flags=PacketFlag.ASK))
    assert (asked.ack, asked.seq, asked.payload) == (48, 30, b"")
    await host.put(host.data(seq=48, ack=30).encode())
    await host.silence(2 * TIMEOUT + 2000)


@scenario()
async def test_lost_answers(host: Host) -> None:
    """They come again when the timer has run out, and at once with GO_BACK; what is acknowledged does not."""
    await host.open()
    await host.put(host.data(SETTLE * 5).encode())
    assert await host.answers(5) == SETTLED * 5
    for _ in range(2):
        again = await host.take(2 * TIMEOUT + 3000)
        while not again.payload:
            again = await host.take(2 * TIMEOUT + 3000)
        assert (again.seq, again.payload) == (0, SETTLED * 5)
    again = await host.ask(host.data(seq=5, ack=2, flags=PacketFlag.GO_BACK))
    assert (again.seq, again.payload) == (2, SETTLED * 3)
    # An old packet says nothing of acknowledgements, one ahead of what was sent neither.
    for ack in (0, 1, 6, 2 + (1 << 16), 1 << 31):
        await host.put(host.data(seq=5, ack=ack, flags=PacketFlag.GO_BACK).encode())
        await host.silence(600)
    again = await host.ask(host.data(seq=5, ack=4, flags=PacketFlag.GO_BACK))
    assert (again.seq, again.payload) == (4, SETTLED)
    await host.put(host.data(seq=5, ack=5).encode())
    await host.silence(2 * TIMEOUT + 2000)


@scenario()
async def test_acknowledged_beyond_what_is_sent_again(host: Host) -> None:
    """The bytes that were said to be lost come before they are sent again: what follows them is sent at once."""
    await host.open()
    await host.put(host.data(SETTLE * 5).encode())
    assert await host.answers(5) == SETTLED * 5
    again = await host.ask(host.data(seq=5, window=1, flags=PacketFlag.GO_BACK))
    assert (again.seq, again.payload) == (0, SETTLED)
    again = await host.ask(host.data(seq=5, ack=4))
    assert (again.seq, again.payload) == (4, SETTLED)


@scenario()
async def test_window(host: Host) -> None:
    """No more than the host has room for; without room the device asks, when its timer has run out."""
    await host.open()
    first = await host.ask(host.data(SETTLE * 9, window=0))
    assert (first.payload, first.ack) == (b"", 9)
    asking = await host.take(2 * TIMEOUT + 3000)
    assert (asking.payload, asking.asks) == (b"", True)
    assert (await host.ask(host.data(seq=9, window=2, flags=PacketFlag.ASK))).payload == SETTLED * 2
    await host.silence(TIMEOUT // 2)
    assert (await host.ask(host.data(seq=9, ack=1, window=3))).payload == SETTLED * 2
    assert (await host.ask(host.data(seq=9, ack=4, window=60000))).payload == SETTLED * 5
    await host.put(host.data(seq=9, ack=9).encode())
    await host.silence(TIMEOUT)


@scenario()
async def test_host_that_takes_nothing(host: Host) -> None:
    """The answers' ring fills, then that of the requests; when the host takes again, everything is there."""
    await host.open()
    sent, seq = b"", 0
    window = 507
    while window >= 105:
        assert seq < 1200
        data = bytes([65 + len(sent) // 100]) * 99 + b"!"
        packet = await host.ask(host.data(request(Request.RECEIVE, data), seq=seq, window=0, flags=PacketFlag.ASK))
        while packet.ack != seq + 105:
            packet = await host.take()
        seq, window = packet.ack, packet.window
        sent += data
    # One byte more than there is room for is not taken, nor any of the others; as many as there is room for are.
    data = bytes([65 + len(sent) // 100]) * (window - 6) + b"!"
    more = await host.ask(host.data(request(Request.RECEIVE, data + b"?"), seq=seq, window=0))
    assert (more.ack, more.window, more.goes_back) == (seq, window, False)
    more = await host.ask(host.data(request(Request.RECEIVE, data), seq=seq, window=0))
    assert (more.ack, more.window) == (seq + window, 0)
    seq, sent = more.ack, sent + data
    got = b""
    for _ in range(20):
        await host.put(host.data(seq=seq, ack=len(got), window=100, flags=PacketFlag.ASK).encode())
        packet = await host.take(2 * TIMEOUT)
        if packet.seq == len(got):
            got += packet.payload
        if b"".join(pieces(got)) == sent:
            break
    assert b"".join(pieces(got)) == sent
    assert packet.window == 507


def pieces(answers: bytes) -> list[bytes]:
    """The bytes of whole pieces."""
    found, at = [], 0
    while at < len(answers):
        size = (answers[at] & 31) + 1
        if at + 3 + size > len(answers):
            break
        found.append(answers[at + 3 : at + 3 + size])
        at += 3 + size
    return found


@scenario()
async def test_close(host: Host) -> None:
    """The device says nothing of its own accord any more; of another token it means nothing."""
    await host.open()
    await host.put(host.data(SETTLE, window=0).encode())
    await host.take()
    await host.put(Packet(PacketKind.CLOSE, token=host.token + 1).encode())
    asking = await host.take(2 * TIMEOUT + 3000)
    assert asking.asks
    await host.put(Packet(PacketKind.CLOSE, token=host.token).encode())
    await host.silence(3 * TIMEOUT)
    assert (await host.ask(host.data())).kind == PacketKind.REFUSED
    assert (await host.ask(Packet(PacketKind.PROBE))).token == 0
    await host.put(Packet(PacketKind.CLOSE, token=host.token).encode())
    await host.silence()


@pytest.mark.parametrize("code", [0, 6, 7, 8, 255])
def test_unknown_request(code: int) -> None:
    """The link session is forgotten; another one is as good as ever."""

    @scenario()
    async def run(host: Host) -> None:
        await host.open()
        await host.put(host.data(bytes([code])).encode())
        for _ in range(600):
            await host.cycle()
        host.came.clear()  # it may have been acknowledged
        for _ in range(2):
            packet = await host.ask(host.data(seq=1, flags=PacketFlag.ASK))
        assert packet == Packet(PacketKind.REFUSED, token=host.token)
        await host.open(token=3)
        await host.put(host.data(SETTLE).encode())
        assert await host.answers(1) == SETTLED

    run()


@pytest.mark.parametrize(("width", "stall"), [(1, 0.0), (4, 0.0), (1, 0.97)])
def test_requests_and_answers(width: int, stall: float) -> None:
    """Each request does what it says, in order; pieces end with their messages."""

    @scenario(width)
    async def run(host: Host) -> None:
        host.stall = stall
        await host.open()
        message = bytes(range(34, 110))
        requests = (
            request(Request.WRITE, address=17, value=0x1234)
            + request(Request.READ, address=5)
            + request(Request.RECEIVE, b"abc!", session=2)
            + request(Request.SEND, message, session=1, msg_type=0x44332211, replay=1, seq=0x9876543210)
            + request(Request.SEND, session=2, msg_type=0x41)
            + SETTLE
        )
        record = {1: (0x44332211, 0x9876543210), 2: (0x41, 0)}
        expected = [bytes([Answer.VALUE]) + (0x1234 | 5 << 24).to_bytes(4, "little")]
        expected.append(bytes([DELIVER | LAST | 3, 2, 0]) + b"abc!")
        for session, (msg_type, seq) in record.items():
            value = 2 | session << 24 | msg_type << 40 | seq << 72 | 0x123456789ABC << 8 * (RECORD_BYTES - 6)
            expected.append(bytes([Answer.RECORD]) + value.to_bytes(RECORD_BYTES, "little"))
            if session == 1:
                for at in range(0, len(message), 32):
                    part = message[at : at + 32]
                    last = LAST if at + 32 >= len(message) else 0
                    expected.append(bytes([SENT | last | len(part) - 1, 1, 0]) + part)
        expected.append(SETTLED)
        await host.put(host.data(requests).encode())
        assert await host.answers(len(b"".join(expected))) == b"".join(expected)

    run()
