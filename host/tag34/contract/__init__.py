"""The contract: verdicts, events, phases, records and registers, defined once.

The gateware, the golden model, the host and the documentation all take their names, codes and widths from this module.
Nothing here computes anything about a session: it says what the parts say to each other. Rule ids (``R10``, ``F3``,
...) are those of ``docs/rules.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag
from typing import Final

#: Version of everything below. Two sides with different versions do not talk to each other.
CONTRACT_VERSION: Final = 3
#: First register of every device: ``"tg34"``.
DEVICE_ID: Final = 0x34336774

SOH: Final = 0x01
#: Largest legal MsgSeqNum and NewSeqNo (R4, R16a).
MAX_SEQ: Final = 4294967295
#: Longest SenderCompID, TargetCompID and BeginString, in bytes. One ident region holds such a value and its closing
#: SOH.
MAX_IDENT: Final = 63
#: Digits of a packed BCD number on the device's side of the contract.
SEQ_DIGITS: Final = 10
#: Characters of MsgType that a record carries; longer ones (none is standard) are cut.
MSG_TYPE_BYTES: Final = 4


class Phase(IntEnum):
    """Phase of a session in the device."""

    CLOSED = 0  #: no connection; whatever arrives is IGNORED (R1)
    LOGON = 1  #: connected, waiting for the peer's Logon (R6)
    ACTIVE = 2  #: numbers are judged
    HALTED = 3  #: stopped by an event that the host must deal with (R1)


class Verdict(IntEnum):
    """What was decided about one message."""

    DELIVER = 0
    HOLD = 1
    NOT_HELD = 2
    DUPLICATE = 3
    GAP_FILL = 4
    BAD_GAP_FILL = 5
    RESET = 6
    BAD_RESET = 7
    IGNORED = 8
    FOREIGN = 9
    GARBLED = 10
    OVERSIZE = 11
    NO_SEQNUM = 12
    TOO_LOW = 13


class Rule(IntEnum):
    """The rule that gave a message its verdict, or that caused an event. The codes are those of device records."""

    NONE = 0
    F3 = 1
    F5 = 2
    R1 = 3
    R2 = 4
    R3 = 5
    R3A = 6
    R3B = 7
    R4 = 8
    R5 = 9
    R6 = 10
    R7 = 11
    R7A = 12
    R8 = 13
    R9 = 14
    R9A = 15
    R9B = 16
    R10 = 17
    R10A = 18
    R10B = 19
    R10C = 20
    R10D = 21
    R11 = 22  #: cause of a REQUEST
    R13A = 23  #: cause of a REQUEST
    R14 = 24  #: cause of a REQUEST
    R16A = 25  #: cause of a SEQ_EXHAUSTED

    @property
    def id(self) -> str:
        """The id as the rules page writes it, for example ``R10a``."""
        return self.name[0] + self.name[1:].lower()


#: Verdict of each rule that judges a message (R10e and R10f are plain R10).
RULE_VERDICT: Final[dict[Rule, Verdict]] = {
    Rule.F3: Verdict.GARBLED,
    Rule.F5: Verdict.OVERSIZE,
    Rule.R1: Verdict.IGNORED,
    Rule.R2: Verdict.FOREIGN,
    Rule.R3: Verdict.RESET,
    Rule.R3A: Verdict.RESET,
    Rule.R3B: Verdict.BAD_RESET,
    Rule.R4: Verdict.NO_SEQNUM,
    Rule.R5: Verdict.DELIVER,
    Rule.R6: Verdict.IGNORED,
    Rule.R7: Verdict.GAP_FILL,
    Rule.R7A: Verdict.BAD_GAP_FILL,
    Rule.R8: Verdict.DELIVER,
    Rule.R9: Verdict.GAP_FILL,
    Rule.R9A: Verdict.DUPLICATE,
    Rule.R9B: Verdict.TOO_LOW,
    Rule.R10: Verdict.HOLD,
    Rule.R10A: Verdict.DUPLICATE,
    Rule.R10B: Verdict.NOT_HELD,
    Rule.R10C: Verdict.DELIVER,
    Rule.R10D: Verdict.DELIVER,
}

#: Rules whose message halts the session; each is followed by a HALTED event that names the rule.
HALTING_RULES: Final = frozenset({Rule.F5, Rule.R4, Rule.R9B})


class EventCode(IntEnum):
    """Kinds of event. ``seq``, ``number`` and ``rule`` of a record mean what is said here; else they are None."""

    REQUEST = 1  #: a ResendRequest was decided: seq = its 7, number = its 16, rule = R11, R13A or R14
    RECOVERY_CLOSED = 2  #: the open range is complete or was reset: seq = expected
    RECOVERY_FAILED = 3  #: R14 gave up, session HALTED: seq = expected
    SEQ_EXHAUSTED = 4  #: R16a, session HALTED: seq = 4294967295, rule = R16A
    HALTED = 5  #: session HALTED by a message: seq = expected, rule = the message's rule
    HELD_GAP_FILL = 6  #: a held GapFill acted when its turn came (R10e): seq = its number, number = its NewSeqNo
    HELD_BAD_GAP_FILL = 7  #: a held GapFill turned out as R7a (R10e): seq = its number, which is missing again
    RESET_UNCHANGED = 8  #: R3a: a Reset to the number already expected: seq = expected
    SEND_DROPPED = 9  #: a host message longer than max_message was given to the composer and not sent
    GAP = 10  #: early warning, if wanted: a message whose checksum is still to come will open a range: seq = its 34


class Policy(IntEnum):
    """What a ResendRequest asks for (R11)."""

    INFINITY = 0  #: 16=0 (999999 for FIX.4.0 and FIX.4.1)
    CLOSED = 1  #: 16 = the number below ``highest`` (or ``highest`` itself if that message was not kept)
    CHUNK = 2  #: as CLOSED, at most N numbers at a time


class RecordKind(IntEnum):
    """Kinds of record that a device emits."""

    MESSAGE = 0
    DELIVER = 1
    SENT = 2
    EVENT = 3


class Flag(IntFlag):
    """Flag bits of a device's record."""

    SEQ = 1  #: the field ``seq`` is valid
    POSSDUP = 2  #: 43=Y
    POSSRESEND = 4  #: 97=Y
    EARLY = 8  #: delivered ahead of its turn (R10c, R10d)
    REPLAY = 16  #: sent with an explicit number (S2)
    DEVICE = 32  #: built by the device itself: a ResendRequest
    NUMBER = 64  #: the field ``number`` is valid


