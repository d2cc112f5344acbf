"""The core's Verilog as statements: what each reads and writes, and in which order they can be run.

Only what Yosys writes for a flattened design is understood, line by line (``write_verilog -norename -noattr`` behind
``proc -nomux``): assignments, ``always @*`` with branches, registers of one line, memories.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

#: All bits of a signal.
ALL = 1 << 30
KEYWORDS = frozenset(
    [
        "if",
        "else",
        "begin",
        "end",
        "case",
        "casez",
        "endcase",
        "default",
        "assign",
        "always",
        "posedge",
        "or",
        "reg",
        "wire",
    ]
)
_NAME = r"\\\S+ |(?<![.\w])[A-Za-z_][\w$]*"
#: A number, or a signal and the bits of it.
WORD = re.compile(rf"(\d+'[hbdo][\w?]+)|({_NAME})( ?\[(\d+)(?::(\d+))?\])?")
_DECLARATION = re.compile(rf"  (input|output|wire|reg) (\[-?\d+:-?\d+\] )?({_NAME}) ?( \[.*\])?( = .*)?;$")
_TARGET = re.compile(r"\s*(.*?) = (.*);$")
_ALIAS = re.compile(rf"({_NAME}) = ({_NAME}) ?(?:\[(\d+)(?::(\d+))?\])?;$")


class UnreadableError(Exception):
    """This is not Verilog as Yosys writes it; the text is the line."""


@dataclass(frozen=True)
class Bits:
    """Bits of a signal: ``high`` down to ``low``; all of it, if ``high`` is ``ALL``."""

    name: str
    high: int = ALL
    low: int = 0

    def meets(self, other: Bits) -> bool:
        """Have both a bit in common?"""
        return self.name == other.name and self.high >= other.low and other.high >= self.low


def bits(text: str) -> list[Bits]:
    """What a text speaks of, in its order."""
    found = []
    for match in WORD.finditer(text):
        name = match[2]
        if name and name not in KEYWORDS:
            high = int(match[4]) if match[3] else ALL
            low = int(match[5]) if match[5] else high if match[3] else 0
            found.append(Bits(name.strip(), high, low))
    return found


def written(name: str) -> str:
    """A name as it is written: an escaped one ends with a space."""
    return f"{name} " if name.startswith("\\") else name


def plain(name: str) -> str:
    """A signal's name without what makes it legal and unique."""
    return re.sub(r"\$\d+(?=\.|$)", "", name.removeprefix("\\"))


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A text that speaks of other signals: ``names``, by what they are called in it, as they are written."""

    def name(match: re.Match[str]) -> str:
        old = (match[2] or "").strip()
        return names[old] + match[0][len(match[2]) :] if old in names else match[0]

    return WORD.sub(name, text)


def assigned(line: str) -> tuple[str, str] | None:
    """What a line assigns to, and what; None, if it assigns nothing."""
    match = None if line.strip().startswith(("if ", "end", "case")) else _TARGET.match(line)
    return (match[1], match[2]) if match else None


@dataclass
class Statement:
    """Logic that sets signals.

    Members: ``text``, an assignment, or the lines of an ``always @*`` block if ``block``; ``sets``, ``reads``.
    """

    text: str
    block: bool
    sets: list[Bits] = field(default_factory=list)
    reads: list[Bits] = field(default_factory=list)

    def __post_init__(self) -> None:
        for line in self.text.split("\n"):
            target, value = assigned(line) or ("", line)
            self.sets += bits(target)
            self.reads += bits(value)
        if self.block:
            own = {part.name for part in self.sets}
            self.reads = [part for part in self.reads if part.name not in own]


@dataclass
class Signal:
    """A declared signal: its ``kind`` (input, output, wire, reg), its ``range`` and initial ``value`` as written, ""
    for none, and the ``words`` of a memory."""

    kind: str
    range: str
    value: str
    words: str

    @property
    def width(self) -> int:
        """Bits."""
        found = re.match(r"\[(-?\d+):(-?\d+)\]", self.range)
        return int(found[1]) - int(found[2]) + 1 if found else 1


class Netlist:
    """A module.

    Parameters: ``text``, with exactly one module of which anything is understood, the first. Raises UnreadableError.

    Members: ``header``, up to the bracket of the ports; ``signals``, by name; ``statements``; ``registers``, what each
    is at the next edge; ``memories``, ``others``: blocks of lines that write or read memories, instances, initial
    values; ``after``: what stands behind the module.
    """

    def __init__(self, text: str):
        self.signals: dict[str, Signal] = {}
        self.statements: list[Statement] = []
        self.registers: dict[str, str] = {}
        self.memories: list[str] = []
        self.others: list[str] = []
        head, body, self.after = self._cut(text)
        self.header = head
        lines = iter(body.split("\n"))
        for line in lines:
            self._read(line, lines)
        spoken_of = {part.name for statement in self.statements for part in (*statement.sets, *statement.reads)}
        if unknown := (spoken_of | {*self.registers, *self.registers.values()}) - set(self.signals):
            raise UnreadableError(f"not declared: {min(unknown)}")
        self._drop_aliases()
        self.connect()

    @staticmethod
    def _cut(text: str) -> tuple[str, str, str]:
        found = re.search(r"^(module [^;]*)\);\n(.*?)^endmodule\n", text, re.MULTILINE | re.DOTALL)
        if not found:
            raise UnreadableError("no module")
        return found[1], found[2], text[found.end() :]

    def _read(self, line: str, lines: Iterator[str]) -> None:
        if line.startswith("  assign "):
            self.statements.append(Statement(line.removeprefix("  assign "), block=False))
        elif line == "  always @*":
            self.statements.append(Statement(next(lines).strip(), block=False))
        elif line == "  always @* begin":
            inner = [text for text in _until(lines, "  end") if "dump_module" not in text]
            self.statements.append(Statement("\n".join(inner).replace("/* empty */", ""), block=True))
        elif line.startswith("  always @(posedge "):
            self._read_edge(line, lines)
        elif match := _DECLARATION.match(line):
            name = match[3].strip()
            old = self.signals.get(name)
            kind = old.kind if old else match[1]
            value = match[5] or (old.value if old else "")
            self.signals[name] = Signal(kind, match[2] or "", value, match[4] or "")
        elif line.startswith("  initial begin"):
            self.others.append("\n".join([line, *_until(lines, "  end"), "  end"]))
        elif re.match(r"  \w+ #?\(?", line) and line.endswith("("):
            self.others.append("\n".join([line, *_until(lines, "  );"), "  );"]))
        elif line.strip():
            raise UnreadableError(line)

    def _read_edge(self, line: str, lines: Iterator[str]) -> None:
        head = "  always @(posedge clk)"
        if line.endswith("begin"):
            inner = list(_until(lines, "  end"))
            self.memories.append("\n".join([f"{head} begin", *(self._one_write(inner) or inner), "  end"]))
            return
        then = next(lines)
        match = re.match(rf"    ({_NAME}) +<= ({_NAME}) *;$", then)
        if match:
            self.registers[match[1].strip()] = match[2].strip()
        elif then.endswith(";"):
            self.memories.append(f"{head}\n{then}")
        else:
            self.memories.append("\n".join([head, then, next(lines)]))

    def _one_write(self, lines: list[str]) -> list[str] | None:
        """Writes of bytes of a word, each under its own condition, as one write of the word, which a simulator asks for
        once; None, if it is something else."""
        writes = []
        for condition, then in zip(lines[::2], lines[1::2], strict=False):
            asked = re.match(r"    if \((.*)\)$", condition)
            write = re.match(r"      (\S+ \[.*\])\[(\d+):(\d+)\] <= (.*);$", then)
            if not asked or not write:
                return None
            writes.append((asked[1], write[1], int(write[2]), int(write[3]), write[4]))
        if len(writes) < 2 or len(lines) != 2 * len(writes) or len({word for _, word, *_ in writes}) > 1:
            return None
        # From the top: the bytes must be all of the word, or there is nothing to put between them.
        writes.sort(key=lambda write: -write[2])
        word = writes[0][1]
        width = self.signals[bits(word)[0].name].width
        edges = [width, *(low for *_, low, _ in writes)]
        if edges[-1] or any(write[2] + 1 != edge for write, edge in zip(writes, edges, strict=False)):
            return None
        parts = (f"({asked}) ? {value} : {word}[{high}:{low}]" for asked, _, high, low, value in writes)
        return [
            f"    if ({' | '.join(f'({asked})' for asked, *_ in writes)})",
            f"      {word} <= {{{', '.join(parts)}}};",
        ]

    def _drop_aliases(self) -> None:
        """Have everybody read what a wire stands for instead of the wire."""
        times: dict[str, int] = {}
        for statement in self.statements:
            for name in {part.name for part in statement.sets}:
                times[name] = times.get(name, 0) + 1
        means: dict[str, Bits] = {}
        kept = []
        for statement in self.statements:
            match = None if statement.block else _ALIAS.match(statement.text)
            name, of = (match[1].strip(), match[2].strip()) if match else ("", "")
            if match and self.signals[name].kind != "output" and times[name] == 1 and not self.signals[of].words:
                high = int(match[3]) if match[3] else self.signals[of].width - 1
                means[name] = Bits(of, high, int(match[4]) if match[4] else high if match[3] else 0)
            else:
                kept.append(statement)

        def replace(match: re.Match[str]) -> str:
            name = (match[2] or "").strip()
            if name not in means:
                return match[0]
            high = int(match[4]) if match[3] else self.signals[name].width - 1
            low = int(match[5]) if match[5] else high if match[3] else 0
            while name in means:
                step = means[name]
                name, high, low = step.name, high + step.low, low + step.low
            if high - low + 1 == self.signals[name].width:
                return f"{name} "
            return f"{name} [{high}:{low}]" if high > low else f"{name} [{high}]"

        def follow(text: str) -> str:
            return WORD.sub(replace, text)

        self.statements = [Statement(follow(statement.text), statement.block) for statement in kept]
        self.registers = {name: follow(f"{then} ").strip() for name, then in self.registers.items()}
        self.memories = [follow(text) for text in self.memories]
        self.others = [follow(text) for text in self.others]

    def connect(self) -> None:
        """Who sets what, and who needs whom; in :attr:`order` those that nobody needs are left out. To be called again
        when statements were changed. Raises UnreadableError."""
        self.setters: dict[str, list[int]] = {}
        for index, statement in enumerate(self.statements):
            for name in {part.name for part in statement.sets}:
                self.setters.setdefault(name, []).append(index)
        self.needs: list[set[int]] = [
            {
                setter
                for part in statement.reads
                for setter in self.setters.get(part.name, ())
                if setter != index and any(part.meets(other) for other in self.statements[setter].sets)
            }
            for index, statement in enumerate(self.statements)
        ]
        #: Signals that are looked at beside statements: outputs, memories, what registers become.
        self.looked_at = {part.name for text in (*self.memories, *self.others) for part in bits(text)}
        self.looked_at |= {name for name, signal in self.signals.items() if signal.kind == "output"}
        becomes = {bits(f"{then} ")[0].name for then in self.registers.values()}
        live = self.behind(index for name in self.looked_at | becomes for index in self.setters.get(name, ()))
        try:
            order = list(TopologicalSorter(dict(enumerate(self.needs))).static_order())
        except CycleError as error:
            raise UnreadableError(f"a loop: {self.statements[error.args[1][0]].text}") from None
        self.order = [index for index in order if index in live]
        self.setters = {name: [index for index in found if index in live] for name, found in self.setters.items()}
        self.users: list[set[int]] = [set() for _ in self.statements]
        for index in self.order:
            for need in self.needs[index]:
                self.users[need].add(index)

    def behind(self, indices: Iterable[int]) -> set[int]:
        """These statements and all that they need."""
        found: set[int] = set()
        todo = list(indices)
        while todo:
            index = todo.pop()
            if index not in found:
                found.add(index)
                todo += self.needs[index]
        return found

    def setting(self, names: Collection[str]) -> set[int]:
        """The statements that set any of these signals."""
        return {index for name in names for index in self.setters.get(name, ())}

    def only_for(self, goal: Collection[int], outside: Collection[str], refused: Collection[int]) -> set[int]:
        """The statements that nobody needs but those of ``goal``, directly or not; without ``refused``, and without
        those that set what is ``outside``. A goal that is empty: of what is not outside."""
        refused = set(refused)
        while True:
            found: set[int] = set()
            for index in reversed(self.order):
                alone = index not in refused and self.users[index] <= found | set(goal)
                if alone and not any(part.name in outside for part in self.statements[index].sets):
                    found.add(index)
            # A signal is set in one place: all of it is found or nothing.
            split = {
                index
                for index in found
                for part in self.statements[index].sets
                if not set(self.setters[part.name]) <= found
            }
            if not split:
                return found
            refused |= split

    def only_for_registers(self, registers: Collection[str], refused: Collection[int]) -> set[int]:
        """The statements that say what these registers become, and those that only they need; without ``refused``."""
        others = {self.becomes(name) for name in self.registers if name not in registers}
        return self.only_for((), self.looked_at | others, refused)

    def by_memory(self) -> set[int]:
        """The statements that read memories."""
        return {
            index for index in self.order if any(self.signals[part.name].words for part in self.statements[index].reads)
        }

    def inputs(self, statements: Iterable[int]) -> list[str]:
        """What these statements read of others."""
        inside = [self.statements[index] for index in statements]
        sets = {part.name for statement in inside for part in statement.sets}
        return sorted({part.name for statement in inside for part in statement.reads} - sets)

    def made_of_one(self, statements: Collection[int]) -> dict[str, set[int]]:
        """Those of these statements that are made, by others of them, of nothing but one signal (and of the reset), by
        that signal."""
        reach: dict[int, set[str]] = {}
        for index in self.order:
            if index in statements:
                reach[index] = {part.name for part in self.statements[index].reads} - {"rst"}
                for name in list(reach[index]):
                    setters = [setter for setter in self.setters.get(name, ()) if setter in statements]
                    if setters:
                        reach[index] = (
                            reach[index].difference([name]).union(*(reach.get(setter, {""}) for setter in setters))
                        )
        # A signal is set in one place: all of it is found or nothing.
        sets = {index: [part.name for part in self.statements[index].sets] for index in reach}
        found: dict[str, set[int]] = {}
        for index, names in sets.items():
            whole = [reach.get(setter, {""}) for name in names for setter in self.setters[name]]
            sources = reach[index].union(*whole)
            if len(sources) == 1 and sources != {""}:
                found.setdefault(sources.pop(), set()).add(index)
        return found

    def becomes(self, register: str) -> str:
        """The signal that says what a register is at the next edge."""
        return bits(f"{self.registers[register]} ")[0].name

    def own(self, register: str) -> int | None:
        """The statement that does nothing but say what a register becomes; None, if there is none."""
        name = self.becomes(register)
        setters = self.setters.get(name, [])
        if (
            len(setters) != 1
            or self.registers[register] != name
            or any(part.name != name for part in self.statements[setters[0]].sets)
        ):
            return None
        return setters[0]

    def branches(self, register: str) -> list[tuple[str, list[str]]] | None:
        """Conditions, one of which must hold for a register to change, and the lines under each, as far as it is not
        within another one; None, if the register may change anyhow."""
        own = self.own(register)
        if own is None or not self.statements[own].block:
            return None
        lines = self.statements[own].text.split("\n")
        if not holds(lines[0], self.becomes(register), register):
            return None
        found: list[tuple[str, list[str]]] = []
        for line in lines[1:]:
            if line.startswith("     "):
                found[-1][1].append(line)
            elif line != "    end":
                match = re.match(r"    (?:end else )?if \((.*)\) begin$", line)
                if not match:
                    return None
                found.append((f"({match[1]})", []))
        return found


def holds(line: str, name: str, register: str) -> bool:
    """Does a line say that what a register becomes, ``name``, is the register?"""
    return line.replace(";", " ;").split() == [name, "=", register, ";"]


def _until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        if line == end:
            return
        yield line
    raise UnreadableError(f"no {end.strip()}")
