"""The program as a whole: it fits, and each register has its place in it."""

from __future__ import annotations

from typing import Any

import pytest

from tag34.contract import REGISTERS, Access
from tag34_hdl.compact.instructions import PROGRAM_BITS, Jump, jump
from tag34_hdl.compact.program import TEXTS, build
from tag34_hdl.compact.program.variables import GLOBAL, SESSION, Pages, variables
from tag34_hdl.layouts import Shape
from tests.hdl.bench import refusal

SMALL = Shape(window=8, max_message=256, hold=2, clock_hz=12_000_000, compact=True)
LARGE = Shape(sessions=32, window=64, max_message=32768, hold=200, compact=True)


@pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["small", "large"])
def test_it_fits(shape: Shape) -> None:
    program = build(shape)
    assert len(program.words) <= 1 << PROGRAM_BITS
    assert all(0 <= word < 1 << 16 for word in program.words)
    assert program.pages <= 256


def test_every_register_is_carried_out_where_the_tables_say() -> None:
    program = build(SMALL)
    for register in REGISTERS.values():
        name = register.name.lower()
        read = "answer_nothing" if register.access is Access.WO else f"read_{name}"
        write = "main" if register.access is Access.RO else f"write_{name}"
        for table, target in (("read_table", read), ("write_table", write)):
            word = program.words[program.labels[table] + register.address]
            assert word == jump(Jump.JMP, program.labels[target]), register.name


def test_variables_do_not_overlap() -> None:
    names = [name for name, _ in (*GLOBAL, *SESSION)]
    assert len(names) == len(set(names))
    assert len({(variables()[name].mode, variables()[name].place) for name in names}) == len(names)


def test_pages_do_not_overlap() -> None:
    pages = Pages(sessions=5, window_pages=2)
    begins = [0, pages.free, pages.state, pages.ident, pages.counter, pages.window, pages.all]
    assert begins == [0, 1, 2, 7, 12, 17, 27]


def test_texts_are_all_there() -> None:
    assert len(TEXTS) == len(set(TEXTS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 2}, "width of a compact core must be at most 1, not 2"),
        ({"window": 65}, "window of a compact core must be at most 64, not 65"),
        ({"max_message": 32769}, "max_message of a compact core must be at most 32768, not 32769"),
        ({"sessions": 33, "hold": 2}, "sessions of a compact core must be at most 32, not 33"),
        ({"sessions": 8, "hold": 201}, "hold of a compact core must be at most 200, not 201"),
        ({"clock_hz": 12_500_000}, "clock_hz of a compact core must be whole megahertz, not 12500000"),
    ],
)
def test_what_is_too_large_for_it(options: dict[str, Any], message: str) -> None:
    assert refusal(lambda: Shape(**options, compact=True)) == message
