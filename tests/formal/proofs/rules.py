"""The table of receive decisions against docs/rules.md, written down a second time, in another form."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal

from tag34.contract import Phase, Rule
from tag34_hdl.session.rules import Rules

from ..harness import Proof, Property

#: The rows of a message that is judged.
ROWS = [rule for rule in Rule if Rule.F5 <= rule <= Rule.R10D]


class RulesTable(Proof):
    """A tree of questions as a reader of the page asks them, instead of a list of conditions; for all facts at once."""

    component = "rules"
    assumes = "the facts are possible: a number is not below and expected at a time, what is held lies in the window"
    sample = True
    reach = 2
    properties = (
        Property(
            "rules.table",
            tuple(rule.id for rule in ROWS),
            "for all facts the row is the one that docs/rules.md gives, read as a tree of questions",
        ),
    )

    def build(self) -> None:
        """Any facts; ``held`` is asked for a cycle behind the others."""
        m = self.m
        m.submodules.dut = dut = Rules()
        facts = [name for name in dut.signature.members if name not in ("known", "row", "rule")]
        self.free(*(getattr(dut, name) for name in facts))
        self.assume(~(dut.seq_is_below & dut.seq_is_expected))
        self.assume(~(dut.new_seq_above_expected & dut.new_seq_is_expected))
        before = self.past(dut.seq_in_window)
        self.assume(~dut.held | before)
        # A message has one type.
        types = (dut.is_logon, dut.is_sequence_reset, dut.is_resend_request)
        self.assume(sum(types) <= 1)

        row = Signal(Rule)

        def decide(rule: Rule) -> None:
            m.d.comb += row.eq(rule)

        above = Signal()  # of a number above, the window decides
        above_rows = Signal(Rule)
        with m.If(dut.is_logon):
            m.d.comb += above_rows.eq(Rule.R10C)
        with m.Elif(dut.is_resend_request):
            m.d.comb += above_rows.eq(Rule.R10D)
        with m.Else():
            # A GapFill has no bytes to keep (R10b speaks of memory).
            fits = dut.seq_in_window & (dut.room | (dut.is_sequence_reset & dut.gap_fill))
            m.d.comb += above_rows.eq(Rule.R10B)
            with m.If(fits):
                m.d.comb += above_rows.eq(Rule.R10)

        with m.Switch(dut.phase):
            with m.Case(Phase.CLOSED, Phase.HALTED):
                decide(Rule.R1)
            with m.Default():
                with m.If(dut.oversize):
                    decide(Rule.F5)
                with m.Elif(~dut.mirror):
                    decide(Rule.R2)
                with m.Elif(dut.is_sequence_reset & ~dut.gap_fill):
                    # A Reset: its own 34 is not looked at.
                    decide(Rule.R3B)
                    with m.If(dut.new_seq_ok):
                        with m.If(dut.new_seq_above_expected):
                            decide(Rule.R3)
                        with m.Elif(dut.new_seq_is_expected):
                            decide(Rule.R3A)
                with m.Elif(~dut.seq_ok):
                    decide(Rule.R4)
                with m.Elif(dut.is_logon & dut.reset_seq_num & dut.seq_is_one):
                    decide(Rule.R5)
                with m.Elif((dut.phase == Phase.LOGON) & ~dut.is_logon):
                    decide(Rule.R6)
                with m.Elif(dut.seq_is_expected):
                    decide(Rule.R8)
                    with m.If(dut.is_sequence_reset):
                        decide(Rule.R7A)
                        with m.If(dut.new_seq_ok & dut.new_seq_above_seq):
                            decide(Rule.R7)
                with m.Elif(dut.seq_is_below):
                    decide(Rule.R9B)
                    with m.If(dut.possdup):
                        decide(Rule.R9A)
                        late_answer = Cat(dut.is_sequence_reset, dut.new_seq_ok, dut.new_seq_above_expected)
                        with m.If(late_answer.all() & dut.requested):
                            decide(Rule.R9)
                with m.Else():
                    decide(above_rows)
                    m.d.comb += above.eq(1)

        decided = Signal()
        m.d.sync += decided.eq(1)
        wanted = Mux(self.past(above) & dut.held, Rule.R10A, self.past(row))
        self.holds("rules.table", ~decided | (dut.rule == wanted))
        for rule in ROWS:
            self.holds("rules.table", ~decided | (dut.row[rule.name] == (wanted == rule)))
            self.cover("rules.table", decided & (dut.rule == rule))
