"""The way of received bytes: framed, read, stored, released to the host. What happens to a message is decided by the
sequencer, which sees no byte."""

from __future__ import annotations

from typing import Any

from amaranth import Elaboratable, Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .block_memory import BlockMemory
from .layouts import CYCLE, Frame, Shape
from .receive.fields import Fields
from .receive.framer import Counts, Framer
from .receive.wide_fields import WideFields
from .receive.wide_framer import WideFramer
from .session.release import Release
from .session.slots import Slots
from .session.table import Sweep
from .session.wide_release import WideRelease
from .session.wide_slots import WideSlots


class Datapath(wiring.Component):
    """What the two datapaths have in common.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        rx, deliver: bytes from the connections, bytes of messages for the host.
        frame, oversize, fields, fields_session, settled, changed, complete, done, current, take, free, push, delivery,
            clear, hold, quiet: to and from the sequencer, see there.
        cycle: the device's cycle counter.
        counts_session, counts: see the framer.
        ident_write, ident_address, ident_data: the host's byte of an ident.
        idle: nothing is on its way to ``deliver``, nothing is being looked at.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        session, slot = unsigned(shape.session_bits), unsigned(shape.slot_bits)
        super().__init__(
            {
                "rx": In(stream.Signature(shape.beat)),
                "deliver": Out(stream.Signature(shape.beat)),
                "frame": Out(stream.Signature(Frame)),
                "oversize": Out(1),
                "fields": Out(shape.fields),
                "fields_session": Out(session),
                "settled": Out(1),
                "changed": Out(1),
                "complete": Out(1),
                "done": In(1),
                "current": Out(slot),
                "take": In(1),
                "free": In(stream.Signature(slot)),
                "push": In(1),
                "delivery": In(shape.delivery),
                "clear": In(stream.Signature(session)),
                "hold": In(1),
                "quiet": Out(1),
                "cycle": In(CYCLE),
                "counts_session": In(session),
                "counts": Out(Counts),
                "ident_write": In(1),
                "ident_address": In(shape.ident_bits),
                "ident_data": In(8),
                "idle": Out(1),
            }
        )

    def _wire(self, m: Module, framer: Any, fields: Any, slots: Any, release: Any) -> None:
        """What both kinds of parts have to the outside. Two may give slots back; the sequencer goes first."""
        m.submodules.framer, m.submodules.fields = framer, fields
        m.submodules.slots, m.submodules.release = slots, release
        connect(m, flipped(self.rx), framer.rx)
        connect(m, framer.frame, flipped(self.frame))
        connect(m, flipped(self.clear), framer.clear)
        connect(m, release.deliver, flipped(self.deliver))
        m.d.comb += [
            framer.cycle.eq(self.cycle),
            framer.counts_session.eq(self.counts_session),
            self.counts.eq(framer.counts),
            self.oversize.eq(framer.oversize),
            self.fields.eq(fields.fields),
            self.fields_session.eq(fields.session),
            self.settled.eq(fields.settled),
            self.changed.eq(fields.changed),
            self.complete.eq(fields.complete),
            fields.done.eq(self.done),
            self.current.eq(slots.current),
            slots.take.eq(self.take),
            release.push.eq(self.push),
            release.delivery.eq(self.delivery),
            slots.free.valid.eq(self.free.valid | release.free.valid),
            slots.free.payload.eq(release.free.payload),
            self.free.ready.eq(slots.free.ready),
            release.free.ready.eq(slots.free.ready & ~self.free.valid),
        ]
        with m.If(self.free.valid):
            m.d.comb += slots.free.payload.eq(self.free.payload)


class NarrowDatapath(Datapath):
    """One byte per cycle.

    Latency: last byte taken at ``rx`` to ``frame`` valid, one cycle; ``push`` to the first byte at ``deliver``, two.
    """

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, sweep = self.shape, self._sweep
        framer, fields, slots, release = Framer(shape, sweep), Fields(shape, sweep), Slots(shape, sweep), Release(shape)
        self._wire(m, framer, fields, slots, release)
        m.submodules.idents = idents = BlockMemory(8, shape.sessions << shape.ident_bits - shape.session_bits)
        m.d.comb += [
            idents.write.eq(self.ident_write),
            idents.write_address.eq(self.ident_address),
            idents.write_data.eq(self.ident_data),
            idents.address.eq(fields.ident_addr),
            fields.ident_data.eq(idents.data),
            framer.has_slot.eq(slots.has_current),
            fields.switch.eq(framer.switch),
            fields.next_session.eq(framer.next_session),
            fields.byte_valid.eq(framer.byte_valid),
            fields.byte.eq(framer.byte),
            slots.write.eq(framer.write),
            slots.write_offset.eq(framer.write_offset),
            slots.write_data.eq(framer.write_data),
            slots.switch.eq(framer.switch),
            slots.session.eq(framer.session),
            slots.next_session.eq(framer.next_session),
            slots.read_enable.eq(release.read_enable),
            slots.read_slot.eq(release.read_slot),
            slots.read_offset.eq(release.read_offset),
            release.read_data.eq(slots.read_data),
            self.quiet.eq(1),  # a clear forgets whatever the framer is at
            self.idle.eq(release.idle),
        ]
        return m


class WideDatapath(Datapath):
    """Two, four or eight bytes per cycle.

    Latency: last byte taken at ``rx`` to ``frame`` valid, four cycles (five, if its beat reaches into the next word and
    no other follows); ``push`` to the first beat at ``deliver``, one or two, for the message that has just arrived.
    """

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape, sweep = self.shape, self._sweep
        framer, fields, slots, release = (
            WideFramer(shape, sweep),
            WideFields(shape, sweep),
            WideSlots(shape, sweep),
            WideRelease(shape),
        )
        self._wire(m, framer, fields, slots, release)
        m.d.comb += [
            framer.stall.eq(fields.stall | slots.wants_slot),
            framer.hold.eq(self.hold),
            self.quiet.eq(framer.quiet),
            fields.go.eq(framer.go_too),
            fields.word.eq(framer.word),
            fields.back.eq(framer.back),
            fields.full.eq(framer.word_3.full),
            fields.starts.eq(framer.structure.starts),
            fields.start.eq(framer.structure.start),
            fields.body_end.eq(framer.structure.body_end),
            fields.ident_write.eq(self.ident_write),
            fields.ident_address.eq(self.ident_address),
            fields.ident_data.eq(self.ident_data),
            slots.go.eq(framer.go),
            slots.judges.eq(framer.frame.valid),
            slots.word.eq(framer.word_3),
            slots.structure.eq(framer.structure),
            slots.start_slot.eq(release.start_slot),
            slots.read_enable.eq(release.read_enable),
            slots.read_slot.eq(release.read_slot),
            slots.read_word.eq(release.read_word),
            slots.read_following.eq(release.read_following),
            slots.read_below.eq(release.read_below),
            slots.latch_enable.eq(release.latch_enable),
            release.start_lane.eq(slots.start_lane),
            release.read_data.eq(slots.read_data),
            release.arrival.eq(slots.arrival),
            # The slot being filled is taken for the message that has just arrived only.
            release.arrived.eq(self.take),
            self.idle.eq(release.idle & framer.quiet),
        ]
        return m


def datapath(shape: Shape, sweep: Sweep | None = None) -> Datapath:
    """The datapath for the shape's width."""
    return NarrowDatapath(shape, sweep) if shape.width == 1 else WideDatapath(shape, sweep)
