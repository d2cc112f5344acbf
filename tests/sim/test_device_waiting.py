"""R16, S3, S6 where things wait inside the device: on the gateware alone, for in the golden model nothing ever does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

from tag34.contract import REGISTERS, Command, EventCode, Phase
from tag34.device import EventRecord, SentRecord, open_device
from tag34_sim.golden import compose
from tag34_sim.messages import Peer, damaged_checksum, encode, frame
from tag34_sim.sim_device import SimDevice
from tests.sim.bench import START_MS, Bench, Stage, tell
from tests.sim.conftest import SHARED, SMALL, WIDTHS

PEER = Peer()
CONFIG = PEER.config()
NOW = START_MS * 10**6
#: Cycles from the last byte of the message that proves a gap to the moment from which nothing else may begin to leave.
TO_DECIDE = 4
#: A host message, and one that waits behind it.
FIRST, SECOND = encode([(58, "x" * 150)]), encode([(58, "second")])


#: The cores, in parameters that say how their sizes are and when it happens: the compact one takes its time.
CORES = ["fast", "compact"]
SMALL_COMPACT = {"compact": True, **SMALL}
SHARED_COMPACT = {"compact": True, **SHARED}


@contextmanager
def gateware_of(options: dict[str, Any]) -> Iterator[SimDevice]:
    with open_device("sim:", **options) as opened:
        assert isinstance(opened, SimDevice)
        yield opened


@pytest.fixture
def gateware() -> Iterator[SimDevice]:
    """The gateware, of the default size."""
    with gateware_of({}) as opened:
        yield opened


@pytest.fixture
def many() -> Iterator[SimDevice]:
    """The gateware with several sessions."""
    with gateware_of(SHARED) as opened:
        yield opened


def give(gateware: SimDevice, msg_type: str, fields: bytes) -> None:
    """The host gives a message; no time passes."""
    gateware.core.send(0, ord(msg_type), False, 0, fields)


@pytest.mark.rule("R16")
@pytest.mark.parametrize("outputs", [0.3, 0.9, 0.95])
def test_R16_a_slow_host_changes_nothing_but_the_time_it_takes(gateware: SimDevice, seed: int, outputs: float) -> None:
    stream = b"".join(
        [PEER.order(seq) for seq in range(1, 41)]
        + [PEER.order(seq) for seq in (43, 45, 200, 44)]
        + [damaged_checksum(PEER.order(41)), b"junk", PEER.resend_request(47), PEER.gap_fill(48, 60)]
        + [PEER.order(seq, possdup=True) for seq in (41, 42, 46)]
        + [PEER.order(60), PEER.logon(1, reset=True), PEER.order(2)]
    )
    stories = []
    for share in (0.0, outputs):
        b = Bench(gateware)
        gateware.stalls(seed, 0.0, share)
        cycles = gateware.core.cycles
        give(gateware, "D", FIRST)
        gateware.set_next_out(0, 1)
        stories.append(([*b.feed(stream)], [(record.data, record.device) for record in b.sent]))
        taken = gateware.core.cycles - cycles
        assert (taken > 1.2 * len(stream)) == (share > 0), "the input is held back for as long as the host is slow"
        gateware.disconnect(0)
    assert stories[0] == stories[1]
    assert len([line for line in stories[0][0] if line.startswith("deliver")]) == 50


@pytest.mark.rule("R16", "S3")
def test_S3_a_request_goes_before_all_messages_that_wait_and_into_none(gateware: SimDevice) -> None:
    """The gap is proved at every third byte of what the host sends."""
    places = set()
    for junk in range(0, 600, 3):
        b = Bench(gateware)
        gateware.set_next_out(0, 1)
        waiting = [("D", FIRST), ("0", b""), ("8", SECOND)]
        for msg_type, fields in waiting:
            give(gateware, msg_type, fields)
        assert b.feed(b"x" * junk + PEER.order(3)) == ["request 1-0 R11", "R10 3 -> 1"]
        place = [record.device for record in b.sent].index(True)
        places.add(place)
        waiting.insert(place, ("2", b"7=1\x0116=0\x01"))
        assert [record.data for record in b.sent] == [
            compose(CONFIG, msg_type, seq, NOW, fields) for seq, (msg_type, fields) in enumerate(waiting, 1)
        ], f"{junk} bytes before the message"
        gateware.disconnect(0)
    assert places == {0, 1, 2, 3}, "before, between and behind the others"


@pytest.mark.rule("R15", "S6")
def test_S6_a_request_that_waits_is_dropped_with_its_connection_and_asked_again(gateware: SimDevice) -> None:
    """The new connection comes at every few cycles of what the old one leaves behind."""
    message = PEER.message("D", 3, [(58, "y" * 200)])
    left = {True: 0, False: 0}
    for cycles in range(len(message), len(message) + 340, 5):
        b = Bench(gateware)
        gateware.set_next_out(0, 1)
        give(gateware, "D", FIRST)
        give(gateware, "8", SECOND)
        gateware.core.receive(0, message)
        gateware.core.run(cycles)
        gateware.connect(0, phase=Phase.ACTIVE)
        assert b.story() == ["request 1-0 R11", "R10 3 -> 1"]
        asked = [record.msg_type for record in b.sent] == ["D", "2", "8"]
        assert asked or [record.msg_type for record in b.sent] == ["D", "8"], "the host's messages leave in any case"
        left[asked] += 1
        assert [record.seq for record in b.sent] == list(range(1, len(b.sent) + 1)), "what did not leave has no number"
        assert b.state.next_out == len(b.sent) + 1
        assert (b.state.recovery, b.highest) == (False, 0)
        assert b.feed(b.order(2)) == ["request 1-0 R11", "R10 2 -> 1"]
        assert b.requests[-1] == (1, 0)
        gateware.disconnect(0)
    assert left[True] > 10
    assert left[False] > 10


@pytest.mark.rule("R15", "S6")
@pytest.mark.parametrize(
    ("options", "sweep", "stalls"),
    [
        # Without a stall the fast core's request leaves at once.
        ({}, range(len(PEER.order(3)) - 5, len(PEER.order(3)) + 35), (0.0, 0.9, 0.95)),
        *((SMALL_COMPACT, range(8_000, 18_000, 83), (stall,)) for stall in (0.0, 0.9, 0.95)),
    ],
)
def test_S6_a_request_leaves_whole_or_not_at_all(
    options: dict[str, Any], sweep: range, stalls: tuple[float, ...]
) -> None:
    """The new connection comes at every cycle around that in which the request's first byte leaves."""
    left = {True: 0, False: 0}
    with gateware_of(options) as gateware:
        for cycles, stall in product(sweep, stalls):
            gateware.stalls(cycles, 0.0, stall)
            b = Bench(gateware)
            gateware.set_next_out(0, 1)
            gateware.core.receive(0, PEER.order(3))
            gateware.core.run(cycles)
            gateware.connect(0, phase=Phase.ACTIVE)
            if not b.story():
                continue  # the message had not come to its end
            request = compose(CONFIG, "2", 1, NOW, b"7=1\x0116=0\x01")
            assert [record.data for record in b.sent] in ([request], []), f"after {cycles} cycles"
            left[bool(b.sent)] += 1
            assert b.state.next_out == len(b.sent) + 1
            assert b.feed(b.order(2)) == ["request 1-0 R11", "R10 2 -> 1"], f"after {cycles} cycles"
            assert b.requests[-1] == (1, 0)
            assert b.sent[-1].data == compose(CONFIG, "2", len(b.sent), NOW, b"7=1\x0116=0\x01")
            gateware.disconnect(0)
    assert left[True]
    assert left[False]


