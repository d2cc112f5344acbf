"""``tag34 bench``: its rows, what it counts, its peers and its page. How fast anything is, is not looked at."""

from __future__ import annotations

import ctypes
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tag34.cli import main
from tag34_sim import verilator
from tag34_sim.bench import host, measure, native, page, plots, software, streams
from tag34_sim.bench.figures import Row, Spread, as_table, told
from tag34_sim.bench.gateware import Gateware
from tag34_sim.bench.routed import Clocks
from tag34_sim.golden import FrameKind, Framer, parse
from tag34_sim.messages import damaged_checksum
from tag34_sim.verilator import BuildError
from tests.sim.compiler import needs_compiler

COLUMNS = ["name", "value", "unit", "peer", "peer value", "how measured", "ratio"]
HISTORY = [
    {"revision": "old", "clocks": "not looked at", "areas": []},
    {
        "revision": "abc1234",
        "clocks": [
            {"width": 1, "sessions": 1, "part": "A", "mhz": {"1": 90, "2": 100, "3": 110}, "components": {}},
            {"width": 1, "sessions": 1, "part": "B", "mhz": {"1": 125}, "components": {"framer": {"lut4": 7}}},
            {"width": 8, "sessions": 1, "part": "B", "mhz": {}, "components": {}},
        ],
        "areas": [{"width": 8, "sessions": 16, "components": {"framer": {"lut4": 30}, "fields": {"lut4": 12}}}],
    },
]


@pytest.fixture(scope="module")
def gateware() -> Iterator[Gateware]:
    opened = Gateware(1)
    yield opened
    opened.close()


def project(folder: Path, **files: object) -> Clocks:
    """The clocks of a project with these files; names with / written as __."""
    for name, content in files.items():
        path = folder / (name.replace("__", "/") + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return Clocks(folder)


# -- A whole run -------------------------------------------------------------------------------------------------------


@needs_compiler
def test_a_small_run_makes_rows_that_are_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path, **{"docs__timing-history": HISTORY})
    assert main(["bench", "--sample", "--width", "1", "--messages", "24", "--gaps", "6", "--docs", "pages"]) == 0
    result = json.loads((tmp_path / "build" / "bench.json").read_text())
    rows = result["rows"]
    assert all(sorted(row) == sorted(COLUMNS) for row in rows)
    assert all(row["name"] and row["unit"] and row["peer"] and row["how measured"] for row in rows)
    table = capsys.readouterr().out
    for row in rows:
        assert row["name"] in table

    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    for stream in (streams.short(8), streams.reports(8), streams.worst(8)):
        name = f"width 1, {stream.name}"
        assert 0 < by_name[f"{name}: throughput"][0]["value"] <= 1
        assert by_name[f"{name}: stalls"][0]["value"] >= 0
        assert len(by_name[f"{name}: speed"]) >= 2, "several peers"
        assert all(row["ratio"] > 0 for row in by_name[f"{name}: speed"])
    cycles, *nanoseconds = by_name["width 1, gap to ResendRequest: median"]
    assert (cycles["unit"], cycles["peer value"]) == ("cycles", measure.BUDGET[1])
    assert all(row["unit"] == "ns" and row["value"] == cycles["value"] * 8 for row in nanoseconds), "at 125 MHz"
    assert "125 MHz, routed on B (docs/timing-history.json, abc1234)" in nanoseconds[0]["how measured"]
    assert by_name[f"{host.ModelHost.name}: per message"]
    assert by_name["width 1, sim: device, 1 session"][0]["value"] > 0
    assert "tag34, width 1, 125 MHz" in result["latencies"]
    assert result["command"] == 'make bench ARGS="--sample --width 1 --messages 24 --gaps 6"'

    text = (tmp_path / "pages" / "benchmarks.md").read_text()
    assert "Where software is better" in text
    for name in ("benchmarks-latency.svg", "benchmarks-size.svg"):
        assert f"({name})" in text
        ElementTree.parse(tmp_path / "pages" / name)


def test_a_width_that_is_not_built_and_peers_that_are_missing_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(width: int, sessions: int) -> Gateware:
        raise ValueError(f"no width {width}")

    monkeypatch.setattr(measure, "Gateware", refuse)
    monkeypatch.setitem(sys.modules, "simplefix", None)
    monkeypatch.setitem(sys.modules, "quickfix", None)
    monkeypatch.setenv("CXX", "no-such-compiler")
    result = measure.measure(measure.Amount(8, 2, 1), (8,), 1, 34, Clocks(tmp_path), cpp=False)
    notes = "\n".join(result.notes)
    assert "simplefix is not installed" in notes
    assert "QuickFIX's Python binding is not installed" in notes
    assert notes.count("no C++ compiler (no-such-compiler) found") == 2
    assert "width 8: no width 8" in notes
    (row,) = [row for row in result.rows if "width 8" in row.name]
    assert (row.value, row.ratio, row.how) == (None, None, "not built here")


