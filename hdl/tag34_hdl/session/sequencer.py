"""The sequencer: the rules at work, message by message."""

from typing import Any

from amaranth import C, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import Command, EventCode, Flag, Phase, Policy, RecordKind, Rule

from .. import bcd
from ..layouts import CYCLE, MAX_SEQ_BCD, NUMBER, EntryState, Frame, Record, Shape
from .expected import Expected
from .preparation import Plan, Preparation
from .table import Context, Table
from .teller import Teller
from .timers import TICKS, Timer
from .window import Window

INFINITY_OLD = 0x999999  # 16 = "all" up to FIX.4.1, BCD

#: Configuration of a session, as the rules need it. ``infinity_old``: infinity is 999999.
Config = data.StructLayout(
    {
        "policy": Policy,
        "infinity_old": 1,
        "window_limit": NUMBER,
        "chunk": NUMBER,
        "resend_timeout": TICKS,
        "resend_retries": 8,
    }
)

#: What the host may read of a session.
SessionState = data.StructLayout(
    {
        "phase": Phase,
        "may_request": 1,
        "recovery": 1,
        "expected": NUMBER,
        "highest": NUMBER,
    }
)


class Sequencer(wiring.Component):
    """Judges each message by the rules, keeps the sessions' states, releases in order, asks for what is missing.

    A message is *prepared* as soon as its number is in: numbers are compared, the row of the table is chosen, the
    ResendRequest that it would cause is made ready; and again whenever its fields turn out to be others. The frame
    (checksum good or not) then *commits* or drops it in one cycle. What only the whole message tells, that it is
    foreign or too long, is not expected: if it is so, the message is prepared once more before it is taken. What
    follows from the commit (release, next range, records) runs while the next message arrives; the next frame is not
    taken before it is finished, so that for the rules a release is atomic (R12).

    The state of one session is in registers, those of all are in a table. The registers follow the session whose bytes
    arrive; after each transaction they are written back.

    Parameters: ``shape``.

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
            effect with a CONNECT).
        state_session, state: state of a session, one cycle later, as of its last transaction.
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

    Latency: ``frame`` valid to ``request`` valid and to ``push``: the same cycle, if the message was prepared (three
        cycles after ``fields_settled`` or the last ``fields_changed``, with the session's state in the registers) and
        nothing is under way; four cycles more for a foreign message or one that is too long.
    Throughput: a message in order of which nothing follows may come every six cycles.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
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
        shape = self.shape
        config = self.config
        session = self.session
        m.submodules.expected = expected = Expected(shape)
        m.submodules.window = window = Window(shape)
        m.submodules.preparation = preparation = Preparation(shape)
        m.d.comb += [
            expected.window_limit.eq(config.window_limit),
            expected.chunk.eq(config.chunk),
            window.session.eq(session),
        ]
        infinity = config.policy == Policy.INFINITY

        # -- State of the session at hand (beside the window)
        phase = Signal(Phase)
        may_request = Signal()
        highest = Signal(NUMBER)
        top = Signal(NUMBER)  # highest number in the window
        top_valid = Signal()
        entries = Signal(range(shape.window + 1))  # numbers in the window
        holding = Signal(range(shape.hold_limit + 1))  # messages among them, in slots
        recovery = Signal()
        end = Signal(NUMBER)  # of the open range, or of the one about to open (policies CLOSED and CHUNK)
        again_done = Signal()  # R13a has repeated the request for this value of `expected`
        first_begin = Signal(NUMBER)  # lowest begin of the requests on this connection
        begin_valid = Signal()
        timer = Signal(TICKS)  # the tick at which it ends if it runs, else what is left of it
        timer_runs = Signal()
        retries = Signal(8)

        #: Messages in slots, of all sessions.
        holding_all = Signal(range(shape.hold + 1))

        # -- The message at hand
        message = preparation.message
        frame = Signal(Frame, reset_less=True)
        in_message = Signal()  # the transaction under way is a message's
        advanced = Signal()  # `expected` has moved in this transaction
        ours = Signal()  # the bytes that arrive are of the session at hand
        m.d.comb += ours.eq(self.fields_session == session)

        # The window's answer is taken into a register before anything depends on it: block memory is slow to leave.
        entry = Signal(shape.window_entry, reset_less=True)
        m.d.sync += entry.eq(window.entry)

        # -- Preparation
        plan = Signal(Plan)
        foreign = Signal()  # what the whole message at hand has told
        oversize = Signal()
        unexpected = Signal()  # the frame tells what was not expected
        cause = Signal(Rule)
        m.d.comb += [
            preparation.fields.eq(self.fields),
            preparation.foreign.eq(foreign),
            preparation.oversize.eq(oversize),
            preparation.policy.eq(config.policy),
            preparation.phase.eq(phase),
            preparation.may_request.eq(may_request),
            preparation.recovery.eq(recovery),
            preparation.again_done.eq(again_done),
            preparation.highest.eq(highest),
            preparation.top.eq(top),
            preparation.top_valid.eq(top_valid),
            preparation.first_begin.eq(first_begin),
            preparation.begin_valid.eq(begin_valid),
            preparation.entries.eq(entries),
            preparation.expected.eq(expected.value),
            preparation.limit.eq(expected.limit),
            preparation.chunk_end.eq(expected.chunk_end),
            preparation.room.eq((holding != shape.hold_limit) & (holding_all != shape.hold)),
            preparation.entry_state.eq(entry.state),
            window.place.eq(self.fields.seq_low),
            unexpected.eq((foreign == self.fields.mirror) | (oversize != self.oversize)),
        ]

        # -- Jumps and walks over the window
        target = Signal(NUMBER, reset_less=True)
        target_low = Signal(shape.window_bits, reset_less=True)
        walk_place = Signal(shape.window_bits)
        walk_left = Signal(shape.window_bits + 1)
        walk_all = Signal()  # empty the whole window; else only up to `target`, `expected` walks along
        load_low = Signal()  # the low bits of `target` are known
        is_reset = Signal()  # the jump is R3's: `highest` is set anew
        close_now = Signal()  # the open range ends whatever its numbers (R3, R5)
        top_reaches = Signal()  # the window holds something at or above `target`
        past_end = Signal()
        past_highest = Signal()

        # -- Records
        teller = Teller(m, self.records, self.cycle, session)
        record, can_tell = teller.record, teller.can_tell

        def emit_event(
            code: EventCode, *, seq: Value | None = None, number: Value | None = None, why: Value | int = 0
        ) -> None:
            cycle = Mux(in_message, frame.cycle, teller.last_cycle)
            teller.event(code, cycle=cycle, seq=seq, number=number, why=why)

        def clear_entry(place: Value, *, message: Value | int) -> None:
            """An entry of zeros is EMPTY; a ``message`` among them is held no longer."""
            m.d.comb += [window.put.eq(1), window.put_place.eq(place)]
            m.d.sync += entries.eq(entries - 1)
            with m.If(message):
                m.d.sync += [holding.eq(holding - 1), holding_all.eq(holding_all - 1)]

        def moved() -> list:
            """``expected`` has moved: the timers of the open range start anew (R13a, R14)."""
            return [advanced.eq(1), again_done.eq(0), timer_starts.eq(1), retries.eq(0)]

        def begin_walk(*, everything: bool) -> list:
            return [walk_all.eq(everything), walk_place.eq(expected.low), walk_left.eq(1 << shape.window_bits)]

        def forget() -> list:
            """Recovery and requests of the old numbering, or of the old connection, are forgotten."""
            return [top_valid.eq(0), begin_valid.eq(0), again_done.eq(0), retries.eq(0)]

        # -- Requests
        m.d.comb += [
            self.request.payload.session.eq(session),
            self.request.payload.begin.eq(expected.value),
            self.request.payload.end.eq(Mux(infinity, Mux(config.infinity_old, INFINITY_OLD, 0), end)),
        ]
        request_end = Signal(NUMBER, reset_less=True)  # as sent, for the record
        # The first request of a connection has the lowest begin.
        with m.If(~begin_valid):
            m.d.sync += first_begin.eq(expected.value)

        def note_request(by_r11: Value, by_r13a: Value) -> list:
            with m.If(by_r11):
                m.d.sync += [recovery.eq(1), again_done.eq(0), timer_starts.eq(1), retries.eq(0)]
            with m.If(by_r13a):
                m.d.sync += again_done.eq(1)
            return [request_end.eq(self.request.payload.end), begin_valid.eq(1)]

        exhausted = advanced & (expected.value == MAX_SEQ_BCD + 1)

        # -- R14: a timer that runs is known by the tick at which it ends, so that nobody has to count it
        timer_starts = Signal()  # in this transaction
        timer_due = Signal()
        serves_due = Signal()  # the transaction under way is a timer's
        running = Signal()
        m.d.comb += [
            running.eq((phase == Phase.ACTIVE) & recovery & may_request & (config.resend_timeout != 0)),
            self.timer.runs.eq(timer_runs),
            self.timer.deadline.eq(timer),
        ]

        def settle_timer() -> list:
            left = Mux(timer_starts, config.resend_timeout, timer)
            stops = timer_runs & ~running & ~timer_starts
            starts = running & (timer_starts | ~timer_runs)
            shift = Mux(stops, ~self.now, Mux(starts, self.now, 0))
            return [timer.eq(left + shift + stops), timer_runs.eq(running), timer_starts.eq(0)]

        # -- Sessions: the state is fetched when another one's turn comes, and written back after each transaction
        wanted = Signal.like(session)  # whose state is, or will be, at hand
        for_command = Signal()  # what it is fetched for; else for its bytes
        for_due = Signal()
        timer_ran = Signal()  # as written back last
        put = Signal()
        busy = Signal()
        m.d.comb += [
            self.config_session.eq(wanted),
            self.put_timer.eq(put),
            self.timer_ran.eq(timer_ran),
            busy.eq(expected.busy | window.busy),
        ]
        shown = Signal(SessionState)
        m.d.comb += [
            shown.phase.eq(phase),
            shown.may_request.eq(may_request),
            shown.recovery.eq(recovery),
            shown.expected.eq(expected.value),
            shown.highest.eq(highest),
        ]
        load_state: list[Any] = []
        if shape.sessions == 1:
            m.d.comb += self.state.eq(shown)
        else:
            context = Context(
                top=top,
                top_valid=top_valid,
                entries=entries,
                holding=holding,
                end=end,
                again_done=again_done,
                first_begin=first_begin,
                begin_valid=begin_valid,
                timer=timer,
                timer_runs=timer_runs,
                retries=retries,
            )
            saved = data.StructLayout({"expected": expected.state, "rest": context.layout})
            first_state = saved.const({"expected": {"value": 1, "low": 1}})
            first_shown = SessionState.const({"expected": 1})
            m.submodules.states = states = Table(saved, shape.sessions, lambda session: first_state)
            m.submodules.shown = all_shown = Table(SessionState, shape.sessions, lambda session: first_shown, readers=2)
            m.d.comb += [
                busy.eq(expected.busy | window.busy | states.busy),
                states.address.eq(wanted),
                states.put.eq(put),
                states.put_address.eq(session),
                states.put_entry.rest.eq(context.word),
                all_shown.address.eq(wanted),
                all_shown.address_1.eq(self.state_session),
                all_shown.put.eq(put),
                all_shown.put_address.eq(session),
                all_shown.put_entry.eq(shown),
                self.state.eq(all_shown.entry_1),
                expected.restored.eq(states.entry.expected),
            ]
            for name, _ in expected.state:
                m.d.comb += states.put_entry.expected[name].eq(getattr(expected, name))
            load_state = [
                session.eq(wanted),
                context.load(states.entry.rest),
                timer_ran.eq(states.entry.rest.timer_runs),
                phase.eq(all_shown.entry.phase),
                may_request.eq(all_shown.entry.may_request),
                recovery.eq(all_shown.entry.recovery),
                highest.eq(all_shown.entry.highest),
            ]

        # -- A new connection: what arrived on the old one is dealt with before
        connects = self.command_valid & (self.command.op == Command.CONNECT)
        held = Signal()
        quiet = Signal()
        m.d.sync += [
            self.hold_rx.eq(connects & ~self.command_done),
            held.eq(self.hold_rx & connects),
            quiet.eq(held & self.hold_rx & self.rx_quiet & connects & ~self.command_done),
        ]

        with m.FSM(name="sequencer"):

            def finish() -> None:
                """The end of a transaction."""
                with m.If(exhausted):
                    m.next = "EXHAUSTED"
                with m.Elif(in_message):
                    m.next = "MESSAGE"
                with m.Else():
                    m.next = "STORE"

            def turn_to(state: str, wanted_session: Value, *, command: int = 0, due: int = 0) -> None:
                """Go to ``state`` with the state of that session at hand."""
                if shape.sessions == 1:
                    m.next = state
                else:
                    m.d.sync += [wanted.eq(wanted_session), for_command.eq(command), for_due.eq(due)]
                    m.next = "FETCH"

            def serve_host() -> None:
                """Commands and timers, between two messages."""
                with m.If(self.command_valid & (~connects | quiet)):
                    m.d.sync += [in_message.eq(0), advanced.eq(0)]
                    turn_to("COMMAND", self.command.session, command=1)
                with m.Elif(self.due.valid):
                    m.d.sync += [in_message.eq(0), advanced.eq(0)]
                    turn_to("DUE", self.due.payload, due=1)

            def unless_it_changes(following: str) -> None:
                """On with the preparation; but if the fields have become others it begins anew, and if the bytes that
                arrive are another session's now the message is prepared again later."""
                m.next = following
                with m.If(self.fields_changed):
                    m.d.comb += preparation.load.eq(1)
                    m.next = "PREPARE ROW"
                with m.If(~ours | ~self.fields_settled):
                    m.next = "IDLE"

            def take_garbled() -> None:
                """Nothing of it counts."""
                m.d.comb += [self.frame.ready.eq(1), self.fields_done.eq(1)]
                m.d.sync += [plan.rule.eq(Rule.F3), plan.simple.eq(0), in_message.eq(1), advanced.eq(0), *prepared()]
                m.next = "MESSAGE"

            def prepared() -> list:
                """The message has been dealt with."""
                return [foreign.eq(0), oversize.eq(0)]

            with m.State("IDLE"):
                m.d.comb += [
                    preparation.load.eq(1),
                    self.idle.eq(
                        ~busy & ours & ~self.fields_settled & ~self.frame.valid & ~self.command_valid & ~self.due.valid
                    ),
                ]
                with m.If(busy):
                    pass  # the sums are on their way, or memory is being swept
                with m.Elif(~ours):
                    turn_to("IDLE", self.fields_session)
                with m.Elif(self.fields_settled):
                    m.next = "PREPARE ROW"
                with m.Elif(self.frame.valid):
                    # A good one has fields.
                    with m.If(self.frame.payload.garbled):
                        m.next = "GARBLED"
                with m.Else():
                    serve_host()

            if shape.sessions > 1:
                with m.State("FETCH"):
                    m.next = "TAKE UP"

                with m.State("TAKE UP"):
                    m.d.comb += expected.restore.eq(1)
                    m.d.sync += load_state
                    m.next = "IDLE"
                    with m.If(for_command):
                        m.next = "COMMAND"
                    with m.If(for_due):
                        m.next = "DUE"

            with m.State("PREPARE ROW"):
                unless_it_changes("PREPARE PLAN")

            with m.State("PREPARE PLAN"):
                m.d.sync += [plan.eq(preparation.plan), cause.eq(Mux(preparation.plan.opens, Rule.R11, Rule.R13A))]
                with m.If(preparation.plan.opens):
                    m.d.sync += end.eq(preparation.end)
                unless_it_changes("WAIT")

            with m.State("GARBLED"):
                # No number, no body: nothing was prepared.
                m.d.sync += frame.eq(self.frame.payload)
                take_garbled()

            with m.State("WAIT"):
                m.d.comb += self.idle.eq(
                    ours & self.fields_settled & ~self.frame.valid & ~self.command_valid & ~self.due.valid
                )
                m.d.sync += frame.eq(self.frame.payload)
                m.d.sync += [is_reset.eq(plan.rule == Rule.R3), close_now.eq(0), load_low.eq(1)]
                m.d.sync += [target.eq(message.new_seq), target_low.eq(message.new_seq_low)]
                with m.If(~ours | ~self.fields_settled | self.fields_changed):
                    unless_it_changes("WAIT")
                with m.Elif(~self.frame.valid):
                    serve_host()
                with m.Elif(self.frame.payload.garbled):
                    take_garbled()
                with m.Elif(~self.fields_complete):
                    pass
                with m.Elif(unexpected):
                    m.d.sync += [foreign.eq(~self.fields.mirror), oversize.eq(self.oversize)]
                    m.next = "IDLE"
                # A commit may have to tell of a delivery in the same cycle.
                with m.Elif(can_tell):
                    m.d.comb += [self.frame.ready.eq(1), self.fields_done.eq(1)]
                    m.d.sync += [in_message.eq(1), advanced.eq(0), *prepared()]
                    with m.If(plan.push):
                        m.d.comb += [
                            self.push.eq(1),
                            self.delivery.slot.eq(self.current),
                            self.delivery.length.eq(self.frame.payload.length),
                            self.delivery.session.eq(session),
                        ]
                        teller.delivery(seq=message.seq, length=frame.length, source=message, early=plan.early)
                    with m.If(plan.put):
                        kind = Mux(message.is_sequence_reset, EntryState.GAP_FILL, EntryState.MESSAGE)
                        m.d.sync += [entries.eq(entries + 1), holding.eq(holding + plan.hold)]
                        m.d.sync += holding_all.eq(holding_all + plan.hold)
                        m.d.comb += [
                            window.put.eq(1),
                            window.put_place.eq(message.seq_low),
                            window.put_entry.state.eq(Mux(plan.early, EntryState.CONSUMED, kind)),
                            window.put_entry.slot.eq(self.current),
                            window.put_entry.length.eq(self.frame.payload.length),
                            window.put_entry.msg_type.eq(message.msg_type),
                            window.put_entry.possdup.eq(message.possdup),
                            window.put_entry.possresend.eq(message.possresend),
                            window.put_entry.new_seq.eq(message.new_seq),
                            window.put_entry.new_seq_low.eq(message.new_seq_low),
                            window.put_entry.new_seq_ok.eq(message.new_seq_ok),
                        ]
                    with m.If(plan.tops):
                        m.d.sync += [top.eq(message.seq), top_valid.eq(1)]
                    with m.If(plan.raises):
                        m.d.sync += highest.eq(message.seq)
                    with m.If(plan.activates):
                        m.d.sync += phase.eq(Phase.ACTIVE)
                    with m.If(plan.halts):
                        m.d.sync += phase.eq(Phase.HALTED)
                    m.d.comb += self.take.eq(plan.take)
                    m.next = "MESSAGE"
                    with m.If(plan.halts):
                        m.next = "HALTED"
                    with m.If(plan.asks):
                        m.d.comb += self.request.valid.eq(1)
                        m.next = "REQUEST"
                        with m.If(self.request.ready):
                            m.d.sync += note_request(plan.opens, ~plan.opens)
                            m.next = "TELL REQUEST"
                    with m.Switch(plan.rule):
                        with m.Case(Rule.R3):
                            m.d.sync += [close_now.eq(1), *begin_walk(everything=False), *moved()]
                            m.next = "WALK"
                        with m.Case(Rule.R3A):
                            m.next = "UNCHANGED"
                        with m.Case(Rule.R5):
                            m.d.sync += [close_now.eq(1), highest.eq(1), *forget(), *moved()]
                            m.d.sync += [target.eq(2), target_low.eq(2), *begin_walk(everything=True)]
                            m.next = "WALK"
                        with m.Case(Rule.R7, Rule.R9):
                            m.d.sync += [*begin_walk(everything=False), *moved()]
                            m.next = "WALK"
                        with m.Case(Rule.R8):
                            m.d.comb += expected.increment.eq(1)
                            with m.If(~plan.simple):
                                m.d.sync += moved()
                                m.next = "RELEASE"

            # -- Moving `expected`
            with m.State("WALK"):
                m.d.comb += window.place.eq(walk_place)
                m.d.sync += top_reaches.eq(top_valid & (top >= target))
                with m.If((entries == 0) | (walk_left == 0)):
                    m.next = "LOAD"
                with m.Elif(~walk_all & (expected.value == target)):
                    m.next = "ARRIVE"
                with m.Else():
                    m.next = "WALK READ"

            with m.State("WALK READ"):
                m.d.comb += window.place.eq(walk_place)
                m.next = "WALK ENTRY"

            with m.State("WALK ENTRY"):
                step = Signal()
                owns = entry.state == EntryState.MESSAGE
                m.d.comb += [
                    window.place.eq(walk_place),
                    self.free.payload.eq(entry.slot),
                    self.free.valid.eq(owns),
                    step.eq(~owns | self.free.ready),
                ]
                with m.If(step):
                    with m.If(entry.state != EntryState.EMPTY):
                        clear_entry(walk_place, message=owns)
                    m.d.sync += [walk_place.eq(walk_place + 1), walk_left.eq(walk_left - 1)]
                    m.next = "WALK STEP"

            with m.State("WALK STEP"):
                m.d.comb += expected.increment.eq(~walk_all)
                m.next = "WALK"

            with m.State("LOAD"):
                m.d.comb += [
                    expected.load.eq(1),
                    expected.load_low.eq(load_low),
                    expected.new_value.eq(target),
                    expected.new_low.eq(target_low),
                ]
                m.next = "ARRIVE"

            with m.State("ARRIVE"):
                # Only R3 and the host set `highest` anew; a GapFill leaves it.
                with m.If(is_reset):
                    with m.If(top_reaches):
                        m.d.sync += highest.eq(top)
                    with m.Else():
                        m.d.sync += [highest.eq(bcd.decrement(target)), top_valid.eq(0)]
                with m.If(in_message):
                    with m.If(~expected.busy):
                        m.next = "RELEASE"
                with m.Else():
                    m.next = "STORE"

            with m.State("ADVANCE"):
                m.d.comb += expected.increment.eq(1)
                m.next = "RELEASE"

            with m.State("RELEASE"):
                m.d.comb += window.place.eq(expected.low)
                m.next = "RELEASE READ"
                with m.If(entries == 0):
                    m.next = "RANGE"

            with m.State("RELEASE READ"):
                m.d.comb += window.place.eq(expected.low)
                m.next = "RELEASE ENTRY"

            with m.State("RELEASE ENTRY"):
                m.d.comb += window.place.eq(expected.low)
                m.d.sync += [target.eq(entry.new_seq), target_low.eq(entry.new_seq_low), load_low.eq(1), is_reset.eq(0)]
                with m.Switch(entry.state):
                    with m.Case(EntryState.EMPTY):
                        m.next = "RANGE"
                    with m.Case(EntryState.MESSAGE):
                        teller.delivery(seq=expected.value, length=entry.length, source=entry)
                        m.d.comb += [
                            self.push.eq(can_tell),
                            self.delivery.slot.eq(entry.slot),
                            self.delivery.length.eq(entry.length),
                            self.delivery.session.eq(session),
                        ]
                        with m.If(can_tell):
                            clear_entry(expected.low, message=1)
                            m.d.sync += moved()
                            m.next = "ADVANCE"
                    with m.Case(EntryState.CONSUMED):
                        clear_entry(expected.low, message=0)
                        m.d.sync += moved()
                        m.next = "ADVANCE"
                    with m.Case(EntryState.GAP_FILL):
                        clear_entry(expected.low, message=0)
                        with m.If(entry.new_seq_ok):
                            m.next = "HELD COMPARE"
                        with m.Else():
                            m.next = "HELD BAD"

            with m.State("HELD COMPARE"):
                m.next = "HELD BAD"
                with m.If(target > expected.value):
                    m.next = "HELD FILL"

            with m.State("HELD FILL"):
                emit_event(EventCode.HELD_GAP_FILL, seq=expected.value, number=target)
                with m.If(can_tell):
                    m.d.sync += [*begin_walk(everything=False), *moved()]
                    m.next = "WALK"

            with m.State("HELD BAD"):
                # R10e: its number is missing again.
                emit_event(EventCode.HELD_BAD_GAP_FILL, seq=expected.value)
                with m.If(can_tell):
                    with m.If(top == expected.value):
                        m.d.sync += top_valid.eq(0)
                    m.next = "RANGE"

            # -- R11, R13: ranges close and open
            with m.State("RANGE"):
                m.d.sync += [past_end.eq(expected.value > end), past_highest.eq(expected.value > highest)]
                m.next = "RANGE CLOSES"

            with m.State("RANGE CLOSES"):
                closes = recovery & (close_now | Mux(infinity, past_highest, past_end))
                next_opens = (phase == Phase.ACTIVE) & may_request & ~past_highest
                m.d.sync += cause.eq(Rule.R11)
                with m.If(closes):
                    emit_event(EventCode.RECOVERY_CLOSED, seq=expected.value)
                with m.If(~closes | can_tell):
                    m.d.sync += close_now.eq(0)
                    with m.If(closes):
                        m.d.sync += recovery.eq(0)
                    with m.If((closes | ~recovery) & next_opens):
                        m.d.sync += end.eq(preparation.highest_end)
                        m.next = "REQUEST"
                    with m.Else():
                        finish()

            with m.State("REQUEST"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    m.d.sync += note_request(cause == Rule.R11, cause == Rule.R13A)
                    m.next = "TELL REQUEST"

            with m.State("TELL REQUEST"):
                emit_event(EventCode.REQUEST, seq=expected.value, number=request_end, why=cause)
                with m.If(can_tell):
                    finish()

            # -- The end of a transaction
            with m.State("HALTED"):
                emit_event(EventCode.HALTED, seq=expected.value, why=plan.rule)
                with m.If(can_tell):
                    m.next = "MESSAGE"

            with m.State("UNCHANGED"):
                emit_event(EventCode.RESET_UNCHANGED, seq=expected.value)
                with m.If(can_tell):
                    m.next = "MESSAGE"

            with m.State("EXHAUSTED"):
                emit_event(EventCode.SEQ_EXHAUSTED, seq=C(MAX_SEQ_BCD, NUMBER), why=Rule.R16A)
                with m.If(can_tell):
                    m.d.sync += [phase.eq(Phase.HALTED), advanced.eq(0)]
                    m.next = "MESSAGE"

            with m.State("MESSAGE"):
                known = plan.rule != Rule.F3
                readable = known & plan.stored
                has_seq = readable & message.seq_ok
                possdup = Mux(readable & message.possdup, Flag.POSSDUP, 0)
                teller.tell(
                    [
                        record.kind.eq(RecordKind.MESSAGE),
                        record.code.eq(plan.rule),
                        record.flags.eq(Mux(has_seq, Flag.SEQ, 0) | possdup | Flag.NUMBER),
                        record.msg_type.eq(Mux(known, message.msg_type, 0)),
                        record.seq.eq(Mux(has_seq, message.seq, 0)),
                        record.number.eq(expected.value),
                        record.offset.eq(frame.offset),
                        record.length.eq(frame.length),
                        record.cycle.eq(frame.cycle),
                    ]
                )
                m.d.comb += [self.counted_rule.eq(plan.rule), self.counted.eq(can_tell)]
                with m.If(can_tell):
                    m.next = "STORE"
                    with m.If(plan.simple):
                        # No range is open, so no timer runs.
                        m.next = "WRITE BACK"

            with m.State("STORE"):
                m.d.sync += settle_timer()
                m.next = "WRITE BACK"

            with m.State("WRITE BACK"):
                with m.If(~expected.busy):
                    m.d.comb += put.eq(1)
                    # The next tick is not taken before the timer that was due is set anew.
                    m.d.comb += self.due.ready.eq(serves_due)
                    m.d.sync += [timer_ran.eq(timer_runs), serves_due.eq(0)]
                    m.next = "IDLE"

            # -- The host's operations
            with m.State("COMMAND"):
                m.d.comb += [self.command_done.eq(1), self.clear.payload.eq(session)]
                m.d.sync += [
                    is_reset.eq(0),
                    close_now.eq(0),
                    load_low.eq(1),
                    target.eq(expected.value),
                    target_low.eq(expected.low),
                    *begin_walk(everything=True),
                ]
                m.next = "STORE"
                with m.Switch(self.command.op):
                    with m.Case(Command.CONNECT):
                        m.d.comb += [
                            self.clear.valid.eq(1),
                            self.command_done.eq(self.clear.ready),
                            self.fields_done.eq(ours & self.clear.ready),
                        ]
                        m.d.sync += [
                            phase.eq(self.command.phase),
                            may_request.eq(self.command.may_request),
                            recovery.eq(0),
                            is_reset.eq(1),
                            *forget(),
                        ]
                        m.next = "COMMAND"
                        with m.If(self.clear.ready):
                            m.next = "WALK"
                    with m.Case(Command.DISCONNECT):
                        # What is held is of no use any more (R15); its memory is for the others.
                        m.d.sync += [phase.eq(Phase.CLOSED), top_valid.eq(0)]
                        m.next = "WALK"
                    with m.Case(Command.MAY_REQUEST):
                        m.d.sync += may_request.eq(self.command.may_request)
                        m.next = "RANGE"
                    with m.Case(Command.SET_EXPECTED):
                        m.d.sync += [
                            recovery.eq(0),
                            is_reset.eq(1),
                            load_low.eq(0),
                            target.eq(self.command.number),
                            *forget(),
                        ]
                        m.next = "WALK"
                    with m.Case(Command.SET_NEXT_OUT):
                        m.d.comb += self.set_next_out.eq(1)

            with m.State("DUE"):
                # Since it was seen to be due it may have been started anew.
                m.d.sync += [timer_due.eq(timer_runs & (timer == self.now)), serves_due.eq(1)]
                m.next = "TIMEOUT"

            with m.State("TIMEOUT"):
                with m.If(~timer_due):
                    m.next = "STORE"
                with m.Elif(retries == config.resend_retries):
                    emit_event(EventCode.RECOVERY_FAILED, seq=expected.value)
                    with m.If(can_tell):
                        m.d.sync += phase.eq(Phase.HALTED)
                        m.next = "STORE"
                with m.Else():
                    m.d.sync += [retries.eq(retries + 1), cause.eq(Rule.R14), timer_starts.eq(1)]
                    m.next = "REQUEST"

        teller.finish()
        return m
