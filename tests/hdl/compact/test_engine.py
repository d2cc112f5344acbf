"""The engine: each operation against what Python makes of it, jumps, calls, tasks, rounds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tag34.contract import from_bcd, to_bcd
from tag34_hdl.compact.engine import DEPTH, Engine
from tag34_hdl.compact.instructions import Mode, Operation, operation
from tests.hdl.bench import simulate
from tests.hdl.compact.machine import outputs, run

DIGITS = 10
#: Tells of A, then of Z and C (2 and 1).
TELL = """
        st OUT
        beq .zero{0}
        bcs .carry{0}
        put OUT, #0
        jmp .end{0}
.carry{0}:
        put OUT, #1
        jmp .end{0}
.zero{0}:
        bcs .both{0}
        put OUT, #2
        jmp .end{0}
.both{0}:
        put OUT, #3
.end{0}:
"""


def result(op: str, a: int, m: int, carry: int) -> tuple[int, bool, int]:
    """A, Z and C after an operation on A and M; Z of one that takes the carry as if nothing came before."""
    if op in ("ld", "and", "or"):
        value = {"ld": m, "and": a & m, "or": a | m}[op]
        return value, value == 0, carry
    if op in ("dad", "dsb"):
        total = from_bcd(a) + (from_bcd(m) + carry) * (1 if op == "dad" else -1)
        value = to_bcd(total % 100, 2)
        return value, value == 0, int(not 0 <= total < 100)
    sign = 1 if op in ("add", "adc") else -1
    total = a + sign * (m + carry * (op in ("adc", "sbc", "cpc")))
    value = total & 255
    return (a if op in ("cmp", "cpc") else value), value == 0, int(not 0 <= total < 256)


@pytest.mark.parametrize("op", ["ld", "add", "adc", "sub", "sbc", "cmp", "cpc", "and", "or", "dad", "dsb"])
def test_operations(op: str, rng: random.Random) -> None:
    decimal = op in ("dad", "dsb")
    edges = [0x00, 0x01, 0x09, 0x10, 0x50, 0x90, 0x99] if decimal else [0, 1, 0x7F, 0x80, 0xFE, 0xFF]
    values = [(a, m, carry) for a in edges for m in edges for carry in (0, 1)]

    def byte() -> int:
        return to_bcd(rng.randrange(100), 2) if decimal else rng.randrange(256)

    values += [(byte(), byte(), rng.randrange(2)) for _ in range(60)]
    text = ["test:"]
    for index, (a, m, carry) in enumerate(values):
        # What M is must make no difference to where it is.
        text += [f"put s, #{m}", "carry" if carry else "begin", f"ld #{a}", f"{op} {rng.choice([f'#{m}', 's'])}"]
        text.append(TELL.format(index))
    told = outputs("\n".join([*text, "st STOP"]))
    for (a, m, carry), value, flags in zip(values, told[::2], told[1::2], strict=True):
        wanted, zero, over = result(op, a, m, carry)
        assert (value, flags) == (wanted, 2 * zero + over), f"{op} {a:02x} {m:02x} {carry}"


def test_counting_in_memory() -> None:
    text = "test:"
    for index, (op, value) in enumerate([("inc", 0), ("inc", 254), ("inc", 255), ("dec", 0), ("dec", 1), ("dec", 255)]):
        text += f"\nput s, #{value}\n{op} s\n{TELL.format(index)}\nput OUT, s\n"
    told = outputs(text + "st STOP")
    assert told[1::3] == [0, 0, 3, 1, 2, 0]
    assert told[2::3] == [1, 255, 0, 255, 0, 254]


def test_digits_are_shifted_in() -> None:
    text = "put s, #0x12\nld #0x7\nrld s\nst OUT\nput OUT, s\nld #0xF3\nrld s\nst OUT\nput OUT, s\nst STOP"
    assert outputs(text) == [1, 0x27, 2, 0x73]


def test_operands_are_found_everywhere() -> None:
    text = """
        put PAGE, #2
        put own+1, #11                  ; at 2 * 256 + 1
        put PAGE, #3
        put own+1, #12
        put XH, #2
        put XL, #0xF1
        put OUT, [x:1]                  ; 0xF1
        put [x:1], #13
        put OUT, [x]
        put XL, #1
        put OUT, [x]
        put XL, #255
        put [x+], #14                   ; and on to the next page
        put [x+], #15
        put OUT, [x]
        put OUT, XH
        put XH, #2
        put XL, #255
        put OUT, [x+]
        put OUT, [x+]
        put OUT, own
        swap
        st OUT
        st STOP
"""
    assert outputs(text) == [0, 13, 11, 12, 3, 14, 15, 15, 0xF0]


def test_jumps_and_calls() -> None:
    text = """
        jmp start
one:
        put OUT, #1
        call two
        put OUT, #3
        ret
two:
        put OUT, #2
        ret
start:
        call one
        ld #low(there)
        st XL
        ld #high(there)
        st XH
        jx
        put OUT, #99
there:
        put OUT, #4
        st STOP
