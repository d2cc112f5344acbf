"""A host that is slow, for long: input is held back and nothing is lost (R16)."""

from __future__ import annotations

import random
from itertools import repeat
from typing import Any

import cocotb
import pytest
from cocotb.task import bridge

from tag34.contract import Command, Phase
from tag34.device import MessageRecord, SentRecord
from tag34_sim.differential import comparable
from tag34_sim.messages import Peer, damaged_checksum
from tag34_sim.model_device import open_model
from tests.cocotb.bench import Bench
from tests.cocotb.pin_device import connect

#: Cycles without a byte taken, after which the core is believed to hold its input back.
QUIET = 1500


async def held_back(bench: Bench) -> None:
    """Wait until the core has not taken a byte for long."""
    last = -1
    while last != len(bench.rx.taken):
        last = len(bench.rx.taken)
        await bench.edge(QUIET)


def losses(rng: random.Random, peer: Peer, rounds: int, window: int) -> bytes:
    """Messages in order, a gap, the message that proves it, the replay: over and over."""
    out, seq = b"", 1
    for _ in range(rounds):
        for _ in range(rng.randint(1, 4)):
            out += peer.order(seq, "t" * rng.randint(1, 40))
            seq += 1
        missing = rng.randint(1, min(3, window - 1))
        out += peer.order(seq + missing) + damaged_checksum(peer.order(seq + missing + 1))
        out += b"".join(peer.order(number, possdup=True) for number in range(seq, seq + missing))
        seq += missing + 1
    return out


@cocotb.test()
@cocotb.parametrize(stalled=["tx", "deliver", "records", "tx deliver records"])
@pytest.mark.rule("R16")
async def long_stall(dut: Any, stalled: str) -> None:
    """Streams stop in the middle of the traffic and go on much later: all is as if they had not."""
    bench = await Bench.start(dut)
    peer = Peer()
    device = await connect(bench, peer)
    # More than all slots can take, for the deliveries that wait.
    stream = losses(bench.rng, peer, 8 + bench.shape.slots // 3, bench.shape.window)
    bench.receive(stream)
    await bench.until(lambda: len(bench.rx.taken) > 1000)

    sinks = [getattr(bench, name) for name in stalled.split()]
    for sink in sinks:
        sink.pause(repeat(True))
    await held_back(bench)
    assert bench.rx.offering
    assert not dut.rx__ready.value
    assert any(sink.offered for sink in sinks)
    for sink in sinks:
        sink.pause(repeat(False))
    await bench.rest()

    model = open_model("", **bench.sizes)
    model.configure(0, peer.config())
    model.connect(0, phase=Phase.ACTIVE)
    model.receive(0, stream)
    assert comparable(device.poll()) == comparable(model.poll())


@cocotb.test()
async def no_output_needed(dut: Any) -> None:
    """`valid` does not wait for `ready`: a host that takes nothing at all is offered everything."""
    bench = await Bench.start(dut)
    peer = Peer()
    await connect(bench, peer)
    for sink in bench.sinks:
        sink.pause(repeat(True))
    bench.receive(peer.order(1) + peer.order(3))
    await bench.until(lambda: not bench.rx.busy)
    await bench.until(lambda: all(sink.offered for sink in bench.sinks), limit=10)
    assert not any(sink.beats for sink in bench.sinks)


@cocotb.test()
@pytest.mark.rule("S3")
async def request_goes_first(dut: Any) -> None:
    """A ResendRequest waits for the message that is leaving, and goes ahead of those that wait (S3)."""
    bench = await Bench.start(dut)
    peer = Peer()
    device = await connect(bench, peer)
    bench.tx.pause(repeat(True))
    for msg_type in "08D":
        bench.send(ord(msg_type), False, 0, b"58=" + b"t" * 20 + b"\x01")
    await bench.until(lambda: bench.tx.offered)
    bench.receive(peer.order(2))
    await bench.until(lambda: not bench.rx.busy)
    await bench.edge(50)
    bench.tx.pause(repeat(False))
    await bench.rest()
    sent = [record for record in device.poll() if isinstance(record, SentRecord)]
    assert [(record.seq, record.msg_type, record.device) for record in sent] == [
        (1, "0", False),
        (2, "2", True),
        (3, "8", False),
        (4, "D", False),
    ]


@cocotb.test()
async def command_waits(dut: Any) -> None:
    """A command acts between two messages: STATUS shows it as waiting while one cannot be finished."""
    bench = await Bench.start(dut)
    peer = Peer()
    device = await connect(bench, peer)
    bench.records.pause(repeat(True))
    bench.receive(b"".join(peer.order(seq) for seq in range(1, 30)))
    await held_back(bench)
    await bench.write_register("COMMAND", Command.DISCONNECT)
    await bench.edge(QUIET)
    assert await bench.read_register("STATUS") == 0b10
    bench.records.pause(repeat(False))
    await bench.rest()
    assert await bench.read_register("STATUS") == 0b01
    assert (await bridge(device.state)(0)).phase is Phase.CLOSED
    # What was judged before the command was delivered, the rest was ignored: together they are all.
    rules = [record.rule.id for record in device.poll() if isinstance(record, MessageRecord)]
    assert rules == ["R8"] * rules.count("R8") + ["R1"] * rules.count("R1")
    assert len(rules) == 29
    assert rules.count("R8") >= 5
