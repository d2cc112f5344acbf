"""The small parts of the host: time, settings, states, store, tail, hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tag34 import DeviceHub, Instant, MemoryStore, MessageStore, SessionSettings, StoredMessage, open_device
from tag34.clock import format_utc, parse_utc
from tag34.device import EventRecord, SessionConfig
from tag34.message import Value
from tag34.states import TRANSITIONS, Cause, State, successor
from tag34.tail import Tail
from tag34_sim.messages import encode, frame

DAY = 86_400_000_000_000


@pytest.mark.parametrize(
    ("text", "utc_ns"),
    [
        ("19700101-00:00:00", 0),
        ("19700102-00:00:00.001", DAY + 1_000_000),
        ("20240229-12:00:00.123456789", 1_709_208_000_123_456_789),
        ("20240229-12:00:00.123456789999", 1_709_208_000_123_456_789),
        ("20161231-23:59:60", 1_483_228_800_000_000_000),
    ],
)
def test_timestamps_are_read(text: str, utc_ns: int) -> None:
    assert parse_utc(text) == utc_ns


@pytest.mark.parametrize(
    "text",
    ["", "20240229", "20230229-00:00:00", "20241301-00:00:00", "20240100-00:00:00", "20240101-24:00:00"]
    + ["20240101-00:60:00", "20240101-00:00:61", "20240101-00:00:00.", "20240101-00:00:00,5", "20240101 00:00:00"]
    + ["20240101-00:00:00.1234567890123", "2024010\u0661-00:00:00", "00000101-00:00:00"],
)
def test_what_is_no_timestamp(text: str) -> None:
    with pytest.raises(ValueError, match="not a UTC"):
        parse_utc(text)


@pytest.mark.rule("S5")
@pytest.mark.parametrize(("digits", "fraction"), [(0, ""), (3, ".999"), (6, ".999999"), (9, ".999999999")])
def test_timestamps_are_cut_not_rounded(digits: int, fraction: str) -> None:
    assert format_utc(DAY - 1, digits) == "19700101-23:59:59" + fraction


def test_instant_now_is_now() -> None:
    first, second = Instant.now(), Instant.now()
    assert first.mono <= second.mono


NAMES = {"begin_string": "FIX.4.4", "sender": "ME", "target": "PEER"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sender": ""}, "sender"),
        ({"begin_string": "4.4"}, "begin_string"),
        ({"heartbeat": -1}, "heartbeat"),
        ({"heartbeat": 1.5}, "heartbeat"),
        ({"max_latency": 0}, "max_latency"),
        ({"logon_timeout": float("inf")}, "logon_timeout"),
        ({"logout_timeout": -1}, "logout_timeout"),
        ({"replay_batch": 0}, "replay_batch"),
        ({"begin_string": "FIX.4.3", "next_expected": True}, "next_expected"),
        ({"begin_string": "FIXT.1.1"}, "default_appl_ver"),
        ({"default_appl_ver": "9"}, "default_appl_ver"),
        ({"logon_fields": {34: 1}}, "field 34"),
        ({"window": 0}, "window"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SessionSettings(**{**NAMES, **options})


def test_settings_do_not_change_with_what_they_were_made_of() -> None:
    fields: dict[int, Value] = {553: "me"}
    settings = SessionSettings(**NAMES, logon_fields=fields)  # type: ignore[arg-type]
    fields[554] = "secret"
    assert list(settings.logon_fields) == [(553, "me")]


def test_every_state_can_end() -> None:
    for state, moves in TRANSITIONS.items():
        if state is not State.DISCONNECTED:
            assert moves[Cause.LOST] is State.DISCONNECTED


def test_a_move_that_the_table_does_not_have() -> None:
    with pytest.raises(RuntimeError, match="closing: cannot handle that we send the first Logout"):
        successor(State.CLOSING, Cause.LOGOUT_OUT)


def memory() -> MessageStore:
    return MemoryStore()


@pytest.fixture(params=[memory])
def store(request: pytest.FixtureRequest) -> MessageStore:
    """Each kind of store, new."""
    make: Callable[[], MessageStore] = request.param
    return make()


def stored(seq: int) -> StoredMessage:
    return StoredMessage(seq, "20240229-12:00:00", "D", b"raw%d" % seq)


@pytest.mark.rule("H6")
def test_h6_new_store(store: MessageStore) -> None:
    assert (store.expected, store.next_out) == (1, 1)
    assert list(store.messages(1, 100)) == []


@pytest.mark.rule("H6")
def test_h6_store_gives_back_what_was_saved(store: MessageStore) -> None:
    for seq in (1, 2, 5, 6):
        store.save_sent(stored(seq))
    store.save_expected(9)
    store.sync()
    assert (store.expected, store.next_out) == (9, 7)
    assert list(store.messages(2, 5)) == [stored(2), stored(5)]
    assert list(store.messages(3, 4)) == []
    assert list(store.messages(6, 1000)) == [stored(6)]


@pytest.mark.rule("H6")
def test_h6_store_is_reset(store: MessageStore) -> None:
    store.save_sent(stored(1))
    store.reset()
    assert (store.expected, store.next_out, list(store.messages(1, 9))) == (1, 1, [])
    store.reset(5, 7)
    assert (store.expected, store.next_out) == (5, 7)
    store.close()


@pytest.mark.rule("H6")
def test_h6_store_never_takes_a_number_twice(store: MessageStore) -> None:
    store.save_sent(stored(5))
    with pytest.raises(ValueError, match="number 5 was sent before"):
        store.save_sent(stored(5))


@pytest.mark.rule("H6")
def test_h6_messages_may_be_saved_while_others_are_read(store: MessageStore) -> None:
    for seq in range(1, 5):
        store.save_sent(stored(seq))
    reading = store.messages(2, 4)
    assert next(reading) == stored(2)
    store.save_sent(stored(5))
    assert list(reading) == [stored(3), stored(4)]


def test_tail_finds_what_was_not_judged_yet() -> None:
    tail = Tail(limit=10)
    tail.feed(b"0123")
    tail.feed(b"4567")
    assert tail.message(2, 4) == b"2345"
    assert tail.message(6, 3) is None
    tail.trim(4)
    assert tail.message(2, 4) is None
    assert tail.message(4, 4) == b"4567"
    tail.feed(b"89abcdefgh")
    tail.trim(0)
    assert tail.message(4, 4) is None  # above the limit
    assert tail.message(8, 10) == b"89abcdefgh"
    tail.clear()
    tail.feed(b"new")
    assert tail.message(0, 3) == b"new"


@pytest.mark.rule("R17")
@pytest.mark.parametrize("device_url", ["model:"])  # the gateware has one session
def test_r17_hub_gives_each_session_its_own_records(device_url: str) -> None:
    """One session's call lets the other's timer run out: the other is woken, and finds its record."""
    with open_device(device_url, sessions=2) as device:
        hub = DeviceHub(device)
        woken: list[int] = []
        for index in range(2):
            device.configure(index, SessionConfig("FIX.4.4", "ME", f"PEER{index}", resend_timeout=5))
            hub.on_wake(index, lambda index=index: woken.append(index))  # type: ignore[misc]
        device.advance(0)
        device.connect(1)
        for seq in (1, 3):
            device.receive(1, frame(encode([(35, "A"), (49, "PEER1"), (56, "ME"), (34, seq), (98, 0)])))
        assert hub.poll(1)
        device.advance(1_000_000_000)
        assert hub.poll(0) == []
        assert woken == [1]
        hub.on_wake(1, None)
        assert any(isinstance(record, EventRecord) for record in hub.poll(1))
        assert hub.poll(1) == []
