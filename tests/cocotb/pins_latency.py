"""Latency and throughput, counted in clock cycles at the pins."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import cocotb
import pytest

from tag34.contract import EventCode, Rule
from tag34.device import DeliverRecord, EventRecord, MessageRecord, SentRecord
from tag34_sim.messages import Peer
from tests.cocotb.bench import Bench
from tests.cocotb.pin_device import connect

#: The budget at width 1: last byte taken to first byte offered.
BUDGET = 4
#: Cycles per message that a release may take, while the next message arrives.
RELEASE = 4

PEER = Peer()
#: Shapes of messages: of one shape all are equally long, and only digits differ.
SHAPES: dict[str, Callable[[int], bytes]] = {
    "heartbeat": lambda seq: PEER.message("0", f"{seq:06}"),
    "order": lambda seq: PEER.message("D", f"{seq:06}", [(11, f"order-{seq:06}"), (38, 100)]),
    "long": lambda seq: PEER.message("8", f"{seq:06}", [(37, f"{seq:09}"), (58, "z" * 90)]),
    "possdup": lambda seq: PEER.message("D", f"{seq:06}", [(11, f"{seq:09}")], possdup=True),
}


def ends(bench: Bench, messages: list[bytes]) -> list[int]:
    """The cycles in which the last byte of each message was taken."""
    return [bench.rx.taken[end - 1] for end in accumulate(map(len, messages))]


@cocotb.test()
@cocotb.parametrize(shape=list(SHAPES))
@pytest.mark.rule("R11")
async def resend_request(dut: Any, shape: str) -> None:
    """From the message that proves a gap to the ResendRequest: within the budget, and always the same."""
    bench = await Bench.start(dut)
    device = await connect(bench, PEER, expected=100)
    message = SHAPES[shape]
    messages: list[bytes] = []
    proofs = []
    seq = 100
    for gap in range(12):
        missing = gap % (bench.shape.window - 1) + 1
        messages += [message(seq), message(seq + missing + 1)]
        proofs.append(len(messages) - 1)
        messages += [PEER.order(seq + number, possdup=True) for number in range(1, missing + 1)]
        # Long enough for the request to be gone before the next gap.
        messages.append(PEER.order(seq + missing + 2, "w" * 60))
        seq += missing + 3
    bench.receive(b"".join(messages))
    await bench.rest()
    offered = [cycle for _, cycle in bench.messages(bench.tx)]
    records = device.poll()

    proved = [ends(bench, messages)[proof] for proof in proofs]
    latencies = [first - last for first, last in zip(offered, proved, strict=True)]
    cocotb.log.info("%s: %s cycles", shape, latencies)
    assert len(set(latencies)) == 1
    assert 0 < latencies[0] <= BUDGET
    # The core's own records say the same.
    requests = [record for record in records if isinstance(record, EventRecord) and record.code is EventCode.REQUEST]
    assert [(record.rule, record.cycle) for record in requests] == [(Rule.R11, cycle) for cycle in proved]
    assert [record.cycle for record in records if isinstance(record, SentRecord)] == offered


@cocotb.test()
@cocotb.parametrize(shape=list(SHAPES))
@pytest.mark.rule("R8")
async def delivery(dut: Any, shape: str) -> None:
    """From the last byte of a message in order to its first byte delivered: within the budget, and always the same."""
    bench = await Bench.start(dut)
    device = await connect(bench, PEER)
    messages = [SHAPES[shape](seq) for seq in range(1, 40)]
    bench.receive(b"".join(messages))
    await bench.rest()
    deliveries = bench.messages(bench.deliver)
    records = device.poll()

    taken = ends(bench, messages)
    latencies = [first - last for (_, first), last in zip(deliveries, taken, strict=True)]
    cocotb.log.info("%s: %s cycles", shape, latencies)
    assert len(set(latencies)) == 1
    assert 0 < latencies[0] <= BUDGET
    assert [data for data, _ in deliveries] == messages
    assert [record.cycle for record in records if isinstance(record, MessageRecord)] == taken
    # A delivery is told when it is decided, its bytes follow.
    told = [record.cycle for record in records if isinstance(record, DeliverRecord)]
    assert all(last <= cycle <= first for last, cycle, (_, first) in zip(taken, told, deliveries, strict=True))


@cocotb.test()
async def throughput(dut: Any) -> None:
    """A byte in every cycle: messages in order, a gap now and then, and the replay behind it."""
    bench = await Bench.start(dut)
    device = await connect(bench, PEER)
    messages: list[bytes] = []
    seq = 1
    for gap in range(10):
        messages += [SHAPES[shape](seq + index) for index, shape in enumerate(("heartbeat", "order", "long"))]
        seq += 3
        missing = gap % (bench.shape.window - 1) + 1
        held = min(3, bench.shape.window - missing)
        messages += [PEER.heartbeat(number) for number in range(seq + missing, seq + missing + held)]
        messages += [PEER.order(number, possdup=True) for number in range(seq, seq + missing)]
        seq += missing + held
    stream = b"".join(messages)
    bench.receive(stream)
    await bench.rest()
    delivered = [record.seq for record in device.poll() if isinstance(record, DeliverRecord)]

    assert delivered == list(range(1, seq))
    assert bench.rx.stalls == 0
    taken = bench.rx.taken
    assert taken == list(range(taken[0], taken[0] + len(stream)))


@cocotb.test()
@pytest.mark.rule("R12")
async def release_of_a_whole_window(dut: Any) -> None:
    """One message releases a whole window: a short message behind it may wait, a few cycles for each one released."""
    bench = await Bench.start(dut)
    device = await connect(bench, PEER)
    held = bench.shape.window - 1
    messages = [PEER.heartbeat(seq) for seq in range(2, 2 + held)] + [PEER.order(1, possdup=True)]
    messages += [PEER.heartbeat(seq) for seq in range(2 + held, 10 + held)]
    bench.receive(b"".join(messages))
    await bench.rest()
    cocotb.log.info("%d released: %d cycles of rx stalled", held, bench.rx.stalls)
    assert bench.rx.stalls <= RELEASE * held
    assert [record.seq for record in device.poll() if isinstance(record, DeliverRecord)] == list(range(1, 10 + held))
