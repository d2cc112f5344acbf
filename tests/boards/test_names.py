"""Names that belong to another component's signal are hidden before synthesis hands them out."""

from __future__ import annotations

from pathlib import Path

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tag34_boards.timing.area import area_by_component
from tag34_boards.timing.names import borrowed, modules
from tag34_boards.timing.ring import convert
from tag34_boards.timing.synthesis import synthesize

PAIR = data.StructLayout({"low": 4, "high": 4})


class Source(wiring.Component):
    """Eight registers."""

    def __init__(self) -> None:
        super().__init__({"step": In(1), "count": Out(PAIR)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        with m.If(self.step):
            m.d.sync += self.count.as_value().eq(self.count.as_value() + 3)
        return m


class Sink(wiring.Component):
    """One register."""

    def __init__(self) -> None:
        super().__init__({"a": In(PAIR), "odd": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.d.sync += self.odd.eq(self.a.as_value().xor())
        return m


class Both(wiring.Component):
    """A source, a sink, and a register between them and the outside."""

    def __init__(self) -> None:
        super().__init__({"step": In(1), "odd": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.source = source = Source()
        m.submodules.t = sink = Sink()
        between = Signal(PAIR)
        kept = Signal()
        m.d.comb += [source.step.eq(self.step), between.eq(source.count), sink.a.eq(between)]
        m.d.sync += kept.eq(sink.odd)
        m.d.comb += self.odd.eq(kept)
        return m


def test_inputs_and_what_passes_on_an_output_are_another_ones() -> None:
    design = convert("both", Both())
    names = borrowed(design.rtlil, design.module)
    assert {"source.step", "t.a", "t.a.low", "t.a.high"} <= set(names)
    # The parent's wires for what comes out of its parts.
    wires = modules(design.rtlil)[design.module].wires
    passed_on = {name for name in names if "." not in name}
    assert passed_on
    assert passed_on <= set(wires)
    assert not {"step", "odd", "kept"} & set(names)
    assert not {"source.count", "t.odd"} & set(names)


def test_registers_count_where_they_stand(tmp_path: Path) -> None:
    # Without hidden names the shortest one is taken: t.a, the sink's input.
    areas = area_by_component(synthesize(convert("both", Both()), tmp_path))
    registers = {name: area.flip_flops for name, area in areas.items()}
    assert registers == {"source": 8, "t": 1, "both": 1}
