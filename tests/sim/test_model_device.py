"""The ``model:`` device: opening it, and the memory that its sessions share (R10b). All else that it does is shown by
the tests of every device."""

from __future__ import annotations

import random

import pytest

from tag34.contract import EventCode, Phase, Policy, Rule
from tag34.device import DeliverRecord, DeviceError, EventRecord, MessageRecord, open_device
from tag34_sim.messages import Peer
from tag34_sim.model_device import ModelDevice, open_model
from tests.sim.bench import tell


def test_it_is_found_by_its_url() -> None:
    with open_device("model:") as device:
        assert isinstance(device, ModelDevice)
        info = device.info
    assert (info.name, info.sessions, info.window, info.max_message) == ("model", 1, 64, 4096)
    assert (info.width, info.clock_hz) == (0, 0)


def test_options() -> None:
    with open_device("model:", sessions=1000, window=7, max_message=300) as device:
        assert (device.info.sessions, device.info.window, device.info.max_message) == (1000, 7, 300)
        assert device.state(999).expected == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"window": 4, "hold": 4}, "hold"),
        ({"sessions": 2, "window": 4, "hold": 3, "hold_limit": 4}, "hold_limit"),
        ({"sessions": 0}, "sessions"),
        ({"sessions": 65537}, "sessions"),
        ({"sessions": "4"}, "sessions"),
        ({"window": 0}, "window"),
        ({"window": True}, "window"),
        ({"max_message": 0}, "max_message"),
        ({"max_message": 1 << 24}, "max_message"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], name: str) -> None:
    with pytest.raises(DeviceError, match=name):
        open_device("model:", **options)


def test_nothing_stands_behind_the_colon() -> None:
    with pytest.raises(DeviceError, match="/dev/ttyUSB0"):
        open_model("/dev/ttyUSB0")


def test_the_constructor_refuses_what_is_out_of_range() -> None:
    with pytest.raises(ValueError, match="window must be 1 to 4294967295, not 0"):
        ModelDevice(window=0)


# R10b: the memory of held messages


class Sessions:
    """A model with several sessions, all ACTIVE, fed by hand.

    Parameters: ``count`` of sessions; ``options`` of the device; ``config``, as in
    :class:`~tag34.device.SessionConfig`.
    """

    def __init__(self, count: int, config: dict[str, object] | None = None, **options: int) -> None:
        self.device = ModelDevice(sessions=count, **options)
        self.peers = [Peer(sender=f"PEER{index}") for index in range(count)]
        for index, peer in enumerate(self.peers):
            self.device.configure(index, peer.config(**config or {}))
            self.device.connect(index, phase=Phase.ACTIVE)

    def feed(self, session: int, *messages: bytes) -> list[str]:
        """What the messages lead to, ResendRequests apart."""
        self.device.receive(session, b"".join(messages))
        told = [tell(record) for record in self.device.poll()]
        return [line for line in told if not line.startswith(("request", "sent"))]

    def order(self, session: int, *seqs: int) -> list[str]:
        """What orders with these numbers lead to."""
        return self.feed(session, *(self.peers[session].order(seq) for seq in seqs))

    def rules(self, session: int, *seqs: int) -> list[str]:
        """The rules that decide about orders with these numbers."""
        return [line.split()[0] for line in self.order(session, *seqs)]

    def fill(self) -> None:
        """Sessions 0 and 1 take two places each."""
        for session in (0, 1):
            assert self.rules(session, 3, 4) == ["R10", "R10"]


def pool() -> Sessions:
    """Three sessions that can hold four messages, two each."""
    return Sessions(3, window=8, hold=4, hold_limit=2)


@pytest.mark.rule("R10b")
def test_R10b_a_session_holds_no_more_than_its_limit() -> None:
    s = pool()
    assert s.rules(0, 3, 4, 5) == ["R10", "R10", "R10b"]
    assert s.device.state(0).highest == 5, "it remembers what was not held"


