"""Faults that no test tells from the whole gateware, and that are not proved to make no difference: why it is so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .faults import Fault


@dataclass(frozen=True)
class Named:
    """Survivors that have one reason.

    Parameters: ``component``; ``source``, the file, as a report has it; ``code``, a part of the line; ``what``, a
    regular expression for all of "cell port[bit] wire mode", as in ``"add Y\\[3\\] count\\[3\\] const0"`` (no wire:
    ``-``); ``reason``.
    """

    component: str
    source: str
    code: str
    what: str
    reason: str

    def matches(self, fault: Fault) -> bool:
        """Whether it speaks of this fault."""
        return (
            (self.component, self.source) == (fault.component, fault.source.rpartition(":")[0])
            and self.code in fault.code
            and re.fullmatch(self.what, fault.what) is not None
        )


_TABLE = "session/table.py"
_FIELDS = "receive/fields.py"
_FRAMER = "receive/framer.py"
_EARLY = (
    "A message is prepared earlier, or once more. What has been read since then is prepared again, and no verdict is "
    "given before the message is complete."
)
_LONG = "The cycle counter does not come that far within a test: 2**26 cycles and more."
_LONGER = "More digits, or other ones, than BodyLength has in messages of up to max_message bytes."

#: By component.
SURVIVORS: tuple[Named, ...] = (
    Named("framer", _TABLE, "busy.eq", r"ne B\[1\] - const1", "The sweep goes on for two words that do not exist."),
    Named("framer", _TABLE, "busy.eq", r"ne A\[1\] .* inv", "The sweep goes on for two words that do not exist."),
    Named(
        *("framer", _FRAMER, "count.all()", r"reduce_and A\[16\] count\[16\] inv"),
        "The length of a message stops to grow 2**16 bytes earlier: at 16.7 million bytes of BeginString.",
    ),
    Named(
        *("framer", _FRAMER, "~waits & (matched_next == 2)", r"not Y\[0\] - const1"),
        "No frame waits in the state LENGTH: the message is not found before it is taken.",
    ),
    Named(
        *("framer", _FRAMER, '"byte_valid"', r"mux A\[0\] - const1"),
        "A byte that is neither start, begin nor body is valid: nobody asks.",
    ),
    Named(
        *("framer", _FRAMER, "hit & ~found", r"and B\[0\] - const1"),
        "Differs in the state BEGIN, which nothing but SOH ends, and that puts the matcher back to 0.",
    ),
    Named("framer", _FRAMER, "super().__init__(", r"mux B\[5\] frame__payload\[78\] cnot1", _LONG),
    Named(
        *("fields", _FIELDS, "type_place = Signal", r"mux A\[[01]\] type_place\[[01]\] (inv|const0)"),
        "In a tag and in data nobody looks at the place in MsgType; a value begins at 0.",
    ),
    Named(
        *("fields", _FIELDS, "tag_count == TAG_DIGITS", r"eq A\[0\] tag_count\[0\] inv"),
        "Tags of five digits are counted instead of called bad: none of them is one that counts.",
    ),
    Named(
        *("fields", _FIELDS, "is_soh = byte == SOH", r"eq Y\[0\] - const1"),
        _EARLY,
    ),
    Named(
        *("fields", _FIELDS, "tag = Signal", r"mux B\[14\] - const1"),
        "A bit of the tag that its first digit shifts out.",
    ),
    Named(
        *("fields", _FIELDS, "tag = Signal", r"mux Y\[1\] - cnot1"),
        "In a value nobody looks at the tag; the next one begins with zeros.",
    ),
    Named("fields", _FIELDS, "number_closed = Signal", r"mux A\[0\] - inv", _EARLY),
    Named("fields", _FIELDS, "self.changed.eq", r"reduce_or A\[3\] current_97\[0\] const1", _EARLY),
    Named(
        *("fields", _FIELDS, "out.mirror.eq", r"not Y\[0\] - const0"),
        "Before a message is complete nobody asks whether it is foreign.",
    ),
    Named(
        *("fields", _FIELDS, "compared = Signal", r"dff Q\[5\] compared\[5\] cnot1"),
        "Differs for bytes above 127: what is configured is ASCII, so they are wrong either way.",
    ),
    Named(
        *("sequencer", "bcd.py", "Mux(borrow, Mux(digit == 0", r"logic_not A\[0\] highest\[36\] const1"),
        "The first digit of ten is 0 with a borrow in the number 0 only, and no range ends below that.",
    ),
    Named(
        *("sequencer", "session/transaction.py", "self.slot = Signal", r"mux S\[0\] at_wait\[0\] const1"),
        "The slot is read in the cycle after WAIT only.",
    ),
    Named(
        *("window", "lib/memory.py", "", r"mux B\[3\] sweep\[3\] cnot0"),
        "All words are swept, in another order.",
    ),
    Named(
        *("timers", _TABLE, "sweep.eq(sweep + 1)", r"add Y\[2\] - const1"),
        "A timer left over from before a reset is found due, and the session's own state says that it does not run.",
    ),
    Named(
        *("slots", "lib/fifo.py", "", r"ne A\[1\] level\[1\] const0"),
        "Whether the list of free slots is full: there is room for all, and none is given back twice.",
    ),
    Named(
        *("slots", "session/owners.py", "return current, has_current", r"or B\[0\] - inv"),
        "The last free slot is not used: bytes wait a little earlier. There is one more than held messages need.",
    ),
    Named(
        *("release", "session/release.py", "step.eq(is_start", r"or A\[0\] is_start\[0\] const1"),
        "Matters if a slot waits to be given back for as long as the next message takes. The sequencer goes first for "
        "a few cycles only.",
    ),
    Named("composer", "send/composer.py", "sent_cycle = Signal", r"mux A\[36\] sent_cycle\[36\] inv", _LONG),
    Named(
        *("composer", "send/composer.py", "sent_cycle = Signal", r"mux S\[0\] start.*\[0\] const0"),
        "A record's cycle is one too low. The tests at the pins (tests/cocotb/pins_latency.py) tell it.",
    ),
    Named("composer", "send/decimal.py", "adjusted = Cat", r"mux B\[0\] - cnot1", _LONGER),
    Named("composer", "send/decimal.py", "adjusted = Cat", r"ge A\[2\] digits\[2\] cnot0", _LONGER),
)


def reason(fault: Fault, named: Iterable[Named] = SURVIVORS) -> str:
    """Why the fault survives; empty if nobody says."""
    return next((entry.reason for entry in named if entry.matches(fault)), "")


def stale(survived: Sequence[Fault], named: Iterable[Named] = SURVIVORS) -> list[Named]:
    """The entries that speak of none of these."""
    return [entry for entry in named if not any(entry.matches(fault) for fault in survived)]
