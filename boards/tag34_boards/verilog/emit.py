"""Plain Verilog of the core: operators, registers, memories, and nothing that a tool could read in two ways."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from amaranth.back import rtlil

from tag34_hdl.axi.core import AxiCore, ports
from tag34_hdl.layouts import Shape
from tag34_hdl.session.message_memory import ExternalBanks

from ..timing.tools import YOSYS, run, tool
from .sizes import sizes_of

#: Name of the top module, and of its file.
TOP = "tag34_core"

#: Processes become operators, enables are enables, and a register behind a memory is its read port's: what synthesis
#: tools know as block memory. Collisions need no attribute then: a port shows the old word, as block memory does.
SCRIPT = f"""\
read_rtlil design.il
proc -norom
pmuxtree
opt_expr -fine
wreduce -memx
opt_clean -purge
opt_dff -nosdff -simple-dffe
opt_clean -purge
setattr -unset no_rw_check m:*
memory_dff
memory_collect
opt_clean -purge
write_verilog -norename -noattr {TOP}.v
"""

#: What Verilator's -Wall says of the style, and why it is no defect. All else is on.
LINT_OFF = {
    "CMPCONST": "a comparison may be decided by the core's width",
    "DECLFILENAME": "one file has all modules",
    "PROCASSINIT": "registers have their values after configuration in their declarations",
    "UNUSEDSIGNAL": "a sum or a record is named as a whole, of which a part is used; AWPROT, ARPROT and rx's TLAST",
    "VARHIDDEN": "a memory has the name of its module's instance",
    "WIDTHEXPAND": "constants are written as short as they are",
    "WIDTHTRUNC": "a bit selected by an index is written as a shift",
}

#: A bank of the message memory. Whoever wants another kind of memory for it puts it here.
BANK = f"""
module {ExternalBanks.MODULE} #(parameter WORDS = 1, parameter ADDRESS_BITS = 1) (
  input  wire                    clk,
  input  wire                    write,
  input  wire [ADDRESS_BITS-1:0] write_address,
  input  wire [7:0]              write_data,
  input  wire                    read,
  input  wire [ADDRESS_BITS-1:0] read_address,
  output reg  [7:0]              read_data
);
  reg [7:0] words [0:WORDS-1];
  always @(posedge clk) begin
    if (write) words[write_address] <= write_data;
    if (read) read_data <= words[read_address];
  end
endmodule
"""

_ZERO_WORDS = re.compile(r"^  initial begin\n((?:    (\S+) ?\[\d+\] = \d+'[dh]0+;\n)+)  end\n", re.MULTILINE)


def verilog(shape: Shape, room: Path) -> str:
    """The core of this shape, everything in one text.

    Parameters: ``room``, a folder to work in: the WebAssembly tools see no other ``/tmp`` than their own.

    Raises ToolError if Yosys is missing or fails.
    """
    text = rtlil.convert(AxiCore(shape), name=TOP, platform=ExternalBanks(), emit_src=False)
    with tempfile.TemporaryDirectory(dir=room) as name:
        folder = Path(name)
        (folder / "design.il").write_text(text)
        (folder / "emit.ys").write_text(SCRIPT)
        run([tool(YOSYS), "-q", "-s", "emit.ys"], folder / "emit.log")
        made = (folder / f"{TOP}.v").read_text()
    _, _, modules = made.partition("\n")  # the first line names the tool
    return head(shape) + named_interfaces(_ZERO_WORDS.sub(zero_words, modules)) + BANK + foot()


def head(shape: Shape) -> str:
    """What the file begins with: what it is, and which of a linter's remarks are none."""
    sizes = "\n".join(f"//   {name} = {value}" for name, value in sizes_of(shape).items())
    offs = "\n".join(f"/* verilator lint_off {name} */  // {why}" for name, why in LINT_OFF.items())
    what = "// tag34: the FIX session layer. Verilog-2001, made from Amaranth; PORTS.md tells what the ports are."
    return f"{what}\n{sizes}\n{offs}\n"


def foot() -> str:
    """What it ends with: remarks on other files are none of ours."""
    return "\n" + "\n".join(f"/* verilator lint_on {name} */" for name in LINT_OFF) + "\n"


def zero_words(block: re.Match[str]) -> str:
    """A memory of zeros, in a loop in the place of a line for each word."""
    names, lines = {block[2]}, block[1].count("\n")
    assert all(line.split("[")[0].strip() in names for line in block[1].splitlines())
    return (
        f"  initial begin : zero_words\n    integer i;\n    for (i = 0; i < {lines}; i = i + 1)\n"
        f"      {block[2]}[i] = 0;\n  end\n"
    )


def buses(shape: Shape) -> list[str]:
    """Names of the buses among the ports."""
    found = (re.match(r"[sm]_axi(?:s_[a-z]+)?(?=_)", port.name) for port in ports(shape))
    return list(dict.fromkeys(match[0] for match in found if match))


def named_interfaces(text: str) -> str:
    """Vivado is told what clock and reset are for; the buses it finds by their names."""
    associated = ":".join(buses(Shape()))
    for port, info, parameter in (
        ("aclk", "clock:1.0 aclk CLK", f"ASSOCIATED_BUSIF {associated}, ASSOCIATED_RESET aresetn"),
        ("aresetn", "reset:1.0 aresetn RST", "POLARITY ACTIVE_LOW"),
    ):
        top, declaration, rest = text.partition(f"  input {port};\n")
        assert declaration, port
        text = (
            f'{top}  (* X_INTERFACE_INFO = "xilinx.com:signal:{info}" *)\n'
            f'  (* X_INTERFACE_PARAMETER = "{parameter}" *)\n{declaration}{rest}'
        )
    return text
