"""Packets and INFO as bytes."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace

import pytest

from tag34.contract import CONTRACT_VERSION
from tag34.contract.link import INFO_BYTES, LINK_VERSION, PACKET_BYTES, PACKET_PAYLOAD, PacketFlag, PacketKind
from tag34.device import DeviceError
from tag34.link.packet import Info, Packet
from tests.host.link.bench import INFO


def test_a_packet_byte_by_byte() -> None:
    packet = Packet(
        PacketKind.DATA, 0x04030201, 0x08070605, 0x0C0B0A09, 0x0E0D, PacketFlag.ASK | PacketFlag.GO_BACK, b"payload"
    )
    covered = bytes.fromhex("1403 0d0e 01020304 05060708 090a0b0c") + b"payload"
    assert packet.encode() == covered + zlib.crc32(covered).to_bytes(4, "little")
    assert Packet.decode(packet.encode()) == packet


def test_the_longest_packet() -> None:
    packet = Packet(PacketKind.DATA, payload=bytes(PACKET_PAYLOAD))
    assert len(packet.encode()) == PACKET_BYTES
    assert Packet.decode(packet.encode()) == packet
    with pytest.raises(ValueError, match=f"at most {PACKET_PAYLOAD} bytes, not {PACKET_PAYLOAD + 1}"):
        replace(packet, payload=bytes(PACKET_PAYLOAD + 1)).encode()


def with_crc(covered: bytes) -> bytes:
    return covered + zlib.crc32(covered).to_bytes(4, "little")


def test_a_packet_that_is_too_long_or_too_short_does_not_count() -> None:
    assert Packet.decode(with_crc(b"\x14" + bytes(15 + PACKET_PAYLOAD))) is not None
    assert Packet.decode(with_crc(b"\x14" + bytes(16 + PACKET_PAYLOAD))) is None
    assert Packet.decode(with_crc(b"\x14" + bytes(14))) is None


def test_any_bit_turned_over_is_seen() -> None:
    data = Packet(PacketKind.DATA, 1, 2, 3, 4, payload=b"8=FIX.4.4").encode()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert Packet.decode(bytes(damaged)) is None, f"bit {bit}"
    for length in range(len(data)):
        assert Packet.decode(data[:length]) is None


def test_rubbish_is_no_packet(rng: random.Random) -> None:
    for _ in range(2000):
        assert Packet.decode(rng.randbytes(rng.randrange(300))) is None


def test_another_version_counts_only_for_probe_and_info() -> None:
    for kind in PacketKind:
        packet = Packet(kind, version=LINK_VERSION + 1)
        known = kind in (PacketKind.PROBE, PacketKind.INFO)
        assert Packet.decode(packet.encode()) == (packet if known else None)
    assert Packet.decode(with_crc(bytes([LINK_VERSION << 4 | 9]) + bytes(15))) is None


def test_an_info_there_and_back() -> None:
    data = INFO.encode()
    assert len(data) == INFO_BYTES
    assert data[:4] == b"tg34"
    assert Info.decode(data) == INFO
    assert Info.decode(data + b"what a later version has") == INFO
    assert Info.decode(data[:-1]) is None


def test_an_info_of_rubbish_is_harmless(rng: random.Random) -> None:
    for _ in range(500):
        info = Info.decode(rng.randbytes(INFO_BYTES))
        assert info is not None
        assert info.board.isprintable()
        with pytest.raises(DeviceError, match="is no tag34 device"):
            info.check()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"magic": 1}, "no tag34 device: it calls itself 0x00000001, not 0x34336774"),
        ({"link_version": 7}, f"speaks link version 7, this tag34 speaks {LINK_VERSION}"),
        ({"contract_version": 2}, f"speaks contract version 2, this tag34 speaks {CONTRACT_VERSION}"),
        ({"sessions": 0}, "says that it has sessions = 0"),
        ({"sessions": 1025}, "says that it has sessions = 1025"),
        ({"window": 1}, "says that it has window = 1"),
        ({"max_message": 1 << 31}, "says that it has max_message = 2147483648"),
        ({"max_payload": 0}, "says that it has max_payload = 0"),
        ({"width": 3}, "says that it has width = 3"),
        ({"hold": 0}, "says of itself what cannot be: hold must be 1 or more, not 0"),
        ({"hold": 1 << 20}, "says of itself what cannot be: hold must be 1 to"),
        ({"hold_limit": 65535}, "says of itself what cannot be: hold_limit must be 1 to hold"),
    ],
)
def test_what_cannot_be_talked_to(changed: dict[str, int], message: str) -> None:
    INFO.check()
    with pytest.raises(DeviceError, match=message):
        replace(INFO, **changed).check()  # type: ignore[arg-type]
