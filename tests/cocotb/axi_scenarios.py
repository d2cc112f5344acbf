"""Sessions over AXI: what a design with the core in it sees of it."""

from __future__ import annotations

from typing import Any

import cocotb
import pytest
from cocotb.task import bridge
from cocotbext.axi import AxiStreamFrame

from tag34.contract import CONTRACT_VERSION, DEVICE_ID, REGISTERS, Phase
from tag34.device import DeliverRecord, MessageRecord, SentRecord
from tag34_sim.differential import compare
from tag34_sim.golden.composer import compose
from tag34_sim.messages import Peer, encode
from tag34_sim.model_device import open_model
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import scenario
from tests.cocotb.axi_bench import OKAY, SLVERR, AxiBench, open_device

#: Pieces of traffic of one scenario.
PIECES = 25


async def connect(bench: AxiBench, peer: Peer, session: int = 0) -> SimDevice:
    """The core as a device, with an ACTIVE session for ``peer``."""
    device = await open_device(bench)

    def connected() -> None:
        device.configure(session, peer.config())
        device.connect(session, phase=Phase.ACTIVE)

    await bridge(connected)()
    device.poll()
    return device


@cocotb.test()
@cocotb.parametrize(stalls=[0.0, 0.4])
@pytest.mark.rule("R12", "R16", "R17")
async def as_the_model(dut: Any, stalls: float) -> None:
    """All that a host can do, and all that a peer may send: records, deliveries, sent bytes, state and counters."""
    bench = await AxiBench.start(dut, stalls=stalls)
    device = await open_device(bench)
    model = open_model("", **bench.sizes)

    def run() -> None:
        difference = compare(model, device, scenario(bench.rng, messages=PIECES, **bench.sizes))
        assert difference is None, f"left is the model, right the core\n{difference}"
        for session in range(bench.shape.sessions):
            assert device.counters(session) == model.counters(session)

    await bridge(run)()


@cocotb.test()
@pytest.mark.rule("R10", "R11", "R12")
async def gap(dut: Any) -> None:
    """A message is missing: the ResendRequest leaves, the message comes again, all are delivered in order."""
    bench = await AxiBench.start(dut, stalls=0.3)
    peer, session = Peer(), bench.shape.sessions - 1
    device = await connect(bench, peer, session)
    bench.receive(session, peer.order(1) + peer.order(3) + peer.order(4))
    await bench.rest()
    records = device.poll()
    [request] = [record for record in records if isinstance(record, SentRecord)]
    assert (request.session, request.msg_type, request.seq, request.device) == (session, "2", 1, True)
    assert request.data == compose(peer.config(), "2", 1, 0, encode([(7, 2), (16, 0)]))
    assert [record.seq for record in records if isinstance(record, DeliverRecord)] == [1]
    bench.receive(session, peer.order(2, possdup=True))
    await bench.rest()
    delivered = [record for record in device.poll() if isinstance(record, DeliverRecord)]
    wanted = [peer.order(2, possdup=True), peer.order(3), peer.order(4)]
    assert [(record.session, record.data) for record in delivered] == [(session, data) for data in wanted]


@cocotb.test()
@pytest.mark.rule("S1", "S2")
async def packets_to_send(dut: Any) -> None:
    """Messages of a packet each; one ends without bytes, one within its header, one is of no session."""
    bench = await AxiBench.start(dut, stalls=0.3)
    peer = Peer()
    device = await connect(bench, peer)
    bench.compose(0, ord("0"), False, 0, b"")
    body = b"58=" + b"t" * 37 + b"\x01"
    bench.send.send_nowait(AxiStreamFrame(b"\x44\0\0"))
    bench.compose(bench.shape.sessions, ord("D"), False, 0, body)
    bench.compose(0, ord("8"), False, 0, body)
    header = ord("D").to_bytes(16, "little")
    empty = bench.shape.width  # a beat without bytes behind a full one
    padded = body + b"58=" + b"u" * (-(len(body) + 4) % empty) + b"\x01"
    keep = [1] * (16 + len(padded)) + [0] * empty
    bench.send.send_nowait(AxiStreamFrame(header + padded + bytes(empty), tkeep=keep))
    await bench.rest()
    sent = [record for record in device.poll() if isinstance(record, SentRecord)]
    wanted = [("0", b""), ("8", body), ("D", padded)]
    assert [record.data for record in sent] == [
        compose(peer.config(), msg_type, seq, 0, fields) for seq, (msg_type, fields) in enumerate(wanted, 1)
    ]


