"""The data memory: which page holds what, and the variables of the program."""

from __future__ import annotations

from dataclasses import dataclass

from ..assembler import Variable
from ..instructions import PAGE, Mode


@dataclass(frozen=True)
class Pages:
    """The pages of the data memory: page 0 has what belongs to no session, ``free`` the list of free message slots.
    From ``state``, ``ident``, ``counter`` and ``window`` on each session has a page of its own (``window_pages`` of
    window entries): its variables, its idents (region x 64 + index), messages per rule (four bytes each), its window.

    Parameters: ``sessions``; ``window_pages``.
    """

    sessions: int
    window_pages: int

    free = 1
    state = 2

    @property
    def ident(self) -> int:
        return self.state + self.sessions

    @property
    def counter(self) -> int:
        return self.ident + self.sessions

    @property
    def window(self) -> int:
        return self.counter + self.sessions

    @property
    def all(self) -> int:
        """Number of pages."""
        return self.window + self.sessions * self.window_pages


#: Of no session: name, bytes.
GLOBAL = (
    # The task that receives
    ("byte", 1),  # the byte at hand
    ("session", 1),  # whose it is, and whose variables PAGE shows
    ("page", 1),  # that page
    ("turn", 1),  # bytes until the other task has a turn
    ("pointing", 1),  # the place in the message memory is that of the byte to come
    ("loop", 1),
    ("steps", 1),
    ("scratch", 1),
    ("digit", 1),
    ("binary_of", 1),
    ("apart", 5),  # how far two numbers are apart
    ("hundreds", 1),  # a byte's digits
    ("tens", 1),
    ("ones", 1),
    # The message that is judged
    ("rule", 1),
    ("moved", 1),  # expected has moved
    ("was_open", 1),  # recovery, before it
    ("is_above", 1),  # it is one of R10 to R10d
    ("at_cycle", 6),  # what is told of it happened then
    ("why", 1),  # the rule that a record names
    ("target", 5),  # where expected goes, or another number to reckon with
    # A message on its way to the host
    ("going_slot", 1),
    ("going_left", 2),  # bytes
    ("going_at", 2),
    # The record that is put together, as the contract lays it out; zeros in between
    ("record_kind", 1),
    ("record_rule", 1),
    ("record_flags", 1),
    ("record_session", 2),
    ("record_type", 4),
    ("record_seq", 5),
    ("record_number", 5),
    ("record_offset", 6),
    ("record_length", 3),
    ("record_cycle", 6),
    ("tell_left", 1),
    ("counter_at", 1),
    # Memory of held messages
    ("free_slots", 1),
    ("held", 1),
    # Clocks
    ("now", 6),  # the cycle counter
    ("tick_cycles", 4),
    ("tick_at", 4),
    ("ticks", 4),  # that wait
    ("tick_step", 4),  # that pass now
    ("nano", 2),  # the time, decimal, low digits first; microseconds are in a port
    ("milli", 2),
    ("second", 1),
    ("minute", 1),
    ("hour", 1),
    ("day", 1),
    ("month", 1),
    ("year", 2),
    ("scratch_time", 1),
    # Registers
    ("address", 1),
    ("word", 4),
    ("shown_cycle", 2),  # what is latched of wide ones
    ("shown_expected", 1),
    ("shown_highest", 1),
    ("shown_next_out", 1),
    ("shown_bytes", 2),
    ("shown_framed", 6),
    ("shown_partial", 3),
    ("selected", 1),  # SESSION
    ("new_number", 5),  # NUMBER
    ("command", 1),
    ("counter", 1),  # COUNTER
    ("new_date", 4),  # the time to be set
    ("new_day", 4),
    ("new_milli", 4),
    ("new_nano", 4),
    # The task that sends
    ("request_of", 1),  # session + 1 of the request that waits, or 0
    ("request_begin", 5),
    ("request_end", 5),
    ("opening", 1),  # session + 1 of the request whose first byte is offered, or 0
    ("sending", 1),  # it has something to do
    ("send_header", 12),  # what the host gave: session, MsgType, replay, number
    ("send_place", 1),  # bytes of it
    ("send_last", 1),
    ("send_whole", 1),
    ("send_length", 3),  # of the body
    ("send_decimal", 3),
    ("send_session", 1),
    ("send_page", 1),
    ("send_is_request", 1),
    ("send_replay", 1),
    ("send_type", 4),
    ("send_seq", 5),
    ("send_begin", 5),
    ("send_end", 5),
    ("send_time", 9),  # as it was when the message began: milli to year
    ("send_micro", 2),
    ("send_nano", 2),
    ("send_cycle", 6),
    ("send_counts", 1),  # bytes are counted, not sent
    ("send_bytes", 3),  # BodyLength, decimal
    ("send_sum", 1),
    ("send_number", 5),  # to be shown
    ("send_zeros", 1),  # they may be left out
    ("send_place_of", 1),
    ("send_pair", 1),
    ("send_char", 1),
    ("send_fraction", 1),
    ("send_at", 2),
    ("send_left", 1),
    ("send_rounds", 2),
    ("send_points", 1),  # the place in the message memory is that of the next byte to be sent
    ("send_turn", 1),  # bytes until the other task has a turn
)

