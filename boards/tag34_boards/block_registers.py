"""Registers behind ECP5's block memories go into the blocks.

A block (``DP16KD``) has a register of its own behind each of its ports. What it shows leaves six times as fast as what
the memory shows, and there is no wire to it. Yosys does not use it: it leaves flip-flops behind the block, as they were
written. They are taken into it where that changes nothing: all that the port shows goes to flip-flops and to nothing
else, and these have one clock, the port's, and one enable, begin with 0 and are not reset.

Source: Lattice, ECP5 Memory Usage Guide (FPGA-TN-02204): ``REGMODE_A``, ``REGMODE_B`` and the output enables ``OCEA``,
``OCEB``, which are the register's alone. nextpnr knows both, with delays of their own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .timing.tools import ToolError

BLOCK, FLIP_FLOP = "DP16KD", "TRELLIS_FF"
#: Bits that a port shows.
PORT_BITS = 18
#: Bits of a word with which both ports are one: one writes, the other one reads.
JOINED = 36

#: A net's sinks: cells by name, with the port; no name for a port of the module.
Sinks = dict[Any, list[tuple[str, str]]]


def take_in(path: Path) -> int:
    """Take registers of a netlist, as Yosys writes it for nextpnr, into the blocks in front of them.

    Returns how many flip-flops these were. Raises ToolError if it is no netlist; OSError if it cannot be written.
    """
    try:
        netlist = json.loads(path.read_text())
        count = sum(_of_module(module) for module in netlist["modules"].values())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{path} is no netlist: {error!r}") from None
    if count:
        path.write_text(json.dumps(netlist, indent=1) + "\n")
    return count


def _of_module(module: dict[str, Any]) -> int:
    cells = module["cells"]
    sinks = _sinks(module)
    count = 0
    for block in [cell for cell in cells.values() if cell["type"] == BLOCK]:
        for sides in _readers(block):
            taken = _registers(block, sides, cells, sinks)
            if taken is None:
                continue
            enable, registers = taken
            for side in sides:
                block["parameters"][f"REGMODE_{side}"] = "OUTREG"
            block["connections"][f"OCE{sides[-1]}"] = enable
            for port, name in registers.items():
                block["connections"][port] = cells.pop(name)["connections"]["Q"]
            count += len(registers)
    return count


def _sinks(module: Mapping[str, Any]) -> Sinks:
    found: Sinks = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, nets in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                for net in nets:
                    found[net].append((name, port))
    for port in module["ports"].values():
        for net in port["bits"]:
            found[net].append(("", ""))
    return found


def _readers(block: Mapping[str, Any]) -> tuple[str, ...]:
    """The ports that have a register each, ``A`` and ``B``; of one that is both, the clock and enable of the last one
    count."""
    return ("AB",) if int(block["parameters"]["DATA_WIDTH_A"], 2) == JOINED else ("A", "B")


def _shown(block: Mapping[str, Any], sides: str) -> Iterator[tuple[str, Any]]:
    """Ports of what is shown, with their nets."""
    for side in sides:
        for bit in range(PORT_BITS):
            for net in block["connections"].get(f"DO{side}{bit}", ()):
                yield f"DO{side}{bit}", net


def _registers(
    block: Mapping[str, Any], sides: str, cells: Mapping[str, Any], sinks: Sinks
) -> tuple[list[Any], dict[str, str]] | None:
    """The enable of the registers behind a port, and their names by the block's ports; None if there are none, or
    something else is there."""
    clock = sides[-1]
    if block["parameters"].get(f"CLK{clock}MUX") != f"CLK{clock}":
        return None
    registers: dict[str, str] = {}
    enables = set()
    for port, net in _shown(block, sides):
        if not sinks[net]:
            continue
        name, where = sinks[net][0]
        cell = cells.get(name)
        if len(sinks[net]) > 1 or cell is None or (cell["type"], where) != (FLIP_FLOP, "DI"):
            return None
        enable = _enable(cell, block["connections"][f"CLK{clock}"])
        if enable is None:
            return None
        enables.add(enable)
        registers[port] = name
    return ([enables.pop()], registers) if len(enables) == 1 else None


def _enable(register: Mapping[str, Any], clock: list[Any]) -> Any | None:
    """The net that enables a register, "1" if none does; None for one that a block does not have."""
    parameters, connections = register["parameters"], register["connections"]
    plain = (
        parameters.get("CLKMUX") == "CLK"
        and connections["CLK"] == clock
        and parameters.get("REGSET") == "RESET"
        and parameters.get("GSR") == "DISABLED"
        and connections.get("LSR", ["0"]) == ["0"]
    )
    if not plain:
        return None
    kind = parameters.get("CEMUX", "").strip()
    return "1" if kind == "1" else connections["CE"][0] if kind == "CE" else None
