"""Slots for words of several bytes: the message memory in lanes, written while messages arrive."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..block_memory import BlockMemory
from ..layouts import Shape
from ..receive.framer import START
from .message_memory import MessageMemory
from .owners import current_slot
from .table import Context, Sweep, Table

#: Bits of ``written``: more words than that many bits can say are not told from each other.
WRITTEN_BITS = 3


def word_bits(shape: Shape) -> int:
    """Bits of a word's place in a slot."""
    return shape.offset_bits - shape.lane_bits


def arrival(shape: Shape) -> data.StructLayout:
    """What is known of the message that arrives, or has arrived last, in the session at hand.

    ``known``: there is one, and it has a slot. ``slot``, ``lane``: where its bytes go, and the lane of the first one.
    ``written``: words of the slot, from the first one on, that can be read; stops at its largest value. ``renewed``:
    in this cycle it is another message than in the cycle before.
    """
    return data.StructLayout(
        {
            "known": 1,
            "slot": unsigned(shape.slot_bits),
            "lane": unsigned(shape.lane_bits),
            "session": unsigned(shape.session_bits),
            "written": unsigned(WRITTEN_BITS),
            "renewed": 1,
        }
    )


class WideSlots(wiring.Component):
    """:class:`~tag34_hdl.session.slots.Slots` for a width of 2, 4 or 8: who owns which slot is the same, how bytes get
    into it is not.

    Each lane of the words has a memory of its own, and a message stays in the lanes in which it arrived: byte number n
    of a message that began in lane a is byte (a + n) modulo width of the slot's word (a + n) div width. The last bytes
    of a long one thus get into the unused lanes of word 0. The lane of each slot's first byte is kept. ``8=FIX`` need
    not be stored, as every message begins with it.

    The bytes behind a message's end go to the next message's slot, which is known only when the message has been
    judged. A piece in which a message begins, and a turn, wait in the last stage for ``go``, which is low until then;
    all others do not.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        go, word, structure: the receive pipeline moves: the piece in its third stage is taken. ``go`` must be low while
            a frame waits (from the second cycle in which it is offered to the one in which it is taken) and in a cycle
            after one with ``wants_slot``.
        wants_slot: a message has begun and there will be no slot for it in the next cycle, or there will be none if
            the current one is taken now.
        judges: it may be.
        current, has_current, take, free: as in ``Slots``.
        arrival: see :func:`arrival`.
        start_slot, start_lane: the lane of the first byte of the message in ``start_slot``, one cycle later.
        read_enable, read_slot, read_word, read_following, read_below: address of the bytes to be read: word
            ``read_word`` of the slot, but in the lanes ``read_below`` word ``read_following``.
        latch_enable, read_data: what was read is to be shown from the next cycle on.

    Latency: a piece taken is in the memory after three more cycles (the third one may already read it not, the fourth
    may). Throughput: one piece per cycle.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        slot, word = shape.slot_bits, word_bits(shape)
        super().__init__(
            {
                "go": In(1),
                "word": In(shape.word),
                "structure": In(shape.structure),
                "wants_slot": Out(1),
                "judges": In(1),
                "current": Out(slot),
                "has_current": Out(1),
                "take": In(1),
                "free": In(stream.Signature(slot)),
                "arrival": Out(arrival(shape)),
                "start_slot": In(slot),
                "start_lane": Out(shape.lane_bits),
                "read_enable": In(1),
                "read_slot": In(slot),
                "read_word": In(word),
                "read_following": In(word),
                "read_below": In(shape.width),
                "latch_enable": In(1),
                "read_data": Out(8 * shape.width),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, width = self.shape, self.shape.width

        # -- Two stages. A piece that was not taken leaves nothing in them.
        moves = Signal()
        data_4, data_5, data_6 = (Signal(8 * width, reset_less=True, name=f"data_{stage}") for stage in (4, 5, 6))
        start_4 = Signal(width)
        tail_4, tail_5, tail_6 = (Signal(width, name=f"tail_{stage}") for stage in (4, 5, 6))
        head_4, head_5, head_6 = (Signal(width, name=f"head_{stage}") for stage in (4, 5, 6))
        full_4, full_5 = (Signal(name=f"full_{stage}") for stage in (4, 5))
        turn_4, turn_5 = (Signal(name=f"turn_{stage}") for stage in (4, 5))
        session_4, session_5 = (Signal(shape.session_bits, name=f"session_{stage}") for stage in (4, 5))
        begins_5 = Signal()  # a message begins in the piece
        lane_5 = Signal(shape.lane_bits)  # the lane of its first byte
        place_5 = Signal(word_bits(shape))  # the word of its slot that the piece belongs to
        with m.If(moves):
            m.d.sync += [
                data_4.eq(self.word.data),
                start_4.eq(Mux(self.go, self.structure.start, 0)),
                tail_4.eq(Mux(self.go, self.structure.tail, 0)),
                head_4.eq(Mux(self.go, self.structure.head, 0)),
                full_4.eq(self.go & self.word.full),
                turn_4.eq(self.go & self.word.turn),
                session_4.eq(self.word.session),
                data_5.eq(data_4),
                begins_5.eq(start_4.any()),
                tail_5.eq(tail_4),
                head_5.eq(head_4),
                full_5.eq(full_4),
                turn_5.eq(turn_4),
                session_5.eq(session_4),
                lane_5.eq(0),
                place_5.eq(0),
            ]
            for lane in range(width):
                first, place = (lane - len(START) + 1) % width, self._place(lane)
                with m.If(start_4[lane]):
                    m.d.sync += [lane_5.eq(first), place_5.eq(place)]

        # -- The message under way
        slot = Signal(shape.slot_bits)
        known = Signal()  # there is one, or was, and it has a slot
        lane = Signal(shape.lane_bits)
        below = Signal(width)  # the lanes below its first byte's
        place = Signal(word_bits(shape))  # the word of its slot that the next piece belongs to
        wrapped = Signal()  # that is word 0 again
        over = Signal()  # and beyond: nothing more is stored
        renewed = Signal()
        session = Signal(shape.session_bits)
        changes = Signal()  # to another session

        current, has_current, has_following = current_slot(
            m, shape, take=self.take, free=self.free, switch=changes, late=True
        )
        m.d.comb += [
            self.current.eq(current),
            self.has_current.eq(has_current),
            moves.eq(self.go | ~(begins_5 | turn_5)),
            changes.eq(turn_5 & moves) if shape.sessions > 1 else changes.eq(0),
            # That the current one is taken is known too late for this.
            self.wants_slot.eq((start_4.any() | begins_5) & ~has_following & ~(has_current & ~self.judges)),
        ]
        m.d.sync += renewed.eq(0)
        with m.If(moves):
            with m.If(begins_5):
                m.d.sync += [
                    slot.eq(current),
                    known.eq(1),
                    renewed.eq(1),
                    lane.eq(lane_5),
                    below.eq(Cat(lane_5 > index for index in range(width))),
                    place.eq(place_5 + full_5),
                    wrapped.eq(0),
                    over.eq(0),
                ]
            with m.Elif(full_5):
                m.d.sync += [place.eq(place + 1), wrapped.eq(wrapped | place.all()), over.eq(wrapped)]
        # -- Writing
        tail_slot = Signal.like(slot)
        tail_place = Signal.like(place)
        head_place = Signal.like(place)
        fits = Signal(width)  # lanes in which the message has not come around to its own bytes
        with m.If(~wrapped):
            m.d.comb += fits.eq(~0)
        with m.Elif(~over):
            m.d.comb += fits.eq(below)
        # The bytes of the message under way are written even while the piece waits, as that message may be on its way
        # to the host; once more does no harm.
        m.d.sync += [
            data_6.eq(data_5),
            tail_6.eq(tail_5 & fits),
            tail_slot.eq(slot),
            tail_place.eq(place),
            head_6.eq(Mux(moves, head_5, 0)),
            head_place.eq(place_5),
        ]
        read_data = []
        for index in range(width):
            store = MessageMemory(shape.slots << word_bits(shape), uneven=shape.sessions > 1)
            m.submodules[f"lane_{index}"] = store
            m.d.comb += [
                store.write.eq(head_6[index] | tail_6[index]),
                store.write_address.eq(Mux(head_6[index], Cat(head_place, slot), Cat(tail_place, tail_slot))),
                store.write_data.eq(data_6.word_select(index, 8)),
                store.read.eq(self.read_enable),
                store.read_address.eq(
                    Cat(Mux(self.read_below[index], self.read_following, self.read_word), self.read_slot)
                ),
                store.latch.eq(self.latch_enable),
            ]
            read_data.append(store.read_data)
        m.d.comb += self.read_data.eq(Cat(read_data))

        m.submodules.starts = starts = BlockMemory(shape.lane_bits, shape.slots, block=shape.sessions > 1)
        m.d.comb += [
            starts.write.eq(begins_5 & moves),
            starts.write_address.eq(current),
            starts.write_data.eq(lane_5),
            starts.address.eq(self.start_slot),
            self.start_lane.eq(starts.data),
        ]

        # A word that the next piece is not of has been through the last stage, and is in the memory a cycle later.
        many = (1 << WRITTEN_BITS) - 1
        low, high = place[:WRITTEN_BITS], place[WRITTEN_BITS:]
        m.d.sync += self.arrival.written.eq(Mux(wrapped | high.any(), many, low))
        m.d.comb += [
            self.arrival.known.eq(known),
            self.arrival.slot.eq(slot),
            self.arrival.lane.eq(lane),
            self.arrival.session.eq(session),
            self.arrival.renewed.eq(renewed),
        ]

        if shape.sessions > 1:
            context = Context(
                slot=slot,
                known=known,
                lane=lane,
                below=below,
                place=place,
                wrapped=wrapped,
                over=over,
                current=current,
                has_current=has_current,
            )
            m.submodules.contexts = contexts = Table(context.layout, shape.sessions, sweep=self._sweep)
            m.d.comb += [
                # The session of a turn that waits is looked up as long as it waits.
                contexts.address.eq(Mux(turn_5, session_5, session_4)),
                contexts.put.eq(changes),
                contexts.put_address.eq(session),
                contexts.put_entry.eq(context.word),
            ]
            with m.If(changes):
                m.d.sync += [session.eq(session_5), renewed.eq(1)]
            context.take_up(m, changes, contexts.entry, contexts.known)
            with m.If(changes & ~contexts.known):
                # The first one of a session is that of its number.
                m.d.sync += [current.eq(session_5), has_current.eq(1)]
        return m

    def _place(self, lane: int) -> int:
        """The word of its slot in which the message has the X of ``8=FIX``, if that stands in ``lane``."""
        offset = len(START) - 1
        return ((lane - offset) % self.shape.width + offset) // self.shape.width
