"""Framer of several bytes per cycle: the same messages as the golden model's, from the same bytes, however they are
cut, whatever stalls, and their bytes where it says they are."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from tag34_hdl.layouts import Shape
from tag34_hdl.receive.wide_framer import WideFramer
from tag34_sim.golden import Frame, FrameKind
from tag34_sim.golden import Framer as Golden
from tag34_sim.messages import checksummed, damaged_checksum, flipped, truncated
from tests.hdl.bench import Simulation

START = b"8=FIX"
SOH = b"\x01"
WIDTHS = [2, 4, 8]
SEEDS = 60


@cache
def simulation(width: int, max_message: int, sessions: int = 1) -> Simulation:
    return Simulation(WideFramer(Shape(width=width, window=2, max_message=max_message, sessions=sessions)))


@dataclass(frozen=True)
class Seen:
    """One frame as the component reported it; ``raw``: the bytes behind ``8=FIX`` that it said were the message's."""

    session: int
    garbled: bool
    offset: int
    length: int
    oversize: bool
    raw: bytes
    body_ends: tuple[int, ...]


@dataclass
class Stalls:
    """Shares of cycles: ``pause``, no beat is offered; ``frame``, a frame is not taken; ``stall``, somebody stalls."""

    pause: float = 0.0
    frame: float = 0.0
    stall: float = 0.0


NONE = Stalls()
SOME = [NONE, Stalls(pause=0.5), Stalls(frame=0.8), Stalls(stall=0.5), Stalls(0.3, 0.5, 0.3)]


@dataclass
class Run:
    """What became of the bytes: frames, counters at the end, cycles in which a beat was offered and not taken."""

    frames: list[Seen] = field(default_factory=list)
    counters: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    stalled: int = 0
    delays: list[int] = field(default_factory=list)


def cut(data: bytes, width: int, rng: random.Random | None) -> list[bytes]:
    """Beats of a stream: full ones, or with ``rng`` of any size."""
    beats, at = [], 0
    while at < len(data):
        size = width if rng is None or rng.random() < 0.5 else rng.randint(1, width)
        beats.append(data[at : at + size])
        at += size
    return beats


def rtl(
    width: int,
    beats: list[tuple[int, bytes]],
    max_message: int,
    rng: random.Random,
    stalls: Stalls = NONE,
    sessions: int = 1,
) -> Run:
    """Feed beats, session and bytes, after a clear of all sessions."""
    the_simulation = simulation(width, max_message, sessions)
    dut = the_simulation.component
    run = Run()

    async def testbench(ctx: Any) -> None:
        for session in range(sessions):
            ctx.set(dut.clear.valid, 1)
            ctx.set(dut.clear.payload, session)
            for _ in range(100):
                *_, ready = await ctx.tick().sample(dut.clear.ready)
                if ready:
                    break
            assert ready
        ctx.set(dut.clear.valid, 0)
        await ctx.tick()  # from then on bytes are taken again
        tick = ctx.tick().sample(
            dut.rx.ready, dut.frame.valid, dut.frame.payload, dut.oversize, dut.go, dut.word_3, dut.structure,
            dut.quiet, dut.session,
        )  # fmt: skip
        todo = list(beats)
        offered = False
        texts: dict[int, bytearray] = {}
        ends: dict[int, list[int]] = {}
        whole: dict[int, list[tuple[bytes, tuple[int, ...]]]] = {}
        cycle = 0
        quiet = 0
        while todo or quiet < 8:
            offered = bool(todo) and (offered or rng.random() >= stalls.pause)
            ctx.set(dut.rx.valid, offered)
            if offered:
                session, data = todo[0]
                ctx.set(
                    dut.rx.payload, {"data": int.from_bytes(data, "little"), "count": len(data), "session": session}
                )
            frame_ready = rng.random() >= stalls.frame
            ctx.set(dut.frame.ready, frame_ready)
            ctx.set(dut.stall, rng.random() < stalls.stall)
            ctx.set(dut.cycle, cycle)
            _, _, ready, valid, payload, oversize, go, word, structure, is_quiet, at_hand = await tick
            cycle += 1
            assert cycle < 200_000, "it hangs"
            if offered and ready:
                todo.pop(0)
                offered = False
            elif offered:
                run.stalled += 1
            quiet = quiet + 1 if is_quiet and not todo else 0
            if go:
                lanes = [word.data >> 8 * i & 255 for i in range(width)]
                text = texts.setdefault(at_hand, bytearray())
                for i in range(width):
                    if structure.tail >> i & 1:
                        text.append(lanes[i])
                if structure.body_end:
                    ends.setdefault(at_hand, []).append(len(text))
                if structure.start:
                    assert structure.start & structure.start - 1 == 0
                    if text:
                        whole.setdefault(at_hand, []).append((bytes(text), tuple(ends.pop(at_hand, []))))
                    text.clear()
                    at = structure.start.bit_length() - 1
                    for i in range(width):
                        if structure.head >> i & 1 and i > at:
                            text.append(lanes[i])
            if valid and frame_ready:
                # The message is the one before that began last, or that one itself.
                begun = whole.pop(at_hand, [])
                raw, body_ends = begun[-1] if begun else (bytes(texts[at_hand]), tuple(ends.pop(at_hand, [])))
                if not begun:
                    texts[at_hand].clear()
                run.frames.append(
                    Seen(at_hand, bool(payload.garbled), payload.offset, payload.length, bool(oversize), raw, body_ends)
                )
                run.delays.append(cycle - 1 - payload.cycle)
        for session in range(sessions):
            ctx.set(dut.counts_session, session)
            for _ in range(3):
                await ctx.tick()
            counts = ctx.get(dut.counts)
            run.counters[session] = (counts.bytes, counts.framed, counts.partial)

    the_simulation.run(testbench, cycles=250_000)
    return run


