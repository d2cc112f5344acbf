"""Functional coverage by rules: each rule id is a bin, and a bin counts when the rule was seen at work.

What is seen are calls, records and events at the interfaces of :class:`tag34.device.Device` and
:class:`tag34.session.Session`, never the inside of anything: the same bins hold for every device.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tag34 import events as ev
from tag34.contract import HALTING_RULES, MAX_SEQ, EventCode, Rule
from tag34.device import DeliverRecord, EventRecord, MessageRecord, Record, SentRecord, SessionConfig
from tag34.events import Event

#: When each bin counts. R1 to R10d: the rule decided about a message, and what it says about effects was so.
SEEN: Final[dict[str, str]] = {
    "F1": "a message came in two calls or more",
    "F2": "delivered by the numbers of its header, with what looks like 34= or a trailer elsewhere",
    "F3": "garbled, and nothing changed",
    "F4": "a message behind a garbled one or behind skipped bytes",
    "F5": "too long, and the session was halted",
    "F6": "a connection ended inside a message, the first message of the next one was found at its start",
    "R1": "ignored, and nothing changed",
    "R2": "foreign, and nothing changed",
    "R3": "a Reset moved expected",
    "R3a": "a Reset to what is expected was told",
    "R3b": "a bad Reset changed nothing",
    "R4": "no number, and the session was halted",
    "R5": "a Logon with 141=Y was delivered, expected 2",
    "R6": "no Logon: ignored, and nothing changed",
    "R7": "a GapFill moved expected",
    "R7a": "a bad GapFill changed nothing",
    "R8": "delivered in its turn",
    "R9": "a GapFill below expected moved it",
    "R9a": "an old number was dropped, and nothing changed",
    "R9b": "too low, and the session was halted",
    "R10": "held: not delivered, expected stayed",
    "R10a": "held already: dropped",
    "R10b": "not held: not delivered, expected stayed",
    "R10c": "a Logon was delivered early",
    "R10d": "a ResendRequest was delivered early",
    "R10e": "a held GapFill acted, or was dropped as bad, in its turn",
    "R10f": "a Logout was held",
    "R11": "a request opened a range at what is expected",
    "R12": "a message was released by another one",
    "R13": "a range closed and the next one opened by the same message",
    "R13a": "a request was repeated by R13a",
    "R14": "a request was repeated by R14",
    "R15": "a range was open when a new connection came, which asked again",
    "R16": "a delivery while the device's outputs were held back",
    "R16a": "the last number was consumed",
    "R17": "bytes of another session came between the bytes of a message",
    "S1": "a message left with its first fields, BodyLength and CheckSum as they have to be",
    "S2": "a live message behind a replay had the next number",
    "S3": "a request of the device left before a message that the host had given earlier",
    "S4": "a request of the device was told with the next number",
    "S5": "52 was the time that the device had been told",
    "S6": "a request was decided and dropped with its connection",
    "H1": "logged on, or closed without",
    "H2": "a Heartbeat or TestRequest by the clock, an answer with 112",
    "H3": "a ResendRequest was answered to its end",
    "H4": "a Logout came, or none in time",
    "H5": "a wrong 122 was told, or a PossResend delivered with its flag",
    "H6": "bytes left, and their messages were in the store",
    "H7": "a message was sent while a gap was open",
}

_FRAMED = re.compile(
    rb"8=([^\x01]*)\x019=([0-9]+)\x01(35=[^\x01]+\x0149=([^\x01]*)\x0156=([^\x01]*)\x0134=([1-9][0-9]*)\x0152=[^\x01]+"
    rb"\x01(?s:.*))10=([0-9]{3})\x01"
)
_EPOCH = datetime(1970, 1, 1)
#: Rules whose messages change nothing and cause nothing.
_IDLE = {Rule.F3, Rule.R1, Rule.R2, Rule.R3B, Rule.R6, Rule.R7A, Rule.R9A}


def well_made(record: SentRecord, config: SessionConfig) -> bool:
    """Whether a message that left is made as S1 says."""
    match = _FRAMED.fullmatch(record.data)
    if match is None:
        return False
    names = (config.begin_string, config.sender, config.target, str(record.seq))
    return (
        match.group(1, 4, 5, 6) == tuple(name.encode("ascii") for name in names)
        and int(match[2]) == len(match[3])
        and int(match[7]) == sum(record.data[:-7]) % 256
    )


def time_text(utc_ns: int, digits: int) -> str:
    """52 at this time (S5)."""
    seconds, ns = divmod(utc_ns, 10**9)
    fraction = f".{ns // 10 ** (9 - digits):0{digits}d}" if digits else ""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y%m%d-%H:%M:%S}{fraction}"


@dataclass
class _Line:
    """What is known of one session."""

    config: SessionConfig | None = None
    expected: int = 1
    # Of the connection: bytes so far, those that came since the last message, calls that brought them.
    received: int = 0
    tail: bytearray = field(default_factory=bytearray)
    chunks: list[tuple[int, int, int]] = field(default_factory=list)  # (start, end, which call of receive)
    judged_to: int = 0
    judged_by: Rule | None = None
    cut_off: bool = False  # the last connection ended inside a message
    # Of recovery and of what leaves.
    open: bool = False
    open_before: bool = False  # a range was open when the connection began
    waiting: int = 0  # requests that were decided and have not left
    number: int = 0  # of the last live message that left
    replayed: bool = False
    # Of the message that is being judged.
    deliveries: list[DeliverRecord] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)


class DeviceWatch:
    """Watches one device: :meth:`call` takes each call of a method and the records that came of it.

    Parameters: ``hits``, what was seen, by rule id.
    """

    def __init__(self, hits: Counter[str]) -> None:
        self._hits = hits
        self._lines: dict[int, _Line] = {}
        self._utc_ns = 0
        self._held_back = False
        self._receives = 0

    def call(self, verb: str, arguments: Mapping[str, Any], records: Iterable[Record]) -> None:
        """A method of :class:`~tag34.device.Device` (or ``stalls``) was called; ``arguments`` by name."""
        line = self._line(arguments["session"]) if "session" in arguments else _Line()
        if verb == "advance":
            self._utc_ns = arguments["utc_ns"]
        elif verb == "stalls":
            self._held_back = arguments["outputs"] > 0
        elif verb == "configure":
            line.config = arguments["config"]
        elif verb == "receive" and arguments["data"]:
            self._receives += 1
            start = line.received
            line.received += len(arguments["data"])
            line.tail += arguments["data"]
            line.chunks.append((start, line.received, self._receives))
        records = list(records)
        waited = False  # a request of the device has left in this call
        for record in records:
            self._take(record)
            if isinstance(record, SentRecord):
                waited |= record.device
                self._hits["S3"] += waited and not record.device
        if verb == "connect":
            self._connect(line)
        elif verb == "set_expected":
            line.expected, line.open = arguments["expected"], False
        elif verb == "set_next_out":
            line.number = arguments["next_out"] - 1
        for other in self._lines.values():
            other.deliveries.clear()
            other.events.clear()
            if other.number >= MAX_SEQ:
                other.waiting = 0  # no number is left: a request is gone, and nobody waits for it

    def _line(self, session: int) -> _Line:
        return self._lines.setdefault(session, _Line())

    def _connect(self, line: _Line) -> None:
        self._hits["S6"] += line.waiting > 0
        line.cut_off = b"8=FIX" in line.tail
        line.open_before, line.open, line.waiting = line.open, False, 0
        line.received, line.judged_to, line.judged_by = 0, 0, None
        line.tail.clear()
        line.chunks.clear()

    def _take(self, record: Record) -> None:
        line = self._line(record.session)
        if isinstance(record, SentRecord):
            self._sent(line, record)
        elif isinstance(record, DeliverRecord):
            line.deliveries.append(record)
            self._hits["F2"] += record.data.count(b"34=") > 1 or record.data.count(b"\x0110=") > 1
            self._hits["R16"] += self._held_back
        elif isinstance(record, EventRecord):
            line.events.append(record)
            self._event(line, record)
        else:
            self._message(line, record)
            line.expected = record.expected
            line.deliveries.clear()
            line.events.clear()

    def _sent(self, line: _Line, record: SentRecord) -> None:
        config = line.config
        assert config is not None  # or nothing would have left
        self._hits["S1"] += well_made(record, config)
        self._hits["S5"] += record.sending_time == time_text(self._utc_ns, config.fraction_digits)
        if record.replay:
            line.replayed = True
            return
        in_line = record.seq == line.number + 1
        self._hits["S2"] += line.replayed and in_line
        self._hits["S4"] += record.device and in_line
        line.waiting -= record.device
        line.number, line.replayed = record.seq, False

    def _event(self, line: _Line, event: EventRecord) -> None:
        if event.code is EventCode.REQUEST and event.rule is not None:
            self._hits[event.rule.id] += event.rule is not Rule.R11 or not line.open
            line.waiting += 1
            if event.rule is Rule.R11:
                closed = any(other.code is EventCode.RECOVERY_CLOSED for other in line.events)
                self._hits["R13"] += closed
                self._hits["R15"] += line.open_before
                line.open, line.open_before = True, False
        elif event.code is EventCode.RECOVERY_CLOSED:
            line.open = False
        elif event.code in (EventCode.HELD_GAP_FILL, EventCode.HELD_BAD_GAP_FILL):
            self._hits["R10e"] += 1
        elif event.code is EventCode.SEQ_EXHAUSTED:
            self._hits["R16a"] += event.seq == MAX_SEQ

    def _message(self, line: _Line, m: MessageRecord) -> None:
        rule, garbled = m.rule, m.rule is Rule.F3
        self._hits[rule.id] += self._as_ruled(line, m)
        self._hits["R10f"] += rule is Rule.R10 and m.msg_type == "5"
        self._hits["R12"] += any(not d.early and d.seq != m.seq for d in line.deliveries)
        if not garbled:
            self._hits["F4"] += line.judged_by is Rule.F3 or m.offset > line.judged_to
            self._hits["F6"] += line.cut_off and m.offset == 0
            end = m.offset + m.length
            calls = [call for start, to, call in line.chunks if start < end and to > m.offset]
            self._hits["F1"] += len(calls) > 1
            self._hits["R17"] += len(calls) > 1 and calls[-1] - calls[0] >= len(calls)
        line.cut_off = False
        line.judged_to, line.judged_by = m.offset + m.length, rule
        del line.tail[: len(line.tail) - (line.received - line.judged_to)]
        line.chunks = [chunk for chunk in line.chunks if chunk[1] > line.judged_to]

    @staticmethod
    def _as_ruled(line: _Line, m: MessageRecord) -> bool:
        """Whether the message did what its rule says, as far as its records tell."""
        delivered, codes = line.deliveries, {event.code for event in line.events}
        stayed = m.expected == line.expected
        if m.rule in _IDLE:
            return stayed and not delivered and not codes
        if m.rule in HALTING_RULES:
            return stayed and not delivered and EventCode.HALTED in codes
        if m.rule is Rule.R3A:
            return stayed and EventCode.RESET_UNCHANGED in codes
        if m.rule in (Rule.R3, Rule.R7, Rule.R9):
            return m.expected > line.expected
        if m.rule is Rule.R5:
            return [d.seq for d in delivered] == [1] and m.expected == 2
        if m.rule is Rule.R8:
            return m.seq is not None and [d.seq for d in delivered[:1]] == [m.seq] and m.expected > m.seq
        if m.rule in (Rule.R10C, Rule.R10D):
            return stayed and [(d.seq, d.early) for d in delivered] == [(m.seq, True)]
        return stayed and not delivered  # R10, R10a, R10b


class SessionWatch:
    """Watches one :class:`tag34.session.Session`: its calls, and the events that they return.

    Parameters: ``hits``, what was seen, by rule id.
    """

    def __init__(self, hits: Counter[str]) -> None:
        self._hits = hits
        self._logged_on = False
        self._gap = False
        self._live: list[int] = []  # numbers of live messages whose bytes have not left yet

    def call(self, verb: str, events: Iterable[Event]) -> None:
        """A method was called and returned these events."""
        if verb == "connect":
            self._logged_on = self._gap = False
            self._live.clear()
        for event in events:
            if isinstance(event, ev.LoggedOn):
                self._logged_on = True
                self._hits["H1"] += 1
            elif isinstance(event, ev.Disconnect):
                self._hits["H1"] += not self._logged_on
                self._hits["H4"] += verb == "tick" and event.reason == "Logout was not answered"
            elif isinstance(event, ev.Sent):
                self._sent(verb, event)
            elif isinstance(event, ev.RecoveryOpened):
                self._gap = True
            elif isinstance(event, ev.RecoveryClosed):
                self._gap = False
            elif isinstance(event, ev.ReplayDone):
                self._hits["H3"] += 1
            elif isinstance(event, ev.LoggedOut):
                self._hits["H4"] += 1
            elif isinstance(event, ev.PeerError):
                self._hits["H5"] += event.rule == "H5"
            elif isinstance(event, ev.Message):
                self._hits["H5"] += event.possresend

    def _sent(self, verb: str, event: ev.Sent) -> None:
        self._hits["H2"] += event.msg_type in ("0", "1") and (verb == "tick" or b"\x01112=" in event.raw)
        if not event.replay:
            self._live.append(event.seq)
            self._hits["H7"] += verb == "send" and self._gap

    def left(self, data: bytes, stored: Container[int]) -> None:
        """``data_to_send`` gave these bytes; ``stored`` has the numbers of the messages in the store."""
        self._hits["H6"] += bool(data) and bool(self._live) and all(seq in stored for seq in self._live)
        self._live.clear()
