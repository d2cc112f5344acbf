"""FIX messages as a counterparty writes them, and ways to damage them: building blocks of tests, traffic and demo."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from tag34.device import SessionConfig

#: A field: tag and value. The tag may be text, to write it as no sane peer would (``"034"``).
Field = tuple[int | str, int | str | bytes]

#: 52 and 122 of messages that are given none.
SENDING_TIME = "20240229-23:59:59.123"


def encode(fields: Iterable[Field]) -> bytes:
    """Fields as bytes, each closed by SOH."""
    return b"".join(
        str(tag).encode() + b"=" + (value if isinstance(value, bytes) else str(value).encode()) + b"\x01"
        for tag, value in fields
    )


def frame(body: bytes, *, begin_string: str = "FIX.4.4", length: int | str | None = None) -> bytes:
    """Put 8, 9 and 10 around ``body``. A given ``length`` is written as it is; CheckSum is always right."""
    head = encode([(8, begin_string), (9, len(body) if length is None else length)])
    return checksummed(head + body)


def checksummed(data: bytes) -> bytes:
    """``data`` followed by the 10 that it should have."""
    return b"%b10=%03d\x01" % (data, sum(data) % 256)


def damaged_checksum(message: bytes) -> bytes:
    """The message with a well formed, wrong CheckSum."""
    return b"%b%03d\x01" % (message[:-4], (int(message[-4:-1]) + 1) % 256)


def flipped(message: bytes, rng: random.Random) -> bytes:
    """The message with one bit flipped."""
    at = rng.randrange(len(message))
    return message[:at] + bytes([message[at] ^ 1 << rng.randrange(8)]) + message[at + 1 :]


def truncated(message: bytes, rng: random.Random) -> bytes:
    """The message without one or more of its last bytes."""
    return message[: rng.randrange(len(message))]


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    """``data`` in chunks of random sizes, from single bytes to all that is left (F1)."""
    chunks = []
    while data:
        size = rng.choice((1, 1, 2, 3, 8, 30, 200, len(data)))
        chunks.append(data[:size])
        data = data[size:]
    return chunks


@dataclass(frozen=True)
class Peer:
    """The counterparty of a session: writes its messages.

    Parameters: 8, 49 and 56 of what it sends.
    """

    begin_string: str = "FIX.4.4"
    sender: str = "PEER"
    target: str = "TAG34"

    def config(self, **options: object) -> SessionConfig:
        """Our side's configuration for this peer; ``options`` as in :class:`~tag34.device.SessionConfig`."""
        return SessionConfig(self.begin_string, self.target, self.sender, **options)  # type: ignore[arg-type]

    def message(
        self,
        msg_type: str,
        seq: int | str | bytes | None,
        body: Iterable[Field] = (),
        *,
        possdup: bool | str = False,
        possresend: bool = False,
        header: Iterable[Field] = (),
    ) -> bytes:
        """One whole message: 8, 9, 35, 49, 56, 34, 43, 97, 52, 122, ``header``, ``body``, 10.

        ``seq`` is written as it is given, and not at all for None; so is a ``possdup`` that is text.
        """
        fields: list[Field] = [(35, msg_type), (49, self.sender), (56, self.target)]
        if seq is not None:
            fields.append((34, seq))
        if possdup:
            fields.append((43, possdup if isinstance(possdup, str) else "Y"))
        if possresend:
            fields.append((97, "Y"))
        fields.append((52, SENDING_TIME))
        if possdup:
            fields.append((122, SENDING_TIME))
        return frame(encode([*fields, *header, *body]), begin_string=self.begin_string)

    def order(self, seq: int, text: str = "", *, possdup: bool = False) -> bytes:
        """An application message: NewOrderSingle."""
        return self.message("D", seq, [(11, text or f"order-{seq}"), (55, "TAG"), (38, 100)], possdup=possdup)

    def heartbeat(self, seq: int) -> bytes:
        """Heartbeat."""
        return self.message("0", seq)

    def logon(self, seq: int, *, reset: bool = False, possdup: bool = False) -> bytes:
        """Logon, with 141=Y for ``reset``."""
        return self.message("A", seq, [(98, 0), (108, 30), *([(141, "Y")] if reset else [])], possdup=possdup)

    def logout(self, seq: int) -> bytes:
        """Logout."""
        return self.message("5", seq)

    def resend_request(self, seq: int, begin: int = 1, end: int = 0, *, possdup: bool = False) -> bytes:
        """ResendRequest."""
        return self.message("2", seq, [(7, begin), (16, end)], possdup=possdup)

    def gap_fill(self, seq: int, new: int | str | None, *, possdup: bool = False) -> bytes:
        """SequenceReset with 123=Y; no 36 for None."""
        return self.message("4", seq, [(123, "Y"), *([] if new is None else [(36, new)])], possdup=possdup)

    def reset(self, new: int | str | None, *, seq: int | str | None = 1) -> bytes:
        """SequenceReset that is no GapFill."""
        return self.message("4", seq, [] if new is None else [(36, new)])
