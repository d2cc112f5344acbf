"""S1, S2, S5: every message that leaves is built and numbered here."""

from __future__ import annotations

from datetime import datetime, timedelta

from tag34.contract import MAX_SEQ
from tag34.device import SentRecord, SessionConfig

_EPOCH = datetime(1970, 1, 1)
_NS = 10**9


def sending_time(utc_ns: int, fraction: int) -> str:
    """52: UTC as ``YYYYMMDD-HH:MM:SS``, with ``fraction`` digits behind a point (S5). ``utc_ns`` counts from 1970."""
    seconds, ns = divmod(utc_ns, _NS)
    text = format(_EPOCH + timedelta(seconds=seconds), "%Y%m%d-%H:%M:%S")
    return f"{text}.{ns:09d}"[: len(text) + 1 + fraction] if fraction else text


def compose(config: SessionConfig, msg_type: str, seq: int, utc_ns: int, fields: bytes) -> bytes:
    """A whole message: 8, 9, 35, 49, 56, 34, 52, ``fields``, 10. BodyLength and CheckSum are computed (S1)."""
    time = sending_time(utc_ns, config.fraction_digits)
    header = f"35={msg_type}\x0149={config.sender}\x0156={config.target}\x0134={seq}\x0152={time}\x01"
    body = header.encode("ascii") + fields
    message = b"8=%b\x019=%d\x01%b" % (config.begin_string.encode("ascii"), len(body), body)
    return b"%b10=%03d\x01" % (message, sum(message) % 256)


class Composer:
    """The one numbering authority of one session (S2).

    Members: ``next_out``, the next outbound number; 4294967296 once all are used up.
    """

    def __init__(self, session: int) -> None:
        self.session = session
        self.next_out = 1

    @property
    def exhausted(self) -> bool:
        """There is no number left."""
        return self.next_out > MAX_SEQ

    def send(
        self,
        config: SessionConfig,
        utc_ns: int,
        msg_type: str,
        fields: bytes,
        *,
        seq: int | None = None,
        device: bool = False,
    ) -> SentRecord:
        """Build and number one message. With ``seq`` it is a replay and ``next_out`` is not touched (S2)."""
        replay = seq is not None
        if seq is None:
            seq = self.next_out
            self.next_out += 1
        data = compose(config, msg_type, seq, utc_ns, fields)
        return SentRecord(session=self.session, seq=seq, msg_type=msg_type, data=data, replay=replay, device=device)
