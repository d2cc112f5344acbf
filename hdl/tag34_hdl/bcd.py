"""Arithmetic on packed BCD: numbers stay as FIX writes them (docs/decisions/0005)."""

from __future__ import annotations

from amaranth import Array, Cat, Const, Mux, Value


def digits_of(value: Value) -> list[Value]:
    """The digits of ``value``, least significant first."""
    return [value[i : i + 4] for i in range(0, len(value), 4)]


def _passed_on(full: list[Value]) -> Value:
    """Which digits a carry from below reaches, if it passes the digits that are ``full``.

    It does what the carry of a binary adder does: adding one to a row of ones and zeros changes the ones from below
    up to the first zero, and that. Adders have a fast way for it in every FPGA, a row of ANDs has not.
    """
    row = Cat(*full)
    return (row + 1)[: len(full)] ^ row


def increment(value: Value) -> Value:
    """``value`` + 1, modulo ten to the number of digits."""
    digits = digits_of(value)
    reached = _passed_on([digit == 9 for digit in digits])
    return Cat(
        Mux(carry, Mux(digit == 9, 0, digit + 1), digit)[:4] for digit, carry in zip(digits, reached, strict=True)
    )


def decrement(value: Value) -> Value:
    """``value`` - 1, modulo ten to the number of digits."""
    digits = digits_of(value)
    reached = _passed_on([digit == 0 for digit in digits])
    return Cat(
        Mux(borrow, Mux(digit == 0, 9, digit - 1), digit)[:4] for digit, borrow in zip(digits, reached, strict=True)
    )


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
