"""Time as the session layer needs it: an instant of two clocks, and FIX's UTCTimestamp."""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache
from typing import NamedTuple

_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?", re.ASCII)
_SECOND = 1_000_000_000


class Instant(NamedTuple):
    """One moment, on two clocks.

    Members:
        utc_ns: nanoseconds since 1970-01-01 UTC. SendingTime is made of it and compared with it; it may be set back.
        mono: seconds of a clock that only goes forward, from any start. Timers (H2, H4) run by it.
    """

    utc_ns: int
    mono: float

    @classmethod
    def now(cls) -> Instant:
        """The present moment of this machine's clocks."""
        return cls(time.time_ns(), time.monotonic())


@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    """Seconds since 1970 of a timestamp without its fraction. Messages of one second share the answer."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"not a UTC timestamp: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not (year and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise ValueError(f"not a UTC date: {text!r}")
    if not (hour < 24 and minute < 60 and second <= 60):  # 60: FIX allows leap seconds
        raise ValueError(f"not a UTC time: {text!r}")
    return calendar.timegm((year, month, day, hour, minute, second))


def parse_utc(text: str) -> int:
    """Nanoseconds since 1970-01-01 UTC of a FIX UTCTimestamp.

    That is ``YYYYMMDD-HH:MM:SS`` with or without a fraction of up to 12 digits.
    Digits below a nanosecond are dropped. Raises ValueError for anything else.
    """
    if len(text) > 17:
        if not _TIMESTAMP.fullmatch(text):
            raise ValueError(f"not a UTC timestamp: {text!r}")
        return _seconds(text[:17]) * _SECOND + int(text[18:27].ljust(9, "0"))
    return _seconds(text) * _SECOND


def format_utc(utc_ns: int, digits: int = 3) -> str:
    """The UTCTimestamp of an instant, its fraction cut (not rounded) to ``digits`` digits, 0 to 9 (S5)."""
    seconds, nanos = divmod(utc_ns, _SECOND)
    text = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{nanos:09d}"[: 18 + digits] if digits else text
