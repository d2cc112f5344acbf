"""What the host answers to what the device reports: Logon, Logout, TestRequest, ResendRequest, and Rejects (H1 to H5).

This is the inner half of :class:`tag34.session.Session`: records in, events and messages out. The outer half has the
calls.
"""

from __future__ import annotations

from collections import deque

from . import events as ev
from .clock import Instant
from .contract import EventCode, Rule
from .device import DeliverRecord, Device, DeviceError, EventRecord, MessageRecord, SentRecord
from .events import Event
from .liveness import Liveness
from .message import FixMessage, Value, as_pairs, encode_fields
from .outbox import Outbox
from .settings import SessionSettings
from .states import LOGGED_ON, LOGGING_ON, Cause, State, successor
from .store import MessageStore
from .tail import Tail
from .verify import (
    COMPID_PROBLEM,
    OUT_OF_RANGE,
    Complaint,
    check_logon,
    check_possdup,
    check_request,
    check_sending_time,
    missing,
    reject_fields,
)

#: Rules after which nothing is to be said: what they did is in other records.
_QUIET = frozenset({Rule.R1, Rule.R5, Rule.R7, Rule.R8, Rule.R9, Rule.R10A, Rule.R10C, Rule.R10D})


class Conversation:
    """State and answers of one session; see :class:`tag34.session.Session` for the parameters."""

    def __init__(self, device: Device, index: int, settings: SessionSettings, store: MessageStore) -> None:
        self.device = device
        self.index = index
        self.settings = settings
        self.store = store
        self._state = State.DISCONNECTED
        self._events: list[Event] = []
        self._tail = Tail()
        self._unacknowledged: deque[tuple[int, int]] = deque()  # ordinal and number of deliveries not taken yet
        self._delivered = 0
        device.configure(index, settings.device_config())
        self._outbox = Outbox(device, index, settings, store)
        self._begin(Instant(0, 0.0))

    def _begin(self, now: Instant) -> None:
        """Forget the old connection."""
        self._now = now
        self._end: tuple[str, bool] | None = None  # why the connection is to be closed, and whether that is in order
        self._logon_deadline = now.mono + self.settings.logon_timeout
        self._logout_deadline: float | None = None
        self._held_logout_deadline: float | None = None
        self._tests = 0
        self._reset_asked = False
        self._may_request = self.settings.initiator
        self._recovering = False
        self._expected = self.store.expected
        self._judged_to = 0
        self._liveness = Liveness(now)
        self._tail.clear()
        self._outbox.clear()
        self._unacknowledged.clear()

    def _move(self, cause: Cause) -> None:
        self._state = successor(self._state, cause)

    # What we say.

    def _say(self, msg_type: str, fields: bytes = b"", *, urgent: bool = False) -> None:
        self._outbox.say(msg_type, fields, urgent=urgent)
        self._liveness.spoke(self._now)

    def _send_logon(self, heartbeat: int, *, reset: bool) -> None:
        settings = self.settings
        fields: list[tuple[int, Value]] = [(98, 0), (108, heartbeat)]
        if reset:
            fields.append((141, True))
        if settings.next_expected:
            # The peer's Logon counts: ours answers it, or it answers ours and has the next number.
            fields.append((789, self.device.state(self.index).expected))
        if settings.default_appl_ver is not None:
            fields.append((1137, settings.default_appl_ver))
        self._say("A", encode_fields(fields + list(as_pairs(settings.logon_fields))), urgent=True)

    def _reject(self, seq: int, msg_type: str | None, complaint: Complaint) -> None:
        fields = reject_fields(self.settings, seq, msg_type, complaint.text, complaint.reason, complaint.tag)
        self._say("3", encode_fields(fields))

    def _complain(self, seq: int, msg_type: str | None, complaint: Complaint) -> None:
        """A message is wrong: Reject it, and end the session if it is that bad."""
        self._events.append(ev.PeerError(complaint.rule, complaint.text))
        self._reject(seq, msg_type, complaint)
        if complaint.logout and self._state is State.ACTIVE:
            self._begin_logout(complaint.text)

    def _begin_logout(self, text: str) -> None:
        self._move(Cause.LOGOUT_OUT)
        self._await_logout()
        self._say("5", encode_fields([(58, text)] if text else []))

    def _await_logout(self) -> None:
        """From now on the peer has ``logout_timeout`` to do its part of the Logout (H4)."""
        self._logout_deadline = self._now.mono + self.settings.logout_timeout

    def _fail(self, text: str) -> None:
        """The session cannot go on: say why and close."""
        self._outbox.drop_backlog()
        try:
            self._say("5", encode_fields([(58, text)]))
        except DeviceError as error:
            text = f"{text} ({error})"  # no number left for a Logout: closing says it, too
        self._give_up(text)

    def _give_up(self, reason: str, *, clean: bool = False) -> None:
        self._move(Cause.GIVE_UP)
        self._end = reason, clean

    # What the device reports: messages that it judged.

    def _on_judged(self, record: MessageRecord) -> None:
        rule = record.rule
        self._judged_to = record.offset + record.length
        if rule is not Rule.F3:
            self._liveness.heard(self._now)
        if rule not in _QUIET:
            self._answer(record)
        self._expected = record.expected
        if self._state in LOGGED_ON:
            self._save_expected()

    def _answer(self, record: MessageRecord) -> None:
        """The verdict asks for more than a delivery."""
        rule = record.rule
        if rule is Rule.F5:
            self._fail(f"message of {record.length} bytes is too long")
        elif rule is Rule.R2:
            self._foreign(record)
        elif self._state in LOGGING_ON and rule in (Rule.R3, Rule.R3A, Rule.R3B, Rule.R6):
            self._not_a_logon(record)
        elif rule in (Rule.R3B, Rule.R7A):
            self._bad_new_seq_no(record.seq or record.expected, rule)
        elif rule is Rule.R4:
            self._fail("MsgSeqNum missing or invalid")
        elif rule is Rule.R9B:
            self._fail(f"MsgSeqNum too low, expecting {record.expected} but received {record.seq}")
        elif rule is Rule.F3:
            self._events.append(
                ev.PeerError("F3", f"garbled message of {record.length} bytes at offset {record.offset}")
            )
        elif rule is Rule.R3:
            self._events.append(ev.SequenceReset(record.expected))
        elif rule is Rule.R9A:
            self._duplicate(record)
        elif rule in (Rule.R10, Rule.R10B) and record.msg_type == "5" and self._held_logout_deadline is None:
            self._held_logout_deadline = self._now.mono + self.settings.logout_timeout

    def _save_expected(self) -> None:
        taken = self._unacknowledged[0][1] if self._unacknowledged else self._expected
        if taken != self.store.expected:
            self.store.save_expected(taken)

    def _foreign(self, record: MessageRecord) -> None:
        """BeginString or a CompID is not the session's (R2).

        Before the Logon the caller is nobody, and gets no answer (H1).
        """
        raw = self._tail.message(record.offset, record.length)
        if self._state in LOGGING_ON:
            self._give_up("the peer's Logon has another BeginString or other CompIDs")
        elif raw is not None and not raw.startswith(f"8={self.settings.begin_string}\x01".encode("ascii")):
            self._fail("Incorrect BeginString")
        else:
            self._outbox.drop_backlog()
            self._reject(record.seq or 0, record.msg_type, Complaint("R2", "CompID problem", COMPID_PROBLEM))
            self._fail("Incorrect SenderCompID or TargetCompID")

    def _not_a_logon(self, record: MessageRecord) -> None:
        """The first message is no Logon (R6, H1); a Logout is the refusal of ours."""
        if record.msg_type == "5":
            raw = self._tail.message(record.offset, record.length)
            text = FixMessage(raw).get(58, "") if raw is not None else ""
            self._events.append(ev.LoggedOut(text, by_peer=True))
            self._give_up(f"logon rejected: {text}" if text else "logon rejected")
        else:
            self._give_up(f"the peer's first message is no Logon but of type {record.msg_type}")

    def _bad_new_seq_no(self, seq: int, rule: Rule) -> None:
        text = "NewSeqNo is missing, invalid or too low"
        self._complain(seq, "4", Complaint(rule.id, text, OUT_OF_RANGE, 36))

    def _duplicate(self, record: MessageRecord) -> None:
        """A number that was had before is dropped, but its times have to be right (H5).

        A GapFill has nothing to be told twice.
        """
        raw = self._tail.message(record.offset, record.length)
        if raw is None or record.seq is None or record.msg_type == "4" or self._state not in LOGGED_ON:
            return
        complaint = check_possdup(raw)
        if complaint is not None:
            self._complain(record.seq, record.msg_type, complaint)

    # What the device reports: messages whose turn has come.

    def _on_delivered(self, record: DeliverRecord) -> None:
        if record.msg_type == "A":
            self._on_logon(record)
            return
        # A message that waited in the window is as old as the gap was long: only one that has just come shows the
        # peer's clock.
        fresh = record.early or record.seq == self._expected
        complaint = check_possdup(record.data) if record.possdup else None
        if complaint is None and fresh and self.settings.max_latency is not None:
            complaint = self._check_latency(record.data, self.settings.max_latency)
        if record.msg_type == "5":
            self._on_logout(record)
        elif complaint is not None:
            self._complain(record.seq, record.msg_type, complaint)
        else:
            self._accept(record)

    def _accept(self, record: DeliverRecord) -> None:
        """Nothing is wrong with this message."""
        if record.msg_type == "0":
            return
        view = FixMessage(record.data)
        if record.msg_type == "1":
            asked = view.get_bytes(112)
            if asked:
                # Ahead of what waits behind a replay: the peer measures how long this takes.
                self._say("0", encode_fields([(112, asked)]), urgent=True)
            else:
                self._complain(record.seq, "1", missing("H2", 112))
        elif record.msg_type == "2":
            self._on_resend_request(record.seq, view)
        else:
            self._delivered += 1
            self._unacknowledged.append((self._delivered, record.seq))
            self._events.append(
                ev.Message(record.seq, record.msg_type, record.possdup, record.possresend, view, self._delivered)
            )

    def _check_latency(self, raw: bytes, limit: float) -> Complaint | None:
        complaint = check_sending_time(raw, self._now.utc_ns, limit + self._liveness.grace)
        if self._liveness.grace and check_sending_time(raw, self._now.utc_ns, limit) is None:
            self._liveness.grace = 0.0  # what piled up while reading was paused is through
        return complaint

    def _on_logon(self, record: DeliverRecord) -> None:
        settings = self.settings
        logon = FixMessage(record.data)
        reset = logon.get(141) == "Y" and record.seq == 1  # R5: the device has reset the inbound side
        if self._state not in LOGGING_ON and not (reset and self._state is State.ACTIVE):
            self._events.append(ev.PeerError("H1", "Logon in a session that is up"))
            return
        complaint = None
        if settings.max_latency is not None:
            complaint = self._check_latency(record.data, settings.max_latency)
        if complaint is None:
            complaint = check_logon(settings, logon)
        if complaint is not None:
            self._refuse(record.seq, complaint)
            return
        answer_reset = reset and not self._reset_asked
        if answer_reset:
            self.store.reset()
            self.device.set_next_out(self.index, 1)
            self._unacknowledged.clear()
        self._reset_asked = False
        missed_from = logon.get_int(789) if settings.next_expected else None
        next_out = self.store.next_out
        if missed_from is not None and missed_from > next_out:
            text = f"NextExpectedMsgSeqNum too high, expecting {next_out} but received {missed_from}"
            self._fail(text)
            return
        if self._state in LOGGING_ON:
            self._liveness.interval = settings.heartbeat if settings.initiator else logon.get_int(108) or 0
        self._held_logout_deadline = None
        self._move(Cause.LOGON)
        if answer_reset or not settings.initiator:
            self._send_logon(self._liveness.interval, reset=answer_reset)
        if answer_reset:
            self._outbox.abandon_replay()
        self._events.append(ev.LoggedOn(self._liveness.interval, reset, logon))
        if missed_from is not None and missed_from < next_out:
            self._outbox.request(max(1, missed_from), next_out - 1)

    def _refuse(self, seq: int, complaint: Complaint) -> None:
        """No session with this Logon (H1)."""
        self._outbox.drop_backlog()
        if complaint.reason is not None:
            self._reject(seq, "A", complaint)
        self._fail(complaint.text)

    def _on_logout(self, record: DeliverRecord) -> None:
        text = FixMessage(record.data).get(58, "")
        self._held_logout_deadline = None
        if self._state is State.ACTIVE:
            self._events.append(ev.LoggedOut(text, by_peer=True))
            self._move(Cause.LOGOUT_IN)
            self._await_logout()
            self._say("5")
        elif self._state is State.LOGOUT_SENT:
            self._events.append(ev.LoggedOut(text, by_peer=False))
            self._expected = record.seq + 1  # it ends the connection, but its number was had
            self._save_expected()
            self._move(Cause.LOGOUT_IN)
            self._end = "logged out", True

    def _on_resend_request(self, seq: int, view: FixMessage) -> None:
        """Find out what is asked for (H3). What was never sent is answered with nothing: any answer would be wrong."""
        last = self.store.next_out - 1
        asked = check_request(self.settings, view, last)
        if isinstance(asked, Complaint):
            self._complain(seq, "2", asked)
        elif asked[0] > last:
            text = f"ResendRequest from {asked[0]}, the last message sent is {last}"
            self._events.append(ev.PeerError("H3", text))
        else:
            self._outbox.request(*asked)

    # What the device reports: messages sent, and events.

    def _on_sent(self, record: SentRecord) -> None:
        self._events.append(self._outbox.sent(record))
        self._liveness.spoke(self._now)
        if self._logout_deadline is not None and (record.replay or record.msg_type == "5"):
            # A replay that is under way goes before our Logout, and takes its time as long as it makes progress.
            self._await_logout()
        elif record.msg_type == "A" and not self._may_request and self._state in LOGGED_ON:
            # An acceptor's Logon goes first, then it may ask for what is missing (R10c).
            self._may_request = True
            self.device.set_may_request(self.index, True)

    def _on_event(self, record: EventRecord) -> None:
        code = record.code
        if code is EventCode.REQUEST:
            self._recovering = True
            begin, end, rule = record.seq, record.number, record.rule
            if begin is None or end is None or rule is None:
                raise DeviceError(f"the device's request says too little: {record}")
            self._events.append(ev.RecoveryOpened(begin, end, rule, record.cycle))
        elif code is EventCode.GAP:
            self._events.append(ev.GapSuspected(record.seq or 0, record.number or 0, record.cycle))
        elif code is EventCode.RECOVERY_CLOSED:
            self._recovering = False
            self._events.append(ev.RecoveryClosed(record.seq or 0))
        elif code is EventCode.RECOVERY_FAILED:
            self._fail(f"ResendRequest from {record.seq} was not answered")
        elif code is EventCode.SEQ_EXHAUSTED:
            self._fail("the last MsgSeqNum is used up, the session must be reset")
        elif code is EventCode.HELD_BAD_GAP_FILL:
            self._bad_new_seq_no(record.seq or 0, Rule.R7A)
        elif code is EventCode.RESET_UNCHANGED:
            self._events.append(ev.PeerError("R3a", f"SequenceReset to {record.seq}, which is expected anyway"))
        elif code is EventCode.SEND_DROPPED:
            raise DeviceError("the device dropped a message that is longer than it can send")