@pytest.mark.rule("R10b", "R17")
def test_R10b_one_session_in_recovery_leaves_the_others_theirs() -> None:
    s = pool()
    assert s.rules(0, 2, 3, 4, 5, 6, 7, 8) == ["R10", "R10"] + ["R10b"] * 5
    assert s.rules(1, 3, 4) == ["R10", "R10"]
    assert s.order(1, 1, 2) == ["deliver 1", "R8 1 -> 2"] + [
        *(f"deliver {n}" for n in (2, 3, 4)),
        "recovered 5",
        "R8 2 -> 5",
    ]


@pytest.mark.rule("R10b")
def test_R10b_all_sessions_together_hold_no_more_than_there_is() -> None:
    s = pool()
    s.fill()
    assert s.order(2, 3) == ["R10b 3 -> 1"]
    assert s.order(2, 1, 2, 3) == [
        "deliver 1",
        "R8 1 -> 2",
        "deliver 2",
        "R8 2 -> 3",
        "deliver 3",
        "recovered 4",
        "R8 3 -> 4",
    ]


@pytest.mark.rule("R10b", "R10c", "R10d", "R10e")
def test_R10b_a_full_memory_does_not_keep_out_what_needs_none() -> None:
    s = pool()
    s.fill()
    peer = s.peers[2]
    assert s.feed(2, peer.gap_fill(2, 4), peer.resend_request(4), peer.logon(5), peer.logout(6)) == [
        "R10 2 -> 1",
        "deliver 4 early",
        "R10d 4 -> 1",
        "deliver 5 early",
        "R10c 5 -> 1",
        "R10b 6 -> 1",
    ]
    assert s.feed(2, peer.gap_fill(2, 3), peer.order(4), peer.order(5)) == ["R10a 2 -> 1", "R10a 4 -> 1", "R10a 5 -> 1"]
    assert s.order(2, 1) == ["deliver 1", "held_gap_fill 2 4", "R8 1 -> 6"]
    assert s.rules(0, 5) == ["R10b"], "and what took no memory gives none back"


@pytest.mark.rule("R3", "R5", "R7", "R10b", "R12")
@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Peer(sender="PEER0").order(2), "R8 2 -> 5"),
        (Peer(sender="PEER0").gap_fill(2, 5), "R7 2 -> 5"),
        (Peer(sender="PEER0").gap_fill(2, 9), "R7 2 -> 9"),
        (Peer(sender="PEER0").gap_fill(1, 5, possdup=True), "R9 1 -> 5"),
        (Peer(sender="PEER0").reset(5), "R3 1 -> 5"),
        (Peer(sender="PEER0").logon(1, reset=True), "R5 1 -> 2"),
    ],
)
def test_R10b_memory_comes_back_with_the_message(message: bytes, line: str) -> None:
    s = pool()
    s.fill()
    s.order(0, 1)
    assert s.rules(2, 3) == ["R10b"]
    assert s.feed(0, message)[-1] == line
    assert s.rules(2, 3, 4, 5) == ["R10", "R10", "R10b"], "two places are free"


@pytest.mark.rule("R10b", "R10e", "R12")
def test_R10b_memory_comes_back_from_what_a_held_gap_fill_passes_over() -> None:
    s = pool()
    s.feed(0, s.peers[0].gap_fill(2, 6), s.peers[0].order(3), s.peers[0].order(4))
    assert s.rules(1, 3, 4) == ["R10", "R10"]
    assert s.rules(2, 3) == ["R10b"]
    assert s.order(0, 1) == ["deliver 1", "held_gap_fill 2 6", "recovered 6", "R8 1 -> 6"]
    assert s.rules(2, 3, 4, 5) == ["R10", "R10", "R10b"], "two places are free"


@pytest.mark.rule("R10b", "R15")
@pytest.mark.parametrize("verb", ["disconnect", "connect", "set_expected"])
def test_R10b_memory_comes_back_with_the_connection(verb: str) -> None:
    s = pool()
    s.fill()
    if verb == "set_expected":
        s.device.set_expected(0, 1)
    else:
        getattr(s.device, verb)(0)
    assert s.rules(2, 3, 4, 5) == ["R10", "R10", "R10b"], "two places are free"
    s.device.disconnect(0)
    s.device.connect(0, phase=Phase.ACTIVE)
    assert s.rules(0, 3) == ["R10b"], "nothing is given back twice"


