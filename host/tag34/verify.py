"""What the host checks in a message that the device found in order: times and the Logon's content (H1, H5)."""

from __future__ import annotations

from dataclasses import dataclass

from .clock import parse_utc
from .message import FixMessage, Value, header_value
from .settings import SessionSettings

# SessionRejectReason (373).
REQUIRED_TAG_MISSING = 1
OUT_OF_RANGE = 5
INCORRECT_FORMAT = 6
COMPID_PROBLEM = 9
SENDING_TIME_PROBLEM = 10


@dataclass(frozen=True)
class Complaint:
    """Something is wrong with a message.

    Members: ``rule`` that it breaks, ``text`` for 58, ``reason`` for 373 (None: nothing that a Reject could name),
    ``tag`` for 371, ``logout``: the session has to end.
    """

    rule: str
    text: str
    reason: int | None = None
    tag: int | None = None
    logout: bool = False


def missing(rule: str, tag: int) -> Complaint:
    """A required field is not there."""
    return Complaint(rule, f"Required tag missing: {tag}", REQUIRED_TAG_MISSING, tag)


def reject_fields(
    settings: SessionSettings, seq: int, msg_type: str | None, text: str, reason: int | None, tag: int | None
) -> list[tuple[int, Value]]:
    """The body of a Reject (35=3) of message ``seq``. 371 to 373 exist from FIX.4.2 on."""
    fields: list[tuple[int, Value]] = [(45, seq)]
    if not settings.is_before("FIX.4.2"):
        if tag is not None:
            fields.append((371, tag))
        if msg_type:
            fields.append((372, msg_type))
        if reason is not None:
            fields.append((373, reason))
    return [*fields, (58, text)]


def _time(raw: bytes, tag: int, rule: str) -> int | Complaint:
    value = header_value(raw, tag)
    if not value:
        return missing(rule, tag)
    try:
        return parse_utc(value.decode("latin-1"))
    except ValueError:
        return Complaint(rule, f"Incorrect data format: {tag}", INCORRECT_FORMAT, tag)


def check_sending_time(raw: bytes, utc_ns: int, limit: float) -> Complaint | None:
    """What is wrong with 52, which may be ``limit`` seconds away from our time ``utc_ns`` (H1)."""
    sent = _time(raw, 52, "H1")
    if isinstance(sent, Complaint):
        return sent
    age = (utc_ns - sent) / 1e9
    if abs(age) <= limit:
        return None
    text = f"SendingTime accuracy problem: {age:.3f} s behind our clock, {limit:g} s allowed"
    return Complaint("H1", text, SENDING_TIME_PROBLEM, 52, logout=True)


def check_possdup(raw: bytes) -> Complaint | None:
    """What is wrong with the times of a message that says 43=Y (H5)."""
    original = _time(raw, 122, "H5")
    if isinstance(original, Complaint):
        return original
    sent = _time(raw, 52, "H5")
    if isinstance(sent, Complaint):
        return sent
    if original > sent:
        return Complaint("H5", "OrigSendingTime is later than SendingTime", SENDING_TIME_PROBLEM, 122, logout=True)
    return None


def check_logon(settings: SessionSettings, logon: FixMessage) -> Complaint | None:
    """Why the content of the peer's Logon does not allow a session, None if it does (H1).

    ``authenticate`` has the last word.
    """
    method = logon.get(98)
    if method is None:
        return missing("H1", 98)
    if method != "0":
        return Complaint("H1", f"EncryptMethod {method} is not supported", OUT_OF_RANGE, 98)
    if not settings.initiator and logon.get_int(108) is None:
        if 108 not in logon:
            return missing("H1", 108)
        return Complaint("H1", "HeartBtInt is not a number of seconds", INCORRECT_FORMAT, 108)
    if settings.begin_string.startswith("FIXT") and 1137 not in logon:
        return missing("H1", 1137)
    refusal = settings.authenticate(logon) if settings.authenticate is not None else None
    return None if refusal is None else Complaint("H1", refusal)


def check_request(settings: SessionSettings, request: FixMessage, last: int) -> tuple[int, int] | Complaint:
    """BeginSeqNo and EndSeqNo of a ResendRequest, the latter at most ``last``, or what is wrong with them (H3).

    16=0 means ``last`` in every version, 999999 up to FIX.4.1, where it was written for it.
    """
    numbers = []
    for tag in (7, 16):
        if tag not in request:
            return missing("H3", tag)
        number = request.get_int(tag)
        if number is None:
            return Complaint("H3", f"Incorrect data format: {tag}", INCORRECT_FORMAT, tag)
        numbers.append(number)
    begin, end = numbers
    if end in (0, settings.device_config().infinity_end):
        end = last
    elif begin > end:
        return Complaint("H3", f"EndSeqNo {end} is below BeginSeqNo {begin}", OUT_OF_RANGE, 16)
    if begin == 0:
        return Complaint("H3", "BeginSeqNo is 0", OUT_OF_RANGE, 7)
    return begin, min(end, last)
