"""What each session has of its own: block memory with one word per session, and the registers of the one at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth import C, Cat, Elaboratable, Module, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


class Table(wiring.Component):
    """One word per session, in block memory. A reset puts every word back to its initial value, one per cycle.

    Parameters:
        shape: of a word.
        sessions: number of words.
        initial: the initial word of a session, made from its number; default: 0.
        readers: read ports.

    Members:
        address, entry (``address_1``, ``entry_1`` with a second reader): the word at ``address``, one cycle after it.
        put, put_address, put_entry: write a word. A reader sees it from the second cycle after on.
        busy: after a reset, as long as there are old words; nothing may be put or relied on.
    """

    def __init__(
        self, shape: Any, sessions: int, initial: Callable[[Value], Any] = lambda session: C(0, 1), readers: int = 1
    ):
        self.sessions = sessions
        self.initial = initial
        self.readers = [""] + [f"_{reader}" for reader in range(1, readers)]
        self.shape = shape
        bits = max(1, ceil_log2(sessions))
        members: dict[str, Any] = {}
        for reader in self.readers:
            members |= {f"address{reader}": In(bits), f"entry{reader}": Out(shape)}
        members |= {"put": In(1), "put_address": In(bits), "put_entry": In(shape), "busy": Out(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.words = words = memory.Memory(shape=self.shape, depth=self.sessions, init=[])
        for reader in self.readers:
            port = words.read_port()
            m.d.comb += [
                port.addr.eq(getattr(self, f"address{reader}")),
                Value.cast(getattr(self, f"entry{reader}")).eq(Value.cast(port.data)),
            ]
        write = words.write_port()
        sweep = Signal(range(self.sessions + 1))
        m.d.comb += self.busy.eq(sweep != self.sessions)
        with m.If(self.busy):
            m.d.sync += sweep.eq(sweep + 1)
            m.d.comb += [
                write.addr.eq(sweep),
                Value.cast(write.data).eq(Value.cast(self.initial(sweep))),
                write.en.eq(1),
            ]
        with m.Else():
            m.d.comb += [
                write.addr.eq(self.put_address),
                Value.cast(write.data).eq(Value.cast(self.put_entry)),
                write.en.eq(self.put),
            ]
        return m


class Context:
    """Registers that belong to the session at hand: what is saved when another one's turn comes, and loaded later.

    Parameters: ``registers``, by name; signals, or views of them.

    Members: ``layout``, of a saved word; ``initial``, the word of a session that has not begun.
    """

    def __init__(self, **registers: Any):
        self._registers = {name: Value.cast(register) for name, register in registers.items()}
        self.layout = data.StructLayout({name: unsigned(len(value)) for name, value in self._registers.items()})

    @property
    def word(self) -> Value:
        """The registers as a word."""
        return Cat(self._registers.values())

    @property
    def initial(self) -> Value:
        """The word of registers at their reset values."""
        return Cat(C(getattr(value, "init", 0), len(value)) for value in self._registers.values())

    def load(self, word: Value) -> Any:
        """The statement that sets all registers from ``word``."""
        return self.word.eq(Value.cast(word))