"""
    assert outputs(text) == [1, 2, 3, 4]


def test_calls_within_calls() -> None:
    depth = DEPTH - 1
    text = "\n".join(["call level_1", "st STOP"])
    for level in range(1, depth + 1):
        inner = f"call level_{level + 1}" if level < depth else ""
        text += f"\nlevel_{level}:\nput OUT, #{level}\n{inner}\nput OUT, #{level}\nret"
    assert outputs(text) == [*range(1, depth + 1), *range(depth, 0, -1)]


def test_tasks_take_turns_and_have_calls_of_their_own() -> None:
    text = """
first:
        put OUT, #1
        call .inside
        put OUT, #3
        yield
        st STOP
.inside:
        yield
        put OUT, #2
        ret
second:
        put OUT, #11
        call .deep
        put OUT, #14
        yield
        jmp second
.deep:
        call .deeper
        put OUT, #13
        ret
.deeper:
        put OUT, #12
        yield
        ret
"""
    assert outputs(text, second="second") == [1, 11, 12, 2, 3, 13, 14]


def test_for_does_the_next_operations_on_all_bytes() -> None:
    """One to four operations, one to sixteen times; flags of all bytes; then all is as before."""
    text = """
        move a, c, 5
        clear b, 5
        put c, #1
        put c+4, #5
        move b, c, 5
        put OUT, b
        put OUT, b+3
        put OUT, b+4
        plus b, c, 5
        put OUT, b+4
        clear s
        put OUT, b+4
        st STOP
"""
    assert outputs(text) == [1, 0, 5, 0x10, 0x10]


@pytest.mark.parametrize("size", [1, 5])
def test_numbers(size: int, rng: random.Random) -> None:
    """Decimal arithmetic of many bytes."""
    digits = 2 * size
    largest = 10**digits - 1
    numbers = [0, 1, 9, 10, largest - 1, largest, *(rng.randrange(10 ** rng.randint(1, digits)) for _ in range(12))]
    pairs = [(a, b) for a in numbers[:6] for b in numbers[:6]] + [(rng.choice(numbers), n) for n in numbers]
    text = ["test:"]
    for index, (left, right) in enumerate(pairs):
        for name, number in (("a", left), ("b", right)):
            for byte, value in enumerate(to_bcd(number, digits).to_bytes(size, "little")):
                text.append(f"put {name}+{byte}, #{value}")
        text += [f"compare a, b, {size}", TELL.format(f"_c{index}")]
        text += [f"move c, a, {size}", f"plus c, b, {size}", *(f"put OUT, c+{byte}" for byte in range(size))]
        text += [f"minus c, a, b, {size}", *(f"put OUT, c+{byte}" for byte in range(size))]
        text += [f"move c, a, {size}", f"count_decimal c, {size}", *(f"put OUT, c+{byte}" for byte in range(size))]
        text += [f"move c, a, {size}", f"less_one c, {size}", *(f"put OUT, c+{byte}" for byte in range(size))]
    # More than fits into a program at once.
    told: list[int] = []
    each = (len(text) - 1) // len(pairs)
    for first in range(0, len(pairs), 16):
        part = text[1 + each * first : 1 + each * (first + 16)]
        told += outputs("\n".join(["test:", *part, "st STOP"]))
    wanted = []
    for left, right in pairs:
        wanted += [to_bcd(left, digits) >> 8 * (size - 1), 2 * (left == right) + (left < right)]
        for number in (left + right, left - right, left + 1, left - 1):
            wanted += to_bcd(number % 10**digits, digits).to_bytes(size, "little")
    assert told == wanted


def test_binary_numbers() -> None:
    text = """
        put a, #255
        put a+1, #255
        count a, 3
        put OUT, a
        put OUT, a+2
        borrow a, 3
        put OUT, a+1
        put b, #2
        plus_binary a, b, 3
        put OUT, a
        put OUT, a+2
        plus_one_binary a, b, 3
        put OUT, a
        minus_binary c, b, a, 3
        put OUT, c
        put OUT, c+2
        st STOP
"""
    assert outputs(text) == [0, 1, 255, 1, 1, 4, 254, 254]


def test_ports_are_read_once_and_written() -> None:
    assert run("put NEXT, IN\nld IN\nst OUT\nst STOP", given=[7, 8]) == [("NEXT", 7), ("OUT", 8)]


def test_it_stands_still_while_it_is_held() -> None:
    """From the cycle after a write on; nothing gets lost, nothing is done twice."""
    words = [
        operation(Operation.LD, Mode.VALUE, 5),
        operation(Operation.ST, Mode.PORT, 8),
        operation(Operation.INC, Mode.GLOBAL, 0),
        operation(Operation.LD, Mode.GLOBAL, 0),
        operation(Operation.ST, Mode.PORT, 9),
    ]
    for held in range(5):
        dut = Engine(words, 0, pages=1)
        written: list[int] = []

        async def testbench(ctx: Any, dut: Engine = dut, held: int = held, written: list[int] = written) -> None:
            while len(written) < 2:
                writes = ctx.get(dut.writes)
                if writes:
                    written.append(ctx.get(dut.out))
                await ctx.tick()
                if writes:
                    ctx.set(dut.hold, 1)
                    for _ in range(held):
                        assert not ctx.get(dut.writes)
                        await ctx.tick()
                    ctx.set(dut.hold, 0)

        simulate(dut, testbench)
        assert written == [5, 1]
