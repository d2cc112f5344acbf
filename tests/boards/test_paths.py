"""Delays of a routed design: all ends of paths, the worst first, told by component."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from tag34_boards.timing.paths import RING, Place, place_of, timed, worst_paths
from tag34_boards.timing.ring import Design
from tag34_boards.timing.sdf import Delays, read_delays
from tag34_boards.timing.tools import ToolError

DESIGN = Design(rtlil="", top="core", module="ring.core", parts=frozenset(("framer", "fields")))

#: framer.byte -> LUT in fields -> carry chain of two cells -> fields.tag; framer.byte -> ring.
SDF = r"""
(DELAYFILE
  (CELL (CELLTYPE "top")
    (INSTANCE )
        (INTERCONNECT core.framer.byte_TRELLIS_FF_Q/Q core.fields.tag_LUT4_Z/A (0:0:900) (0:0:1000))
        (INTERCONNECT core.fields.tag_LUT4_Z/F core.fields.tag_CCU2C_S0\$CCU2_COMB0/A (0:0:500) (0:0:500))
        (INTERCONNECT core.fields.tag_CCU2C_S0\$CCU2_COMB0/FCO core.fields.tag_CCU2C_S0\$CCU2_COMB1/FCI (0:0:0) (0:0:0))
        (INTERCONNECT core.fields.tag_CCU2C_S0\$CCU2_COMB1/F core.fields.tag_TRELLIS_FF_Q_3/DI (0:0:200) (0:0:100))
        (INTERCONNECT core.framer.byte_TRELLIS_FF_Q/Q core.fields.tag_TRELLIS_FF_Q/DI (0:0:300) (0:0:300))
        (INTERCONNECT core.framer.byte_TRELLIS_FF_Q/Q taken_TRELLIS_FF_Q/M (0:0:700) (0:0:700))
  )
  (CELL (CELLTYPE "TRELLIS_FF")
    (INSTANCE core.framer.byte_TRELLIS_FF_Q)
        (IOPATH CLK Q (0:0:525) (0:0:525))
  )
  (CELL (CELLTYPE "TRELLIS_COMB")
    (INSTANCE core.fields.tag_LUT4_Z)
        (IOPATH A F (0:0:236) (0:0:236))
  )
  (CELL (CELLTYPE "TRELLIS_COMB")
    (INSTANCE core.fields.tag_CCU2C_S0\$CCU2_COMB0)
        (IOPATH A FCO (0:0:447) (0:0:447))
  )
  (CELL (CELLTYPE "TRELLIS_COMB")
    (INSTANCE core.fields.tag_CCU2C_S0\$CCU2_COMB1)
        (IOPATH FCI F (0:0:443) (0:0:443))
  )
  (CELL (CELLTYPE "TRELLIS_FF")
    (INSTANCE core.fields.tag_TRELLIS_FF_Q_3)
      (SETUPHOLD (posedge DI) (posedge CLK) (0:0:10) (0:0:300))
  )
  (CELL (CELLTYPE "TRELLIS_FF")
    (INSTANCE core.fields.tag_TRELLIS_FF_Q)
      (SETUPHOLD (posedge DI) (posedge CLK) (0:0:10) (0:0:300))
  )
  (CELL (CELLTYPE "TRELLIS_FF")
    (INSTANCE taken_TRELLIS_FF_Q)
      (SETUPHOLD (posedge M) (posedge CLK) (0:0:0) (0:0:300))
  )
)
"""


def test_the_slowest_corner_and_edge_are_added_up() -> None:
    (first, _end), *rest = Delays(SDF).ends()
    assert first == 525 + 1000 + 236 + 500 + 447 + 0 + 443 + 200 + 10
    assert [ps for ps, _end in rest] == [525 + 700, 525 + 300 + 10]


def test_a_path_is_told_by_component() -> None:
    worst, ring = worst_paths(Delays(SDF), DESIGN, 10)
    assert worst.start == Place("framer", "byte")
    assert worst.end == Place("fields", "tag")
    assert worst.ns == 3.361
    assert worst.routing_ns == 1.7
    assert [(part.component, part.ns, part.levels) for part in worst.segments] == [
        ("framer", 0.525, 0),
        ("fields", 2.836, 2),  # the LUT, and the carry chain as one level
    ]
    assert worst.text == "framer.byte -> fields.tag (framer 0.5 / 0, fields 2.8 / 2)"
    assert ring.end == Place(RING, "taken")


def test_each_pair_of_signals_is_told_once_and_no_more_than_asked_for() -> None:
    # tag's other bit is 835 ps away: not a path of its own.
    assert len(worst_paths(Delays(SDF), DESIGN, 10)) == 2
    assert len(worst_paths(Delays(SDF), DESIGN, 1)) == 1


def test_a_path_survives_a_file() -> None:
    (path, _) = worst_paths(Delays(SDF), DESIGN, 10)
    assert timed(asdict(path)) == path


def test_a_loop_is_an_error() -> None:
    loop = SDF.replace("core.fields.tag_LUT4_Z/A (", "core.x/A (")
    loop += "(INTERCONNECT core.fields.tag_LUT4_Z/F core.fields.tag_LUT4_Z/A (0:0:1) (0:0:1))"
    with pytest.raises(ToolError, match=r"loop without a register leads through core\.fields.tag_LUT4_Z"):
        Delays(loop).ends()


def test_a_file_without_registers_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.sdf"
    empty.write_text("(DELAYFILE)")
    with pytest.raises(ToolError, match="has no delays"):
        read_delays(empty)


@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ("core.framer.byte_TRELLIS_FF_Q_3", Place("framer", "byte")),
        ("core.framer.checksum.sum_LUT4_Z_1_D_LUT4_D", Place("framer", "checksum.sum")),
        ("core.fields$222.tag_PFUMX_Z", Place("fields", "tag")),
        ("core.offered_TRELLIS_FF_Q", Place("core", "offered")),
        ("core.port$17$0.0.0_DP16KD", Place("core", "port.0.0")),
        ("taken_TRELLIS_FF_Q", Place(RING, "taken")),
    ],
)
def test_place_of(cell: str, place: Place) -> None:
    assert place_of(cell, DESIGN) == place