#: Of each session: name, bytes.
SESSION = (
    # Framing
    ("next_byte", 2),  # where the next byte is dealt with
    ("next_field", 2),  # and what reads the fields there
    ("received", 6),
    ("framed", 6),
    ("offset", 6),  # of the message's first byte
    ("length", 3),  # bytes of it so far
    ("sum", 1),
    ("remaining", 3),  # of the body: hundreds, decimal, and binary what is beyond
    ("run", 6),  # bytes that were taken at once
    ("digits", 1),  # of BodyLength
    ("sum_digits", 3),  # what CheckSum should be, a digit each
    ("place", 1),  # in the body's first bytes, in the trailer
    ("before", 1),  # the byte before, where it may begin a message
    ("broken", 1),  # it is garbled
    ("arriving", 1),  # there is a message
    ("slot", 1),  # where it is stored
    # Fields
    ("first_field", 1),
    ("in_header", 1),
    ("tag", 2),
    ("seen", 1),  # fields had, see fields.asm
    ("field", 1),  # the one at hand: its bit of these, or 0
    ("ident", 1),  # place of the next byte to compare
    ("unlike", 1),  # an ident is another one
    ("value", 5),  # of a number
    ("value_bad", 1),
    ("value_any", 1),
    ("yes", 1),  # 1: the value is Y so far; 2: it is not
    ("data_length", 3),  # of a data field that may follow
    ("data_digits", 1),
    ("data_tag", 2),  # which one
    ("data_next", 2),  # the same, once the length is whole
    # The message
    ("type", 4),
    ("type_length", 1),
    ("kind", 1),  # LOGON and so on, see fields.asm
    ("has", 1),  # what it has, see fields.asm
    ("seq", 5),
    ("new_seq", 5),
    # The session
    ("phase", 1),
    ("may_request", 1),
    ("recovery", 1),
    ("expected", 5),
    ("highest", 5),
    ("end", 5),  # of the open range
    ("asked", 5),  # 16 of its request
    ("passed", 1),  # R13a has asked for this value of expected
    ("asked_from", 5),  # lowest begin of a request
    ("has_asked", 1),
    ("retries", 1),
    ("timer", 4),
    ("announced", 1),
    ("base", 1),  # place of expected in the window
    ("window_page", 1),
    ("kept", 1),  # messages held
    ("next_out", 5),
    # Configuration
    ("policy", 4),
    ("chunk", 8),
    ("window_limit", 4),
    ("resend_timeout", 4),
    ("resend_retries", 4),
    ("ident_length", 4),
)

#: Variables that lie side by side and are moved together: the first of them, bytes.
TOGETHER = {"three_digits_of": ("hundreds", 3), "utc": ("milli", 9), "time_of_day": ("second", 3), "date": ("day", 4)}


def _laid_out(mode: Mode, parts: tuple[tuple[str, int], ...]) -> dict[str, Variable]:
    found = {}
    place = 0
    for name, size in parts:
        found[name] = Variable(mode, place, size)
        place += size
    # The last bytes of page 0 are those of start.asm.
    assert place <= PAGE - 2, f"{place} bytes"
    return found


def variables() -> dict[str, Variable]:
    """All variables, by name."""
    found = _laid_out(Mode.GLOBAL, GLOBAL) | _laid_out(Mode.SESSION, SESSION)
    found |= {name: Variable(Mode.GLOBAL, PAGE - 1 - index, 1) for index, name in enumerate(("inner", "outer"))}
    for name, (first, size) in TOGETHER.items():
        found[name] = Variable(found[first].mode, found[first].place, size)
    return found
