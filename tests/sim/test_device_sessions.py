"""R17 on every device: many sessions, each by itself, whatever comes between the bytes of its messages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tag34.contract import MAX_SEQ, Phase, Policy
from tag34.device import DeviceError, Record, SentRecord
from tag34_sim.golden import compose, sending_time
from tag34_sim.messages import Field, Peer, checksummed, cut, damaged_checksum, encode, frame
from tests.sim.bench import ALL_DIGITS, Bench, Stage, tell

#: One peer for each session of the device: other versions, other names, one of them the beginning of another.
PEERS = [
    Peer("FIX.4.4", "VENUE", "TAG34"),
    Peer("FIX.4.2", "VENU", "TAG34"),
    Peer("FIXT.1.1", "V", "US"),
    Peer("FIX.4.0", "VENUE", "TAG345"),
    Peer("FIX.4.4", "TAG34", "VENUE"),
]
POLICIES = [Policy.INFINITY, Policy.CLOSED, Policy.CHUNK, Policy.INFINITY, Policy.CLOSED]

Lanes = list[Bench]


def connected(stage: Stage, **options: Any) -> Lanes:
    """All sessions, connected; session n expects 100 n + 1."""
    return [
        Bench(stage, n, expected=100 * n + 1, peer=peer, policy=policy, chunk=2, **options)
        for n, (peer, policy) in enumerate(zip(PEERS, POLICIES, strict=True))
    ]


@pytest.fixture
def lanes(stage: Stage) -> Lanes:
    """All sessions of a device, connected; session n expects 100 n + 1."""
    return connected(stage)


def end_of(lane: Bench, end: int) -> int:
    """16 of a request when the numbers up to ``end`` are missing (no more of them than a chunk has)."""
    infinity = 999999 if lane.peer.begin_string == "FIX.4.0" else 0
    return infinity if POLICIES[lane.session] is Policy.INFINITY else end


def sized(peer: Peer, seq: int, size: int) -> bytes:
    """A message of this many bytes, which are some hundred."""
    message = peer.message("B", seq, [(58, "x" * 99)])
    message = peer.message("B", seq, [(58, "x" * (99 + size - len(message)))])
    assert len(message) == size
    return message


def kinds(peer: Peer) -> dict[str, tuple[bytes, list[str]]]:
    """Messages that need all kinds of state to go on in the middle, and what comes of each on a session that expects 1
    and holds 3."""
    data = b"\x01141=Y\x0110=000\x018=FIX.4.4\x019=5\x01" + peer.sender.encode() * 5  # each has a length of its own
    names: list[Field] = [(35, "D"), (49, peer.sender), (56, peer.target)]
    no_number = ["halted 1 R4", "R4 none -> 1"]
    body, long_body = (encode([*names, (34, 1), (58, "x" * size)]) for size in (1, 400))
    return {
        "order": (peer.order(1), ["deliver 1", "R8 1 -> 2"]),
        "zeros": (peer.message("D", "0" * 12 + "1", possdup=True), ["deliver 1", "R8 1 -> 2"]),
        "gap fill": (peer.gap_fill(1, 3), ["deliver 3", "recovered 4", "R7 1 -> 4"]),
        "bad gap fill": (peer.gap_fill(1, "1x"), ["R7a 1 -> 1"]),
        "reset": (peer.reset(3, seq=None), ["deliver 3", "recovered 4", "R3 none -> 4"]),
        "data": (
            peer.message("A", 1, [(98, 0), (95, len(data)), (96, data), (141, "N")]),
            ["deliver 1", "R8 1 -> 2"],
        ),
        "data in a reset": (
            peer.message("4", "x", [(354, len(data)), (355, data.replace(b"141=Y", b"123=Y")), (36, 3), (123, "N")]),
            ["deliver 3", "recovered 4", "R3 none -> 4"],
        ),
        "logon": (peer.logon(1, reset=True), ["deliver 1", "recovered 2", "R5 1 -> 2"]),
        "above": (peer.resend_request(5), ["deliver 5 early", "R10d 5 -> 1"]),
        "garbled sum": (damaged_checksum(peer.order(1)), ["F3 none -> 1"]),
        "garbled length": (frame(body, begin_string=peer.begin_string, length=len(body) - 1), ["F3 none -> 1"]),
        "no length": (checksummed(encode([(8, peer.begin_string), (9, "12x")]) + body), ["F3 none -> 1"]),
        "too long": (frame(long_body, begin_string=peer.begin_string), ["halted 1 F5", "F5 none -> 1"]),
        "no number": (peer.message("D", "1x"), no_number),
        "flags": (
            peer.message("8", 1, [(43, "Y"), (97, "Y")], possdup="N", possresend=True),
            ["deliver 1", "R8 1 -> 2"],
        ),
        "odd tag": (frame(encode([*names, ("5x0", 1), (34, 1)]), begin_string=peer.begin_string), no_number),
        "tag of the body": (frame(encode([*names, (500, 1), (34, 1)]), begin_string=peer.begin_string), no_number),
        "long tag": (frame(encode([*names, (10**12 + 50, 1), (34, 1)]), begin_string=peer.begin_string), no_number),
        "header": (peer.message("UX12", 1, header=[(57, "34=9"), (90, 2)], possdup=True), ["deliver 1", "R8 1 -> 2"]),
        "zeros to fill": (peer.gap_fill(1, "0000000003"), ["deliver 3", "recovered 4", "R7 1 -> 4"]),
        "foreign version": (Peer(peer.begin_string + "9", peer.sender, peer.target).order(1), ["R2 1 -> 1"]),
        "foreign sender": (Peer(peer.begin_string, peer.sender + "X", peer.target).order(1), ["R2 1 -> 1"]),
        "foreign target": (Peer(peer.begin_string, peer.sender, peer.target[:-1]).order(1), ["R2 1 -> 1"]),
    }


KINDS = list(kinds(PEERS[0]))


def begin(lane: Bench) -> None:
    """A new connection that expects 1 and holds 3."""
    lane.device.set_expected(lane.session, 1)
    lane.reconnect()
    lane.feed(lane.order(3))


# Bytes of others between the bytes of a message


def told(lane: Bench, *pieces: bytes) -> list[Record]:
    """What is told of a message that comes in pieces on a new connection, but for what leaves."""
    begin(lane)
    before = len(lane.records)
    for piece in pieces:
        lane.feed(piece)
    return at_rest(lane, before)


def at_rest(lane: Bench, before: int) -> list[Record]:
    """The records behind the first ``before``, without cycles and without what leaves."""
    return [replace(record, cycle=0) for record in lane.records[before:] if not isinstance(record, SentRecord)]


@pytest.mark.rule("R17", "F1")
@pytest.mark.parametrize("kind", KINDS)
def test_R17_another_session_s_message_at_every_byte_of_a_message(lanes: Lanes, rng: random.Random, kind: str) -> None:
    """In BodyLength, inside tag 34, in a data field, in the trailer: everywhere. The other one is cut too, anywhere."""
    lane, other = lanes[0], lanes[1]
    message, want = kinds(lane.peer)[kind]
    alone = told(lane, message)
    assert [tell(record) for record in alone] == want
    others = kinds(other.peer)
    others_alone = {name: told(other, third) for name, (third, _) in others.items()}
    assert all([tell(record) for record in others_alone[name]] == others[name][1] for name in KINDS)
    size = len(message)
    for at in [*range(1, min(size, 150)), *range(150, size - 20, 9), *range(max(150, size - 20), size)]:
        for name in (kind, kind, *rng.sample(KINDS, 2)):  # what is of the same kind needs the same registers
            between = others[name][0]
            half = rng.randrange(len(between) + 1)
            begin(lane)
            begin(other)
            before = len(lane.records), len(other.records)
            for session, piece in (
                (lane, message[:at]),
                (other, between[:half]),
                (lane, message[at:]),
                (other, between[half:]),
            ):
                session.feed(piece)
            where = f"cut at {at}, between {message[:at]!r} and {message[at:]!r}: {between[:half]!r}"
            assert at_rest(lane, before[0]) == alone, where
            assert at_rest(other, before[1]) == others_alone[name], where


@pytest.mark.rule("R17", "F1")
def test_R17_byte_by_byte_through_all_sessions(lanes: Lanes) -> None:
    """Every kind of message on every session, all of them at the same time."""
    for shift in range(len(KINDS)):
        streams = []
        for n, lane in enumerate(lanes):
            begin(lane)
            streams.append(kinds(lane.peer)[KINDS[(shift + 3 * n) % len(KINDS)]])
        stories: list[list[str]] = [[] for _ in lanes]
        for at in range(max(len(message) for message, _ in streams)):
            for n, (lane, (message, _)) in enumerate(zip(lanes, streams, strict=True)):
                if at < len(message):
                    stories[n] += lane.feed(message[at : at + 1])
        assert stories == [want for _, want in streams], f"{[KINDS[(shift + 3 * n) % len(KINDS)] for n in range(5)]}"


@pytest.mark.rule("R17", "R12")
def test_R17_recoveries_cut_at_random(lanes: Lanes, rng: random.Random) -> None:
    """Each session has gaps of its own, asks by its own policy, and gets its messages once and in order."""

    def chunks(lane: Bench) -> Iterator[bytes]:
        first = 100 * lane.session + 1
        stream = lane.orders(*range(first, first + 3), *range(first + 5, first + 9))
        stream += damaged_checksum(lane.order(first + 3)) + b"noise" + lane.peer.resend_request(first + 9)
        stream += lane.orders(*range(first + 3, first + 9), possdup=True) + lane.peer.gap_fill(first + 10, first + 20)
        stream += lane.order(first + 20)
        yield from cut(stream, rng)

    waiting = [chunks(lane) for lane in lanes]
    while waiting:
        turn = rng.randrange(len(waiting))
        chunk = next(waiting[turn], None)
        if chunk is None:
            waiting.pop(turn)
            lanes.append(lanes.pop(turn))
        else:
            lanes[turn].device.receive(lanes[turn].session, chunk)
    for lane in lanes:
        lane.story()
        first = 100 * lane.session + 1
        numbers = [d.seq for d in lane.delivered if not d.early]
        assert numbers == [*range(first, first + 9), first + 20]
        assert [d.seq for d in lane.delivered if d.early] == [first + 9]
        assert {d.data for d in lane.delivered} >= {lane.order(first), lane.order(first + 20)}
        assert lane.expected == first + 21
        assert lane.requests[0][0] == first + 3
        assert {record.session for record in lane.records} == {lane.session}


@pytest.mark.rule("R2", "R17")
def test_R17_a_message_of_one_session_is_foreign_to_the_others(lanes: Lanes) -> None:
    for lane in lanes:
        for other in lanes:
            if other is not lane:
                seq = lane.expected
                assert lane.feed(other.peer.order(seq)) == [f"R2 {seq} -> {seq}"]
        assert lane.feed(lane.order(lane.expected))[0].startswith("deliver")


# What the host does between the bytes of a message


@pytest.mark.rule("R17", "F6")
@pytest.mark.parametrize("kind", ["order", "data", "gap fill", "garbled sum", "too long"])
def test_R17_another_session_connects_at_every_byte_of_a_message(lanes: Lanes, kind: str) -> None:
    """The other one was itself inside a message, which is forgotten; this one's goes on."""
    lane, other = lanes[2], lanes[3]
    message, want = kinds(lane.peer)[kind]
    for at in range(1, len(message)):
        begin(lane)
        story = lane.feed(message[:at])
        other.feed(other.order(301)[: 1 + at % 60])
        other.reconnect()
        assert other.state.phase is Phase.ACTIVE
        assert story + lane.feed(message[at:]) == want, f"cut at {at}"
        assert other.feed(other.order(301)) == ["deliver 301", "R8 301 -> 302"], f"cut at {at}"
        other.device.set_expected(3, 301)


