"""The composer: everything that leaves (S1 to S4, S6)."""

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tag34.contract import MSG_TYPE_BYTES, EventCode, Flag, RecordKind

from ..layouts import CYCLE, IDENT_BITS, NUMBER, Record, Shape
from ..receive.checksum import Checksum
from ..session.table import Sweep
from .body import BodyStore
from .byte_sum import ByteSum
from .clock import Time
from .idents import Idents
from .length import Lengths
from .next_out import NextOut
from .offer import Offer
from .packer import Packer
from .sources import Sources
from .walker import Walker

REQUEST_TYPE = ord("2")
#: Cycles in which what is known of a session gets to the last stage.
STAGES = 3


class Composer(wiring.Component):
    """Builds whole FIX messages: 8, 9, 35, 49, 56, 34, 52, what the sender gave, 10. BodyLength and CheckSum are
    computed.

    A message is a program of steps (:mod:`tag34_hdl.send.program`), a step gives chunks of up to ``width`` bytes, and
    chunks are joined to full beats. Before a message starts its first chunk is made over and over again for the session
    that comes next; starting a message is to show it. A host message is stored whole before it may start, so that its
    length is known and a request waits for one message at most (S3). ``next_out`` is counted up when the first beat of
    a message is taken (S2).

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        request: a ResendRequest; one may wait while a message leaves.
        send_header, send_body: a host message: its header, then its bytes (if ``body``), each field closed by SOH,
            ``last`` with the last beat. Beats may have any ``count``. One longer than max_message is not sent: event
            SEND_DROPPED.
        tx: the messages' bytes; ``last`` with the last beat of a message. All others are full, but for the first one at
            width 8 if BeginString has three or four characters.
        records: SENT for each message whose first beat was taken, SEND_DROPPED.
        next_session: whose request comes next, if one comes; known at least five cycles before it.
        ident_write, ident_address, ident_data: the host's byte of an ident.
        config_session, ident_lengths, fraction: lengths of a session's idents and digits of 52's fraction, two cycles
            later.
        time: now.
        set_next_out, set_session, new_next_out: next_out of a session := new_next_out; both stay for one more cycle.
            Not while a message of it leaves, nor again within three cycles.
        next_out_session, next_out: next_out of a session, two cycles later; three cycles after a first beat.
        clear, clear_session: a new connection: a request that has not begun to leave is dropped (S6).
        cycle: the device's cycle counter.
        idle: nothing to send, nothing leaving.

    Latency: ``request`` taken while idle to the first beat offered, one cycle. If a host message of another session was
        about to start, a message has just left, or (width 8) a BeginString of three or four characters is that of the
        session or of the one at hand before: up to five more.

    Throughput: one beat per cycle within the body. What stands around it has short chunks, BodyLength has to be
        converted, CheckSum's digits come some cycles behind the last byte that counts: at most 4 cycles of a message
        are without a beat at width 1, 20, 28 and 35 at widths 2, 4 and 8. Between two messages there are 4 more, 5 at
        width 8.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        #: The idents, for who looks into them.
        self.idents = Idents(shape)
        super().__init__(
            {
                "request": In(stream.Signature(shape.request)),
                "send_header": In(stream.Signature(shape.send_header)),
                "send_body": In(stream.Signature(shape.beat)),
                "tx": Out(stream.Signature(shape.beat)),
                "records": Out(stream.Signature(Record)),
                "next_session": In(shape.session_bits),
                "ident_write": In(1),
                "ident_address": In(shape.ident_bits),
                "ident_data": In(8),
                "config_session": Out(shape.session_bits),
                "ident_lengths": In(3 * IDENT_BITS),
                "time": In(Time),
                "fraction": In(4),
                "set_next_out": In(1),
                "set_session": In(shape.session_bits),
                "new_next_out": In(NUMBER),
                "next_out_session": In(shape.session_bits),
                "next_out": Out(NUMBER),
                "clear": In(1),
                "clear_session": In(shape.session_bits),
                "cycle": In(CYCLE),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        width = shape.width
        m.submodules.idents = idents = self.idents
        m.submodules.body = body = BodyStore(shape)
        m.submodules.next_out = numbers = NextOut(shape, self._sweep)
        m.submodules.lengths = lengths = Lengths(shape)
        m.submodules.walker = walker = Walker(shape)
        m.submodules.sources = sources = Sources(shape, lengths.decimal.places)
        m.submodules.packer = packer = Packer(width)
        m.submodules.byte_sum = byte_sum = ByteSum(width)
        m.submodules.checksum = checksum = Checksum()
        m.submodules.offer = offer = Offer(shape.beat)
        connect(m, flipped(self.send_header), body.send_header)
        connect(m, flipped(self.send_body), body.send_body)
        connect(m, offer.stream, flipped(self.tx))

        # -- A request waits
        request = Signal(shape.request)
        request_held = Signal()
        m.d.comb += self.request.ready.eq(~request_held)
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [request.eq(self.request.payload), request_held.eq(1)]

        # -- The message that leaves
        active = Signal()
        begun = Signal()  # its first beat was taken
        session = Signal(shape.session_bits)
        is_request = Signal()
        is_replay = Signal()
        begin = Signal(NUMBER)
        end = Signal(NUMBER)
        seq = Signal(NUMBER)
        msg_type = Signal(8 * MSG_TYPE_BYTES)
        now = Signal(Time)
        sent_cycle = Signal(CYCLE)

        # -- Who may be next: what is known of him is there when it has not changed for some cycles
        wanted = Signal()
        host_next = Signal()
        candidate = Signal(shape.session_bits)
        chosen = Signal.like(candidate)
        session_before = Signal.like(candidate)
        changes = Signal()
        known = Signal(STAGES)
        known_next = Signal.like(known)
        turns = (self.config_session != session_before) & (shape.sessions > 1)
        sets = Signal()
        m.d.sync += [sets.eq(self.set_next_out), chosen.eq(candidate)]
        m.d.comb += [
            wanted.eq(request_held | self.request.valid),
            host_next.eq(body.whole & ~request_held),
            candidate.eq(Mux(host_next, body.header.session, Mux(request_held, request.session, self.next_session))),
            changes.eq(numbers.changes | ~walker.resting | turns | idents.writing),
            numbers.session.eq(session_before),
            self.config_session.eq(Mux(active, session, chosen)),
        ]
        m.d.comb += known_next.eq(Mux(changes, 0, Cat(1, known)))
        m.d.sync += [session_before.eq(self.config_session), known.eq(known_next)]
        if byte_sum.latency(width) > 1:
            # The sum of the first chunk is a cycle behind the chunk.
            rested = Signal()
            m.d.sync += rested.eq(walker.resting)
            with m.If(~rested):
                m.d.comb += known_next.eq(0)

        # -- Start. Only one thing is told at a time: the next message does not start before the record of this one is
        # gone.
        telling = Signal()
        dropping = Signal()
        start = Signal()
        opening = Signal()  # it has started in the cycle before
        drop = Signal()
        rewind = Signal()
        host_good = ~body.too_long & (numbers.entry.left | body.header.replay)
        # What may happen in the next cycle is known in this one, all but whether there is a request and a clear: a
        # request comes late in its cycle, and much depends on the start.
        free = Signal()
        forgets = Signal()
        request_next = C(1, 1) if shape.sessions == 1 else ~host_next
        may_request, may_not_request, may_send, may_drop = (
            Signal(name=f"may_{what}") for what in ("request", "not_request", "send", "drop")
        )
        m.d.comb += [
            free.eq(
                known_next.all()
                & ~(active | telling | dropping | start | drop)
                # Who waits is forgotten; another one may be there in the next cycle.
                & ~(self.clear | forgets)
                & ~(self.set_next_out | sets | numbers.waits | self.ident_write)
                & ((candidate == chosen) | (shape.sessions == 1))
            ),
            # Nothing starts in the cycle of a clear: what waits may just be forgotten (S6).
            start.eq(Mux(wanted, may_request, may_send) & ~self.clear),
            drop.eq(may_drop & ~wanted & ~self.clear),
            forgets.eq(may_not_request & wanted),  # without a number left it is dropped
        ]
        m.d.sync += [
            opening.eq(start),
            may_request.eq(free & request_next & numbers.entry.left),
            may_not_request.eq(free & request_next & ~numbers.entry.left),
            may_send.eq(free & host_next & host_good),
            may_drop.eq(free & host_next & ~host_good),
        ]
        with m.If(~active & ~telling & ~dropping):
            m.d.sync += [session.eq(chosen), is_request.eq(wanted), sent_cycle.eq(self.cycle)]
        with m.If(forgets):
            m.d.sync += request_held.eq(0)
        with m.If(start):
            m.d.sync += active.eq(1)
        with m.If(opening):
            m.d.sync += [
                now.eq(self.time),
                sent_cycle.eq(self.cycle),
                seq.eq(numbers.entry.value),
                begin.eq(request.begin),
                end.eq(request.end),
                is_replay.eq(~is_request & body.header.replay),
                msg_type.eq(Mux(is_request, REQUEST_TYPE, body.header.msg_type)),
            ]
            with m.If(is_request):
                m.d.sync += request_held.eq(0)
            with m.Elif(body.header.replay):
                m.d.sync += seq.eq(body.header.seq)

        # -- The stages
        # They stand still while an ident is written.
        go = Signal()
        m.d.comb += [
            go.eq(offer.go & ~idents.writing),
            walker.go.eq(go),
            walker.active.eq(active),
            walker.start.eq(start),
            walker.is_request.eq(is_request),
            walker.has_body.eq(body.length != 0),
            walker.ident_lengths.eq(self.ident_lengths),
            walker.numbers.eq(lengths.numbers),
            walker.type_last.eq(lengths.type_last),
            walker.time_last.eq(lengths.time_last),
            walker.body_last.eq(lengths.body_last),
            walker.length_known.eq(lengths.known),
            lengths.start.eq(opening),
            lengths.seq.eq(seq),
            lengths.begin.eq(begin),
            lengths.end.eq(end),
            lengths.msg_type.eq(msg_type),
            lengths.is_request.eq(is_request),
            lengths.ident_lengths.eq(self.ident_lengths),
            lengths.fraction.eq(self.fraction),
            lengths.body_length.eq(body.length),
            idents.write.eq(self.ident_write),
            idents.address.eq(self.ident_address),
            idents.data.eq(self.ident_data),
            idents.enable.eq(go),
            idents.session.eq(self.config_session),
            idents.region.eq(walker.chunk.what),
            idents.word.eq(walker.chunk.place),
            body.enable.eq(go),
            body.address.eq(walker.chunk.place),
            sources.go.eq(go),
            sources.clear.eq(start | rewind),
            sources.fire.eq(walker.fire),
            sources.chunk.eq(walker.chunk),
            sources.body_length.eq(lengths.digits),
            sources.seq.eq(seq),
            sources.begin.eq(begin),
            sources.end.eq(end),
            sources.msg_type.eq(msg_type),
            sources.time.eq(now),
            sources.sum.eq(checksum.digits),
            sources.ident.eq(idents.read),
            sources.body.eq(body.data),
            packer.go.eq(go),
            packer.clear.eq(start | rewind),
            packer.valid.eq(sources.valid),
            packer.count.eq(sources.count),
            packer.right.eq(sources.right),
            packer.last.eq(sources.ends),
            packer.data.eq(sources.data),
            offer.open.eq(active),
            offer.clear.eq(rewind),
            offer.valid.eq(packer.word_valid & ~idents.writing),
            offer.word.data.eq(packer.word),
            offer.word.count.eq(packer.word_count),
            offer.word.last.eq(packer.word_last & active),
            offer.word.session.eq(Mux(active, session, chosen)),
        ]

        # -- CheckSum: until a message starts it is that of the first chunk
        m.d.comb += [
            byte_sum.valid.eq(sources.summed & go & active),
            byte_sum.data.eq(sources.data),
            checksum.restart.eq(~active),
            checksum.first.eq(byte_sum.sum),
            checksum.add.eq(byte_sum.sum_valid),
            checksum.byte.eq(byte_sum.sum),
        ]
        # Its digits are ready for the step that is read when nothing to be summed has been under way for a while.
        summing = walker.summing | sources.summing
        if late := byte_sum.latency(width):
            quiet = Signal(late)
            m.d.sync += quiet.eq(Mux(summing, 0, Cat(1, quiet)))
            m.d.comb += walker.sum_known.eq(quiet.all() & ~summing)
        else:
            m.d.comb += walker.sum_known.eq(~summing)

        # -- First beat, last beat, records
        taken = Signal()
        first_taken = Signal()
        m.d.comb += [taken.eq(self.tx.valid & self.tx.ready), first_taken.eq(taken & ~begun)]
        with m.If(first_taken):
            m.d.sync += [begun.eq(1), telling.eq(1)]
        with m.If(taken & self.tx.payload.last):
            m.d.comb += [rewind.eq(1), body.release.eq(~is_request)]
        with m.If(self.clear):
            with m.If(request.session == self.clear_session):
                m.d.sync += request_held.eq(0)
            with m.If(active & is_request & ~begun & ~first_taken & (session == self.clear_session)):
                m.d.comb += [rewind.eq(1), walker.abort.eq(1)]
        with m.If(rewind):
            m.d.sync += [active.eq(0), begun.eq(0)]

        # A number is used with the first beat. What the host sets waits for that.
        was_taken = Signal()
        m.d.sync += was_taken.eq(first_taken)
        m.d.comb += [
            numbers.used.eq(was_taken & ~is_replay),
            numbers.set_next_out.eq(sets),
            numbers.set_session.eq(self.set_session),
            numbers.new_next_out.eq(self.new_next_out),
            numbers.host_session.eq(self.next_out_session),
            self.next_out.eq(numbers.host_number),
        ]

        record = self.records.payload
        m.d.comb += [
            # A request's REQUEST event is on its way when its first beat is offered; BodyLength is known long after it
            # has arrived.
            self.records.valid.eq((telling & lengths.known) | dropping),
            record.session.eq(session),
            record.cycle.eq(sent_cycle),
        ]
        with m.If(dropping):
            m.d.comb += [record.kind.eq(RecordKind.EVENT), record.code.eq(EventCode.SEND_DROPPED)]
        with m.Else():
            m.d.comb += [
                record.kind.eq(RecordKind.SENT),
                record.msg_type.eq(msg_type),
                record.seq.eq(seq),
                record.flags.eq(Flag.SEQ | Mux(is_replay, Flag.REPLAY, 0) | Mux(is_request, Flag.DEVICE, 0)),
            ]
        with m.If(self.records.valid & self.records.ready):
            m.d.sync += [telling.eq(0), dropping.eq(0)]
        with m.If(drop):
            m.d.comb += body.release.eq(1)
            m.d.sync += dropping.eq(1)

        m.d.comb += self.idle.eq(
            ~active & ~request_held & ~body.held & ~telling & ~dropping & known.all() & ~sets & ~numbers.waits
        )
        return m
