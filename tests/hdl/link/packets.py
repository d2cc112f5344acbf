"""Packets as the tests' host makes and reads them, by the contract alone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from cobs import cobs

from tag34.contract.link import (
    CRC_BYTES,
    LINK_VERSION,
    PACKET_FIELDS,
    PACKET_HEADER_BYTES,
    REQUEST_FIELDS,
    PacketFlag,
    PacketKind,
    Request,
)


@dataclass
class Packet:
    """A packet. ``version`` and the CRC's damage are the tests' own."""

    kind: int
    flags: int = 0
    window: int = 0
    token: int = 0
    seq: int = 0
    ack: int = 0
    payload: bytes = b""
    version: int = LINK_VERSION
    damage: int = 0  # to the CRC

    def encode(self) -> bytes:
        values = {
            "kind": self.kind | self.version << 4,
            "flags": self.flags,
            "window": self.window,
            "token": self.token,
            "seq": self.seq,
            "ack": self.ack,
        }
        data = b"".join((values[name] & (1 << 8 * size) - 1).to_bytes(size, "little") for name, size in PACKET_FIELDS)
        data += self.payload
        return data + (zlib.crc32(data) ^ self.damage).to_bytes(CRC_BYTES, "little")

    @classmethod
    def decode(cls, data: bytes) -> Packet:
        """AssertionError if the device has made something else than a packet."""
        assert len(data) >= PACKET_HEADER_BYTES + CRC_BYTES
        assert zlib.crc32(data[:-CRC_BYTES]) == int.from_bytes(data[-CRC_BYTES:], "little")
        values, at = {}, 0
        for name, size in PACKET_FIELDS:
            values[name] = int.from_bytes(data[at : at + size], "little")
            at += size
        version, kind = divmod(values.pop("kind"), 16)
        return cls(PacketKind(kind), payload=data[at:-CRC_BYTES], version=version, **values)

    @property
    def asks(self) -> bool:
        return bool(self.flags & PacketFlag.ASK)

    @property
    def goes_back(self) -> bool:
        return bool(self.flags & PacketFlag.GO_BACK)


def frame(data: bytes) -> bytes:
    """A frame on the wire."""
    return b"\0" + cobs.encode(data) + b"\0"


def request(kind: Request, data: bytes = b"", **values: int) -> bytes:
    """A request's bytes; ``data`` are those that follow it."""
    fields = REQUEST_FIELDS[kind]
    if any(name == "length" for name, _ in fields):
        values.setdefault("length", len(data))
    return bytes([kind]) + b"".join(values.get(name, 0).to_bytes(size, "little") for name, size in fields) + data
