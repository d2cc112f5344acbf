"""Macros of the program's language. Numbers lie low byte first, decimal ones have two digits in a byte."""

from __future__ import annotations

from collections.abc import Callable

from .assembler import Assembler


def byte_of(name: str, byte: int) -> str:
    """A byte of a variable, as an operand."""
    base, _, index = name.partition("+")
    return f"{base}+{int(index or 0) + byte}"


def each(a: Assembler, size: str, *operations: tuple[str, str], first: str = "") -> None:
    """Operations on each byte of variables of so many bytes. ``first``: what is done before."""
    if first:
        a.put(first)
    for _, operand in operations:
        if operand[0] not in "#[":
            a.check_variable(byte_of(operand, a.value(size) - 1))
    if a.value(size) > 1:
        a.repeat(a.value(size), len(operations))
    for mnemonic, operand in operations:
        a.put(mnemonic, operand)


def move(a: Assembler, to: str, source: str, size: str = "5") -> None:
    """``to`` := ``source``, so many bytes."""
    each(a, size, ("ld", source), ("st", to))


def clear(a: Assembler, name: str, size: str = "1") -> None:
    """Zeros, so many bytes."""
    a.put("ld", "#0")
    each(a, size, ("st", name))


def compare(a: Assembler, left: str, right: str, size: str = "5") -> None:
    """Z: they are equal; C: ``left`` is below ``right``, which may be a ``#number`` (of packed digits for decimal)."""
    if right.startswith("#"):
        for byte in range(a.value(size)):
            a.put("ld", byte_of(left, byte))
            a.put("cpc" if byte else "cmp", f"#(({right[1:]}) >> {8 * byte}) & 255")
    else:
        each(a, size, ("ld", left), ("cpc", right), first="begin")


def count(a: Assembler, name: str, size: str) -> None:
    """Add one to a binary number of so many bytes."""
    done = a.new_label()
    for byte in range(a.value(size)):
        if byte:
            a.put("bne", done)
        a.put("inc", byte_of(name, byte))
    a.mark(done)


def count_decimal(a: Assembler, name: str, size: str = "5") -> None:
    """Add one to a decimal number of so many bytes. A has its highest byte then."""
    each(a, size, ("ld", name), ("dad", "#0"), ("st", name), first="carry")


def less_one(a: Assembler, name: str, size: str = "5") -> None:
    """Take one from a decimal number of so many bytes. Z: it is zero now."""
    each(a, size, ("ld", name), ("dsb", "#0"), ("st", name), first="carry")


def plus(a: Assembler, to: str, addend: str, size: str = "5") -> None:
    """``to`` := ``to`` + ``addend``, decimal."""
    each(a, size, ("ld", to), ("dad", addend), ("st", to), first="begin")


def minus(a: Assembler, to: str, left: str, right: str, size: str = "5") -> None:
    """``to`` := ``left`` - ``right``, decimal."""
    each(a, size, ("ld", left), ("dsb", right), ("st", to), first="begin")


def borrow(a: Assembler, name: str, size: str) -> None:
    """Take one from a binary number of so many bytes."""
    each(a, size, ("ld", name), ("sbc", "#0"), ("st", name), first="carry")


def plus_one_binary(a: Assembler, to: str, addend: str, size: str) -> None:
    """``to`` := ``to`` + ``addend`` + 1, binary."""
    each(a, size, ("ld", to), ("adc", addend), ("st", to), first="carry")


def plus_binary(a: Assembler, to: str, addend: str, size: str) -> None:
    """``to`` := ``to`` + ``addend``, binary. C is the carry."""
    each(a, size, ("ld", to), ("adc", addend), ("st", to), first="begin")


def minus_binary(a: Assembler, to: str, left: str, right: str, size: str) -> None:
    """``to`` := ``left`` - ``right``, binary. Z: they are equal; A has the highest byte."""
    each(a, size, ("ld", left), ("sbc", right), ("st", to), first="begin")


def difference(a: Assembler, left: str, right: str, size: str) -> None:
    """A := the highest byte of ``left`` - ``right``, binary."""
    each(a, size, ("ld", left), ("sbc", right), first="begin")


def push_digit(a: Assembler, name: str, size: str) -> None:
    """The digit in A comes in from the right; A and Z tell what fell out at the left."""
    for byte in range(a.value(size)):
        a.put("rld", byte_of(name, byte))


def test(a: Assembler, name: str, mask: str) -> None:
    """Z: none of these bits is set."""
    a.put("ld", mask)
    a.put("and", name)


def set_bits(a: Assembler, name: str, mask: str) -> None:
    """Set these bits."""
    a.put("ld", name)
    a.put("or", mask)
    a.put("st", name)


def put(a: Assembler, name: str, value: str) -> None:
    """A variable or port := what ``ld`` may have."""
    a.put("ld", value)
    a.put("st", name)


def become(a: Assembler, name: str, label: str) -> None:
    """A variable of two bytes := a place in the program."""
    for byte, half in enumerate(("low", "high")):
        a.load_half(label, half)
        a.put("st", byte_of(name, byte))


def wait_byte(a: Assembler) -> None:
    """This byte has been dealt with; what follows deals with the session's next one."""
    label = a.new_label()
    become(a, "next_byte", label)
    a.put("jmp", "main")
    a.mark(label)


def wait_byte_at(a: Assembler, label: str) -> None:
    """This byte has been dealt with; the session's next one is dealt with there."""
    become(a, "next_byte", label)
    a.put("jmp", "main")


def answer_constant(a: Assembler, value: str) -> None:
    """The value of a register that never changes."""
    for byte in range(4):
        put(a, f"word+{byte}", f"#(({value[1:]}) >> {8 * byte}) & 255")
    a.put("jmp", "answer")


def text(a: Assembler, characters: str) -> None:
    """Send these characters, ``|`` for SOH."""
    for char in characters.strip('"'):
        a.put("ld", "#SOH" if char == "|" else f"#{ord(char)}")
        a.put("call", "send_byte")


#: All of them, by the names that the texts use.
MACROS: dict[str, Callable[..., None]] = {
    "move": move,
    "clear": clear,
    "compare": compare,
    "count": count,
    "count_decimal": count_decimal,
    "less_one": less_one,
    "plus": plus,
    "minus": minus,
    "plus_binary": plus_binary,
    "plus_one_binary": plus_one_binary,
    "minus_binary": minus_binary,
    "borrow": borrow,
    "difference": difference,
    "push_digit": push_digit,
    "test": test,
    "set": set_bits,
    "put": put,
    "become": become,
    "wait_byte": wait_byte,
    "wait_byte_at": wait_byte_at,
    "answer_constant": answer_constant,
    "text": text,
}
