"""Release for beats of several bytes: from slot numbers in order to whole beats in order."""

from typing import Any

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import Shape
from ..queue import LargeQueue
from ..receive.framer import START
from ..receive.lanes import below as lanes_below
from ..vectors import wire
from .wide_slots import WRITTEN_BITS, arrival, word_bits

#: Beats of which a message that is released right behind its arrival has more, or it is read like any other.
GUESSED = 5


class WideRelease(wiring.Component):
    """:class:`~tag34_hdl.session.release.Release` for a width of 2, 4 or 8: moves the bytes of released messages to the
    host, in the order in which they were released, and frees their slots.

    A message lies in the memory as it arrived, with its first byte in any lane. A beat is read at once: the lanes below
    the first byte's from the following word; behind the memory it is rotated.

    Four stages (address, memory, latch, offered beat), each of which moves if there is room in front of it. As long as
    nothing is released they are filled with the beginning of the message that arrives: a guess, which is kept when that
    message is released, and dropped when another one is, or when the next message begins.

    Parameters: ``shape``.

    Members:
        push, delivery: one released message, of more than one beat; there is room for as many as there are slots, so it
            is never refused.
        arrived: it is the one that ``arrival`` tells of, whose last bytes are no further than the receive pipeline's
            fourth stage. Otherwise it has been in the memory for long.
        arrival: from the slots: :func:`~tag34_hdl.session.wide_slots.arrival`.
        start_slot, start_lane, read_enable, read_slot, read_word, read_following, read_below, latch_enable, read_data:
            the message memory, see :class:`~tag34_hdl.session.wide_slots.WideSlots`.
        deliver: the bytes (the first five, ``8=FIX``, were never stored), in full beats but for the last one; ``last``
            with it.
        free: the slot of a message whose last bytes have been read.
        idle: nothing queued, nothing offered.

    Latency: ``push`` to the first beat offered, one cycle for the message that has just arrived (two if it lies in six
    words that came one per cycle), six cycles for any other if nothing is under way; also for one that has just arrived
    but has no more than :data:`GUESSED` beats. Throughput: one beat per cycle, no bubble between messages if the second
    is pushed seven cycles before the first one's last beat is taken.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        word = word_bits(shape)
        super().__init__(
            {
                "push": In(1),
                "delivery": In(shape.delivery),
                "arrived": In(1),
                "arrival": In(arrival(shape)),
                "start_slot": Out(shape.slot_bits),
                "start_lane": In(shape.lane_bits),
                "read_enable": Out(1),
                "read_slot": Out(shape.slot_bits),
                "read_word": Out(word),
                "read_following": Out(word),
                "read_below": Out(shape.width),
                "latch_enable": Out(1),
                "read_data": In(8 * shape.width),
                "deliver": Out(stream.Signature(shape.beat)),
                "free": Out(stream.Signature(shape.slot_bits)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        logic = m.submodules.logic = Module()
        shape, width = self.shape, self.shape.width
        lanes, words = shape.lane_bits, word_bits(shape)
        begins = -(-len(START) // width)  # beats that have bytes of 8=FIX

        # -- What is to be read: a register for the message that was pushed, one for the next one, a queue in between
        # if there are more.
        entry = data.StructLayout({"delivery": shape.delivery, "lane": unsigned(lanes)})
        pushed = Signal()
        pushed_arrived = Signal()
        pushed_entry = Signal(entry)
        pushed_delivery = Signal(shape.delivery, reset_less=True)
        m.d.sync += [
            pushed.eq(self.push),
            pushed_arrived.eq(self.push & self.arrived & (self.delivery.length > GUESSED * width)),
            pushed_delivery.eq(self.delivery),
        ]
        m.d.comb += [
            self.start_slot.eq(self.delivery.slot),
            pushed_entry.delivery.eq(pushed_delivery),
            pushed_entry.lane.eq(self.start_lane),
        ]
        # One more than there are slots: an entry on its way to the output takes a place, too.
        queue: Any
        empty = Signal()
        if shape.sessions == 1:
            queue = fifo.SyncFIFOBuffered(width=entry.size, depth=shape.slots + 1)
            nothing = queue.level == 0
        else:
            queue = LargeQueue(width=entry.size, depth=shape.slots + 1)
            nothing = queue.empty
        m.submodules.queue = queue
        follows = Signal()  # there is a next one
        following = Signal(entry)
        loads = Signal()  # a message, if there is one, is read from the next cycle on
        missed = Signal()  # what was pushed is not being read already
        m.d.comb += [
            empty.eq(nothing),
            queue.w_data.eq(pushed_entry),
            queue.w_en.eq(missed & (follows | ~empty)),
            queue.r_en.eq(~follows),
        ]
        with m.If(~follows):
            m.d.sync += [
                follows.eq(queue.r_rdy | (missed & empty)),
                following.eq(Mux(queue.r_rdy, queue.r_data, pushed_entry)),
            ]
        with m.Elif(loads):
            m.d.sync += follows.eq(0)

        # -- The message that is read
        reading = Signal()  # there is one
        guess = Signal()  # it has not been released yet
        confirmed = Signal()  # it has been released in the cycle before
        slot = Signal(shape.slot_bits)
        lane = Signal(lanes)
        below = Signal(width)  # the lanes below its first byte's
        session = Signal(shape.session_bits)
        place = Signal(words)
        next_place = Signal(words, init=1)
        begin = Signal(begins)  # which of the first beats this one is
        final = Signal(words)  # place of its last beat
        rest = Signal(lanes)  # bytes of that, less one
        last = Signal()  # it is this one
        freeing = Signal()  # the slot of the message before has not been given back yet
        freed = Signal(shape.slot_bits)

        hit = Signal()  # the guess was right
        drop = Signal()  # or wrong
        steps = Signal()  # a beat is read
        ends = Signal()  # it is the message's last one
        ready_1 = Signal()  # the stage in front has room
        fill = [Signal(name=f"fill_{stage}") for stage in (1, 2, 3)]
        may = Signal()
        m.d.comb += [
            hit.eq(pushed_arrived & reading & guess),
            missed.eq(pushed & ~(pushed_arrived & reading & guess)),
            drop.eq(reading & guess & (missed | (self.arrival.renewed & ~pushed))),
            # A guess does not get further than three beats before it is confirmed. Its last bytes are in the memory in
            # the second cycle after that.
            may.eq(Mux(guess | confirmed, self.arrival.written > place[:WRITTEN_BITS] + 1, ~(last & freeing))),
            steps.eq(reading & ready_1 & may),
            # Who is at his last beat guesses no more: whether a guess was right, which is known late, does not matter.
            ends.eq(reading & last & may & (~Cat(fill).all() | self.deliver.ready)),
            loads.eq(~reading | ends),
            self.read_enable.eq(ready_1),
            self.read_slot.eq(slot),
            self.read_word.eq(place),
            self.read_following.eq(next_place),
            self.read_below.eq(below),
            self.free.valid.eq(freeing),
            self.free.payload.eq(freed),
        ]
        m.d.sync += confirmed.eq(hit)
        with m.If(self.free.ready):
            m.d.sync += freeing.eq(0)
        with m.If(steps):
            m.d.sync += [
                place.eq(next_place),
                next_place.eq(next_place + 1),
                begin.eq(begin << 1),
                last.eq(~guess & (next_place == final)),
            ]
        with m.If(ends):
            m.d.sync += [freeing.eq(1), freed.eq(slot)]
        with m.If(loads):
            first_lane = Mux(follows, following.lane, self.arrival.lane)
            m.d.sync += [
                reading.eq(follows | (self.arrival.known & ~pushed & empty)),
                guess.eq(~follows),
                slot.eq(Mux(follows, following.delivery.slot, self.arrival.slot)),
                session.eq(Mux(follows, following.delivery.session, self.arrival.session)),
                lane.eq(first_lane),
                below.eq(lanes_below(logic, first_lane, width)),
                place.eq(0),
                next_place.eq(1),
                begin.eq(1),
                last.eq(0),
                *self._ends(following.delivery, final, rest),
            ]
        with m.If(hit):
            m.d.sync += [guess.eq(0), *self._ends(pushed_delivery, final, rest)]
        with m.If(drop):
            m.d.sync += reading.eq(0)

        # -- Behind the address: memory, latch, offered beat
        part = data.StructLayout(
            {"last": 1, "count": range(width + 1), "begin": begins, "lane": lanes, "session": shape.session_bits}
        )
        guessed = [Signal(name=f"guess_{stage}") for stage in (1, 2, 3)]
        ready = [ready_1, Signal(name="ready_2"), Signal(name="ready_3")]
        read = Signal(part)
        latched = Signal(part)
        payload = self.deliver.payload
        for stage in range(3):
            if stage < 2:
                m.d.comb += ready[stage].eq(~fill[stage] | ready[stage + 1])
            else:
                # What is guessed here is the message that is read.
                m.d.comb += ready[stage].eq(~fill[stage] | (self.deliver.ready & (~guessed[stage] | pushed_arrived)))
            coming = fill[stage - 1] if stage else steps
            coming_guess = guessed[stage - 1] if stage else guess
            with m.If(hit):
                m.d.sync += guessed[stage].eq(0)
            with m.If(drop & guessed[stage]):
                m.d.sync += fill[stage].eq(0)
            with m.If(ready[stage]):
                m.d.sync += [
                    fill[stage].eq(coming & ~(drop & coming_guess)),
                    guessed[stage].eq(coming_guess & ~hit),
                ]
        m.d.comb += [
            self.latch_enable.eq(ready[1]),
            self.deliver.valid.eq(fill[2] & (~guessed[2] | pushed_arrived)),
            self.idle.eq(
                ~pushed
                & empty
                & ~follows
                & ~freeing
                & ~(reading & ~guess)
                & ~Cat(full & ~guessed for full, guessed in zip(fill, guessed, strict=True)).any()
            ),
        ]
        with m.If(ready[0]):
            m.d.sync += [
                read.last.eq(last),
                read.count.eq(Mux(last, rest + 1, width)),
                read.begin.eq(begin),
                read.lane.eq(lane),
                read.session.eq(session),
            ]
        with m.If(ready[1]):
            m.d.sync += latched.eq(read)
        with m.If(ready[2]):
            m.d.sync += [
                payload.last.eq(latched.last),
                payload.count.eq(latched.count),
                payload.session.eq(latched.session),
                payload.data.eq(self._beat(logic, latched.lane, latched.begin)),
            ]
        return m

    def _ends(self, delivery: Any, final: Signal, rest: Signal) -> list[Value]:
        """Note where a message ends."""
        before = (delivery.length - 1)[: self.shape.offset_bits]
        lanes = self.shape.lane_bits
        return [final.eq(before[lanes:]), rest.eq(before[:lanes])]

    def _beat(self, m: Module, lane: Value, begin: Value) -> Value:
        """The bytes that were read, turned so that the message's next one comes first; ``8=FIX`` put in."""
        width = self.shape.width
        turned: Value = self.read_data
        for bit in range(self.shape.lane_bits):
            turned = wire(m, Mux(lane[bit], turned.rotate_right(8 << bit), turned), "turned")
        for word, first in enumerate(range(0, len(START), width)):
            head = START[first : first + width]
            put_in = Cat(C(int.from_bytes(head, "little"), 8 * len(head)), turned[8 * len(head) :])
            turned = wire(m, Mux(begin[word], put_in, turned), "begun")
        return turned
