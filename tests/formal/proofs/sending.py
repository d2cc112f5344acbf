"""Parts of the composer: chunks become words, words are offered; no byte is lost, doubled or moved."""

from __future__ import annotations

from typing import Any

from amaranth import Mux, Signal, Value
from amaranth.lib import data

from tag34_hdl.send.offer import Offer
from tag34_hdl.send.packer import Packer

from ..harness import Opened, Proof, Property

WIDTH = 4


class PackedBytes(Proof):
    """Bytes that come in say which they are: they are counted, and what comes out is counted beside."""

    component = "packer"
    parameters = f"width {WIDTH}"
    assumes = "behind a last chunk that makes two words of it no other follows at once; a last chunk has a byte"
    sample = True
    reach = 10
    properties = (
        Property("packer.bytes", ("S1",), "all bytes of all chunks come out once, in their order"),
        Property("packer.full", ("S1",), "a word is full, but for one that is the last"),
        Property("packer.last", ("S1",), "a word is the last if and only if the last byte of a last chunk is its last"),
    )

    def build(self) -> None:
        """Chunks of any size, in the lowest or the highest lanes, with any pauses."""
        m = self.m
        dut = Packer(WIDTH)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.go, dut.valid, dut.count, dut.right, dut.last)
        garbage = self.any(8 * WIDTH, "garbage")
        self.assume(dut.count <= WIDTH)
        self.assume(~dut.last | (dut.count != 0))
        fill, known, turn = opened.signal("fill"), opened.signal("known"), opened.signal("turn")
        known_fill, known_total = opened.signal("known_fill"), opened.signal("known_total")
        known_last = opened.signal("known_last")
        held, keep, turned = opened.signal("held"), opened.signal("keep"), opened.signal("turned")
        full, last, more, rest = (opened.signal(name) for name in ("full", "last", "more", "rest"))
        count, carry = opened.signal("count"), opened.signal("carry")

        # Numbers of the bytes: the next one to come in; of the first stage's chunk and of the second's its first one
        # and how many.
        coming = Signal(8)
        number_1 = Signal(8)
        number_2 = Signal(8)
        count_1 = Signal(range(WIDTH + 1))
        count_2 = Signal(range(WIDTH + 1))
        right = Signal()
        leaving = Signal(8)  # number of the first byte of the next word
        self.assume(~(known & known_last & (known_total > WIDTH) & dut.valid))
        with m.If(dut.go):
            m.d.sync += [
                number_1.eq(coming),
                count_1.eq(Mux(dut.valid, dut.count, 0)),
                right.eq(dut.right),
                number_2.eq(number_1),
                count_2.eq(count_1),
            ]
            with m.If(dut.valid):
                m.d.sync += coming.eq(coming + dut.count)
        for lane in range(WIDTH):
            first = Mux(right, WIDTH - count_1, 0)
            inside = (lane >= first) & (lane < first + count_1)
            byte = dut.data[8 * lane : 8 * lane + 8]
            m.d.comb += byte.eq(Mux(inside, number_1 + lane - first, garbage[8 * lane : 8 * lane + 8]))
        word = Signal()
        m.d.comb += word.eq(dut.word_valid & dut.go)
        with m.If(word):
            m.d.sync += leaving.eq(leaving + dut.word_count)

        def lane_of(value: Value, lane: int) -> Value:
            return value[8 * lane : 8 * lane + 8]

        def behind(number: Value, offset: Any) -> Value:
            return (number + offset)[:8]

        # The first stage.
        self.lemma((count_1 <= WIDTH) & (count_2 <= WIDTH), "first")
        self.lemma(Mux(known, known_fill + count_1 == known_total, count_1 == 0), "first")
        self.lemma(~known | (turn == Mux(right, known_total[: len(turn)], known_fill)), "first")
        self.lemma(~known | ~known_last | (count_1 != 0), "first")
        self.lemma(~known | (fill == Mux(known_last, 0, known_total[: len(fill)])), "first")
        self.lemma(coming == behind(number_1, count_1), "first")
        self.lemma(number_1 == behind(number_2, count_2), "first")
        # The second: what it has kept before, its chunk, and what follows.
        before = Signal(range(WIDTH))  # bytes of the word that are in the carry when the first stage's chunk comes
        kept = Signal(range(WIDTH + 1))
        total = Signal(range(2 * WIDTH))
        m.d.comb += [before.eq(Mux(known, known_fill, fill)), total.eq(kept + count_2)]
        for bit in range(WIDTH):
            with m.If(keep[bit]):
                m.d.comb += kept.eq(bit + 1)
        self.lemma((keep & (keep + 1)) == 0, "kept")
        self.lemma(Mux(held, kept < WIDTH, keep.all() & (count_2 == 0)), "kept")
        self.lemma(held | ~(full | last | more), "flags")
        self.lemma(~held | (full == (total >= WIDTH)), "flags")
        self.lemma(~held | (count == total % WIDTH), "flags")
        self.lemma(~held | (more == (last & (total > WIDTH))), "flags")
        self.lemma(~held | ~last | (count_2 != 0), "flags")
        self.lemma(~more | ~known, "flags")
        self.lemma(~held | (before == Mux(last, 0, count)), "before")
        self.lemma(~held | (number_2 == behind(leaving, kept)), "numbers")
        self.lemma(held | (number_1 == behind(leaving, Mux(rest, count, before))), "numbers")
        self.lemma(~rest | (~held & (before == 0) & (count != 0)), "rest")
        for lane in range(WIDTH):
            of_word = behind(leaving, lane)
            carried = Mux(held, lane < kept, lane < Mux(rest, count, before))
            self.lemma(~carried | (lane_of(carry, lane) == of_word), "carry")
            for offset in range(WIDTH):
                of_chunk = held & (offset < count_2) & ((kept + offset) % WIDTH == lane)
                self.lemma(~of_chunk | (lane_of(turned, lane) == behind(number_2, offset)), "turned")
            self.holds("packer.bytes", ~word | (lane >= dut.word_count) | (lane_of(dut.word, lane) == of_word))
        # At rest nothing is left inside but what does not fill a word.
        self.holds("packer.bytes", known | held | rest | (coming == behind(leaving, fill)))
        self.cover("packer.bytes", word & (leaving == 6))
        self.holds("packer.full", ~word | (dut.word_count == WIDTH) | (dut.word_last & (dut.word_count != 0)))
        self.cover("packer.full", word & (dut.word_count == 3))
        ends = Mux(rest, number_2, behind(number_2, count_2)) == behind(leaving, dut.word_count)
        self.holds("packer.last", ~word | (dut.word_last == ((last | rest) & ends)))
        self.cover("packer.last", word & dut.word_last & rest)


