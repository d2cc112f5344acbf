"""Rules: the row that fits, the same as the golden model's, in every kind of situation."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tag34.contract import RULE_VERDICT, Phase, Rule
from tag34.device import MessageRecord, Record
from tag34_hdl.session.rules import Rows, Rules
from tag34_sim.golden import Frame, FrameKind, Memory, Message, Session
from tag34_sim.messages import Field, Peer
from tests.hdl.bench import simulate

PEER = Peer()


@dataclass
class Situation:
    """A session and a message that it gets.

    Members: ``phase``, ``expected``, ``window``; ``held``, numbers in the window; ``room``, there is memory for more;
    ``begin``, lowest 7 of the requests
    so far, None for no request; the message: ``oversize``, ``foreign``, ``msg_type``, ``seq`` (None: no legal one),
    ``possdup``, ``gap_fill``, ``reset``, ``new_seq`` (None: no legal one).
    """

    phase: Phase
    expected: int
    window: int
    held: set[int]
    room: bool
    begin: int | None
    oversize: bool
    foreign: bool
    msg_type: str
    seq: int | None
    possdup: bool
    gap_fill: bool
    reset: bool
    new_seq: int | None

    def facts(self) -> dict[str, int]:
        """What the table is told, as the docstring of each input says it."""
        seq, new, expected = self.seq or 0, self.new_seq or 0, self.expected
        return {
            "phase": self.phase,
            "oversize": self.oversize,
            "mirror": not self.foreign,
            "is_logon": self.msg_type == "A",
            "is_sequence_reset": self.msg_type == "4",
            "is_resend_request": self.msg_type == "2",
            "gap_fill": self.msg_type == "4" and self.gap_fill,
            "reset_seq_num": self.msg_type == "A" and self.reset,
            "possdup": self.possdup,
            "seq_ok": self.seq is not None,
            "seq_is_one": seq == 1,
            "seq_is_expected": seq == expected,
            "seq_is_below": seq < expected,
            "seq_in_window": seq < expected + self.window,
            "held": seq in self.held,
            "room": self.room,
            "new_seq_ok": self.new_seq is not None,
            "new_seq_is_expected": new == expected,
            "new_seq_above_expected": new > expected,
            "new_seq_above_seq": new > seq,
            "requested": self.begin is not None and self.begin <= seq,
        }

    def message(self) -> bytes:
        body: list[Field] = []
        if self.gap_fill:
            body.append((123, "Y"))
        if self.reset:
            body.append((141, "Y"))
        if self.new_seq is not None:
            body.append((36, self.new_seq))
        peer = Peer(sender="STRANGER") if self.foreign else PEER
        return peer.message(self.msg_type, self.seq, body, possdup=self.possdup)

    def golden(self) -> Rule:
        """The rule by which the golden model decides."""
        records: list[Record] = []
        session = Session(0, self.window, records.append, None if self.room else Memory(0, 0))
        session.configure(PEER.config())
        session.connect(self.phase, may_request=False)
        session.phase, session.expected, session.highest = self.phase, self.expected, max([0, *self.held])
        session.held = {seq: Message(True, b"D", seq=seq) for seq in self.held}
        session.asked_from = self.begin
        raw = self.message()
        kind = FrameKind.OVERSIZE if self.oversize else FrameKind.VALID
        session.receive(Frame(kind, 0, len(raw), self.msg_type, raw))
        (rule,) = (record.rule for record in records if isinstance(record, MessageRecord))
        return rule


def situation(rng: random.Random) -> Situation:
    """Small numbers, so that all ways in which they can stand to each other come up."""
    expected, window = rng.randint(1, 8), rng.randint(1, 6)
    inside = range(expected + 1, expected + window)
    return Situation(
        phase=rng.choices(list(Phase), [1, 4, 20, 1])[0],
        expected=expected,
        window=window,
        held={seq for seq in inside if rng.random() < 0.4},
        room=rng.random() < 0.7,
        begin=rng.choice((None, rng.randint(1, 8))),
        oversize=rng.random() < 0.03,
        foreign=rng.random() < 0.03,
        msg_type=rng.choice("AA4444442258D"),
        seq=rng.choice((None, *range(1, 13), expected, expected)),
        possdup=rng.random() < 0.5,
        gap_fill=rng.random() < 0.7,
        reset=rng.random() < 0.5,
        new_seq=rng.choice((None, *range(1, 14))),
    )


@pytest.mark.rule("F5", "R1", "R2", "R3", "R3a", "R3b", "R4", "R5", "R6", "R7", "R7a", "R8", "R9", "R9a", "R9b")
@pytest.mark.rule("R10", "R10a", "R10b", "R10c", "R10d")
def test_the_row_is_that_of_the_golden_model(rng: random.Random) -> None:
    dut = Rules()
    situations = [situation(rng) for _ in range(10_000)]
    met: Counter[Rule] = Counter()

    async def testbench(ctx: Any) -> None:
        shown: dict[str, int] = {}
        for this in situations:
            for name, value in this.facts().items():
                if shown.get(name) != value:
                    ctx.set(getattr(dut, name), value)
                    shown[name] = value
            await ctx.tick()
            rule = Rule(ctx.get(dut.rule))
            assert ctx.get(dut.row) == Rows.const({rule.name: 1}), this
            assert rule is this.golden(), this
            met[rule] += 1

    simulate(dut, testbench, cycles=11_000)
    # Garbled messages do not get here; all other rows do.
    assert set(met) == set(RULE_VERDICT) - {Rule.F3}
    assert min(met.values()) >= 5, met


@pytest.mark.rule("R3b", "R4", "R7a")
def test_numbers_that_are_not_legal_compare_with_nothing(rng: random.Random) -> None:
    """Whatever the comparisons say of a number that is none, the verdict does not depend on it."""
    dut = Rules()
    of_seq = (
        "seq_is_one",
        "seq_is_expected",
        "seq_is_below",
        "seq_in_window",
        "held",
        "requested",
        "new_seq_above_seq",
    )
    of_new_seq = ("new_seq_is_expected", "new_seq_above_expected", "new_seq_above_seq")

    async def testbench(ctx: Any) -> None:
        for _ in range(300):
            this = situation(rng)
            this.phase, this.foreign, this.oversize = Phase.ACTIVE, False, False
            scrambled: tuple[str, ...] = of_new_seq
            if rng.random() < 0.5:
                this.seq, scrambled = None, of_seq
            else:
                this.new_seq = None
            facts = this.facts() | {name: rng.getrandbits(1) for name in scrambled}
            for name, value in facts.items():
                ctx.set(getattr(dut, name), value)
            await ctx.tick()
            assert Rule(ctx.get(dut.rule)) is this.golden(), this

    simulate(dut, testbench)
