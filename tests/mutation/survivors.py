"""Faults that no test tells from the whole gateware, and that are not proved to make no difference: why it is so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .faults import Fault


class Kind(Enum):
    """What a survivor is said to make: arguments, not proofs."""

    EQUAL = "no difference"
    TIME = "a difference of a few cycles, within what is promised"
    LONG = "a difference after more cycles or bytes than a test can take"


@dataclass(frozen=True)
class Named:
    """Survivors that have one reason.

    Parameters: ``component``; ``source``, the file, as a report has it; ``code``, a part of the line; ``what``, a
    regular expression for all of "cell port[bit] wire mode", as in ``"add Y\\[3\\] count\\[3\\] const0"`` (no wire:
    ``-``); ``kind``, ``reason``.
    """

    component: str
    source: str
    code: str
    what: str
    kind: Kind
    reason: str

    def matches(self, fault: Fault) -> bool:
        """Whether it speaks of this fault."""
        return (
            (self.component, self.source) == (fault.component, fault.source.rpartition(":")[0])
            and self.code in fault.code
            and re.fullmatch(self.what, fault.what) is not None
        )


_TABLE = "session/table.py"
_MEMORY = "block_memory.py"
_STATE = "session/state.py"
_FIELDS = "receive/fields.py"
_FRAMER = "receive/framer.py"
_SEQUENCER = "session/sequencer.py"
_TIMERS = "session/timers.py"
_EARLY = (
    "A message is prepared earlier, or once more. What has been read since then is prepared again, and no verdict is "
    "given before the message is complete."
)
_HOST = (
    "Whether the host's read falls together with a write: it may see a number one cycle later, and waits longer than "
    "that."
)
_OVERSIZE = "Whether a message is oversize is asked when its last byte has come, which says so anew."
_NOTHING = "A byte that is neither start, begin nor body is valid: nobody asks for more than that."
_FORGOTTEN = "A word that is not known is all zeros, or what registers start with: the sweep after a reset wrote that."
_STALE = "A timer left over from before a reset is found due, and the session's own state says that it does not run."
_FAILED = "A recovery that failed has halted the session: its timer starts anew with the next range, and not before."
_LONG = "The cycle counter does not come that far within a test: 2**26 cycles and more."
_LONGER = "More digits, or other ones, than BodyLength has in messages of up to max_message bytes."

#: By component.
SURVIVORS: tuple[Named, ...] = (
    Named("framer", _TABLE, "words.write_address == address", r"eq A\[1\] write_address\[1\] inv", Kind.TIME, _HOST),
    Named(
        *("framer", _TABLE, "busy.eq", r"ne B\[1\] - inv"),
        *(Kind.TIME, "The sweep goes on for two words that do not exist."),
    ),
    Named(
        *("framer", _FRAMER, "count.all()", r"reduce_and A\[16\] count\[16\] inv"),
        *(
            Kind.LONG,
            "The length of a message stops to grow 2**16 bytes earlier: at 16.7 million bytes of BeginString.",
        ),
    ),
    Named("framer", _FRAMER, '"oversize"', r"mux A\[0\] oversize\[0\] const1", Kind.EQUAL, _OVERSIZE),
    Named("framer", _FRAMER, '"oversize"', r"mux B\[0\] - const1", Kind.EQUAL, _OVERSIZE),
    Named(
        *("framer", _FRAMER, "~waits & matched_next[1]", r"not Y\[0\] - const1"),
        *(Kind.EQUAL, "No frame waits in the state LENGTH: the message is not found before it is taken."),
    ),
    Named(
        *("framer", _MEMORY, "word = Signal", r"dff D\[68\] read__data\[68\] cnot1"),
        *(Kind.LONG, "Differs when messages of 2**25 bytes and more have been framed on one connection."),
    ),
    Named(
        *("framer", _MEMORY, "word = Signal", r"dff Q\[0\] data(_1)?\[0\] cnot1"),
        *(Kind.LONG, "Differs while 2**23 bytes and more of one message have come."),
    ),
    Named("framer", _FRAMER, '"byte_valid"', r"mux [AB]\[0\] - const1", Kind.EQUAL, _NOTHING),
    Named("framer", _TABLE, "members |=", r"mux S\[0\] - inv", Kind.EQUAL, _FORGOTTEN),
    Named(
        *("fields", _FIELDS, "tag_count == TAG_DIGITS", r"eq A\[0\] tag_count\[0\] inv"),
        *(Kind.EQUAL, "Tags of five digits are counted instead of called bad: none of them is one that counts."),
    ),
    Named("fields", _FIELDS, "is_soh = byte == SOH", r"eq Y\[0\] - const1", Kind.TIME, _EARLY),
    Named("fields", _FIELDS, "number_closed = Signal", r"mux A\[0\] - inv", Kind.TIME, _EARLY),
    Named("fields", _FIELDS, "changed.eq(Cat(current", r"reduce_or A\[3\] current_97\[0\] const1", Kind.TIME, _EARLY),
    Named(
        *("fields", _FIELDS, "ident = Signal", r"mux B\[2\] - inv"),
        *(Kind.EQUAL, "The place in an ident is set when a value begins: what it was before, nobody looks at."),
    ),
    Named(
        *("fields", _FIELDS, "out.mirror.eq", r"not Y\[0\] - const0"),
        *(Kind.EQUAL, "Before a message is complete nobody asks whether it is foreign."),
    ),
    Named("sequencer", _STATE, "timer_starts = Signal", r"mux B\[0\] - inv", Kind.EQUAL, _FAILED),
    Named("sequencer", _STATE, "timer_starts = Signal", r"mux S\[0\] tried_enough\[0\] const0", Kind.EQUAL, _FAILED),
    Named(
        *("sequencer", _STATE, "timer_starts = Signal", r"mux A\[0\] - const1"),
        *(
            Kind.EQUAL,
            "Said again while what is held is released: whatever leads there has moved `expected`, and said it.",
        ),
    ),
    Named(
        *("sequencer", _SEQUENCER, "nothing = ", r"not A\[0\] due__valid\[0\] const0"),
        *(Kind.EQUAL, "While a timer is due the timers themselves say that they are at work."),
    ),
    Named(
        *("sequencer", _SEQUENCER, "self.idle.eq(~busy & ours & nothing)", r"and B\[0\] - const1"),
        *(Kind.TIME, "What there is to do is begun in the next cycle: the core is idle after three quiet ones."),
    ),
    Named(
        *("sequencer", _STATE, "retries = Signal", r"eq Y\[0\] - const0"),
        *(Kind.EQUAL, "A held GapFill sets the retries to 0 that the message before it has set to 0."),
    ),
    Named(
        *("sequencer", "session/transaction.py", "self.advanced = Signal()", r"reduce_or A\[1\] - const1"),
        *(Kind.EQUAL, "Asked where the numbers may have ended, and where a message that moves nothing does not come."),
    ),
    Named("sequencer", "session/preparation.py", '"load"', r"mux A\[0\] - const1", Kind.TIME, _EARLY),
    Named(
        *("sequencer", "session/transaction.py", "self.slot = Signal", r"mux S\[0\] at_wait\[0\] const1"),
        *(Kind.EQUAL, "The slot is read in the cycle after WAIT only."),
    ),
    Named(
        *("sequencer", "session/preparation.py", "Mux(kept, highest_below", r"mux Y\[5\] - cnot1"),
        *(
            Kind.EQUAL,
            "Matters if a message that is not the highest opens a range: the highest one has opened it before.",
        ),
    ),
    Named("sequencer", _TABLE, "when & ~known", r"not Y\[0\] - const0", Kind.EQUAL, _FORGOTTEN),
    Named(
        *("sequencer", "bcd.py", "Mux(borrow, Mux(digit == 0", r"logic_not A\[0\] highest\[36\] const1"),
        Kind.EQUAL,
        "The first digit of ten is 0 with a borrow in the number 0 only, and no range ends below that.",
    ),
    Named(
        *("rules", "session/rules.py", "Rule.R6, (self.phase", r"not Y\[0\] - const1"),
        *(Kind.EQUAL, "Whether a Logon comes as far as the row R9, which is a GapFill's."),
    ),
    Named(
        *("rules", "session/rules.py", "fill = self.is_sequence_reset", r"and Y\[0\] - inv"),
        *(Kind.EQUAL, "Whether a message with a good 36 that fills no gap may be R8: only a SequenceReset has a 36."),
    ),
    Named("rules", _TABLE, "when & ~known", r"not A\[0\] known\[0\] const1", Kind.EQUAL, _FORGOTTEN),
    Named(
        *("slots", "lib/fifo.py", "", r"ne A\[1\] level\[1\] const0"),
        *(Kind.EQUAL, "Whether the list of free slots is full: there is room for all, and none is given back twice."),
    ),
    Named(
        *("slots", "session/owners.py", "return current, has_current", r"or B\[0\] - inv"),
        Kind.TIME,
        "The last free slot is not used: bytes wait a little earlier. There is one more than held messages need.",
    ),
    Named(
        *(
            "release",
            "session/release.py",
            "self.deliver.ready & offered_first",
            r"and B\[0\] deliver__ready\[0\] const1",
        ),
        *(Kind.TIME, "A record is told when a message's first beat is offered, instead of taken."),
    ),
    Named(
        *("release", "session/release.py", "step.eq(is_start", r"or A\[0\] is_start\[0\] const1"),
        Kind.EQUAL,
        "Matters if a slot waits to be given back for as long as the next message takes. The sequencer goes first for "
        "a few cycles only.",
    ),
    Named(
        *("timers", _TIMERS, "collides = self.put", r"and B\[0\] - inv"),
        Kind.EQUAL,
        "A timer is read while it is set, and seems to be due as it was before: the sequencer looks once more.",
    ),
    Named(
        *("timers", _TIMERS, "collides = self.put", r"and B\[0\] - const1"),
        *(Kind.TIME, "A tick waits for a timer that is set, also if it is another one's."),
    ),
    Named(
        *("timers", _TIMERS, "shown == sessions - 1", r"eq A\[0\] shown\[0\] const0"),
        *(Kind.EQUAL, "Would take a session for the last one that does not exist."),
    ),
    Named("timers", _TABLE, "Mux(self.busy, sweep", r"mux B\[0\] sweep\[0\] const1", Kind.EQUAL, _STALE),
    Named("timers", _TABLE, "sweep.eq(sweep + 1)", r"add Y\[2\] - const1", Kind.EQUAL, _STALE),
    Named("composer", _TABLE, "words.write_address == address", r"eq B\[2\] address_1\[2\] cnot0", Kind.TIME, _HOST),
    Named(
        *("composer", "send/composer.py", "sent_cycle = Signal", r"mux A\[36\] sent_cycle\[36\] inv"),
        *(Kind.LONG, _LONG),
    ),
    Named("composer", "send/decimal.py", "adjusted = Cat", r"mux B\[0\] - cnot1", Kind.EQUAL, _LONGER),
    Named("composer", "send/decimal.py", "adjusted = Cat", r"ge A\[2\] digits\[2\] cnot0", Kind.EQUAL, _LONGER),
    Named(
        *("composer", "send/offer.py", "waits = Signal()", r"mux S\[0\] clear\[0\] const0"),
        Kind.TIME,
        "A word of what was dropped is shown, while nothing is offered, until the next one comes; no message begins "
        "that soon.",
    ),
)


def spoken_of(fault: Fault, named: Iterable[Named] = SURVIVORS) -> Named | None:
    """The entry that speaks of a fault, if one does."""
    return next((entry for entry in named if entry.matches(fault)), None)


def reason(fault: Fault, named: Iterable[Named] = SURVIVORS) -> str:
    """Why the fault survives; empty if nobody says."""
    entry = spoken_of(fault, named)
    return entry.reason if entry else ""


def stale(survived: Sequence[Fault], named: Iterable[Named] = SURVIVORS) -> list[Named]:
    """The entries that speak of none of these."""
    return [entry for entry in named if not any(entry.matches(fault) for fault in survived)]
