"""How `expected` moves: one by one over what is held, or by a jump (R3, R5, R7, R9, R10e, R12, R15)."""

from amaranth import Signal

from tag34.contract import EventCode

from ..layouts import EntryState
from .transaction import Transaction

#: In the order of time: a walk that empties the window up to the number jumped to, or all of it; the release.
MOVES = (
    "WALK",
    "WALK READ",
    "WALK ENTRY",
    "WALK STEP",
    "LOAD",
    "ARRIVE",
    "ADVANCE",
    "RELEASE",
    "RELEASE READ",
    "RELEASE ENTRY",
    "HELD COMPARE",
    "HELD CHOICE",
    "HELD FILL",
    "HELD BAD",
)


def walk(t: Transaction) -> None:
    """The states of a jump to ``t.target``: what the window holds below is given back, or all that it holds.

    Four cycles per place. Behind the last number in the window the rest of the way is one step.
    """
    m, fsm, window, expected, state, entry = t.m, t.fsm, t.window, t.expected, t.state, t.entry
    free = t.dut.free

    with fsm.state("WALK"):
        m.d.comb += window.place.eq(t.walk_place)
        fsm.go("WALK READ")

    with fsm.state("WALK READ"):
        m.d.comb += window.place.eq(t.walk_place)
        fsm.go("WALK ENTRY")
        with m.If(t.window_empty | (t.walk_left == 0)):
            fsm.go("LOAD")
        with m.Elif(~t.walk_all & t.at_target):
            fsm.go("ARRIVE")
        if t.shape.sessions > 1:
            # Long before it is asked for. It is `top` if that reaches.
            with m.If(t.is_reset):
                state.set_highest(t.target_below)

    with fsm.state("WALK ENTRY"):
        step = Signal()
        owns = entry.state == EntryState.MESSAGE
        m.d.comb += [
            window.place.eq(t.walk_place),
            free.payload.eq(entry.slot),
            free.valid.eq(owns),
            step.eq(~owns | free.ready),
        ]
        with m.If(step):
            with m.If(entry.state != EntryState.EMPTY):
                t.clear_entry(t.walk_place, message=owns)
            m.d.sync += [t.walk_place.eq(t.walk_place + 1), t.walk_left.eq(t.walk_left - 1)]
            fsm.go("WALK STEP")

    with fsm.state("WALK STEP"):
        m.d.comb += expected.increment.eq(~t.walk_all)
        fsm.go("WALK")

    with fsm.state("LOAD"):
        m.d.comb += [
            expected.load.eq(1),
            expected.load_low.eq(t.load_low),
            expected.new_value.eq(t.target),
            expected.new_low.eq(t.target_low),
        ]
        fsm.go("ARRIVE")

    with fsm.state("ARRIVE"):
        # Only R3 and the host set `highest` anew; a GapFill leaves it.
        if t.shape.sessions == 1:
            with m.If(t.is_reset):
                with m.If(t.top_reaches):
                    m.d.sync += state.highest.eq(state.top)
                with m.Else():
                    m.d.sync += [state.highest.eq(t.target_below), state.top_valid.eq(0)]
        else:
            with m.If(t.is_reset & ~t.top_reaches):
                m.d.sync += state.top_valid.eq(0)
        with m.If(t.in_message):
            with m.If(~expected.busy):
                fsm.go("RELEASE")
        with m.Else():
            fsm.go("SETTLE")


def release(t: Transaction) -> None:
    """The states in which what is held at ``expected`` is delivered, or acts, number by number (R12)."""
    m, fsm, window, expected, entry = t.m, t.fsm, t.window, t.expected, t.entry
    can_tell = t.teller.can_tell

    with fsm.state("ADVANCE"):
        m.d.comb += expected.increment.eq(1)
        fsm.go("RELEASE")

    with fsm.state("RELEASE"):
        m.d.comb += window.place.eq(expected.low)
        fsm.go("RELEASE READ")

    with fsm.state("RELEASE READ"):
        m.d.comb += window.place.eq(expected.low)
        fsm.go("RELEASE ENTRY")
        with m.If(t.window_empty):
            # Of many sessions the comparison of `highest` with the end of a chunk is that of the number before. If it
            # makes a difference the chunk ends with `highest`, and that is the end in either case.
            fsm.go("RANGE CLOSES")

    with fsm.state("RELEASE ENTRY"):
        m.d.comb += window.place.eq(expected.low)
        m.d.sync += [t.target.eq(entry.new_seq), t.target_low.eq(entry.new_seq_low)]
        m.d.sync += [t.load_low.eq(1), t.is_reset.eq(0)]
        with m.Switch(entry.state):
            with m.Case(EntryState.EMPTY):
                fsm.go("RANGE")
            with m.Case(EntryState.MESSAGE):
                m.d.comb += [t.dut.delivery.slot.eq(entry.slot), t.dut.delivery.length.eq(entry.length)]
                with m.If(can_tell):
                    m.d.comb += t.dut.push.eq(1)
                    t.teller.delivery(seq=expected.value, length=entry.length, source=entry)
                    t.clear_entry(expected.low, message=1)
                    m.d.sync += t.moved()
                    fsm.go("ADVANCE")
            with m.Case(EntryState.CONSUMED):
                t.clear_entry(expected.low, message=0)
                m.d.sync += t.moved()
                fsm.go("ADVANCE")
            with m.Case(EntryState.GAP_FILL):
                t.clear_entry(expected.low, message=0)
                with m.If(entry.new_seq_ok):
                    fsm.go("HELD COMPARE")
                with m.Else():
                    fsm.go("HELD BAD")

    with fsm.state("HELD COMPARE"):
        fsm.go("HELD CHOICE")

    with fsm.state("HELD CHOICE"):
        fsm.go("HELD BAD")
        with m.If(t.target_above):
            fsm.go("HELD FILL")

    with fsm.state("HELD FILL"):
        t.event(EventCode.HELD_GAP_FILL, seq=expected.value, number=t.target)
        with m.If(can_tell):
            m.d.sync += [*t.begin_walk(everything=False), *t.moved()]
            fsm.go("WALK")

    with fsm.state("HELD BAD"):
        # R10e: its number is missing again.
        t.event(EventCode.HELD_BAD_GAP_FILL, seq=expected.value)
        with m.If(can_tell):
            with m.If(t.top_is_expected):
                m.d.sync += t.state.top_valid.eq(0)
            fsm.go("RANGE")
