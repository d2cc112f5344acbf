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
from tag34_hdl.receive.packer import context_words
from tag34_hdl.receive.wide_fields import WideFields
from tag34_sim import hostile
from tag34_sim.golden import Framer
from tag34_sim.messages import SENDING_TIME, Field, Peer, encode, frame
from tests.hdl.bench import Simulation, refusal
from tests.hdl.messages import fields_of
from tests.hdl.receive.test_fields import DATA, FLAGS, HEADER, NUMBERS, random_message

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
    again: bool = False  # a word that has been shown before


class Packer:
    """Streams of sessions as words: pieces that end where the word, the chunk or a message ends. Behind a turn come the
    session's last words, for those who look back."""

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
                yield from self.context()
            end = min(len(self.streams[session].data), self.at[session] + size)
            while self.at[session] < end:
                while self.rng.random() < self.bubble:
                    yield Piece({"data": self.rng.getrandbits(8 * self.width), "session": session})
                yield self.piece(session, end)

    def context(self) -> Iterator[Piece]:
        """The words before the session's word at hand, as far as there are any."""
        width, at = self.width, self.at[self.session] // self.width * self.width
        words = context_words(width)
        before = (self.rng.randbytes(words * width) + self.streams[self.session].data[:at])[-words * width :]
        for place in range(0, words * width, width):
            data = int.from_bytes(before[place : place + width], "little")
            yield Piece({"data": data, "full": 1, "session": self.session}, again=True)

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
        await ctx.tick().until(~dut.stall)
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
            ctx.set(dut.starts, int(stages[2].start != 0))
            ctx.set(dut.start, stages[2].start)
            ctx.set(dut.body_end, stages[2].body_end)
            ctx.set(dut.full, stages[2].word.get("full", 0) and not stages[2].again)
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
    """Messages one behind the other; a share ``cuts`` breaks off, a share ``gaps`` has something before it."""
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


@pytest.mark.rule("F2")
@pytest.mark.parametrize("width", WIDTHS)
def test_messages_begin_in_every_lane(width: int, rng: random.Random) -> None:
    """Back to back, with a trailer that ends in the piece in which the next message begins, and the shortest ones."""
    stream = Stream()
    for _ in range(3 * width):
        stream.data += b"x" * (len(stream.data) % 2 + rng.randrange(2))
        stream.message(PEER.order(rng.randrange(1, 10**6), "y" * rng.randrange(width)))
        stream.message(frame(b"35=%c\x01" % rng.choice(b"A42D"), begin_string="FIX"))
        stream.message(frame(b"35=D\x0149=PEER\x01", begin_string="FIX"))
    bench = run_streams([stream], rng, width, slow=0.4)
    assert not bench.stalls, "legal traffic"


def spread(text: str, width: int) -> Iterator[bytes]:
    """Messages with ``text`` behind 35=D, 49 and 56, at each lane."""
    for pad in range(width):
        yield frame(b"35=D\x0149=PEER\x0156=TAG34\x0150=" + b"x" * pad + SOH + text.encode().replace(b"|", SOH))


@pytest.mark.rule("F2")
@pytest.mark.parametrize("width", WIDTHS)
def test_F2_numbers_in_every_lane(width: int, rng: random.Random) -> None:
    texts = [f"34={number}|" for number in (*NUMBERS, 4294967294, 9999999999, 10**10, "0" * 30 + "9", "1" + "0" * 20)]
    texts += ["34=1|34=2|", "34=|34=5|", "034=3|34=4|", "|34=5|", "58|34=5|", "34=x|34=5|", "34=12345|34=6|"]
    texts += ["34=5|43=Y|97=Y|", "43=Y|34=5|", "43=|43=Y|34=1|", "43=N|43=Y|34=1|", "43=YY|34=1|", "97=Y|43=y|34=1|"]
    messages = [message for text in texts for message in spread(text, width)]
    run_streams([stream_of(messages, rng)], rng, width)


