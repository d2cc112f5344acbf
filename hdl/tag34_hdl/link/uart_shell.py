"""A core behind a UART."""

from __future__ import annotations

from amaranth import Elaboratable, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from tag34.contract.link import PACKET_BYTES

from ..layouts import Shape
from .cobs import CobsDecoder, CobsEncoder
from .link import Link
from .packet import LinkInfo
from .uart import UartReceiver, UartSender, check_divisor

#: What a host may take to answer.
HOST_SECONDS = 0.02
#: Bits of a byte on the wire.
BYTE_BITS = 10


def timeout_cycles(shape: Shape, divisor: int, requests_bytes: int, answers_bytes: int) -> int:
    """Cycles after which an answer cannot be acknowledged any more: all that may be under way has gone over the wire,
    in each direction, and the host has had its time."""
    packets = 4 * PACKET_BYTES  # what stands around the bytes: headers, those without any, what waits to leave
    return 2 * (requests_bytes + answers_bytes + packets) * BYTE_BITS * divisor + int(HOST_SECONDS * shape.clock_hz)


class UartShell(wiring.Component):
    """A core, its link, and frames on a UART (8N1).

    Parameters: ``shape``; ``divisor``, cycles per bit, at least 4; ``info``; ``requests_bytes``, ``answers_bytes``: see
    :class:`~tag34_hdl.link.link.Link`.

    Members: ``rx``, ``tx``: the pins, idle high.
    """

    def __init__(
        self,
        shape: Shape,
        divisor: int,
        info: LinkInfo | None = None,
        *,
        requests_bytes: int = 512,
        answers_bytes: int = 512,
    ):
        check_divisor(divisor)
        self.link = Link(
            shape,
            info=info,
            timeout_cycles=timeout_cycles(shape, divisor, requests_bytes, answers_bytes),
            requests_bytes=requests_bytes,
            answers_bytes=answers_bytes,
        )
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.link = link = self.link
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.encoder = encoder = CobsEncoder()
        m.submodules.sender = sender = UartSender(self.divisor)
        connect(m, receiver.bytes, decoder.bytes)
        connect(m, decoder.frames, link.inbound)
        connect(m, link.outbound, encoder.frames)
        connect(m, encoder.bytes, sender.bytes)
        m.d.comb += [receiver.pin.eq(self.rx), self.tx.eq(sender.pin)]
        return m
