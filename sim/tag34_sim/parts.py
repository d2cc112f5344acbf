"""The core's Verilog for simulation: parts of it are evaluated only in cycles in which they can change.

A simulated core is bound by how much code a cycle is, and in most cycles the composer has nothing to compose and the
sequencer nothing to decide. A part is some registers and all the logic that only they need: whatever else reads of the
part are its registers. So it can be evaluated late. The part keeps what its logic reads, its inputs and its own
registers, as they were in the cycle before, in registers of its own, and what its logic makes of them are the part's
registers as they are now::

    always @(edge wake[3]) begin was_3_0 <= a; was_3_1 <= x; end
    assign x_next = was_3_0 ? was_3_1 + 1 : was_3_1;    // the logic, as it was
    assign x = x_next;                                  // was a register

A cycle in which nothing can change is one without an edge of ``wake[3]``, and Verilator evaluates nothing that hangs
on it. ``awake[3]`` says whether the next cycle needs an edge: if an input is not what it was, or a register has just
changed. So the names below, and whether they are all there, can cost speed, but not change what is simulated. Registers
that read a free-running counter are left out: with them, a part would never sleep.

Registers that only the harness looks at, because it reads them, are a part that wakes when it does.

What is in no part is written so that it costs less (:mod:`.lazily`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_

from .lazily import behind_guard, clocked, edge, guarded, since, sliced
from .netlist import Netlist, plain, renamed, written

#: How Verilog in parts begins; the number of parts follows.
PARTED = "`define PARTS"
#: Registers of components that are parts; what is in a part cannot be in one that follows.
COMPONENTS = ("clock.*", "timers.*", "composer.*", "sequencer.*")
#: Registers that only the harness looks at: a part of their own that wakes when the harness is about to.
SHOWN = ("registers.read_data", "registers.reads_*")

#: So many statements are worth the question whether what they are made of has changed.
CALM = 100


@dataclass
class Part:
    """Registers, and the statements that only they need; ``shown``: to the harness, which wakes the part for it."""

    registers: set[str]
    statements: set[int] = field(default_factory=set)
    shown: bool = False


def counting(netlist: Netlist) -> set[str]:
    """Registers that change in nearly every cycle, whatever happens: counters that nothing stops, and what only copies
    them; with these, all that read them."""
    # What a statement reads in the end, through others: a bit for each signal that no statement sets.
    bit: dict[str, int] = {"rst": 0}
    reach: dict[int, int] = {}
    for index in netlist.order:
        reach[index] = 0
        for need in netlist.needs[index]:
            reach[index] |= reach[need]
        for part in netlist.statements[index].reads:
            if part.name not in netlist.setters:
                reach[index] |= bit.setdefault(part.name, 1 << len(bit))
    reads = {
        name: reduce(or_, (reach[index] for index in netlist.setting([netlist.becomes(name)])), 0)
        for name in netlist.registers
    }
    free = {name for name, read in reads.items() if read and read == bit.get(name) and netlist.branches(name) is None}
    while True:
        counters = reduce(or_, (bit.get(name, 0) for name in free), 0)
        copies = {name for name, read in reads.items() if read and not read & ~counters} - free
        if not copies:
            return {name for name, read in reads.items() if read & counters}
        free |= copies


def find(netlist: Netlist, components: Sequence[str], shown: Sequence[str] = ()) -> list[Part]:
    """The parts with these names, as far as they are there."""
    shows = _shown(netlist, [name for name in netlist.registers if any(fnmatchcase(plain(name), one) for one in shown)])
    left = (set(netlist.registers) - counting(netlist)) | shows
    by_memory = netlist.by_memory()
    parts: list[Part] = []
    taken: set[int] = set()
    named = [{name for name in netlist.registers if fnmatchcase(plain(name), one)} for one in components]
    for place, names in enumerate([shows, *named]):
        part = Part(names & left, shown=place == 0)
        _fill(netlist, part, taken | by_memory)
        parts.append(part)
        taken |= part.statements
        left -= part.registers
    return [part for part in parts if part.registers]


def _shown(netlist: Netlist, registers: Sequence[str]) -> set[str]:
    """Of these registers, those that nobody looks at but an output, at which nobody else looks, and those that only
    they look at and that do not look at any of them: two edges after its inputs came such a part is right."""
    readers = {
        name: {index for index in netlist.order if any(part.name == name for part in netlist.statements[index].reads)}
        for name in registers
    }
    outputs = {
        index
        for index in netlist.order
        if not netlist.users[index]
        and all(netlist.signals[part.name].kind == "output" for part in netlist.statements[index].sets)
    }
    first = {name for name in registers if readers[name] <= outputs}
    only_first = netlist.only_for_registers(first, ())
    second = {name for name in registers if name not in first and readers[name] <= only_first}
    looks = {
        name
        for name in second
        for index in netlist.behind(netlist.setting([netlist.becomes(name)]))
        if not first.union(second).isdisjoint(part.name for part in netlist.statements[index].reads)
    }
    return first | second - looks


def _fill(netlist: Netlist, part: Part, others: set[int]) -> None:
    """Give a part all that nobody else needs, and take what it cannot have."""
    while True:
        part.statements = netlist.only_for_registers(part.registers, others)
        whole = {name for name in part.registers if netlist.setting([netlist.becomes(name)]) & part.statements}
        if whole == part.registers:
            return
        part.registers = whole


def divide(text: str, components: Sequence[str] = COMPONENTS, shown: Sequence[str] = SHOWN) -> str:
    """The flattened core's Verilog, as Yosys writes it, in parts; as it was, if there is no part. Raises
    UnreadableError.

    It has ports more: ``wake``, ``awake`` and ``shown``, which parts wake for the harness, PARTS bits each, and those
    that the macros MOVED and MOVED_PINS name, which nobody has to look at."""
    netlist = Netlist(text)
    since(netlist)
    parts = find(netlist, components, shown)
    if not parts:
        return text
    return "".join(f"{line}\n" for line in _Writer(netlist, parts).lines()) + netlist.after


class _Writer:
    """What is written of a netlist in parts."""

    def __init__(self, netlist: Netlist, parts: Sequence[Part]):
        self.netlist = netlist
        self.parts = parts
        self.part_of = {name: number for number, part in enumerate(parts) for name in part.registers}
        #: What each part reads, in the order of its copies.
        self.reads = [netlist.inputs(part.statements) for part in parts]
        #: Of each part, what is made of one signal, by that, if that is much: made anew when the signal changes.
        self.calm = [
            {name: made for name, made in netlist.made_of_one(part.statements).items() if len(made) >= CALM}
            for part in parts
        ]
        in_calm = {index for calm in self.calm for made in calm.values() for index in made}
        taken = {index for part in parts for index in part.statements}
        self.groups = clocked(netlist, [name for name in netlist.registers if name not in self.part_of], taken)
        in_groups = {index for group in self.groups for index in group.inner}
        taken |= in_groups.union(*(group.statements for group in self.groups))
        self.guards = guarded(netlist, taken)
        in_guards = {index for guard in self.guards for index in (guard.index, *guard.inner)}
        #: Statements that are not written by themselves.
        self.taken = taken | in_guards
        # What is set in several places must be set by the same kind of statement, or Verilator takes it for two.
        in_blocks = {index for index in netlist.order if netlist.statements[index].block}
        in_blocks |= in_groups | in_guards | in_calm
        self.blocks = {part.name for index in in_blocks for part in netlist.statements[index].sets}

    def lines(self) -> Iterator[str]:
        netlist = self.netlist
        yield from self._head()
        yield from self._signals()
        yield from netlist.others
        yield from netlist.memories
        for index in netlist.order:
            if index not in self.taken:
                yield self._statement(index)
        for guard in self.guards:
            yield from behind_guard(netlist, guard)
        for number, group in enumerate(self.groups):
            yield from edge(netlist, group, number)
        at_edges = {name for group in self.groups for name in group.texts}
        for name, then in netlist.registers.items():
            if name not in self.part_of and name not in at_edges:
                yield f"  always @(posedge clk) {written(name)} <= {then} ;"
        for number in range(len(self.parts)):
            yield from self._part(number)
            yield from self._awake(number)
        yield "endmodule"

    def _head(self) -> Iterator[str]:
        count = len(self.parts)
        moved = [_moved(number, whose) for number in range(count) for whose in self._sources(number)]
        yield f"{PARTED} {count}"
        yield f"`define MOVED {''.join(f'output {port}, ' for port in moved)}"
        yield f"`define MOVED_PINS {''.join(f'.{port}({port}), ' for port in moved)}"
        yield f"{self.netlist.header}, {', '.join([*moved, 'wake', 'awake', 'shown'])});"
        yield from (f"  output {port};" for port in moved)
        yield f"  input [{count - 1}:0] wake;"
        yield from (f"  output [{count - 1}:0] {port};" for port in ("awake", "shown"))
        yield f"  assign shown = {count}'b{''.join(str(int(part.shown)) for part in reversed(self.parts))};"

    def _signals(self) -> Iterator[str]:
        netlist = self.netlist
        pieces = sliced(netlist).difference(*self.reads)
        for name, signal in netlist.signals.items():
            variable = name in self.blocks or (name in netlist.registers and name not in self.part_of)
            kind = "wire" if name in self.part_of else "reg" if variable else signal.kind
            kind = signal.kind if signal.kind in ("input", "output") else kind
            value = signal.value if kind == "reg" else ""
            split = " /*verilator split_var*/" if name in pieces and kind in ("reg", "wire") else ""
            yield f"  {kind} {signal.range}{written(name)}{signal.words}{split}{value};"
            if kind == "output" and variable:
                yield f"  reg {signal.range}{written(name)}{signal.value};"

    def _statement(self, index: int, names: Mapping[str, str] | None = None) -> str:
        statement = self.netlist.statements[index]
        text = renamed(statement.text, names or {})
        if statement.block:
            return f"  always @* begin\n{text}\n  end"
        return f"  always @* {text}" if any(part.name in self.blocks for part in statement.sets) else f"  assign {text}"

    def _part(self, number: int) -> Iterator[str]:
        netlist, part, copies = self.netlist, self.parts[number], self._copies(number)
        calm = self.calm[number]
        made = set().union(*calm.values())
        results = self._results(number)
        for name, copy in copies.items():
            signal = netlist.signals[name]
            value = " = 1" if name == "rst" else signal.value if name in part.registers else ""
            yield f"  reg {signal.range}{copy}{value};"
        yield from (f"  reg {netlist.signals[name].range}{copy};" for name, copy in results.items())
        yield f"  reg begun_{number} = 0;"
        yield f"  always @(edge wake[{number}]) begin\n    begun_{number} <= 1;"
        yield from (f"    {copy}<= {written(name)};" for name, copy in copies.items())
        for source, indices in calm.items():
            changes = (f"({written(name)} != {copies[name]})" for name in (source, "rst") if name in copies)
            yield f"    if (!begun_{number} | {' | '.join(changes)}) begin"
            yield from (netlist.statements[index].text for index in netlist.order if index in indices)
            sets = {one.name for index in indices for one in netlist.statements[index].sets}
            yield from (f"    {copy}<= {written(name)};" for name, copy in results.items() if name in sets)
            yield "    end"
        yield "  end"
        copies |= results
        for index in netlist.order:
            if index in part.statements - made:
                yield self._statement(index, copies)
        for name in sorted(part.registers):
            then = renamed(f"{netlist.registers[name]} ", copies)
            if netlist.becomes(name) in results or not _starts_right(netlist, name):
                first = netlist.signals[name].value.removeprefix(" = ") or "0"
                then = f"begun_{number} ? {then}: {first}"
            yield f"  assign {written(name)} = {then};"

    def _results(self, number: int) -> dict[str, str]:
        """What of the calm logic of a part the rest of it looks at, and what that is called."""
        statements = self.netlist.statements
        made = set().union(*self.calm[number].values())
        rest = self.parts[number].statements - made
        reads = {one.name for index in rest for one in statements[index].reads}
        reads |= {self.netlist.becomes(name) for name in self.parts[number].registers}
        names = sorted(reads & {one.name for index in made for one in statements[index].sets})
        return {name: f"calm_{number}_{place} " for place, name in enumerate(names)}

    def _copies(self, number: int) -> dict[str, str]:
        return {name: f"was_{number}_{place} " for place, name in enumerate(self.reads[number])}

    def _sources(self, number: int) -> list[int]:
        """Whose registers are reason for a part to wake: its own, and of which others it reads some."""
        if self.parts[number].shown:
            return []
        whose = {self._whose(name) for name in self.reads[number]}
        return [number, *sorted(part for part in whose if part not in (number, None))]

    def _whose(self, name: str) -> int | None:
        """The part with whose registers alone a signal changes; None, if there is no such part."""
        made = self.netlist.behind(self.netlist.setting([name]))
        parts = {self.part_of.get(source) for source in ([name] if name in self.part_of else self.netlist.inputs(made))}
        return parts.pop() if len(parts) == 1 else None

    def _awake(self, number: int) -> Iterator[str]:
        """When a part wakes. What changes only with a part is asked for only then: by an output, so that it stays a
        signal of its own. (As a public one it would have Verilator keep a list of such signals, by thread, of which a
        core that is deleted after another one spoils what is no longer there.)"""
        changed = {whose: [] if whose != number else [f"!begun_{number}"] for whose in self._sources(number)}
        others: list[str] = []
        for name, copy in self._copies(number).items() if changed else ():
            whose = self._whose(name)
            (others if whose is None else changed[whose]).append(f"({written(name)} != {copy})")
        for whose, differences in changed.items():
            yield f"  assign {_moved(number, whose)} = {' | '.join(differences)};"
        awake = [*(_moved(number, whose) for whose in changed), *others]
        yield f"  assign awake[{number}] = {' | '.join(awake) or '0'};"


def _moved(number: int, whose: int) -> str:
    """Of what a part reads, has something changed that is of a part: another one, or itself?"""
    return f"moved_{number}_{whose}"


def _starts_right(netlist: Netlist, register: str) -> bool:
    """Is a register's initial value what a reset makes of it? Then it is right before the first edge, too."""
    texts = [netlist.statements[index].text for index in netlist.setting([netlist.becomes(register)])]
    first = re.escape(netlist.signals[register].value.removeprefix(" = "))
    name = re.escape(netlist.becomes(register))
    return len(texts) == 1 and bool(re.search(rf"\n    if \(rst ?\) begin\n +{name} +=\s+{first};\n    end$", texts[0]))
