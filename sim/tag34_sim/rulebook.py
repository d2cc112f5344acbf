"""The rules, written down once: their ids, their texts, and where each of them lives.

``docs/rules.md`` is made from this (``make docs``); the tests of a rule are found by their markers, its proofs in the
table of ``tests/formal``. Texts are Markdown, with links as seen from ``docs/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Where places of each kind begin: (what the page calls them, package).
SIDES: Final[dict[str, tuple[str, str]]] = {
    "golden": ("golden model", "tag34_sim.golden"),
    "gateware": ("gateware", "tag34_hdl"),
    "host": ("host", "tag34"),
}


@dataclass(frozen=True)
class Row:
    """One rule.

    Members:
        id: as docstrings, records and tests name it.
        then: what holds; for rules of the form "if, then" the second half.
        when: the first half of those.
        golden, gateware, host: where it lives, each ``module:symbol`` below the package of :data:`SIDES`.
        note: what no test can show, or what is not there yet, and why. A rule without tests needs one.
    """

    id: str
    then: str
    when: str = ""
    golden: tuple[str, ...] = ()
    gateware: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    note: str = ""

    def places(self, side: str) -> tuple[str, ...]:
        """The places of one of :data:`SIDES`."""
        found: tuple[str, ...] = getattr(self, side)
        return found


@dataclass(frozen=True)
class Table:
    """Rules that stand together.

    Members: ``title`` with its Markdown marks, ``lead``, ``heads`` of the columns behind the id, ``rows``.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    lead: str = ""


#: Of every rule that judges: the row itself, and what follows from it.
_JUDGED = ("session.rules:Rules", "session.sequencer:Sequencer")
_RANGES = ("session.ends:ranges", "session.sequencer:Sequencer")

INTRODUCTION: Final = """\
What tag34 does with every byte and every message, one id per rule. Gateware, golden model and host follow this page;
tests, docstrings, records and events name its ids. [`tag34.contract`](../host/tag34/contract) has the same ids as
codes (`Rule`) and the verdicts that belong to them (`RULE_VERDICT`).

The rules come from the FIX 4.2 specification with its errata, FIX 4.4, FIXT 1.1 and the "FIX Session Layer Test Cases"
1.0. Where these leave a choice, the behaviour of QuickFIX 1.16 decided. Where a rule itself leaves a corner, a decision
page settles it: [framing](decisions/0001-framing-corners.md), [fields](decisions/0002-field-corners.md),
[session](decisions/0003-session-corners.md), [records](decisions/0004-records.md),
[time](decisions/0006-time-is-handed-in.md), [memory](decisions/0008-memory-for-held-messages.md)."""

#: Words that the rules use, and their meaning.
WORDS: Final[dict[str, str]] = {
    "`seq`": "34 of the message at hand",
    "`expected`": "the next inbound number",
    "`highest`": "the highest inbound number seen",
    "`next_out`": "the next outbound number",
    "`phase`": (
        "CLOSED (no connection), LOGON (waiting for the peer's Logon), ACTIVE, HALTED (stopped by an event that the"
        " host has to deal with)"
    ),
    "`may_request`": (
        "the host allows ResendRequests: for an initiator from the start, for an acceptor once its Logon reply is out"
    ),
    "recovery": (
        "closed, pending (there is a gap, but no request is allowed yet) or open; an open one has a `begin` and an"
        " `end`, the numbers it asked for"
    ),
    "window": "how far above `expected` messages are held: `seq - expected < window`",
    "verdict": "what was decided about a message: [`tag34.contract.Verdict`](../host/tag34/contract/__init__.py)",
}