class OfferedWords(Proof):
    """Words that come in are any; the one that is due is the oldest of those that have not left."""

    component = "offer"
    assumes = "once opened, it stays open"
    sample = True
    reach = 10
    properties = (
        Property("offer.order", ("S1",), "each word that is taken over is offered once, in its order, unchanged"),
        Property("offer.stable", ("S1",), "what is offered stays until it is taken"),
        Property("offer.rate", ("S1",), "while the stream does not stall a word is taken over in each cycle"),
    )

    def build(self) -> None:
        """A stream that stalls at any time."""
        m = self.m
        dut = Offer(data.StructLayout({"number": 4}))
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.open, dut.valid, dut.word, dut.stream.ready)
        self.assume(~self.past(dut.open) | dut.open)
        filled, waits = opened.signal("filled"), opened.signal("waits")
        # A queue of two, beside.
        first = Signal(4)
        second = Signal(4)
        count = Signal(range(3))
        comes = dut.valid & dut.go
        leaves = dut.stream.valid & dut.stream.ready
        with m.If(dut.open):
            m.d.sync += count.eq(count + comes - leaves)
            with m.If(leaves):
                m.d.sync += first.eq(Mux(count == 2, second, dut.word.number))
            with m.Elif(count == 0):
                m.d.sync += first.eq(dut.word.number)
            with m.If(comes & ((count == 1) & ~leaves)):
                m.d.sync += second.eq(dut.word.number)
        with m.Else():
            m.d.sync += [count.eq(dut.valid), first.eq(dut.word.number)]
        self.lemma(count == filled + waits, "count")
        self.lemma(~waits | filled, "waits")
        waiting = opened.signal("waiting")
        self.lemma(~waits | (waiting == second), "second")
        self.lemma(self.past(dut.open) | self.first_cycle | ~waits, "closed")
        self.lemma(~filled | (dut.stream.payload.number == first), "first")
        self.holds("offer.order", dut.stream.valid == (dut.open & (count != 0)))
        self.holds("offer.order", ~dut.stream.valid | (dut.stream.payload.number == first))
        self.cover("offer.order", leaves & (count == 2))
        self.holds_stable("offer.stable", dut.stream)
        self.holds("offer.rate", dut.go | self.past(dut.open & ~dut.stream.ready) | self.past(waits))
        self.cover("offer.rate", dut.go & leaves & self.past(leaves))
