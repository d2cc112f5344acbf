"""The bytes of a chunk, from where they come."""

from functools import reduce
from operator import or_

from amaranth import Array, C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import MSG_TYPE_BYTES, SOH

from ..bcd import digits_of
from ..layouts import MSG_TYPE, NUMBER, Shape
from ..receive.checksum import Digits
from .clock import Time
from .program import Program, Source, chunk_layout

#: Where a chunk's bytes come from memories.
STORED = (Source.IDENT, Source.BODY)


def character(digit: Value) -> Value:
    """A decimal digit as FIX writes it."""
    return Cat(digit, C(3, 4))


def only(word: Value, lanes: Value) -> Value:
    """The bytes of a word in ``lanes`` (a bit for each), zeros in the others."""
    return Cat(Mux(lane, word.word_select(place, 8), 0) for place, lane in enumerate(lanes))


def time_characters(time: data.View) -> list[Value]:
    """52 with nine digits of fraction."""
    characters: list[Value] = []
    for name, after in (("date", "-"), ("day", "."), ("milli", ""), ("micro", ""), ("nano", "")):
        for index, digit in enumerate(reversed(digits_of(time[name]))):
            if name == "day" and index in (2, 4):
                characters.append(C(ord(":"), 8))
            characters.append(character(digit))
        characters += [C(ord(char), 8) for char in after]
    return characters


