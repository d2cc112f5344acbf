"""Slots in the core: the sequencer, the slots and the release as they are wired there, and who has which slot."""

from __future__ import annotations

from typing import Any

from amaranth import Mux, Signal, Value
from amaranth.lib import data

from tag34.contract import Command, RecordKind, Rule
from tag34_hdl.layouts import NUMBER, EntryState
from tag34_hdl.session.release import Release
from tag34_hdl.session.slots import Slots

from ..harness import FirstInRegister, Opened, Property, Queue
from .numbers import is_bcd
from .sequencer import SHAPE, SequencerProof, command, heard, heard_fill

MESSAGE = Value.cast(EntryState.MESSAGE)


class SlotsInTheCore(SequencerProof):
    """One slot, whichever it is, is looked for wherever it can be: on the list, as the current one, in the window, on
    its way to the host."""

    component = "core"
    parameters = f"{SequencerProof.parameters}, {SHAPE.slots} slots"
    assumes = f"{SequencerProof.assumes}; a good frame has a current slot (the framer takes no byte without one)"
    digits = 2
    max_seq = 94
    reach = 50
    properties = (
        Property(
            "core.one-owner",
            ("R10", "R12", "R16"),
            "each slot is in exactly one place: not yet listed, on the list, current, held by one entry of the window, "
            "or on its way to the host",
        ),
        Property(
            "core.none-leaks",
            ("R10b", "R16"),
            "listed + current + held + on their way to the host = all slots, at any time",
        ),
        Property(
            "core.full-window-blocks-nobody",
            ("R10b", "R12", "R16"),
            "however full the window is: with at most three messages on their way to the host there is a slot for the "
            "next message, now or in the next cycle",
        ),
        Property("core.nothing-refused", ("R16",), "a message for the host and a slot given back always find room"),
    )

    def build(self) -> None:
        """Wired as in the core; the framer and the host do what they like."""
        m = self.m
        dut = self.open()
        self.all_lemmas()
        slots, release = Slots(SHAPE), Release(SHAPE)
        slots_opened = m.submodules.slots = Opened(slots)
        release_opened = m.submodules.release = Opened(release)
        self.assume((dut.current == slots.current) & (dut.free.ready == slots.free.ready))
        self.free(release.deliver.ready, release.read_data)
        m.d.comb += [
            slots.take.eq(dut.take),
            slots.free.valid.eq(dut.free.valid | release.free.valid),
            slots.free.payload.eq(Mux(dut.free.valid, dut.free.payload, release.free.payload)),
            release.free.ready.eq(slots.free.ready & ~dut.free.valid),
            release.push.eq(dut.push),
            release.delivery.eq(dut.delivery),
        ]
        good = dut.frame.valid & ~dut.frame.payload.garbled
        # Who has just been taken leaves none behind for a cycle, in which nobody is looked at.
        took = self.past(dut.take)
        self.assume(~good | slots.has_current | took)
        self.lemma(~took | self.commits, "taken")

        listed = Queue(slots_opened, "list", SHAPE.slots)
        leaving = FirstInRegister(release_opened, "queue", SHAPE.slots)
        pushed = release_opened.signal("pushed")
        waiting: Any = release_opened.signal("pushed_delivery", SHAPE.delivery)
        fresh = slots_opened.signal("fresh")
        self.lemma(listed.whole & leaving.whole & (fresh >= 1) & (fresh <= SHAPE.slots), "queues")
        # A message is not judged before all slots are listed, or it would find no room to give one back.
        listing = fresh != SHAPE.slots

        held = [kind == MESSAGE for kind in self.kinds]
        outside = [data.View(SHAPE.delivery, entry).slot for entry in leaving.entries]
        slot = self.constant(SHAPE.slot_bits, "watched_slot")
        self.assume(slot < SHAPE.slots)
        places: list[Value] = [fresh <= slot, slots.has_current & (slots.current == slot)]
        places += [listed.has(place) & (entry == slot) for place, entry in enumerate(listed.entries)]
        places += [here & (word.slot == slot) for here, word in zip(held, self.words, strict=True)]
        places += [leaving.has(place) & (entry == slot) for place, entry in enumerate(outside)]
        places.append(pushed & (waiting.slot == slot))
        self.lemma(slots.has_current == ~slots_opened.signal("list.r_en"), "current")
        self.lemma(~(slots.free.ready & listing), "filled")
        # On its way into the window, and back to the list.
        keeps = self.commits & self.plan.hold
        put: Any = self.opened.signal("window.put_entry", SHAPE.window_entry)
        freeing = release_opened.signal("freeing")
        places += [keeps & (put.slot == slot), freeing & (release_opened.signal("freed") == slot)]
        self.holds("core.one-owner", sum(places) == 1)
        count = listed.level + slots.has_current + self.holding + keeps + (SHAPE.slots - fresh)
        on_their_way = leaving.level + pushed + freeing
        count = count + on_their_way
        self.holds("core.none-leaks", count == SHAPE.slots)
        room = slots.has_current | (listed.level != 0) | listing
        self.holds("core.full-window-blocks-nobody", room | (on_their_way > 3))
        self.holds("core.nothing-refused", ~pushed | (leaving.level != SHAPE.slots))
        returned = slots.free.valid & slots.free.ready
        self.holds("core.nothing-refused", ~returned | (listed.level != SHAPE.slots))
        self.holds("core.nothing-refused", self.past(listing, init=1) | slots.free.ready)

        full = self.script(command(Command.CONNECT), heard(3), heard(2), heard_fill(1, 3), stalls=~slots.free.ready)
        hole = self.script(command(Command.CONNECT), heard(3), heard(1), stalls=~slots.free.ready)
        self.cover("core.one-owner", hole & (on_their_way == 1) & (self.holding == 1))
        self.cover("core.none-leaks", full & (self.holding == 2))
        self.cover("core.full-window-blocks-nobody", full & (self.holding == SHAPE.hold) & self.commits)
        self.cover("core.nothing-refused", full & returned)


