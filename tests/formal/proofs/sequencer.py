"""The sequencer: what the rules promise over any run of messages, commands and timers."""

from __future__ import annotations

from typing import Any, ClassVar

from amaranth import Cat, Const, Mux, Signal, Value

from tag34.contract import MAX_SEQ, SEQ_DIGITS, Command, Flag, Phase, RecordKind, Rule, to_bcd
from tag34_hdl import bcd
from tag34_hdl.layouts import NUMBER, EntryState, Record, Shape
from tag34_hdl.session.ends import ENDS
from tag34_hdl.session.moves import MOVES
from tag34_hdl.session.operations import OPERATIONS
from tag34_hdl.session.preparation import Plan
from tag34_hdl.session.rules import Rows
from tag34_hdl.session.sequencer import RESTS, Sequencer
from tag34_hdl.session.teller import RECORD_DEPTH

from ..harness import Opened, Proof, Property
from .numbers import binary, decimal_sum, decimal_sum_and_carry, is_bcd

#: Less memory than numbers in the window, so that R10b comes from both.
SHAPE = Shape(sessions=1, window=4, max_message=64, hold=2, hold_limit=2)
PLACES = 1 << SHAPE.window_bits

#: States between two transactions, and those in which a message is being prepared.
STATES = [name.lower().replace(" ", "_") for name in (*RESTS, *MOVES, *ENDS, *OPERATIONS)]
PREPARED = ("WAIT", "COMMIT")
PREPARING = ("PREPARE ROW", "PREPARE PLAN", *PREPARED)
REST = ("IDLE", *PREPARING, "GARBLED")
#: States in which `expected` moves.
WALKING = ("WALK", "WALK READ", "WALK ENTRY", "WALK STEP", "LOAD")
#: States in which it is about to be looked whether the window has the number `expected`.
RELEASING = ("RELEASE", "RELEASE READ", "RELEASE ENTRY")
HELD = ("HELD COMPARE", "HELD CHOICE", "HELD FILL", "HELD BAD")
ABOVE = (Rule.R10, Rule.R10A, Rule.R10B, Rule.R10C, Rule.R10D)
EARLY = (Rule.R10C, Rule.R10D)


def low(number: Value) -> Value:
    """A number's place in the window."""
    return binary(number)[: SHAPE.window_bits]


def command(op: Command, number: int = 0, phase: Phase = Phase.ACTIVE) -> dict[str, Any]:
    """A step of a script: a command of the host."""
    return {"shown": 0b00001, "op": op, "number": to_bcd(number), "phase": phase}


def heard(seq: int, garbled: bool = False, **fields: int) -> dict[str, Any]:
    """A step of a script: a message; ``fields`` as in :attr:`Shape.fields`."""
    new_seq = fields.pop("new_seq", 0)
    words = {
        "mirror": 1,
        "seq": to_bcd(seq),
        "seq_low": seq % PLACES,
        "seq_ok": 1,
        "new_seq": to_bcd(new_seq),
        "new_seq_low": new_seq % PLACES,
        "new_seq_ok": int(new_seq != 0),
        **fields,
    }
    return {"shown": 0b10110 if garbled else 0b00110, "fields": words}


def heard_fill(seq: int, new_seq: int) -> dict[str, Any]:
    """A step of a script: a GapFill."""
    return heard(seq, new_seq=new_seq, is_sequence_reset=1, gap_fill=1)


def due() -> dict[str, Any]:
    """A step of a script: the session's timer is due."""
    return {"shown": 0b01000, "free_now": True}


