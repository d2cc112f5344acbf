"""Parts of the simulated core are evaluated only when they can change: nothing else may come of it than without."""

from __future__ import annotations

import ctypes
import fnmatch
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tag34_hdl.layouts import Shape
from tag34_sim import parts, verilator
from tag34_sim.lazily import GUARDS, SELDOM, STEADY, clocked, guarded, since
from tag34_sim.messages import Field, Peer
from tag34_sim.netlist import Netlist, UnreadableError, plain
from tag34_sim.parts import COMPONENTS, PARTED, SHOWN, counting, divide, find
from tag34_sim.sim_device import SimDevice
from tag34_sim.verilator import Counts, VerilatedCore
from tests.sim.compiler import needs_compiler

PEER = Peer()

#: As Yosys writes a flattened design: a counter in a component, what copies a cycle counter, and a register that holds.
SMALL = r"""
module top(clk, rst, go, seen);
  input clk;
  wire clk;
  input rst;
  wire rst;
  input go;
  wire go;
  output [3:0] seen;
  wire [3:0] seen;
  wire \part$2.on ;
  reg [3:0] \part$2.next ;
  reg [3:0] \part$2.count  = 4'h5;
  wire [3:0] \part$2.sum ;
  wire [3:0] \part$2.shared ;
  reg [3:0] cycle = 4'h0;
  wire [3:0] later;
  reg [3:0] \part$2.stamp  = 4'h0;
  wire [3:0] copied;
  reg [3:0] \other.kept  = 4'h0;
  reg [3:0] \other.then ;
  assign \part$2.on  = go;
  assign \part$2.sum  = \part$2.count  + 4'h1;
  assign \part$2.shared  = \part$2.count  ^ 4'h3;
  assign later = cycle + 4'h1;
  assign copied = cycle | 4'h1;
  assign seen = \part$2.shared  ^ \other.kept  ^ \part$2.stamp ;
  always @* begin
    if (\$auto$verilog_backend.cc:2355:dump_module$1 ) begin end
    \part$2.next  = \part$2.count ;
    if (\part$2.on ) begin
      \part$2.next  = \part$2.sum ;
    end
    if (rst) begin
      \part$2.next  = 4'h5;
    end
  end
  always @* begin
    if (\$auto$verilog_backend.cc:2355:dump_module$1 ) begin end
    \other.then  = \other.kept ;
    if (\part$2.shared [1]) begin
      \other.then  = later;
    end
  end
  always @(posedge clk)
    \part$2.count  <= \part$2.next ;
  always @(posedge clk)
    cycle <= later;
  always @(posedge clk)
    \part$2.stamp  <= copied;
  always @(posedge clk)
    \other.kept  <= \other.then ;
endmodule
"""


def test_a_part_has_what_only_its_registers_need() -> None:
    netlist = Netlist(SMALL)
    (part,) = find(netlist, ["part.*"])
    assert part.registers == {"\\part$2.count"}
    sets = {one.name for index in part.statements for one in netlist.statements[index].sets}
    assert sets == {"\\part$2.next", "\\part$2.sum"}  # others look at what is shared


def test_what_reads_a_counter_that_nothing_stops_is_in_no_part() -> None:
    assert counting(Netlist(SMALL)) == {"cycle", "\\part$2.stamp", "\\other.kept"}


def test_a_register_holds_unless_a_condition_is_met() -> None:
    netlist = Netlist(SMALL)
    assert netlist.branches("\\other.kept") == [("(\\part$2.shared [1])", ["      \\other.then  = later;"])]
    assert [condition for condition, _ in netlist.branches("\\part$2.count") or ()] == ["(go )", "(rst)"]
    assert netlist.branches("cycle") is None
    moved = SMALL.replace("\\other.then  = \\other.kept ;", "\\other.then  = 4'h0;")
    assert Netlist(moved).branches("\\other.kept") is None


