"""R17: sessions that take turns at framer, fields and slots: each sees what it would see alone, wherever it is cut."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from amaranth import Elaboratable, Module
from amaranth.lib import memory

from tag34_hdl.layouts import Shape
from tag34_hdl.receive.fields import BEGIN_STRING, OURS, THEIRS, Fields
from tag34_hdl.receive.framer import Framer
from tag34_hdl.session.slots import Slots
from tag34_sim.golden import Frame, FrameKind
from tag34_sim.golden import Framer as Golden
from tag34_sim.messages import Peer, damaged_checksum
from tag34_sim.traffic import Traffic
from tests.hdl.bench import Simulation, plain
from tests.hdl.messages import fields_of

SHAPE = Shape(sessions=3, window=4, max_message=200, hold=3)
PEERS = [Peer("FIX.4.4", "PEER", "TAG34"), Peer("FIX.4.2", "PEER", "OTHER"), Peer("FIXT.1.1", "P", "TAG34")]
START = b"8=FIX"


class Bench(Elaboratable):
    """Framer, fields and slots, wired as in the core; a frame is taken when the bench says so."""

    def __init__(self) -> None:
        self.framer, self.fields, self.slots = Framer(SHAPE), Fields(SHAPE), Slots(SHAPE)
        self.idents = memory.Memory(shape=8, depth=SHAPE.sessions << 8, init=[])

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.framer, m.submodules.fields, m.submodules.slots = framer, fields, slots = (
            self.framer,
            self.fields,
            self.slots,
        )
        m.submodules.idents = self.idents
        read = self.idents.read_port()
        m.d.comb += [
            read.addr.eq(fields.ident_addr),
            fields.ident_data.eq(read.data),
            fields.switch.eq(framer.switch),
            fields.next_session.eq(framer.next_session),
            fields.byte_valid.eq(framer.byte_valid),
            fields.byte.eq(framer.byte),
            fields.done.eq(framer.frame.valid & framer.frame.ready),
            slots.switch.eq(framer.switch),
            slots.session.eq(framer.session),
            slots.next_session.eq(framer.next_session),
            slots.write.eq(framer.write),
            framer.has_slot.eq(slots.has_current),
        ]
        return m

    def configure(self, ctx: Any) -> None:
        for session, peer in enumerate(PEERS):
            for region, text in ((BEGIN_STRING, peer.begin_string), (OURS, peer.target), (THEIRS, peer.sender)):
                for index, byte in enumerate(text.encode() + b"\x01"):
                    ctx.set(self.idents.data[session << 8 | region << 6 | index], byte)


@cache
def simulation() -> Simulation:
    return Simulation(Bench())


def take_turns(
    streams: list[bytes], chunks: list[tuple[int, int]], rng: random.Random, *, pause: float = 0.0, stall: float = 0.0
) -> dict[int, list[Frame]]:
    """Feed ``chunks``, (session, size), from the streams and compare all that is seen with the golden framer.

    ``pause``: share of cycles in which no byte is offered; ``stall``: in which a frame is not taken.
    """
    bench = simulation().component
    golden = [Golden(SHAPE.max_message) for _ in streams]
    frames: dict[int, list[Frame]] = {session: [] for session in range(len(streams))}
    switches = sum(a[0] != b[0] for a, b in zip([(0, 0), *chunks], chunks, strict=False))

    async def testbench(ctx: Any) -> None:
        framer, fields, slots = bench.framer, bench.fields, bench.slots
        bench.configure(ctx)
        await ctx.tick().repeat(SHAPE.slots + 1)
        memory: dict[int, dict[int, int]] = {slot: {} for slot in range(SHAPE.slots)}
        owned: list[int] = []
        tick = ctx.tick().sample(
            framer.rx.ready, framer.frame.valid, framer.frame.payload, framer.session, framer.oversize,
            framer.write, framer.write_offset, framer.write_data, slots.current, slots.has_current,
        )  # fmt: skip
        places = [0] * len(streams)
        waiting = [(s, streams[s][at]) for s, size in chunks for at in _advance(places, s, size)]
        cycles, quiet, without_slot, waited, offered = 0, 0, 0, 0, False
        while waiting or quiet < 6:
            offered = bool(waiting) and (offered or rng.random() >= pause)
            ctx.set(framer.rx.valid, offered)
            if offered:
                ctx.set(framer.rx.payload, {"data": waiting[0][1], "count": 1, "session": waiting[0][0]})
            # Who takes it looks at the fields.
            unclear = ctx.get(framer.frame.valid) and ctx.get(fields.changed)
            taken = rng.random() >= stall and not unclear
            waited += unclear
            ctx.set(framer.frame.ready, taken)
            ctx.set(slots.take, 0)
            frame_now = taken and ctx.get(framer.frame.valid)
            seen = plain(ctx.get(fields.fields)) if frame_now else {}
            seen_of = ctx.get(fields.session)
            frees = bool(owned) and rng.random() < 0.02  # seldom enough that there are none left at times
            ctx.set(slots.free.valid, frees)
            ctx.set(slots.free.payload, owned.pop(0) if frees else 0)
            keep = frame_now and not ctx.get(framer.frame.payload).garbled and rng.random() < 0.9
            ctx.set(slots.take, keep)
            _, _, ready, valid, payload, session, oversize, write, offset, byte, current, has = await tick
            cycles += 1
            without_slot += not has
            quiet = 0 if waiting or valid else quiet + 1
            if write:
                assert has
                memory[current][offset] = byte
            if valid and taken:
                (expected,) = pending[session][:1]
                del pending[session][0]
                frames[session].append(expected)
                assert (payload.garbled, payload.offset, payload.length) == (
                    expected.kind is FrameKind.GARBLED,
                    expected.offset,
                    expected.length,
                )
                if expected.kind is not FrameKind.GARBLED:
                    assert oversize == (expected.kind is FrameKind.OVERSIZE)
                    assert seen_of == session
                    raw = streams[session][expected.offset : expected.offset + expected.length]
                    known = fields_of(raw, PEERS[session], SHAPE)
                    assert {name: seen[name] for name in known} == known, raw
                    kept = bytes(memory[current].get(at, 0) for at in range(len(START), min(len(raw), 200)))
                    assert kept == raw[len(START) : 200]
                    if keep:
                        owned.append(current)
            if offered and ready:
                session, byte = waiting.pop(0)
                offered = False
                for found in golden[session].feed(bytes([byte])):
                    pending[session].append(found)
        assert not any(pending.values())
        if not pause and not stall:
            lost = cycles - 6 - sum(size for _, size in chunks) - without_slot - waited
            assert lost <= 2 * switches + sum(map(len, frames.values())), "two cycles for a switch, one for a frame"
        for session, model in enumerate(golden):
            ctx.set(framer.counts_session, session)
            await ctx.tick().repeat(3)
            counts = ctx.get(framer.counts)
            assert (counts.bytes, counts.framed, counts.partial) == (model.received, model.framed, model.partial)

    pending: dict[int, list[Frame]] = {session: [] for session in range(len(streams))}
    simulation().run(testbench, cycles=60_000)
    return frames


def _advance(places: list[int], session: int, size: int) -> range:
    places[session] += size
    return range(places[session] - size, places[session])


@pytest.mark.rule("F1", "R17")
def test_a_message_cut_at_every_byte() -> None:
    """Between the two parts of each message lies a whole message of another session, and the other way round."""
    rng = random.Random(1)
    message = PEERS[0].message("4", 23, [(123, "Y"), (36, 4711)], possdup=True, possresend=True)
    other = PEERS[1].logon(7, reset=True)
    streams, chunks = [b"", b"", b""], []
    for cut in range(1, len(message)):
        streams[0] += message
        streams[1] += other
        chunks += [(0, cut), (1, len(other)), (0, len(message) - cut)]
    frames = take_turns(streams, chunks, rng)
    assert [frame.kind for frame in frames[0]] == [FrameKind.VALID] * (len(message) - 1)
    assert [frame.kind for frame in frames[1]] == [FrameKind.VALID] * (len(message) - 1)


@pytest.mark.rule("F1", "R17")
def test_every_other_byte_is_another_sessions() -> None:
    rng = random.Random(2)
    streams = [b"".join(peer.order(seq) for seq in range(1, 5)) for peer in PEERS]
    size = min(map(len, streams))
    streams = [stream[:size] for stream in streams]
    frames = take_turns(streams, [(session, 1) for _ in range(size) for session in range(3)], rng)
    assert all(len(found) >= 3 for found in frames.values())


@pytest.mark.rule("F1", "R17")
@pytest.mark.parametrize(("pause", "stall"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.7), (0.3, 0.5)])
def test_traffic_cut_at_random(pause: float, stall: float, rng: random.Random) -> None:
    streams = []
    for peer in PEERS:
        traffic = Traffic(rng, peer, window=SHAPE.window, max_message=SHAPE.max_message)
        pieces = [traffic.next() for _ in range(18)]
        pieces.insert(9, damaged_checksum(peer.order(3)))
        streams.append(b"".join(pieces))
    left = [len(stream) for stream in streams]
    chunks = []
    while any(left):
        session = rng.choice([session for session in range(3) if left[session]])
        size = min(left[session], rng.choice((1, 2, 3, 8, 40, 150)))
        left[session] -= size
        chunks.append((session, size))
    frames = take_turns(streams, chunks, rng, pause=pause, stall=stall)
    kinds = {frame.kind for found in frames.values() for frame in found}
    assert {FrameKind.VALID, FrameKind.GARBLED} <= kinds
