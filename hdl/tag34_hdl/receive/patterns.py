"""What stands where in a piece of a word, seen by looking back from each lane, whatever the framer is about."""

from __future__ import annotations

from typing import Any

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from .framer import TRAILER_LENGTH
from .packer import LOOK_BACK, Class

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
    piece that was at the second stage a cycle ago on, ``are_digits``.
    """

    def __init__(self, m: Module, width: int, go: Value, word: Any, classes: Any):
        self.seen = Signal(seen(width))
        lanes = DIGITS_BEHIND + width
        digits = Signal(data.ArrayLayout(4, lanes), reset_less=True)
        are_digits = Signal(lanes)
        self.digits = Signal.like(digits)
        self.are_digits = Signal.like(are_digits)
        m.d.sync += [self.digits.eq(digits), self.are_digits.eq(are_digits)]

        past = Signal(data.ArrayLayout(Class, LOOK_BACK))  # the lanes in front of the word, the last one at the end
        lane_range = range(width)
        around = [past[i] for i in range(LOOK_BACK)] + [classes[i] for i in lane_range]
        new_around = [C(0, 1)] * LOOK_BACK + [word.mask[i] for i in lane_range]

        def at(lane: int, name: str) -> Value:
            return Value.cast(around[LOOK_BACK + lane][name])

        def new(lane: int) -> Value:
            return new_around[LOOK_BACK + lane]

        with m.If(go & word.full):
            for i in range(LOOK_BACK):
                m.d.sync += past[i].eq(around[width + i])

        # SOH in this piece before a lane, and behind it.
        soh = [at(i, "soh") & new(i) for i in lane_range]
        before = [Cat(soh[:i]).any() if i else C(0, 1) for i in lane_range]
        behind = [Cat(soh[i + 1 :]).any() if i + 1 < width else C(0, 1) for i in lane_range]

        result: dict[str, list[Value]] = {name: [] for name in seen(width).members}
        events: list[list[Value]] = [[] for _ in lane_range]  # of the field 9 behind a SOH in this lane
        for i in lane_range:
            here = new(i)
            start = (
                Cat(at(i - 4, "eight"), at(i - 3, "equals"), at(i - 2, "f"), at(i - 1, "i"), at(i, "x")).all() & here
            )
            tags = []  # the SOH in front of `9=` and as many digits, for each number of them
            for count in range(LENGTH_DIGITS + 1):
                run = Cat(at(i - 1 - j, "digit") for j in range(count))
                tag = at(i - 1 - count, "equals") & at(i - 2 - count, "nine") & at(i - 3 - count, "soh")
                tags.append(tag & (run.all() if count else 1))

            def is_near(head: int) -> Value:
                return new(head) & ~before[head] if head >= 0 else C(0, 1)

            def is_far(head: int) -> Value:
                return ~new(head)

            ends = [tags[count] & at(i, "soh") & here for count in range(1, LENGTH_DIGITS + 1)]
            wrongs = {
                1: at(i - 1, "soh") & ~at(i, "nine"),
                2: at(i - 2, "soh") & at(i - 1, "nine") & ~at(i, "equals"),
                3: tags[0] & ~at(i, "digit"),
                9: tags[LENGTH_DIGITS] & ~at(i, "soh"),
            }
            for count in range(1, LENGTH_DIGITS):
                wrongs[3 + count] = tags[count] & ~at(i, "digit") & ~at(i, "soh")
            for head, event in [
                *((i - 3 - count, ends[count - 1]) for count in range(1, LENGTH_DIGITS + 1)),
                *((i - back, wrong & here) for back, wrong in wrongs.items()),
            ]:
                if head >= 0:
                    events[head].append(event)
            for name, where in (("near", is_near), ("far", is_far)):
                result[f"length_{name}"].append(
                    Cat(ends[count - 1] & where(i - 3 - count) for count in range(1, LENGTH_DIGITS + 1)).any()
                )
                result[f"wrong_{name}"].append(
                    Cat(wrong & where(i - back) for back, wrong in wrongs.items()).any() & here
                )
            short = [tags[1], tags[2] & at(i - 2, "below_four")]
            short += [tags[count] & at(i - count, "zero") for count in range(3, LENGTH_DIGITS + 1)]
            result["short"].append(Cat(short).any())
            result["is_start"].append(at(i - 1, "eight") & at(i, "equals"))
            result["start"].append(start)
            result["soh"].append(soh[i])
            result["type_tag"].append(
                Cat(at(i - 3, "soh"), at(i - 2, "three"), at(i - 1, "five"), at(i, "equals")).all() & here
            )
            result["new"].append(here)

        for i in lane_range:
            # The first SOH behind the lane, with something that follows.
            followed = C(0, 1)
            for head in reversed(range(i + 1, width)):
                followed = Mux(soh[head], Cat(events[head]).any(), followed)
            result["crowded"].append(result["start"][i] & followed)
            result["closed"].append(result["start"][i] & behind[i] & ~followed)
        trailer = ("one", "zero", "equals", "digit", "digit", "digit", "soh")
        for end in range(-TRAILER_LENGTH, width):
            lanes_of = [(end + 1 + place, name) for place, name in enumerate(trailer) if 0 <= end + 1 + place < width]
            result["spoils"].append(Cat(new(i) & ~at(i, name) for i, name in lanes_of).any() if lanes_of else C(0, 1))
        with m.If(go):
            m.d.sync += [getattr(self.seen, name).eq(Cat(bits)) for name, bits in result.items()]
            for lane in range(-DIGITS_BEHIND, width):
                m.d.sync += [
                    digits[DIGITS_BEHIND + lane].eq(around[LOOK_BACK + lane].value),
                    are_digits[DIGITS_BEHIND + lane].eq(at(lane, "digit")),
                ]

    def length_digits(self, chosen: list[Value]) -> list[Value]:
        """The six digits of the BodyLength that ends in front of the lane ``chosen`` (one-hot), the last digit first;
        zeros where there are fewer."""
        digits = []
        for place in range(LENGTH_DIGITS):
            of_lanes = []
            for lane, is_chosen in enumerate(chosen):
                last = DIGITS_BEHIND + lane - 1
                run = Cat(self.are_digits[last - j] for j in range(place + 1)).all()
                of_lanes.append(Mux(is_chosen & run, self.digits[last - place], 0))
            digit = of_lanes[0]
            for other in of_lanes[1:]:
                digit = digit | other
            digits.append(digit)
        return digits
