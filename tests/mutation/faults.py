"""Faults, those of Yosys' ``mutate``: which ones are picked, of which component, and how they are planted."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count, islice
from pathlib import Path

import tag34_hdl
from tag34_sim.verilator import TOP

from .netlist import SELECT, SELECT_BITS, Cell, Netlist, parse, with_reset, yosys

HDL = Path(tag34_hdl.__file__).parent
#: What the ways to break a bit are called by Yosys, and what they do to it.
MODES = {
    "inv": "inverted",
    "const0": "stuck at 0",
    "const1": "stuck at 1",
    "cnot0": "inverted while another one is 0",
    "cnot1": "inverted while another one is 1",
}
#: Ports that no fault is planted in: a broken clock or reset is not a fault of the design.
CLOCKS = re.compile(r"(.*_)?(clk|[as]rst|rst)", re.IGNORECASE)


@dataclass(frozen=True)
class Component:
    """A part of the core in which faults are planted.

    Parameters: ``name``; ``paths``, the places in the core of what belongs to it, with all below that is not another
    component's; ``faults``, how many are planted.
    """

    name: str
    paths: tuple[str, ...]
    faults: int


#: Receive, session, send.
COMPONENTS = (
    Component("framer", ("data.framer",), 90),
    Component("checksum", ("data.framer.checksum",), 30),
    Component("fields", ("data.fields",), 85),
    Component("sequencer", ("sequencer",), 90),
    Component("rules", ("sequencer.preparation.rules", "sequencer.expected"), 50),
    Component("window", ("sequencer.window",), 25),
    Component("slots", ("data.slots",), 20),
    Component("release", ("data.release",), 35),
    Component("timers", ("timers",), 20),
    Component("composer", ("composer",), 75),
)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Members: ``number``, by which it is chosen; ``component``; ``module`` and ``cell`` of the netlist, ``type`` of the
    cell, ``port``, ``bit`` and, for those that depend on another bit of the port, ``other``; ``mode``, of
    :data:`MODES`; ``wire``, what is broken there as far as it has a name, else empty; ``source``, a file of the
    gateware and a line of it.
    """

    number: int
    component: str
    module: str
    cell: str
    type: str
    port: str
    bit: int
    other: int
    mode: str
    wire: str
    source: str

    @property
    def code(self) -> str:
        """The line of the source."""
        return source_line(self.source)

    @property
    def what(self) -> str:
        """What is broken, and how: cell, port and bit, wire, mode; the same as long as that piece of gateware is."""
        kind = place(self.type).strip("$")
        return f"{kind} {self.port}[{self.bit}] {self.wire or '-'} {self.mode}"

    def __str__(self) -> str:
        return f"{self.component} {self.number}: {self.what}, {MODES[self.mode]}; {self.source}: {self.code}"


@cache
def source_line(source: str) -> str:
    """A line of the gateware, without what surrounds it; ``source`` is "file:line" below the package's folder. Empty
    for a line of a library."""
    name, _, line = source.rpartition(":")
    path = HDL / name
    return path.read_text(encoding="utf-8").splitlines()[int(line) - 1].strip() if path.is_file() else ""


def place(module: str) -> str:
    """The place in the core of a module: its path without the numbers that tell equal names apart."""
    return re.sub(r"\$\d+", "", module.lstrip("\\")).removeprefix(TOP).lstrip(".")


def owner(module: str, components: Iterable[Component] = COMPONENTS) -> Component | None:
    """The component that a module belongs to: the one with the longest path to it."""
    at = place(module)
    found = [
        (len(path), component)
        for component in components
        for path in component.paths
        if at == path or at.startswith(f"{path}.")
    ]
    return max(found, key=lambda item: item[0])[1] if found else None


def pick(netlist: Netlist, seed: int, components: Iterable[Component] = COMPONENTS) -> list[Fault]:
    """The faults of the components, numbered from 1.

    They are spread evenly over the lines of the source, and over the cells that a line became. A hash of the seed and
    of what a fault is decides, not a row of random numbers: a change of the gateware changes the faults where it was
    made, and leaves the others as they are.
    """
    faults: list[Fault] = []
    for component in components:
        modules = [module for module in netlist.cells if owner(module, components) == component]
        faults += islice(_spread(netlist, component, modules, seed), component.faults)
    return [replace(fault, number=number) for number, fault in enumerate(faults, 1)]


def _rank(*what: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8], "big")


