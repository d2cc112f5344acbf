"""Logic of the simulated core that is run only where something comes of it, and some that costs less when written
another way. The core does the same, in every cycle.

Yosys writes a register as a signal that says what it becomes, which is the register itself where nothing else is said,
and a copy of that signal at the edge. So each register is read and written twice in every cycle. Here:

* What a register becomes is said at the edge (:func:`at_edge`). Where nothing is said it costs nothing, and what is
  asked for under one condition only is made under it, as Verilator puts into a statement what only that one needs.
* For registers that seldom change the logic that only they need stands inside of the condition, as a whole
  (:data:`SELDOM`); so does what is zero with a signal that is seldom set (:data:`GUARDS`).
* Lanes from the first one on, an OR of many bits for each lane, are ``x | -x`` (:func:`since`).

As with parts, names can cost speed, but not change what is simulated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from .netlist import ALL, Netlist, Signal, Statement, assigned, bits, holds, plain, renamed, written

#: Registers that seldom change, with what they are made of.
SELDOM = (
    *("data.fields.body_length", "data.fields.seq_value", "data.fields.new_seq_value"),
    *("data.framer.sum_digit_?", "data.framer.extent.digits", "data.framer.extent.near", "data.framer.back_far"),
)
#: Registers that are made of what seldom changes, those of a line together.
STEADY = (
    *(("data.fields.seq_past_low",), ("data.fields.new_seq_past_low",)),
    ("data.fields.seq_number", "data.fields.seq_number_good"),
    ("data.fields.new_seq_number", "data.fields.new_seq_number_good"),
)
#: Signals that are seldom anything but zero, all of a line at once.
GUARDS = (
    *(("data.framer.ended_3",), ("data.fields.lengths",)),
    *(("data.fields.equals_34", "data.fields.seq_run"), ("data.fields.equals_36", "data.fields.new_seq_run")),
    *(("data.fields.from_49", "data.fields.run_49"), ("data.fields.from_56", "data.fields.run_56")),
    *(("data.fields.begin_compared",), ("data.fields.theirs_compared",), ("data.fields.ours_compared",)),
)
#: Less than this many statements are not worth a guard.
WORTH = 8
#: So many lanes are worth an arithmetic operation.
LANES = 4

_OR = re.compile(r"(\\\S+ |[A-Za-z_][\w$]*) ?= \| (\\\S+ |[A-Za-z_][\w$]*) ?(?:\[(?:(\d+):)?(\d+)\])?;$")
_OPERAND = r"(?:\{[^{}]*\}|\d+'[hbd]\w+|(?:\\\S+|[A-Za-z_][\w$]*) *(?:\[[\d:]+\])?)"
_CONCAT = re.compile(r"\{([^{}]*)\}")


def since(netlist: Netlist) -> int:
    """Lanes from the first one on, ``{|x[7:0], ..., |x[1:0], x[0]}`` or the upper ones of them, become those of
    ``x | -x``; how many."""
    ors: dict[str, tuple[str, int]] = {}
    for statement in netlist.statements:
        match = None if statement.block else _OR.match(statement.text)
        if match and not netlist.signals[match[2].strip()].words:
            name = match[2].strip()
            last = int(match[3] or match[4] or netlist.signals[name].width - 1)
            if int(match[4] or 0) == 0:
                ors[match[1].strip()] = (name, last)
    found: dict[str, str] = {}

    def rewrite(match: re.Match[str]) -> str:
        parts = [part.strip() for part in match[1].split(",")]
        done: list[str] = []
        while parts:
            lanes = _lanes(parts, ors)
            if lanes < LANES:
                lanes = 1
                done.append(written(parts[0]))
            else:
                name, last = ors[parts[0]]
                done.append(f"{found.setdefault(name, f'since_{len(found)}')}[{last}:{last + 1 - lanes}]")
            del parts[:lanes]
        return f"{{ {', '.join(done)} }}"

    texts = [_CONCAT.sub(rewrite, statement.text) for statement in netlist.statements]
    netlist.statements = [Statement(text, old.block) for text, old in zip(texts, netlist.statements, strict=True)]
    for name, lanes in found.items():
        netlist.signals[lanes] = Signal("wire", netlist.signals[name].range, "", "")
        netlist.statements.append(Statement(f"{lanes} = {written(name)} | -{written(name)};", block=False))
    netlist.connect()
    return len(found)


def _lanes(parts: Sequence[str], ors: dict[str, tuple[str, int]]) -> int:
    """How many of these are a signal's lanes from the first one on, each one lane below the one before."""
    name, last = ors.get(parts[0], ("", -1))
    count = 0
    while count < len(parts) and last - count >= 0:
        lane = last - count
        if ors.get(parts[count]) != (name, lane) and (lane or parts[count].split() != [name, "[0]"]):
            break
        count += 1
    return count


