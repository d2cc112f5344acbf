"""Composer: full beats, whatever lane a field begins in, and however the beats of a body are cut."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34.contract import MAX_SEQ
from tag34.device import SessionConfig
from tag34_hdl.receive.fields import BEGIN_STRING, IDENT_BITS, OURS, THEIRS
from tests.hdl.bench import Sink, Source
from tests.hdl.send.test_composer import (
    WIDTHS,
    Out,
    Request,
    Send,
    Stalls,
    check,
    random_config,
    random_send,
    rtl,
    simulation,
)

#: Cycles without a beat that a message may have, per width: one for each text, number, ident or part of the time that
#: does not make a full beat, those before BodyLength, and those before CheckSum.
BUBBLES = {1: 4, 2: 20, 4: 28, 8: 35}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_beat_leaves_per_cycle(width: int, rng: random.Random) -> None:
    """Within the body without a pause, before and behind it but for a number of cycles that does not depend on it."""
    sends = [random_send(rng) for _ in range(5)]
    sends += [Send("D", b"58=" + b"x" * 400 + b"\x01"), Send("AAAA", b"58=x\x01", seq=MAX_SEQ)]
    out, _ = rtl(width, sends, [Request(1, 0), Request(MAX_SEQ, MAX_SEQ)], rng)
    for message, first, last in zip(out.messages, out.taken, out.ends, strict=True):
        assert last - first + 1 <= -(-len(message) // width) + BUBBLES[width]


@pytest.mark.rule("S1")
@pytest.mark.parametrize("width", WIDTHS)
def test_S1_every_border_of_a_field_in_every_lane(width: int, rng: random.Random) -> None:
    """Lengths of all that is in a message go through all remainders of a beat's size, and past 1, 2 and 3 beats."""
    for length in range(1, 2 * max(width, 4) + 2):
        config = SessionConfig(
            "FIX.4.4.4.4.4.4.4.4.4"[: 2 + length],
            "S" * length,
            "T" * (1 + (3 * length) % (2 * width + 1)),
            fraction=3 * (length % 4),
        )
        sends = [
            Send("ADj8"[: 1 + (place + length) % 4], bytes(rng.choices(b"ab\x01", k=place)), seq=10 ** (place % 10))
            for place in range((length + 1) % 2, 2 * width + 2, 2)
        ]
        requests = [Request(10 ** (length % 10), MAX_SEQ)]
        out, _ = rtl(width, sends, requests, rng, next_out=7, config=config, partial=0.7)
        check(out, sends, requests, config, next_out=7)


@pytest.mark.rule("S1")
@pytest.mark.parametrize("width", WIDTHS)
def test_S1_beats_are_full_and_messages_whole_however_the_beats_of_bodies_are_cut(
    width: int, rng: random.Random
) -> None:
    sends = [Send("D", rng.randbytes(size)) for size in (1, width, width + 1, 3 * width - 1, 60, 512)]
    for partial in (0.0, 0.2, 1.0):
        out, _ = rtl(width, sends, [], rng, Stalls(tx=0.3, inputs=0.3), partial=partial)
        check(out, sends, [])


@pytest.mark.rule("S1", "R17")
@pytest.mark.parametrize("width", WIDTHS)
def test_S1_idents_may_be_written_while_messages_leave(width: int, rng: random.Random) -> None:
    """Byte by byte, by the port of the host: what is written in pieces is not shown in between, as it is the same."""
    bench = simulation(width).component
    dut = bench.dut
    config = random_config(rng)
    tx, records = Sink(dut.tx, rng, 0.3), Sink(dut.records)
    all_sends = [random_send(rng, 60) for _ in range(6)]
    headers = Source(dut.send_header, [send.header() for send in all_sends], rng, 0.5, start=1)
    bodies = Source(dut.send_body, [beat for send in all_sends for beat in send.beats(width, rng)], start=1)
    texts = ((BEGIN_STRING, config.begin_string), (OURS, config.sender), (THEIRS, config.target))

    async def write(ctx: Any) -> None:
        while True:
            region, text = rng.choice(texts)
            index = rng.randrange(len(text))
            ctx.set(dut.ident_address, region << IDENT_BITS | index)
            ctx.set(dut.ident_data, ord(text[index]))
            ctx.set(dut.ident_write, rng.random() < 0.5)
            await ctx.tick()

    async def testbench(ctx: Any) -> None:
        await bench.prepare(ctx, config)
        while len(records.payloads) < len(all_sends) or tx.payloads[-1].last == 0:
            await ctx.tick()

    simulation(width).run(testbench, headers.run, bodies.run, background=[tx.run, records.run, write])
    check(Out.of(tx, records, width), all_sends, [], config)
