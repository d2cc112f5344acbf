"""Packets of the host link as objects (layouts: :mod:`tag34.contract.link`), and what an INFO says."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from ..contract import CONTRACT_VERSION, DEVICE_ID, SIZE_LIMITS, WIDTHS, hold_shares
from ..contract.link import (
    CRC_BYTES,
    INFO_BYTES,
    INFO_FIELDS,
    LINK_VERSION,
    PACKET_BYTES,
    PACKET_FIELDS,
    PACKET_HEADER_BYTES,
    PACKET_PAYLOAD,
    Capability,
    PacketFlag,
    PacketKind,
)
from ..device import DeviceError

#: What stays as it is in every version.
_ANY_VERSION: Final = (PacketKind.PROBE, PacketKind.INFO)

NO_FLAGS: Final = PacketFlag(0)
NO_CAPABILITIES: Final = Capability(0)


def _layout(fields: tuple[tuple[str, int], ...]) -> struct.Struct:
    return struct.Struct("<" + "".join({1: "B", 2: "H", 4: "I"}.get(size, f"{size}s") for _, size in fields))


_HEADER: Final = _layout(PACKET_FIELDS)
_INFO: Final = _layout(INFO_FIELDS)


@dataclass(frozen=True)
class Packet:
    """One packet. ``seq`` and ``ack`` are modulo 2**32, ``payload`` has at most PACKET_PAYLOAD bytes."""

    kind: PacketKind
    token: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0
    flags: PacketFlag = NO_FLAGS
    payload: bytes = b""
    version: int = LINK_VERSION

    def encode(self) -> bytes:
        """Header, payload and CRC. Raises ValueError if the payload is too long."""
        if len(self.payload) > PACKET_PAYLOAD:
            raise ValueError(f"a payload has at most {PACKET_PAYLOAD} bytes, not {len(self.payload)}")
        first = self.kind | self.version << 4
        covered = _HEADER.pack(first, self.flags, self.window, self.token, self.seq, self.ack) + self.payload
        return covered + zlib.crc32(covered).to_bytes(CRC_BYTES, "little")

    @staticmethod
    def decode(data: bytes) -> Packet | None:
        """The packet, or None for what does not count: too short or too long, wrong CRC, another version (but for PROBE
        and INFO), an unknown kind. Unknown flags are ignored."""
        if not PACKET_HEADER_BYTES + CRC_BYTES <= len(data) <= PACKET_BYTES:
            return None
        covered, crc = data[:-CRC_BYTES], data[-CRC_BYTES:]
        if zlib.crc32(covered).to_bytes(CRC_BYTES, "little") != crc:
            return None
        first, flags, window, token, seq, ack = _HEADER.unpack_from(covered)
        try:
            kind = PacketKind(first & 15)
        except ValueError:
            return None
        version = first >> 4
        if version != LINK_VERSION and kind not in _ANY_VERSION:
            return None
        known = PacketFlag(flags & (PacketFlag.ASK | PacketFlag.GO_BACK))
        return Packet(kind, token, seq, ack, window, known, covered[PACKET_HEADER_BYTES:], version)


@dataclass(frozen=True)
class Info:
    """What a device is: payload of an INFO packet (:data:`tag34.contract.link.INFO_FIELDS`).

    ``build_id`` is eight bytes, ``board`` a name of up to 16 ASCII characters.
    """

    sessions: int
    window: int
    max_message: int
    hold: int
    hold_limit: int
    width: int = 1
    clock_hz: int = 0
    max_payload: int = PACKET_PAYLOAD
    capabilities: Capability = NO_CAPABILITIES
    build_id: bytes = bytes(8)
    board: str = ""
    magic: int = DEVICE_ID
    link_version: int = LINK_VERSION
    contract_version: int = CONTRACT_VERSION

    def encode(self) -> bytes:
        """INFO_BYTES bytes."""
        values = {name: getattr(self, name) for name, _ in INFO_FIELDS}
        values["board"] = self.board.encode("ascii")
        return _INFO.pack(*values.values())

    @staticmethod
    def decode(payload: bytes) -> Info | None:
        """What the payload of an INFO says; None if it is too short. What a later version has put behind it is left
        out. Nothing is judged: see :meth:`check`."""
        if len(payload) < INFO_BYTES:
            return None
        values = dict(zip((name for name, _ in INFO_FIELDS), _INFO.unpack_from(payload), strict=True))
        name = values.pop("board").rstrip(b"\0").decode("ascii", "replace")
        values["capabilities"] = Capability(values["capabilities"] & (Capability.EARLY_GAP | Capability.CYCLES))
        # It ends up on somebody's terminal.
        return Info(**values, board="".join(char if char.isprintable() else "?" for char in name))

    def check(self) -> None:
        """Raises DeviceError if this is no device, or none that this host can talk to; the text names both versions."""
        if self.magic != DEVICE_ID:
            raise DeviceError(
                f"what answers is no tag34 device: it calls itself {self.magic:#010x}, not {DEVICE_ID:#x}"
            )
        for what, theirs, ours in (
            ("link", self.link_version, LINK_VERSION),
            ("contract", self.contract_version, CONTRACT_VERSION),
        ):
            if theirs != ours:
                raise DeviceError(
                    f"the board speaks {what} version {theirs}, this tag34 speaks {ours}: load gateware of this version"
                )
        for name, (least, most) in {**SIZE_LIMITS, "max_payload": (1, 0xFFFF)}.items():
            if not least <= getattr(self, name) <= most:
                raise DeviceError(f"the board says that it has {name} = {getattr(self, name)}")
        if self.width not in WIDTHS:
            raise DeviceError(f"the board says that it has width = {self.width}")
        try:
            if self.hold < 1:
                raise ValueError(f"hold must be 1 or more, not {self.hold}")
            hold_shares(self.sessions, self.window, self.hold, self.hold_limit)
        except ValueError as error:
            raise DeviceError(f"the board says of itself what cannot be: {error}") from None
