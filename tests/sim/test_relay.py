"""The faulty relay: it damages what it says, and never what the session layer cannot mend."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from tag34.contract import Phase, Policy, Rule
from tag34.device import DeliverRecord, Device, MessageRecord, SentRecord, open_device
from tag34_sim.golden.framing import FrameKind, Framer
from tag34_sim.messages import Peer
from tag34_sim.relay import Fault, Faults, Place, Relay, RelayError, garble, plan

PEER = Peer()


def number(message: bytes) -> int:
    return int(message.split(b"\x0134=")[1].split(b"\x01")[0])


@pytest.mark.parametrize(("messages", "gaps"), [(2, 0), (4, 1), (100, 49), (100, 10), (20_000, 200)])
def test_plan(messages: int, gaps: int, rng: random.Random) -> None:
    places = plan(messages, gaps, rng)
    assert len(places) == gaps
    end = -1
    for index, place in places.items():
        assert index > end  # a whole message lies between two places
        assert place.length >= 1
        end = index + (1 if place.fault is Fault.DELAY else place.length)
    assert end <= messages - 2


def test_plan_has_all_faults(rng: random.Random) -> None:
    places = plan(20_000, 200, rng).values()
    assert {place.fault for place in places} == set(Fault)
    assert {place.double for place in places} == {True, False}


@pytest.mark.parametrize(("messages", "gaps", "largest"), [(100, 50, 49), (3, 1, 0), (1, 1, 0), (10, -1, 4)])
def test_too_many_gaps(messages: int, gaps: int, largest: int, rng: random.Random) -> None:
    with pytest.raises(ValueError, match=f"gaps must be 0 to {largest} for {messages} messages, not {gaps}"):
        plan(messages, gaps, rng)


def test_garbled_messages_are_framed(rng: random.Random) -> None:
    message = PEER.order(7)
    for _ in range(300):
        (frame,) = Framer(4096).feed(garble(message, rng))
        assert frame.kind is FrameKind.GARBLED
        assert frame.length == len(message)


def faults(place: Place | None = None, replay_faults: float = 0.0) -> Faults:
    """Faults with one place, at the second new message."""
    made = Faults(100, 0, seed=1, replay_faults=replay_faults)
    if place is not None:
        made._places = {1: place}
    return made


def feed(relay: Faults, *messages: bytes) -> list[bytes]:
    return [out for message in messages for out in relay.feed(message)]


STREAM = [PEER.logon(1), *(PEER.order(seq) for seq in range(2, 10))]


def test_nothing_to_do() -> None:
    relay = faults()
    assert feed(relay, *STREAM) == STREAM
    assert relay.tally.messages == len(STREAM) - 1


def test_drop() -> None:
    relay = faults(Place(Fault.DROP, 2, double=False))
    assert feed(relay, *STREAM) == STREAM[:2] + STREAM[4:]
    assert (relay.tally.gaps, relay.tally.dropped) == (1, 2)


def test_garble() -> None:
    relay = faults(Place(Fault.GARBLE, 1, double=False))
    out = feed(relay, *STREAM)
    assert out[:2] + out[3:] == STREAM[:2] + STREAM[3:]
    assert out[2] != STREAM[2]
    assert (relay.tally.gaps, relay.tally.garbled) == (1, 1)


def test_delay() -> None:
    relay = faults(Place(Fault.DELAY, 3, double=False))
    assert feed(relay, *STREAM) == [*STREAM[:2], *STREAM[3:6], STREAM[2], *STREAM[6:]]
    assert (relay.tally.gaps, relay.tally.delayed) == (1, 1)


def test_delayed_message_comes_before_its_replay() -> None:
    relay = faults(Place(Fault.DELAY, 6, double=False))
    feed(relay, *STREAM[:4])
    replayed = PEER.order(3, possdup=True)
    assert relay.feed(replayed) == [STREAM[2], replayed]


def test_delay_that_nobody_would_notice_is_a_loss() -> None:
    relay = faults(Place(Fault.DELAY, 6, double=False))
    feed(relay, *STREAM[:3])
    old = PEER.order(2, possdup=True)
    assert feed(relay, old, *STREAM[3:]) == [old, *STREAM[3:]]
    assert (relay.tally.gaps, relay.tally.dropped, relay.tally.delayed) == (1, 1, 0)


def test_double_above_the_gap() -> None:
    relay = faults(Place(Fault.DROP, 1, double=True))
    assert feed(relay, *STREAM) == [*STREAM[:2], STREAM[3], STREAM[3], *STREAM[4:]]
    assert relay.tally.doubled == 1


def test_no_double_once_the_gap_is_closed() -> None:
    relay = faults(Place(Fault.DROP, 1, double=True))
    gap_fill = PEER.gap_fill(3, 4, possdup=True)
    assert feed(relay, *STREAM[:3], gap_fill, *STREAM[3:]) == [*STREAM[:2], gap_fill, *STREAM[3:]]


@pytest.mark.parametrize(
    "message", [PEER.heartbeat(2), PEER.logout(2), PEER.gap_fill(2, 3), PEER.gap_fill(2, 9, possdup=True)]
)
def test_session_messages_are_left_alone(message: bytes) -> None:
    relay = Faults(100, 49, seed=1, replay_faults=1.0)
    for _ in range(100):
        assert relay.feed(message) == [message]


def test_replayed_messages_get_lost_too() -> None:
    relay = faults(replay_faults=0.1)
    out = [len(relay.feed(PEER.order(seq % 50, possdup=True))) for seq in range(1000)]
    assert set(out) == {0, 1, 2}
    assert relay.tally.dropped == out.count(0)
    assert relay.tally.doubled == out.count(2)
    assert relay.tally.garbled > 0


@pytest.mark.parametrize("message", [PEER.order(None), PEER.order("x"), PEER.gap_fill(2, None)])  # type: ignore[arg-type]
def test_message_without_its_numbers(message: bytes) -> None:
    with pytest.raises(RelayError, match="without its numbers"):
        faults().feed(message)


class Loop:
    """A device behind the relay and a peer that answers its requests, one event at a time."""

    def __init__(self, device: Device, relay: Faults, policy: Policy) -> None:
        self.device = device
        self.relay = relay
        self.delivered: list[int] = []
        self.verdicts: Counter[Rule] = Counter()
        device.configure(0, PEER.config(policy=policy, chunk=3))
        device.connect(0, phase=Phase.ACTIVE)

    def run(self, messages: int, rng: random.Random) -> None:
        """``messages`` orders, some of them under way while older ones are replayed."""
        line: list[bytes] = []
        asked: list[tuple[int, int]] = []
        sent = 0
        while sent < messages or line or asked:
            if asked and rng.random() < 0.2:
                begin, end = asked.pop(0)
                line += [PEER.order(seq, possdup=True) for seq in range(begin, 1 + (end or sent))]
            elif sent < messages and sent - len(self.delivered) < 40 and rng.random() < 0.7:
                sent += 1
                line.append(PEER.order(sent))
            elif line:
                asked += self._arrive(line.pop(0))

    def _arrive(self, message: bytes) -> list[tuple[int, int]]:
        asked = []
        self.device.receive(0, b"".join(self.relay.feed(message)))
        for record in self.device.poll():
            if isinstance(record, DeliverRecord):
                self.delivered.append(record.seq)
            elif isinstance(record, MessageRecord):
                self.verdicts[record.rule] += 1
            elif isinstance(record, SentRecord):
                fields = dict(part.partition(b"=")[::2] for part in record.data.split(b"\x01"))
                asked.append((int(fields[b"7"]), int(fields[b"16"])))
        return asked


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("run", range(4))
def test_all_that_it_does_can_be_mended(policy: Policy, run: int, rng: random.Random) -> None:
    with open_device("model:") as device:
        # A loss at the end of a replay is for a timer to find out, and time stands still here.
        loop = Loop(device, Faults(1500, 60, seed=run, replay_faults=0.0), policy)
        loop.run(1500, rng)
    assert loop.delivered == list(range(1, 1501))
    assert loop.relay.tally.gaps == 60
    assert loop.verdicts[Rule.F3] == loop.relay.tally.garbled > 0
    assert not {Rule.R9B, Rule.R4, Rule.R1} & set(loop.verdicts)


# With sockets.


async def _through_the_relay(relay_to: Faults, sent: list[bytes]) -> tuple[bytes, bytes]:
    """What arrives on either side: ``sent`` from the counterparty, a greeting from the other side."""
    heard = asyncio.get_running_loop().create_future()

    async def counterparty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.readexactly(5))
        writer.writelines(sent)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(counterparty, "127.0.0.1", 0)
    async with server, Relay(server.sockets[0].getsockname()[1], relay_to) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"hello")
        arrived = await asyncio.wait_for(reader.read(-1), 20)
        writer.close()
        if relay.failure is not None:
            raise relay.failure
        return await heard, arrived


def test_sockets() -> None:
    relay = faults(Place(Fault.DROP, 2, double=False))
    heard, arrived = asyncio.run(_through_the_relay(relay, STREAM))
    assert heard == b"hello"
    assert arrived == b"".join(STREAM[:2] + STREAM[4:])


def test_counterparty_that_speaks_no_fix() -> None:
    with pytest.raises(RelayError, match="at byte 0 of the counterparty is garbled"):
        asyncio.run(_through_the_relay(faults(), [b"8=FIX.4.4\x019=x"]))


async def _no_counterparty() -> Exception | None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with Relay(port, faults()) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        assert await asyncio.wait_for(reader.read(-1), 20) == b""
        writer.close()
        return relay.failure


def test_no_counterparty() -> None:
    assert isinstance(asyncio.run(_no_counterparty()), ConnectionRefusedError)