#: Layout of a device's record: name, bits; the first field lies in the lowest bits. ``seq`` and ``number`` are packed
#: BCD (ten digits).
#:
#: ======== ========================== ============ ================================== ==============================
#: field    MESSAGE                    DELIVER      SENT                               EVENT
#: ======== ========================== ============ ================================== ==============================
#: code     :class:`Rule`              0            0                                  :class:`EventCode`
#: rule     0                          0            0                                  :class:`Rule` or 0
#: seq      34 (FLAG.SEQ) or 0         34           34                                 see :class:`EventCode`
#: number   expected afterwards        0            0                                  see :class:`EventCode`
#: offset   of its first byte          0            0                                  0
#: length   bytes                      bytes        0                                  0
#: cycle    last byte accepted         of its       first byte offered                 last byte of the message that
#:                                     release                                         proved it, or of the decision
#: ======== ========================== ============ ================================== ==============================
RECORD_FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("kind", 2),
    ("code", 6),
    ("rule", 8),
    ("flags", 8),
    ("session", 16),
    ("msg_type", 8 * MSG_TYPE_BYTES),
    ("seq", 4 * SEQ_DIGITS),
    ("number", 4 * SEQ_DIGITS),
    ("offset", 48),
    ("length", 24),
    ("cycle", 48),
)
RECORD_BITS: Final = sum(bits for _, bits in RECORD_FIELDS)
RECORD_BYTES: Final = (RECORD_BITS + 7) // 8


class Command(IntEnum):
    """Operations of the COMMAND register. Each acts between two messages of the session, never inside one."""

    CONNECT = 1  #: a new connection (R15, F6): phase and may_request from the command word
    DISCONNECT = 2  #: phase := CLOSED
    MAY_REQUEST = 3  #: may_request from the command word; a pending recovery opens (R11)
    SET_EXPECTED = 4  #: expected := NUMBER; window and recovery cleared, requests forgotten, highest := NUMBER - 1
    SET_NEXT_OUT = 5  #: next_out := NUMBER


class Access(Enum):
    """Who may do what with a register."""

    RO = "read"
    RW = "read, write"
    WO = "write"


