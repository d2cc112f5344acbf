"""Arithmetic on packed BCD, and the conversion of a binary number: the same as that of binary numbers (decision 5)."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal, Value

from tag34.contract import SEQ_DIGITS
from tag34_hdl import bcd
from tag34_hdl.send.decimal import BITS, STEPS_PER_CYCLE, Decimal

from ..harness import Opened, Proof, Property

#: Bits of the numbers that are compared with binary ones in one piece.
PART = 16
#: What the places of a decimal number count, ones first.
PLACES = (1, 10, 100)


def is_bcd(value: Value) -> Value:
    """Every four bits are a decimal digit."""
    return Cat(value[place : place + 4] <= 9 for place in range(0, len(value), 4)).all()


def binary(value: Value) -> Value:
    """The number that packed BCD stands for."""
    total: Value = Const(0, 1)
    for place in range(len(value) - 4, -1, -4):
        total = total * 10 + value[place : place + 4]
    return total


def all_nines(value: Value) -> Value:
    """All digits are nine."""
    return Cat(value[place : place + 4] == 9 for place in range(0, len(value), 4)).all()


def decimal_sum_and_carry(a: Value, b: Value) -> tuple[Value, Value]:
    """Sum of two packed BCD numbers of as many digits, and its carry."""
    carry: Value = Const(0, 1)
    digits = []
    for place in range(0, len(a), 4):
        digit, carry = bcd.add_digit(a[place : place + 4], b[place : place + 4], carry)
        digits.append(digit)
    return Cat(digits), carry


def decimal_sum(a: Value, b: Value) -> Value:
    """Sum of two packed BCD numbers, modulo ten to the number of digits."""
    return decimal_sum_and_carry(a, b)[0]


class BcdArithmetic(Proof):
    """Single steps on ten digits, and one place of a sum."""

    component = "bcd"
    parameters = f"{SEQ_DIGITS} digits"
    sample = True
    properties = (
        Property("bcd.increment", ("decision 5",), "increment(x) is x + 1, modulo ten to the number of digits"),
        Property("bcd.decrement", ("decision 5",), "decrement(x) is x - 1, modulo ten to the number of digits"),
        Property("bcd.order", ("decision 5",), "packed BCD numbers compare as the numbers that they stand for"),
        Property(
            "bcd.sum",
            ("decision 5", "R10", "R11"),
            "digits added one by one with add_digit make the sum of the numbers",
        ),
        Property("bcd.add-constant-digit", ("S5",), "add_constant_digit is one place of a sum with a constant"),
        Property("bcd.significant-digits", ("S2",), "significant_digits counts the digits without leading zeros"),
    )

    def build(self) -> None:
        """All is combinational: the value is any in any cycle."""
        x = self.any(4 * SEQ_DIGITS, "x")
        y = self.any(4 * SEQ_DIGITS, "y")
        self.assume(is_bcd(x) & is_bcd(y))
        # Numbers of up to four digits are compared with binary ones; longer ones are made of such, a carry between:
        # that is quick to decide, and both together say the same of all digits.
        for count in range(1, PART // 4 + 1):
            part = x[: 4 * count]
            up, down, top = bcd.increment(part), bcd.decrement(part), 10**count - 1
            wraps = binary(part) == top
            self.holds("bcd.increment", is_bcd(up) & (binary(up) == Mux(wraps, 0, binary(part) + 1)))
            self.holds("bcd.decrement", is_bcd(down) & (binary(down) == Mux(part == 0, top, binary(part) - 1)))
            self.holds("bcd.order", (part < y[: 4 * count]) == (binary(part) < binary(y[: 4 * count])))
        for bits in range(PART, len(x), PART):
            high, low = x[bits : bits + PART], x[:bits]
            wraps = all_nines(low)
            up, down = bcd.increment(x[: bits + PART]), bcd.decrement(x[: bits + PART])
            self.holds("bcd.increment", up == Cat(bcd.increment(low), Mux(wraps, bcd.increment(high), high)))
            self.holds("bcd.decrement", down == Cat(bcd.decrement(low), Mux(low == 0, bcd.decrement(high), high)))
            same, low_y = high == y[bits : bits + PART], y[:bits]
            self.holds(
                "bcd.order",
                (x[: bits + PART] < y[: bits + PART]) == Mux(same, low < low_y, high < y[bits : bits + PART]),
            )
        self.cover("bcd.increment", (x[:20] == 0x99999) & (bcd.increment(x)[:20] == 0) & (x[20:24] == 3))
        self.cover("bcd.decrement", (x == 0x1000) & (bcd.decrement(x) == 0x999))
        self.cover("bcd.order", (x < y) & (x[:4] > y[:4]))

        # One place for all digits and carries, and how the places go together.
        two, over = decimal_sum_and_carry(x[:8], y[:8])
        self.holds("bcd.sum", is_bcd(two) & (binary(two) + over * 100 == binary(x[:8]) + binary(y[:8])))
        self.cover("bcd.sum", over & (two == 0))
        digit, over = bcd.add_digit(x[:4], y[:4], carry := self.any(1, "carry"))
        self.holds("bcd.sum", (digit <= 9) & (over * 10 + digit == x[:4] + y[:4] + carry))

        for constant in range(10):
            digit, over = bcd.add_constant_digit(x[:4], constant, carry)
            self.holds("bcd.add-constant-digit", (digit <= 9) & (over * 10 + digit == x[:4] + constant + carry))
            self.cover("bcd.add-constant-digit", digit == 0)

        count = bcd.significant_digits(x)
        powers = [1 << 4 * place for place in range(1, SEQ_DIGITS)]  # of ten, in BCD
        self.holds("bcd.significant-digits", count == 1 + sum(x >= power for power in powers))
        self.cover("bcd.significant-digits", count == SEQ_DIGITS)


class DecimalConversion(Proof):
    """BodyLength's conversion: the digits done so far, shifted by the bits to come, plus those bits, are the number."""

    component = "decimal"
    parameters = f"{BITS} bits"
    sample = True
    reach = 9
    properties = (
        Property("decimal.value", ("S1",), "when Decimal is not busy its digits are the number last taken"),
        Property("decimal.latency", ("S1",), "Decimal is busy for six cycles after a start, however it is started"),
    )

    def build(self) -> None:
        """A start at any time, within a conversion too."""
        m = self.m
        dut = Decimal()
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.start, dut.value)
        left, bits = opened.signal("left"), opened.signal("bits")
        cycles = BITS // STEPS_PER_CYCLE

        number = Signal(BITS)
        age = Signal(range(cycles + 1), init=cycles)
        with m.If(dut.start):
            m.d.sync += [number.eq(dut.value), age.eq(0)]
        with m.Elif(age != cycles):
            m.d.sync += age.eq(age + 1)

        self.lemma(is_bcd(dut.digits) & (left + age == cycles), "progress")
        for steps in range(cycles + 1):
            done = number >> (STEPS_PER_CYCLE * steps)
            self.lemma((left != steps) | (binary(dut.digits) == done), "digits so far")
            rest = Cat(Const(0, BITS - STEPS_PER_CYCLE * steps), number[: STEPS_PER_CYCLE * steps])
            self.lemma((left != steps) | (bits == rest), "bits to come")
        self.holds("decimal.value", dut.busy | (binary(dut.digits) == number))
        self.cover("decimal.value", ~dut.busy & (number == 199999))
        self.holds("decimal.latency", dut.busy == (age != cycles))
        self.cover("decimal.latency", ~dut.busy & self.past(dut.busy) & (number == 7))
