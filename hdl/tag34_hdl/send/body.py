"""The host's message waits here until it is whole."""

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..layouts import Shape
from .packer import Packer
from .store import Store


class BodyStore(wiring.Component):
    """Takes one message of the host, its header and then its bytes, and keeps it until it is let go. Only a whole one
    is shown, so that its length is known and nothing that leaves waits for the host (S3).

    Parameters: ``shape``.

    Members:
        send_header, send_body: as in :class:`tag34_hdl.send.composer.Composer`; a beat per cycle, of any count.
        held: there is a header; whole: it is in ``header``, its bytes are stored, ``length`` of them.
        too_long: there were more than max_message.
        release: let it go.
        enable, address, data: read port: ``width`` bytes one cycle after their address.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        self.depth = -(-shape.max_message // shape.width)
        super().__init__(
            {
                "send_header": In(stream.Signature(shape.send_header)),
                "send_body": In(stream.Signature(shape.beat)),
                "header": Out(shape.send_header),
                "held": Out(1),
                "whole": Out(1),
                "too_long": Out(1),
                # A beat may go beyond the longest message before it is known to be too long.
                "length": Out(ceil_log2(shape.max_message + shape.width + 1)),
                "release": In(1),
                "enable": In(1),
                "address": In(ceil_log2(self.depth)),
                "data": Out(8 * shape.width),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        m.submodules.bytes = store = Store(shape.width, self.depth)
        m.submodules.packer = packer = Packer(shape.width)
        complete = Signal()
        beat = self.send_body.payload
        taken = self.send_body.valid & self.send_body.ready
        m.d.comb += [
            self.send_header.ready.eq(~self.held),
            self.send_body.ready.eq(self.held & ~complete),
        ]
        # One cycle behind, as `too_long` is.
        m.d.sync += self.whole.eq(self.held & complete & ~self.release)
        with m.If(taken):
            # One that is too long is only counted until it is known to be.
            with m.If(~self.too_long):
                m.d.sync += self.length.eq(self.length + (beat.count if shape.width > 1 else 1))
            m.d.sync += complete.eq(beat.last)
        with m.If(self.length > shape.max_message):
            m.d.sync += self.too_long.eq(1)
        with m.If(self.send_header.valid & self.send_header.ready):
            m.d.sync += [
                self.header.eq(self.send_header.payload),
                self.held.eq(1),
                complete.eq(~self.send_header.payload.body),
                self.length.eq(0),
                self.too_long.eq(0),
            ]
        with m.If(self.release):
            m.d.sync += [self.held.eq(0), complete.eq(0)]

        # The words are written a few cycles later; nobody can read them so soon. Words beyond the end go round: they
        # are of a message that does not leave.
        m.d.comb += [
            packer.go.eq(1),
            packer.valid.eq(taken),
            packer.count.eq(beat.count),
            packer.last.eq(beat.last),
            store.write_data.eq(packer.word),
            store.write.eq(packer.word_valid.replicate(shape.width)),
        ]
        m.d.sync += packer.data.eq(beat.data)
        word = Signal(range(self.depth))
        m.d.comb += store.write_address.eq(word)
        with m.If(packer.word_valid):
            m.d.sync += word.eq(word + 1)
            with m.If(packer.word_last):
                m.d.sync += word.eq(0)
        m.d.comb += [
            store.enable.eq(self.enable),
            store.address.eq(self.address),
            self.data.eq(store.data),
        ]
        return m