@dataclass(frozen=True)
class Register:
    """One 32-bit register.

    Parameters: ``address`` in words, ``access``, ``doc`` (meaning, units).
    """

    name: str
    address: int
    access: Access
    doc: str


def _registers(*rows: tuple[str, Access, str]) -> dict[str, Register]:
    return {name: Register(name, address, access, doc) for address, (name, access, doc) in enumerate(rows)}


#: The register map, by name. Registers below SESSION act on the session that SESSION names.
REGISTERS: Final[dict[str, Register]] = _registers(
    ("ID", Access.RO, "DEVICE_ID"),
    ("VERSION", Access.RO, "CONTRACT_VERSION"),
    ("WIDTH", Access.RO, "bytes per beat of the byte streams"),
    ("SESSIONS", Access.RO, "number of sessions"),
    ("WINDOW", Access.RO, "largest hold window, in numbers"),
    ("MAX_MESSAGE", Access.RO, "largest stored message, in bytes"),
    ("HOLD", Access.RO, "messages that can be held at a time, over all sessions"),
    ("HOLD_LIMIT", Access.RO, "of these, by one session at most"),
    ("CLOCK_HZ", Access.RO, "nominal clock of the core"),
    ("STATUS", Access.RO, "bit 0: idle (nothing under way and nothing waiting to leave); bit 1: a command is waiting"),
    ("CYCLE_LO", Access.RO, "cycle counter, bits 31..0; reading it latches CYCLE_HI"),
    ("CYCLE_HI", Access.RO, "cycle counter, bits 47..32"),
    (
        "TICK_CYCLES",
        Access.RW,
        "cycles per timer tick less one (one tick is a millisecond), from the write on; 0: ticks come from TICK alone",
    ),
    ("TICK", Access.WO, "let this many timer ticks pass (R14), one after the other"),
    ("TIME_DATE", Access.RW, "UTC date, BCD YYYYMMDD; takes effect with TIME_LOAD"),
    ("TIME_DAY", Access.RW, "UTC time, BCD 00HHMMSS; takes effect with TIME_LOAD"),
    ("TIME_MILLI", Access.RW, "milliseconds, BCD, three digits; takes effect with TIME_LOAD"),
    ("TIME_NANO", Access.RW, "micro- and nanoseconds, BCD, 3 + 3 digits; takes effect with TIME_LOAD"),
    ("TIME_LOAD", Access.WO, "set the clock to the TIME registers; bit 0: let it run, else it stands still"),
    (
        "SESSION",
        Access.RW,
        "session that the registers below act on; they show it from the third cycle after the write on",
    ),
    ("NUMBER_LO", Access.RW, "argument of a command, packed BCD, digits 7..0"),
    ("NUMBER_HI", Access.RW, "argument of a command, packed BCD, digits 9..8"),
    ("COMMAND", Access.WO, "bits 3..0: Command; 5..4: Phase; 6: may_request. STATUS bit 1 until it is carried out"),
    (
        "POLICY",
        Access.RW,
        "bits 1..0: Policy; 2: infinity is 999999; 3: tell GAP; 7..4: digits of the fraction of 52 (0, 3, 6, 9)",
    ),
    ("CHUNK_LO", Access.RW, "numbers per chunk, packed BCD, digits 7..0"),
    ("CHUNK_HI", Access.RW, "numbers per chunk, packed BCD, digits 9..8"),
    ("WINDOW_LIMIT", Access.RW, "hold window in force, packed BCD, 1 to WINDOW"),
    ("RESEND_TIMEOUT", Access.RW, "ticks without progress before R14 repeats a request; 0: never"),
    ("RESEND_RETRIES", Access.RW, "repeats by R14 before RECOVERY_FAILED, 0 to 255"),
    (
        "IDENT",
        Access.WO,
        "bits 7..0: byte; 15..8: its place (region x 64 + index). Regions: 0 BeginString, 1 our CompID, 2 the peer's",
    ),
    ("IDENT_LENGTH", Access.RW, "bytes of BeginString (5..0), our CompID (13..8), the peer's CompID (21..16)"),
    ("STATE", Access.RO, "bits 1..0: Phase; bit 2: may_request; bit 3: recovery open"),
    ("EXPECTED_LO", Access.RO, "next inbound number, packed BCD; reading it latches EXPECTED_HI"),
    ("EXPECTED_HI", Access.RO, "digits 9..8"),
    ("HIGHEST_LO", Access.RO, "highest number seen, packed BCD; reading it latches HIGHEST_HI"),
    ("HIGHEST_HI", Access.RO, "digits 9..8"),
    ("NEXT_OUT_LO", Access.RO, "next outbound number, packed BCD; reading it latches NEXT_OUT_HI"),
    ("NEXT_OUT_HI", Access.RO, "digits 9..8"),
    ("COUNTER", Access.RW, "write: a Rule; read: messages of the session that this rule has judged, modulo 2**32"),
    ("BYTES_LO", Access.RO, "bytes received on this connection; reading it latches BYTES_HI, FRAMED and PARTIAL"),
    ("BYTES_HI", Access.RO, "bits 47..32"),
    ("FRAMED_LO", Access.RO, "bytes that belonged to a framed message, garbled ones included"),
    ("FRAMED_HI", Access.RO, "bits 47..32"),
    ("PARTIAL", Access.RO, "bytes of the message now arriving. Skipped bytes (F4) = BYTES - FRAMED - PARTIAL"),
)


