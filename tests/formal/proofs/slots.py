"""Who owns a slot: exactly one, at any time."""

from __future__ import annotations

from amaranth import Array, Signal

from tag34_hdl.layouts import Shape
from tag34_hdl.session.slots import Slots

from ..harness import Opened, Proof, Property, Queue

SESSIONS = 2
SHAPE = Shape(sessions=SESSIONS, window=2, hold=1, max_message=64)


class SlotOwners(Proof):
    """All slots are watched; those outside are a set of bits, one for each."""

    component = "slots"
    parameters = f"{SESSIONS} sessions, {SHAPE.slots} slots"
    assumes = (
        "a slot is taken only if there is a current one, and given back only by who owns it; sessions "
        "change as the framer "
        "changes them: not in the cycle of a take, to another session, the one that was shown in the cycle before"
    )
    sample = True
    induction = 2
    reach = 20
    properties = (
        Property(
            "slots.one-owner",
            ("R10", "R16", "R17"),
            "every slot is in exactly one place: on the list, a session's current one, owned by "
            "somebody, or not yet listed",
        ),
        Property(
            "slots.none-leaks",
            ("R10b", "R17"),
            "list + current ones + owned ones + not yet listed = all slots, at any time",
        ),
        Property(
            "slots.takes-back", ("R12", "R16"), "a slot that is given back is taken at once, once the list is filled"
        ),
        Property(
            "slots.current-comes",
            ("R16",),
            "without a current slot, and with one on the list, there is one a cycle later",
        ),
    )

    def build(self) -> None:
        """The message memory itself is left out: its bytes decide nothing."""
        m = self.m
        dut = Slots(SHAPE)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.switch, dut.next_session, dut.take, dut.free.valid, dut.free.payload)
        owned = Signal(SHAPE.slots)
        session = Signal(SHAPE.session_bits)
        m.d.comb += dut.session.eq(session)
        with m.If(dut.switch):
            m.d.sync += session.eq(dut.next_session)

        sweep = opened.signal("currents.sweep")
        self.assume(~dut.switch | ((sweep == SESSIONS) & self.past(sweep == SESSIONS)))
        self.assume(~dut.switch | (self.past(dut.next_session) == dut.next_session))
        self.assume(~dut.switch | (~self.past(dut.switch) & (dut.next_session != session)))
        self.assume(~(dut.take & dut.switch))
        self.assume(~dut.take | dut.has_current)
        self.assume(~dut.free.valid | ((dut.free.payload < SHAPE.slots) & Array(owned)[dut.free.payload]))
        with m.If(dut.free.valid & dut.free.ready):
            m.d.sync += owned.bit_select(dut.free.payload, 1).eq(0)
        with m.If(dut.take):
            m.d.sync += owned.bit_select(dut.current, 1).eq(1)

        queue = Queue(opened, "list", SHAPE.slots)
        fresh = opened.signal("fresh")
        others = []
        for other in range(SESSIONS):
            # The current slot of a session that is not at hand: in the table, once its word has been put there.
            word = opened.peek("currents.words", other)
            swept = sweep > other
            there = session != other
            others.append((there & (word[-1] | ~swept), swept, word[:-1]))
        self.lemma(queue.whole & (sweep <= SESSIONS) & (fresh <= SHAPE.slots) & (fresh >= SESSIONS), "ranges")
        self.lemma((sweep == SESSIONS) | (session == 0), "no change during the sweep")
        # What the table shows is what it has, when it is looked at.
        shown = opened.signal("currents.entry")
        shows = self.past(dut.next_session)
        for other in range(SESSIONS):
            word = opened.peek("currents.words", other)
            steady = (shows == other) & ~self.past(dut.switch) & self.past(sweep == SESSIONS)
            self.lemma(~steady | (shown == word), "shown")

        for slot in range(SHAPE.slots):
            places = [queue.has(place) & (entry == slot) for place, entry in enumerate(queue.entries)]
            for number, (there, swept, current) in enumerate(others):
                # Before the sweep has put it there, a session's current slot is that of its number.
                places.append(there & ((swept & (current == slot)) | (~swept & (number == slot))))
            places += [
                dut.has_current & (dut.current == slot),
                owned[slot],
                fresh <= slot,
            ]
            self.holds("slots.one-owner", sum(places) == 1)
        self.lemma(~dut.has_current | (dut.current < SHAPE.slots), "current")
        for there, swept, current in others:
            self.lemma(~(there & swept) | (current < SHAPE.slots), "current of others")
        self.cover("slots.one-owner", owned.all() & (session == 1))
        self.cover("slots.one-owner", (owned == 0b10110) & (session == 0) & self.past(session == 1))

        currents = dut.has_current + sum(there for there, _, _ in others)
        listed = queue.level + currents + sum(owned)
        self.holds("slots.none-leaks", listed + (SHAPE.slots - fresh) == SHAPE.slots)
        self.cover("slots.none-leaks", (queue.level == 0) & ~dut.has_current & (session == 1))
        filled = fresh == SHAPE.slots
        self.holds("slots.takes-back", ~filled | dut.free.ready)
        self.holds("slots.takes-back", ~(dut.free.valid & dut.free.ready) | (queue.level != SHAPE.slots))
        self.cover("slots.takes-back", dut.free.valid & dut.free.ready & (queue.level == 3))
        waits = ~dut.has_current & (queue.level != 0) & ~dut.switch
        self.holds("slots.current-comes", ~self.past(waits) | dut.has_current)
        self.cover("slots.current-comes", self.past(waits) & dut.has_current & self.past(dut.free.valid, init=0))
