"""The core in Amaranth's own simulator: nothing is compiled, a few thousand cycles take a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from amaranth import ClockDomain, Module
from amaranth.lib import data
from amaranth.sim import Simulator

from tag34.contract import RECORD_BYTES
from tag34.records import SEVERAL, Message
from tag34_hdl.core import Core
from tag34_hdl.layouts import Shape

#: Seconds of simulated time per cycle. The simulator wants one; nothing depends on it.
PERIOD = 1e-6


class Dice:
    """Random pauses, the same as those of the compiled core's harness for the same seed (xorshift64).

    Parameters: ``seed``.
    """

    def __init__(self, seed: int):
        self._state = (seed * 2654435769 + 88172645463325252) & (1 << 64) - 1

    def chance(self, of256: int) -> bool:
        """True in ``of256`` of 256 cases."""
        if not of256:
            return False
        x = self._state
        x ^= x << 13 & (1 << 64) - 1
        x ^= x >> 7
        x ^= x << 17 & (1 << 64) - 1
        self._state = x
        return (x >> 24 & 255) < of256


class Pin:
    """An input of the core that is set when it changes: each setting makes the simulator settle anew.

    Parameters: ``signal``.
    """

    def __init__(self, signal: Any):
        self._signal = signal
        self._value = 0

    def set(self, ctx: Any, value: int) -> None:
        """Show ``value``."""
        if value != self._value:
            ctx.set(self._signal, value)
            self._value = value


class Outbound:
    """An input stream of the core: payloads wait in a queue, one is offered until it is taken, whatever the dice say.

    Parameters: ``stream``, the core's port.
    """

    def __init__(self, stream: Any):
        self.ready = stream.ready
        self.waiting: deque[int] = deque()
        self.offered = False
        self._payload, self._valid = Pin(stream.p.as_value()), Pin(stream.valid)

    def clear(self) -> None:
        """Nothing waits any more."""
        self.waiting.clear()
        self.offered = False

    def pause(self, ctx: Any) -> None:
        """Offer nothing behind an edge."""
        self._valid.set(ctx, 0)

    def offer(self, ctx: Any, dice: Dice, pause: int) -> None:
        """Behind an edge."""
        if not self.offered and self.waiting and not dice.chance(pause):
            self.offered = True
            self._payload.set(ctx, self.waiting[0])
        self._valid.set(ctx, int(self.offered))

    def taken(self, ready: int) -> None:
        """In the same cycle; ``ready`` as the core answers."""
        if self.offered and ready:
            self.waiting.popleft()
            self.offered = False


class Messages:
    """Messages that came out of a port of beats, byte by byte.

    Parameters: ``beat``, the layout.
    """

    def __init__(self, beat: data.StructLayout):
        self._beat = beat
        self._unfinished = bytearray()
        self._sessions: set[int] = set()  # that the beats of the unfinished one name
        self._whole: list[Message] = []

    def collect(self, payload: int) -> None:
        """One beat."""
        beat = self._beat.from_bits(payload)
        self._unfinished += beat["data"].to_bytes(8, "little")[: beat["count"]]
        self._sessions.add(beat["session"])
        if beat["last"]:
            session = self._sessions.pop() if len(self._sessions) == 1 else SEVERAL
            self._whole.append((session, bytes(self._unfinished)))
            self._unfinished.clear()
            self._sessions.clear()

    def take(self) -> list[Message]:
        """What is whole; an unfinished message stays."""
        whole, self._whole = self._whole, []
        return whole

    def clear(self) -> None:
        """Forget all of them, an unfinished one as well."""
        self._whole.clear()
        self._unfinished.clear()
        self._sessions.clear()


class AmaranthCore:
    """The core, simulated by Amaranth, cycle for cycle as :class:`~tag34_sim.verilator.VerilatedCore` runs it.

    One object, one core. The simulation moves while :meth:`write`, :meth:`read` or :meth:`run` is called.

    Parameters: ``shape``.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        self.cycles = 0
        self._core = core = Core(shape)
        self._rx, self._header, self._body = (Outbound(s) for s in (core.rx, core.send_header, core.send_body))
        self._deliver, self._tx = Messages(shape.beat), Messages(shape.beat)
        self._records = bytearray()
        self._dice = Dice(0)
        self._pause_in = self._pause_out = 0
        self._bus = {"address": 0, "write": 0, "write_data": 0, "read": 0}
        self._read_data = 0
        self._ready = True
        self._idle = False
        self._resetting = False
        m = Module()
        m.domains.sync = self._domain = ClockDomain()
        m.submodules.core = core
        self._simulator = Simulator(m)
        self._simulator.add_clock(PERIOD)
        self._simulator.add_testbench(self._drive, background=True)

    def reset(self) -> None:
        """Reset the core; what was queued or not taken yet is lost."""
        for port in (self._rx, self._header, self._body):
            port.clear()
        self._resetting = True
        self._step()
        self._resetting = False
        self._step()
        for messages in (self._deliver, self._tx):
            messages.clear()
        self._records.clear()

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """Let inputs pause and outputs not be ready, at random by ``seed``; shares of the cycles, 0 to 0.95."""
        self._dice = Dice(seed)
        self._pause_in, self._pause_out = int(inputs * 256), int(outputs * 256)

    def receive(self, session: int, data: bytes) -> None:
        """Queue bytes for rx."""
        self._rx.waiting.extend(self._beats(session, data, mark_last=False))

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        """Queue a message for the composer."""
        header = {"session": session, "msg_type": msg_type, "replay": replay, "seq": seq_bcd, "body": bool(body)}
        self._header.waiting.append(self.shape.send_header.const(header).as_bits())
        self._body.waiting.extend(self._beats(session, body, mark_last=True))

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        self._bus.update(address=address, write=1, write_data=value & 0xFFFFFFFF)
        self._step()
        self._bus.update(write=0)
        self._step()
        self._access()

    def read(self, address: int) -> int:
        """Read a register."""
        self._bus.update(address=address, read=1)
        self._step()
        self._bus.update(read=0)
        self._step()
        self._step()
        self._access()
        return self._read_data

    def _access(self) -> None:
        """Until the last access to a register is over: a compact core takes its time."""
        while not self._ready:
            self._step()

    def run(self, limit: int) -> bool:
        """Run until all is at rest; False if ``limit`` cycles were not enough."""
        for _ in range(limit):
            if self._idle and not (self._rx.waiting or self._header.waiting or self._body.waiting):
                return True
            self._step()
        return False

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Records (RECORD_BYTES each), delivered messages and sent messages since the last call."""
        records = bytes(self._records)
        self._records.clear()
        return records, self._deliver.take(), self._tx.take()

    def close(self) -> None:
        """There is nothing to give back."""

    def _beats(self, session: int, data: bytes, *, mark_last: bool) -> Iterator[int]:
        width, layout = self.shape.width, self.shape.beat
        for at in range(0, len(data), width):
            part = data[at : at + width]
            beat = {
                "data": int.from_bytes(part, "little"),
                "count": len(part),
                "session": session,
                "last": mark_last and at + width >= len(data),
            }
            yield layout.const(beat).as_bits()

    def _step(self) -> None:
        """One cycle: the clock rises, :meth:`_drive` offers and collects."""
        self._simulator.advance()
        self._simulator.advance()
        self.cycles += 1

    async def _drive(self, ctx: Any) -> None:
        core = self._core
        inputs = (self._rx, self._body, self._header)
        outputs = (core.deliver, core.tx, core.records)
        takers = (self._deliver.collect, self._tx.collect, self._collect_record)
        readies = [Pin(port.ready) for port in outputs]
        bus = {name: Pin(getattr(core, name)) for name in self._bus}
        reset = Pin(self._domain.rst)
        resets = False
        while True:
            await ctx.tick()
            before, resets = resets, self._resetting
            reset.set(ctx, int(resets))
            if resets or before:
                # Nothing is offered or taken, and the dice rest.
                for port in inputs:
                    port.pause(ctx)
            else:
                for port in inputs:
                    port.offer(ctx, self._dice, self._pause_in)
                ready = [not self._dice.chance(self._pause_out) for _ in outputs]
                for pin, value in zip(readies, ready, strict=True):
                    pin.set(ctx, int(value))
                for name, word in self._bus.items():
                    bus[name].set(ctx, word)

                for port in inputs:
                    port.taken(ctx.get(port.ready))
                for take, stream, taken in zip(takers, outputs, ready, strict=True):
                    if taken and ctx.get(stream.valid):
                        take(ctx.get(stream.p.as_value()))
            self._idle = bool(ctx.get(core.idle))
            self._read_data = ctx.get(core.read_data)
            self._ready = bool(ctx.get(core.ready))
            await ctx.delay(PERIOD / 2)

    def _collect_record(self, payload: int) -> None:
        self._records += payload.to_bytes(RECORD_BYTES, "little")
