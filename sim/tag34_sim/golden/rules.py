"""R1 to R16a: state and receive decisions of one session. Corners: ``docs/decisions/0003-session-corners.md``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tag34.contract import HALTING_RULES, MAX_SEQ, RULE_VERDICT, EventCode, Phase, Policy, Rule
from tag34.device import DeliverRecord, EventRecord, MessageRecord, Record, SessionConfig

from .fields import Message, parse
from .framing import Frame, FrameKind, msg_type_text
from .memory import Memory

#: Rules of a message above ``expected``: those that R13a looks at.
_ABOVE = frozenset({Rule.R10, Rule.R10A, Rule.R10B, Rule.R10C, Rule.R10D})


def _has_bytes(m: Message | None) -> bool:
    """What is held needs memory: a GapFill does not, its numbers say all, and neither does a consumed number."""
    return m is not None and not m.gap_fill


@dataclass
class Recovery:
    """A range that was requested and is not complete.

    Members: ``end``, its last number, None for ``infinity`` (all that was seen: ``highest``); ``asked``, 16 of its
    requests; ``ticks`` until R14 repeats the request; ``retries`` by R14 since the last progress; ``passed``, the
    value of ``expected`` for which R13a has repeated it.
    """

    end: int | None
    asked: int
    ticks: int
    retries: int = 0
    passed: int | None = None


class Session:
    """One session's receive side.

    Parameters:
        index: its number in the records.
        window: the device's largest hold window, in numbers.
        emit: takes the records as they come about.
        memory: of held messages, shared by all sessions of a device; None: one that is never full.

    Members: ``phase``, ``may_request``, ``expected``, ``highest``, ``recovery`` (None: closed or pending); ``held``,
    the hold window: number -> message, None for a number that is consumed already; ``kept``, how many of these are in
    the memory of held messages; ``asked_from``, lowest 7 of the requests on this connection; ``requests``, 7 and 16
    of the ResendRequests decided and not yet taken by the composer; ``judged``, messages per rule.
    """

    def __init__(self, index: int, window: int, emit: Callable[[Record], None], memory: Memory | None = None) -> None:
        self.index = index
        self.config: SessionConfig | None = None
        self.phase = Phase.CLOSED
        self.may_request = False
        self.expected = 1
        self.highest = 0
        self.recovery: Recovery | None = None
        self.held: dict[int, Message | None] = {}
        self.kept = 0
        self.asked_from: int | None = None
        self._announced = False  # the number of the message now arriving was told
        self.requests: list[tuple[int, int]] = []
        self.judged = dict.fromkeys(RULE_VERDICT, 0)
        self._memory = Memory(window, window) if memory is None else memory
        self._device_window = window
        self._window = window
        self._mirror: tuple[bytes, bytes, bytes] | None = None
        self._emit = emit

    # What the host does.

    def configure(self, config: SessionConfig) -> None:
        """Set the configuration."""
        self.config = config
        self._window = config.window or self._device_window
        self._mirror = (
            config.begin_string.encode("ascii"),
            config.target.encode("ascii"),
            config.sender.encode("ascii"),
        )

    def connect(self, phase: Phase, may_request: bool) -> None:
        """A new connection (R15)."""
        self._forget(self.expected)
        self._announced = False
        self.phase = phase
        self.may_request = may_request

    def disconnect(self) -> None:
        """The connection is gone, and what it held with it: others can have the memory at once."""
        self.phase = Phase.CLOSED
        self._free_all()

    def allow_requests(self, allowed: bool) -> None:
        """The host allows or forbids ResendRequests; a pending recovery opens (R11)."""
        self.may_request = allowed
        self._open_recovery()

    def set_expected(self, expected: int) -> None:
        """The host sets the next inbound number; all that hangs on the old one is forgotten."""
        self._forget(expected)

    def _forget(self, expected: int) -> None:
        self.expected = expected
        self.highest = expected - 1
        self.recovery = None
        self._free_all()
        self.asked_from = None

    # What the peer does.

    def receive(self, frame: Frame) -> None:
        """Judge one framed message; its record closes the transaction."""
        self._receive(frame)
        self._announced = False

    def _receive(self, frame: Frame) -> None:
        if frame.kind is FrameKind.GARBLED:
            self._report(frame, Rule.F3, seq=None, possdup=False)
            return
        message = parse(frame)
        self.expect_gap(message)
        expected, recovery = self.expected, self.recovery
        rule = self._judge(message)
        self._settle(message, rule, expected, recovery)
        self._report(frame, rule, seq=message.seq, possdup=message.possdup)

    def expect_gap(self, m: Message) -> None:
        """Of a message no more than the number may be known: say so if it will open a range (once, if that is wanted).
        A SequenceReset is taken for a Reset as long as its 123 is not known."""
        if (
            self.config is not None
            and self.config.early_gap
            and not self._announced
            and m.seq is not None
            and m.seq > self.expected
            and not m.is_reset
            and (self.phase is Phase.ACTIVE or (self.phase is Phase.LOGON and m.is_logon))
            and self.may_request
            and self.recovery is None
        ):
            self._announced = True
            self._event(EventCode.GAP, seq=m.seq, number=self.expected)

    def _judge(self, m: Message) -> Rule:
        """The rows of the rules page from top to bottom: the first that fits decides and acts."""
        seq, new = m.seq, m.new_seq_no
        if self.phase in (Phase.CLOSED, Phase.HALTED):
            return Rule.R1
        if not m.stored:
            return Rule.F5
        if (m.begin_string, m.sender, m.target) != self._mirror:
            return Rule.R2

        if m.is_reset:
            if new is not None and new > self.expected:
                self.recovery = None
                self._skip_to(new)
                self.highest = max(self.held, default=new - 1)
                self._release()
                return Rule.R3
            if new == self.expected:
                self._event(EventCode.RESET_UNCHANGED, seq=self.expected)
                return Rule.R3A
            return Rule.R3B

        if seq is None:
            return Rule.R4
        if m.reset_seq_num and seq == 1:
            self._forget(2)
            self.phase = Phase.ACTIVE
            self._deliver(m)
            return Rule.R5
        if self.phase is Phase.LOGON and not m.is_logon:
            return Rule.R6

        if seq == self.expected:
            if m.gap_fill and new is not None and new > seq:
                self._skip_to(new)
                self._release()
                return Rule.R7
            if m.gap_fill:
                return Rule.R7A
            self._see(m, seq)
            self._deliver(m)
            self.expected += 1
            self._release()
            return Rule.R8

        if seq < self.expected:
            if m.possdup and m.gap_fill and new is not None and new > self.expected and self._asked_for(seq):
                self._skip_to(new)
                self._release()
                return Rule.R9
            return Rule.R9A if m.possdup else Rule.R9B

        # seq > expected, the specific rows first
        in_window = seq - self.expected < self._window
        if seq in self.held:
            return Rule.R10A
        self._see(m, seq)
        if m.is_logon or m.is_resend_request:
            self._deliver(m, early=True)
            if in_window:
                self._hold(seq, None)
            return Rule.R10C if m.is_logon else Rule.R10D
        if in_window and (not _has_bytes(m) or self._memory.has_room(self.kept)):
            self._hold(seq, m)
            return Rule.R10
        return Rule.R10B

    def _see(self, m: Message, seq: int) -> None:
        """``highest`` remembers a number that arrived (R8, R10 to R10d); a Logon among them opens the session (R6)."""
        self.highest = max(self.highest, seq)
        if m.is_logon:
            self.phase = Phase.ACTIVE

    def _skip_to(self, new: int) -> None:
        """``expected`` := 36, and held below it is freed (R3, R7, R9)."""
        self.expected = new
        for seq in [seq for seq in self.held if seq < new]:
            self._free(seq)

    def _release(self) -> None:
        """R12: what is held at ``expected`` is delivered, or acts (R10e), or was consumed before (R10c, R10d)."""
        while self.expected in self.held:
            seq = self.expected
            m = self._free(seq)
            if m is not None and m.gap_fill:
                if m.new_seq_no is None or m.new_seq_no <= seq:
                    self._event(EventCode.HELD_BAD_GAP_FILL, seq=seq)
                    return
                self._event(EventCode.HELD_GAP_FILL, seq=seq, number=m.new_seq_no)
                self._skip_to(m.new_seq_no)
                continue
            if m is not None:
                self._deliver(m)
            self.expected += 1

    def _settle(self, m: Message, rule: Rule, expected: int, recovery: Recovery | None) -> None:
        """What follows from the decision. ``expected`` and ``recovery`` are those before the message."""
        progress = self.expected != expected
        if self.recovery is not None and progress:
            if self.expected > self._end(self.recovery):  # R13
                self.recovery = None
            else:  # R14
                self.recovery.retries = 0
                self.recovery.ticks = self._timeout
        if recovery is not None and self.recovery is None:
            self._event(EventCode.RECOVERY_CLOSED, seq=self.expected)

        if (
            recovery is not None
            and self.may_request
            and rule in _ABOVE
            and m.possdup
            and recovery.passed != self.expected
        ):
            recovery.passed = self.expected
            self._request(recovery, Rule.R13A)
        self._open_recovery()

        if rule in HALTING_RULES:
            self.phase = Phase.HALTED
            self._event(EventCode.HALTED, seq=self.expected, rule=rule)
        if progress and self.expected > MAX_SEQ:
            self.phase = Phase.HALTED
            self._event(EventCode.SEQ_EXHAUSTED, seq=MAX_SEQ, rule=Rule.R16A)

    # The hold window.

    def _hold(self, seq: int, m: Message | None) -> None:
        """Keep a message, or mark its number as consumed (None)."""
        self.held[seq] = m
        if _has_bytes(m):
            self.kept += 1
            self._memory.used += 1

    def _free(self, seq: int) -> Message | None:
        """Take a number out of the window; what was there."""
        m = self.held.pop(seq)
        if _has_bytes(m):
            self.kept -= 1
            self._memory.used -= 1
        return m

    def _free_all(self) -> None:
        for seq in list(self.held):
            self._free(seq)

    # Recovery.

    def _open_recovery(self) -> None:
        """R11: ask for what is missing, once per range."""
        if (
            self.recovery is not None
            or self.phase is not Phase.ACTIVE
            or not self.may_request
            or self.highest < self.expected
        ):
            return
        assert self.config is not None  # ACTIVE is reached by connect() alone, which wants a configuration
        policy = self.config.policy
        if policy is Policy.INFINITY:
            end, asked = None, self.config.infinity_end
        else:
            end = self.highest - 1 if self.highest in self.held else self.highest
            if policy is Policy.CHUNK:
                end = min(end, self.expected + self.config.chunk - 1)
            asked = end
        self.recovery = Recovery(end, asked, ticks=self._timeout)
        self._request(self.recovery, Rule.R11)

    def _request(self, recovery: Recovery, rule: Rule) -> None:
        """A ResendRequest from ``expected`` to the range's end."""
        self._event(EventCode.REQUEST, seq=self.expected, number=recovery.asked, rule=rule)
        self.requests.append((self.expected, recovery.asked))
        if self.asked_from is None:  # the first request is the lowest: expected only grows, or all is forgotten
            self.asked_from = self.expected

    def _end(self, recovery: Recovery) -> int:
        return self.highest if recovery.end is None else recovery.end

    def _asked_for(self, seq: int) -> bool:
        """A request of this connection begins at or below ``seq`` (R9)."""
        return self.asked_from is not None and self.asked_from <= seq

    @property
    def _timeout(self) -> int:
        return self.config.resend_timeout if self.config is not None else 0

    def ticks_left(self) -> int | None:
        """Timer ticks until R14 acts; None while its timer does not run."""
        if self.recovery is None or self.phase is not Phase.ACTIVE or not self.may_request or not self._timeout:
            return None
        return self.recovery.ticks

    def pass_ticks(self, ticks: int) -> None:
        """R14: let ``ticks`` pass, at most :meth:`ticks_left`."""
        recovery = self.recovery
        assert recovery is not None  # or its timer would not run
        assert self.config is not None
        recovery.ticks -= ticks
        if recovery.ticks:
            return
        if recovery.retries == self.config.resend_retries:
            self.phase = Phase.HALTED
            self._event(EventCode.RECOVERY_FAILED, seq=self.expected)
            return
        recovery.retries += 1
        recovery.ticks = self._timeout
        self._request(recovery, Rule.R14)

    # Records.

    def _deliver(self, m: Message, *, early: bool = False) -> None:
        assert m.seq is not None  # R4 comes first
        msg_type = msg_type_text(m.msg_type)
        self._emit(DeliverRecord(self.index, m.seq, msg_type, m.possdup, m.possresend, early, m.raw))

    def _event(self, code: EventCode, *, seq: int, number: int | None = None, rule: Rule | None = None) -> None:
        self._emit(EventRecord(self.index, code, seq, number, rule))

    def _report(self, frame: Frame, rule: Rule, *, seq: int | None, possdup: bool) -> None:
        self.judged[rule] += 1
        self._emit(
            MessageRecord(self.index, frame.offset, frame.length, frame.msg_type, seq, rule, self.expected, possdup)
        )
