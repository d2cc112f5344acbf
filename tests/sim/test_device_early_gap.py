"""GAP: a message that opens a range is told of as soon as its number is read, before it is known to be good."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import pytest

from tag34.contract import EventCode, Phase, Rule
from tag34.device import EventRecord, MessageRecord
from tag34_sim.messages import Field, Peer, damaged_checksum, encode, frame
from tag34_sim.traffic import Operation, perform
from tests.sim.bench import Bench, Stage
from tests.sim.test_differential import devices, life

Make = Callable[..., Bench]


def behind(message: bytes, tag: int) -> int:
    """The place behind the SOH that closes a field."""
    return message.index(b"\x01", message.index(b"\x01%d=" % tag) + 1) + 1


@pytest.mark.rule("R11")
def test_R11_a_gap_is_told_before_the_checksum(bench: Make) -> None:
    line = bench(early_gap=True)
    assert line.feed(line.order(1)) == ["deliver 1", "R8 1 -> 2"]
    message = line.order(3)
    at = behind(message, 34)
    assert line.feed(message[: at - 1]) == []
    assert line.feed(message[at - 1 : at]) == ["gap 3 2"]
    assert line.feed(message[at:-1]) == []
    assert line.feed(message[-1:]) == ["request 2-0 R11", "R10 3 -> 2"]
    assert line.feed(line.order(4)) == ["R10 4 -> 2"], "the range is open already"
    assert line.feed(line.order(2)) == ["deliver 2", "deliver 3", "deliver 4", "recovered 5", "R8 2 -> 5"]
    assert line.feed(line.order(6), line.order(5)) == [
        *("gap 6 5", "request 5-0 R11", "R10 6 -> 5"),
        *("deliver 5", "deliver 6", "recovered 7", "R8 5 -> 7"),
    ]


@pytest.mark.rule("R11")
def test_R11_a_gap_is_told_before_the_comp_ids_are_read(bench: Make) -> None:
    """They are believed to be right until one is read that is not."""
    line = bench(early_gap=True)
    header: list[Field] = [(34, 3), (49, line.peer.sender), (56, line.peer.target), (52, "20240229-23:59:59")]
    message = frame(encode([(35, "0"), *header]), begin_string=line.peer.begin_string)
    assert line.feed(message[: behind(message, 34)]) == ["gap 3 1"]
    assert line.feed(message[behind(message, 34) :]) == ["request 1-0 R11", "R10 3 -> 1"]


@pytest.mark.rule("R11", "R17")
def test_R11_a_gap_is_told_once_whatever_is_read_behind_its_number(stage: Stage) -> None:
    line = Bench(stage, 3, early_gap=True)
    header: list[Field] = [(34, 3), (49, line.peer.sender), (43, "Y"), (56, line.peer.target), (97, "Y")]
    message = frame(encode([(35, "D"), *header, (52, "20240229-23:59:59")]), begin_string=line.peer.begin_string)
    told = [text for byte in message for text in line.feed(bytes([byte]))]
    assert told == ["gap 3 1", "request 1-0 R11", "R10 3 -> 1"]


@pytest.mark.rule("R11")
def test_R11_nothing_is_told_early_unless_it_is_wanted(bench: Make) -> None:
    line = bench()
    assert line.feed(line.order(3)) == ["request 1-0 R11", "R10 3 -> 1"]


@pytest.mark.rule("F3")
def test_F3_a_guess_that_was_wrong_changes_nothing(bench: Make) -> None:
    line = bench(early_gap=True)
    before = line.state
    bad = damaged_checksum(line.order(3))
    assert line.feed(bad[: behind(bad, 34)]) == ["gap 3 1"]
    assert line.feed(bad[behind(bad, 34) :]) == ["F3 none -> 1"]
    assert line.state == before
    assert line.feed(line.order(3)) == ["gap 3 1", "request 1-0 R11", "R10 3 -> 1"]


@pytest.mark.rule("F3")
def test_F3_nothing_is_told_of_the_number_before(bench: Make) -> None:
    """The one of a garbled message is known until the next one's is."""
    line = bench(early_gap=True)
    bad = damaged_checksum(line.order(3))
    at = behind(bad, 34)
    for expected in range(1, 4):
        assert line.feed(bad[:at]) == ([f"gap 3 {expected}"] if expected < 3 else [])
        assert line.feed(bad[at:]) == [f"F3 none -> {expected}"]
        told = [line.feed(bytes([byte])) for byte in line.order(expected)]
        assert told == [*[[]] * (len(told) - 1), [f"deliver {expected}", f"R8 {expected} -> {expected + 1}"]]


