"""The core with its faults as formulas, of which Yosys writes them, and what holds of its states.

They say what leaves the core, and what its registers hold afterwards, by its inputs, its registers and the number of
the fault. Memories stay outside, as boxes: what goes to them leaves the core, what comes from them is an input. A
payload counts while it is valid, an address while something is written or read there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import z3

from tag34_sim.verilator import TOP

from . import invariants
from .netlist import SELECT, SELECT_BITS, Netlist, parse, yosys

SCRIPT = """
read_rtlil boxed.il
hierarchy -top {top}
flatten
expose -evert t:{box}*
opt_expr
opt_clean
dffunmap
write_smt2 core.smt2
"""
#: The files of the formulas, and of what holds in all states.
FORMULAS, KNOWN = "core.smt2", "known.smt2"
BOX = "tag34_box_"
MESSAGE_MEMORY = "\\tag34_message_memory"
#: Ports of memories that are outputs.
READ = ("RD_DATA", "read_data")

_PORT = re.compile(r"^; yosys-smt2-(input|output) (\S+) [1-9]\d*$", re.MULTILINE)
_NEXT = re.compile(r"^  \(= (.*) \((\|[^|]*\|) next_state\)\) ;", re.MULTILINE)
_INITIAL = re.compile(rf"^\(define-fun \|{TOP}_i\| \(.*?\) Bool (true|\(and.*?^\))\)$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"^\(declare-fun (\|[^|]*\|) .*; \W*([\w.$]+)", re.MULTILINE)
_FUNCTION = re.compile(
    r"^\((declare|define)-fun (\|[^|]*(?:#\d+|_n [^|]*)\|) \((.*?)\) (Bool|\(_ BitVec \d+\))(.*)$", re.MULTILINE
)
_APPLIED = re.compile(r"\((\|[^|]*\|) state\)")


def boxed(netlist: Netlist) -> str:
    """The netlist with a box without contents in the place of each memory."""
    boxes: list[str] = []
    lines: list[str] = []
    module = ""
    inside = False
    for line in netlist.text.splitlines():
        words = line.split()
        if words[:1] == ["module"]:
            module = words[1]
        if words[:1] == ["cell"] and words[1] in ("$mem_v2", MESSAGE_MEMORY):
            name = f"\\{BOX}{len(boxes)}"
            boxes.append(_box(name, netlist, module, words[2]))
            lines.append(f"  cell {name} {words[2]}")
            inside = True
        elif not (inside and words[:1] == ["parameter"]):
            lines.append(line)
        if words == ["end"]:
            inside = False
    return "\n".join([*lines, *boxes]) + "\n"


def _box(name: str, netlist: Netlist, module: str, cell: str) -> str:
    ports = []
    for number, (port, signal) in enumerate(netlist.cells[module][cell].ports.items(), 1):
        direction = "output" if port in READ else "input"
        ports.append(f"  wire width {len(netlist.bits(module, signal))} {direction} {number} \\{port}\n")
    return f"attribute \\blackbox 1\nmodule {name}\n{''.join(ports)}end"


@dataclass
class System:
    """The core as z3's expressions: ``select``, the number of the fault; ``inputs`` and ``outputs`` by name; of each
    register (``names``, ``registers``) what it holds afterwards (``after``) and at first (``initial``)."""

    select: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    names: list[str]
    registers: list[Any]
    after: list[Any]
    initial: list[Any]

    def chosen(self, number: int) -> tuple[dict[str, Any], list[Any]]:
        """Outputs and what the registers hold afterwards, with this fault."""
        choice = (self.select, z3.BitVecVal(number, SELECT_BITS))
        outputs = {name: z3.simplify(z3.substitute(value, choice)) for name, value in self.outputs.items()}
        return outputs, [as_bits(z3.simplify(z3.substitute(value, choice))) for value in self.after]


def write(folder: Path) -> None:
    """The core in whose netlist (``planted.il`` in ``folder``) faults are planted, as formulas (``core.smt2``).
    SolverError if Yosys does not write it."""
    planted = parse((folder / "planted.il").read_text(encoding="utf-8"))
    (folder / "boxed.il").write_text(boxed(planted), encoding="utf-8")
    yosys(SCRIPT.format(top=TOP, box=BOX), folder, "smt", FORMULAS)


def system(folder: Path) -> System:
    """The core of the formulas in ``folder``."""
    text = (folder / FORMULAS).read_text(encoding="utf-8")
    lines: list[str] = []
    sorts: dict[str, str] = {}
    for kind, name, arguments, sort, rest in _FUNCTION.findall(text):
        sorts[name] = sort
        if kind == "declare":
            lines.append(f"(declare-const {name} {sort})")
        elif arguments.startswith("(state "):
            lines.append(f"(define-fun {name} () {sort}{_APPLIED.sub(_plain, rest)}")
    ports = [(kind, port) for kind, port in _PORT.findall(text) if port != SELECT]
    asked = [(f"|{TOP}_n {port}|", f"|{TOP}_n {port}|") for port in (SELECT, *(port for _, port in ports))]
    names = dict(_NAME.findall(text))
    registers = [(name, _APPLIED.sub(_plain, after)) for after, name in _NEXT.findall(text)]
    for name, after in registers:
        asked += [(name, name), (name, after)]
    for index, (name, expression) in enumerate(asked):
        lines += [f"(declare-const what{index} {sorts[name]})", f"(assert (= what{index} {expression}))"]
    start = re.search(_INITIAL, text)
    if start is None:
        raise ValueError(f"{folder / FORMULAS} does not say what registers start with")
    lines.append(f"(assert {_APPLIED.sub(_plain, start[1])})")
    *told, starts = z3.parse_smt2_string("\n".join(lines))
    told = [assertion.arg(1) for assertion in told]
    inputs, outputs = (
        {port: as_bits(value) for (kind, port), value in zip(ports, told[1:], strict=False) if kind == wanted}
        for wanted in ("input", "output")
    )
    kept = told[1 + len(ports) :]
    kinds = [names.get(name, "") for name, _ in registers]
    solver = z3.Solver()
    solver.add(starts)
    if solver.check() != z3.sat:
        raise ValueError(f"{folder / FORMULAS}: the registers cannot start")
    start_values = solver.model()
    initial = [start_values.eval(register, model_completion=True) for register in kept[0::2]]
    return System(told[0], inputs, outputs, kinds, kept[0::2], kept[1::2], initial)


def _plain(match: re.Match[str]) -> str:
    return match[1]


def as_bits(value: Any) -> Any:
    """A condition as one bit."""
    return z3.If(value, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)) if z3.is_bool(value) else value


def possible(system: System) -> list[Any]:
    """What holds in all states that the core can be in."""
    outputs, after = system.chosen(0)
    now, initial = [as_bits(value) for value in system.registers], [as_bits(value) for value in system.initial]
    spans = invariants.spans_of([*outputs.values(), *after])
    variables = invariants.registers(system.names, now, after, initial, spans)
    variables += invariants.pieces(system.inputs, outputs, spans, zip(system.names, now, strict=True))
    memories = [name.removesuffix(".WR_EN") for name in outputs if name.endswith(".WR_EN")]
    return invariants.possible(variables, [condition for memory in memories for condition in partly(outputs, memory)])


def known(folder: Path) -> list[Any]:
    """What holds in all states of the core whose formulas are in ``folder``: found once, as it takes minutes."""
    sources = [folder / FORMULAS, Path(invariants.__file__), Path(__file__)]
    head = f"; of {hashlib.sha256(b''.join(path.read_bytes() for path in sources)).hexdigest()}\n"
    path = folder / KNOWN
    solver = z3.Solver()
    if not path.exists() or not path.read_text(encoding="utf-8").startswith(head):
        solver.add(*possible(system(folder)))
        path.write_text(head + solver.sexpr(), encoding="utf-8")
    else:
        solver.from_string(path.read_text(encoding="utf-8"))
    return list(solver.assertions())


def partly(outputs: dict[str, Any], memory: str) -> Iterator[Any]:
    """The conditions, for each of a memory's writers, under which it writes a part of a word."""
    enabled = outputs[f"{memory}.WR_EN"]
    width = enabled.size() // outputs[f"{memory}.WR_CLK"].size()
    for at in range(0, enabled.size(), width):
        part = z3.Extract(at + width - 1, at, enabled)
        yield z3.And(part != 0, part != (1 << width) - 1)


