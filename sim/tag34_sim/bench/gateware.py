"""The gateware, measured in cycles: what it takes per cycle, how long a ResendRequest takes, how fast it simulates."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from tag34.contract import EventCode, Phase
from tag34.device import DeliverRecord, DeviceError, EventRecord, SentRecord
from tag34_hdl.layouts import Shape

from ..sim_device import SimDevice
from ..verilator import Counts, VerilatedCore
from .streams import FIRST, PEER, Gap, Stream

#: Gaps that go in at a time.
_BATCH = 200


@dataclass(frozen=True)
class Flow:
    """A stream at the device's pins.

    Members: ``size``, its bytes; ``cycles`` from the first beat taken to the last one, both included; ``stalls`` of
    these in which a beat was offered and not taken; ``out_stalls``, cycles in which the device offered something that
    was not taken; ``delivered``, messages.
    """

    size: int
    cycles: int
    stalls: int
    out_stalls: int
    delivered: int

    @property
    def bytes_per_cycle(self) -> float:
        """Throughput."""
        return self.size / self.cycles


class Gateware:
    """A simulated device of the default size, compiled; one session of it is used. Close it.

    Parameters: ``width``, ``sessions`` of the device. Raises ValueError if there is no such device, BuildError if
    nothing can be compiled here.
    """

    def __init__(self, width: int, sessions: int = 1) -> None:
        self.shape = Shape(width=width, sessions=sessions)
        self._core = VerilatedCore(self.shape)
        self.device = SimDevice(self._core)
        self.device.configure(0, PEER.config())

    def close(self) -> None:
        """Give it back."""
        self.device.close()

    def flow(self, stream: Stream, *, outputs: float = 0.0, seed: int = 34) -> Flow:
        """Let a stream through, back to back.

        Parameters: ``outputs``: share of the cycles in which the outputs are not ready, at random by ``seed``.

        Raises DeviceError if not every message is delivered, once and in order, as it should be.
        """
        self._connect()
        self.device.stalls(seed, 0.0, outputs)
        counts = self._run([stream.data])
        self.device.stalls(seed, 0.0, 0.0)
        records = self.device.poll()
        delivered = sum(isinstance(record, DeliverRecord) for record in records)
        if self.device.state(0).expected != stream.highest + 1:
            raise DeviceError(f"{stream.name}: the device expects {self.device.state(0).expected} after all of it")
        return Flow(
            size=len(stream.data),
            cycles=counts.rx_last - counts.rx_first + 1,
            stalls=counts.rx_stalls,
            out_stalls=counts.deliver_stalls + counts.tx_stalls + counts.records_stalls,
            delivered=delivered,
        )

    def latencies(self, gaps: Iterable[Gap]) -> list[int]:
        """Cycles from the last byte of the message that proves a gap, taken at rx, to the first byte of the
        ResendRequest, offered at tx: by the device's own counter, one for each gap.

        Raises DeviceError if the requests are not those of the gaps.
        """
        self._connect()
        waiting = deque(gaps)
        count, found = len(waiting), []
        while waiting:
            batch = [waiting.popleft() for _ in range(min(_BATCH, len(waiting)))]
            self._run([gap.proof + gap.missing + gap.rest for gap in batch])
            proved: deque[int] = deque()
            for record in self.device.poll():
                if isinstance(record, EventRecord) and record.code is EventCode.REQUEST:
                    proved.append(record.cycle)
                elif isinstance(record, SentRecord):
                    found.append(record.cycle - proved.popleft())
        if len(found) != count:
            raise DeviceError(f"{len(found)} ResendRequests for {count} gaps")
        return found

    def cycles_per_second(self, stream: Stream) -> tuple[int, float]:
        """Cycles that the stream takes, and the processor's seconds for them: what leaves is not looked at."""
        self._connect()
        data, before = stream.data, self._core.cycles
        started = time.process_time()
        self.device.receive(0, data)
        seconds = time.process_time() - started
        cycles = self._core.cycles - before
        self.device.poll()
        return cycles, seconds

    def _connect(self) -> None:
        self.device.disconnect(0)
        self.device.set_expected(0, FIRST)
        self.device.connect(0, phase=Phase.ACTIVE)
        self.device.poll()

    def _run(self, pieces: Iterable[bytes]) -> Counts:
        self._core.counts()
        self.device.receive_all((0, piece) for piece in pieces)
        return self._core.counts()