def to_bcd(value: int, digits: int = SEQ_DIGITS) -> int:
    """Packed BCD of ``value``: one decimal digit per four bits.

    Raises ValueError if ``value`` is negative or does not fit into ``digits`` digits.
    """
    if not 0 <= value < 10**digits:
        raise ValueError(f"{value} does not fit into {digits} decimal digits")
    return int(str(value), 16)


def from_bcd(value: int) -> int:
    """The number that packed BCD ``value`` stands for. Raises ValueError if it is not BCD."""
    return int(f"{value:x}")


def infinity_end(begin_string: str) -> int:
    """EndSeqNo that means "to the last message": 999999 up to FIX.4.1, 0 from FIX.4.2 on (R11)."""
    return 999999 if begin_string in ("FIX.4.0", "FIX.4.1") else 0


def default_fraction(begin_string: str) -> int:
    """Digits of the fraction of SendingTime: none up to FIX.4.1, milliseconds from FIX.4.2 on (S5)."""
    return 0 if begin_string in ("FIX.4.0", "FIX.4.1") else 3


#: Bytes per beat of a device's streams.
WIDTHS: Final = (1, 2, 4, 8)
#: Smallest and largest size that a device can have.
SIZE_LIMITS: Final[dict[str, tuple[int, int]]] = {
    "sessions": (1, 1024),
    "window": (2, 1024),  # numbers
    "max_message": (64, 65536),  # bytes
}


def hold_shares(sessions: int, window: int, hold: int = 0, hold_limit: int = 0) -> tuple[int, int]:
    """Messages held at a time: (over all sessions, by one session at most).

    Held messages share one memory. The share of a session is limited so that one in recovery cannot starve the others
    (R10b, R17).

    Parameters:
        sessions, window: of the device.
        hold: over all sessions; 0: as many as all windows can take.
        hold_limit: by one session; 0: all of its window if there is memory for all, else half of the memory (with one
            session all of it).

    Raises ValueError, naming the parameter, for anything out of range.
    """
    full = sessions * (window - 1)
    if not 0 <= hold <= full:
        raise ValueError(f"hold must be 1 to sessions x (window - 1) = {full}, or 0 for all of it, not {hold}")
    hold = hold or full
    if hold_limit == 0:
        hold_limit = hold if sessions == 1 or hold == full else max(1, hold // 2)
    elif not 1 <= hold_limit <= hold:
        raise ValueError(f"hold_limit must be 1 to hold = {hold}, or 0 for the default, not {hold_limit}")
    return hold, min(hold_limit, window - 1)


#: Tags of the standard header: the first field with any other tag ends the header (F2).
HEADER_TAGS: Final = frozenset(
    (8, 9, 35, 34, 43, 49, 50, 52, 56, 57, 90, 97, 115, 116, 122, 128, 129, 142, 143, 144, 145, 212, 347, 369)
    + (627, 628, 629, 630, 1128, 1129, 1156)
)
#: Length fields and the data fields whose values they measure. In the body of 35=A and 35=4, where 36, 123 and 141 are
#: looked for, the value of such a data field may hold anything, SOH included, and is passed over as a whole (F2).
DATA_FIELDS: Final[dict[int, int]] = {90: 91, 93: 89, 95: 96, 212: 213, 354: 355, 1401: 1402, 1403: 1404}
