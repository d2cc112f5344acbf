"""A host at a board, which simulated devices take for a core: straightforward, over a wire that may lose packets."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cobs import cobs

from tag34.contract import RECORD_BYTES
from tag34.contract.link import (
    ANSWER_BYTES,
    LAST,
    PACKET_PAYLOAD,
    SENT,
    Answer,
    PacketFlag,
    PacketKind,
    Request,
)
from tag34.records import Message
from tag34_hdl.layouts import Shape
from tag34_sim.verilated_top import VerilatedBoard
from tests.hdl.link.packets import Packet, frame, request

#: Cycles between two looks at the board, those without an acknowledgement after which the host sends again, and those
#: without a packet after which it gives up.
SLICE, TIMEOUT, PATIENCE = 400, 60_000, 3_000_000


class LinkError(Exception):
    """The device does not answer, or has forgotten the link session."""


@dataclass
class Wire:
    """What happens to packets on their way, by chance: shares of those that are lost, damaged, doubled and held back
    until the next one has passed."""

    rng: random.Random
    lost: float = 0.0
    damaged: float = 0.0
    doubled: float = 0.0
    late: float = 0.0

    def __post_init__(self) -> None:
        self._held: list[bytes] = []
        self.spoiled = 0

    def carry(self, packet: bytes) -> list[bytes]:
        """What arrives when this one was sent."""
        chance = self.rng.random()
        for share, arrives in (
            (self.lost, []),
            (self.damaged, [self._damage(packet)]),
            (self.doubled, [packet, packet]),
            (self.late, None),
        ):
            if chance < share:
                self.spoiled += 1
                if arrives is None:
                    self._held.append(packet)
                    return []
                return arrives
            chance -= share
        held, self._held = self._held, []
        return [packet, *held]

    def _damage(self, packet: bytes) -> bytes:
        at = self.rng.randrange(len(packet))
        return packet[:at] + bytes([packet[at] ^ 1 << self.rng.randrange(8)]) + packet[at + 1 :]


class BoardCore:
    """A core behind a board's link (:class:`tag34_sim.sim_device.SimulatedCore`).

    Parameters: ``board``; ``rng``, of tokens and of how things are cut; ``to_board``, ``from_board``: the wire.
    """

    def __init__(
        self, board: VerilatedBoard, rng: random.Random, to_board: Wire | None = None, from_board: Wire | None = None
    ):
        self.board = board
        self.rng = rng
        self.to_board, self.from_board = to_board or Wire(rng), from_board or Wire(rng)
        self.room = 1000  # the host's own window
        self._line = bytearray()
        self._challenge: int | None = None
        self._records = bytearray()
        self._messages: dict[int, list[Message]] = {0: [], SENT: []}
        self._unfinished: dict[int, bytearray] = {0: bytearray(), SENT: bytearray()}
        self.open()

    # -- The link
    def open(self) -> None:
        """Begin a link session."""
        self.token = self.rng.randrange(1, 1 << 32)
        self._requests = bytearray()  # from _acked on
        self._acked = self._sent = self._window = 0  # places in the stream
        self._answers = bytearray()  # taken, not read yet
        self._expected = 0
        self._told = self._go_back = self._answer = False
        self._opened = False
        self._challenge = None
        self._progress = self._heard = self.board.cycles
        while not self._opened:
            if self._challenge is None:
                self._put(Packet(PacketKind.PROBE))
            else:
                self._put(Packet(PacketKind.OPEN, token=self.token, seq=self._challenge))
            until = self.board.cycles + TIMEOUT // 4
            before = self._challenge
            while not self._opened and self._challenge == before and self.board.cycles < until:
                self._look()
        self._values: list[int] = []
        self._settled = 0

    def _put(self, packet: Packet) -> None:
        for data in self.to_board.carry(packet.encode()):
            self.board.write(frame(data))

    def _look(self) -> None:
        """Let the board run for a moment, and take what it says."""
        self.board.run(SLICE)
        if self.board.cycles - self._heard > PATIENCE:
            raise LinkError("the device does not answer")
        self._line += self.board.read()
        while b"\0" in self._line:
            end = self._line.index(b"\0")
            encoded = bytes(self._line[:end])
            del self._line[: end + 1]
            if encoded:
                for data in self.from_board.carry(cobs.decode(encoded)):
                    try:
                        packet = Packet.decode(data)
                    except (AssertionError, ValueError):
                        continue
                    self._heard = self.board.cycles
                    self._take(packet)

    def _take(self, packet: Packet) -> None:
        if packet.kind == PacketKind.INFO:
            self._challenge = packet.seq
        elif packet.kind == PacketKind.REFUSED and packet.token == self.token and self._opened:
            raise LinkError("the device has forgotten the link session")
        elif packet.kind == PacketKind.DATA and packet.token == self.token:
            self._opened = True
            if self._acked <= packet.ack <= self._sent:
                if packet.ack > self._acked:
                    self._progress = self.board.cycles
                del self._requests[: packet.ack - self._acked]
                self._acked, self._window = packet.ack, packet.window
                if packet.goes_back:
                    self._sent = self._acked
            if packet.payload:
                self._answer = True
                if packet.seq == self._expected and len(packet.payload) <= self.room:
                    self._answers += packet.payload
                    self._expected += len(packet.payload)
                    self._told = False
                elif packet.seq > self._expected and not self._told:
                    self._told = self._go_back = True
            self._answer |= packet.asks

    def pump(self) -> None:
        """One look, and what is to be said."""
        self._look()
        self._read_answers()
        if not self._requests:
            self._progress = self.board.cycles
        elif self.board.cycles - self._progress > TIMEOUT:
            self._progress = self.board.cycles
            self._sent = self._acked
            self._say(PacketFlag.ASK)
        while self._sent - self._acked < min(len(self._requests), self._window):
            self._say()
        if self._answer:
            self._say()

    def _say(self, flags: int = 0) -> None:
        start = self._sent - self._acked
        size = self.rng.choice((PACKET_PAYLOAD, PACKET_PAYLOAD, self.rng.randint(1, PACKET_PAYLOAD)))
        payload = bytes(self._requests[start : min(start + size, self._window)])
        flags |= PacketFlag.GO_BACK if self._go_back else 0
        self._put(
            Packet(PacketKind.DATA, flags, self.room, self.token, self._sent, self._expected, payload),
        )
        self._sent += len(payload)
        self._go_back = self._answer = False

    # -- Answers
    def _read_answers(self) -> None:
        data = self._answers
        while data:
            if data[0] in ANSWER_BYTES:
                kind = Answer(data[0])
                size = 1 + ANSWER_BYTES[kind]
                if len(data) < size:
                    return
                if kind is Answer.RECORD:
                    self._records += data[1:size]
                elif kind is Answer.VALUE:
                    self._values.append(int.from_bytes(data[1:size], "little"))
                else:
                    self._settled += 1
            else:
                assert data[0] >> 6 in (1, 2)
                size = 3 + (data[0] & 31) + 1
                if len(data) < size:
                    return
                which, session = data[0] & SENT, int.from_bytes(data[1:3], "little")
                self._unfinished[which] += data[3:size]
                if data[0] & LAST:
                    self._messages[which].append((session, bytes(self._unfinished[which])))
                    self._unfinished[which].clear()
            del data[:size]

    # -- A core
    @property
    def cycles(self) -> int:
        return self.board.cycles

    def receive(self, session: int, data: bytes) -> None:
        while data:
            size = self.rng.choice((1, 7, 100, 600, 3000))
            self._requests += request(Request.RECEIVE, data[:size], session=session)
            data = data[size:]

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        self._requests += request(
            Request.SEND, body, session=session, msg_type=msg_type, replay=int(replay), seq=seq_bcd
        )

    def write(self, address: int, value: int) -> None:
        self._requests += request(Request.WRITE, address=address, value=value & 0xFFFFFFFF)

    def read(self, address: int) -> int:
        self._requests += request(Request.READ, address=address)
        while not self._values:
            self.pump()
        return self._values.pop(0)

    def run(self, limit: int) -> bool:
        self._requests += request(Request.SETTLE)
        until = self.board.cycles + 10 * limit
        while not self._settled and self.board.cycles < until:
            self.pump()
        if not self._settled:
            return False
        self._settled -= 1
        assert not any(self._unfinished.values()), "something left behind its SETTLED"
        return True

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        records = bytes(self._records)
        assert len(records) % RECORD_BYTES == 0
        self._records.clear()
        deliveries, sent = self._messages[0], self._messages[SENT]
        self._messages = {0: [], SENT: []}
        return records, deliveries, sent

    def reset(self) -> None:
        self.take()
        self.open()

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """The wire is what stalls here."""

    def close(self) -> None:
        self.board.close()


SHAPES = {
    1: Shape(width=1, window=4, max_message=256, clock_hz=2_000_000),
    2: Shape(width=2, sessions=3, window=4, max_message=256, clock_hz=2_000_000),
}
