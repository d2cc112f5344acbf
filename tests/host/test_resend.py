"""H3: what answers a ResendRequest of the peer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tag34 import Device, FixMessage, MemoryStore, Message, PeerError, ReplayDone, StoredMessage
from tag34.replay import ReplayQueue, gap_fill, replay
from tests.host.bench import Bench, numbers, types


@pytest.fixture
def bench(initiator: Bench) -> Bench:
    """Logged on; 2 and 3 are orders, 4 and 5 heartbeats, 6 an order. Each left at a time of its own."""
    initiator.log_on()
    for kind in "DD00D":
        initiator.wait(1)
        initiator.peer("1", [(112, "x")]) if kind == "0" else initiator.send(fields={11: "order", 58: "34=7"})
    initiator.wait(1)
    return initiator


def shape(messages: list[FixMessage]) -> list[str]:
    """A replay in short: ``D2`` an order, ``4-6`` a GapFill of 4 and 5."""
    short = []
    for message in messages:
        assert message[43] == "Y"
        if message[35] == "4":
            assert message[123] == "Y"
            short.append(f"{message[34]}-{message[36]}")
        else:
            short.append(message[35] + message[34])
    return short


def ask(bench: Bench, begin: object, end: object) -> list[FixMessage]:
    return bench.peer("2", [(7, str(begin)), (16, str(end))])


@pytest.mark.rule("S2", "H3")
@pytest.mark.parametrize(
    ("begin", "end", "answer"),
    [
        (1, 0, ["1-2", "D2", "D3", "4-6", "D6"]),
        (1, 1, ["1-2"]),
        (2, 2, ["D2"]),
        (3, 4, ["D3", "4-5"]),
        (4, 5, ["4-6"]),
        (5, 5, ["5-6"]),
        (5, 6, ["5-6", "D6"]),
        (6, 500, ["D6"]),
        (6, 999999, ["D6"]),
    ],
)
def test_h3_what_was_asked_for(bench: Bench, begin: int, end: int, answer: list[str]) -> None:
    assert shape(ask(bench, begin, end)) == answer
    assert [(event.begin, event.end) for event in bench.of(ReplayDone)] == [(begin, min(end or 6, 6))]
    assert numbers(bench.send()) == [7]  # live numbers go on


@pytest.mark.rule("H3")
def test_h3_a_run_at_the_end_is_filled_to_the_last_sent(bench: Bench) -> None:
    bench.peer("1", [(112, "x")])
    assert shape(ask(bench, 6, 0)) == ["D6", "7-8"]


@pytest.mark.rule("S1", "H3")
def test_h3_replayed_message_is_the_one_that_was_sent(bench: Bench) -> None:
    first = next(message for message in bench.sent if message[34] == "2")
    (again,) = ask(bench, 2, 2)
    assert again[122] == first[52]
    assert again[52] != first[52]
    assert [tag for tag, _ in again][:9] == [8, 9, 35, 49, 56, 34, 52, 43, 122]
    assert again.fields[9:-1] == first.fields[7:-1]


@pytest.mark.rule("S1", "H3")
def test_h3_header_fields_stay_in_the_header(initiator: Bench) -> None:
    initiator.log_on()
    (first,) = initiator.send(fields={55: "X", 50: "desk", 57: "floor"})
    assert [tag for tag, _ in first] == [8, 9, 35, 49, 56, 34, 52, 50, 57, 55, 10]
    (again,) = ask(initiator, 2, 2)
    assert [tag for tag, _ in again] == [8, 9, 35, 49, 56, 34, 52, 43, 122, 50, 57, 55, 10]


@pytest.mark.rule("H3")
def test_h3_gap_fill_has_an_orig_sending_time(bench: Bench) -> None:
    first = next(message for message in bench.sent if message[34] == "4")
    for fill in (ask(bench, 4, 5)[0], ask(bench, 4, 6)[0]):
        assert (fill[34], fill[36], fill[122]) == ("4", "6", first[52])


@pytest.mark.rule("S2", "H3")
def test_h3_a_replay_can_be_asked_for_again(bench: Bench) -> None:
    assert shape(ask(bench, 2, 2)) == shape(ask(bench, 2, 2)) == ["D2"]
    assert bench.session.store.next_out == 7


@pytest.mark.rule("H3")
def test_h3_stale_orders_are_filled(device: Device) -> None:
    asked: list[int] = []

    def stale(message: StoredMessage) -> bool:
        asked.append(message.seq)
        return message.seq in (3, 4)

    bench = Bench(device, stale=stale).log_on()
    for _ in range(4):
        bench.send()
    assert shape(ask(bench, 1, 0)) == ["1-2", "D2", "3-5", "D5"]
    assert asked == [2, 3, 4, 5]


@pytest.mark.rule("H3")
def test_h3_above_the_last_sent_nothing_is_sent(bench: Bench) -> None:
    assert ask(bench, 7, 0) == []
    assert [event.rule for event in bench.of(PeerError)] == ["H3"]
    assert bench.session.logged_on


@pytest.mark.rule("H3")
@pytest.mark.parametrize(
    ("begin", "end", "tag", "reason"),
    [("", 0, "7", "6"), ("x", 0, "7", "6"), (0, 5, "7", "5"), (5, 3, "16", "5"), (1, "x", "16", "6")],
)
def test_h3_requests_that_make_no_sense(bench: Bench, begin: object, end: object, tag: str, reason: str) -> None:
    (reject,) = ask(bench, begin, end)
    assert [reject[tag] for tag in (35, 371, 372, 373)] == ["3", tag, "2", reason]


@pytest.mark.rule("H3")
def test_h3_request_without_numbers(bench: Bench) -> None:
    (reject,) = bench.peer("2")
    assert (reject[371], reject[373]) == ("7", "1")


@pytest.mark.rule("H3")
@pytest.mark.parametrize(("begin_string", "answer"), [("FIX.4.0", "D"), ("FIX.4.1", "D"), ("FIX.4.2", "3")])
def test_h3_999999_is_infinity_in_old_versions(device: Device, begin_string: str, answer: str) -> None:
    """Seen at numbers above it: only "infinity" makes sense there."""
    bench = Bench(device, begin_string=begin_string, store=MemoryStore(next_out=1_999_999)).log_on()
    bench.send()
    assert types(ask(bench, 2_000_000, 999_999)) == answer
    assert types(ask(bench, 2_000_000, 0)) == ("D" if answer == "D" else "D4")


@pytest.mark.rule("H3")
def test_h3_unknown_numbers_are_filled(device: Device) -> None:
    """A store that does not reach back that far."""
    bench = Bench(device, store=MemoryStore(expected=1, next_out=1000)).log_on()
    bench.send()
    (fill, order) = ask(bench, 5, 0)
    assert (fill[34], fill[36], order[34]) == ("5", "1001", "1001")


@pytest.mark.rule("R10d", "H3")
def test_h3_early_request_is_served_at_once(bench: Bench) -> None:
    """R10d: both sides miss something, neither waits for the other."""
    bench.seq += 5
    sent = ask(bench, 2, 3)
    assert types(sent) == "2DD"


@pytest.mark.rule("H3")
def test_h3_long_replay_goes_in_batches(device: Device) -> None:
    bench = Bench(device, replay_batch=10).log_on()
    for _ in range(25):
        bench.send()
    counts = [len(ask(bench, 2, 0))]
    while bench.session.replaying:
        counts.append(len(bench.take(bench.session.continue_replay(bench.now))))
    assert counts == [10, 10, 5]
    assert len(bench.of(ReplayDone)) == 1


@pytest.mark.rule("H3")
def test_h3_live_messages_wait_for_the_end_of_a_replay(device: Device) -> None:
    bench = Bench(device, replay_batch=10).log_on()
    for _ in range(15):
        bench.send()
    bench.clear()
    ask(bench, 2, 0)
    bench.send()
    bench.send()
    assert bench.session.replaying
    bench.take(bench.session.continue_replay(bench.now))
    assert numbers(bench.sent) == [*range(2, 17), 17, 18]
    assert [message.get(43) for message in bench.sent] == ["Y"] * 15 + [None, None]


@pytest.mark.rule("H3")
def test_h3_replay_ends_where_the_numbers_are_reset(device: Device) -> None:
    """What was asked for is no more; what waited behind it leaves with a new number."""
    bench = Bench(device, replay_batch=2).log_on()
    for _ in range(6):
        bench.send()
    ask(bench, 2, 0)
    assert bench.send() == []
    bench.seq = 1
    sent = bench.peer("A", [(98, 0), (108, 30), (141, "Y")])
    assert [(message[35], message[34], message.get(43)) for message in sent] == [("A", "1", None), ("D", "2", None)]
    assert not bench.session.replaying


@pytest.mark.rule("H3")
def test_h3_heartbeats_are_not_starved_by_a_replay(device: Device) -> None:
    bench = Bench(device, replay_batch=5).log_on()
    for _ in range(50):
        bench.send()
    bench.clear()
    ask(bench, 2, 0)
    bench.peer("1", [(112, "now?")])
    answered = types(bench.sent).index("0")
    assert answered < 20
    while bench.session.replaying:
        bench.take(bench.session.continue_replay(bench.now))
    assert types(bench.sent).replace("0", "", 1) == "D" * 50


@pytest.mark.rule("H3")
def test_h3_a_replay_stands_still_while_the_connection_takes_nothing(device: Device) -> None:
    bench = Bench(device, replay_batch=5).log_on()
    for _ in range(20):
        bench.send()
    bench.session.pause_replay(True)
    assert ask(bench, 2, 0) == []
    assert not bench.session.replaying
    assert types(bench.wait(30)) == "0"  # but we live
    bench.session.pause_replay(False)
    bench.clear()
    while bench.session.replaying:
        bench.take(bench.session.continue_replay(bench.now))
    assert types(bench.sent) == "D" * 20


@pytest.mark.rule("H3")
def test_h3_requests_during_a_replay_are_joined(device: Device) -> None:
    bench = Bench(device, replay_batch=5).log_on()
    for _ in range(10):
        bench.send()
    bench.clear()
    bench.receive(*(bench.message("2", [(7, begin), (16, end)]) for begin, end in [(2, 9), (4, 5), (8, 0), (3, 3)]))
    while bench.session.replaying:
        bench.take(bench.session.continue_replay(bench.now))
    # The first is not answered when the others come, so all four become one.
    assert [(event.begin, event.end) for event in bench.of(ReplayDone)] == [(2, 11)]
    assert numbers(bench.sent) == list(range(2, 12))


@pytest.mark.rule("S4", "H3")
def test_h3_requests_of_the_device_are_filled(bench: Bench) -> None:
    """S4: the device's own ResendRequest has a number, too, and the store knows it."""
    bench.seq += 1
    assert types(bench.peer("8")) == "2"
    assert shape(ask(bench, 6, 0)) == ["D6", "7-8"]