def test_a_part_wakes_for_each_input_and_while_it_moves() -> None:
    text = divide(SMALL, ["part.*"])
    assert text.startswith(
        f"{PARTED} 1\n`define MOVED output moved_0_0, \n`define MOVED_PINS .moved_0_0(moved_0_0), \n"
    )
    assert "\nmodule top(clk, rst, go, seen, moved_0_0, wake, awake, shown);" in text
    copies = text.split("@(edge wake[0]) begin\n")[1].split("  end")[0]
    named = {name.strip(): copy for copy, name in re.findall(r"    (\w+) <= (.*);", copies) if name != "1"}
    assert set(named) == {"go", "rst", "\\part$2.count"}
    awake = re.search(r"assign awake\[0\] = (.*);", text)
    moved = re.search(r"assign moved_0_0 = (.*);", text)
    assert awake is not None
    assert moved is not None
    assert f"(go != {named['go']} )" in awake[1]
    assert f"(rst != {named['rst']} )" in awake[1]
    count = "\\part$2.count"
    assert f"({count}  != {named[count]} )" in moved[1]
    assert "begun_0 ?" not in text  # its reset makes of it what it is at first


def test_a_first_value_that_no_reset_makes_is_there_until_the_first_edge() -> None:
    text = divide(SMALL.replace("count  = 4'h5", "count  = 4'h6"), ["part.*"])
    assert re.search(r"assign \\part\$2.count += begun_0 \? \\part\$2.next +: 4'h6;", text)


#: What a host reads: a word chosen by a register, which is chosen by the address.
SHOWING = r"""
module top(clk, address, word, read_data);
  input clk;
  input [1:0] address;
  input [7:0] word;
  output [7:0] read_data;
  reg \r.reads_word  = 1'h0;
  reg \r.reads_twice  = 1'h0;
  reg [7:0] \r.read_data  = 8'h00;
  reg \r.other  = 1'h0;
  wire \r.is_word ;
  wire \r.is_twice ;
  wire \r.is_other ;
  wire [7:0] \r.shown ;
  assign \r.is_word  = address == 2'h1;
  assign \r.is_twice  = \r.reads_word  & \r.reads_twice ;
  assign \r.is_other  = \r.reads_twice ;
  assign \r.shown  = \r.reads_word  ? word : { \r.reads_twice , 7'h00 };
  assign read_data = \r.read_data ;
  always @(posedge clk)
    \r.reads_word  <= \r.is_word ;
  always @(posedge clk)
    \r.reads_twice  <= \r.is_twice ;
  always @(posedge clk)
    \r.read_data  <= \r.shown ;
  always @(posedge clk)
    \r.other  <= \r.is_other ;
endmodule
"""


def test_what_only_the_harness_looks_at_is_a_part_that_it_wakes() -> None:
    (part,) = find(Netlist(SHOWING), [], ["r.read*"])
    # Others look at reads_twice, which would not be right when it is needed; is_twice looks at reads_word.
    assert part.registers == {"\\r.read_data"}
    assert part.shown
    text = divide(SHOWING, [], ["r.read*"])
    assert "assign shown = 1'b1;" in text
    assert "assign awake[0] = 0;" in text
    alone = SHOWING.replace("\\r.reads_word  & \\r.reads_twice ;", "address == 2'h2;").replace(
        "\\r.is_other  = \\r.reads_twice ;", "\\r.is_other  = address == 2'h3;"
    )
    (part,) = find(Netlist(alone), [], ["r.read*"])
    assert part.registers == {"\\r.read_data", "\\r.reads_word", "\\r.reads_twice"}


#: A part whose next values are made of one of its registers, in steps, but for what waits for ``go``; ``busy`` changes
#: only with the part.
CALM = r"""
module top(clk, rst, go, seen);
  input clk;
  input rst;
  input go;
  output [3:0] seen;
  reg [3:0] \p.count  = 4'h0;
  reg [3:0] \p.next ;
  reg [3:0] \p.double  = 4'h3;
  reg \q.on  = 1'h0;
  wire [3:0] \p.sum ;
  wire [3:0] \p.twice ;
  wire [3:0] \p.most ;
  wire busy;
  wire \q.then ;
  assign \p.sum  = \p.count  + 4'h1;
  assign \p.most  = \p.sum  | 4'h4;
  assign \p.twice  = { \p.most [2:0], 1'h0 };
  assign busy = | \p.count ;
  assign \q.then  = busy & go;
  assign seen = { \q.on , busy, \p.double [1:0] };
  always @* begin
    \p.next  = \p.count ;
    if (go) begin
      \p.next  = \p.sum ;
    end
    if (rst) begin
      \p.next  = 4'h0;
    end
  end
  always @(posedge clk)
    \p.count  <= \p.next ;
  always @(posedge clk)
    \p.double  <= \p.twice ;
  always @(posedge clk)
    \q.on  <= \q.then ;
endmodule
"""