@pytest.mark.rule("F2")
@pytest.mark.parametrize("width", WIDTHS)
def test_F2_bodies_in_every_lane(width: int, rng: random.Random) -> None:
    messages = []
    for pad in range(width):
        header = [(50, "x" * pad)]
        for number in (7, 12, 12345678, 0, 4294967295, 4294967296, "", "x", 10**10):
            messages.append(PEER.message("4", 1, [(123, "Y"), (36, number)], header=header))
        for flag in FLAGS:
            messages.append(PEER.message("4", 1, [(123, flag), (36, 5), (36, 6), (123, "Y")], header=header))
            messages.append(PEER.message("A", 1, [(98, 0), (141, flag), (141, "Y")], header=header))
        messages.append(PEER.message("D", 1, [(36, 5), (123, "Y"), (141, "Y")], header=header))
        messages += [
            frame(encode([(35, kind), (50, "x" * pad), (36, 12), (123, "Y"), (141, "Y")])) for kind in ("4", "A", "D")
        ]
    bench = run_streams([stream_of(messages, rng)], rng, width, slow=0.2)
    assert not bench.stalls, "no data field"


@pytest.mark.rule("F2")
@pytest.mark.parametrize("width", WIDTHS)
def test_F2_what_ends_the_header(width: int, rng: random.Random) -> None:
    others = [1, 7, 10, 11, 33, 36, 44, 58, 91, 95, 114, 123, 146, 213, 346, 370, 626, 631, 1127, 1130, 1157, 3434]
    tags: list[int | str] = [*HEADER, *others, *(f"{tag}0" for tag in HEADER[::3]), *(f"0{tag}" for tag in HEADER[::3])]
    messages = []
    for tag in tags:
        pad = b"x" * rng.randrange(width)
        messages.append(frame(b"35=D\x0150=%b\x01%b=\x0134=77\x0149=PEER\x0156=TAG34\x01" % (pad, str(tag).encode())))
    for text in ("", "=", "50", "5", "=34=1", "\x01", "034", "1128", "11289=", "Y=", "112=", "11=1"):
        messages += spread(f"{text}|34=5|43=Y|", width)
    run_streams([stream_of(messages, rng)], rng, width)


@pytest.mark.rule("R2")
@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 62, 63])
@pytest.mark.parametrize("width", WIDTHS)
def test_R2_idents_of_all_lengths(width: int, size: int, rng: random.Random) -> None:
    def text(letter: str, size: int) -> str:
        return "".join(chr(ord(letter) + place % 13) for place in range(size))

    def begin(size: int) -> str:
        return ("FIX" + text("a", size))[: max(3, size)]

    peer = Peer(begin(size), text("A", size), text("N", size))
    peers = [peer, Peer(peer.begin_string, peer.target, peer.sender)]
    for change in (-1, 1, 2):
        if size + change:
            peers += [
                Peer(peer.begin_string, text("A", size + change), peer.target),
                Peer(peer.begin_string, peer.sender, text("N", size + change)),
                Peer(begin(size + change), peer.sender, peer.target),
            ]
    for _ in range(4):
        place = rng.randrange(size)
        wrong = [peer.sender, peer.target]
        which = rng.randrange(2)
        wrong[which] = wrong[which][:place] + "!" + wrong[which][place + 1 :]
        peers.append(Peer(peer.begin_string, *wrong))
    messages = []
    for one in peers:
        swapped: list[Field] = [(35, 0), (34, 1), (52, SENDING_TIME), (49, one.sender), (56, one.target)]
        for fields in (swapped, swapped[:3] + swapped[:2:-1], swapped[:4], [*swapped, *swapped[3:]]):
            pad = (50, "x" * rng.randrange(width))
            messages.append(frame(encode([fields[0], pad, *fields[1:]]), begin_string=one.begin_string))
    run_streams([stream_of([*messages, peer.heartbeat(1)], rng, gaps=0.3)], rng, width, peers=[peer], slow=0.3)


@pytest.mark.rule("R2")
@pytest.mark.parametrize("width", WIDTHS)
def test_R2_idents_that_are_written_anew(width: int, rng: random.Random) -> None:
    """The host gives two sessions other idents between two messages, perhaps while their rows are being fetched."""
    peers = [PEER, Peer("FIX.4.2", "A", "TAG34-LONGER-THAN-A-WORD"), Peer("FIXT.1.1", "PEEP", "T"), PEER]
    dut = simulation(width, 2)
    bench = Bench(dut.component, [PEER, PEER], rng, pause=0.3, slow=0.3)
    judged = []

    async def testbench(ctx: Any) -> None:
        for peer in peers:
            bench.peers = [peer, peers[2]]
            messages = [[one.heartbeat(number + 1) for number in range(4)] for one in (peer, peers[2])]
            messages[0].insert(0, PEER.heartbeat(1))
            streams = [stream_of(raws, rng, gaps=0.3) for raws in messages]
            packer = Packer(streams, width, rng, cut=0.1, bubble=0.1)
            chunks = [(number % 2, rng.randint(1, 40)) for number in range(100)]
            # A turn first, as if the lines of the stream before had gone on.
            packer.session = -1
            await bench.run(ctx, packer.pieces(chunks))
            judged.append(bench.judged)

    dut.run(testbench, cycles=100_000)
    assert judged == [9, 18, 27, 36]


