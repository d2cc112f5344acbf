"""One ident of the session (BeginString, our CompID, the peer's) and its comparison with a value in any lanes."""

from __future__ import annotations

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import memory
from amaranth.utils import ceil_log2

from ..layouts import IDENT_BITS, Shape
from .tags import behind


class WideIdent:
    """Compares a value with the session's ident, a word per cycle.

    The ident lies in rows of a word each. A value that begins behind lane i needs them turned by i + 1 lanes: lanes
    from there on are those of the row at hand, the lanes below those of the row before. The first row is always at
    hand; the following one is what the memory shows, so that nothing has to be fetched when a value begins or ends.

    Parameters: ``shape``; ``name``; ``region`` of the ident memory; ``skip``: characters at its beginning that are not
    compared.

    Members: ``active`` (lanes behind each one belong to the value), ``ends``: the piece at stage 3 has the value's SOH.
    ``differs``: the piece at stage 4 has a lane that is not what it should be. ``first_differs``: the piece at
    stage 3 has, in lane 0; of a value that ends there, everything is known one cycle earlier.
    """

    def __init__(self, shape: Shape, name: str, region: int, skip: int = 0):
        self.shape = shape
        self.width = width = shape.width
        self.name = name
        self.region = region
        self.skip = skip
        self.rows = (1 << IDENT_BITS) // width
        self.lane_bits = ceil_log2(width)
        self.memory = memory.Memory(shape=8 * width, depth=shape.sessions * self.rows, init=[])
        self.run = Signal(name=f"{name}_run")  # goes on from the word before
        self.turn = Signal(self.lane_bits, name=f"{name}_turn")
        self.row = Signal(range(self.rows), name=f"{name}_row")
        self.first_row = Signal(8 * width, name=f"{name}_first_row")
        self.this_row = Signal(8 * width, name=f"{name}_this_row")
        self.row_before = Signal(8 * width, name=f"{name}_row_before")  # turned
        self.ends = Signal(name=f"{name}_ends")
        self.expected = Signal(8 * width, name=f"{name}_expected")
        self.compared = Signal(width, name=f"{name}_compared")
        self.differs = Signal(name=f"{name}_differs")
        self.first_differs = Signal(name=f"{name}_first_differs")

    @property
    def state(self) -> list[Signal]:
        """What stage 3 knows of a session, but for ``row``."""
        return [self.run, self.turn, self.row_before]

    def write(self, m: Module, address: Value, byte: Value, enable: Value, session: Value) -> None:
        """The host writes a byte, perhaps one of the first row of the session at hand."""
        index, region, of_session = (
            address[:IDENT_BITS],
            address[IDENT_BITS : IDENT_BITS + 2],
            address[IDENT_BITS + 2 :],
        )
        place = Signal(IDENT_BITS, name=f"{self.name}_place")
        wanted = Signal(name=f"{self.name}_wanted")
        m.d.comb += [place.eq(index - self.skip), wanted.eq(enable & (region == self.region) & (index >= self.skip))]
        lane, row = place[: self.lane_bits], place[self.lane_bits :]
        m.submodules[f"{self.name}_memory"] = self.memory
        port = self.memory.write_port(granularity=8)
        m.d.comb += [
            port.addr.eq(Cat(row, of_session)),
            port.data.eq(byte.replicate(self.width)),
            port.en.eq(Mux(wanted, 1 << lane, 0)),
        ]
        with m.If(wanted & (row == 0) & (of_session == session)):
            m.d.sync += self.first_row.word_select(lane, 8).eq(byte)
            with m.If(self.row == 0):
                m.d.sync += self.this_row.word_select(lane, 8).eq(byte)

    def follow(
        self,
        m: Module,
        *,
        go: Value,
        data: Value,
        sohs: Value,
        mask: Value,
        full: Value,
        session: Value,
        begins: Value,
        begin_turn: Value,
        anew: Value,
    ) -> None:
        """Stage 3 and 4. A value begins behind one of the lanes ``begins`` of the word, if ``anew`` (else what goes on
        from the word before is the value); ``begin_turn``: that lane plus one, modulo the width."""
        width = self.width
        starts = Signal(width, name=f"{self.name}_starts")
        m.d.comb += starts.eq(Mux(anew, begins, 0))
        goes_on = behind(starts, sohs, self.run & ~anew)
        member = Signal(width + 1, name=f"{self.name}_member")
        m.d.comb += [member.eq(Cat(goes_on)), self.ends.eq((member[:width] & sohs & mask).any())]

        turn = Signal(self.lane_bits, name=f"{self.name}_turn_now")
        turned = Signal(8 * width, name=f"{self.name}_turned")
        m.d.comb += turn.eq(Mux(anew, begin_turn, self.turn))
        with m.Switch(turn):
            for by in range(width):
                with m.Case(by):
                    m.d.comb += turned.eq(self.this_row.rotate_left(8 * by))
        m.d.sync += [
            self.expected.eq(
                Cat(
                    Mux(turn <= lane, turned.word_select(lane, 8), self.row_before.word_select(lane, 8))
                    for lane in range(width)
                )
            ),
            self.compared.eq(Mux(go, member[:width] & mask, 0)),
        ]
        in_first = Mux(turn == 0, self.this_row[:8], self.row_before[:8])
        m.d.comb += self.first_differs.eq(member[0] & mask[0] & (data[:8] != in_first))
        seen = Signal(8 * width, name=f"{self.name}_seen")
        m.d.sync += seen.eq(data)
        m.d.comb += self.differs.eq(
            Cat(
                self.compared[lane] & (seen.word_select(lane, 8) != self.expected.word_select(lane, 8))
                for lane in range(width)
            ).any()
        )

        self.port = port = self.memory.read_port()
        row_next = Signal.like(self.row, name=f"{self.name}_row_next")
        m.d.comb += [row_next.eq(self.row), port.addr.eq(Cat((row_next + 1)[: len(self.row)], session))]
        with m.If(go & full):
            m.d.sync += [self.run.eq(member[width]), self.turn.eq(turn), self.row_before.eq(turned)]
            m.d.sync += self.row.eq(row_next)
            with m.If(member[width] & ~starts[width - 1]):
                m.d.comb += row_next.eq(self.row + 1)
                m.d.sync += self.this_row.eq(port.data)
            with m.Else():
                m.d.comb += row_next.eq(0)
                m.d.sync += self.this_row.eq(self.first_row)

    def take_turns(self, m: Module, *, go: Value, near: Value, here: Value, row: Value) -> None:
        """Another session's ident. ``near`` and ``here``: the words at stage 2 and 3, where the turn
        bubble comes. ``row``: the session's, as soon as the bubble is at stage 3."""
        first, second = Signal(name=f"{self.name}_first"), Signal(name=f"{self.name}_second")
        m.d.sync += [first.eq(near.turn & go), second.eq(here.turn & go)]
        with m.If(here.turn):
            m.d.comb += self.port.addr.eq(Cat(row, here.session))
            with m.If(go):
                m.d.sync += self.row.eq(row)
        with m.Elif(near.turn & go):
            m.d.comb += self.port.addr.eq(Cat(C(0, len(row)), near.session))
        with m.If(first):
            m.d.sync += self.first_row.eq(self.port.data)
        with m.If(second):
            m.d.sync += self.this_row.eq(self.port.data)
