"""The message memory: bytes, in as many blocks as it takes."""

from amaranth import Array, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

#: Words of a bank, at least, and number of banks, at most.
BANK_WORDS = 2048
BANKS = 32


class ExternalMemory:
    """A platform on which the message memory is a module of its own, outside of the design: whoever simulates one of
    many megabytes does not want each of its words written down in the netlist.

    The module has the parameter ``WORDS`` and the ports ``clk``, ``write``, ``write_address``, ``write_data`` (8 bits),
    ``read``, ``read_address``, ``read_data`` (the word at ``read_address``, from the clock edge with ``read`` on).
    There is one for each lane.
    """

    MODULE = "tag34_message_memory"


class MessageMemory(wiring.Component):
    """Bytes of one lane. What is read goes through two registers.

    Parameters: ``words``, number of bytes.

    Members:
        write, write_address, write_data: a byte to be written.
        read, read_address: the first register is to have the byte at that address.
        latch, read_data: the second register is to have, from the next cycle on, what the first one has now.
    """

    def __init__(self, words: int):
        self.words = words
        self.address_bits = ceil_log2(words)
        super().__init__(
            {
                "write": In(1),
                "write_address": In(self.address_bits),
                "write_data": In(8),
                "read": In(1),
                "read_address": In(self.address_bits),
                "latch": In(1),
                "read_data": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        if isinstance(platform, ExternalMemory):
            read_data = Signal(8)
            m.submodules.memory = Instance(
                ExternalMemory.MODULE,
                p_WORDS=self.words,
                i_clk=ClockSignal(),
                i_write=self.write,
                i_write_address=self.write_address,
                i_write_data=self.write_data,
                i_read=self.read,
                i_read_address=self.read_address,
                o_read_data=read_data,
            )
            with m.If(self.latch):
                m.d.sync += self.read_data.eq(read_data)
            return m

        # Block memory is slow to leave, and a choice between many blocks is slow again: each bank has a register
        # behind it.
        bank_bits = max(ceil_log2(BANK_WORDS), ceil_log2(-(-self.words // BANKS)))
        write_bank, read_bank = self.write_address[bank_bits:], self.read_address[bank_bits:]
        latched = []
        for bank in range(-(-self.words // (1 << bank_bits))):
            store = memory.Memory(shape=8, depth=min(1 << bank_bits, self.words), init=[], attrs={"no_rw_check": 1})
            m.submodules[f"bank_{bank}"] = store
            # Nobody relies on what is read while it is written: with a register of its own and the attribute, synthesis
            # puts no choice between the block and who reads it.
            write, read = store.write_port(), store.read_port(domain="comb")
            first = Signal(8, reset_less=True, name=f"first_{bank}")
            byte = Signal(8, reset_less=True, name=f"latched_{bank}")
            m.d.comb += [
                write.addr.eq(self.write_address[:bank_bits]),
                write.data.eq(self.write_data),
                write.en.eq(self.write & (write_bank == bank)),
                read.addr.eq(self.read_address[:bank_bits]),
            ]
            with m.If(self.read):
                m.d.sync += first.eq(read.data)
            with m.If(self.latch):
                m.d.sync += byte.eq(first)
            latched.append(byte)
        bank_read = Signal(len(read_bank))
        bank_latched = Signal(len(read_bank))
        with m.If(self.read):
            m.d.sync += bank_read.eq(read_bank)
        with m.If(self.latch):
            m.d.sync += bank_latched.eq(bank_read)
        m.d.comb += self.read_data.eq(Array(latched)[bank_latched])
        return m