@needs_compiler
def test_the_simulations_speed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "sim", "--sample", "--messages", "8"]) == 0
    assert "width 1, sim: device, 1 session" in capsys.readouterr().out


def test_a_simulation_that_cannot_be_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert main(["bench", "sim"]) == 2
    assert "no C++ compiler (no-such-compiler) found" in capsys.readouterr().err


# -- The gateware ------------------------------------------------------------------------------------------------------


@needs_compiler
def test_stalls_are_counted(gateware: Gateware, seed: int) -> None:
    stream = streams.short(200)  # more than the message memory can keep
    free = gateware.flow(stream)
    assert (free.size, free.delivered, free.out_stalls) == (200 * 64, 200, 0)
    assert free.cycles == free.size / gateware.shape.width + free.stalls
    slow = gateware.flow(stream, outputs=0.75, seed=seed)
    assert slow.delivered == 200
    assert slow.out_stalls > 0
    assert slow.stalls > free.stalls, "deliveries that cannot leave hold back what arrives"
    assert slow.cycles == slow.size / gateware.shape.width + slow.stalls
    assert gateware.flow(stream) == free, "counting begins anew"


@needs_compiler
def test_each_gap_has_one_latency(gateware: Gateware, seed: int) -> None:
    found = gateware.latencies(streams.gaps(30, seed))
    assert len(found) == 30
    assert all(0 < cycles <= measure.BUDGET[1] for cycles in found)


@needs_compiler
def test_the_counts_structure_is_that_of_the_harness() -> None:
    text = verilator.harness_source()
    fields = text[text.index("struct Counts {") :].split("uint64_t", 1)[1].split(";")[0]
    assert [name.strip() for name in fields.split(",")] == [field[0] for field in verilator.Counts._fields_]
    assert ctypes.sizeof(verilator.Counts) == 8 * len(verilator.Counts._fields_)


# -- The streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [streams.short, streams.reports, streams.worst])
def test_streams_are_valid_and_whole(make: Any) -> None:
    stream = make(20)
    seqs = sorted(seq for _, _, seq in software.plain_scan(stream.data))
    assert seqs == list(range(streams.FIRST, stream.highest + 1))
    assert len(stream.messages) == 20


# -- The peers ---------------------------------------------------------------------------------------------------------


def judged_by_the_model(data: bytes) -> list[tuple[int, int, int]]:
    frames = [frame for frame in Framer(4096).feed(data) if frame.kind is FrameKind.VALID]
    return [(frame.offset, frame.length, parse(frame).seq or 0) for frame in frames]


def spoiled(rng: random.Random) -> bytes:
    """All streams, now and then something between two messages or a wrong CheckSum."""
    parts = []
    for stream in (streams.short(40), streams.reports(40), streams.worst(40)):
        for message in stream.messages:
            parts.append(rng.choice((message, message, message, damaged_checksum(message))))
            parts.append(rng.choice((b"", b"", b"8=FI", b"88=", b"\x01", b"noise")))
    return b"".join(parts)


def test_the_plain_scan_agrees_with_the_model(rng: random.Random) -> None:
    data = spoiled(rng)
    assert software.plain_scan(data) == judged_by_the_model(data)


@needs_compiler
def test_the_scanner_agrees_with_the_model(rng: random.Random) -> None:
    data = spoiled(rng)
    found = software.CppScan().messages(data)
    assert found == judged_by_the_model(data)
    assert 60 < len(found) < 120


@pytest.mark.parametrize("maker", [software.PlainScan, software.SimpleFix, software.CppScan])
def test_a_scan_sees_all_messages(maker: type[software.Scan]) -> None:
    try:
        peer = maker()
    except software.Missing as error:
        pytest.skip(str(error))
    for stream in (streams.short(9), streams.reports(9), streams.worst(9)):
        assert peer.prepare(stream)() == 9


@pytest.mark.parametrize(
    "maker", [host.ModelHost, host.RecordsHost, software.QuickFixPython, software.QuickFixCpp], ids=lambda m: m.__name__
)
def test_an_engine_delivers_all_and_answers_each_gap(maker: type[software.Engine], seed: int) -> None:
    try:
        engine = maker()
    except software.Missing as error:
        pytest.skip(str(error))
    for _ in range(2):  # rounds do not get into each other's way
        assert engine.prepare(streams.reports(30))() == 30
        if engine.timing:
            assert len(engine.latencies(streams.gaps(7, seed))) == 7