def differences(whole: dict[str, Any], broken: dict[str, Any]) -> Iterator[Any]:
    """Conditions under which what leaves the core is not the same for those who take it, but for the words that go into
    memories."""
    for name, left in whole.items():
        right = broken[name]
        stem, dot, port = name.rpartition(".")
        if left.eq(right) or port == "WR_DATA":
            continue
        if name.endswith("__payload"):
            valid = whole[name.removesuffix("payload") + "valid"]
            yield z3.And(valid == 1, left != right)
        elif dot and port == "write_data":
            yield z3.And(whole[f"{stem}.write"] != 0, left != right)
        elif dot and port in ("WR_ADDR", "RD_ADDR", "write_address", "read_address"):
            enables = {"WR_ADDR": "WR_EN", "RD_ADDR": "RD_EN", "write_address": "write", "read_address": "read"}
            yield from _ports(left, right, whole[f"{stem}.{enables[port]}"], whole, stem, port)
        else:
            yield left != right


def _ports(left: Any, right: Any, enabled: Any, whole: dict[str, Any], stem: str, port: str) -> Iterator[Any]:
    """Addresses differ at a port that is at work."""
    number = whole[f"{stem}.{port[:2]}_CLK"].size() if port.isupper() else 1
    bits, share = left.size() // number, enabled.size() // number
    for at in range(number):
        here = [z3.Extract((at + 1) * bits - 1, at * bits, side) for side in (left, right)]
        yield z3.And(z3.Extract((at + 1) * share - 1, at * share, enabled) != 0, here[0] != here[1])
