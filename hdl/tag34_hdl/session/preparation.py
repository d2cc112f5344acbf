"""Preparation: what a message will do, found out before it is known to be good."""

from typing import Any

from amaranth import C, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import Phase, Policy, Rule

from .. import bcd
from ..layouts import MAX_SEQ_BCD, NUMBER, EntryState, Shape
from .rules import NEW_ABOVE, Rules

#: What the commit of a message does, each in a bit of its own.
Plan = data.StructLayout(
    {
        "rule": Rule,
        "early": 1,  # deliver ahead of its turn
        "push": 1,  # deliver
        "put": 1,  # write a window entry
        "hold": 1,  # and keep the message in its slot
        "take": 1,  # its slot is not used for the next message
        "tops": 1,  # it becomes the highest number in the window
        "raises": 1,  # it becomes `highest`
        "opens": 1,  # R11 asks
        "asks": 1,  # R11 or R13a asks
        "simple": 1,  # R8, and nothing follows: no release, no recovery
        "activates": 1,  # the phase becomes ACTIVE
        "halts": 1,
        "stored": 1,  # it is not longer than max_message, its fields may be told
    }
)


class Preparation(wiring.Component):
    """Compares a message's numbers, finds its row of the table, and says what its commit will do.

    Three cycles: the fields are taken over (``load``) and compared; the row is found that fits if the window has
    nothing at the number, while the window answers; ``plan`` and ``end`` are there.

    Parameters: ``shape``.

    Members:
        load, fields: take over what is known of the message; in the same cycle the window is asked for ``seq_low``.
        message: as taken over.
        foreign, oversize: what only the whole message tells (R2, F5).
        policy, phase, may_request, recovery, again_done, highest, top, top_valid, first_begin, begin_valid: of the
            session; all stays as it is from ``load`` on. empty: the window is, a cycle later.
        expected, limit, chunk_end: from :class:`~tag34_hdl.session.expected.Expected`.
        room: there is memory for one more message of this session.
        entry_state: what the window has at the number, two cycles behind ``load``.
        plan: what the commit does, two cycles behind ``load``, and as long as ``entry_state`` stays.
        in_window: the number is within the window.
        end: of the range that the message would open, as ``plan``. highest_end: of the one that would be opened
            without a message, two cycles after what it depends on has changed; of many sessions it is ``end`` that is
            this with ``alone``, so that there is one choice between the numbers.
    """

    def __init__(self, shape: Shape):
        self._many = shape.sessions > 1
        super().__init__(
            {
                "load": In(1),
                "fields": In(shape.fields),
                "message": Out(shape.fields),
                "foreign": In(1),
                "oversize": In(1),
                "policy": In(Policy),
                "phase": In(Phase),
                "may_request": In(1),
                "recovery": In(1),
                "again_done": In(1),
                "highest": In(NUMBER),
                "top": In(NUMBER),
                "top_valid": In(1),
                "first_begin": In(NUMBER),
                "begin_valid": In(1),
                "empty": In(1),
                "expected": In(NUMBER),
                "limit": In(NUMBER),
                "chunk_end": In(NUMBER),
                "room": In(1),
                "entry_state": In(EntryState),
                "plan": Out(Plan),
                "in_window": Out(1),
                "end": Out(NUMBER),
            }
            | ({"alone": In(1)} if self._many else {"highest_end": Out(NUMBER)})
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        fields, message, plan = self.fields, self.message, self.plan
        m.submodules.rules = rules = Rules()

        # -- First cycle: how the numbers compare
        above_highest = Signal()
        is_highest = Signal()
        above_top = Signal()
        is_last = Signal()
        chunk_ends = Signal()  # a chunk ends below the message
        with m.If(self.load):
            m.d.sync += [
                message.eq(fields),
                rules.seq_is_one.eq(fields.seq == 1),
                rules.seq_is_expected.eq(fields.seq == self.expected),
                rules.seq_is_below.eq(fields.seq < self.expected),
                self.in_window.eq(fields.seq < self.limit),
                rules.new_seq_is_expected.eq(fields.new_seq == self.expected),
                rules.new_seq_above_expected.eq(fields.new_seq > self.expected),
                rules.new_seq_above_seq.eq(fields.new_seq > fields.seq),
                rules.requested.eq(self.begin_valid & (self.first_begin <= fields.seq)),
                above_highest.eq(fields.seq > self.highest),
                is_highest.eq(fields.seq == self.highest),
                above_top.eq(~self.top_valid | (fields.seq > self.top)),
                is_last.eq(fields.seq == MAX_SEQ_BCD),
                chunk_ends.eq(self.chunk_end < fields.seq),
            ]

        # -- Second cycle: the row, and the numbers below
        m.d.comb += [
            rules.phase.eq(self.phase),
            rules.oversize.eq(self.oversize),
            rules.mirror.eq(~self.foreign),
            rules.is_logon.eq(message.is_logon),
            rules.is_sequence_reset.eq(message.is_sequence_reset),
            rules.is_resend_request.eq(message.is_resend_request),
            rules.gap_fill.eq(message.gap_fill),
            rules.reset_seq_num.eq(message.reset_seq_num),
            rules.possdup.eq(message.possdup),
            rules.seq_ok.eq(message.seq_ok),
            rules.new_seq_ok.eq(message.new_seq_ok),
            rules.seq_in_window.eq(self.in_window),
            rules.room.eq(self.room),
        ]
        # What a range would end with, above and below: the number below the highest one if that is in the window.
        seq_below = Signal(NUMBER)
        highest_below = Signal(NUMBER)
        highest_kept = Signal()
        chunk_ends_highest = Signal()  # a chunk ends below `highest`
        m.d.sync += [
            seq_below.eq(bcd.decrement(message.seq)),
            highest_below.eq(bcd.decrement(self.highest)),
            highest_kept.eq(self.top_valid & (self.top == self.highest)),
            chunk_ends_highest.eq(self.chunk_end < self.highest),
        ]
        chunks = self.policy == Policy.CHUNK

        # -- Third cycle: what follows from it
        row: Any = rules.row

        def one_of(*candidates: Rule) -> Value:
            result = row[candidates[0].name]
            for rule in candidates[1:]:
                result = result | row[rule.name]
            return result

        m.d.comb += rules.held.eq(self.in_window & (self.entry_state != EntryState.EMPTY))
        above = one_of(Rule.R10A, *NEW_ABOVE)
        early = one_of(Rule.R10C, Rule.R10D)
        pushes = early | one_of(Rule.R5, Rule.R8)
        keeps = row.R10 & ~message.is_sequence_reset  # a held GapFill needs no bytes
        puts = (early | row.R10) & self.in_window
        active = self.phase == Phase.ACTIVE
        opens = above & ~self.recovery & self.may_request & (active | row.R10C)
        repeats = above & self.recovery & self.may_request & active & message.possdup & ~self.again_done
        m.d.comb += [
            plan.rule.eq(rules.rule),
            plan.early.eq(early),
            plan.push.eq(pushes),
            plan.put.eq(puts),
            plan.hold.eq(keeps),
            plan.take.eq(pushes | keeps),
            plan.tops.eq(puts & above_top),
            plan.raises.eq((above | row.R8) & above_highest),
            plan.opens.eq(opens),
            plan.asks.eq(opens | repeats),
            plan.simple.eq(row.R8 & ~self.recovery & self.empty & (above_highest | is_highest) & ~is_last),
            plan.activates.eq(row.R5 | row.R10C | (row.R8 & message.is_logon)),
            plan.halts.eq(one_of(Rule.F5, Rule.R4, Rule.R9B)),
            plan.stored.eq(~self.oversize),
        ]
        # Is the highest number, this one included, in the window? What is held already makes no difference: if it is
        # the highest one, `highest_kept` says so.
        new_kept = self.in_window & ~rules.known.R10B
        kept = Mux(above_highest, new_kept, highest_kept | (is_highest & new_kept))
        if self._many:
            # Each number has a condition of its own.
            above = above_highest & ~self.alone
            in_chunk = chunks & Mux(above, chunk_ends, chunk_ends_highest)
            has = Mux(self.alone, highest_kept, kept)
            chosen = (
                (in_chunk, self.chunk_end),
                (~in_chunk & above & has, seq_below),
                (~in_chunk & above & ~has, message.seq),
                (~in_chunk & ~above & has, highest_below),
                (~in_chunk & ~above & ~has, self.highest),
            )
            end: Value = C(0, NUMBER)
            for choice, number in chosen:
                end = end | (number & choice.replicate(len(self.end)))
            m.d.comb += self.end.eq(end)
            return m
        # A chunk that ends right below the message is as long as the range.
        with m.If(chunks & Mux(above_highest, chunk_ends, chunk_ends_highest)):
            m.d.comb += self.end.eq(self.chunk_end)
        with m.Elif(above_highest):
            m.d.comb += self.end.eq(Mux(kept, seq_below, message.seq))
        with m.Else():
            m.d.comb += self.end.eq(Mux(kept, highest_below, self.highest))
        with m.If(chunks & chunk_ends_highest):
            m.d.comb += self.highest_end.eq(self.chunk_end)
        with m.Else():
            m.d.comb += self.highest_end.eq(Mux(highest_kept, highest_below, self.highest))
        return m