class SequencerProof(Proof):
    """What the proofs of the sequencer share: its surroundings, its inner signals, what is true in each state."""

    component = "sequencer"
    parameters = f"1 session, window {PLACES}, memory for {SHAPE.hold_limit} messages"
    assumes = (
        "fields and commands have numbers as Fields and the registers give them; window_limit is 1 to the window; "
        "a command stays until it is done; GAP is not wanted"
    )
    #: The configuration may change at any time; else it stays.
    any_config: ClassVar[bool] = True

    # Signals of the sequencer, under the names that they have there.
    phase: Signal
    may_request: Signal
    highest: Signal
    top: Signal
    top_valid: Signal
    entries: Signal
    holding: Signal
    holding_all: Signal
    recovery: Signal
    end: Signal
    again_done: Signal
    first_begin: Signal
    begin_valid: Signal
    timer: Signal
    timer_runs: Signal
    retries: Signal
    in_message: Signal
    advanced: Signal
    target: Signal
    target_low: Signal
    walk_place: Signal
    walk_left: Signal
    walk_all: Signal
    load_low: Signal
    close_now: Signal
    cause: Signal
    timer_starts: Signal
    can_tell: Signal
    told: Signal

    def open(self) -> Sequencer:
        """The sequencer with free surroundings, its signals in members."""
        m = self.m
        self.dut = dut = Sequencer(SHAPE)
        self.opened = opened = m.submodules.dut = Opened(dut)
        self.free(dut.fields, dut.fields_session, dut.fields_settled, dut.fields_changed, dut.fields_complete)
        self.free(dut.oversize, dut.state_session, dut.cycle, dut.rx_quiet)
        self.free(dut.now, dut.current, dut.frame.valid, dut.frame.payload, dut.due.valid, dut.due.payload)
        self.free(dut.request.ready, dut.records.ready, dut.free.ready, dut.clear.ready)
        self.free(dut.command_valid, dut.command)
        config = dut.config
        if self.any_config:
            self.free(config)
        else:
            m.d.comb += Value.cast(config).eq(self.constant(len(Value.cast(config)), "config"))
        largest = to_bcd(MAX_SEQ)
        fields = dut.fields
        for number, ok, place in (
            (fields.seq, fields.seq_ok, fields.seq_low),
            (fields.new_seq, fields.new_seq_ok, fields.new_seq_low),
        ):
            self.assume(is_bcd(number) & (place == low(number)) & (~ok | ((number != 0) & (number <= largest))))
        self.assume(is_bcd(dut.command.number) & (dut.command.number <= to_bcd(MAX_SEQ + 1)))
        self.assume(is_bcd(config.window_limit) & (config.window_limit >= 1) & (config.window_limit <= PLACES))
        self.assume(is_bcd(config.chunk))
        self.assume(~config.early_gap)
        waits = self.past(dut.command_valid & ~dut.command_done)
        self.assume(~waits | (dut.command_valid & (Value.cast(dut.command) == self.past(dut.command))))

        for name, kind in SequencerProof.__annotations__.items():
            if kind == "Signal":
                setattr(self, name, opened.signal(name))
        self.message: Any = opened.signal("preparation.message", SHAPE.fields)
        self.plan: Any = opened.signal("plan", Plan)
        self.rule = self.plan.rule
        self.in_window = opened.signal("preparation.in_window")
        self.advances = opened.signal("advances")
        self.empty = opened.signal("window_empty")
        self.entry: Any = opened.signal("entry", SHAPE.window_entry)
        self.record: Any = opened.signal("record", Record)
        self.expected = opened.signal("expected.value")
        self.expected_low = opened.signal("expected.low")
        self.limit = opened.signal("expected.limit")
        self.left = opened.signal("expected.left")
        self.load = opened.signal("expected.load")
        self.lemma(sum(opened.signal(f"at_{name}") for name in STATES) == 1, "legal state")
        self.lemma(opened.signal("expected.busy") == (self.left != 0), "busy")
        self.lemma(~self.commits | (self.in_message & ~self.advanced), "a message's commit")
        prepares = self.state("PREPARE ROW", "PREPARE PLAN", "WAIT", "GARBLED")
        self.lemma(~prepares | ~(self.in_message | self.advanced), "nothing has begun")
        return dut

    def known(self, name: str, condition: Any) -> None:
        """The property ``name`` where it belongs, a lemma elsewhere."""
        if name in {prop.name for prop in self.properties}:
            self.holds(name, condition)
        else:
            self.lemma(condition, name)

    def state(self, *names: str) -> Value:
        """The state machine is in one of these states."""
        return self.opened.at(*names)

    def among(self, *rules: Rule) -> Value:
        """The rule of the message at hand is one of these."""
        result: Value = Const(0, 1)
        for rule in rules:
            result = result | (self.rule == rule)
        return result

    @property
    def commits(self) -> Value:
        """A message that is not garbled has been taken."""
        return self.state("COMMIT")

    def pushed(self) -> Value:
        """What is pushed is told in the next cycle, a message that is taken in the one behind its commit."""
        push, waits = self.dut.push, self.state("WAIT")
        committed = self.past(push & waits)
        self.lemma(self.commits | ~committed, "pushed")
        self.lemma(~self.commits | (committed == self.plan.push), "pushed")
        return self.past(committed | (push & ~waits))

    # -- Scripts: a cover is found quickly if the solver need not think of the way there

    def script(self, *steps: dict[str, Any], stalls: Value | bool = False) -> Value:
        """One course of events: what :func:`command` and :func:`heard` made, one after the other; nothing stalls, but
        where ``stalls``.

        Returns true where this script is played. A proof also has the course of events in which none is.
        """
        dut, m = self.dut, self.m
        if not hasattr(self, "_script"):
            self._script = self.constant(4, "script")
            self._position = Signal(4)
            self._scripts = 0
            due = dut.due.valid & dut.due.ready
            with m.If(dut.fields_done | dut.command_done | due):
                m.d.sync += self._position.eq(self._position + 1)
        self._scripts += 1
        played = self._script == self._scripts
        config = dut.config
        calm = Cat(dut.records.ready, dut.request.ready, dut.free.ready, dut.clear.ready).all() | stalls
        fixed = (config.window_limit == PLACES) & (config.policy == 1) & (config.resend_timeout == 1)
        fixed = fixed & (config.chunk == 1) & (config.resend_retries == 1) & (config.infinity_old == 0)
        self.assume(~played | (calm & fixed & ~dut.oversize & (dut.fields_session == 0) & (dut.due.payload == 0)))
        self.assume(~played | ((dut.fields_settled == dut.fields_complete) & dut.rx_quiet & ~dut.fields_changed))
        shown = Cat(dut.command_valid, dut.fields_complete, dut.frame.valid, dut.due.valid, dut.frame.payload.garbled)
        fields = Value.cast(dut.fields)
        for position, step in enumerate(steps):
            now = played & (self._position == position)
            self.assume(~now | (shown == step["shown"]))
            if "free_now" not in step:
                self.assume(~now | (dut.now == 0))
            if "op" in step:
                wanted = (dut.command.op == step["op"]) & (dut.command.number == step["number"])
                wanted = wanted & (dut.command.phase == step["phase"]) & (dut.command.may_request == 1)
                self.assume(~now | wanted)
            if "fields" in step:
                self.assume(~now | (fields == SHAPE.fields.const(step["fields"]).as_bits()))
        self.assume(~played | (self._position < len(steps)) | (shown == 0))
        return played

    def all_lemmas(self) -> None:
        """What is true in each state."""
        self.message_lemmas()
        self.sum_lemmas()
        self.window_lemmas()
        self.command_ghost()

    def timer_lemmas(self) -> None:
        """Between two transactions the timer runs if and only if it should. The configuration stays."""
        quiet = self.state(*REST, "DUE", "TIMEOUT", "WRITE BACK")
        runs = (self.phase == Phase.ACTIVE) & self.recovery & self.may_request
        runs = runs & (self.dut.config.resend_timeout != 0)
        self.lemma(~quiet | (self.timer_runs == runs), "timer")
        # A cycle ago it was the same, where it is looked at.
        self.lemma(~self.state("STORE", "WRITE BACK", "IDLE") | (self.opened.signal("running") == runs), "timer")
        self.lemma(~quiet | self.state("WRITE BACK") | ~self.timer_starts, "timer")
        self.lemma(~self.state("WRITE BACK") | ~self.timer_starts, "timer")
        due_now = self.opened.signal("timer_due")
        self.lemma(~self.state("TIMEOUT") | ~due_now | self.timer_runs, "timer")
        self.simple_lemmas()
        # A message of which nothing follows leaves the timer alone: it does not run.
        calm = ~self.recovery & ~self.timer_runs & ~self.timer_starts & ~self.opened.signal("running")
        self.lemma(~self.plan.simple | ~self.state("MESSAGE") | calm, "simple")

    def simple_lemmas(self) -> None:
        """A message of which nothing follows: R8, without a range, told and put away."""
        plan, waits = self.plan, self.state(*PREPARED)
        known: Any = self.opened.signal("preparation.rules.known", Rows)
        self.lemma(sum(known[name] for name in Rows.members) <= 1, "row")
        follows = plan.asks | plan.halts | self.recovery | (self.rule != Rule.R8)
        self.lemma(~waits | ~plan.simple | ~follows, "simple")
        self.lemma(~plan.simple | self.state(*REST, "MESSAGE", "WRITE BACK"), "simple")

    def message_lemmas(self) -> None:
        """A prepared message: facts, row and plan are those of the session as it is."""
        opened, message, plan, rule = self.opened, self.message, self.plan, self.rule
        preparing, waits = self.state(*PREPARING), self.state(*PREPARED)
        largest = to_bcd(MAX_SEQ)
        for number, ok, place in (
            (message.seq, message.seq_ok, message.seq_low),
            (message.new_seq, message.new_seq_ok, message.new_seq_low),
        ):
            right = is_bcd(number) & (place == low(number)) & (~ok | ((number != 0) & (number <= largest)))
            self.lemma(right, "message")
        expected = self.expected
        room = (self.holding != SHAPE.hold_limit) & (self.holding_all != SHAPE.hold)
        for name, fact in (
            ("rules.seq_is_one", message.seq == 1),
            ("rules.seq_is_expected", message.seq == expected),
            ("rules.seq_is_below", message.seq < expected),
            ("rules.new_seq_is_expected", message.new_seq == expected),
            ("rules.new_seq_above_expected", message.new_seq > expected),
            ("rules.new_seq_above_seq", message.new_seq > message.seq),
            ("in_window", message.seq < self.limit),
            ("above_highest", message.seq > self.highest),
            ("is_highest", message.seq == self.highest),
            ("is_last", message.seq == largest),
        ):
            self.lemma(~preparing | (opened.signal(f"preparation.{name}") == fact), "facts")
        self.lemma(~preparing | (opened.signal("room") == room), "facts")
        known: Any = opened.signal("preparation.rules.known", Rows)
        fits = opened.signal("preparation.rules.fits")
        self.lemma(~self.state("PREPARE PLAN", "WAIT") | (Value.cast(known) == fits), "row")
        self.lemma(~preparing | (self.empty == (self.entries == 0)), "facts")
        fills = message.new_seq_ok & message.is_sequence_reset
        for rules, condition in (
            ((Rule.R5,), message.seq == 1),
            ((Rule.R7,), (message.seq == expected) & (message.new_seq > expected) & fills & message.gap_fill),
            ((Rule.R8,), (message.seq == expected) & message.seq_ok),
            ((Rule.R3, Rule.R9), (message.new_seq > expected) & fills),
            ((Rule.R9, Rule.R9A, Rule.R9B), message.seq < expected),
            (ABOVE, (message.seq > expected) & message.seq_ok),
            ((Rule.R10,), self.in_window & (message.is_sequence_reset | room)),
        ):
            self.lemma(~waits | ~self.among(*rules) | condition, "row")
        self.lemma(~waits | ~self.among(Rule.NONE, Rule.F3, Rule.R11, Rule.R13A, Rule.R14, Rule.R16A), "row")
        self.lemma(~waits | (rule <= max(Rule)), "row")
        # What a commit tells finds room, as it was seen a cycle before and nothing is on its way.
        whole, level = opened.signal("whole"), opened.signal("record_queue.level")
        has_room = level < RECORD_DEPTH - 3
        self.lemma(~self.told | ~self.state("IDLE", *PREPARING, "GARBLED", "DUE", "COMMAND"), "told")
        self.lemma(~whole | ~preparing, "told")
        self.lemma(self.can_tell == self.past(has_room), "room")
        self.lemma(~self.state("PREPARE PLAN", "WAIT") | ~self.can_tell | has_room, "room")
        self.lemma(~self.commits | self.can_tell, "room")
        early = self.among(*EARLY)
        pushes = early | self.among(Rule.R5, Rule.R8)
        holds = (rule == Rule.R10) & ~message.is_sequence_reset
        puts = (early | (rule == Rule.R10)) & self.in_window
        logon = self.among(Rule.R5, Rule.R10C) | ((rule == Rule.R8) & message.is_logon)
        for bit, meaning in (
            (plan.early, early),
            (plan.push, pushes),
            (plan.put, puts),
            (plan.hold, holds),
            (plan.take, pushes | holds),
            (plan.raises, (self.among(*ABOVE) | (rule == Rule.R8)) & (message.seq > self.highest)),
            (plan.activates, logon),
            (plan.halts, self.among(Rule.F5, Rule.R4, Rule.R9B)),
        ):
            self.lemma(~waits | (bit == meaning), "plan")
        self.simple_lemmas()
        # Nothing follows: what is expected then is above all that was seen, and no range is open.
        alone = (rule == Rule.R8) & ~self.recovery & (self.entries == 0) & (self.highest <= message.seq)
        self.lemma(~waits | ~plan.simple | (alone & (message.seq < largest)), "plan")
        last = self.state("MESSAGE", "WRITE BACK") & plan.simple
        self.lemma(~last | (~self.recovery & (self.entries == 0) & ~self.advanced), "nothing follows")
        self.lemma(~self.advances | (self.state("MESSAGE") & plan.simple & self.in_message), "nothing follows")
        self.lemma(~self.advances | (expected <= largest), "nothing follows")

    def sum_lemmas(self) -> None:
        """``limit`` and ``low`` of `expected` (proofs/expected.py, here as lemmas)."""
        opened, expected = self.opened, self.expected
        largest = to_bcd(MAX_SEQ + 1)
        window, config, loaded = Signal(NUMBER), self.dut.config, Signal()
        with self.m.If(self.load):
            self.m.d.sync += [window.eq(config.window_limit), loaded.eq(1)]
        make_low = opened.signal("expected.make_low")
        addend, number = opened.signal("expected.window_left"), opened.signal("expected.value_left")
        reading, carry = opened.signal("expected.reading_left"), opened.signal("expected.window_carry")
        self.lemma(is_bcd(expected) & (expected <= largest), "expected")
        self.lemma(is_bcd(window) & (window <= PLACES), "window")
        self.lemma(self.left <= SEQ_DIGITS + 1, "left")
        for done in range(SEQ_DIGITS + 1):
            now = self.left == SEQ_DIGITS + 1 - done
            bits = 4 * done
            self.lemma(~now | (addend == window >> bits), "addend")
            total, over = decimal_sum_and_carry(expected[:bits], window[:bits])
            self.lemma(~now | (Cat(self.limit[len(self.limit) - bits :], carry) == Cat(total, over)), "sum so far")
            self.lemma(~now | (number == expected >> bits), "value to come")
            self.lemma(~now | (reading == (expected << bits)[: len(expected)]), "digits to be read")
            head = expected[len(expected) - bits :]
            self.lemma(~now | ~make_low | (self.expected_low == (low(head) if done else 0)), "low so far")
        busy = self.left != 0
        self.lemma(busy | ~loaded | (self.limit == decimal_sum(expected, window)), "limit")
        # Before the first load nothing is within the window, and all messages are IGNORED.
        unready = self.state("ADVANCE", "WALK ENTRY", "WALK STEP", "ARRIVE", *RELEASING)
        unready = unready | self.state(*HELD)
        shut = (self.phase == Phase.CLOSED) | (self.phase == Phase.HALTED) | self.state("WALK", "WALK READ", "LOAD")
        connects = self.state("COMMAND") & (self.dut.command.op == Command.CONNECT)
        self.lemma(~self.state("COMMAND") | self.dut.command_valid, "command")
        shut = shut | connects
        self.lemma(loaded | ((self.limit == 0) & ~busy & ~unready & shut), "not loaded")
        self.lemma(loaded | ~self.state(*PREPARED) | (self.rule == Rule.R1), "not loaded")
        self.lemma(loaded | ~self.advances, "not loaded")
        self.lemma((busy & make_low) | (self.expected_low == low(expected)), "low")
        self.lemma(~busy | self.state("ARRIVE", "SETTLE", "STORE", "WRITE BACK"), "busy")

    def stored(self, place: int) -> Any:
        """What the window has at a place; EMPTY if nothing is known of it."""
        word = self.opened.peek("window.entries.words.words", place)
        shown = Signal(SHAPE.window_entry)
        self.m.d.comb += [
            Value.cast(shown).eq(word[:-1]),
            shown.state.eq(Mux(word[-1], SHAPE.window_entry(word[:-1]).state, EntryState.EMPTY)),
        ]
        return shown

    def window_lemmas(self) -> None:
        """What lies in the window: only numbers from `expected` on, each at its place; at `expected` itself nothing but
        while it is being released."""
        opened, state = self.opened, self.state
        puts, put_place = opened.signal("window.entries.put"), opened.signal("window.entries.put_address")
        put_entry: Any = opened.signal("window.entries.put_entry", SHAPE.window_entry)
        sweep = opened.signal("window.entries.sweep")
        read: Any = opened.signal("window.entry", SHAPE.window_entry)
        busy = self.left != 0
        self.words: list[Any] = []
        self.kinds: list[Value] = []
        self.numbers: list[Value] = []
        offsets = []
        for place in range(PLACES):
            word = self.stored(place)
            here = puts & (put_place == place)
            shown = Signal(SHAPE.window_entry, name=f"word_{place}")
            self.m.d.comb += Value.cast(shown).eq(Mux(here, Value.cast(put_entry), Value.cast(word)))
            self.words.append(shown)
            self.kinds.append(Value.cast(shown.state))
            offset = (place - self.expected_low)[: SHAPE.window_bits]
            offsets.append(offset)
            number = Signal(NUMBER, name=f"number_{place}")
            self.m.d.comb += number.eq(decimal_sum(self.expected, offset | Const(0, len(self.expected))))
            self.numbers.append(number)

        def kind_at(place: Value) -> Value:
            result: Value = Const(0, 2)
            for other in range(PLACES):
                result = Mux(place == other, self.kinds[other], result)
            return result

        def word_at(place: Value) -> Value:
            result = Value.cast(self.words[0])
            for other in range(1, PLACES):
                result = Mux(place == other, Value.cast(self.words[other]), result)
            return result

        self.kind_at = kind_at
        sweeping = sweep != PLACES
        empty = ~Cat(*self.kinds).any()
        self.lemma(sweep <= PLACES, "sweep")
        self.lemma(~sweeping | (state("IDLE") & empty & (self.entries == 0) & ~puts & ~busy), "sweep")
        self.lemma(~puts | ~state("IDLE", *PREPARING, "WALK", "WALK READ", "WALK ENTRY"), "put is over")
        self.lemma(~puts | ~state(*RELEASING), "put is over")

        # What is read is what lies there.
        for states, place, value in (
            (("RELEASE READ",), self.expected_low, read),
            (("RELEASE ENTRY",), self.expected_low, self.entry),
            (("RELEASE ENTRY",), self.expected_low, read),
            (("WALK READ", "WALK ENTRY"), self.walk_place, read),
            (("WALK ENTRY",), self.walk_place, self.entry),
            (("PREPARE ROW",), self.message.seq_low, read),
            (("PREPARE PLAN",), self.message.seq_low, self.entry),
        ):
            self.lemma(~state(*states) | (Value.cast(value) == word_at(place)), "read")

        # How many there are.
        messages = sum(kind == Value.cast(EntryState.MESSAGE) for kind in self.kinds)
        self.known("sequencer.counts", self.entries == sum(kind != 0 for kind in self.kinds))
        self.known("sequencer.counts", self.holding == messages)
        self.known("sequencer.counts", self.holding_all == self.holding)
        self.known("sequencer.limits", (self.holding <= SHAPE.hold_limit) & (self.holding_all <= SHAPE.hold))
        self.known("sequencer.limits", (self.holding <= self.entries) & (self.entries < PLACES + 1))

        # Which numbers they have.
        for place, kind in enumerate(self.kinds):
            self.lemma((kind == 0) | (self.numbers[place] <= to_bcd(MAX_SEQ)), "number")
            self.lemma((kind == 0) | ((self.numbers[place] < self.limit) & (self.numbers[place] != 0)), "number")
            word = self.words[place]
            fills = (kind == Value.cast(EntryState.GAP_FILL)) & word.new_seq_ok
            right = is_bcd(word.new_seq) & (word.new_seq <= to_bcd(MAX_SEQ)) & (word.new_seq_low == low(word.new_seq))
            self.lemma(~fills | right, "held GapFill")
            # Places that the walk has passed are empty.
            to_come = (place - self.walk_place)[: SHAPE.window_bits] < self.walk_left
            self.lemma(~state(*WALKING) | to_come | (kind == 0), "walked")
        # Comparisons that were made a cycle ago still hold where they are looked at.
        at_target = opened.signal("at_target")
        self.lemma(~state("WALK READ") | (at_target == (self.expected == self.target)), "compared")
        above = opened.signal("target_above") == (self.target > self.expected)
        self.lemma(~state("HELD CHOICE") | above, "compared")
        looked_at = state("WALK READ", "RELEASE", "RELEASE READ", *PREPARING)
        self.lemma(~looked_at | (self.empty == (self.entries == 0)), "compared")
        moving = state(*WALKING, "ARRIVE", *RELEASING, "COMMAND")
        here = kind_at(self.expected_low)
        settled = ~moving | (state("WALK STEP") & ~self.walk_all) | state("COMMAND")
        self.lemma(~settled | (here == 0), "expected is missing")
        self.lemma(~state("LOAD") | (self.entries == 0), "load")
        self.lemma(~busy | (self.entries == 0), "jumped")
        self.lemma(~state("ARRIVE") | self.in_message | (self.entries == 0), "arrived")

        # Where the walk and the jump go.
        self.lemma(self.walk_left <= PLACES, "walk")
        along = state("WALK", "WALK READ", "WALK ENTRY") & ~self.walk_all
        self.lemma(~along | (self.walk_place == self.expected_low), "walk along")
        steps = state("WALK STEP") & ~self.walk_all
        self.lemma(~steps | (self.walk_place == (self.expected_low + 1)[: SHAPE.window_bits]), "walk along")
        self.lemma(~state("WALK ENTRY") | (self.walk_left != 0), "walk")
        target_right = is_bcd(self.target) & (self.target <= to_bcd(MAX_SEQ + 1))
        self.lemma(~state(*WALKING) | target_right, "target")
        self.lemma(~state(*WALKING) | ~self.load_low | (self.target_low == low(self.target)), "target")
        self.lemma(~state(*WALKING) | self.walk_all | self.in_message, "walk of a message")
        self.lemma(~state(*WALKING) | self.walk_all | (self.expected <= self.target), "target")
        self.lemma(~state("WALK ENTRY", "WALK STEP") | self.walk_all | (self.expected < self.target), "target")
        held = state("HELD COMPARE", "HELD CHOICE", "HELD FILL")
        self.lemma(~held | (target_right & (self.target_low == low(self.target)) & self.load_low), "held target")
        self.lemma(~state("HELD FILL") | (self.target > self.expected), "held target")
        everything = self.rule == Rule.R5
        jump = (self.target == Mux(everything, 2, self.message.new_seq)) & (self.walk_all == everything)
        jump = jump & (self.target_low == Mux(everything, 2, self.message.new_seq_low)) & self.load_low
        jump = jump & (self.walk_place == self.expected_low) & (self.walk_left == PLACES)
        jump = jump & (self.close_now == (everything | (self.rule == Rule.R3)))
        self.lemma(~self.commits | jump, "where a message jumps to")
        whole = state(*WALKING) & self.walk_all & self.in_message
        self.lemma(~whole | ((self.rule == Rule.R5) & (self.target == 2) & self.load_low), "R5")
        self.lemma(~(state(*WALKING) & ~self.walk_all) | self.load_low, "R5")

        # What is about to be put.
        is_new = kind_at(self.message.seq_low) == 0
        self.lemma(~state(*PREPARED) | ~self.in_window | ~self.among(Rule.R10, *EARLY) | is_new, "not held yet")
        self.lemma(~state("ADVANCE") | (self.expected <= to_bcd(MAX_SEQ)), "advance")
        self.lemma(~state(*RELEASING) | self.in_message, "release of a message")
        self.lemma(~state("ADVANCE", *HELD) | self.in_message, "release of a message")
        self.lemma(~state(*REST, "COMMAND", "DUE", "TIMEOUT") | ~busy, "not busy")
        self.lemma(~state("ARRIVE") | self.in_message | self.walk_all, "arrived")

    def command_ghost(self) -> None:
        """``sets``: the transaction under way is SET_EXPECTED."""
        self.sets = Signal()
        with self.m.If(self.state("COMMAND")):
            self.m.d.sync += self.sets.eq(self.dut.command.op == Command.SET_EXPECTED)
        with self.m.If(self.state(*REST)):
            self.m.d.sync += self.sets.eq(0)
        whole = self.state(*WALKING) & self.walk_all & ~self.in_message
        self.lemma(~whole | self.sets | ((self.target == self.expected) & self.load_low), "the host's walk")
        self.lemma(~self.state("COMMAND") | ~self.in_message, "command")
        self.lemma(~self.sets | ~self.in_message | self.state(*REST), "command")


