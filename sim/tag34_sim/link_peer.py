"""The golden model of the host link: the device's side of it (``docs/link.md``) in plain Python, over any core."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final, Protocol

from tag34.contract import RECORD_BYTES, RecordKind
from tag34.contract.link import (
    DELIVER,
    LAST,
    PACKET_PAYLOAD,
    PIECE_BYTES,
    REQUEST_FIELDS,
    SENT,
    Answer,
    Capability,
    PacketKind,
    Request,
)
from tag34.core_device import REST_CYCLES, DeviceCore
from tag34.link.packet import Info, Packet
from tag34.link.streams import Streams
from tag34.records import Message, unpack

from .identify import identify

#: Bytes of answers that may wait for the host before the core is held back.
ANSWERS: Final = 4096


class ResettableCore(DeviceCore, Protocol):
    """A core that a link session can begin with."""

    def reset(self) -> None:
        """Reset the core; what was queued or not taken yet is lost."""


def info_of(core: DeviceCore, board: str = "model", build_id: bytes = bytes(8)) -> Info:
    """What a device with this core says of itself."""
    known = identify(core)
    return Info(
        sessions=known.sessions,
        window=known.window,
        max_message=known.max_message,
        hold=known.hold,
        hold_limit=known.hold_limit,
        width=known.width,
        clock_hz=known.clock_hz,
        capabilities=Capability.EARLY_GAP | Capability.CYCLES,
        build_id=build_id,
        board=board,
    )


class LinkPeer:
    """A device on a link. Packets (as bytes) and time go in, packets come out.

    Parameters:
        core: reset by each OPEN that is obeyed.
        rng: decides the challenges.
        info: what it says of itself; None: what its core says.
        room: bytes of requests that can wait.
        timeout: seconds after which answers that are not acknowledged are sent again.
        cycles: how far the core runs with each piece of a request, if no SETTLE makes it run on.
        burst: requests (or pieces of them) that are carried out at a time.

    Members: ``token`` of the present link session, 0 if there is none; ``opened``, OPENs that were obeyed.
    """

    def __init__(
        self,
        core: ResettableCore,
        rng: random.Random,
        *,
        info: Info | None = None,
        room: int = 2048,
        timeout: float = 0.15,
        cycles: int = 400,
        burst: int = 1 << 20,
    ):
        self.core = core
        self.info = info_of(core) if info is None else info
        self.token = 0
        self.opened = 0
        self._rng, self._room, self._timeout = rng, room, timeout
        self._cycles, self._burst = cycles, burst
        self._challenge = rng.getrandbits(32)
        self._streams: Streams | None = None
        self._requests: Iterator[None] | None = None
        self._out: list[Packet] = []

    def reset(self) -> None:
        """A reset of the device: all is forgotten, the challenge is another one."""
        self._forget()
        self._out.clear()
        self._challenge = self._rng.getrandbits(32)

    # -- Packets
    def feed(self, data: bytes, now: float) -> None:
        """What may be a packet from the host."""
        packet = Packet.decode(data)
        if packet is None:
            return
        if packet.kind is PacketKind.PROBE:
            self._tell()
        elif packet.kind is PacketKind.OPEN:
            self._open(packet)
        elif packet.kind is PacketKind.DATA:
            if self._streams is None or packet.token != self.token:
                self._out.append(Packet(PacketKind.REFUSED, packet.token))
            else:
                self._streams.feed(packet, now)
        elif packet.kind is PacketKind.CLOSE and packet.token == self.token:
            self._forget()

    def outgoing(self, now: float) -> list[bytes]:
        """Carry out requests; all that is to be sent now."""
        for _ in range(self._burst):
            if self._requests is None or self._streams is None or self._streams.unacknowledged >= ANSWERS:
                break
            before = self._streams.readable, self._streams.unacknowledged
            next(self._requests, None)
            if self._streams is None or before == (self._streams.readable, self._streams.unacknowledged):
                break
        packets, self._out = self._out, []
        if self._streams is not None:
            packets += self._streams.outgoing(now)
        return [packet.encode() for packet in packets]

    def next_time(self) -> float | None:
        """When :meth:`outgoing` has something to say again, if nothing comes before."""
        return None if self._streams is None else self._streams.next_time()

    @property
    def busy(self) -> bool:
        """Whether requests wait that could be carried out."""
        streams = self._streams
        return streams is not None and streams.readable > 0 and streams.unacknowledged < ANSWERS

    def _tell(self) -> None:
        self._out.append(Packet(PacketKind.INFO, self.token, self._challenge, payload=self.info.encode()))

    def _open(self, packet: Packet) -> None:
        if packet.token and packet.token == self.token and self._streams is not None:
            self._streams.answer()
        elif packet.seq != self._challenge or packet.token == 0:
            self._tell()
        else:
            self.token = packet.token
            self.opened += 1
            self._challenge = (self._challenge + self._rng.randrange(1, 1 << 31)) % (1 << 32)
            self.core.reset()
            self.core.run(REST_CYCLES)
            self._streams = Streams(self.token, room=self._room, timeout=self._timeout, max_payload=PACKET_PAYLOAD)
            self._streams.answer()
            self._requests = self._carry_out(self._streams)

    def _forget(self) -> None:
        self.token = 0
        self._streams = self._requests = None

    # -- Requests
    def _carry_out(self, streams: Streams) -> Iterator[None]:
        """Carries out the stream of requests; waits (yields) for more of it, and after each piece."""
        core = self.core
        while True:
            while not streams.readable:
                yield
            first = streams.read(1)[0]
            try:
                request = Request(first)
            except ValueError:
                self._forget()
                return
            values = {}
            for name, size in REQUEST_FIELDS[request]:
                while streams.readable < size:
                    yield
                values[name] = int.from_bytes(streams.read(size), "little")
            if request is Request.WRITE:
                core.write(values["address"], values["value"])
            elif request is Request.READ:
                streams.write(bytes([Answer.VALUE]) + core.read(values["address"]).to_bytes(4, "little"))
            elif request is Request.SETTLE:
                while not core.run(REST_CYCLES):
                    yield
                self._answer(streams)
                streams.write(bytes([Answer.SETTLED]))
            else:
                # Pieces as they come: a request may be longer than there is room for.
                left, body = values["length"], b""
                while left:
                    while not streams.readable:
                        yield
                    piece = streams.read(left)
                    left -= len(piece)
                    if request is Request.RECEIVE:
                        core.receive(values["session"], piece)
                        core.run(self._cycles)
                        self._answer(streams)
                        yield
                    else:
                        body += piece
                if request is Request.SEND:
                    core.send(values["session"], values["msg_type"], bool(values["replay"]), values["seq"], body)
                    core.run(self._cycles)
                    self._answer(streams)
            yield

    def _answer(self, streams: Streams) -> None:
        """Put what has left the core among the answers: each message behind its record, if both are there."""
        records, delivered, sent = self.core.take()
        waiting = {RecordKind.DELIVER: (DELIVER, list(delivered)), RecordKind.SENT: (SENT, list(sent))}
        for at in range(0, len(records), RECORD_BYTES):
            record = records[at : at + RECORD_BYTES]
            streams.write(bytes([Answer.RECORD]) + record)
            first, messages = waiting.get(RecordKind(unpack(record)["kind"]), (0, []))
            if messages:
                streams.write(pieces(first, messages.pop(0)))
        for first, messages in waiting.values():
            for message in messages:
                streams.write(pieces(first, message))


def pieces(first: int, message: Message) -> bytes:
    """A message as answers; ``first`` is DELIVER or SENT."""
    session, data = message
    out = bytearray()
    for at in range(0, len(data), PIECE_BYTES):
        piece = data[at : at + PIECE_BYTES]
        last = LAST if at + PIECE_BYTES >= len(data) else 0
        out += bytes([first | last | len(piece) - 1]) + session.to_bytes(2, "little") + piece
    return bytes(out)