@dataclass
class Clocked:
    """Registers that are written together at an edge.

    Members: ``texts``, by register, what they become, said of them; ``statements``, their own; ``inner``, those that
    are needed only if ``condition`` holds, or only if one of ``inputs`` is not what it was the last time.
    """

    texts: dict[str, str]
    statements: set[int]
    condition: str = ""
    inputs: list[str] = field(default_factory=list)
    inner: set[int] = field(default_factory=set)


@dataclass
class Guarded:
    """A signal that is zero if others are.

    Members: ``index``, its statement; ``guards``, the others; ``inner``, the statements that only it needs, run if one
    of ``guards`` is not zero.
    """

    index: int
    guards: list[str]
    inner: set[int]


def at_edge(netlist: Netlist, register: str) -> str | None:
    """What a register becomes, as lines for an edge; None, if somebody else looks at what it becomes."""
    own = netlist.own(register)
    name = netlist.becomes(register)
    if own is None or netlist.users[own] or name in netlist.looked_at or netlist.signals[register].kind == "output":
        return None
    if sum(netlist.becomes(other) == name for other in netlist.registers) > 1:
        return None
    lines = netlist.statements[own].text.split("\n")
    done = []
    for line in lines[holds(lines[0], name, register) :]:
        target, value = assigned(line) or ("", line)
        if any(part.name == name for part in bits(value)):
            return None
        done.append(f"    {renamed(target, {name: written(register)})} <= {value};" if target else line)
    return "\n".join(done)


def clocked(
    netlist: Netlist,
    registers: Iterable[str],
    taken: Collection[int],
    seldom: Sequence[str] = SELDOM,
    steady: Sequence[Sequence[str]] = STEADY,
) -> list[Clocked]:
    """Of these registers, those that are written at the edge; statements ``taken`` are somebody else's."""
    texts = {name: text for name in registers if (text := at_edge(netlist, name)) is not None}
    asking = {name: found for name in texts if (found := _asking(netlist, name))}
    result = []
    for pattern in seldom:
        asked_for = set().union(*(found for name, found in asking.items() if fnmatchcase(plain(name), pattern)))
        names = [name for name in texts if asking.get(name, {""}) <= asked_for]
        if names:
            # The conditions themselves, of all branches, are asked for in any case.
            all_asked = " | ".join(condition for name in names for condition, _ in netlist.branches(name) or ())
            asked = netlist.behind(netlist.setting({part.name for part in bits(all_asked)}))
            own = _own(netlist, names)
            inner = netlist.only_for_registers(names, {*taken, *asked}) - own
            condition = " | ".join(sorted(asked_for))
            result.append(Clocked({name: texts.pop(name) for name in names}, own, condition, inner=inner))
    by_memory = netlist.by_memory()
    for line in steady:
        names = [name for name in texts if plain(name) in line]
        own = _own(netlist, names)
        inner = netlist.only_for_registers(names, {*taken, *by_memory}) - own
        if inner:
            inputs = netlist.inputs(inner)
            result.append(Clocked({name: texts.pop(name) for name in names}, own, inputs=inputs, inner=inner))
    return result + [Clocked({name: text}, _own(netlist, [name])) for name, text in texts.items()]


def _asking(netlist: Netlist, register: str) -> set[str]:
    """Conditions, one of which must hold for a register to become anything but itself or a constant; none, if it may
    become so anyhow."""
    name = netlist.becomes(register)
    return {
        condition
        for condition, lines in netlist.branches(register) or ()
        if any(part.name != name for line in lines for part in bits(line))
    }


def _own(netlist: Netlist, registers: Iterable[str]) -> set[int]:
    return netlist.setting({netlist.becomes(name) for name in registers})


