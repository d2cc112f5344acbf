"""Release: from slot numbers in order to bytes in order."""

from amaranth import Array, C, Elaboratable, Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..layouts import Shape
from ..receive.framer import START


class Release(wiring.Component):
    """Moves the bytes of released messages to the host, in the order in which they were released, and frees their slots.

    Parameters: ``shape``.

    Members:
        push, delivery: one released message; there is room for as many as there are slots, so it is never refused.
        read_enable, read_slot, read_offset, read_data: read port of the message memory.
        deliver: the bytes (the first five, ``8=FIX``, were never stored); ``last`` with the last of a message.
        free: the slot of a message whose last byte has been read.
        idle: nothing queued, nothing offered.

    Latency: ``push`` to the first byte offered, three cycles. Throughput: one beat per cycle, no bubble between messages.
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
        m.submodules.queue = queue = fifo.SyncFIFO(width=self.shape.delivery.size, depth=self.shape.slots)
        m.d.comb += [queue.w_data.eq(self.delivery), queue.w_en.eq(self.push)]
        head = Signal(self.shape.delivery)
        m.d.comb += head.eq(queue.r_data)

        # Three stages: address, memory, offered byte. They move together.
        offset = Signal(self.shape.offset_bits)
        is_last = Signal()
        advance = Signal()  # the byte offered, if any, is taken in this cycle
        step = Signal()
        in_start = Signal()
        start_byte = Signal(8)
        last_read = Signal()
        session_read = Signal(self.shape.session_bits)
        read = Signal()  # the memory has a byte for us
        m.d.comb += [
            is_last.eq(offset + 1 == head.length),
            advance.eq(~self.deliver.valid | self.deliver.ready),
            self.free.payload.eq(head.slot),
            # The last byte is read when its slot can be given back, so that nothing has to be remembered.
            self.free.valid.eq(queue.r_rdy & advance & is_last),
            step.eq(queue.r_rdy & advance & (~is_last | self.free.ready)),
            self.read_enable.eq(step),
            self.read_slot.eq(head.slot),
            self.read_offset.eq(offset),
            queue.r_en.eq(step & is_last),
            self.idle.eq(~queue.r_rdy & ~read & ~self.deliver.valid),
        ]
        with m.If(advance):
            m.d.sync += [
                read.eq(step),
                self.deliver.valid.eq(read),
                self.deliver.payload.data.eq(Mux(in_start, start_byte, self.read_data)),
                self.deliver.payload.count.eq(1),
                self.deliver.payload.last.eq(last_read),
                self.deliver.payload.session.eq(session_read),
            ]
        with m.If(step):
            m.d.sync += [
                offset.eq(offset + 1),
                in_start.eq(offset < len(START)),
                start_byte.eq(Array(C(char, 8) for char in START)[offset[:3]]),
                last_read.eq(is_last),
                session_read.eq(head.session),
            ]
            with m.If(is_last):
                m.d.sync += offset.eq(0)
        return m
