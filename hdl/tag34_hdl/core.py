"""The core: all parts wired together. It knows no vendor, no board and no link."""

from amaranth import Elaboratable, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .compact.wide import elaborate_wide
from .datapath import datapath
from .layouts import Record, Shape
from .registers import ADDRESS_BITS, COUNTERS, Registers
from .send.clock import Clock
from .send.composer import Composer
from .session.sequencer import Sequencer
from .session.table import Sweep
from .session.timers import Timers

#: Cycles in a row in which nothing was seen, before idle is said.
QUIET = 4


class Core(wiring.Component):
    """FIX session layer: bytes of a connection in, whole messages in order out, ResendRequests and host messages
    composed.

    Parameters: ``shape``, the build parameters.

    Members (all streams: valid never waits for ready, the payload is stable while stalled):
        rx: bytes from the connections; a beat is one session's. Messages may be cut anywhere and go on after beats of
            other sessions (R17).
        deliver: bytes of the messages for the host, in the order of the DELIVER records; ``last`` with the last of a
            message.
        tx: bytes for the connection, in the order of the SENT records; ``last`` with the last of a message.
        records: what happened (:data:`tag34.contract.RECORD_FIELDS`). A host that does not take records holds back
            ``rx``; nothing is dropped.
        send_header, send_body: a message to be composed (:class:`~tag34_hdl.send.composer.Composer`).
        address, write, write_data, read, read_data: registers (:class:`~tag34_hdl.registers.Registers`).
        ready: with a compact core, whose registers take their time: the last access is over, ``read_data`` is what it
            has read, and the next one may come. With another one it is always set.
        idle: nothing is under way and nothing waits to leave; a message of which only a part has arrived does not
            count.

    A compact core (:class:`~tag34_hdl.compact.core.CompactCore`) does all this too, but not at the same speed.

    Latency: from the last byte of the message that proves a gap, taken at ``rx``, to the first byte of the
    ResendRequest, offered at ``tx``, three cycles at width 1, six above it, in whatever lane the byte stands. A message
    whose last decisive field is closed less than three cycles before its end, or whose last bytes come right behind a
    change of the session, is judged up to ten cycles later; a request waits until the message before it has left.
    Throughput: one beat per cycle, but for changes of the session (two cycles at width 1, about ten above it), and
    above width 1 as far as :mod:`tag34_hdl.receive.wide_framer` says. A release takes about four cycles per held
    message; when many are released and the next message is shorter than that, ``rx`` waits for the rest.
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
                "ready": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        shape = self.shape
        if shape.compact:
            return elaborate_wide(self, ADDRESS_BITS)
        m = Module()
        sweep = None
        if shape.sessions > 1:
            # The largest tables are the counters and the windows.
            m.submodules.sweep = sweep = Sweep(max(COUNTERS * shape.sessions, shape.sessions << shape.window_bits))
        m.submodules.registers = registers = Registers(shape, sweep)
        m.submodules.data = data = datapath(shape, sweep)
        m.submodules.sequencer = sequencer = Sequencer(shape, sweep)
        m.submodules.timers = timers = Timers(shape, sweep)
        m.submodules.clock = clock = Clock(shape.clock_hz)
        m.submodules.composer = composer = Composer(shape, sweep)

        # Idents: each direction has them.
        for reader in (data, composer):
            m.d.comb += [
                reader.ident_write.eq(registers.ident_write),
                reader.ident_address.eq(registers.ident_address),
                reader.ident_data.eq(registers.ident_data),
            ]
        m.d.comb += [
            composer.ident_lengths.eq(registers.ident_lengths),
            registers.sender_session.eq(composer.config_session),
        ]

        # Bytes.
        connect(m, flipped(self.rx), data.rx)
        connect(m, data.deliver, flipped(self.deliver))
        connect(m, data.frame, sequencer.frame)
        connect(m, sequencer.free, data.free)
        m.d.comb += [
            data.cycle.eq(registers.cycle),
            data.counts_session.eq(registers.session),
            sequencer.fields.eq(data.fields),
            sequencer.fields_session.eq(data.fields_session),
            sequencer.fields_settled.eq(data.settled),
            sequencer.fields_changed.eq(data.changed),
            sequencer.fields_complete.eq(data.complete),
            data.done.eq(sequencer.fields_done),
            sequencer.oversize.eq(data.oversize),
            data.hold.eq(sequencer.hold_rx),
            sequencer.rx_quiet.eq(data.quiet),
            data.clear.valid.eq(sequencer.clear.valid),
            data.clear.payload.eq(sequencer.clear.payload),
            sequencer.clear.ready.eq(data.clear.ready),
            sequencer.current.eq(data.current),
            data.take.eq(sequencer.take),
            data.push.eq(sequencer.push),
            data.delivery.eq(sequencer.delivery),
        ]

        # Session.
        m.d.comb += [
            sequencer.config.eq(registers.config),
            sequencer.config_changes.eq(registers.configures),
            sequencer.command_valid.eq(registers.command_valid),
            sequencer.command.eq(registers.command),
            registers.config_session.eq(sequencer.config_session),
            sequencer.state_session.eq(registers.session),
            timers.ticks.eq(registers.ticks),
            timers.put.eq(sequencer.put_timer),
            timers.put_session.eq(sequencer.session),
            timers.put_timer.eq(sequencer.timer),
            timers.put_ran.eq(sequencer.timer_ran),
            sequencer.now.eq(timers.now),
            sequencer.cycle.eq(registers.cycle),
        ]
        connect(m, timers.due, sequencer.due)
        connect(m, sequencer.request, composer.request)

        # Send.
        # A register, as the composer's reaction to it is wide.
        m.d.sync += [
            composer.clear.eq(sequencer.clear.valid & sequencer.clear.ready),
            composer.clear_session.eq(sequencer.clear.payload),
        ]
        connect(m, flipped(self.send_header), composer.send_header)
        connect(m, flipped(self.send_body), composer.send_body)
        connect(m, composer.tx, flipped(self.tx))
        m.d.comb += [
            composer.time.eq(clock.time),
            composer.fraction.eq(registers.fraction),
            composer.set_next_out.eq(sequencer.set_next_out),
            composer.set_session.eq(sequencer.session),
            composer.new_next_out.eq(registers.command.number),
            # The one whose state is fetched, so that it is known before its message is prepared.
            composer.next_session.eq(sequencer.config_session),
            composer.next_out_session.eq(registers.session),
            composer.cycle.eq(registers.cycle),
            clock.load.eq(registers.time_load),
            clock.new_time.eq(registers.new_time),
            clock.run.eq(registers.time_run),
        ]

        # Records: those of the rules come first, those of the composer in between.
        # The composer is told a cycle before that its record is taken.
        offered = self.records
        composers = Signal()
        m.d.comb += composer.records.ready.eq(composers)
        m.d.sync += composers.eq(0)
        with m.If(composers):
            m.d.sync += [offered.valid.eq(1), offered.payload.eq(composer.records.payload)]
        with m.Elif(~offered.valid | offered.ready):
            m.d.comb += sequencer.records.ready.eq(1)
            m.d.sync += [
                offered.valid.eq(sequencer.records.valid),
                offered.payload.eq(sequencer.records.payload),
                composers.eq(composer.records.valid & ~sequencer.records.valid),
            ]

        # Registers.
        m.d.comb += [
            registers.address.eq(self.address),
            registers.write.eq(self.write),
            registers.write_data.eq(self.write_data),
            registers.read.eq(self.read),
            self.read_data.eq(registers.read_data),
            self.ready.eq(1),
            registers.state.eq(sequencer.state),
            registers.next_out.eq(composer.next_out),
            registers.command_done.eq(sequencer.command_done),
            registers.tick.eq(timers.tick),
            registers.ticks_drop.eq(timers.ticks_drop),
            registers.time.eq(clock.time),
            registers.counted.eq(sequencer.counted),
            registers.counted_rule.eq(sequencer.counted_rule),
            registers.counted_session.eq(sequencer.session),
            registers.counts.eq(data.counts),
        ]

        # What goes on inside is looked at a cycle late, as it is far apart; what comes from outside at once. A byte
        # needs two cycles to become visible to the sequencer: idle is said when all has been quiet for longer.
        working = Signal(init=1)
        busy = Signal()
        quiet = Signal(range(QUIET + 1))
        m.d.sync += working.eq(
            ~sequencer.idle | ~timers.idle | sequencer.records.valid | offered.valid | ~data.idle | ~composer.idle
        )
        m.d.comb += [
            busy.eq(
                working
                | registers.ticks_come
                | registers.busy
                | (self.rx.valid & self.rx.ready)
                | self.send_header.valid
                | registers.command_valid
            ),
            self.idle.eq((quiet == QUIET) & ~busy),
        ]
        # The host sees it a cycle later, and nothing of before what it has written.
        m.d.sync += registers.core_idle.eq(self.idle & ~self.write)
        with m.If(busy):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet != QUIET):
            m.d.sync += quiet.eq(quiet + 1)
        return m