class SequencerOrder(SequencerProof):
    """What is told to have been delivered, and how `expected` moves."""

    digits = 2
    max_seq = 94
    reach = 42
    properties = (
        Property(
            "sequencer.expected-ascends",
            ("R3", "R5", "R7", "R8", "R9", "R12", "R15"),
            "expected never decreases, but by R5 (to 2) and by SET_EXPECTED; CONNECT and DISCONNECT leave it as it is",
        ),
        Property(
            "sequencer.in-order",
            ("R8", "R12"),
            "a delivery in order has the number `expected`, which is then one more; R5's has 1, and expected is then 2",
        ),
        Property(
            "sequencer.ascending",
            ("R8", "R12"),
            "deliveries in order have ascending numbers, none comes twice, from one R5 or SET_EXPECTED to the next",
        ),
        Property(
            "sequencer.early",
            ("R10c", "R10d", "R12"),
            "only a Logon or a ResendRequest is delivered with a number above expected, and it is told as EARLY",
        ),
        Property(
            "sequencer.early-once",
            ("R10c", "R10d", "R12"),
            "a number delivered EARLY within the window is not delivered again, until the window is dropped",
        ),
        Property("sequencer.counts", ("R10b", "R17"), "entries and holding are the numbers and messages in the window"),
        Property("sequencer.limits", ("R10b",), "never more messages are held than there is memory for"),
    )

    def build(self) -> None:
        """Deliveries are looked at as they are told, a cycle after the push."""
        dut, m = self.open(), self.m
        self.all_lemmas()
        state, expected = self.state, self.expected
        gap = self.script(command(Command.CONNECT), heard(2), heard(1))
        twice = self.script(command(Command.CONNECT), heard(1), heard(1, is_logon=1, reset_seq_num=1))
        early_logon = self.script(command(Command.CONNECT, phase=Phase.LOGON), heard(3, is_logon=1))
        early_request = self.script(command(Command.CONNECT), heard(2, is_resend_request=1), heard(1))
        jump = self.script(command(Command.CONNECT), heard_fill(1, 51))
        full = self.script(command(Command.CONNECT), heard(2), heard(3))
        self.cover("sequencer.counts", gap & (self.entries == 1) & (self.holding == 1) & state("RELEASE"))
        self.cover("sequencer.limits", full & (self.holding == SHAPE.hold_limit))

        before = self.past(expected, init=1)
        loads, first = self.past(self.load), self.past(self.in_message)
        by_r5 = loads & first & self.past(self.rule == Rule.R5) & (expected == 2)
        by_host = loads & ~first & self.past(self.sets)
        self.holds("sequencer.expected-ascends", (expected >= before) | by_r5 | by_host)
        self.cover("sequencer.expected-ascends", twice & by_r5 & (before == 2))
        self.cover("sequencer.expected-ascends", jump & loads & first & (before == 1) & (expected == 0x51))

        tells = Signal()  # DELIVER is being told
        early = Signal()
        m.d.comb += [
            tells.eq(self.told & (self.record.kind == RecordKind.DELIVER)),
            early.eq((self.record.flags & Flag.EARLY) != 0),
        ]
        record = self.record
        self.holds("sequencer.in-order", tells == self.pushed())
        r5 = (record.seq == 1) & state("WALK") & self.walk_all & self.in_message & (self.rule == Rule.R5)
        turn = (state("ADVANCE") | self.advances) & (record.seq == expected)
        self.holds("sequencer.in-order", ~tells | early | turn | r5)
        was_turn = self.past(tells & ~early & (state("ADVANCE") | self.advances))
        self.holds("sequencer.in-order", ~was_turn | (expected == bcd.increment(self.past(record.seq))))
        self.cover("sequencer.in-order", gap & tells & ~early & (expected == 2) & (record.seq == 2))
        self.cover("sequencer.in-order", twice & tells & r5 & (expected == 2))

        last = Signal(NUMBER)  # delivered in order; 0: none since the numbers were set
        with m.If(state("COMMAND") & (dut.command.op == Command.SET_EXPECTED)):
            m.d.sync += last.eq(0)
        with m.If(self.commits & (self.rule == Rule.R5)):
            m.d.sync += last.eq(0)
        with m.If(tells & ~early):
            m.d.sync += last.eq(record.seq)
        self.holds("sequencer.ascending", ~tells | early | (record.seq > last))
        self.cover("sequencer.ascending", gap & tells & ~early & (last == 1) & (record.seq == 2))
        fresh = state(*WALKING) & self.walk_all & (self.in_message | self.sets)
        self.lemma(~fresh | (last < 2), "last")
        self.lemma((last < expected) | (last == 0) | fresh, "last")
        self.lemma(~(state(*WALKING) & self.walk_all & ~self.in_message & self.sets) | (last == 0), "last")

        above = tells & ~r5 & (record.seq > expected)
        self.holds("sequencer.early", ~above | (early & self.among(*EARLY) & self.past(self.commits)))
        self.holds("sequencer.early", ~tells | ~early | above)
        self.cover("sequencer.early", early_logon & above & (self.rule == Rule.R10C))
        self.cover("sequencer.early", early_request & above & (self.rule == Rule.R10D))

        watched = self.constant(NUMBER, "watched")
        self.assume(is_bcd(watched))
        marked = Signal()  # it was delivered ahead of its turn, and the window knows of it
        with m.If(tells & early & (record.seq == watched) & self.in_window):
            m.d.sync += marked.eq(1)
        with m.If(state(*WALKING) & self.walk_all):
            m.d.sync += marked.eq(0)
        again = tells & marked & (record.seq == watched)
        self.holds("sequencer.early-once", ~again | r5)
        self.cover("sequencer.early-once", early_request & marked & (expected > watched))
        about = tells & early & (record.seq == watched) & self.in_window
        there = (self.kind_at(low(watched)) == Value.cast(EntryState.CONSUMED)) & (
            decimal_sum(expected, (low(watched) - self.expected_low)[: SHAPE.window_bits] | Const(0, len(expected)))
            == watched
        )
        dropped = state(*WALKING) & self.walk_all
        passes = (state("ADVANCE", "WALK STEP") | self.advances) & (expected == watched)
        self.lemma(~(marked | about) | dropped | passes | (expected > watched) | there, "marked")


