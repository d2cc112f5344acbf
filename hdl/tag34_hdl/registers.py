"""The register bank: the host's view of the core, as :data:`tag34.contract.REGISTERS` lays it out."""

from typing import Any

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from tag34 import contract
from tag34.contract import REGISTERS, Access, Rule

from .block_memory import BlockMemory
from .block_memory import readers as reader_names
from .layouts import CYCLE, IDENT_BITS, LENGTH, NUMBER, OFFSET, Shape
from .receive.framer import Counts
from .send.clock import Time
from .session.sequencer import Config, SessionState
from .session.table import Sweep

ADDRESS_BITS = ceil_log2(len(REGISTERS))
#: Counters of a session, those that nobody counts included.
COUNTERS = 32


class Registers(wiring.Component):
    """32-bit registers on a plain bus.

    Parameters: ``shape``; ``sweep``, of the tables after a reset, None: each has its own.

    Members:
        address, write, write_data: a write takes one cycle.
        read_data: value of the register at ``address``, two cycles after the address is shown and as long as it is
            (COUNTER: four cycles after its write, up to two more if messages are being counted).
        read: the read strobe; latches the other half of a wide register where the map says so.
        session: what SESSION says. What is shown of a session follows three cycles after its write.
        config_session, config: configuration of a session, two cycles later; sender_session, ident_lengths, fraction:
            the same for the composer. ``configures``: some of it is being written; of what is asked for in this cycle
            it takes one cycle more.
        busy: after a reset, as long as configurations and counters of the time before are being forgotten; nothing may
            be written yet. Idents stay as they are.
        ticks: some are waiting and may be taken, one in two cycles; ticks_come: some are, or have just been written.
        All others: to and from the core.
    """

    def __init__(self, shape: Shape, sweep: Sweep | None = None):
        self.shape = shape
        self._sweep = sweep
        self.counters = COUNTERS * shape.sessions
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
                "configures": Out(1),
                "busy": Out(1),
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
        reading = Signal()
        m.d.sync += reading.eq(self.read)
        reads: dict[str, Any] = {}
        chosen: dict[str, Signal] = {}

        def asked(name: str) -> Signal:
            """True in the cycle after one in which ``address`` is that of register ``name``."""
            if name not in chosen:
                chosen[name] = Signal(name=f"reads_{name.lower()}")
                m.d.sync += chosen[name].eq(self.address == REGISTERS[name].address)
            return chosen[name]

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
            with m.If(reading & asked(f"{name}_LO")):
                m.d.sync += high.eq(value[32:])
            reads[f"{name}_LO"] = value[:32]
            reads[f"{name}_HI"] = high

        # After a reset: what is kept in block memory is that of before.
        sweep: Any
        sweeps = Signal()
        if self._sweep is None:
            sweep = Signal(range(self.counters + 1))
            m.d.comb += [sweeps.eq(sweep != self.counters), self.busy.eq(sweeps)]
            with m.If(sweeps):
                m.d.sync += sweep.eq(sweep + 1)
        else:
            sweep = self._sweep.index[: ceil_log2(self.counters)]
            m.d.comb += [sweeps.eq(self._sweep.busy), self.busy.eq(sweeps)]

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
        comes = Signal()  # a cycle behind the last one of a tick
        m.d.sync += comes.eq((tick_cycles != 0) & (prescale == tick_cycles))
        with m.If(tick_cycles != 0):
            m.d.sync += prescale.eq(Mux(comes, 1, prescale + 1))
        with m.If(written("TICK_CYCLES")):  # a tick begins
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
        reset_values: dict[str, tuple[Value, int]] = {}  # of one that has not been written: that it has been, and which
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
                reads[name], is_configured, initial = self._per_session(m, name, written(name), parts, sweeps, sweep)
                reset_values[name] = is_configured, initial
        m.d.comb += [
            self.configures.eq(Cat(written(name) for name in configured).any()),
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
        with m.If(reading & asked("BYTES_LO")):
            m.d.sync += [framed.eq(self.counts.framed), partial.eq(self.counts.partial)]
        reads["FRAMED_LO"], reads["FRAMED_HI"] = framed[:32], framed[32:]
        reads["PARTIAL"] = partial

        # Messages per rule: read, add one, write back. What the host is shown is read in between.
        m.submodules.counters = counters = BlockMemory(32, self.counters)
        selected = Signal(5)
        counting = Signal()
        counted = Signal(5 + shape.session_bits)
        counter = Signal(32)
        is_hosts = Signal()  # what has been read is for the host
        with m.If(written("COUNTER")):
            m.d.sync += selected.eq(data)
        m.d.comb += [
            counters.address.eq(Cat(selected, session)),
            counters.write.eq(counting | sweeps),
            counters.write_address.eq(Mux(sweeps, sweep, counted)),
            counters.write_data.eq(Mux(sweeps, 0, counters.data + 1)),
        ]
        m.d.sync += [
            counting.eq(self.counted),
            is_hosts.eq(~self.counted & ~counters.collides),
        ]
        with m.If(self.counted):
            m.d.comb += counters.address.eq(Cat(Value.cast(self.counted_rule)[:5], self.counted_session))
            m.d.sync += counted.eq(counters.address)
        with m.If(is_hosts):
            m.d.sync += counter.eq(counters.data)
        reads["COUNTER"] = counter

        # Two stages: whose address it is, then the word.
        word: Value = C(0, 32)
        for name, value in reads.items():
            assert REGISTERS[name].access is not Access.WO
            shows: Value = asked(name)
            if name in reset_values:
                is_configured, initial = reset_values[name]
                shows = Signal(name=f"shows_{name.lower()}")
                m.d.comb += shows.eq(asked(name) & is_configured)
                word |= Mux(asked(name) & ~is_configured, C(initial, 32), 0)
            for low, part in value if isinstance(value, list) else [(0, value)]:
                word |= Mux(shows, Value.cast(part) << low, 0)
        assert reads.keys() == {name for name, register in REGISTERS.items() if register.access is not Access.WO}
        m.d.sync += self.read_data.eq(word)
        return m

    def _per_session(
        self, m: Module, name: str, written: Value, parts: list[tuple[int, Any]], sweeps: Value, sweep: Value
    ) -> tuple[Value, Value, int]:
        """A register of which each session has its own, in block memory: what is read of it, for ``session``, if it has
        been written since the reset, and what it is if not. The parts show that of the session that they are asked
        for."""
        bits = max(low + len(Value.cast(part)) for low, part in parts)
        mask = sum((1 << len(Value.cast(part))) - 1 << low for low, part in parts)
        initial = sum(Value.cast(part).init << low for low, part in parts if isinstance(part, Signal))
        readers = [self.session, self.sender_session if name == "IDENT_LENGTH" else self.config_session]
        port = {id(part): 1 for _, part in parts}
        if any(part is self.fraction for _, part in parts):
            port[id(self.fraction)] = len(readers)
            readers.append(self.sender_session)
        # Nobody chooses between what was configured and what is so after a reset: a bit says which of them it is, and
        # the register that shows it has a reset.
        word = StructLayout({"value": bits, "configured": 1})
        m.submodules[f"config_{name.lower()}"] = words = BlockMemory(word, self.shape.sessions, ports=len(readers))
        m.d.comb += [
            words.write.eq(written | sweeps),
            words.write_address.eq(Mux(sweeps, sweep[: self.shape.session_bits], self.session)),
            words.write_data.value.eq(self.write_data & mask),
            words.write_data.configured.eq(~sweeps),
        ]
        shown: list[Any] = []
        for end, reader in zip(reader_names(len(readers)), readers, strict=True):
            # What is read while it is written is read a cycle later.
            m.d.comb += [
                getattr(words, f"address{end}").eq(reader),
                getattr(words, f"enable{end}").eq(~getattr(words, f"collides{end}")),
            ]
            shown.append(getattr(words, f"data{end}"))
        for low, part in parts:
            word_of = shown[port[id(part)]]
            m.d.sync += Value.cast(part).eq(word_of.value[low:])
            with m.If(~word_of.configured):
                m.d.sync += Value.cast(part).eq(initial >> low)
        return shown[0].value, shown[0].configured, initial
