"""Who owns a slot: exactly one, at any time."""

from __future__ import annotations

from typing import Any

from amaranth import Array, Cat, Const, Mux, Signal, Value

from tag34_hdl.layouts import Shape
from tag34_hdl.session.slots import Slots
from tag34_hdl.session.wide_slots import WideSlots

from ..harness import Opened, Proof, Property, Queue

SESSIONS = 2
SHAPE = Shape(sessions=SESSIONS, window=2, hold=1, max_message=64)
WIDE = Shape(width=8, sessions=SESSIONS, window=2, hold=1, max_message=64)


class SlotPlaces(Proof):
    """All slots are watched; those outside are a set of bits, one for each. What is common to all widths."""

    sample = True
    induction = 2
    reach = 20

    def own(self, dut: Any) -> Signal:
        """The slots outside: taken, and not given back yet."""
        m, slots = self.m, dut.shape.slots
        self.free(dut.take, dut.free.valid, dut.free.payload)
        owned = Signal(slots)
        self.assume(~dut.take | dut.has_current)
        self.assume(~dut.free.valid | ((dut.free.payload < slots) & Array(owned)[dut.free.payload]))
        with m.If(dut.free.valid & dut.free.ready):
            m.d.sync += owned.bit_select(dut.free.payload, 1).eq(0)
        with m.If(dut.take):
            m.d.sync += owned.bit_select(dut.current, 1).eq(1)
        return owned

    def places(
        self,
        prefix: str,
        dut: Any,
        opened: Opened,
        table: str,
        owned: Signal,
        session: Value,
        switch: Value,
        shown: Value,
        following: Value,
        has_following: Value,
    ) -> None:
        """The properties. ``table`` has the other sessions' words, which end with ``current`` and ``has_current``;
        ``session`` is at hand, ``switch`` changes it, ``shown`` is the one whose word is looked up; ``following`` is
        what is at hand of the list, if there is."""
        slots, bits = dut.shape.slots, dut.shape.slot_bits
        sweep = opened.signal(f"{table}.sweep")
        queue = Queue(opened, "list", slots)
        fresh = opened.signal("fresh")
        others = []
        for other in range(SESSIONS):
            # The current slot of a session that is not at hand: in the table, once its word has been put there.
            word = opened.peek(f"{table}.words.words", other)
            known = word[-1]
            there = session != other
            others.append((there & (word[-2] | ~known), known, word[-2 - bits : -2]))
            self.lemma(~known | (sweep == SESSIONS), "nothing is put during the sweep")
        self.lemma(queue.whole & (sweep <= SESSIONS) & (fresh <= slots) & (fresh >= SESSIONS), "ranges")
        self.lemma((sweep == SESSIONS) | (session == 0), "no change during the sweep")
        # What the table shows is what it has, when it is looked at.
        entry, shows_known = opened.signal(f"{table}.entry"), opened.signal(f"{table}.known")
        shows = self.past(shown)
        for other in range(SESSIONS):
            word = opened.peek(f"{table}.words.words", other)
            steady = (shows == other) & ~self.past(switch) & self.past(sweep == SESSIONS)
            self.lemma(~steady | (Cat(entry, shows_known) == word), "shown")

        for slot in range(slots):
            places = [queue.has(place) & (entry == slot) for place, entry in enumerate(queue.entries)]
            for number, (there, known, current) in enumerate(others):
                # Before it has been put there, a session's current slot is that of its number.
                places.append(there & Mux(known, current == slot, number == slot))
            places += [
                dut.has_current & (dut.current == slot),
                has_following & (following == slot),
                owned[slot],
                fresh <= slot,
            ]
            self.holds(f"{prefix}.one-owner", sum(places) == 1)
        self.lemma(~dut.has_current | (dut.current < slots), "current")
        self.lemma(~has_following | (following < slots), "following")
        for there, known, current in others:
            self.lemma(~(there & known) | (current < slots), "current of others")
        self.cover(f"{prefix}.one-owner", owned.all() & (session == 1))
        self.cover(f"{prefix}.one-owner", (owned == 0b10110) & (session == 0) & self.past(session == 1))

        currents = dut.has_current + sum(there for there, _, _ in others)
        listed = queue.level + has_following + currents + sum(owned)
        self.holds(f"{prefix}.none-leaks", listed + (slots - fresh) == slots)
        self.cover(f"{prefix}.none-leaks", (queue.level == 0) & ~has_following & ~dut.has_current & (session == 1))
        filled = self.past(fresh == slots)
        self.holds(f"{prefix}.takes-back", ~filled | dut.free.ready)
        self.holds(f"{prefix}.takes-back", ~(dut.free.valid & dut.free.ready) | (queue.level != slots))
        self.cover(f"{prefix}.takes-back", dut.free.valid & dut.free.ready & (queue.level == 3))
        # Above width 1 what is at hand of the list comes a cycle behind it.
        waits = ~dut.has_current & self.next_free(opened, queue) & ~switch
        self.holds(f"{prefix}.current-comes", ~self.past(waits) | dut.has_current)
        self.cover(f"{prefix}.current-comes", self.past(waits) & dut.has_current & self.past(dut.free.valid, init=0))

    def next_free(self, opened: Opened, queue: Queue) -> Value:
        """There is one that can become the current slot in the next cycle."""
        return queue.level != 0


