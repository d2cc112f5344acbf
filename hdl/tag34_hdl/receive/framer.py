"""Framer: bytes of a connection -> messages (F1 to F6)."""

from __future__ import annotations

from typing import Any

from amaranth import Array, C, Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import SOH

from ..layouts import LENGTH, OFFSET, Frame, MessageByte, Shape
from ..onehot import OneHot
from ..session.table import Context, Sweep, Table
from .checksum import START_SUM, Checksum
from .tally import Received, Total

START = b"8=FIX"
TRAILER_LENGTH = len("10=000|")
STATES = ("HUNT", "BEGIN", "TAG 9", "EQUALS", "LENGTH", "BODY", "TRAILER")

#: What the framer counts on a connection: bytes received, bytes of framed messages, bytes of the message now arriving.
Counts = data.StructLayout({"bytes": OFFSET, "framed": OFFSET, "partial": LENGTH})


class Framer(wiring.Component):
    """Finds messages, checks BodyLength and CheckSum, says where each byte goes.

    Between messages it hunts for ``8=FIX``. The same matcher runs along in the places where a message can turn out
    garbled before its declared end is known or behind it, so that a start among bytes already taken is not missed (F4,
    docs/decisions/0001).

    Sessions share it chunk by chunk (R17): when a byte of another session is offered, all that is known of the message
    under way is put away and that of the other session is taken up.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        rx: the connections' bytes. Once a frame waits, the next message may begin but not be found, and no other
            session has its turn; a byte to be stored waits for a slot.
        session: whose bytes are taken. ``next_session`` is that of the byte offered, ``switch``: the session changes to
            it with this cycle.
        byte_valid, byte: the message's bytes, one cycle after they were taken: ``start`` (a message began), ``begin``
            (BeginString's value and its SOH, from behind ``8=FIX``), ``body`` (BodyLength's bytes; ``last`` with the
            last of them), and what is always asked of a byte.
        write, write_offset, write_data: bytes to store, one cycle after they were taken, from offset 5 on: ``8=FIX``
            is what every message begins with. Nothing is written beyond max_message (F5).
        has_slot: there is a slot to write to.
        oversize: the message whose body has ended is longer than max_message if its trailer is good (F5); stable until
            the next body ends.
        frame: one transfer per message, garbled ones included; valid one cycle after the byte that completes it was
            taken.
        clear: a new connection of a session: its partial message is forgotten (F6), its counts start at 0.
        cycle: the device's cycle counter.
        counts_session, counts: counts of a session, two cycles later (F4: ``bytes - framed - partial`` were skipped);
            what has just been received shows five cycles later at most.

    Latency: last byte taken to ``frame`` valid, one cycle. Throughput: one beat per cycle as long as ``frame`` is
        taken at once, but for two cycles when the session changes.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        super().__init__(
            {
                "rx": In(stream.Signature(shape.beat)),
                "byte_valid": Out(1),
                "byte": Out(MessageByte),
                "write": Out(1),
                "write_offset": Out(shape.offset_bits),
                "write_data": Out(8),
                "has_slot": In(1),
                "oversize": Out(1),
                "frame": Out(stream.Signature(Frame)),
                "session": Out(shape.session_bits),
                "next_session": Out(shape.session_bits),
                "switch": Out(1),
                "clear": In(stream.Signature(unsigned(shape.session_bits))),
                "cycle": In(48),
                "counts_session": In(shape.session_bits),
                "counts": Out(Counts),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.checksum = checksum = Checksum()

        byte = self.rx.payload.data
        is_soh = byte == SOH
        is_digit = (byte >= ord("0")) & (byte <= ord("9"))
        value = byte[:4]

        matched = Signal(len(START) - 1)  # bit i: bytes of 8=FIX up to i are the last ones seen
        matched_next = Signal.like(matched)
        found = Signal()
        fits = Cat(byte == char for char in START) & Cat(C(1, 1), matched)
        m.d.comb += Cat(matched_next, found).eq(fits)

        many = self.shape.sessions > 1
        start = Signal(OFFSET)  # offset of the message's 8
        begins = Signal()  # it is four bytes ago
        count = Signal(LENGTH)  # bytes of the message so far
        count_next = Signal(LENGTH)
        remaining = Signal(20)  # bytes of the body still to come
        digits = Signal(range(7))  # digits of BodyLength so far
        place = Signal(range(7))  # place in the trailer
        body_place = Signal(range(4))  # place in the body, as far as 35= is concerned
        type_ok = Signal()  # the body began with 35=
        good = Signal()  # nothing wrong so far
        wrong_digit = Signal()  # but for this one of CheckSum, the byte before

        received = Signal(OFFSET)
        framed = Signal(OFFSET)
        fsm = OneHot(m, "at", STATES)
        hunting = fsm.bits["HUNT"]
        blocked = Signal()  # another session's turn, or not known yet whose
        summed = Signal(init=1)  # the byte at hand belongs to the sum
        take = Signal()
        can_take = Signal()
        waits = Signal()  # a frame does, or was taken in the cycle before: who takes it says so late in his cycle
        taken = Signal()
        m.d.comb += [
            can_take.eq(~blocked & Mux(hunting, ~waits | ~matched[-1], ~waits & self.has_slot)),
            self.rx.ready.eq(can_take),
            take.eq(self.rx.valid & can_take),
            # Saturates: a BeginString may be of any length, a record's length may not.
            count_next.eq(Mux(count.all(), count, count + 1)),
        ]

        report = Signal()
        forget = Signal()  # the session at hand has a new connection
        unknown = Signal()  # nothing is known of the one that has its turn
        stage = Context(**{bit.name: bit for bit in fsm.bits.values()})
        message = Context(
            matched=matched,
            **({} if many else {"start": start}),
            count=count,
            remaining=remaining,
            digits=digits,
            place=place,
            body_place=body_place,
            type_ok=type_ok,
            good=good,
            wrong_digit=wrong_digit,
            oversize=self.oversize,
        )
        if many:
            # What is loaded at a turn is said first: it is the last thing that a register's input chooses from.
            counted, saved = self._take_turns(
                m, stage, message, checksum, blocked, ~waits | taken, report, forget, unknown
            )
            with m.If(self.switch):
                m.d.sync += message.load(saved.message)
            m.d.comb += [
                start.eq(counted.start),
                counted.take.eq(take),
                counted.may_begin.eq(self.rx.valid & matched[-1] & ~self.switch),
                counted.begins.eq(begins),
            ]
        frame = self.frame.payload
        m.d.comb += self.frame.valid.eq(waits & ~taken)
        m.d.sync += taken.eq(self.frame.valid & self.frame.ready)
        with m.If(taken):
            m.d.sync += waits.eq(0)
        # The words of the frame are there whenever none waits, so that it is one bit that says so.
        with m.If(~waits):
            m.d.sync += [
                frame.garbled.eq(1),
                frame.offset.eq(start),
                frame.length.eq((count - place)[: len(count)]),
                frame.cycle.eq(self.cycle),
            ]

        def finish() -> None:
            """Report the message; it is garbled, of what was taken for its length, if nothing else is said."""
            m.d.sync += [waits.eq(1), report.eq(1)]

        # The sum of reported lengths, a cycle later: the adder stays off the path from the byte to the frame.
        m.d.sync += report.eq(0)
        if not many:
            with m.If(report):
                m.d.sync += framed.eq(framed + frame.length)

        m.d.sync += [
            self.byte_valid.eq(0),
            self.write.eq(0),
            self.byte.eq(0),
            self.byte.data.eq(byte),
            self.byte.soh.eq(is_soh),
            self.byte.equals.eq(byte == ord("=")),
            self.byte.digit.eq(is_digit),
            self.write_data.eq(byte),
            self.write_offset.eq(count),
        ]
        m.d.comb += [checksum.first.eq(START_SUM), checksum.byte.eq(byte)]

        m.d.sync += wrong_digit.eq(0)
        with m.If(wrong_digit):
            m.d.sync += good.eq(0)
        with m.If(take):
            m.d.sync += [*([] if many else [received.eq(received + 1)]), matched.eq(matched_next)]

        def hunt(*, fresh: bool) -> None:
            """The search goes on: behind this byte, or with what the matcher has seen of it."""
            if fresh:
                m.d.sync += matched.eq(0)
            fsm.go("HUNT")

        with fsm.state("HUNT"):
            with m.If(take & found):
                m.d.comb += checksum.restart.eq(1)
                if many:
                    m.d.comb += begins.eq(1)
                else:
                    m.d.sync += start.eq(received - (len(START) - 1))
                m.d.sync += [
                    count.eq(len(START)),
                    self.byte_valid.eq(1),
                    self.byte.start.eq(1),
                    type_ok.eq(0),
                    body_place.eq(0),
                    remaining.eq(0),
                    digits.eq(0),
                    good.eq(1),
                    place.eq(0),
                ]
                fsm.go("BEGIN")

        with fsm.state("BEGIN"):
            with m.If(take):
                m.d.sync += [self.byte_valid.eq(1), self.byte.begin.eq(1)]
                with m.If(is_soh):
                    fsm.go("TAG 9")

        for state, wanted, following in (("TAG 9", "9", "EQUALS"), ("EQUALS", "=", "LENGTH")):
            with fsm.state(state), m.If(take):
                with m.If(byte == ord(wanted)):
                    fsm.go(following)
                with m.Else():
                    finish()
                    hunt(fresh=False)

        with fsm.state("LENGTH"):
            with m.If(take):
                with m.If(is_digit & (digits != 6)):
                    m.d.sync += [remaining.eq((remaining << 3) + (remaining << 1) + value), digits.eq(digits + 1)]
                with m.Elif(is_soh & (digits != 0)):
                    with m.If(remaining == 0):
                        m.d.sync += [good.eq(0), matched.eq(0)]
                        fsm.go("TRAILER")
                    with m.Else():
                        fsm.go("BODY")
                with m.Else():
                    finish()
                    hunt(fresh=False)
            # In `9=8=FIX...` the next message began one byte ago.
            with m.If(~waits & matched_next[1]):
                m.d.sync += frame.length.eq(count - 1)

        with fsm.state("BODY"):
            with m.If(take):
                m.d.sync += [
                    self.byte_valid.eq(1),
                    self.byte.body.eq(1),
                    remaining.eq(remaining - 1),
                    matched.eq(0),
                ]
                with m.Switch(body_place):
                    with m.Case(0):
                        m.d.sync += [type_ok.eq(byte == ord("3")), body_place.eq(1)]
                    with m.Case(1):
                        m.d.sync += [type_ok.eq(type_ok & (byte == ord("5"))), body_place.eq(2)]
                    with m.Case(2):
                        m.d.sync += [type_ok.eq(type_ok & (byte == ord("="))), body_place.eq(3)]
                with m.If(remaining == 1):
                    fsm.go("TRAILER")
                    with m.If(type_ok & (body_place == 3) & is_soh):
                        m.d.sync += [
                            self.byte.last.eq(1),
                            self.oversize.eq(count >= self.shape.max_message - TRAILER_LENGTH),
                        ]
                    with m.Else():
                        m.d.sync += good.eq(0)

        with fsm.state("TRAILER"):
            m.d.comb += summed.eq(0)
            expected = Signal(8)
            with m.Switch(place):
                for index, char in enumerate(b"10="):
                    with m.Case(index):
                        m.d.comb += expected.eq(char)
                with m.Case(6):
                    m.d.comb += expected.eq(SOH)
            is_sum = (place >= 3) & (place <= 5)
            digit = Array(checksum.digits[i] for i in range(3))[(place - 3)[:2]]
            fits = Mux(is_sum, is_digit, byte == expected)
            with m.If(take):
                m.d.sync += place.eq(place + 1)
                m.d.sync += wrong_digit.eq(is_sum & (value != digit))
                with m.If(~fits):
                    finish()
                    hunt(fresh=False)
                with m.Elif(place == 6):
                    finish()
                    hunt(fresh=True)
            with m.If(~waits & (place == 6) & is_soh):
                m.d.sync += [frame.garbled.eq(wrong_digit | ~good), frame.length.eq(count_next)]
        fsm.finish()

        in_message = Signal()
        m.d.comb += in_message.eq(take & ~hunting)
        with m.If(in_message):
            m.d.comb += checksum.add.eq(summed)
            m.d.sync += [
                count.eq(count_next),
                self.write.eq(count < self.shape.max_message),
            ]

        # -- Sessions
        partial = Mux(hunting, 0, count)
        if many:
            m.d.comb += [counted.partial.eq(partial), self.next_session.eq(self.rx.payload.session)]
            with m.If(self.switch):
                m.d.sync += stage.load(saved.stage)
            with m.If(forget | unknown):
                m.d.sync += [stage.load(stage.initial), message.load(message.initial)]
        else:
            counts = Signal(Counts)
            m.d.comb += [counts.bytes.eq(received), counts.framed.eq(framed), counts.partial.eq(partial)]
            m.d.comb += self.next_session.eq(self.rx.payload.session)
            m.d.comb += [forget.eq(self.clear.valid), self.clear.ready.eq(1), self.counts.eq(counts)]
        with m.If(forget):
            m.d.sync += [
                *(
                    []
                    if many
                    else [*(part.load(part.initial) for part in (stage, message)), received.eq(0), framed.eq(0)]
                ),
                waits.eq(0),
                taken.eq(0),
                self.byte_valid.eq(0),
                self.write.eq(0),
                report.eq(0),
            ]
        return m

    def _take_turns(
        self,
        m: Module,
        stage: Context,
        message: Context,
        checksum: Checksum,
        blocked: Signal,
        turns: Value,
        report: Signal,
        forget: Signal,
        unknown: Signal,
    ) -> tuple[Received, Any]:
        """Many sessions: one cycle to find the other one's word, one to change to it. ``turns``: that may be. Returns
        what counts the bytes received, and the word to be loaded."""
        shape = self.shape
        layout = data.StructLayout({"stage": stage.layout, "message": message.layout, "sum": checksum.state.shape()})
        m.submodules.messages = messages = Table(layout, shape.sessions, sweep=self._sweep)
        m.submodules.received = received = Received(shape, self._sweep)
        m.submodules.framed = framed = Total(shape, self._sweep)
        find = Signal()
        busy = Signal()
        at_hand = Signal(shape.session_bits)  # in the next cycle
        is_other = Signal()
        clears = Signal()
        m.d.comb += [
            busy.eq(messages.busy | received.busy | framed.busy),
            is_other.eq(self.next_session != self.session),
            find.eq(self.rx.valid & is_other & ~self.switch & turns & ~busy),
            blocked.eq(is_other | busy),
            at_hand.eq(Mux(find | self.switch, self.next_session, self.session)),
            # What is added to a total goes first.
            self.clear.ready.eq(~find & ~self.switch & ~busy & ~report),
            clears.eq(self.clear.valid & self.clear.ready),
            forget.eq(clears & (self.clear.payload == self.session)),
            unknown.eq(self.switch & ~messages.known),
            messages.address.eq(self.next_session),
            messages.put.eq(self.switch | clears),
            messages.put_address.eq(Mux(self.switch, self.session, self.clear.payload)),
            messages.put_entry.stage.eq(stage.word),
            messages.put_entry.message.eq(message.word),
            messages.put_entry.sum.eq(checksum.state),
            messages.forget.eq(~self.switch),
            checksum.load.eq(self.switch),
            checksum.loaded.eq(messages.entry.sum),
            received.next_session.eq(at_hand),
            received.session.eq(self.session),
            received.turn.eq(self.switch),
            received.clear.eq(clears),
            received.clear_session.eq(self.clear.payload),
            received.forget.eq(forget),
            received.host_session.eq(self.counts_session),
            framed.next_session.eq(at_hand),
            framed.session.eq(self.session),
            framed.add.eq(report),
            framed.amount.eq(self.frame.payload.length),
            framed.forget.eq(clears),
            framed.forget_session.eq(self.clear.payload),
            framed.host_session.eq(self.counts_session),
            self.counts.bytes.eq(received.bytes),
            self.counts.framed.eq(framed.total),
            self.counts.partial.eq(received.shown_partial),
        ]
        m.d.sync += self.switch.eq(find)
        with m.If(self.switch):
            m.d.sync += self.session.eq(self.next_session)
        return received, messages.entry
