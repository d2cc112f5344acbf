"""Extent: where a message's body ends, from the digits of BodyLength, as a mark in the lanes of the words."""

from __future__ import annotations

from amaranth import Array, C, Cat, Elaboratable, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import LENGTH, OFFSET, Shape
from .framer import TRAILER_LENGTH
from .packer import INDEX
from .patterns import LENGTH_DIGITS

Digits = data.ArrayLayout(unsigned(4), LENGTH_DIGITS)


class Extent(wiring.Component):
    """Computes and keeps where the message under way ends.

    Parameters: ``shape``, of width 2 or more.

    Members:
        begin: field 9 is complete; a cycle later are given: ``digits`` of BodyLength (the last one first), ``lane``,
            ``index`` and ``number`` of the word, of the SOH that ends it, and ``start``, the offset of the message's 8.
        passes: a word has been passed, in or behind the one of ``begin`` (its own pass may come in the cycle of
            ``begin``). ``begin`` forgets what was known of another message.
        busy: being computed, five cycles behind ``begin``. A word in which something of the body's end stands may not
            come before.
        known: the end is known (registered).
        mark: the last body byte's lane, one-hot, relative to the word at hand: bit ``TRAILER_LENGTH + i`` is lane i of
            it, lower bits are lanes passed; all zero as long as it is not in the word at hand or passed.
        end_index, end_lane: word and lane of the first byte of the trailer.
        length, oversize: of the whole message, if its trailer is well formed; longer than max_message.
        saved, load, loaded: all there is, for another session's turn (only when not busy).
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        width = shape.width
        self.State = data.StructLayout(
            {
                "known": 1,
                "there": 1,
                "words": 20,
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
                "lane": In(shape.lane_bits),
                "index": In(INDEX),
                "number": In(OFFSET),
                "start": In(OFFSET),
                "passes": In(1),
                "busy": Out(1),
                "known": Out(1),
                "mark": Out(TRAILER_LENGTH + width),
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

        # Stages: digits -> pairs of digits -> their shares -> the sum -> the mark.
        stage = Signal(4)
        m.d.sync += stage.eq(Cat(self.begin, stage))
        m.d.comb += self.busy.eq(stage.any())
        pairs = [Signal(7, name=f"pair_{i}") for i in range(3)]
        near = Signal(8)
        hundreds = Signal(range(99 * 100 + 1))
        myriads = Signal(range(99 * 10000 + 1))
        sum_ = Signal(21)
        lane, index = Signal.like(self.lane), Signal.like(self.index)
        before = Signal(OFFSET)  # bytes up to the SOH that ends field 9
        header = Signal(LENGTH)
        passed = Signal(5)  # words since that SOH
        m.d.sync += passed.eq(Mux(self.begin, self.passes, passed + self.passes))

        with m.If(stage[0]):
            for i, pair in enumerate(pairs):
                low, high = self.digits[2 * i], self.digits[2 * i + 1]
                m.d.sync += pair.eq((high << 3) + (high << 1) + low)
            m.d.sync += [
                lane.eq(self.lane),
                index.eq(self.index),
                before.eq((self.number << lane_bits) + self.lane + 1 - self.start),
            ]
        with m.If(stage[1]):
            m.d.sync += [
                near.eq(pairs[0] + lane),
                hundreds.eq(pairs[1] * 100),
                myriads.eq(pairs[2] * 10000),
                header.eq(Mux(before[24:].any(), (1 << 24) - 1, before)),
            ]
        with m.If(stage[2]):
            m.d.sync += sum_.eq(near + hundreds + myriads)

        # -- The mark
        known, there = Signal(), Signal()  # the mark is in the word at hand, or passed
        words = Signal(20)  # words before it
        end_lane = Signal(lane_bits)  # of the last body byte
        place = sum_[lane_bits:]
        total = Signal(25)
        m.d.comb += total.eq(header + (sum_ - lane) + TRAILER_LENGTH)

        def set_mark(at: object) -> list:
            one_hot = Array(C(1 << TRAILER_LENGTH + i, TRAILER_LENGTH + width) for i in range(width))
            return [there.eq(1), self.mark.eq(one_hot[at])]

        with m.If(self.begin):
            m.d.sync += [known.eq(0), there.eq(0), self.mark.eq(0)]
        with m.Elif(stage[3]):
            left = place - (passed + self.passes)
            m.d.sync += [
                known.eq(1),
                words.eq(left[:20]),
                end_lane.eq(sum_[:lane_bits]),
                self.end_index.eq((index + place + (sum_[:lane_bits] == width - 1))[: len(index)]),
                self.length.eq(Mux(total[24], (1 << 24) - 1, total)),
                self.oversize.eq(total > self.shape.max_message),
            ]
            with m.If(left == 0):
                m.d.sync += set_mark(sum_[:lane_bits])
            # An empty body: its end is that of field 9, in a word that has been passed.
            with m.Elif(left[-1]):
                m.d.sync += [there.eq(1), self.mark.eq((1 << TRAILER_LENGTH + width - 1) >> width)]
        with m.Elif(self.passes & known):
            m.d.sync += words.eq(words - 1)
            with m.If(there):
                m.d.sync += self.mark.eq(self.mark >> width)
            with m.Elif(words == 1):
                m.d.sync += set_mark(end_lane)

        m.d.comb += [
            self.known.eq(known),
            self.end_lane.eq(end_lane + 1),
            self.saved.known.eq(known),
            self.saved.there.eq(there),
            self.saved.words.eq(words),
            self.saved.lane.eq(end_lane),
            self.saved.mark.eq(self.mark),
            self.saved.end_index.eq(self.end_index),
            self.saved.length.eq(self.length),
            self.saved.oversize.eq(self.oversize),
        ]
        with m.If(self.load):
            m.d.sync += [
                known.eq(self.loaded.known),
                there.eq(self.loaded.there),
                words.eq(self.loaded.words),
                end_lane.eq(self.loaded.lane),
                self.mark.eq(self.loaded.mark),
                self.end_index.eq(self.loaded.end_index),
                self.length.eq(self.loaded.length),
                self.oversize.eq(self.loaded.oversize),
            ]
        return m
