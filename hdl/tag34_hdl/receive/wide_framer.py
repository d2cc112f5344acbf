"""Framer of several bytes per cycle (F1 to F6)."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..layouts import CYCLE, OFFSET, Frame, Shape
from ..session.table import Context, Table
from .checksum import START_SUM
from .extent import Extent
from .framer import START, TRAILER_LENGTH, Counts
from .lanes import lane_of
from .packer import INDEX, Packer
from .patterns import Patterns

#: What every message's sum begins with: 8=FIX, and the SOH that closes the body.
FIRST_SUM = (START_SUM + 1) % 256


class Stage(enum.Enum, shape=2):
    """Where the search for messages is."""

    HUNT = 0  #: between messages
    BEGIN = 1  #: in BeginString
    LENGTH = 2  #: behind BeginString's SOH
    BODY = 3  #: in body or trailer


class Why(enum.Enum, shape=2):
    """Why to go back."""

    ONCE_MORE = 0  #: what follows the lane has to be looked at apart
    WRONG = 1  #: no usable BodyLength: to the byte that proves it
    START = 2  #: the same, but to the byte before it, which may begin a message
    END = 3  #: a bad trailer: to the declared end


class WideFramer(wiring.Component):
    """Finds messages, checks BodyLength and CheckSum, says where they are in each piece of a word.

    The counterpart of :class:`~tag34_hdl.receive.framer.Framer` for more than one byte per cycle; the corners are those
    of docs/decisions/0001. One cycle is one piece: patterns have been looked for in all lanes at once, and it is only
    decided which of them count. What cannot be decided so, because it is too near to something else or because it
    goes wrong, is rare: there the words are shown once more from the place in question.

    Stages (a beat taken in cycle t): the piece in ``word`` (t + 1), what is seen in it (t + 2), ``word_3`` and
    ``structure`` (t + 3), ``frame`` (t + 4).

    Parameters: ``shape``, of width 2 or more.

    Members:
        rx: the connections' bytes.
        stall: the pipeline may not move (registered by whoever asks); it stops one cycle later.
        hold: take no more; ``quiet``: nothing is under way and no frame waits.
        go: the pipeline moves.
        word: the piece at the first stage. ``back``: the pieces at the first two stages, and what was shown of
            the one behind them and is not in ``structure``, will come once more.
        word_3, structure: the piece at the third stage. ``full`` is set if it is done with.
        session: whose pieces are at the third stage.
        oversize: of the message in ``frame`` (F5).
        frame: one transfer per message, garbled ones included.
        clear: a new connection of a session; ready when quiet (F6).
        cycle: the device's cycle counter.
        counts_session, counts: counts of a session, one cycle later.

    Latency: last byte taken to ``frame`` valid, four cycles; five if it stands in the second word that its beat reaches
        into and no beat follows. Throughput: one beat per cycle as long as frames are taken at once, but for a
        session's turn, a BodyLength below 40 or with leading zeros, a BeginString of four characters or less, and
        what is garbled.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        session = unsigned(shape.session_bits)
        super().__init__(
            {
                "rx": In(stream.Signature(shape.beat)),
                "stall": In(1),
                "hold": In(1),
                "quiet": Out(1),
                "go": Out(1),
                "word": Out(shape.word),
                "back": Out(1),
                "word_3": Out(shape.word),
                "structure": Out(shape.structure),
                "session": Out(session),
                "oversize": Out(1),
                "frame": Out(stream.Signature(Frame)),
                "clear": In(stream.Signature(session)),
                "cycle": In(CYCLE),
                "counts_session": In(session),
                "counts": Out(Counts),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, width = self.shape, self.shape.width
        lane_bits = shape.lane_bits
        every = (1 << width) - 1
        lanes = range(width)
        m.submodules.packer = packer = Packer(shape)
        m.submodules.extent = extent = Extent(shape)

        # -- The first two stages
        go = self.go
        waits = Signal()  # a frame that nobody took stops the pipeline
        word_2 = Signal(shape.word)
        index_2 = Signal(INDEX)
        context_2 = Signal()
        cycle_2 = Signal(CYCLE)
        patterns = Patterns(m, width, go, packer.word, packer.classes)
        seen = patterns.seen
        connect(m, flipped(self.rx), packer.rx)
        m.d.comb += [
            go.eq(~waits & ~self.stall),
            packer.go.eq(go),
            packer.cycle.eq(self.cycle),
            self.word.eq(packer.word),
        ]
        with m.If(go):
            m.d.sync += [
                word_2.eq(packer.word),
                index_2.eq(packer.index),
                context_2.eq(packer.context),
                cycle_2.eq(packer.taken),
            ]
        with m.If(go & self.back):
            m.d.sync += [seen.eq(0), word_2.full.eq(0)]

        # -- The decision
        stage = Signal(Stage)
        # Lanes in which the X of a start may not be yet.
        not_start = Signal(width + len(START) - 1, init=(1 << len(START) - 1) - 1)
        number = Signal(OFFSET)  # of the word at hand
        back = Signal()
        short_waits = Signal()  # until it is known where a short body ends
        why = Signal(Why)
        event = Signal(width)  # the lane that it is about
        step = Signal()
        m.d.comb += step.eq(go & ~back)

        at_end = [extent.mark[TRAILER_LENGTH + i] for i in lanes]

        def trailer(place: int) -> list[Value]:
            """Lanes with byte ``place`` of the trailer (from 1 on)."""
            return [extent.mark[TRAILER_LENGTH + i - place] for i in lanes]

        in_body = Signal()
        m.d.comb += in_body.eq(stage == Stage.BODY)
        digit_lanes = [Cat(trailer(place)[i] for place in (4, 5, 6)).any() for i in lanes]
        mismatch = Signal(width)
        for i in lanes:
            m.d.comb += mismatch[i].eq(
                (trailer(1)[i] & ~seen.one[i])
                | (trailer(2)[i] & ~seen.zero[i])
                | (trailer(3)[i] & ~seen.equals[i])
                | (digit_lanes[i] & ~seen.digit[i])
                | (trailer(7)[i] & ~seen.soh[i])
            )
        bad_trailer = Signal()
        ends = Signal()
        body_ends = Signal()
        m.d.comb += [
            bad_trailer.eq(in_body & (mismatch & seen.new).any()),
            ends.eq(in_body & (Cat(trailer(7)) & seen.new).any()),
            body_ends.eq(in_body & (Cat(at_end) & seen.new).any()),
        ]
        behind_end = Cat(extent.mark[: max(0, i)].any() if i else 0 for i in lanes)
        until_body_end = Cat(~extent.mark[: TRAILER_LENGTH + i + 1].any() for i in lanes)

        huntable = Mux(stage == Stage.HUNT, every, Mux(ends, behind_end, 0))
        candidates = Signal(width)
        starts = Signal(width)
        m.d.comb += candidates.eq(seen.start & ~not_start[:width] & huntable)
        for i in lanes:
            m.d.comb += starts[i].eq(candidates[i] & ~candidates[: max(0, i - len(START) + 1)].any() & ~bad_trailer)
        crowded = Signal()
        m.d.comb += crowded.eq((starts & seen.crowded).any())

        begins, in_length = stage == Stage.BEGIN, stage == Stage.LENGTH
        length_at = Signal(width)
        wrong_at = Signal(width)
        has_length, short, wrong = Signal(), Signal(), Signal()
        m.d.comb += [
            length_at.eq(Mux(in_length, seen.length_far, Mux(begins, seen.length_near, 0))),
            wrong_at.eq(Mux(in_length, seen.wrong_far, Mux(begins, seen.wrong_near, 0))),
            has_length.eq(length_at.any()),
            wrong.eq(wrong_at.any()),
            short.eq((length_at & seen.short).any()),
        ]
        apart = Signal()  # this piece is not done with
        passes = Signal()  # this word is
        m.d.comb += [
            apart.eq(crowded | short | wrong | bad_trailer),
            # A short body that begins with the next word leaves nothing of this one.
            passes.eq(step & word_2.full & ~context_2 & (~apart | (short & length_at[width - 1]))),
        ]

        # -- What is said of the piece
        structure = self.structure
        first_only = Cat(length_at[i:].any() for i in lanes)  # up to the end of field 9
        tail = Signal(width)
        tail_summed = Signal(width)
        sum_lanes = Signal(width)  # at the third stage
        ended_3 = Signal()
        ended_badly_3 = Signal()
        fine_3 = Signal()  # what has ended is well formed
        cycle_3 = Signal(CYCLE)
        number_3 = Signal(OFFSET)
        m.d.comb += [
            tail.eq(
                Mux(stage == Stage.HUNT, 0, seen.new & Mux(ends, ~behind_end, every)) & Mux(short, first_only, every)
            ),
            tail_summed.eq(tail & Mux(in_body, until_body_end, every)),
        ]
        after_start = Cat(starts[:i].any() if i else 0 for i in lanes)
        from_start = Cat(starts[: min(width, i + len(START))].any() for i in lanes)
        with m.If(go):
            m.d.sync += [
                self.word_3.eq(word_2),
                self.word_3.full.eq(passes),
                self.word_3.turn.eq(word_2.turn & ~back),
                cycle_3.eq(cycle_2),
                number_3.eq(number),
                structure.start.eq(Mux(back, 0, starts)),
                structure.tail.eq(Mux(back, 0, tail)),
                structure.head.eq(Mux(back, 0, seen.new & from_start & Mux(crowded, ~after_start, every))),
                structure.body_end.eq(step & body_ends),
                sum_lanes.eq(Mux(back, 0, tail_summed | (seen.new & after_start & Mux(crowded, 0, every)))),
                ended_3.eq(step & ends & ~bad_trailer),
                ended_badly_3.eq(step & bad_trailer),
            ]

        # -- Going on
        kind_place = Signal(width + 3)  # lane of the = of 35=, relative to the word at hand
        kind_now = Signal(width + 3)
        m.d.comb += kind_now.eq(kind_place | Mux(has_length, length_at << 3, 0))
        good = Signal()  # the body is closed by SOH, as far as is known
        kind_good = Signal()  # it begins with 35=
        good_now, kind_good_now = Signal(), Signal()
        m.d.comb += [
            good_now.eq(good & ~(in_body & (Cat(at_end) & seen.new & ~seen.soh).any())),
            kind_good_now.eq(kind_good | (kind_now[:width] & seen.type_tag).any()),
        ]
        with m.If(step):
            with m.If((stage == Stage.HUNT) | (ends & ~bad_trailer)):
                m.d.sync += stage.eq(
                    Mux(
                        (candidates & seen.closed & ~seen.crowded).any(),
                        Stage.LENGTH,
                        Mux(candidates.any(), Stage.BEGIN, Stage.HUNT),
                    )
                )
            with m.If(begins & seen.soh.any()):
                m.d.sync += stage.eq(Stage.LENGTH)
            with m.If(has_length):
                m.d.sync += stage.eq(Stage.BODY)
            with m.If(wrong | bad_trailer):
                m.d.sync += stage.eq(Stage.HUNT)
            m.d.sync += kind_place.eq(Mux(passes, kind_now >> width, kind_now))
            m.d.sync += [
                good.eq(good_now | starts.any()),
                kind_good.eq(kind_good_now & ~starts.any()),
                fine_3.eq(good_now & kind_good_now),
            ]
            with m.If(passes):
                m.d.sync += [number.eq(number + 1), not_start.eq(not_start >> width)]

        m.d.comb += [
            packer.hold.eq(short_waits),
            packer.closed.eq(self.hold | self.clear.valid),
            extent.begin.eq(step & has_length),
            extent.passes.eq(passes),
        ]
        m.d.sync += [
            Cat(extent.digits[i] for i in range(len(extent.digits))).eq(Cat(*patterns.length_digits([*length_at]))),
            extent.lane.eq(lane_of(length_at)),
            extent.index.eq(index_2),
            extent.number.eq(number),
        ]

        # -- Going back: what was wrong is said, then the words come once more from there on
        event_index = Signal(INDEX)
        with m.If(~extent.busy):
            m.d.sync += short_waits.eq(0)
        with m.If(step):
            m.d.sync += [
                back.eq(apart),
                event.eq(Mux(crowded, starts, Mux(wrong, wrong_at, length_at))),
                event_index.eq(index_2),
                why.eq(
                    Mux(
                        bad_trailer,
                        Why.END,
                        Mux(wrong, Mux((wrong_at & seen.is_start).any(), Why.START, Why.WRONG), Why.ONCE_MORE),
                    )
                ),
            ]
            with m.If(short):
                m.d.sync += short_waits.eq(1)
        lane = Signal(lane_bits + 1)
        back_index = Signal(INDEX)
        back_lane = Signal(lane_bits)
        m.d.comb += [
            self.back.eq(back),
            packer.back.eq(back),
            packer.back_index.eq(back_index),
            packer.back_lane.eq(back_lane),
            back_lane.eq(lane),
        ]
        with m.Switch(why):
            with m.Case(Why.ONCE_MORE):
                m.d.comb += [lane.eq(lane_of(event) + 1), back_index.eq(event_index + lane[lane_bits])]
            with m.Case(Why.WRONG):
                m.d.comb += [lane.eq(lane_of(event)), back_index.eq(event_index)]
            with m.Case(Why.START):
                m.d.comb += [lane.eq(lane_of(event) - 1), back_index.eq(event_index - lane[lane_bits])]
            with m.Case(Why.END):
                m.d.comb += [lane.eq(extent.end_lane), back_index.eq(extent.end_index)]
        late = Signal()  # a frame without a length follows
        late_lane = Signal(lane_bits)
        m.d.sync += late.eq(0)
        with m.If(back & go):
            m.d.sync += [
                back.eq(0),
                number.eq(number - (number[: len(back_index)] - back_index)[: len(back_index)]),
                late_lane.eq(back_lane),
                late.eq((why == Why.WRONG) | (why == Why.START)),
            ]
            with m.If(why != Why.ONCE_MORE):
                m.d.sync += not_start.eq(Cat((i < len(START) - 1 + back_lane) for i in range(len(not_start))))

        # -- Sum and frame
        total = Signal(8)
        summed = [Mux(sum_lanes[i], self.word_3.data.word_select(i, 8), 0) for i in lanes]
        start_offset = Signal(OFFSET)
        m.d.comb += extent.start.eq(start_offset)
        with m.If(go):
            m.d.sync += total.eq(Mux(structure.start.any(), FIRST_SUM, total) + sum(summed))
            with m.If(structure.start.any()):
                m.d.sync += start_offset.eq((number_3 << lane_bits) + lane_of(structure.start) - (len(START) - 1))
        digits = [Signal(4, name=f"sum_digit_{place}") for place in range(3)]
        for place, digit in enumerate(digits):
            here = Cat(trailer(4 + place)) & seen.new
            with m.If(step & in_body & here.any()):
                values: Any = 0
                for i in lanes:
                    values = values | Mux(here[i], word_2.data.word_select(i, 8)[:4], 0)
                m.d.sync += digit.eq(values)
        hundreds, tens, ones = digits
        claimed = hundreds * 100 + tens * 10 + ones
        is_sum = Signal()
        m.d.comb += is_sum.eq(claimed == total)

        framed = Signal(OFFSET)
        report = Signal()
        said = Signal(Frame)
        said_oversize = Signal()
        partial = Signal(OFFSET)
        m.d.comb += [
            report.eq((go & (ended_3 | ended_badly_3)) | late),
            said.offset.eq(start_offset),
            said.garbled.eq(~(ended_3 & fine_3 & is_sum)),
            said.cycle.eq(cycle_3),
            said.length.eq(Mux(ended_3, extent.length, extent.length - TRAILER_LENGTH)),
            said_oversize.eq(extent.oversize),
            partial.eq((number << lane_bits) + late_lane - start_offset),
        ]
        with m.If(late):
            m.d.comb += said.length.eq(Mux(partial[len(said.length) :].any(), (1 << len(said.length)) - 1, partial))
        second = Signal(Frame)  # one more frame, while the first one waits
        second_oversize = Signal()
        has_second = Signal()
        frame = self.frame
        m.d.sync += waits.eq(frame.valid & ~frame.ready)
        with m.If(report):
            m.d.sync += framed.eq(framed + said.length)
        with m.If(~frame.valid | frame.ready):
            m.d.sync += [
                frame.valid.eq(has_second | report),
                frame.payload.eq(Mux(has_second, second, said)),
                self.oversize.eq(Mux(has_second, second_oversize, said_oversize)),
                has_second.eq(has_second & report),
            ]
        with m.Elif(report):
            m.d.sync += has_second.eq(1)
        with m.If(report):
            m.d.sync += [second.eq(said), second_oversize.eq(said_oversize)]

        # -- Sessions, counts
        context = Context(
            stage=stage,
            not_start=not_start,
            number=number,
            kind_place=kind_place,
            good=good,
            kind_good=kind_good,
            total=total,
            digits=Cat(digits),
            start_offset=start_offset,
            framed=framed,
        )
        settled = Signal()
        clears = Signal()  # the session at hand has a new connection
        at_hand = Signal(Counts)
        m.d.comb += [
            settled.eq(
                ~(
                    packer.word.mask.any()
                    | packer.word.turn
                    | seen.new.any()
                    | word_2.turn
                    | back
                    | late
                    | ended_3
                    | ended_badly_3
                    | frame.valid
                    | has_second
                    | extent.busy
                    | short_waits
                )
            ),
            packer.settled.eq(settled),
            self.quiet.eq(settled & packer.idle),
            self.clear.ready.eq(self.quiet),
            packer.clear.eq(self.clear.valid & self.clear.ready),
            packer.clear_session.eq(self.clear.payload),
            # At a turn the packer is ahead, with the next session's.
            at_hand.bytes.eq(Mux(word_2.turn, packer.left, packer.received)),
            at_hand.framed.eq(framed),
            at_hand.partial.eq(Mux(stage == Stage.HUNT, 0, at_hand.bytes - start_offset)),
        ]
        if shape.sessions == 1:
            m.d.comb += clears.eq(packer.clear)
            m.d.sync += self.counts.eq(at_hand)
        else:
            self._take_turns(m, context, extent, packer, step & word_2.turn, word_2.session, at_hand, clears)
        with m.If(clears):
            m.d.comb += extent.load.eq(1)
            m.d.sync += context.load(context.initial)
        return m

    def _take_turns(
        self,
        m: Module,
        context: Context,
        extent: Extent,
        packer: Packer,
        turn: Value,
        other: Value,
        at_hand: Any,
        clears: Signal,
    ) -> None:
        """Many sessions: what is known of one of them is put away when the next one's turn is at the second stage."""
        sessions = self.shape.sessions
        saved = data.StructLayout({"message": context.layout, "extent": extent.State})
        m.submodules.messages = messages = Table(saved, sessions, lambda session: context.initial)
        m.submodules.counts = counts = Table(Counts, sessions)
        session = Signal(self.shape.session_bits)  # at the second stage
        with m.If(self.go):
            m.d.sync += self.session.eq(session)
        m.d.comb += [
            messages.address.eq(packer.word.session),
            messages.put_entry.message.eq(context.word),
            messages.put_entry.extent.eq(extent.saved),
            messages.put_address.eq(session),
            counts.address.eq(self.counts_session),
            counts.put_address.eq(session),
            counts.put_entry.eq(at_hand),
        ]
        with m.If(turn):
            m.d.comb += [
                messages.put.eq(1),
                counts.put.eq(1),
                extent.load.eq(1),
                extent.loaded.eq(messages.entry.extent),
            ]
            m.d.sync += [context.load(messages.entry.message), session.eq(other)]
        with m.Elif(packer.clear):
            with m.If(self.clear.payload == session):
                m.d.comb += clears.eq(1)
            with m.Else():
                m.d.comb += [
                    messages.put.eq(1),
                    messages.put_address.eq(self.clear.payload),
                    messages.put_entry.message.eq(context.initial),
                    messages.put_entry.extent.eq(0),
                    counts.put.eq(1),
                    counts.put_address.eq(self.clear.payload),
                    counts.put_entry.eq(0),
                ]
        counted = Signal(self.shape.session_bits)
        m.d.sync += counted.eq(self.counts_session)
        shown = Signal(Counts)
        m.d.sync += shown.eq(at_hand)
        m.d.comb += self.counts.eq(Mux(counted == session, shown, counts.entry))
