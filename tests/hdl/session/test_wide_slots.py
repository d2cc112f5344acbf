"""The wide message memory with its release: messages arrive in lanes, what is released comes out whole."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest

from tag34_hdl.layouts import Shape
from tag34_hdl.session.wide_release import GUESSED
from tests.hdl.bench import Simulation, Sink
from tests.hdl.session.arrivals import (
    DELIVER,
    DROP,
    HOLD,
    START,
    Bench,
    Message,
    Piece,
    Stream,
    Traffic,
    delivered,
    turns,
)

WIDTHS = (2, 4, 8)
SHORTEST = 26  # a header, MsgType, MsgSeqNum and a trailer
LONGEST = 64  # as long as a slot, so that the last bytes get into the lanes below the first byte's
widths = pytest.mark.parametrize("width", WIDTHS)


@cache
def simulation(shape: Shape) -> Simulation:
    return Simulation(Bench(shape))


def shape(width: int, **parameters: Any) -> Shape:
    return Shape(width=width, **{"window": 4, "max_message": LONGEST, **parameters})


def message(rng: random.Random, length: int, fate: str = DELIVER) -> Message:
    return Message(START + rng.randbytes(length - len(START)), fate)


def any_message(rng: random.Random) -> Message:
    """Delivered, held, a duplicate, too long, or garbled soon behind its start."""
    kind = rng.random()
    if kind < 0.15:
        return message(rng, rng.randint(len(START), SHORTEST), DROP)
    if kind < 0.25:
        return message(rng, rng.randint(LONGEST + 1, 3 * LONGEST), DROP)
    length = rng.choice((SHORTEST, LONGEST, rng.randint(SHORTEST, LONGEST)))
    return message(rng, length, rng.choice((DELIVER, DELIVER, HOLD, DROP)))


def run(bench: Shape, pieces: Any, rng: random.Random, *, slow: float = 0.0, **options: Any) -> tuple[Traffic, Sink]:
    """What comes out must be what was pushed, in that order. ``slow``: share of the cycles in which the host does not
    take a beat."""
    made = simulation(bench)
    sink = Sink(made.component.release.deliver, rng, slow)
    traffic = Traffic(made.component, pieces, rng, **options)
    made.run(traffic.run, background=[sink.run], cycles=60_000)
    out = delivered(bench.width, sink.payloads)
    wanted = [(push.message.session, push.message.delivered) for push in traffic.pushed]
    assert len(out) == len(wanted)
    for place, (mine, theirs) in enumerate(zip(out, wanted, strict=True)):
        assert mine == theirs, f"message {place}"
    return traffic, sink


@pytest.mark.rule("R10", "R12")
@widths
@pytest.mark.parametrize("longest", [None, 3, 8])
@pytest.mark.parametrize(("delay", "stall"), [((0,), 0.0), ((0, 0, 1, 2, 5), 0.3)])
def test_messages_come_out_whole(
    width: int, longest: int | None, delay: tuple[int, ...], stall: float, rng: random.Random
) -> None:
    stream = Stream(0, width)
    for _ in range(60):
        stream.skip(rng.randbytes(rng.choice((0, 0, 0, 1, 2, 3, 9))))
        stream.add(any_message(rng))
    pieces = turns([stream], rng, longest=longest)
    traffic, _ = run(
        shape(width), pieces, rng, slow=stall, stall=stall, delay=delay, release=0.05, discard=0.003, hold=3
    )
    assert len(traffic.pushed) > 20


@pytest.mark.rule("R17")
@widths
@pytest.mark.parametrize("longest", [None, 8])
def test_sessions_take_turns(width: int, longest: int | None, rng: random.Random) -> None:
    streams = [Stream(session, width) for session in range(3)]
    for stream in streams:
        stream.skip(rng.randbytes(rng.randrange(width)))
        for _ in range(20):
            stream.add(any_message(rng))
    pieces = turns(streams, rng, longest=longest)
    traffic, _ = run(shape(width, sessions=3), pieces, rng, slow=0.2, stall=0.1, delay=(0, 0, 3), release=0.05, hold=3)
    assert {push.message.session for push in traffic.pushed} == {0, 1, 2}


@pytest.mark.rule("R16")
@widths
def test_slots_run_out(width: int, rng: random.Random) -> None:
    """The host takes next to nothing: messages wait for a slot and lose nothing."""
    streams = [Stream(session, width) for session in range(2)]
    for stream in streams:
        for _ in range(5 + width):
            if rng.random() < 0.3:
                stream.add(message(rng, rng.randint(len(START), 9), DROP))
            stream.add(message(rng, rng.randint(SHORTEST, LONGEST)))
    pieces = turns(streams, rng, stay=0.9)
    traffic, _ = run(shape(width, sessions=2, window=2, hold=1), pieces, rng, slow=0.85, delay=(0, 1), hold=1)
    assert traffic.waited > 50


@pytest.mark.rule("F5")
@widths
def test_every_first_lane_and_every_length(width: int, rng: random.Random) -> None:
    """The longest ones come around to the word of their first byte; longer ones leave the others alone."""
    for first in range(width):
        stream = Stream(0, width)
        for length in (*range(SHORTEST, SHORTEST + width), *range(LONGEST - width + 1, LONGEST + 1)):
            stream.align(first)
            stream.add(message(rng, length))
            stream.align(first)
            stream.add(message(rng, LONGEST + rng.randint(1, 2 * LONGEST), DROP))
        run(shape(width), turns([stream], rng), rng)


@pytest.mark.rule("F5")
@widths
def test_what_is_beyond_the_longest_message_is_not_stored(width: int, rng: random.Random) -> None:
    """Nobody delivers such a message; if one did, its first bytes would still be there."""
    for first in range(width):
        stream = Stream(0, width)
        for more in (1, width, LONGEST, 3 * LONGEST):
            stream.align(first)
            stream.add(message(rng, LONGEST + more, HOLD))
            stream.messages[-1].shown = LONGEST
        run(shape(width), turns([stream], rng), rng, release=1.0, hold=4, patient=True)


@pytest.mark.rule("R16")
@widths
def test_the_pipeline_stands_when_a_message_is_released(width: int, rng: random.Random) -> None:
    """Its last bytes get into the memory all the same."""
    stream = Stream(0, width)
    for _ in range(30):
        stream.add(message(rng, rng.choice((SHORTEST, rng.randint(SHORTEST, LONGEST)))))
        stream.skip(rng.randbytes(rng.choice((0, 1, 9))))
    run(shape(width), turns([stream], rng), rng, stall=0.2, longest_stall=40, delay=(0, 0, 1))


@widths
def test_the_last_word_comes_in_pieces(width: int, rng: random.Random) -> None:
    for length in range(5 * width + 1, 6 * width + 1):
        for first in range(width) if length >= SHORTEST else ():
            for cut in range(1, (first + length - 1) % width + 1):
                stream = Stream(0, width)
                stream.align(first)
                stream.add(message(rng, length))
                pieces = []
                while stream.left:
                    last_word = stream.at // width == (len(stream.data) - 1) // width
                    pieces.append(stream.piece(cut if last_word and not stream.at % width else width))
                run(shape(width), pieces, rng)


@widths
def test_slots_are_taken_back_late(width: int, rng: random.Random) -> None:
    stream = Stream(0, width)
    for _ in range(40):
        stream.add(message(rng, rng.randint(SHORTEST, 40)))
    run(shape(width), turns([stream], rng), rng, keep=0.9)


@widths
def test_short_messages_that_were_held(width: int, rng: random.Random) -> None:
    """Of two beats and more. They came byte by byte: a message does not begin and end within two pieces."""
    for _ in range(8):
        stream = Stream(0, width)
        for _ in range(5):
            stream.add(message(rng, max(len(START) + 2, width + 1) + rng.randrange(2 * width), HOLD))
        run(shape(width), turns([stream], rng, longest=1), rng, release=rng.choice((0.3, 1.0)), hold=5, patient=True)


@widths
def test_a_message_that_arrives_at_full_rate_is_offered_one_cycle_behind_its_push(
    width: int, rng: random.Random
) -> None:
    """If it has seven words; six take a cycle more, and one of five beats or less is fetched when it is pushed."""
    for first in range(width):
        for length in (LONGEST, SHORTEST, 6 * width + 1 - first, 6 * width - first):
            if not SHORTEST <= length <= LONGEST:
                continue
            stream = Stream(0, width)
            stream.align(first)
            stream.add(message(rng, length))
            traffic, sink = run(shape(width), [*turns([stream], rng), *[Piece()] * 20], rng)
            words = -(-(first + length) // width)
            late = sink.cycles[0] - traffic.pushed[0].cycle
            assert late == (1 + max(0, 7 - words) if length > GUESSED * width else 6), f"{first} {length}"
            assert sink.cycles == list(range(sink.cycles[0], sink.cycles[0] + len(sink.cycles)))


@widths
def test_held_messages_follow_each_other_without_a_bubble(width: int, rng: random.Random) -> None:
    stream = Stream(0, width)
    for _ in range(5):
        stream.add(message(rng, rng.randint(LONGEST - 9, LONGEST), HOLD))
    traffic, sink = run(shape(width), turns([stream], rng), rng, release=1.0, hold=5, patient=True)
    assert [push.cycle for push in traffic.pushed] == list(range(traffic.pushed[0].cycle, traffic.pushed[0].cycle + 5))
    assert sink.cycles[0] == traffic.pushed[0].cycle + 6
    assert sink.cycles == list(range(sink.cycles[0], sink.cycles[0] + len(sink.cycles)))


@widths
def test_messages_in_order_leave_as_fast_as_they_arrive(width: int, rng: random.Random) -> None:
    stream = Stream(0, width)
    for _ in range(8):
        stream.add(message(rng, LONGEST))
    traffic, sink = run(shape(width), turns([stream], rng), rng)
    assert len(traffic.pushed) == 8
    assert sink.cycles == list(range(sink.cycles[0], sink.cycles[0] + len(sink.cycles)))


@widths
def test_idle(width: int, rng: random.Random) -> None:
    """Not between a push and the last beat taken; a message that arrives does not count."""
    release = simulation(shape(width)).component.release
    stream = Stream(0, width)
    stream.add(message(rng, LONGEST))
    shown = []

    async def watch(ctx: Any) -> None:
        tick = ctx.tick().sample(release.push, release.idle, release.deliver.valid, release.deliver.payload.last)
        under_way = False
        while True:
            _, _, push, idle, valid, last = await tick
            assert bool(idle) != under_way
            shown.append(idle)
            under_way = bool(push) or (under_way and not (valid and last and ctx.get(release.deliver.ready)))

    made = simulation(shape(width))
    sink = Sink(release.deliver, rng)
    traffic = Traffic(made.component, [*turns([stream], rng), *[Piece()] * 9], rng)
    made.run(traffic.run, background=[sink.run, watch])
    assert 0 in shown
    assert shown[-1]
