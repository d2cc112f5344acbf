"""H1: how a session comes up, and when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tag34 import (
    Closed,
    Device,
    Disconnect,
    LoggedOn,
    LoggedOut,
    MemoryStore,
    Message,
    RecoveryOpened,
    ReplayDone,
    State,
)
from tag34_sim.messages import Field, damaged_checksum
from tests.host.bench import Bench, numbers, types


@pytest.mark.rule("H1")
def test_h1_initiator_logs_on(initiator: Bench) -> None:
    (logon,) = initiator.connect()
    assert [logon[tag] for tag in (35, 34, 49, 56, 98, 108)] == ["A", "1", "ME", "PEER", "0", "30"]
    assert 141 not in logon
    assert not initiator.session.logged_on
    assert initiator.peer("A", [(98, 0), (108, 30)]) == []
    assert initiator.session.logged_on
    assert [(event.heartbeat, event.reset) for event in initiator.of(LoggedOn)] == [(30, False)]


@pytest.mark.rule("H1")
def test_h1_acceptor_answers_with_the_heartbeat_it_was_asked_for(acceptor: Bench) -> None:
    assert acceptor.connect() == []
    (logon,) = acceptor.peer("A", [(98, 0), (108, 17)])
    assert [logon[tag] for tag in (35, 34, 98, 108)] == ["A", "1", "0", "17"]
    assert acceptor.of(LoggedOn)[0].heartbeat == 17


@pytest.mark.rule("H1")
def test_h1_logon_may_arrive_in_pieces(acceptor: Bench) -> None:
    acceptor.connect()
    logon = acceptor.message("A", [(98, 0), (108, 30)])
    sent = [message for index in range(len(logon)) for message in acceptor.receive(logon[index : index + 1])]
    assert types(sent) == "A"


@pytest.mark.rule("H1")
def test_h1_further_fields_of_the_logon(device: Device) -> None:
    bench = Bench(device, begin_string="FIXT.1.1", default_appl_ver="9", logon_fields={553: "me", 554: "secret"})
    (logon,) = bench.connect()
    assert [tag for tag, _ in logon][-6:] == [98, 108, 1137, 553, 554, 10]
    bench.peer("A", [(98, 0), (108, 30), (1137, 9)])
    assert bench.session.logged_on


@pytest.mark.rule("H1")
def test_h1_fixt_logon_without_default_appl_ver_is_refused(device: Device) -> None:
    bench = Bench(device, begin_string="FIXT.1.1", default_appl_ver="9", initiator=False)
    bench.connect()
    reject, logout = bench.peer("A", [(98, 0), (108, 30)])
    assert [reject[tag] for tag in (35, 45, 371, 372, 373)] == ["3", "1", "1137", "A", "1"]
    assert logout[35] == "5"


@pytest.mark.rule("H1")
def test_h1_initiator_resets_the_numbers(device: Device) -> None:
    bench = Bench(device, reset=True, store=MemoryStore(expected=50, next_out=70))
    (logon,) = bench.connect()
    assert (logon[34], logon[141]) == ("1", "Y")
    bench.peer("A", [(98, 0), (108, 30), (141, "Y")])
    assert bench.of(LoggedOn)[0].reset
    assert types(bench.sent) == "A"  # the answer is not answered again
    assert numbers(bench.send()) == [2]


@pytest.mark.rule("R5", "H1")
def test_h1_acceptor_answers_a_reset(device: Device) -> None:
    bench = Bench(device, initiator=False, store=MemoryStore(expected=50, next_out=70))
    bench.connect()
    (logon,) = bench.peer("A", [(98, 0), (108, 30), (141, "Y")])
    assert (logon[34], logon[141]) == ("1", "Y")
    bench.peer("D", [(11, "x")])
    assert [message.seq for message in bench.of(Message)] == [2]
    assert (bench.session.store.expected, bench.session.store.next_out) == (2, 2)


@pytest.mark.rule("R5", "H1")
def test_h1_peer_resets_a_session_that_is_up(initiator: Bench) -> None:
    initiator.log_on()
    initiator.send()
    for _ in range(3):
        initiator.peer("8")  # 2 to 4, none of them taken
    initiator.seq = 1
    (logon,) = initiator.peer("A", [(98, 0), (108, 30), (141, "Y")])
    assert [logon[tag] for tag in (35, 34, 141)] == ["A", "1", "Y"]
    assert numbers(initiator.send()) == [2]
    initiator.peer("8")
    assert [message.seq for message in initiator.of(Message)] == [2, 3, 4, 2]
    *_, old, new = initiator.of(Message)
    initiator.session.acknowledge(old)
    assert initiator.session.store.expected == 2  # the new 2 has not been taken
    initiator.session.acknowledge(new)
    assert initiator.session.store.expected == 3


@pytest.mark.rule("H1")
def test_h1_next_message_after_a_reset_is_the_first_that_is_missing(initiator: Bench) -> None:
    """Old messages that the application has not taken have no number any more."""
    initiator.log_on()
    for _ in range(3):
        initiator.peer("8")
    initiator.session.acknowledge(initiator.of(Message)[1])
    assert initiator.session.store.expected == 4
    initiator.seq = 1
    initiator.peer("A", [(98, 0), (108, 30), (141, "Y")])
    assert initiator.session.store.expected == 2


@pytest.mark.rule("H1")
def test_h1_fix40_has_no_reset_flag(device: Device) -> None:
    bench = Bench(device, begin_string="FIX.4.0", reset=True, store=MemoryStore(expected=5, next_out=7))
    (logon,) = bench.connect()
    assert logon[34] == "1"
    assert 141 not in logon


@pytest.mark.rule("H1", "H6")
def test_h1_numbers_of_the_store_go_on(device: Device) -> None:
    bench = Bench(device, store=MemoryStore(expected=50, next_out=70))
    assert numbers(bench.connect()) == [70]
    bench.seq = 50
    bench.peer("A", [(98, 0), (108, 30)])
    assert bench.session.logged_on
    assert bench.session.store.expected == 51


@pytest.mark.rule("R10c", "H1")
def test_h1_initiator_with_a_logon_above_expected_is_up_and_recovers(initiator: Bench) -> None:
    initiator.connect()
    initiator.seq = 4
    (request,) = initiator.peer("A", [(98, 0), (108, 30)])
    assert initiator.session.logged_on
    assert [request[tag] for tag in (35, 34, 7, 16)] == ["2", "2", "1", "0"]
    assert [(event.begin, event.end) for event in initiator.of(RecoveryOpened)] == [(1, 0)]


@pytest.mark.rule("R10c", "H1")
def test_h1_acceptor_answers_a_logon_above_expected_before_it_recovers(acceptor: Bench) -> None:
    acceptor.connect()
    acceptor.seq = 4
    logon, request = acceptor.peer("A", [(98, 0), (108, 30)])
    assert (logon[35], logon[34]) == ("A", "1")
    assert [request[tag] for tag in (35, 34, 7, 16)] == ["2", "2", "1", "0"]


@pytest.mark.rule("R9b", "H1")
@pytest.mark.parametrize("who", ["initiator", "acceptor"])
def test_h1_logon_too_low_is_told_and_ends(device: Device, who: str) -> None:
    bench = Bench(device, initiator=who == "initiator", store=MemoryStore(expected=9, next_out=3))
    bench.connect()
    bench.seq = 5
    (logout,) = bench.peer("A", [(98, 0), (108, 30)])
    assert (logout[35], logout[58]) == ("5", "MsgSeqNum too low, expecting 9 but received 5")
    assert [event.clean for event in bench.of(Disconnect)] == [False]
    assert not bench.of(LoggedOn)
    assert bench.session.store.expected == 9


@pytest.mark.rule("R6", "H1")
@pytest.mark.parametrize("who", ["initiator", "acceptor"])
def test_h1_first_message_must_be_a_logon(device: Device, who: str) -> None:
    bench = Bench(device, initiator=who == "initiator")
    bench.connect()
    assert bench.peer("D") == []
    assert bench.of(Disconnect)[0].reason == "the peer's first message is no Logon but of type D"
    assert bench.session.store.expected == 1
    assert bench.peer("A", [(98, 0), (108, 30)]) == []  # too late


@pytest.mark.rule("R3", "H1")
def test_h1_a_sequence_reset_is_no_logon_either(acceptor: Bench) -> None:
    acceptor.connect()
    assert acceptor.peer("4", [(36, 20)]) == []
    assert acceptor.of(Disconnect)
    acceptor.take(acceptor.session.connection_lost(acceptor.now))
    acceptor.seq = 1
    acceptor.log_on()  # the reset of somebody who never logged on is forgotten
    assert acceptor.session.expected == 2


@pytest.mark.rule("R2", "H1")
def test_h1_unknown_comp_ids_get_no_answer(acceptor: Bench) -> None:
    acceptor.connect()
    assert acceptor.peer("A", [(98, 0), (108, 30)], sender="STRANGER") == []
    assert acceptor.of(Disconnect)


@pytest.mark.rule("F3", "H1")
def test_h1_garbled_first_message_is_no_message(acceptor: Bench) -> None:
    acceptor.connect()
    logon = acceptor.message("A", [(98, 0), (108, 30)])
    assert types(acceptor.receive(damaged_checksum(logon), logon)) == "A"


@pytest.mark.rule("H1")
@pytest.mark.parametrize("seconds", [-121, 121])
@pytest.mark.parametrize("who", ["initiator", "acceptor"])
def test_h1_sending_time_far_away_gets_no_session(device: Device, who: str, seconds: int) -> None:
    bench = Bench(device, initiator=who == "initiator")
    bench.connect()
    stamp = "20240229-12:02:01" if seconds > 0 else "20240229-11:57:59"
    reject, logout = bench.peer("A", [(98, 0), (108, 30)], time=stamp)
    assert [reject[tag] for tag in (35, 45, 371, 372, 373)] == ["3", "1", "52", "A", "10"]
    assert logout[35] == "5"
    assert bench.of(Disconnect)
    assert not bench.of(LoggedOn)


@pytest.mark.rule("H1")
def test_h1_what_follows_a_refused_logon_is_nothing(acceptor: Bench) -> None:
    """The device took it for a session when it judged what came in the same segment."""
    acceptor.connect()
    logon = acceptor.message("A", [(98, 0), (108, 30)], time="20240229-11:00:00")
    sent = acceptor.receive(logon, acceptor.message("8"), acceptor.message("1", [(112, "x")]))
    assert types(sent) == "35"
    assert not acceptor.of(Message)
    assert acceptor.session.store.expected == 1


@pytest.mark.rule("H1")
def test_h1_initiator_keeps_its_heartbeat(initiator: Bench) -> None:
    initiator.connect()
    initiator.peer("A", [(98, 0)])
    assert initiator.of(LoggedOn)[0].heartbeat == 30


@pytest.mark.rule("H1")
@pytest.mark.parametrize(("limit", "stamp"), [(None, "19990101-00:00:00"), (300.0, "20240229-11:55:01")])
def test_h1_max_latency_can_be_changed(device: Device, limit: float | None, stamp: str) -> None:
    bench = Bench(device, initiator=False, max_latency=limit)
    bench.connect()
    assert types(bench.peer("A", [(98, 0), (108, 30)], time=stamp)) == "A"


@pytest.mark.rule("H1")
def test_h1_sending_time_of_later_messages(initiator: Bench) -> None:
    initiator.log_on()
    reject, logout = initiator.peer("8", time="20240229-11:50:00")
    assert [reject[tag] for tag in (35, 45, 373)] == ["3", "2", "10"]
    assert logout[35] == "5"
    assert not initiator.of(Message)


@pytest.mark.rule("H1")
def test_h1_what_was_held_may_be_old(device: Device) -> None:
    """It is as old as the gap was long; only what has just come shows the peer's clock."""
    bench = Bench(device, max_latency=5).log_on()
    _missing, held = bench.message("8"), bench.message("8")
    bench.receive(held)
    bench.wait(20)
    bench.peer("8", seq=2, possdup=True)
    assert [message.seq for message in bench.of(Message)] == [2, 3]
    assert bench.session.logged_on


