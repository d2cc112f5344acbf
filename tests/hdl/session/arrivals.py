"""Messages on their way through the wide message memory: what the receive pipeline and the sequencer make of them,
in plain Python.

The pieces are those of the third stage: words aligned to the stream of their session, cut anywhere. Each message has a
fate; the bench says when its frame is taken, what is pushed and what is given back, and knows what must come out.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth import Elaboratable, Module

from tag34_hdl.layouts import Shape
from tag34_hdl.session.wide_release import WideRelease
from tag34_hdl.session.wide_slots import WideSlots

START = b"8=FIX"
DROP, DELIVER, HOLD = "drop", "deliver", "hold"


@dataclass
class Message:
    """Bytes that the framer finds, from the 8 to the last one, and what becomes of them. ``shown``: only so many are
    delivered (0: all)."""

    data: bytes
    fate: str = DELIVER
    session: int = 0
    shown: int = 0

    @property
    def delivered(self) -> bytes:
        """What the host gets."""
        return self.data[: self.shown or None]


@dataclass
class Piece:
    """What the pipeline's third stage has in one cycle. ``ended``: the message of which the last byte is in it."""

    data: int = 0
    mask: int = 0
    full: bool = False
    session: int = 0
    turn: bool = False
    start: int = 0
    tail: int = 0
    head: int = 0
    ended: Message | None = None


@dataclass
class Stream:
    """The bytes of a session as they arrive. ``owners``: which of ``messages`` a byte belongs to, None: to none."""

    session: int
    width: int
    data: bytes = b""
    owners: list[int | None] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    at: int = 0  # the next byte to be sent

    def skip(self, data: bytes) -> None:
        """Bytes that belong to no message."""
        self.data += data
        self.owners += [None] * len(data)

    def add(self, message: Message) -> None:
        """A message."""
        message.session = self.session
        self.data += message.data
        self.owners += [len(self.messages)] * len(message.data)
        self.messages.append(message)

    def align(self, lane: int) -> None:
        """Bytes of no message, up to ``lane``."""
        self.skip(b"\xaa" * ((lane - len(self.data)) % self.width))

    @property
    def left(self) -> int:
        """Bytes that have not been sent."""
        return len(self.data) - self.at

    def piece(self, longest: int) -> Piece:
        """The next bytes: at most ``longest``, at most to the end of the word; one start and one end at most."""
        width, piece = self.width, Piece(session=self.session)
        begun: int | None = None
        while self.left and longest:
            at, lane = self.at, self.at % width
            owner = self.owners[at]
            offset = None if owner is None else at - self.owners.index(owner)
            is_start = offset == len(START) - 1
            is_end = owner is not None and offset == len(self.messages[owner].data) - 1
            if (is_start and piece.start) or (is_end and piece.ended):
                break
            self.at, longest = at + 1, longest - 1
            piece.mask |= 1 << lane
            if is_start:
                piece.start, begun = 1 << lane, owner
                for earlier in range(len(START)):  # those that stand in this piece
                    if earlier <= lane and piece.mask >> lane - earlier & 1:
                        piece.head |= 1 << lane - earlier
            elif owner is not None and offset is not None and offset >= len(START):
                if owner == begun:
                    piece.head |= 1 << lane
                else:
                    piece.tail |= 1 << lane
            if is_end:
                assert owner is not None
                piece.ended = self.messages[owner]
            if lane == width - 1:
                piece.full = True
                break
        # The lanes below have the earlier bytes of the word, those above have anything.
        word = self.at - 1 - (self.at - 1) % width
        piece.data = int.from_bytes((self.data[word : self.at] + b"\xcc" * width)[:width], "little")
        return piece