@pytest.mark.rule("R17", "F6")
def test_R17_a_session_that_connects_forgets_its_own_partial_message_alone(lanes: Lanes) -> None:
    for lane in lanes:
        lane.feed(lane.order(lane.expected)[:-9])
    lanes[2].reconnect()
    for lane in lanes:
        seq = lane.expected
        if lane is lanes[2]:
            assert lane.feed(lane.order(seq)[-9:]) == []
            assert lane.feed(lane.order(seq)) == [f"deliver {seq}", f"R8 {seq} -> {seq + 1}"]
            assert lane.device.counters(lane.session)["skipped"] == 9
        else:
            assert lane.feed(lane.order(seq)[-9:]) == [f"deliver {seq}", f"R8 {seq} -> {seq + 1}"]
            assert lane.device.counters(lane.session)["skipped"] == 0


@pytest.mark.rule("R17")
def test_R17_whatever_the_host_does_to_others_inside_a_message(lanes: Lanes) -> None:
    """Commands, sends, time, looks at states and counters: between all of its bytes."""
    lane, other, third = lanes[0], lanes[4], lanes[1]
    device, message = lane.device, lane.order(1)
    third.feed(third.order(103))

    def deeds() -> Iterator[None]:
        while True:
            device.disconnect(4)
            yield
            device.configure(4, other.peer.config(window=3, fraction=9))
            yield
            device.set_expected(4, 7)
            yield
            device.set_next_out(4, 4_000_000_000)
            yield
            device.connect(4, phase=Phase.LOGON, may_request=False)
            yield
            device.set_may_request(4, True)
            yield
            device.send(4, "D", b"11=x\x01")
            yield
            lane.stage.wait(1)
            yield
            assert (device.state(4).expected, device.state(1).highest) == (7, 103)
            yield
            assert device.counters(1)["R10"] == 1
            yield
            device.receive(4, other.peer.logon(7))
            yield
            third.send("0")
            yield

    deed = deeds()
    for _ in range(3):
        device.set_expected(0, 1)
        story = []
        for at in range(len(message)):
            story += lane.feed(message[at : at + 1])
            next(deed)
        assert story == ["deliver 1", "R8 1 -> 2"]
    assert [d.data for d in lane.delivered] == [message] * 3
    assert lane.sent == []


