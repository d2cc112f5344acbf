"""Which names in a hierarchy are another one's: an input of a component, or a wire that only passes on a component's
output.

When the hierarchy is dissolved a signal that goes from one component to another has a name in both, and one where they
are put together. Synthesis would call a register by any of them. With these names hidden it is called by the one it has
where it stands, and counts for the component it belongs to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MODULE = re.compile(r"module \\(\S+)")
WIRE = re.compile(r" *wire ((?:[^\\]* )?)\\(\S+)")
CELL = re.compile(r" *cell \\(\S+) \\(\S+)")
CONNECT = re.compile(r" *connect \\(\S+) (.*)")


@dataclass
class Parts:
    """A module: wires by name with ``input``, ``output`` or nothing, and cells by name with their type and connections
    (port: names of the wires)."""

    wires: dict[str, str] = field(default_factory=dict)
    cells: dict[str, tuple[str, dict[str, list[str]]]] = field(default_factory=dict)

    def with_fields(self, wire: str) -> list[str]:
        """A wire, and the names that its fields have."""
        return [name for name in self.wires if name == wire or name.startswith((f"{wire}.", f"{wire}["))]


def modules(rtlil: str) -> dict[str, Parts]:
    """Modules of RTLIL text."""
    found: dict[str, Parts] = {}
    module = Parts()
    ports: dict[str, list[str]] = {}
    for line in rtlil.splitlines():
        if match := MODULE.match(line):
            module = found[match[1]] = Parts()
        elif match := WIRE.match(line):
            module.wires[match[2]] = next((word for word in match[1].split() if word in ("input", "output")), "")
        elif match := CELL.match(line):
            ports = {}
            module.cells[match[2]] = match[1], ports
        elif match := CONNECT.match(line):
            ports[match[1]] = re.findall(r"\\(\S+)", match[2])
    return found


def borrowed(rtlil: str, top: str) -> list[str]:
    """Names of wires within the module ``top`` that are another one's, as they are when all below it is dissolved."""
    known = modules(rtlil)
    found: list[str] = []

    def look(module: str, path: str) -> None:
        parts = known.get(module, Parts())  # a netlist without it is refused by Yosys, which says why
        for cell, (kind, ports) in parts.cells.items():
            if kind not in known:
                continue
            below = known[kind]
            for port, direction in below.wires.items():
                if direction == "input":
                    found.extend(f"{path}{cell}.{name}" for name in below.with_fields(port))
                elif direction == "output":
                    for wire in ports.get(port, ()):
                        if not (module == top and parts.wires.get(wire)):
                            found.extend(f"{path}{name}" for name in parts.with_fields(wire))
            look(kind, f"{path}{cell}.")

    look(top, "")
    return sorted(set(found))
