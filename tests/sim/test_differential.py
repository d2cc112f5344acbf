"""The gateware against the golden model: scenarios of everything that a counterparty may send, from seeds and from
Hypothesis, over several sessions, with stalls on every stream."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tag34.contract import MAX_SEQ, EventCode, Phase, Policy
from tag34.device import Device, DeviceError, EventRecord, Record, SessionState, open_device
from tag34_sim.differential import Difference, Said, compare, listen, perform_unbroken, unlike
from tag34_sim.hostile import TRICKS, Aim, jump, swallow
from tag34_sim.messages import Peer, damaged_checksum
from tag34_sim.model_device import ModelDevice
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import MIX, Operation, perform, scenario
from tests.sim.conftest import COMPACT, MADE, SHARED, Made, made_options

#: Builds of the gateware: a usual one, one so small that its window, its slots and its messages end all the time, and
#: one whose sessions share too little memory.
SHAPES: dict[str, dict[str, Any]] = {
    "usual": {"window": 64, "max_message": 4096},
    "small": {"window": 4, "max_message": 256},
    "shared": SHARED,
}


#: Not every one in every width, as each takes a minute to compile.
BUILDS: list[tuple[str, Made]] = [
    (shape, made) for shape in SHAPES for made in ((1, 8, COMPACT) if shape == "small" else MADE)
]


def devices(shape: str, made: Made = 1) -> tuple[Device, SimDevice]:
    gateware = open_device("sim:", **SHAPES[shape], **made_options(made))
    assert isinstance(gateware, SimDevice)
    return open_device("model:", **SHAPES[shape]), gateware


def life(model: Device, seed: int, messages: int, mix: dict[str, float] | None = None) -> Iterator[Operation]:
    """A scenario for devices of the model's size; host and peers act on the model's state."""
    return scenario(
        random.Random(seed),
        messages=messages,
        sessions=model.info.sessions,
        window=model.info.window,
        max_message=model.info.max_message,
        mix=mix,
        watch=model.state,
    )


@pytest.mark.rule("R12", "R16", "R17")
@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize(("shape", "made"), BUILDS)
@pytest.mark.parametrize("seed", range(15))
def test_scenarios_of_everything(shape: str, made: Made, seed: int, stall: float) -> None:
    model, gateware = devices(shape, made)
    with model, gateware:
        gateware.stalls(seed, stall, stall)
        difference = compare(model, gateware, life(model, seed, 300))
        assert difference is None, f"seed {seed}, shape {shape}, {made}, stalls {stall}: {difference}"


@pytest.mark.rule("R11", "R12", "R13", "R17")
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("shape", ["usual", "shared"])
@pytest.mark.parametrize("seed", range(8))
def test_long_sessions_without_a_halt(shape: str, made: Made, seed: int) -> None:
    model, gateware = devices(shape, made)
    with model, gateware:
        difference = compare(model, gateware, life(model, 1000 + seed, 1500, MIX))
        assert difference is None, f"seed {1000 + seed}, shape {shape}: {difference}"


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    seed=st.integers(0, 2**32 - 1),
    messages=st.integers(1, 60),
    stall=st.sampled_from([0.0, 0.2, 0.6]),
    build=st.sampled_from([build for build in BUILDS if build[0] != "usual"]),
)
def test_scenarios_that_nobody_chose(seed: int, messages: int, stall: float, build: tuple[str, Made]) -> None:
    model, gateware = devices(*build)
    with model, gateware:
        gateware.stalls(seed, stall, stall)
        assert compare(model, gateware, life(model, seed, messages)) is None


@pytest.mark.rule("F4", "F6")
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    noise=st.lists(
        st.binary(max_size=60) | st.sampled_from([b"8=FIX", b"\x01", b"9=", b"10=", b"8=FIX.4.4\x019=5\x01"])
    ),
    made=st.sampled_from([1, 8, COMPACT]),
)
def test_bytes_that_mean_nothing(noise: list[bytes], made: Made) -> None:
    model, gateware = devices("small", made)
    with model, gateware:
        start = list(life(open_device("model:", **SHAPES["small"]), 1, 0))
        garbage = [Operation("receive", {"session": 0, "data": piece}) for piece in noise]
        assert compare(model, gateware, [*start, *garbage]) is None


def test_a_difference_is_found() -> None:
    """The comparison can fail: devices that store messages of different lengths disagree, and it is said where."""
    model, _ = devices("small")
    with model, open_device("model:", window=4, max_message=200) as other:
        difference = compare(model, other, life(model, 3, 200))
        assert isinstance(difference, Difference)
        assert f"operation {difference.index}" in str(difference)


def test_latency_is_the_same_for_every_gap() -> None:
    """Last byte of the proving message to the first byte of its ResendRequest, as the device's own counter tells it."""

    _, gateware = devices("usual")
    peer = Peer()
    with gateware:
        gateware.configure(0, peer.config())
        gateware.connect(0, phase=Phase.ACTIVE)
        for seq in range(1, 300, 3):
            for number, possdup in ((seq, False), (seq + 2, False), (seq + 1, True)):
                gateware.receive(0, peer.order(number, possdup=possdup))
        records = gateware.poll()
    asked = [r.cycle for r in records if isinstance(r, EventRecord) and r.code is EventCode.REQUEST]
    sent = [r.cycle for r in records if type(r).__name__ == "SentRecord"]
    latencies = {after - before for before, after in zip(asked, sent, strict=True)}
    assert len(asked) == 100
    assert len(latencies) == 1
    assert latencies.pop() <= 4


