"""Packer: beats of any size -> words in line with the stream, shown again when they have to be looked at again."""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34.contract import SOH

from ..block_memory import BlockMemory
from ..layouts import CYCLE, OFFSET, Shape
from ..session.table import Context, Sweep, Table
from ..vectors import planes, wire
from .lanes import Bytes
from .lanes import below as lanes_below

#: Lanes that look-back patterns reach beyond the lane at hand.
LOOK_BACK = 10
#: Words that are kept: those that may have to be shown again, and those that they look back to.
KEPT = 16
INDEX = unsigned(ceil_log2(KEPT))

#: What a byte is, as far as the framer asks.
CHARACTERS = {
    "soh": SOH,
    "equals": ord("="),
    "eight": ord("8"),
    "f": ord("F"),
    "i": ord("I"),
    "x": ord("X"),
    "nine": ord("9"),
    "three": ord("3"),
    "five": ord("5"),
    "one": ord("1"),
    "zero": ord("0"),
}


def classes(width: int) -> data.StructLayout:
    """Classes of a word's bytes, a bit for each lane; ``below_four``: a digit below 4; ``value``: a digit's bits, the
    lowest ones first."""
    names = (*CHARACTERS, "digit", "below_four")
    return data.StructLayout({**dict.fromkeys(names, width), "value": data.ArrayLayout(width, 4)})