def test_what_is_made_of_one_signal_is_made_when_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = Netlist(CALM)
    (part,) = find(netlist, ["p.*"])
    made = netlist.made_of_one(part.statements)
    sets = {name: {one.name for index in made[name] for one in netlist.statements[index].sets} for name in made}
    assert sets == {"\\p.count": {"\\p.sum", "\\p.most", "\\p.twice"}}
    monkeypatch.setattr(parts, "CALM", 3)
    text = divide(CALM, ["p.*"])
    edge = text.split("always @(edge wake[0]) begin\n")[1].split("\n  end\n")[0]
    count = re.search(r"(\w+) <= \\p.count ;", edge)
    assert count is not None
    assert f"if (!begun_0 | (\\p.count  != {count[1]} ) | (rst != " in edge
    results = dict(re.findall(r"(calm_0_\d) <= (.*) ;", edge))
    assert set(results.values()) == {"\\p.sum", "\\p.twice"}  # the rest looks at no others
    total, twice = sorted(results, key=lambda result: results[result])
    assert re.search(rf"\\p.next  = {total} ;", text.split(edge)[1])
    # What it was before the first edge is not what the calm logic would have made of it.
    assert re.search(rf"assign \\p.double  = begun_0 \? {twice} +: 4'h3;", text)


def test_what_changes_only_with_a_part_is_asked_for_only_then() -> None:
    text = divide(CALM, ["p.*", "q.*"])
    assert re.search(r"assign moved_1_0 = \(busy != \w+ \);", text)
    awake = re.search(r"assign awake\[1\] = (.*);", text)
    assert awake is not None
    assert "moved_1_0" in awake[1]
    assert "busy" not in awake[1]


def test_without_a_part_nothing_changes() -> None:
    assert divide(SMALL, ["nobody.*"]) == SMALL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  assign later = cycle + 4'h1;", "  assert(go);"),
        ("  assign later = cycle + 4'h1;", "  assign later = nowhere;"),
        ("assign copied = cycle | 4'h1;", "assign copied = seen & 4'h1;\n  assign \\part$2.shared  = copied ^ 4'h1;"),
        ("  end\nendmodule", "endmodule"),
        ("module top", "macromodule top"),
    ],
)
def test_what_is_not_understood_is_said(old: str, new: str) -> None:
    text = SMALL.replace("\nendmodule", "\n  always @* begin\n  end\nendmodule")
    assert old in text
    with pytest.raises(UnreadableError):
        divide(text.replace(old, new), ["part.*"])


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_the_core_is_in_parts(width: int) -> None:
    netlist = Netlist(verilator.verilog(Shape(width=width), passes=("flatten", "opt_clean")))
    found = {plain(name) for part in find(netlist, COMPONENTS, SHOWN) for name in part.registers}
    assert {name.split(".")[0] for name in found} >= {"clock", "timers", "composer", "sequencer", "registers"}
    assert not any(plain(name) in found - {"registers.read_data"} for name in counting(netlist))


def test_names_of_what_is_lazy_are_there() -> None:
    # A name that is gone would cost speed.
    netlist = Netlist(verilator.verilog(Shape(width=8), passes=("flatten", "opt_clean")))
    since(netlist)
    names = [plain(name) for name in netlist.signals]
    for pattern in (*SELDOM, *(name for line in (*STEADY, *GUARDS) for name in line)):
        assert fnmatch.filter(names, pattern), pattern
    groups = clocked(netlist, netlist.registers, ())
    assert sum(bool(group.inner) for group in groups) >= len(SELDOM) + len(STEADY) - 1
    taken = {index for group in groups for index in (*group.statements, *group.inner)}
    lines = [{plain(name) for name in found.guards} for found in guarded(netlist, taken)]
    assert all(set(line) in lines for line in GUARDS)


