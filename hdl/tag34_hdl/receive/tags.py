"""What the wide scanner knows of a byte, and how it finds words like ``|34=`` that may lie across pieces and words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from amaranth import C, Cat, Module, Mux, Signal, Value

from tag34.contract import DATA_FIELDS, HEADER_TAGS, SOH

#: Classes of bytes: digits are 0 to 9, the others are none of them.
CLASS_BITS = 4
CLASSES = {**{str(digit): digit for digit in range(10)}, "|": 10, "=": 11, "Y": 12, "A": 13}
OTHER = 15

#: The place of each symbol where it has a bit of its own.
MARKS = {symbol: place for place, symbol in enumerate(CLASSES)}

#: Longest ``|tag=``.
LONGEST = 6


#: The bytes that symbols stand for.
BYTES = {symbol: SOH if symbol == "|" else ord(symbol) for symbol in CLASSES}


def classify(byte: Value) -> Value:
    """The class of a byte."""
    result: Value = Mux((byte[4:] == 3) & (byte[:4] < 10), byte[:4], OTHER)
    for symbol, number in CLASSES.items():
        if number >= 10:
            result = Mux(byte == BYTES[symbol], number, result)
    return result[:CLASS_BITS]


class Lanes:
    """The lanes of the word at hand, and those before it: lane -1 is the last one of the word before.

    Parameters: ``m``, where logic goes; ``word``, the lanes; ``depth``, number of lanes kept of the words before;
    ``name`` of the registers; ``codes`` of symbols, as the lanes have them.
    """

    def __init__(self, m: Module, word: Sequence[Value], depth: int, name: str, codes: Mapping[str, int] = CLASSES):
        self._m = m
        self._name = name
        self._codes = codes
        self._spelt: dict[tuple[int, str], Signal] = {}
        self.word = list(word)
        self.past = [Signal(len(self.word[0]), name=f"{name}_past_{place}") for place in range(depth)]

    def __getitem__(self, lane: int) -> Value:
        return self.word[lane] if lane >= 0 else self.past[-lane - 1]

    def go_on(self) -> None:
        """The word at hand is full and has been dealt with."""
        self._m.d.sync += [register.eq(self[len(self.word) - 1 - place]) for place, register in enumerate(self.past)]

    def _signal(self, lane: int, text: str) -> Signal:
        signal = self._spelt[lane, text] = Signal(name=f"{self._name}_{lane}_{text}")
        return signal

    def has(self, lane: int, symbol: str) -> Signal:
        """A lane holds ``symbol``."""
        if (lane, symbol) not in self._spelt:
            self._m.d.comb += self._signal(lane, symbol).eq(self._holds(lane, self._codes[symbol]))
        return self._spelt[lane, symbol]

    def _holds(self, lane: int, code: int) -> Value:
        return self[lane] == code

    def spell(self, last: int, text: str) -> Signal:
        """The lanes up to and including ``last`` read ``text``; ``?`` is anything."""
        if (last, text) not in self._spelt:
            first = last - len(text) + 1
            symbols = [self.has(first + place, symbol) for place, symbol in enumerate(text) if symbol != "?"]
            self._m.d.comb += self._signal(last, text).eq(Cat(symbols).all())
        return self._spelt[last, text]

    def begins_with(self, lane: int, texts: Collection[str]) -> Value:
        """One of ``texts`` stands in ``lane`` and those behind it."""
        if "" in texts:
            return C(1)
        heads = sorted({text[0] for text in texts})
        return Cat(
            self.has(lane, head) & self.begins_with(lane + 1, {text[1:] for text in texts if text[0] == head})
            for head in heads
        ).any()


class MarkedLanes(Lanes):
    """Lanes that have a bit for each symbol: whether they hold it. ``codes`` are the places of the bits."""

    def _holds(self, lane: int, code: int) -> Value:
        return self[lane][code]


#: Header fields up to their ``=``.
HEADER = frozenset(f"{tag}=" for tag in HEADER_TAGS)


def ends_header(lanes: Lanes, lane: int) -> Value:
    """Five lanes ago a field began behind a SOH, and its tag is none of the header's: by now it could be whole."""
    soh = lane - LONGEST + 1
    return lanes.has(soh, "|") & ~lanes.begins_with(soh + 1, HEADER)


#: Tags of length fields and of the data fields that belong to them.
PAIRS = [(str(length), str(data)) for length, data in sorted(DATA_FIELDS.items())]


def length_tag(lanes: Lanes, lane: int) -> Value:
    """Which of :data:`PAIRS` has its length field's ``=`` in this lane; one bit for each."""
    return Cat(lanes.spell(lane, f"|{length}=") for length, _ in PAIRS)


def first_of(bits: Value, apart: int) -> Value:
    """``bits`` but for those that stand behind another one; no two are closer than ``apart``."""
    return Cat(bits[lane] & ~bits[: max(0, lane - apart + 1)].any() for lane in range(len(bits)))


def behind(starts: Value, stops: Value, before: Value) -> list[Value]:
    """Where what begins behind a lane of ``starts`` goes on: up to and including the next lane of ``stops``.

    ``before``: it goes on from the word before. One value per lane, and one for the first lane of the next word.
    """
    sources = [before, *starts]  # what stands in front of lane 0, 1, ...
    return [
        Cat(source & ~stops[place:lane].any() for place, source in enumerate(sources[: lane + 1])).any()
        for lane in range(len(starts) + 1)
    ]
