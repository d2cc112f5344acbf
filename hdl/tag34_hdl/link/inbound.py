"""Packets of the host: which of them count, and what they ask for."""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34.contract.link import (
    CRC_BYTES,
    LINK_VERSION,
    PACKET_BYTES,
    PACKET_HEADER_BYTES,
    PacketFlag,
    PacketKind,
)

from ..block_memory import BlockMemory
from .packet import CRC, Field, PacketByte, check_ring

#: Where a link session's numbers are in the state memories: bank, field, byte. What a REFUSED says has its own place.
STATE, REFUSED = 0b11, 0b01
STATE_ADDRESS_BITS = 6
#: A packet without payload. Bytes are counted from minus that on.
_EMPTY = PACKET_HEADER_BYTES + CRC_BYTES
_FIRST = 256 - _EMPTY


class Inbound(wiring.Component):
    """Takes packets and keeps the requests' bytes of those that count.

    A header is compared byte by byte with the numbers of the link session, which lie in a memory; payload is written
    into the ring before it is known whether it counts. When the packet is whole and its CRC is right, the numbers are
    changed, byte by byte as well. Nothing of another packet is taken meanwhile.

    Parameters: ``ring_bytes``, size of the ring, a power of two; ``capacity``, room in it.

    Members:
        packets: their bytes.
        requests: bytes of the requests, in order, each once.
        room: how many bytes there is room for.
        forget: let there be no link session.
        opened: there is a link session.
        begins: a new one begins: all that is of the one before is to be forgotten. One cycle.
        holds: the numbers are being changed, or may be in the next cycle; composing: somebody else reads them, and
            they stay.
        state_write, state_address, state_data: a number's byte changes.
        info, refused, data: such a packet is wanted. One cycle.
        go_back: it is to say GO_BACK. One cycle, together with ``data``.
        acknowledges, moves, window: that many more bytes of the answers are acknowledged, maybe none, and there is room
            for ``window``. ``sends_again``: what follows is to be sent again. One cycle.
        under_way: answer bytes that are sent and not acknowledged.

    Throughput: a byte in eight cycles, the CRC's pace; 33 cycles behind a packet. A request byte in three cycles.
    """

    def __init__(self, ring_bytes: int, answers_bytes: int):
        check_ring("requests_bytes", ring_bytes)
        check_ring("answers_bytes", answers_bytes)
        self.ring_bytes = ring_bytes
        self.capacity = ring_bytes - 1 - CRC_BYTES
        self.place_bits = ceil_log2(ring_bytes)
        self.answer_bits = ceil_log2(answers_bytes)
        super().__init__(
            {
                "packets": In(stream.Signature(PacketByte)),
                "requests": Out(stream.Signature(8)),
                "room": Out(self.place_bits),
                "forget": In(1),
                "opened": Out(1),
                "begins": Out(1),
                "holds": Out(1),
                "composing": In(1),
                "state_write": Out(1),
                "state_address": Out(STATE_ADDRESS_BITS),
                "state_data": Out(8),
                "info": Out(1),
                "refused": Out(1),
                "data": Out(1),
                "go_back": Out(1),
                "acknowledges": Out(1),
                "sends_again": Out(1),
                "moves": Out(self.answer_bits),
                "window": Out(self.answer_bits),
                "under_way": In(self.answer_bits),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.crc = crc = CRC.create()
        m.submodules.state = state = BlockMemory(8, 32)  # the numbers, and those of the packet at hand
        m.submodules.ring = ring = BlockMemory(8, self.ring_bytes)
        byte, last = self.packets.payload.data, self.packets.payload.last

        # -- A packet's bytes
        count = Signal(5)  # bits of the byte; half steps of a change
        place = Signal(8, init=_FIRST)  # of the byte, from minus _EMPTY on
        enough = Signal()  # the packet is as long as an empty one at least
        too_long = Signal()
        in_header = Signal()
        field = place[2:4]  # 3, 0, 1, 2: a Field, but for the first four bytes
        lane = place[:2]
        taken = Signal()
        judging, changing = Signal(), Signal()
        kind, ours, flags = Signal(4), Signal(), Signal(2)
        opens = Signal()
        ask, back = (flags[PacketFlag(flag).bit_length() - 1] for flag in (PacketFlag.ASK, PacketFlag.GO_BACK))
        m.d.comb += [
            in_header.eq(~enough & ~place[2:5].all()),
            crc.data.eq(byte.bit_select(count[:3], 1)),
            self.packets.ready.eq(taken),
            self.holds.eq(judging | changing),
            opens.eq(kind == PacketKind.OPEN.value),
        ]

        # -- The field at hand less that of the link session
        borrow, differs = Signal(), Signal()
        less = Signal(9)
        differs_next = Signal()
        same, in_order, behind, nonzero = (Signal(name=name) for name in ("same", "in_order", "behind", "nonzero"))
        far = Signal()
        m.d.comb += [
            less.eq(byte - state.data - (borrow & (lane != 0))),
            differs_next.eq((less[:8] != 0) | (differs & (lane != 0))),
        ]

        # -- Tentative payload. The ring keeps five bytes empty: a payload byte is known to be one when four more have
        # come, and those may be written.
        place_bits = self.place_bits
        head = Signal(place_bits)  # behind the last byte taken
        limit = Signal(place_bits, init=(1 << place_bits) - 5)  # five before the next one read
        after_limit = Signal(place_bits)
        at = Signal(place_bits)
        no_room = Signal()  # for one of the payload's bytes, so it is not written, nor are those behind it
        m.d.comb += [
            at.eq(head + Cat(place, (~enough).replicate(place_bits - 8))),
            after_limit.eq(limit + 1),
            ring.write_address.eq(at),
            ring.write_data.eq(byte),
            self.room.eq(limit - head),
        ]

        with m.If(self.packets.valid & ~self.holds):
            m.d.comb += crc.valid.eq(1)
            m.d.sync += count[:3].eq(count[:3] + 1)
            m.d.comb += taken.eq(count[:3].all())
        with m.If(taken):
            m.d.sync += [
                place.eq(place + 1),
                borrow.eq(less[8]),
                differs.eq(differs_next),
                judging.eq(last),
            ]
            with m.If(place.all()):
                m.d.sync += enough.eq(1)
            with m.If(enough & (place == PACKET_BYTES - _EMPTY)):
                m.d.sync += too_long.eq(1)
            with m.If(in_header):
                with m.Switch(field):
                    with m.Case(3):
                        with m.Switch(lane):
                            with m.Case(0):
                                m.d.sync += [kind.eq(byte[:4]), ours.eq(byte[4:] == LINK_VERSION)]
                            with m.Case(1):
                                m.d.sync += flags.eq(byte)
                            with m.Case(2):
                                m.d.sync += self.window.eq(byte)
                            with m.Default():
                                # More than there can be is as good as all there can be.
                                m.d.sync += self.window[8:].eq(byte)
                                with m.If(byte[self.answer_bits - 8 :].any()):
                                    m.d.sync += self.window.eq((1 << self.answer_bits) - 1)
                    with m.Case(Field.TOKEN.value):
                        m.d.sync += [same.eq(~differs_next), nonzero.eq((byte != 0) | (nonzero & (lane != 0)))]
                    with m.Case(Field.EXPECTED.value):
                        m.d.sync += [in_order.eq(~differs_next), behind.eq(~less[7])]
                    with m.Case(Field.ACKED.value):
                        with m.Switch(lane):
                            with m.Case(0):
                                m.d.sync += [self.moves.eq(less[:8]), far.eq(0)]
                            with m.Case(1):
                                m.d.sync += [self.moves[8:].eq(less[:8]), far.eq(less[self.answer_bits - 8 : 8].any())]
                            with m.Default():
                                m.d.sync += far.eq(far | (less[:8] != 0))
            with m.Else():
                m.d.comb += ring.write.eq(~no_room)
                m.d.sync += no_room.eq(no_room | (at == limit))

        # -- What is to be done, as soon as nobody reads the numbers
        counts = Signal()  # the packet does
        known = Signal()  # it is of the present link session
        drawn = Signal()  # there is a challenge
        acks = Signal()
        good = Signal()
        loaded = Signal()
        accepts, takes = Signal(), Signal()
        wants = {kind: Signal(name=f"is_{kind.name.lower()}") for kind in PacketKind}
        m.d.comb += [
            good.eq(crc.match_detected & enough & ~too_long & (ours | (kind == PacketKind.PROBE.value))),
            *(wants[code].eq(counts & (kind == code.value)) for code in PacketKind),
            loaded.eq(place != 0),
            accepts.eq(wants[PacketKind.DATA] & known),
            takes.eq(accepts & loaded & in_order & ~no_room),
        ]
        obeys = Signal()
        m.d.comb += obeys.eq(wants[PacketKind.OPEN] & nonzero & ~known & in_order & drawn)
        with m.If(judging & ~self.composing):
            m.d.sync += [
                judging.eq(0),
                changing.eq(1),
                counts.eq(good),
                known.eq(same & self.opened),
                # What is under way may become more while the numbers are changed.
                acks.eq(~far & (self.moves <= self.under_way)),
            ]

        # -- The numbers change: the address in one cycle, the byte in the next
        step_field, step_lane, writes = count[3:5], count[1:3], count[0]
        # A challenge is what has run through here since the reset, eight bits in a cycle.
        run = Signal(31, init=1)
        m.d.sync += run.eq(Cat(run[23:31] ^ run[20:28], run))
        old = Signal(8)
        carry = Signal()
        total = Signal(9)
        m.d.comb += [
            old.eq(state.data & ~obeys.replicate(8)),
            total.eq(old + Mux(takes & (step_lane == 0), place, 0) + (carry & (step_lane != 0))),
        ]
        with m.If(changing):
            m.d.sync += count.eq(count + 1)
            with m.If(writes & (step_field == Field.EXPECTED.value)):
                m.d.sync += carry.eq(total[8])
            m.d.comb += self.state_address.eq(Cat(step_lane, step_field, C(STATE, 2)))
            with m.Switch(step_field):
                with m.Case(Field.TOKEN.value):
                    m.d.comb += [
                        state.address.eq(Cat(step_lane, step_field, C(1, 1))),
                        self.state_data.eq(state.data),
                        self.state_write.eq(writes & (obeys | (wants[PacketKind.DATA] & ~accepts))),
                    ]
                    with m.If(~obeys):
                        m.d.comb += self.state_address.eq(Cat(step_lane, step_field, C(REFUSED, 2)))
                with m.Case(Field.EXPECTED.value):
                    m.d.comb += [
                        state.address.eq(Cat(step_lane, step_field, C(0, 1))),
                        self.state_data.eq(total),
                        self.state_write.eq(writes & (obeys | accepts)),
                    ]
                with m.Case(Field.ACKED.value):
                    m.d.comb += [
                        state.address.eq(Cat(step_lane, step_field, C(1, 1))),
                        self.state_data.eq(old),
                        self.state_write.eq(writes & (obeys | (accepts & acks))),
                    ]
                with m.Default():
                    m.d.comb += [
                        self.state_data.eq(run),
                        self.state_write.eq(writes & (obeys | (counts & ~drawn))),
                    ]
            m.d.comb += [
                state.write.eq(self.state_write & (self.state_address[4:] == STATE)),
                state.write_address.eq(self.state_address[:4]),
                state.write_data.eq(self.state_data),
            ]
        with m.Else():
            m.d.comb += [
                # An OPEN's number is compared with the challenge.
                state.address.eq(Cat(lane, field | (opens & (field == Field.EXPECTED.value)).replicate(2), C(0, 1))),
                state.write.eq(taken & in_header),
                state.write_address.eq(Cat(lane, field, C(1, 1))),
                state.write_data.eq(byte),
            ]

        done = Signal()
        m.d.comb += done.eq(changing & count.all())
        told = Signal()  # GO_BACK was said
        with m.If(self.forget):
            m.d.sync += self.opened.eq(0)
        with m.If(done):
            m.d.sync += [
                changing.eq(0),
                counts.eq(0),
                place.eq(_FIRST),
                enough.eq(0),
                too_long.eq(0),
                no_room.eq(0),
                drawn.eq(drawn | counts),
            ]
            m.d.comb += [
                crc.start.eq(1),
                self.begins.eq(obeys),
                self.info.eq(wants[PacketKind.PROBE] | (wants[PacketKind.OPEN] & nonzero & ~obeys & ~known)),
                self.refused.eq(wants[PacketKind.DATA] & ~accepts),
                self.data.eq((accepts & (loaded | ask)) | (wants[PacketKind.OPEN] & (obeys | known))),
                self.go_back.eq(accepts & loaded & ~in_order & behind & ~told),
                self.acknowledges.eq(accepts & acks),
                self.sends_again.eq(back),
            ]
            with m.If(self.go_back):
                m.d.sync += told.eq(1)
            with m.If(takes):
                m.d.sync += [told.eq(0), head.eq(at)]
            with m.If(wants[PacketKind.CLOSE] & known):
                m.d.sync += self.opened.eq(0)
            with m.If(obeys):
                m.d.sync += [self.opened.eq(1), told.eq(0), head.eq(0)]

        # -- Requests: a byte comes out of the ring late in its cycle, and is of use in the next one
        fetched = Signal()
        m.d.comb += ring.address.eq(after_limit)
        m.d.sync += [
            fetched.eq((self.room != self.capacity) & ~fetched & ~self.requests.valid),
            self.requests.payload.eq(Mux(fetched, ring.data, self.requests.payload)),
            self.requests.valid.eq(fetched | (self.requests.valid & ~self.requests.ready)),
        ]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += limit.eq(after_limit)
        with m.If(done & obeys):
            m.d.sync += [limit.eq(limit.init), fetched.eq(0), self.requests.valid.eq(0)]
        return m
