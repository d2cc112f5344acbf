"""The idents of all sessions as the composer shows them: whole words, ``8=`` in front of BeginString."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ..layouts import IDENT_BITS, Shape
from ..receive.fields import BEGIN_STRING, OURS, THEIRS
from .store import Store

START = b"8="
#: Bytes of a region, and of a session's four.
REGION = 1 << IDENT_BITS
SESSION = 4 * REGION


class Idents(wiring.Component):
    """Block memory with the idents of all sessions, each closed by SOH, ``width`` bytes per word.

    ``8=`` is there from the beginning, and BeginString stands behind it: the first word of BEGIN_STRING is that of a
    message. As this makes it longer than a region, BeginString is where two regions are free for it.

    Parameters: ``shape``.

    Members:
        write, address, data: the host's byte, at the address that the registers have: place in the ident, region,
            session.
        writing: it is written in this cycle, and nothing may be read.
        enable, session, region, word: what is read: a word of an ident, one cycle later in ``read``.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        self.lanes = exact_log2(shape.width)
        super().__init__(
            {
                "write": In(1),
                "address": In(shape.ident_bits),
                "data": In(8),
                "writing": Out(1),
                "enable": In(1),
                "session": In(shape.session_bits),
                "region": In(2),
                "word": In(IDENT_BITS + 1 - self.lanes),
                "read": Out(8 * shape.width),
            }
        )
        word = int.from_bytes(START, "little")
        width = 8 * shape.width
        per_session = [0] * (SESSION // shape.width)
        for index in range(-(-8 * len(START) // width)):
            per_session[2 * REGION // shape.width + index] = word >> width * index & (1 << width) - 1
        self.store = Store(shape.width, shape.sessions * len(per_session), per_session * shape.sessions)

    def address_of(self, session: int, region: int, index: int) -> int:
        """Where a byte of an ident is, counted in bytes."""
        return session * SESSION + {BEGIN_STRING: 2 * REGION + len(START), OURS: REGION, THEIRS: 0}[region] + index

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.store = store = self.store
        lanes = self.lanes
        byte = Signal(len(self.address))
        value = Signal(8)

        def where(offset: Value, region: Value, session: Value) -> Value:
            """BeginString has the two upper regions, the third and what is beyond its end."""
            return Cat(offset[:-1], offset[-1] | (region == OURS), region == BEGIN_STRING, session)

        place, region, session = (
            self.address[:IDENT_BITS],
            self.address[IDENT_BITS : IDENT_BITS + 2],
            self.address[IDENT_BITS + 2 :],
        )
        offset = Signal(IDENT_BITS + 1)
        m.d.comb += offset.eq(place + Mux(region == BEGIN_STRING, len(START), 0))
        m.d.sync += [
            # There is no fourth ident.
            self.writing.eq(self.write & (region <= THEIRS)),
            byte.eq(where(offset, region, session)),
            value.eq(self.data),
        ]
        m.d.comb += [
            store.write.eq(self.writing << byte[:lanes]),
            store.write_address.eq(byte[lanes:]),
            store.write_data.eq(value.replicate(self.shape.width)),
            store.enable.eq(self.enable),
            store.address.eq(where(self.word, self.region, self.session)),
            self.read.eq(store.data),
        ]
        return m