def _spread(netlist: Netlist, component: Component, modules: Iterable[str], seed: int) -> Iterator[Fault]:
    """Faults of these modules, line of source by line of source, then a second one of each, and so on."""
    lines = defaultdict[tuple[str, ...], list[tuple[str, Cell]]](list)
    for module in modules:
        for cell in netlist.cells[module].values():
            if cell.ports:
                source = _source(cell)
                lines[place(module), source.rpartition(":")[0], source_line(source), cell.type].append((module, cell))
    order = sorted(lines, key=lambda line: _rank(seed, line))
    # A line that became many cells of a kind counts once more for each doubling.
    order = [line for line in order for _ in range(len(lines[line]).bit_length())]
    seen = set[Fault]()
    for turn in count():
        before = len(seen)
        for at, line in enumerate(order):
            cells = lines[line]
            for attempt in range(8):
                luck = _rank(seed, line, turn, at - order.index(line), attempt)
                luck, which = divmod(luck, len(cells))
                fault = _fault(netlist, component, *cells[which], luck)
                if fault is not None and fault not in seen:
                    seen.add(fault)
                    yield fault
                    break
        if len(seen) == before:
            return


def _fault(netlist: Netlist, component: Component, module: str, cell: Cell, luck: int) -> Fault | None:
    """A fault of a cell. None if it breaks nothing: a clock, or a constant that stays what it is; or if Yosys cannot
    plant it: a register's output loses the value that it starts with, so that has to be 0."""
    luck, which = divmod(luck, len(cell.ports))
    port = sorted(cell.ports)[which]
    bits = netlist.bits(module, cell.ports[port])
    if CLOCKS.fullmatch(port) or not bits:
        return None
    luck, which = divmod(luck, len(MODES))
    mode = list(MODES)[which]
    luck, bit = divmod(luck, len(bits))
    other = luck % len(bits) if mode.startswith("cnot") else -1
    name = bits[bit]
    if name == mode[-1] or (other >= 0 and (other == bit or isinstance(bits[other], str))):
        return None
    if port == "Q" and not isinstance(name, str) and netlist.initial[module][name[0]][name[1] : name[1] + 1] == "1":
        return None
    wire = "" if isinstance(name, str) or not name[0].startswith("\\") else f"{name[0][1:]}[{name[1]}]"
    return Fault(0, component.name, module, cell.name, cell.type, port, bit, other, mode, wire, _source(cell))


def _source(cell: Cell) -> str:
    """Where a cell came from: the first place in the gateware, or in the library that it uses."""
    places = [(Path(path), line.partition(".")[0]) for path, _, line in (s.rpartition(":") for s in cell.sources)]
    for path, line in places:
        if path.is_relative_to(HDL):
            return f"{path.relative_to(HDL).as_posix()}:{line}"
    return f"{places[0][0].parent.name}/{places[0][0].name}:{places[0][1]}" if places else "?:0"


def transfer(faults: Iterable[Fault], netlist: Netlist, other: Netlist) -> list[Fault]:
    """The same faults in a netlist of another shape, in the cell of the same kind and source, the first one there for
    the first one here. Those for which there is no place there are left out."""
    names = {place(module): module for module in other.cells}
    paired: dict[str, dict[str, Cell]] = {}
    moved = []
    for fault in faults:
        if place(fault.module) not in names:
            continue
        module = names[place(fault.module)]
        if module not in paired:
            paired[module] = _pairs(netlist.cells[fault.module], other.cells[module])
        cell = paired[module].get(fault.cell)
        if cell is None or fault.port not in cell.ports:
            continue
        if max(fault.bit, fault.other) < len(other.bits(module, cell.ports[fault.port])):
            moved.append(replace(fault, module=module, cell=cell.name))
    return moved


def _pairs(left: dict[str, Cell], right: dict[str, Cell]) -> dict[str, Cell]:
    def named(cells: dict[str, Cell]) -> dict[tuple[tuple[str, ...], int], Cell]:
        seen = Counter[tuple[str, ...]]()
        found = {}
        for cell in cells.values():
            key = (place(cell.type), *cell.sources)
            seen[key] += 1
            found[key, seen[key]] = cell
        return found

    there = named(right)
    return {cell.name: there[key] for key, cell in named(left).items() if key in there}


def plant(faults: Iterable[Fault], folder: Path) -> str:
    """The netlist in ``folder`` with all the faults, each of them off until it is chosen, as Verilog; and, without a
    reset and to be read by Yosys again, in ``planted.il``. SolverError if Yosys does not do it."""
    script = ["read_rtlil prepared.il"]
    for fault in faults:
        words = [f"mutate -ctrl {SELECT} {SELECT_BITS} {fault.number} -mode {fault.mode}"]
        words += [f"-module {fault.module} -cell {fault.cell} -port \\{fault.port} -portbit {fault.bit}"]
        if fault.other >= 0:
            words.append(f"-ctrlbit {fault.other}")
        script.append(" ".join(words))
    script.append("write_rtlil planted.il")
    planted = yosys("\n".join(script) + "\n", folder, "plant", "planted.il")
    (folder / "reset.il").write_text(with_reset(parse(planted)), encoding="utf-8")
    script = ["read_rtlil reset.il", "write_verilog -norename -noattr planted.v"]
    return yosys("\n".join(script) + "\n", folder, "reset", "planted.v")
