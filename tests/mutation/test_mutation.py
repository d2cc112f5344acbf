"""The campaign's own tests: a planted fault is told, no fault is no difference, and what is wrong is said."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tag34.device import open_device
from tag34_hdl.core import Core
from tag34_hdl.layouts import Shape
from tests.mutation import equivalence, faults, mutants, relation, report
from tests.mutation.campaign import Fate, Store
from tests.mutation.children import Broken, fan_out
from tests.mutation.faults import COMPONENTS, MODES, Fault
from tests.mutation.netlist import Netlist, parse, prepare
from tests.mutation.scenarios import scripts
from tests.mutation.survivors import Kind, Named
from tests.sim.test_differential import SHAPES

SMALL = Shape(**SHAPES["small"])
#: Two gates and a register: one gate asks the same thing twice.
TINY = r"""
attribute \top 1
module \tag34_core
  wire input 1 \clk
  wire input 2 \a
  wire input 3 \b
  wire output 4 \y
  wire \twice
  wire \both
  attribute \src "elsewhere.py:3"
  cell $or \same
    parameter \A_SIGNED 0
    parameter \A_WIDTH 1
    parameter \B_SIGNED 0
    parameter \B_WIDTH 1
    parameter \Y_WIDTH 1
    connect \A \a
    connect \B \a
    connect \Y \twice
  end
  cell $and \gate
    parameter \A_SIGNED 0
    parameter \A_WIDTH 1
    parameter \B_SIGNED 0
    parameter \B_WIDTH 1
    parameter \Y_WIDTH 1
    connect \A \twice
    connect \B \b
    connect \Y \both
  end
  cell $dff \register
    parameter \CLK_POLARITY 1
    parameter \WIDTH 1
    connect \CLK \clk
    connect \D \both
    connect \Q \y
  end