class SequencerGarbled(SequencerProof):
    """A garbled message, from its commit until the next message is looked at."""

    digits = 2
    max_seq = 94
    reach = 42
    any_config = False
    assumes = f"{SequencerProof.assumes}; the configuration stays"
    properties = (
        Property(
            "sequencer.garbled",
            ("F3",),
            "a garbled message changes nothing, causes no request, delivery or slot traffic, and is told as F3",
        ),
    )

    def build(self) -> None:
        """Each register is compared with itself a cycle before."""
        dut, m = self.open(), self.m
        self.timer_lemmas()
        state = self.state
        frame = dut.frame
        taken = Signal()
        garbled = Signal()
        m.d.comb += taken.eq(frame.valid & frame.ready & frame.payload.garbled)
        with m.If(state("IDLE")):
            m.d.sync += garbled.eq(0)
        with m.If(taken):
            m.d.sync += garbled.eq(1)
        ends = state("MESSAGE", "STORE", "WRITE BACK", "IDLE")
        self.lemma(~garbled | (ends & self.in_message & (self.rule == Rule.F3) & ~self.advanced), "garbled")
        runs = (self.phase == Phase.ACTIVE) & self.recovery & self.may_request & (dut.config.resend_timeout != 0)
        quiet = ~self.timer_starts & (self.timer_runs == runs) & ~self.advances
        self.lemma(~garbled | quiet, "garbled")
        self.lemma(~garbled | ~self.opened.signal("window.entries.put"), "garbled")
        kept = [self.phase, self.may_request, self.expected, self.expected_low, self.limit, self.highest, self.top]
        kept += [self.top_valid, self.entries, self.holding, self.holding_all, self.recovery, self.end, self.again_done]
        # Where the first request begins means something once there was one.
        kept += [
            Mux(self.begin_valid, self.first_begin, 0),
            self.begin_valid,
            self.timer,
            self.timer_runs,
            self.retries,
        ]
        kept += [Value.cast(self.stored(place)) for place in range(PLACES)]
        before = self.past(Cat(*kept))
        puts = self.opened.signal("window.entries.put")
        # The puts of an earlier transaction are over before a message can be taken.
        self.lemma(~puts | ~state("IDLE", *PREPARING, "GARBLED"), "put is over")
        self.lemma(~self.told | ~state("IDLE", *PREPARING, "GARBLED", "DUE", "COMMAND"), "told")
        self.lemma((self.left == 0) | state("ARRIVE", "SETTLE", "STORE", "WRITE BACK"), "not busy")
        self.lemma(~self.advances | (state("MESSAGE") & self.plan.simple), "advances")
        self.lemma(~garbled | (self.left == 0), "not busy")
        sweeps = self.opened.signal("window.entries.sweep") != PLACES
        self.lemma(~sweeps | state("IDLE"), "sweep")
        self.lemma(~garbled | ~sweeps, "sweep")
        self.holds(
            "sequencer.garbled", ~(self.past(taken) | self.past(garbled & ~state("IDLE"))) | (Cat(*kept) == before)
        )
        still = dut.request.valid | dut.push | dut.take | dut.free.valid | dut.clear.valid | self.load
        self.holds("sequencer.garbled", ~(taken | (garbled & ~state("IDLE"))) | ~still)
        record = self.record
        tells = (record.kind == RecordKind.MESSAGE) & (record.code == Rule.F3) & (record.seq == 0)
        self.holds("sequencer.garbled", ~(taken | garbled) | ~self.told | tells)
        self.holds("sequencer.garbled", ~self.past(taken) | garbled)
        after_gap = self.script(command(Command.CONNECT), heard(2), heard(1, garbled=True))
        self.cover("sequencer.garbled", after_gap & garbled & self.told & (self.entries == 1) & self.recovery)