# Each session has its own state


@pytest.mark.rule("R17")
def test_R17_states_are_each_sessions_own(stage: Stage) -> None:
    device = stage.device
    assert all(device.state(n) == device.state(0) for n in range(5))
    lanes = connected(stage)
    for lane in lanes:
        assert (lane.expected, lane.highest) == (100 * lane.session + 1, 100 * lane.session)
    lanes[1].feed(lanes[1].orders(101, 103))
    device.disconnect(2)
    lanes[3].feed(lanes[3].peer.message("D", "x"))
    device.set_next_out(4, 77)
    device.set_may_request(0, False)
    want = [
        (Phase.ACTIVE, False, 1, 0, 1, False),
        (Phase.ACTIVE, True, 102, 103, 2, True),
        (Phase.CLOSED, True, 201, 200, 1, False),
        (Phase.HALTED, True, 301, 300, 1, False),
        (Phase.ACTIVE, True, 401, 400, 77, False),
    ]
    for lane, state in zip(lanes, want, strict=True):
        now = lane.state
        assert (now.phase, now.may_request, now.expected, now.highest, now.next_out, now.recovery) == state


@pytest.mark.rule("R17", "R1")
def test_R17_one_that_is_halted_or_closed_stops_no_other(lanes: Lanes) -> None:
    lanes[0].feed(lanes[0].peer.message("D", None))
    lanes[1].device.disconnect(1)
    for lane, want in zip(lanes, ["R1 {0} -> {0}"] * 2 + ["R8 {0} -> {1}"] * 3, strict=True):
        seq = lane.expected
        assert lane.feed(lane.order(seq))[-1] == want.format(seq, seq + 1)


