"""Chunks of bytes become full words."""

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..vectors import spread, wire


class Packer(wiring.Component):
    """Joins chunks of 0 to ``width`` bytes into words of ``width``: each chunk is rotated to where the one before it
    ended, and what is beyond the word's end is carried into the next.

    A chunk comes in two cycles: ``count`` and what else is known of it, then its bytes. Both stages stand still
    without ``go``.

    Parameters: ``width``.

    Members:
        go: the stages move.
        clear: forget everything.
        valid, count, right, last: a chunk: its bytes will be in the lowest lanes or, ``right``, in the highest;
            ``last``: a word ends with it, full or not. If that makes two words of it, no chunk may follow at once.
        data: the chunk's bytes, when the stages have moved once.
        word_valid, word, word_count, word_last: a word, when they have moved once more (width 1: with ``data``), as
            long as they stand.
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__(
            {
                "go": In(1),
                "clear": In(1),
                "valid": In(1),
                "count": In(range(width + 1)),
                "right": In(1),
                "last": In(1),
                "data": In(8 * width),
                "word_valid": Out(1),
                "word": Out(8 * width),
                "word_count": Out(range(width + 1)),
                "word_last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        if self.width == 1:
            with m.If(self.go):
                m.d.sync += [self.word_valid.eq(self.valid), self.word_last.eq(self.last)]
            with m.If(self.clear):
                m.d.sync += self.word_valid.eq(0)
            m.d.comb += [self.word.eq(self.data), self.word_count.eq(1)]
            return m

        width, bits = self.width, exact_log2(self.width)
        # Where the chunk goes: known before its bytes.
        fill = Signal(bits)
        total = Signal(bits + 1)
        known = Signal()
        known_last = Signal()
        known_fill = Signal.like(fill)
        known_total = Signal.like(total)
        turn = Signal.like(fill)
        m.d.comb += total.eq(fill + self.count)
        with m.If(self.go):
            m.d.sync += [
                known.eq(self.valid),
                known_last.eq(self.last),
                known_fill.eq(fill),
                known_total.eq(total),
                turn.eq(Mux(self.right, total[:bits], fill)),
            ]
            with m.If(self.valid):
                m.d.sync += fill.eq(Mux(self.last, 0, total[:bits]))

        # The chunk, turned.
        turned = Signal(8 * width)
        keep = Signal(width, init=(1 << width) - 1)  # lanes that are of the chunks before
        held = Signal()
        full = Signal()
        last = Signal()
        more = Signal()
        count = Signal.like(fill)
        rotated: Value = self.data
        for bit in range(bits):
            shift = 8 << bit
            rotated = wire(m, Mux(turn[bit], Cat(rotated[-shift:], rotated[:-shift]), rotated), "rotated")
        # A last chunk that fills more than its word leaves a rest, which is another one.
        rest = Signal()
        with m.If(self.go):
            m.d.sync += [
                turned.eq(rotated),
                held.eq(known),
                last.eq(known & known_last),
                full.eq(known & known_total[bits]),
                more.eq(known & known_last & known_total[bits] & (known_total[:bits] != 0)),
                keep.eq(Mux(known, (C(1, width) << known_fill) - 1, ~C(0, width))),
                rest.eq(more),
            ]
            with m.If(known):
                m.d.sync += count.eq(known_total[:bits])
        with m.If(self.clear):
            m.d.sync += [fill.eq(0), known.eq(0), held.eq(0), full.eq(0), last.eq(0), more.eq(0), rest.eq(0)]

        # The word.
        carry = Signal(8 * width)
        old = spread(m, keep, 8)
        m.d.comb += self.word.eq((carry & old) | (turned & ~old))
        for lane in range(width):
            of_lane = slice(8 * lane, 8 * lane + 8)
            with m.If(self.go & held & (full | ~keep[lane])):
                m.d.sync += carry[of_lane].eq(turned[of_lane])
        m.d.comb += [
            self.word_valid.eq(full | last | rest),
            self.word_count.eq(Mux(full, width, count)),
            self.word_last.eq((last & ~more) | rest),
        ]
        return m
