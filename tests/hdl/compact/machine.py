"""Small programs on the engine: what they write to ports."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from tag34_hdl.compact.assembler import Assembler, Variable
from tag34_hdl.compact.engine import Engine
from tag34_hdl.compact.instructions import OWN_PORTS, Mode
from tag34_hdl.compact.macros import MACROS
from tests.hdl.bench import simulate

#: Ports of the tests: what is written to OUT and NEXT comes out, IN gives bytes, STOP ends the run.
WRITES = {**OWN_PORTS, "OUT": 8, "NEXT": 9, "STOP": 10}
READS = {"XH": OWN_PORTS["XH"], "IN": 8}
NAMES = {port: name for name, port in WRITES.items()}

#: Variables that there are if nothing else is said: numbers of five bytes, bytes, and the same of a session.
VARIABLES = {
    **{name: Variable(Mode.GLOBAL, 8 * place, 5) for place, name in enumerate("abcd")},
    **{name: Variable(Mode.GLOBAL, 64 + place, 1) for place, name in enumerate("stuv")},
    **{name: Variable(Mode.SESSION, 8 * place, 5) for place, name in enumerate(("own", "other"))},
    "next_byte": Variable(Mode.SESSION, 32, 2),
}


def assembler(variables: Mapping[str, Variable] = VARIABLES, **constants: Any) -> Assembler:
    """An assembler for such programs."""
    return Assembler(variables, READS, WRITES, constants, MACROS)


def run(text: str, given: Sequence[int] = (), second: str = "", cycles: int = 20_000) -> list[tuple[str, int]]:
    """Port and byte of all that the program writes to ports that are not the engine's own, until it writes to STOP.

    Parameters: ``given``: bytes that IN gives; ``second``: the label at which the second task begins; ``cycles`` within
    which it must stop.
    """
    program = assembler()
    program.add("test", text)
    words = program.finish()
    dut = Engine(words, program.labels[second] if second else 0, pages=4)
    written: list[tuple[str, int]] = []
    left = deque(given)

    async def testbench(ctx: Any) -> None:
        while True:
            if ctx.get(dut.reads) and ctx.get(dut.port) == READS["IN"]:
                left.popleft()
            if ctx.get(dut.writes):
                name = NAMES[ctx.get(dut.port)]
                if name == "STOP":
                    return
                if name not in OWN_PORTS:
                    written.append((name, ctx.get(dut.out)))
            await ctx.tick()
            ctx.set(dut.into, left[0] if left else 0)

    simulate(dut, testbench, cycles=cycles)
    assert not left, "not all that was given was read"
    return written


def outputs(text: str, given: Sequence[int] = (), second: str = "", cycles: int = 20_000) -> list[int]:
    """The bytes that the program writes to OUT."""
    return [byte for name, byte in run(text, given, second, cycles) if name == "OUT"]
