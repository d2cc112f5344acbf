"""Build parameters: what is refused, and what follows from them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tag34 import contract
from tag34_hdl.layouts import Record, Shape


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 0}, "width must be 1, 2, 4 or 8, not 0"),
        ({"width": 3}, "width must be 1, 2, 4 or 8, not 3"),
        ({"width": 16}, "width must be 1, 2, 4 or 8, not 16"),
        ({"sessions": 0}, "sessions must be 1 to 1024, not 0"),
        ({"sessions": 1025}, "sessions must be 1 to 1024, not 1025"),
        ({"sessions": "x"}, "sessions must be a whole number, not 'x'"),
        ({"window": 8.0}, "window must be a whole number, not 8.0"),
        ({"width": True}, "width must be a whole number, not True"),
        ({"compact": "maybe"}, "compact must be True or False, not 'maybe'"),
        ({"window": 1}, "window must be 2 to 1024 numbers, not 1"),
        ({"window": 1025}, "window must be 2 to 1024 numbers, not 1025"),
        ({"max_message": 63}, "max_message must be 64 to 65536 bytes, not 63"),
        ({"max_message": 65537}, "max_message must be 64 to 65536 bytes, not 65537"),
        ({"window": 8, "hold": 8}, "hold must be 1 to sessions x (window - 1) = 7, or 0 for all of it, not 8"),
        ({"window": 8, "hold": -1}, "hold must be 1 to sessions x (window - 1) = 7, or 0 for all of it, not -1"),
        ({"window": 8, "hold": 5, "hold_limit": 6}, "hold_limit must be 1 to hold = 5, or 0 for the default, not 6"),
        ({"clock_hz": 1_999_999}, "clock_hz must be 2 MHz to 1 GHz, not 1999999"),
        ({"clock_hz": 1_000_000_001}, "clock_hz must be 2 MHz to 1 GHz, not 1000000001"),
    ],
)
def test_what_cannot_be_built_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Shape(**parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"width": 2},
        {"width": 4},
        {"width": 8},
        {"window": 2},
        {"window": 1024},
        {"max_message": 64},
        {"max_message": 65536},
        {"window": 8, "hold": 1},
        {"window": 8, "hold": 5, "hold_limit": 5},
        {"clock_hz": 2_000_000},
        {"clock_hz": 1_000_000_000},
    ],
)
def test_the_ends_of_what_can_be_built(parameters: dict[str, Any]) -> None:
    shape = Shape(**parameters)
    assert {name: getattr(shape, name) for name in parameters} == parameters


@pytest.mark.parametrize("window", [2, 3, 4, 63, 64, 65, 1000, 1024])
def test_a_place_for_each_number_of_the_window(window: int) -> None:
    shape = Shape(window=window)
    assert window <= 1 << shape.window_bits < 2 * window
    assert shape.slots == window + 3, "all but the expected number, and four in flight"
    assert shape.slots <= 1 << shape.slot_bits


@pytest.mark.parametrize("max_message", [64, 65, 4096, 65536])
def test_lengths_and_offsets_fit(max_message: int) -> None:
    shape = Shape(max_message=max_message)
    assert max_message - 1 < 1 << shape.offset_bits
    for layout in (shape.window_entry, shape.delivery):
        assert max_message < 1 << layout["length"].width


def test_a_beat_has_the_fields_that_the_harness_expects() -> None:
    beat = Shape().beat
    assert [(name, field.offset, field.width) for name, field in beat] == [
        ("data", 0, 8),
        ("count", 8, 1),
        ("session", 9, 1),
        ("last", 10, 1),
    ]


def test_the_record_is_that_of_the_contract() -> None:
    offset = 0
    fields: list[tuple[str, Any]] = list(Record)
    for (name, field), (wanted, bits) in zip(fields, contract.RECORD_FIELDS, strict=True):
        assert (name, field.offset, field.width) == (wanted, offset, bits)
        offset += bits
    assert Record.size == contract.RECORD_BITS == offset
