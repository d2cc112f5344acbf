"""Slots: the message memory, and who owns which piece of it."""

from amaranth import Array, C, Cat, ClockSignal, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib import fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..layouts import Shape
from .table import Context, Table

#: Words of a bank, at least, and number of banks, at most.
BANK_WORDS = 2048
BANKS = 32


class ExternalMemory:
    """A platform on which the message memory is a module of its own, outside of the design: whoever simulates one of
    many megabytes does not want each of its words written down in the netlist.

    The module has the parameter ``WORDS`` and the ports ``clk``, ``write``, ``write_address``, ``write_data`` (8 bits),
    ``read``, ``read_address``, ``read_data`` (the word at ``read_address``, from the clock edge with ``read`` on).
    """

    MODULE = "tag34_message_memory"


class Slots(wiring.Component):
    """Message bytes are written once, here, while they arrive. From then on slot numbers move.

    A slot is *current* (a session's, being written), *owned* (held or being delivered) or *free*. ``take`` makes the
    current slot owned; the next free one becomes current by itself. A message that is not kept leaves the current slot
    current. Each session has a current slot of its own, the first one is that of its number.

    Parameters: ``shape``.

    Members:
        switch, session, next_session: from the framer, in the cycle in which it changes from one session to the next.
        current, has_current: the slot being written, if there is one.
        take: the current slot is owned from now on.
        free: a slot that is no longer owned. Ready once the list is filled, slots - sessions cycles after reset.
        write, write_offset, write_data: a byte for the current slot.
        read_enable, read_slot, read_offset, read_data: read port; the data appear with the second enabled cycle after
            the address.

    Latency: a slot given to ``free`` is current one to three cycles later if there is none.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        slot, offset = shape.slot_bits, shape.offset_bits
        super().__init__(
            {
                "switch": In(1),
                "session": In(shape.session_bits),
                "next_session": In(shape.session_bits),
                "current": Out(slot),
                "has_current": Out(1),
                "take": In(1),
                "free": In(stream.Signature(slot)),
                "write": In(1),
                "write_offset": In(offset),
                "write_data": In(8),
                "read_enable": In(1),
                "read_slot": In(slot),
                "read_offset": In(offset),
                "read_data": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        write_address = Cat(self.write_offset, self.current)
        read_address = Cat(self.read_offset, self.read_slot)
        if isinstance(platform, ExternalMemory):
            read_data = Signal(8)
            m.submodules.memory = Instance(
                ExternalMemory.MODULE,
                p_WORDS=shape.slots << shape.offset_bits,
                i_clk=ClockSignal(),
                i_write=self.write,
                i_write_address=write_address,
                i_write_data=self.write_data,
                i_read=self.read_enable,
                i_read_address=read_address,
                o_read_data=read_data,
            )
            with m.If(self.read_enable):
                m.d.sync += self.read_data.eq(read_data)
        else:
            self._banks(m, write_address, read_address)

        m.submodules.list = free = fifo.SyncFIFO(width=shape.slot_bits, depth=shape.slots)
        # After reset every slot that is not a session's current one is put on the list.
        fresh = Signal(range(shape.slots + 1), init=shape.sessions)
        filling = Signal()
        m.d.comb += filling.eq(fresh != shape.slots)
        with m.If(filling):
            m.d.comb += [free.w_data.eq(fresh), free.w_en.eq(1)]
            m.d.sync += fresh.eq(fresh + 1)
        with m.Else():
            m.d.comb += [free.w_data.eq(self.free.payload), free.w_en.eq(self.free.valid), self.free.ready.eq(1)]

        current = Signal(shape.slot_bits)
        has_current = Signal(init=1)
        m.d.comb += [
            self.current.eq(current),
            self.has_current.eq(has_current),
            free.r_en.eq(self.take | (~has_current & ~self.switch)),
        ]
        with m.If(free.r_en):
            m.d.sync += [current.eq(free.r_data), has_current.eq(free.r_rdy)]
        if shape.sessions > 1:
            context = Context(current=current, has_current=has_current)
            padding = C(0, shape.slot_bits - shape.session_bits)
            m.submodules.currents = currents = Table(
                context.layout,
                shape.sessions,
                lambda session: Cat(session[: shape.session_bits], padding, C(1, 1)),
            )
            m.d.comb += [
                currents.address.eq(self.next_session),
                currents.put.eq(self.switch),
                currents.put_address.eq(self.session),
                currents.put_entry.eq(context.word),
            ]
            with m.If(self.switch):
                m.d.sync += context.load(currents.entry)
        return m

    def _banks(self, m: Module, write_address: Value, read_address: Value) -> None:
        """The message memory, made of blocks."""
        # Block memory is slow to leave, and a choice between many blocks is slow again: each bank has a register
        # behind it.
        words = self.shape.slots << self.shape.offset_bits
        bank_bits = max(ceil_log2(BANK_WORDS), ceil_log2(-(-words // BANKS)))
        write_bank, read_bank = write_address[bank_bits:], read_address[bank_bits:]
        latched = []
        for bank in range(-(-words // (1 << bank_bits))):
            store = memory.Memory(shape=8, depth=min(1 << bank_bits, words), init=[])
            m.submodules[f"bank_{bank}"] = store
            write, read = store.write_port(), store.read_port()
            byte = Signal(8, reset_less=True, name=f"latched_{bank}")
            m.d.comb += [
                write.addr.eq(write_address[:bank_bits]),
                write.data.eq(self.write_data),
                write.en.eq(self.write & (write_bank == bank)),
                read.addr.eq(read_address[:bank_bits]),
                read.en.eq(self.read_enable),
            ]
            with m.If(self.read_enable):
                m.d.sync += byte.eq(read.data)
            latched.append(byte)
        bank_read = Signal(len(read_bank))
        bank_latched = Signal(len(read_bank))
        with m.If(self.read_enable):
            m.d.sync += [bank_read.eq(read_bank), bank_latched.eq(bank_read)]
        m.d.comb += self.read_data.eq(Array(latched)[bank_latched])
