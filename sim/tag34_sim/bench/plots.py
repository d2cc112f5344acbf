"""Plots as SVG, written by hand: two kinds do not need a package. Colours are of a middle brightness, and nothing is
behind them: they can be read on white and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from .figures import Spread, told
from .routed import Routed

_INK, _GRID = "#7d8590", "#7d859055"
_COLOURS = ("#2f81f7", "#d9731a", "#2da44e", "#bf4bca", "#b3862b", "#d1434b", "#1b9aaa", "#8a63d2")
_WIDTH = 760
_STEPS = ("min", "p50", "p99", "p99.9", "max")


class Drawing:
    """An SVG under construction.

    Parameters: ``height`` in pixels, ``title``.
    """

    def __init__(self, height: int, title: str) -> None:
        self._height = height
        self._parts: list[str] = [f"<title>{escape(title)}</title>"]
        self.text(0, 16, title, size=14)

    def text(self, x: float, y: float, text: str, *, colour: str = _INK, anchor: str = "start", size: int = 12) -> None:
        """Write."""
        place = f'x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}"'
        self._parts.append(f"<text {place}>{escape(text)}</text>")

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        """Connect points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def dot(self, x: float, y: float, colour: str, told: str) -> None:
        """A point that says what it is when the mouse is on it."""
        title = f"<title>{escape(told)}</title>"
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">{title}</circle>')

    def bar(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect {box} fill="{colour}"/>')

    def svg(self) -> str:
        """The file."""
        font = 'font-family="system-ui, sans-serif"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {self._height}" {font}>'
        return "\n".join([head, *self._parts, "</svg>\n"])


def in_words(nanoseconds: float) -> str:
    """A time with its unit."""
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{told(float(f'{nanoseconds / size:.3g}'))} {unit}"
    return f"{told(float(f'{nanoseconds:.3g}'))} ns"


def latency_plot(latencies: Mapping[str, Spread]) -> str:
    """Times from the proof of a gap to the ResendRequest, by percentile, on a logarithmic axis.

    Parameters: ``latencies`` in nanoseconds, by who needed them; at least one.
    """
    ranked = sorted(latencies.items(), key=lambda item: item[1].p50)
    left, right, top, bottom = 70, _WIDTH - 30, 40, 300
    drawing = Drawing(bottom + 50 + 20 * len(ranked), "From the proof of a gap to the ResendRequest (logarithmic)")
    values = [value for _, spread in ranked for value in steps(spread)]
    low = math.floor(math.log10(max(1.0, min(values))))
    high = max(low + 1, math.ceil(math.log10(max(values))))

    def place(at: int, value: float) -> tuple[float, float]:
        share = (math.log10(max(1.0, value)) - low) / (high - low)
        return left + 30 + at * (right - left - 60) / (len(_STEPS) - 1), bottom - share * (bottom - top)

    for power in range(low, high + 1):
        y = place(0, 10.0**power)[1]
        drawing.line([(left, y), (right, y)], _GRID)
        drawing.text(left - 8, y + 4, in_words(10.0**power), anchor="end")
    for at, name in enumerate(_STEPS):
        drawing.text(place(at, 1)[0], bottom + 18, name, anchor="middle")
    for at, (name, spread) in enumerate(ranked):
        colour = _COLOURS[at % len(_COLOURS)]
        points = [place(step, value) for step, value in enumerate(steps(spread))]
        drawing.line(points, colour, 2)
        for (x, y), step, value in zip(points, _STEPS, steps(spread), strict=True):
            drawing.dot(x, y, colour, f"{name}, {step}: {in_words(value)}")
        y = bottom + 42 + 20 * at
        drawing.bar(left, y - 9, 14, 10, colour)
        drawing.text(left + 22, y, f"{name}: median {in_words(spread.p50)}, jitter {in_words(spread.jitter)}")
    return drawing.svg()


def steps(spread: Spread) -> tuple[float, ...]:
    """The values of _STEPS."""
    return spread.least, spread.p50, spread.p99, spread.p999, spread.most


def size_plot(known: Sequence[Routed]) -> str | None:
    """Clock and area over width and sessions; None if nothing is known.

    Parameters: ``known``: of these the fastest clock of each size is shown.
    """
    sizes = sorted({(one.width, one.sessions) for one in known})
    if not sizes:
        return None
    left, right, row = 170, _WIDTH - 90, 46
    drawing = Drawing(40 + row * len(sizes) + 24, "Clock after place and route (upper bar), LUT4 (lower bar)")
    clocks = {size: best(known, size, "mhz") for size in sizes}
    areas = {size: best(known, size, "lut4") for size in sizes}
    for at, size in enumerate(sizes):
        y = 36 + row * at
        name = f"width {size[0]}, {size[1]} session" + "s" * (size[1] > 1)
        drawing.text(left - 10, y + 20, name, anchor="end")
        for values, offset, colour, unit in ((clocks, 0, _COLOURS[0], "MHz"), (areas, 17, _COLOURS[1], "LUT4")):
            value, most = values[size], max((v for v in values.values() if v is not None), default=0.0)
            length = (right - left) * value / most if value is not None and most else 0.0
            drawing.bar(left, y + offset, length, 14, colour)
            text = "not routed" if value is None and unit == "MHz" else f"{told(value)} {unit}"
            drawing.text(left + length + 6, y + offset + 11, text, colour=colour)
    return drawing.svg()


def best(known: Sequence[Routed], size: tuple[int, int], what: str) -> float | None:
    """The fastest clock of a size, or the area that belongs to it."""
    same = [one for one in known if (one.width, one.sessions) == size and getattr(one, what) is not None]
    fastest = max(same, key=lambda one: one.mhz or 0.0, default=None)
    return None if fastest is None else getattr(fastest, what)
