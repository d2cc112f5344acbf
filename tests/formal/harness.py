"""What proofs are made of: a component inside a harness that says what its surroundings do and what must hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from amaranth import Array, Cat, ClockDomain, Const, Elaboratable, Fragment, Module, Mux, Signal, Value
from amaranth.asserts import AnyConst, AnySeq, Initial
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Cover, MemoryInstance
from amaranth.lib import data
from amaranth.utils import ceil_log2

from tag34_hdl.block_memory import UndefinedCollisions

#: Name of what only strengthens the induction.
LEMMA = "lemma"


@dataclass(frozen=True)
class Property:
    """One thing that is proved.

    Parameters: ``name``, unique over all proofs; ``rules``, the ids it is tied to, or decision pages; ``statement``,
    one sentence; ``sample``: quick enough for the sample that runs on each change.
    """

    name: str
    rules: tuple[str, ...]
    statement: str


class Proof:
    """A harness: one component (or a few), assumptions about its surroundings, and the properties proved of it.

    All properties of a harness are proved together, by one induction: each may lean on the others, and on lemmas.

    Members that a proof sets:
        component: what is proved something of.
        parameters: build parameters, as text.
        assumes: what is assumed of the surroundings, as text; empty: nothing.
        properties: what is proved. Each name is given to at least one :meth:`holds` and one :meth:`cover`.
        induction: k of the k-induction. None: k-induction cannot reach it, it is checked up to ``depth`` only.
        depth: cycles from reset of a bounded check.
        reach: cycles within which all covers must be reached.
        digits, max_seq: digits of a sequence number and the largest one, where they are narrowed for the solver; None:
            as the contract has them.
        sample: quick enough for the sample.
    """

    component: ClassVar[str]
    parameters: ClassVar[str] = ""
    assumes: ClassVar[str] = ""
    properties: ClassVar[tuple[Property, ...]]
    induction: ClassVar[int | None] = 1
    depth: ClassVar[int] = 0
    reach: ClassVar[int] = 20
    digits: ClassVar[int | None] = None
    max_seq: ClassVar[int | None] = None
    sample: ClassVar[bool] = False

    def __init__(self) -> None:
        self.m = Module()
        self.held: set[str] = set()
        self.covered: set[str] = set()
        self._guided = Signal(name="guided")
        self._pasts: dict[int, tuple[Value, Signal]] = {}

    def build(self) -> None:
        """Fill ``self.m``."""
        raise NotImplementedError

    # -- What must hold, what is assumed

    def _state(self, statement: Any, name: str) -> None:
        # The checker names a statement by its place in the source: give it the property's name instead.
        statement.src_loc = (name, 1)
        self.m.d.comb += statement

    def holds(self, name: str, condition: Any) -> None:
        """The property ``name``, or a part of it."""
        self.held.add(name)
        self._state(Assert(condition), name)

    def lemma(self, condition: Any, name: str) -> None:
        """Proved as well, because the induction needs it. ``name`` helps to find it when it fails."""
        self._state(Assert(condition), f"{LEMMA}/{name.replace(' ', '-')}")

    def assume(self, condition: Any) -> None:
        """The surroundings see to it."""
        self._state(Assume(condition), "assumption")

    def cover(self, name: str, condition: Any) -> None:
        """A situation in which the property ``name`` has something to say; the proof fails if it cannot be reached."""
        self.covered.add(name)
        self._state(Cover(Value.cast(condition).bool() & self._guided), name)

    def guide(self, condition: Any) -> None:
        """The way to the covers: the surroundings do this while a cover is looked for, and only then. It takes nothing
        from the proof, and makes the search short."""
        self.assume(~self._guided | Value.cast(condition).bool())

    # -- Values

    def free(self, *targets: Any) -> None:
        """Any value in any cycle."""
        for target in targets:
            target = Value.cast(target)
            self.m.d.comb += target.eq(AnySeq(len(target)))

    def constant(self, shape: Any, name: str) -> Any:
        """Any value, the same in all cycles."""
        signal = Signal(shape, name=name)
        self.m.d.comb += Value.cast(signal).eq(AnyConst(len(Value.cast(signal))))
        return signal

    def any(self, shape: Any, name: str) -> Any:
        """Any value in any cycle, to be looked at by several."""
        signal = Signal(shape, name=name)
        self.free(signal)
        return signal

    @property
    def first_cycle(self) -> Value:
        """The cycle in which everything has its value after reset; never true within an induction step."""
        return Initial()

    def past(self, value: Any, init: int = 0) -> Signal:
        """``value`` of the cycle before; ``init`` in the first."""
        value = Value.cast(value)
        signal = Signal(len(value), init=init, name=f"past_{len(self._pasts)}")
        self._pasts[id(signal)] = (value, signal)
        self.m.d.sync += signal.eq(value)
        return signal

    # -- Streams

    def _keeps(self, stream: Any) -> Value:
        waited = self.past(stream.valid & ~stream.ready)
        payload = self.past(stream.payload)
        return ~waited | (stream.valid & (Value.cast(stream.payload) == payload))

    def holds_stable(self, name: str, stream: Any) -> None:
        """A stream of the component keeps ``valid`` and the payload while it is stalled."""
        self.holds(name, self._keeps(stream))
        self.cover(name, self.past(stream.valid & ~stream.ready) & stream.valid & stream.ready)

    def assume_stable(self, stream: Any) -> None:
        """An input stream comes as it likes, but keeps ``valid`` and the payload while it is stalled."""
        self.free(stream.valid, stream.payload)
        self.assume(self._keeps(stream))

    # -- Result

    def text(self) -> str:
        """The harness as RTLIL. ValueError if properties and statements do not fit together."""
        domain = ClockDomain("sync", reset_less=True)
        self.m.domains += domain
        self.m.d.comb += self._guided.eq(AnyConst(1))
        self.build()
        names = {prop.name for prop in self.properties}
        for what, given in (("asserted", self.held), ("covered", self.covered)):
            if given != names:
                raise ValueError(
                    f"{type(self).__name__}: not {what}: {sorted(names - given)}, unknown: {given - names}"
                )
        return rtlil.convert(self.m, name="top", ports=[domain.clk])


class Opened(Elaboratable):
    """A component, elaborated, with its inner signals and memories to be looked at by name.

    The gateware knows nothing of it: signals are found in the elaborated design, by the names that they have there; a
    port of a submodule by its name in the submodule. A name that is missing or not unique is a KeyError, so a proof
    cannot go on with something else. What a block memory shows of a word that is being written is wrong.

    Parameters: ``component``.
    """

    def __init__(self, component: Any):
        self._ports = {id(port) for port in self._signals_of(component)}
        self._fragment = Fragment.get(component, UndefinedCollisions())
        self._signals: dict[str, list[Signal]] = {}
        self._memories: dict[str, MemoryInstance] = {}
        self._collect(self._fragment, "")

    def _collect(self, fragment: Fragment, prefix: str) -> dict[int, Signal]:
        """Note the names of a fragment and of all below it. Return what they use."""
        if isinstance(fragment, MemoryInstance):
            self._memories[prefix.rstrip(".")] = fragment
            return {}
        below: dict[int, Signal] = {}
        for sub, name, _ in fragment.subfragments:
            below |= self._collect(sub, f"{prefix}{name}.")
        used: dict[int, Signal] = {}
        for statements in fragment.statements.values():
            for statement in statements:
                for signals in (statement._lhs_signals(), statement._rhs_signals()):
                    used |= {id(signal): signal for signal in signals}
        for key, signal in used.items():
            # What is used further below as well is a submodule's port: it has its name there.
            if key not in below:
                self._signals.setdefault(prefix + signal.name, []).append(signal)
        return used | below

    @staticmethod
    def _signals_of(component: Any) -> list[Signal]:
        ports = [Value.cast(port) for _, _, port in component.signature.flatten(component)]
        return [signal for port in ports for signal in port._rhs_signals()]

    def elaborate(self, platform: object) -> Fragment:
        return self._fragment

    def signal(self, path: str, layout: data.Layout | None = None) -> Any:
        """The signal of this name; of a submodule's: ``window.count``. ``layout`` gives its fields."""
        found = self._signals.get(path, [])
        if len(found) > 1:
            # An inner signal may have the name of a port; the port is an attribute of the component.
            found = [signal for signal in found if id(signal) not in self._ports]
        if len(found) != 1:
            near = sorted(name for name in self._signals if name.split(".")[:-1] == path.split(".")[:-1])
            raise KeyError(f"{path}: {len(found)} signals have this name; there are {', '.join(near)}")
        return data.View(layout, found[0]) if layout else found[0]

    def state(self, fsm: str, *names: str) -> Value:
        """The state machine ``fsm`` is in one of the states ``names``."""
        signal = self.signal(f"{fsm}_state")
        codes = {signal.decoder(code).rpartition("/")[0]: code for code in self._codes(signal)}
        result: Value = Const(0, 1)
        for name in names:
            result = result | (signal == codes[name])
        return result

    def at(self, *states: str) -> Value:
        """The state machine with a bit per state, ``at``, is in one of these."""
        result: Value = Const(0, 1)
        for state in states:
            result = result | self.signal(f"at_{state.lower().replace(' ', '_')}")
        return result

    def legal(self, fsm: str) -> Value:
        """The state machine is in one of its states: what never happens otherwise, but an induction has to be told."""
        signal = self.signal(f"{fsm}_state")
        return signal <= max(self._codes(signal))

    @staticmethod
    def _codes(signal: Signal) -> list[int]:
        codes = []
        for code in range(1 << len(signal)):
            try:
                signal.decoder(code)
            except KeyError:
                break
            codes.append(code)
        return codes

    def peek(self, path: str, address: Any, layout: data.Layout | None = None) -> Any:
        """What a memory holds at ``address``: a read port of its own."""
        if path not in self._memories:
            raise KeyError(f"{path}: no such memory; there are {', '.join(sorted(self._memories))}")
        memory = self._memories[path]
        word = Value.cast(Signal(memory._data.shape))
        size = ceil_log2(memory._data.depth)
        where = Const(address, size) if isinstance(address, int) else Cat(Value.cast(address), Const(0, size))[:size]
        memory.read_port(domain="comb", addr=where, data=word, en=Const(1), transparent_for=())
        return data.View(layout, word) if layout else word


