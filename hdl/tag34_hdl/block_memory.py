"""Block memory as a device has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth import Cat, Elaboratable, Module, Shape, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

#: What a block memory holds, but for a ninth bit of each byte; the smallest depth at which it has no ninth bits.
BLOCK_BITS, DEEP = 16384, 4096


def slices(bits: int, depth: int) -> list[int]:
    """Widths of the parts that a word is cut into, lowest first, so that none is more than one block memory.

    Synthesis would save some block memories by their ninth bits instead: shallow ones, one behind the other, with a
    choice between them for each bit.
    """
    if bits <= 8 or not DEEP <= depth <= BLOCK_BITS:
        return [bits]
    widest = BLOCK_BITS // depth
    return [min(widest, bits - done) for done in range(0, bits, widest)]


class UndefinedCollisions:
    """A platform on which a word that is read while it is written comes out with all bits wrong.

    A simulator would show the old word, and nobody would see that somebody relies on it.
    """


def readers(count: int) -> list[str]:
    """What the names of the members of each reader end with: none for the first one, ``_1`` for the second one."""
    return ["", *(f"_{reader}" for reader in range(1, count))]


class BlockMemory(wiring.Component):
    """Words with one write port and some read ports.

    What is read in the cycle in which it is written is *undefined*. A clocked read port of Amaranth's memory has to
    show the old word then. Block memories do not all do so, and synthesis would put a comparison and a choice between
    each of them and its readers, and a register in front of it. Here the read is combinational, with a register, and an
    attribute says that nobody minds.

    Parameters: ``shape``, of a word; ``depth``, in words; ``ports``, read ports; ``granularity``, bits that can be
    written apart, None: a whole word; ``init``, the first words; ``block``: never anything but block memory, however
    small it is.

    Members:
        write, write_address, write_data: write a word; ``write`` has a bit for each part.
        address, enable, data (``address_1`` and so on of the second port): the word at ``address``, one cycle later;
            it stays without ``enable``.
        collides: that word is being written.
    """

    def __init__(
        self,
        shape: Any,
        depth: int,
        *,
        ports: int = 1,
        granularity: int | None = None,
        init: Sequence[Any] = (),
        block: bool = False,
    ):
        bits = Shape.cast(shape).width
        self._readers = readers(ports)
        self._granularity = granularity or bits
        attributes: dict[str, Any] = {"no_rw_check": 1} | ({"ram_style": "block"} if block else {})
        # A memory that is written in parts, or has words to begin with, is never that deep and wide.
        self._slices = [bits] if granularity or init else slices(bits, depth)
        #: The parts, lowest first, for who looks into them.
        self.memories = [memory.Memory(shape=width, depth=depth, init=init, attrs=attributes) for width in self._slices]
        address = ceil_log2(depth)
        members: dict[str, Any] = {
            "write": In(bits // self._granularity),
            "write_address": In(address),
            "write_data": In(shape),
        }
        for reader in self._readers:
            members |= {f"address{reader}": In(address), f"enable{reader}": In(1, init=1), f"data{reader}": Out(shape)}
            members[f"collides{reader}"] = Out(1)
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        several = len(self.memories) > 1
        write_data = Value.cast(self.write_data)
        words: dict[str, list[Value]] = {reader: [] for reader in self._readers}
        start = 0
        for part, (stored, bits) in enumerate(zip(self.memories, self._slices, strict=True)):
            m.submodules[f"words_{part}" if several else "words"] = stored
            write = stored.write_port(granularity=min(self._granularity, bits))
            m.d.comb += [
                write.addr.eq(self.write_address),
                write.data.eq(write_data[start : start + bits]),
                write.en.eq(self.write),
            ]
            start += bits
            for reader in self._readers:
                read = stored.read_port(domain="comb")
                m.d.comb += read.addr.eq(getattr(self, f"address{reader}"))
                words[reader].append(read.data)
        for reader in self._readers:
            address, enable, collides = (getattr(self, f"{name}{reader}") for name in ("address", "enable", "collides"))
            read_data = Cat(words[reader])
            # A block memory's register has no reset.
            word = Signal(len(read_data), reset_less=True, name=f"word{reader}")
            m.d.comb += [
                Value.cast(getattr(self, f"data{reader}")).eq(word),
                collides.eq(self.write.any() & (self.write_address == address)),
            ]
            with m.If(enable):
                m.d.sync += word.eq(read_data)
                if isinstance(platform, UndefinedCollisions):
                    with m.If(collides):
                        m.d.sync += word.eq(~read_data)
        return m
