"""The register bank: the host's view of the core, as :data:`tag34.contract.REGISTERS` lays it out."""

from typing import Any

from amaranth import Cat, Elaboratable, Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34 import contract
from tag34.contract import REGISTERS, Access, Rule

from .layouts import CYCLE, IDENT_BITS, LENGTH, NUMBER, OFFSET, Shape
from .receive.framer import Counts
from .send.clock import Time
from .session.sequencer import Config, SessionState

ADDRESS_BITS = ceil_log2(len(REGISTERS))


class Registers(wiring.Component):
    """32-bit registers on a plain bus.

    Parameters: ``shape``.

    Members:
        address, write, write_data: a write takes one cycle.
        read_data: value of the register at ``address``, two cycles after the address is shown and as long as it is
            (COUNTER: four cycles after its write).
        read: the read strobe; latches the other half of a wide register where the map says so.
        session: what SESSION says. What is shown of a session follows two cycles later.
        config_session, config: configuration of a session, two cycles later; sender_session, ident_lengths, fraction:
            the same for the composer.
        ticks: some are waiting and may be taken, one in two cycles; ticks_come: some are, or have just been written.
        All others: to and from the core.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        super().__init__(
            {
                "address": In(ADDRESS_BITS),
                "write": In(1),
                "write_data": In(32),
                "read": In(1),
                "read_data": Out(32),
                # the core
                "core_idle": In(1),
                "session": Out(shape.session_bits),
                "config_session": In(shape.session_bits),
                "config": Out(Config),
                "sender_session": In(shape.session_bits),
                "fraction": Out(4, init=3),
                "state": In(SessionState),
                "next_out": In(NUMBER),
                "command_valid": Out(1),
                "command": Out(shape.command),
                "command_done": In(1),
                "ticks": Out(1),
                "ticks_come": Out(1),
                "tick": In(1),
                "ticks_drop": In(1),
                "time": In(Time),
                "new_time": Out(Time),
                "time_load": Out(1),
                "time_run": Out(1),
                "ident_write": Out(1),
                "ident_address": Out(shape.ident_bits),
                "ident_data": Out(8),
                "ident_lengths": Out(3 * IDENT_BITS),
                "counted": In(1),
                "counted_rule": In(Rule),
                "counted_session": In(shape.session_bits),
                "counts": In(Counts),
                "cycle": Out(CYCLE),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        data = self.write_data
        address = Signal(ADDRESS_BITS)
        reading = Signal()
        m.d.sync += [address.eq(self.address), reading.eq(self.read)]
        reads: dict[str, Any] = {}

        def written(name: str) -> Value:
            """True in the cycle in which register ``name`` is written."""
            assert REGISTERS[name].access is not Access.RO
            return self.write & (self.address == REGISTERS[name].address)

        def storage(name: str, target: Value, low: int = 0) -> None:
            """A register that keeps ``target``, from bit ``low`` of the word on, and shows it."""
            with m.If(written(name)):
                m.d.sync += target.eq(data[low:])
            reads.setdefault(name, []).append((low, target))

        def wide(name: str, value: Value) -> None:
            """LO shows the low word; reading it latches the rest, which HI shows."""
            high = Signal(len(value) - 32, name=f"{name.lower()}_high")
            with m.If(reading & (address == REGISTERS[f"{name}_LO"].address)):
                m.d.sync += high.eq(value[32:])
            reads[f"{name}_LO"] = value[:32]
            reads[f"{name}_HI"] = high

        m.d.sync += self.cycle.eq(self.cycle + 1)
        for name, constant in (
            ("ID", contract.DEVICE_ID),
            ("VERSION", contract.CONTRACT_VERSION),
            ("WIDTH", shape.width),
            ("SESSIONS", shape.sessions),
            ("WINDOW", shape.window),
            ("MAX_MESSAGE", shape.max_message),
            ("HOLD", shape.hold),
            ("HOLD_LIMIT", shape.hold_limit),
            ("CLOCK_HZ", shape.clock_hz),
        ):
            reads[name] = constant
        reads["STATUS"] = Cat(self.core_idle, self.command_valid)
        # It is that in which the address was shown.
        cycle = Signal.like(self.cycle)
        m.d.sync += cycle.eq(self.cycle)
        wide("CYCLE", cycle)

        # Timer ticks: a millisecond each, from the prescaler or from the host.
        tick_cycles = Signal(32)
        prescale = Signal(32)
        waiting = Signal(32)
        storage("TICK_CYCLES", tick_cycles)
        # A cycle behind, but at once when they become fewer: who takes one has a long way behind him.
        fewer = written("TICK") | self.ticks_drop | self.tick
        m.d.sync += [
            self.ticks.eq((waiting != 0) & ~fewer),
            self.ticks_come.eq((waiting != 0) | written("TICK")),
        ]
        comes = Signal()
        m.d.comb += comes.eq((tick_cycles != 0) & (prescale == tick_cycles))
        with m.If(tick_cycles != 0):
            m.d.sync += prescale.eq(prescale + 1)
            with m.If(comes):
                m.d.sync += prescale.eq(0)
        with m.If(written("TICK")):
            m.d.sync += waiting.eq(data)
        with m.Elif(self.ticks_drop):
            m.d.sync += waiting.eq(0)
        with m.Elif(self.tick & ~comes):
            m.d.sync += waiting.eq(waiting - 1)
        with m.Elif(~self.tick & comes):
            m.d.sync += waiting.eq(waiting + 1)

        for name, field in (("TIME_DATE", "date"), ("TIME_DAY", "day"), ("TIME_MILLI", "milli")):
            with m.If(written(name)):
                m.d.sync += self.new_time[field].eq(data)
            reads[name] = self.time[field]
        with m.If(written("TIME_NANO")):
            m.d.sync += [self.new_time.nano.eq(data), self.new_time.micro.eq(data[12:])]
        reads["TIME_NANO"] = Cat(self.time.nano, self.time.micro)
        m.d.sync += self.time_load.eq(written("TIME_LOAD"))
        with m.If(written("TIME_LOAD")):
            m.d.sync += self.time_run.eq(data[0])

        session = self.session
        storage("SESSION", session)
        number = self.command.number
        storage("NUMBER_LO", number[:32])
        storage("NUMBER_HI", number[32:])
        with m.If(written("COMMAND")):
            m.d.sync += [
                self.command_valid.eq(1),
                self.command.op.eq(data[:4]),
                self.command.phase.eq(data[4:6]),
                self.command.may_request.eq(data[6]),
                self.command.session.eq(session),
            ]
        with m.Elif(self.command_done):
            m.d.sync += self.command_valid.eq(0)

        # What is configured per session: (low bit in the word, what shows it), per register.
        config = self.config
        configured: dict[str, list[tuple[int, Any]]] = {
            "POLICY": [(0, config.policy), (2, config.infinity_old), (3, config.early_gap), (4, self.fraction)],
            "CHUNK_LO": [(0, config.chunk[:32])],
            "CHUNK_HI": [(0, config.chunk[32:])],
            "WINDOW_LIMIT": [(0, config.window_limit[:32])],
            "RESEND_TIMEOUT": [(0, config.resend_timeout)],
            "RESEND_RETRIES": [(0, config.resend_retries)],
            "IDENT_LENGTH": [
                (8 * region, self.ident_lengths[IDENT_BITS * region :][:IDENT_BITS]) for region in range(3)
            ],
        }
        for name, parts in configured.items():
            if shape.sessions == 1:
                for low, part in parts:
                    storage(name, part, low)
            else:
                reads[name] = self._per_session(m, name, written(name), parts)
        m.d.comb += [
            self.ident_write.eq(written("IDENT")),
            self.ident_data.eq(data[:8]),
            self.ident_address.eq(Cat(data[8 : 8 + IDENT_BITS + 2], session)),
        ]

        reads["STATE"] = Cat(self.state.phase, self.state.may_request, self.state.recovery)
        wide("EXPECTED", self.state.expected)
        wide("HIGHEST", self.state.highest)
        wide("NEXT_OUT", self.next_out)
        wide("BYTES", self.counts.bytes)
        framed = Signal(OFFSET)
        partial = Signal(LENGTH)
        with m.If(reading & (address == REGISTERS["BYTES_LO"].address)):
            m.d.sync += [framed.eq(self.counts.framed), partial.eq(self.counts.partial)]
        reads["FRAMED_LO"], reads["FRAMED_HI"] = framed[:32], framed[32:]
        reads["PARTIAL"] = partial

        # Messages per rule: read, add one, write back.
        m.submodules.counters = counters = memory.Memory(shape=32, depth=32 * shape.sessions, init=[])
        counter_read, counter_write = counters.read_port(), counters.write_port()
        selected = Signal(5)
        counting = Signal()
        counted = Signal(5 + shape.session_bits)
        with m.If(written("COUNTER")):
            m.d.sync += selected.eq(data)
        m.d.comb += [
            counter_read.addr.eq(Cat(selected, session)),
            counter_write.addr.eq(counted),
            counter_write.data.eq(counter_read.data + 1),
            counter_write.en.eq(counting),
        ]
        m.d.sync += counting.eq(self.counted)
        with m.If(self.counted):
            m.d.comb += counter_read.addr.eq(Cat(Value.cast(self.counted_rule)[:5], self.counted_session))
            m.d.sync += counted.eq(counter_read.addr)
        reads["COUNTER"] = counter_read.data

        # Two stages: the address, then its word.
        word = self.read_data
        m.d.sync += word.eq(0)
        with m.Switch(address):
            for name, register in REGISTERS.items():
                if register.access is Access.WO:
                    continue
                with m.Case(register.address):
                    value = reads.pop(name)
                    if isinstance(value, list):
                        for low, part in value:
                            m.d.sync += word[low : low + len(part)].eq(part)
                    else:
                        m.d.sync += word.eq(value)
        assert not reads, f"no such register: {sorted(reads)}"
        return m

    def _per_session(self, m: Module, name: str, written: Value, parts: list[tuple[int, Any]]) -> Value:
        """A register of which each session has its own, in block memory: what is read of it, for ``session``. The parts
        show that of the session that they are asked for."""
        sessions = self.shape.sessions
        bits = max(low + len(Value.cast(part)) for low, part in parts)
        mask = sum((1 << len(Value.cast(part))) - 1 << low for low, part in parts)
        m.submodules[f"config_{name.lower()}"] = words = memory.Memory(shape=bits, depth=sessions, init=[])
        write, host, core = words.write_port(), words.read_port(), words.read_port()
        m.d.comb += [
            write.addr.eq(self.session),
            write.data.eq(self.write_data & mask),
            write.en.eq(written),
            host.addr.eq(self.session),
            core.addr.eq(self.sender_session if name == "IDENT_LENGTH" else self.config_session),
        ]
        for low, part in parts:
            port = core
            if part is self.fraction:
                port = words.read_port()
                m.d.comb += port.addr.eq(self.sender_session)
            m.d.sync += Value.cast(part).eq(port.data[low:])
        return host.data
