"""Fields of two, four or eight bytes per cycle: the same rules as :mod:`.fields` (F2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tag34 import contract

from ..layouts import Shape
from ..session.table import Context, Sweep, Table
from ..vectors import any_of, from_first, pick, planes, up, wire
from .fields import BEGIN_STRING, OURS, THEIRS
from .lanes import Bytes, Row, behind, first_of, lane_of, window
from .tags import BYTES, CLASS_BITS, CLASSES, LONGEST, PAIRS, Lanes, classify, ends_header
from .wide_data import DataBody
from .wide_ident import Piece, WideIdent
from .wide_number import WideNumber

#: Cycles from what the host writes of an ident until it is at hand.
FETCH = 6
#: Lanes between the same place of two fields, at least: ``43=|43=``.
APART = 4
#: Tags whose value may be Y, and what they set.
FLAGS = {"43": "possdup", "97": "possresend", "123": "gap_fill", "141": "reset_seq_num"}
#: Values of 35 that act, and what they set.
TYPES = {"A": "is_logon", "4": "is_sequence_reset", "2": "is_resend_request"}


def place_of(lanes: Value) -> Value:
    """The lane behind a single bit in ``lanes``, modulo their number."""
    return lane_of(lanes.rotate_left(1))


def named(signals: Sequence[Signal]) -> dict[str, Signal]:
    """Signals by their names, which are all different."""
    result = {signal.name: signal for signal in signals}
    assert len(result) == len(signals), "two have the same name"
    return result


class WideFields(wiring.Component):
    """Reads the fields of a message as its words go by.

    Words pass three stages. On the way from the first to the third one bytes become classes, and words like ``|34=``,
    wherever they begin, become bits in the lane of their ``=``; what a bit means for the message is decided at the
    third stage, where the framer says what the lanes belong to. Stages advance with ``go``; what has left the third one
    is finished without it.

    What a message was found to say stays until the next one has begun and this one has been dealt with. So a start
    resets what the scanner looks for at once, what it has found (``pending``) one cycle later or with ``done``. Of the
    words in between only one can hold anything of the new message, and of this only the beginning of BeginString or
    the value of 35, which are kept aside (``early``).

    Behind a length field in a body of 35=A or 35=4 (decision 2) the rest of the message is read byte by byte
    (:class:`~.wide_data.DataBody`), and the pipeline waits.

    Parameters: ``shape``; its width is 2, 4 or 8; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        go: the words advance. It has to be 0 in the cycle after one with ``stall``.
        word: at stage 1. Behind a turn and one more piece come the session's last words, for those who look back.
        back: what is at stages 1 and 2, and in the piece at stage 3 stands behind a start or the end of field 9, comes
            once more; nothing else that is looked for is in that piece.
        full: the word at stage 3 is done with.
        starts: a message begins, start: the lane with the X of its ``8=FIX``; body_end: the last byte of the body is in
            this piece. All belong to the word at stage 3.
        done: the message has been dealt with; seen in ``complete`` and ``settled`` two cycles later.
        ident_address, ident_data, ident_write: the host writes an ident's byte.
        fields: what was found; final when ``complete``, but for ``mirror``: a cycle later, or with ``complete`` if the
            trailer ends in the body's last piece. ``mirror`` is 1 until a difference is seen, or that 49 or 56 is
            missing.
        session: whose message it is.
        complete: the message's last body byte is in, and nobody has said ``done`` since.
        settled: 34 has been closed, or the message is complete; nobody has said ``done`` since.
        changed: ``fields`` may change with this cycle, apart from ``mirror``.
        stall: ask for ``go`` to be 0 in the next cycle.

    Latency: from stage 3 to ``fields`` and ``complete``, one cycle; one more if 34 or 36 is closed in another lane than
    the first one, and for ``complete`` too if that is in the body's last piece: the trailer then ends in a later one.
    Stalls: in data bodies alone, two cycles per piece and one for each of its bytes.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        if shape.width == 1:
            raise ValueError("width must be 2, 4 or 8, not 1")
        self.shape = shape
        self._sweep = sweep
        super().__init__(
            {
                "go": In(1),
                "word": In(shape.word),
                "back": In(1),
                "full": In(1),
                "starts": In(1),
                "start": In(shape.width),
                "body_end": In(1),
                "done": In(1),
                "ident_address": In(shape.ident_bits),
                "ident_data": In(8),
                "ident_write": In(1),
                "fields": Out(shape.fields),
                "session": Out(shape.session_bits),
                "complete": Out(1),
                "settled": Out(1),
                "changed": Out(1),
                "stall": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, width, go = self.shape, self.shape.width, self.go
        out = self.fields
        numbers = [WideNumber(shape, "seq", zero_ok=False), WideNumber(shape, "new_seq", zero_ok=True)]
        seq, new_seq = numbers
        begin = WideIdent(shape, "begin", BEGIN_STRING, skip=len("FIX"), abrupt=True)
        ours, theirs = WideIdent(shape, "ours", OURS), WideIdent(shape, "theirs", THEIRS)
        body = DataBody(shape)
        logic = m.submodules.logic = Module()

        # -- Stage 1 to 2: classes; the `=` of 34 and 36, whose values take longest
        raw = [Row(plane, 4, f"raw_{bit}") for bit, plane in enumerate(planes(logic, self.word.data, 8))]
        octets = Bytes(logic, [row.all for row in raw])
        holds = {symbol: wire(logic, octets.hold(byte), f"raw_{symbol}") for symbol, byte in BYTES.items()}
        symbols = Lanes(logic, "raw", width, holds)
        word_2 = Signal(shape.word)
        classes_2 = [Signal(width, name=f"classes_2_{bit}") for bit in range(CLASS_BITS)]
        marks_2 = {symbol: Signal(width, name=f"marks_2_{symbol}") for symbol in CLASSES}  # the same by symbols
        digits_2, sohs_2 = Signal(width), Signal(width)
        equals_2 = {tag: Signal(width, name=f"equals_{tag}") for tag in ("34", "36", "49", "56")}
        with m.If(go):
            m.d.sync += [
                word_2.eq(self.word),
                word_2.mask.eq(Mux(self.back, 0, self.word.mask)),
                word_2.full.eq(self.word.full & ~self.back),
            ]
            classes = classify(octets.digits, [row.all for row in raw[:CLASS_BITS]], holds)
            m.d.sync += [bit.eq(window(value, width, 0)) for bit, value in zip(classes_2, classes, strict=True)]
            m.d.sync += [mark.eq(symbols.has(symbol)) for symbol, mark in marks_2.items()]
            m.d.sync += [digits_2.eq(window(octets.digits, width, 0)), sohs_2.eq(symbols.has("|"))]
            for tag, equals in equals_2.items():
                found = symbols.spell(f"|{tag}=")
                if tag != "36":  # Behind an empty field nothing is of the header.
                    found &= ~symbols.has("|", 4)
                m.d.sync += equals.eq(found)
            with m.If(self.word.full):
                m.d.sync += [row.go_on() for row in raw]

        # -- Stage 2 to 3: words
        marks = {symbol: Row(mark, LONGEST + 1, f"lanes_{symbol}") for symbol, mark in marks_2.items()}
        lanes = Lanes(logic, "lanes", width, {symbol: row.all for symbol, row in marks.items()})
        mask_2 = Signal(width)
        full_2 = Signal()
        m.d.comb += [mask_2.eq(Mux(self.back, 0, word_2.mask)), full_2.eq(word_2.full & ~self.back)]
        word_3 = Signal(shape.word)
        classes_3 = [Signal(width, name=f"classes_3_{bit}") for bit in range(CLASS_BITS)]
        sohs_3 = Signal(width)
        unlike_header = Signal(width)
        found_flags = {tag: Signal(width, name=f"flag_{tag}") for tag in FLAGS}
        yes = {tag: Signal(width, name=f"yes_{tag}") for tag in FLAGS}
        type_equals = Signal(width)
        type_ends = {symbol: Signal(width, name=f"type_{symbol}") for symbol in TYPES}
        # Lanes from so many characters behind a lane up to it are no SOH.
        reaches = [Signal(width, name=f"reach_{place}") for place in range(contract.MSG_TYPE_BYTES)]
        lengths = Signal(width)
        length_tags = [Signal(width, name=f"length_tag_{length}") for length, _ in PAIRS]
        with m.If(go):
            m.d.sync += [
                word_3.eq(word_2),
                word_3.mask.eq(mask_2),
                word_3.full.eq(full_2),
                *(after.eq(bit) for after, bit in zip(classes_3, classes_2, strict=True)),
                sohs_3.eq(sohs_2),
                unlike_header.eq(ends_header(lanes) & mask_2),
                # The first one in the word: one in an earlier word has been found already.
                type_equals.eq(first_of(logic, lanes.spell("|35="), APART)),
            ]
            for tag in FLAGS:
                # Two lanes behind `=`, where a value that is Y has its SOH.
                seen = lanes.spell(f"|{tag}=??")
                m.d.sync += [
                    found_flags[tag].eq(seen & mask_2),
                    yes[tag].eq(lanes.spell("Y|") & first_of(logic, seen, APART) & mask_2),
                ]
            for symbol, lanes_of in type_ends.items():
                m.d.sync += lanes_of.eq(lanes.spell(f"|35={symbol}|") & mask_2)
            for place, reach in enumerate(reaches):
                m.d.sync += reach.eq(~any_of(lanes.has("|", back) for back in range(place + 1)) & mask_2)
            tags_of = [lanes.spell(f"|{length}=") for length, _ in PAIRS]
            m.d.sync += [signal.eq(tags) for signal, tags in zip(length_tags, tags_of, strict=True)]
            m.d.sync += lengths.eq(any_of(tags_of) & mask_2)
            with m.If(full_2):
                m.d.sync += [row.go_on() for row in marks.values()]
        nibbles = Signal(4 * width)
        m.d.comb += nibbles.eq(Cat(word_2.data.word_select(lane, 8)[:4] for lane in range(width)))
        for tag, number in zip(("34", "36"), numbers, strict=True):
            number.decode(m, go, equals_2[tag], nibbles, digits_2, sohs_2, mask_2, mask_2[width - 1])
        with m.If(go & self.back):
            m.d.sync += [number.run.eq(0) for number in numbers]
        idents_3 = {"49": theirs, "56": ours}
        ident_runs, ident_begins, ident_ends, ident_pieces = {}, {}, {}, {}
        for tag in idents_3:
            # Of two values in a word the first one counts: what goes on, or what begins first.
            ident_runs[tag] = run = Signal(name=f"run_{tag}")
            ident_begins[tag] = Signal(width, name=f"begins_{tag}")
            ident_ends[tag] = Signal(name=f"ends_{tag}")
            ident_pieces[tag] = piece = Piece(
                valid=go,
                data=word_3.data,
                full=self.full,
                compared=Signal(width, name=f"compared_{tag}"),
                begins=Signal(name=f"has_{tag}"),
                turn=Signal(range(width), name=f"place_{tag}"),
                goes_on=Signal(name=f"goes_on_{tag}"),
            )
            first = Signal(width, name=f"first_{tag}")
            from_lanes = Signal(width, name=f"from_{tag}")
            member = Signal(width + 1, name=f"member_{tag}")
            m.d.comb += [
                first.eq(first_of(logic, equals_2[tag], APART)),
                from_lanes.eq(Mux(run, 0, first)),
                member.eq(behind(logic, from_lanes, sohs_2, run)),
            ]
            with m.If(go):
                m.d.sync += [
                    ident_begins[tag].eq(from_lanes & mask_2),
                    ident_ends[tag].eq((member[:width] & sohs_2 & mask_2).any()),
                    piece.compared.eq(member[:width] & mask_2),
                    piece.begins.eq(~run & equals_2[tag].any()),
                    piece.turn.eq(place_of(first)),
                    piece.goes_on.eq(member[width] & ~from_lanes[width - 1]),
                ]
                with m.If(mask_2[width - 1]):
                    m.d.sync += run.eq(member[width])
                with m.If(self.back):
                    m.d.sync += run.eq(0)

        # -- Stage 3: what the message is about
        mask, full, sohs = word_3.mask, self.full, sohs_3
        active = Signal()  # in a message, before the end of its body
        in_header = Signal()
        is_data_body = Signal()
        typed = Signal()
        found_35 = Signal()
        sought = {tag: Signal(name=f"sought_{tag}", init=1) for tag in ("34", "36", "49", "56", *FLAGS)}
        live = {tag: Signal(name=f"live_{tag}") for tag in ("34", "36", "49", "56")}  # its value goes on
        pending = Signal()  # a message has begun, what was found is still the one's before
        older = Signal()  # since so long that this one has been dealt with if the pipeline goes on
        done = Signal()  # a register: who says so is far away
        m.d.sync += done.eq(self.done)
        starts = self.starts
        reads = Signal()  # the piece is of the message under way
        takes = Signal()  # what the piece holds is taken over
        reset = Signal()
        m.d.comb += [
            reads.eq(go & active & ~starts & ~self.back),
            reset.eq(pending & (~self.complete | done | (older & go))),
            takes.eq(reads & (~pending | older | ~self.complete)),
        ]
        header_to = Signal(width)  # the header goes on to these lanes
        wide_to = Signal(width)  # no length field of a data body up to these lanes
        may_enter, enters = Signal(), Signal()
        fetches = Signal()  # what the host has written of an ident comes to hand
        since_length = Signal(width)
        m.d.comb += [
            since_length.eq(from_first(logic, lengths)),
            header_to.eq(Mux(in_header, ~from_first(logic, unlike_header), 0)),
            may_enter.eq(active & ~starts & ~is_data_body & ~(typed & ~out.is_logon & ~out.is_sequence_reset)),
            enters.eq(go & ~self.back & may_enter & lengths.any()),
            wide_to.eq(Mux(is_data_body, 0, ~since_length)),
            self.stall.eq(enters | (is_data_body & (body.busy | go)) | fetches),
        ]

        # What was found of the message before goes; what is found below stays.
        msg_type = Signal(8 * contract.MSG_TYPE_BYTES)
        types = Signal(len(TYPES))
        early_type = Signal.like(msg_type)
        early_types = Signal.like(types)
        flags = {tag: Signal(name=f"is_{name}") for tag, name in FLAGS.items()}
        differs_8, differs_8_early = Signal(name="differs_8"), Signal(name="differs_8_early")
        differs = {tag: Signal(name=f"differs_{tag}") for tag in ("49", "56")}
        present = {tag: Signal(name=f"present_{tag}") for tag in ("49", "56")}
        settled = Signal()
        # What is found may become another one, or all of it goes. What is not so costs a preparation.
        changes = Signal()
        late_end = Signal()
        early_end = Signal()
        m.d.sync += [late_end.eq(0), older.eq(pending)]
        missing = Signal()  # 49 or 56 is, if the message is complete; final as soon as the frame can come
        ends = go & active & self.body_end & ~starts
        m.d.sync += missing.eq((self.complete | late_end | ends) & ~(present["49"] & present["56"]))
        with m.If(done):
            m.d.sync += [self.complete.eq(0), settled.eq(0)]
        with m.If(reset):
            m.d.comb += changes.eq(1)
            m.d.sync += [
                *(pending.eq(0), settled.eq(0), self.complete.eq(early_end), missing.eq(early_end)),
                *(msg_type.eq(early_type), types.eq(early_types), seq.legal.eq(0), new_seq.legal.eq(0)),
                *(flag.eq(0) for flag in flags.values()),
                *(
                    differs_8.eq(differs_8_early),
                    *(flag.eq(0) for flag in (*differs.values(), *present.values())),
                ),
            ]
        with m.If(late_end):
            m.d.sync += self.complete.eq(1)

        # 35
        type_marks = Signal(width)  # its `=` was in an earlier piece of this word
        marked = Signal(width)
        type_row = Row(marked, contract.MSG_TYPE_BYTES, "type_marks")
        m.d.comb += marked.eq(type_marks | Mux(found_35, 0, type_equals & mask))
        characters = [type_row.back(1 + place) & reach for place, reach in enumerate(reaches)]
        single = Signal(len(TYPES))
        m.d.comb += single.eq(Cat((type_row.back(2) & type_ends[symbol]).any() for symbol in TYPES))
        with m.If(reads):
            with m.If((type_equals & mask).any()):
                m.d.sync += found_35.eq(1)
            with m.If(full):
                m.d.sync += [type_row.go_on(), type_marks.eq(0)]
            with m.Else():
                m.d.sync += type_marks.eq(marked)
            for place, which in enumerate(characters):
                letter = pick(logic, which, word_3.data)
                with m.If(which.any()):
                    with m.If(pending & ~reset):
                        m.d.sync += early_type.word_select(place, 8).eq(letter)
                    with m.Else():
                        m.d.sync += msg_type.word_select(place, 8).eq(letter)
            with m.If((type_row.back(2) & mask).any()):
                m.d.sync += typed.eq(1)
            with m.If(single.any()):
                with m.If(pending & ~reset):
                    m.d.sync += early_types.eq(single)
                with m.Else():
                    m.d.sync += types.eq(single)
        m.d.comb += [out.msg_type.eq(msg_type)]
        m.d.comb += [out[name].eq(types[place]) for place, name in enumerate(TYPES.values())]

        # Numbers
        def begins(tag: str, where: Value) -> Value:
            return sought[tag] & where.any()

        for tag, unit, reach_of in (("34", seq, header_to), ("36", new_seq, wide_to)):
            its = Signal(name=f"its_{tag}")
            m.d.comb += its.eq(live[tag] | begins(tag, unit.begins & reach_of))
            with m.If(reads):
                m.d.sync += live[tag].eq(its & ~unit.ends)
                with m.If(its):
                    m.d.sync += sought[tag].eq(0)
            taken = Signal(name=f"taken_{tag}")
            m.d.comb += taken.eq(takes & its & unit.ends)
            unit.collect(m, go, full, taken, goes_on=takes & live[tag])
        with m.If(seq.lands):
            m.d.sync += settled.eq(1)
        m.d.comb += [
            *(out.seq.eq(seq.value), out.seq_low.eq(seq.low), out.seq_ok.eq(seq.legal)),
            *(out.new_seq.eq(new_seq.value), out.new_seq_low.eq(new_seq.low)),
            out.new_seq_ok.eq(new_seq.legal & out.is_sequence_reset),
        ]

        # Flags
        for tag, flag in flags.items():
            where = header_to if FLAGS[tag].startswith("poss") else wide_to
            with m.If(reads & (found_flags[tag] & where).any()):
                m.d.sync += sought[tag].eq(0)
            with m.If(takes & sought[tag] & (yes[tag] & where).any()):
                m.d.sync += flag.eq(1)
        m.d.comb += [
            out.possdup.eq(flags["43"]),
            out.possresend.eq(flags["97"]),
            out.gap_fill.eq(flags["123"] & out.is_sequence_reset),
            out.reset_seq_num.eq(flags["141"] & out.is_logon),
        ]

        # Idents
        session_3 = Signal(shape.session_bits)  # as the memory is to be read
        begin_run = Signal()
        start_marks = Signal(width)  # the start was in an earlier piece of this word
        begin_lanes, begin_member = Signal(width), Signal(width + 1)
        begin_last = Signal()  # the message has begun with the piece at hand
        m.d.comb += [
            begin_lanes.eq(Mux(starts, self.start, start_marks)),
            begin_member.eq(
                Mux(
                    starts,
                    behind(logic, self.start, sohs, C(0, 1)),
                    behind(logic, start_marks, sohs, begin_run & ~start_marks.any()),
                )
            ),
        ]
        with m.If(go):
            m.d.sync += start_marks.eq(Mux(full, 0, begin_lanes))
            with m.If(full):
                m.d.sync += begin_run.eq(begin_member[width])
        word_4 = Piece(
            valid=Signal(name="begin_valid"),
            data=Signal(8 * width, name="begin_data"),
            full=Signal(name="begin_full"),
            compared=Signal(width, name="begin_compared"),
            begins=Signal(name="begin_begins"),
            turn=Signal(range(width), name="begin_place"),
            goes_on=Signal(name="begin_goes_on"),
        )
        m.d.sync += [
            word_4.valid.eq(go),
            word_4.data.eq(word_3.data),
            word_4.full.eq(full),
            word_4.compared.eq(begin_member[:width] & mask),
            word_4.begins.eq(starts | start_marks.any()),
            word_4.turn.eq(Mux(starts, place_of(self.start), place_of(start_marks))),
            word_4.goes_on.eq(begin_member[width] & ~begin_lanes[width - 1]),
            begin_last.eq(go & starts),
        ]
        begin.follow(m, word_4, session_3)
        # What a message was compared to before this one is of no interest any more.
        begin_found = Signal()
        m.d.comb += begin_found.eq(begin.differs & ~begin_last)
        with m.If(begin_found):
            with m.If(pending & ~reset):
                m.d.sync += differs_8_early.eq(1)
            with m.Else():
                m.d.sync += differs_8.eq(1)
        for tag, ident in idents_3.items():
            its = Signal(name=f"its_{tag}")
            m.d.comb += its.eq(live[tag] | begins(tag, ident_begins[tag] & header_to))
            its_4 = Signal(name=f"its_{tag}_4")
            m.d.sync += its_4.eq(takes & its)
            ident.follow(m, ident_pieces[tag], session_3)
            with m.If(reads):
                m.d.sync += live[tag].eq(its & ~ident_ends[tag])
                with m.If(its):
                    m.d.sync += sought[tag].eq(0)
            with m.If(takes & its):
                m.d.sync += present[tag].eq(1)
            with m.If((takes & its & ident.first_differs) | (its_4 & ident.differs)):
                m.d.sync += differs[tag].eq(1)
        m.d.comb += out.mirror.eq(~(differs_8 | differs["49"] | differs["56"] | missing))

        # Data bodies
        body.read(m, ~Cat(sought[tag] for tag in body.TAGS))
        first_length = wire(logic, first_of(logic, lengths, APART), "first_length")
        # What is loaded counts only if there is such a body: that is known late.
        with m.If(~is_data_body):
            m.d.sync += body.enter(Cat((first_length & tags).any() for tags in length_tags))
        with m.If(enters):
            m.d.sync += is_data_body.eq(1)
        with m.If(~body.busy):
            rest = mask & Mux(is_data_body, C(-1, width), up(since_length, 1))
            m.d.sync += [
                *body.load(classes_3, rest, self.body_end),
                body.busy.eq(enters | (go & is_data_body & ~starts)),
            ]
        for place, tag in enumerate(body.TAGS):
            with m.If(body.closed[place]):
                m.d.sync += sought[tag].eq(0)
                if tag in flags:
                    m.d.comb += changes.eq(1)
                    m.d.sync += flags[tag].eq(body.closed_y)
        with m.If(body.closed[0]):
            m.d.sync += [
                new_seq.number.eq(body.number),
                new_seq.number_good.eq(body.closed_good),
                new_seq.number_valid.eq(1),
            ]
        with m.If(body.ended):
            m.d.sync += [is_data_body.eq(0), late_end.eq(1)]

        # Ends and starts
        with m.If(ends):
            m.d.sync += active.eq(0)
            with m.If(~is_data_body & ~enters):
                with m.If(pending & ~reset):
                    m.d.sync += early_end.eq(1)
                with m.Elif(seq.late | new_seq.late):
                    m.d.sync += late_end.eq(1)
                with m.Else():
                    m.d.sync += self.complete.eq(1)
        with m.If(go & starts):
            m.d.sync += [
                *(active.eq(1), in_header.eq(1), is_data_body.eq(0), typed.eq(0), found_35.eq(0)),
                *(type_marks.eq(0), type_row.past.eq(0)),
                *(signal.eq(1) for signal in sought.values()),
                *(signal.eq(0) for signal in live.values()),
                *(early_type.eq(0), early_types.eq(0), differs_8_early.eq(0), early_end.eq(0)),
                *(pending.eq(1), older.eq(self.start[:5].any())),
                body.busy.eq(0),
            ]
        with m.Elif(go & ~self.back & unlike_header.any()):
            m.d.sync += in_header.eq(0)
        m.d.comb += self.settled.eq(settled | self.complete)
        # Whether the piece comes once more, or has to wait for the message before, is known too late for this.
        about_type = mask.any() & (~typed | type_marks.any() | type_row.past.any())
        about_number = Cat(live[tag] & unit.stops[0] for tag, unit in (("34", seq), ("36", new_seq))).any()
        with m.If(go & active & ~starts & (about_type | about_number | Cat(yes.values()).any())):
            m.d.comb += changes.eq(1)
        m.d.sync += self.changed.eq(changes | seq.number_valid | new_seq.number_valid)

        # -- The host's idents, other sessions
        idents = (begin, ours, theirs)
        # What moves on, or turns, in the cycle behind the write is done with before the memory is asked.
        fetch = Signal(FETCH)
        m.d.sync += [fetch.eq(fetch << 1), fetches.eq(self.ident_write | fetch[:-2].any())]
        with m.If(self.ident_write):
            m.d.sync += fetch.eq(1)
        for ident in idents:
            ident.write(m, self.ident_address, self.ident_data, self.ident_write)
            ident.fetch(m, fetch[-3:], session_3)
        if shape.sessions > 1:
            early = {**{number.name: number.run for number in numbers}, **ident_runs}
            late = [
                *(active, in_header, is_data_body, typed, found_35, *sought.values(), *live.values()),
                *(msg_type, types, *flags.values(), settled, self.complete),
                *(differs_8, *differs.values(), *present.values()),
                *(type_marks, type_row.past, start_marks, begin_run),
                *(*seq.state, *new_seq.state, *begin.state, *ours.state, *theirs.state, *body.state),
            ]
            self._take_turns(
                m,
                words=(self.word, word_2, word_3),
                pasts=((word_2, [row.past for row in raw]), (word_3, [row.past for row in marks.values()])),
                contexts=(Context(**early), Context(**named(late))),
                idents=idents,
                ident_session=session_3,
                changes=changes,
                found_since={"differs_8": differs_8 | begin_found},
            )
        return m

    def _take_turns(
        self,
        m: Module,
        *,
        words: Sequence[Any],
        pasts: Sequence[tuple[Any, Sequence[Signal]]],
        contexts: Sequence[Context],
        idents: Sequence[WideIdent],
        ident_session: Signal,
        changes: Signal,
        found_since: Mapping[str, Value],
    ) -> None:
        """Many sessions. What a stage knows changes when the turn bubble has left it: the bubble shows the table whose
        entry is to be read, the one behind it leaves time to load it. Of the last stage it changes when that
        one leaves: by then all that the words before have found is there, and a message that they have completed has
        been dealt with, as ``go`` would be 0.

        The lanes before the word at hand (``pasts``, and the word in which their bubble has left) need not be kept: the
        packer shows them again. Until then there is nothing in them, so that no word begins with another session's. A
        message that has begun is no longer ``pending`` then, so what is kept aside for it need not be kept either.
        """
        go = self.go
        for here, past in pasts:
            with m.If(go & here.turn):
                m.d.sync += [register.eq(0) for register in past]
        gone = Signal()
        loaded = Signal()  # the last stage's state is the other session's, for the first time
        m.d.sync += loaded.eq(gone & go)
        with m.If(go):
            m.d.sync += gone.eq(words[2].turn)
            with m.If(words[2].turn):
                m.d.sync += ident_session.eq(words[2].session)

        def table(name: str, context: Context, near: Any, swap: Value, new: Value, session: Signal) -> Table:
            """A stage's table: the bubble comes as ``near``; at ``swap`` it has left, to session ``new``."""
            m.submodules[name] = kept = Table(context.layout, self.shape.sessions, sweep=self._sweep)
            m.d.comb += [
                kept.address.eq(Mux(near.turn, near.session, new)),
                kept.put.eq(swap),
                kept.put_address.eq(session),
                kept.put_entry.eq(context.word),
            ]
            with m.If(swap):
                m.d.sync += session.eq(new)
            context.take_up(m, swap, kept.entry, kept.known)
            return kept

        session_2, session_rows = (Signal(self.shape.session_bits, name=name) for name in ("session_2", "session_rows"))
        _, second, third = words
        table("early", contexts[0], second, go & third.turn, third.session, session_2)
        gentle = [ident for ident in idents if not ident.abrupt]
        rows = Context(**{ident.name: ident.row for ident in gentle})
        kept_rows = table("rows", rows, second, go & third.turn, third.session, session_rows)
        for ident in idents:
            row = ident_session if ident.abrupt else Mux(kept_rows.known, kept_rows.entry[ident.name], 0)
            ident.take_turns(m, go=go, words=(second, third), loaded=loaded, row=row)
        messages = table("messages", contexts[1], third, gone & go, ident_session, self.session)
        m.d.comb += [messages.put_entry[name].eq(value) for name, value in found_since.items()]
        with m.If(gone & go):
            m.d.comb += changes.eq(1)