@pytest.mark.rule("H3")
def test_h3_a_message_that_fits_can_be_replayed(device: Device) -> None:
    """43 and 122 make it longer: what is too long for that is not sent in the first place."""
    bench = Bench(device, store=MemoryStore(next_out=4_000_000_000)).log_on()
    with pytest.raises(ValueError, match="room for") as refused:
        bench.send(fields={58: "x" * device.info.max_message})
    room = int(str(refused.value).rsplit(" ", 1)[1])
    bench.send(fields={58: "x" * (room - 4)})
    (again,) = ask(bench, 4_000_000_001, 0)
    assert (again[35], again[43]) == ("D", "Y")
    assert len(again.raw) <= device.info.max_message
    with pytest.raises(ValueError, match="room for"):
        bench.send(fields={58: "x" * (room - 3)})
    assert bench.session.store.next_out == 4_000_000_002  # nothing of it was sent


@pytest.mark.rule("H3")
def test_h3_a_stored_message_that_does_not_fit_any_more_is_filled(device: Device) -> None:
    store = MemoryStore()
    raw = b"8=FIX.4.4\x019=1\x0135=D\x0149=ME\x0156=PEER\x0134=1\x0152=20240229-11:00:00\x0158=" + b"x" * 5000
    store.save_sent(StoredMessage(1, "20240229-11:00:00", "D", raw + b"\x0110=000\x01"))
    bench = Bench(device, store=store).log_on()
    (fill, logon) = ask(bench, 1, 2)
    assert (fill[36], logon[36]) == ("2", "3")