@cocotb.test()
async def holes(dut: Any) -> None:
    """Beats without bytes and of no session are as if they were not there; a hole makes a message garbled, and the next
    one is judged as if nothing had happened."""
    bench = await AxiBench.start(dut)
    peer, width, sessions = Peer(), bench.shape.width, bench.shape.sessions
    device = await connect(bench, peer)
    first, second = peer.order(1), peer.order(2)
    bench.receive(0, first[:16])
    bench.rx.send_nowait(AxiStreamFrame(b"8=FIX" * 8, tkeep=[0] * 40, tid=0))
    if sessions < 1 << bench.shape.session_bits:
        bench.receive(sessions, peer.order(7))
    bench.receive(0, first[16:])
    if width > 1:
        bench.rx.send_nowait(AxiStreamFrame(second, tkeep=[i != 41 for i in range(len(second))], tid=0))
    bench.receive(0, second)
    await bench.rest()
    records = device.poll()
    judged = [(record.rule.id, record.seq) for record in records if isinstance(record, MessageRecord)]
    garbled = [("F3", None)] if width > 1 else []
    assert judged == [("R8", 1), *garbled, ("R8", 2)]
    assert [record.data for record in records if isinstance(record, DeliverRecord)] == [first, second]


@cocotb.test()
async def registers(dut: Any) -> None:
    """Answers, errors that write nothing, and reads and writes that are under way at once."""
    bench = await AxiBench.start(dut, stalls=0.3)
    await bench.rest()
    bus = bench.registers
    assert await bench.read_register("ID") == DEVICE_ID
    assert await bench.read_register("VERSION") == CONTRACT_VERSION
    assert await bench.read_register("WIDTH") == bench.shape.width
    at = 4 * REGISTERS["NUMBER_LO"].address
    await bench.write_register("NUMBER_LO", 0x12345678)
    for begin, size in ((0, 1), (1, 3), (2, 2), (3, 1), (0, 3)):
        assert (await bus.write(at + begin, b"\xff" * size)).resp == SLVERR
    assert await bench.read_register("NUMBER_LO") == 0x12345678
    for address in (4 * len(REGISTERS), 0x400 + at, 0xFFC):
        assert (await bus.write(address, b"\xff" * 4)).resp == SLVERR
        answer = await bus.read(address, 4)
        assert (answer.resp, answer.data) == (SLVERR, bytes(4))
    assert (await bus.write(4 * REGISTERS["ID"].address, bytes(4))).resp == SLVERR
    assert await bench.read_register("NUMBER_LO") == 0x12345678

    async def writes() -> None:
        for value in range(40):
            answer = await bus.write(at, value.to_bytes(4, "little"))
            assert answer.resp == OKAY

    async def reads() -> list[int]:
        return [await bench.read_register("NUMBER_LO") for _ in range(40)]

    writing, reading = cocotb.start_soon(writes()), cocotb.start_soon(reads())
    seen = await reading
    await writing
    assert seen[0] in (0x12345678, *range(40))
    later = [value for value in seen if value != 0x12345678]
    assert later == sorted(later)
    assert len(set(later)) > 10, "they do not run side by side"
    assert await bench.read_register("NUMBER_LO") == 39


@cocotb.test()
async def reset(dut: Any) -> None:
    """Reset in the middle of everything: nothing is offered, and the core is as new."""
    bench = await AxiBench.start(dut)
    peer = Peer()
    await connect(bench, peer)
    for port in bench.outputs[:3]:
        port.pause = True
    bench.receive(0, peer.order(1) + peer.order(3) + peer.order(4)[:30])
    bench.compose(0, ord("8"), False, 0, b"58=x\x01")
    await bench.edge(400)
    assert all(dut[f"m_axis_{name}_tvalid"].value for name in ("deliver", "tx", "records"))
    await bench.reset()
    offers = [f"m_axis_{name}_tvalid" for name in ("deliver", "tx", "records")] + ["s_axi_bvalid", "s_axi_rvalid"]
    assert not any(dut[name].value for name in offers)
    for port in bench.outputs[:3]:
        port.pause = False
        port.clear()
    device = await connect(bench, peer)
    bench.receive(0, peer.order(1))
    await bench.rest()
    assert [record.data for record in device.poll() if isinstance(record, DeliverRecord)] == [peer.order(1)]
