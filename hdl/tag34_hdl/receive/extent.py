"""Extent: where a message's body ends, from the digits of BodyLength, as a mark in the lanes of the words."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import LENGTH, OFFSET, Shape
from ..vectors import from_first, up, wire
from .digits import times
from .framer import TRAILER_LENGTH
from .lanes import lane_of
from .packer import INDEX
from .patterns import LENGTH_DIGITS

Digits = data.ArrayLayout(unsigned(4), LENGTH_DIGITS)
#: Words of a body.
WORDS = unsigned(20)


class Extent(wiring.Component):
    """Computes and keeps where the message under way ends.

    Words are counted from field 9 on. What a word's passing does to the mark is ready before it is known whether the
    word passes: that is known late.

    Parameters: ``shape``, of width 2 or more.

    Members:
        begin: field 9 is complete; a cycle later are given: ``digits`` of BodyLength (the last one first), ``lane``
            (one-hot), ``index`` and ``number`` of the word, of the SOH that ends it; ``passed``: this word had been
            passed by then; and ``start``, the offset of the message's 8.
        passes: a word is passed, behind the cycle of ``begin``.
        busy: being computed, five cycles behind ``begin``. A word in which something of the body's end stands may not
            come in the first four.
        mark: the last body byte's lane, one-hot, relative to the word at hand: bit ``TRAILER_LENGTH + i`` is lane i of
            it, lower bits are lanes passed; all zero as long as it is not in the word at hand or passed.
        behind: lanes behind the message's end; ``beyond``: lanes from the last body byte's on. Both of ``mark``.
        end_index, end_lane: word and lane of the first byte of the trailer.
        length, oversize: of the whole message, if its trailer is well formed; longer than max_message. Known when
            ``busy`` ends.
        saved, load, loaded: all there is, for another session's turn (only when not busy).
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        width = shape.width
        self.State = data.StructLayout(
            {
                "ahead": 1,
                "words": WORDS,
                "lane": shape.lane_bits,
                "mark": TRAILER_LENGTH + width,
                "end_index": INDEX,
                "length": LENGTH,
                "oversize": 1,
            }
        )
        super().__init__(
            {
                "begin": In(1),
                "digits": In(Digits),
                "lane": In(width),
                "index": In(INDEX),
                "number": In(OFFSET),
                "start": In(OFFSET),
                "passed": In(1),
                "passes": In(1),
                "busy": Out(1),
                "mark": Out(TRAILER_LENGTH + width),
                "behind": Out(width),
                "beyond": Out(width),
                "end_index": Out(INDEX),
                "end_lane": Out(shape.lane_bits),
                "length": Out(LENGTH),
                "oversize": Out(1),
                "saved": Out(self.State),
                "load": In(1),
                "loaded": In(self.State),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        width = self.shape.width
        lane_bits = self.shape.lane_bits
        logic = m.submodules.logic = Module()

        # Stages: digits -> shares of pairs of them -> the sum -> the mark, and the length -> whether it is too long.
        stage = Signal(5)
        m.d.sync += stage.eq(Cat(self.begin, stage))
        m.d.comb += self.busy.eq(stage.any())
        digits = Signal(Digits)
        near = Signal(8)
        hundreds = Signal(range(99 * 100 + 1))
        myriads = Signal(range(99 * 10000 + 1))
        sum_ = Signal(len(Signal(WORDS)) + lane_bits)
        lane, index = Signal(lane_bits), Signal.like(self.index)
        number = Signal(OFFSET)
        before = Signal(OFFSET)  # bytes of the message in front of its body's first word, and of its trailer
        header = Signal(LENGTH)
        total = Signal(25)

        with m.If(stage[0]):
            m.d.sync += [
                digits.eq(self.digits),
                lane.eq(lane_of(self.lane)),
                index.eq(self.index),
                number.eq(self.number),
            ]
        with m.If(stage[1]):
            m.d.sync += [
                near.eq(times(digits[1], 10) + (digits[0] + lane)),
                hundreds.eq(times(digits[3], 1000) + times(digits[2], 100)),
                myriads.eq(times(digits[5], 100000) + times(digits[4], 10000)),
                before.eq((number << lane_bits) + (1 + TRAILER_LENGTH) - self.start),
            ]
        with m.If(stage[2]):
            m.d.sync += [
                sum_.eq(near + hundreds + myriads),
                header.eq(Mux(before[24:].any(), (1 << 24) - 1, before)),
            ]
        with m.If(stage[3]):
            m.d.sync += [
                total.eq(header + sum_),
                self.end_index.eq((index + sum_[lane_bits:] + (sum_[:lane_bits] == width - 1))[: len(index)]),
            ]
        with m.If(stage[4]):
            m.d.sync += [
                self.length.eq(Mux(total[24], (1 << 24) - 1, total)),
                self.oversize.eq(total > self.shape.max_message),
            ]

        # -- Words passed since that SOH
        passed, passed_next = Signal(WORDS), Signal(WORDS, init=1)
        with m.If(stage[0]):
            m.d.sync += [
                passed.eq(Mux(self.passes, self.passed + 1, self.passed)),
                passed_next.eq(Mux(self.passes, self.passed + 2, self.passed + 1)),
            ]
        with m.Elif(self.passes):
            m.d.sync += [passed.eq(passed_next), passed_next.eq(passed_next + 1)]

        # -- The mark
        ahead = Signal()  # it is in a word to come
        place = sum_[lane_bits:]
        is_here, is_next = Signal(), Signal()
        m.d.comb += [is_here.eq(place == passed), is_next.eq((place == passed_next) & (ahead | stage[3]))]
        lanes = Cat((sum_[:lane_bits] == i) for i in range(width))

        def set_mark(mark: Value) -> list:
            mark = wire(logic, mark[: TRAILER_LENGTH + width], "mark")
            since = from_first(logic, mark)
            return [
                self.mark.eq(mark),
                self.behind.eq(up(since, 1)),
                self.beyond.eq(since[TRAILER_LENGTH:]),
            ]

        with m.If(self.passes):
            m.d.sync += set_mark((self.mark >> width) | Mux(is_next, lanes << TRAILER_LENGTH, 0))
        with m.Elif(stage[3]):
            # An empty body: its end is that of field 9, in a word that has been passed.
            empty = (place == 0) & passed[0]
            m.d.sync += set_mark(
                Mux(is_here, lanes << TRAILER_LENGTH, Mux(empty, (1 << TRAILER_LENGTH + width - 1) >> width, 0))
            )
        with m.If(self.passes & (is_here | is_next)):
            m.d.sync += ahead.eq(0)
        with m.Elif(stage[3]):
            m.d.sync += ahead.eq(1)

        m.d.comb += [
            self.end_lane.eq(sum_[:lane_bits] + 1),
            self.saved.ahead.eq(ahead),
            self.saved.words.eq(place - passed),
            self.saved.lane.eq(sum_[:lane_bits]),
            self.saved.mark.eq(self.mark),
            self.saved.end_index.eq(self.end_index),
            self.saved.length.eq(self.length),
            self.saved.oversize.eq(self.oversize),
        ]
        with m.If(self.load):
            m.d.sync += [
                ahead.eq(self.loaded.ahead),
                passed.eq(0),
                passed_next.eq(1),
                sum_.eq(Cat(self.loaded.lane, self.loaded.words)),
                *set_mark(self.loaded.mark),
                self.end_index.eq(self.loaded.end_index),
                self.length.eq(self.loaded.length),
                self.oversize.eq(self.loaded.oversize),
            ]
        return m
