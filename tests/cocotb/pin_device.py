"""The pins as a :class:`~tag34.device.Device`: the host code of ``sim:`` on a core that cocotb drives."""

from __future__ import annotations

import random
from typing import Any

from cocotb.task import bridge, resume

from tag34.contract import Phase
from tag34.records import Message
from tag34_sim.messages import Peer
from tag34_sim.sim_device import SimDevice
from tests.cocotb.bench import Bench, pauses


class PinCore:
    """A :class:`~tag34_sim.sim_device.SimulatedCore` on the pins.

    Methods that let cycles pass (``write``, ``read``, ``run``, ``reset``) may be called from a
    :func:`cocotb.task.bridge` only.
    """

    def __init__(self, bench: Bench):
        self._bench = bench
        self.write, self.read, self.run = resume(bench.write), resume(bench.read), resume(bench.run)
        self.reset = resume(bench.reset)

    @property
    def cycles(self) -> int:
        """Cycles since the reset."""
        return self._bench.cycle

    def receive(self, session: int, data: bytes) -> None:
        """Queue bytes for rx."""
        self._bench.receive(data)

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        """Queue a message for the composer."""
        self._bench.send(msg_type, replay, seq_bcd, body)

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Raw records, delivered messages and sent messages since the last call."""
        bench = self._bench
        # Each beat has been checked to name session 0.
        deliveries, sent = (
            [(0, data) for data, _ in bench.messages(sink, take=True)] for sink in (bench.deliver, bench.tx)
        )
        return bench.raw_records(), deliveries, sent

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """Let inputs pause and outputs not be ready, at random by ``seed``."""
        rng, bench = random.Random(seed), self._bench
        for ports, share in ((bench.sources, inputs), (bench.sinks, outputs)):
            for port in ports:
                port.pause(pauses(random.Random(rng.random()), share))

    def close(self) -> None:
        """Nothing to give back."""


async def open_device(bench: Bench) -> SimDevice:
    """The core as a device. All but its ``poll`` may be called from a :func:`cocotb.task.bridge` only."""

    def opened() -> SimDevice:
        return SimDevice(PinCore(bench), "gateware, driven by cocotb")

    device: SimDevice = await bridge(opened)()
    return device


async def connect(
    bench: Bench,
    peer: Peer,
    *,
    expected: int = 1,
    phase: Phase = Phase.ACTIVE,
    may_request: bool = True,
    **options: Any,
) -> SimDevice:
    """The core as a device, its session 0 configured for ``peer`` (``options`` as in its config) and connected."""
    device = await open_device(bench)

    def connected() -> None:
        device.configure(0, peer.config(**options))
        device.set_expected(0, expected)
        device.connect(0, phase=phase, may_request=may_request)

    await bridge(connected)()
    return device
