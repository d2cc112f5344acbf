"""The sequencer: the rules at work, message by message."""

from typing import Any

from amaranth import C, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.data import View
from amaranth.lib.wiring import In, Out

from tag34.contract import Command, EventCode, Flag, Phase, Policy, RecordKind, Rule

from .. import bcd
from ..layouts import CYCLE, MAX_SEQ_BCD, NUMBER, EntryState, Frame, Record, Shape
from .expected import Expected
from .rules import Rules
from .window import Window

#: Records that wait for the host before the rules themselves have to wait (R16).
RECORD_DEPTH = 16
INFINITY_OLD = 0x999999  # 16 = "all" up to FIX.4.1, BCD

#: Configuration of a session, as the rules need it. ``infinity_old``: infinity is 999999.
Config = data.StructLayout(
    {
        "policy": Policy,
        "infinity_old": 1,
        "window_limit": NUMBER,
        "chunk": NUMBER,
        "resend_timeout": 32,
        "resend_retries": 8,
    }
)

#: An operation of the host on a session.
CommandWord = data.StructLayout({"op": Command, "phase": Phase, "may_request": 1, "number": NUMBER})

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
    """Judges each message by the rules, keeps the session's state, releases in order, asks for what is missing.

    A message is *prepared* as soon as its last body byte is in: numbers are compared, the row of the table is chosen,
    the ResendRequest that it
    would cause is made ready. The frame (checksum good or not) then *commits* or drops it in one cycle. What follows
    from the commit
    (release, next range, records) runs while the next message arrives; the next frame is not taken before it is
    finished, so that for the
    rules a release is atomic (R12).

    Parameters: ``shape``.

    Members:
        fields, fields_done: what is known of the message (from :class:`~tag34_hdl.receive.fields.Fields`).
        oversize: the message whose fields are done is longer than max_message.
        frame: one transfer per message.
        config, state: the session's configuration (changes take effect with a CONNECT) and state.
        command_valid, command, command_done: an operation; valid and stable until ``command_done``.
        ticks, tick, ticks_drop: timer ticks are waiting; one is taken; all are dropped as no timer runs.
        current, take, free: slot traffic with :class:`~tag34_hdl.session.slots.Slots`.
        push, delivery: messages for :class:`~tag34_hdl.session.release.Release`.
        request: ResendRequests for the composer.
        records: what happened, in order.
        counted, counted_rule: a message was judged by this rule.
        clear: a new connection: the framer forgets a partial message, the composer what has not left.
        set_next_out: next_out := ``command.number``.
        idle: nothing is under way; records may be waiting in ``records``.

    Latency: ``frame`` valid to ``request`` valid and to ``push``: the same cycle, if the message was prepared (five
        cycles after
    ``fields_done``) and nothing is under way.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "fields": In(shape.fields),
                "fields_done": In(1),
                "oversize": In(1),
                "frame": In(stream.Signature(Frame)),
                "config": In(Config),
                "state": Out(SessionState),
                "command_valid": In(1),
                "command": In(CommandWord),
                "command_done": Out(1),
                "ticks": In(1),
                "tick": Out(1),
                "ticks_drop": Out(1),
                "current": In(shape.slot_bits),
                "take": Out(1),
                "free": Out(stream.Signature(shape.slot_bits)),
                "push": Out(1),
                "delivery": Out(shape.delivery),
                "request": Out(stream.Signature(shape.request)),
                "records": Out(stream.Signature(Record)),
                "counted": Out(1),
                "counted_rule": Out(Rule),
                "clear": Out(1),
                "set_next_out": Out(1),
                "cycle": In(CYCLE),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        config = self.config
        m.submodules.expected = expected = Expected(shape)
        m.submodules.window = window = Window(shape)
        m.submodules.rules = rules = Rules()
        m.d.comb += [expected.window_limit.eq(config.window_limit), expected.chunk.eq(config.chunk)]
        infinity = config.policy == Policy.INFINITY

        # -- State of the session (beside `expected` and the window)
        phase = Signal(Phase)
        may_request = Signal()
        highest = Signal(NUMBER)
        top = Signal(NUMBER, reset_less=True)  # highest number in the window
        top_valid = Signal()
        recovery = Signal()
        end = Signal(NUMBER, reset_less=True)  # of the open range (policies CLOSED and CHUNK)
        again_done = Signal()  # R13a has repeated the request for this value of `expected`
        first_begin = Signal(NUMBER, reset_less=True)  # lowest begin of the requests on this connection
        begin_valid = Signal()
        timer = Signal(32)
        retries = Signal(8)
        m.d.comb += [
            self.state.phase.eq(phase),
            self.state.may_request.eq(may_request),
            self.state.recovery.eq(recovery),
            self.state.expected.eq(expected.value),
            self.state.highest.eq(highest),
        ]

        # -- The message at hand
        message = Signal(shape.fields, reset_less=True)
        frame = Signal(Frame, reset_less=True)
        rule = Signal(Rule)
        body_pending = Signal()  # a message is waiting for its preparation or its frame
        body = Signal()
        in_message = Signal()  # the transaction under way is a message's
        advanced = Signal()  # `expected` has moved in this transaction
        m.d.comb += body.eq(body_pending | self.fields_done)
        with m.If(self.fields_done):
            m.d.sync += body_pending.eq(1)

        # The window's answer is taken into a register before anything depends on it: block memory is slow to leave.
        entry = Signal(shape.window_entry, reset_less=True)
        m.d.sync += entry.eq(window.entry)

        # -- Preparation: facts, then the row, then the request it would cause
        # Facts are compared from the fields as they are and registered; the row follows when the window has answered.
        in_window = Signal()
        seq_above_highest = Signal()
        seq_is_highest = Signal()
        seq_above_top = Signal()
        top_is_highest = Signal()
        m.d.comb += [
            rules.phase.eq(phase),
            rules.oversize.eq(self.oversize),
            rules.mirror.eq(self.fields.mirror),
            rules.is_logon.eq(message.is_logon),
            rules.is_sequence_reset.eq(message.is_sequence_reset),
            rules.is_resend_request.eq(message.is_resend_request),
            rules.gap_fill.eq(message.gap_fill),
            rules.reset_seq_num.eq(message.reset_seq_num),
            rules.possdup.eq(message.possdup),
            rules.seq_ok.eq(message.seq_ok),
            rules.new_seq_ok.eq(message.new_seq_ok),
            rules.seq_in_window.eq(in_window),
            rules.held.eq(in_window & (entry.state != EntryState.EMPTY)),
        ]

        def compare() -> list:
            fields = self.fields
            return [
                rules.seq_is_one.eq(fields.seq == 1),
                rules.seq_is_expected.eq(fields.seq == expected.value),
                rules.seq_is_below.eq(fields.seq < expected.value),
                in_window.eq(fields.seq < expected.limit),
                rules.new_seq_is_expected.eq(fields.new_seq == expected.value),
                rules.new_seq_above_expected.eq(fields.new_seq > expected.value),
                rules.new_seq_above_seq.eq(fields.new_seq > fields.seq),
                rules.requested.eq(begin_valid & (first_begin <= fields.seq)),
                seq_above_highest.eq(fields.seq > highest),
                seq_is_highest.eq(fields.seq == highest),
                seq_above_top.eq(~top_valid | (fields.seq > top)),
                top_is_highest.eq(top_valid & (top == highest)),
            ]

        # The range that would be asked for if it opened now, given `highest` and whether that message is in the window.
        range_highest = Signal(NUMBER, reset_less=True)
        range_kept = Signal()
        range_below = Signal(NUMBER, reset_less=True)
        range_end = Signal(NUMBER, reset_less=True)
        opens = Signal()  # R11 by the message at hand
        repeats = Signal()  # R13a by the message at hand
        stored = Signal()  # it is not longer than max_message, its fields may be told
        cause = Signal(Rule)
        # What its commit will do, each in a register of its own.
        plan_early = Signal()  # deliver ahead of its turn
        plan_push = Signal()  # deliver
        plan_put = Signal()  # write a window entry
        plan_take = Signal()  # its slot is not used for the next message

        def range_step_below() -> list:
            return [range_below.eq(Mux(range_kept, bcd.decrement(range_highest), range_highest))]

        def range_step_end() -> list:
            cut = (config.policy == Policy.CHUNK) & (expected.chunk_end < range_below)
            return [range_end.eq(Mux(cut, expected.chunk_end, range_below))]

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
        # A state only says which form of record it tells. The words are put together a cycle later, when all that they
        # are taken from is still as it was, and go into a queue that has room to spare for what is told before it is
        # seen to be full. So neither the words nor the permission to tell are on a long path.
        forms: list[list[Any]] = []
        record = Signal(Record)
        tells = Signal()
        form = Signal(4)
        told = Signal()
        told_form = Signal(4)
        can_tell = Signal()
        last_cycle = Signal(CYCLE)  # the cycle in which it was told
        m.submodules.record_queue = queue = fifo.SyncFIFO(width=Record.size, depth=RECORD_DEPTH)
        m.d.sync += [
            told.eq(tells & can_tell),
            told_form.eq(form),
            can_tell.eq(queue.w_level < RECORD_DEPTH - 3),
            last_cycle.eq(self.cycle),
        ]
        m.d.comb += [
            queue.w_data.eq(record),
            queue.w_en.eq(told),
            self.records.valid.eq(queue.r_rdy),
            self.records.payload.eq(queue.r_data),
            queue.r_en.eq(self.records.ready),
        ]

        def tell(words: list[Any]) -> None:
            """Tell a record of these ``words``."""
            m.d.comb += [tells.eq(1), form.eq(len(forms))]
            forms.append(words)

        def emit_event(
            code: EventCode, *, seq: Value | None = None, number: Value | None = None, why: Value | int = 0
        ) -> None:
            words = [
                record.kind.eq(RecordKind.EVENT),
                record.code.eq(code),
                record.rule.eq(why),
                record.cycle.eq(Mux(in_message, frame.cycle, last_cycle)),
                record.flags.eq((Flag.SEQ if seq is not None else 0) | (Flag.NUMBER if number is not None else 0)),
            ]
            if seq is not None:
                words.append(record.seq.eq(seq))
            if number is not None:
                words.append(record.number.eq(number))
            tell(words)

        def emit_delivery(*, seq: Value, length: Value, source: View, early: Value | int = 0) -> None:
            """Tell of a message handed to the release. ``source`` has its msg_type and flags."""
            possdup = Mux(source.possdup, Flag.POSSDUP, 0)
            possresend = Mux(source.possresend, Flag.POSSRESEND, 0)
            words = [
                record.kind.eq(RecordKind.DELIVER),
                record.msg_type.eq(source.msg_type),
                record.seq.eq(seq),
                record.length.eq(length),
                record.cycle.eq(last_cycle),
                record.flags.eq(Flag.SEQ | possdup | possresend | Mux(early, Flag.EARLY, 0)),
            ]
            tell(words)

        def clear_entry(place: Value) -> None:
            m.d.comb += [window.put.eq(1), window.put_place.eq(place)]  # an entry of zeros is EMPTY

        def moved() -> list:
            """``expected`` has moved: the timers of the open range start anew (R13a, R14)."""
            return [advanced.eq(1), again_done.eq(0), timer.eq(0), retries.eq(0)]

        def begin_walk(*, everything: bool) -> list:
            return [walk_all.eq(everything), walk_place.eq(expected.low), walk_left.eq(1 << shape.window_bits)]

        def forget() -> list:
            """Recovery and requests of the old numbering, or of the old connection, are forgotten."""
            return [top_valid.eq(0), begin_valid.eq(0), again_done.eq(0), timer.eq(0), retries.eq(0)]

        # -- Requests
        wanted_end = Signal(NUMBER)
        m.d.comb += [
            wanted_end.eq(Mux(cause == Rule.R11, range_end, end)),
            self.request.payload.begin.eq(expected.value),
            self.request.payload.end.eq(Mux(infinity, Mux(config.infinity_old, INFINITY_OLD, 0), wanted_end)),
        ]
        request_end = Signal(NUMBER, reset_less=True)  # as sent, for the record

        def note_request() -> list:
            actions = [request_end.eq(self.request.payload.end)]
            with m.If(~begin_valid):
                m.d.sync += [begin_valid.eq(1), first_begin.eq(expected.value)]
            with m.If(cause == Rule.R11):
                m.d.sync += [recovery.eq(1), end.eq(range_end), again_done.eq(0), timer.eq(0), retries.eq(0)]
            with m.If(cause == Rule.R13A):
                m.d.sync += again_done.eq(1)
            return actions

        timer_runs = (phase == Phase.ACTIVE) & recovery & may_request & (config.resend_timeout != 0)
        # Whether the next tick is the timer's last is known a cycle ahead; ticks are taken every other cycle at most.
        timer_due = Signal()
        timer_known = Signal()
        serving = Signal()
        m.d.sync += [timer_due.eq(timer + 1 == config.resend_timeout), timer_known.eq(serving & ~self.tick)]
        exhausted = advanced & (expected.value == MAX_SEQ_BCD + 1)

        with m.FSM(name="sequencer"):

            def finish() -> None:
                """The end of a transaction."""
                with m.If(exhausted):
                    m.next = "EXHAUSTED"
                with m.Elif(in_message):
                    m.next = "MESSAGE"
                with m.Else():
                    m.next = "IDLE"

            def serve_host() -> None:
                """Commands and timer ticks, between two messages."""
                m.d.comb += serving.eq(1)
                with m.If(self.command_valid):
                    m.d.sync += [in_message.eq(0), advanced.eq(0)]
                    m.next = "COMMAND"
                with m.Elif(self.ticks):
                    with m.If(~timer_runs):
                        m.d.comb += self.ticks_drop.eq(1)
                    with m.Elif(timer_known):
                        m.d.comb += self.tick.eq(1)
                        m.d.sync += timer.eq(timer + 1)
                        with m.If(timer_due):
                            m.d.sync += [in_message.eq(0), advanced.eq(0)]
                            m.next = "TIMEOUT"

            with m.State("IDLE"):
                m.d.comb += [
                    window.place.eq(self.fields.seq_low),
                    self.idle.eq(~body & ~self.frame.valid & ~self.command_valid & ~self.ticks),
                ]
                m.d.sync += [message.eq(self.fields), *compare()]
                with m.If(expected.busy | window.busy):
                    pass  # the sums are on their way, or the window is being swept
                with m.Elif(body):
                    m.next = "PREPARE ENTRY"
                with m.Elif(self.frame.valid):
                    m.next = "GARBLED"
                with m.Else():
                    serve_host()

            with m.State("PREPARE ENTRY"):
                m.next = "PREPARE ROW"

            with m.State("PREPARE ROW"):
                is_above = Signal()
                m.d.comb += is_above.eq(
                    (rules.rule == Rule.R10)
                    | (rules.rule == Rule.R10A)
                    | (rules.rule == Rule.R10B)
                    | (rules.rule == Rule.R10C)
                    | (rules.rule == Rule.R10D)
                )
                m.d.sync += [
                    rule.eq(rules.rule),
                    stored.eq(~self.oversize),
                    range_highest.eq(Mux(seq_above_highest, message.seq, highest)),
                    range_kept.eq(Mux(seq_above_highest, in_window, top_is_highest | (seq_is_highest & in_window))),
                    opens.eq(
                        is_above & ~recovery & may_request & ((phase == Phase.ACTIVE) | (rules.rule == Rule.R10C))
                    ),
                    repeats.eq(
                        is_above & recovery & may_request & (phase == Phase.ACTIVE) & message.possdup & ~again_done
                    ),
                ]
                m.next = "PREPARE BELOW"

            with m.State("PREPARE BELOW"):
                early = (rule == Rule.R10C) | (rule == Rule.R10D)
                pushes = early | (rule == Rule.R5) | (rule == Rule.R8)
                m.d.sync += [
                    *range_step_below(),
                    cause.eq(Mux(opens, Rule.R11, Rule.R13A)),
                    plan_early.eq(early),
                    plan_push.eq(pushes),
                    plan_put.eq((early | (rule == Rule.R10)) & in_window),
                    # A held GapFill needs no bytes.
                    plan_take.eq(pushes | ((rule == Rule.R10) & ~message.is_sequence_reset)),
                ]
                m.next = "PREPARE END"

            with m.State("PREPARE END"):
                m.d.sync += range_step_end()
                m.next = "WAIT"

            with m.State("GARBLED"):
                # No body: nothing was prepared.
                m.d.comb += self.frame.ready.eq(1)
                m.d.sync += [frame.eq(self.frame.payload), rule.eq(Rule.F3), in_message.eq(1), advanced.eq(0)]
                m.next = "MESSAGE"

            with m.State("WAIT"):
                m.d.comb += self.idle.eq(~self.frame.valid & ~self.command_valid & ~self.ticks)
                with m.If(~self.frame.valid):
                    serve_host()
                with m.Elif(self.frame.payload.garbled):
                    m.d.comb += self.frame.ready.eq(1)
                    m.d.sync += [
                        frame.eq(self.frame.payload),
                        rule.eq(Rule.F3),
                        in_message.eq(1),
                        advanced.eq(0),
                        body_pending.eq(0),
                    ]
                    m.next = "MESSAGE"
                # A commit may have to tell of a delivery in the same cycle.
                with m.Elif(can_tell):
                    m.d.comb += self.frame.ready.eq(1)
                    m.d.sync += [frame.eq(self.frame.payload), in_message.eq(1), advanced.eq(0), body_pending.eq(0)]
                    m.d.sync += [is_reset.eq(0), close_now.eq(0), load_low.eq(1)]
                    m.d.sync += [target.eq(message.new_seq), target_low.eq(message.new_seq_low)]
                    with m.If(plan_push):
                        m.d.comb += [
                            self.push.eq(1),
                            self.delivery.slot.eq(self.current),
                            self.delivery.length.eq(self.frame.payload.length),
                        ]
                        emit_delivery(seq=message.seq, length=frame.length, source=message, early=plan_early)
                    with m.If(plan_put):
                        kind = Mux(message.is_sequence_reset, EntryState.GAP_FILL, EntryState.MESSAGE)
                        m.d.comb += window.put.eq(1)
                        m.d.comb += [
                            window.put_place.eq(message.seq_low),
                            window.put_entry.state.eq(Mux(plan_early, EntryState.CONSUMED, kind)),
                            window.put_entry.slot.eq(self.current),
                            window.put_entry.length.eq(self.frame.payload.length),
                            window.put_entry.msg_type.eq(message.msg_type),
                            window.put_entry.possdup.eq(message.possdup),
                            window.put_entry.possresend.eq(message.possresend),
                            window.put_entry.new_seq.eq(message.new_seq),
                            window.put_entry.new_seq_low.eq(message.new_seq_low),
                            window.put_entry.new_seq_ok.eq(message.new_seq_ok),
                        ]
                        with m.If(seq_above_top):
                            m.d.sync += [top.eq(message.seq), top_valid.eq(1)]
                    m.d.comb += self.take.eq(plan_take)
                    m.next = "MESSAGE"
                    with m.Switch(rule):
                        with m.Case(Rule.F5, Rule.R4, Rule.R9B):
                            m.d.sync += phase.eq(Phase.HALTED)
                            m.next = "HALTED"
                        with m.Case(Rule.R3):
                            m.d.sync += [is_reset.eq(1), close_now.eq(1), *begin_walk(everything=False), *moved()]
                            m.next = "WALK"
                        with m.Case(Rule.R3A):
                            m.next = "UNCHANGED"
                        with m.Case(Rule.R5):
                            m.d.sync += [phase.eq(Phase.ACTIVE), close_now.eq(1), highest.eq(1), *forget(), *moved()]
                            m.d.sync += [target.eq(2), target_low.eq(2), *begin_walk(everything=True)]
                            m.next = "WALK"
                        with m.Case(Rule.R7, Rule.R9):
                            m.d.sync += [*begin_walk(everything=False), *moved()]
                            m.next = "WALK"
                        with m.Case(Rule.R8):
                            m.d.sync += moved()
                            with m.If(message.is_logon):
                                m.d.sync += phase.eq(Phase.ACTIVE)
                            with m.If(seq_above_highest):
                                m.d.sync += highest.eq(message.seq)
                            m.next = "ADVANCE"
                        with m.Case(Rule.R10, Rule.R10A, Rule.R10B, Rule.R10C, Rule.R10D):
                            m.d.sync += highest.eq(range_highest)
                            with m.If(rule == Rule.R10C):
                                m.d.sync += phase.eq(Phase.ACTIVE)
                            with m.If(opens | repeats):
                                m.d.comb += self.request.valid.eq(1)
                                m.next = "REQUEST"
                                with m.If(self.request.ready):
                                    m.d.sync += note_request()
                                    m.next = "TELL REQUEST"

            # -- Moving `expected`
            with m.State("WALK"):
                m.d.comb += window.place.eq(walk_place)
                m.d.sync += top_reaches.eq(top_valid & (top >= target))
                with m.If((window.count == 0) | (walk_left == 0)):
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
                        clear_entry(walk_place)
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
                    m.next = "IDLE"

            with m.State("ADVANCE"):
                m.d.comb += expected.increment.eq(1)
                m.next = "RELEASE"

            with m.State("RELEASE"):
                m.d.comb += window.place.eq(expected.low)
                m.next = "RELEASE READ"
                with m.If(window.count == 0):
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
                        emit_delivery(seq=expected.value, length=entry.length, source=entry)
                        m.d.comb += [
                            self.push.eq(can_tell),
                            self.delivery.slot.eq(entry.slot),
                            self.delivery.length.eq(entry.length),
                        ]
                        with m.If(can_tell):
                            clear_entry(expected.low)
                            m.d.sync += moved()
                            m.next = "ADVANCE"
                    with m.Case(EntryState.CONSUMED):
                        clear_entry(expected.low)
                        m.d.sync += moved()
                        m.next = "ADVANCE"
                    with m.Case(EntryState.GAP_FILL):
                        clear_entry(expected.low)
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
                m.d.sync += [
                    past_end.eq(expected.value > end),
                    past_highest.eq(expected.value > highest),
                    range_highest.eq(highest),
                    range_kept.eq(top_valid & (top == highest)),
                ]
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
                        m.next = "RANGE BELOW"
                    with m.Else():
                        finish()

            with m.State("RANGE BELOW"):
                m.d.sync += range_step_below()
                m.next = "RANGE END"

            with m.State("RANGE END"):
                m.d.sync += range_step_end()
                m.next = "REQUEST"

            with m.State("REQUEST"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    m.d.sync += note_request()
                    m.next = "TELL REQUEST"

            with m.State("TELL REQUEST"):
                emit_event(EventCode.REQUEST, seq=expected.value, number=request_end, why=cause)
                with m.If(can_tell):
                    finish()

            # -- The end of a transaction
            with m.State("HALTED"):
                emit_event(EventCode.HALTED, seq=expected.value, why=rule)
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
                known = rule != Rule.F3
                readable = known & stored
                has_seq = readable & message.seq_ok
                possdup = Mux(readable & message.possdup, Flag.POSSDUP, 0)
                tell(
                    [
                        record.kind.eq(RecordKind.MESSAGE),
                        record.code.eq(rule),
                        record.flags.eq(Mux(has_seq, Flag.SEQ, 0) | possdup | Flag.NUMBER),
                        record.msg_type.eq(Mux(known, message.msg_type, 0)),
                        record.seq.eq(Mux(has_seq, message.seq, 0)),
                        record.number.eq(expected.value),
                        record.offset.eq(frame.offset),
                        record.length.eq(frame.length),
                        record.cycle.eq(frame.cycle),
                    ]
                )
                m.d.comb += [self.counted_rule.eq(rule), self.counted.eq(can_tell)]
                with m.If(can_tell):
                    m.next = "IDLE"

            # -- The host's operations
            with m.State("COMMAND"):
                m.d.comb += self.command_done.eq(1)
                m.d.sync += [
                    is_reset.eq(0),
                    close_now.eq(0),
                    load_low.eq(1),
                    target.eq(expected.value),
                    target_low.eq(expected.low),
                    *begin_walk(everything=True),
                ]
                m.next = "IDLE"
                with m.Switch(self.command.op):
                    with m.Case(Command.CONNECT):
                        m.d.comb += self.clear.eq(1)
                        m.d.sync += [
                            phase.eq(self.command.phase),
                            may_request.eq(self.command.may_request),
                            recovery.eq(0),
                            body_pending.eq(0),
                            is_reset.eq(1),
                            *forget(),
                        ]
                        m.next = "WALK"
                    with m.Case(Command.DISCONNECT):
                        m.d.sync += phase.eq(Phase.CLOSED)
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

            with m.State("TIMEOUT"):
                m.d.sync += timer.eq(0)
                with m.If(retries == config.resend_retries):
                    emit_event(EventCode.RECOVERY_FAILED, seq=expected.value)
                    with m.If(can_tell):
                        m.d.sync += phase.eq(Phase.HALTED)
                        m.next = "IDLE"
                with m.Else():
                    m.d.sync += [retries.eq(retries + 1), cause.eq(Rule.R14)]
                    m.next = "REQUEST"

        assert len(forms) <= 1 << len(form)
        with m.Switch(told_form):
            for number, words in enumerate(forms):
                with m.Case(number):
                    m.d.comb += words
        return m