@pytest.mark.rule("R14")
@pytest.mark.parametrize(
    ("options", "sweep"),
    [
        (SHARED, range(len(PEER.order(1)) - 8, len(PEER.order(1)) + 40)),
        (SHARED_COMPACT, range(6_000, 12_000, 211)),
    ],
    ids=CORES,
)
def test_R14_a_tick_at_every_cycle_of_a_message_that_moves_expected(options: dict[str, Any], sweep: range) -> None:
    """The timer has run out before it, or is started anew by it; never both."""
    stories = set()
    with gateware_of(options) as many:
        # Of the compact core's sessions one will do: it takes them in no turns.
        sessions = [1] if options.get("compact") else range(many.info.sessions)
        for cycles in sweep:
            stage = Stage(many)
            for n in sessions:
                lane = Bench(stage, n, peer=PEER, resend_timeout=2)
                assert lane.feed(lane.order(3)) == ["request 1-0 R11", "R10 3 -> 1"]
                lane.wait(1)
                many.core.receive(lane.session, lane.order(1))
                many.core.run(cycles)
                many.core.write(REGISTERS["TICK"].address, 1)
                assert many.core.run(1 << 20)
                stories.add(tuple(lane.story()))
                many.disconnect(lane.session)
    moved = ("deliver 1", "R8 1 -> 2")
    assert stories == {("request 1-0 R14", *moved), moved}


