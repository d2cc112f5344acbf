"""From bytes to messages: what is called good is good, and what is offered stays."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Mux, Signal, Value

from tag34.contract import SOH
from tag34_hdl.layouts import LENGTH, Shape
from tag34_hdl.receive.framer import START, START_SUM, STATES, TRAILER_LENGTH, Framer

from ..harness import Opened, Proof, Property

SHAPE = Shape(window=2, max_message=64)
#: Where a reader of F1 is in a message.
BEGIN, NINE, EQUALS, DIGITS, BODY, TRAILER, OVER = range(7)


class FramerJudgement(Proof):
    """A second reader, which does not hunt: it begins where the framer says that a message begins, and follows F1 and
    F3 from there, whatever it reads."""

    component = "framer"
    parameters = f"1 session, max_message {SHAPE.max_message}"
    assumes = "rx keeps valid and payload while it is stalled"
    induction = 2
    reach = 42
    properties = (
        Property("framer.begins", ("F1", "F4"), "a message begins with the five bytes 8=FIX, the last ones taken"),
        Property(
            "framer.good",
            ("F1", "F2", "F3"),
            "a frame is good if and only if 8, 9, 35 come first, BodyLength has 1 to 6 digits and counts right, the "
            "last field is closed, and the trailer is 10=, the three digits of the sum, SOH",
        ),
        Property(
            "framer.length",
            ("F1", "F4"),
            "a good frame has as many bytes as were taken for it, and its first byte's offset",
        ),
        Property(
            "framer.oversize",
            ("F5",),
            "when a good frame is reported, oversize says whether it is longer than max_message",
        ),
        Property(
            "framer.stores",
            ("F5",),
            "each byte behind 8=FIX is stored at its place, in a slot, none beyond max_message",
        ),
        Property("framer.stable", ("R16", "F6"), "a frame stays as it is until it is taken, or until a new connection"),
        Property(
            "framer.keeps-ready",
            ("R16",),
            "with a slot a byte is taken in each cycle, but while a frame waits and in the cycle behind",
        ),
    )

    def build(self) -> None:
        """Any bytes, any pauses, clears at any time."""
        m = self.m
        dut = Framer(SHAPE)
        opened = m.submodules.dut = Opened(dut)
        signal = opened.signal
        self.assume_stable(dut.rx)
        self.assume(dut.rx.payload.session == 0)
        self.free(dut.has_slot, dut.frame.ready, dut.clear.valid, dut.clear.payload, dut.cycle, dut.counts_session)
        self.assume(dut.clear.payload == 0)
        byte = dut.rx.payload.data
        clear = dut.clear.valid
        taken = dut.rx.valid & dut.rx.ready

        # The bytes before, for the beginning.
        before = Signal(32)
        with m.If(taken):
            m.d.sync += before.eq(Cat(byte, before))
        matched = signal("matched")
        for count in range(1, len(START)):
            seen = Cat(before.word_select(count - 1 - place, 8) == START[place] for place in range(count)).all()
            self.lemma(~matched[count - 1] | seen, "matched")
        begins = taken & opened.at("HUNT") & signal("found")
        first_five = Cat(
            byte == START[4], *(before.word_select(3 - place, 8) == START[place] for place in range(4))
        ).all()
        self.holds("framer.begins", ~begins | first_five)
        self.holds("framer.begins", (dut.byte_valid & dut.byte.start) == self.past(begins & ~clear))
        self.cover("framer.begins", begins)

        # -- The reader
        stage = Signal(range(7), init=OVER)
        count = Signal(LENGTH)
        to_come = Signal(20)
        digits = Signal(3)
        place = Signal(3)  # byte of the trailer, or of 35=
        total = Signal(8)
        bad = Signal()  # nothing can make it good any more
        origin = Signal(48)
        received = signal("received")
        is_soh = byte == SOH
        is_digit = (byte >= ord("0")) & (byte <= ord("9"))
        reads = taken & (stage != OVER)
        over, fault = Signal(), Signal()  # with this byte it is known what the message is, and that it is none
        after = Signal(LENGTH)
        m.d.comb += after.eq(Mux(count == (1 << 24) - 1, count, count + 1))
        hundreds = Mux(total >= 200, Const(2, 4), Mux(total >= 100, Const(1, 4), Const(0, 4)))
        rest = (total - hundreds * 100)[:8]
        tens = Value.cast(sum(rest >= 10 * number for number in range(1, 10)))[:4]
        ones = (rest - tens * 10)[:4]
        with m.If(begins):
            m.d.sync += [stage.eq(BEGIN), count.eq(5), to_come.eq(0), digits.eq(0), place.eq(0), bad.eq(0)]
            m.d.sync += [total.eq(START_SUM), origin.eq(received - 4)]
        with m.If(reads):
            m.d.sync += count.eq(after)
            with m.If(stage != TRAILER):
                m.d.sync += total.eq(total + byte)
            with m.Switch(stage):
                with m.Case(BEGIN):
                    with m.If(is_soh):
                        m.d.sync += stage.eq(NINE)
                with m.Case(NINE):
                    m.d.sync += stage.eq(EQUALS)
                    m.d.comb += fault.eq(byte != ord("9"))
                with m.Case(EQUALS):
                    m.d.sync += stage.eq(DIGITS)
                    m.d.comb += fault.eq(byte != ord("="))
                with m.Case(DIGITS):
                    with m.If(is_soh):
                        m.d.comb += fault.eq(digits == 0)
                        m.d.sync += [stage.eq(Mux(to_come == 0, TRAILER, BODY)), bad.eq(to_come == 0)]
                    with m.Else():
                        m.d.comb += fault.eq(~is_digit | (digits == 6))
                        m.d.sync += [to_come.eq(to_come * 10 + byte[:4]), digits.eq(digits + 1)]
                with m.Case(BODY):
                    m.d.sync += to_come.eq(to_come - 1)
                    wanted = Array(Const(char, 8) for char in b"35=\0")[place[:2]]
                    with m.If(place != 3):
                        m.d.sync += [place.eq(place + 1), bad.eq(bad | (byte != wanted))]
                    with m.If(to_come == 1):
                        # 35= is whole, with something behind it that is closed.
                        m.d.sync += [stage.eq(TRAILER), place.eq(0), bad.eq(bad | (place != 3) | ~is_soh)]
                with m.Case(TRAILER):
                    m.d.sync += place.eq(place + 1)
                    is_sum = (place >= 3) & (place <= 5)
                    letters = Array(Const(char, 8) for char in (*b"10=", 0, 0, 0, SOH, 0))[place]
                    m.d.comb += fault.eq(Mux(is_sum, ~is_digit, byte != letters))
                    digit = Array([hundreds, tens, ones, ones])[(place - 3)[:2]]
                    with m.If(is_sum & (byte[:4] != digit)):
                        m.d.sync += bad.eq(1)
                    m.d.comb += over.eq(place == 6)
            with m.If(fault | over):
                m.d.sync += stage.eq(OVER)
        with m.If(clear):
            m.d.sync += stage.eq(OVER)
        reported, was_good = Signal(), Signal()
        m.d.sync += [reported.eq(reads & (fault | over) & ~clear), was_good.eq(~fault & ~bad)]
        good_length = Signal(LENGTH)
        m.d.sync += good_length.eq(after)

        # -- Both readers agree
        pairs = (
            ("HUNT", OVER),
            ("BEGIN", BEGIN),
            ("TAG 9", NINE),
            ("EQUALS", EQUALS),
            ("LENGTH", DIGITS),
            ("BODY", BODY),
            ("TRAILER", TRAILER),
        )
        self.lemma(sum(opened.at(name) for name in STATES) == 1, "states")
        for name, number in pairs:
            self.lemma(opened.at(name) == (stage == number), "stages")
        reading = stage != OVER
        self.lemma(~reading | (signal("count") == count), "count")
        self.lemma(~reading | (signal("start") == origin), "start")
        self.lemma((stage < DIGITS) | (stage > BODY) | (signal("remaining") == to_come), "remaining")
        self.lemma((stage != BODY) | (to_come != 0), "remaining")
        self.lemma(
            ~((stage == BEGIN) | (stage == NINE) | (stage == EQUALS)) | ((to_come == 0) & (signal("remaining") == 0)),
            "remaining",
        )
        self.lemma((stage > DIGITS) | (signal("digits") == digits) & (digits <= 6), "digits")
        early = stage <= DIGITS
        good = signal("good") & ~signal("wrong_digit")
        self.lemma(~early | ((digits == 0) | (stage == DIGITS)), "digits")
        self.lemma(~early | ((place == 0) & ~bad & good & (signal("place") == 0)), "nothing wrong yet")
        self.lemma(~early | ((signal("body_place") == 0) & ~signal("type_ok")), "35= is to come")
        in_body = stage == BODY
        self.lemma(~in_body | ((signal("body_place") == place) & good & (signal("place") == 0)), "35=")
        self.lemma(~in_body | (place == 0) | (signal("type_ok") == ~bad), "35=")
        self.lemma(~in_body | (place != 0) | ~bad, "35=")
        in_trailer = stage == TRAILER
        self.lemma(~in_trailer | ((signal("place") == place) & (place <= 6)), "trailer")
        self.lemma(~in_trailer | (good == ~bad), "trailer")
        self.lemma(~reading | (signal("checksum.total") == total), "sum")
        shown = Cat(hundreds, tens, ones)
        rom = Cat(ones, tens, hundreds)
        self.lemma(~in_trailer | (place == 0) | (signal("checksum.port__data") == rom), "digits")
        self.lemma(~in_trailer | (place <= 1) | (Value.cast(signal("checksum.digits")) == shown), "digits")

        # -- The properties
        frame = dut.frame
        new = frame.valid & ~self.past(frame.valid & ~frame.ready & ~clear)
        self.holds("framer.good", new == reported)
        self.holds("framer.good", ~reported | (frame.payload.garbled == ~was_good))
        self.cover("framer.good", new & ~frame.payload.garbled)
        self.cover("framer.good", new & frame.payload.garbled)
        is_good = reported & was_good
        right = (frame.payload.length == good_length) & (frame.payload.offset == self.past(origin))
        self.holds("framer.length", ~is_good | right)
        self.cover("framer.length", is_good & (frame.payload.length == 23))
        self.lemma(
            ~(in_trailer & ~bad) | (dut.oversize == (count - place + TRAILER_LENGTH > SHAPE.max_message)), "oversize"
        )
        self.lemma(~is_good | (dut.oversize == (good_length > SHAPE.max_message)), "oversize")
        self.holds("framer.oversize", ~is_good | (dut.oversize == (frame.payload.length > SHAPE.max_message)))
        self.cover("framer.oversize", is_good & ~dut.oversize)
        stores = self.past(reads & (count < SHAPE.max_message) & ~clear)
        self.holds("framer.stores", dut.write == stores)
        place_right = dut.write_offset == self.past(count)[: SHAPE.offset_bits]
        self.holds("framer.stores", ~dut.write | (place_right & (dut.write_data == self.past(byte))))
        self.holds("framer.stores", ~reads | dut.has_slot)
        self.cover("framer.stores", dut.write & (dut.write_offset == 6))
        waited = self.past(frame.valid & ~frame.ready & ~clear)
        kept = frame.valid & (Value.cast(frame.payload) == self.past(frame.payload))
        self.holds("framer.stable", ~waited | kept)
        self.cover("framer.stable", waited & frame.ready)
        was_taken = self.past(frame.valid & frame.ready)
        self.holds("framer.keeps-ready", ~(dut.has_slot & ~frame.valid & ~was_taken) | dut.rx.ready)
        self.cover("framer.keeps-ready", dut.rx.ready & (stage == BODY))

        # The way to the covers: 8=FIX|9=05|35=0|10=163|, or with a wrong sum.
        message = b"8=FIX\x019=05\x0135=0\x0110=" + b"%03d\x01" % (sum(b"8=FIX\x019=05\x0135=0\x01") % 256)
        index = Signal(range(len(message) + 1))
        with m.If(taken & (index != len(message))):
            m.d.sync += index.eq(index + 1)
        spoils = self.constant(1, "spoils")
        sent = Array(Const(char, 8) for char in (*message, 0))[index]
        self.guide(dut.rx.valid & dut.has_slot & ~clear)
        self.guide(byte == Mux(spoils & (index == len(message) - 2), ord("x"), sent))
        self.guide(frame.ready == self.past(frame.valid))