def test_quickfix_in_cpp_is_not_compiled_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(native, "fetch", lambda work: pytest.fail("fetched"))
    with pytest.raises((software.Missing, BuildError), match=r"--quickfix-cpp fetches its sources|no C\+\+ compiler"):
        software.QuickFixCpp()


# -- Clocks ------------------------------------------------------------------------------------------------------------


def test_clocks_come_from_the_newest_entry_of_the_history(tmp_path: Path) -> None:
    clocks = project(tmp_path, **{"docs__timing-history": HISTORY})
    clock = clocks.of(1, sessions=64)
    assert clock is not None
    assert (clock.mhz, clock.part, clock.lut4, clock.origin) == (125, "B", 7, "docs/timing-history.json, abc1234")
    assert clocks.of(8) is None, "nothing is assumed of what was not routed"
    assert [(one.width, one.sessions, one.mhz, one.lut4) for one in clocks.all()] == [
        (1, 1, 100, None),
        (1, 1, 125, 7),
        (8, 16, None, 42),
    ]


def test_clocks_come_from_a_single_route_as_well(tmp_path: Path) -> None:
    kept = {
        "part": "P",
        "shape": {"width": 1, "sessions": 1},
        "area": [{"component": "core, all", "lut4": 5}],
        "routed": [{"mhz": 101.5}],
    }
    clock = project(tmp_path, build__timing__timing=kept).of(1)
    assert clock is not None
    assert (clock.mhz, clock.lut4, clock.origin) == (101.5, 5, "build/timing/timing.json")


def test_no_clock_and_a_broken_file_are_told(tmp_path: Path) -> None:
    clocks = project(tmp_path, build__timing__timing="{}")
    assert clocks.of(1) is None
    assert "timing.json is not understood" in clocks.notes[0]
    assert measure.at_clock(None) == (None, "not routed here (`make timing`): cycles only")


# -- Figures and page --------------------------------------------------------------------------------------------------


def test_percentiles_are_of_the_values() -> None:
    spread = Spread.of([float(value) for value in range(1000, 0, -1)])
    assert (spread.least, spread.p50, spread.p99, spread.p999, spread.most) == (1, 500, 990, 999, 1000)
    assert spread.jitter == 499
    assert spread.scaled(2).p999 == 1998
    assert Spread.of([7.0]).p50 == 7


@pytest.mark.parametrize(
    ("value", "peer", "less", "ratio"),
    [(2.0, 10.0, True, 5.0), (2.0, 10.0, False, 0.2), (2.0, 10.0, None, None), (None, 10.0, True, None)]
    + [(2.0, None, True, None), (0.0, 10.0, True, None)],
)
def test_ratios_say_how_many_times_better_tag34_is(
    value: float | None, peer: float | None, less: bool | None, ratio: float | None
) -> None:
    assert Row("what", value, "ns", "peer", peer, "how", less=less).ratio == ratio


def test_numbers_are_told_with_three_digits() -> None:
    texts = [told(value) for value in (None, 0, 3.0, 0.8123, 12.345, 123.45, 12345.6, 0.001234)]
    assert texts == ["-", "0", "3", "0.812", "12.3", "123", "12,346", "0.00123"]


def test_where_software_is_better_is_said() -> None:
    lost = Row("width 1, speed", 125.0, "MB/s", "scanner", 5000.0, "how", less=False)
    won = Row("width 1, latency", 24.0, "ns", "engine", 5000.0, "how")
    assert page.software_wins([lost, won]) == [
        "- width 1, speed: scanner is 40 times better (5,000 against 125 MB/s)",
    ]
    assert page.software_wins([won]) == ["In no row of this run."]
    assert as_table([lost, won]).count("how") == 1, "said once for the rows that share it"


def test_plots_have_all_that_is_known(tmp_path: Path) -> None:
    text = plots.latency_plot({"tag34": Spread.of([24.0]), "QuickFIX & Co": Spread.of([5000.0, 9000.0])})
    ElementTree.fromstring(text)
    assert "QuickFIX &amp; Co: median 5 us, jitter 4 us" in text
    sizes = plots.size_plot(project(tmp_path, **{"docs__timing-history": HISTORY}).all())
    assert sizes is not None
    ElementTree.fromstring(sizes)
    assert "width 8, 16 sessions" in sizes
    assert "125 MHz" in sizes
    assert plots.size_plot([]) is None
