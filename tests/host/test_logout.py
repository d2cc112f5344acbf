"""H4: Logouts, and other ends of a connection."""

from __future__ import annotations

import pytest

from tag34 import Closed, Device, Disconnect, LoggedOut, Message, NotLoggedOn, State
from tests.host.bench import Bench, types


@pytest.fixture
def bench(initiator: Bench) -> Bench:
    """Logged on."""
    return initiator.log_on()


@pytest.mark.rule("H4")
def test_h4_our_logout_is_answered_and_we_close(bench: Bench) -> None:
    (logout,) = bench.take(bench.session.logout(bench.now, "good night"))
    assert (logout[35], logout[58]) == ("5", "good night")
    assert not bench.of(Disconnect)
    assert bench.peer("5", [(58, "bye")]) == []
    assert [(event.text, event.by_peer) for event in bench.of(LoggedOut)] == [("bye", False)]
    assert bench.of(Disconnect) == [Disconnect("logged out", clean=True)]
    assert bench.session.connection_lost(bench.now) == [Closed("logged out", clean=True)]


@pytest.mark.rule("H4")
def test_h4_peers_logout_is_answered_and_the_peer_closes(bench: Bench) -> None:
    (answer,) = bench.peer("5", [(58, "bye")])
    assert answer[35] == "5"
    assert [(event.text, event.by_peer) for event in bench.of(LoggedOut)] == [("bye", True)]
    assert not bench.of(Disconnect)
    assert bench.session.connection_lost(bench.now) == [Closed("logged out by the peer", clean=True)]


@pytest.mark.rule("H4")
def test_h4_unanswered_logout(device: Device) -> None:
    bench = Bench(device, logout_timeout=3).log_on()
    bench.take(bench.session.logout(bench.now))
    bench.wait(2.9)
    assert not bench.of(Disconnect)
    bench.wait(0.2)
    assert bench.of(Disconnect) == [Disconnect("Logout was not answered", clean=False)]


@pytest.mark.rule("H4")
def test_h4_peer_that_does_not_close_after_its_logout(device: Device) -> None:
    bench = Bench(device, logout_timeout=3).log_on()
    bench.peer("5")
    bench.wait(3.1)
    assert bench.of(Disconnect) == [Disconnect("logged out by the peer", clean=True)]


@pytest.mark.rule("H4")
def test_h4_logouts_that_cross(bench: Bench) -> None:
    bench.take(bench.session.logout(bench.now))
    assert bench.peer("5") == []
    assert bench.of(Disconnect)[0].clean


@pytest.mark.rule("H4")
def test_h4_messages_until_the_answer(bench: Bench) -> None:
    bench.take(bench.session.logout(bench.now))
    bench.peer("8")
    bench.peer("5")
    assert len(bench.of(Message)) == 1


@pytest.mark.rule("H4")
def test_h4_resend_request_after_our_answer(bench: Bench) -> None:
    """The peer misses something when it reads our answer: it asks, and gets it."""
    bench.send()
    bench.peer("5")
    assert types(bench.peer("2", [(7, 2), (16, 0)])) == "D4"


@pytest.mark.rule("R10f", "H4")
def test_h4_held_logout_waits_for_recovery(bench: Bench) -> None:
    """R10f."""
    bench.seq = 3
    assert types(bench.peer("5")) == "2"
    assert bench.session.logged_on
    bench.wait(5)
    sent = bench.peer("8", seq=2, possdup=True)
    assert types(sent) == "5"
    assert [message.seq for message in bench.of(Message)] == [2]
    assert bench.wait(11) == []
    assert bench.of(Disconnect) == [Disconnect("logged out by the peer", clean=True)]


@pytest.mark.rule("R5", "R10f", "H4")
def test_h4_held_logout_of_numbers_that_are_reset(bench: Bench) -> None:
    bench.seq = 3
    bench.peer("5")
    bench.seq = 1
    bench.peer("A", [(98, 0), (108, 30), (141, "Y")])
    bench.wait(20)
    assert bench.session.logged_on


@pytest.mark.rule("R10b", "R10f", "H4")
def test_h4_held_logout_does_not_wait_for_ever(device: Device) -> None:
    bench = Bench(device, logout_timeout=3, window=1, resend_timeout=0).log_on()
    bench.seq = 7  # beyond the window: not even held
    bench.peer("5")
    bench.wait(2.9)
    assert not bench.of(Disconnect)
    (logout,) = bench.wait(0.2)
    assert logout[35] == "5"
    assert not bench.of(Disconnect)[0].clean


@pytest.mark.rule("H4")
def test_h4_logout_behind_a_replay(device: Device) -> None:
    """Our Logout is a live message: it leaves when the replay is through, and its time runs from then."""
    bench = Bench(device, replay_batch=2, logout_timeout=1).log_on()
    for _ in range(4):
        bench.send()
    bench.clear()
    bench.peer("2", [(7, 2), (16, 0)])
    bench.take(bench.session.logout(bench.now))
    while bench.session.replaying:
        bench.wait(0.7)
        bench.take(bench.session.continue_replay(bench.now))
    assert types(bench.sent) == "DDDD5"
    assert not bench.of(Disconnect)


@pytest.mark.rule("H4")
def test_h4_logout_behind_a_replay_that_stands_still(device: Device) -> None:
    """The peer reads nothing: it does not hold us for ever."""
    bench = Bench(device, replay_batch=2, logout_timeout=3).log_on()
    for _ in range(4):
        bench.send()
    bench.peer("2", [(7, 2), (16, 0)])
    bench.session.pause_replay(True)
    bench.take(bench.session.logout(bench.now))
    bench.wait(2.9)
    assert not bench.of(Disconnect)
    bench.wait(0.2)
    assert bench.of(Disconnect)


@pytest.mark.rule("H4")
def test_nothing_is_sent_without_a_session(bench: Bench) -> None:
    bench.take(bench.session.logout(bench.now))
    with pytest.raises(NotLoggedOn, match="logout sent"):
        bench.send()
    bench.peer("5")
    with pytest.raises(NotLoggedOn, match="closing"):
        bench.send()
    bench.session.connection_lost(bench.now)
    with pytest.raises(NotLoggedOn, match="disconnected"):
        bench.send()


@pytest.mark.rule("H4")
def test_logout_twice_is_one(bench: Bench) -> None:
    bench.take(bench.session.logout(bench.now))
    assert bench.session.logout(bench.now) == []


@pytest.mark.rule("H4")
def test_giving_up_before_the_answer_to_our_logon(initiator: Bench) -> None:
    initiator.connect()
    initiator.take(initiator.session.logout(initiator.now))
    assert initiator.of(Disconnect)
    assert initiator.session.state is State.CLOSING


@pytest.mark.rule("H4")
def test_what_arrives_after_the_end_is_nothing(bench: Bench) -> None:
    bench.receive(bench.message("5"))
    bench.take(bench.session.connection_lost(bench.now))
    bench.clear()
    assert bench.receive(bench.message("8")) == []
    assert bench.events == []
