"""What the tests of the link share: a core that shows what it was asked for, and links to it."""

from __future__ import annotations

import random
from collections import defaultdict

from tag34.contract.link import PacketKind
from tag34.core_device import REST_CYCLES
from tag34.link.core import LinkCore
from tag34.link.endpoint import Endpoint
from tag34.link.packet import Info, Packet
from tag34.records import Message
from tag34_sim.chaos import PERFECT, ByteWire, ChaosTransport, Faults, PacketWire
from tag34_sim.link_peer import LinkPeer

INFO = Info(
    sessions=4, window=64, max_message=4096, hold=252, hold_limit=63, board="test", build_id=b"\1\2\3\4\5\6\7\x08"
)


class EchoCore:
    """A core whose inputs come out again: what it receives as deliveries, what it is to send as sent messages. It is
    slow: they come when it is let come to rest, not before."""

    def __init__(self) -> None:
        self.resets = 0
        self.rests = True
        self.reset()
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1
        self.received: defaultdict[int, bytes] = defaultdict(bytes)
        self.asked: list[tuple[int, int, bool, int, bytes]] = []
        self.registers: dict[int, int] = {}
        self.writes: list[tuple[int, int]] = []
        self._delivered: list[Message] = []
        self._sent: list[Message] = []
        self._settled = 0, 0  # how many of them have come out

    def receive(self, session: int, data: bytes) -> None:
        self.received[session] += data
        self._delivered.append((session, data))

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        self.asked.append((session, msg_type, replay, seq_bcd, body))
        self._sent.append((session, body))

    def write(self, address: int, value: int) -> None:
        self.writes.append((address, value))
        self.registers[address] = value

    def read(self, address: int) -> int:
        return self.registers.get(address, 0)

    def run(self, limit: int) -> bool:
        if limit >= REST_CYCLES and self.rests:
            self._settled = len(self._delivered), len(self._sent)
        return self.rests

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        (deliveries, messages), self._settled = self._settled, (0, 0)
        delivered, self._delivered = self._delivered[:deliveries], self._delivered[deliveries:]
        sent, self._sent = self._sent[:messages], self._sent[messages:]
        return b"", delivered, sent

    def close(self) -> None:
        pass


class Link:
    """A device on a wire, and hosts that come and go.

    Members: ``core``, ``peer``, ``wire`` (with its virtual time).
    """

    def __init__(self, seed: int, faults: Faults = PERFECT, *, info: Info = INFO, room: int = 2048):
        self.rng = random.Random(seed)
        self.core = EchoCore()
        self.peer = LinkPeer(self.core, self.rng, info=info, room=room, timeout=0.1)
        self.wire = ChaosTransport(self.peer, PacketWire(self.rng, faults), PacketWire(self.rng, faults))

    def bytewise(self, **faults: float) -> Link:
        """With wires that carry bytes."""
        self.wire.there, self.wire.back = ByteWire(self.rng, **faults), ByteWire(self.rng, **faults)
        return self

    def host(self, *, silence: float = 2.0, hello: float = 1.9, patience: float = 10.0) -> LinkCore:
        """A host that has opened a link session."""
        token = self.rng.randrange(1, 1 << 32)
        endpoint = Endpoint(self.wire.now, timeout=0.1, silence=silence, token=lambda: token)
        return LinkCore(self.wire, endpoint, clock=self.wire.clock, hello=hello, patience=patience)

    def patient(self) -> LinkCore:
        """A host on a wire that is very bad."""
        return self.host(silence=60, hello=60, patience=600)

    def exchange(self, *packets: Packet) -> list[Packet]:
        """Hand packets to the device, past the wire: what it says."""
        for packet in packets:
            self.peer.feed(packet.encode(), self.wire.now)
        said = [Packet.decode(data) for data in self.peer.outgoing(self.wire.now)]
        assert None not in said
        return [packet for packet in said if packet is not None]

    def challenge(self) -> int:
        """The device's challenge now."""
        (info,) = self.exchange(Packet(PacketKind.PROBE))
        assert info.kind is PacketKind.INFO
        return info.seq
