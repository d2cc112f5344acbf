"""Logic that is run only where something comes of it: what is written, and that nothing is run too seldom."""

from __future__ import annotations

import re

import pytest

from tag34_sim.lazily import at_edge, behind_guard, clocked, edge, guarded, since, sliced, zero_with
from tag34_sim.netlist import Netlist

HEADER = """
module top(clk, rst, go, stop, x, y);
  input clk;
  input rst;
  input go;
  input stop;
  input [7:0] x;
  output [7:0] y;
"""


def netlist(declared: str, body: str) -> Netlist:
    """A small module; ``declared``, its signals, with a bracket for their bits."""
    lines = "".join(f"  {line}\n" for line in declared.splitlines())
    return Netlist(f"{HEADER}{lines}{body}endmodule\n")


def register(name: str, becomes: str) -> str:
    return f"  always @(posedge clk)\n    {name} <= {becomes};\n"


def block(*lines: str) -> str:
    inner = "\n".join(f"    {line}" for line in lines)
    return f"  always @* begin\n{inner}\n  end\n"


HELD = block(
    "next = r;", "if (go) begin", "  next = value;", "end", "if (halts) begin", "  next = 8'h00;", "end"
) + register("r", "next")
WORK = """  assign a = x ^ 8'h0f;
  assign value = a & 8'h3c;
  assign halts = stop | rst;
  assign y = r;
"""
SIGNALS = "reg [7:0] r = 8'h00;\nreg [7:0] next;\nwire [7:0] a;\nwire [7:0] value;\nwire halts;"


def test_what_a_register_becomes_is_said_at_the_edge() -> None:
    text = at_edge(netlist(SIGNALS, HELD + WORK), "r")
    assert text is not None
    assert [line.split() for line in text.splitlines()] == [
        line.split() for line in ("if (go) begin", "r <= value;", "end", "if (halts) begin", "r <= 8'h00;", "end")
    ]


def test_a_value_that_is_set_in_pieces_is_said_of_the_register() -> None:
    pieces = block("next = r;", "if (go) begin", "  { next [7:6], next [1:0] } = { x [3:2], x [1:0] };", "end")
    text = at_edge(netlist(SIGNALS, pieces + register("r", "next") + WORK), "r")
    assert text is not None
    assert "{ r [7:6], r [1:0] } <= { x [3:2], x [1:0] };" in text
    assert "next" not in text


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("  assign other = next;\n  assign y = other;\n", "somebody reads it"),
        ("  assign y = r;\n" + register("second", "next"), "another register becomes it"),
        ("  assign y = next;\n", "an output is it"),
    ],
)
def test_what_others_look_at_stays_a_signal(more: str, why: str) -> None:
    body = HELD + WORK.replace("  assign y = r;\n", more)
    assert at_edge(netlist(SIGNALS + "\nwire [7:0] other;\nreg [7:0] second = 8'h00;", body), "r") is None, why


def test_a_value_that_is_read_where_it_is_made_stays_a_signal() -> None:
    again = block("next = r;", "if (go) begin", "  next = x;", "  next [0] = next [1];", "end")
    assert at_edge(netlist(SIGNALS, again + register("r", "next") + WORK), "r") is None


def test_what_only_a_register_needs_is_run_under_its_condition() -> None:
    found = netlist(SIGNALS, HELD + WORK)
    (group,) = clocked(found, ["r"], (), ["r"], [])
    assert group.condition == "(go)"  # not where it becomes a constant
    texts = {found.statements[index].text.split(" =")[0] for index in group.inner}
    assert texts == {"a", "value"}  # but what halts it is asked in any case
    lines = "\n".join(edge(found, group, 0))
    assert re.search(r"if \(\(go\)\) begin\n.*a = .*\n.*value = .*\n    end\n", lines), lines


def test_a_register_that_is_not_seldom_takes_nothing_with_it() -> None:
    (group,) = clocked(netlist(SIGNALS, HELD + WORK), ["r"], (), [], [])
    assert not group.inner