class Sources(wiring.Component):
    """Two stages: memories are read while the other sources are looked up; then there are the chunk's bytes, all
    others zero.

    Parameters: ``shape``; ``digits`` of BodyLength.

    Members:
        go: the stages move. clear: what is in them does not count.
        fire, chunk: a chunk; see :class:`tag34_hdl.send.walker.Walker`.
        body_length, seq, begin, end, msg_type, time, sum: what is shown of the message.
        ident, body: words of the memories, whose addresses came with the chunk.
        valid, count, right, ends: of the chunk in the first stage.
        data: bytes of the chunk in the second stage; summed: there is one, and it counts for CheckSum.
        summing: a chunk that does is in one of the stages.
    """

    def __init__(self, shape: Shape, digits: int):
        self.shape = shape
        super().__init__(
            {
                "go": In(1),
                "clear": In(1),
                "fire": In(1),
                "chunk": In(chunk_layout(shape)),
                "body_length": In(4 * digits),
                "seq": In(NUMBER),
                "begin": In(NUMBER),
                "end": In(NUMBER),
                "msg_type": In(MSG_TYPE),
                "time": In(Time),
                "sum": In(Digits),
                "ident": In(8 * shape.width),
                "body": In(8 * shape.width),
                "valid": Out(1),
                "count": Out(range(shape.width + 1)),
                "right": Out(1),
                "ends": Out(1),
                "data": Out(8 * shape.width),
                "summed": Out(1),
                "summing": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        width = self.shape.width
        chunk = self.chunk

        def words(characters: list[Value]) -> Array:
            """Characters as words, the first in the lowest lane."""
            rest = [C(0, 8)] * (-len(characters) % width)
            lanes = [*characters, *rest]
            return Array(Cat(lanes[place : place + width]) for place in range(0, len(lanes), width))

        def word(characters: list[Value], place: Value) -> Value:
            found = words(characters)
            return found[place[: max(1, (len(found) - 1).bit_length())]] if len(found) > 1 else found[0]

        # The time has many characters, and there are four numbers: the choice is made in two stages, first the one
        # within eight words and within each number.
        eights = 8 * width
        times = [
            word(time_characters(self.time)[place : place + eights], chunk.place[:3]) for place in range(0, 27, eights)
        ]
        # The groups of a number's digits end with the lowest one, the chunk's bytes with the highest lane.
        groups = []
        for number in (self.body_length, self.seq, self.begin, self.end):
            digits = digits_of(number)
            digits += [C(0, 4)] * (-len(digits) % width)
            words_of = Array(Cat(digits[place : place + width][::-1]) for place in range(0, len(digits), width))
            bits = (len(words_of) - 1).bit_length()
            groups.append(words_of[chunk.left[:bits]] if bits else words_of[0])

        texts = Program(width).texts
        text = Array(Cat(C(byte, 8) for byte in text.ljust(min(width, 4), b"\0")) for text in texts)[chunk.what]
        msg_type = [self.msg_type.word_select(place, 8) for place in range(MSG_TYPE_BYTES)]
        checksum = [*(character(self.sum[place]) for place in range(3)), C(SOH, 8)]

        digits_1 = [Signal(4 * width, name=f"digits_{index}") for index in range(len(groups))]
        number_1 = Signal(2)
        time_1 = [Signal(8 * width, name=f"time_{index}") for index in range(len(times))]
        eight_1 = Signal(2)
        text_1 = Signal(8 * min(width, 4))
        source_1 = {
            source: Signal(name=f"from_{source.name.lower()}")
            for source in (Source.IDENT, Source.BODY, Source.NUMBER, Source.TIME)
        }
        summed_1 = Signal()
        with m.If(self.go):
            m.d.sync += [
                self.valid.eq(self.fire),
                self.count.eq(chunk.count),
                self.right.eq(chunk.right),
                self.ends.eq(chunk.ends),
                summed_1.eq(chunk.summed),
                source_1[Source.IDENT].eq((chunk.source == Source.IDENT) | (chunk.source == Source.BEGIN)),
                *(source_1[source].eq(chunk.source == source) for source in (Source.BODY, Source.NUMBER, Source.TIME)),
                *(kept.eq(group) for kept, group in zip(digits_1, groups, strict=True)),
                *(kept.eq(time) for kept, time in zip(time_1, times, strict=True)),
                number_1.eq(chunk.what),
                eight_1.eq(chunk.place[3:]),
                text_1.eq(text),
            ]
            with m.If(chunk.source == Source.TYPE):
                m.d.sync += text_1.eq(word(msg_type, chunk.place))
            with m.If(chunk.source == Source.SUM):
                m.d.sync += text_1.eq(word(checksum, chunk.place))

        # Block memory is slow to leave: its bytes get a register before anything is made of them, and one that nothing
        # else sets, so that it can be the block's own. Which of its bytes count is known beside it.
        valid_2 = Signal()
        summed_2 = Signal()
        digits = Array(digits_1)[number_1]
        time = Array(time_1)[eight_1] if len(time_1) > 1 else time_1[0]
        stored = {source: Signal(8 * width, name=f"stored_{source.name.lower()}", reset_less=True) for source in STORED}
        counts = {source: Signal(width, name=f"counts_{source.name.lower()}") for source in STORED}
        other_2 = Signal(8 * width)
        # A chunk's bytes only, so that the others count nothing.
        inside = Cat(
            Mux(self.right, width - lane <= self.count, lane < self.count) if width > 1 else C(1, 1)
            for lane in range(width)
        )
        other = Mux(
            source_1[Source.NUMBER],
            Cat(character(digits[4 * lane : 4 * lane + 4]) for lane in range(width)),
            Mux(source_1[Source.TIME], time, text_1),
        )
        literal = ~Cat(source_1[source] for source in STORED).any()
        with m.If(self.go):
            m.d.sync += [
                valid_2.eq(self.valid),
                summed_2.eq(summed_1),
                stored[Source.IDENT].eq(self.ident),
                stored[Source.BODY].eq(self.body),
                *(which.eq(Mux(source_1[source], inside, 0)) for source, which in counts.items()),
                other_2.eq(only(other, Mux(literal, inside, 0))),
            ]
        with m.If(self.clear):
            m.d.sync += [self.valid.eq(0), valid_2.eq(0)]
        m.d.comb += [
            self.data.eq(reduce(or_, (only(stored[source], counts[source]) for source in STORED), other_2)),
            self.summed.eq(valid_2 & summed_2),
            self.summing.eq((self.valid & summed_1) | self.summed),
        ]
        return m