def statements(prefix: str) -> tuple[Property, ...]:
    """What holds at any width."""
    return (
        Property(
            f"{prefix}.one-owner",
            ("R10", "R16", "R17"),
            "every slot is in exactly one place: on the list, a session's current one, owned by "
            "somebody, or not yet listed",
        ),
        Property(
            f"{prefix}.none-leaks",
            ("R10b", "R17"),
            "list + current ones + owned ones + not yet listed = all slots, at any time",
        ),
        Property(
            f"{prefix}.takes-back",
            ("R12", "R16"),
            "a slot that is given back is taken at once, once the list is filled",
        ),
        Property(
            f"{prefix}.current-comes",
            ("R16",),
            "without a current slot, and with one on the list, there is one a cycle later (above width 1, two)",
        ),
    )


class SlotOwners(SlotPlaces):
    """Width 1: the framer says when the session changes."""

    component = "slots"
    parameters = f"{SESSIONS} sessions, {SHAPE.slots} slots"
    assumes = (
        "a slot is taken only if there is a current one, and given back only by who owns it; sessions "
        "change as the framer "
        "changes them: not in the cycle of a take or the next one, to another session, the one that was shown in the "
        "cycle before"
    )
    properties = statements("slots")

    def build(self) -> None:
        """The message memory itself is left out: its bytes decide nothing."""
        m = self.m
        dut = Slots(SHAPE)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.switch, dut.next_session)
        session = Signal(SHAPE.session_bits)
        m.d.comb += dut.session.eq(session)
        with m.If(dut.switch):
            m.d.sync += session.eq(dut.next_session)

        sweep = opened.signal("currents.sweep")
        self.assume(~dut.switch | ((sweep == SESSIONS) & self.past(sweep == SESSIONS)))
        self.assume(~dut.switch | (self.past(dut.next_session) == dut.next_session))
        self.assume(~dut.switch | (~self.past(dut.switch) & (dut.next_session != session)))
        self.assume(~((dut.take | self.past(dut.take)) & dut.switch))
        owned = self.own(dut)
        self.lemma(opened.signal("own") == self.past(dut.next_session), "own")
        none = Const(0, 1)
        self.places("slots", dut, opened, "currents", owned, session, dut.switch, dut.next_session, none, none)