@pytest.mark.rule("R11")
def test_R11_what_may_not_be_asked_for_is_not_told(bench: Make) -> None:
    line = bench(early_gap=True, may_request=False)
    assert line.feed(line.order(3)) == ["R10 3 -> 1"]


@pytest.mark.rule("R3", "R10e")
def test_R3_R10e_a_sequence_reset_may_be_a_reset_until_its_123_is_read(bench: Make) -> None:
    line = bench(early_gap=True)
    reset = line.peer.message("4", 9, [(36, 5)])
    assert line.feed(reset)[-1] == "R3 9 -> 5"
    fill = line.peer.gap_fill(7, 9)
    assert line.feed(fill[: behind(fill, 34)]) == []
    assert line.feed(fill[behind(fill, 34) :]) == ["gap 7 5", "request 5-0 R11", "R10 7 -> 5"]


@pytest.mark.rule("R10c")
def test_R10c_a_logon_above_expected(bench: Make) -> None:
    line = bench(early_gap=True, phase=Phase.LOGON)
    assert line.feed(line.peer.logon(3)) == ["gap 3 1", "deliver 3 early", "request 1-0 R11", "R10c 3 -> 1"]


@pytest.mark.rule("R17")
def test_R17_each_session_has_its_own_guess(stage: Stage) -> None:
    lines = [Bench(stage, index, early_gap=index != 1, peer=Peer(sender=f"P{index}")) for index in range(3)]
    messages = [line.order(4) for line in lines]
    told: dict[int, list[str]] = defaultdict(list)
    for at in range(max(map(len, messages))):
        for line, message in zip(lines, messages, strict=True):
            told[line.session] += line.feed(message[at : at + 1])
    for session, story in told.items():
        # What other sessions interrupt may be told of once more.
        assert story[-2:] == ["request 1-0 R11", "R10 4 -> 1"]
        assert set(story[:-2]) == ({"gap 4 1"} if session != 1 else set())


@pytest.mark.rule("R11")
@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", ["shared", "usual"])
def test_R11_every_request_that_a_message_causes_was_announced(shape: str, width: int) -> None:
    model, gateware = devices(shape, width)
    announced: dict[int, list[int]] = defaultdict(list)
    asks = dict.fromkeys(range(gateware.info.sessions), False)
    guesses = requests = 0
    with model, gateware:
        for operation in life(model, 34, 400):
            if operation.verb == "configure":
                config = replace(operation.arguments["config"], early_gap=True)
                operation = Operation("configure", {**operation.arguments, "config": config})
            perform(model, operation)
            perform(gateware, operation)
            for record in gateware.poll():
                if isinstance(record, EventRecord) and record.code is EventCode.GAP:
                    assert record.seq is not None
                    assert record.number is not None
                    assert record.seq > record.number
                    announced[record.session].append(record.seq)
                    guesses += 1
                elif isinstance(record, EventRecord) and record.rule is Rule.R11:
                    asks[record.session] = True
                elif isinstance(record, MessageRecord):
                    if record.rule.id.startswith("R10") and asks[record.session]:
                        assert record.seq in announced[record.session]
                        requests += 1
                    asks[record.session] = False
                    announced[record.session].clear()
    assert 0 < requests <= guesses
