"""From slots in order to bytes in order: every message once, whole, and its slot given back once."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Mux, Signal, Value
from amaranth.lib import data

from tag34_hdl.layouts import Shape
from tag34_hdl.receive.framer import START
from tag34_hdl.session.release import Release

from ..harness import FirstInRegister, Opened, Proof, Property

SHAPE = Shape(sessions=2, window=2, hold=1, max_message=64)
DELIVERY = SHAPE.delivery


class ReleaseOrder(Proof):
    """The message memory answers with bytes that name their place: five bits of the offset, three of the slot. What is
    due at the output is counted beside, from the queue alone."""

    component = "release"
    parameters = f"{SHAPE.slots} slots, messages of up to 64 bytes"
    assumes = (
        "a message is at least 8 and at most 64 bytes long; never more messages are in release than there are slots "
        "(core.one-owner)"
    )
    sample = True
    induction = 5
    reach = 24
    properties = (
        Property(
            "release.bytes", ("R12",), "each pushed message comes out whole, byte by byte, in the order of the pushes"
        ),
        Property("release.last", ("R12",), "the last byte, and no other, is marked as the message's last"),
        Property("release.slot-once", ("R12", "R16"), "each slot is given back once, in the order of the pushes"),
        Property("release.stable", ("R16",), "deliver keeps valid and payload while it is stalled"),
        Property("release.room", ("R16",), "a push is never refused"),
        Property(
            "release.drains",
            ("R12", "R16"),
            "with a ready host a byte is taken each cycle, from the fourth after a push on",
        ),
    )

    def build(self) -> None:
        """Pushes at any time, a host that stalls as it likes, slots taken back at any time."""
        m = self.m
        dut = Release(SHAPE)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.push, dut.delivery, dut.deliver.ready, dut.free.ready)
        self.assume((dut.delivery.length >= 8) & (dut.delivery.length <= 64) & (dut.delivery.slot < SHAPE.slots))
        queue = FirstInRegister(opened, "queue", SHAPE.slots)
        pushed = opened.signal("pushed")
        waiting = opened.signal("pushed_delivery", DELIVERY)

        # Memory with two registers behind the address, both enabled together.
        def byte_at(slot: Value, offset: Value) -> Value:
            return Cat(offset[:5], slot[:3])

        first, second = Signal(8), Signal(8)
        with m.If(dut.read_enable):
            m.d.sync += [first.eq(byte_at(dut.read_slot, dut.read_offset)), second.eq(first)]
        m.d.comb += dut.read_data.eq(second)

        # What waits: the queue, and one message on its way into it. A message leaves when its last byte has been read.
        inside = Signal(range(SHAPE.slots + 2))
        m.d.comb += inside.eq(queue.level + pushed)
        self.assume(~dut.push | (inside < SHAPE.slots))
        self.lemma(queue.whole & (inside <= SHAPE.slots), "queue")
        entries = [data.View(DELIVERY, entry) for entry in queue.entries]
        for place, entry in enumerate(entries):
            legal = (entry.length >= 8) & (entry.length <= 64)
            self.lemma(~queue.has(place) | legal, "legal")
        self.lemma(~pushed | ((waiting.length >= 8) & (waiting.length <= 64)), "legal")

        head = data.View(DELIVERY, queue.head)
        offset = opened.signal("offset")
        filled, offered_first = opened.signal("filled"), opened.signal("offered_first")
        stages = []
        for name in ("read", "latched"):
            stages.append(
                {part: opened.signal(f"{name}_{part}") for part in ("valid", "first", "last", "known", "byte")}
            )
        read, latched = stages

        # The reference: which byte of which message is due, counted from what is taken. A message whose last byte has
        # been read is not in the queue any more while its last bytes are in the stages: a ghost remembers it.
        due = Signal(range(65))
        leaving = Signal(DELIVERY)  # the message that has left the queue last
        gone = Signal()  # its last byte has not been taken yet
        taken = Signal()
        m.d.comb += taken.eq(dut.deliver.valid & dut.deliver.ready)
        leaves = opened.signal("queue.r_en")
        with m.If(leaves):
            m.d.sync += [leaving.eq(head), gone.eq(1)]
        ends = taken & dut.deliver.payload.last
        with m.If(ends):
            m.d.sync += due.eq(0)
            with m.If(~leaves):
                m.d.sync += gone.eq(0)
        with m.Elif(taken):
            m.d.sync += due.eq(due + 1)
        message = Signal(DELIVERY)
        m.d.comb += message.eq(head)
        with m.If(gone):
            m.d.comb += message.eq(leaving)

        # Bytes between the due one and the one to be read next.
        depth = Signal(range(4))
        m.d.comb += depth.eq(read["valid"] + latched["valid"] + filled)
        length = leaving.length
        start_byte = Array(Const(char, 8) for char in START)

        self.lemma(~gone | ((leaving.length >= 8) & (leaving.length <= 64)), "leaving")
        # The bytes in the stages follow each other, without holes behind a full stage.
        places = []
        position = due
        owner_gone = gone
        for name, valid in (("offered", filled), ("latched", latched["valid"]), ("read", read["valid"])):
            places.append((name, valid, position, owner_gone))
            wraps = owner_gone & (position + 1 == length)
            position = Mux(valid, Mux(wraps, Const(0, 7), (position + 1)[:7]), position)
            owner_gone = owner_gone & ~(valid & wraps)
        self.lemma(~owner_gone, "whoever is gone has its last byte in the stages")
        self.lemma((position == offset), "the next to be read")
        for name, valid, at, of_gone in places:
            known = at < len(START)
            owner_slot = Mux(of_gone, leaving.slot, head.slot)
            owner_length = Mux(of_gone, leaving.length, head.length)
            is_last = ~known & (at + 1 == owner_length)
            self.lemma(~valid | known | of_gone | (queue.level != 0), f"{name} belongs to somebody")
            start = start_byte[at[:3]]
            if name == "offered":
                payload = dut.deliver.payload
                right = payload.data == Mux(known, start, byte_at(owner_slot, at))
                self.lemma(~valid | (right & (payload.last == is_last) & (offered_first == (at == 0))), name)
            else:
                stage = latched if name == "latched" else read
                flags = (stage["known"] == known) & (stage["last"] == is_last) & (stage["first"] == (at == 0))
                self.lemma(~valid | (flags & (~known | (stage["byte"] == start))), name)
                stored = second if name == "latched" else first
                self.lemma(~valid | known | (stored == byte_at(owner_slot, at)), f"{name} from memory")
            self.lemma(~valid | ~is_last | of_gone, "a last byte that was read is of a message that has left the queue")
        self.lemma(depth <= 3, "depth")
        self.lemma((offset <= len(START)) | ((queue.level != 0) & (offset < head.length)), "the next is there")
        self.lemma(~gone | (due < length), "the due one is there")
        self.lemma((offset <= depth) | (queue.level != 0), "a message whose first byte was taken is there")
        ends_next = opened.signal("is_last") == (offset + 1 == head.length)
        self.lemma((offset <= 3) | ends_next, "whether the next is the last")
        self.lemma(opened.signal("is_start") == (offset < len(START)), "whether the next is known")

        self.lemma((due == 0) | (opened.signal("session") == message.session), "session")
        self.lemma((due == 0) | gone | (queue.level != 0), "a message that has begun")
        payload = dut.deliver.payload
        at_start = due < len(START)
        right = payload.data == Mux(at_start, start_byte[due[:3]], byte_at(message.slot, due))
        self.holds("release.bytes", ~dut.deliver.valid | (right & (payload.session == message.session)))
        self.holds("release.bytes", ~dut.deliver.valid | gone | (queue.level != 0))
        self.cover("release.bytes", dut.deliver.valid & (due == 7) & (message.slot == 4))
        self.holds("release.last", ~dut.deliver.valid | (payload.last == (due + 1 == message.length)))
        self.cover("release.last", taken & payload.last & (message.length == 9))
        returned = dut.free.valid & dut.free.ready
        owed = Signal()  # its slot has not been given back
        with m.If(returned):
            m.d.sync += owed.eq(0)
        with m.If(leaves):
            m.d.sync += owed.eq(1)
        self.holds("release.slot-once", (dut.free.valid == owed) & (~owed | (dut.free.payload == leaving.slot)))
        self.holds("release.slot-once", ~leaves | ~owed)
        self.holds("release.slot-once", self.past(leaves) == (self.past(inside + dut.push) != inside))
        self.cover("release.slot-once", returned & (inside == 2))
        self.holds_stable("release.stable", dut.deliver)
        self.holds("release.room", ~pushed | (queue.level != SHAPE.slots))
        self.cover("release.room", pushed & (queue.level == 3))
        waits = queue.level != 0
        ready = dut.deliver.ready & dut.free.ready
        runs: Value = waits & ready
        for _ in range(4):
            runs = self.past(runs) & waits & ready
        self.holds("release.drains", ~runs | dut.deliver.valid)
        self.cover("release.drains", runs & (due == 9))