@pytest.mark.rule("H1")
@pytest.mark.parametrize(
    ("fields", "rejected"),
    [
        ([(108, 30)], ("98", "1")),
        ([(98, 3), (108, 30)], ("98", "5")),
        ([(98, 0)], ("108", "1")),
        ([(98, 0), (108, "soon")], ("108", "6")),
        ([(98, 0), (108, -1)], ("108", "6")),
    ],
)
def test_h1_logon_that_says_too_little(acceptor: Bench, fields: list[Field], rejected: tuple[str, str]) -> None:
    acceptor.connect()
    reject, logout = acceptor.peer("A", fields)
    assert (reject[371], reject[373]) == rejected
    assert logout[35] == "5"
    assert acceptor.of(Disconnect)


@pytest.mark.rule("H1")
def test_h1_authenticate_has_the_last_word(device: Device) -> None:
    def check(logon: Any) -> str | None:
        return None if logon.get(554) == "secret" else "who are you?"

    bench = Bench(device, initiator=False, authenticate=check)
    bench.connect()
    (logout,) = bench.peer("A", [(98, 0), (108, 30), (554, "guess")])
    assert (logout[35], logout[58]) == ("5", "who are you?")
    bench.take(bench.session.connection_lost(bench.now))
    bench.seq = 1
    bench.connect()
    assert types(bench.peer("A", [(98, 0), (108, 30), (554, "secret")])) == "A"


