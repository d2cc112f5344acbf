"""Narrow sequence numbers: fewer digits, so that a solver is quick. To be called before the gateware is imported."""

from __future__ import annotations

import sys

from tag34 import contract


def narrow(digits: int, max_seq: int) -> None:
    """Sequence numbers of ``digits`` digits, up to ``max_seq``, in every component imported from now on.

    Raises RuntimeError if a component has been imported already, ValueError if ``max_seq`` + 1 has more digits.
    """
    if any(name.split(".")[0] == "tag34_hdl" for name in sys.modules):
        raise RuntimeError("the gateware has been imported with numbers as they are")
    if not 0 < max_seq < 10**digits - 1:
        raise ValueError(f"max_seq must be 1 to {10**digits - 2}, not {max_seq}")
    widths = {"seq": 4 * digits, "number": 4 * digits}
    changed = {
        "SEQ_DIGITS": digits,
        "MAX_SEQ": max_seq,
        "RECORD_FIELDS": tuple((name, widths.get(name, bits)) for name, bits in contract.RECORD_FIELDS),
    }
    for name, value in changed.items():
        setattr(contract, name, value)
