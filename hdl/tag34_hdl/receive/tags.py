"""What the wide scanner knows of a byte, and how it finds words like ``|34=`` that may lie across pieces and words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from operator import and_

from amaranth import C, Module, Signal, Value

from tag34.contract import DATA_FIELDS, HEADER_TAGS, SOH

from ..vectors import any_of, wire
from .lanes import window

#: Classes of bytes: digits are 0 to 9, the others are none of them.
CLASS_BITS = 4
CLASSES = {**{str(digit): digit for digit in range(10)}, "|": 10, "=": 11, "Y": 12, "A": 13}

#: Longest ``|tag=``.
LONGEST = 6


#: The bytes that symbols stand for.
BYTES = {symbol: SOH if symbol == "|" else ord(symbol) for symbol in CLASSES}


def classify(digits: Value, low: Sequence[Value], holds: Mapping[str, Value]) -> list[Value]:
    """The classes of bytes, bit by bit; ``digits``: lanes with one, ``low``: low bits, ``holds``: lanes with a symbol.

    A byte that has no class has all bits set.
    """

    def zeros(bit: int) -> list[Value]:
        return [holds[symbol] for symbol, number in CLASSES.items() if number >= 10 and not number >> bit & 1]

    return [(digits & plane) | ~any_of([digits, *zeros(bit)]) for bit, plane in enumerate(low)]


class Lanes:
    """Symbols in the lanes of a word, and in those before it.

    Parameters: ``m``, where logic goes; ``name`` of signals; ``width``, number of lanes; ``holds``, of each symbol the
    lanes that have it: some before the word, then the word's.
    """

    def __init__(self, m: Module, name: str, width: int, holds: Mapping[str, Value]):
        self._m = m
        self._name = name
        self._width = width
        self._holds = holds
        self._spelt: dict[str, Signal] = {}
        self._begun: dict[tuple[int, frozenset[str]], Signal] = {}

    def has(self, symbol: str, back: int = 0) -> Value:
        """Lanes so many behind one with ``symbol``."""
        return window(self._holds[symbol], self._width, back)

    def spell(self, text: str) -> Signal:
        """Lanes that ``text`` ends in; ``?`` is anything."""
        if text not in self._spelt:
            symbols = [self.has(symbol, back) for back, symbol in enumerate(reversed(text)) if symbol != "?"]
            self._spelt[text] = wire(self._m, reduce(and_, symbols), f"{self._name}_{text}")
        return self._spelt[text]

    def begins_with(self, back: int, texts: Collection[str]) -> Value:
        """Lanes so many behind one in which one of ``texts`` begins."""
        if "" in texts:
            return C(-1, self._width)
        key = back, frozenset(texts)
        if key not in self._begun:
            heads: dict[frozenset[str], list[str]] = {}  # of texts that go on alike
            for head in sorted({text[0] for text in texts}):
                heads.setdefault(frozenset(text[1:] for text in texts if text[0] == head), []).append(head)
            begins = any_of(
                any_of(self.has(head, back) for head in alike) & self.begins_with(back - 1, rest)
                for rest, alike in heads.items()
            )
            self._begun[key] = wire(self._m, begins, f"{self._name}_begins_{back}")
        return self._begun[key]


#: Header fields up to their ``=``.
HEADER = frozenset(f"{tag}=" for tag in HEADER_TAGS)


def ends_header(lanes: Lanes) -> Value:
    """Five lanes ago a field began behind a SOH, and its tag is none of the header's: by now it could be whole."""
    back = LONGEST - 1
    return lanes.has("|", back) & ~lanes.begins_with(back - 1, HEADER)


#: Tags of length fields and of the data fields that belong to them.
PAIRS = [(str(length), str(data)) for length, data in sorted(DATA_FIELDS.items())]
