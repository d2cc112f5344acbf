"""One session of a device under test, fed by hand, and what it does told in short lines."""

from __future__ import annotations

from tag34.contract import EventCode, Phase
from tag34.device import DeliverRecord, Device, EventRecord, MessageRecord, Record, SentRecord
from tag34_sim.messages import Peer

#: Milliseconds since 1970 at which benches start: 2024-02-29 23:59:59.
START_MS = 1_709_251_199_000


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


class Bench:
    """Session 0 of a device, connected, and its counterparty.

    Parameters:
        device: freshly opened.
        expected: the next inbound number.
        phase, may_request: of the connection.
        peer: the counterparty.
        options: as in :class:`~tag34.device.SessionConfig`.

    Members: ``records``, all so far; ``sent``, the SentRecords among them.
    """

    def __init__(
        self,
        device: Device,
        *,
        expected: int = 1,
        phase: Phase = Phase.ACTIVE,
        may_request: bool = True,
        peer: Peer | None = None,
        **options: object,
    ) -> None:
        self.device = device
        self.peer = peer or Peer()
        self.records: list[Record] = []
        self.sent: list[SentRecord] = []
        self._ms = START_MS
        device.configure(0, self.peer.config(**options))
        device.set_expected(0, expected)
        device.connect(0, phase=phase, may_request=may_request)
        device.advance(self._ms * 10**6)

    def story(self) -> list[str]:
        """What has happened since the last call, SentRecords apart: when a message leaves is the device's affair."""
        records = self.device.poll()
        self.records += records
        self.sent += [record for record in records if isinstance(record, SentRecord)]
        return [tell(record) for record in records if not isinstance(record, SentRecord)]

    def feed(self, *messages: bytes) -> list[str]:
        """Receive the messages; the story."""
        self.device.receive(0, b"".join(messages))
        return self.story()

    def wait(self, ms: int) -> list[str]:
        """Let milliseconds pass; the story."""
        self._ms += ms
        self.device.advance(self._ms * 10**6)
        return self.story()

    def reconnect(self, *, phase: Phase = Phase.ACTIVE, may_request: bool = True) -> None:
        """The connection breaks and comes again."""
        self.device.disconnect(0)
        self.device.connect(0, phase=phase, may_request=may_request)

    def order(self, seq: int, *, possdup: bool = False) -> bytes:
        """The peer's order with this number."""
        return self.peer.order(seq, possdup=possdup)

    def orders(self, *seqs: int, possdup: bool = False) -> bytes:
        """The peer's orders with these numbers."""
        return b"".join(self.peer.order(seq, possdup=possdup) for seq in seqs)

    @property
    def phase(self) -> Phase:
        """The session's phase."""
        return self.device.state(0).phase

    @property
    def expected(self) -> int:
        """The next inbound number."""
        return self.device.state(0).expected

    @property
    def highest(self) -> int:
        """The highest number seen."""
        return self.device.state(0).highest

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
