"""What must hold whatever arrives (F4, F6, R10b, R12), on the golden model, by traffic that nobody thought of."""

from __future__ import annotations

import random
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tag34.contract import EventCode, Phase, Policy, Rule
from tag34.device import DeliverRecord, EventRecord, MessageRecord, Record
from tag34_sim.golden import FrameKind, Framer, Golden
from tag34_sim.messages import Peer, cut, flipped, truncated
from tag34_sim.model_device import ModelDevice
from tag34_sim.traffic import Traffic, run, scenario

PEER = Peer()
SEEDS = st.integers(0, 2**32 - 1)
#: Numbers begin anew by these: what ascends starts again.
ANEW = (Rule.R5,)


def golden(**options: object) -> Golden:
    """A model with one session, ACTIVE."""
    model = Golden(1, 64, 4096, 63, 63)
    model.configure(0, PEER.config(**options))
    model.connect(0, Phase.ACTIVE)
    return model


def check(records: list[Record]) -> None:
    """The promises about deliveries: ascending, never twice, never above the number expected, whole."""
    last, early, transaction = 0, set[int](), list[DeliverRecord]()
    for record in records:
        if isinstance(record, DeliverRecord):
            transaction.append(record)
        elif isinstance(record, MessageRecord):
            if record.rule in ANEW:
                last = 0
                early.clear()
            for delivered in transaction:
                assert b"34=" in delivered.data
                assert delivered.data.startswith(b"8=FIX")
                if delivered.early:
                    assert delivered.seq > record.expected
                    early.add(delivered.seq)
                else:
                    assert last < delivered.seq < record.expected
                    last = delivered.seq
            transaction.clear()
    assert not transaction, "a delivery without its message"


def requests_per_range(records: list[Record]) -> None:
    """R11: a range that is open is asked for by R13a and R14 alone."""
    opened = False
    for record in records:
        if isinstance(record, EventRecord) and record.code is EventCode.REQUEST:
            assert opened == (record.rule is not Rule.R11)
            opened = True
        elif isinstance(record, EventRecord) and record.code is EventCode.RECOVERY_CLOSED:
            assert opened
            opened = False


@pytest.mark.rule("F4", "F6")
@given(st.binary(max_size=2000), SEEDS)
def test_F6_any_bytes(data: bytes, seed: int) -> None:
    model = golden()
    for chunk in cut(data, random.Random(seed)):
        model.receive(0, chunk)
    check(model.poll())
    assert 0 <= model.counters(0)["skipped"] <= len(data)


FRAGMENTS = [
    *(b"8=FIX.4.4\x01", b"8=FIX", b"9=", b"9=5\x01", b"9=99\x01", b"35=", b"35=A\x01", b"34=1\x01", b"43=Y\x01"),
    *(b"10=", b"10=000\x01", b"\x01", b"=", b"8", b"0"),
    *(PEER.order(1), PEER.order(3), PEER.gap_fill(2, 4), PEER.logon(1, reset=True)),
]


@pytest.mark.rule("F1")
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40), SEEDS)
def test_F1_chunks_have_no_meaning(fragments: list[bytes], seed: int) -> None:
    data = b"".join(fragments)
    whole, pieces = golden(), golden()
    whole.receive(0, data)
    for chunk in cut(data, random.Random(seed)):
        pieces.receive(0, chunk)
    assert whole.poll() == pieces.poll()
    assert (whole.state(0), whole.counters(0)) == (pieces.state(0), pieces.counters(0))


@pytest.mark.rule("F4")
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40))
def test_F4_frames_lie_one_behind_the_other(fragments: list[bytes]) -> None:
    data = b"".join(fragments)
    framer = Framer(4096)
    end = 0
    for frame in framer.feed(data):
        assert frame.offset >= end
        assert data[frame.offset :].startswith(b"8=FIX")
        if frame.kind is FrameKind.VALID:
            assert frame.raw == data[frame.offset : frame.offset + frame.length]
        end = frame.offset + frame.length
    assert end + framer.partial <= len(data)
    assert framer.skipped >= 0