class Bench(Elaboratable):
    """The wide message memory and its release, wired as in the core."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.slots = WideSlots(shape)
        self.release = WideRelease(shape)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.slots = slots = self.slots
        m.submodules.release = release = self.release
        m.d.comb += [
            release.arrival.eq(slots.arrival),
            release.start_lane.eq(slots.start_lane),
            release.read_data.eq(slots.read_data),
        ]
        for name in ("start_slot", "read_enable", "read_slot", "read_word", "read_following", "read_below"):
            m.d.comb += getattr(slots, name).eq(getattr(release, name))
        m.d.comb += slots.latch_enable.eq(release.latch_enable)
        return m


@dataclass
class Push:
    """What was pushed, and when."""

    cycle: int
    message: Message


class Traffic:
    """Drives the bench with pieces until all have been sent and judged, and all has come out.

    Parameters:
        pieces: in their order; turns included.
        delay: cycles that a frame waits, chosen among these.
        stall: share of the cycles from which on the pipeline stands for another reason, for up to ``longest_stall``.
        keep: share of the cycles in which no slot is taken back.
        release: share of the cycles in which a held message is released; ``discard``: in which one is given up.
        hold: messages that are held at most. ``patient``: they are released only when all pieces have been sent.

    Members:
        pushed: what was pushed, in which cycle from the reset on.
        waited: cycles in which a slot was wanted.
    """

    def __init__(
        self,
        bench: Bench,
        pieces: Iterable[Piece],
        rng: random.Random,
        *,
        delay: Sequence[int] = (0,),
        stall: float = 0.0,
        longest_stall: int = 1,
        keep: float = 0.0,
        release: float = 0.0,
        discard: float = 0.0,
        hold: int = 0,
        patient: bool = False,
    ):
        self.bench, self.rng = bench, rng
        self.pieces = iter(pieces)
        self.delay, self.stall, self.release, self.discard, self.hold = delay, stall, release, discard, hold
        self.patient, self.longest_stall, self.keep = patient, longest_stall, keep
        self.pushed: list[Push] = []
        self.waited = 0
        self._held: list[tuple[int, Message]] = []
        self._owned: set[int] = set()

    async def run(self, ctx: Any) -> None:
        """The testbench."""
        slots, release, rng = self.bench.slots, self.bench.release, self.rng
        outputs = (
            slots.wants_slot,
            slots.has_current,
            slots.current,
            slots.free.ready,
            release.free.valid,
            release.free.payload,
            release.idle,
        )
        tick = ctx.tick().sample(*outputs)
        warm_up = self.bench.shape.slots + 2
        for _ in range(warm_up):
            await tick
        frames: deque[list[Any]] = deque()  # message, cycles that it still waits
        piece = next(self.pieces, None)
        go, cycle, quiet, stands = True, warm_up, 0, 0
        while quiet < 20:
            ctx.set(slots.go, go)
            shown = piece or Piece()
            word = ("data", "mask", "full", "session", "turn")
            ctx.set(slots.word, {name: getattr(shown, name) for name in word})
            ctx.set(slots.structure, {"start": shown.start, "tail": shown.tail, "head": shown.head, "body_end": 0})
            # The sequencer.
            takes = pushes = arrived = False
            delivery = {"slot": 0, "length": 0, "session": 0}
            pushed = None
            current = ctx.get(slots.current)
            waits = bool(frames)
            if frames and frames[0][1] == 0:
                message = frames[0][0]
                held = message.fate == HOLD and len(self._held) < self.hold
                takes = held or message.fate == DELIVER
                pushes = arrived = message.fate == DELIVER
                if takes:
                    assert ctx.get(slots.has_current), "a message that is judged has a slot"
                    assert current not in self._owned
                    self._owned.add(current)
                if pushes:
                    delivery = {"slot": current, "length": len(message.delivered), "session": message.session}
                    pushed = message
                elif held:
                    self._held.append((current, message))
                frames.popleft()
            else:
                if frames:
                    frames[0][1] -= 1
                if self._held and not (self.patient and piece) and rng.random() < self.release:
                    slot, pushed = self._held.pop(rng.randrange(len(self._held)))
                    pushes = True
                    delivery = {"slot": slot, "length": len(pushed.delivered), "session": pushed.session}
            freed = None
            if not pushes and self._held and ctx.get(slots.free.ready) and rng.random() < self.discard:
                freed = self._held.pop()[0]
            ctx.set(slots.judges, waits)
            ctx.set(slots.take, takes)
            ctx.set(release.push, pushes)
            ctx.set(release.arrived, arrived)
            ctx.set(release.delivery, delivery)
            if pushed is not None:
                self.pushed.append(Push(cycle, pushed))
            # Two give slots back; the sequencer goes first.
            keeps = freed is None and rng.random() < self.keep
            ctx.set(slots.free.valid, freed is not None or (ctx.get(release.free.valid) and not keeps))
            ctx.set(slots.free.payload, ctx.get(release.free.payload) if freed is None else freed)
            ctx.set(release.free.ready, ctx.get(slots.free.ready) and freed is None and not keeps)
            _, _, wants, _, _, ready, valid, returned, idle = await tick
            if freed is None and valid and ready and not keeps:
                freed = returned
            if freed is not None:
                self._owned.remove(freed)
            self.waited += wants
            # The pipeline: a frame is offered in the cycle after its last piece was taken.
            waits = bool(frames)
            if go and piece is not None:
                if piece.ended is not None:
                    frames.append([piece.ended, rng.choice(self.delay)])
                piece = next(self.pieces, None)
            stands = max(stands - 1, 0)
            if not stands and rng.random() < self.stall:
                stands = rng.randint(1, self.longest_stall)
            go = not waits and not wants and not stands
            cycle += 1
            over = piece is None and not frames and idle and not (self._held and self.release)
            quiet = quiet + 1 if over else 0
        assert self._owned == {slot for slot, _ in self._held}, "all others were given back"


def delivered(width: int, payloads: Sequence[Any]) -> list[tuple[int, bytes]]:
    """Session and bytes of each message that came out, of beats that are full but for the last one."""
    messages, octets, session = [], b"", None
    for payload in payloads:
        assert session in (None, payload.session)
        session = payload.session
        assert payload.count == width or (payload.last and 0 < payload.count < width)
        octets += int(payload.data).to_bytes(width, "little")[: payload.count]
        if payload.last:
            messages.append((session, octets))
            octets, session = b"", None
    assert octets == b""
    return messages


def turns(streams: Sequence[Stream], rng: random.Random, *, longest: int | None = None, stay: float = 0.7) -> Any:
    """The pieces of several sessions: they take turns, with a turn's bubble and one more before a session's bytes.

    ``longest``: pieces of up to so many bytes, at random; None: whole words.
    """
    session = 0
    while any(stream.left for stream in streams):
        if not streams[session].left or rng.random() > stay:
            following = rng.choice([stream.session for stream in streams if stream.left])
            if following != session:
                session = following
                yield Piece(turn=True, session=session)
                yield Piece()
        stream = streams[session]
        if stream.left:
            yield stream.piece(stream.width if longest is None else rng.randint(1, longest))
        if longest is not None and rng.random() < 0.1:
            yield Piece(session=session)
