"""Packets of the device: what it is, and the answers, until they are acknowledged."""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34.contract.link import (
    CRC_BYTES,
    INFO_BYTES,
    LINK_VERSION,
    PACKET_BYTES,
    PACKET_HEADER_BYTES,
    PacketFlag,
    PacketKind,
)

from ..block_memory import BlockMemory
from .inbound import REFUSED, STATE, STATE_ADDRESS_BITS
from .packet import CRC, Field, PacketByte, check_ring

#: Where the numbers are in the memory: above the packet's header and the payload of an INFO, which is right behind it.
_NUMBERS = 64
_TRAILER = PACKET_BYTES - CRC_BYTES


class Outbound(wiring.Component):
    """Makes packets, one after the other, and holds the answers' bytes until they are acknowledged.

    A header is first made as a whole, so that its numbers are those of one moment.

    Parameters:
        ring_bytes: room for answers (less one), a power of two.
        requests_bytes: of the inbound ring.
        info: payload of an INFO packet.
        timeout_cycles: after so many cycles without an acknowledgement that moves on, or up to twice as many, all is
            sent again.

    Members:
        packets: their bytes.
        write, write_address, write_data: a byte of the answers; written: all before this place may be sent. acked: all
            before this place may be overwritten.
        begins, opened, holds, composing, state_write, state_address, state_data, info, refused, data, go_back,
        acknowledges, sends_again, moves, window, under_way, room: see :class:`~tag34_hdl.link.inbound.Inbound`.

    Throughput: a byte in eleven cycles; 32 cycles before a packet.
    """

    def __init__(self, ring_bytes: int, requests_bytes: int, info: bytes, timeout_cycles: int):
        check_ring("answers_bytes", ring_bytes)
        check_ring("requests_bytes", requests_bytes)
        if len(info) != INFO_BYTES:
            raise ValueError(f"info must be {INFO_BYTES} bytes, not {len(info)}")
        if timeout_cycles < 1:
            raise ValueError(f"timeout_cycles must be at least 1, not {timeout_cycles}")
        self.ring_bytes = ring_bytes
        self.info_payload = info
        self.timeout_cycles = timeout_cycles
        bits = ceil_log2(ring_bytes)
        super().__init__(
            {
                "packets": Out(stream.Signature(PacketByte)),
                "write": In(1),
                "write_address": In(bits),
                "write_data": In(8),
                "written": In(bits),
                "acked": Out(bits),
                "begins": In(1),
                "opened": In(1),
                "holds": In(1),
                "composing": Out(1),
                "state_write": In(1),
                "state_address": In(STATE_ADDRESS_BITS),
                "state_data": In(8),
                "info": In(1),
                "refused": In(1),
                "data": In(1),
                "go_back": In(1),
                "acknowledges": In(1),
                "sends_again": In(1),
                "moves": In(bits),
                "window": In(bits),
                "under_way": Out(bits),
                "room": In(ceil_log2(requests_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.crc = crc = CRC.create()
        m.submodules.ring = ring = BlockMemory(8, self.ring_bytes)
        m.submodules.memory = memory = BlockMemory(
            8, 2 * _NUMBERS, init=[*bytes(PACKET_HEADER_BYTES), *self.info_payload]
        )
        m.d.comb += [
            ring.write.eq(self.write),
            ring.write_address.eq(self.write_address),
            ring.write_data.eq(self.write_data),
        ]

        # -- Places: acknowledged, sent (again), ever sent, written
        sent, top = Signal.like(self.acked), Signal.like(self.acked)
        window = Signal.like(self.acked)
        again = Signal.like(self.acked)  # bytes behind what is acknowledged that are sent
        stale = Signal()  # the packet at hand is of the link session before
        may_send = Signal()
        overtaken = Signal()  # more is acknowledged than was sent again
        m.d.comb += [
            again.eq(sent - self.acked),
            self.under_way.eq(top - self.acked),
            overtaken.eq(again > self.under_way),
            may_send.eq(self.opened & ~stale & (sent != self.written) & (again < window)),
        ]
        with m.If(self.acknowledges):
            m.d.sync += [self.acked.eq(self.acked + self.moves), window.eq(self.window)]

        # -- The timer
        timer = Signal(ceil_log2(self.timeout_cycles) + 1)
        expired = Signal()
        m.d.comb += expired.eq(timer[-1])
        with m.If((self.written == self.acked) | (self.acknowledges & (self.moves != 0)) | expired):
            m.d.sync += timer.eq(0)
        with m.Else():
            m.d.sync += timer.eq(timer + 1)

        # -- What is wanted
        want_info, want_refused, want_data, want_go_back = (
            Signal(name=f"want_{what}") for what in ("info", "refused", "data", "go_back")
        )
        back = Signal()  # what is not acknowledged is to be sent again
        due = Signal()  # the timer has run out: a packet must leave, whatever is in it
        # The last packet said that there was little room. A host that waits for more would wait for its timer.
        narrow = Signal()

        is_info, is_refused, asks, goes_back = (
            Signal(name=name) for name in ("is_info", "is_refused", "asks", "goes_back")
        )
        is_data = Signal()
        m.d.comb += is_data.eq(~is_info & ~is_refused)

        # -- A packet
        place = Signal(8)
        bit = Signal(3)
        step = Signal()
        in_header, in_trailer = Signal(), Signal()
        byte = Signal(8)
        m.d.comb += [
            in_header.eq(place[4:] == 0),
            in_trailer.eq(place[2:].all()),
            self.packets.payload.last.eq(place.all()),
            self.packets.payload.data.eq(byte),
            # Its own bytes shift the CRC on.
            crc.data.eq(Mux(in_trailer, ~crc.crc[0], byte.bit_select(bit, 1))),
            ring.address.eq(sent),
            memory.address.eq(place),
            ring.enable.eq(0),
            memory.enable.eq(0),
        ]
        assert _TRAILER == 0b11111100

        # A header's byte: a constant, or a number of the link session, to which something may be added.
        header = Signal(8)
        number = Signal(8)
        carry = Signal()
        total = Signal(9)
        lane = place[:2]
        numbers = C(_NUMBERS >> STATE_ADDRESS_BITS, 1)
        assert _NUMBERS == 1 << STATE_ADDRESS_BITS
        m.d.comb += total.eq(memory.data + number + (carry & (lane != 0)))
        with m.Switch(place[2:4]):
            with m.Case(0):
                with m.Switch(lane):
                    with m.Case(0):
                        other = Mux(is_refused, PacketKind.REFUSED.value, PacketKind.DATA.value)
                        m.d.comb += [
                            header[:4].eq(Mux(is_info, PacketKind.INFO.value, other)),
                            header[4:].eq(LINK_VERSION),
                        ]
                    with m.Case(1):
                        flags = Mux(asks, PacketFlag.ASK.value, 0) | Mux(goes_back, PacketFlag.GO_BACK.value, 0)
                        m.d.comb += header.eq(Mux(is_data, flags, 0))
                    with m.Case(2):
                        m.d.comb += header.eq(Mux(is_data, self.room[:8], 0))
                    with m.Default():
                        m.d.comb += header.eq(Mux(is_data, self.room[8:], 0))
            with m.Case(1):
                m.d.comb += header.eq(Mux(self.opened | is_refused, memory.data, 0))
            with m.Case(2):
                with m.If(is_data):
                    with m.Switch(lane):
                        with m.Case(0):
                            m.d.comb += number.eq(again[:8])
                        with m.Case(1):
                            m.d.comb += number.eq(again[8:])
                m.d.comb += header.eq(Mux(is_refused, 0, total))
            with m.Case(3):
                m.d.comb += header.eq(Mux(is_data, memory.data, 0))
        with m.If(self.composing):
            with m.Switch(place[2:4]):
                with m.Case(2):
                    field = Mux(is_info, Field.CHALLENGE.value, Field.ACKED.value)
                    m.d.comb += memory.address.eq(Cat(lane, field[:2], C(STATE, 2), numbers))
                with m.Case(3):
                    m.d.comb += memory.address.eq(Cat(lane, C(Field.EXPECTED.value, 2), C(STATE, 2), numbers))
                with m.Default():
                    bank = Mux(is_refused, C(REFUSED, 2), C(STATE, 2))
                    m.d.comb += memory.address.eq(Cat(lane, C(Field.TOKEN.value, 2), bank, numbers))
            m.d.comb += [
                memory.enable.eq(1),
                memory.write.eq(step),
                memory.write_address.eq(place),
                memory.write_data.eq(header),
            ]
        with m.Else():
            m.d.comb += [
                memory.write.eq(self.state_write),
                memory.write_address.eq(Cat(self.state_address, numbers)),
                memory.write_data.eq(self.state_data),
            ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += crc.start.eq(1)
                m.d.sync += [place.eq(0), stale.eq(0), step.eq(0)]
                # For what is to be sent the numbers must be right.
                with m.If(back | overtaken):
                    m.d.sync += [sent.eq(self.acked), back.eq(0)]
                with m.Elif(~self.holds):
                    m.d.sync += [is_info.eq(want_info), is_refused.eq(~want_info & want_refused)]
                    with m.If(want_info):
                        m.d.sync += want_info.eq(0)
                        m.next = "COMPOSE"
                    with m.Elif(want_refused):
                        m.d.sync += want_refused.eq(0)
                        m.next = "COMPOSE"
                    with m.Elif(self.opened & (want_data | due | may_send | (narrow & self.room[-1]))):
                        m.d.sync += [
                            want_data.eq(0),
                            want_go_back.eq(0),
                            due.eq(0),
                            goes_back.eq(want_go_back),
                            asks.eq(due & ~may_send),
                            narrow.eq(~self.room[-1]),
                        ]
                        m.next = "COMPOSE"
            with m.State("COMPOSE"):
                m.d.comb += self.composing.eq(1)
                m.d.sync += step.eq(~step)
                with m.If(step):
                    m.d.sync += [place.eq(place + 1), carry.eq(total[8])]
                    with m.If(place == PACKET_HEADER_BYTES - 1):
                        m.d.sync += place.eq(0)
                        m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += memory.enable.eq(1)
                m.next = "KEEP"
                with m.If(~in_header & ~in_trailer):
                    more = Mux(is_data, may_send, is_info & (place != PACKET_HEADER_BYTES + INFO_BYTES))
                    with m.If(more):
                        with m.If(is_data):
                            m.d.comb += ring.enable.eq(1)
                            m.d.sync += sent.eq(sent + 1)
                            with m.If(sent == top):
                                m.d.sync += top.eq(top + 1)
                    with m.Else():
                        m.d.sync += place.eq(_TRAILER)
            with m.State("KEEP"):
                m.d.sync += byte.eq(Mux(in_trailer, crc.crc[:8], Mux(in_header | ~is_data, memory.data, ring.data)))
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.packets.valid.eq(1)
                with m.If(self.packets.ready):
                    m.next = "SHIFT"
            with m.State("SHIFT"):
                m.d.comb += crc.valid.eq(1)
                m.d.sync += bit.eq(bit + 1)
                with m.If(bit.all()):
                    m.d.sync += place.eq(place + 1)
                    m.next = "FETCH"
                    with m.If(place.all()):
                        m.next = "IDLE"

        with m.If(expired):
            m.d.sync += [due.eq(1), back.eq(1)]
        with m.If(self.info):
            m.d.sync += want_info.eq(1)
        with m.If(self.refused):
            m.d.sync += want_refused.eq(1)
        with m.If(self.data):
            m.d.sync += want_data.eq(1)
        with m.If(self.go_back):
            m.d.sync += want_go_back.eq(1)
        with m.If(self.acknowledges & self.sends_again):
            m.d.sync += back.eq(1)
        with m.If(self.begins):
            m.d.sync += [
                *(place.eq(0) for place in (sent, top, self.acked, window)),
                *(flag.eq(0) for flag in (back, due, narrow, want_go_back)),
                stale.eq(1),
            ]
        return m