class SequencerRequests(SequencerProof):
    """What is asked for, when and how often."""

    digits = 2
    max_seq = 94
    reach = 42
    any_config = False
    assumes = f"{SequencerProof.assumes}; the configuration stays"
    properties = (
        Property(
            "sequencer.one-request",
            ("R11", "R13"),
            "R11 asks only when no range is open, and opens one; while one is open only R13a and R14 ask",
        ),
        Property(
            "sequencer.asks-what-is-missing",
            ("R11",),
            "R11 asks only if highest >= expected, in phase ACTIVE, if it may",
        ),
        Property(
            "sequencer.repeats-once", ("R13a",), "R13a asks at most once for a value of expected while a range is open"
        ),
        Property(
            "sequencer.retries",
            ("R14",),
            "R14 asks only for an open range, in phase ACTIVE, at most resend_retries times",
        ),
    )

    def build(self) -> None:
        """Requests are looked at as they are taken."""
        dut, m = self.open(), self.m
        self.all_lemmas()
        self.timer_lemmas()
        state, cause, recovery, expected = self.state, self.cause, self.recovery, self.expected
        waits, plan = state(*PREPARED), self.plan
        active = self.phase == Phase.ACTIVE
        above = self.among(*ABOVE)
        opening = above & ~recovery & self.may_request & (active | (self.rule == Rule.R10C))
        again = above & recovery & self.may_request & active & ~self.again_done
        highest = self.highest
        self.lemma(~waits | ~plan.opens | opening, "opens")
        self.lemma(~waits | ~(plan.asks & ~plan.opens) | again, "repeats")
        self.lemma(~waits | ~plan.opens | plan.asks, "asks")
        self.lemma(~waits | (cause == Mux(plan.opens, Rule.R11, Rule.R13A)), "cause")
        asks = state("REQUEST")
        by_r11, by_r13a, by_r14 = (cause == rule for rule in (Rule.R11, Rule.R13A, Rule.R14))
        may = self.may_request & active
        self.lemma(~asks | by_r11 | by_r13a | by_r14, "cause")
        self.lemma(~asks | ~by_r11 | (~recovery & may & (highest >= expected)), "R11")
        self.lemma(~asks | ~by_r13a | (recovery & may & ~self.again_done), "R13a")
        self.lemma(~asks | ~by_r14 | (recovery & may & (self.retries != 0)), "R14")
        past_highest = self.opened.signal("past_highest") == (expected > highest)
        self.lemma(~state("RELEASE READ", "RELEASE ENTRY", "RANGE CLOSES") | past_highest, "range")
        # Neither phase nor host's word has changed in the cycle before it is looked at.
        self.lemma(~state("RANGE CLOSES") | (self.opened.signal("may_ask") == may), "range")
        enough = self.opened.signal("tried_enough") == (self.retries == dut.config.resend_retries)
        self.lemma(~state("TIMEOUT") | enough, "tried enough")
        due_now = self.opened.signal("timer_due")
        self.lemma(~state("TIMEOUT") | ~due_now | (recovery & may), "due")
        self.holds("sequencer.retries", self.retries <= dut.config.resend_retries)

        asked = dut.request.valid & dut.request.ready
        self.holds("sequencer.one-request", ~asked | (by_r11 & ~recovery) | ((by_r13a | by_r14) & recovery))
        self.holds("sequencer.one-request", ~self.past(asked) | recovery)
        gap = self.script(command(Command.CONNECT), heard(2), heard(3, possdup=1))
        slow = self.script(command(Command.CONNECT), heard(2), due())
        self.cover("sequencer.one-request", gap & asked & by_r11)
        newest = Mux(waits & plan.raises, self.message.seq, highest)
        logon = waits & (self.rule == Rule.R10C)
        self.holds(
            "sequencer.asks-what-is-missing",
            ~asked | ~by_r11 | ((newest >= expected) & self.may_request & (active | logon)),
        )
        self.cover("sequencer.asks-what-is-missing", gap & asked & by_r11)
        self.holds("sequencer.retries", ~asked | ~by_r14 | (recovery & may & (self.retries != 0)))
        self.cover("sequencer.retries", slow & asked & by_r14 & (self.retries == 1))

        # The last value of `expected` for which R13a has asked, since the range opened.
        asked_for, value = Signal(), Signal(NUMBER)
        with m.If(~recovery):
            m.d.sync += asked_for.eq(0)
        with m.If(asked & by_r13a):
            m.d.sync += [asked_for.eq(1), value.eq(expected)]
        self.holds("sequencer.repeats-once", ~asked | ~by_r13a | ~asked_for | (value < expected))
        self.cover("sequencer.repeats-once", gap & asked & by_r13a)
        # R3 and R5 close the range; before the message is taken `close_now` is only a guess.
        under_way = state(*WALKING, "ARRIVE", "ADVANCE", *RELEASING, *HELD, "RANGE", "RANGE CLOSES")
        known = asked_for & recovery & ~(self.close_now & under_way & self.in_message)
        self.lemma(~known | (value <= expected), "asked for")
        along = state(*WALKING) & ~self.walk_all
        self.lemma(~known | ~along | (value < self.target), "asked for")
        moving = along | state("ADVANCE")
        self.lemma(~known | (value != expected) | self.again_done | moving, "asked for")
        self.lemma(~state("RANGE", "RANGE CLOSES") | self.in_message | ~self.close_now, "closing")
        self.lemma(~(state(*WALKING) & self.walk_all & self.in_message) | self.close_now, "closing")
        self.lemma(~(state(*WALKING) & self.walk_all & ~self.in_message & self.sets) | ~recovery, "the host's numbers")