@pytest.mark.rule("F4")
@given(SEEDS, st.integers(1, 30))
def test_F4_a_valid_message_behind_the_declared_end_is_found(seed: int, count: int) -> None:
    rng = random.Random(seed)
    model = golden()
    for _ in range(count):
        damage = rng.choice((flipped, truncated))
        model.receive(0, damage(PEER.order(1), rng))
    model.receive(0, b"\x01" + b"x" * 1_000_000)  # whatever is under way is over at its declared end
    model.receive(0, PEER.order(1))
    assert [record.seq for record in model.poll() if isinstance(record, DeliverRecord)] == [1]


@pytest.mark.rule("R12")
@given(SEEDS, st.sampled_from(list(Policy)), st.sampled_from([1, 2, 5, 64]))
def test_R12_every_session_ascends_and_tells_nothing_twice(seed: int, policy: Policy, window: int) -> None:
    rng = random.Random(seed)
    model = golden(policy=policy, chunk=3, window=window)
    traffic = Traffic(rng, PEER, window=window)
    for _ in range(150):
        model.receive(0, traffic.next())
    records = model.poll()
    check(records)
    requests_per_range(records)


@pytest.mark.rule("R12")
@pytest.mark.parametrize("case", range(8))
def test_R12_every_scenario_ascends(case: int, seed: int) -> None:
    device = ModelDevice(sessions=2, window=8, max_message=400)
    operations = list(scenario(random.Random(f"{seed} {case}"), messages=1500, sessions=2, window=8, max_message=400))
    starts = [index for index, operation in enumerate(operations) if operation.verb == "connect"] + [len(operations)]
    run(device, operations[: starts[0]])
    for start, end in pairwise(starts):
        records = run(device, operations[start:end])  # one session has a new connection, the other one goes on
        session = operations[start].arguments["session"]
        check([record for record in records if record.session == session])


@pytest.mark.rule("R11", "R12", "R13")
@given(SEEDS)
def test_R13_a_peer_that_replays_gets_everything_through(seed: int) -> None:
    """A peer loses and doubles messages, and replays what it is asked for with losses: in the end all is delivered."""
    rng = random.Random(seed)
    options = {"policy": rng.choice(list(Policy)), "chunk": rng.randint(1, 9), "window": rng.choice((1, 3, 10, 64))}
    model = golden(resend_timeout=5, resend_retries=255, **options)
    model.advance(0)
    delivered: list[int] = []
    total, now = 60, 0
    waiting = [(seq, False) for seq in range(1, total + 1)]
    while model.state(0).expected <= total:
        if not waiting:
            now += 5_000_000
            model.advance(now)
            waiting.append((total, True))  # the peer says something again, or the last message's loss is never seen
        seq, possdup = waiting.pop(0)
        if rng.random() < 0.8:
            model.receive(0, PEER.order(seq, possdup=possdup) * rng.choice((1, 1, 1 + possdup)))
        for record in model.poll():
            if isinstance(record, DeliverRecord):
                delivered.append(record.seq)
            elif isinstance(record, EventRecord) and record.code is EventCode.REQUEST:
                assert record.seq is not None
                end = min(record.number or total, seq if not possdup else total)
                waiting += [(number, True) for number in range(record.seq, end + 1)]
    assert delivered == list(range(1, total + 1))
    assert not model.state(0).recovery


@pytest.mark.rule("R10b")
def test_R10b_memory_is_bounded() -> None:
    model = golden()
    tracemalloc.start()
    try:
        for start in range(2, 5_002, 100):
            model.receive(0, b"".join(PEER.order(seq, "x" * 200) for seq in range(start, start + 100)))
            model.poll()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 500_000, "5,000 messages of 300 bytes went by, 63 are held"


@pytest.mark.rule("F5")
def test_F5_memory_is_bounded_for_a_message_without_end() -> None:
    framer = Framer(4096)
    framer.feed(b"8=FIX")
    tracemalloc.start()
    try:
        for _ in range(500):
            assert framer.feed(b"x" * 10_000) == []
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 100_000
    assert framer.partial == 5 + 500 * 10_000