@pytest.mark.rule("F2")
@pytest.mark.parametrize("width", WIDTHS)
def test_F2_data_fields_are_passed_over(width: int, rng: random.Random) -> None:
    inside = b"\x01141=Y\x01123=Y\x0136=5\x01"
    bodies: list[list[Any]] = [[(length, len(inside)), (data, inside), (36, 7)] for length, data in DATA]
    for said in (len(inside) - 1, len(inside) + 1, 0, "0019", "000019", "0000019", "", "1x", 999999):
        bodies.append([(95, said), (96, inside), (36, 7), (141, "Y")])
    bodies += [[(length, len(inside)), (96, inside), (36, 7)] for length, _ in DATA]
    bodies += [[(95, len(inside)), (58, "x"), (96, inside), (36, 7)], [(95, 3), (93, 4), (89, "36=5"), (36, 7)]]
    bodies += [[(36, 9), (95, 5), (96, "ab\x01cd"), (123, "Y"), (141, "Y")], [(95, 1)], [(95, 999), (96, "")]]
    messages = [
        PEER.message(kind, 1, body, header=[(50, "x" * rng.randrange(width))]) for kind in "A4D" for body in bodies
    ]
    bench = run_streams([stream_of(messages, rng, gaps=0.2)], rng, width, cut=0.05, bubble=0.05, pause=0.1, slow=0.2)
    assert bench.stalls


@pytest.mark.rule("F2")
@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_messages(width: int, rng: random.Random) -> None:
    """What an attacker sends; only messages of which the golden framer says that they are well framed are looked at."""
    stream = Stream()
    framer = Framer(4096)
    for number in range(250):
        aim = hostile.Aim(rng, PEER, number + 1, 64, 4096)
        raw = rng.choice(hostile.TRICKS)(aim)
        framer.reset()
        frames = framer.feed(raw)
        for one in frames:
            if one.raw:
                stream.message(one.raw)
            elif one.length > 12:
                stream.message(raw[one.offset : one.offset + one.length], one.length - 8)
    assert len(stream.messages) > 100
    run_streams([stream], rng, width, cut=0.05, pause=0.1, slow=0.3)


@pytest.mark.rule("F2", "R17")
@pytest.mark.parametrize(("chunk", "pause", "slow"), [(7, 0, 0), (30, 0.2, 0.5), (90, 0, 0.7)])
@pytest.mark.parametrize("width", WIDTHS)
def test_R17_sessions_cut_into_each_other(
    width: int, chunk: int, pause: float, slow: float, rng: random.Random
) -> None:
    peers = [PEER, Peer("FIX.4.2", "OTHER-ONE-WITH-A-LONG-NAME", "TAG34"), Peer("FIXT.1.1", "THIRD", "US")]

    def messages(peer: Peer) -> Iterator[bytes]:
        for number in range(12):
            yield rng.choice(
                (
                    random_message(rng),
                    peer.order(number + 1, "x" * rng.randrange(9), possdup=rng.random() < 0.3),
                    peer.gap_fill(number + 1, number + 5, possdup=True),
                    peer.message("A", number + 1, [(95, 9), (96, b"a\x01141=Y\x01c"), (141, rng.choice("YN"))]),
                )
            )

    streams = [stream_of(messages(peer), rng, cuts=0.1, gaps=0.1) for peer in peers]
    run_streams(streams, rng, width, peers=peers, chunk=chunk, cut=0.05, bubble=0.05, pause=pause, slow=slow)


@pytest.mark.parametrize("window", [2, 16, 1000])
def test_low_bits_of_every_window(window: int, rng: random.Random) -> None:
    numbers = [rng.randrange(1, 10 ** rng.randint(1, 9)) for _ in range(25)]
    messages = [PEER.gap_fill(number, number + rng.randrange(1, 99), possdup=True) for number in numbers]
    run_streams([stream_of(messages, rng)], rng, 8, window=window)


def test_width_one_is_refused() -> None:
    assert refusal(lambda: WideFields(Shape())) == "width must be 2, 4 or 8, not 1"