@pytest.mark.rule("R17", "F4")
def test_R17_counters_are_each_sessions_own(lanes: Lanes) -> None:
    for lane in lanes:
        seq = lane.expected
        lane.feed(b"z" * (lane.session + 1), *(lane.order(seq + at) for at in range(lane.session)), lane.order(1000))
        lane.feed(*[damaged_checksum(lane.order(1))] * (lane.session + 1))
    for lane in lanes:
        counted = {name: count for name, count in lane.device.counters(lane.session).items() if count}
        want = {"R8": lane.session, "R10b": 1, "F3": lane.session + 1, "skipped": lane.session + 1}
        assert counted == {name: count for name, count in want.items() if count}
    lanes[3].reconnect()
    assert [lane.device.counters(lane.session)["skipped"] for lane in lanes] == [1, 2, 3, 0, 5]


@pytest.mark.rule("R17", "R15")
def test_R17_a_new_connection_leaves_the_others_recoveries_alone(lanes: Lanes) -> None:
    for lane in lanes:
        first = lane.expected
        assert lane.feed(lane.order(first + 1))[0] == f"request {first}-{end_of(lane, first)} R11"
    lanes[1].reconnect()
    lanes[1].device.set_expected(1, 500)
    lanes[2].feed(lanes[2].peer.logon(1, reset=True))
    for lane in (lanes[0], lanes[3], lanes[4]):
        first = lane.expected
        assert lane.state.recovery
        assert lane.feed(lane.order(first, possdup=True)) == [
            f"deliver {first}",
            f"deliver {first + 1}",
            f"recovered {first + 2}",
            f"R8 {first} -> {first + 2}",
        ]
    assert lanes[1].feed(lanes[1].order(500)) == ["deliver 500", "R8 500 -> 501"]
    assert lanes[2].feed(lanes[2].order(2)) == ["deliver 2", "R8 2 -> 3"]


