"""Registers behind block memories go into the blocks, where that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amaranth import Elaboratable, Module, Signal
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tag34_boards.block_registers import BLOCK, FLIP_FLOP, take_in
from tag34_boards.timing.tools import YOSYS, ToolError, run, tool
from tag34_hdl.block_memory import BlockMemory

#: Of the memory's words, so many are used: what has to be proved stays small.
ADDRESS_BITS = 2


class Reader(wiring.Component):
    """A block memory and a register behind it.

    Parameters: ``bits`` of a word; ``enables`` of memory and register; ``resets`` the register; ``peeks``: something
    else looks at the memory, too.
    """

    def __init__(self, bits: int, *, enables: bool = True, resets: bool = False, peeks: bool = False):
        self.bits, self.enables, self.resets, self.peeks = bits, enables, resets, peeks
        one = In(1)
        super().__init__(
            {
                "write": one,
                "read": one,
                "latch": one,
                "clear": one,
                "to": In(ADDRESS_BITS),
                "address": In(ADDRESS_BITS),
                "word": In(bits),
                "data": Out(bits),
                "odd": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        # Deep enough for a block.
        m.submodules.memory = memory = BlockMemory(self.bits, 512, block=True)
        register = Signal(self.bits, reset_less=True)
        m.d.comb += [
            memory.write.eq(self.write),
            memory.write_address.eq(self.to),
            memory.write_data.eq(self.word),
            memory.address.eq(self.address),
            self.data.eq(register),
        ]
        if self.enables:
            m.d.comb += memory.enable.eq(self.read)
            with m.If(self.latch):
                m.d.sync += register.eq(memory.data)
        else:
            m.d.sync += register.eq(memory.data)
        if self.resets:
            with m.If(self.clear):
                m.d.sync += register.eq(0)
        if self.peeks:
            m.d.comb += self.odd.eq(memory.data[0])
        return m


def netlist(dut: Reader, folder: Path) -> Path:
    """It, synthesized for ECP5."""
    ports = [getattr(dut, name) for name in dut.signature.members]
    (folder / "dut.il").write_text(rtlil.convert(dut, name="dut", ports=ports))
    (folder / "dut.ys").write_text("read_rtlil dut.il\nsynth_ecp5 -top dut -json before.json\n")
    run([tool(YOSYS), "-q", "-s", "dut.ys"], folder / "dut.log")
    (folder / "after.json").write_text((folder / "before.json").read_text())
    return folder / "after.json"


def cells(path: Path, kind: str) -> list[Any]:
    return [cell for cell in json.loads(path.read_text())["modules"]["dut"]["cells"].values() if cell["type"] == kind]


def modes(path: Path) -> set[tuple[str, str]]:
    return {(cell["parameters"]["REGMODE_A"], cell["parameters"]["REGMODE_B"]) for cell in cells(path, BLOCK)}


def block_model() -> str:
    """A block as the usage guide describes it, with the lowest words only: one port writes, the other one reads."""

    def scalars(name: str, bits: int) -> Iterator[str]:
        return (f"{name}{bit}" for bit in range(bits))

    def joined(name: str, bits: int) -> str:
        return "{" + ", ".join(reversed(list(scalars(name, bits)))) + "}"

    buses = {"ADA": 14, "ADB": 14, "DIA": 18, "DIB": 18, "CSA": 3, "CSB": 3}
    inputs = [port for name, bits in buses.items() for port in scalars(name, bits)]
    inputs += [f"{name}{side}" for name in ("CLK", "CE", "OCE", "WE", "RST") for side in "AB"]
    outputs = [*scalars("DOA", 18), *scalars("DOB", 18)]
    parameters = [f"INITVAL_{place:02X}" for place in range(64)]
    parameters += ["CLKAMUX", "CLKBMUX", "CSDECODE_A", "CSDECODE_B", "WRITEMODE_A", "WRITEMODE_B", "GSR"]
    parameters += ["RESETMODE", "ASYNC_RESET_RELEASE"]
    return f"""