class Pair:
    """A core in parts and one that is not: what is done to one is done to the other."""

    def __init__(self, shape: Shape, monkeypatch: pytest.MonkeyPatch):
        name = f"whole-{verilator.content_key(shape, verilator.harness_source())}"
        one = verilator.cached(
            name, lambda work, library: verilator.compile_core(shape, verilator.verilog, work, library)
        )
        parted = VerilatedCore(shape)
        monkeypatch.setattr(verilator, "build", lambda _: one)
        self.cores = (parted, VerilatedCore(shape))
        for device in map(SimDevice, self.cores):
            for session in range(shape.sessions):
                device.configure(session, PEER.config())
                device.connect(session)

    def all(self, call: str, *arguments: object) -> object:
        """The same answer of both."""
        one, other = (getattr(core.library, f"tag34_{call}")(core.handle, *arguments) for core in self.cores)
        assert one == other, (call, arguments)
        return one

    def outputs(self) -> int:
        """All that came out of both is the same, to the cycle; how many bytes."""
        seen = []
        for core in self.cores:
            size, counts = ctypes.c_size_t(), Counts()
            taken: list[object] = []
            for what in range(7):
                at = core.library.tag34_output(core.handle, what, ctypes.byref(size))
                taken.append(ctypes.string_at(at, size.value) if size.value else b"")
            core.library.tag34_clear(core.handle)
            core.library.tag34_counts(core.handle, ctypes.byref(counts))
            seen.append((*taken, bytes(counts), core.library.tag34_cycle_count(core.handle)))
        assert seen[0] == seen[1]
        return sum(len(part) for part in seen[0][:7])


def operations(rng: random.Random, sessions: int) -> Iterator[tuple[Any, ...]]:
    """What a host and its peers do to a core, and what they should not."""
    numbers = [0] * sessions
    while True:
        session, dice = rng.randrange(sessions), rng.random()
        if dice < 0.45:
            numbers[session] += rng.choice([1, 1, 1, 1, 1, 2, -1])
            kind = rng.choice(["8", "8", "0", "1", "2", "4", "5", "A"])
            bodies: dict[str, list[Field]] = {
                "1": [(112, "T")],
                "2": [(7, 1), (16, 0)],
                "4": [(123, "Y"), (36, numbers[session] + rng.randrange(-1, 4))],
                "A": [(98, 0), (108, 30)],
            }
            body = bodies.get(kind, [(58, "x" * rng.randrange(80))])
            data = bytearray(PEER.message(kind, max(1, numbers[session]), body))
            if rng.random() < 0.05:
                data[rng.randrange(len(data))] = rng.choice(b"\x01=0")
            at = rng.choice([len(data), rng.randrange(len(data)), rng.randrange(9)])
            for piece in (bytes(data[:at]), bytes(data[at:])):
                yield "receive", session, piece, len(piece)
        elif dice < 0.55:
            text = b"58=" + bytes(rng.choices(b"abc", k=rng.choice([0, 5, 200]))) + b"\x01"
            yield "send", session, ord("D"), rng.random() < 0.2, rng.randrange(1, 9), text, len(text)
        elif dice < 0.65:
            yield "read", rng.randrange(64)
        elif dice < 0.70:
            yield "write", rng.randrange(64), rng.choice([1, 2, 5, rng.randrange(1 << 32)])
        elif dice < 0.73:
            yield "stalls", rng.randrange(1 << 30), *rng.choice([(0, 0), (0, 0), (60, 0), (0, 90), (200, 240)])
        elif dice < 0.735:
            yield ("reset",)
            numbers = [0] * sessions
        else:
            yield "run", rng.choice([1, 3, 10, 50, 400])


@needs_compiler
@pytest.mark.parametrize(("width", "sessions"), [(1, 4), (8, 1)])
def test_a_core_in_parts_does_the_same_in_each_cycle(
    width: int, sessions: int, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(Shape(width=width, sessions=sessions), monkeypatch)
    moved = 0
    for count, operation in enumerate(operations(rng, sessions)):
        pair.all(*operation)
        moved += pair.outputs()
        if count > 1000 and pair.cores[0].cycles > 50_000:
            break
    assert moved > 1000
