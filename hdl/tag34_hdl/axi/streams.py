"""Beats of AXI4-Stream to beats of the core, and packets to messages to be composed."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract.axi import SEND_FIELDS, SEND_HEADER_BYTES

from ..layouts import Shape

#: The first bytes of a packet with a message to be composed.
Header = data.StructLayout({name: unsigned(8 * size) for name, size in SEND_FIELDS})


def keep_of(count: Value, width: int) -> Value:
    """TKEEP for so many bytes."""
    return Cat(count > lane for lane in range(width))


class Entry(wiring.Component):
    """A register behind an AXI4-Stream port: what the core does with a beat in the cycle in which it takes it does not
    add to paths outside, and TREADY does not depend on what is offered.

    TKEEP counts from bit 0 up to its first hole: bytes behind a hole are dropped. A beat without bytes is dropped as a
    whole, unless it ends a packet and ``ends`` is set. So is a beat of a session that does not exist.

    Parameters: ``shape``; ``ends``, whether TLAST means something.

    Members:
        tdata, tkeep, tvalid, tready, tlast, tid: the port.
        beats: what is left, as the core has it; ``last`` is TLAST if ``ends``, else 0.

    Latency: one cycle. Throughput: one beat per cycle.
    """

    def __init__(self, shape: Shape, *, ends: bool):
        self.shape = shape
        self.ends = ends
        super().__init__(
            {
                "tdata": In(8 * shape.width),
                "tkeep": In(shape.width),
                "tvalid": In(1),
                "tready": Out(1),
                "tlast": In(1),
                "tid": In(shape.session_bits),
                "beats": Out(stream.Signature(shape.beat)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, beats = self.shape, self.beats
        count = Signal.like(beats.payload.count)
        for lanes in range(1, shape.width + 1):
            with m.If(self.tkeep[:lanes].all()):
                m.d.comb += count.eq(lanes)
        last = self.tlast if self.ends else 0
        wanted = (count != 0) | last
        if shape.sessions < 1 << shape.session_bits:
            wanted = wanted & (self.tid < shape.sessions)
        m.d.comb += self.tready.eq(~beats.valid | beats.ready)
        with m.If(self.tready):
            m.d.sync += [
                beats.valid.eq(self.tvalid & wanted),
                beats.payload.data.eq(self.tdata),
                beats.payload.count.eq(count),
                beats.payload.session.eq(self.tid),
                beats.payload.last.eq(last),
            ]
        return m


class SendPackets(wiring.Component):
    """Messages to be composed, out of packets: a header (:data:`tag34.contract.axi.SEND_FIELDS`), then the message's
    fields, each closed by SOH, or nothing.

    The header fills the first beats, byte by byte. A packet that ends within its header, or whose session does not
    exist, is dropped. A last beat may be without bytes: each beat is kept until it is known whether it is the last one
    with bytes.

    Parameters: ``shape``.

    Members:
        beats: the packets; ``last`` with the last beat of each. ``session`` does not matter.
        header, body: as the core takes them: the header first.
        busy: some of a message is offered.

    Throughput: one beat per cycle within a packet, two cycles more for each packet.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "beats": In(stream.Signature(shape.beat)),
                "header": Out(stream.Signature(shape.send_header)),
                "body": Out(stream.Signature(shape.beat)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, beats, header, body = self.shape, self.beats, self.header, self.body
        count = SEND_HEADER_BYTES // shape.width
        assert count * shape.width == SEND_HEADER_BYTES
        assert count & count - 1 == 0  # `index` goes round by itself

        beat = beats.payload
        taken = beats.valid & beats.ready
        start = Signal(Header)
        index = Signal(range(count))
        held = Signal(shape.beat)
        exists = start.session < shape.sessions
        m.d.comb += [
            header.payload.session.eq(start.session),
            header.payload.msg_type.eq(start.msg_type),
            header.payload.replay.eq(start.replay),
            header.payload.seq.eq(start.seq),
            body.payload.eq(held),
            body.payload.session.eq(start.session),
            self.busy.eq(header.valid | body.valid),
        ]
        with m.If(header.ready):
            m.d.sync += header.valid.eq(0)

        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += beats.ready.eq(~header.valid)
                with m.If(taken):
                    m.d.sync += [
                        Value.cast(start).word_select(index, 8 * shape.width).eq(beat.data),
                        index.eq(Mux(beat.last, 0, index + 1)),
                    ]
                    with m.If(index == count - 1):
                        with m.If(beat.last):
                            m.next = "ALONE"
                        with m.Else():
                            m.next = "BODY"

            with m.State("ALONE"):  # nothing follows
                m.d.sync += [header.valid.eq(exists), header.payload.body.eq(0)]
                m.next = "HEADER"

            with m.State("BODY"):  # the first of what follows
                m.d.comb += beats.ready.eq(1)
                m.d.sync += held.eq(beat)
                with m.If(taken):
                    with m.If(beat.count == 0):  # and the last
                        m.next = "ALONE"
                    with m.Else():
                        m.d.sync += [header.valid.eq(exists), header.payload.body.eq(1)]
                        with m.If(beat.last):
                            m.next = "LAST"
                        with m.Else():
                            m.next = "MORE"

            with m.State("MORE"):
                with m.If(beats.valid & (beat.count == 0)):
                    m.d.comb += beats.ready.eq(1)
                    m.d.sync += held.last.eq(1)
                    m.next = "LAST"
                with m.Else():
                    m.d.comb += [body.valid.eq(beats.valid & exists), beats.ready.eq(body.ready | ~exists)]
                    with m.If(taken):
                        m.d.sync += held.eq(beat)
                        with m.If(beat.last):
                            m.next = "LAST"

            with m.State("LAST"):
                m.d.comb += body.valid.eq(exists)
                with m.If(body.ready | ~exists):
                    m.next = "HEADER"
        return m
