"""What stands where in a piece of a word, seen by looking back from each lane, whatever the framer is about."""

from __future__ import annotations

from typing import Any

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from ..vectors import any_of, down, from_first, runs, to_last, up, wire
from .framer import TRAILER_LENGTH
from .lanes import Row, window
from .packer import CHARACTERS, LOOK_BACK

#: Digits of BodyLength.
LENGTH_DIGITS = 6
#: Lanes in front of a piece whose digits are kept, for a BodyLength that began there.
DIGITS_BEHIND = LENGTH_DIGITS


def seen(width: int) -> data.StructLayout:
    """What is known of a piece, a bit for each lane, for new lanes only.

    ``start``: the X of ``8=FIX``; ``crowded``: and SOH behind it, in this piece, and behind that what ends or spoils
    field 9; ``closed``: and SOH behind it, but no more than that. ``soh``: the byte is one. ``type_tag``: the last byte
    of ``|35=``. ``spoils``: if the last body byte stood in such a lane, counted from :data:`TRAILER_LENGTH` before this
    word, a lane had what may not be in the trailer there.

    Of field 9, behind the SOH that ends BeginString: ``length``: the SOH of ``|9=`` and one to six digits; ``wrong``:
    the first byte that proves that there is no such field. ``near``: counted from the first SOH of the piece, ``far``:
    from a SOH before it. ``short``: such a length may be below 40. ``is_start``: the byte before and this one are
    ``8=``.
    """
    names = (
        *("start", "closed", "crowded", "soh", "type_tag", "is_start"),
        *("length_near", "length_far", "wrong_near", "wrong_far", "short"),
    )
    return data.StructLayout({"new": width, **dict.fromkeys(names, width), "spoils": TRAILER_LENGTH + width})


class Patterns:
    """The second stage: patterns of the piece at stage 1, registered.

    Parameters:
        m: the module it is in.
        width: bytes per word.
        go, word, classes: the piece at stage 1, and whether it moves on.

    Members: ``seen`` (:func:`seen`), ``digits``: values of the lanes from :data:`DIGITS_BEHIND` before the word of the
    piece that was at the second stage a cycle ago on, bit by bit, ``are_digits``.
    """

    def __init__(self, m: Module, width: int, go: Value, word: Any, classes: Any):
        self.width = width
        self.logic = logic = m.submodules.patterns = Module()
        self.seen = Signal(seen(width))
        lanes = DIGITS_BEHIND + width
        digits = Signal(data.ArrayLayout(lanes, 4), reset_less=True)
        are_digits = Signal(lanes)
        self.digits = Signal.like(digits)
        self.are_digits = Signal.like(are_digits)
        m.d.sync += [self.digits.eq(digits), self.are_digits.eq(are_digits)]

        names = (*CHARACTERS, "digit", "below_four")
        rows = {name: Row(classes[name], LOOK_BACK, name) for name in names}
        values = [Row(plane, LOOK_BACK, f"value_{bit}") for bit, plane in enumerate(classes.value)]
        with m.If(go & word.full):
            m.d.sync += [row.go_on() for row in (*rows.values(), *values)]

        def at(name: str, back: int = 0) -> Value:
            """Lanes so many behind one of a class."""
            return rows[name].back(back)

        def shared(value: Value, name: str) -> Signal:
            return wire(logic, value, name)

        new = word.mask
        soh = shared(at("soh") & new, "soh")
        # Lanes of this piece that no SOH of it is in front of.
        leading = shared(new & ~up(from_first(logic, soh), 1), "leading")

        start = shared(at("eight", 4) & at("equals", 3) & at("f", 2) & at("i", 1) & at("x") & new, "start")
        # Behind `9=` and so many digits that a SOH is in front of.
        digit_runs = [window(run, width, 1) for run in runs(logic, rows["digit"].all, LENGTH_DIGITS)]
        tags = [
            shared(run & at("equals", 1 + count) & at("nine", 2 + count) & at("soh", 3 + count), f"tag_{count}")
            for count, run in enumerate(digit_runs)
        ]
        # What ends field 9 or proves that there is none, by how far it is from the SOH in front.
        ends = {3 + count: shared(tags[count] & soh, f"end_{count}") for count in range(1, LENGTH_DIGITS + 1)}
        no_digit = ~at("digit")
        wrongs = {
            1: at("soh", 1) & ~at("nine"),
            2: at("soh", 2) & at("nine", 1) & ~at("equals"),
            3: tags[0] & no_digit,
            **{3 + count: tags[count] & no_digit & ~at("soh") for count in range(1, LENGTH_DIGITS)},
            3 + LENGTH_DIGITS: tags[LENGTH_DIGITS] & ~at("soh"),
        }
        wrongs = {by: shared(wrong & new, f"wrong_{by}") for by, wrong in wrongs.items()}

        def near(events: dict[int, Value]) -> Value:
            """Those that belong to the first SOH of the piece."""
            return any_of(event & up(leading, by) for by, event in events.items())

        def far(events: dict[int, Value]) -> Value:
            """Those that belong to a SOH before it."""
            return any_of(event & ~up(new, by) for by, event in events.items())

        # Is the first SOH behind a lane one that something follows?
        events = any_of(down(event, by) for of_kind in (ends, wrongs) for by, event in of_kind.items())
        events = shared(events, "events")
        followed = Signal(width)
        for lane in range(width - 1):
            m.d.comb += followed[lane].eq(Mux(soh[lane + 1], events[lane + 1], followed[lane + 1]))
        short = [
            tags[1],
            tags[2] & at("below_four", 2),
            *(tags[count] & at("zero", count) for count in range(3, LENGTH_DIGITS + 1)),
        ]
        trailer = ("one", "zero", "equals", "digit", "digit", "digit", "soh")
        result = {
            "new": new,
            "start": start,
            "closed": start & down(to_last(logic, soh), 1) & ~followed,
            "crowded": start & followed,
            "soh": soh,
            "type_tag": at("soh", 3) & at("three", 2) & at("five", 1) & at("equals") & new,
            "is_start": at("eight", 1) & at("equals"),
            "length_near": near(ends),
            "length_far": far(ends),
            "wrong_near": near(wrongs),
            "wrong_far": far(wrongs),
            "short": any_of(short),
            "spoils": any_of(
                Cat(C(0, TRAILER_LENGTH - 1 - place), new & ~at(name)) for place, name in enumerate(trailer)
            ),
        }
        with m.If(go):
            m.d.sync += [getattr(self.seen, name).eq(lanes_of) for name, lanes_of in result.items()]
            m.d.sync += [digits[bit].eq(row.all[LOOK_BACK - DIGITS_BEHIND :]) for bit, row in enumerate(values)]
            m.d.sync += are_digits.eq(rows["digit"].all[LOOK_BACK - DIGITS_BEHIND :])

    def length_digits(self, chosen: Value) -> list[Value]:
        """The six digits of the BodyLength that ends in front of the lane ``chosen`` (one-hot), the last digit first;
        zeros where there are fewer."""
        digits = []
        for place, run in enumerate(runs(self.logic, self.are_digits, LENGTH_DIGITS)[1:]):
            here = wire(self.logic, chosen & window(run, self.width, 1), f"here_{place}")
            digits.append(Cat((window(plane, self.width, 1 + place) & here).any() for plane in self.digits))
        return digits