def context_words(width: int) -> int:
    """Words that :data:`LOOK_BACK` lanes reach into."""
    return -(-LOOK_BACK // width)


class Packer(wiring.Component):
    """Puts the bytes of beats into the lanes of words: byte n of a connection stands in lane n modulo the width,
    however the bytes were cut. A word may come in several pieces: no byte waits for another one.

    Words are kept for a while. *Going back* to a place in the stream shows all from there on once more, behind the
    words in front of it (without new lanes, for those who look back). A session's turn is the same: its last
    words are shown again before its next bytes.

    Parameters: ``shape``, of width 2 or more; ``sweep``, of the table after a reset, None: it has its own.

    Members:
        rx: beats of up to ``width`` bytes.
        go: the pipeline moves; without it nothing is taken and ``word`` stays.
        hold: nothing is shown (but what is shown stays for one cycle only). It comes with ``back`` only.
        closed: no further beats.
        back: go back; what was shown from a place in the stream on is forgotten by who asks. It wins over everything.
        back_index, back_lane: that place, word and lane; a cycle after ``back`` with ``go``.
        settled: nothing that was shown may still have to be shown again: another session may have its turn.
        clear, clear_session: a new connection; only when settled.
        word, index, context, classes: the piece shown (registered): the word's number modulo :data:`KEPT`; shown
            for those who look back, not as new; what its bytes are.
        idle: nothing to be shown.
        received: bytes taken of ``session``, the session at hand, one cycle later; ``left``, of the one before it.
        takes: a beat is taken, or the session changes.
        cycle, taken: the device's cycle counter, and what it was when the last beat of ``word`` was taken.

    Latency: beat taken to its bytes in ``word``, one cycle; two for bytes that reach into the next word when no
    beat follows. Throughput: one beat per cycle. A turn takes five cycles and as many as there are context words
    (:func:`context_words`), going back four and as many.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        session = unsigned(shape.session_bits)
        super().__init__(
            {
                "rx": In(stream.Signature(shape.beat)),
                "go": In(1),
                "hold": In(1),
                "closed": In(1),
                "back": In(1),
                "back_index": In(INDEX),
                "back_lane": In(range(shape.width)),
                "settled": In(1),
                "clear": In(1),
                "clear_session": In(session),
                "word": Out(shape.word),
                "index": Out(INDEX),
                "context": Out(1),
                "classes": Out(classes(shape.width)),
                "idle": Out(1),
                "takes": Out(1),
                "session": Out(session),
                "received": Out(OFFSET),
                "left": Out(OFFSET),
                "cycle": In(CYCLE),
                "taken": Out(CYCLE),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, width = self.shape, self.shape.width
        beat = self.rx.payload
        session = self.session
        lane_bits = shape.lane_bits
        logic = m.submodules.logic = Module()

        place = Signal(lane_bits)  # lane of the next byte
        index = Signal(INDEX)  # of the word that it belongs to
        waiting = Signal()  # the bytes below `place` have not been shown: they are in `rest`
        rest = Signal(8 * width)

        below = Signal(width)  # the lanes below `place`

        # -- A beat, turned to its lanes. That it is taken is known late.
        is_open = Signal()
        offered = Signal()  # taken if all moves
        take = Signal()
        turned: Value = beat.data
        for bit in range(lane_bits):
            turned = wire(logic, Mux(place[bit], turned.rotate_left(8 << bit), turned), "turned")
        end = Signal(range(2 * width))
        m.d.comb += [
            # Without `hold` for one thing less: it comes with `back`, and stays until words are shown again.
            self.rx.ready.eq(self.go & ~self.back & is_open),
            offered.eq(self.rx.valid & is_open),
            take.eq(self.go & ~self.back & offered),
            end.eq(place + beat.count),
        ]
        over = end[lane_bits]  # the word is complete
        count = Signal.like(beat.count)  # of the beat taken
        m.d.sync += count.eq(Mux(take, beat.count, 0))

        # -- Words kept, by session
        m.submodules.kept = kept = BlockMemory(8 * width, shape.sessions * KEPT)

        def kept_address(word: Value, session: Value) -> Value:
            return word if shape.sessions == 1 else Cat(word, session)

        # -- The piece shown next
        shown = Signal(8 * width)
        mask = Signal(width)
        full = Signal()
        context = Signal()
        turn = Signal()
        show_index = Signal(INDEX)
        moves = Signal()
        backs = Signal()  # the place to go back to is there
        m.d.sync += backs.eq(self.back & self.go)
        m.d.comb += moves.eq(self.go & ~self.hold & ~self.back & ~backs)
        every = C((1 << width) - 1, width)

        # -- Showing again
        plain = Signal(init=1)  # nothing is shown again, nor will be
        showing = Signal()  # words are being read
        again = Signal(INDEX)  # the word addressed
        again_left = Signal(range(context_words(width) + 1))  # words in front of the place still to come
        again_lane = Signal(lane_bits)
        fetched = Signal()  # the memory shows a word
        fetched_index = Signal(INDEX)
        fetched_left = Signal.like(again_left)
        is_end = Signal()  # it is the one that the next bytes belong to
        m.d.comb += [
            kept.address.eq(kept_address(again, session)),
            kept.enable.eq(moves & showing),
            is_end.eq(fetched_index == index),
        ]

        bits = planes(logic, shown, 8)
        octets = Bytes(logic, bits)
        found = {
            **{name: octets.hold(char) for name, char in CHARACTERS.items()},
            "digit": octets.digits,
            "below_four": octets.below_four(),
            "value": Cat(bits[:4]),
        }

        finds = Signal()
        changes = Signal()
        other = Signal()
        m.d.comb += [
            other.eq((beat.session != session) if shape.sessions > 1 else 0),
            is_open.eq(~self.closed & plain & ~changes & ~other),
            show_index.eq(index),
            shown.eq(turned),
        ]
        for lane in range(width):  # One by one: a lane that stays is not enabled.
            with m.If(below[lane]):
                m.d.comb += shown.word_select(lane, 8).eq(
                    Mux(waiting, rest.word_select(lane, 8), self.word.data.word_select(lane, 8))
                )
        with m.If(fetched):
            since = Mux(fetched_left != 0, 0, ~lanes_below(logic, again_lane, width))
            until = Mux(is_end, Mux(waiting, 0, below), every)
            m.d.comb += [
                shown.eq(kept.data),
                show_index.eq(fetched_index),
                mask.eq(since & until),
                context.eq(fetched_left != 0),
                full.eq(~is_end),
            ]
        with m.Elif(plain & ~changes):
            m.d.comb += [
                mask.eq(
                    Mux(offered, Mux(waiting, every, ~below) & lanes_below(logic, end, width), Mux(waiting, below, 0))
                ),
                full.eq(offered & over),
            ]

        # What was shown is kept a cycle later, and once more as long as it stays; it is not read before.
        is_new = Signal()
        m.d.comb += [
            kept.write.eq(is_new),
            kept.write_address.eq(kept_address(self.index, self.word.session)),
            kept.write_data.eq(self.word.data),
        ]
        with m.If(self.go):
            m.d.sync += [
                self.word.mask.eq(0),
                self.word.full.eq(0),
                self.word.turn.eq(0),
                self.context.eq(0),
            ]
        last_taken = Signal(CYCLE)
        with m.If(take):
            m.d.sync += last_taken.eq(self.cycle)
        with m.If(moves):
            m.d.sync += [
                self.taken.eq(Mux(offered, self.cycle, last_taken)),
                self.word.data.eq(shown),
                self.word.mask.eq(mask),
                self.word.full.eq(full),
                self.word.session.eq(session),
                self.word.turn.eq(turn),
                self.index.eq(show_index),
                self.context.eq(context),
                is_new.eq(plain & ~changes),
            ]
            m.d.sync += [self.classes[name].eq(lanes) for name, lanes in found.items()]
            with m.If(plain & ~changes):
                m.d.sync += [rest.eq(turned), waiting.eq(offered & over & (end[:lane_bits] != 0))]
                with m.If(offered):
                    m.d.sync += [place.eq(end[:lane_bits]), below.eq(lanes_below(logic, end[:lane_bits], width))]
                    with m.If(over):
                        m.d.sync += index.eq(index + 1)
            m.d.sync += [fetched.eq(showing), fetched_index.eq(again), fetched_left.eq(again_left)]
            with m.If(fetched & ~showing):
                m.d.sync += plain.eq(1)
            with m.If(showing):
                m.d.sync += again.eq(again + 1)
                with m.If(again_left != 0):
                    m.d.sync += again_left.eq(again_left - 1)
                with m.If((again == index) & (again_left == 0)):
                    m.d.sync += showing.eq(0)
            # The lanes in front of the place are old in its own word only.
            with m.If(fetched & (fetched_left == 0)):
                m.d.sync += again_lane.eq(0)

        m.d.sync += self.received.eq(self.received + count)

        def show_again(word: Value, lane: Value) -> list:
            return [
                plain.eq(0),
                showing.eq(1),
                fetched.eq(0),
                again.eq(word - context_words(width)),
                again_left.eq(context_words(width)),
                again_lane.eq(lane),
            ]

        # -- Turns
        m.d.comb += [self.takes.eq(take | finds), self.idle.eq(plain & ~waiting & ~changes & ~self.takes)]
        with m.If(self.clear & (self.clear_session == session)):
            m.d.sync += [place.eq(0), below.eq(0), index.eq(0), self.received.eq(0)]
        if shape.sessions > 1:
            Place = data.StructLayout({"place": lane_bits, "index": INDEX, "received": OFFSET})
            m.submodules.places = places = Table(Place, shape.sessions, sweep=self._sweep)
            at_hand = Signal(Place)
            m.d.comb += [
                at_hand.place.eq(place),
                at_hand.index.eq(index),
                at_hand.received.eq(self.received),
                places.address.eq(beat.session),
            ]
            finding = Signal()
            known = Signal(Place)
            m.d.comb += known.eq(Mux(places.known, places.entry, 0))
            m.d.comb += [
                finds.eq(
                    self.rx.valid & other & self.settled & ~self.closed & plain & ~waiting & ~finding & ~places.busy
                ),
                changes.eq(finding),
                turn.eq(finding),
            ]
            with m.If(moves):
                m.d.sync += finding.eq(finds)
            with m.If(finding & moves):
                m.d.comb += [places.put.eq(1), places.put_address.eq(session), places.put_entry.eq(at_hand)]
                m.d.sync += [
                    session.eq(beat.session),
                    self.left.eq(self.received),
                    self.word.session.eq(beat.session),
                    place.eq(known.place),
                    below.eq(lanes_below(logic, known.place, width)),
                    index.eq(known.index),
                    *show_again(known.index, known.place),
                ]
            Context(received=self.received).take_up(m, finding & moves, places.entry.received, places.known)
            with m.If(self.clear & (self.clear_session != session)):
                m.d.comb += [places.put.eq(1), places.put_address.eq(self.clear_session), places.forget.eq(1)]

        with m.If(self.back):
            m.d.sync += plain.eq(0)
        with m.If(backs):
            m.d.sync += show_again(self.back_index, self.back_lane)
        return m
