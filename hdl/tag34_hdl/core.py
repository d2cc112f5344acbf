"""The core: all parts wired together. It knows no vendor, no board and no link."""

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .layouts import Record, Shape
from .receive.fields import IDENT_BITS, Fields
from .receive.framer import Framer
from .registers import ADDRESS_BITS, Registers
from .send.clock import Clock
from .send.composer import Composer
from .session.release import Release
from .session.sequencer import Sequencer
from .session.slots import Slots


class Core(wiring.Component):
    """FIX session layer: bytes of a connection in, whole messages in order out, ResendRequests and host messages
    composed.

    Parameters: ``shape``, the build parameters.

    Members (all streams: valid never waits for ready, the payload is stable while stalled):
        rx: bytes from the connection.
        deliver: bytes of the messages for the host, in the order of the DELIVER records; ``last`` with the last of a
            message.
        tx: bytes for the connection, in the order of the SENT records; ``last`` with the last of a message.
        records: what happened (:data:`tag34.contract.RECORD_FIELDS`). A host that does not take records holds back
            ``rx``; nothing is dropped.
        send_header, send_body: a message to be composed (:class:`~tag34_hdl.send.composer.Composer`).
        address, write, write_data, read, read_data: registers (:class:`~tag34_hdl.registers.Registers`).
        idle: nothing is under way and nothing waits to leave; a message of which only a part has arrived does not
            count.

    Latency: three cycles from the last byte of the message that proves a gap, taken at ``rx``, to the first byte of the
    ResendRequest, offered at ``tx``; three from the last byte of a message in order to its first byte offered at
    ``deliver``. Throughput: one beat per cycle. A release takes about four cycles per held message; when many are
    released and the next message is shorter than that, ``rx`` waits for the rest.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "rx": In(stream.Signature(shape.beat)),
                "deliver": Out(stream.Signature(shape.beat)),
                "tx": Out(stream.Signature(shape.beat)),
                "records": Out(stream.Signature(Record)),
                "send_header": In(stream.Signature(shape.send_header)),
                "send_body": In(stream.Signature(shape.beat)),
                "address": In(ADDRESS_BITS),
                "write": In(1),
                "write_data": In(32),
                "read": In(1),
                "read_data": Out(32),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        m.submodules.registers = registers = Registers(shape)
        m.submodules.framer = framer = Framer(shape)
        m.submodules.fields = fields = Fields(shape)
        m.submodules.slots = slots = Slots(shape)
        m.submodules.sequencer = sequencer = Sequencer(shape)
        m.submodules.release = release = Release(shape)
        m.submodules.clock = clock = Clock(shape.clock_hz)
        m.submodules.composer = composer = Composer(shape)

        # Idents: one memory, written by the host, read by both directions.
        m.submodules.idents = idents = memory.Memory(shape=8, depth=4 << IDENT_BITS, init=[])
        ident_write = idents.write_port()
        fields_ident = idents.read_port()
        composer_ident = idents.read_port()
        m.d.comb += [
            ident_write.addr.eq(registers.ident_address),
            ident_write.data.eq(registers.ident_data),
            ident_write.en.eq(registers.ident_write),
            fields_ident.addr.eq(fields.ident_addr),
            fields.ident_data.eq(fields_ident.data),
            composer_ident.addr.eq(composer.ident_addr),
            composer_ident.en.eq(composer.ident_enable),
            composer.ident_data.eq(composer_ident.data),
            composer.ident_lengths.eq(registers.ident_lengths),
            composer.reload.eq(registers.ident_changed),
        ]

        # Receive.
        connect(m, flipped(self.rx), framer.rx)
        connect(m, framer.frame, sequencer.frame)
        m.d.comb += [
            framer.has_slot.eq(slots.has_current),
            framer.clear.eq(sequencer.clear),
            framer.cycle.eq(registers.cycle),
            slots.write.eq(framer.write),
            slots.write_offset.eq(framer.write_offset),
            slots.write_data.eq(framer.write_data),
            fields.byte_valid.eq(framer.byte_valid),
            fields.byte.eq(framer.byte),
            sequencer.fields.eq(fields.fields),
            sequencer.fields_done.eq(fields.done),
            sequencer.oversize.eq(framer.oversize),
        ]

        # Session.
        m.d.comb += [
            sequencer.config.eq(registers.config),
            sequencer.command_valid.eq(registers.command_valid),
            sequencer.command.eq(registers.command),
            sequencer.ticks.eq(registers.ticks),
            sequencer.current.eq(slots.current),
            sequencer.cycle.eq(registers.cycle),
            slots.take.eq(sequencer.take),
        ]
        connect(m, sequencer.request, composer.request)

        # Release. Two may give slots back; the sequencer goes first.
        m.d.comb += [
            release.push.eq(sequencer.push),
            release.delivery.eq(sequencer.delivery),
            slots.read_enable.eq(release.read_enable),
            slots.read_slot.eq(release.read_slot),
            slots.read_offset.eq(release.read_offset),
            release.read_data.eq(slots.read_data),
            slots.free.valid.eq(sequencer.free.valid | release.free.valid),
            sequencer.free.ready.eq(slots.free.ready),
            release.free.ready.eq(slots.free.ready & ~sequencer.free.valid),
            slots.free.payload.eq(release.free.payload),
        ]
        with m.If(sequencer.free.valid):
            m.d.comb += slots.free.payload.eq(sequencer.free.payload)
        connect(m, release.deliver, flipped(self.deliver))

        # Send.
        composer_clear = Signal()  # a register, as the composer's reaction to it is wide
        m.d.sync += composer_clear.eq(sequencer.clear)
        connect(m, flipped(self.send_header), composer.send_header)
        connect(m, flipped(self.send_body), composer.send_body)
        connect(m, composer.tx, flipped(self.tx))
        m.d.comb += [
            composer.time.eq(clock.time),
            composer.fraction.eq(registers.fraction),
            composer.set_next_out.eq(sequencer.set_next_out),
            composer.new_next_out.eq(registers.command.number),
            composer.clear.eq(composer_clear),
            composer.cycle.eq(registers.cycle),
            clock.load.eq(registers.time_load),
            clock.new_time.eq(registers.new_time),
            clock.run.eq(registers.time_run),
        ]

        # Records: those of the rules come first, those of the composer in between.
        offered = self.records
        with m.If(~offered.valid | offered.ready):
            m.d.sync += offered.valid.eq(sequencer.records.valid | composer.records.valid)
            with m.If(sequencer.records.valid):
                m.d.comb += sequencer.records.ready.eq(1)
                m.d.sync += offered.payload.eq(sequencer.records.payload)
            with m.Else():
                m.d.comb += composer.records.ready.eq(1)
                m.d.sync += offered.payload.eq(composer.records.payload)

        # Registers.
        m.d.comb += [
            registers.address.eq(self.address),
            registers.write.eq(self.write),
            registers.write_data.eq(self.write_data),
            registers.read.eq(self.read),
            self.read_data.eq(registers.read_data),
            registers.state.eq(sequencer.state),
            registers.next_out.eq(composer.next_out),
            registers.command_done.eq(sequencer.command_done),
            registers.tick.eq(sequencer.tick),
            registers.ticks_drop.eq(sequencer.ticks_drop),
            registers.time.eq(clock.time),
            registers.counted.eq(sequencer.counted),
            registers.counted_rule.eq(sequencer.counted_rule),
            registers.bytes.eq(framer.bytes),
            registers.framed.eq(framer.framed),
            registers.partial.eq(framer.partial),
            registers.core_idle.eq(self.idle),
        ]

        # A byte taken needs two cycles to become visible to the sequencer: idle is said when all has been quiet for
        # longer.
        busy = Signal()
        quiet = Signal(range(4))
        m.d.comb += [
            busy.eq(
                ~sequencer.idle
                | (self.rx.valid & self.rx.ready)
                | self.send_header.valid
                | registers.command_valid
                | sequencer.records.valid
                | offered.valid
                | ~release.idle
                | ~composer.idle
            ),
            self.idle.eq((quiet == 3) & ~busy),
        ]
        with m.If(busy):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet != 3):
            m.d.sync += quiet.eq(quiet + 1)
        return m
