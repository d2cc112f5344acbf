"""Packets on a wire that carries bytes: each is a COBS frame between two zero bytes. Needs the package ``cobs``."""

from __future__ import annotations

from typing import Final

from ..contract.link import PACKET_BYTES

#: Longest frame, without its zeros: COBS adds a byte, and one more for each 254.
FRAME_BYTES: Final = PACKET_BYTES + 1 + PACKET_BYTES // 254


def encode(packet: bytes) -> bytes:
    """The packet as a frame. The zero before it ends whatever noise was on the line."""
    from cobs import cobs

    frame: bytes = cobs.encode(packet)
    return b"\0" + frame + b"\0"


class Deframer:
    """Finds frames in what comes of a line. It keeps FRAME_BYTES at most, whatever comes."""

    def __init__(self) -> None:
        self._frame = bytearray()
        self._skip = False  # what comes up to the next zero is too long for a frame

    def feed(self, data: bytes) -> list[bytes]:
        """What may be packets, in order: their CRC is not checked. What cannot be one is dropped."""
        *closed, rest = data.split(b"\0")
        packets = []
        for part in closed:
            self._add(part)
            packet = b"" if self._skip else _decode(bytes(self._frame))
            if packet:
                packets.append(packet)
            self._frame.clear()
            self._skip = False
        self._add(rest)
        return packets

    def _add(self, part: bytes) -> None:
        if self._skip or len(self._frame) + len(part) > FRAME_BYTES:
            self._skip = True
            self._frame.clear()
        else:
            self._frame += part


def _decode(frame: bytes) -> bytes:
    """Empty if it is no frame."""
    from cobs import cobs

    try:
        packet: bytes = cobs.decode(frame)
    except cobs.DecodeError:
        return b""
    return packet
