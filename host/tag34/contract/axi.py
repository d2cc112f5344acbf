"""What the AXI ports of the core carry beyond bytes of messages: records in beats, and messages to be sent."""

from __future__ import annotations

from typing import Final

from . import MSG_TYPE_BYTES, SEQ_DIGITS

#: Bits of a beat with one record (RECORD_FIELDS, in the lowest bits; the rest is zero): the next width that AXI's
#: converters and DMA engines know.
RECORD_BEAT_BITS: Final = 512

#: First bytes of a packet with a message to be composed, low byte first: name, bytes. ``replay`` is 0 or 1, ``seq``
#: packed BCD (of no meaning without ``replay``). They fill whole beats at every width; the message's fields follow.
SEND_FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("msg_type", MSG_TYPE_BYTES),
    ("seq", SEQ_DIGITS // 2),
    ("replay", 1),
    ("session", 2),
    ("reserved", 4),
)
SEND_HEADER_BYTES: Final = sum(size for _, size in SEND_FIELDS)

#: Bits of an AXI4-Lite address: a page of 4 KiB, the smallest piece of an address map that all tools know.
ADDRESS_BITS: Final = 12