@pytest.mark.rule("H1")
def test_h1_refusal_of_our_logon(initiator: Bench) -> None:
    initiator.connect()
    initiator.peer("5", [(58, "not you")])
    assert [(event.text, event.by_peer) for event in initiator.of(LoggedOut)] == [("not you", True)]
    assert initiator.of(Disconnect)[0].reason == "logon rejected: not you"


@pytest.mark.rule("H1")
@pytest.mark.parametrize("who", ["initiator", "acceptor"])
def test_h1_logon_is_waited_for_so_long(device: Device, who: str) -> None:
    bench = Bench(device, initiator=who == "initiator", logon_timeout=4)
    bench.connect()
    bench.wait(3.9)
    assert not bench.of(Disconnect)
    bench.wait(0.2)
    assert bench.of(Disconnect)[0].reason == "no Logon within 4 s"


@pytest.mark.rule("H1")
def test_h1_next_expected_says_what_is_missing(device: Device) -> None:
    """789 in both Logons; what the peer misses is sent again without a ResendRequest."""
    bench = Bench(device, initiator=False, next_expected=True)
    bench.connect()
    (logon,) = bench.peer("A", [(98, 0), (108, 30), (789, 1)])
    assert logon[789] == "2"
    bench.send()
    bench.send()
    bench.take(bench.session.connection_lost(bench.now))
    bench.clear()
    bench.connect()
    sent = bench.peer("A", [(98, 0), (108, 30), (789, 3)])
    assert [(message[35], message[34], message.get(43)) for message in sent] == [("A", "4", None), ("D", "3", "Y")]