TABLES: Final = (
    Table(
        "## F: framing",
        ("rule",),
        lead="Corners: [decision 1](decisions/0001-framing-corners.md), [decision 2](decisions/0002-field-corners.md).",
        rows=(
            Row(
                "F1",
                "A message is a row of fields `tag=value`, each closed by SOH: `8=<BeginString>`, `9=<BodyLength>`,"
                " the others, and `10=<CheckSum>` as the last. It may arrive in pieces of any size; where they are"
                " cut means nothing.",
                golden=("framing:Framer.feed",),
                gateware=("receive.framer:Framer", "receive.wide_framer:WideFramer"),
            ),
            Row(
                "F2",
                "The first three fields are 8, 9, 35, in this order. BodyLength alone says where a message ends, so"
                " data fields (95/96, 354/355, ...) may hold SOH and `10=`. The header goes as far as its fields are"
                " standard header fields: 8 9 35 34 43 49 50 52 56 57 90 97 115 116 122 128 129 142 143 144 145 212"
                " 347 369 627 628 629 630 1128 1129 1156. The first other tag ends it, and so do 91 and 213, whose"
                " values may hold anything. 34, 43, 49, 56, 97 and 122 count in the header only, 36 and 123 in the"
                " body of a 35=4 only, 141 in the body of a 35=A only; each time the first occurrence. `34=` within"
                " another field's value is not a tag.",
                golden=("fields:parse",),
                gateware=("receive.fields:Fields", "receive.wide_fields:WideFields"),
                host=("message:header_value",),
            ),
            Row(
                "F3",
                "A message is garbled if 8, 9, 35 are not its first three fields; if BodyLength is not one to six"
                " digits (leading zeros are fine: `9=088`); if at the declared end there is not `10=`, exactly three"
                " digits and SOH; or if CheckSum is not the sum modulo 256 of all bytes through the SOH before"
                " `10=`. A garbled message is counted and reported, and changes nothing.",
                golden=("framing:Framer._body_length", "framing:Framer._trailer"),
                gateware=("receive.framer:Framer", "receive.checksum:Checksum"),
                host=("conversation:Conversation._answer",),
            ),
            Row(
                "F4",
                "After a garbled message the search for the next `8=FIX` starts at the declared end, or at the next"
                " byte if there was no usable length. Bytes between messages are passed over and counted.",
                golden=("framing:Framer._hunt", "framing:Framer.skipped"),
                gateware=("receive.framer:Framer", "receive.wide_framer:WideFramer"),
            ),
            Row(
                "F5",
                "A message longer than `max_message` bytes (a build parameter, 4096 unless said otherwise) is framed"
                " and summed but not stored. If its trailer is valid it is OVERSIZE, and the session is HALTED with"
                " an event: dropped silently, it would be requested for ever. If not, it is garbled like any other.",
                golden=("framing:Framer._trailer", "rules:Session._judge"),
                gateware=("receive.framer:Framer", "session.rules:Rules"),
                host=("conversation:Conversation._answer",),
            ),
            Row(
                "F6",
                "BodyLength 0 or 999999, random bytes, nothing but SOH, a message cut off by the end of its"
                " connection: nothing hangs, no state is lost, and the next valid message after the declared end is"
                " found. A new connection (the host says so) forgets a partial message.",
                golden=("framing:Framer.reset",),
                gateware=("receive.framer:Framer", "receive.wide_framer:WideFramer"),
            ),
        ),
    ),
    Table(
        "## R: receiving",
        (),
        (),
        lead=(
            "One verdict for each framed and valid message. The rows are tried from the top, the first that applies"
            " decides. Corners:\n[decision 3](decisions/0003-session-corners.md)."
        ),
    ),
    Table(
        "### Before numbers are compared",
        ("if", "then"),
        (
            Row(
                "R1",
                "IGNORED, counted",
                when="`phase` is CLOSED or HALTED",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
            ),
            Row(
                "R2",
                "FOREIGN: no part of the session, not delivered as such, no state changes; the host is told",
                when="8, 49 or 56 is not what the session expects of its peer (49 the peer's CompID, 56 ours)",
                golden=("rules:Session._judge",),
                gateware=("receive.fields:Fields", "session.rules:Rules"),
                host=("conversation:Conversation._foreign",),
            ),
            Row(
                "R3",
                "RESET: `expected` becomes 36 and recovery is closed. What is held below 36 is freed; what is held"
                " from 36 on stays and is released in its turn. `highest` becomes the highest number held, 36 - 1 if"
                " none is. If numbers below it are missing, R11 opens a new range",
                when="35=4 and 123 is not Y (a Reset; its own 34 means nothing), 36 > `expected`",
                golden=("rules:Session._judge", "rules:Session._skip_to"),
                gateware=_JUDGED,
                host=("conversation:Conversation._answer",),
            ),
            Row(
                "R3a",
                "RESET with a warning; nothing changes",
                when="a Reset with 36 = `expected`",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._on_event",),
            ),
            Row(
                "R3b",
                "BAD_RESET: nothing changes; the host answers with a Reject (373=5)",
                when="a Reset with 36 < `expected`, or 36 missing or invalid",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._bad_new_seq_no",),
            ),
            Row(
                "R4",
                "NO_SEQNUM, HALTED",
                when=(
                    "34 is missing, empty, zero, has a character that is no digit (`-5`, `2.0`, `abc`), or is above"
                    " 4294967295 (nothing wraps: 2^32+2 is not 2). Leading zeros are fine"
                ),
                golden=("fields:number", "rules:Session._judge"),
                gateware=("receive.fields:Fields", *_JUDGED),
                host=("conversation:Conversation._answer",),
            ),
            Row(
                "R5",
                "DELIVER: `expected` becomes 2, `highest` 1; the window is cleared, recovery closed, earlier"
                " requests are forgotten (R9)",
                when="35=A with 141=Y and 34=1",
                golden=("rules:Session._judge", "rules:Session._forget"),
                gateware=_JUDGED,
                host=("conversation:Conversation._on_logon",),
            ),
            Row(
                "R6",
                "IGNORED; the host is told, and disconnects. A valid Logon makes the phase ACTIVE by itself: what"
                " follows in the same segment is judged and not lost",
                when="`phase` is LOGON and 35 is not A",
                golden=("rules:Session._judge", "rules:Session._see"),
                gateware=_JUDGED,
                host=("conversation:Conversation._not_a_logon",),
            ),
        ),
    ),
    Table(
        "### The expected number",
        ("if", "then"),
        (
            Row(
                "R7",
                "GAP_FILL: `expected` becomes 36, what is held below 36 is freed, release goes on at 36 (R12)",
                when="`seq` = `expected`, 35=4 with 123=Y (a GapFill), 36 > `seq`",
                golden=("rules:Session._judge", "rules:Session._skip_to"),
                gateware=_JUDGED,
            ),
            Row(
                "R7a",
                "BAD_GAP_FILL: nothing changes; the host answers with a Reject (373=5)",
                when="the same with 36 <= `seq`, or with 36 missing or invalid",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._bad_new_seq_no",),
            ),
            Row(
                "R8",
                "DELIVER: `expected` goes up by one, then release (R12)",
                when="`seq` = `expected`, anything else",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._on_delivered",),
            ),
        ),
    ),
    Table(
        "### A number below",
        ("if", "then"),
        (
            Row(
                "R9",
                "GAP_FILL as in R7: `expected` becomes 36. It is a late answer that also covers numbers still"
                " missing; ignoring it would cost a needless second request",
                when=(
                    "`seq` < `expected`, 43=Y, a GapFill with 36 > `expected`, and on this connection the device has"
                    " sent a ResendRequest whose `begin` <= `seq`"
                ),
                golden=("rules:Session._judge", "rules:Session._asked_for"),
                gateware=_JUDGED,
            ),
            Row(
                "R9a",
                "DUPLICATE: dropped, counted",
                when="`seq` < `expected`, 43=Y, anything else",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._duplicate",),
            ),
            Row(
                "R9b",
                'TOO_LOW, HALTED: the host sends a Logout "MsgSeqNum too low, expecting X but received Y" and'
                " disconnects",
                when="`seq` < `expected`, 43 not Y",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._answer",),
            ),
        ),
    ),
    Table(
        "### A number above",
        ("if", "then"),
        (
            Row(
                "R10",
                "HOLD: kept whole; recovery opens (R11)",
                when="`seq` > `expected`, within the window (`seq - expected < window`), and there is memory for it",
                golden=("rules:Session._judge",),
                gateware=(*_JUDGED, "session.window:Window", "session.slots:Slots", "session.wide_slots:WideSlots"),
            ),
            Row(
                "R10a",
                "DUPLICATE: the first copy stays",
                when="its number is held already",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
            ),
            Row(
                "R10b",
                "NOT_HELD: not kept, but `highest` remembers it, and recovery (R11) brings it again. Nothing is"
                " lost, memory is bounded",
                when=(
                    "beyond the window, or no memory: messages held share one memory, and all of it is in use, or"
                    " the session's share of it ([decision 8](decisions/0008-memory-for-held-messages.md))"
                ),
                golden=("rules:Session._judge", "memory:Memory"),
                gateware=_JUDGED,
            ),
            Row(
                "R10c",
                "DELIVER at once, and only once (again: DUPLICATE). If within the window, its number is marked there"
                " as consumed. Recovery is pending until `may_request`, so that an acceptor's Logon reply leaves"
                " first",
                when="`seq` > `expected` and 35=A",
                golden=("rules:Session._judge", "rules:Session.allow_requests"),
                gateware=_JUDGED,
                host=("conversation:Conversation._on_sent",),
            ),
            Row(
                "R10d",
                "DELIVER at once, and only once (again: DUPLICATE): both sides may be recovering, and waiting would"
                " be a deadlock. If within the window, its number is marked as consumed, and when it is reached the"
                " message does not act again. Recovery opens as in R10",
                when="`seq` > `expected` and 35=2",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._on_resend_request",),
            ),
            Row(
                "R10e",
                "HOLD as any other. When its number is reached it acts as in R7; if it turns out to be an R7a, it is"
                " dropped and its number is missing again",
                when="`seq` > `expected` and a GapFill",
                golden=("rules:Session._release",),
                gateware=("session.moves:release",),
                host=("conversation:Conversation._on_event",),
            ),
            Row(
                "R10f",
                "HOLD: recovery comes first, the host's logout timer runs meanwhile",
                when="`seq` > `expected` and 35=5",
                golden=("rules:Session._judge",),
                gateware=_JUDGED,
                host=("conversation:Conversation._answer",),
            ),
        ),
        lead=(
            "The rows for certain types (R10c, R10d) and R10a stand before the general R10 and R10b: R10a, then R10c"
            " and R10d, then R10 and R10b."
        ),
    ),
    Table(
        "### Recovery and release",
        ("when", "then"),
        (
            Row(
                "R11",
                "Recovery opens with a ResendRequest: 7 = `expected`, 16 by policy. `infinity`: 16=0 (999999 for"
                " FIX.4.0 and FIX.4.1), all that the peer has sent; recovery lasts until `expected` > `highest`."
                " `closed`: 16 = `end` = the number below `highest`, or `highest` itself if that message was not"
                " kept. `chunk` N: as `closed`, but at most N numbers from `expected`; the next chunk only when this"
                " one is complete. An open range is requested once, however many messages arrive above it; only R13a"
                " and R14 repeat",
                when=(
                    "recovery is closed, `phase` is ACTIVE, `may_request` is set and `highest` >= `expected`"
                    " (`expected` itself is missing then: had it been held, it would have been released)"
                ),
                golden=("rules:Session._open_recovery",),
                gateware=_RANGES,
                host=("conversation:Conversation._on_event",),
            ),
            Row(
                "R12",
                "Release: it is delivered (or acts, R10e), `expected` goes up by one, and so on. Nothing is"
                " delivered twice, out of order or before its turn. To the rules a release is one step: the"
                " session's next message is judged as if it were complete",
                when="the number `expected` is held",
                golden=("rules:Session._release",),
                gateware=(
                    "session.moves:release",
                    "session.sequencer:Sequencer",
                    "session.release:Release",
                    "session.wide_release:WideRelease",
                ),
                host=("conversation:Conversation._on_delivered",),
            ),
            Row(
                "R13",
                "Recovery closes. If `highest` >= `expected` still, the next range opens at once (R11): a gap within"
                " the gap does not wait for another message",
                when="`expected` > `end` (`infinity`: > `highest`), or R3 or R5 happened",
                golden=("rules:Session._settle",),
                gateware=_RANGES,
            ),
            Row(
                "R13a",
                "ResendRequest again, at once, from `expected` to the same `end`; once for each value of `expected`"
                " since recovery opened. A loss within a replay costs a round trip, not a timeout",
                when=(
                    "recovery was open before this message, 43=Y and `seq` > `expected`: the replay has gone past"
                    " `expected` without bringing it"
                ),
                golden=("rules:Session._settle",),
                gateware=_RANGES,
                host=("conversation:Conversation._on_event",),
            ),
            Row(
                "R14",
                "ResendRequest again from the present `expected`, at most `resend_retries` times; then"
                " RECOVERY_FAILED and HALTED",
                when="recovery is open and `expected` has not moved for `resend_timeout`",
                golden=("rules:Session.pass_ticks",),
                gateware=("session.timers:Timers", "session.operations:time_out", "session.state:State"),
                host=("session:Session.next_timeout", "conversation:Conversation._on_event"),
            ),
            Row(
                "R15",
                "Recovery is closed, held messages are dropped, earlier requests are forgotten (R9). `expected`"
                " stays, `highest` becomes `expected` - 1. The next message above opens a new request: one that was"
                " lost with the old connection is never believed to be under way",
                when="a new connection",
                golden=("rules:Session.connect",),
                gateware=("session.operations:operate", "session.sequencer:Sequencer"),
                host=("session:Session.connect",),
            ),
            Row(
                "R16",
                "The device holds its input back (`ready` is low) and drops nothing",
                when="the host is slow",
                gateware=("session.teller:Teller", "session.sequencer:Sequencer", "receive.framer:Framer"),
                note="In the golden model nothing is slow: every call has finished its work when it returns.",
            ),
            Row(
                "R16a",
                "SEQ_EXHAUSTED, HALTED until the host resets the session",
                when="the number 4294967295 has been consumed",
                golden=("rules:Session._settle",),
                gateware=("session.ends:records",),
                host=("conversation:Conversation._on_event",),
            ),
            Row(
                "R17",
                "Each rule holds for each session by itself. Bytes of session A may stop in the middle of a message"
                " and go on after bytes of session B",
                when="there are many sessions",
                golden=("model:Golden",),
                gateware=("core:Core", "receive.framer:Framer", "session.table:Table", "session.table:Context"),
                host=("hub:DeviceHub",),
            ),
        ),
    ),
    Table(
        "## S: sending",
        ("rule",),
        (
            Row(
                "S1",
                "Every outbound message goes through the composer. It writes 8, 9, 35, 49, 56, 34, 52, then what the"
                " sender gave (further header fields, then the body), then 10. BodyLength and CheckSum are computed,"
                " never taken over.",
                golden=("composer:compose",),
                gateware=("send.composer:Composer",),
                host=("message:application_fields",),
            ),
            Row(
                "S2",
                "`next_out` is given out there only, when a message's first byte leaves, in decimal without leading"
                " zeros (some venues refuse them). A replay brings its number along (43=Y, 122) and leaves"
                " `next_out` alone.",
                golden=("composer:Composer.send",),
                gateware=("send.composer:Composer", "send.next_out:NextOut"),
                host=("replay:replay",),
            ),
            Row(
                "S3",
                "The device's ResendRequest goes ahead of waiting host messages: between two messages, never into one.",
                golden=("model:Golden._send_requests",),
                gateware=("send.composer:Composer",),
            ),
            Row(
                "S4",
                "The host is told session, number and SendingTime of each message sent, in order, the device's own"
                " ResendRequests included, so that its store is exact. (In a replay those are gap-filled.)",
                golden=("model:Golden._send_requests", "model:Golden.send"),
                gateware=("send.composer:Composer", "core:Core"),
                host=("outbox:Outbox.sent",),
            ),
            Row(
                "S5",
                "52 is UTC, `YYYYMMDD-HH:MM:SS.sss`. The fraction is a policy: none (FIX.4.0, FIX.4.1),"
                " milliseconds, microseconds or nanoseconds. It does not step back over midnight or over the end of"
                " February, leap year or not.",
                golden=("composer:sending_time",),
                gateware=("send.clock:Clock", "send.composer:Composer"),
                host=("clock:format_utc",),
            ),
            Row(
                "S6",
                "A ResendRequest that was not out when its connection dropped was not sent (R15).",
                gateware=("send.composer:Composer",),
                note="In the golden model no request waits: it leaves within the call that causes it.",
            ),
        ),
        lead=(
            "One composer builds everything that leaves, and it alone gives out numbers. Corners: [decision"
            " 4](decisions/0004-records.md),\n[decision 6](decisions/0006-time-is-handed-in.md)."
        ),
    ),
    Table(
        "## H: host",
        ("rule",),
        (
            Row(
                "H1",
                "Initiator and acceptor: Logon with 98=0, 108 and optionally 141=Y; with 789 (NextExpectedMsgSeqNum)"
                " where configured. A second connection of a session that is up is refused. Unknown CompIDs, a first"
                " message that is not a Logon, or a SendingTime off by more than `max_latency`: no session.",
                host=(
                    "conversation:Conversation._on_logon",
                    "verify:check_logon",
                    "verify:check_sending_time",
                    "server:Server",
                ),
            ),
            Row(
                "H2",
                "Silent for 108 seconds ourselves: Heartbeat. The peer silent for 1.2 times that: TestRequest; for"
                " 2.4 times: disconnect. A TestRequest is answered with its 112. Held messages are a sign of life:"
                " recovery never looks like silence.",
                host=("liveness:Liveness", "conversation:Conversation._on_judged"),
            ),
            Row(
                "H3",
                "A ResendRequest of the peer is served from the store: application messages with 43=Y and 122 ="
                " their first SendingTime; each run of session messages as one GapFill whose 34 is the run's first"
                " number and whose 36 is the number after it; an order that has become stale (a callback of the"
                ' application decides) as a GapFill too. 16=0, and 16 beyond the last sent, mean "to the last sent".'
                " 7 above the last sent is answered with nothing wrong sent. No live message gets into a replay, and"
                " a long replay does not hold up heartbeats.",
                host=("replay:replay", "outbox:Outbox.serve", "verify:check_request"),
            ),
            Row(
                "H4",
                "A Logout is answered, and then the side that started it closes. No answer within `logout_timeout`:"
                " disconnect.",
                host=("conversation:Conversation._on_logout", "conversation:Conversation._begin_logout"),
            ),
            Row(
                "H5",
                "43=Y without 122: Reject, 373=1. 122 later than 52: Reject, 373=10, and Logout. A PossResend (97=Y)"
                " is delivered with its flag; the application decides.",
                host=("verify:check_possdup", "conversation:Conversation._duplicate"),
            ),
            Row(
                "H6",
                "The store is durable: what the peer may ask for is on disk before its bytes leave; `expected` and"
                " `next_out` outlive kill -9, and power loss as far as the configured `fsync` policy says. After a"
                " restart nothing is delivered as new twice and nothing is lost.",
                host=("outbox:Outbox.data_to_send", "store:MessageStore"),
                note=(
                    "The store that comes with tag34 lives in memory; [`MessageStore`](../host/tag34/store.py) is"
                    " the interface for a durable one. What is shown: a message is in the store, and the store"
                    " synced, before its bytes leave."
                ),
            ),
            Row(
                "H7",
                "Recovery never blocks the host: with a gap open it goes on receiving, holding, and sending the"
                " application's messages.",
                host=("session:Session.send", "engine:Connection"),
            ),
        ),
    ),
)

#: Every rule by its id, in the order of the page.
RULES: Final[dict[str, Row]] = {row.id: row for table in TABLES for row in table.rows}