class SequencerMessages(SequencerProof):
    """One number, whichever it is, is watched."""

    digits = 2
    max_seq = 94
    reach = 50
    properties = (
        Property(
            "sequencer.right-message", ("R10", "R12"), "what is released as a number is the message that was held as it"
        ),
        Property(
            "sequencer.told",
            ("R12",),
            "each delivery is told in the next cycle, or with its commit, with its number, and only deliveries are",
        ),
        Property("sequencer.released", ("R12",), "when a transaction is over nothing is held at `expected`"),
    )

    def build(self) -> None:
        """Ghosts note in which slot the watched number was held, and how long it was."""
        m = self.m
        dut = self.open()
        self.all_lemmas()
        state, record, expected = self.state, self.record, self.expected
        watched = self.constant(NUMBER, "watched")
        self.assume(is_bcd(watched))
        slot, length = Signal(SHAPE.slot_bits), Signal.like(dut.delivery.length)
        # As they were when the frame was taken, and as the commit has them.
        taken_slot, taken_length = self.past(dut.current), self.past(dut.frame.payload.length)[: len(length)]
        put: Any = self.opened.signal("window.put_entry", SHAPE.window_entry)
        puts = self.commits & self.plan.put
        self.lemma(~puts | ((put.slot == taken_slot) & (put.length == taken_length)), "taken")
        with m.If(
            self.commits & (self.rule == Rule.R10) & ~self.message.is_sequence_reset & (self.message.seq == watched)
        ):
            m.d.sync += [slot.eq(taken_slot), length.eq(taken_length)]
        for place, word in enumerate(self.words):
            is_it = (self.kinds[place] == MESSAGE) & (self.numbers[place] == watched)
            self.lemma(~is_it | ((word.slot == slot) & (word.length == length)), "watched")

        released = dut.push & state("RELEASE ENTRY") & (expected == watched)
        right = (dut.delivery.slot == slot) & (dut.delivery.length == length)
        self.holds("sequencer.right-message", ~released | right)
        hole = self.script(command(Command.CONNECT), heard(2), heard(1))
        self.cover("sequencer.right-message", hole & released & (slot == 3))

        tells = self.told & (record.kind == RecordKind.DELIVER)
        number = self.past(Mux(self.commits, self.message.seq, expected))
        self.holds("sequencer.told", self.pushed() == tells)
        self.holds("sequencer.told", ~tells | (record.seq == number))
        self.cover("sequencer.told", hole & tells & (record.seq == 2))
        at_rest = state("IDLE") & (self.left == 0)
        self.holds("sequencer.released", ~at_rest | (self.kind_at(self.expected_low) == 0))
        self.cover("sequencer.released", hole & at_rest & (expected == 3))
