"""Block memory with a word per session, and the window made of it: what was put is what is read."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal, Value, unsigned
from amaranth.utils import ceil_log2

from tag34_hdl.layouts import EntryState, Shape
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
        Property(
            "table.word",
            ("R17",),
            "a reader sees the word that was put last, from the second cycle after it on; the host's port never shows "
            "any other word",
        ),
        Property("table.unknown", ("R17",), "a word is unknown after a reset, and from when it is forgotten until put"),
        Property("table.busy", ("R17",), "the table is busy for as many cycles as it has words, and never again"),
    )

    def build(self) -> None:
        """A word that is read while it is put is a wrong one."""
        m = self.m
        dut = Table(unsigned(8), WORDS, ports=2, host=True)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.address, dut.address_1, dut.put, dut.put_address, dut.put_entry, dut.forget)
        self.assume(~dut.busy | ~dut.put)
        self.assume(dut.put_address < WORDS)
        watched = self.constant(ceil_log2(WORDS), "watched")
        self.assume(watched < WORDS)
        sweep = opened.signal("sweep")

        word = Signal(8)
        known = Signal()
        put = Signal()
        m.d.comb += put.eq(dut.put & (dut.put_address == watched))
        with m.If(put):
            m.d.sync += [word.eq(dut.put_entry), known.eq(~dut.forget)]
        stored = opened.peek("words.words", watched)
        self.lemma((sweep <= WORDS) & (~known | ~dut.busy), "sweep")
        self.lemma((sweep <= watched) | (stored[-1] == known), "known")
        self.lemma(~known | (stored[:8] == word), "stored")

        calm = ~self.past(dut.busy, init=1) & ~self.past(put)
        for address, entry, shows in ((dut.address, dut.entry, dut.known), (dut.address_1, dut.entry_1, dut.known_1)):
            reads = calm & (self.past(address) == watched)
            self.holds("table.word", ~reads | ~known | (Value.cast(entry) == word))
            self.cover("table.word", reads & known & (entry == 7))
            self.holds("table.unknown", ~reads | (shows == known))
            self.cover("table.unknown", reads & ~known & (watched == WORDS - 1) & (word == 9))
        # The host's port: the same address in two cycles, and a put in the second one.
        here = self.past((dut.address_1 == watched) & ~dut.busy)
        steady = here & self.past(here) & ~self.past(self.past(put))
        was = self.past(Cat(word, known))
        self.holds("table.word", ~steady | ~was[-1] | ~self.past(put) | (Cat(dut.entry_1, dut.known_1) == was))
        self.cover("table.word", steady & was[-1] & self.past(put) & (was[:8] == 7) & (word == 8))
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
        was_put = Signal()
        with m.If(dut.put & (dut.put_place == place) & (dut.session == session)):
            m.d.sync += [entry.eq(dut.put_entry), was_put.eq(1)]
        sweep = opened.signal("entries.sweep")
        word = opened.peek("entries.words.words", Cat(place, session))
        waits = opened.signal("entries.put") & (opened.signal("entries.put_address") == Cat(place, session))
        waiting = opened.signal("entries.put_entry")
        self.lemma(sweep <= 8, "sweep")
        here = Cat(place, session)
        fresh = sweep <= here
        self.lemma(~waits | ~dut.busy, "no put while busy")
        self.lemma(~dut.busy | ~was_put, "empty at first")
        self.lemma(fresh | waits | (word[-1] == was_put), "known")
        self.lemma(waits | ~was_put | (word[:-1] == Value.cast(entry)), "stored")
        self.lemma(~waits | (was_put & (Value.cast(waiting) == Value.cast(entry))), "on its way")
        reads = ~self.past(dut.busy, init=1) & (self.past(Cat(dut.place, dut.session)) == here)
        put_before = self.past(waits)
        before, was_before = self.past(entry), self.past(was_put)
        right = Mux(was_before, Value.cast(dut.entry) == before, dut.entry.state == EntryState.EMPTY)
        self.holds("window.entry", ~reads | put_before | right)
        self.cover("window.entry", reads & (dut.entry.length == 64) & (place == 3) & (session == 1))
