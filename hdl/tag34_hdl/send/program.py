"""What a message is made of (S1): a program of steps, and the chunks of bytes that a step gives."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import unsigned
from amaranth.lib import data, enum
from amaranth.utils import ceil_log2

from tag34.contract import SOH

from ..layouts import IDENT_BITS, Shape
from ..receive.fields import OURS, THEIRS


class Source(enum.Enum, shape=3):
    """Where the bytes of a step come from."""

    TEXT = 0  #: literal bytes
    BEGIN = 1  #: ``8=``, BeginString and its SOH
    IDENT = 2  #: a CompID and its SOH
    NUMBER = 3  #: a number without leading zeros
    TYPE = 4  #: MsgType
    TIME = 5  #: SendingTime
    BODY = 6  #: what the host gave
    SUM = 7  #: three digits of CheckSum and its SOH


class Number(enum.Enum, shape=2):
    """Numbers that a message may show."""

    BODY_LENGTH = 0
    SEQ = 1
    BEGIN = 2
    END = 3


class Then(enum.Enum, shape=2):
    """What follows a step."""

    NEXT = 0  #: the step behind it
    BODY = 1  #: what this message has for a body: a request's fields, the host's bytes or nothing
    TRAILER = 2  #: the trailer
    END = 3  #: the next message


#: A step as the program has it. ``what``: which text, ident or number; ``last``: bytes of a text, less one; ``summed``:
#: its bytes count for CheckSum.
Word = data.StructLayout({"source": Source, "what": unsigned(4), "last": unsigned(2), "summed": 1, "then": Then})


@dataclass(frozen=True)
class Step:
    """One step."""

    source: Source
    text: bytes = b""
    what: int = 0
    summed: bool = True
    then: Then = Then.NEXT  # type: ignore[assignment]  # Amaranth's enumerations are not known to mypy


class Program:
    """The steps of a message: header, the body of a request or of a host message, trailer.

    Parameters: ``width``, bytes that a step of text may have; longer ones are several steps.

    Members: ``words``, the steps; ``texts``, those that ``what`` of a text may mean; ``request``, ``host``,
        ``trailer``: where those parts begin. The header begins at 0.
    """

    def __init__(self, width: int):
        soh = bytes([SOH])

        def text(characters: bytes, *, summed: bool = True, then: Then = Then.NEXT) -> list[Step]:  # type: ignore[assignment]
            pieces = [characters[place : place + width] for place in range(0, len(characters), width)]
            steps = [Step(Source.TEXT, piece, summed=summed) for piece in pieces[:-1]]
            return [*steps, Step(Source.TEXT, pieces[-1], summed=summed, then=then)]

        def number(which: Number) -> Step:
            return Step(Source.NUMBER, what=which.value)

        header = [
            Step(Source.BEGIN),
            *text(b"9="),
            number(Number.BODY_LENGTH),
            *text(soh + b"35="),
            Step(Source.TYPE),
            *text(soh + b"49="),
            Step(Source.IDENT, what=OURS),
            *text(b"56="),
            Step(Source.IDENT, what=THEIRS),
            *text(b"34="),
            number(Number.SEQ),
            *text(soh + b"52="),
            Step(Source.TIME),
            *text(soh, then=Then.BODY),
        ]
        request = [
            *text(b"7="),
            number(Number.BEGIN),
            *text(soh + b"16="),
            number(Number.END),
            *text(soh, then=Then.TRAILER),
        ]
        host = [Step(Source.BODY, then=Then.TRAILER)]
        trailer = [*text(b"10=", summed=False), Step(Source.SUM, summed=False, then=Then.END)]
        steps = [*header, *request, *host, *trailer]
        self.request = len(header)
        self.host = self.request + len(request)
        self.trailer = self.host + len(host)
        self.texts = sorted({step.text for step in steps if step.source is Source.TEXT})
        self.words = [
            Word.const(
                {
                    "source": step.source,
                    "what": self.texts.index(step.text) if step.text else step.what,
                    "last": max(0, len(step.text) - 1),
                    "summed": step.summed,
                    "then": step.then,
                }
            )
            for step in steps
        ]


def words_of_step(shape: Shape) -> int:
    """Words that a step may have at most: those of the longest body, or of the longest of the other ones."""
    return -(-max(shape.max_message, (1 << IDENT_BITS) + 2) // shape.width)


def chunk_layout(shape: Shape) -> data.StructLayout:
    """Up to ``width`` bytes of a step: in the lowest lanes or, ``right``, in the highest. ``place``: words of the step
    before them, ``left``: behind them; ``ends``: the last of a message."""
    words = unsigned(ceil_log2(words_of_step(shape)))
    return data.StructLayout(
        {
            "source": Source,
            "what": unsigned(4),
            "place": words,
            "left": words,
            "count": range(shape.width + 1),
            "right": 1,
            "summed": 1,
            "ends": 1,
        }
    )