# Operations in a row.


class Mute(ModelDevice):
    """A golden model that cannot be asked for anything but its name."""

    def _poll(self) -> list[Record]:
        raise DeviceError("no answer")

    def _state(self, session: int) -> SessionState:
        raise ValueError("no answer")


def pieces(*given: tuple[int, bytes]) -> list[Operation]:
    return [Operation("receive", {"session": session, "data": data}) for session, data in given]


@pytest.mark.rule("R17")
def test_bytes_of_many_sessions_go_in_without_a_pause() -> None:
    """The same records as with pauses, in fewer cycles: the core does not come to rest at a chunk border."""
    peers = [Peer(sender=f"PEER{index}") for index in range(5)]
    streams = [b"".join(peer.order(seq) for seq in (1, 3, 2, 4, 5)) for peer in peers]
    script = [
        Operation(verb, {"session": index, **more})
        for index, peer in enumerate(peers)
        for verb, more in (("configure", {"config": peer.config()}), ("connect", {"phase": Phase.ACTIVE}))
    ]
    chunks = pieces(
        *((index, stream[at : at + 9]) for at in range(0, len(streams[0]), 9) for index, stream in enumerate(streams))
    )
    cycles = []
    told = []
    for play in (perform_unbroken, lambda device, row: [perform(device, operation) for operation in row]):
        _, gateware = devices("shared")
        with gateware:
            perform_unbroken(gateware, script)
            before = gateware.core.cycles
            play(gateware, chunks)
            cycles.append(gateware.core.cycles - before)
            told.append(listen(gateware, chunks, []))
    assert unlike(0, chunks[-1], told[0], told[1]) is None
    assert [state.expected for state in told[0].states.values() if isinstance(state, SessionState)] == [6] * 5
    assert sum(map(len, streams)) < cycles[0] < cycles[1]


@pytest.mark.parametrize(
    ("script", "left", "right"),
    [
        (pieces((0, b"x"), (7, b"x")), "", "ValueError: session must be 0 to 4, not 7"),
        ([Operation("set_expected", {"session": 0, "expected": 0})], "", "ValueError: expected must be"),
        ([Operation("send", {"session": 0, "msg_type": "0"})], "", "DeviceError: session 0 is not configured"),
    ],
)
def test_what_is_refused_is_compared(script: list[Operation], left: str, right: str) -> None:
    with ModelDevice(**SHARED) as model:
        wanted = listen(model, [], [])
        difference = unlike(0, script[-1], wanted, listen(model, [], perform_unbroken(model, script)))
    assert difference is not None
    assert difference.left == left
    assert isinstance(difference.right, str)
    assert difference.right.startswith(right)


def test_what_cannot_be_read_is_a_difference() -> None:
    script = pieces((0, b"x"))
    with ModelDevice(**SHARED) as model, Mute(**SHARED) as mute:
        difference = compare(model, mute, script)
        assert difference is not None
        assert difference.right == "DeviceError: no answer"
        difference = unlike(0, script[0], listen(model, script, []), listen(mute, script, []))
        assert difference is not None
        assert difference.right == "DeviceError: no answer"
        states = unlike(0, script[0], listen(model, script, []), Said([], [], {0: "ValueError: no answer"}))
        assert states is not None
        assert states.right == "ValueError: no answer"


