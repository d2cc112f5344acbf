"""Release: from slot numbers in order to bytes in order."""

from amaranth import Array, C, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import Shape
from ..queue import quick_queue
from ..receive.framer import START

#: What goes along with a byte.
PARTS = ("valid", "first", "last", "known", "byte")


class Release(wiring.Component):
    """Moves the bytes of released messages to the host, in the order in which they were released, and frees their
    slots.

    Four stages (address, memory, latch, offered byte) move together. As every message begins with ``8=FIX``, they are
    filled before a message is
    there; releasing it is to show the first byte.

    Parameters: ``shape``.

    Members:
        push, delivery: one released message; there is room for as many as there are slots, so it is never refused.
        read_enable, read_slot, read_offset, read_data: read port of the message memory.
        deliver: the bytes (the first five, ``8=FIX``, were never stored); ``last`` with the last of a message.
        free: the slot of a message whose last byte has been read.
        idle: nothing queued, nothing offered.

    Latency: ``push`` to the first byte offered, two cycles. Throughput: one beat per cycle, no bubble between messages.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "push": In(1),
                "delivery": In(shape.delivery),
                "read_enable": Out(1),
                "read_slot": Out(shape.slot_bits),
                "read_offset": Out(shape.offset_bits),
                "read_data": In(8),
                "deliver": Out(stream.Signature(shape.beat)),
                "free": Out(stream.Signature(shape.slot_bits)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.queue = queue = quick_queue(self.shape.delivery.size, self.shape.slots)
        # A register before the queue: who pushes has a long way behind him.
        pushed = Signal()
        pushed_delivery = Signal(self.shape.delivery, reset_less=True)
        m.d.sync += [pushed.eq(self.push), pushed_delivery.eq(self.delivery)]
        m.d.comb += [queue.w_data.eq(pushed_delivery), queue.w_en.eq(pushed)]
        head = Signal(self.shape.delivery)
        m.d.comb += head.eq(queue.r_data)

        offset = Signal(self.shape.offset_bits)
        is_start = Signal(init=1)  # the byte is known without the memory, and without a message
        is_last = Signal()
        filled = Signal()  # the last stage has a byte
        advance = Signal()  # it has none, or it is taken
        step = Signal()  # a byte goes on from the first stage
        offered_first = Signal()
        freeing = Signal()
        freed = Signal(self.shape.slot_bits, reset_less=True)
        session = Signal(self.shape.session_bits)
        # Found a cycle ahead. The message has been there since its first byte was taken, with three more to be read
        # before anybody asks.
        m.d.sync += is_last.eq(Mux(advance & step, offset + 2 == head.length, offset + 1 == head.length))
        m.d.comb += [
            advance.eq(~filled | (self.deliver.valid & self.deliver.ready)),
            # One slot at a time is on its way back; the last byte of the next message is not read before.
            self.free.valid.eq(freeing),
            self.free.payload.eq(freed),
            step.eq(is_start | (queue.r_rdy & ~(is_last & freeing))),
            self.read_enable.eq(advance),
            self.read_slot.eq(head.slot),
            self.read_offset.eq(offset),
            queue.r_en.eq(advance & step & ~is_start & is_last),
            self.deliver.valid.eq(filled & (~offered_first | queue.r_rdy)),
            self.deliver.payload.count.eq(1),
            self.deliver.payload.session.eq(Mux(offered_first, head.session, session)),
            self.idle.eq(~pushed & ~queue.r_rdy & ~freeing & filled & offered_first),
        ]
        with m.If(self.free.ready):
            m.d.sync += freeing.eq(0)
        with m.If(queue.r_en):
            m.d.sync += [freeing.eq(1), freed.eq(head.slot)]
        with m.If(self.deliver.valid & self.deliver.ready & offered_first):
            m.d.sync += session.eq(head.session)

        start_byte = Array(C(char, 8) for char in START)[offset[:3]]
        stages = []  # valid, first, last, known, byte: behind the address and behind the memory
        for name in ("read", "latched"):
            stages.append(
                [Signal(size, name=f"{name}_{part}") for part, size in zip(PARTS, (1, 1, 1, 1, 8), strict=True)]
            )
        read, latched = stages
        with m.If(advance):
            m.d.sync += [
                *(
                    to.eq(value)
                    for to, value in zip(
                        read, (step, offset == 0, ~is_start & is_last, is_start, start_byte), strict=True
                    )
                ),
                *(to.eq(value) for to, value in zip(latched, read, strict=True)),
                filled.eq(latched[0]),
                offered_first.eq(latched[1]),
                self.deliver.payload.last.eq(latched[2]),
                self.deliver.payload.data.eq(Mux(latched[3], latched[4], self.read_data)),
            ]
            with m.If(step):
                m.d.sync += [offset.eq(offset + 1), is_start.eq(offset + 1 < len(START))]
                with m.If(is_last & ~is_start):
                    m.d.sync += [offset.eq(0), is_start.eq(1)]
        return m