class Queue:
    """An Amaranth ``SyncFIFO`` inside an opened component, entry by entry.

    Parameters: ``opened``, the component; ``path``, the FIFO's name; ``depth``.
    """

    def __init__(self, opened: Opened, path: str, depth: int):
        self.depth = depth
        self.level = opened.signal(f"{path}.level")
        self._produce = opened.signal(f"{path}.produce")
        self.consume = opened.signal(f"{path}.consume")
        self.entries = [opened.peek(f"{path}.storage", place) for place in range(depth)]

    @property
    def whole(self) -> Value:
        """Level and places fit together."""
        end = self.consume + self.level
        wrapped = Mux(end >= self.depth, end - self.depth, end)
        return (self.level <= self.depth) & (self.consume < self.depth) & (self._produce == wrapped)

    def age(self, place: int) -> Value:
        """How many entries are in front of the one at ``place``, if there is one."""
        return Mux(place >= self.consume, place - self.consume, place + self.depth - self.consume)[: len(self.level)]

    def has(self, place: int) -> Value:
        """There is an entry at ``place``."""
        return self.age(place) < self.level

    @property
    def head(self) -> Value:
        """The first entry, if there is one."""
        return Array(self.entries)[self.consume]


class FirstInRegister:
    """A :class:`tag34_hdl.queue.RegisteredQueue` inside an opened component, entry by entry; the first one at place 0.

    Parameters and members as of :class:`Queue`.
    """

    def __init__(self, opened: Opened, path: str, depth: int):
        self._others = Queue(opened, f"{path}.words", depth)
        self._is_there = opened.signal(f"{path}.r_rdy")
        self.head = opened.signal(f"{path}.first")
        self.level = self._others.level + self._is_there
        self.entries = [self.head, *self._others.entries]

    @property
    def whole(self) -> Value:
        """Level and places fit together, and without a first entry there are no others."""
        return self._others.whole & (self._is_there | (self._others.level == 0))

    def age(self, place: int) -> Value:
        """How many entries are in front of the one at ``place``, if there is one."""
        return self._others.age(place - 1) + 1 if place else Const(0)

    def has(self, place: int) -> Value:
        """There is an entry at ``place``."""
        return self._others.has(place - 1) if place else self._is_there
