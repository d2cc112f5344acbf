"""The message memory: bytes, in as many blocks as it takes."""

from amaranth import Array, ClockSignal, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..block_memory import BlockMemory

#: Words of a bank, at least, and number of banks, at most.
BANK_WORDS = 2048
BANKS = 32
#: Banks grow beyond that, to blocks of fewer bits per word, but not to more blocks than this share.
LARGEST_BANK_WORDS = 16384
MORE_BLOCKS = 1.1


def bank_words(words: int) -> int:
    """Words of each bank of a memory of so many: few banks make the choice between them short."""
    least = max(BANK_WORDS, 1 << ceil_log2(-(-words // BANKS)))
    blocks = -(-words // BANK_WORDS)
    size = least
    while size < LARGEST_BANK_WORDS and -(-words // (2 * size)) * (2 * size // BANK_WORDS) <= MORE_BLOCKS * blocks:
        size *= 2
    return size


def banks(words: int, *, uneven: bool) -> list[int]:
    """Words of each bank. Those of an ``uneven`` memory are as large as a bank gets, but for the last one, which has
    the rest: memories of a few words more than that need no more blocks for it, and fewer banks."""
    size = bank_words(words)
    even = [min(size, words)] * -(-words // size)
    if not uneven:
        return even
    whole, rest = divmod(words, LARGEST_BANK_WORDS)
    parts = [LARGEST_BANK_WORDS] * whole + [rest] * (rest > 0)
    taken = sum(-(-(1 << ceil_log2(part)) // BANK_WORDS) for part in parts)
    return parts if len(parts) < len(even) and taken <= MORE_BLOCKS * -(-words // BANK_WORDS) else even


class ExternalMemory:
    """A platform on which the message memory is a module of its own, outside of the design: whoever simulates one of
    many megabytes does not want each of its words written down in the netlist.

    The module has the parameter ``WORDS`` and the ports ``clk``, ``write``, ``write_address``, ``write_data`` (8 bits),
    ``read``, ``read_address``, ``read_data`` (the word at ``read_address``, from the clock edge with ``read`` on).
    There is one for each lane.
    """

    MODULE = "tag34_message_memory"


class ExternalBanks:
    """A platform on which each bank of the message memory is a module of its own, outside of the design: in a netlist
    for others, where they may choose what it is made of.

    The module is a :class:`BlockMemory` with the parameters ``WORDS`` and ``ADDRESS_BITS`` and the ports of
    :attr:`ExternalMemory.MODULE`.
    """

    MODULE = "tag34_message_bank"


class MessageMemory(wiring.Component):
    """Bytes of one lane. What is read goes through two registers.

    Parameters: ``words``, number of bytes; ``uneven``: the last bank may be smaller than the others.

    Members:
        write, write_address, write_data: a byte to be written.
        read, read_address: the first register is to have the byte at that address.
        latch, read_data: the second register is to have, from the next cycle on, what the first one has now.
    """

    def __init__(self, words: int, *, uneven: bool = False):
        self.words = words
        self.banks = banks(words, uneven=uneven)
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
        bank_bits = ceil_log2(self.banks[0])
        write_bank, read_bank = self.write_address[bank_bits:], self.read_address[bank_bits:]
        latched = []
        for bank, words in enumerate(self.banks):
            byte = Signal(8, reset_less=True, name=f"latched_{bank}")
            shown = self._bank(m, platform, bank, words, self.write & (write_bank == bank))
            with m.If(self.latch):
                m.d.sync += byte.eq(shown)
            latched.append(byte)
        bank_read = Signal(len(read_bank))
        bank_latched = Signal(len(read_bank))
        with m.If(self.read):
            m.d.sync += bank_read.eq(read_bank)
        with m.If(self.latch):
            m.d.sync += bank_latched.eq(bank_read)
        m.d.comb += self.read_data.eq(Array(latched)[bank_latched])
        return m

    def _bank(self, m: Module, platform: object, bank: int, words: int, write: Value) -> Value:
        """A bank, and what its register shows."""
        bits = ceil_log2(words)
        if isinstance(platform, ExternalBanks):
            shown = Signal(8, name=f"bank_{bank}_data")
            m.submodules[f"bank_{bank}"] = Instance(
                ExternalBanks.MODULE,
                p_WORDS=words,
                p_ADDRESS_BITS=bits,
                i_clk=ClockSignal(),
                i_write=write,
                i_write_address=self.write_address[:bits],
                i_write_data=self.write_data,
                i_read=self.read,
                i_read_address=self.read_address[:bits],
                o_read_data=shown,
            )
            return shown
        m.submodules[f"bank_{bank}"] = store = BlockMemory(8, words)
        m.d.comb += [
            store.write.eq(write),
            store.write_address.eq(self.write_address[:bits]),
            store.write_data.eq(self.write_data),
            store.address.eq(self.read_address[:bits]),
            store.enable.eq(self.read),
        ]
        return store.data
