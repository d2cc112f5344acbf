"""Timers: no deadline is missed, none is announced that is not there."""

from __future__ import annotations

from typing import Any

from amaranth import Mux, Signal, Value
from amaranth.utils import ceil_log2

from tag34_hdl.layouts import Shape
from tag34_hdl.session.timers import Timer, Timers

from ..harness import Opened, Proof, Property

SESSIONS = 3


class TimersDue(Proof):
    """One session, whichever it is, is watched."""

    component = "timers"
    parameters = f"{SESSIONS} sessions"
    assumes = "timers are set once the table has been swept; put_ran says whether the session's timer ran until now"
    sample = True
    induction = 2
    reach = 16
    properties = (
        Property("timers.due", ("R14", "R17"), "a session is announced only if its timer runs and ends with this tick"),
        Property(
            "timers.none-missed",
            ("R14", "R17"),
            "a timer that ends with a tick is announced before the next tick is taken, unless it is set anew first",
        ),
        Property("timers.counted", ("R14",), "ticks are dropped only while no timer runs"),
        Property("timers.stable", ("R14",), "an announcement stays until it is taken"),
    )

    def build(self) -> None:
        """Timers are set at any time."""
        m = self.m
        dut = Timers(Shape(sessions=SESSIONS, window=2, max_message=64))
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.ticks, dut.put, dut.put_session, dut.put_timer, dut.put_ran, dut.due.ready)
        sweep = opened.signal("timers.sweep")
        self.assume((sweep == SESSIONS) | ~dut.put)
        self.assume(dut.put_session < SESSIONS)

        def timer(number: Any) -> Any:
            """What the table has of a session; if nothing is known of it its timer does not run."""
            stored, shown = opened.peek("timers.words.words", number), Signal(Timer)
            m.d.comb += Value.cast(shown).eq(Mux(stored[-1], stored[:-1], 0))
            return shown

        words = [timer(number) for number in range(SESSIONS)]
        for number, word in enumerate(words):
            self.assume(~(dut.put & (dut.put_session == number)) | (dut.put_ran == word.runs))

        def state(*names: str) -> Value:
            return opened.state("timers", *names)

        index, found = opened.signal("index"), opened.signal("ends")
        watched = self.constant(ceil_log2(SESSIONS), "watched")
        self.assume(watched < SESSIONS)
        word = timer(watched)
        put = dut.put & (dut.put_session == watched)
        # It ends with the tick that is being looked at, was not set anew since, and is not announced and taken.
        ends = Signal()
        with m.If(dut.tick):
            m.d.sync += ends.eq(word.runs & (word.deadline == (dut.now + 1)[:32]) & ~put)
        with m.Elif(put | (dut.due.valid & dut.due.ready & (dut.due.payload == watched))):
            m.d.sync += ends.eq(0)

        self.lemma(opened.legal("timers") & (sweep <= SESSIONS), "states")
        for other in words:
            self.lemma((sweep == SESSIONS) | (~other.runs & state("IDLE")), "none runs yet")
        running = opened.signal("running")
        self.lemma(running == sum(other.runs for other in words), "count")
        self.lemma(~ends | (word.runs & (word.deadline == dut.now)), "ends")
        here = found & (dut.due.payload == watched)
        self.lemma(~ends | ~state("LOOK") | (index <= watched) | here, "to be looked at")
        self.lemma(~ends | ~state("SEE") | (index <= watched), "to be looked at")
        self.lemma(~ends | ~state("DUE") | (dut.due.payload <= watched), "to be looked at")
        entry = Signal(Timer)
        read = opened.signal("timers.entry")
        m.d.comb += Value.cast(entry).eq(Mux(opened.signal("timers.known"), read, 0))
        sees = state("SEE") & (index == watched)
        self.lemma(~sees | ((entry.runs == word.runs) & (entry.deadline == word.deadline)), "what is seen")
        self.lemma(~found | state("LOOK"), "what was seen")
        self.lemma(~(found | state("DUE")) | (index == dut.due.payload + 1), "what was seen")
        self.lemma(dut.due.valid == state("DUE"), "due")
        self.lemma(state("IDLE") | (index <= SESSIONS), "index")
        self.lemma(~state("SEE") | (index < SESSIONS), "index")

        announced = dut.due.valid & ~self.past(dut.due.valid) & (dut.due.payload == watched)
        before = self.past(self.past(entry, init=0), init=0)
        runs, deadline = before[0], before[1:]
        self.holds("timers.due", ~announced | (runs & (deadline == dut.now)))
        self.cover("timers.due", announced & (watched == 2))
        self.holds("timers.none-missed", ~(state("IDLE") & ends))
        self.cover("timers.none-missed", ends & dut.due.valid & (dut.due.payload != watched))
        self.holds("timers.counted", ~dut.ticks_drop | ~(words[0].runs | words[1].runs | words[2].runs))
        self.cover("timers.counted", dut.ticks_drop & self.past(self.past(dut.put)))
        self.holds_stable("timers.stable", dut.due)
