"""All paths between registers, from the delays that nextpnr writes (SDF).

nextpnr's own report tells the one worst path. What else limits the clock is of interest as well, so the delays are
added up here: the longest way to each register, by the same rule (slowest corner, setup time at the end).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from .tools import ToolError

#: A delay stands there as (fastest:typical:slowest), in ps, for both edges.
DELAY = r"\(-?\d+:-?\d+:(-?\d+)\)"
WIRE = re.compile(rf"\(INTERCONNECT (\S+) (\S+) {DELAY} {DELAY}\)")
THROUGH = re.compile(rf"\(IOPATH (?:\((?:pos|neg)edge (\w+)\)|(\w+)) (\w+) {DELAY} {DELAY}\)")
SETUP = re.compile(rf"\(SETUPHOLD \((?:pos|neg)edge (\w+)\) \((?:pos|neg)edge (\w+)\) {DELAY}")
INSTANCE = re.compile(r"\(INSTANCE (\S+)\)")
#: Ports that are a cell's clock: paths begin there.
CLOCKS = frozenset(("CLK", "WCK", "CLKA", "CLKB", "CLKI", "SCLK"))

Pin = tuple[str, str]


@dataclass(frozen=True)
class Step:
    """One step of a path: through a cell, or along a wire to it. Of both the far end is named."""

    cell: str
    port: str
    ns: float
    wire: bool
    #: The way through is that of a carry chain, not into or out of it.
    carry: bool = False


def name(text: str) -> str:
    """An identifier without SDF's backslashes."""
    return re.sub(r"\\(.)", r"\1", text)


def pin(text: str) -> Pin:
    """Cell and port of ``cell/port``."""
    cell, _, port = name(text).rpartition("/")
    return cell, port


class Delays:
    """Delays of a routed design as a graph of pins."""

    def __init__(self, text: str):
        #: To each pin: the pins that lead to it, with the delay in ps and whether it is a wire.
        self.sources: dict[Pin, list[tuple[Pin, int, bool]]] = defaultdict(list)
        #: Pins that a clock edge drives: (clock pin, ps).
        self.launches: dict[Pin, int] = {}
        #: Pins with a setup time, in ps.
        self.setups: dict[Pin, int] = {}
        instance = ""
        for line in text.splitlines():
            line = line.strip()
            if line.startswith("(INTERCONNECT") and (wire := WIRE.match(line)):
                delay = max(int(wire[3]), int(wire[4]))
                self.sources[pin(wire[2])].append((pin(wire[1]), delay, True))
            elif line.startswith("(INSTANCE"):
                found = INSTANCE.match(line)
                instance = name(found[1]) if found else ""
            elif line.startswith("(IOPATH") and (through := THROUGH.match(line)):
                start, end = through[1] or through[2], (instance, through[3])
                delay = max(int(through[4]), int(through[5]))
                if start in CLOCKS:
                    self.launches[end] = max(delay, self.launches.get(end, 0))
                else:
                    self.sources[end].append(((instance, start), delay, False))
            elif line.startswith("(SETUPHOLD") and (setup := SETUP.match(line)):
                end = (instance, setup[1])
                self.setups[end] = max(int(setup[3]), self.setups.get(end, 0))
        self._latest: dict[Pin, tuple[int, Pin | None, bool] | None] = {}

    def latest(self, end: Pin) -> tuple[int, Pin | None, bool] | None:
        """When the last signal from a register is at a pin: (ps, the pin before it, whether a wire leads from there).

        None if no register leads there. Raises ToolError for a loop without a register.
        """
        waiting = [end]
        open_pins: set[Pin] = set()
        while waiting:
            at = waiting[-1]
            if at in self._latest:
                waiting.pop()
                continue
            missing = [before for before, _, _ in self.sources.get(at, ()) if before not in self._latest]
            if missing and at not in self.launches:
                if at in open_pins:
                    raise ToolError(f"a loop without a register leads through {'/'.join(at)}")
                open_pins.add(at)
                waiting += missing
                continue
            waiting.pop()
            best: tuple[int, Pin | None, bool] | None = None
            if at in self.launches:
                best = (self.launches[at], None, False)
            else:
                for before, delay, wire in self.sources.get(at, ()):
                    arrived = self._latest[before]
                    if arrived is not None and (best is None or arrived[0] + delay > best[0]):
                        best = (arrived[0] + delay, before, wire)
            self._latest[at] = best
        return self._latest[end]

    def ends(self) -> list[tuple[int, Pin]]:
        """All ends of paths, the worst first: ps from clock edge to clock edge, setup time included."""
        found = []
        for end, setup in self.setups.items():
            arrived = self.latest(end)
            if arrived is not None:
                found.append((arrived[0] + setup, end))
        return sorted(found, key=lambda item: (-item[0], item[1]))

    def path(self, end: Pin) -> list[Step]:
        """The longest way to an end, from the register on; the last step is the setup time."""
        steps = [Step(*end, self.setups[end] / 1000, False)]
        at: Pin | None = end
        while at is not None:
            arrived = self._latest[at]
            assert arrived is not None
            ps, before, wire = arrived
            earlier = self._latest[before] if before is not None else None
            carry = before is not None and before[1] == "FCI"
            steps.append(Step(*at, (ps - (earlier[0] if earlier else 0)) / 1000, wire, carry))
            at = before
        return steps[::-1]


def read_delays(path: Path) -> Delays:
    """Delays of a file.

    Raises ToolError if it has none.
    """
    delays = Delays(path.read_text(errors="replace"))
    if not delays.setups or not delays.launches:
        raise ToolError(f"{path} has no delays of registers")
    return delays