def golden(data: bytes, max_message: int) -> tuple[list[Frame], tuple[int, int, int]]:
    framer = Golden(max_message)
    frames = framer.feed(data)
    return frames, (framer.received, framer.framed, framer.partial)


def check(
    width: int,
    data: bytes,
    rng: random.Random,
    *,
    max_message: int = 128,
    stalls: Stalls = NONE,
    cuts: bool = True,
) -> Run:
    """Feed one connection and compare with the golden model."""
    beats = [(0, beat) for beat in cut(data, width, rng if cuts else None)]
    run = rtl(width, beats, max_message, rng, stalls)
    frames, counters = golden(data, max_message)
    got = [(f.garbled, f.offset, f.length, f.oversize and not f.garbled) for f in run.frames]
    want = [(f.kind is FrameKind.GARBLED, f.offset, f.length, f.kind is FrameKind.OVERSIZE) for f in frames]
    assert got == want, data
    assert run.counters[0] == counters
    for seen, frame_ in zip(run.frames, frames, strict=True):
        if frame_.kind is FrameKind.VALID:
            assert seen.raw == frame_.raw[len(START) :], data
            body = len(frame_.raw) - len(START) - 7
            assert len(seen.body_ends) == 1
            assert body <= seen.body_ends[0] < body + width  # counted with the whole piece
    return run


def message(body: bytes, begin: bytes = b"FIX.4.2") -> bytes:
    return checksummed(b"8=" + begin + SOH + b"9=" + str(len(body)).encode() + SOH + body)


BODY = b"35=0\x0149=A\x0156=B\x0134=12\x0152=20240101-00:00:00\x01"


@pytest.mark.rule("F1")
@pytest.mark.parametrize("width", WIDTHS)
def test_messages_back_to_back(width: int) -> None:
    rng = random.Random(1)
    data = b"".join(message(BODY + b"58=" + b"x" * n + SOH) for n in range(20))
    run = check(width, data, rng, cuts=False)
    assert run.stalled == 0
    assert set(run.delays) <= {4, 5}