def guarded(netlist: Netlist, taken: Collection[int], guards: Sequence[Sequence[str]] = GUARDS) -> list[Guarded]:
    """The signals that are zero if all of a line of ``guards`` are, if much is needed only for them; ``taken`` as
    above."""
    taken = set(taken)
    outside = netlist.looked_at | {netlist.becomes(name) for name in netlist.registers}
    result = []
    for line in guards:
        names = [name for name in netlist.signals if plain(name) in line]
        zeros = zero_with(netlist, names)
        asked = netlist.behind(netlist.setting(names))
        # From the outermost one on: what it needs is in it.
        for index in reversed(netlist.order):
            if index in zeros and index not in taken:
                inner = netlist.only_for([index], outside, {*taken, *asked})
                if len(inner) >= WORTH:
                    result.append(Guarded(index, names, inner))
                    taken |= {index, *inner}
    return result


def zero_with(netlist: Netlist, guards: Collection[str]) -> set[int]:
    """The assignments whose value is zero if all of ``guards`` are, as far as that is seen."""
    zeros = set(guards)
    found = set()
    for index in netlist.order:
        statement = netlist.statements[index]
        target, value = (None, "") if statement.block else assigned(statement.text) or (None, "")
        if target and [target.strip()] == [part.name for part in statement.sets] and _is_zero(value, zeros):
            zeros.add(target.strip())
            found.add(index)
    return found


def _is_zero(text: str, zeros: Collection[str]) -> bool:
    """Is a value zero if these signals are? Of what Yosys writes, what is easily seen."""
    text = text.strip()
    if match := re.fullmatch(rf"({_OPERAND}) \? ({_OPERAND}) : ({_OPERAND})", text):
        return _is_zero(match[3], zeros) and (_is_zero(match[1], zeros) or _is_zero(match[2], zeros))
    if match := re.fullmatch(rf"({_OPERAND}) ([&|]|<<|>>) ({_OPERAND})", text):
        one, other = _is_zero(match[1], zeros), _is_zero(match[3], zeros)
        return {"&": one or other, "|": one and other}.get(match[2], one)
    if match := re.fullmatch(rf"\| ({_OPERAND})", text):
        return _is_zero(match[1], zeros)
    if text.startswith("{"):
        return all(_is_zero(part, zeros) for part in text[1:-1].split(","))
    if match := re.fullmatch(r"\d+'[hbd](\w+)", text):
        return not match[1].strip("0")
    spoken = bits(f"{text} ")
    return bool(re.fullmatch(_OPERAND, text)) and len(spoken) == 1 and spoken[0].name in zeros


def sliced(netlist: Netlist) -> set[str]:
    """Wide signals that somebody looks at a part of: Verilator should keep their parts as signals of their own."""
    return {
        part.name
        for statement in netlist.statements
        for part in (*statement.sets, *statement.reads)
        if part.high != ALL and netlist.signals[part.name].width > 64
    }


def edge(netlist: Netlist, group: Clocked, number: int) -> Iterator[str]:
    """A group as Verilog, line by line; ``number``, for the names of what it keeps."""
    condition = group.condition
    seen = {name: f"seen_{number}_{place} " for place, name in enumerate(group.inputs)}
    if seen:
        yield from (f"  reg {netlist.signals[name].range}{copy};" for name, copy in seen.items())
        yield f"  reg seen_{number} = 0;"
        condition = " | ".join([f"!seen_{number}", *(f"({written(name)} != {copy})" for name, copy in seen.items())])
    yield "  always @(posedge clk) begin"
    if group.inner:
        yield f"    if ({condition}) begin"
        if seen:
            yield f"    seen_{number} = 1;"
        yield from (f"    {copy}= {written(name)};" for name, copy in seen.items())
        yield from (netlist.statements[index].text for index in netlist.order if index in group.inner)
        yield "    end"
    yield from group.texts.values()
    yield "  end"


def behind_guard(netlist: Netlist, found: Guarded) -> Iterator[str]:
    """A guarded signal as Verilog, line by line. As a foreign statement is in between, Verilator leaves the block as it
    is."""
    (target,) = netlist.statements[found.index].sets
    guards = " | ".join(f"(|{written(name)})" for name in found.guards)
    yield f'  always @* begin\n    {written(target.name)} = 0;\n    if ({guards}) begin\n    $c(";");'
    for index in netlist.order:
        if index in found.inner or index == found.index:
            yield netlist.statements[index].text
    yield "    end\n  end"
