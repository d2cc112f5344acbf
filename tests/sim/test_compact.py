"""What only the compact core has of its own: its clocks, its registers, its time for each byte. All else it shares with
the others, and their tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tag34.contract import REGISTERS, Access, EventCode, Phase, Rule, to_bcd
from tag34.device import DeliverRecord, EventRecord, MessageRecord, SentRecord, open_device
from tag34.records import Decoder
from tag34_hdl.layouts import Shape
from tag34_sim.messages import Peer, encode
from tag34_sim.selftest import selftest
from tag34_sim.sim_device import SimDevice
from tag34_sim.verilator import VerilatedCore
from tests.sim.bench import Bench
from tests.sim.conftest import SMALL

PEER = Peer()
#: Slow enough for milliseconds to pass in a test.
CLOCK_HZ = 2_000_000


@pytest.fixture
def small() -> Iterator[SimDevice]:
    """The build for a small FPGA."""
    with open_device("sim:", compact=True, **SMALL) as device:
        assert isinstance(device, SimDevice)
        yield device


@pytest.fixture(scope="module")
def slow() -> Iterator[VerilatedCore]:
    """The same with a slow clock, at rest."""
    core = VerilatedCore(Shape(**SMALL, compact=True, clock_hz=CLOCK_HZ))
    assert core.run(100_000)
    yield core
    core.close()


def read(core: VerilatedCore, name: str) -> int:
    return core.read(REGISTERS[name].address)


def write(core: VerilatedCore, name: str, value: int) -> None:
    core.write(REGISTERS[name].address, value)


@pytest.mark.parametrize(
    "sizes", [SMALL, {"sessions": 3, "window": 8, "max_message": 512, "hold": 6, "hold_limit": 3}], ids=["one", "three"]
)
def test_the_selftest_finds_no_difference(sizes: dict[str, Any]) -> None:
    with open_device("sim:", compact=True, **sizes) as device, open_device("model:", **sizes) as model:
        report = selftest(device, model)
    assert report.difference is None, report.difference


@pytest.mark.rule("S5")
@pytest.mark.parametrize(
    ("date", "day", "next_date", "next_day"),
    [
        (0x20260101, 0x000000, 0x20260101, 0x000001),
        (0x20260101, 0x095959, 0x20260101, 0x100000),
        (0x20260101, 0x195959, 0x20260101, 0x200000),
        (0x20260131, 0x235959, 0x20260201, 0x000000),
        (0x20260228, 0x235959, 0x20260301, 0x000000),
        (0x20280228, 0x235959, 0x20280229, 0x000000),
        (0x20280229, 0x235959, 0x20280301, 0x000000),
        (0x20000228, 0x235959, 0x20000229, 0x000000),
        (0x21000228, 0x235959, 0x21000301, 0x000000),
        (0x20260430, 0x235959, 0x20260501, 0x000000),
        (0x20260630, 0x235959, 0x20260701, 0x000000),
        (0x20260930, 0x235959, 0x20261001, 0x000000),
        (0x20261130, 0x235959, 0x20261201, 0x000000),
        (0x20260831, 0x235959, 0x20260901, 0x000000),
        (0x20991231, 0x235959, 0x21000101, 0x000000),
    ],
)
def test_S5_every_carry(slow: VerilatedCore, date: int, day: int, next_date: int, next_day: int) -> None:
    for name, value in (("DATE", date), ("DAY", day), ("MILLI", 0x999), ("NANO", to_bcd(300_700, 6))):
        write(slow, f"TIME_{name}", value)
    write(slow, "TIME_LOAD", 1)
    began = slow.cycles
    seen = set()
    while slow.cycles - began < 3000:
        seen.add((read(slow, "TIME_DATE"), read(slow, "TIME_DAY")))
    assert (date, day) in seen
    assert (read(slow, "TIME_DATE"), read(slow, "TIME_DAY")) == (next_date, next_day)
    assert read(slow, "TIME_MILLI") in (0, 1)
    # What was read in between may be of both, as no two registers are read at once.
    assert seen <= {(d, t) for d in (date, next_date) for t in (day, next_day)}


@pytest.mark.rule("S5")
def test_S5_the_time_is_that_of_the_clock(slow: VerilatedCore) -> None:
    """To the microsecond, over a second; and it stands still if it is told to."""
    start = 123_456_789
    for name, value in (("DATE", 0x20260101), ("DAY", 0x0), ("MILLI", 0x123), ("NANO", 0x456789)):
        write(slow, f"TIME_{name}", value)
    before = slow.cycles
    write(slow, "TIME_LOAD", 1)
    after = slow.cycles
    for pause in (0, 5_000, 100_000, 2_000_000):
        until = slow.cycles + pause
        while slow.cycles < until:
            read(slow, "ID")
        least = slow.cycles - after
        # What is read first must not have carried when the rest is read.
        while True:
            milli, nano, again = read(slow, "TIME_MILLI"), read(slow, "TIME_NANO"), read(slow, "TIME_MILLI")
            if milli == again:
                break
            least = slow.cycles - after
        second = read(slow, "TIME_DAY")
        most = slow.cycles - before
        shown = int(f"{second:x}") * 10**9 + int(f"{milli:x}") * 10**6 + int(f"{nano:x}")
        ns = 10**9 // CLOCK_HZ
        assert start + least * ns - 1000 <= shown <= start + most * ns
        assert nano & 0xFFF == 0x789, "below the microsecond it stays as it was set"
    write(slow, "TIME_NANO", 0x456789)
    write(slow, "TIME_LOAD", 0)
    shown = read(slow, "TIME_NANO")
    for _ in range(100):
        read(slow, "ID")
    assert read(slow, "TIME_NANO") == shown == 0x456789


def test_registers_keep_what_is_written(slow: VerilatedCore) -> None:
    kept = [name for name, register in REGISTERS.items() if register.access is Access.RW]
    times = {"TIME_DATE": 0x20260101, "TIME_DAY": 0x112233, "TIME_MILLI": 0x456, "TIME_NANO": 0x123456}
    bytes_ = {"SESSION": 0, "NUMBER_HI": 0x98, "POLICY": 0xB7, "CHUNK_HI": 0x76, "RESEND_RETRIES": 0xCD, "COUNTER": 0}
    words = {name: 0x12345678 + place for place, name in enumerate(kept)} | times | bytes_
    words["TICK_CYCLES"] = 0x7FFFFFFF
    for name in kept:
        write(slow, name, words[name])
    write(slow, "TIME_LOAD", 0)
    assert {name: read(slow, name) for name in kept} == words
    write(slow, "TICK_CYCLES", 0)


def test_a_wide_register_is_latched(slow: VerilatedCore) -> None:
    low, high = read(slow, "CYCLE_LO"), read(slow, "CYCLE_HI")
    assert abs((low | high << 32) - slow.cycles) < 500
    later = read(slow, "CYCLE_LO")
    while later >= low and slow.cycles < 3 * 65536:
        later = read(slow, "CYCLE_LO")
    assert abs(later - slow.cycles) < 500, "beyond what the counter holds by itself"


@pytest.mark.rule("R14")
def test_R14_ticks_come_from_the_cycle_counter(small: SimDevice) -> None:
    """A request is repeated after as many ticks as the timeout has, not sooner and hardly later."""
    small.configure(0, PEER.config(resend_timeout=5, resend_retries=1))
    small.connect(0, phase=Phase.ACTIVE)
    small.core.write(REGISTERS["TICK_CYCLES"].address, 19_999)
    small.receive(0, PEER.order(3))
    began = small.core.cycles
    events: list[EventRecord] = []
    while small.core.cycles < began + 300_000:
        small.core.read(REGISTERS["ID"].address)
        events += [record for record in small.poll() if isinstance(record, EventRecord)]
    assert [event.code for event in events] == [EventCode.REQUEST, EventCode.REQUEST, EventCode.RECOVERY_FAILED]
    first, repeated, failed = (event.cycle for event in events)
    assert 80_000 < repeated - first < 106_000
    assert 94_000 < failed - repeated < 106_000


def test_status_tells_what_is_under_way(small: SimDevice) -> None:
    status = REGISTERS["STATUS"].address
    assert small.core.read(status) == 1
    small.configure(0, PEER.config())
    small.connect(0, phase=Phase.ACTIVE)
    small.core.receive(0, PEER.order(1))
    assert small.core.read(status) == 0
    assert small.core.run(100_000)
    assert small.core.read(status) == 1


@pytest.mark.rule("R16")
def test_cycles_per_message(small: SimDevice) -> None:
    """What the compact core says of its speed."""
    small.configure(0, PEER.config())
    small.connect(0, phase=Phase.ACTIVE)
    before = small.core.cycles
    small.receive(0, b"".join(PEER.order(seq) for seq in range(1, 51)))
    taken = small.core.cycles - before
    delivered = [record for record in small.poll() if isinstance(record, DeliverRecord)]
    assert len(delivered) == 50
    assert taken / 50 < 12_500
    # A longer body costs little more.
    before = small.core.cycles
    small.receive(0, PEER.message("D", 51, [(58, "x" * 150)]))
    assert small.core.cycles - before < 16_000


def test_cycles_from_a_gap_to_its_request(small: SimDevice) -> None:
    small.configure(0, PEER.config())
    small.connect(0, phase=Phase.ACTIVE)
    small.receive(0, PEER.order(2))
    records = small.poll()
    [judged] = [record for record in records if isinstance(record, MessageRecord)]
    [sent] = [record for record in records if isinstance(record, SentRecord)]
    assert judged.rule is Rule.R10
    assert judged.cycle is not None
    assert sent.cycle is not None
    assert 0 < sent.cycle - judged.cycle < 8_000


@pytest.mark.rule("S1")
def test_sending_costs_so_many_cycles_per_byte(small: SimDevice) -> None:
    small.configure(0, PEER.config())
    before = small.core.cycles
    small.send(0, "D", encode([(58, "x" * 150)]))
    [sent] = small.poll()
    assert isinstance(sent, SentRecord)
    assert small.core.cycles - before < 130 * len(sent.data)


def test_records_wait_for_a_host_that_does_not_take_them(slow: VerilatedCore) -> None:
    """Some are kept while nobody takes them; then the core waits, and nothing is lost."""
    slow.stalls(1, 0.0, 0.95)
    slow.receive(0, PEER.order(1) * 40)
    assert slow.run(3_000_000)
    slow.stalls(1, 0.0, 0.0)
    records = Decoder().feed(*slow.take())
    assert [record.rule for record in records if isinstance(record, MessageRecord)] == [Rule.R1] * 40


@pytest.mark.rule("R16", "S3")
def test_what_arrives_does_not_wait_for_what_leaves(small: SimDevice) -> None:
    """A host message is on its way; the peer hardly reads; messages are judged and delivered meanwhile."""
    b = Bench(small)
    small.stalls(1, 0.0, 0.95)
    small.core.send(0, ord("D"), False, 0, encode([(58, "x" * 150)]))
    small.core.receive(0, b.orders(*range(1, 4)))
    assert small.core.run(1 << 20)
    assert b.story() == ["deliver 1", "R8 1 -> 2", "deliver 2", "R8 2 -> 3", "deliver 3", "R8 3 -> 4"]
    [sent] = b.sent
    assert sent.cycle < b.messages[-1].cycle
