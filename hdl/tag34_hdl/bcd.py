"""Arithmetic on packed BCD: numbers stay as FIX writes them (docs/decisions/0005)."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Module, Mux, Value

from .vectors import apart, gather, wire


def digits_of(value: Value) -> list[Value]:
    """The digits of ``value``, least significant first."""
    return [value[i : i + 4] for i in range(0, len(value), 4)]


def _planes(m: Module, value: Value) -> list[Value]:
    """Lowest bits of all digits, each where its digit begins; second ones, and so on."""
    begins = sum(1 << place for place in range(0, len(value), 4))
    return [wire(m, value[bit:] & Const(begins, len(value)), f"plane_{bit}") for bit in range(4)]


def _reached(m: Module, full: Value) -> Value:
    """Which digits a carry from below reaches, if it passes the digits that are ``full``: bits where digits begin.

    It does what the carry of a binary adder does: adding one to a row of ones and zeros changes the ones from below
    up to the first zero, and that. Adders have a fast way for it in every FPGA, a row of ANDs has not.
    """
    row = wire(m, gather(m, full, 4), "row")
    return apart(m, (row + 1)[: len(row)] ^ row, 4)


def _changed(value: Value, planes: list[Value]) -> Value:
    """``value`` with other bits where ``planes`` say so."""
    for bit, plane in enumerate(planes):
        value ^= Cat(Const(0, bit), plane)[: len(value)]
    return value


def increment(m: Module, value: Value) -> Value:
    """``value`` + 1, modulo ten to the number of digits. ``m``: where logic goes, under no condition."""
    ones, twos, fours, eights = _planes(m, value)
    nine = wire(m, ones & ~twos & ~fours & eights, "nine")
    reached = _reached(m, nine)
    carry = reached & ones & ~nine
    return _changed(value, [reached, carry, carry & twos, (carry & twos & fours) | (reached & nine)])


def decrement(m: Module, value: Value) -> Value:
    """``value`` - 1, modulo ten to the number of digits. ``m``: where logic goes, under no condition."""
    ones, twos, fours, eights = _planes(m, value)
    some = wire(m, ones | twos | fours | eights, "some")
    reached = _reached(m, wire(m, ~some & Const(sum(1 << place for place in range(0, len(value), 4)), len(value))))
    borrow = reached & ~ones
    return _changed(value, [reached, borrow & some, borrow & some & ~twos, borrow & ~twos & ~fours])


def significant_digits(value: Value) -> Value:
    """Digits of ``value`` without leading zeros; one for zero."""
    count: Value = Const(1, 4)
    for place, digit in enumerate(digits_of(value)):
        count = Mux(digit != 0, place + 1, count)
    return count[:4]


def add_digit(a: Value, b: Value, carry: Value) -> tuple[Value, Value]:
    """One decimal place of a sum: (digit, carry)."""
    total = (a + b + carry)[:5]
    over = total >= 10
    return Mux(over, total - 10, total)[:4], over


def add_constant_digit(a: Value, b: int, carry: Value) -> tuple[Value, Value]:
    """One decimal place of a sum with the constant digit ``b``, as a table: (digit, carry). ``a`` above nine counts
    as nine."""
    sums = [min(digit, 9) + b + c for c in (0, 1) for digit in range(16)]
    index = Cat(a, carry)
    return Array(Const(total % 10, 4) for total in sums)[index], Array(Const(total // 10, 1) for total in sums)[index]
