"""What is routed: the core, or one component, within a ring of registers.

The core has more ports than a package has pins. Around it stands a ring of registers: every input comes from a
register, every output goes into one, and shift chains connect the registers to a few pins. Paths inside and up to the
ports are thus what limits the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module

from amaranth import Cat, ClockDomain, Elaboratable, Module, Mux, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import ClockSignal
from amaranth.lib.wiring import Component, Flow

from tag34_hdl.layouts import Shape

from .tools import ToolError

#: Name of the top module.
TOP = "ring"

#: What can be routed by a short name. Anything else is named ``module:Class`` and built with the shape.
COMPONENTS = {
    "core": "tag34_hdl.core:Core",
    "registers": "tag34_hdl.registers:Registers",
    "framer": "tag34_hdl.receive.framer:Framer",
    "fields": "tag34_hdl.receive.fields:Fields",
    "slots": "tag34_hdl.session.slots:Slots",
    "sequencer": "tag34_hdl.session.sequencer:Sequencer",
    "timers": "tag34_hdl.session.timers:Timers",
    "release": "tag34_hdl.session.release:Release",
    "composer": "tag34_hdl.send.composer:Composer",
}


class Ring(Elaboratable):
    """A component within its ring of registers.

    Parameters:
        name: of the component in the netlist: all of its cells begin with it and a dot.
        component: what stands in the ring.

    Members: ``clk``, ``shift_in``, ``load``, ``shift_out``: the pins.
    """

    def __init__(self, name: str, component: Component):
        self.name = name
        self.component = component
        self.clk = Signal()
        self.shift_in = Signal()
        self.load = Signal()
        self.shift_out = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain(reset_less=True)
        m.d.comb += ClockSignal().eq(self.clk)
        m.submodules[self.name] = component = self.component
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _path, member, port in component.signature.flatten(component):
            (inputs if member.flow is Flow.In else outputs).append(Value.cast(port))
        source, sink = Cat(inputs), Cat(outputs)
        entry = Signal(len(source))
        taken = Signal(len(sink))
        leave = Signal(len(sink))
        shift_in = Signal()
        load = Signal()
        m.d.sync += [
            shift_in.eq(self.shift_in),
            load.eq(self.load),
            entry.eq(Cat(shift_in, entry)),
            taken.eq(sink),
            leave.eq(Mux(load, taken, leave >> 1)),
            self.shift_out.eq(leave[0]),
        ]
        m.d.comb += source.eq(entry)
        return m


def build(component: str, shape: Shape) -> tuple[str, Component]:
    """A component by its short name or as ``module:Class``, and its name in the netlist.

    Raises ToolError for a name that is not known or a component that cannot be built with the shape.
    """
    place = COMPONENTS.get(component, component)
    module, colon, cls = place.partition(":")
    if not colon:
        raise ToolError(f"no component {component!r}: name module:Class or one of {', '.join(COMPONENTS)}")
    try:
        made = getattr(import_module(module), cls)
    except (ImportError, AttributeError) as error:
        raise ToolError(f"no component {component!r}: {error}") from None
    try:
        built = made(shape)
    except ValueError as error:
        raise ToolError(f"{component} cannot be built: {error}") from None
    return component if component in COMPONENTS else cls.lower(), built


@dataclass(frozen=True)
class Design:
    """A ring as Yosys takes it.

    Members: ``rtlil`` (without the places in the sources: what only moves lines changes nothing), ``top`` (instance
    name of what is in the ring), ``module`` (its module), ``parts`` (instance names of its parts).
    """

    rtlil: str
    top: str
    module: str
    parts: frozenset[str]


def convert(name: str, component: Component) -> Design:
    """RTLIL of a component in its ring."""
    ring = Ring(name, component)
    text = rtlil.convert(ring, name=TOP, ports=[ring.clk, ring.shift_in, ring.load, ring.shift_out])
    text = re.sub(r"^ *attribute \\src .*\n", "", text, flags=re.MULTILINE)
    cells = re.findall(r"^ *cell \\(\S+) \\(\S+)", text, flags=re.MULTILINE)
    module = next(kind for kind, instance in cells if instance == name and re.fullmatch(rf"{TOP}\.[^.]+", kind))
    inside = re.compile(rf"{re.escape(module)}\.[^.]+")
    # A number keeps the name apart from a signal's.
    parts = (re.sub(r"\$\d+$", "", instance) for kind, instance in cells if inside.fullmatch(kind))
    return Design(text, name, module, frozenset(parts))
