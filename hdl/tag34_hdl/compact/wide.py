"""The compact core with the wide ports of :class:`tag34_hdl.core.Core`."""

from typing import Any

from amaranth import Cat, Elaboratable, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import RECORD_BYTES

from ..layouts import Record, Shape
from .core import CompactCore, LastByte

#: Bytes of a host message before its body, and of an access to a register.
HEADER_BYTES, WORD_BYTES = 12, 4


class WideRecords(wiring.Component):
    """Bytes of records become whole ones. Members: ``bytes``, ``records``."""

    bytes: In(stream.Signature(LastByte))
    records: Out(stream.Signature(Record))

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        words = Signal(8 * RECORD_BYTES)
        m.d.comb += [
            self.bytes.ready.eq(~self.records.valid),
            Value.cast(self.records.payload).eq(words[: Record.size]),
        ]
        with m.If(self.records.ready):
            m.d.sync += self.records.valid.eq(0)
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [
                words.eq(Cat(words[8:], self.bytes.payload.data)),
                self.records.valid.eq(self.bytes.payload.last),
            ]
        return m


class SendBytes(wiring.Component):
    """A host message, header and body apart, becomes a row of bytes.

    Parameters: ``shape``. Members: ``send_header``, ``send_body``, as those of the core; ``bytes``; ``idle``: it has
    nothing.
    """

    def __init__(self, shape: Shape):
        super().__init__(
            {
                "send_header": In(stream.Signature(shape.send_header)),
                "send_body": In(stream.Signature(shape.beat)),
                "bytes": Out(stream.Signature(LastByte)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        header = self.send_header.payload
        left = Signal(range(HEADER_BYTES + 1))
        words = Signal(8 * HEADER_BYTES)
        body = Signal()
        bytes_, beat = self.bytes, self.send_body.payload
        in_header = left != 0
        fields = data.StructLayout({"session": 16, "msg_type": 32, "replay": 8, "seq": 40})
        packed = Signal(fields)
        m.d.comb += [
            *(packed[name].eq(header[name]) for name, _ in fields),
            self.send_header.ready.eq(~in_header & ~body),
            self.send_body.ready.eq(~in_header & body & bytes_.ready),
            bytes_.valid.eq(in_header | (body & self.send_body.valid)),
            bytes_.payload.data.eq(beat.data),
            bytes_.payload.last.eq(beat.last),
            self.idle.eq(~in_header & ~body),
        ]
        with m.If(in_header):
            m.d.comb += [bytes_.payload.data.eq(words[:8]), bytes_.payload.last.eq((left == 1) & ~body)]
            with m.If(bytes_.ready):
                m.d.sync += [left.eq(left - 1), words.eq(words >> 8)]
        with m.Elif(body & self.send_body.valid & bytes_.ready & beat.last):
            m.d.sync += body.eq(0)
        with m.If(self.send_header.valid & self.send_header.ready):
            m.d.sync += [left.eq(HEADER_BYTES), words.eq(packed), body.eq(header.body)]
        return m


class RegisterBus(wiring.Component):
    """The register bus becomes a row of accesses.

    Parameters: ``address_bits``.

    Members: ``address``, ``write``, ``write_data``, ``read``, ``read_data``: the bus; ``ready``: it may be used, and
        ``read_data`` is what was asked for. ``control``, ``answers``: of the compact core.
    """

    def __init__(self, address_bits: int):
        super().__init__(
            {
                "address": In(address_bits),
                "write": In(1),
                "write_data": In(32),
                "read": In(1),
                "read_data": Out(32),
                "ready": Out(1),
                "control": Out(stream.Signature(8)),
                "answers": In(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        asks = Signal(range(2 + WORD_BYTES))  # bytes to be given
        waits = Signal(range(1 + WORD_BYTES))  # bytes to come
        words = Signal(8 + 32)
        m.d.comb += [
            self.ready.eq((asks == 0) & (waits == 0)),
            self.control.valid.eq(asks != 0),
            self.control.payload.eq(words[:8]),
            self.answers.ready.eq(1),
        ]
        with m.If(self.control.valid & self.control.ready):
            m.d.sync += [asks.eq(asks - 1), words.eq(words >> 8)]
        with m.If(self.answers.valid):
            m.d.sync += [waits.eq(waits - 1), self.read_data.eq(Cat(self.read_data[8:], self.answers.payload))]
        with m.If(self.ready):
            with m.If(self.write):
                m.d.sync += [asks.eq(1 + WORD_BYTES), words.eq(Cat((self.address | 128)[:8], self.write_data))]
            with m.Elif(self.read):
                m.d.sync += [asks.eq(1), waits.eq(WORD_BYTES), words.eq(self.address)]
        return m


def elaborate_wide(core: Any, address_bits: int) -> Module:
    """What ``core``, a :class:`~tag34_hdl.core.Core` whose shape is a compact one, consists of."""
    m = Module()
    shape = core.shape
    m.submodules.core = compact = CompactCore(shape)
    m.submodules.records = records = WideRecords()
    m.submodules.send = send = SendBytes(shape)
    m.submodules.bus = bus = RegisterBus(address_bits)
    wiring.connect(m, compact.records, records.bytes)
    wiring.connect(m, records.records, wiring.flipped(core.records))
    wiring.connect(m, wiring.flipped(core.send_header), send.send_header)
    wiring.connect(m, wiring.flipped(core.send_body), send.send_body)
    wiring.connect(m, send.bytes, compact.send)
    wiring.connect(m, bus.control, compact.control)
    wiring.connect(m, compact.answers, bus.answers)
    wiring.connect(m, compact.deliver, wiring.flipped(core.deliver))
    wiring.connect(m, compact.tx, wiring.flipped(core.tx))
    m.d.comb += [
        compact.rx.valid.eq(core.rx.valid),
        compact.rx.payload.data.eq(core.rx.payload.data),
        compact.rx.payload.session.eq(core.rx.payload.session),
        core.rx.ready.eq(compact.rx.ready),
        bus.address.eq(core.address),
        bus.write.eq(core.write),
        bus.write_data.eq(core.write_data),
        bus.read.eq(core.read),
        core.read_data.eq(bus.read_data),
        core.ready.eq(bus.ready),
        core.idle.eq(
            compact.idle & ~records.records.valid & send.idle & ~core.send_header.valid & bus.ready & ~core.write
        ),
    ]
    return m
