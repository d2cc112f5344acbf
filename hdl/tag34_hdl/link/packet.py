"""What the parts of the link share: bytes of packets, and where a link session's numbers are kept."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib import data, enum
from amaranth.lib.crc import Parameters
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC

from tag34.contract import CONTRACT_VERSION, DEVICE_ID
from tag34.contract.link import INFO_FIELDS, LINK_VERSION, PACKET_BYTES, PACKET_PAYLOAD, Capability

from ..layouts import Shape

#: A byte of a packet or of a frame; ``last`` with the last one.
PacketByte = data.StructLayout({"data": 8, "last": 1})

#: A bit per cycle: a twentieth of the logic that a byte per cycle takes, and a wire is slower by far.
CRC: Parameters = CRC32_ISO_HDLC(data_width=1)

#: Sizes of a ring of request or answer bytes: a place has one byte at least and two at most.
RING_BYTES = range(256, 32768 + 1)


class Field(enum.Enum, shape=2):
    """Numbers of four bytes that a link session has. The first three are in the order of a packet's header."""

    TOKEN = 0
    EXPECTED = 1  #: next byte of the requests: what ``seq`` is compared with
    ACKED = 2  #: first byte of the answers that is not acknowledged: what ``ack`` is compared with
    CHALLENGE = 3


@dataclass(frozen=True)
class LinkInfo:
    """What a board says of itself in an INFO packet, beside the shape of its core.

    Parameters:
        board: name, ASCII, 16 characters at most.
        build_id: hash of what the gateware was made of, 8 bytes.
        capabilities: beyond the rules.

    Raises ValueError, naming the parameter, for what does not fit.
    """

    board: str = ""
    build_id: bytes = bytes(8)
    capabilities: Capability = Capability.EARLY_GAP | Capability.CYCLES

    def __post_init__(self) -> None:
        if len(self.board) > 16 or not self.board.isascii():
            raise ValueError(f"board must be up to 16 ASCII characters, not {self.board!r}")
        if len(self.build_id) != 8:
            raise ValueError(f"build_id must be 8 bytes, not {len(self.build_id)}")

    def payload(self, shape: Shape) -> bytes:
        """The INFO packet's payload for a core of this ``shape``."""
        values: dict[str, int | bytes] = {
            "magic": DEVICE_ID,
            "link_version": LINK_VERSION,
            "contract_version": CONTRACT_VERSION,
            "width": shape.width,
            "sessions": shape.sessions,
            "window": shape.window,
            "max_message": shape.max_message,
            "hold": shape.hold,
            "hold_limit": shape.hold_limit,
            "clock_hz": shape.clock_hz,
            "max_payload": PACKET_PAYLOAD,
            "capabilities": int(self.capabilities),
            "build_id": self.build_id,
            "board": self.board.encode("ascii").ljust(16, b"\0"),
        }
        parts = []
        for name, size in INFO_FIELDS:
            value = values[name]
            parts.append(value if isinstance(value, bytes) else value.to_bytes(size, "little"))
        return b"".join(parts)


def check_ring(name: str, size: int) -> None:
    """Raises ValueError, naming the parameter, for a ring that cannot be built."""
    if size not in RING_BYTES or size & (size - 1):
        raise ValueError(f"{name} must be a power of two, {RING_BYTES[0]} to {RING_BYTES[-1]}, not {size}")


assert PACKET_BYTES == 256  # counters of eight bits rely on it
