"""What leaves the core, as bytes for the host."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34.contract import RECORD_BYTES
from tag34.contract.link import DELIVER, LAST, PIECE_BYTES, SENT, Answer

from ..layouts import Record, Shape
from .packet import PacketByte, check_ring


class Answers(wiring.Component):
    """Writes records, pieces of messages and the answers to requests into a ring, one after the other.

    An answer may be sent when it is whole: what it begins with is written last, for a piece's length is not known
    before.

    Parameters: ``shape``; ``ring_bytes``, size of the ring, a power of two.

    Members:
        records, deliver, tx: the core's.
        answers: bytes of answers to requests; taken when nothing of the core waits.
        write, write_address, write_data: the ring.
        written: place behind the last whole answer; acked: place of the first byte that must stay.

    Throughput: a byte per cycle, and two cycles per answer. A piece ends when its message does, when it is full, or
    when the message has nothing to give and something else waits.
    """

    def __init__(self, shape: Shape, ring_bytes: int):
        check_ring("answers_bytes", ring_bytes)
        self.shape = shape
        bits = ceil_log2(ring_bytes)
        super().__init__(
            {
                "records": In(stream.Signature(Record)),
                "deliver": In(stream.Signature(shape.beat)),
                "tx": In(stream.Signature(shape.beat)),
                "answers": In(stream.Signature(PacketByte)),
                "write": Out(1),
                "write_address": Out(bits),
                "write_data": Out(8),
                "written": Out(bits),
                "acked": In(bits),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        put = Signal.like(self.written)
        free = Signal.like(self.written)
        room = Signal()
        puts = Signal()  # if there is room
        at = Signal(range(RECORD_BYTES))
        m.d.comb += [
            free.eq(self.acked - put - 1),
            self.write.eq(puts & room),
            self.write_address.eq(put),
        ]
        # Room for two is room for one in the next cycle. A long way into the core begins here.
        m.d.sync += room.eq(free[1:] != 0)
        with m.If(puts & room):
            m.d.sync += put.eq(put + 1)

        is_tx = Signal()  # the message at hand, or the one before
        beat = Signal(shape.beat)
        valid = Signal()
        ready = Signal()
        number = Signal(range(PIECE_BYTES))  # bytes of the piece less one
        ends = Signal()  # with it, its message does
        last_lane = Signal(init=1)
        first_lane = Signal(init=1)
        data = Signal(8)
        m.d.comb += [
            beat.eq(Mux(is_tx, self.tx.payload, self.deliver.payload)),
            valid.eq(Mux(is_tx, self.tx.valid, self.deliver.valid)),
            self.tx.ready.eq(ready & is_tx),
            self.deliver.ready.eq(ready & ~is_tx),
        ]
        assert PIECE_BYTES == LAST
        if shape.width == 1:
            m.d.comb += [data.eq(beat.data), first_lane.eq(1), last_lane.eq(1)]
        else:
            lane = Signal(shape.lane_bits)
            m.d.comb += [
                data.eq(beat.data.word_select(lane, 8)),
                first_lane.eq(lane == 0),
                last_lane.eq(lane + 1 == beat.count),
            ]

        with m.FSM():
            with m.State("IDLE"):
                with m.If(~first_lane):  # the rest of a beat
                    m.d.comb += puts.eq(1)
                    with m.If(room):
                        m.next = "SESSION"
                with m.Elif(self.records.valid):
                    m.d.comb += [puts.eq(1), self.write_data.eq(Answer.RECORD.value)]
                    with m.If(room):
                        m.next = "RECORD"
                with m.Elif(self.deliver.valid | self.tx.valid):
                    m.d.comb += puts.eq(1)
                    with m.If(room):
                        m.d.sync += is_tx.eq(self.tx.valid & ~(self.deliver.valid & is_tx))
                        m.next = "SESSION"
                with m.Elif(self.answers.valid):
                    m.next = "ANSWER"
                m.d.sync += [at.eq(0), number.eq(PIECE_BYTES - 1), ends.eq(0)]
            with m.State("RECORD"):
                m.d.comb += [puts.eq(1), self.write_data.eq(chosen(self.records.payload.as_value(), at))]
                with m.If(room):
                    m.d.sync += at.eq(at + 1)
                    with m.If(at == RECORD_BYTES - 1):
                        m.d.comb += self.records.ready.eq(1)
                        m.next = "WHOLE"
            with m.State("ANSWER"):
                m.d.comb += [
                    puts.eq(self.answers.valid),
                    self.write_data.eq(self.answers.payload.data),
                    self.answers.ready.eq(room),
                ]
                with m.If(self.answers.valid & room & self.answers.payload.last):
                    m.next = "WHOLE"
            with m.State("SESSION"):
                m.d.comb += [puts.eq(1), self.write_data.eq(Mux(at[0], beat.session[8:], beat.session))]
                with m.If(room):
                    m.d.sync += at[0].eq(1)
                    with m.If(at[0]):
                        m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += [puts.eq(valid), self.write_data.eq(data), ready.eq(room & last_lane)]
                with m.If(valid & room):
                    m.d.sync += [number.eq(number + 1), ends.eq(beat.last & last_lane)]
                    if shape.width > 1:
                        m.d.sync += lane.eq(Mux(last_lane, 0, lane + 1))
                    with m.If((beat.last & last_lane) | (number == PIECE_BYTES - 2)):
                        m.next = "CLOSE"
                with m.Elif(~valid & (self.records.valid | self.deliver.valid | self.tx.valid | self.answers.valid)):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += [
                    self.write.eq(1),
                    self.write_address.eq(self.written),
                    self.write_data.eq(Cat(number, ends, Mux(is_tx, SENT >> 6, DELIVER >> 6))),
                ]
                m.d.sync += self.written.eq(put)
                m.next = "IDLE"
            with m.State("WHOLE"):
                m.d.sync += self.written.eq(put)
                m.next = "IDLE"
        return m


def chosen(word: Value, index: Value) -> Value:
    """Byte ``index`` of ``word``: a tree of choices, half of what a shifter would take."""
    parts = [word[at : at + 8] for at in range(0, len(word), 8)]
    for bit in index:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [Mux(bit, odd, even) for even, odd in pairs] + parts[len(parts) & ~1 :]
    (part,) = parts
    return part