@pytest.mark.rule("R13a", "R14")
def test_R13a_a_request_that_waits_for_others_to_leave_starts_no_timer(many: SimDevice, seed: int) -> None:
    stage = Stage(many)
    lanes = [Bench(stage, n, peer=PEER, resend_timeout=2) for n in range(3)]
    first, *others = lanes
    assert first.feed(first.order(3)) == ["request 1-0 R11", "R10 3 -> 1"]
    first.wait(1)
    many.stalls(seed, 0.0, 0.95)
    for other in others:
        many.core.receive(other.session, other.order(3))
    many.core.receive(first.session, first.order(4, possdup=True))
    assert many.core.run(1 << 20)
    assert first.story() == ["request 1-0 R13a", "R10 4 -> 1"]
    for other in others:
        assert other.story() == ["request 1-0 R11", "R10 3 -> 1"]
    assert first.wait(1) == ["request 1-0 R14"]


@pytest.mark.rule("R14", "R17")
@pytest.mark.parametrize(
    ("options", "size", "cycles", "to_close", "to_rest"),
    [
        *(({**SHARED, "width": width}, size, 300, 300, 1 << 20) for width in WIDTHS for size in (width, None)),
        (SHARED_COMPACT, None, 20_000, 0, 1 << 24),
    ],
)
def test_R14_R17_bytes_without_end_do_not_keep_a_timer_or_the_host_waiting(
    options: dict[str, Any], size: int | None, cycles: int, to_close: int, to_rest: int
) -> None:
    """Shortest messages of four sessions, one behind the other, or a beat of each in turn."""
    with gateware_of(options) as many:
        stage = Stage(many)
        lanes = [Bench(stage, n, peer=Peer(sender="ABCDE"[n], target="T"), resend_timeout=1) for n in range(5)]
        quiet = lanes.pop()
        quiet.feed(quiet.order(3))
        for seq in range(1, 100):
            messages = [frame(encode([(35, 0), (49, lane.peer.sender), (56, "T"), (34, seq)])) for lane in lanes]
            for at in range(0, len(messages[0]), size or len(messages[0])):
                for lane, message in zip(lanes, messages, strict=True):
                    many.core.receive(lane.session, message[at:][:size])
        many.core.run(cycles)
        many.core.write(REGISTERS["TICK"].address, 1)
        many.core.run(cycles)
        assert quiet.story() == ["request 1-0 R14"]
        many.core.write(REGISTERS["SESSION"].address, quiet.session)
        many.core.write(REGISTERS["COMMAND"].address, Command.DISCONNECT)
        many.core.run(to_close)
        assert quiet.phase is Phase.CLOSED
        assert not many.core.run(1), "and there are more bytes"
        assert many.core.run(to_rest)
        assert [lane.expected for lane in lanes] == [100] * 4


@pytest.mark.rule("F6", "R17")
def test_F6_a_new_connection_at_every_cycle_of_the_turns_of_others(many: SimDevice) -> None:
    """What there was of a message is forgotten, whatever the others are just doing."""
    stage = Stage(many)
    lanes = [Bench(stage, n, peer=Peer(sender=f"PEER{n}")) for n in range(many.info.sessions)]
    connecting = lanes[2]
    for cycles in range(40):
        assert connecting.feed(connecting.order(1)[:50]) == []
        turns = [(other, other.expected, other.order(other.expected)) for other in (lanes[1], lanes[4])]
        for at in range(0, 96, 16):
            for other, _, message in turns:
                many.core.receive(other.session, message[at : at + 16])
        many.core.run(cycles)
        many.connect(2, phase=Phase.ACTIVE)
        many.set_expected(2, 1)
        assert connecting.feed(connecting.order(1)) == ["deliver 1", "R8 1 -> 2"], f"after {cycles} cycles"
        many.set_expected(2, 1)
        for other, seq, message in turns:
            assert other.feed(message[96:]) == [f"deliver {seq}", f"R8 {seq} -> {seq + 1}"]


