"""Block memory with a word per session, and the window made of it: what was put is what is read."""

from __future__ import annotations

from amaranth import Cat, Signal, Value, unsigned
from amaranth.utils import ceil_log2

from tag34_hdl.layouts import Shape
from tag34_hdl.session.table import Table
from tag34_hdl.session.window import Window

from ..harness import Opened, Proof, Property

WORDS = 3


class TableWords(Proof):
    """One word, whichever it is, is watched."""

    component = "table"
    parameters = f"{WORDS} words of 8 bits, 2 readers"
    assumes = "nothing is put while the table is busy"
    sample = True
    induction = 2
    reach = 12
    properties = (
        Property("table.word", ("R17",), "a reader sees the word that was put last, from the second cycle after it on"),
        Property("table.initial", ("R17",), "after a reset a word is its session's initial one until it is put"),
        Property("table.busy", ("R17",), "the table is busy for as many cycles as it has words, and never again"),
    )

    def build(self) -> None:
        """Initial words that differ from session to session."""
        m = self.m
        dut = Table(unsigned(8), WORDS, lambda session: session[:2] + 65, readers=2)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.address, dut.address_1, dut.put, dut.put_address, dut.put_entry)
        self.assume(~dut.busy | ~dut.put)
        self.assume(dut.put_address < WORDS)
        watched = self.constant(ceil_log2(WORDS), "watched")
        self.assume(watched < WORDS)
        sweep = opened.signal("sweep")

        word = Signal(8)
        was_put = Signal()
        with m.If(dut.put & (dut.put_address == watched)):
            m.d.sync += [word.eq(dut.put_entry), was_put.eq(1)]
        with m.If(~was_put & ~(dut.put & (dut.put_address == watched))):
            m.d.sync += word.eq(watched + 65)
        stored = opened.peek("words", watched)
        self.lemma((sweep <= WORDS) & (~was_put | ~dut.busy), "sweep")
        self.lemma((sweep <= watched) | (stored == word), "stored")
        self.lemma(was_put | (sweep <= watched) | (stored == watched + 65), "initial")

        # The word as it was before the last cycle: a put of the cycle of the address is not seen yet.
        calm = ~self.past(dut.busy, init=1)
        for address, entry in ((dut.address, dut.entry), (dut.address_1, dut.entry_1)):
            reads = calm & (self.past(address) == watched)
            self.holds("table.word", ~reads | (Value.cast(entry) == self.past(word)))
            self.cover("table.word", reads & was_put & (entry == 7) & ~self.past(dut.put))
            self.holds("table.initial", ~(reads & ~was_put) | (entry == watched + 65))
            self.cover("table.initial", reads & ~was_put & (watched == WORDS - 1) & self.past(dut.put))
        age = Signal(range(WORDS + 1))
        with m.If(age != WORDS):
            m.d.sync += age.eq(age + 1)
        self.lemma(age == sweep, "age")
        self.holds("table.busy", dut.busy == (age != WORDS))
        self.cover("table.busy", ~dut.busy)


class WindowEntries(Proof):
    """One place of one session, whichever it is, is watched."""

    component = "window"
    parameters = "2 sessions, window 4, max_message 64"
    assumes = "nothing is put while the window is busy"
    sample = True
    induction = 2
    reach = 14
    properties = (
        Property(
            "window.entry",
            ("R10", "R12", "R17"),
            "an entry is what was put at its place of its session, and EMPTY before",
        ),
    )

    def build(self) -> None:
        """Any puts and reads."""
        m = self.m
        shape = Shape(sessions=2, window=4, max_message=64)
        dut = Window(shape)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.session, dut.place, dut.put, dut.put_place, dut.put_entry)
        self.assume(~dut.busy | ~dut.put)
        place, session = self.constant(shape.window_bits, "watched_place"), self.constant(1, "watched_session")
        # Two cycles: one in a register, one until it can be read.
        entry = Signal(shape.window_entry)
        with m.If(dut.put & (dut.put_place == place) & (dut.session == session)):
            m.d.sync += entry.eq(dut.put_entry)
        sweep = opened.signal("entries.sweep")
        stored = opened.peek("entries.words", Cat(place, session), shape.window_entry)
        waits = opened.signal("entries.put") & (opened.signal("entries.put_address") == Cat(place, session))
        waiting = opened.signal("entries.put_entry")
        self.lemma(sweep <= 8, "sweep")
        here = Cat(place, session)
        fresh = sweep <= here
        self.lemma(~waits | ~dut.busy, "no put while busy")
        self.lemma(~dut.busy | (Value.cast(entry) == 0), "empty at first")
        self.lemma(fresh | waits | (Value.cast(stored) == Value.cast(entry)), "stored")
        self.lemma(~waits | (Value.cast(waiting) == Value.cast(entry)), "on its way")
        reads = ~self.past(dut.busy, init=1) & (self.past(Cat(dut.place, dut.session)) == here)
        put_before = self.past(waits)
        self.holds("window.entry", ~reads | put_before | (Value.cast(dut.entry) == self.past(entry)))
        self.cover("window.entry", reads & (dut.entry.length == 64) & (place == 3) & (session == 1))
