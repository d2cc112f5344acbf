"""The rules: which row of the table fits a message (R1 to R10d, in the order of docs/rules.md)."""

from amaranth import C, Cat, Elaboratable, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import Phase, Rule

#: One bit per row of the table.
Rows = data.StructLayout({rule.name: 1 for rule in Rule if Rule.F5 <= rule <= Rule.R10D})

#: Rows of a number above that nothing is known of yet; with something in the window they all give way to R10A.
NEW_ABOVE = (Rule.R10, Rule.R10B, Rule.R10C, Rule.R10D)


class Rules(wiring.Component):
    """The table of receive decisions: facts in, the first rule that fits out.

    The golden model and this table have the same rows in the same order (but for F5 behind R1, docs/decisions/0001).
    The memory of held messages answers last: ``held`` is asked for a cycle behind the other facts, when the row is
    known that fits without it.

    Members:
        known: one hot, the first row whose condition holds if the window has nothing at seq.
        row: the same, whatever the window has. rule: its code.
        held: the window has something at seq; a cycle behind all others.
        phase: of the session.
        oversize, mirror, ...: facts about the message and how its numbers compare.

    Latency: facts to ``known``, ``row`` and ``rule``, one cycle.
    """

    phase: In(Phase)
    oversize: In(1)
    mirror: In(1)
    is_logon: In(1)
    is_sequence_reset: In(1)
    is_resend_request: In(1)
    gap_fill: In(1)
    reset_seq_num: In(1)
    possdup: In(1)
    seq_ok: In(1)
    seq_is_one: In(1)
    seq_is_expected: In(1)
    seq_is_below: In(1)
    seq_in_window: In(1)  #: seq - expected < window, or seq <= expected
    room: In(1)  #: there is memory for one more message of this session
    held: In(1)
    new_seq_ok: In(1)
    new_seq_is_expected: In(1)
    new_seq_above_expected: In(1)
    new_seq_above_seq: In(1)
    requested: In(1)  #: a ResendRequest with begin <= seq was decided on this connection
    known: Out(Rows)
    row: Out(Rows)
    rule: Out(Rule)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        reset = self.is_sequence_reset & ~self.gap_fill
        fill = self.is_sequence_reset & self.gap_fill
        # Rows with a condition in common, and what more they ask for. The last row of a group asks for nothing more: so
        # what comes behind a group depends on what it has in common alone.
        groups: list[tuple[Value, list[tuple[Rule, Value]]]] = [
            ((self.phase == Phase.CLOSED) | (self.phase == Phase.HALTED), [(Rule.R1, C(1))]),
            (self.oversize, [(Rule.F5, C(1))]),
            (~self.mirror, [(Rule.R2, C(1))]),
            (
                reset,
                [
                    (Rule.R3, self.new_seq_ok & self.new_seq_above_expected),
                    (Rule.R3A, self.new_seq_ok & self.new_seq_is_expected),
                    (Rule.R3B, C(1)),
                ],
            ),
            (~self.seq_ok, [(Rule.R4, C(1))]),
            (self.is_logon & self.reset_seq_num & self.seq_is_one, [(Rule.R5, C(1))]),
            ((self.phase == Phase.LOGON) & ~self.is_logon, [(Rule.R6, C(1))]),
            (
                self.seq_is_expected,
                [
                    (Rule.R7, fill & self.new_seq_ok & self.new_seq_above_seq),
                    (Rule.R7A, fill),
                    (Rule.R8, C(1)),
                ],
            ),
            (
                self.seq_is_below,
                [
                    (Rule.R9, self.possdup & fill & self.new_seq_ok & self.new_seq_above_expected & self.requested),
                    (Rule.R9A, self.possdup),
                    (Rule.R9B, C(1)),
                ],
            ),
            # R10A stands here, see below.
            (
                C(1),
                [
                    (Rule.R10C, self.is_logon),
                    (Rule.R10D, self.is_resend_request),
                    # A held GapFill needs no memory.
                    (Rule.R10, self.seq_in_window & (self.room | fill)),
                    (Rule.R10B, C(1)),
                ],
            ),
        ]
        fits = Signal(Rows)
        in_common = Signal(len(groups))
        m.d.comb += in_common.eq(Cat(common for common, _ in groups))
        for group, (_, rows) in enumerate(groups):
            earlier: Value = in_common[:group].any()
            for rule, condition in rows:
                m.d.comb += fits[rule.name].eq(in_common[group] & condition & ~earlier)
                earlier = earlier | condition
        m.d.sync += self.known.eq(fits)

        m.d.comb += self.row.eq(self.known)
        above: Value = C(0, 1)
        for rule in NEW_ABOVE:
            above = above | self.known[rule.name]
            m.d.comb += self.row[rule.name].eq(self.known[rule.name] & ~self.held)
        m.d.comb += self.row[Rule.R10A.name].eq(above & self.held)
        for bit in range(len(self.rule)):
            m.d.comb += self.rule[bit].eq(Cat(self.row[name] for name in Rows.members if Rule[name] >> bit & 1).any())
        return m