@pytest.mark.rule("F1")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stalls", SOME)
def test_messages_cut_anywhere(width: int, stalls: Stalls) -> None:
    for seed in range(SEEDS // 8):
        rng = random.Random(seed)
        data = b"".join(
            rng.choice([b"", b"x", b"8=FI", SOH, b"8=8=8", bytes(rng.randrange(256) for _ in range(9))])
            + message(BODY + b"58=" + b"x" * rng.randrange(60) + SOH)
            for _ in range(12)
        )
        check(width, data, rng, stalls=stalls)


PIECES = [
    b"8=FIX", b"8=FI", b"8=", b"8", b"9=", b"|9=", b"|9=5|", b"|9=12|", b"|9=0|", b"|9=45|", b"|9=000041|", b"9", b"|",
    b"10=", b"10=123|", b"10=000|", b"35=", b"35=0|", b"=", b"FIX", b"X", b"1", b"0", b".4.2",
    b"8=FIX.4.2|9=5|35=0|10=161|", b"8=FIX|9=5|35=0|",
]  # fmt: skip


@pytest.mark.rule("F3", "F4", "F6")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stalls", [NONE, Stalls(0.3, 0.5, 0.3)])
def test_pieces_of_messages(width: int, stalls: Stalls) -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        data = b"".join(rng.choice(PIECES).replace(b"|", SOH) for _ in range(rng.randrange(60)))
        data += message(BODY)
        try:
            check(width, data, rng, stalls=stalls)
        except AssertionError:
            print("seed", seed, data)
            raise


@pytest.mark.rule("F3", "F4", "F5")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stalls", [NONE, Stalls(0.2, 0.5, 0.2)])
def test_damaged_messages(width: int, stalls: Stalls) -> None:
    for seed in range(SEEDS // 5):
        rng = random.Random(seed)
        parts = []
        for _ in range(14):
            body = BODY[: rng.choice([0, 3, 5, 10, len(BODY), len(BODY), len(BODY)])]
            body += rng.choice([b"", b"58=" + b"y" * rng.randrange(100) + SOH, b"58=8=FIX.4.2\x019=5\x01"])
            good = message(body, rng.choice([b"FIX.4.2", b"FIX", b"FIXT.1.1", b"FIX.4", b"FIX" + b"z" * 20]))
            good = (
                good.replace(b"\x019=", b"\x019=" + b"0" * rng.choice([0, 0, 0, 1, 3]), 1)
                if rng.random() < 0.2
                else good
            )
            parts.append(
                rng.choice([good, good, good, damaged_checksum(good), flipped(good, rng), truncated(good, rng)])
            )
        check(width, b"".join(parts), rng, stalls=stalls)


@pytest.mark.rule("R17")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("stalls", [NONE, Stalls(0.2, 0.5, 0.2)])
def test_sessions_cut_into_each_other(width: int, stalls: Stalls) -> None:
    sessions, max_message = 3, 128
    for seed in range(SEEDS // 10):
        rng = random.Random(seed)
        streams = []
        for _ in range(sessions):
            parts = [b"8=FI", *(rng.choice(PIECES).replace(b"|", SOH) for _ in range(rng.randrange(12)))]
            parts += [rng.choice([message(BODY), message(BODY + b"58=x\x01", b"FIXT.1.1")]) for _ in range(6)]
            rng.shuffle(parts)
            streams.append(b"".join(parts) + message(BODY)[: rng.choice([0, 7, 30])])
        todo = [cut(data, width, rng) for data in streams]
        beats: list[tuple[int, bytes]] = []
        while any(todo):
            session = rng.choice([s for s in range(sessions) if todo[s]])
            for _ in range(rng.randint(1, 5)):
                if todo[session]:
                    beats.append((session, todo[session].pop(0)))
        run = rtl(width, beats, max_message, rng, stalls, sessions)
        for session, data in enumerate(streams):
            frames, counters = golden(data, max_message)
            got = [(f.garbled, f.offset, f.length) for f in run.frames if f.session == session]
            assert got == [(f.kind is FrameKind.GARBLED, f.offset, f.length) for f in frames], (seed, session, data)
            assert run.counters[session] == counters
            for seen, whole in zip([f for f in run.frames if f.session == session], frames, strict=True):
                if whole.kind is FrameKind.VALID:
                    assert seen.raw == whole.raw[len(START) :]
