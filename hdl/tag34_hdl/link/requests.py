"""Carries out what the host asks for."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract.link import REQUEST_FIELDS, Answer, Request

from ..layouts import Shape
from ..registers import ADDRESS_BITS
from .packet import PacketByte

#: Cycles for which an address is shown before its register is read: a counter is not shown sooner behind its write.
READ_WAIT = 10


class Requests(wiring.Component):
    """One request after the other, from its bytes to the core.

    The first one waits until the core is idle, so that what has to be forgotten after a reset is.

    Parameters: ``shape``.

    Members:
        bytes: requests.
        answers: bytes of VALUE and SETTLED, ``last`` with the last one of an answer.
        forget: the bytes are no request; nothing is taken any more until the reset. Stays.
        rx, send_header, send_body, address, write, write_data, read, read_data, ready, idle: the core's.

    Throughput: a cycle per byte, and one more per beat. A WRITE takes two more, a READ 14, or as long as a
        compact core takes.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "bytes": In(stream.Signature(8)),
                "answers": Out(stream.Signature(PacketByte)),
                "forget": Out(1),
                "rx": Out(stream.Signature(shape.beat)),
                "send_header": Out(stream.Signature(shape.send_header)),
                "send_body": Out(stream.Signature(shape.beat)),
                "address": Out(ADDRESS_BITS),
                "write": Out(1),
                "write_data": Out(32),
                "read": Out(1),
                "read_data": In(32),
                "ready": In(1),
                "idle": In(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        byte = self.bytes.payload
        kind = Signal(3)
        at = Signal(4)  # arguments that are there; cycles of a wait; bytes of an answer
        # The first two arguments, an address or a session, then the others, the last one on top.
        first = Signal(16)
        others = Signal(96)
        length = others[80:]
        value = others[64:]
        some = Signal()  # bytes follow
        ends = Signal()  # there is one more byte
        sends = Signal()
        m.d.comb += [
            self.address.eq(first),
            self.write_data.eq(value),
            some.eq(length != 0),
            ends.eq(length == 1),
            sends.eq(kind == Request.SEND.value),
            self.send_header.payload.session.eq(first),
            self.send_header.payload.msg_type.eq(others[:32]),
            self.send_header.payload.replay.eq(others[32]),
            self.send_header.payload.seq.eq(others[40:80]),
            self.send_header.payload.body.eq(some),
        ]
        sizes = {request: sum(size for _, size in fields) for request, fields in REQUEST_FIELDS.items()}

        # -- Beats: full ones, but for the last one. They are kept: a long way into the core begins behind each.
        count = Signal(range(shape.width + 1))
        beat = Signal(shape.beat)
        whole = Signal()  # with the byte at hand
        offers = Signal()
        taken = Signal()
        m.d.comb += [
            beat.session.eq(first),
            beat.count.eq(count),
            whole.eq((count == shape.width - 1) | ends),
            self.rx.payload.eq(beat),
            self.send_body.payload.eq(beat),
            offers.eq(self.rx.valid | self.send_body.valid),
            taken.eq((self.rx.valid & self.rx.ready) | (self.send_body.valid & self.send_body.ready)),
        ]

        with m.FSM():
            with m.State("START"):
                with m.If(self.idle):
                    m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += self.bytes.ready.eq(1)
                m.d.sync += [at.eq(0), kind.eq(byte)]
                with m.If(self.bytes.valid):
                    m.next = "ARGUMENTS"
                    with m.If(byte == Request.SETTLE.value):
                        m.next = "SETTLE"
                    with m.If((byte == 0) | (byte > max(Request).value)):
                        m.next = "LOST"
            with m.State("LOST"):
                m.d.comb += self.forget.eq(1)
            with m.State("ARGUMENTS"):
                m.d.comb += self.bytes.ready.eq(1)
                with m.If(self.bytes.valid):
                    m.d.sync += [at.eq(at + 1), others.eq(Cat(others[8:], byte))]
                    with m.Switch(at):
                        with m.Case(0):
                            m.d.sync += first[:8].eq(byte)
                        with m.Case(1):
                            m.d.sync += first[8:].eq(byte)
                    for request, state in (
                        (Request.WRITE, "WRITE"),
                        (Request.READ, "READ"),
                        (Request.RECEIVE, "BYTES"),
                        (Request.SEND, "HEADER"),
                    ):
                        with m.If((kind == request.value) & (at == sizes[request] - 1)):
                            m.d.sync += at.eq(0)
                            m.next = state
            with m.State("WRITE"):
                m.d.comb += self.write.eq(1)
                m.next = "WRITTEN"
            with m.State("WRITTEN"):
                with m.If(self.ready):
                    m.next = "REQUEST"
            with m.State("READ"):
                # The word of the cycle behind the strobe is the one whose other half is kept.
                m.d.comb += self.read.eq(at == READ_WAIT)
                with m.If(at != READ_WAIT + 2):
                    m.d.sync += at.eq(at + 1)
                with m.Elif(self.ready):
                    m.d.sync += [value.eq(self.read_data), at.eq(0)]
                    m.next = "VALUE"
            with m.State("VALUE"):
                m.d.comb += [
                    self.answers.valid.eq(1),
                    self.answers.payload.data.eq(Mux(at == 0, Answer.VALUE.value, value[:8])),
                    self.answers.payload.last.eq(at == 4),
                ]
                with m.If(self.answers.ready):
                    m.d.sync += at.eq(at + 1)
                    with m.If(at != 0):
                        m.d.sync += others.eq(others[8:])
                    with m.If(at == 4):
                        m.next = "REQUEST"
            with m.State("SETTLE"):
                # What has left the core stands in the answers, or is taken before this one.
                with m.If(self.idle):
                    m.next = "SETTLED"
            with m.State("SETTLED"):
                m.d.comb += [
                    self.answers.valid.eq(1),
                    self.answers.payload.data.eq(Answer.SETTLED.value),
                    self.answers.payload.last.eq(1),
                ]
                with m.If(self.answers.ready):
                    m.next = "REQUEST"
            with m.State("HEADER"):
                m.d.comb += self.send_header.valid.eq(1)
                with m.If(self.send_header.ready):
                    m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += self.bytes.ready.eq(some & ~offers)
                with m.If(self.bytes.valid & self.bytes.ready):
                    m.d.sync += [
                        beat.data.word_select(count[: len(count) - 1], 8).eq(byte),
                        count.eq(count + 1),
                        length.eq(length - 1),
                        beat.last.eq(sends & ends),
                        self.rx.valid.eq(whole & ~sends),
                        self.send_body.valid.eq(whole & sends),
                    ]
                with m.If(taken):
                    m.d.sync += [count.eq(0), self.rx.valid.eq(0), self.send_body.valid.eq(0)]
                with m.If(~some & (taken | ~offers)):
                    m.next = "REQUEST"
        return m