@pytest.mark.rule("R17", "S3")
@pytest.mark.parametrize("junk", range(0, 120, 7))
def test_S3_requests_of_many_sessions_go_before_all_messages_of_the_host(many: SimDevice, junk: int) -> None:
    """While the host's messages leave one after the other, gaps are proved one after the other."""
    peers = [Peer(sender=f"PEER{n}") for n in range(many.info.sessions)]
    lanes = Stage(many)
    for n, peer in enumerate(peers):
        Bench(lanes, n, peer=peer, expected=10 * n + 1)
        many.set_next_out(n, 10**n)
    for n in range(len(peers)):
        many.core.send((n + 2) % len(peers), ord("D"), False, 0, SECOND * 3)
    for n, peer in enumerate(peers[:-1]):
        many.core.receive(n, b"x" * junk + peer.order(10 * n + 2))
    many.receive(4, peers[4].order(42))
    records = many.poll()
    decided = [record for record in records if isinstance(record, EventRecord) and record.code is EventCode.REQUEST]
    assert [(record.session, tell(record)) for record in decided] == [
        (n, f"request {10 * n + 1}-0 R11") for n in range(len(peers))
    ]
    sent = [record for record in records if isinstance(record, SentRecord)]
    assert sorted((record.session, record.msg_type) for record in sent) == [
        (n, msg_type) for n in range(len(peers)) for msg_type in "2D"
    ]
    for n, peer in enumerate(peers):
        mine = [record for record in sent if record.session == n]
        assert [record.seq for record in mine] == [10**n, 10**n + 1]
        for record in mine:
            fields = b"7=%d\x0116=0\x01" % (10 * n + 1) if record.device else SECOND * 3
            assert record.data == compose(peer.config(), record.msg_type, record.seq, NOW, fields)
    for event in decided:
        (request,) = [record for record in sent if record.device and record.session == event.session]
        before = [r for r in sent if not r.device and event.cycle + TO_DECIDE < r.cycle < request.cycle]
        assert not before, "it begins behind the decision and before the request"


@pytest.mark.rule("R15", "R17", "S6")
@pytest.mark.parametrize(
    ("options", "sweep", "leaving"),
    [
        (SHARED, range(90, 400, 6), SECOND * 4),
        (SHARED_COMPACT, range(10_000, 60_000, 997), encode([(58, "x" * 100)])),
    ],
    ids=CORES,
)
def test_S6_a_new_connection_drops_the_requests_of_its_own_session_alone(
    options: dict[str, Any], sweep: range, leaving: bytes
) -> None:
    dropped = set()
    with gateware_of(options) as many:
        peers = [Peer(sender=f"PEER{n}") for n in range(many.info.sessions)]
        for cycles in sweep:
            stage = Stage(many)
            lanes = [Bench(stage, n, peer=peer) for n, peer in enumerate(peers)]
            for n in range(len(peers)):
                many.set_next_out(n, 10**n)
            give(many, "D", leaving)
            for lane in lanes[1:]:
                many.core.receive(lane.session, lane.order(2))
            many.core.run(cycles)
            many.connect(3, phase=Phase.ACTIVE)
            stories = [lane.story() for lane in lanes]
            assert stories[1:3] == [["request 1-0 R11", "R10 2 -> 1"]] * 2
            for n in (1, 2, 4):
                assert lanes[n].requests == [(1, 0)], f"after {cycles} cycles"
            if stories[3] == ["request 1-0 R11", "R10 2 -> 1"] and not lanes[3].sent:
                dropped.add(cycles)
            for n, lane in enumerate(lanes):
                assert [record.seq for record in lane.sent] == [10**n] * len(lane.sent)
                assert lane.state.next_out == 10**n + len(lane.sent)
            assert [record.msg_type for record in lanes[0].sent] == ["D"]
            for lane in lanes:
                many.disconnect(lane.session)
    assert dropped


@pytest.mark.rule("R11", "R17", "S2")
@pytest.mark.parametrize("outputs", [0.0, 0.5, 0.9])
def test_S2_requests_of_many_sessions_in_a_row_have_their_sessions_numbers(
    many: SimDevice, seed: int, outputs: float
) -> None:
    """Shortest messages, so that gap follows gap as fast as it can be; the requests queue up behind each other."""
    peers = [Peer(sender="ABCDE"[n], target="T") for n in range(many.info.sessions)]
    stage = Stage(many)
    lanes = [Bench(stage, n, peer=peer) for n, peer in enumerate(peers)]
    many.stalls(seed, 0.0, outputs)
    for turn in range(40):
        for n, lane in enumerate(lanes):
            lane.reconnect()
            many.set_next_out(n, 10**n + turn)
        for lane in lanes[turn % 5 :] + lanes[: turn % 5]:
            many.core.receive(lane.session, frame(encode([(35, 0), (49, lane.peer.sender), (56, "T"), (34, 9)])))
        assert many.core.run(1 << 20)
        for n, lane in enumerate(lanes):
            assert lane.story() == ["request 1-0 R11", "R10b 9 -> 1"]
            record = lane.sent[-1]
            assert record.data == compose(lane.peer.config(), "2", 10**n + turn, NOW, b"7=1\x0116=0\x01")
            assert lane.state.next_out == 10**n + turn + 1
