"""Whether a fault can be seen at all: the broken component against the whole one, for all inputs and all states.

Yosys writes the component with its faults as formulas: what leaves it, and what its registers hold afterwards, by its
inputs, its registers and the number of the fault. If none of them differs between that number and 0, whatever the rest
is, the two stay the same for ever.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .faults import Fault
from .netlist import SELECT, SELECT_BITS, Netlist, parse, yosys

#: Memories stay outside, as boxes: what goes to them is an output, what comes from them an input.
SCRIPT = """
read_rtlil boxed-{name}.il
hierarchy -top {module}
flatten
expose -evert t:{box}*
opt_expr
opt_clean
dffunmap
write_smt2 {name}.smt2
"""
BOX = "tag34_box_"
#: Ports of memories that are outputs.
READ = ("RD_DATA", "read_data")

_PORT = re.compile(r"^; yosys-smt2-output (\S+) [1-9]\d*$", re.MULTILINE)
_NEXT = re.compile(r"^  \(= (.*) \((\|[^|]*\|) next_state\)\) ;", re.MULTILINE)
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
        if words[:1] == ["cell"] and (words[1] == "$mem_v2" or words[1] == "\\tag34_message_memory"):
            box = f"\\{BOX}{len(boxes)}"
            boxes.append(_box(box, netlist, module, words[2]))
            lines.append(f"  cell {box} {words[2]}")
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


def formulas(text: str) -> str:
    """Yosys' formulas about one state, as constants and definitions, each of which is asked for by an assertion
    ``what = ...``: what leaves the component, then what its registers hold afterwards."""
    lines = []
    for kind, name, arguments, sort, rest in _FUNCTION.findall(text):
        if arguments.startswith("(state ") and kind == "define":
            lines.append(f"(define-fun {name} () {sort}{_APPLIED.sub(_plain, rest)}")
        elif kind == "declare":
            lines.append(f"(declare-const {name} {sort})")
    sorts = {name: sort for _, name, _, sort, _ in _FUNCTION.findall(text)}
    module = re.search(r"^; yosys-smt2-module (\S+)$", text, re.MULTILINE)
    assert module is not None
    asked = [(f"|{module[1]}_n {port}|", f"|{module[1]}_n {port}|") for port in _PORT.findall(text)]
    asked += [(register, _APPLIED.sub(_plain, after)) for after, register in _NEXT.findall(text)]
    for index, (name, expression) in enumerate(asked):
        lines += [f"(declare-const what{index} {sorts[name]})", f"(assert (= what{index} {expression}))"]
    return "\n".join(lines) + "\n"


def _plain(match: re.Match[str]) -> str:
    return match[1]


def proved(faults: Collection[Fault], module: str, folder: Path, seconds: int = 20) -> set[int]:
    """The numbers of those faults, all of ``module``, that make no difference. ``folder`` has the netlist with all of
    them planted; ``seconds`` for each. SolverError if a tool does not answer."""
    import z3

    module = module.lstrip("\\")
    name = re.sub(r"\W", "_", module)
    planted = parse((folder / "planted.il").read_text(encoding="utf-8"))
    (folder / f"boxed-{name}.il").write_text(boxed(planted), encoding="utf-8")
    text = yosys(SCRIPT.format(module=module, name=name, box=BOX), folder, f"smt-{name}", f"{name}.smt2")
    told = [assertion.arg(1) for assertion in z3.parse_smt2_string(formulas(text))]
    chooses = re.search(rf"^\(define-fun \|[^|]*_n {SELECT}\| .* \(\|([^|]*)\| state\)\)$", text, re.MULTILINE)
    assert chooses is not None, f"{module} has no faults"
    select = z3.BitVec(chooses[1], SELECT_BITS)
    whole = [_chosen(expression, select, 0) for expression in told]
    found = set()
    for fault in faults:
        broken = [_chosen(expression, select, fault.number) for expression in told]
        unlike = [left != right for left, right in zip(whole, broken, strict=True) if not left.eq(right)]
        asks = z3.SolverFor("QF_BV")
        asks.set("timeout", 1000 * seconds)
        asks.add(z3.Or(unlike))
        if not unlike or asks.check() == z3.unsat:
            found.add(fault.number)
    return found


def _chosen(expression: Any, select: Any, number: int) -> Any:
    import z3

    return z3.simplify(z3.substitute(expression, (select, z3.BitVecVal(number, SELECT_BITS))))
