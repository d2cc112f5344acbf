"""WideFields: what it says of a message is what the golden model reads in its bytes, wherever words and pieces end."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from tag34_hdl.layouts import IDENT_BITS, Shape
from tag34_hdl.receive.fields import BEGIN_STRING, OURS, THEIRS
from tag34_hdl.receive.wide_fields import WideFields
from tag34_sim.messages import Peer
from tests.hdl.bench import Simulation
from tests.hdl.messages import fields_of
from tests.hdl.receive.test_fields import random_message

WIDTHS = (2, 4, 8)
SOH = b"\x01"
TRAILER = len("10=000|")
PEER = Peer("FIX.4.4", "PEER", "TAG34")


@cache
def simulation(width: int, sessions: int = 1, window: int = 64) -> Simulation:
    return Simulation(WideFields(Shape(width=width, sessions=sessions, window=window)))


@dataclass
class Stream:
    """The bytes of a session, and what the framer knows of them.

    Members: ``starts``, ``body_ends``, ``ends``: places of an X, of a body's last byte, of a message's last byte;
    ``messages``: by the place of their last byte.
    """

    data: bytearray = field(default_factory=bytearray)
    starts: set[int] = field(default_factory=set)
    body_ends: set[int] = field(default_factory=set)
    ends: set[int] = field(default_factory=set)
    messages: dict[int, bytes] = field(default_factory=dict)

    def message(self, raw: bytes, kept: int | None = None) -> None:
        """A message, or as many bytes of it as there are before it turns out garbled."""
        at = len(self.data)
        self.data += raw if kept is None else raw[:kept]
        self.starts.add(at + 4)
        if kept is None:
            last = at + len(raw) - 1
            self.body_ends.add(last - TRAILER)
            self.ends.add(last)
            self.messages[last] = raw


@dataclass
class Piece:
    """A piece of a word on its way through the stages."""

    word: dict[str, int]
    start: int = 0
    body_end: int = 0
    message: bytes | None = None


class Packer:
    """Streams of sessions as words: pieces that end where the word, the chunk or a message ends."""

    def __init__(self, streams: Sequence[Stream], width: int, rng: random.Random, *, cut: float, bubble: float):
        self.streams, self.width, self.rng, self.cut, self.bubble = streams, width, rng, cut, bubble
        self.at = [0] * len(streams)
        self.lanes = [[0] * width for _ in streams]
        self.session = 0

    def pieces(self, chunks: Iterable[tuple[int, int]]) -> Iterator[Piece]:
        """``chunks``: session and number of bytes."""
        for session, size in chunks:
            if session != self.session:
                self.session = session
                yield Piece({"turn": 1, "session": session})
                yield Piece({"session": session})
            end = min(len(self.streams[session].data), self.at[session] + size)
            while self.at[session] < end:
                while self.rng.random() < self.bubble:
                    yield Piece({"data": self.rng.getrandbits(8 * self.width), "session": session})
                yield self.piece(session, end)

    def piece(self, session: int, end: int) -> Piece:
        stream, width, at = self.streams[session], self.width, self.at[session]
        lanes = self.lanes[session]
        piece = Piece({"session": session})
        mask = 0
        seen: set[str] = set()
        while at < end:
            kinds = {"start"} if at in stream.starts else {"end"} if at in stream.ends else set()
            if kinds & seen:
                break
            seen |= kinds
            lane = at % width
            lanes[lane] = stream.data[at]
            mask |= 1 << lane
            piece.start |= (at in stream.starts) << lane
            piece.body_end |= at in stream.body_ends
            if at in stream.ends:
                piece.message = stream.messages[at]
            at += 1
            if lane == width - 1 or self.rng.random() < self.cut:
                break
        self.at[session] = at
        top = mask.bit_length()
        junk = [lanes[lane] if lane < top else self.rng.randrange(256) for lane in range(width)]
        piece.word |= {"data": int.from_bytes(bytes(junk), "little"), "mask": mask, "full": int(top == width)}
        return piece


def idents(peer: Peer) -> Iterator[tuple[int, int]]:
    """Address and byte of what the host writes for a peer."""
    for region, text in ((BEGIN_STRING, peer.begin_string), (OURS, peer.target), (THEIRS, peer.sender)):
        for index, byte in enumerate(text.encode() + SOH):
            yield (region << IDENT_BITS) + index, byte


class Bench:
    """Plays framer and sequencer: pieces in, a frame behind each message, taken sooner or later."""

    def __init__(self, dut: WideFields, peers: Sequence[Peer], rng: random.Random, *, pause: float, slow: float):
        self.dut, self.peers, self.rng, self.pause, self.slow = dut, peers, rng, pause, slow
        self.stalls = self.judged = 0

    async def configure(self, ctx: Any) -> None:
        dut = self.dut
        for session, peer in enumerate(self.peers):
            for address, byte in idents(peer):
                ctx.set(dut.ident_address, session << IDENT_BITS + 2 | address)
                ctx.set(dut.ident_data, byte)
                ctx.set(dut.ident_write, 1)
                await ctx.tick()
        ctx.set(dut.ident_write, 0)
        for _ in range(len(self.peers) + 1):  # tables are swept
            await ctx.tick()

    async def run(self, ctx: Any, pieces: Iterable[Piece], tail: int = 24) -> None:
        dut, shape = self.dut, self.dut.shape
        await self.configure(ctx)
        todo = iter(pieces)
        nothing = Piece({})
        stages = [next(todo, nothing), nothing, nothing]
        waiting: bytes | None = None
        blocked = stalled = False
        before: Any = None
        awaited = 0
        idle = 0
        names = [name for name, _ in shape.fields]
        while idle < tail:
            go = not blocked and not stalled and self.rng.random() >= self.pause
            ctx.set(dut.go, go)
            ctx.set(dut.word, stages[0].word)
            ctx.set(dut.start, stages[2].start)
            ctx.set(dut.body_end, stages[2].body_end)
            complete, settled = ctx.get(dut.complete), ctx.get(dut.settled)
            shown = ctx.get(dut.fields)
            now = {name: int(getattr(shown[name], "value", shown[name])) for name in names}
            session = ctx.get(dut.session)
            taken = False
            if waiting is not None:
                expected = fields_of(waiting, self.peers[session], shape)
                awaited += 1
                if not complete:
                    assert self.stalls, "complete with the frame, but for data bodies"
                    assert awaited < 60
                else:
                    assert settled
                    assert {name: now[name] for name in expected} == expected, waiting
                    taken = self.rng.random() >= self.slow
            ctx.set(dut.done, taken)
            stalled = bool(ctx.get(dut.stall))
            self.stalls += stalled
            rest = [value for name, value in now.items() if name != "mirror"]
            if before is not None and rest != before:
                assert ctx.get(dut.changed), "fields changed"
            before = rest
            await ctx.tick()
            if taken:
                waiting, awaited = None, 0
                self.judged += 1
            blocked = waiting is not None
            if go:
                last = stages[2]
                following = next(todo, None)
                idle += following is None
                stages = [following or nothing, stages[0], stages[1]]
                if last.message is not None:
                    assert waiting is None
                    waiting = last.message
        assert waiting is None


def run_streams(
    streams: Sequence[Stream],
    rng: random.Random,
    width: int,
    *,
    peers: Sequence[Peer] = (PEER,),
    chunk: int = 1 << 30,
    cut: float = 0.0,
    bubble: float = 0.0,
    pause: float = 0.0,
    slow: float = 0.0,
    window: int = 64,
) -> Bench:
    """Show all bytes of all sessions, in chunks of up to ``chunk`` bytes in turn."""
    left = [len(stream.data) for stream in streams]
    chunks = []
    while any(left):
        session = rng.choice([session for session, size in enumerate(left) if size])
        size = min(left[session], rng.randint(1, chunk))
        left[session] -= size
        chunks.append((session, size))
    dut_simulation = simulation(width, len(streams), window)
    bench = Bench(dut_simulation.component, peers, rng, pause=pause, slow=slow)
    packer = Packer(streams, width, rng, cut=cut, bubble=bubble)

    async def testbench(ctx: Any) -> None:
        await bench.run(ctx, packer.pieces(chunks))

    dut_simulation.run(testbench, cycles=200_000)
    assert bench.judged == sum(len(stream.messages) for stream in streams)
    return bench


def stream_of(messages: Iterable[bytes], rng: random.Random, *, cuts: float = 0.0, gaps: float = 0.0) -> Stream:
    """Messages one behind the other; a share ``cuts`` of them breaks off, before a share ``gaps`` there is something."""
    stream = Stream()
    for raw in messages:
        if rng.random() < gaps:
            stream.data += rng.choice((b"\x01", b"34=7\x01", b"\x0134=7\x0136=9\x01", b"x" * rng.randint(1, 20)))
        stream.message(raw, rng.randrange(5, len(raw) - 8) if rng.random() < cuts else None)
    return stream


@pytest.mark.rule("F2")
@pytest.mark.parametrize(("cuts", "cut", "pause", "slow"), [(0, 0, 0, 0), (0, 0.3, 0.3, 0.7), (0.5, 0.1, 0, 0.3)])
@pytest.mark.parametrize("width", WIDTHS)
def test_random_messages(width: int, cuts: float, cut: float, pause: float, slow: float, rng: random.Random) -> None:
    stream = stream_of((random_message(rng) for _ in range(60)), rng, cuts=cuts, gaps=0.3)
    run_streams([stream], rng, width, cut=cut, bubble=cut, pause=pause, slow=slow)
