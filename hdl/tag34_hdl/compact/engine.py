"""The engine: a small processor for sessions, with its program and its data in block memory."""

from collections.abc import Sequence

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..block_memory import BlockMemory
from .instructions import PAGE, PAGE_PORT, PROGRAM_BITS, XH, XL, Jump, Mode, Operation, System

#: Bits of a port's number, and calls within calls of each task.
PORT_BITS = 5
DEPTH = 16


class Engine(wiring.Component):
    """Carries out a program: one accumulator, an index, two flags, two tasks that take turns where they say so.

    Parameters:
        program: words of :mod:`tag34_hdl.compact.instructions`. A reset begins with the first one.
        second: place of the word with which the second task begins, at the first YIELD.
        pages: number of pages of data memory, 256 bytes each. A reset does not clear them.

    Members:
        port: the port that is read or written.
        reads, into: it is read in this cycle; its value.
        writes, out: it is written in this cycle; its new value.
        hold: the engine stands still. It may begin in the cycle behind a write to a port.

    Throughput: an instruction takes two cycles. In the first one its operand is read from block memory; in the second
        one it acts, and the next instruction is read.
    """

    port: Out(PORT_BITS)
    reads: Out(1)
    writes: Out(1)
    out: Out(8)
    into: In(8)
    hold: In(1)

    def __init__(self, program: Sequence[int], second: int, pages: int):
        self.program, self.second, self.pages = program, second, pages
        super().__init__()

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.words = words = BlockMemory(16, len(self.program), init=self.program, block=True)
        m.submodules.bytes = memory = BlockMemory(8, PAGE * self.pages, block=True)
        m.submodules.calls = calls = BlockMemory(PROGRAM_BITS, 2 * DEPTH, block=True)

        # -- Two cycles for each instruction; after a reset there is none yet.
        second = Signal(init=1)
        known = Signal()
        acts = Signal()
        with m.If(~self.hold):
            m.d.sync += [second.eq(~second), known.eq(1)]
        m.d.comb += acts.eq(second & known & ~self.hold)

        # The program's memory is slow to leave: what an instruction does is decided by a register behind it, only where
        # its operand is has to be known at once.
        asked = words.data
        word = Signal(16)
        with m.If(~second):
            m.d.sync += word.eq(asked)
        jumps, kind, target = word[15], word[PROGRAM_BITS:15], word[:PROGRAM_BITS]
        op, mode, place = word[11:15], word[8:11], word[:8]

        def is_op(*ops: Operation) -> Value:
            return ~jumps & Cat(op == other.value for other in ops).any()

        # -- The operand: each round of FOR has the next byte of a variable
        index = Signal(max(PROGRAM_BITS, ceil_log2(PAGE * self.pages)))
        page = Signal(range(max(2, self.pages)))
        round_ = Signal(4)
        byte = Signal(8)
        operand = Signal(8)
        address = Signal(ceil_log2(PAGE * self.pages))
        m.d.comb += [
            byte.eq(asked[:8] + round_),
            memory.address.eq(address),
            memory.write_address.eq(address),
            address.eq(index),
        ]
        with m.Switch(asked[8:11]):
            with m.Case(Mode.GLOBAL):
                m.d.comb += address.eq(byte)
            with m.Case(Mode.SESSION):
                m.d.comb += address.eq(Cat(byte, page))
            with m.Case(Mode.ENTRY):
                m.d.comb += address.eq(Cat(byte[:4], index[4:]))
        m.d.comb += [self.port.eq(place), operand.eq(memory.data)]
        with m.Switch(mode):
            with m.Case(Mode.VALUE):
                m.d.comb += operand.eq(place)
            with m.Case(Mode.PORT):
                m.d.comb += operand.eq(Mux(self.port == XH, index[8:], self.into))

        # -- Sums: a carry from digit to digit, at nine if they are decimal
        a = Signal(8)
        carry = Signal()
        zero = Signal()
        all_zero = Signal()  # of a number's bytes so far
        decimal = is_op(Operation.DAD, Operation.DSB)
        counts = is_op(Operation.INC, Operation.DEC)
        subtracts = is_op(Operation.SUB, Operation.SBC, Operation.CMP, Operation.CPC, Operation.DSB)
        # From ADD to CPC those with the carry are the odd ones.
        chained = decimal | (~op[3] & op[0])
        left = Signal(8)
        right = Signal(8)
        first_carry = Signal()
        m.d.comb += [
            left.eq(Mux(counts, op[0].replicate(8), a)),
            right.eq(operand ^ (subtracts & ~decimal).replicate(8)),
            first_carry.eq(Mux(counts, ~op[0], Mux(chained, carry ^ subtracts, subtracts))),
        ]
        with m.If(decimal & subtracts):
            m.d.comb += right.eq(Cat((9 - operand[:4])[:4], (9 - operand[4:])[:4]))
        total = Signal(8)
        over: Value = first_carry
        for digit in range(2):
            of_digit = slice(4 * digit, 4 * digit + 4)
            plain = Signal(5, name=f"plain_{digit}")
            passes = Signal(name=f"passes_{digit}")
            m.d.comb += [
                plain.eq(left[of_digit] + right[of_digit] + over),
                passes.eq(plain[4] | (decimal & (plain[:4] > 9))),
                total[of_digit].eq(plain[:4] + Mux(decimal & passes, 6, 0)),
            ]
            over = passes

        # -- The result
        result = Signal(8)
        written = Signal(8)
        swaps = is_op(Operation.SYS) & place[System.SWAP.bit_length() - 1]
        begins = is_op(Operation.SYS) & place[System.BEGIN.bit_length() - 1]
        stores = is_op(Operation.ST, Operation.INC, Operation.DEC, Operation.RLD)
        m.d.comb += [result.eq(total), written.eq(total)]
        with m.Switch(op):
            with m.Case(Operation.LD):
                m.d.comb += result.eq(operand)
            with m.Case(Operation.AND):
                m.d.comb += result.eq(a & operand)
            with m.Case(Operation.OR):
                m.d.comb += result.eq(a | operand)
            with m.Case(Operation.RLD):
                m.d.comb += [result.eq(operand[4:]), written.eq(Cat(a[:4], operand[:4]))]
            with m.Case(Operation.SYS):
                m.d.comb += result.eq(Cat(a[4:], a[:4]))
            with m.Case(Operation.ST):
                m.d.comb += written.eq(a)
        is_zero = (result == 0) & (all_zero | ~chained)
        with m.If(acts & ~jumps):
            with m.If(~is_op(Operation.ST, Operation.CMP, Operation.CPC, Operation.SYS) & ~counts | swaps):
                m.d.sync += a.eq(result)
            with m.If(begins):
                m.d.sync += [carry.eq(0), all_zero.eq(1)]
            with m.Elif(is_op(Operation.SYS) & place[System.CARRY.bit_length() - 1]):
                m.d.sync += [carry.eq(1), all_zero.eq(1)]
            with m.Elif(~is_op(Operation.ST, Operation.SYS)):
                m.d.sync += zero.eq(is_zero)
                with m.If(~is_op(Operation.LD, Operation.AND, Operation.OR, Operation.RLD)):
                    m.d.sync += [carry.eq(over ^ (subtracts | (counts & op[0]))), all_zero.eq(is_zero)]
        in_memory = (mode != Mode.VALUE) & (mode != Mode.PORT)
        m.d.comb += [
            memory.write.eq(acts & stores & in_memory),
            memory.write_data.eq(written),
            self.out.eq(a),
            self.reads.eq(acts & ~jumps & (mode == Mode.PORT) & ~stores),
            self.writes.eq(acts & is_op(Operation.ST) & (mode == Mode.PORT)),
        ]

        # -- The index and the page
        with m.If(acts & ~jumps & (mode == Mode.NEXT)):
            m.d.sync += index.eq(index + 1)
        with m.If(self.writes):
            with m.Switch(self.port):
                with m.Case(XL):
                    m.d.sync += index[:8].eq(a)
                with m.Case(XH):
                    m.d.sync += index[8:].eq(a)
                with m.Case(PAGE_PORT):
                    m.d.sync += page.eq(a)

        # -- What comes next
        here = Signal(PROGRAM_BITS)
        following = Signal(PROGRAM_BITS)
        behind = Signal(PROGRAM_BITS)
        depth = Signal(range(DEPTH))
        task = Signal()
        other_place = Signal(PROGRAM_BITS, init=self.second)
        other_depth = Signal(range(DEPTH))
        taken = Signal()
        system = is_op(Operation.SYS)
        returns = system & place[0]
        yields = system & place[1]
        is_call = jumps & (kind == Jump.CALL)
        with m.Switch(kind):
            with m.Case(Jump.JMP, Jump.CALL):
                m.d.comb += taken.eq(1)
            with m.Case(Jump.BEQ):
                m.d.comb += taken.eq(zero)
            with m.Case(Jump.BNE):
                m.d.comb += taken.eq(~zero)
            with m.Case(Jump.BCS):
                m.d.comb += taken.eq(carry)
            with m.Case(Jump.BCC):
                m.d.comb += taken.eq(~carry)
        m.d.comb += [
            behind.eq(here + 1),
            following.eq(behind),
            words.address.eq(following),
            words.enable.eq(second),
            calls.address.eq(Cat((depth - 1)[: len(depth)], task)),
            calls.write_address.eq(Cat(depth, task)),
            calls.write_data.eq(behind),
            calls.write.eq(acts & is_call),
        ]
        with m.If(~known):
            m.d.comb += following.eq(0)
        with m.Elif(jumps & taken):
            m.d.comb += following.eq(target)
        with m.Elif(returns):
            m.d.comb += following.eq(calls.data)
        with m.Elif(yields):
            m.d.comb += following.eq(other_place)
        with m.Elif(system & place[System.JX.bit_length() - 1]):
            m.d.comb += following.eq(index[:PROGRAM_BITS])
        with m.If(second & ~self.hold):
            m.d.sync += here.eq(following)

        # -- FOR: after the last of its operations the first one follows, until all rounds are done
        repeats = Signal()
        first = Signal(PROGRAM_BITS)
        rounds = Signal.like(round_)  # to come
        left_in_round = Signal(2)
        in_round = Signal(2)
        last = Signal()
        m.d.comb += last.eq(repeats & (left_in_round == 0))
        with m.If(acts):
            with m.If(jumps & (kind == Jump.FOR)):
                m.d.sync += [
                    repeats.eq(1),
                    first.eq(behind),
                    rounds.eq(target[:4]),
                    in_round.eq(target[4:6]),
                    left_in_round.eq(target[4:6]),
                ]
            with m.Elif(last):
                m.d.sync += [left_in_round.eq(in_round), round_.eq(round_ + 1), rounds.eq(rounds - 1)]
                with m.If(rounds == 0):
                    m.d.sync += [repeats.eq(0), round_.eq(0)]
                with m.Else():
                    m.d.comb += following.eq(first)
            with m.Else():
                m.d.sync += left_in_round.eq(left_in_round - 1)
        with m.If(acts):
            with m.If(is_call):
                m.d.sync += depth.eq(depth + 1)
            with m.If(returns):
                m.d.sync += depth.eq(depth - 1)
            with m.If(yields):
                m.d.sync += [other_place.eq(behind), task.eq(~task), depth.eq(other_depth), other_depth.eq(depth)]
        return m
