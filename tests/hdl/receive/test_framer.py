"""Framer: the same messages as the golden model's, from the same bytes, whatever stalls."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from tag34_hdl.layouts import Shape
from tag34_hdl.receive.framer import Framer
from tag34_sim.golden import Frame, FrameKind
from tag34_sim.golden import Framer as Golden
from tag34_sim.messages import Peer, checksummed, damaged_checksum, flipped, frame, truncated
from tag34_sim.traffic import Traffic
from tests.hdl.bench import Simulation

START = b"8=FIX"
SOH = b"\x01"
PEER = Peer("FIX.4.2", "A", "B")


@cache
def simulation(max_message: int) -> Simulation:
    return Simulation(Framer(Shape(window=2, max_message=max_message)))


@dataclass
class Seen:
    """One frame as the component reported it.

    Members: ``garbled``, ``offset``, ``length`` as reported; ``oversize`` beside it; ``proved``, place in the stream
    of the byte that was taken in the reported cycle; ``delay``, cycles from then to its first offer; ``writes``,
    ``begin``, ``body``: what came out since the message began; ``lasts``, bytes of the body when ``last`` was shown.
    """

    garbled: bool
    offset: int
    length: int
    oversize: bool
    proved: int
    delay: int
    writes: list[tuple[int, int]]
    begin: bytes
    body: bytes
    lasts: list[int]


@dataclass
class Stalls:
    """Shares of cycles: ``pause``, no byte is offered; ``frame``, a frame is not taken; ``slot``, there is no slot."""

    pause: float = 0.0
    frame: float = 0.0
    slot: float = 0.0


NONE = Stalls()
SOME = [NONE, Stalls(pause=0.5), Stalls(frame=0.8), Stalls(slot=0.5), Stalls(0.3, 0.5, 0.3)]


@dataclass
class Run:
    """What became of a stream: frames, counters at the end, the cycle in which each byte was taken."""

    frames: list[Seen] = field(default_factory=list)
    counters: tuple[int, int, int] = (0, 0, 0)
    taken: list[int] = field(default_factory=list)


def rtl(streams: list[bytes], max_message: int, rng: random.Random, stalls: Stalls = NONE) -> list[Run]:
    """Feed each stream as a connection of its own: the component is cleared between two."""
    dut = simulation(max_message).component
    runs: list[Run] = []

    async def testbench(ctx: Any) -> None:
        tick = ctx.tick().sample(
            dut.rx.ready, dut.frame.valid, dut.frame.payload, dut.oversize, dut.byte_valid, dut.byte,
            dut.write, dut.write_offset, dut.write_data,
        )  # fmt: skip
        cycle = 0
        for data in streams:
            run = Run()
            runs.append(run)
            writes: list[tuple[int, int]] = []
            begin, body = bytearray(), bytearray()
            lasts: list[int] = []
            waiting, quiet, offered = None, 0, False
            # Behind the last byte: what is on its way comes out.
            while len(run.taken) < len(data) or quiet < 8:
                at = len(run.taken)
                offered = at < len(data) and (offered or rng.random() >= stalls.pause)
                ctx.set(dut.rx.valid, offered)
                if offered:
                    ctx.set(dut.rx.payload, {"data": data[at], "count": 1})
                ready, has_slot = rng.random() >= stalls.frame, rng.random() >= stalls.slot
                ctx.set(dut.frame.ready, ready)
                ctx.set(dut.has_slot, has_slot)
                ctx.set(dut.cycle, cycle)
                _, _, rx_ready, valid, payload, oversize, byte_valid, byte, write, offset, written = await tick
                quiet = 0 if valid or at < len(data) else quiet + 1
                if byte_valid:
                    if byte.start:
                        writes, begin, body, lasts = [], bytearray(), bytearray(), []
                    if byte.begin:
                        begin.append(byte.data)
                    if byte.body:
                        body.append(byte.data)
                    if byte.last:
                        lasts.append(len(body))
                if write:
                    writes.append((offset, written))
                if offered and rx_ready:
                    run.taken.append(cycle)
                    offered = False
                if waiting is not None:
                    assert valid, "a frame stays until it is taken"
                    assert payload == waiting, "and does not change"
                elif valid:
                    proved = run.taken.index(payload.cycle)
                    seen = Seen(
                        bool(payload.garbled), payload.offset, payload.length, bool(oversize), proved,
                        cycle - payload.cycle, list(writes), bytes(begin), bytes(body), lasts,
                    )  # fmt: skip
                    run.frames.append(seen)
                waiting = payload if valid and not ready else None
                cycle += 1
            counts = ctx.get(dut.counts)
            run.counters = (counts.bytes, counts.framed, counts.partial)
            ctx.set(dut.clear.valid, 1)
            await ctx.tick()
            ctx.set(dut.clear.valid, 0)
            cycle += 1

    simulation(max_message).run(testbench, cycles=60_000)
    return runs


def check(data: bytes, max_message: int, run: Run) -> list[Frame]:
    """Compare with the golden model; its frames."""
    golden = Golden(max_message)
    frames, proofs = [], []
    for place in range(len(data)):
        for framed in golden.feed(data[place : place + 1]):
            frames.append(framed)
            proofs.append(place)
    assert [(seen.garbled, seen.offset, seen.length) for seen in run.frames] == [
        (framed.kind is FrameKind.GARBLED, framed.offset, framed.length) for framed in frames
    ]
    assert [seen.proved for seen in run.frames] == proofs, "each is reported with the byte that completes it"
    assert {seen.delay for seen in run.frames} <= {1}, "one cycle after that byte was taken"
    assert run.counters == (golden.received, golden.framed, golden.partial)
    for seen, framed in zip(run.frames, frames, strict=True):
        if framed.kind is FrameKind.GARBLED:
            continue
        assert seen.oversize == (framed.kind is FrameKind.OVERSIZE)
        raw = data[framed.offset : framed.offset + framed.length]
        stored = range(len(START), min(len(raw), max_message))
        assert seen.writes == [(place, raw[place]) for place in stored]
        head, _, rest = raw.partition(SOH)
        assert seen.begin == head[len(START) :] + SOH
        assert seen.body == rest[rest.index(SOH) + 1 : -7]
        assert seen.lasts == [len(seen.body)]
    return frames


def rtl_is_model(data: bytes, rng: random.Random, stalls: Stalls = NONE, max_message: int = 256) -> list[Frame]:
    (run,) = rtl([data], max_message, rng, stalls)
    return check(data, max_message, run)


def debris(rng: random.Random, pieces: int) -> bytes:
    """Pieces of messages, in a mess."""
    message = PEER.heartbeat(1)
    parts = [
        b"8=FIX",
        b"8=FIX.4.2",
        b"8",
        b"=",
        b"F",
        b"9=",
        b"\x019=5",
        SOH,
        b"35=",
        b"35=0\x01",
        b"10=",
        b"000\x01",
        b"8=8=FIX",
        b"88=FIX",
    ]
    out = b""
    for _ in range(pieces):
        choice = rng.random()
        if choice < 0.15:
            out += message
        elif choice < 0.3:
            out += rng.choice((truncated, flipped))(message, rng)
        elif choice < 0.4:
            out += frame(
                rng.choice((b"35=0\x01", b"35=", b"x\x01", b"")), length=rng.choice((None, 0, 1, 5, 7, "088", "999999"))
            )
        else:
            out += rng.choice(parts)
    return out


@pytest.mark.rule("F1", "F3", "F4")
@pytest.mark.parametrize("stalls", SOME, ids=str)
def test_traffic(stalls: Stalls, rng: random.Random) -> None:
    traffic = Traffic(rng, PEER, max_message=256)
    data = b"".join(traffic.next() for _ in range(16))
    assert rtl_is_model(data, rng, stalls)


@pytest.mark.rule("F3", "F4", "F6")
@pytest.mark.parametrize("stalls", SOME, ids=str)
def test_debris(stalls: Stalls, rng: random.Random) -> None:
    # A declared end may be far away: many short connections see more than a long one.
    streams = [debris(rng, 15) for _ in range(7)]
    for data, run in zip(streams, rtl(streams, 64, rng, stalls), strict=True):
        check(data, 64, run)


@pytest.mark.rule("F4", "F6")
def test_random_bytes(rng: random.Random) -> None:
    alphabet = b"8=FIX.49\x0135012" + bytes([0, 255])
    streams = [bytes(rng.choices(alphabet, k=200)) for _ in range(6)]
    streams += [b"8=FIX\x019=%b\x01" % bytes(rng.choices(b"012345679=8\x01", k=rng.randint(0, 8))) for _ in range(60)]
    for data, run in zip(streams, rtl(streams, 64, rng), strict=True):
        check(data, 64, run)


@pytest.mark.rule("F5")
@pytest.mark.parametrize("over", [-1, 0, 1, 2, 200])
def test_F5_messages_around_the_longest(over: int, rng: random.Random) -> None:
    room = 256 - len(frame(b"35=B\x0158=\x01" + b"x" * 200)) + 200
    long = frame(b"35=B\x0158=" + b"x" * (room + over) + SOH)
    assert len(long) == 256 + over
    frames = rtl_is_model(
        PEER.heartbeat(1) + long + PEER.heartbeat(2) + damaged_checksum(long) + PEER.heartbeat(3), rng
    )
    valid, garbled = FrameKind.VALID, FrameKind.GARBLED
    middle = FrameKind.OVERSIZE if over > 0 else valid
    assert [framed.kind for framed in frames] == [valid, middle, valid, garbled, valid]


#: What a stream may hold beside sound messages, and how many messages are garbled by it.
CORNERS = {
    "9 missing": (b"8=FIX.4.2\x0135=0\x01", 1),
    "9 empty": (b"8=FIX.4.2\x019=\x01", 1),
    "9 with a letter": (b"8=FIX.4.2\x019=1x\x01", 1),
    "9 of seven digits": (b"8=FIX.4.2\x019=0000005\x01", 1),
    "9 of six digits": (checksummed(b"8=FIX.4.2\x019=000005\x0135=0\x01"), 0),
    "9 is 0": (checksummed(b"8=FIX.4.2\x019=0\x01"), 1),
    "a message begins in 9": (b"8=FIX.4.2\x019=", 1),
    "a message begins in 10": (b"8=FIX.4.2\x019=5\x0135=0\x0110=", 1),
    "9 counts the trailer": (b"8=FIX.4.2\x019=12\x0135=0\x0110=000\x01", 1),
    "35 missing": (checksummed(b"8=FIX.4.2\x019=5\x0134=0\x01"), 1),
    "last field open": (checksummed(b"8=FIX.4.2\x019=5\x0135=00"), 1),
    "sum of two digits": (b"8=FIX.4.2\x019=5\x0135=0\x0110=00\x01", 1),
    "nothing but SOH": (SOH * 50, 0),
    "half a start": (b"8=FI8=F8=", 0),
}


@pytest.mark.rule("F3", "F4")
@pytest.mark.parametrize("case", CORNERS)
def test_F3_F4_the_next_message_is_found(case: str, rng: random.Random) -> None:
    corner, garbled = CORNERS[case]
    data = PEER.heartbeat(1) + corner + PEER.heartbeat(2)
    frames = rtl_is_model(data, rng)
    assert [framed.kind for framed in frames].count(FrameKind.GARBLED) == garbled
    assert frames[-1].raw == PEER.heartbeat(2)


@pytest.mark.rule("F6")
def test_F6_a_new_connection_forgets_a_partial_message(rng: random.Random) -> None:
    message = PEER.heartbeat(1)
    streams = [message[:cut] for cut in (1, 4, 5, 8, 12, 14, 30, len(message) - 7, len(message) - 1)]
    streams = [data for cut in streams for data in (cut, message)]
    for data, run in zip(streams, rtl(streams, 256, rng), strict=True):
        frames = check(data, 256, run)
        assert [framed.raw for framed in frames] == ([message] if data == message else [])


def test_one_beat_per_cycle_without_bubbles(rng: random.Random) -> None:
    traffic = Traffic(rng, PEER, max_message=256)
    data = b"".join(traffic.next() for _ in range(15))
    (run,) = rtl([data], 256, rng)
    assert run.taken == list(range(run.taken[0], run.taken[0] + len(data)))


@pytest.mark.rule("R16")
def test_no_byte_of_a_message_is_taken_without_a_slot() -> None:
    dut = simulation(256).component
    message = PEER.heartbeat(1)

    async def testbench(ctx: Any) -> None:
        ctx.set(dut.frame.ready, 1)
        ctx.set(dut.rx.valid, 1)
        for place, byte in enumerate(message):
            ctx.set(dut.rx.payload, {"data": byte, "count": 1})
            if place >= len(START):
                ctx.set(dut.has_slot, 0)
                await ctx.tick().repeat(2)
                assert not ctx.get(dut.rx.ready)
                assert not ctx.get(dut.write)
            ctx.set(dut.has_slot, 1)
            assert ctx.get(dut.rx.ready)
            await ctx.tick()
        assert ctx.get(dut.frame.valid)

    simulation(256).run(testbench)
