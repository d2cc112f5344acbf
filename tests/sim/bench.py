"""Sessions of a device under test, fed by hand, and what they do told in short lines."""

from __future__ import annotations

from tag34.contract import MAX_SEQ, EventCode, Phase
from tag34.device import DeliverRecord, Device, EventRecord, MessageRecord, Record, SentRecord, SessionState
from tag34_sim.messages import Peer

#: Milliseconds since 1970 at which benches start: 2024-02-29 23:59:59.
START_MS = 1_709_251_199_000
#: Numbers of one digit written again and again: each digit in each place.
ALL_DIGITS = [number for length in range(1, 11) for digit in "123456789" if (number := int(digit * length)) <= MAX_SEQ]


def tell(record: Record) -> str:
    """A record in one short line.

    ``deliver 5``, ``R10 7 -> 5`` (rule, 34, expected afterwards), ``request 5-0 R11`` (7, 16, why), ``recovered 8``,
    other events by name.
    """
    if isinstance(record, DeliverRecord):
        return f"deliver {record.seq}" + " early" * record.early
    if isinstance(record, MessageRecord):
        return f"{record.rule.id} {'none' if record.seq is None else record.seq} -> {record.expected}"
    if isinstance(record, SentRecord):
        return f"sent {record.msg_type} {record.seq}"
    assert isinstance(record, EventRecord)
    if record.code is EventCode.REQUEST:
        assert record.rule is not None
        return f"request {record.seq}-{record.number} {record.rule.id}"
    if record.code is EventCode.RECOVERY_CLOSED:
        return f"recovered {record.seq}"
    parts = (record.seq, record.number, record.rule.id if record.rule is not None else None)
    return " ".join([record.code.name.lower(), *(str(part) for part in parts if part is not None)])


class Stage:
    """What the sessions of one device share: the stream of its records, and its time.

    Parameters: ``device``, freshly opened; ``ms``, the time.

    Members: ``device``; ``records``, all so far, of all sessions; ``ms``.
    """

    def __init__(self, device: Device, ms: int = START_MS) -> None:
        self.device = device
        self.records: list[Record] = []
        self.ms = ms
        self._waiting: dict[int, list[Record]] = {}
        device.advance(self.ms * 10**6)

    def take(self, session: int) -> list[Record]:
        """One session's records since they were last taken."""
        for record in self.device.poll():
            self.records.append(record)
            self._waiting.setdefault(record.session, []).append(record)
        return self._waiting.pop(session, [])

    def wait(self, ms: int) -> None:
        """Let milliseconds pass."""
        self.ms += ms
        self.device.advance(self.ms * 10**6)


class Bench:
    """A session of a device, connected, and its counterparty.

    Parameters:
        device: freshly opened, or what other sessions are on already.
        session: its number.
        expected: the next inbound number.
        phase, may_request: of the connection.
        peer: the counterparty.
        options: as in :class:`~tag34.device.SessionConfig`.

    Members: ``records``, all so far; ``sent``, the SentRecords among them.
    """

    def __init__(
        self,
        device: Device | Stage,
        session: int = 0,
        *,
        expected: int = 1,
        phase: Phase = Phase.ACTIVE,
        may_request: bool = True,
        peer: Peer | None = None,
        **options: object,
    ) -> None:
        self.stage = device if isinstance(device, Stage) else Stage(device)
        self.device = self.stage.device
        self.session = session
        self.peer = peer or Peer()
        self.records: list[Record] = []
        self.sent: list[SentRecord] = []
        self.device.configure(session, self.peer.config(**options))
        self.device.set_expected(session, expected)
        self.device.connect(session, phase=phase, may_request=may_request)

    def story(self) -> list[str]:
        """What has happened since the last call, SentRecords apart: when a message leaves is the device's affair."""
        records = self.stage.take(self.session)
        self.records += records
        self.sent += [record for record in records if isinstance(record, SentRecord)]
        return [tell(record) for record in records if not isinstance(record, SentRecord)]

    def feed(self, *messages: bytes) -> list[str]:
        """Receive the messages; the story."""
        self.device.receive(self.session, b"".join(messages))
        return self.story()

    def send(self, msg_type: str, fields: bytes = b"", *, seq: int | None = None) -> SentRecord:
        """Send one message; its record."""
        self.device.send(self.session, msg_type, fields, seq=seq)
        self.story()
        return self.sent[-1]

    def wait(self, ms: int) -> list[str]:
        """Let milliseconds pass; the story."""
        self.stage.wait(ms)
        return self.story()

    def reconnect(self, *, phase: Phase = Phase.ACTIVE, may_request: bool = True) -> None:
        """The connection breaks and comes again."""
        self.device.disconnect(self.session)
        self.device.connect(self.session, phase=phase, may_request=may_request)

    def order(self, seq: int, *, possdup: bool = False) -> bytes:
        """The peer's order with this number."""
        return self.peer.order(seq, possdup=possdup)

    def orders(self, *seqs: int, possdup: bool = False) -> bytes:
        """The peer's orders with these numbers."""
        return b"".join(self.peer.order(seq, possdup=possdup) for seq in seqs)

    @property
    def state(self) -> SessionState:
        """The session's state."""
        return self.device.state(self.session)

    @property
    def phase(self) -> Phase:
        """The session's phase."""
        return self.state.phase

    @property
    def expected(self) -> int:
        """The next inbound number."""
        return self.state.expected

    @property
    def highest(self) -> int:
        """The highest number seen."""
        return self.state.highest

    @property
    def messages(self) -> list[MessageRecord]:
        """All MessageRecords so far."""
        return [record for record in self.records if isinstance(record, MessageRecord)]

    @property
    def delivered(self) -> list[DeliverRecord]:
        """All DeliverRecords so far."""
        return [record for record in self.records if isinstance(record, DeliverRecord)]

    @property
    def requests(self) -> list[tuple[int, int]]:
        """7 and 16 of the ResendRequests that were really sent."""
        found = []
        for record in self.sent:
            if record.msg_type == "2":
                fields = dict(field.split(b"=", 1) for field in record.data.split(b"\x01")[:-1])
                found.append((int(fields[b"7"]), int(fields[b"16"])))
        return found