@pytest.mark.parametrize("unbroken", [False, True])
def test_the_first_record_that_differs_is_told(unbroken: bool) -> None:
    peer = Peer()
    with ModelDevice(**SHARED) as model, ModelDevice(**{**SHARED, "hold": 1, "hold_limit": 1}) as other:
        for device in (model, other):
            device.configure(3, peer.config())
            device.connect(3, phase=Phase.ACTIVE)
        script = pieces((3, peer.order(2) + peer.order(3)))
        if unbroken:
            said = [listen(device, script, perform_unbroken(device, script)) for device in (model, other)]
            difference = unlike(0, script[-1], *said)
        else:
            difference = compare(model, other, script)
    _, agreed, both, left, right = str(difference).splitlines()
    assert agreed == "the first 2 records agree; the last of them, and the next:"
    assert both.startswith("  both   MessageRecord(")
    assert left.startswith("  left   MessageRecord(")
    assert right.startswith("  right  MessageRecord(")
    assert "rule=<Rule.R10: 17>" in left
    assert "rule=<Rule.R10B: 19>" in right


def test_of_long_texts_the_place_where_they_differ_is_told() -> None:
    wanted, got = "a" * 3000 + "b" * 3000, "a" * 3000 + "c" * 3000
    (operation,) = pieces((0, b"x" * 5000))
    told = Difference(3, operation, wanted, got).of_device().splitlines()
    assert told[0].startswith("operation 3: receive(session=0, data=b'xxx")
    place = f"{'a' * 80} ... {'a' * 60}"
    assert told[1:] == [f"  golden model  {place}{'b' * 60} ...", f"  device        {place}{'c' * 60} ..."]
    assert max(map(len, told)) < 250


def test_a_record_too_few_is_told() -> None:
    event = EventRecord(0, EventCode.REQUEST)
    told = str(Difference(0, pieces((0, b"x"))[0], [event], [])).splitlines()
    assert told[1:] == ["the first record differs:", f"  left   {event}", "  right  nothing more"]


def test_a_device_that_could_not_go_on_is_told_from_one_that_differs() -> None:
    (operation,) = pieces((0, b"x"))
    assert Difference(0, operation, "", "DeviceError: gone").failure == "gone"
    assert Difference(0, operation, "", "ValueError: DeviceError: gone").failure == ""
    assert Difference(0, operation, [], []).failure == ""


def test_how_soon_a_message_leaves_is_the_devices_own_affair() -> None:
    """Messages that left are compared apart from the other records, per session in their order."""
    peer = Peer()
    script = pieces((0, peer.order(2)))
    with ModelDevice() as model:
        model.configure(0, peer.config())
        model.connect(0, phase=Phase.ACTIVE)
        model.receive(0, peer.order(2))
        left = listen(model, [], [])
    assert [type(record).__name__ for record in left.records] == ["EventRecord", "MessageRecord", "SentRecord"]
    event, message, sent = left.records
    assert unlike(0, script[0], left, Said([], [event, sent, message], {})) is None
    assert unlike(0, script[0], left, Said([], [message, event, sent], {})) is not None
    assert unlike(0, script[0], left, Said([], [replace(event, cycle=7), message, sent], {})) is None
    assert unlike(0, script[0], left, Said([], [event, message], {})) is not None


# Hypothesis chooses, step by step.

#: Sessions of the shared device that take part.
SESSIONS = 3
PEERS = [Peer(sender=f"PEER{index}") for index in range(SESSIONS)]
session = st.integers(0, SESSIONS - 1)
above = st.integers(1, SHARED["window"] + 2)
at = st.integers(0, 999)
flag = st.sampled_from([False, False, True, True, "N", "y"])
#: What a host may call, connections and configurations apart.
CALLS: list[tuple[str, dict[str, Any]]] = [
    *(("set_may_request", {"allowed": allowed}) for allowed in (False, True, True)),
    *(("set_expected", {"expected": number}) for number in (1, 9, 10**9, MAX_SEQ - 2, MAX_SEQ, MAX_SEQ + 1)),
    *(("set_next_out", {"next_out": number}) for number in (1, 99, 999_999_999, MAX_SEQ - 1, MAX_SEQ)),
    *(("send", {"msg_type": "D", "fields": b"58=x\x01", "seq": seq}) for seq in (None, None, 1, MAX_SEQ)),
    ("send", {"msg_type": "UABC", "fields": b"58=%b\x01" % (b"x" * 190), "seq": None}),
    ("send", {"msg_type": "0", "fields": b"58=%b\x01" % (b"x" * 300), "seq": None}),
    ("disconnect", {}),
]


