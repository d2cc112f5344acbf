"""What each session has of its own: block memory with one word per session, and the registers of the one at hand."""

from __future__ import annotations

from typing import Any

from amaranth import C, Cat, Elaboratable, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..block_memory import BlockMemory, readers


class Sweep(wiring.Component):
    """After a reset all words of all tables are visited, one per cycle.

    Parameters: ``words``, of the largest table: a smaller one is visited again and again.

    Members: ``busy``, as long as it lasts; ``index``, of the word.
    """

    def __init__(self, words: int):
        self.words = words
        super().__init__({"busy": Out(1), "index": Out(range(words + 1))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.d.comb += self.busy.eq(self.index != self.words)
        with m.If(self.busy):
            m.d.sync += self.index.eq(self.index + 1)
        return m


class Table(wiring.Component):
    """One word per session, in block memory. A reset makes every word unknown again, one per cycle.

    Parameters: ``shape``, of a word; ``sessions``, number of words; ``ports``, read ports; ``host``: the last port is
    the host's, who reads whenever he likes; ``sweep``: what visits all words after a reset, of at least as many words;
    None: one of its own.

    Members:
        address, entry, known (``address_1`` and so on of the second port): the word at ``address``, one cycle after it;
            if it is not ``known`` it has been forgotten, or was never put, and ``entry`` is of no use. What is read in
            the cycle in which it is put is undefined. The host's port keeps the word from before then, so that it is
            two cycles until it shows the word at an address that is put just now.
        collides: the word at ``address`` is being put.
        put, put_address, put_entry: write a word. A reader sees it from the second cycle after on.
        forget: the word that is put is unknown from now on.
        busy: after a reset, as long as there are old words; nothing may be put or relied on.
    """

    def __init__(self, shape: Any, sessions: int, *, ports: int = 1, host: bool = False, sweep: Sweep | None = None):
        self.sessions = sessions
        self._readers = readers(ports)
        self._host = host
        self._sweep = sweep
        self.shape = shape
        bits = max(1, ceil_log2(sessions))
        members: dict[str, Any] = {}
        for reader in self._readers:
            members |= {f"address{reader}": In(bits), f"entry{reader}": Out(shape), f"known{reader}": Out(1)}
            members[f"collides{reader}"] = Out(1)
        members |= {"put": In(1), "put_address": In(bits), "put_entry": In(shape), "forget": In(1), "busy": Out(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        word = data.StructLayout({"entry": Shape.cast(self.shape), "known": 1})
        m.submodules.words = words = BlockMemory(word, self.sessions, ports=len(self._readers))
        for reader in self._readers:
            address, shown = getattr(self, f"address{reader}"), getattr(words, f"data{reader}")
            m.d.comb += [
                getattr(words, f"address{reader}").eq(address),
                Value.cast(getattr(self, f"entry{reader}")).eq(shown.entry),
                getattr(self, f"known{reader}").eq(shown.known),
                getattr(self, f"collides{reader}").eq(getattr(words, f"collides{reader}")),
            ]
            if self._host and reader == self._readers[-1]:
                m.d.comb += getattr(words, f"enable{reader}").eq(~getattr(words, f"collides{reader}"))
        sweep: Any
        if self._sweep is None:
            sweep = Signal(range(self.sessions + 1))
            m.d.comb += self.busy.eq(sweep != self.sessions)
        else:
            sweep = self._sweep.index[: len(words.write_address)]
            m.d.comb += self.busy.eq(self._sweep.busy)
        m.d.comb += [
            words.write.eq(self.put | self.busy),
            words.write_address.eq(Mux(self.busy, sweep, self.put_address)),
            words.write_data.entry.eq(Value.cast(self.put_entry)),
            words.write_data.known.eq(~(self.busy | self.forget)),
        ]
        if self._sweep is None:
            with m.If(self.busy):
                m.d.sync += sweep.eq(sweep + 1)
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

    def take_up(self, m: Module, when: Value, entry: Value, known: Value) -> None:
        """What is loaded from a table's word ``when`` it is another session's turn.

        That nothing is known is said last: to synthesis it is a reset.
        """
        with m.If(when):
            m.d.sync += self.load(entry)
        with m.If(when & ~known):
            m.d.sync += self.load(self.initial)
