"""One ident of the session (BeginString, our CompID, the peer's) and its comparison with a value in any lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth import C, Cat, Module, Mux, Signal, Value

from ..block_memory import BlockMemory
from ..layouts import IDENT_BITS, Shape
from ..vectors import any_bit, spread
from .lanes import below


@dataclass
class Piece:
    """What is known of a piece when it is compared.

    Parameters: ``valid``: there is one; ``data``; ``full`` as in a word; ``compared``: its lanes that belong to the
    value or are the SOH behind it; ``begins``: the value begins in this word, behind lane ``turn`` - 1 (modulo the
    width); ``goes_on``: it has a lane in this word and goes on in the next one.
    """

    valid: Value
    data: Value
    full: Value
    compared: Value
    begins: Value
    turn: Value
    goes_on: Value


class WideIdent:
    """Compares a value with the session's ident, a word per cycle.

    The ident lies in rows of a word each. A value that begins behind lane i needs them turned by i + 1 lanes: lanes
    from there on are those of the row at hand, the lanes below those of the row before. The first row is always at
    hand; the following one is what the memory shows, so that nothing has to be fetched when a value begins or ends.

    Rows are in registers that take what the memory shows, and nothing else: a choice would cost as much as the
    register. So what the host has written is fetched (``fetch``), and at a turn (``take_turns``) the row before the one
    at hand comes first; a step (``again``) then turns it to its lanes and goes on to the row at hand.

    Parameters: ``shape``; ``name``; ``region`` of the ident memory; ``skip``: characters at its beginning that are not
    compared; ``abrupt``: a value may begin while another one goes on, so the second row has to be at hand too.

    Members: ``differs``: the piece has a lane that is not what it should be; one cycle later. ``first_differs``: lane 0
    is not; at once.
    """

    def __init__(self, shape: Shape, name: str, region: int, *, skip: int = 0, abrupt: bool = False):
        width = shape.width
        self.width = width
        self.name = name
        self.region = region
        self.skip = skip
        self.abrupt = abrupt
        self.rows = (1 << IDENT_BITS) // width
        self.lane_bits = shape.lane_bits
        self.memory = BlockMemory(8 * width, shape.sessions * self.rows, granularity=8)
        self.turn = Signal(self.lane_bits, name=f"{name}_turn")
        self.row = Signal(range(self.rows), name=f"{name}_row")
        self.first_row = Signal(8 * width, name=f"{name}_first_row")
        self.second_row = Signal(8 * width, name=f"{name}_second_row")
        self.this_row = Signal(8 * width, name=f"{name}_this_row")
        self.row_before = Signal(8 * width, name=f"{name}_row_before")  # turned
        self.again = Signal(name=f"{name}_again")
        self.differs = Signal(name=f"{name}_differs")
        self.first_differs = Signal(name=f"{name}_first_differs")

    @property
    def state(self) -> list[Signal]:
        """What is known of a session, but for what is fetched anew; ``row`` apart, if it is needed early."""
        return [self.turn, *((self.row,) if self.abrupt else ())]

    def write(self, m: Module, address: Value, byte: Value, enable: Value) -> None:
        """The host writes a byte."""
        index = address[:IDENT_BITS]
        region = address[IDENT_BITS : IDENT_BITS + 2]
        place = Signal(IDENT_BITS, name=f"{self.name}_place")
        wanted = Signal(name=f"{self.name}_wanted")
        of_session = Signal(len(address) - IDENT_BITS - 2, name=f"{self.name}_of_session")
        written = Signal(8, name=f"{self.name}_written")
        m.d.sync += [
            place.eq(index - self.skip),
            wanted.eq(enable & (region == self.region) & (index >= self.skip)),
            of_session.eq(address[IDENT_BITS + 2 :]),
            written.eq(byte),
        ]
        lane, row = place[: self.lane_bits], place[self.lane_bits :]
        m.submodules[f"{self.name}_memory"] = self.memory
        m.d.comb += [
            self.memory.write.eq(Mux(wanted, 1 << lane, 0)),
            self.memory.write_address.eq(Cat(row, of_session)),
            self.memory.write_data.eq(written.replicate(self.width)),
        ]

    def fetch(self, m: Module, steps: Value, session: Value) -> None:
        """The first rows are fetched anew, in three ``steps``, each in the cycle after the one before. Nothing may move
        in the last two of them, nor while a turn is fetched."""
        with m.If(steps[0]):
            m.d.comb += self.memory.address.eq(Cat(C(0, len(self.row)), session))
        with m.If(steps[1]):
            m.d.comb += self.memory.address.eq(Cat(C(1, len(self.row)), session))
            m.d.sync += self.first_row.eq(self.memory.data)
            with m.If(self.row == 0):
                m.d.sync += self.this_row.eq(self.memory.data)
        if self.abrupt:
            with m.If(steps[2]):
                m.d.sync += self.second_row.eq(self.memory.data)

    def follow(self, m: Module, piece: Piece, session: Value) -> None:
        """The comparison of a piece, and the rows for the next one."""
        width = self.width
        turn = Signal(self.lane_bits, name=f"{self.name}_turn_now")
        begins = piece.begins & ~self.again
        m.d.comb += turn.eq(Mux(begins, piece.turn, self.turn))
        turned: Value = Mux(begins, self.first_row, self.this_row) if self.abrupt else self.this_row
        for bit in range(self.lane_bits):
            stage = Signal(8 * width, name=f"{self.name}_turned_{bit}")
            m.d.comb += stage.eq(Mux(turn[bit], turned.rotate_left(8 << bit), turned))
            turned = stage
        expected = Signal(8 * width, name=f"{self.name}_expected")
        seen = Signal(8 * width, name=f"{self.name}_seen")
        compared = Signal(width, name=f"{self.name}_compared")
        old = spread(m, below(m, turn, width), 8)
        m.d.sync += expected.eq((turned & ~old) | (self.row_before & old))
        m.d.sync += [seen.eq(piece.data), compared.eq(Mux(piece.valid, piece.compared, 0))]
        m.d.comb += self.differs.eq((compared & any_bit(m, seen ^ expected, 8)).any())
        # A value that has the first lane began in an earlier word.
        in_first = Mux(self.turn == 0, self.this_row[:8], self.row_before[:8])
        m.d.comb += self.first_differs.eq(piece.compared[0] & (piece.data[:8] != in_first))

        # The memory shows the row behind the one at hand.
        row_next = Signal.like(self.row, name=f"{self.name}_row_next")
        m.d.comb += [row_next.eq(self.row), self.memory.address.eq(Cat((row_next + 1)[: len(self.row)], session))]
        with m.If((piece.valid & piece.full) | self.again):
            m.d.sync += [self.turn.eq(turn), self.row_before.eq(turned), self.row.eq(row_next)]
            with m.If(~piece.goes_on & ~self.again):
                m.d.comb += row_next.eq(0)
                m.d.sync += self.this_row.eq(self.first_row)
            if self.abrupt:
                with m.Elif(begins):
                    m.d.comb += row_next.eq(1)
                    m.d.sync += self.this_row.eq(self.second_row)
            with m.Else():
                m.d.comb += row_next.eq(self.row + 1)
                m.d.sync += self.this_row.eq(self.memory.data)

    def take_turns(self, m: Module, *, go: Value, words: tuple[Any, Any], loaded: Value, row: Value) -> None:
        """Another session's ident. The turn bubble comes by in the first of ``words``, then in the second one. In the
        first cycle in which ``state`` is that session's it is ``loaded``; no word moves on in it, nor in the two that
        follow. ``row``, of the bubble's session while it is in the second word, if the ident is not ``abrupt``; if it
        is, ``row`` is the session, once the bubble has gone."""
        near, here = words
        first, second = Signal(name=f"{self.name}_first"), Signal(name=f"{self.name}_second")
        if self.abrupt:
            before = Signal(name=f"{self.name}_before")  # the memory shows the row before the one at hand
            m.d.sync += [first.eq(here.turn & go), second.eq(first), before.eq(loaded), self.again.eq(before)]
            with m.If(here.turn & go):
                m.d.comb += self.memory.address.eq(Cat(C(0, len(self.row)), here.session))
            with m.Elif(first):
                m.d.comb += self.memory.address.eq(Cat(C(1, len(self.row)), row))
            with m.If(second):
                m.d.sync += self.second_row.eq(self.memory.data)
            with m.If(loaded):
                m.d.comb += self.memory.address.eq(Cat((self.row - 1)[: len(self.row)], row))
                m.d.sync += self.row.eq(self.row - 1)
            with m.If(before):
                m.d.sync += self.this_row.eq(self.memory.data)
        else:
            m.d.comb += self.again.eq(loaded)
            m.d.sync += [first.eq(near.turn & go), second.eq(here.turn & go)]
            before_row = (row - 1)[: len(self.row)]
            with m.If(here.turn):
                m.d.comb += self.memory.address.eq(Cat(before_row, here.session))
                with m.If(go):
                    m.d.sync += self.row.eq(before_row)
            with m.Elif(near.turn & go):
                m.d.comb += self.memory.address.eq(Cat(C(0, len(self.row)), near.session))
            with m.If(second):
                m.d.sync += self.this_row.eq(self.memory.data)
        with m.If(first):
            m.d.sync += self.first_row.eq(self.memory.data)
