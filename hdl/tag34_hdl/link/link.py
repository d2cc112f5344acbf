"""A core with its host link, whatever carries the packets."""

from __future__ import annotations

from amaranth import Elaboratable, Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..core import Core
from ..layouts import Shape
from .answers import Answers
from .inbound import Inbound
from .outbound import Outbound
from .packet import LinkInfo, PacketByte
from .requests import Requests


class Link(wiring.Component):
    """The device's side of a link session, and the core that it is about.

    Parameters:
        shape: of the core.
        info: what an INFO packet says beside it.
        timeout_cycles: longer than all that may be under way takes on the wire, both ways, and the host to answer.
        requests_bytes, answers_bytes: of the rings, powers of two from 256 on; some bytes of each stay empty.
        core: what takes the core's place; None: a Core. It has the core's members.

    Members:
        inbound: packets of the host.
        outbound: packets for the host.

    Throughput: a byte in eight cycles inbound, one in eleven outbound.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        info: LinkInfo | None = None,
        timeout_cycles: int,
        requests_bytes: int = 512,
        answers_bytes: int = 512,
        core: wiring.Component | None = None,
    ):
        self.shape = shape
        self.core = Core(shape) if core is None else core
        payload = (info or LinkInfo()).payload(shape)
        self._inbound = Inbound(requests_bytes, answers_bytes)
        self._outbound = Outbound(answers_bytes, requests_bytes, payload, timeout_cycles)
        self._requests = Requests(shape)
        self._answers = Answers(shape, answers_bytes)
        super().__init__(
            {"inbound": In(stream.Signature(PacketByte)), "outbound": Out(stream.Signature(PacketByte))},
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        begins = Signal()
        core = self.core
        m.submodules.inbound = inbound = self._inbound
        m.submodules.outbound = outbound = self._outbound
        m.submodules.core = ResetInserter(begins)(core)
        requests, answers = self._requests, self._answers
        m.submodules.requests = ResetInserter(begins)(requests)
        m.submodules.answers = ResetInserter(begins)(answers)

        connect(m, flipped(self.inbound), inbound.packets)
        connect(m, outbound.packets, flipped(self.outbound))
        connect(m, inbound.requests, requests.bytes)
        connect(m, requests.answers, answers.answers)
        for name in ("rx", "send_header", "send_body"):
            connect(m, getattr(requests, name), getattr(core, name))
        for name in ("deliver", "tx", "records"):
            connect(m, getattr(core, name), getattr(answers, name))
        m.d.comb += [
            begins.eq(inbound.begins),
            inbound.forget.eq(requests.forget),
            *(getattr(core, name).eq(getattr(requests, name)) for name in ("address", "write", "write_data", "read")),
            requests.read_data.eq(core.read_data),
            requests.ready.eq(core.ready),
            requests.idle.eq(core.idle),
            *(
                getattr(outbound, name).eq(getattr(inbound, name))
                for name in (
                    *("begins", "opened", "holds", "state_write", "state_address", "state_data", "room"),
                    *("info", "refused", "data", "go_back", "acknowledges", "sends_again", "moves", "window"),
                )
            ),
            inbound.composing.eq(outbound.composing),
            inbound.under_way.eq(outbound.under_way),
            *(getattr(outbound, name).eq(getattr(answers, name)) for name in ("write", "write_address", "write_data")),
            outbound.written.eq(answers.written),
            answers.acked.eq(outbound.acked),
        ]
        return m
