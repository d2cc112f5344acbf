"""What a board says of itself, and parameters that cannot be."""

from __future__ import annotations

from tag34.contract import CONTRACT_VERSION, DEVICE_ID
from tag34.contract.link import INFO_BYTES, INFO_FIELDS, LINK_VERSION, PACKET_PAYLOAD, Capability
from tag34_hdl.layouts import Shape
from tag34_hdl.link.answers import Answers
from tag34_hdl.link.inbound import Inbound
from tag34_hdl.link.outbound import Outbound
from tag34_hdl.link.packet import LinkInfo
from tag34_hdl.link.uart_shell import UartShell, timeout_cycles
from tests.hdl.bench import refusal

SHAPE = Shape(width=2, sessions=5, window=8, max_message=300, clock_hz=12_000_000)


def test_info_has_all_fields() -> None:
    """In the contract's order, those of the shape with the shape's values."""
    payload = LinkInfo(board="colorlight", build_id=b"\1\2\3\4\5\6\7\0", capabilities=Capability.CYCLES).payload(SHAPE)
    assert len(payload) == INFO_BYTES
    values, at = {}, 0
    for name, size in INFO_FIELDS:
        values[name] = payload[at : at + size]
        at += size
    assert values.pop("board") == b"colorlight" + bytes(6)
    assert values.pop("build_id") == b"\1\2\3\4\5\6\7\0"
    assert {name: int.from_bytes(value, "little") for name, value in values.items()} == {
        "magic": DEVICE_ID,
        "link_version": LINK_VERSION,
        "contract_version": CONTRACT_VERSION,
        "width": 2,
        "sessions": 5,
        "window": 8,
        "max_message": 300,
        "hold": SHAPE.hold,
        "hold_limit": SHAPE.hold_limit,
        "clock_hz": 12_000_000,
        "max_payload": PACKET_PAYLOAD,
        "capabilities": Capability.CYCLES,
    }


def test_parameters_are_checked() -> None:
    payload = LinkInfo().payload(SHAPE)
    assert "board must be" in refusal(lambda: LinkInfo(board="a name that is too long"))
    assert "board must be" in refusal(lambda: LinkInfo(board="\xe9"))
    assert "build_id must be 8 bytes" in refusal(lambda: LinkInfo(build_id=b"1"))
    assert "requests_bytes must be a power of two" in refusal(lambda: Inbound(500, 512))
    assert "answers_bytes must be a power of two" in refusal(lambda: Answers(SHAPE, 128))
    assert "timeout_cycles must be" in refusal(lambda: Outbound(512, 512, payload, 0))
    assert "info must be" in refusal(lambda: Outbound(512, 512, b"", 1))
    assert "divisor must be" in refusal(lambda: UartShell(SHAPE, 3))


def test_timeout_is_longer_than_the_wire() -> None:
    """Both rings full, both ways, with their packets' headers, and the host's time."""
    cycles = timeout_cycles(SHAPE, 12, 512, 512)
    assert cycles > 10 * 12 * (512 + 512) * 2 * 1.1 + 0.02 * SHAPE.clock_hz
