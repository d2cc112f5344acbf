"""The engine's instructions: what the assembler writes and the engine carries out.

A word has 16 bits. With the highest bit set it is a jump: kind (3 bits), target (12 bits). Else it is an operation (4
bits) on an operand: mode (3 bits) and place (8 bits). FOR is coded as a jump: it has no target, but says how often the
operations behind it are done, and how many they are.
"""

from __future__ import annotations

import enum

#: Bits of a place in the program.
PROGRAM_BITS = 12
#: Bytes of a page of the data memory.
PAGE = 256


class Jump(enum.IntEnum):
    """Kinds of jump. The flags Z and C are those that the last operation left."""

    JMP = 0
    CALL = 1  #: and come back by RET
    BEQ = 2  #: if Z
    BNE = 3  #: if not Z
    BCS = 4  #: if C: a sum had a carry, a difference a borrow
    BCC = 5  #: if not C
    FOR = 6  #: what follows is done several times, each time with the next byte of the variables


class Operation(enum.IntEnum):
    """What is done with the accumulator A and the operand M.

    Arithmetic of many bytes begins with BEGIN or CARRY, or with an operation that takes no carry; those that take the
    carry set Z only if the results of all bytes before were zero too. What is loaded in between does not count.
    """

    LD = 0  #: A := M; sets Z
    ST = 1  #: M := A
    ADD = 2  #: A := A + M; sets Z, C
    ADC = 3  #: the same with the carry
    SUB = 4  #: A := A - M; sets Z, C (C: a borrow)
    SBC = 5  #: the same with the borrow
    CMP = 6  #: as SUB, but A stays
    CPC = 7  #: as SBC, but A stays
    AND = 8  #: A := A & M; sets Z
    OR = 9  #: A := A | M; sets Z
    INC = 10  #: M := M + 1; sets Z, C
    DEC = 11  #: M := M - 1; sets Z, C
    DAD = 12  #: A := A + M + C, two decimal digits; sets Z, C
    DSB = 13  #: A := A - M - C, two decimal digits; sets Z, C
    RLD = 14  #: M := M with the digit in A shifted in from the right; A := the digit that fell out; sets Z
    SYS = 15  #: see :class:`System`


class Mode(enum.IntEnum):
    """Where the operand is."""

    VALUE = 0  #: it is the place itself
    GLOBAL = 1  #: in page 0
    SESSION = 2  #: in the page that the register PAGE names
    ENTRY = 3  #: in the 16 bytes around X: the low four bits of the place replace those of X
    INDEXED = 4  #: where X points to
    NEXT = 5  #: the same, and X goes on by one
    PORT = 6  #: a port


class System(enum.IntFlag):
    """What SYS does, a bit each."""

    RET = 1  #: back behind the last CALL
    YIELD = 2  #: the other task goes on
    BEGIN = 4  #: C := 0; arithmetic of many bytes begins
    SWAP = 8  #: the two digits of A change places
    JX = 16  #: jump to where X points to
    CARRY = 32  #: C := 1; the same


#: Ports of the engine itself, written and (XH) read; all others are outside.
XL, XH, PAGE_PORT = 0, 1, 2
OWN_PORTS = {"XL": XL, "XH": XH, "PAGE": PAGE_PORT}


def jump(kind: Jump, target: int) -> int:
    """The word of a jump. Raises ValueError for a target beyond the program."""
    if not 0 <= target < 1 << PROGRAM_BITS:
        raise ValueError(f"a jump to {target} goes beyond {1 << PROGRAM_BITS} words")
    return 1 << 15 | kind.value << PROGRAM_BITS | target


def repeat(times: int, operations: int) -> int:
    """The word that lets the next ``operations`` be done so many ``times``. Raises ValueError for what is too much."""
    if not 1 <= times <= 16 or not 1 <= operations <= 4:
        raise ValueError(f"{operations} operations cannot be done {times} times")
    return jump(Jump.FOR, times - 1 | operations - 1 << 4)


def operation(op: Operation, mode: Mode, place: int) -> int:
    """The word of an operation. Raises ValueError for a place that does not fit into a byte, and for an operation that
    cannot have such an operand."""
    if not 0 <= place < 256:
        raise ValueError(f"{op.name} {place} does not fit into a byte")
    writes = op in (Operation.ST, Operation.INC, Operation.DEC, Operation.RLD)
    if writes and (mode is Mode.VALUE or (mode is Mode.PORT and op is not Operation.ST)):
        raise ValueError(f"{op.name} cannot write there")
    return op.value << 11 | mode.value << 8 | place