@pytest.mark.rule("H1")
def test_h1_next_expected_of_an_initiator(device: Device) -> None:
    bench = Bench(device, next_expected=True, store=MemoryStore(expected=8, next_out=5))
    (logon,) = bench.connect()
    assert (logon[34], logon[789]) == ("5", "8")
    bench.seq = 8
    sent = bench.peer("A", [(98, 0), (108, 30), (789, 4)])
    assert [(message[35], message[34], message[36]) for message in sent] == [("4", "4", "6")]


@pytest.mark.rule("H1")
def test_h1_next_expected_and_nothing_missing(device: Device) -> None:
    bench = Bench(device, next_expected=True, store=MemoryStore(expected=8, next_out=5))
    bench.connect()
    bench.seq = 8
    assert bench.peer("A", [(98, 0), (108, 30), (789, 6)]) == []
    assert not bench.of(ReplayDone)


@pytest.mark.rule("H1")
def test_h1_next_expected_too_high(device: Device) -> None:
    bench = Bench(device, initiator=False, next_expected=True)
    bench.connect()
    (logout,) = bench.peer("A", [(98, 0), (108, 30), (789, 5)])
    assert logout[58] == "NextExpectedMsgSeqNum too high, expecting 1 but received 5"


@pytest.mark.rule("H1")
def test_h1_a_second_logon_changes_nothing(initiator: Bench) -> None:
    initiator.log_on()
    assert initiator.peer("A", [(98, 0), (108, 30)]) == []
    assert initiator.session.logged_on
    assert len(initiator.of(LoggedOn)) == 1


@pytest.mark.rule("R15", "H1")
def test_connections_come_and_go(initiator: Bench) -> None:
    """R15 from the host's side: numbers go on, the rest is forgotten."""
    initiator.log_on()
    initiator.send()
    initiator.peer("8")
    initiator.session.acknowledge(initiator.of(Message)[-1])
    events = initiator.session.connection_lost(initiator.now, "cable cut")
    assert events == [Closed("cable cut", clean=False)]
    assert initiator.session.state is State.DISCONNECTED
    assert initiator.session.next_timeout() is None
    assert initiator.session.connection_lost(initiator.now) == []
    assert numbers(initiator.connect()) == [3]
    initiator.peer("A", [(98, 0), (108, 30)])
    initiator.peer("8")
    assert [message.seq for message in initiator.of(Message)] == [2, 4]
