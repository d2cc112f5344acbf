"""PORTS.md: what a user of the Verilog has to know of its ports."""

from __future__ import annotations

from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from tag34.contract import RECORD_FIELDS, REGISTERS
from tag34.contract.axi import SEND_FIELDS
from tag34_hdl.axi.core import ports
from tag34_hdl.layouts import Shape
from tag34_hdl.session.message_memory import ExternalBanks, banks

from .emit import LINT_OFF, TOP
from .sizes import sizes_of

RULES = """\
- One clock. Streams: VALID never waits for READY, and what is offered stays until it is taken. READY does not depend
  on what is offered.
- `s_axis_rx` takes bytes of connections, cut anywhere; beats of different sessions may follow each other.
- TKEEP counts from bit 0 up to its first hole: bytes behind a hole are dropped, and a beat without bytes is taken and
  forgotten. A message that loses bytes so is garbled, and asked for again.
- A record, delivery or message to be sent that nobody takes holds back `s_axis_rx`; nothing is dropped.
- `s_axis_send`: a packet is a header, which fills the first beats, and the message's fields, each closed by SOH. A
  packet that ends within its header, or of a session that does not exist, is dropped. 8, 9, 35, 49, 56, 34, 52 and 10
  are the core's.
- `s_axi`: whole words. A write is OKAY only if the register has the word afterwards (or if WSTRB is 0); some but not
  all bytes, a register that can only be read and an address without a register are SLVERR, and nothing is written. A
  read is SLVERR only where there is no register. A read behind a write sees what was written.
- After a reset memories are swept: write nothing before STATUS says idle.
- Behind a command wait until STATUS bit 1 is 0 again.
"""


def page(shape: Shape) -> str:
    """The text of ``PORTS.md``."""
    rows = [
        f"| `{port.name}` | {'in' if port.flow is In else 'out'} | {port.width} | {port.doc} |" for port in ports(shape)
    ]
    sizes = [f"| {name} | {value} |" for name, value in sizes_of(shape).items()]
    words = shape.slots << ceil_log2(-(-shape.max_message // shape.width))  # a slot begins where its number says
    sizes_of_banks = " and ".join(str(size) for size in dict.fromkeys(banks(words, uneven=shape.sessions > 1)))
    registers = [
        f"| 0x{4 * register.address:03x} | `{register.name}` | {register.access.value} | {register.doc} |"
        for register in REGISTERS.values()
    ]
    return "\n".join(
        [
            f"# `{TOP}`",
            "",
            "The FIX session layer with AXI ports. `tag34_registers.h` has all codes and layouts for C.",
            "",
            "| parameter | value |",
            "|---|--:|",
            *sizes,
            "",
            f"Message memory: {shape.width} x {words} bytes, in banks of {sizes_of_banks}: instances of",
            f"`{ExternalBanks.MODULE}`, the last module of the file. Another memory that shows a word one cycle after",
            "its address may take its place.",
            "",
            "## Ports",
            "",
            "| port | | bits | meaning |",
            "|---|---|--:|---|",
            *rows,
            "",
            RULES,
            "## Records and headers",
            "",
            *layout("a record on `m_axis_records`", RECORD_FIELDS),
            "",
            *layout("the header of a packet on `s_axis_send`", tuple((name, 8 * size) for name, size in SEND_FIELDS)),
            "",
            "seq and number are packed BCD, the first character of msg_type lies in its lowest byte.",
            "",
            "## Registers",
            "",
            "| offset | register | | meaning |",
            "|---|---|---|---|",
            *registers,
            "",
            "## Lint",
            "",
            "`verilator --lint-only -Wall` says nothing. What the file turns off in itself, and why:",
            "",
            *(f"- {name}: {why}" for name, why in LINT_OFF.items()),
            "",
        ]
    )


def layout(what: str, fields: tuple[tuple[str, int], ...]) -> list[str]:
    """A table of bits."""
    rows, low = [], 0
    for name, bits in fields:
        rows.append(f"| {low + bits - 1}..{low} | {name} |")
        low += bits
    return [f"| bits of {what} | |", "|---|---|", *rows]
