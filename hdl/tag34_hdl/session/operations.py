"""The host's operations, and timers that are due (R14, R15)."""

from amaranth import Signal, Value

from tag34.contract import Command, EventCode, Phase, Rule

from .transaction import Transaction

OPERATIONS = ("COMMAND", "DUE", "TIMEOUT")


def operate(t: Transaction, ours: Value) -> None:
    """The state of the host's operation. ``ours``: the bytes that arrive are of its session."""
    m, fsm, state, expected, dut = t.m, t.fsm, t.state, t.expected, t.dut
    command, clear = dut.command, dut.clear

    with fsm.state("COMMAND"):
        m.d.comb += [dut.command_done.eq(1), clear.payload.eq(dut.session)]
        m.d.sync += [
            t.is_reset.eq(0),
            t.close_now.eq(0),
            t.load_low.eq(1),
            t.target.eq(expected.value),
            t.target_low.eq(expected.low),
            *t.begin_walk(everything=True),
        ]
        fsm.go("SETTLE")
        with m.Switch(command.op):
            with m.Case(Command.CONNECT):
                m.d.comb += [
                    clear.valid.eq(1),
                    dut.command_done.eq(clear.ready),
                    dut.fields_done.eq(ours & clear.ready),
                ]
                m.d.sync += [
                    state.phase.eq(command.phase),
                    state.may_request.eq(command.may_request),
                    state.recovery.eq(0),
                    t.is_reset.eq(1),
                    *state.forget(),
                ]
                fsm.go("COMMAND")
                with m.If(clear.ready):
                    fsm.go("WALK")
            with m.Case(Command.DISCONNECT):
                # What is held is of no use any more (R15); its memory is for the others.
                m.d.sync += [state.phase.eq(Phase.CLOSED), state.top_valid.eq(0)]
                fsm.go("WALK")
            with m.Case(Command.MAY_REQUEST):
                m.d.sync += state.may_request.eq(command.may_request)
                fsm.go("RANGE")
            with m.Case(Command.SET_EXPECTED):
                m.d.sync += [
                    state.recovery.eq(0),
                    t.is_reset.eq(1),
                    t.load_low.eq(0),
                    t.target.eq(command.number),
                    *state.forget(),
                ]
                fsm.go("WALK")
            with m.Case(Command.SET_NEXT_OUT):
                m.d.comb += dut.set_next_out.eq(1)


def time_out(t: Transaction) -> None:
    """The states of a timer that is due."""
    m, fsm, state, expected = t.m, t.fsm, t.state, t.expected
    timer_due = Signal()

    with fsm.state("DUE"):
        # Since it was seen to be due it may have been started anew.
        m.d.sync += [timer_due.eq(state.timer_runs & (state.timer == t.dut.now)), t.serves_due.eq(1)]
        fsm.go("TIMEOUT")

    with fsm.state("TIMEOUT"):
        with m.If(~timer_due):
            fsm.go("SETTLE")
        with m.Elif(t.tried_enough):
            t.event(EventCode.RECOVERY_FAILED, seq=expected.value)
            with m.If(t.teller.can_tell):
                m.d.sync += state.phase.eq(Phase.HALTED)
                fsm.go("SETTLE")
        with m.Else():
            m.d.sync += [state.retries.eq(state.retries + 1), t.cause.eq(Rule.R14), state.timer_starts.eq(1)]
            fsm.go("REQUEST")
