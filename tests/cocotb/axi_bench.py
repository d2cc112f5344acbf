"""The core's AXI ports with the other side of each bus: sources and sinks of cocotbext-axi, a manager for registers."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from tag34.contract import RECORD_BYTES, REGISTERS
from tag34.contract.axi import RECORD_BEAT_BITS, SEND_FIELDS
from tag34.records import SEVERAL, Message
from tag34_sim.sim_device import SimDevice
from tests.cocotb.bench import RESET_CYCLES, REST_CYCLES, pauses, shape

PERIOD = 8
#: Cycles for which the core must say that it is idle, one after the other, to be believed.
IDLE_CYCLES = 8
OKAY, SLVERR = 0, 2
#: Outputs that have to stay as they are while nobody takes them: VALID, READY, and what goes with them.
OFFERS = {
    "m_axis_deliver_t": ("data", "keep", "last", "id"),
    "m_axis_tx_t": ("data", "keep", "last", "id"),
    "m_axis_records_t": ("data", "last"),
    "s_axi_b": ("resp",),
    "s_axi_r": ("data", "resp"),
}


class AxiBench:
    """The core with all its buses. Made by :meth:`start`.

    Members: ``rx``, ``send``: sources; ``deliver``, ``tx``, ``records``: sinks; ``registers``: the manager;
    ``rng``: random numbers of this test.
    """

    def __init__(self, dut: Any):
        self.dut = dut
        self.shape = shape()
        self.rng = random.Random(cocotb.RANDOM_SEED)
        reset = (dut.aclk, dut.aresetn, False)
        self.rx, self.send = (
            AxiStreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{name}"), *reset) for name in ("rx", "send")
        )
        self.deliver, self.tx, self.records = (
            AxiStreamSink(AxiStreamBus.from_prefix(dut, f"m_axis_{name}"), *reset)
            for name in ("deliver", "tx", "records")
        )
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), *reset)
        writes, reads = self.registers.write_if, self.registers.read_if
        self.inputs = [self.rx, self.send, writes.aw_channel, writes.w_channel, reads.ar_channel]
        self.outputs = [self.deliver, self.tx, self.records, writes.b_channel, reads.r_channel]
        for port in (*self.inputs, *self.outputs):
            port.log.setLevel("WARNING")
        self._edge = RisingEdge(dut.aclk)
        self._failure: str | None = None

    @property
    def sizes(self) -> dict[str, Any]:
        """The core's sizes, as models and traffic take them."""
        shape = self.shape
        return {"sessions": shape.sessions, "window": shape.window, "max_message": shape.max_message}

    @classmethod
    async def start(cls, dut: Any, *, stalls: float = 0) -> AxiBench:
        """Start the clock and reset the core. ``stalls``: share of the cycles in which each channel pauses."""
        dut.aresetn.value = 0
        bench = cls(dut)
        Clock(dut.aclk, PERIOD, unit="ns").start()
        await bench.reset()
        cocotb.start_soon(bench._watch())
        if stalls:
            bench.stall(bench.rng.getrandbits(32), stalls, stalls)
        return bench

    async def reset(self) -> None:
        """Reset the core; whatever was under way is lost."""
        self.dut.aresetn.value = 0
        await self.edge(RESET_CYCLES)
        self.dut.aresetn.value = 1
        await self.edge()

    def stall(self, seed: int, inputs: float, outputs: float) -> None:
        """Let channels pause at random, each by its own dice."""
        rng = random.Random(seed)
        for ports, share in ((self.inputs, inputs), (self.outputs, outputs)):
            for port in ports:
                port.clear_pause_generator()
                port.pause = False
                if share:
                    port.set_pause_generator(pauses(random.Random(rng.random()), share))

    async def edge(self, count: int = 1) -> None:
        """Let clock edges pass."""
        for _ in range(count):
            await self._edge
        assert self._failure is None, self._failure

    async def run(self, limit: int) -> bool:
        """Run until everything was taken and the core rests; False if ``limit`` cycles were not enough."""
        quiet = 0
        for _ in range(limit):
            await self.edge()
            rests = self.rx.idle() and self.send.idle() and self.dut.idle.value
            quiet = quiet + 1 if rests else 0
            if quiet == IDLE_CYCLES:
                return True
        return False

    async def rest(self) -> None:
        """Run until everything was taken and the core rests."""
        assert await self.run(REST_CYCLES), "the core did not come to rest"

    async def _watch(self) -> None:
        """What is offered stays, unchanged, until it is taken (AXI's rule of VALID)."""
        dut, edge = self.dut, self._edge
        pins = [
            (name, dut[f"{name}valid"], dut[f"{name}ready"], [dut[name + part] for part in parts])
            for name, parts in OFFERS.items()
        ]
        before: dict[str, list[int]] = {}
        while True:
            await edge
            if not dut.aresetn.value:
                before.clear()
                continue
            for name, valid, ready, payload in pins:
                now = [int(pin.value) for pin in payload] if valid.value and (name in before or not ready.value) else []
                if name in before and (not valid.value or now != before[name]):
                    self._failure = f"{name}: {before[name]} was offered, then {now}, at {get_sim_time('ns')} ns"
                if valid.value and not ready.value:
                    before[name] = now
                else:
                    before.pop(name, None)

    # Streams.

    def receive(self, session: int, data: bytes) -> None:
        """Queue bytes for rx."""
        if data:
            self.rx.send_nowait(AxiStreamFrame(data, tid=session))

    def compose(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        """Queue a message for the composer."""
        fields = {"session": session, "msg_type": msg_type, "replay": int(replay), "seq": seq_bcd, "reserved": 0}
        header = b"".join(fields[name].to_bytes(size, "little") for name, size in SEND_FIELDS)
        self.send.send_nowait(AxiStreamFrame(header + body))

    def messages(self, sink: Any) -> list[Message]:
        """The whole messages that a stream brought since the last call."""
        found = []
        while not sink.empty():
            frame = sink.recv_nowait(compact=False)
            data = bytes(byte for byte, keep in zip(frame.tdata, frame.tkeep, strict=True) if keep)
            sessions = {session for session, keep in zip(frame.tid, frame.tkeep, strict=True) if keep}
            found.append((sessions.pop() if len(sessions) == 1 else SEVERAL, data))
        return found

    def raw_records(self) -> bytes:
        """The records since the last call."""
        raw = b""
        while not self.records.empty():
            data = bytes(self.records.recv_nowait(compact=False).tdata)
            assert len(data) == RECORD_BEAT_BITS // 8
            assert not any(data[RECORD_BYTES:])
            raw += data[:RECORD_BYTES]
        return raw

    # Registers.

    async def write(self, address: int, value: int) -> None:
        """Write a register."""
        answer = await self.registers.write(4 * address, value.to_bytes(4, "little"))
        assert answer.resp == OKAY, f"register {address}: {answer.resp}"

    async def read(self, address: int) -> int:
        """Read a register."""
        answer = await self.registers.read(4 * address, 4)
        assert answer.resp == OKAY, f"register {address}: {answer.resp}"
        return int.from_bytes(answer.data, "little")

    async def write_register(self, name: str, value: int) -> None:
        """Write the register of this name."""
        await self.write(REGISTERS[name].address, value)

    async def read_register(self, name: str) -> int:
        """Read the register of this name."""
        return await self.read(REGISTERS[name].address)


class AxiPinCore:
    """A :class:`~tag34_sim.sim_device.SimulatedCore` behind AXI.

    Methods that let cycles pass (``write``, ``read``, ``run``, ``reset``) may be called from a
    :func:`cocotb.task.bridge` only.
    """

    def __init__(self, bench: AxiBench):
        self._bench = bench
        self.write, self.read, self.run = resume(bench.write), resume(bench.read), resume(bench.run)
        self.reset = resume(bench.reset)
        self.receive, self.send, self.stalls = bench.receive, bench.compose, bench.stall

    @property
    def cycles(self) -> int:
        """Cycles since the start."""
        return int(get_sim_time("ns")) // PERIOD

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Raw records, delivered messages and sent messages since the last call."""
        bench = self._bench
        return bench.raw_records(), bench.messages(bench.deliver), bench.messages(bench.tx)

    def close(self) -> None:
        """Nothing to give back."""


async def open_device(bench: AxiBench) -> SimDevice:
    """The core as a device. All but its ``poll`` may be called from a :func:`cocotb.task.bridge` only."""

    def opened() -> SimDevice:
        return SimDevice(AxiPinCore(bench), "gateware, driven by cocotbext-axi")

    device: SimDevice = await bridge(opened)()
    return device
