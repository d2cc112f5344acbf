"""The ports through which the engine's program meets the world."""

from __future__ import annotations

import enum

from .instructions import OWN_PORTS

#: What the program may write to.
OUT = {
    **OWN_PORTS,
    "OFFSET_LOW": 3,  # place in a message slot
    "OFFSET_HIGH": 4,
    "SLOT": 5,
    "MESSAGE": 6,  # the byte there, read or written; the place goes on by one
    "RECORD": 7,  # a byte of a record; there must be ROOM
    "DELIVER": 8,  # a byte of a delivery; not while it is busy
    "DELIVER_LAST": 9,  # the last one
    "TX": 10,  # a byte for the connection; not while it is busy
    "TX_LAST": 11,
    "ANSWER": 12,  # a byte of a register's value; not while it is busy
    "IDLE": 13,  # 1: nothing is under way; 0: something is
    "DROP": 14,  # take back the byte for the connection, if it was not taken: DROPPED tells
    "TIME_RUNS": 15,  # 1: the time goes on; 0: it stands still
    "MICRO_LOW": 16,  # microseconds, three decimal digits
    "MICRO_HIGH": 17,
    "WATCHED": 18,  # clears WATCH
    "MILLI_SEEN": 19,  # clears MILLI
    "DELIVER_SESSION": 20,
    "TX_SESSION": 21,
    "RUN_TO_END": 22,  # see :mod:`tag34_hdl.compact.runner`
    "RUN_TO_SOH": 23,
    "RUN_SESSION": 24,
}

#: What it may read.
IN = {
    "XH": OWN_PORTS["XH"],
    "FLAGS": 3,
    "MORE": 4,
    "RX": 5,  # takes the byte
    "MESSAGE": 6,
    "RX_SESSION": 7,  # whose byte is offered
    "SEND": 8,  # takes the byte
    "CONTROL": 9,  # takes the byte
    "CYCLE": 10,  # bits 7..0 of the cycle counter; bits 15..8 are in LATCH then
    "MICRO": 11,  # microseconds, the last two digits; the first one is in LATCH then
    "LATCH": 12,
    "RUN_BYTES": 13,
    "RUN_SUM": 14,
    "RUN_LAST": 15,
}


class Flag(enum.IntFlag):
    """Bits of FLAGS."""

    RX = 1  #: a byte from a connection is offered
    CONTROL = 2  #: one of an access to a register
    SEND = 4  #: one of a host message
    SEND_LAST = 8  #: it is the last one
    FULL = 16  #: there may be no room for a whole record
    DELIVER_BUSY = 32
    TX_BUSY = 64
    WATCH = 128  #: the clocks want to be looked at: some thousand cycles or a millisecond have passed


class More(enum.IntFlag):
    """Bits of MORE."""

    DROPPED = 1  #: DROP took back the byte
    ANSWER_BUSY = 2
    MILLI = 4  #: a millisecond has passed
    LEAVES = 8  #: something waits to be taken: a record, a byte of a delivery or for the connection