class WideSlotOwners(SlotPlaces):
    """Width 8: the session changes with a turn that comes through the stages, and a message begins in the last one."""

    component = "wide_slots"
    parameters = f"width {WIDE.width}, {SESSIONS} sessions, {WIDE.slots} slots"
    assumes = (
        "a slot is taken only if there is a current one, and given back only by who owns it; none is taken in the "
        "cycle of a turn or behind another one; no piece is taken in the cycle behind one in which a slot is wanted; a "
        "turn is to another session, comes when the contexts have been reset, and the piece behind it is a bubble"
    )
    properties = (
        *statements("wide-slots"),
        Property("wide-slots.begins", ("R10", "R16"), "a message begins only with a current slot to be written to"),
        Property(
            "wide-slots.resumes",
            ("R16",),
            "with a slot that can be the next one none is wanted, nor with a current one that is not taken",
        ),
    )

    def next_free(self, opened: Opened, queue: Queue) -> Value:
        """The one at hand."""
        return opened.signal("has_following")

    def build(self) -> None:
        """Pieces with anything in them, stalled at any time."""
        m = self.m
        dut = WideSlots(WIDE)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.go, dut.word, dut.structure, dut.judges)
        self.assume(~dut.take | dut.judges)
        turn_4, turn_5 = opened.signal("turn_4"), opened.signal("turn_5")
        session_4, session_5 = opened.signal("session_4"), opened.signal("session_5")
        start_4, begins_5 = opened.signal("start_4"), opened.signal("begins_5")
        session, changes, moves = opened.signal("session"), opened.signal("changes"), opened.signal("moves")
        sweep = opened.signal("contexts.sweep")
        owned = self.own(dut)
        self.assume(~dut.go | ~self.past(dut.wants_slot))
        self.assume(~(dut.take & (changes | self.past(dut.take))))

        # The last piece taken was a turn; the session that it, or an earlier one, has led to.
        turned = Signal()
        target = Signal(WIDE.session_bits)
        turn = dut.go & dut.word.turn
        with m.If(dut.go):
            m.d.sync += turned.eq(dut.word.turn)
        with m.If(turn):
            m.d.sync += target.eq(dut.word.session)
        self.assume(~turn | ((sweep == SESSIONS) & (dut.word.session != target) & (dut.structure.start == 0)))
        self.assume(~(dut.go & turned) | (~dut.word.turn & (dut.structure.start == 0)))
        self.lemma(~turn_4 | turned, "a turn has just been taken")
        self.lemma(~turn_5 | (~turn_4 & (start_4 == 0)), "a bubble behind a turn")
        self.lemma(~(turn_4 & start_4.any()) & ~(turn_5 & begins_5), "a turn is a bubble")
        self.lemma(target == Mux(turn_4, session_4, Mux(turn_5, session_5, session)), "target")
        self.lemma(~(turn_4 | turn_5) | (sweep == SESSIONS), "turns behind the sweep")
        self.lemma(~turn_4 | ~turn_5, "one turn")
        self.lemma(~(turn_4 | turn_5) | (target != session), "to another session")
        shown = opened.signal("contexts.address")
        self.lemma(~turn_5 | (self.past(shown) == session_5), "looked up")
        self.lemma(~turn_5 | (~self.past(changes) & self.past(sweep == SESSIONS)), "looked up, nothing put since")
        following, has_following = opened.signal("following"), opened.signal("has_following")
        self.places("wide-slots", dut, opened, "contexts", owned, session, changes, shown, following, has_following)
        queue = Queue(opened, "list", WIDE.slots)
        comes = (queue.level != 0) & ~has_following
        self.holds("wide-slots.current-comes", ~self.past(comes) | has_following)

        begins = begins_5 & moves
        self.holds("wide-slots.begins", ~begins | dut.has_current)
        self.cover("wide-slots.begins", begins & ~self.past(dut.wants_slot))
        self.cover("wide-slots.begins", begins & self.past(self.past(dut.wants_slot)))
        self.holds("wide-slots.resumes", ~has_following | ~dut.wants_slot)
        self.holds("wide-slots.resumes", ~dut.has_current | dut.judges | ~dut.wants_slot)
        self.cover("wide-slots.resumes", self.past(dut.wants_slot) & ~dut.wants_slot & begins_5)
