"""R17: fields of many sessions, cycle by cycle: what stays in block memory shows late, ``changed`` says how long."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from amaranth import Elaboratable, Fragment, Module
from amaranth.lib import data

from tag34_hdl.block_memory import UndefinedCollisions
from tag34_hdl.layouts import Shape
from tag34_hdl.receive.fields import Fields
from tag34_sim.messages import Field
from tests.hdl.bench import Simulation, plain
from tests.hdl.receive.test_fields import PEER, marked, random_message

SESSIONS = 3
SHAPE, ALONE = Shape(sessions=SESSIONS, window=64), Shape(window=64)

#: What a byte means, None: a cycle without a byte; "switch", session: a turn begins.
Step = dict[str, int] | None | tuple[str, int]

KEPT = ("msg_type", "seq", "seq_low", "new_seq", "new_seq_low")
TYPES = ("is_logon", "is_sequence_reset", "is_resend_request")
#: Cycles for which a change is told.
TOLD = 3


class Bench(Elaboratable):
    """Fields of many sessions, and beside it one component for each of them alone."""

    def __init__(self) -> None:
        self.dut = Fields(SHAPE)
        self.alone = [Fields(ALONE) for _ in range(SESSIONS)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        for session, alone in enumerate(self.alone):
            m.submodules[f"alone_{session}"] = alone
            m.d.comb += [
                alone.byte_valid.eq(dut.byte_valid & (dut.session == session)),
                alone.byte.eq(dut.byte),
                alone.done.eq(dut.done & (dut.session == session)),
            ]
        return m


@cache
def simulation() -> tuple[Bench, Simulation]:
    """With memories of which nobody may read what is being written."""
    bench = Bench()
    return bench, Simulation(Fragment.get(bench, UndefinedCollisions()))


def steps(rng: random.Random, streams: list[list[dict[str, int] | None]], longest: int, pause: float) -> Iterator[Step]:
    """The sessions' bytes in turn, ``longest`` at most at a time, as the framer hands them on: a turn begins one cycle
    behind a byte at the earliest, and is over before the next one."""
    places = [0] * len(streams)
    session = 0
    while any(place < len(stream) for place, stream in zip(places, streams, strict=True)):
        for _ in range(rng.randint(1, longest)):
            while rng.random() < pause:
                yield None
            if places[session] < len(streams[session]):
                yield streams[session][places[session]]
                places[session] += 1
        for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
            yield None
        session = rng.choice([other for other in range(len(streams)) if other != session])
        yield "switch", session
        yield None


def each_is_alone(
    messages: list[list[bytes]], rng: random.Random, *, longest: int, pause: float = 0.0
) -> dict[str, int]:
    """Show the sessions' messages in turn: whenever no change is told each session has the fields that it would have
    alone, and a change is told for three cycles, no longer.

    Returns what was seen how often: settled fields, a turn that shows late, a new number.
    """
    bench, simulator = simulation()
    dut = bench.dut
    streams = [[mark for raw in of_one for mark in marked(raw)] for of_one in messages]
    names = [name for name, _ in SHAPE.fields if name != "mirror"]
    told = dict.fromkeys(("settled", "at a turn", "new"), 0)

    def shown(fields: data.View[Any]) -> dict[str, int]:
        return {name: value for name, value in plain(fields).items() if name in names}

    async def testbench(ctx: Any) -> None:
        await ctx.tick().repeat(SESSIONS + 1)
        before = shown(ctx.get(dut.fields))
        changes = [0] * TOLD
        history: list[list[dict[str, int]]] = []
        reading: list[str] = [""] * SESSIONS  # the tag or field at hand
        turn, latest = False, 0
        for step in [*steps(rng, streams, longest, pause), *[None] * 4]:
            byte = step if isinstance(step, dict) else None
            switch = isinstance(step, tuple)
            ctx.set(dut.byte_valid, byte is not None)
            ctx.set(dut.byte, byte or {})
            ctx.set(dut.switch, switch)
            if isinstance(step, tuple):
                latest = ctx.get(dut.session)
                ctx.set(dut.next_session, step[1])
            ctx.set(dut.done, ctx.get(dut.complete) and not switch and not turn and rng.random() < 0.2)
            if byte is not None:
                at = ctx.get(dut.session)
                text = reading[at] + chr(byte["data"])
                reading[at] = "" if byte["data"] == 1 or byte.get("start") else text
            await ctx.tick()
            session = ctx.get(dut.session)
            alone = bench.alone[session]
            now, wanted = shown(ctx.get(dut.fields)), shown(ctx.get(alone.fields))
            if reading[session].startswith("35="):
                # Of its first character it is known at once that no other one has come.
                for name in TYPES:
                    del now[name], wanted[name]
            changed = ctx.get(dut.changed)
            changes.append(int(turn or ctx.get(alone.changed)))
            assert changed == any(changes[-TOLD:])
            assert ctx.get(dut.settled) == ctx.get(alone.settled)
            assert ctx.get(dut.complete) == ctx.get(alone.complete)
            if not changed:
                assert now == wanted
                assert all(now[name] == before[name] for name in now if name in before)
                told["settled"] += ctx.get(dut.settled)
            history.append([shown(ctx.get(bench.alone[which].fields)) for which in {session, latest}])
            recent = [fields for cycle in history[-TOLD - 1 :] for fields in cycle]
            for name in now:
                if name in KEPT[1:]:
                    known = {fields[name] for fields in recent}
                    assert now[name] in known, "old or new, of this session or the one before, and nothing between"
                    told["new"] += now[name] != before[name]
                elif name not in (*KEPT, *TYPES):
                    assert now[name] == wanted[name]
            told["at a turn"] += turn and any(now[name] != wanted[name] for name in KEPT)
            before, turn = before | now, switch

    simulator.run(testbench, cycles=60_000)
    return told


@pytest.mark.rule("F2", "R17")
@pytest.mark.parametrize(("longest", "pause"), [(1, 0.0), (3, 0.0), (30, 0.0), (5, 0.4)])
def test_each_session_has_the_fields_it_would_have_alone(longest: int, pause: float, rng: random.Random) -> None:
    messages = [[random_message(rng) for _ in range(6)] for _ in range(SESSIONS)]
    told = each_is_alone(messages, rng, longest=longest, pause=pause)
    assert min(told.values()) > 20, told


@pytest.mark.rule("F2", "R17")
def test_F2_data_fields_are_passed_over_whatever_comes_between(rng: random.Random) -> None:
    """Their length is counted down elsewhere than with one session: in BCD."""
    inside = b"\x01141=Y\x01123=Y\x0136=5\x01"

    def data_field(size: int) -> list[Field]:
        return [(95, size), (96, (inside * 60)[:size])]

    right = [data_field(size) for size in (1, 8, 9, 10, 11, 99, 100, 1001)]
    wrong: list[list[Field]] = [
        [(95, said), (96, inside)] for said in ("0", "0019", "0000019", "", "1x", 18, 20, 999999, "5\x0196x")
    ]
    wrong += [[(95, 19), (58, "x"), (96, inside)], [(93, 19), (96, inside)]]
    messages = [PEER.message(kind, 7, [*fields, (36, 7), (141, "Y")]) for fields in right + wrong for kind in "A4"]
    each_is_alone([messages, rng.sample(messages, 8), []], rng, longest=60)
