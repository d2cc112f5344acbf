"""H2: heartbeats, TestRequests, silence."""

from __future__ import annotations

import pytest

from tag34 import Device, Disconnect, Message, PeerError
from tag34_sim.messages import damaged_checksum
from tests.host.bench import Bench, types


@pytest.fixture
def bench(initiator: Bench) -> Bench:
    """Logged on, 108=30, nothing said since."""
    return initiator.log_on()


@pytest.mark.rule("H2")
def test_h2_heartbeat_after_silence(bench: Bench) -> None:
    assert bench.wait(29.9) == []
    assert types(bench.wait(0.2)) == "0"


@pytest.mark.rule("H2")
def test_h2_whatever_is_sent_is_as_good_as_a_heartbeat(bench: Bench) -> None:
    bench.wait(29)
    bench.send()
    bench.peer("0")
    assert bench.wait(29.9) == []
    assert types(bench.wait(0.2)) == "0"


@pytest.mark.rule("H2")
def test_h2_test_request_then_the_end(bench: Bench) -> None:
    assert types(bench.wait(35.9)) == "0"
    (test,) = bench.wait(0.2)
    assert test[35] == "1"
    assert test[112]
    assert types(bench.wait(35.8)) == "0"  # asked once
    assert not bench.of(Disconnect)
    bench.wait(0.2)
    assert bench.of(Disconnect)[0].reason == "the peer is silent, a TestRequest was not answered"


@pytest.mark.rule("H2")
def test_h2_a_late_question_is_no_late_answer(bench: Bench) -> None:
    """This process stood still for minutes: the peer may have been there all the time."""
    bench.now = bench.now._replace(mono=bench.now.mono + 500)
    assert types(bench.take(bench.session.tick(bench.now))) == "01"
    bench.session.pause_inbound(True, bench.now)
    bench.wait(100)
    bench.session.pause_inbound(False, bench.now)
    bench.wait(35.9)
    assert not bench.of(Disconnect)
    bench.wait(0.2)
    assert bench.of(Disconnect)


@pytest.mark.rule("H2")
def test_h2_an_answer_ends_the_doubt(bench: Bench) -> None:
    bench.wait(36.1)
    test = bench.sent[-1]
    bench.peer("0", [(112, test[112])])
    bench.sent.clear()
    bench.wait(35.8)
    assert types(bench.sent) == "0"
    (test2,) = bench.wait(0.3)
    assert test2[35] == "1"
    assert test2[112] != test[112]


@pytest.mark.rule("H2")
def test_h2_test_request_is_answered_with_its_id(bench: Bench) -> None:
    (answer,) = bench.peer("1", [(112, "are you there?")])
    assert (answer[35], answer[112]) == ("0", "are you there?")


@pytest.mark.rule("H2")
def test_h2_test_request_without_id(bench: Bench) -> None:
    (reject,) = bench.peer("1")
    assert [reject[tag] for tag in (35, 45, 371, 372, 373)] == ["3", "2", "112", "1", "1"]


@pytest.mark.rule("R10", "H2")
def test_h2_held_messages_count_as_life(bench: Bench) -> None:
    """The gap stays open for long, the peer goes on sending: it is alive."""
    bench.seq = 3
    for _ in range(5):
        bench.wait(30)
        bench.peer("8")
    assert not bench.of(Message)
    assert "1" not in types(bench.sent)


@pytest.mark.rule("R10b", "H2")
def test_h2_messages_beyond_the_window_count_as_life(device: Device) -> None:
    bench = Bench(device, window=1, resend_timeout=0).log_on()
    bench.seq = 10
    for _ in range(5):
        bench.wait(30)
        bench.peer("8")
    assert "1" not in types(bench.sent)


@pytest.mark.rule("R9a", "H2")
def test_h2_duplicates_count_as_life(bench: Bench) -> None:
    for _ in range(5):
        bench.wait(30)
        bench.peer("8", seq=1, possdup=True)
    assert "1" not in types(bench.sent)


@pytest.mark.rule("F3", "H2")
def test_h2_garbled_messages_are_no_life(bench: Bench) -> None:
    bench.wait(30)
    bench.receive(damaged_checksum(bench.message("8")))
    assert [event.rule for event in bench.of(PeerError)] == ["F3"]
    assert types(bench.wait(6.1)) == "1"


@pytest.mark.rule("H2")
def test_h2_without_heartbeats_silence_means_nothing(device: Device) -> None:
    bench = Bench(device, heartbeat=0).log_on()
    assert bench.session.next_timeout() is None
    assert bench.wait(1e6) == []
    assert bench.session.logged_on


@pytest.mark.rule("H2", "H7")
def test_h2_silence_does_not_count_while_nobody_reads(bench: Bench) -> None:
    """A slow application: its heartbeats go on (H7), the peer is not suspected."""
    bench.session.pause_inbound(True, bench.now)
    assert types(bench.wait(200)) == "000000"
    bench.session.pause_inbound(False, bench.now)
    assert types(bench.wait(35)) == "0"
    assert types(bench.wait(1.1)) == "1"


@pytest.mark.rule("H1")
def test_h1_what_piled_up_while_nobody_read_may_be_old(bench: Bench) -> None:
    old = bench.message("8"), bench.message("8")
    bench.session.pause_inbound(True, bench.now)
    bench.wait(300)
    bench.session.pause_inbound(False, bench.now)
    bench.receive(*old)
    bench.peer("8")
    assert [message.seq for message in bench.of(Message)] == [2, 3, 4]
    late = bench.message("8", time="20240229-12:00:00")
    assert types(bench.receive(late)) == "35"  # it is over: this one is late


@pytest.mark.rule("H2")
def test_h2_heartbeats_of_a_session_that_is_logging_out(bench: Bench) -> None:
    bench.take(bench.session.logout(bench.now))
    (answer,) = bench.peer("1", [(112, "x")])
    assert answer[112] == "x"