def test_what_is_steady_is_run_when_an_input_changes() -> None:
    found = netlist(SIGNALS, HELD + WORK)
    (group,) = clocked(found, ["r"], (), [], [["r"]])
    assert group.inputs == ["rst", "stop", "x"]
    lines = "\n".join(edge(found, group, 7))
    assert "if (!seen_7 | (rst != seen_7_0 ) | (stop != seen_7_1 ) | (x != seen_7_2 )) begin" in lines
    assert all(f"seen_7_{place} = {name};" in lines for place, name in enumerate(group.inputs))


ANDS = """  assign low = { x [3:0], 4'h0 } & mask;
  assign high = mask >> 2'h3;
  assign both = low | high;
  assign chosen = go ? both : 8'h00;
  assign other = go ? 8'h01 : both;
  assign turned = ~ both;
  assign any = | both;
  assign out = both & x;
  assign y = out ^ turned ^ chosen ^ other ^ { 7'h00, any };
"""
ANDED = "\n".join(f"wire [7:0] {name};" for name in ("mask", "low", "high", "both", "chosen", "other", "turned", "out"))


def test_what_is_zero_with_a_signal_is_seen() -> None:
    found = netlist(f"{ANDED}\nwire any;", f"  assign mask = x & 8'h55;\n{ANDS}")
    zero = {found.statements[index].sets[0].name for index in zero_with(found, ["mask"])}
    assert zero == {"low", "high", "both", "chosen", "any", "out"}


def test_a_value_is_set_behind_its_guard_and_zero_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tag34_sim.lazily.WORTH", 3)
    body = ANDS.replace("assign y = out ^ turned ^ chosen ^ other ^ { 7'h00, any };", "assign y = out ^ x;")
    found = netlist(f"{ANDED}\nwire any;", f"  assign mask = x & 8'h55;\n{body}")
    (one,) = guarded(found, (), [["mask"]])
    assert found.statements[one.index].sets[0].name == "out"
    assert {found.statements[index].sets[0].name for index in one.inner} == {"low", "high", "both"}
    lines = [line.strip() for line in "\n".join(behind_guard(found, one)).split("\n")]
    assert lines[:3] == ["always @* begin", "out = 0;", "if ((|mask)) begin"]
    assert lines[-3:] == ["out = both & x;", "end", "end"]
    assert guarded(found, (), [["nothing"]]) == []
    assert guarded(found, {one.index}, [["mask"]]) == []


def test_lanes_from_the_first_one_on_are_arithmetic() -> None:
    ors = "".join(f"  assign o{lane} = | x [{lane}:0];\n" for lane in range(1, 7)) + "  assign o7 = | x;\n"
    ors += "  assign upper = { o7, o6, o5, o4 };\n  assign y = { o7, o6, o5, o4, o3, o2, o1, x [0] };\n"
    declared = "\n".join(f"wire o{lane};" for lane in range(1, 8)) + "\nwire [3:0] upper;"
    found = netlist(declared, ors + "  assign few = { o3, o2, o1, o7 };\n".replace("few", "upper"))
    assert since(found) == 1
    texts = [statement.text for statement in found.statements]
    assert "since_0 = x | -x;" in texts
    assert "y = { since_0[7:0] };" in texts
    assert "upper = { since_0[7:4] };" in texts
    assert "upper = { o3, o2, o1, o7 };" in texts  # three are not worth it, and the fourth is another one
    # What x | -x says is what the ORs say.
    for value in range(256):
        assert (value | -value) & 255 == sum(bool(value & (2 << lane) - 1) << lane for lane in range(8))


def test_wide_signals_that_are_looked_at_in_pieces_are_kept_in_pieces() -> None:
    body = (
        "  assign wide = { x, 60'h0 };\n  assign narrow = { x, 56'h0 };\n  assign y = wide [67:60] ^ narrow [63:56];\n"
    )
    assert sliced(netlist("wire [67:0] wide;\nwire [63:0] narrow;", body)) == {"wide"}
