"""AXI4-Lite to the bus of the register bank."""

from amaranth import C, Elaboratable, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import REGISTERS, Access
from tag34.contract.axi import ADDRESS_BITS as BYTE_ADDRESS_BITS

from ..registers import ADDRESS_BITS

#: Cycles between a write and the strobe of a read: as many as the slowest register takes to show what was written
#: (:class:`~tag34_hdl.registers.Registers`: COUNTER, six), and some to spare.
SETTLE = 8


class Response(enum.Enum, shape=2):
    """What BRESP and RRESP say."""

    OKAY = 0
    SLVERR = 2


class AxiLite(wiring.Component):
    """An AXI4-Lite subordinate of 32 bits in front of the register bank.

    Reads and writes are carried out one at a time; if both wait they take turns. A read that comes behind a write, also
    one whose response is still on its way, sees what was written.

    A write is OKAY only if the register has the word afterwards (or WSTRB is 0, which asks for nothing). SLVERR, and
    nothing happens: some but not all bytes of the word, a register that can only be read, no register at that address.
    A read of an address without a register is SLVERR; one that can only be written reads as 0, as in the bank. The two
    lowest bits of an address do not matter.

    Members:
        awaddr to rready: the bus, as AXI names it. AWPROT and ARPROT do not matter and are not here.
        address, write, write_data, read, read_data: to the bank. All but the last are registers.

    Latency: write, address and data taken to BVALID, two cycles; read, address taken to RVALID, five, and up to
    :data:`SETTLE` + 1 more behind a write. No output depends on an input of the same cycle. READY is high while nothing
    waits in that channel, VALID does not wait for READY.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "awaddr": In(BYTE_ADDRESS_BITS),
                "awvalid": In(1),
                "awready": Out(1),
                "wdata": In(32),
                "wstrb": In(4),
                "wvalid": In(1),
                "wready": Out(1),
                "bresp": Out(Response),
                "bvalid": Out(1),
                "bready": In(1),
                "araddr": In(BYTE_ADDRESS_BITS),
                "arvalid": In(1),
                "arready": Out(1),
                "rdata": Out(32),
                "rresp": Out(Response),
                "rvalid": Out(1),
                "rready": In(1),
                # the bank
                "address": Out(ADDRESS_BITS),
                "write": Out(1),
                "write_data": Out(32),
                "read": Out(1),
                "read_data": In(32),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()

        # What has come and waits: one of each.
        def waits(name: str, **parts: Signal) -> Signal:
            """True while there is something from channel ``name``, of which ``parts`` are kept."""
            full = Signal(name=f"{name}_waits")
            valid, ready = getattr(self, f"{name}valid"), getattr(self, f"{name}ready")
            m.d.comb += ready.eq(~full)
            with m.If(valid & ready):
                m.d.sync += [full.eq(1), *(kept.eq(getattr(self, name + part)) for part, kept in parts.items())]
            return full

        to_write, to_read = Signal(BYTE_ADDRESS_BITS), Signal(BYTE_ADDRESS_BITS)
        data, strobes = Signal(32), Signal(4)
        write_address, write_data = waits("aw", addr=to_write), waits("w", data=data, strb=strobes)
        read_address = waits("ar", addr=to_read)

        writable = sum(1 << r.address for r in REGISTERS.values() if r.access is not Access.RO)
        write_word, read_word = to_write[2:], to_read[2:]
        may_write, is_there = Signal(), Signal()
        m.d.comb += [
            may_write.eq((write_word < len(REGISTERS)) & C(writable, 1 << ADDRESS_BITS).bit_select(write_word, 1)),
            is_there.eq(read_word < len(REGISTERS)),
        ]

        # Whose turn it is.
        settle = Signal(range(SETTLE + 1))
        reading = Signal(3)  # a read is under way: the bank is asked, it looks, it answers
        wrote = Signal()  # the last one was a write
        wants_read = Signal()
        writes, reads = Signal(), Signal()
        m.d.comb += [
            wants_read.eq(read_address & ~self.rvalid),
            writes.eq(write_address & write_data & ~self.bvalid & ~reading.any() & ~(wants_read & wrote)),
            reads.eq(wants_read & (settle == 0) & ~reading.any() & ~writes),
        ]
        m.d.sync += [
            self.address.eq(Mux(writes, write_word, read_word)),
            self.write_data.eq(data),
            self.write.eq(writes & strobes.all() & may_write),
            self.read.eq(reads & is_there),
            reading.eq(reading << 1 | reads),
        ]
        with m.If(settle != 0):
            m.d.sync += settle.eq(settle - 1)

        with m.If(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(writes):
            m.d.sync += [
                write_address.eq(0),
                write_data.eq(0),
                wrote.eq(1),
                settle.eq(SETTLE),
                self.bvalid.eq(1),
                self.bresp.eq(Mux(~strobes.any() | (strobes.all() & may_write), Response.OKAY, Response.SLVERR)),
            ]

        with m.If(self.rready):
            m.d.sync += self.rvalid.eq(0)
        with m.If(reads):
            m.d.sync += wrote.eq(0)
        with m.If(reading[2]):
            m.d.sync += [
                read_address.eq(0),
                self.rvalid.eq(1),
                self.rdata.eq(Mux(is_there, self.read_data, 0)),
                self.rresp.eq(Mux(is_there, Response.OKAY, Response.SLVERR)),
            ]
        return m
