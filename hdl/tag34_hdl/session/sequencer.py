"""The sequencer: the rules at work, message by message."""

from amaranth import C, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import Command, EventCode, Phase, Rule

from ..layouts import CYCLE, NUMBER, EntryState, Frame, Record, Shape
from ..onehot import OneHot
from .ends import ENDS, put_away, ranges, records
from .expected import Expected
from .moves import MOVES, release, walk
from .operations import OPERATIONS, operate, time_out
from .preparation import Preparation
from .state import Config, SessionState, State, States
from .table import Sweep
from .teller import Teller
from .timers import TICKS, Timer
from .transaction import Transaction
from .window import Window

#: States between two transactions: the next message is waited for and prepared, or another session's turn comes.
TURNS = ("FETCH", "TAKE UP")
RESTS = ("IDLE", "PREPARE ROW", "PREPARE PLAN", "WAIT", "COMMIT", "GARBLED")


class Sequencer(wiring.Component):
    """Judges each message by the rules, keeps the sessions' states, releases in order, asks for what is missing.

    A message is *prepared* as soon as its number is in: numbers are compared, the row of the table is chosen, the
    ResendRequest that it would cause is made ready; and again whenever its fields turn out to be others. The frame
    (checksum good or not) then decides, and the next cycle *commits* what was prepared: what depends on the frame is
    only whether it is taken, and what its owner has to know at once, that its slot is owned and that it is delivered.
    What only the whole message tells, that it is foreign or too long, is not expected: if it is so, the message is
    prepared once more before it is taken. What follows from the commit (release, next range, records) runs while the
    next message arrives; the next frame is not taken before it is finished, so that for the rules a release is atomic
    (R12).

    The state of one session is in registers, those of all are in a table. The registers follow the session whose bytes
    arrive; after each transaction they are written back.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        session: whose state is in the registers.
        fields, fields_session, fields_settled, fields_changed, fields_complete, fields_done: what is known of the
            message (from :class:`~tag34_hdl.receive.fields.Fields`); it has been dealt with. ``mirror`` need not be
            final before the frame.
        oversize: that message is longer than max_message; looked at with a good frame.
        frame: one transfer per message, of session ``fields_session``; a good one not before ``fields_complete``. While
            a frame waits the fields are those of its message, or nobody's.
        hold_rx, rx_quiet: before a CONNECT no byte may come in, and all that is on its way must have arrived: no frame
            waits, none will come. Frames are taken meanwhile. ``rx_quiet`` is looked at from the second cycle of
            ``hold_rx`` on.
        config_session, config: a session's configuration, two cycles later (changes of the window and the chunk take
            effect with a CONNECT). config_changes: some is being written; what is asked for in this cycle comes a
            cycle later.
        state_session, state: state of a session, two cycles later at most, as of its last transaction, which of many
            sessions shows when ``idle`` has been said for three cycles.
        command_valid, command, command_done: an operation; valid and stable until ``command_done``.
        now, due: from :class:`~tag34_hdl.session.timers.Timers`. put_timer, timer, timer_ran: to it, for ``session``.
        current, take, free: slot traffic with :class:`~tag34_hdl.session.slots.Slots`.
        push, delivery: messages for :class:`~tag34_hdl.session.release.Release`.
        request: ResendRequests for the composer.
        records: what happened, in order.
        counted, counted_rule: a message of ``session`` was judged by this rule.
        clear: a new connection of a session: the framer forgets a partial message, the composer what has not left.
        set_next_out: next_out of ``session`` := ``command.number``.
        idle: nothing is under way; records may be waiting in ``records``.

    Latency: ``frame`` valid to ``take`` and ``push``: the same cycle, and to ``request`` valid: one cycle, if the
        message was prepared (three cycles after ``fields_settled`` or the last ``fields_changed``, with the session's
        state in the registers) and nothing is under way; four cycles more for a foreign message or one that is too
        long.
    Throughput: a message in order of which nothing follows may come every seven cycles.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        session = unsigned(shape.session_bits)
        super().__init__(
            {
                "session": Out(session),
                "fields": In(shape.fields),
                "fields_session": In(session),
                "fields_settled": In(1),
                "fields_changed": In(1),
                "fields_complete": In(1),
                "fields_done": Out(1),
                "oversize": In(1),
                "frame": In(stream.Signature(Frame)),
                "hold_rx": Out(1),
                "rx_quiet": In(1),
                "config_session": Out(session),
                "config": In(Config),
                "config_changes": In(1),
                "state_session": In(session),
                "state": Out(SessionState),
                "command_valid": In(1),
                "command": In(shape.command),
                "command_done": Out(1),
                "now": In(TICKS),
                "due": In(stream.Signature(session)),
                "put_timer": Out(1),
                "timer": Out(Timer),
                "timer_ran": Out(1),
                "current": In(shape.slot_bits),
                "take": Out(1),
                "free": Out(stream.Signature(shape.slot_bits)),
                "push": Out(1),
                "delivery": Out(shape.delivery),
                "request": Out(stream.Signature(shape.request)),
                "records": Out(stream.Signature(Record)),
                "counted": Out(1),
                "counted_rule": Out(Rule),
                "clear": Out(stream.Signature(session)),
                "set_next_out": Out(1),
                "cycle": In(CYCLE),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, session, config = self.shape, self.session, self.config
        m.submodules.expected = expected = Expected(shape)
        m.submodules.window = window = Window(shape, self._sweep)
        m.submodules.preparation = preparation = Preparation(shape)
        turns = TURNS if shape.sessions > 1 else ()
        fsm = OneHot(m, "at", [*RESTS, *turns, *MOVES, *ENDS, *(("RANGE OPENS",) if turns else ()), *OPERATIONS])
        state = State(m, shape, expected, config)
        states = States(m, state, expected, session, shape.sessions, self._sweep)
        states.show(m, self.state_session, self.state)
        teller = Teller(m, self.records, self.cycle, session)
        t = Transaction(m, self, fsm, shape, state, states, expected, window, preparation, teller)

        ours = Signal()  # the bytes that arrive are of the session at hand
        foreign = Signal()  # what the whole message at hand has told
        oversize = Signal()
        unexpected = Signal()  # the frame tells what was not expected
        warned = Signal()  # GAP was told of the message at hand
        room = Signal()
        busy = Signal()  # sums are on their way, or memory is being swept
        m.d.sync += room.eq(state.room)
        m.d.comb += [
            ours.eq(self.fields_session == session),
            unexpected.eq((foreign == self.fields.mirror) | (oversize != self.oversize)),
            busy.eq(expected.busy | window.busy | states.busy),
            expected.window_limit.eq(config.window_limit),
            expected.chunk.eq(config.chunk),
            window.session.eq(session),
            window.place.eq(self.fields.seq_low),
            self.config_session.eq(states.wanted),
            self.put_timer.eq(states.put),
            self.timer_ran.eq(states.timer_ran),
            self.timer.runs.eq(state.timer_runs),
            self.timer.deadline.eq(state.timer if shape.sessions == 1 else state.settled),
            preparation.fields.eq(self.fields),
            preparation.foreign.eq(foreign),
            preparation.oversize.eq(oversize),
            preparation.policy.eq(config.policy),
            preparation.expected.eq(expected.value),
            preparation.limit.eq(expected.limit),
            preparation.chunk_end.eq(expected.chunk_end),
            preparation.empty.eq(t.window_empty),
            preparation.room.eq(room),
            preparation.entry_state.eq(t.entry.state),
        ]
        # What is delivered is the message that is taken, if no other is said.
        m.d.comb += [
            self.delivery.slot.eq(self.current),
            self.delivery.length.eq(self.frame.payload.length),
            self.delivery.session.eq(session),
        ]
        for name in ("phase", "may_request", "recovery", "again_done", "highest", "top", "top_valid"):
            m.d.comb += getattr(preparation, name).eq(getattr(state, name))
        m.d.comb += [preparation.first_begin.eq(state.first_begin), preparation.begin_valid.eq(state.begin_valid)]

        # -- A new connection: what arrived on the old one is dealt with before
        connects = self.command_valid & (self.command.op == Command.CONNECT)
        held = Signal()
        quiet = Signal()
        m.d.sync += [
            self.hold_rx.eq(connects & ~self.command_done),
            held.eq(self.hold_rx & connects),
            quiet.eq(held & self.hold_rx & self.rx_quiet & connects & ~self.command_done),
        ]

        # -- Between two transactions
        for_command = Signal()  # what the state is fetched for; else for the session's bytes
        for_due = Signal()
        advances = Signal()  # `expected` goes up beside what else is done
        m.d.sync += advances.eq(0)
        with m.If(advances):
            m.d.comb += expected.increment.eq(1)

        def turn_to(following: str, wanted: Value, *, command: int = 0, due: int = 0) -> None:
            """Go to ``following`` with the state of that session at hand."""
            if shape.sessions == 1:
                fsm.go(following)
            else:
                m.d.sync += [states.wanted.eq(wanted), for_command.eq(command), for_due.eq(due)]
                fsm.go("FETCH")

        # Bytes that never end must not keep the host waiting, nor a timer: after a message, or a turn for one, it is
        # their turn. What has arrived on the old connection still comes before a new one.
        host_next = Signal()
        may_command = self.command_valid & (~connects | (quiet & ~self.frame.valid))
        overtakes = self.due.valid | may_command

        def serve_host() -> None:
            """Commands and timers, between two messages."""
            m.d.sync += host_next.eq(0)
            with m.If(may_command):
                m.d.sync += t.plan.simple.eq(0)
                turn_to("COMMAND", self.command.session, command=1)
            with m.Elif(self.due.valid):
                m.d.sync += t.plan.simple.eq(0)
                turn_to("DUE", self.due.payload, due=1)

        def unless_it_changes(following: str) -> None:
            """On with the preparation; but if the fields have become others it begins anew, and if the bytes that
            arrive are another session's now the message is prepared again later."""
            fsm.go(following)
            with m.If(self.fields_changed):
                m.d.comb += preparation.load.eq(1)
                fsm.go("PREPARE ROW")
            with m.If(~ours | ~self.fields_settled):
                fsm.go("IDLE")

        def take(following: str) -> None:
            """The frame is taken, its transaction begins."""
            m.d.comb += [self.frame.ready.eq(1), self.fields_done.eq(1)]
            m.d.sync += [t.in_message.eq(1), foreign.eq(0), oversize.eq(0), host_next.eq(1)]
            fsm.go(following)

        with fsm.state("IDLE"):
            m.d.sync += [t.in_message.eq(0), t.advanced.eq(0)]
            nothing = ~self.fields_settled & ~self.frame.valid & ~self.command_valid & ~self.due.valid
            m.d.comb += [preparation.load.eq(1), self.idle.eq(~busy & ours & nothing)]
            with m.If(busy):
                pass
            with m.Elif(host_next & overtakes):
                serve_host()
            with m.Elif(~ours):
                m.d.sync += host_next.eq(1)
                turn_to("IDLE", self.fields_session)
            with m.Elif(self.fields_settled):
                fsm.go("PREPARE ROW")
            with m.Elif(self.frame.valid):
                # A good one has fields.
                with m.If(self.frame.payload.garbled):
                    fsm.go("GARBLED")
            with m.Else():
                serve_host()

        if turns:
            with fsm.state("FETCH"):
                # Configuration that is being written is asked for once more.
                with m.If(~self.config_changes):
                    fsm.go("TAKE UP")

            with fsm.state("TAKE UP"):
                m.d.comb += expected.restore.eq(1)
                fsm.go("IDLE")
                with m.If(for_command):
                    fsm.go("COMMAND")
                with m.If(for_due):
                    fsm.go("DUE")

        with fsm.state("PREPARE ROW"):
            unless_it_changes("PREPARE PLAN")

        with fsm.state("PREPARE PLAN"):
            # The commit must still find room for what it has to tell.
            with m.If(preparation.plan.opens & config.early_gap & ~warned & teller.can_add):
                teller.event(EventCode.GAP, cycle=teller.last_cycle, seq=t.message.seq, number=expected.value)
                m.d.sync += warned.eq(1)
            m.d.sync += [t.plan.eq(preparation.plan), t.cause.eq(Mux(preparation.plan.opens, Rule.R11, Rule.R13A))]
            with m.If(~state.recovery):
                state.set_end(preparation.end)
            unless_it_changes("WAIT")

        with fsm.state("GARBLED"):
            # Nothing of it counts.
            m.d.sync += [t.frame.eq(self.frame.payload), t.plan.rule.eq(Rule.F3), t.plan.simple.eq(0)]
            take("MESSAGE")

        with fsm.state("WAIT"):
            nothing = self.fields_settled & ~self.frame.valid & ~self.command_valid & ~self.due.valid
            m.d.comb += self.idle.eq(ours & nothing)
            m.d.sync += [t.frame.eq(self.frame.payload), t.slot.eq(self.current)]
            with m.If(~ours | ~self.fields_settled | self.fields_changed):
                unless_it_changes("WAIT")
            with m.Elif(~self.frame.valid):
                serve_host()
            with m.Elif(self.frame.payload.garbled):
                fsm.go("GARBLED")
            with m.Elif(~self.fields_complete):
                pass
            with m.Elif(unexpected):
                m.d.sync += [foreign.eq(~self.fields.mirror), oversize.eq(self.oversize)]
                fsm.go("IDLE")
            # The commit may have to tell of a delivery.
            with m.Elif(teller.can_tell):
                take("COMMIT")
                # What comes behind the message in the same word looks for a slot in the next cycle.
                m.d.comb += self.take.eq(t.plan.take)
                m.d.comb += self.push.eq(t.plan.push)
            self._expect_jump(t)

        # A message that is cut by another session's may be warned of again.
        done = Signal()
        m.d.sync += done.eq(self.fields_done)
        with m.If(~ours | ~self.fields_settled | done):
            m.d.sync += warned.eq(0)

        with fsm.state("COMMIT"):
            self._commit(t, advances)

        walk(t)
        release(t)
        ranges(t)
        records(t)
        put_away(t)
        operate(t, ours)
        time_out(t)
        if turns:
            m.d.comb += [
                expected.session.eq(session),
                expected.next_session.eq(states.wanted),
                state.new_top.eq(t.message.seq),
                state.new_highest.eq(
                    Mux(fsm.bits["COMMIT"], t.message.seq, Mux(t.top_reaches, state.top, t.target_below))
                ),
                preparation.alone.eq(fsm.bits["RANGE CLOSES"]),
                state.new_end.eq(preparation.end),
            ]
            states.take_up(m, fsm.bits["TAKE UP"])
        fsm.finish()
        teller.finish()
        return m

    def _expect_jump(self, t: Transaction) -> None:
        """Where the message goes if it is one of those that jump, whether it comes to that or not."""
        message, plan = t.message, t.plan
        everything = plan.rule == Rule.R5
        t.m.d.sync += [
            t.is_reset.eq(plan.rule == Rule.R3),
            t.close_now.eq((plan.rule == Rule.R3) | everything),
            t.load_low.eq(1),
            t.target.eq(Mux(everything, 2, message.new_seq)),
            t.target_low.eq(Mux(everything, 2, message.new_seq_low)),
            *t.begin_walk(everything=everything),
        ]

    def _commit(self, t: Transaction, advances: Signal) -> None:
        """The message does what was planned. Its slot and its delivery are dealt with."""
        m, fsm, state, message, plan = t.m, t.fsm, t.state, t.message, t.plan
        fsm.go("MESSAGE")
        with m.If(plan.push):
            t.teller.delivery(seq=message.seq, length=t.frame.length, source=message, early=plan.early)
        with m.If(plan.put):
            m.d.sync += [
                state.entries.eq(state.entries + 1),
                state.holding.eq(state.holding + plan.hold),
                state.holding_all.eq(state.holding_all + plan.hold),
            ]
            kind = Mux(message.is_sequence_reset, EntryState.GAP_FILL, EntryState.MESSAGE)
            entry = t.window.put_entry
            m.d.comb += [
                t.window.put.eq(1),
                t.window.put_place.eq(message.seq_low),
                entry.state.eq(Mux(plan.early, EntryState.CONSUMED, kind)),
                entry.slot.eq(t.slot),
                entry.length.eq(t.frame.length),
            ]
            for name in ("msg_type", "possdup", "possresend", "new_seq", "new_seq_low", "new_seq_ok"):
                m.d.comb += entry[name].eq(message[name])
        with m.If(plan.tops):
            state.raise_top(message.seq)
        with m.If(plan.raises):
            state.set_highest(message.seq)
        with m.If(plan.activates):
            m.d.sync += state.phase.eq(Phase.ACTIVE)
        with m.If(plan.halts):
            m.d.sync += state.phase.eq(Phase.HALTED)
            fsm.go("HALTED")
        with m.If(plan.asks):
            t.ask(plan.opens, ~plan.opens)
        if self.shape.sessions > 1:
            # At once, as what is derived from it takes its time to show.
            m.d.comb += t.expected.increment.eq(plan.simple)
        with m.Switch(plan.rule):
            with m.Case(Rule.R3, Rule.R7, Rule.R9):
                m.d.sync += t.moved()
                fsm.go("WALK")
            with m.Case(Rule.R3A):
                fsm.go("UNCHANGED")
            with m.Case(Rule.R5):
                state.set_highest(C(1, NUMBER))
                m.d.sync += [*state.forget(), *t.moved()]
                fsm.go("WALK")
            with m.Case(Rule.R8):
                if self.shape.sessions == 1:
                    m.d.sync += advances.eq(plan.simple)
                with m.If(~plan.simple):
                    m.d.sync += t.moved()
                    fsm.go("ADVANCE")
