"""Synthesis with Yosys. What has been made of the same RTLIL by the same tools is not made again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..block_registers import take_in
from .names import borrowed
from .ring import TOP, Design
from .tools import YOSYS, ToolError, run, tool, version

#: ``{inside}`` is the module in the ring. It keeps its border to the ring: a cell is either one's or the other's.
#: Within it names are hidden before they are handed out to cells. abc9 is told that a wire
#: costs 800 ps: by what synth_ecp5 tells it (300) levels of logic are cheaper than they are.
SCRIPT = """\
read_rtlil design.il
setattr -mod -set keep_hierarchy 1 {inside}
synth_ecp5 -top {top} -run begin:coarse
proc
flatten
select -read borrowed.txt
rename -hide
select -clear
synth_ecp5 -top {top} -run coarse:map_luts
techmap -map +/lattice/latches_map.v
abc9 -W 800
clean
synth_ecp5 -top {top} -run map_cells: -json design.json
"""
#: abc9 dies on some designs without a word. Those it takes if the names that nobody needs are gone.
BEFORE_ABC9 = "opt_clean -purge"
#: What is done with the netlist behind it; another text for another way of doing it.
BEHIND = "registers behind blocks go into them"


@dataclass(frozen=True)
class Netlist:
    """A synthesized design.

    Members: ``design`` (what it was made of), ``folder`` (with ``design.il``, ``design.json`` and the logs), ``hash``
    (of the netlist), ``cached`` (it was there already).
    """

    design: Design
    folder: Path
    hash: str
    cached: bool

    @property
    def json(self) -> Path:
        """The netlist as Yosys writes it for nextpnr."""
        return self.folder / "design.json"


def digest(*texts: str) -> str:
    """A short name for contents."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def synthesize(design: Design, build: Path, script: str = SCRIPT) -> Netlist:
    """Synthesize a ring into a folder of ``build`` that is named after the contents and the tool's version.

    Raises ToolError if the tool is missing or fails.
    """
    script = script.format(top=TOP, inside=design.module)
    names = "".join(f"{design.module}/{name}\n" for name in borrowed(design.rtlil, design.module))
    folder = build / f"netlist-{digest(design.rtlil, script, names, BEHIND, version(YOSYS))}"
    done = folder / "hash"
    if done.exists():
        return Netlist(design, folder, done.read_text(), True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(design.rtlil)
    (folder / "borrowed.txt").write_text(names)
    (folder / "synth.ys").write_text(script)
    log = folder / "synth.log"
    command = [tool(YOSYS), "-q", "-s", "synth.ys"]
    try:
        run(command, log)
    except ToolError:
        if "ERROR" in log.read_text(errors="replace"):
            raise
        (folder / "synth.ys").write_text(script.replace("\nabc9", f"\n{BEFORE_ABC9}\nabc9"))
        run(command, log)
    take_in(folder / "design.json")
    made = digest((folder / "design.json").read_text())
    done.write_text(made)  # last: what failed half way is made again
    return Netlist(design, folder, made, False)
