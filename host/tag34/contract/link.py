"""The host link: packets between a host and a board, the same over any wire (``docs/link.md`` tells how they are used).

A packet is a header, a payload of at most ``max_payload`` bytes and a CRC-32 (ISO-HDLC, as in zlib and Ethernet) of
both, low byte first. All numbers lie low byte first. What carries packets (COBS frames on a UART, UDP datagrams) may
lose, double, reorder or damage them.

Payloads of DATA packets are pieces of two streams of bytes: *requests* of the host, *answers* of the device. ``seq`` is
the place of the first payload byte in its stream, ``ack`` the next byte that the sender of the packet expects of the
other stream, ``window`` how many bytes from there on it has room for. A packet may hold any piece, and a piece may come
again, cut otherwise; a receiver takes bytes in order only.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

from . import RECORD_BYTES

#: Version of all that this module says, in each packet. PROBE and INFO stay as they are in every version, so that two
#: sides of different versions can tell so.
LINK_VERSION: Final = 1


class PacketKind(IntEnum):
    """Kinds of packet: the low four bits of the first byte."""

    PROBE = 1  #: host: who are you? Answered by an INFO; nothing else happens
    INFO = 2  #: device: payload = INFO_FIELDS, seq = the challenge, token = of the present link session or 0
    OPEN = 3  #: host: a new link session ``token`` (not 0), seq = the challenge. The core and both streams begin anew
    DATA = 4  #: both: a piece of a stream, an acknowledgement, or both
    REFUSED = 5  #: device: there is no link session ``token`` (any more)
    CLOSE = 6  #: host: the link session ``token`` is over; never answered


class PacketFlag(IntFlag):
    """Flags of a packet: its second byte."""

    ASK = 1  #: answer with a DATA packet, even if there is nothing new to say
    GO_BACK = 2  #: something of your stream was lost: send again from ``ack`` on


#: Header of a packet: name, bytes. The first byte is ``PacketKind | LINK_VERSION << 4``.
PACKET_FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("kind", 1),
    ("flags", 1),
    ("window", 2),
    ("token", 4),
    ("seq", 4),
    ("ack", 4),
)
PACKET_HEADER_BYTES: Final = sum(size for _, size in PACKET_FIELDS)
CRC_BYTES: Final = 4
#: Longest packet that every device and every host takes, and its payload.
PACKET_BYTES: Final = 256
PACKET_PAYLOAD: Final = PACKET_BYTES - PACKET_HEADER_BYTES - CRC_BYTES

#: Payload of an INFO packet: name, bytes. ``build_id`` is a hash of what the gateware was made of, ``board`` ASCII,
#: filled up with zeros, all others are numbers with the names of registers.
INFO_FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("magic", 4),
    ("link_version", 1),
    ("contract_version", 1),
    ("width", 2),
    ("sessions", 2),
    ("window", 2),
    ("max_message", 4),
    ("hold", 4),
    ("hold_limit", 4),
    ("clock_hz", 4),
    ("max_payload", 2),
    ("capabilities", 2),
    ("build_id", 8),
    ("board", 16),
)
INFO_BYTES: Final = sum(size for _, size in INFO_FIELDS)


class Capability(IntFlag):
    """What a device can do beyond the rules: bits of ``capabilities``."""

    EARLY_GAP = 1  #: tells GAP (POLICY bit 3)
    CYCLES = 2  #: the cycle counter runs, records have a cycle


class Request(IntEnum):
    """First byte of a request; what follows it: see REQUEST_FIELDS. Each is carried out after the one before it."""

    WRITE = 1  #: write a register
    READ = 2  #: read a register: answered by a VALUE
    SETTLE = 3  #: wait until the core is idle and all that left it is among the answers, then answer SETTLED
    RECEIVE = 4  #: bytes from a connection, for rx: ``length`` of them follow
    SEND = 5  #: a message to be composed: ``length`` bytes of its body follow


#: What follows the first byte of a request: name, bytes. ``seq`` is packed BCD. ``length`` is at least 1 for RECEIVE.
REQUEST_FIELDS: Final[dict[Request, tuple[tuple[str, int], ...]]] = {
    Request.WRITE: (("address", 1), ("value", 4)),
    Request.READ: (("address", 1),),
    Request.SETTLE: (),
    Request.RECEIVE: (("session", 2), ("length", 2)),
    Request.SEND: (("session", 2), ("msg_type", 4), ("replay", 1), ("seq", 5), ("length", 2)),
}


class Answer(IntEnum):
    """First byte of an answer that has a fixed size; ANSWER_BYTES follow it."""

    RECORD = 1  #: a record of the device (RECORD_FIELDS)
    VALUE = 2  #: what a READ has read
    SETTLED = 3  #: answer to SETTLE


ANSWER_BYTES: Final[dict[Answer, int]] = {Answer.RECORD: RECORD_BYTES, Answer.VALUE: 4, Answer.SETTLED: 0}

#: First byte of an answer that brings bytes of a message: ``DELIVER`` or ``SENT``, ``LAST`` if the message ends with
#: them, and their number less one in the low five bits. The session (two bytes) and the bytes follow. Messages of one
#: kind do not mix: they come in the order of their records, each whole before the next.
DELIVER: Final = 0x40
SENT: Final = 0x80
LAST: Final = 0x20
PIECE_BYTES: Final = 32
