"""From the device's raw records and messages to :mod:`tag34.device` records."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .contract import RECORD_BYTES, RECORD_FIELDS, EventCode, Flag, RecordKind, Rule, from_bcd
from .device import DeliverRecord, DeviceError, EventRecord, MessageRecord, Record, SentRecord

#: A message that came out, and the session that its beats named; of several of them :data:`SEVERAL`.
Message = tuple[int, bytes]
SEVERAL = 0xFFFF


def unpack(raw: bytes) -> dict[str, int]:
    """The fields of one raw record (:data:`tag34.contract.RECORD_FIELDS`)."""
    value = int.from_bytes(raw, "little")
    fields = {}
    for name, bits in RECORD_FIELDS:
        fields[name] = value & ((1 << bits) - 1)
        value >>= bits
    return fields


def msg_type_text(packed: int) -> str:
    """MsgType of a record: up to four characters, the first in the low byte."""
    return packed.to_bytes(8, "little").rstrip(b"\0").decode("latin-1")


class Decoder:
    """Joins the stream of records with the bytes of deliveries and of sent messages, which arrive beside it in the
    same order.

    A record whose bytes have not arrived yet waits, and with it all records behind it: the order of records is the
        order of events.
    """

    def __init__(self) -> None:
        self._records: deque[dict[str, int]] = deque()
        self._deliveries: deque[Message] = deque()
        self._sent: deque[Message] = deque()

    def feed(self, records: bytes, deliveries: Iterable[Message], sent: Iterable[Message]) -> list[Record]:
        """What is complete, in order. Raises DeviceError where records and bytes do not fit together, and for a record
        that no device of this version makes."""
        if len(records) % RECORD_BYTES:
            raise DeviceError(f"{len(records)} bytes are no whole number of records")
        self._records.extend(unpack(records[at : at + RECORD_BYTES]) for at in range(0, len(records), RECORD_BYTES))
        self._deliveries.extend(deliveries)
        self._sent.extend(sent)
        done: list[Record] = []
        while self._records:
            try:
                record = self._decode(self._records[0])
            except ValueError as error:
                raise DeviceError(f"the device has made a record that is none: {error}") from None
            if record is None:
                break
            self._records.popleft()
            done.append(record)
        return done

    def _decode(self, raw: dict[str, int]) -> Record | None:
        kind, flags, session, cycle = RecordKind(raw["kind"]), Flag(raw["flags"]), raw["session"], raw["cycle"]
        seq = from_bcd(raw["seq"]) if flags & Flag.SEQ else None
        number = from_bcd(raw["number"]) if flags & Flag.NUMBER else None
        msg_type = msg_type_text(raw["msg_type"])
        possdup = bool(flags & Flag.POSSDUP)
        if kind is RecordKind.MESSAGE:
            rule = Rule(raw["code"])
            return MessageRecord(
                session=session,
                offset=raw["offset"],
                length=raw["length"],
                msg_type=None if rule is Rule.F3 else msg_type,
                seq=seq,
                rule=rule,
                expected=number or 0,
                possdup=possdup,
                cycle=cycle,
            )
        if kind is RecordKind.EVENT:
            why = Rule(raw["rule"])
            return EventRecord(session, EventCode(raw["code"]), seq, number, None if why is Rule.NONE else why, cycle)
        if kind is RecordKind.DELIVER:
            if not self._deliveries:
                return None
            data = self._of(session, self._deliveries.popleft(), "delivery")
            if len(data) != raw["length"]:
                raise DeviceError(f"delivery of {len(data)} bytes, its record says {raw['length']}")
            return DeliverRecord(
                session=session,
                seq=seq or 0,
                msg_type=msg_type,
                possdup=possdup,
                possresend=bool(flags & Flag.POSSRESEND),
                early=bool(flags & Flag.EARLY),
                data=data,
                cycle=cycle,
            )
        if not self._sent:
            return None
        return SentRecord(
            session=session,
            seq=seq or 0,
            msg_type=msg_type,
            data=self._of(session, self._sent.popleft(), "sent message"),
            replay=bool(flags & Flag.REPLAY),
            device=bool(flags & Flag.DEVICE),
            cycle=cycle,
        )

    @staticmethod
    def _of(session: int, message: Message, what: str) -> bytes:
        named, data = message
        if named != session:
            whose = "several sessions" if named == SEVERAL else f"session {named}"
            raise DeviceError(f"the beats of a {what} name {whose}, its record says session {session}")
        return data
