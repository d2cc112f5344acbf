"""The sizes that a core with AXI ports is made in."""

from __future__ import annotations

from tag34_hdl.layouts import Shape


def sizes_of(shape: Shape) -> dict[str, int]:
    """The numbers of a shape, by name. That it is not a compact one is no number: a compact core has no AXI ports."""
    return {name: value for name, value in vars(shape).items() if name != "compact"}
