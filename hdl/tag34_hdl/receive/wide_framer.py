"""Framer of several bytes per cycle (F1 to F6)."""

from __future__ import annotations

from typing import Any

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..layouts import CYCLE, LENGTH, OFFSET, Frame, Shape
from ..session.table import Context, Sweep, Table
from ..vectors import from_first, pick, up, wire
from .checksum import START_SUM, reads_as
from .extent import Extent
from .framer import START, TRAILER_LENGTH, Counts
from .lanes import below, first_of, lane_of, window
from .packer import INDEX, Packer
from .patterns import Patterns
from .tally import Total

#: What every message's sum begins with: 8=FIX, and the SOH that closes the body.
FIRST_SUM = (START_SUM + 1) % 256


class Stage(enum.Enum, shape=4):
    """Where the search for messages is: a bit for each, as each is asked for late."""

    HUNT = 1  #: between messages
    BEGIN = 2  #: in BeginString
    LENGTH = 4  #: behind BeginString's SOH
    BODY = 8  #: in body or trailer


class WideFramer(wiring.Component):
    """Finds messages, checks BodyLength and CheckSum, says where they are in each piece of a word.

    The counterpart of :class:`~tag34_hdl.receive.framer.Framer` for more than one byte per cycle; the corners are those
    of docs/decisions/0001. One cycle is one piece: patterns have been looked for in all lanes at once, and it is only
    decided which of them count. What cannot be decided so, because it is too near to something else or because it
    goes wrong, is rare: there the words are shown once more from the place in question.

    Stages (a beat taken in cycle t): the piece in ``word`` (t + 1), what is seen in it (t + 2), ``word_3`` and
    ``structure`` (t + 3), ``frame`` (t + 4).

    Parameters: ``shape``, of width 2 or more; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        rx: the connections' bytes.
        stall: the pipeline may not move in the next cycle.
        hold: take no more from the next cycle on; ``quiet``: nothing is under way and no frame waits.
        go: the pipeline moves. ``go_too``: the same, for others; not in the first cycle of all, when nothing is in it.
        word: the piece at the first stage. ``back``: the pieces at the first two stages, and what was shown of
            the one behind them and is not in ``structure``, will come once more.
        word_3, structure: the piece at the third stage. ``full`` is set if it is done with.
        session: whose pieces are at the third stage.
        oversize: of the message in ``frame`` (F5).
        frame: one transfer per message, garbled ones included.
        clear: a new connection of a session; ready when quiet (F6), in the second cycle at the earliest. Bytes are
            taken again in the second cycle behind it.
        cycle: the device's cycle counter.
        counts_session, counts: counts of a session, two cycles later; what has just changed shows some cycles later.

    Latency: last byte taken to ``frame`` valid, four cycles; five if it stands in the second word that its beat reaches
        into and no beat follows. Throughput: one beat per cycle as long as frames are taken at once, but for a
        session's turn, a BodyLength below 40 or with leading zeros, a BeginString of four characters or less, and
        what is garbled.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        session = unsigned(shape.session_bits)
        super().__init__(
            {
                "rx": In(stream.Signature(shape.beat)),
                "stall": In(1),
                "hold": In(1),
                "quiet": Out(1),
                "go": Out(1),
                "go_too": Out(1),
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
        everywhere = C(-1, width)
        logic = m.submodules.logic = Module()
        m.submodules.packer = packer = Packer(shape, self._sweep)
        m.submodules.extent = extent = Extent(shape)

        # -- The first two stages
        # Nearly all asks whether the pipeline moves. Three registers say so: the framer's own is the contrary, and two
        # are for others. They differ in how they begin, or synthesis would have one. So it is with going back, of which
        # the packer is told by `onward`.
        goes = Signal(init=1)
        goes_too = Signal()
        stops = Signal()
        go = ~stops
        back = Signal()
        onward = Signal(init=1)
        word_2 = Signal(shape.word)
        passes_2 = Signal()  # it is the last piece of a word, and not one for those who look back
        index_2 = Signal(INDEX)
        cycle_2 = Signal(CYCLE)
        patterns = Patterns(m, width, go, packer.word, packer.classes)
        seen = patterns.seen
        connect(m, flipped(self.rx), packer.rx)
        m.d.comb += [
            self.go.eq(goes),
            self.go_too.eq(goes_too),
            packer.go.eq(go),
            packer.cycle.eq(self.cycle),
            self.word.eq(packer.word),
        ]
        with m.If(go):
            m.d.sync += [
                word_2.eq(packer.word),
                passes_2.eq(packer.word.full & ~packer.context),
                index_2.eq(packer.index),
                cycle_2.eq(packer.taken),
            ]
        with m.If(go & back):
            m.d.sync += [seen.eq(0), passes_2.eq(0)]

        # -- The decision. What has to be looked at apart is known last. So all goes on as if there were nothing, and is
        # put right when the words are shown once more; what is said of the piece is exact.
        stage = Signal(Stage, init=Stage.HUNT)
        hunts, begins, in_length, in_body = stage.as_value()
        # Lanes in which the X of a start may not be yet.
        not_start = Signal(width + len(START) - 1, init=(1 << len(START) - 1) - 1)
        number = Signal(OFFSET)  # of the word at hand
        short_waits = Signal()  # until it is known where a short body ends
        step = Signal()
        passes = Signal()  # the word at hand is passed
        m.d.comb += [step.eq(go & ~back), passes.eq(step & passes_2)]

        def trailer(place: int) -> Value:
            """Lanes with byte ``place`` of the trailer (from 1 on; 0: the last one of the body)."""
            return window(extent.mark, width, place)

        at_end = trailer(0)

        # A mark is in a word, or was, from when the body's end is until the message's end is passed. Lanes behind the
        # end are new only if the end is, or has been, and then no message is under way.
        bad_trailer = Signal()
        ends = Signal()
        body_ends = Signal()
        m.d.comb += [
            bad_trailer.eq(in_body & (extent.mark & seen.spoils).any()),
            ends.eq(in_body & (trailer(TRAILER_LENGTH) & seen.new).any()),
            body_ends.eq(in_body & (at_end & seen.new).any()),
        ]
        candidates = Signal(width)  # starts, if the trailer is good; of two the first one counts
        starts = Signal(width)
        found = Signal()
        crowded = Signal()
        may_start = Mux(hunts, everywhere, Mux(in_body, extent.behind, 0))
        first = Signal(width)
        m.d.comb += [
            candidates.eq(seen.start & ~not_start & may_start),
            first.eq(first_of(logic, candidates, len(START))),
            starts.eq(Mux(bad_trailer, 0, first)),
            found.eq(candidates.any() & ~bad_trailer),
            # What follows the first one is no better for the second one.
            crowded.eq((candidates & seen.crowded).any() & ~bad_trailer),
        ]

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

        # -- What is said of the piece
        structure = self.structure
        cut = up(from_first(logic, length_at & seen.short), 1)  # behind such a field 9
        tail = Signal(width)
        sum_lanes = Signal(width)  # at the third stage
        word_3 = Signal(shape.word)
        full_3 = Signal()
        ended_3 = Signal()
        ended_badly_3 = Signal()
        fine_3 = Signal()  # what has ended is well formed
        cycle_3 = Signal(CYCLE)
        number_3 = Signal(OFFSET)
        since_x = Signal(width)
        m.d.comb += since_x.eq(from_first(logic, first))
        after_start = up(since_x, 1)
        from_start = Cat(since_x, since_x[-1].replicate(len(START) - 1))[len(START) - 1 :]
        goes_on = wire(logic, ~Mux(hunts, everywhere, 0) & ~cut, "goes_on")
        m.d.comb += tail.eq(seen.new & goes_on & ~Mux(in_body, extent.behind, 0))
        with m.If(go):
            m.d.sync += [
                word_3.eq(word_2),
                word_3.turn.eq(word_2.turn & ~back),
                cycle_3.eq(cycle_2),
                number_3.eq(number),
                structure.starts.eq(found & ~back),
                structure.start.eq(Mux(back, 0, starts)),
                structure.tail.eq(Mux(back, 0, tail)),
                structure.head.eq(Mux(back | bad_trailer, 0, seen.new & from_start & ~Mux(crowded, after_start, 0))),
                structure.body_end.eq(step & body_ends),
                sum_lanes.eq(
                    seen.new
                    & Mux(
                        back,
                        0,
                        (goes_on & ~Mux(in_body, extent.beyond, 0)) | Mux(crowded | bad_trailer, 0, after_start),
                    )
                ),
                ended_3.eq(step & ends & ~bad_trailer),
                ended_badly_3.eq(step & bad_trailer),
            ]

        # -- Going on
        kind_place = Signal(width + 3)  # lane of the = of 35=, relative to the word at hand
        kind_now = Signal(width + 3)
        m.d.comb += kind_now.eq(kind_place | (length_at << 3))
        good = Signal()  # the body is closed by SOH, as far as is known
        kind_good = Signal()  # it begins with 35=
        good_now, kind_good_now = Signal(), Signal()
        m.d.comb += [
            good_now.eq(good & ~(in_body & (at_end & seen.new & ~seen.soh).any())),
            kind_good_now.eq(kind_good | (kind_now[:width] & seen.type_tag).any()),
        ]
        leaves, closed = Signal(), Signal()
        m.d.comb += [
            leaves.eq(hunts | ends),
            closed.eq((candidates & seen.closed).any() & ~bad_trailer),
        ]
        fields_8 = begins & ~seen.soh.any()
        decided = has_length | wrong
        with m.If(step):
            m.d.sync += [
                stage.as_value().eq(
                    Cat(
                        (leaves & ~found) | wrong | bad_trailer,
                        (leaves & found & ~closed) | (fields_8 & ~decided),
                        (leaves & closed) | ((in_length | (begins & ~fields_8)) & ~decided),
                        (in_body & ~ends & ~bad_trailer) | has_length,
                    )
                ),
                good.eq(good_now | found),
                kind_good.eq(kind_good_now & ~found),
                fine_3.eq(good_now & kind_good_now),
                kind_place.eq(Mux(passes_2, kind_now >> width, kind_now)),
            ]
        with m.If(passes):
            m.d.sync += [number.eq(number + 1), not_start.eq(not_start >> width)]

        # -- Going back: what was wrong is said, then the words come once more from there on
        event = Signal(width)  # the lane that it is about
        event_index = Signal(INDEX)
        # Why: what follows the lane has to be looked at apart; it proves that there is no usable BodyLength, and that
        # the byte before it may begin a message; or, with none of these, the trailer is bad.
        once_more, is_wrong, is_start, is_short = Signal(), Signal(), Signal(), Signal()
        with m.If(~extent.busy):
            m.d.sync += short_waits.eq(0)
        turns = crowded | short | wrong | bad_trailer
        at = first | length_at | wrong_at
        # Is something of the word left, to come once more? Behind a short BodyLength in its last lane nothing is. (What
        # makes the words come once more belongs to different stages of the search, so `at` is the one lane.)
        left = crowded | wrong | bad_trailer | (short & ~at[width - 1])
        with m.If(go):
            m.d.sync += full_3.eq(passes & ~left)
        with m.If(step):
            m.d.sync += [
                back.eq(turns),
                onward.eq(~turns),
                event.eq(at),
                event_index.eq(index_2),
                once_more.eq(crowded | short),
                is_wrong.eq(wrong),
                is_start.eq((wrong_at & seen.is_start).any()),
                is_short.eq(short),
            ]
            with m.If(short):
                m.d.sync += short_waits.eq(1)
        m.d.comb += [self.word_3.eq(word_3), self.word_3.full.eq(full_3)]
        # The place is worked out in one cycle, how far it is in the next one; then it is known what was no message.
        goes_back = Signal(3)
        leaves_wrong = Signal(3)
        back_by = Signal(INDEX)
        back_index = Signal(INDEX)
        back_lane = Signal(lane_bits)
        back_far = Signal()  # to a place in front of which nothing is looked at once more
        late = Signal()  # a frame without a length follows
        lane = Signal(lane_bits + 1)
        with m.If(once_more):
            m.d.comb += lane.eq(lane_of(event) + 1)
        with m.Else():
            m.d.comb += lane.eq(lane_of(event) - is_start)
        m.d.sync += [
            goes_back.eq(Cat(back & go, goes_back)),
            leaves_wrong.eq(Cat(is_wrong, leaves_wrong)),
            late.eq(goes_back[2] & leaves_wrong[2]),
            back_by.eq(number[: len(back_index)] - back_index),
        ]
        with m.If(back & go):
            m.d.sync += [
                back.eq(0),
                onward.eq(1),
                back_far.eq(~once_more),
                back_lane.eq(Mux(once_more | is_wrong, lane, extent.end_lane)),
                kind_place.eq(Mux(is_short, Mux(event[width - 1], 1 << 2, event << 3), 0)),
            ]
            with m.If(once_more):
                m.d.sync += back_index.eq(event_index + lane[lane_bits])
            with m.Elif(is_wrong):
                m.d.sync += back_index.eq(event_index - lane[lane_bits])
            with m.Else():
                m.d.sync += back_index.eq(extent.end_index)
        with m.If(goes_back[1]):
            m.d.sync += number.eq(number - back_by)
        with m.If(goes_back[0]):
            with m.If(back_far):
                m.d.sync += not_start.eq(Cat(C(-1, len(START) - 1), below(logic, back_lane, width)))
        # A register: who says so is far away.
        closed = Signal()
        m.d.sync += closed.eq(self.hold | self.clear.valid)
        m.d.comb += [
            self.back.eq(back),
            packer.back.eq(~onward),
            packer.back_index.eq(back_index),
            packer.back_lane.eq(back_lane),
            packer.hold.eq(short_waits),
            packer.closed.eq(closed),
        ]

        # -- Where the body ends
        length_3 = Signal(width)
        number_1, passed_1 = Signal.like(number), Signal()  # a cycle later, whether the pipeline moves or not
        index_3 = Signal(INDEX)
        m.d.sync += [length_3.eq(length_at), number_1.eq(number), passed_1.eq(passes), index_3.eq(index_2)]
        m.d.comb += [
            extent.begin.eq(step & has_length),
            extent.passes.eq(passes),
            extent.lane.eq(length_3),
            extent.index.eq(index_3),
            extent.number.eq(number_1),
            extent.passed.eq(passed_1 & (~back | event[width - 1])),
            *(extent.digits[i].eq(digit) for i, digit in enumerate(patterns.length_digits(length_3))),
        ]

        # -- Sum and frame
        # Two lanes are added up before it is known which of them count, and pairs that are far from each other have a
        # sum each: they meet when all is summed.
        totals = [Signal(8, name=f"total_{i}") for i in range(max(1, width // 4))]
        pairs = [Signal(8, name=f"pair_{i}") for i in range(width // 2)]
        octets = [word_3.data.word_select(i, 8) for i in range(width)]
        with m.If(go):
            for i, pair in enumerate(pairs):
                m.d.sync += pair.eq(word_2.data.word_select(2 * i, 8) + word_2.data.word_select(2 * i + 1, 8))
        summed: list[Value] = [
            Mux(
                sum_lanes[2 * i + 1],
                Mux(sum_lanes[2 * i], pair, octets[2 * i + 1]),
                Mux(sum_lanes[2 * i], octets[2 * i], 0),
            )
            for i, pair in enumerate(pairs)
        ]
        start_offset = Signal(OFFSET)
        m.d.comb += extent.start.eq(start_offset)
        with m.If(go):
            for i, total in enumerate(totals):
                before = Mux(structure.starts, 0 if i else FIRST_SUM, total)
                m.d.sync += total.eq(before + sum(summed[i :: len(totals)], C(0, 1)))
            with m.If(structure.starts):
                m.d.sync += start_offset.eq((number_3 << lane_bits) + lane_of(structure.start) - (len(START) - 1))
        digits = [Signal(4, name=f"sum_digit_{place}") for place in range(3)]
        for place, digit in enumerate(digits):
            here = wire(logic, trailer(4 + place) & seen.new)
            with m.If(step & in_body & here.any()):
                m.d.sync += digit.eq(pick(logic, here, word_2.data))
        is_sum = Signal()
        m.d.comb += is_sum.eq(reads_as(digits, totals))

        framed = Signal(OFFSET)
        report = Signal()
        said = Signal(Frame)
        said_oversize = Signal()
        partial = Signal(OFFSET)  # bytes of what was no message
        m.d.sync += partial.eq((number << lane_bits) + back_lane - start_offset)
        m.d.comb += [
            report.eq((go & (ended_3 | ended_badly_3)) | late),
            said.offset.eq(start_offset),
            said.garbled.eq(~(ended_3 & fine_3 & is_sum)),
            said.cycle.eq(cycle_3),
            said.length.eq(Mux(ended_3, extent.length, extent.length - TRAILER_LENGTH)),
            said_oversize.eq(extent.oversize),
        ]
        with m.If(late):
            m.d.comb += said.length.eq(Mux(partial[len(said.length) :].any(), (1 << len(said.length)) - 1, partial))
        # Two places for frames that wait. Who takes one says so late: it decides which is shown next, and nothing of
        # what is in them.
        frame = self.frame
        places = [Signal(Frame, name=f"frame_{place}") for place in range(2)]
        oversizes = [Signal(name=f"oversize_{place}") for place in range(2)]
        puts, shows = Signal(), Signal()
        has_second = Signal()
        for place in range(2):
            with m.If(report & (puts == place)):
                m.d.sync += [places[place].eq(said), oversizes[place].eq(said_oversize)]
        with m.If(report):
            m.d.sync += puts.eq(~puts)
        with m.If(frame.valid & frame.ready):
            m.d.sync += [shows.eq(~shows), frame.valid.eq(has_second | report), has_second.eq(has_second & report)]
        with m.Elif(report):
            m.d.sync += [frame.valid.eq(1), has_second.eq(frame.valid)]
        m.d.comb += [
            frame.payload.eq(Mux(shows, places[1], places[0])),
            self.oversize.eq(Mux(shows, oversizes[1], oversizes[0])),
        ]
        # A frame that nobody took stops the pipeline.
        waits = self.stall | (frame.valid & ~frame.ready)
        m.d.sync += [goes.eq(~waits), goes_too.eq(~waits), stops.eq(waits)]
        more_framed = Signal(len(said.length))
        m.d.sync += more_framed.eq(Mux(report, said.length, 0))
        if shape.sessions == 1:
            m.d.sync += framed.eq(framed + more_framed)

        # -- Sessions, counts
        context = Context(
            stage=stage,
            not_start=not_start,
            number=number,
            kind_place=kind_place,
            good=good,
            kind_good=kind_good,
            totals=Cat(totals),
            digits=Cat(digits),
            start_offset=start_offset,
            **({"framed": framed} if shape.sessions == 1 else {}),
        )
        settled = Signal()
        was_quiet = Signal()
        m.d.sync += was_quiet.eq(settled & packer.idle)
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
                    | goes_back.any()
                    | late
                    | more_framed.any()
                    | ended_3
                    | ended_badly_3
                    | frame.valid
                    | has_second
                    | extent.busy
                    | short_waits
                )
            ),
            packer.settled.eq(settled),
            # Nothing comes into an empty pipeline but what is taken.
            self.quiet.eq(was_quiet & ~packer.takes),
            self.clear.ready.eq(was_quiet & closed),
            packer.clear.eq(self.clear.valid & self.clear.ready),
            packer.clear_session.eq(self.clear.payload),
            # At a turn the packer is ahead, with the next session's.
            at_hand.bytes.eq(Mux(word_2.turn, packer.left, packer.received)),
            at_hand.framed.eq(framed),
            at_hand.partial.eq(Mux(hunts, 0, at_hand.bytes - start_offset)),
        ]
        if shape.sessions == 1:
            m.d.comb += clears.eq(packer.clear)
            m.d.sync += self.counts.eq(at_hand)
        else:
            mixed = packer.word.turn | word_2.turn  # what was received is not yet that of the session at hand
            turn = step & word_2.turn
            self._take_turns(m, context, extent, packer, turn, word_2.session, at_hand, mixed, more_framed, clears)
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
        mixed: Value,
        more_framed: Signal,
        clears: Signal,
    ) -> None:
        """Many sessions: what is known of one of them is put away when the next one's turn is at the second stage."""
        sessions = self.shape.sessions
        saved = data.StructLayout({"message": context.layout, "extent": extent.State})
        m.submodules.messages = messages = Table(saved, sessions, sweep=self._sweep)
        received = data.StructLayout({"bytes": OFFSET, "partial": LENGTH})
        m.submodules.received = counts = Table(received, sessions, host=True, sweep=self._sweep)
        m.submodules.framed = framed = Total(self.shape, self._sweep)
        session = Signal(self.shape.session_bits)  # at the second stage
        # What has been received is written all the time, but for the cycles in which the host reads it.
        flushed = Signal()
        flush = Signal()
        m.d.comb += flush.eq(~flushed & ~mixed)
        m.d.sync += flushed.eq(flush)
        with m.If(self.go):
            m.d.sync += self.session.eq(session)
        m.d.comb += [
            messages.address.eq(packer.word.session),
            messages.put_entry.message.eq(context.word),
            messages.put_entry.extent.eq(extent.saved),
            messages.put_address.eq(session),
            counts.address.eq(self.counts_session),
            counts.put.eq(flush | turn | packer.clear),
            counts.put_address.eq(Mux(packer.clear, self.clear.payload, session)),
            counts.put_entry.bytes.eq(at_hand.bytes),
            counts.put_entry.partial.eq(at_hand.partial),
            counts.forget.eq(packer.clear),
            framed.next_session.eq(Mux(turn, other, session)),
            framed.session.eq(session),
            framed.add.eq(more_framed.any()),
            framed.amount.eq(more_framed),
            framed.forget.eq(packer.clear),
            framed.forget_session.eq(self.clear.payload),
            framed.host_session.eq(self.counts_session),
            self.counts.framed.eq(framed.total),
        ]
        m.d.sync += [self.counts.bytes.eq(counts.entry.bytes), self.counts.partial.eq(counts.entry.partial)]
        with m.If(~counts.known):
            m.d.sync += [self.counts.bytes.eq(0), self.counts.partial.eq(0)]
        with m.If(turn):
            m.d.comb += [
                messages.put.eq(1),
                extent.load.eq(1),
                extent.loaded.eq(Mux(messages.known, messages.entry.extent, 0)),
            ]
            m.d.sync += session.eq(other)
        with m.Elif(packer.clear):
            with m.If(self.clear.payload == session):
                m.d.comb += clears.eq(1)
            with m.Else():
                m.d.comb += [
                    messages.put.eq(1),
                    messages.put_address.eq(self.clear.payload),
                    messages.forget.eq(1),
                ]
        context.take_up(m, turn, messages.entry.message, messages.known)
