"""The clock: UTC date and time in decimal, as SendingTime wants them (S5)."""

from amaranth import Array, C, Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import to_bcd

from .. import bcd

#: Packed BCD: ``date`` YYYYMMDD, ``day`` HHMMSS; ``milli``, ``micro`` and ``nano`` three digits each.
Time = data.StructLayout(
    {"nano": unsigned(12), "micro": unsigned(12), "milli": unsigned(12), "day": unsigned(24), "date": unsigned(32)}
)
EPOCH = {"date": 0x19700101}
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def divisible_by_4(two_digits: Value) -> Value:
    """Two BCD digits, as a number, modulo 4: twice the tens and the ones."""
    return (Cat(C(0, 1), two_digits[4]) + two_digits[:2])[:2] == 0


class Clock(wiring.Component):
    """Counts UTC in BCD, from nanoseconds to years, leap years included. There are no leap seconds, as in POSIX time.

    A cycle that is no whole number of nanoseconds is counted exactly: the remainder is carried along.

    Parameters: ``clock_hz``, the frequency of the clock domain, 2 MHz to 1 GHz.

    Members: ``load`` sets ``time`` to ``new_time`` (two cycles later it goes on); ``run``: the time goes on, else it
        stands still, a cycle later.

    Whether a unit is at its end is found in the cycle before it is needed (microseconds never count up in two cycles
    running), so a carry through all units is one cycle and a short path.
    """

    load: In(1)
    new_time: In(Time)
    run: In(1)
    time: Out(Time, init=EPOCH)

    def __init__(self, clock_hz: int):
        if not 2_000_000 <= clock_hz <= 1_000_000_000:
            raise ValueError(f"clock_hz must be 2 MHz to 1 GHz, not {clock_hz}")
        self.clock_hz = clock_hz
        super().__init__()

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        time = self.time
        settle = Signal(range(3))
        counts = Signal()  # a register: all units hang on it
        m.d.sync += counts.eq(self.run & (settle[1:] == 0) & ~self.load)

        # Whole nanoseconds of a cycle, and the fraction in units of 1 / clock_hz ns.
        # `extra` is that of the step that is ready in `next_nano`; `extra_next` and `fraction` are those of the step
        # behind it, known a step early as well: they are a path of their own.
        whole, part = divmod(1_000_000_000, self.clock_hz)
        second, rest = divmod(2 * part, self.clock_hz)
        extra = Signal()
        extra_next = Signal(init=second)
        if part:
            fraction = Signal(range(self.clock_hz), init=rest)
            total = fraction + part
            over = Signal()
            m.d.comb += over.eq(total >= self.clock_hz)
            with m.If(counts):
                m.d.sync += [
                    fraction.eq(Mux(over, total - self.clock_hz, total)),
                    extra_next.eq(over),
                    extra.eq(extra_next),
                ]

        # The sum is made one cycle ahead, so that its carry is a register when it goes up.
        next_nano = Signal(12)
        next_carry = Signal()
        nano = []
        carry: Value = Mux(counts, extra_next, extra)
        step = to_bcd(whole, 3)
        for place, digit in enumerate(bcd.digits_of(Mux(counts, next_nano, time.nano))):
            result, carry = bcd.add_constant_digit(digit, (step >> 4 * place) & 0xF, carry)
            nano.append(result)
        m.d.sync += [next_nano.eq(Cat(nano)), next_carry.eq(carry)]

        # Units from microseconds up, each with its last value and the one behind that.
        date, day = time.date, time.day
        month, year = date[8:16], date[16:32]
        leap = Signal()
        # Every fourth year, of the centuries every fourth.
        m.d.sync += leap.eq(Mux(year[:8] == 0, divisible_by_4(year[8:]), divisible_by_4(year[:8])))
        month_number = Mux(month[4], month[:4] + 10, month[:4])[:4]
        days = Array([C(0x31, 8)] + [C(to_bcd(days, 2), 8) for days in MONTH_DAYS] + [C(0x31, 8)] * 3)[month_number]
        last_day = Mux((month == 0x02) & leap, 0x29, days)
        units = [
            (time.micro, 0x999, 0),
            (time.milli, 0x999, 0),
            (day[0:8], 0x59, 0),
            (day[8:16], 0x59, 0),
            (day[16:24], 0x23, 0),
            (date[0:8], last_day, 1),
            (month, 0x12, 1),
            (year, 0x9999, 0),
        ]
        with m.If(settle != 0):
            m.d.sync += settle.eq(settle - 1)
        with m.If(counts):
            m.d.sync += time.nano.eq(next_nano)
        up: Value = counts & next_carry
        for index, (unit, last, first) in enumerate(units):
            at_end = Signal(name=f"at_end_{index}")
            m.d.sync += at_end.eq(unit == last)
            with m.If(up):
                m.d.sync += unit.eq(Mux(at_end, first, bcd.increment(unit)))
            up = up & at_end
        with m.If(self.load):
            m.d.sync += [time.eq(self.new_time), settle.eq(2)]
        return m