@pytest.mark.rule("R10b")
def test_R10b_a_halted_session_keeps_what_it_holds() -> None:
    s = pool()
    s.fill()
    assert s.feed(0, s.peers[0].message("D", "none"))[-1] == "R4 none -> 1"
    assert s.rules(2, 3) == ["R10b"]
    s.device.disconnect(0)
    assert s.rules(2, 3) == ["R10"]


@pytest.mark.rule("R10b")
def test_R10b_the_first_to_be_complete_gets_the_last_place() -> None:
    s = pool()
    s.fill()
    assert s.order(0, 1, 2)[-1] == "R8 2 -> 5"
    assert s.rules(2, 3) == ["R10"]
    first, second = s.peers[0].order(7), s.peers[2].order(4)
    s.feed(0, first[:-1])
    assert s.feed(2, second) == ["R10 4 -> 1"], "begun later, complete earlier"
    assert s.feed(0, first[-1:]) == ["R10b 7 -> 5"]


@pytest.mark.rule("R10b", "R12")
def test_R12_what_one_message_releases_is_free_for_the_next_one() -> None:
    s = pool()
    s.fill()
    assert s.order(0, 1, 2, 6, 7, 8) == [
        *("deliver 1", "R8 1 -> 2", "deliver 2", "deliver 3", "deliver 4", "recovered 5", "R8 2 -> 5"),
        *("R10 6 -> 5", "R10 7 -> 5", "R10b 8 -> 5"),
    ]


@pytest.mark.rule("R10b", "R11")
@pytest.mark.parametrize(("policy", "end"), [(Policy.CLOSED, 4), (Policy.CHUNK, 4), (Policy.INFINITY, 0)])
def test_R11_what_was_not_held_is_asked_for(policy: Policy, end: int) -> None:
    s = Sessions(3, {"policy": policy}, window=8, hold=4, hold_limit=2)
    s.fill()
    s.device.receive(2, s.peers[2].order(4))
    assert tell(s.device.poll()[0]) == f"request 1-{end} R11"
    s.device.disconnect(0)
    s.device.connect(2, phase=Phase.ACTIVE)
    s.device.receive(2, s.peers[2].order(4))
    assert tell(s.device.poll()[0]) == f"request 1-{end and 3} R11", "held: up to the one below"


@pytest.mark.rule("R10b")
@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize(("hold", "hold_limit"), [(1, 1), (2, 1), (20, 9), (252, 63)])
def test_R10b_nothing_is_lost_however_little_memory_there_is(
    policy: Policy, hold: int, hold_limit: int, rng: random.Random
) -> None:
    """Four sessions, whose peers replay what they are asked for, mixed message by message."""
    s = Sessions(4, {"policy": policy, "chunk": 4}, window=64, hold=hold, hold_limit=hold_limit)
    last = 60
    waiting = [[(seq, False) for seq in range(1, last + 1) if seq == last or rng.random() < 0.7] for _ in s.peers]
    delivered: list[list[int]] = [[] for _ in s.peers]
    not_held = 0
    while any(waiting):
        session = rng.choice([index for index, numbers in enumerate(waiting) if numbers])
        seq, replayed = waiting[session].pop(0)
        possdup = replayed or seq <= len(delivered[session])
        s.device.receive(session, s.peers[session].order(seq, possdup=possdup))
        for record in s.device.poll():
            if isinstance(record, DeliverRecord):
                delivered[record.session].append(record.seq)
            elif isinstance(record, MessageRecord):
                not_held += record.rule is Rule.R10B
            elif isinstance(record, EventRecord) and record.code is EventCode.REQUEST:
                assert record.seq is not None
                waiting[session] += [(number, True) for number in range(record.seq, (record.number or last) + 1)]
    assert delivered == [list(range(1, last + 1))] * 4
    assert (not_held == 0) == (hold == 252)