class Lives(RuleBasedStateMachine):
    """Three sessions on both devices. What a peer sends is there at once, or waits to be delivered, cut and mixed at
    will."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.gateware = devices("shared")
        self.waiting = [b""] * SESSIONS
        self.waits = [False] * SESSIONS
        self.in_vain = [0] * SESSIONS  # messages to a session that is down
        self.now = 1_709_251_199_000_000_000
        self.step("advance", utc_ns=self.now)

    def step(self, verb: str, **arguments: Any) -> None:
        difference = compare(self.model, self.gateware, [Operation(verb, arguments)])
        assert difference is None, str(difference)

    def expected(self, session: int) -> int:
        return self.model.state(session).expected

    def arrive(self, session: int, *messages: bytes) -> None:
        """The peer sends. A host does not leave a session down for long."""
        self.waiting[session] += b"".join(messages)
        if not self.waits[session]:
            self.delivered([(session, 9999)], False)
        self.in_vain[session] += self.model.state(session).phase in (Phase.HALTED, Phase.CLOSED)
        if self.in_vain[session] == 2:
            self.connects(session, Phase.ACTIVE, True)

    def number(self, session: int, ahead: int) -> int:
        return max(1, min(self.expected(session) + ahead, MAX_SEQ))

    # What the host does.

    @initialize(
        policies=st.lists(st.sampled_from(list(Policy)), min_size=SESSIONS, max_size=SESSIONS),
        windows=st.lists(st.sampled_from([None, None, 1, 3]), min_size=SESSIONS, max_size=SESSIONS),
    )
    def connected(self, policies: list[Policy], windows: list[int | None]) -> None:
        for index, (policy, window) in enumerate(zip(policies, windows, strict=True)):
            self.reconfigured(index, policy, window, 2, 5, 1)
            self.connects(index, Phase.ACTIVE, True)

    @rule(
        session=session,
        policy=st.sampled_from(list(Policy)),
        window=st.sampled_from([None, 1, 2, 5, SHARED["window"]]),
        chunk=st.sampled_from([1, 2, 3, MAX_SEQ]),
        timeout=st.sampled_from([0, 1, 5]),
        retries=st.integers(0, 2),
    )
    def reconfigured(
        self, session: int, policy: Policy, window: int | None, chunk: int, timeout: int, retries: int
    ) -> None:
        self.step("disconnect", session=session)
        config = PEERS[session].config(
            policy=policy, window=window, chunk=chunk, resend_timeout=timeout, resend_retries=retries
        )
        self.step("configure", session=session, config=config)

    @rule(session=session, phase=st.sampled_from([Phase.LOGON, Phase.ACTIVE]), may_request=st.booleans())
    def connects(self, session: int, phase: Phase, may_request: bool) -> None:
        self.waiting[session] = b""
        self.in_vain[session] = 0
        self.step("connect", session=session, phase=phase, may_request=may_request)

    @rule(session=session, call=st.sampled_from(CALLS))
    def host_does(self, session: int, call: tuple[str, dict[str, Any]]) -> None:
        verb, arguments = call
        self.step(verb, session=session, **arguments)

    @rule(ms=st.sampled_from([-1, 0, 1, 4, 5, 6, 30]))
    def time_passes(self, ms: int) -> None:
        self.now += ms * 1_000_000
        self.step("advance", utc_ns=self.now)

    @rule(seed=st.integers(0, 99), inputs=st.sampled_from([0, 0.3, 0.8]), outputs=st.sampled_from([0, 0.3, 0.8]))
    def streams_stall(self, seed: int, inputs: float, outputs: float) -> None:
        self.gateware.stalls(seed, inputs, outputs)

    # What the peers send.

    @rule(session=session, count=st.integers(1, 4), possdup=flag)
    def in_order(self, session: int, count: int, possdup: bool | str) -> None:
        first = self.number(session, 0)
        self.arrive(
            session, *(PEERS[session].message("D", seq, possdup=possdup) for seq in range(first, first + count))
        )

    @rule(session=session, ahead=st.lists(above, min_size=1, max_size=5), kind=st.sampled_from("D0A25"), possdup=flag)
    def ahead(self, session: int, ahead: list[int], kind: str, possdup: bool | str) -> None:
        for distance in ahead:
            self.arrive(session, PEERS[session].message(kind, self.number(session, distance), possdup=possdup))

    @rule(session=session, behind=st.integers(1, 9), kind=st.sampled_from("D0A24"), possdup=flag)
    def late(self, session: int, behind: int, kind: str, possdup: bool | str) -> None:
        self.arrive(session, PEERS[session].message(kind, self.number(session, -behind), possdup=possdup))

    @rule(session=session, order=st.permutations(range(5)))
    def reordered(self, session: int, order: Sequence[int]) -> None:
        self.arrive(session, *(PEERS[session].order(self.number(session, distance)) for distance in order))

    @rule(session=session, ahead=st.integers(-4, 6), jump=st.integers(-1, 9), possdup=st.booleans())
    def gap_filled(self, session: int, ahead: int, jump: int, possdup: bool) -> None:
        seq = self.number(session, ahead)
        self.arrive(session, PEERS[session].gap_fill(seq, seq + jump, possdup=possdup))

    @rule(session=session, jump=st.one_of(st.none(), st.integers(-2, 12)))
    def reset(self, session: int, jump: int | None) -> None:
        self.arrive(session, PEERS[session].reset(None if jump is None else self.number(session, jump)))

    @rule(session=session, seq=st.sampled_from([1, 1, 2]))
    def reset_by_logon(self, session: int, seq: int) -> None:
        self.arrive(session, PEERS[session].logon(seq, reset=True))

    @rule(session=session, kind=st.sampled_from(["bits", "short", "sum", "number", "long", "noise", "foreign"]), at=at)
    def strange(self, session: int, kind: str, at: int) -> None:
        peer, seq = PEERS[session], self.number(session, 0)
        message = peer.order(seq)
        place = at % len(message)
        room = SHARED["max_message"] - len(peer.message("D", seq, [(58, "x" * 100)])) + 100
        self.arrive(
            session,
            {
                "bits": message[:place] + bytes([message[place] ^ 1 << at % 8]) + message[place + 1 :],
                "short": message[:place],
                "sum": damaged_checksum(message),
                "number": peer.message("D", (None, "", "0", "-5", "2.0", "4294967296", f"{seq:020}")[at % 7]),
                "long": peer.message("D", seq, [(58, "x" * (room + at % 5 - 2))]),
                "noise": (b"8=FIX", b"\x01", b"8=FIX.4.4\x019=5\x01", random.Random(at).randbytes(20))[at % 4],
                "foreign": PEERS[at % SESSIONS].order(seq),
            }[kind],
        )

    @rule(session=session, trick=st.sampled_from([*TRICKS, swallow, jump]), seed=st.integers(0, 999))
    def hostile(self, session: int, trick: Callable[[Aim], bytes], seed: int) -> None:
        aim = Aim(random.Random(seed), PEERS[session], self.number(session, 0), SHARED["window"], SHARED["max_message"])
        self.arrive(session, trick(aim))

    # How it arrives.

    @rule(session=session, waits=st.booleans())
    def on_the_way(self, session: int, waits: bool) -> None:
        self.waits[session] = waits

    @rule(
        cuts=st.lists(st.tuples(session, st.integers(1, 30) | st.just(9999)), min_size=1, max_size=30),
        unbroken=st.booleans(),
    )
    def delivered(self, cuts: list[tuple[int, int]], unbroken: bool) -> None:
        row = []
        for session, size in cuts:
            data, self.waiting[session] = self.waiting[session][:size], self.waiting[session][size:]
            row.append(Operation("receive", {"session": session, "data": data}))
        if unbroken:
            devices = (self.model, self.gateware)
            said = [listen(device, row, perform_unbroken(device, row)) for device in devices]
            difference = unlike(len(row) - 1, row[-1], *said)
        else:
            difference = compare(self.model, self.gateware, row)
        assert difference is None, str(difference)

    @invariant()
    def all_states_agree(self) -> None:
        for index in range(SESSIONS):
            assert self.model.state(index) == self.gateware.state(index)

    def teardown(self) -> None:
        with self.model, self.gateware:
            self.delivered([(index, 9999) for index in range(SESSIONS)], True)
            for index in range(SESSIONS):
                assert self.model.counters(index) == self.gateware.counters(index)


Lives.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
TestLives = Lives.TestCase
