"""Reset at a bad moment: the core begins anew, as if it had just been switched on."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import cocotb
from cocotb.task import bridge

from tag34.device import MessageRecord
from tag34_sim.differential import compare
from tag34_sim.messages import Peer
from tag34_sim.model_device import open_model
from tag34_sim.traffic import scenario
from tests.cocotb.bench import Bench
from tests.cocotb.pin_device import connect, open_device


async def in_a_message(bench: Bench, peer: Peer) -> None:
    """Half a message has arrived, behind one that is being delivered."""
    message = peer.order(2)
    bench.receive(peer.order(1) + message[: len(message) // 2])
    await bench.until(lambda: not bench.rx.busy)


async def in_a_trailer(bench: Bench, peer: Peer) -> None:
    """All but the last byte of a message has arrived."""
    bench.receive(peer.order(1)[:-1])
    await bench.rest()


async def in_a_resend_request(bench: Bench, peer: Peer) -> None:
    """A ResendRequest is leaving, the message that proved the gap is held."""
    bench.receive(peer.order(2))
    await bench.until(lambda: len(bench.tx.beats) > 40)


async def in_a_delivery(bench: Bench, peer: Peer) -> None:
    """Messages and records wait for a host that does not take them."""
    bench.receive(b"".join(peer.order(seq) for seq in (1, 2, 5, 6)))
    await bench.until(lambda: len(bench.deliver.beats) > 10)
    for sink in bench.sinks:
        sink.pause(repeat(True))
    await bench.until(lambda: not bench.rx.busy)


async def in_a_host_message(bench: Bench, peer: Peer) -> None:
    """The composer has the header of a host message and a part of its body, behind one that is leaving."""
    for _ in range(2):
        bench.send(ord("8"), False, 0, b"58=" + b"t" * 100 + b"\x01")
    await bench.until(lambda: len(bench.send_body.taken) > 150)


MOMENTS = [in_a_message, in_a_trailer, in_a_resend_request, in_a_delivery, in_a_host_message]


@cocotb.test()
@cocotb.parametrize(moment=MOMENTS)
async def reset(dut: Any, moment: Any) -> None:
    bench = await Bench.start(dut)
    await connect(bench, Peer())
    await moment(bench, Peer())
    for sink in bench.sinks:
        sink.pause(repeat(False))
    await bench.reset()
    await bench.edge()
    assert not any(sink.offered for sink in bench.sinks)
    assert not bench.dut.read_data.value
    device = await open_device(bench)

    def run() -> None:
        model = open_model("", **bench.sizes)
        assert device.state(0) == model.state(0)
        difference = compare(model, device, scenario(bench.rng, messages=30, **bench.sizes))
        assert difference is None, f"left is the model, right the core\n{difference}"

    await bridge(run)()


@cocotb.test()
async def held_numbers_are_forgotten(dut: Any) -> None:
    """A number that was held before the reset is not held after it."""
    peer = Peer()
    bench = await Bench.start(dut)
    for _ in range(2):
        device = await connect(bench, peer)
        bench.receive(peer.order(2) + peer.order(3))
        await bench.rest()
        rules = [record.rule.id for record in device.poll() if isinstance(record, MessageRecord)]
        assert rules == ["R10", "R10"]
        await bench.reset()
