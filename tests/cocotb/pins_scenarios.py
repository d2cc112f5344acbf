"""Whole scenarios at the pins, with stalls on every stream: the core says what the golden model says."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import pytest
from cocotb.task import bridge

from tag34.contract import EventCode, Phase
from tag34.device import EventRecord, SentRecord
from tag34_sim.differential import comparable, compare
from tag34_sim.golden.composer import compose
from tag34_sim.messages import Peer, encode
from tag34_sim.model_device import open_model
from tag34_sim.traffic import MIX, Traffic, scenario
from tests.cocotb.bench import Bench
from tests.cocotb.pin_device import connect, open_device

#: Pieces of traffic of one scenario.
PIECES = 80
#: Traffic that cannot come to a halt: what goes back in its numbers is left out.
STEADY = {kind: weight for kind, weight in MIX.items() if kind not in ("reset", "reset_logon")}


@cocotb.test()
@cocotb.parametrize(stalls=[0.0, 0.5], number=[0, 1])
@pytest.mark.rule("R12", "R16")
async def as_the_model(dut: Any, stalls: float, number: int) -> None:
    """All that a host can do, and all that a peer may send: records, deliveries, sent bytes, state and counters."""
    bench = await Bench.start(dut, stalls=stalls)
    device = await open_device(bench)
    model = open_model("", **bench.sizes)

    def run() -> dict[str, int]:
        before = device.counters(0)  # they go on counting over a reset
        difference = compare(model, device, scenario(bench.rng, messages=PIECES, **bench.sizes))
        assert difference is None, f"left is the model, right the core\n{difference}"
        after = device.counters(0)
        return {rule: after[rule] if rule == "skipped" else after[rule] - before[rule] for rule in after}

    counted = await bridge(run)()
    assert counted == model.counters(0)
    cocotb.log.info("%d cycles, judged by %s", bench.cycle, {rule: count for rule, count in counted.items() if count})


@cocotb.test()
@cocotb.parametrize(stalls=[0.0, 0.4])
@pytest.mark.rule("S1", "S2", "S3", "S4")
async def both_directions_at_once(dut: Any, stalls: float) -> None:
    """Host messages are composed while bytes arrive: neither disturbs the other, and all leave whole (S1 to S4)."""
    bench = await Bench.start(dut, stalls=stalls)
    rng, peer = bench.rng, Peer()
    device = await connect(bench, peer)
    traffic = Traffic(random.Random(rng.random()), peer, mix=STEADY, **bench.sizes)
    stream = b"".join(traffic.next() for _ in range(PIECES))
    bench.receive(stream)

    # One message after the other, some at once, some when bytes have arrived meanwhile.
    messages = [(rng.choice("058D"), encode([(58, "y" * rng.randint(1, 60))]) * rng.randint(0, 1)) for _ in range(25)]
    for msg_type, fields in messages:
        bench.send(ord(msg_type), False, 0, fields)
        if rng.random() < 0.8:
            await bench.edge(rng.randint(1, len(stream) // 20))
    await bench.rest()
    got = device.poll()

    model = open_model("", **bench.sizes)
    config = peer.config()
    model.configure(0, config)
    model.connect(0, phase=Phase.ACTIVE)
    model.receive(0, stream)
    wanted = model.poll()
    assert [r for r in comparable(got) if not isinstance(r, SentRecord)] == [
        r for r in comparable(wanted) if not isinstance(r, SentRecord)
    ]

    sent = [record for record in got if isinstance(record, SentRecord)]
    requests = [
        encode([(7, record.seq or 0), (16, record.number or 0)])
        for record in wanted
        if isinstance(record, EventRecord) and record.code is EventCode.REQUEST
    ]
    assert requests, "traffic without a gap shows nothing here"
    left = {True: [("2", fields) for fields in requests], False: messages}
    for seq, record in enumerate(sent, 1):
        msg_type, fields = left[record.device].pop(0)
        assert (record.seq, record.msg_type, record.replay) == (seq, msg_type, False)
        assert record.data == compose(config, msg_type, seq, 0, fields)
    assert left == {True: [], False: []}
