"""The assembler: what lines mean, and what it says of lines that mean nothing."""

from __future__ import annotations

import pytest

from tag34_hdl.compact.assembler import ProgramError, Variable
from tag34_hdl.compact.instructions import Jump, Mode, Operation, System, jump, operation, repeat
from tests.hdl.compact.machine import VARIABLES, assembler


def words(text: str) -> list[int]:
    program = assembler(LIMIT=300)
    program.add("test", text)
    return program.finish()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("ld #7", operation(Operation.LD, Mode.VALUE, 7)),
        ("ld #'A'", operation(Operation.LD, Mode.VALUE, 65)),
        ("ld #';' ; not a comment", operation(Operation.LD, Mode.VALUE, 59)),
        ("ld #LIMIT >> 8", operation(Operation.LD, Mode.VALUE, 1)),
        ("add #LIMIT & 255", operation(Operation.ADD, Mode.VALUE, 44)),
        ("st b+3", operation(Operation.ST, Mode.GLOBAL, 11)),
        ("ld #b + 1", operation(Operation.LD, Mode.VALUE, 9)),
        ("cpc other", operation(Operation.CPC, Mode.SESSION, 8)),
        ("inc [x]", operation(Operation.INC, Mode.INDEXED, 0)),
        ("ld [x+]", operation(Operation.LD, Mode.NEXT, 0)),
        ("rld [x:5]", operation(Operation.RLD, Mode.ENTRY, 5)),
        ("st OUT", operation(Operation.ST, Mode.PORT, 8)),
        ("ld IN", operation(Operation.LD, Mode.PORT, 8)),
        ("ret", operation(Operation.SYS, Mode.VALUE, System.RET)),
        ("here: jmp here", jump(Jump.JMP, 0)),
        ("here: .inside: bge .inside", jump(Jump.BCC, 0)),
    ],
)
def test_lines(line: str, word: int) -> None:
    assert words(line) == [word]


def test_labels_may_come_later_and_belong_to_others() -> None:
    text = "one:\nbeq .end\n.end:\ntwo:\nbne .end\ncall one\n.end:\nld #low(two)"
    assert words(text) == [
        jump(Jump.BEQ, 1),
        jump(Jump.BNE, 3),
        jump(Jump.CALL, 0),
        operation(Operation.LD, Mode.VALUE, 1),
    ]


def test_macros_become_words() -> None:
    assert words("move a, b, 3") == [
        repeat(3, 2),
        operation(Operation.LD, Mode.GLOBAL, 8),
        operation(Operation.ST, Mode.GLOBAL, 0),
    ]
    assert words("clear s") == [operation(Operation.LD, Mode.VALUE, 0), operation(Operation.ST, Mode.GLOBAL, 64)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hop", "test:1: hop with 0 operands means nothing"),
        ("ld a, b", "test:1: ld with 2 operands means nothing"),
        ("ld z", "test:1: z is no operand of ld"),
        ("ld OUT", "test:1: OUT is no operand of ld"),
        ("\nld a+5", "test:2: a has only 5 bytes"),
        ("move a, b, 6", "test:1: b has only 5 bytes"),
        ("jmp nowhere", "test:1: there is no label nowhere"),
        ("here:\nhere:", "test:2: here is there twice"),
        ("ld #nothing", "test:1: nothing: name 'nothing' is not defined"),
        ("ld #LIMIT", "test:1: LD 300 does not fit into a byte"),
        ("st #5", "test:1: ST cannot write there"),
        ("inc OUT", "test:1: OUT is no operand of inc"),
        ("clear a, b, c", "takes from 2 to 3 positional arguments"),
    ],
)
def test_what_means_nothing(text: str, message: str) -> None:
    with pytest.raises(ProgramError) as raised:
        words(text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jump(Jump.JMP, 4096), "a jump to 4096 goes beyond 4096 words"),
        (lambda: repeat(17, 1), "1 operations cannot be done 17 times"),
        (lambda: repeat(1, 5), "5 operations cannot be done 1 times"),
        (lambda: operation(Operation.LD, Mode.GLOBAL, 256), "LD 256 does not fit into a byte"),
        (lambda: operation(Operation.DEC, Mode.PORT, 1), "DEC cannot write there"),
    ],
)
def test_what_no_word_can_say(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_variables_are_where_they_are_said_to_be() -> None:
    assert VARIABLES["other"] == Variable(Mode.SESSION, 8, 5)
