"""Whether a fault can be told at all: the broken core beside the whole one, for all inputs and all possible states.

If nothing that leaves the cores differs, and nothing that they keep afterwards, they stay the same for ever. If only
some bits that they keep do, it is claimed of each that it is the same under a condition: in a register while a narrow
register of its module has some value, in a word of a memory while a narrow piece of that word has. Claims that do not
follow from all the claims a cycle later are thrown out. If those that are left keep what leaves the cores the same,
nobody ever looks at what differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import z3

from . import equivalence
from .equivalence import as_bits
from .faults import Fault
from .invariants import ALONE, MEMORY, WORD, spans_of

#: A fault that makes more bits differ, or takes more rounds, is not proved; claims with two conditions are made of few.
BITS, BITS_OF_PAIRS, ROUNDS = 16, 8, 150
#: How much z3 may try for one answer; the usual one takes a tenth of it.
EFFORT = 5_000_000
#: Numbers of conditions and the values that they have.
Guard = tuple[tuple[int, int], ...]
#: A bit: of which holder, and its place.
Place = tuple[str, int]


def bit(value: Any, place: int) -> Any:
    """One bit of a value."""
    return z3.simplify(z3.Extract(place, place, value))


@dataclass
class Condition:
    """What says what bits mean: a narrow register, or a piece of the word that they are in.

    Members: ``now``, ``later``: the register, and what it holds next; or ``high``, ``low``: the piece. ``is_state``: it
    may be the state of a machine.
    """

    size: int
    is_state: bool
    now: Any = None
    later: Any = None
    high: int = 0
    low: int = 0

    def has(self, value: int, word: Any, later: bool) -> Any:
        """Whether it has this value, in ``word`` or a cycle later."""
        if self.now is None:
            return z3.Extract(self.high, self.low, word) == value
        return (self.later if later else self.now) == value


@dataclass
class Holder:
    """What keeps bits: a register, or all words of a memory.

    Members: ``exact``, as it is in the formulas; ``now``, what can be seen of it: of a memory, what each of its readers
    shows; ``conditions`` under which its bits may mean something.
    """

    exact: Any
    now: list[Any]
    is_memory: bool
    conditions: list[Condition] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bits of a word."""
        return int(self.now[0].size())

    def guards(self, pairs: bool) -> Iterator[Guard]:
        """What may be asked for; ``pairs``: also a machine's state together with another condition."""
        values = [[(at, value) for value in range(1 << c.size)] for at, c in enumerate(self.conditions)]
        yield from (((at, value),) for alone in values for at, value in alone)
        if pairs:
            for at, condition in enumerate(self.conditions):
                for other, with_it in enumerate(self.conditions):
                    if condition.is_state and with_it.size == 1:
                        yield from ((one, two) for one in values[at] for two in values[other])

    def holds(self, guard: Guard, word: Any, *, later: bool) -> Any:
        """Whether a guard holds of ``word``, which the holder shows now or keeps later."""
        return z3.And([self.conditions[at].has(value, word, later) for at, value in guard])


class Core:
    """The whole core, and what it keeps.

    Parameters: ``system``, its formulas; ``known``, what holds in all its states.

    Members: ``system``, ``known``; ``outputs``, and ``after``, what registers hold next; ``holders``, registers first.
    """

    def __init__(self, system: equivalence.System, known: list[Any]):
        self.system, self.known = system, known
        self.outputs, self.after = system.chosen(0)
        self.holders: dict[str, Holder] = {}
        spans = spans_of([*self.outputs.values(), *self.after])
        modules = defaultdict[str, list[Condition]](list)
        shown = defaultdict[str, set[tuple[int, int]]](set)  # narrow pieces of a memory's words
        for number, (name, exact, later) in enumerate(zip(system.names, system.registers, self.after, strict=True)):
            now = as_bits(exact)
            holder = Holder(exact, [now], is_memory=False)
            self.holders[f"{name} {number}"] = holder
            word = WORD.fullmatch(name)
            if word:
                pieces = {(high, low) for high, low in spans[now.get_id()] if high - low < ALONE}
                holder.conditions = _pieces(pieces)
                shown[word[1] + MEMORY] |= pieces
                continue
            holder.conditions = modules[name.rpartition(".")[0]]
            if now.size() <= ALONE:
                holder.conditions.append(Condition(now.size(), name.endswith("_state"), now, later))
        for name, value in system.inputs.items():
            memory = name.rpartition(".")[0]
            if name.endswith(".RD_DATA") and f"{memory}.WR_DATA" in self.outputs:
                now = self.split(memory, value)
                self.holders[memory] = Holder(value, now, is_memory=True, conditions=_pieces(shown[memory]))

    def split(self, memory: str, value: Any) -> list[Any]:
        """What is read from a memory or written to it, of each of its ports."""
        width = self.outputs[f"{memory}.WR_DATA"].size() // self.outputs[f"{memory}.WR_CLK"].size()
        return [z3.Extract(at + width - 1, at, value) for at in range(0, value.size(), width)]


def _pieces(spans: Collection[tuple[int, int]]) -> list[Condition]:
    return [Condition(high - low + 1, 1 < high - low + 1 < ALONE, high=high, low=low) for high, low in sorted(spans)]


@dataclass
class _Other:
    """The broken core: of each bit that may differ what it is there, for each way to see it; outputs, what is next."""

    bits: dict[Place, list[Any]]
    outputs: dict[str, Any]
    after: list[Any]


