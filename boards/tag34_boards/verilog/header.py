"""The register map, records and packets of the core for programs in C."""

from __future__ import annotations

import re
import textwrap
from enum import IntEnum

from tag34 import contract
from tag34.contract import RECORD_FIELDS, REGISTERS
from tag34.contract.axi import RECORD_BEAT_BITS, SEND_FIELDS, SEND_HEADER_BYTES
from tag34_hdl.layouts import Shape

from .sizes import sizes_of

#: Enumerations, and what the names of their members begin with in C.
ENUMS: dict[str, type[IntEnum]] = {
    "VERDICT": contract.Verdict,
    "RULE": contract.Rule,
    "EVENT": contract.EventCode,
    "RECORD": contract.RecordKind,
    "COMMAND": contract.Command,
    "PHASE": contract.Phase,
    "POLICY": contract.Policy,
}

#: Parts of registers that consist of several: lowest bit, bits, as the map's texts have them.
REGISTER_FIELDS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "STATUS": (("IDLE", 0, 1), ("COMMAND_WAITS", 1, 1)),
    "TIME_LOAD": (("RUN", 0, 1),),
    "COMMAND": (("OP", 0, 4), ("PHASE", 4, 2), ("MAY_REQUEST", 6, 1)),
    "POLICY": (("POLICY", 0, 2), ("INFINITY_OLD", 2, 1), ("TELL_GAP", 3, 1), ("FRACTION", 4, 4)),
    "IDENT": (("BYTE", 0, 8), ("INDEX", 8, 6), ("REGION", 14, 2)),
    "IDENT_LENGTH": (("BEGIN_STRING", 0, 6), ("OURS", 8, 6), ("THEIRS", 16, 6)),
    "STATE": (("PHASE", 0, 2), ("MAY_REQUEST", 2, 1), ("RECOVERY", 3, 1)),
}


def header(shape: Shape) -> str:
    """The text of ``tag34_registers.h``."""
    sections = (
        (
            "Build parameters of this core: registers say the same.",
            [(k.upper(), f"{v}u") for k, v in sizes_of(shape).items()],
        ),
        (
            "The first two registers of every core.",
            [("DEVICE_ID", f"0x{contract.DEVICE_ID:08x}u"), ("CONTRACT_VERSION", f"{contract.CONTRACT_VERSION}u")],
        ),
        (
            "Limits.",
            [
                ("MAX_SEQ", f"{contract.MAX_SEQ}u"),
                ("MAX_IDENT", f"{contract.MAX_IDENT}u"),
                ("SEQ_DIGITS", f"{contract.SEQ_DIGITS}u"),
            ],
        ),
    )
    lines = [
        "/* tag34: registers, records and packets of the core, from the contract of its gateware. */",
        "#ifndef TAG34_REGISTERS_H",
        "#define TAG34_REGISTERS_H",
    ]
    for title, rows in sections:
        lines += ["", *comment(title), *defines(rows)]
    lines += ["", *comment("Registers: byte offsets on s_axi, 32 bits each, whole words only."), *registers()]
    lines += ["", *comment("Parts of registers: lowest bit and mask (not shifted)."), *parts()]
    for name, members in ENUMS.items():
        lines += ["", *comment(first_line(members)), *enum(name, {member.name: member.value for member in members})]
    flags = {member.name or "": member.value for member in contract.Flag}
    lines += ["", *comment(first_line(contract.Flag)), *enum("FLAG", flags)]
    lines += [
        "",
        *comment(
            "A record on m_axis_records, low byte first: bits of its fields. seq and number are packed BCD, and of "
            "meaning with FLAG_SEQ and FLAG_NUMBER; the code of a MESSAGE is a rule, that of an EVENT an event."
        ),
        *layout("RECORD", RECORD_FIELDS),
        *defines([("RECORD_BYTES", f"{contract.RECORD_BYTES}u"), ("RECORD_BEAT_BYTES", f"{RECORD_BEAT_BITS // 8}u")]),
        "",
        *comment(
            "What a packet on s_axis_send begins with, low byte first: bits of its fields. seq is packed BCD, and of "
            "meaning with replay = 1; reserved is 0. The fields of the message follow, each closed by SOH."
        ),
        *layout("SEND", tuple((name, 8 * size) for name, size in SEND_FIELDS)),
        *defines([("SEND_HEADER_BYTES", f"{SEND_HEADER_BYTES}u")]),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def comment(text: str) -> list[str]:
    """A comment of as many lines as it takes."""
    assert "*/" not in text
    lines = textwrap.wrap(text, 112)
    return [f"{'/*' if index == 0 else ' *'} {line}" for index, line in enumerate(lines[:-1])] + [
        f"{'/*' if len(lines) == 1 else ' *'} {lines[-1]} */"
    ]


def first_line(members: type) -> str:
    """The first sentence of an enumeration's docstring, without its markup."""
    text = re.sub(r":\w+:`([^`]*)`|``([^`]*)``", r"\1\2", members.__doc__ or "")
    return text.split("\n\n")[0].split("\n")[0]


def defines(rows: list[tuple[str, str]]) -> list[str]:
    """One ``#define`` a row, in a column."""
    return [f"#define TAG34_{name:<28} {value}" for name, value in rows]


def registers() -> list[str]:
    """Offsets, with what the map says of each register."""
    lines = []
    for register in REGISTERS.values():
        lines += comment(f"{register.access.value}: {register.doc}")
        lines += defines([(f"REG_{register.name}", f"0x{4 * register.address:03x}u")])
    return lines


def parts() -> list[str]:
    """Shifts and masks of the parts of registers."""
    return [
        line
        for register, fields in REGISTER_FIELDS.items()
        for name, low, bits in fields
        for line in defines(
            [(f"{register}_{name}_SHIFT", f"{low}u"), (f"{register}_{name}_MASK", f"0x{(1 << bits) - 1:x}u")]
        )
    ]


def layout(prefix: str, fields: tuple[tuple[str, int], ...]) -> list[str]:
    """Lowest bit and number of bits of each field."""
    lines, low = [], 0
    for name, bits in fields:
        lines += defines([(f"{prefix}_{name.upper()}_BIT", f"{low}u"), (f"{prefix}_{name.upper()}_BITS", f"{bits}u")])
        low += bits
    return lines


def enum(name: str, members: dict[str, int]) -> list[str]:
    """An enumeration in C."""
    body = [f"  TAG34_{name}_{member} = {value}" for member, value in members.items()]
    return [f"enum tag34_{name.lower()} {{", ",\n".join(body), "};"]
