"""The core's Verilog for simulation: parts of it are evaluated only in cycles in which they can change.

A simulated core is bound by how much code a cycle is, and in most cycles the composer has nothing to compose and the
sequencer nothing to decide. A part is some registers and all the logic that only they need: whatever else reads of the
part are its registers. So it can be evaluated late. The part keeps what its logic reads, its inputs and its own
registers, as they were in the cycle before, in registers of its own, and what its logic makes of them are the part's
registers as they are now::

    always @(edge wake[3]) begin in_3_0 <= a; was_3_0 <= x; end
    assign x_next = in_3_0 ? was_3_0 + 1 : was_3_0;     // the logic, as it was
    assign x = x_next;                                  // was a register

A cycle in which nothing can change is one without an edge of ``wake[3]``, and Verilator evaluates nothing that hangs
on it. ``awake[3]`` says whether the next cycle needs an edge. That is known from the netlist, not from what the design
means:

* Parts named by their component wake if an input is not what it was, or a register has just changed.
* Parts named by a register wake if the condition holds without which their registers stay as they are: those of the
  netlist that have the same ``if`` around all of their next value.

So the names below, and whether they are all there, can cost speed, but not change what is simulated. Registers that
read a free-running counter are left out: with them, a part would never sleep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_

from .netlist import WORD, Netlist, Statement, bits, written

#: How Verilog in parts begins; the number of parts follows.
PARTED = "`define PARTS"
#: Registers of components that are parts; what is in a part cannot be in one that follows.
COMPONENTS = (
    *("clock.*", "timers.*", "composer.*", "sequencer.expected.*", "sequencer.preparation.*", "sequencer.*"),
    "registers.reads_*",
)
#: Registers whose conditions seldom hold.
RARE = (
    *("data.framer.extent.near", "data.framer.extent.digits", "data.framer.back_far"),
    *("data.framer.sum_digit_0", "data.framer.sum_digit_1", "data.framer.sum_digit_2"),
    *("data.fields.seq_value", "data.fields.new_seq_value", "data.fields.begin_first_row"),
    *("data.release.slot", "data.fields.body_tag_digits"),
)


@dataclass
class Part:
    """Registers, and the statements that only they need.

    Members: ``condition``, without which they stay as they are, as written; "" if there is none.
    """

    registers: set[str]
    condition: str
    statements: set[int] = field(default_factory=set)


def plain(name: str) -> str:
    """A signal's name without what makes it legal and unique."""
    return re.sub(r"\$\d+(?=\.|$)", "", name.removeprefix("\\"))


def conditions(netlist: Netlist, register: str) -> tuple[str, ...]:
    """Conditions, one of which must hold for a register to change; none, if it may change anyhow."""
    setters = netlist.setters.get(netlist.becomes(register), [])
    if len(setters) != 1 or not netlist.statements[setters[0]].block:
        return ()
    lines = netlist.statements[setters[0]].text.split("\n")
    name = netlist.becomes(register)
    if lines[0].split() != [name, "=", register, ";"] and lines[0].split() != [name, "=", f"{register};"]:
        return ()
    if any(part.name != name for part in netlist.statements[setters[0]].sets):
        return ()
    found = set()
    for line in lines[1:]:
        if line.startswith("     ") or line == "    end":
            continue
        match = re.match(r"    (?:end else )?if \((.*)\) begin$", line)
        if not match:
            return ()
        found.add(f"({match[1]})")
    return tuple(sorted(found))


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
    free = {name for name, read in reads.items() if read and read == bit.get(name) and not conditions(netlist, name)}
    while True:
        counters = reduce(or_, (bit.get(name, 0) for name in free), 0)
        copies = {name for name, read in reads.items() if read and not read & ~counters} - free
        if not copies:
            return {name for name, read in reads.items() if read & counters}
        free |= copies


def find(netlist: Netlist, components: Sequence[str], rare: Sequence[str]) -> list[Part]:
    """The parts with these names, as far as they are there."""
    left = set(netlist.registers) - counting(netlist)
    by_memory = {
        index
        for index in netlist.order
        if any(netlist.signals[part.name].words for part in netlist.statements[index].reads)
    }
    parts: list[Part] = []
    taken: set[int] = set()
    for component in components:
        part = Part({name for name in left if fnmatchcase(plain(name), component)}, "")
        _fill(netlist, part, taken | by_memory)
        parts.append(part)
        taken |= part.statements
        left -= part.registers
    held: dict[tuple[str, ...], set[str]] = {}
    for name in left:
        if found := conditions(netlist, name):
            held.setdefault(found, set()).add(name)
    for found, names in sorted(held.items()):
        if any(plain(name) in rare for name in names):
            part = Part(names, " | ".join(found))
            _fill(netlist, part, taken | netlist.behind(netlist.setting({one.name for one in bits(part.condition)})))
            parts.append(part)
            taken |= part.statements
    return [part for part in parts if part.registers]


def _fill(netlist: Netlist, part: Part, others: set[int]) -> None:
    """Give a part all that nobody else needs, and take what it cannot have."""
    while True:
        part.statements = _needed_only_by(netlist, part.registers, others)
        whole = {name for name in part.registers if netlist.setting([netlist.becomes(name)]) & part.statements}
        if whole == part.registers:
            return
        part.registers = whole


def _needed_only_by(netlist: Netlist, registers: set[str], others: set[int]) -> set[int]:
    outside = netlist.looked_at | {netlist.becomes(name) for name in netlist.registers if name not in registers}
    refused = set(others)
    while True:
        found: set[int] = set()
        for index in reversed(netlist.order):
            alone = index not in refused and netlist.users[index] <= found
            if alone and outside.isdisjoint(part.name for part in netlist.statements[index].sets):
                found.add(index)
        # A signal is set in one place: all of it is in the part or nothing.
        split = {
            index
            for index in found
            for part in netlist.statements[index].sets
            if not set(netlist.setters[part.name]) <= found
        }
        if not split:
            return found
        refused |= split


