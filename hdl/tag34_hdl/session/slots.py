"""Slots: the message memory, and who owns which piece of it."""

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import Shape
from .message_memory import MessageMemory
from .owners import current_slot
from .table import Context, Sweep, Table


class Slots(wiring.Component):
    """Message bytes are written once, here, while they arrive. From then on slot numbers move.

    A slot is *current* (a session's, being written), *owned* (held or being delivered) or *free*. ``take`` makes the
    current slot owned; the next free one becomes current by itself. A message that is not kept leaves the current slot
    current. Each session has a current slot of its own, the first one is that of its number.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        switch, session, next_session: from the framer, in the cycle in which it changes from one session to the next.
        current, has_current: the slot being written, if there is one.
        take: the current slot is owned from now on; the next one is current two cycles later, none until then. Not in
            the cycle before a ``switch``.
        free: a slot that is no longer owned. Ready once the list is filled, slots - sessions + 1 cycles after
            reset.
        write, write_offset, write_data: a byte for the current slot.
        read_enable, read_slot, read_offset, read_data: read port; the data appear with the second enabled cycle after
            the address.

    Latency: a slot given to ``free`` is current one to three cycles later if there is none.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        slot, offset = shape.slot_bits, shape.offset_bits
        super().__init__(
            {
                "switch": In(1),
                "session": In(shape.session_bits),
                "next_session": In(shape.session_bits),
                "current": Out(slot),
                "has_current": Out(1, init=1),
                "take": In(1),
                "free": In(stream.Signature(slot)),
                "write": In(1),
                "write_offset": In(offset),
                "write_data": In(8),
                "read_enable": In(1),
                "read_slot": In(slot),
                "read_offset": In(offset),
                "read_data": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        m.submodules.memory = memory = MessageMemory(shape.slots << shape.offset_bits, uneven=shape.sessions > 1)
        m.d.comb += [
            memory.write.eq(self.write),
            memory.write_address.eq(Cat(self.write_offset, self.current)),
            memory.write_data.eq(self.write_data),
            memory.read.eq(self.read_enable),
            memory.read_address.eq(Cat(self.read_offset, self.read_slot)),
            memory.latch.eq(self.read_enable),
            self.read_data.eq(memory.read_data),
        ]
        # Registers, as who takes or gives back has a long way behind him. The next message is not that far yet; the
        # list is filled once.
        taken = Signal()
        filled = Signal()
        free = stream.Signature(self.free.payload.shape()).create(path=("listed",))
        m.d.comb += [
            free.valid.eq(self.free.valid & filled),
            free.payload.eq(self.free.payload),
            self.free.ready.eq(filled),
        ]
        current, has_current, has_following = current_slot(m, shape, take=taken, free=free, switch=self.switch)
        m.d.sync += [
            taken.eq(self.take),
            filled.eq(free.ready),
            self.has_current.eq(Mux(taken | ~has_current, has_following, 1) & ~self.take),
        ]
        m.d.comb += self.current.eq(current)
        if shape.sessions > 1:
            context = Context(current=current, has_current=has_current)
            m.submodules.currents = currents = Table(context.layout, shape.sessions, sweep=self._sweep)
            own = Signal(shape.slot_bits)  # the first one of a session is that of its number
            m.d.sync += own.eq(self.next_session)
            m.d.comb += [
                currents.address.eq(self.next_session),
                currents.put.eq(self.switch),
                currents.put_address.eq(self.session),
                currents.put_entry.eq(context.word),
            ]
            with m.If(self.switch):
                m.d.sync += [context.load(currents.entry), self.has_current.eq(currents.entry.has_current)]
            with m.If(self.switch & ~currents.known):
                m.d.sync += [current.eq(own), has_current.eq(1), self.has_current.eq(1)]
        return m
