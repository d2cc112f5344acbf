"""All measurements of one run, and the rows that come of them."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..verilator import BuildError
from .figures import Row, Spread
from .gateware import Flow, Gateware
from .host import ModelHost, RecordsHost
from .routed import Clocks, Routed
from .software import CppScan, Engine, Missing, PlainScan, QuickFixCpp, QuickFixPython, Scan, SimpleFix
from .streams import Stream, gaps, reports, short, worst

#: Cycles from the last byte of the proving message to the ResendRequest that the design allows, by width. Those in
#: between have no goal of their own.
BUDGET = {1: 4, 8: 6}
#: Cycles per second that the simulation is to reach.
SIMULATION_GOAL = 1e6


@dataclass(frozen=True)
class Amount:
    """How much is measured: ``messages`` of each stream, ``gaps``, ``rounds`` of each peer in turn."""

    messages: int
    gaps: int
    rounds: int


FULL = Amount(messages=4000, gaps=10_000, rounds=7)
SAMPLE = Amount(messages=400, gaps=300, rounds=3)


@dataclass
class Result:
    """What came of a run.

    Members: ``rows``; ``latencies``: nanoseconds by who needed them, for the plot; ``clocks``; ``notes``: what is
    missing, and why.
    """

    clocks: Clocks
    rows: list[Row] = field(default_factory=list)
    latencies: dict[str, Spread] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Software:
    """Times of the software, in nanoseconds: per message by stream and peer, and of the gaps by peer."""

    scans: dict[str, dict[str, float]]
    engines: dict[str, float]
    latencies: dict[str, Spread]
    does: dict[str, str]


def measure(amount: Amount, widths: Sequence[int], sessions: int, seed: int, clocks: Clocks, *, cpp: bool) -> Result:
    """Everything.

    Parameters: ``widths``, ``sessions`` of the gateware; ``seed`` of the gaps; ``cpp``: compile QuickFIX's C++ library
    if that has not been done.
    """
    result = Result(clocks, notes=list(clocks.notes))
    streams = [short(amount.messages), reports(amount.messages), worst(amount.messages)]
    software = measure_software(amount, streams, seed, result.notes, cpp=cpp)
    result.latencies.update(software.latencies)
    for width in widths:
        say(f"gateware, width {width}")
        try:
            gateware = Gateware(width, sessions)
        except (ValueError, BuildError) as error:
            result.notes.append(f"width {width}: {str(error).splitlines()[0]}")
            result.rows.append(Row(f"gateware, width {width}", None, "", "-", None, "not built here", less=None))
            continue
        try:
            clock = clocks.of(width, sessions)
            for stream in streams:
                result.rows += throughput(width, stream, gateware.flow(stream), software, clock)
            cycles = Spread.of(gateware.latencies(gaps(amount.gaps, seed)))
            result.rows += latency(width, cycles, software, clock)
            result.rows += hurried(width, Spread.of(gateware.latencies(gaps(amount.gaps, seed, apart=0))))
            if clock is not None and clock.mhz is not None:
                result.latencies[f"tag34, width {width}, {clock.mhz:g} MHz"] = cycles.scaled(1000 / clock.mhz)
            result.rows.append(simulation(gateware, streams[1], amount.rounds))
        finally:
            gateware.close()
    result.rows += host(software)
    return result


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(f"tag34: bench: {text}", file=sys.stderr, flush=True)


# -- Software ----------------------------------------------------------------------------------------------------------


def present(makers: Sequence[Callable[[], Scan | Engine]], notes: list[str]) -> list[Scan | Engine]:
    """The peers that are there; a note for each of the others."""
    found = []
    for make in makers:
        try:
            found.append(make())
        except Missing as error:
            notes.append(str(error).splitlines()[0])
    return found


def measure_software(amount: Amount, streams: Sequence[Stream], seed: int, notes: list[str], *, cpp: bool) -> Software:
    """All peers, one after the other in each of the rounds."""
    scans = [peer for peer in present([PlainScan, SimpleFix, CppScan], notes) if isinstance(peer, Scan)]
    makers = [ModelHost, RecordsHost, QuickFixPython, lambda: QuickFixCpp(build=cpp)]
    engines = [peer for peer in present(makers, notes) if isinstance(peer, Engine)]
    [stream] = [stream for stream in streams if stream.sessions]
    per_scan: dict[str, dict[str, list[float]]] = {one.name: {} for one in streams}
    per_engine: dict[str, list[float]] = {}
    waits: dict[str, list[float]] = {}
    share = -(-amount.gaps // amount.rounds)
    for turn in range(amount.rounds):
        say(f"software, round {turn + 1} of {amount.rounds}")
        for scan in scans:
            for one in streams:
                per_scan[one.name].setdefault(scan.name, []).append(timed(scan, one))
        for engine in engines:
            per_engine.setdefault(engine.name, []).append(timed(engine, stream))
            if engine.timing:
                waits.setdefault(engine.name, []).extend(engine.latencies(gaps(share, seed + turn)))
    return Software(
        scans={name: {who: statistics.median(ns) for who, ns in times.items()} for name, times in per_scan.items()},
        engines={name: statistics.median(times) for name, times in per_engine.items()},
        latencies={name: Spread.of(times[: amount.gaps]) for name, times in waits.items()},
        does={
            **{scan.name: scan.does for scan in scans},
            **{engine.name: engine.does for engine in engines},
            **{f"{engine.name} timing": engine.timing for engine in engines},
        },
    )


def timed(peer: Scan | Engine, stream: Stream) -> float:
    """Nanoseconds of the processor per message. Raises AssertionError if it did not see all of them."""
    work = peer.prepare(stream)
    started = time.process_time_ns()
    count = work()
    spent = time.process_time_ns() - started
    assert count == len(stream.messages), f"{peer.name} saw {count} of {len(stream.messages)} messages"
    return spent / count


# -- Rows --------------------------------------------------------------------------------------------------------------


def throughput(width: int, stream: Stream, flow: Flow, software: Software, clock: Routed | None) -> list[Row]:
    """Rows of one stream at the pins of the gateware."""
    name = f"width {width}, {stream.name}"
    how = f"gateware, Verilator: {flow.size} bytes back to back, {flow.delivered} messages delivered, outputs ready"
    rows = [
        Row(f"{name}: throughput", flow.bytes_per_cycle, "bytes/cycle", "a beat per cycle", width, how, less=False),
        Row(f"{name}: stalls", flow.stalls, "cycles", "all cycles", flow.cycles, how, less=None),
    ]
    mhz, where = at_clock(clock)
    size = flow.size / len(stream.messages)
    speed = None if mhz is None else flow.bytes_per_cycle * mhz
    for who, nanoseconds in software.scans[stream.name].items():
        how = f"{where}; {who}: {software.does[who]}, processor time"
        rows.append(Row(f"{name}: speed", speed, "MB/s", who, 1000 * size / nanoseconds, how, less=False))
    return rows


def latency(width: int, cycles: Spread, software: Software, clock: Routed | None) -> list[Row]:
    """Rows of the time from the last byte of the proving message to the ResendRequest."""
    name = f"width {width}, gap to ResendRequest"
    how = f"gateware, Verilator: last byte taken at rx to first byte offered at tx, by its counter, {cycles.count} gaps"
    budget = BUDGET.get(width)
    goal = "budget of the design" if budget else "no budget at this width"
    rows = [
        Row(f"{name}: {what}", value, "cycles", goal, budget, how)
        for what, value in (("min", cycles.least), ("median", cycles.p50), ("max", cycles.most))
    ]
    rows.append(Row(f"{name}: jitter", cycles.jitter, "cycles", "none", 0, how, less=None))
    mhz, where = at_clock(clock)
    ours = None if mhz is None else cycles.scaled(1000 / mhz)
    for who, theirs in software.latencies.items():
        does = software.does[f"{who} timing"]
        how = f"{where}; {who}: {does}, the thread's processor time, {theirs.count} gaps"
        for what, pick in PERCENTILES.items():
            value = None if ours is None else pick(ours)
            rows.append(Row(f"{name}: {what}", value, "ns", who, pick(theirs), how))
    return rows


def hurried(width: int, cycles: Spread) -> list[Row]:
    """Rows of that time where gaps follow each other at once."""
    how = f"gateware, Verilator: a gap every three messages of 90 to 160 bytes, {cycles.count} gaps; "
    how += "a request waits until the one before it has left"
    return [
        Row(f"width {width}, gap to ResendRequest, gaps at once: {what}", value, "cycles", "-", None, how)
        for what, value in (("median", cycles.p50), ("max", cycles.most))
    ]


PERCENTILES: dict[str, Callable[[Spread], float]] = {
    "min": lambda spread: spread.least,
    "median": lambda spread: spread.p50,
    "p99": lambda spread: spread.p99,
    "p99.9": lambda spread: spread.p999,
    "max": lambda spread: spread.most,
    "jitter (p99.9 - p50)": lambda spread: spread.jitter,
}


def at_clock(clock: Routed | None) -> tuple[float | None, str]:
    """The clock, if it is known, and where it comes from."""
    if clock is None or clock.mhz is None:
        return None, "not routed here (`make timing`): cycles only"
    return clock.mhz, f"cycles of the simulation at {clock.mhz:g} MHz, routed on {clock.part} ({clock.origin})"


def simulation(gateware: Gateware, stream: Stream, rounds: int) -> Row:
    """The speed of the simulation, the best of some rounds."""
    cycles, seconds = min((gateware.cycles_per_second(stream) for _ in range(rounds)), key=lambda run: run[1])
    name = f"width {gateware.shape.width}, sim: device, {gateware.shape.sessions} session"
    name += "s" * (gateware.shape.sessions > 1)
    how = f"{cycles} cycles of {stream.name} by one call, processor time, best of {rounds} rounds"
    return Row(name, cycles / seconds, "cycles/s", "goal", SIMULATION_GOAL, how, less=False)


def host(software: Software) -> list[Row]:
    """Rows of the processor's time per message."""
    rows = []
    for ours in (RecordsHost.name, ModelHost.name):
        for who, theirs in software.engines.items():
            if who in (RecordsHost.name, ModelHost.name):
                continue
            how = f"250-byte reports, processor time. {ours}: {software.does[ours]}. {who}: {software.does[who]}"
            rows.append(Row(f"{ours}: per message", software.engines[ours] / 1000, "us", who, theirs / 1000, how))
    return rows