@pytest.mark.rule("R9", "R17")
def test_R17_requests_are_remembered_for_each_session(lanes: Lanes) -> None:
    """A late GapFill counts where it was asked for (R9), and nowhere else."""
    asked, silent = lanes[0], lanes[4]
    asked.feed(asked.orders(2, 1), asked.order(4))
    silent.device.set_may_request(4, False)
    silent.feed(silent.orders(402, 401), silent.order(404))
    assert silent.feed(silent.peer.gap_fill(401, 404, possdup=True)) == ["R9a 401 -> 403"]
    assert asked.feed(asked.peer.gap_fill(1, 4, possdup=True)) == ["deliver 4", "recovered 5", "R9 1 -> 5"]


@pytest.mark.rule("R16a", "R17")
def test_R17_one_session_s_numbers_may_end(lanes: Lanes) -> None:
    lanes[1].device.set_expected(1, MAX_SEQ)
    assert lanes[1].feed(lanes[1].order(MAX_SEQ))[1] == "seq_exhausted 4294967295 R16a"
    assert lanes[0].feed(lanes[0].order(1)) == ["deliver 1", "R8 1 -> 2"]


@pytest.mark.rule("R11", "R17")
def test_R17_policies_are_each_sessions_own(lanes: Lanes) -> None:
    ends = []
    for lane in lanes:
        lane.feed(lane.order(lane.expected + 5))
        ends += lane.requests
    assert ends == [(1, 0), (101, 105), (201, 202), (301, 999999), (401, 405)]


@pytest.mark.rule("R10", "R17")
def test_R17_windows_are_each_sessions_own(stage: Stage) -> None:
    lanes = [Bench(stage, n, peer=peer, window=n + 1) for n, peer in enumerate(PEERS)]
    for lane in lanes:
        seqs = [lane.session + 2, lane.session + 1][: 1 if lane.session == 0 else 2]
        stories = [lane.feed(lane.order(seq))[-1] for seq in seqs]
        assert stories == [f"R10b {seqs[0]} -> 1", *(f"R10 {seq} -> 1" for seq in seqs[1:])]
        lane.reconnect()


# Memory is shared, with a limit for each


@pytest.mark.rule("R10b", "R17")
def test_R17_one_session_in_recovery_does_not_starve_another(lanes: Lanes) -> None:
    """Five places, three for each at most: the first takes three, two are left, and they are for whoever needs them."""
    first, second, third = lanes[:3]
    assert [first.feed(first.order(seq))[-1] for seq in (2, 3, 4, 5, 6)] == [
        "R10 2 -> 1",
        "R10 3 -> 1",
        "R10 4 -> 1",
        "R10b 5 -> 1",
        "R10b 6 -> 1",
    ]
    assert [second.feed(second.order(seq))[-1] for seq in (102, 103, 104)] == [
        "R10 102 -> 101",
        "R10 103 -> 101",
        "R10b 104 -> 101",
    ]
    assert third.feed(third.order(202))[-1] == "R10b 202 -> 201"
    # Without memory it is still judged, answered and delivered in its turn.
    assert third.feed(third.order(201)) == ["deliver 201", "R8 201 -> 202"]
    # What is released is free for others, and not before.
    assert second.feed(second.order(101))[-1] == "R8 101 -> 104"
    assert third.feed(third.order(203), third.order(204), third.order(205))[-3:] == [
        "R10 203 -> 202",
        "R10 204 -> 202",
        "R10b 205 -> 202",
    ]
    # Nothing was lost.
    assert first.feed(first.orders(1, 5, 6, possdup=True))[-1] == "R8 6 -> 7"
    assert [d.seq for d in first.delivered] == [1, 2, 3, 4, 5, 6]


@pytest.mark.rule("R10b", "R17")
@pytest.mark.parametrize("how", ["connect", "disconnect", "set_expected", "reset", "logon", "gap fill"])
def test_R17_memory_of_one_session_comes_back_for_the_others(lanes: Lanes, how: str) -> None:
    holder, other = lanes[0], lanes[1]
    holder.feed(holder.orders(2, 3, 4))
    other.feed(other.orders(102, 103))
    assert other.feed(other.order(104)) == ["R10b 104 -> 101"]
    if how == "connect":
        holder.device.connect(0, phase=Phase.ACTIVE)
    elif how == "disconnect":
        holder.device.disconnect(0)
    elif how == "set_expected":
        holder.device.set_expected(0, 9)
    else:
        ways = {"reset": holder.peer.reset(9), "logon": holder.peer.logon(1, reset=True)}
        holder.feed(ways.get(how, holder.peer.gap_fill(1, 9)))
    assert other.feed(other.order(104)) == ["R10 104 -> 101"]
    assert lanes[2].feed(lanes[2].orders(202, 203))[-1] == "R10 203 -> 201"
    assert lanes[3].feed(lanes[3].order(302))[-1] == "R10b 302 -> 301"


