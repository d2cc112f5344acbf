"""COBS: the gateware says what the package ``cobs`` says, and a spoiled frame spoils no other."""

from __future__ import annotations

import random
from typing import Any

import pytest
from cobs import cobs

from tag34_hdl.link.cobs import CobsDecoder, CobsEncoder
from tests.hdl.bench import Simulation, Sink, Source


def frames_of(rng: random.Random) -> list[bytes]:
    """Frames at the borders of blocks, and others."""
    run = bytes(range(1, 255))
    edges = [b"\0", b"\1", b"\0\0", b"\1\0", b"\0\1", run[:253], run, run + b"\7", run + b"\0", run[:253] + b"\0"]
    edges += [b"\0" + run, b"\0" + run + b"\1", bytes(256), run[:253] + b"\0\0", b"\xff" * 256]
    return edges + [
        bytes(rng.choice((0, 0, 1, 255, rng.randrange(256))) for _ in range(rng.randint(1, 60))) for _ in range(8)
    ]


def payloads(frame: bytes) -> list[dict[str, int]]:
    return [{"data": byte, "last": int(at == len(frame) - 1)} for at, byte in enumerate(frame)]


def joined(taken: list[Any]) -> list[bytes]:
    """Frames, the last one unfinished or empty."""
    frames = [bytearray()]
    for payload in taken:
        frames[-1].append(payload.data)
        if payload.last:
            frames.append(bytearray())
    return [bytes(frame) for frame in frames]


@pytest.mark.parametrize(("pause", "stall"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.7), (0.3, 0.3)])
def test_encoder_says_what_cobs_says(pause: float, stall: float, rng: random.Random) -> None:
    dut = CobsEncoder()
    frames = frames_of(rng)
    # The zero ends what may be on the wire from before the reset.
    expected = b"\0" + b"".join(cobs.encode(frame) + b"\0" for frame in frames)
    source = Source(dut.frames, [payload for frame in frames for payload in payloads(frame)], rng, pause)
    sink = Sink(dut.bytes, rng, stall, enough=len(expected))
    Simulation(dut).run(source.run, sink.run, cycles=60_000)
    assert bytes(sink.payloads) == expected


@pytest.mark.parametrize(("pause", "stall"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.7), (0.3, 0.3)])
def test_decoder_says_what_cobs_says(pause: float, stall: float, rng: random.Random) -> None:
    """Zeros more than needed between frames are nothing."""
    dut = CobsDecoder()
    frames = frames_of(rng)
    wire = b"".join(bytes(rng.randrange(3)) + cobs.encode(frame) + b"\0" for frame in frames)
    source = Source(dut.bytes, wire, rng, pause)
    sink = Sink(dut.frames, rng, stall, enough=sum(map(len, frames)))
    Simulation(dut).run(source.run, sink.run, cycles=60_000)
    assert joined(sink.payloads) == [*frames, b""]


def test_decoder_spoils_a_frame_that_ends_too_soon(rng: random.Random) -> None:
    """Whatever is cut off: what comes out is not the frame, nor what its bytes would be; the next frame is right."""
    dut = CobsDecoder()
    simulation = Simulation(dut)
    frame, after = b"\1\2\0\3\4\5", b"\6\7"
    wire = cobs.encode(frame)
    for end in range(1, len(wire)):
        source = Source(dut.bytes, wire[:end] + b"\0" + cobs.encode(after) + b"\0")
        sink = Sink(dut.frames, stall=0.2, rng=rng)

        async def testbench(ctx: Any, source: Source = source) -> None:
            await source.run(ctx)
            await ctx.tick().repeat(20)

        simulation.run(testbench, background=[sink.run])
        *spoiled, last, rest = joined(sink.payloads)
        assert last == after
        assert rest == b""
        complete = wire[:end] == b"\3\1\2"  # a whole frame of fewer bytes, by chance
        assert complete == (spoiled == [b"\1\2"])
        assert not any(frame.startswith(got) for got in spoiled if not complete)


def test_decoder_survives_noise(rng: random.Random) -> None:
    """Any bytes, then a zero: the next frame is right."""
    dut = CobsDecoder()
    simulation = Simulation(dut)
    after = b"\6\0\7"
    for _ in range(20):
        noise = rng.randbytes(rng.randint(1, 40))
        source = Source(dut.bytes, noise + b"\0" + cobs.encode(after) + b"\0")
        sink = Sink(dut.frames)
        simulation.run(source.run, background=[sink.run])
        assert joined(sink.payloads)[-2:] == [after, b""]