def divide(text: str, components: Sequence[str] = COMPONENTS, rare: Sequence[str] = RARE) -> str:
    """The flattened core's Verilog, as Yosys writes it, in parts, with three ports more (``wake``, ``moved``,
    ``awake``) and a macro PARTS that says how wide they are; as it was, if there is no part. Raises
    UnreadableError."""
    netlist = Netlist(text)
    parts = find(netlist, components, rare)
    return "".join(f"{line}\n" for line in _write(netlist, parts)) + netlist.after if parts else text


def _write(netlist: Netlist, parts: Sequence[Part]) -> Iterator[str]:
    in_parts = {index for part in parts for index in part.statements}
    part_of = {name: number for number, part in enumerate(parts) for name in part.registers}
    # What is set in several places must be set by the same kind of statement, or Verilator takes it for two.
    blocks = {
        part.name
        for index in netlist.order
        if netlist.statements[index].block
        for part in netlist.statements[index].sets
    }
    yield f"{PARTED} {len(parts)}"
    yield f"{netlist.header}, wake, moved, awake);"
    yield f"  input [{len(parts) - 1}:0] wake;"
    yield f"  output [{len(parts) - 1}:0] moved;"
    yield f"  output [{len(parts) - 1}:0] awake;"
    for name, signal in netlist.signals.items():
        variable = name in blocks or signal.words or (name in netlist.registers and name not in part_of)
        kind = (
            signal.kind if signal.kind in ("input", "output") else "reg" if variable or signal.kind == "reg" else "wire"
        )
        if name in part_of:
            kind = "wire"
        value = signal.value if kind == "reg" else ""
        yield f"  {kind} {signal.range}{written(name)}{signal.words}{value};"
        if kind == "output" and variable:
            yield f"  reg {signal.range}{written(name)}{signal.value};"
    yield from netlist.others
    yield from netlist.memories
    for index in netlist.order:
        if index not in in_parts:
            yield _statement(netlist.statements[index], blocks, {})
    for name, then in netlist.registers.items():
        if name not in part_of:
            yield f"  always @(posedge clk) {written(name)} <= {then} ;"
    for number, part in enumerate(parts):
        yield from _part(netlist, part, number, blocks, part_of)
    yield "endmodule"


def _statement(statement: Statement, blocks: set[str], names: dict[str, str]) -> str:
    def name(match: re.Match[str]) -> str:
        old = (match[2] or "").strip()
        return names[old] + match[0][len(match[2]) :] if old in names else match[0]

    text = WORD.sub(name, statement.text)
    if statement.block:
        return f"  always @* begin\n{text}\n  end"
    return f"  always @* {text}" if any(part.name in blocks for part in statement.sets) else f"  assign {text}"


def _part(netlist: Netlist, part: Part, number: int, blocks: set[str], part_of: dict[str, int]) -> Iterator[str]:
    statements = [netlist.statements[index] for index in netlist.order if index in part.statements]
    sets = {one.name for statement in statements for one in statement.sets}
    reads = {one.name for statement in statements for one in statement.reads} - sets
    inputs = sorted(reads - part.registers)
    own = sorted(reads & part.registers)
    kept = {name: f"in_{number}_{place} " for place, name in enumerate(inputs)}
    kept |= {name: f"was_{number}_{place} " for place, name in enumerate(own)}
    for name, copy in kept.items():
        signal = netlist.signals[name]
        value = " = 1" if name == "rst" else signal.value if name in part.registers else ""
        yield f"  reg {signal.range}{copy}{value};"
    yield f"  reg begun_{number} = 0;"
    copies = "".join(f"    {copy}<= {written(name)};\n" for name, copy in kept.items())
    yield f"  always @(edge wake[{number}]) begin\n    begun_{number} <= 1;\n{copies}  end"
    for statement in statements:
        yield _statement(statement, blocks, kept)
    for name in sorted(part.registers):
        then = f"{netlist.registers[name]} "
        if not _starts_right(netlist, name):
            first = netlist.signals[name].value.removeprefix(" = ") or "0"
            then = f"begun_{number} ? {then}: {first}"
        yield f"  assign {written(name)} = {then};"
    if part.condition:
        yield f"  assign moved[{number}] = 0;"
        yield f"  assign awake[{number}] = {part.condition};"
        return
    # What changes only with a part is asked for only then: as an output, so that it stays a signal of its own. (As a
    # public one it would have Verilator keep a list of such signals, by thread, of which a core that is deleted after
    # another one spoils what is no longer there.)
    calm = [name for name in kept if name in part_of]
    moved = [f"({written(name)} != {kept[name]})" for name in calm]
    yield f"  assign moved[{number}] = {' | '.join([f'!begun_{number}', *moved])};"
    changed = [f"({written(name)} != {kept[name]})" for name in kept if name not in calm]
    yield f"  assign awake[{number}] = {' | '.join([f'moved[{number}]', *changed])};"


def _starts_right(netlist: Netlist, register: str) -> bool:
    """Is a register's initial value what a reset makes of it? Then it is right before the first edge, too."""
    texts = [netlist.statements[index].text for index in netlist.setting([netlist.becomes(register)])]
    first = re.escape(netlist.signals[register].value.removeprefix(" = "))
    name = re.escape(netlist.becomes(register))
    return len(texts) == 1 and bool(re.search(rf"\n    if \(rst ?\) begin\n +{name} +=\s+{first};\n    end$", texts[0]))