@pytest.mark.rule("R10b", "R17")
def test_R17_a_halted_session_keeps_what_it_holds(lanes: Lanes) -> None:
    lanes[0].feed(lanes[0].orders(2, 3, 4), lanes[0].peer.message("D", "x"))
    lanes[1].feed(lanes[1].orders(102, 103))
    assert lanes[1].feed(lanes[1].order(104)) == ["R10b 104 -> 101"]
    lanes[0].reconnect()
    assert lanes[1].feed(lanes[1].order(104)) == ["R10 104 -> 101"]


@pytest.mark.rule("R10c", "R10d", "R10e", "R17")
def test_R17_what_needs_no_memory_is_marked_when_there_is_none(lanes: Lanes) -> None:
    """GapFills are their numbers, and what is consumed is a mark: a full memory keeps neither out."""
    lanes[0].feed(lanes[0].orders(2, 3, 4))
    lanes[1].feed(lanes[1].orders(102, 103))
    lane = lanes[2]
    assert [
        lane.feed(message)[-1]
        for message in (lane.order(202), lane.peer.gap_fill(203, 206), lane.peer.resend_request(206))
    ] == ["R10b 202 -> 201", "R10 203 -> 201", "R10d 206 -> 201"]
    assert lane.feed(lane.peer.resend_request(206)) == ["R10a 206 -> 201"]
    assert lane.feed(lane.orders(201, 202))[-3:] == ["held_gap_fill 203 206", "recovered 207", "R8 202 -> 207"]


