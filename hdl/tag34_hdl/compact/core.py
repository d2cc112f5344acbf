"""The compact core: the engine, its ports and its program."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tag34.contract import RECORD_BYTES, to_bcd

from ..block_memory import BlockMemory
from ..layouts import Shape
from .bytes_queue import BytesQueue
from .engine import Engine
from .ports import IN, OUT, Flag, More
from .program import build
from .runner import Runner

#: Bits of the part of the cycle counter that is no memory, and how often the program has to look at it, in bits.
CYCLE_BITS, WATCH_BITS = 16, 11

#: A byte of something that ends.
LastByte = data.StructLayout({"data": 8, "last": 1})


class CompactCore(wiring.Component):
    """The session layer as a program (docs/decisions/0018). What :class:`tag34_hdl.core.Core` says holds here too, but
    that all streams are of bytes and that everything takes its time.

    The program is the initial content of block memory. An FPGA that has it only some time after its configuration (an
    iCE40: some microseconds) needs a reset that lasts as long. Behind a reset the core clears its data memory, 2048
    cycles for each page (:mod:`tag34_hdl.compact.program.variables`); what is offered waits.

    Parameters: ``shape``, with ``compact`` set.

    Members (all streams: valid never waits for ready, the payload is stable while stalled):
        rx, deliver, tx: as there. A byte at ``tx`` may be taken back if it is the first one of a ResendRequest whose
            connection is gone (S6).
        records: :data:`tag34.contract.RECORD_FIELDS`, each from its lowest byte on, ``last`` with the last one.
        send: messages to be composed: session (2 bytes, low byte first), MsgType (4), 1 for a replay or 0 (1), its
            MsgSeqNum (5, packed BCD, low digits first), then the body; ``last`` with the last byte of all.
        control: accesses to registers: the address to read one; the address + 128 and four bytes, the lowest first, to
            write one. They are carried out in turn, between two bytes from the connections.
        answers: four bytes of each register read, the lowest first.
        idle: nothing is under way and nothing waits to leave; a message of which only a part has arrived does not
            count.

    Throughput: about 95 cycles for a byte from a connection that has to be looked at (all of the header but the values
        that nobody asks for), 5 for one that has not, 20 for one that is delivered, 130 for one that is sent, and 4000
        for a message beyond its bytes.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        byte = data.StructLayout({"data": 8, "session": unsigned(shape.session_bits)})
        super().__init__(
            {
                "rx": In(stream.Signature(byte)),
                "deliver": Out(stream.Signature(shape.beat)),
                "tx": Out(stream.Signature(shape.beat)),
                "records": Out(stream.Signature(LastByte)),
                "send": In(stream.Signature(LastByte)),
                "control": In(stream.Signature(8)),
                "answers": Out(stream.Signature(8)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        shape = self.shape
        program = build(shape)
        m.submodules.engine = engine = Engine(program.words, program.labels["send"], program.pages)

        def written(name: str) -> Value:
            return engine.writes & (engine.port == OUT[name])

        def read(name: str) -> Value:
            return engine.reads & (engine.port == IN[name])

        m.submodules.runner = runner = Runner(shape)
        m.d.comb += [
            runner.start.eq(written("RUN_TO_END") | written("RUN_TO_SOH")),
            runner.limit.eq(engine.out),
            runner.to_soh.eq(written("RUN_TO_SOH")),
            runner.session_set.eq(written("RUN_SESSION")),
            runner.session.eq(engine.out),
            runner.rx_valid.eq(self.rx.valid),
            runner.rx_data.eq(self.rx.payload.data),
            runner.rx_session.eq(self.rx.payload.session),
            engine.hold.eq(runner.runs),
        ]

        # -- The message memory: bytes of a slot, one after the other
        slot = Signal(shape.compact_slot_bits)
        offset = Signal(shape.offset_bits)
        m.submodules.messages = messages = BlockMemory(8, shape.compact_slots << shape.offset_bits)
        m.d.comb += [
            messages.address.eq(Cat(offset, slot)),
            messages.write_address.eq(messages.address),
            messages.write_data.eq(Mux(runner.take, self.rx.payload.data, engine.out)),
            messages.write.eq(written("MESSAGE") | runner.take),
        ]
        with m.If(written("MESSAGE") | read("MESSAGE") | runner.take):
            m.d.sync += offset.eq(offset + 1)
        with m.If(written("OFFSET_LOW")):
            m.d.sync += offset[:8].eq(engine.out)
        with m.If(written("OFFSET_HIGH")):
            m.d.sync += offset[8:].eq(engine.out)
        with m.If(written("SLOT")):
            m.d.sync += slot.eq(engine.out)

        # -- Streams
        m.submodules.queue = queue = BytesQueue()
        place = Signal(range(RECORD_BYTES))
        m.d.comb += [
            queue.write.eq(written("RECORD")),
            queue.data.eq(engine.out),
            self.records.valid.eq(queue.out.valid),
            self.records.payload.data.eq(queue.out.payload),
            self.records.payload.last.eq(place == RECORD_BYTES - 1),
            queue.out.ready.eq(self.records.ready),
            self.rx.ready.eq(read("RX") | runner.take),
            self.send.ready.eq(read("SEND")),
            self.control.ready.eq(read("CONTROL")),
        ]
        with m.If(self.records.valid & self.records.ready):
            m.d.sync += place.eq(place + 1)
            with m.If(self.records.payload.last):
                m.d.sync += place.eq(0)
        for beats, name in ((self.deliver, "DELIVER"), (self.tx, "TX")):
            m.d.comb += beats.payload.count.eq(1)
            with m.If(beats.ready):
                m.d.sync += beats.valid.eq(0)
            with m.If(written(name) | written(f"{name}_LAST")):
                m.d.sync += [
                    beats.valid.eq(1),
                    beats.payload.data.eq(engine.out),
                    beats.payload.last.eq(written(f"{name}_LAST")),
                ]
            with m.If(written(f"{name}_SESSION")):
                m.d.sync += beats.payload.session.eq(engine.out)
        dropped = Signal()
        with m.If(written("TX")):
            m.d.sync += dropped.eq(0)
        with m.If(written("DROP")):
            m.d.sync += [dropped.eq(self.tx.valid & ~self.tx.ready), self.tx.valid.eq(0)]
        with m.If(self.answers.ready):
            m.d.sync += self.answers.valid.eq(0)
        with m.If(written("ANSWER")):
            m.d.sync += [self.answers.valid.eq(1), self.answers.payload.eq(engine.out)]

        # -- Clocks: the low part of each counts here, the program does the rest
        cycle = Signal(CYCLE_BITS)
        watch = Signal()
        m.d.sync += cycle.eq(cycle + 1)
        with m.If(written("WATCHED")):
            m.d.sync += watch.eq(0)
        with m.If(cycle[:WATCH_BITS].all()):
            m.d.sync += watch.eq(1)
        per_micro = shape.clock_hz // 1_000_000
        runs = Signal()
        part = Signal(range(per_micro))  # of a microsecond
        micro = Signal(12)
        milli = Signal()
        with m.If(written("TIME_RUNS")):
            m.d.sync += runs.eq(engine.out)
        with m.If(written("MILLI_SEEN")):
            m.d.sync += milli.eq(0)
        with m.If(runs):
            m.d.sync += part.eq(part + 1)
            with m.If(part == per_micro - 1):
                m.d.sync += part.eq(0)
                up: Value = Value.cast(1)
                for digit in range(3):
                    of_digit = micro[4 * digit : 4 * digit + 4]
                    with m.If(up):
                        m.d.sync += of_digit.eq(of_digit + 1)
                        with m.If(of_digit == 9):
                            m.d.sync += of_digit.eq(0)
                    up = up & (of_digit == 9)
                with m.If(micro == to_bcd(999, 3)):
                    m.d.sync += milli.eq(1)
        with m.If(written("MICRO_LOW")):
            m.d.sync += micro[:8].eq(engine.out)
        with m.If(written("MICRO_HIGH")):
            m.d.sync += [micro[8:].eq(engine.out), part.eq(0)]
        latch = Signal(8)
        with m.If(read("CYCLE")):
            m.d.sync += latch.eq(cycle[8:])
        with m.If(read("MICRO")):
            m.d.sync += latch.eq(micro[8:])

        # -- What the program sees
        flags = {
            Flag.RX: self.rx.valid,
            Flag.CONTROL: self.control.valid,
            Flag.SEND: self.send.valid,
            Flag.SEND_LAST: self.send.payload.last,
            Flag.FULL: queue.half,
            Flag.DELIVER_BUSY: self.deliver.valid,
            Flag.TX_BUSY: self.tx.valid,
            Flag.WATCH: watch | milli,
        }
        leaves = ~queue.idle | self.deliver.valid | self.tx.valid
        more = {
            More.DROPPED: dropped,
            More.ANSWER_BUSY: self.answers.valid,
            More.MILLI: milli,
            More.LEAVES: leaves,
        }
        shown: dict[str, Value] = {
            "FLAGS": Cat(flags[bit] for bit in Flag),
            "MORE": Cat(more[bit] for bit in More),
            "RX": self.rx.payload.data,
            "RX_SESSION": self.rx.payload.session,
            "SEND": self.send.payload.data,
            "CONTROL": self.control.payload,
            "MESSAGE": messages.data,
            "CYCLE": cycle[:8],
            "MICRO": micro[:8],
            "LATCH": latch,
            "RUN_BYTES": runner.bytes,
            "RUN_SUM": runner.sum,
            "RUN_LAST": runner.last,
        }
        with m.Switch(engine.port):
            for name, value in shown.items():
                with m.Case(IN[name]):
                    m.d.comb += engine.into.eq(value)

        # -- At rest
        rests = Signal()
        offered = Signal()
        m.d.comb += offered.eq(self.rx.valid | self.send.valid | self.control.valid)
        with m.If(written("IDLE")):
            m.d.sync += rests.eq(engine.out)
        with m.If(offered):
            m.d.sync += rests.eq(0)
        m.d.comb += self.idle.eq(rests & ~offered & ~leaves & ~self.answers.valid)
        return m
