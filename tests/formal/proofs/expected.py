"""The next inbound number and the sums that move with it."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Mux, Signal, Value

from tag34.contract import MAX_SEQ, SEQ_DIGITS, to_bcd
from tag34_hdl import bcd
from tag34_hdl.layouts import NUMBER, Shape
from tag34_hdl.session.expected import Expected

from ..harness import Opened, Proof, Property
from .numbers import binary, decimal_sum, decimal_sum_and_carry, is_bcd


class ExpectedSums(Proof):
    """Loads, steps and changes of session in any order that the sequencer may give."""

    component = "expected"
    parameters = f"{SEQ_DIGITS} digits, window 4"
    assumes = (
        "numbers are BCD and up to the largest; window_limit is 1 to 4 and chunk 1 to the largest when a "
        "number is loaded; "
        "no step while busy or with a load; nothing is restored while busy, and only what is known and belongs together"
    )
    sample = True
    induction = 1
    reach = 20
    properties = (
        Property(
            "expected.never-decreases",
            ("R8", "R12", "R17"),
            "without a load or another session it stays, or goes up by one",
        ),
        Property("expected.limit", ("R10", "R10b"), "when not busy, limit is expected + window_limit"),
        Property("expected.chunk-end", ("R11",), "when not busy, chunk_end is expected + chunk - 1"),
        Property("expected.low", ("R10", "R12"), "when not busy, low is expected modulo the size of the window"),
        Property("expected.busy", ("R12",), "busy ends in the cycle that the docstring says"),
    )

    def build(self) -> None:
        """Ghosts keep the window and the chunk with which the sums were made."""
        m = self.m
        shape = Shape(window=4, max_message=64)
        dut = Expected(shape)
        opened = m.submodules.dut = Opened(dut)
        self.free(dut.increment, dut.load, dut.load_low, dut.new_value, dut.new_low)
        self.free(dut.window_limit, dut.chunk, dut.restore, dut.restored)
        largest = to_bcd(MAX_SEQ + 1)
        size = 1 << shape.window_bits

        def low(number: Value) -> Value:
            return binary(number)[: shape.window_bits]

        self.assume(is_bcd(dut.new_value) & (dut.new_value <= largest) & is_bcd(dut.window_limit) & is_bcd(dut.chunk))
        self.assume((dut.window_limit >= 1) & (dut.window_limit <= size))
        self.assume((dut.chunk >= 1) & (dut.chunk <= to_bcd(MAX_SEQ)))
        self.assume(~dut.load_low | (dut.new_low == low(dut.new_value)))
        self.assume(~dut.increment | (~dut.busy & ~dut.load & ~dut.restore & (dut.value < largest)))
        self.assume(~dut.restore | (~dut.busy & ~dut.load))
        m.d.comb += dut.known.eq(1)

        window, chunk = Signal(NUMBER), Signal(NUMBER)
        valid = Signal()  # the sums have been made, or restored
        # What is restored was right when it was saved, with the window and chunk of then.
        other_window, other_chunk = self.any(NUMBER, "other_window"), self.any(NUMBER, "other_chunk")
        with m.If(dut.restore):
            m.d.sync += [window.eq(other_window), chunk.eq(other_chunk), valid.eq(1)]
        with m.If(dut.load):
            m.d.sync += [window.eq(dut.window_limit), chunk.eq(dut.chunk), valid.eq(1)]

        def right(state: Any, window: Value, chunk: Value) -> Value:
            limit = state.limit == decimal_sum(state.value, window)
            end = bcd.increment(state.chunk_end) == decimal_sum(state.value, chunk)
            numbers = is_bcd(state.value) & is_bcd(state.limit) & is_bcd(state.chunk_end) & (state.value <= largest)
            sizes = is_bcd(window) & is_bcd(chunk) & (window >= 1) & (window <= size) & (chunk >= 1)
            return numbers & sizes & limit & end & (chunk <= to_bcd(MAX_SEQ))

        self.assume(~dut.restore | right(dut.restored, other_window, other_chunk))
        self.assume(~dut.restore | (dut.restored.low == low(dut.restored.value)))

        # While busy: the digits done so far are those of the sum, the rest is still to be added.
        left, make_low = opened.signal("left"), opened.signal("make_low")
        parts = {name: opened.signal(f"{name}_left") for name in ("value", "window", "chunk", "reading")}
        carries = {"window": opened.signal("window_carry"), "chunk": opened.signal("chunk_carry")}
        self.lemma((left <= SEQ_DIGITS + 1) & (dut.busy == (left != 0)), "left")
        self.lemma(is_bcd(dut.value) & (dut.value <= largest), "value")
        self.lemma(
            ~dut.busy | (is_bcd(window) & is_bcd(chunk) & (window >= 1) & (window <= size) & (chunk >= 1)), "sizes"
        )
        self.lemma(~dut.busy | (chunk <= to_bcd(MAX_SEQ)), "sizes")
        for done in range(SEQ_DIGITS + 1):
            now = left == SEQ_DIGITS + 1 - done
            bits = 4 * done
            for name, addend, result in (("window", window, dut.limit), ("chunk", chunk, dut.chunk_end)):
                self.lemma(~now | (parts[name] == addend >> bits), "addend")
                total, carry = decimal_sum_and_carry(dut.value[:bits], addend[:bits])
                self.lemma(~now | (Cat(result[len(result) - bits :], carries[name]) == Cat(total, carry)), "sum so far")
            self.lemma(~now | (parts["value"] == dut.value >> bits), "value to come")
            self.lemma(~now | (parts["reading"] == (dut.value << bits)[: len(dut.value)]), "digits to be read")
            head = dut.value[len(dut.value) - bits :]
            self.lemma(~now | ~make_low | (dut.low == (low(head) if done else 0)), "low so far")
        self.lemma(~dut.busy | make_low | (dut.low == low(dut.value)), "low given")
        self.lemma(~dut.busy | valid, "valid")

        idle = valid & ~dut.busy
        self.lemma(~idle | right(dut, window, chunk), "right")
        self.holds("expected.limit", ~idle | (dut.limit == decimal_sum(dut.value, window)))
        self.cover("expected.limit", idle & (dut.limit == 0x100) & self.past(dut.increment))
        self.holds("expected.chunk-end", ~idle | (bcd.increment(dut.chunk_end) == decimal_sum(dut.value, chunk)))
        self.cover("expected.chunk-end", idle & (dut.chunk_end == 0x9858) & self.past(dut.busy))
        self.holds("expected.low", dut.busy | (dut.low == low(dut.value)))
        self.cover("expected.low", ~dut.busy & self.past(dut.busy) & self.past(make_low) & (dut.low == 3))
        before = self.past(dut.value, init=1)
        stays = ~self.past(dut.load) & ~self.past(dut.restore)
        moved = dut.value == Mux(self.past(dut.increment), bcd.increment(before), before)
        self.holds("expected.never-decreases", ~stays | moved)
        self.cover("expected.never-decreases", stays & (before == 0x199) & (dut.value == 0x200))
        age = Signal(range(SEQ_DIGITS + 2), init=SEQ_DIGITS + 1)
        with m.If(dut.load):
            m.d.sync += age.eq(0)
        with m.Elif(age != SEQ_DIGITS + 1):
            m.d.sync += age.eq(age + 1)
        self.lemma(age + left == SEQ_DIGITS + 1, "age")
        self.holds("expected.busy", dut.busy == (age != SEQ_DIGITS + 1))
        self.cover("expected.busy", self.past(dut.busy) & ~dut.busy)