@pytest.mark.rule("R10", "R12", "R17")
def test_R17_places_go_round_through_all_sessions(lanes: Lanes) -> None:
    """Hundreds of messages held and released, by turns: no place is lost, none is given twice."""
    for turn in range(60):
        busy = [lanes[turn % 5], lanes[(turn + 1 + turn // 5 % 4) % 5]]
        for lane, count in zip(busy, (3, 2), strict=True):
            first = lane.expected
            stories = [lane.feed(lane.order(first + at + 1))[-1] for at in range(count)]
            assert stories == [f"R10 {first + at + 1} -> {first}" for at in range(count)]
        for lane, count in zip(busy, (3, 2), strict=True):
            first = lane.expected
            story = lane.feed(lane.order(first, possdup=True))
            assert story[: count + 1] == [f"deliver {first + at}" for at in range(count + 1)]
            assert [d.data for d in lane.delivered[-count:]] == [lane.order(first + at + 1) for at in range(count)]


# Timers


@pytest.mark.rule("R14", "R17")
def test_R17_timers_run_for_each_session(stage: Stage) -> None:
    """Timeouts and retries are their own, and so is progress."""
    lanes = [
        Bench(stage, n, peer=peer, resend_timeout=timeout, resend_retries=retries)
        for n, (peer, timeout, retries) in enumerate(
            zip(PEERS, [10, 15, 0, 10, 4], [3, 1, 3, 0, 255], strict=True),
        )
    ]
    for lane in lanes:
        lane.feed(lane.order(5))
    stage.wait(9)
    assert [lane.story() for lane in lanes] == [[], [], [], [], ["request 1-0 R14"] * 2]
    assert lanes[0].feed(lanes[0].order(1)) == ["deliver 1", "R8 1 -> 2"]  # its timer starts again
    stage.wait(6)  # 15 in all, 6 for session 0
    assert [lane.story() for lane in lanes] == [
        [],
        ["request 1-0 R14"],
        [],
        ["recovery_failed 1"],
        ["request 1-0 R14"],
    ]
    stage.wait(15)  # 30 in all, 21 for session 0
    assert [lane.story() for lane in lanes] == [
        ["request 2-0 R14"] * 2,
        ["recovery_failed 1"],
        [],
        [],
        ["request 1-0 R14"] * 4,
    ]
    assert [lane.phase for lane in lanes] == [Phase.ACTIVE, Phase.HALTED, Phase.ACTIVE, Phase.HALTED, Phase.ACTIVE]
    assert lanes[3].requests == [(1, 999999)]


@pytest.mark.rule("R14", "R17")
def test_R17_timers_of_the_others_run_on_when_one_stops(stage: Stage) -> None:
    """One range after the other is closed: as many as there are, down to the last."""
    lanes = connected(stage, resend_timeout=5, resend_retries=255)
    for lane in lanes:
        lane.feed(lane.order(lane.expected + 1))
    for closed in [1, 4, 0, 3]:
        stage.wait(5)
        for lane in lanes:
            assert [line.split()[-1] for line in lane.story()] == ["R14"] * lane.state.recovery
        lanes[closed].feed(lanes[closed].order(lanes[closed].expected))
    stage.wait(5)
    assert [len(lane.story()) for lane in lanes] == [0, 0, 1, 0, 0]


@pytest.mark.rule("R14", "S2", "S4", "R17")
@pytest.mark.parametrize("may", [True, False])
def test_R17_requests_of_many_sessions_at_the_same_time_have_their_sessions_numbers(stage: Stage, may: bool) -> None:
    """All timers end with the same tick; or all hosts allow requests, one right after the other."""
    lanes = connected(stage, resend_timeout=5, resend_retries=255)
    numbers = [7 * 10**lane.session for lane in lanes]
    for lane, number in zip(lanes, numbers, strict=True):
        stage.device.set_next_out(lane.session, number)
        stage.device.set_may_request(lane.session, may)
        lane.feed(lane.order(lane.expected + 2))
    for turn in range(1, 9):
        if may:
            stage.wait(5)
        else:
            for lane in lanes[turn % 5 :] + lanes[: turn % 5]:
                lane.reconnect(may_request=False)
                lane.feed(lane.order(lane.expected + 2))
            for lane in lanes[turn % 3 :] + lanes[: turn % 3]:
                stage.device.set_may_request(lane.session, True)
        for lane, number in zip(lanes, numbers, strict=True):
            lane.story()
            record = lane.sent[-1]
            first = 100 * lane.session + 1
            body = b"7=%d\x0116=%d\x01" % (first, end_of(lane, first + 1))
            seq = number + turn - (not may)
            assert record.data == compose(lane.peer.config(), "2", seq, stage.ms * 10**6, body)
            assert lane.state.next_out == seq + 1


@pytest.mark.rule("R14", "R17")
def test_R17_a_timer_runs_while_another_session_is_inside_a_message(stage: Stage) -> None:
    lanes = connected(stage, resend_timeout=5)
    lanes[0].feed(lanes[0].order(4))
    message = lanes[1].order(101)
    lanes[1].feed(message[:40])
    assert lanes[0].wait(5) == ["request 1-0 R14"]
    assert lanes[1].feed(message[40:]) == ["deliver 101", "R8 101 -> 102"]
    # And while it is inside a message itself.
    lanes[0].feed(lanes[0].order(1)[:40])
    assert lanes[0].wait(5) == ["request 1-0 R14"]
    assert lanes[0].feed(lanes[0].order(1)[40:]) == ["deliver 1", "R8 1 -> 2"]


@pytest.mark.rule("R14", "R17")
def test_R17_what_happens_at_different_times_is_told_in_that_order(stage: Stage) -> None:
    """A long wait: every tick of every session comes before the next tick of any."""
    for n, (peer, timeout) in enumerate(zip(PEERS, [7, 5, 3, 11, 13], strict=True)):
        Bench(stage, n, peer=peer, resend_timeout=timeout, resend_retries=255).feed(peer.order(5))
    stage.records.clear()
    stage.wait(30)
    stage.take(0)
    due = sorted((tick, n) for n, step in enumerate([7, 5, 3, 11, 13]) for tick in range(step, 31, step))
    decided = [record.session for record in stage.records if type(record).__name__ == "EventRecord"]
    assert len(decided) == len(due)
    at = 0
    for tick in sorted({tick for tick, _ in due}):
        together = {n for when, n in due if when == tick}
        assert set(decided[at : at + len(together)]) == together, f"tick {tick}"
        at += len(together)


# Sending


@pytest.mark.rule("S1", "S2", "R17")
def test_R17_each_session_has_its_own_header_and_numbers(stage: Stage) -> None:
    fractions = [0, 3, 6, 9, None]
    lanes = [
        Bench(stage, n, peer=peer, fraction=fraction)
        for n, (peer, fraction) in enumerate(zip(PEERS, fractions, strict=True))
    ]
    now = stage.ms * 10**6 + 123_456_789
    stage.device.advance(now)
    for lane in lanes:
        stage.device.set_next_out(lane.session, 9 * 10**lane.session)
    for turn in range(12):
        for lane in lanes:
            n = lane.session
            record = lane.send("0D8"[(turn + n) % 3], b"58=%d\x01" % turn)
            assert (record.session, record.seq, record.replay) == (n, 9 * 10**n + turn, False)
            config = lane.peer.config(fraction=fractions[n])
            assert record.data == compose(config, record.msg_type, record.seq, now, b"58=%d\x01" % turn)
            assert record.sending_time == sending_time(now, config.fraction_digits)
    assert [lane.state.next_out for lane in lanes] == [9 * 10**lane.session + 12 for lane in lanes]


@pytest.mark.rule("S2", "R17")
def test_R17_each_session_has_its_own_number_whatever_it_is(lanes: Lanes) -> None:
    for start in range(len(ALL_DIGITS)):
        numbers = [ALL_DIGITS[(start + 7 * lane.session) % len(ALL_DIGITS)] for lane in lanes]
        for lane, number in zip(lanes, numbers, strict=True):
            lane.device.set_next_out(lane.session, number)
        for lane, number in zip(lanes, numbers, strict=True):
            assert lane.state.next_out == number
            assert lane.send("0").seq == number


@pytest.mark.rule("S2", "R17")
def test_R17_replays_and_requests_of_one_session_take_no_number_of_another(lanes: Lanes) -> None:
    for turn in range(1, 4):
        for lane in lanes:
            lane.send("D")
            lane.send("8", b"43=Y\x01", seq=turn)
        for lane in lanes[::2]:
            seq = lane.expected
            lane.feed(lane.order(seq + 1), lane.order(seq))
    for lane in lanes:
        asked = 3 if lane.session % 2 == 0 else 0
        assert lane.state.next_out == 4 + asked
        live = [record.seq for record in lane.sent if not record.replay]
        assert live == list(range(1, 4 + asked))


@pytest.mark.rule("S2", "R17")
def test_R17_one_session_s_outbound_numbers_may_end(lanes: Lanes) -> None:
    lanes[0].device.set_next_out(0, MAX_SEQ)
    lanes[0].send("0")
    with pytest.raises(DeviceError):
        lanes[0].send("0")
    assert lanes[1].send("0").seq == 1


@pytest.mark.rule("R11", "S4", "R17")
def test_R17_requests_of_all_sessions_at_once(lanes: Lanes) -> None:
    """The last byte of each gap comes in turn, one behind the other; every session has numbers of its own."""
    for lane in lanes:
        lane.device.set_next_out(lane.session, 7 * 10**lane.session)
    messages = [lane.order(lane.expected + 2) for lane in lanes]
    for lane, message in zip(lanes, messages, strict=True):
        lane.device.receive(lane.session, message[:-1])
    for lane, message in zip(lanes, messages, strict=True):
        lane.device.receive(lane.session, message[-1:])
    for lane in lanes:
        first = 100 * lane.session + 1
        end = end_of(lane, first + 1)
        assert lane.story() == [f"request {first}-{end} R11", f"R10 {first + 2} -> {first}"]
        (record,) = lane.sent
        assert (record.session, record.seq, record.device) == (lane.session, 7 * 10**lane.session, True)
        config = lane.peer.config()
        body = b"7=%d\x0116=%d\x01" % (first, end)
        assert record.data == compose(config, "2", record.seq, lane.stage.ms * 10**6, body)


@pytest.mark.rule("F5", "R17")
def test_R17_the_longest_messages_of_all_sessions_at_once(lanes: Lanes) -> None:
    """Each is stored whole, and one byte more halts its session alone."""
    size = lanes[0].device.info.max_message
    messages = [sized(lane.peer, lane.expected, size) for lane in lanes]
    for at in range(0, size, 50):
        for lane, message in zip(lanes, messages, strict=True):
            lane.device.receive(lane.session, message[at : at + 50])
    for lane, message in zip(lanes, messages, strict=True):
        seq = 100 * lane.session + 1
        assert lane.story() == [f"deliver {seq}", f"R8 {seq} -> {seq + 1}"]
        assert lane.delivered[-1].data == message
    longer = sized(lanes[1].peer, 102, size + 1)
    lanes[1].feed(longer[:200])
    assert lanes[0].feed(sized(lanes[0].peer, 2, size))[-1] == "R8 2 -> 3"
    assert lanes[1].feed(longer[200:]) == ["halted 102 F5", "F5 none -> 102"]
