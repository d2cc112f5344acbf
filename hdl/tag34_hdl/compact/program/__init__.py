"""The program: its texts, what they may name, and how they become words."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from typing import Any

from tag34 import contract

from ...layouts import IDENT_BITS, Shape
from ...receive.checksum import START_SUM
from ..assembler import Assembler
from ..instructions import PAGE
from ..macros import MACROS
from ..ports import IN, OUT, Flag, More
from .variables import Pages, variables

#: The texts, in the order in which they are assembled.
TEXTS = (
    *("start", "main", "framing", "fields", "rules", "settle", "window", "tell", "clocks"),
    *("registers", "commands", "send", "compose"),
)
#: Bytes of an entry of the hold window.
ENTRY = 16
#: Names of the program's own. Kinds of message (``kind``); what a message has (``has``: SEQ, POSSDUP and POSSRESEND as
#: in records), fields had (``seen``); a window entry's states and where its parts are.
OWN = {
    **{name: 1 + place for place, name in enumerate(("LOGON", "SEQUENCE_RESET", "RESEND_REQUEST"))},
    **{name: 1 << bit for bit, name in enumerate(("HAS_SEQ", "POSSDUP", "POSSRESEND"))},
    **{name: 8 << bit for bit, name in enumerate(("GAP_FILL", "RESET_NUMBERS", "HAS_NEW"))},
    **{f"SEEN_{tag}": 1 << bit for bit, tag in enumerate((34, 43, 49, 56, 97, 36, 123, 141))},
    **{f"HELD_{what}": place for place, what in enumerate(("NOTHING", "MESSAGE", "GAP_FILL", "CONSUMED"))},
    "E_STATE": 0,
    "E_SLOT": 1,
    "E_LENGTH": 2,
    "E_HAS": 4,
    "E_TYPE": 5,
    "E_NEW": 9,
    "EVENT": contract.RecordKind.EVENT,
}


@dataclass(frozen=True)
class Program:
    """What the engine needs. Members: ``words``; ``labels``, where they are; ``pages``, of data memory."""

    words: list[int]
    labels: dict[str, int]
    pages: int


def constants(shape: Shape, pages: Pages) -> dict[str, Any]:
    """What expressions may name, beside the contract's enumerations and the ports' flags."""
    return {
        **{name: getattr(contract, name) for name in ("Rule", "Phase", "Policy", "EventCode", "RecordKind", "Command")},
        **OWN,
        "Told": contract.Flag,
        "SOH": contract.SOH,
        "Flag": Flag,
        "More": More,
        "START_SUM": START_SUM,
        "MAX_SEQ": contract.to_bcd(contract.MAX_SEQ),
        "PAST_MAX_SEQ": contract.to_bcd(contract.MAX_SEQ + 1),
        "MAX_IDENT": contract.MAX_IDENT,
        "REGION": 1 << IDENT_BITS,
        "RECORD_BYTES": contract.RECORD_BYTES,
        "SESSIONS": shape.sessions,
        "WINDOW": shape.window,
        "PLACES": 1 << shape.window_bits,
        "MAX_MESSAGE": shape.max_message,
        "HOLD": shape.hold,
        "HOLD_LIMIT": shape.hold_limit,
        "CLOCK_HZ": shape.clock_hz,
        "DEVICE_ID": contract.DEVICE_ID,
        "CONTRACT_VERSION": contract.CONTRACT_VERSION,
        "SEND_SLOT": shape.compact_slots - 1,
        "PAGES": pages.all,
        "FREE_PAGE": pages.free,
        "STATE_PAGE": pages.state,
        "IDENT_PAGE": pages.ident,
        "COUNTER_PAGE": pages.counter,
        "WINDOW_PAGE": pages.window,
        "WINDOW_PAGES": pages.window_pages,
    }


def tables() -> str:
    """Where each access to a register is carried out: a jump per address."""
    lines = ["read_table:"]
    for register in contract.REGISTERS.values():
        written = register.access is contract.Access.WO
        lines.append("jmp " + ("answer_nothing" if written else f"read_{register.name.lower()}"))
    lines.append("write_table:")
    for register in contract.REGISTERS.values():
        read = register.access is contract.Access.RO
        lines.append("jmp " + ("main" if read else f"write_{register.name.lower()}"))
    return "\n".join(lines)


def build(shape: Shape) -> Program:
    """The program for a device of this shape."""
    pages = Pages(shape.sessions, max(1, (ENTRY << shape.window_bits) // PAGE))
    assembler = Assembler(variables(), IN, OUT, constants(shape, pages), MACROS)
    folder = importlib.resources.files(__package__)
    for name in TEXTS:
        assembler.add(name, folder.joinpath(f"{name}.asm").read_text())
    assembler.add("tables", tables())
    return Program(assembler.finish(), assembler.labels, pages.all)