end
"""


class Machine(wiring.Component):
    """What it keeps is looked at in one of its states only, if a flag is set."""

    def __init__(self) -> None:
        super().__init__({"a": In(2), "b": In(1), "c": In(1), "y": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state, flag, kept = Signal(2, name="machine_state"), Signal(), Signal()
        runs = Signal(init=1)  # for ever
        m.d.sync += [state.eq(self.a), flag.eq(self.b), runs.eq(runs | self.c)]
        with m.If((self.a == 2) & self.b):
            m.d.sync += kept.eq(self.c)
        m.d.comb += self.y.eq(kept & (state == 2) & flag & runs)
        return m


def fault(number: int, cell: str, port: str, mode: str, component: str = "framer") -> Fault:
    """A fault of :data:`TINY`."""
    return Fault(number, component, "\\tag34_core", f"\\{cell}", "$or", port, 0, -1, mode, "", "receive/framer.py:1")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> tuple[Netlist, Path]:
    """The netlist of a small core, and the folder that it is in."""
    folder = tmp_path_factory.mktemp("small")
    return prepare(Core(SMALL), folder), folder


def test_signals_bit_by_bit() -> None:
    netlist = Netlist("", widths={"m": {"\\a": 3, "$1": 1}})
    assert netlist.bits("m", "\\a") == [("\\a", 0), ("\\a", 1), ("\\a", 2)]
    assert netlist.bits("m", "{ 2'10 \\a [2:1] $1 }") == [("$1", 0), ("\\a", 1), ("\\a", 2), "0", "1"]
    assert netlist.bits("m", "\\a [1]") == [("\\a", 1)]


def test_at_least_500_faults_over_all_components(core: tuple[Netlist, Path]) -> None:
    picked = faults.pick(core[0], 34)
    assert sum(component.faults for component in COMPONENTS) >= 500
    assert len(picked) == sum(component.faults for component in COMPONENTS)
    assert len({replace(one, number=0) for one in picked}) == len(picked)
    assert {one.mode for one in picked} == set(MODES)
    assert all(faults.owner(one.module).name == one.component for one in picked)  # type: ignore[union-attr]


def test_a_change_elsewhere_leaves_the_faults_as_they_are(core: tuple[Netlist, Path]) -> None:
    netlist = core[0]
    before = {replace(one, number=0) for one in faults.pick(netlist, 34)}
    assert before != {replace(one, number=0) for one in faults.pick(netlist, 35)}
    changed = replace(netlist, cells=dict(netlist.cells))
    changed.cells["\\tag34_core.composer"] = {}
    after = {replace(one, number=0) for one in faults.pick(changed, 34)}
    assert {one for one in before if one.component != "composer"} == {
        one for one in after if one.component != "composer"
    }


def test_the_same_faults_in_another_shape(core: tuple[Netlist, Path]) -> None:
    picked = faults.pick(core[0], 34)
    assert faults.transfer(picked, core[0], core[0]) == picked
    without = replace(core[0], cells={name: {} for name in core[0].cells})
    assert faults.transfer(picked, core[0], without) == []


def test_a_fault_is_told_and_no_fault_makes_no_difference(core: tuple[Netlist, Path]) -> None:
    netlist, folder = core
    module = "\\tag34_core.data.framer.checksum"
    sums = netlist.cells[module].values()
    total = next(cell for cell in sums if cell.type == "$dff" and "total" in cell.ports["Q"])
    known = Fault(
        7, "checksum", "\\tag34_core.data.framer.checksum", total.name, "$dff", "Q", 3, -1, "inv", "total[3]", ""
    )
    library = mutants.library(SMALL, faults.plant([known], folder))
    script = next(script for script in scripts(few=True) if script.shape == "small")
    verdicts = []
    for number in (0, known.number, known.number + 1):
        with mutants.instead({SMALL: library}, number):
            verdicts.append(script.run())
    assert verdicts == [True, False, True]
    assert mutants.VARIABLE not in os.environ
    assert script.run()


def test_a_shape_without_faults_is_the_gateware_as_it_is() -> None:
    with mutants.instead({}, 1), open_device("sim:", **SHAPES["small"]) as device:
        assert device.info.window == SHAPES["small"]["window"]


def test_a_core_in_which_nothing_is_planted_is_an_error() -> None:
    with pytest.raises(ValueError, match="no port mutsel"):
        mutants.chosen_at_start("\nmodule tag34_core(clk, rst);\nendmodule\n")


def test_what_makes_no_difference_is_proved_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "prepared.il").write_text(TINY)
    (tmp_path / "memory.v").write_text("")
    planted = [
        fault(1, "same", "B", "const0"),
        fault(2, "same", "B", "const1"),
        fault(3, "gate", "Y", "inv"),
        fault(4, "same", "A", "const0"),
        fault(5, "register", "Q", "inv"),
    ]
    faults.plant(planted, tmp_path)
    equivalence.write(tmp_path)
    assert relation.proved(planted, tmp_path) == {1, 4}


def test_what_nobody_looks_at_may_differ(tmp_path: Path) -> None:
    """The register that is kept with two conditions, the one that never changes from where it starts."""
    netlist = prepare(Machine(), tmp_path)
    module = "\\tag34_core"

    def broken(number: int, port: str, signal: str, kind: str, mode: str) -> Fault:
        cells = netlist.cells[module].values()
        [cell] = [one for one in cells if one.type == kind and one.ports.get(port) == signal]
        return Fault(number, "framer", module, cell.name, kind, port, 0, -1, mode, "", "receive/framer.py:1")

    planted = [
        broken(1, "A", "\\kept", "$mux", "inv"),
        broken(2, "B", "\\c", "$mux", "inv"),
        broken(3, "B", "\\runs", "$and", "const1"),
        broken(4, "B", "\\runs", "$and", "const0"),
    ]
    faults.plant(planted, tmp_path)
    equivalence.write(tmp_path)
    assert relation.proved(planted, tmp_path) == {1, 3}


def test_cells_that_yosys_made_come_from_where_they_are_used() -> None:
    netlist = parse(
        TINY.replace('  attribute \\src "elsewhere.py:3"\n', "").replace(
            "  cell $and", '  attribute \\src "here.py:5"\n  cell $and'
        )
    )
    assert netlist.cells["\\tag34_core"]["\\same"].sources == ["here.py:5"]


def work(item: str) -> str:
    """What a child does, by its item."""
    if item == "hangs":
        while True:
            time.process_time()
    if item == "crashes":
        os.kill(os.getpid(), signal.SIGTERM)
    if item == "raises":
        raise ValueError("no good")
    return item.upper()


def test_children_that_hang_or_crash_are_told() -> None:
    said = dict(fan_out(work, ["fine", "hangs", "crashes", "raises"], jobs=2, seconds=1))
    assert said["fine"] == "FINE"
    assert said["hangs"] == Broken("not done after 1 s")
    assert said["crashes"] == Broken("stopped by SIGTERM")
    assert isinstance(said["raises"], Broken)
    assert said["raises"].reason.endswith("ValueError: no good")


def test_what_is_known_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "known.jsonl")
    assert store.get("a") is None
    store.put("a", "")
    store.put("b", "a test")
    again = Store(tmp_path / "known.jsonl")
    assert (again.get("a"), again.get("b"), again.get("c")) == ("", "a test", None)


KILLED = [fault(number, "same", "A", "inv") for number in range(1, 20)]
SURVIVOR = fault(20, "gate", "B", "const1", "checksum")
FATES = {one.number: Fate("scenario", "x") for one in KILLED} | {20: Fate("survived")}
NAMED = Named("checksum", "receive/framer.py", "", r"or B\[0\] - const1", Kind.LONG, "it would take weeks")


def test_a_survivor_needs_a_reason() -> None:
    planted = [*KILLED, SURVIVOR]
    assert report.complaints(planted, FATES, True, [NAMED]) == []
    (complaint,) = report.complaints(planted, FATES, True, [])
    assert complaint.startswith("survived, and nobody says why: checksum 20: or B[0] - const1")
    assert len(report.complaints(planted, FATES, False, [replace(NAMED, component="fields")])) == 1


def test_a_reason_for_what_does_not_survive_is_wrong() -> None:
    planted = [*KILLED, SURVIVOR]
    wrong = replace(NAMED, what=r"or B\[1\] - const1")
    assert any("does not survive" in complaint for complaint in report.complaints(planted, FATES, True, [NAMED, wrong]))
    assert report.complaints(planted, FATES, False, [NAMED, wrong]) == []


def test_the_score_leaves_out_what_is_equivalent() -> None:
    planted = [*KILLED[:18], SURVIVOR]
    low = "only 94.7% were killed, 95% is the goal"
    assert report.complaints(planted, FATES, True, [NAMED]) == [low]
    assert report.complaints(planted, {**FATES, 20: Fate("equivalent")}, True, []) == []
    equal = replace(NAMED, kind=Kind.EQUAL)
    assert report.complaints(planted, FATES, True, [equal]) == [], "what is said to make no difference does not count"
    few = [*KILLED[:8], SURVIVOR]
    least = "only 88.9% of what is not proved equivalent were killed, 90% is the least"
    assert report.complaints(few, FATES, True, [equal]) == [least], "but not too much may be said"
    last = report.rows(planted, {**FATES, 20: Fate("equivalent")})[-1]
    assert (last.planted, last.scenarios, last.equivalent, last.score) == (19, 18, 1, 1.0)
    assert report.page(planted, FATES, 34).count("| checksum |") == 2
