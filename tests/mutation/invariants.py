"""Which states the core can be in: values that narrow registers, and narrow pieces of the words in memories, never
have, and pairs of values that two bits of them never have at a time. Found by throwing out of all that could be said
what does not follow from the rest."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import z3

#: Bits of what is narrow, alone and as one of two (of more there would be hundreds of thousands of pairs).
ALONE, PAIRED = 4, 1
#: Bits of a wider register that may have flags among them, and of its pieces that are looked at.
FLAGS, PIECES = 12, 2
#: What a register is called that shows a word of a block memory, and the memory in it.
WORD, MEMORY = re.compile(r"(.*\.words)\.data(_\d+)?"), ".words"
#: Pieces that are looked at, highest and lowest bit, by the number of the whole.
Spans = dict[int, set[tuple[int, int]]]
#: How much z3 may try for one answer, in units of its own, so that a busy machine changes nothing.
EFFORT = 50_000_000


@dataclass
class Variable:
    """Something that keeps a value.

    Members: ``group``, pairs are made within one; ``initial``; ``now``, where its value can be seen, at each of several
    places for a word of a memory; ``later``, the values that it can be given, and when.
    """

    group: str
    initial: int
    now: list[Any]
    later: list[tuple[Any, Any]]

    @property
    def size(self) -> int:
        """Its bits."""
        return int(self.now[0].size())


def registers(
    names: Iterable[str],
    now: Iterable[Any],
    after: Iterable[Any],
    initial: Iterable[Any],
    spans: Spans,
) -> list[Variable]:
    """The narrow ones of the core's registers, those of one component are a group; the narrow pieces that are looked at
    (``spans``) of those that are not much wider, or that show a word of a memory, each with a group of its own."""
    found = []
    for name, register, later, start in zip(names, now, after, initial, strict=True):
        group, always, first = name.partition(".")[0], z3.BoolVal(True), z3.simplify(start).as_long()
        if register.size() <= ALONE:
            found.append(Variable(group, first, [register], [(always, later)]))
            continue
        word = WORD.fullmatch(name)
        bits = ALONE if word else PIECES if register.size() <= FLAGS else 0
        for high, low in sorted(spans.get(register.get_id(), ())):
            if high - low < bits:
                piece, given = (z3.Extract(high, low, value) for value in (register, later))
                start_value = first >> low & (1 << high - low + 1) - 1
                found.append(Variable(name, start_value, [piece], [(always, given)]))
    return found


def spans_of(roots: Iterable[Any]) -> Spans:
    """Which pieces of what ``roots`` look at: highest and lowest bit, by the number of the whole."""
    seen = set[int]()
    spans = defaultdict[int, set[tuple[int, int]]](set)
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.get_id() in seen:
            continue
        seen.add(node.get_id())
        if z3.is_app_of(node, z3.Z3_OP_EXTRACT):
            high, low = node.params()
            spans[node.arg(0).get_id()].add((high, low))
        waiting += node.children()
    return spans


def pieces(
    inputs: dict[str, Any], outputs: dict[str, Any], found: Spans, words: Iterable[tuple[str, Any]]
) -> list[Variable]:
    """The narrow pieces of words in memories that are looked at (``found``), there or in the registers that show them
    (``words``: name and register); those of one memory are a group. All memories start with zeros."""
    spans = defaultdict[str, set[tuple[int, int]]](set)
    for name, value in inputs.items():
        memory = name.rpartition(".")[0]
        if not name.endswith(".RD_DATA") or f"{memory}.WR_DATA" not in outputs:
            continue  # no memory, or nothing is ever written there
        width = value.size() // outputs[f"{memory}.RD_CLK"].size()
        for part, at in _parts(value):
            looked_at = {(high + at, low + at) for high, low in found.get(part.get_id(), ())}
            if part.size() <= ALONE:
                looked_at.add((at + part.size() - 1, at))
            for high, low in looked_at:
                if high - low < ALONE and high // width == low // width:
                    spans[memory].add((high % width, low % width))
    for name, register in words:
        word = WORD.fullmatch(name)
        if word and f"{word[1]}{MEMORY}.WR_DATA" in outputs:
            spans[word[1] + MEMORY] |= {(high, low) for high, low in found[register.get_id()] if high - low < ALONE}
    return [
        _piece(memory, high, low, inputs, outputs) for memory in sorted(spans) for high, low in sorted(spans[memory])
    ]


def _parts(value: Any) -> Iterator[tuple[Any, int]]:
    """What a value is put together of, from the lowest bit on, and the place of each part."""
    at = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if z3.is_app_of(part, z3.Z3_OP_CONCAT):
            waiting += part.children()
        else:
            yield part, at
            at += part.size()


def _piece(memory: str, high: int, low: int, inputs: dict[str, Any], outputs: dict[str, Any]) -> Variable:
    data, written, enabled = inputs[f"{memory}.RD_DATA"], outputs[f"{memory}.WR_DATA"], outputs[f"{memory}.WR_EN"]
    readers, writers = outputs[f"{memory}.RD_CLK"].size(), outputs[f"{memory}.WR_CLK"].size()
    width = data.size() // readers
    now = [z3.Extract(port * width + high, port * width + low, data) for port in range(readers)]
    later = [
        (
            z3.Extract(port * width + high, port * width + low, enabled) != 0,
            z3.Extract(port * width + high, port * width + low, written),
        )
        for port in range(writers)
    ]
    return Variable(memory, 0, now, later)


Claim = tuple[Any, Any]


def _alone(variables: Iterable[Variable]) -> Iterator[Claim]:
    """What could be said of each: that it is so, and that it is not so any more a cycle later."""
    for variable in variables:
        for value in range(1 << variable.size):
            if value != variable.initial:
                holds = z3.And([place != value for place in variable.now])
                yield holds, z3.Or([z3.And(when, given == value) for when, given in variable.later])


def _pairs(variables: Iterable[Variable]) -> Iterator[Claim]:
    """What could be said of two of them."""
    for left, right in combinations(variables, 2):
        for one, other in product(range(1 << left.size), range(1 << right.size)):
            if (one, other) != (left.initial, right.initial):
                places = zip(left.now, right.now, strict=True)
                holds = z3.And([z3.Or(a != one, b != other) for a, b in places])
                given = zip(left.later, right.later, strict=True)
                yield holds, z3.Or([z3.And(when, a == one, b == other) for (when, a), (_, b) in given])


def possible(variables: list[Variable], partly: list[Any], effort: int = EFFORT) -> list[Any]:
    """What holds in all states that the core can be in.

    ``partly``: conditions under which a word of a memory is written in part, which would be more than is understood
    here; ``effort`` of z3 for one question: where it is not enough, nothing is claimed.
    """
    groups = defaultdict[str, list[Variable]](list)
    for variable in variables:
        if variable.size <= PAIRED:
            groups[variable.group].append(variable)
    known = _lasting(list(_alone(variables)), [], partly, effort)
    # What is saved of registers, and loaded into them later: so all pairs are looked at together.
    return known + _lasting([claim for group in groups.values() for claim in _pairs(group)], known, partly, effort)


def _lasting(claims: list[Claim], known: list[Any], partly: list[Any], effort: int) -> list[Any]:
    """Those claims that follow from themselves, and from what is known, a cycle later."""
    asks = z3.SolverFor("QF_BV")
    asks.set("rlimit", effort)
    asks.add(*known)
    while claims:
        asks.push()
        asks.add(*(holds for holds, _ in claims))
        asks.add(z3.Or([*(ends for _, ends in claims), *partly]))
        verdict = asks.check()
        if verdict == z3.unsat:
            break
        if verdict != z3.sat:
            return []
        model = asks.model()
        left = [(holds, ends) for holds, ends in claims if not z3.is_true(model.eval(ends, model_completion=True))]
        asks.pop()
        if len(left) == len(claims):
            return []  # a word is written in part
        claims = left
    return [holds for holds, _ in claims]
