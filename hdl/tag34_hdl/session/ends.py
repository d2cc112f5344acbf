"""How a transaction ends: ranges close and open (R11, R13), the record of the message, the state is put away."""

from amaranth import C, Mux

from tag34.contract import EventCode, Flag, Phase, RecordKind, Rule

from ..layouts import MAX_SEQ_BCD, NUMBER
from .transaction import Transaction

#: In the order of time.
ENDS = (
    "RANGE",
    "RANGE CLOSES",
    "REQUEST",
    "TELL REQUEST",
    "HALTED",
    "UNCHANGED",
    "EXHAUSTED",
    "MESSAGE",
    "SETTLE",
    "STORE",
    "WRITE BACK",
)


def ranges(t: Transaction) -> None:
    """The states in which the open range closes if it is complete, and the next one opens."""
    m, fsm, state, expected = t.m, t.fsm, t.state, t.expected
    can_tell = t.teller.can_tell

    with fsm.state("RANGE"):
        fsm.go("RANGE CLOSES")

    with fsm.state("RANGE CLOSES"):
        closes = state.recovery & (t.close_now | Mux(t.infinity, t.past_highest, t.past_end))
        next_opens = t.may_ask & ~t.past_highest
        m.d.sync += t.cause.eq(Rule.R11)
        with m.If(closes):
            t.event(EventCode.RECOVERY_CLOSED, seq=expected.value)
        with m.If(~closes | can_tell):
            m.d.sync += t.close_now.eq(0)
            with m.If(closes):
                m.d.sync += state.recovery.eq(0)
            with m.If((closes | ~state.recovery) & next_opens):
                state.set_end(t.preparation.highest_end if t.shape.sessions == 1 else t.preparation.end)
                fsm.go("REQUEST" if t.shape.sessions == 1 else "RANGE OPENS")
            with m.Else():
                t.finish()

    if t.shape.sessions > 1:
        with fsm.state("RANGE OPENS"):
            # The end is read from where it has just been put.
            fsm.go("REQUEST")

    with fsm.state("REQUEST"):
        t.ask(t.cause == Rule.R11, t.cause == Rule.R13A)

    with fsm.state("TELL REQUEST"):
        t.event(EventCode.REQUEST, seq=expected.value, number=t.request_end, why=t.cause)
        with m.If(can_tell):
            t.finish()


def records(t: Transaction) -> None:
    """The states that close a message: its consequences are told, then itself."""
    m, fsm, state, expected, plan, message = t.m, t.fsm, t.state, t.expected, t.plan, t.message
    can_tell = t.teller.can_tell

    with fsm.state("HALTED"):
        t.event(EventCode.HALTED, seq=expected.value, why=plan.rule)
        with m.If(can_tell):
            fsm.go("MESSAGE")

    with fsm.state("UNCHANGED"):
        t.event(EventCode.RESET_UNCHANGED, seq=expected.value)
        with m.If(can_tell):
            fsm.go("MESSAGE")

    with fsm.state("EXHAUSTED"):
        t.event(EventCode.SEQ_EXHAUSTED, seq=C(MAX_SEQ_BCD, NUMBER), why=Rule.R16A)
        with m.If(can_tell):
            m.d.sync += [state.phase.eq(Phase.HALTED), t.advanced.eq(0)]
            fsm.go("MESSAGE")

    with fsm.state("MESSAGE"):
        known = plan.rule != Rule.F3
        readable = known & plan.stored
        has_seq = readable & message.seq_ok
        possdup = Mux(readable & message.possdup, Flag.POSSDUP, 0)
        t.teller.tell(
            lambda record: [
                record.kind.eq(RecordKind.MESSAGE),
                record.code.eq(plan.rule),
                record.flags.eq(Mux(has_seq, Flag.SEQ, 0) | possdup | Flag.NUMBER),
                record.msg_type.eq(Mux(known, message.msg_type, 0)),
                record.seq.eq(Mux(has_seq, message.seq, 0)),
                record.number.eq(expected.value),
                record.offset.eq(t.frame.offset),
                record.length.eq(t.frame.length),
                record.cycle.eq(t.frame.cycle),
            ]
        )
        m.d.comb += [t.dut.counted_rule.eq(plan.rule), t.dut.counted.eq(can_tell)]
        with m.If(can_tell):
            fsm.go("STORE")
            with m.If(plan.simple):
                # No range is open, so no timer runs.
                fsm.go("WRITE BACK")


def put_away(t: Transaction) -> None:
    """The states in which the timer is set and the state written back."""
    m, fsm, states = t.m, t.fsm, t.states

    with fsm.state("SETTLE"):
        # A message's record takes a cycle, an operation has nothing to tell: now it is known if a timer runs.
        fsm.go("STORE")

    with fsm.state("STORE"):
        m.d.sync += t.state.settle_timer(t.dut.now)
        fsm.go("WRITE BACK")

    with fsm.state("WRITE BACK"):
        with m.If(~t.expected.busy):
            m.d.comb += states.put.eq(1)
            # The next tick is not taken before the timer that was due is set anew.
            m.d.comb += t.dut.due.ready.eq(t.serves_due)
            m.d.sync += [states.timer_ran.eq(t.state.timer_runs), t.serves_due.eq(0)]
            fsm.go("IDLE")