@pytest.mark.rule("H3", "H6")
def test_h3_replay_of_another_connection(bench: Bench) -> None:
    """What was sent on the last connection is still there on this one."""
    bench.take(bench.session.connection_lost(bench.now))
    bench.log_on()
    assert shape(ask(bench, 6, 0)) == ["D6", "7-8"]


@pytest.mark.rule("H6")
def test_h6_everything_is_in_the_store_before_it_leaves(device: Device) -> None:
    class Watched(MemoryStore):
        """Notes what is safe."""

        safe = 1

        def sync(self) -> None:
            Watched.safe = self.next_out

    bench = Bench(device, store=Watched())
    bench.connect()
    assert Watched.safe == 2
    bench.peer("A", [(98, 0), (108, 30)])
    bench.session.send("D", {11: "x"}, bench.now)
    bench.session.send("D", {11: "x"}, bench.now)
    assert Watched.safe == 2
    assert numbers(bench.take([])) == [2, 3]
    assert Watched.safe == 4
    Watched.safe = 0
    ask(bench, 2, 3)
    assert Watched.safe == 0  # a replay is nothing new


@pytest.mark.rule("H3")
def test_h3_application_messages_go_on_arriving(bench: Bench) -> None:
    ask(bench, 1, 0)
    bench.peer("8")
    assert len(bench.of(Message)) == 1


def steps(store: MemoryStore, begin: int, end: int) -> Iterator[str]:
    for step in replay(store, begin, end, None, "now"):
        yield "" if step is None else f"{step.msg_type}{step.seq}-{step.next}"


@pytest.mark.rule("H3")
def test_replay_pauses_inside_a_long_run() -> None:
    """A caller in batches gets a say while thousands of heartbeats are looked at."""
    store = MemoryStore()
    for seq in range(1, 6):
        store.save_sent(StoredMessage(seq, "then", "0", b""))
    assert list(steps(store, 2, 4)) == ["", "", "", "42-5"]


@pytest.mark.rule("H3")
def test_replay_queue_forgets() -> None:
    queue = ReplayQueue()
    queue.add(1, 5)
    assert queue.busy
    queue.clear()
    assert not queue.busy
    assert queue.step() is None


@pytest.mark.rule("H3")
def test_gap_fill() -> None:
    assert gap_fill(3, 7, "then").fields == b"43=Y\x01122=then\x01123=Y\x0136=7\x01"
