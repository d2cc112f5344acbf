"""The core as a block of an AXI design."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import ClockDomain, Elaboratable, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow, In, Out, connect

from tag34.contract import RECORD_BITS
from tag34.contract.axi import ADDRESS_BITS, RECORD_BEAT_BITS

from ..core import Core
from ..layouts import Shape
from .lite import AxiLite
from .streams import Entry, SendPackets, keep_of


@dataclass(frozen=True)
class Port:
    """One port: ``flow`` (In or Out), ``width`` in bits, ``doc``: what it means."""

    name: str
    flow: Flow
    width: int
    doc: str


def ports(shape: Shape) -> tuple[Port, ...]:
    """The ports of :class:`AxiCore`, in order."""
    width, session = shape.width, shape.session_bits

    def in_(name: str, width: int, doc: str) -> Port:
        return Port(name, In, width, doc)

    def out(name: str, width: int, doc: str) -> Port:
        return Port(name, Out, width, doc)

    return (
        in_("aclk", 1, "clock of all ports and of the core; nominally CLOCK_HZ"),
        in_("aresetn", 1, "reset, active low, synchronous to aclk"),
        in_("s_axis_rx_tdata", 8 * width, "bytes from the connections, the first in bits 7..0"),
        in_("s_axis_rx_tkeep", width, "which of them there are, from bit 0 on; bytes behind a hole are dropped"),
        in_("s_axis_rx_tid", session, "session of the beat; beats of one that does not exist are dropped"),
        in_("s_axis_rx_tlast", 1, "of no meaning: messages are found in the bytes"),
        in_("s_axis_rx_tvalid", 1, ""),
        out("s_axis_rx_tready", 1, ""),
        out("m_axis_deliver_tdata", 8 * width, "bytes of the messages for the host, in order, whole messages"),
        out("m_axis_deliver_tkeep", width, "which of them there are, from bit 0 on"),
        out("m_axis_deliver_tid", session, "session of the message"),
        out("m_axis_deliver_tlast", 1, "the message ends"),
        out("m_axis_deliver_tvalid", 1, ""),
        in_("m_axis_deliver_tready", 1, ""),
        out("m_axis_tx_tdata", 8 * width, "bytes for the connections, whole messages"),
        out("m_axis_tx_tkeep", width, "which of them there are, from bit 0 on"),
        out("m_axis_tx_tid", session, "session of the message"),
        out("m_axis_tx_tlast", 1, "the message ends"),
        out("m_axis_tx_tvalid", 1, ""),
        in_("m_axis_tx_tready", 1, ""),
        out("m_axis_records_tdata", RECORD_BEAT_BITS, f"a record in bits {RECORD_BITS - 1}..0, zeros above it"),
        out("m_axis_records_tlast", 1, "always 1: each record is a packet"),
        out("m_axis_records_tvalid", 1, ""),
        in_("m_axis_records_tready", 1, "a record that is not taken holds back s_axis_rx; none is dropped"),
        in_("s_axis_send_tdata", 8 * width, "a message to be composed: 16 bytes of header, then its fields"),
        in_("s_axis_send_tkeep", width, "which bytes of a beat there are; of no meaning within the header"),
        in_("s_axis_send_tlast", 1, "the message ends"),
        in_("s_axis_send_tvalid", 1, ""),
        out("s_axis_send_tready", 1, ""),
        in_("s_axi_awaddr", ADDRESS_BITS, "byte address: four times that of the register"),
        in_("s_axi_awprot", 3, "of no meaning"),
        in_("s_axi_awvalid", 1, ""),
        out("s_axi_awready", 1, ""),
        in_("s_axi_wdata", 32, ""),
        in_("s_axi_wstrb", 4, "all bytes or none: else SLVERR, and nothing is written"),
        in_("s_axi_wvalid", 1, ""),
        out("s_axi_wready", 1, ""),
        out("s_axi_bresp", 2, "OKAY: the register has the word; SLVERR: nothing was written"),
        out("s_axi_bvalid", 1, ""),
        in_("s_axi_bready", 1, ""),
        in_("s_axi_araddr", ADDRESS_BITS, "byte address: four times that of the register"),
        in_("s_axi_arprot", 3, "of no meaning"),
        in_("s_axi_arvalid", 1, ""),
        out("s_axi_arready", 1, ""),
        out("s_axi_rdata", 32, ""),
        out("s_axi_rresp", 2, "SLVERR: there is no register at that address"),
        out("s_axi_rvalid", 1, ""),
        in_("s_axi_rready", 1, ""),
        out("idle", 1, "nothing is under way and nothing waits to leave"),
    )


class AxiCore(wiring.Component):
    """:class:`~tag34_hdl.core.Core` with AXI4-Stream and AXI4-Lite ports, a clock and a reset of its own.

    Parameters: ``shape``, not a compact one (ValueError).

    Members: those of :func:`ports`, named as tools expect it that find buses by names.

    Latency: that of the core, and one cycle more at ``s_axis_rx`` and ``s_axis_send``. Outputs of the streams are the
    core's.
    """

    def __init__(self, shape: Shape):
        if shape.compact:
            raise ValueError("a compact core has no AXI ports: compact must be False")
        self.shape = shape
        super().__init__({port.name: port.flow(port.width) for port in ports(shape)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        m.domains.sync = domain = ClockDomain(local=True)
        # The port itself is the clock: through an assignment it would be late, and late is a race in a simulator.
        domain.clk = self.aclk
        m.d.comb += domain.rst.eq(~self.aresetn)

        m.submodules.core = core = Core(shape)
        m.submodules.rx = rx = Entry(shape, ends=False)
        m.submodules.send = send = Entry(shape, ends=True)
        m.submodules.packets = packets = SendPackets(shape)
        m.submodules.lite = lite = AxiLite()
        self._take(m, "s_axis_rx", rx, ("tdata", "tkeep", "tvalid", "tlast", "tid"), ("tready",))
        self._take(m, "s_axis_send", send, ("tdata", "tkeep", "tvalid", "tlast"), ("tready",))
        connect(m, rx.beats, core.rx)
        connect(m, send.beats, packets.beats)
        connect(m, packets.header, core.send_header)
        connect(m, packets.body, core.send_body)

        for name in ("deliver", "tx"):
            beats = getattr(core, name)
            beat = beats.payload
            shown = (
                ("tdata", beat.data),
                ("tkeep", keep_of(beat.count, shape.width)),
                ("tid", beat.session),
                ("tlast", beat.last),
                ("tvalid", beats.valid),
            )
            m.d.comb += [getattr(self, f"m_axis_{name}_{part}").eq(value) for part, value in shown]
            m.d.comb += beats.ready.eq(getattr(self, f"m_axis_{name}_tready"))
        m.d.comb += [
            self.m_axis_records_tdata.eq(Value.cast(core.records.payload)),
            self.m_axis_records_tlast.eq(1),
            self.m_axis_records_tvalid.eq(core.records.valid),
            core.records.ready.eq(self.m_axis_records_tready),
        ]

        asks = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")
        answers = ("awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp", "rvalid")
        self._take(m, "s_axi", lite, asks, answers)
        m.d.comb += [
            core.address.eq(lite.address),
            core.write.eq(lite.write),
            core.write_data.eq(lite.write_data),
            core.read.eq(lite.read),
            lite.read_data.eq(core.read_data),
            self.idle.eq(core.idle & ~rx.beats.valid & ~packets.busy),
        ]
        return m

    def _take(
        self, m: Module, prefix: str, part: wiring.Component, inputs: tuple[str, ...], outputs: tuple[str, ...]
    ) -> None:
        """Connect members of ``part`` with the ports that have their names behind ``prefix``."""
        m.d.comb += [getattr(part, name).eq(getattr(self, f"{prefix}_{name}")) for name in inputs]
        m.d.comb += [getattr(self, f"{prefix}_{name}").eq(getattr(part, name)) for name in outputs]
