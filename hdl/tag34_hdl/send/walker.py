"""Walks through the program of a message, chunk by chunk."""

from amaranth import C, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from tag34.contract import MSG_TYPE_BYTES

from ..layouts import IDENT_BITS, Shape
from ..receive.fields import BEGIN_STRING, OURS, THEIRS
from .idents import START
from .program import Number, Program, Source, Then, Word, chunk_layout, words_of_step


class Walker(wiring.Component):
    """Says which chunk of a message comes next, one per cycle.

    Three steps are under way: ``read`` from the program, the one ``ahead`` of the one at hand, with its length, and the
    one at hand, which gives chunk after chunk. A step waits in ``read`` until what it shows is known.

    Before a message starts the first chunk of all messages is given again and again, so that it is what is known of
    the session at this time; ``start`` goes on behind it. At the end of a message it is at hand already.

    Parameters: ``shape``.

    Members:
        go: chunks are taken.
        active: a message leaves. start: it will from the next cycle on. abort: there is none any more.
        is_request, body_length: what the message has for a body (from two cycles behind the start on).
        ident_lengths, numbers, type_last, time_last, body_last: lengths of the steps; see
            :class:`tag34_hdl.send.length.Lengths`.
        length_known, sum_known: BodyLength and CheckSum may be shown.
        fire: there is a chunk; chunk: what it is.
        resting: it is the first of a message, and of the same length as before.
        summing: a chunk that counts for CheckSum is at hand.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        self.program = Program(shape.width)
        super().__init__(
            {
                "go": In(1),
                "active": In(1),
                "start": In(1),
                "abort": In(1),
                "is_request": In(1),
                "has_body": In(1),
                "ident_lengths": In(3 * IDENT_BITS),
                "numbers": In(data.ArrayLayout(4, 4)),
                "type_last": In(range(MSG_TYPE_BYTES)),
                "time_last": In(range(27)),
                "body_last": In(range(shape.max_message)),
                "length_known": In(1),
                "sum_known": In(1),
                "fire": Out(1),
                "chunk": Out(chunk_layout(shape)),
                "resting": Out(1),
                "summing": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        width = self.shape.width
        lanes = exact_log2(width)
        program = self.program

        # The step that was read.
        first = program.words[0]
        behind = Signal(range(len(program.words) + 1), init=1)  # the step behind it in the program
        read = Signal(Word, init=first)
        read_opens = Signal()
        body_at = Signal.like(behind, init=0)
        following = Signal.like(behind, init=0)
        found = Signal(Word)
        with m.Switch(read.then):
            with m.Case(Then.NEXT):
                m.d.comb += following.eq(behind)
            with m.Case(Then.BODY):
                m.d.comb += following.eq(body_at)
            with m.Case(Then.TRAILER):
                m.d.comb += following.eq(program.trailer)
        with m.Switch(following):
            for address, word in enumerate(program.words):
                with m.Case(address):
                    m.d.comb += found.eq(word)
        m.d.comb += read_opens.eq(read.source == Source.BEGIN)
        m.d.sync += body_at.eq(Mux(self.is_request, program.request, Mux(self.has_body, program.host, program.trailer)))

        # Its length: place of its last byte.
        last = Signal(range(words_of_step(self.shape) * width))
        known = Signal(init=1)
        lengths = [self.ident_lengths[IDENT_BITS * region :][:IDENT_BITS] for region in range(3)]
        with m.Switch(read.source):
            with m.Case(Source.TEXT):
                m.d.comb += last.eq(read.last)
            with m.Case(Source.BEGIN):
                m.d.comb += last.eq(lengths[BEGIN_STRING] + len(START))
            with m.Case(Source.IDENT):
                m.d.comb += last.eq(Mux(read.what == THEIRS, lengths[THEIRS], lengths[OURS]))
            with m.Case(Source.NUMBER):
                m.d.comb += [
                    last.eq(self.numbers[read.what[:2]]),
                    known.eq((read.what[:2] != Number.BODY_LENGTH.value) | self.length_known),
                ]
            with m.Case(Source.TYPE):
                m.d.comb += last.eq(self.type_last)
            with m.Case(Source.TIME):
                m.d.comb += last.eq(self.time_last)
            with m.Case(Source.BODY):
                m.d.comb += last.eq(self.body_last)
            with m.Case(Source.SUM):
                m.d.comb += [last.eq(3), known.eq(self.sum_known)]

        # The step ahead.
        ahead = Signal(Word)
        ahead_valid = Signal()
        ahead_last = Signal.like(last)

        # The step at hand.
        chunk = self.chunk
        valid = Signal()
        opens = Signal()  # it gives the first chunk of a message
        ends = Signal()  # it is the last of a message
        is_first = Signal()  # this chunk of the step's
        is_last = Signal()
        part = Signal(lanes)  # bytes of the chunk that may be short, less one
        moves = Signal()
        pulls = Signal()
        loads = Signal()
        m.d.comb += [
            self.fire.eq(self.go & valid & ~(opens & self.active)),
            moves.eq((self.fire & ~opens) | self.start),
            pulls.eq(~valid | (self.fire & is_last) | opens),
            loads.eq(~ahead_valid | pulls),
            chunk.right.eq(chunk.source == Source.NUMBER),
            # A number's first chunk may be short, anything else's last one.
            chunk.count.eq(Mux(Mux(chunk.right, is_first, is_last), part + 1, width)),
            # The first one is a whole: nothing is carried from it into another session's.
            chunk.ends.eq(opens | (ends & is_last)),
            self.summing.eq(valid & chunk.summed & self.active),
        ]
        with m.If(moves):
            m.d.sync += [
                chunk.place.eq(chunk.place + 1),
                chunk.left.eq(chunk.left - 1),
                is_first.eq(0),
                is_last.eq(chunk.left == 1),
            ]
        with m.If(pulls & ~self.start):
            m.d.sync += [
                valid.eq(ahead_valid),
                opens.eq(ahead.source == Source.BEGIN),
                chunk.source.eq(ahead.source),
                chunk.what.eq(ahead.what),
                chunk.summed.eq(ahead.summed),
                ends.eq(ahead.then == Then.END),
                chunk.place.eq(0),
                chunk.left.eq(ahead_last >> lanes),
                part.eq(ahead_last[:lanes]),
                is_first.eq(1),
                is_last.eq((ahead_last >> lanes) == 0),
            ]
        with m.If(loads):
            m.d.sync += [ahead.eq(read), ahead_valid.eq(known), ahead_last.eq(last)]
        # The program goes on a cycle later: the decision to start is made late in its cycle.
        started = Signal()
        m.d.sync += started.eq(self.start)
        with m.If((loads & known & ~read_opens) | started):
            m.d.sync += [behind.eq(following + 1), read.eq(found)]
        with m.If(self.start | started):
            m.d.sync += ahead_valid.eq(0)
        with m.If(self.start):
            m.d.sync += [valid.eq(~is_last), opens.eq(0)]
        with m.If(self.abort):
            m.d.sync += [valid.eq(0), opens.eq(0), ahead_valid.eq(0), behind.eq(1), read.eq(first)]

        changed: Value = C(0, 1)
        if width > len("8=FIX|"):
            # A short BeginString does not fill the first chunk.
            single = (ahead_last >> lanes) == 0
            changed = (single != is_last) | (single & (ahead_last[:lanes] != part))
        m.d.comb += self.resting.eq(valid & opens & ~self.active & ~changed)
        return m