class Beside:
    """A broken core beside the whole one.

    Parameters: ``core``, the whole one; ``number`` of the fault; ``pairs``: claims are made with two conditions too.
    """

    def __init__(self, core: Core, number: int, *, pairs: bool):
        self._core, self._pairs = core, pairs
        self._outputs, self._after = core.system.chosen(number)
        self._claims: dict[Place, set[Guard]] = {}

    def same(self) -> bool:
        """Whether it is proved that nobody can tell them apart."""
        for _ in range(ROUNDS):
            verdict = self._round()
            if verdict is not None:
                return verdict
        return False

    @property
    def differs(self) -> bool:
        """Whether the cores have been found to keep something different."""
        return bool(self._claims)

    def _round(self) -> bool | None:
        """Throw out what does not follow. True: all claims do. False: the cores can be told apart, or it is not
        known."""
        other = self._other()
        visible = list(equivalence.differences(self._core.outputs, other.outputs))
        for name in {name for name, _ in self._claims if self._core.holders[name].is_memory}:
            visible += equivalence.partly(self._core.outputs, name)
        ends = list(self._ends(other))
        asks = z3.SolverFor("QF_BV")
        asks.set("rlimit", EFFORT)
        asks.add(*self._core.known, *self._now(other))
        asks.add(z3.Or([*visible, *(when for _, _, when in ends)]))
        verdict = asks.check()
        if verdict != z3.sat:
            return bool(verdict == z3.unsat)
        model = asks.model()

        def happens(condition: Any) -> bool:
            return z3.is_true(model.eval(condition, model_completion=True))

        if any(map(happens, visible)):
            return False
        fresh = set[Place]()
        for place, guard, ended in ends:
            if place in fresh or not happens(ended):
                continue
            if guard is None:
                self._claims[place] = set(self._core.holders[place[0]].guards(self._pairs))
                fresh.add(place)
            else:
                self._claims[place].discard(guard)
        return False if len(self._claims) > (BITS_OF_PAIRS if self._pairs else BITS) else None

    def _other(self) -> _Other:
        """The broken core now. What may differ is unknown in it."""
        bits = {
            (name, at): [z3.BitVec(f"other {name} {at} {way}", 1) for way, _ in enumerate(self._core.holders[name].now)]
            for name, at in self._claims
        }
        exchange = []
        for name in {name for name, _ in bits}:
            holder = self._core.holders[name]
            # From the highest bit of the last one on.
            parts = [
                bits[name, at][way] if (name, at) in bits else bit(now, at)
                for way, now in reversed([*enumerate(holder.now)])
                for at in reversed(range(holder.size))
            ]
            whole = z3.Concat(parts) if len(parts) > 1 else parts[0]
            exchange.append((holder.exact, whole == 1 if z3.is_bool(holder.exact) else whole))
        return _Other(
            bits,
            {name: z3.simplify(z3.substitute(value, *exchange)) for name, value in self._outputs.items()},
            [z3.simplify(z3.substitute(value, *exchange)) for value in self._after],
        )

    def _now(self, other: _Other) -> Iterator[Any]:
        """What is claimed of this cycle."""
        for (name, at), guards in self._claims.items():
            holder = self._core.holders[name]
            for now, there in zip(holder.now, other.bits[name, at], strict=True):
                unheard = z3.Not(z3.Or([holder.holds(guard, now, later=False) for guard in guards]))
                yield z3.Or(bit(now, at) == there, unheard)

    def _ends(self, other: _Other) -> Iterator[tuple[Place, Guard | None, Any]]:
        """When a claim does not hold any more in the next cycle, or (no guard) a bit is not the same any more."""
        core = self._core
        registers = [name for name, holder in core.holders.items() if not holder.is_memory]
        for name, here, there in zip(registers, core.after, other.after, strict=True):
            if not here.eq(there):
                yield from self._unlike(name, here, there, None)
        for name, holder in core.holders.items():
            if holder.is_memory and not core.outputs[f"{name}.WR_DATA"].eq(other.outputs[f"{name}.WR_DATA"]):
                ports = [core.split(name, core.outputs[f"{name}.{port}"]) for port in ("WR_DATA", "WR_EN")]
                for here, enabled, there in zip(
                    *ports, core.split(name, other.outputs[f"{name}.WR_DATA"]), strict=True
                ):
                    yield from self._unlike(name, here, there, enabled)

    def _unlike(self, name: str, here: Any, there: Any, enabled: Any) -> Iterator[tuple[Place, Guard | None, Any]]:
        holder = self._core.holders[name]
        for at in range(holder.size):
            one, two = bit(here, at), bit(there, at)
            if one.eq(two):
                continue
            unlike = one != two if enabled is None else z3.And(bit(enabled, at) == 1, one != two)
            place = name, at
            if place in self._claims:
                for guard in self._claims[place]:
                    yield place, guard, z3.And(unlike, holder.holds(guard, here, later=True))
            else:
                yield place, None, unlike


def proved(faults: Collection[Fault], folder: Path) -> set[int]:
    """The numbers of those faults that make no difference; ``folder`` has the formulas with all of them planted, and
    what is known of the core's states."""
    core = Core(equivalence.system(folder), equivalence.known(folder))
    return {fault.number for fault in faults if _makes_none(core, fault.number)}


def _makes_none(core: Core, number: int) -> bool:
    """Whether a fault makes no difference. What can be told while the cores keep the same, no claim makes good."""
    for pairs in (False, True):
        beside = Beside(core, number, pairs=pairs)
        if beside.same():
            return True
        if not beside.differs:
            return False
    return False