module {BLOCK} ({", ".join(f"input {port}" for port in inputs)}, {", ".join(f"output {port}" for port in outputs)});
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18, REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter {", ".join(f"{name} = 0" for name in parameters)};
  localparam WIDE = DATA_WIDTH_A == 36;
  localparam LOW = WIDE ? 5 : DATA_WIDTH_A == 18 ? 4 : 3;
  wire [13:0] write_address = {joined("ADA", 14)}, read_address = {joined("ADB", 14)};
  wire [35:0] write_data = {{{joined("DIB", 18)}, {joined("DIA", 18)}}};
  wire [{ADDRESS_BITS - 1}:0] to = write_address >> LOW, from = read_address >> LOW;
  reg [35:0] words [0:{2**ADDRESS_BITS - 1}];
  reg [35:0] shown, register;
  integer i;
  initial begin
    for (i = 0; i < {2**ADDRESS_BITS}; i = i + 1) words[i] = 0;
    shown = 0;
    register = 0;
  end
  always @(posedge CLKA) if (CEA && WEA) words[to] <= write_data;
  always @(posedge CLKB) begin
    if (CEB) shown <= words[from];
    if (OCEB) register <= shown;
  end
  wire [35:0] out = (REGMODE_B == "OUTREG") ? register : shown;
  assign {joined("DOB", 18)} = WIDE ? out[17:0] : out;
  assign {joined("DOA", 18)} = out[35:18];
endmodule
"""


def differ(folder: Path, cycles: int = 8) -> bool:
    """Whether the two netlists can show something different within so many cycles, whatever comes in."""
    (folder / "block.v").write_text(block_model())
    for name in ("before", "after"):
        design = json.loads((folder / f"{name}.json").read_text())["modules"]["dut"]
        (folder / f"{name}_alone.json").write_text(json.dumps({"modules": {name: design}}))
    (folder / "prove.ys").write_text(f"""
read_verilog -D NO_INCLUDES +/ecp5/cells_sim.v
read_verilog block.v
read_json before_alone.json
read_json after_alone.json
miter -equiv -make_outputs before after miter
hierarchy -top miter
proc
flatten
memory_map
async2sync
dffunmap
opt -full
sat -tempinduct-baseonly -maxsteps {cycles} -set-init-zero -prove trigger 0 miter
""")
    run([tool(YOSYS), "-s", "prove.ys"], folder / "prove.log")
    log = (folder / "prove.log").read_text()
    fails, holds = "base case: FAIL!" in log, "proved base case" in log
    assert fails != holds, log[-2000:]
    return fails


@pytest.mark.parametrize("enables", [True, False])
@pytest.mark.parametrize("bits", [8, 16, 36])
def test_registers_go_into_the_blocks_and_nothing_changes(bits: int, enables: bool, tmp_path: Path) -> None:
    path = netlist(Reader(bits, enables=enables), tmp_path)
    before = len(cells(path, FLIP_FLOP))
    assert modes(path) == {("NOREG", "NOREG")}
    assert take_in(path) == bits
    assert len(cells(path, FLIP_FLOP)) == before - bits
    assert modes(path) == {("OUTREG", "OUTREG") if bits == 36 else ("NOREG", "OUTREG")}
    assert take_in(path) == 0, "once"
    assert not differ(tmp_path)


def test_the_proof_can_fail(tmp_path: Path) -> None:
    """A block's register that is always enabled is another one than that of the design."""
    path = netlist(Reader(8), tmp_path)
    take_in(path)
    after = json.loads(path.read_text())
    for cell in after["modules"]["dut"]["cells"].values():
        if cell["type"] == BLOCK:
            cell["connections"]["OCEB"] = ["1"]
    path.write_text(json.dumps(after))
    assert differ(tmp_path)


@pytest.mark.parametrize("other", [{"resets": True}, {"peeks": True}], ids=lambda other: next(iter(other)))
def test_what_a_block_does_not_have_stays(other: dict[str, bool], tmp_path: Path) -> None:
    path = netlist(Reader(8, **other), tmp_path)
    before = path.read_text()
    assert take_in(path) == 0
    assert path.read_text() == before


@pytest.mark.parametrize("change", ["CLKMUX", "REGSET", "GSR", "CLK"])
def test_a_register_of_another_kind_stays(change: str, tmp_path: Path) -> None:
    path = netlist(Reader(8), tmp_path)
    made = json.loads(path.read_text())
    for cell in made["modules"]["dut"]["cells"].values():
        if cell["type"] == FLIP_FLOP:
            if change == "CLK":
                cell["connections"]["CLK"] = ["0"]
            else:
                cell["parameters"][change] = {"CLKMUX": "INV", "REGSET": "SET", "GSR": "ENABLED"}[change]
            break
    path.write_text(json.dumps(made))
    assert take_in(path) == 0


def test_what_is_no_netlist_is_said(tmp_path: Path) -> None:
    path = tmp_path / "nothing.json"
    for text in ("[]", "{", '{"modules": {"top": {}}}'):
        path.write_text(text)
        with pytest.raises(ToolError, match="is no netlist"):
            take_in(path)