class SequencerProgress(SequencerProof):
    """Every transaction ends: a number, made of the state, becomes less in each cycle that does not wait."""

    digits = 2
    max_seq = 94
    reach = 42
    properties = (
        Property(
            "sequencer.ends",
            ("R10b", "R12", "R16"),
            "in each cycle a transaction comes nearer to its end, or waits for a record, request, slot or clear",
        ),
        Property(
            "sequencer.tells-again",
            ("R16",),
            "who waits for room for a record has it once the host has taken enough records",
        ),
        Property(
            "sequencer.takes-expected",
            ("R10b", "R12"),
            "a message with the number expected is never held back, held, or refused, whatever the window holds",
        ),
        Property(
            "sequencer.takes-frame",
            ("R10b", "R16"),
            "a message prepared as what it is is taken when it is complete and there is room to tell",
        ),
    )

    def build(self) -> None:
        """Of a transaction's cycles, at most how many are left."""
        dut, m = self.open(), self.m
        self.all_lemmas()
        state = self.state
        walk = 5 * PLACES
        entry = 5 * PLACES + 24  # cycles that one number in the window may cost
        base = {
            "WRITE BACK": 1,
            "STORE": 2,
            "SETTLE": 3,
            "MESSAGE": 3,
            "EXHAUSTED": 4,
            "HALTED": 4,
            "UNCHANGED": 4,
            "GARBLED": 4,
            "TELL REQUEST": 5,
            "REQUEST": 6,
            "TIMEOUT": 7,
            "DUE": 8,
            "RANGE CLOSES": 7,
            "RANGE": 8,
            "HELD BAD": 9,
            "RELEASE ENTRY": 10,
            "RELEASE READ": 11,
            "RELEASE": 12,
            "ADVANCE": 15,
            "ARRIVE": 15,
            "LOAD": 15 + SEQ_DIGITS + 2,
            "WALK ENTRY": 15 + SEQ_DIGITS + 1,
            "WALK READ": 15 + SEQ_DIGITS + 3,
            "WALK": 15 + SEQ_DIGITS + 4,
            "WALK STEP": 15 + SEQ_DIGITS + 5,
            "HELD FILL": 15 + SEQ_DIGITS + 5 + walk,
            "HELD CHOICE": 15 + SEQ_DIGITS + 6 + walk,
            "HELD COMPARE": 15 + SEQ_DIGITS + 7 + walk,
            "COMMAND": 15 + SEQ_DIGITS + 6 + walk,
        }
        left: Value = Const(0, 12)
        for name, cycles in base.items():
            more = 5 * self.walk_left if name.startswith("WALK") else 0
            left = Mux(state(name), cycles + more, left)
        rank = Signal(12)
        m.d.comb += rank.eq(left + entry * self.entries + self.left)
        rests = state("IDLE", *PREPARING)
        telling = state("RELEASE ENTRY", "HELD FILL", "HELD BAD", "RANGE CLOSES", "TELL REQUEST", "HALTED", "UNCHANGED")
        telling = telling | state("EXHAUSTED", "MESSAGE", "TIMEOUT")
        waits = telling & ~self.can_tell
        for stream in (dut.request, dut.free, dut.clear):
            waits = waits | (stream.valid & ~stream.ready)
        self.holds("sequencer.ends", rests | self.past(rests | waits, init=1) | (rank < self.past(rank)))
        self.holds("sequencer.ends", rests | self.past(rests, init=1) | (rank <= self.past(rank)))
        fill = self.script(command(Command.CONNECT), heard_fill(2, 4), heard(1))
        self.cover("sequencer.ends", fill & state("HELD FILL"))

        holds = self.script(command(Command.CONNECT), heard(2), heard(1))
        level = self.opened.signal("record_queue.level")
        room = level < RECORD_DEPTH - 3
        self.lemma(level <= RECORD_DEPTH, "level")
        self.holds("sequencer.tells-again", self.can_tell == self.past(room))
        taken = dut.records.valid & dut.records.ready & ~self.opened.signal("whole")
        self.holds("sequencer.tells-again", ~self.past(taken) | (level + 1 == self.past(level)))
        self.holds("sequencer.tells-again", room | dut.records.valid)
        self.cover("sequencer.tells-again", holds & self.past(taken))

        turn = self.commits & (self.message.seq == self.expected) & self.message.seq_ok
        refused = self.among(Rule.R9, Rule.R9A, Rule.R9B, *ABOVE)
        self.holds("sequencer.takes-expected", ~turn | ~refused)
        self.cover("sequencer.takes-expected", holds & turn & (self.holding == 1) & (self.rule == Rule.R8))
        ready = state("WAIT") & (dut.fields_session == 0) & dut.fields_settled & dut.fields_complete
        ready = ready & dut.frame.valid & self.can_tell & ~dut.fields_changed
        told = (self.opened.signal("foreign") == ~dut.fields.mirror) & (self.opened.signal("oversize") == dut.oversize)
        self.lemma(~ready | told | ~dut.frame.ready | dut.frame.payload.garbled, "takes what is known")
        ready = ready & told
        garbled = dut.frame.payload.garbled
        self.holds("sequencer.takes-frame", ~ready | garbled | dut.frame.ready)
        self.holds("sequencer.takes-frame", ~self.past(ready & garbled) | dut.frame.ready)
        self.cover("sequencer.takes-frame", holds & ready & (self.holding == 1))
