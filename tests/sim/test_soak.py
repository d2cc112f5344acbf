"""``tag34 soak``: differences are found, made small, kept and found again; mistakes get one clear line.

The devices here are golden models, one of them with a planted fault. The gateware itself: test_soak_gateware.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tag34.cli import main
from tag34.contract import Phase, Policy, Rule
from tag34.device import Device, DeviceError, MessageRecord, Record, open_device
from tag34_sim import soak_command
from tag34_sim.messages import Peer
from tag34_sim.model_device import ModelDevice
from tag34_sim.soak import Soak
from tag34_sim.soak_case import Case, CaseError, Stalls, check, dump, load
from tag34_sim.soak_shrink import Shrinker, reduce
from tag34_sim.traffic import Operation

PEER = Peer()
SHAPE = {"sessions": 3, "window": 8, "max_message": 300, "hold": 10, "hold_limit": 4}


class Faulty(ModelDevice):
    """A golden model that tells the number expected wrongly behind a late GapFill (R9)."""

    def _poll(self) -> list[Record]:
        return [self.spoiled(record) for record in super()._poll()]

    def spoiled(self, record: Record) -> Record:
        if isinstance(record, MessageRecord) and record.rule is Rule.R9:
            return replace(record, expected=record.expected + 1)
        return record


class Broken(ModelDevice):
    """A golden model that does not survive a ResendRequest ahead of its turn (R10d)."""

    def _poll(self) -> list[Record]:
        records = super()._poll()
        if any(isinstance(record, MessageRecord) and record.rule is Rule.R10D for record in records):
            raise DeviceError("the core did not come to rest")
        return records


class Unsettled(ModelDevice):
    """A golden model that loses a piece of bytes when three pieces come unbroken and its streams pause."""

    pauses = False

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        self.pauses = True

    def receive_all(self, pieces: Sequence[tuple[int, bytes]]) -> None:
        given = list(pieces)
        for index, (session, data) in enumerate(given):
            if not (self.pauses and index >= 3):
                self.receive(session, data)


class Miscounting(ModelDevice):
    """A golden model that counts foreign messages (R2) twice."""

    def _counters(self, session: int) -> dict[str, int]:
        counters = super()._counters(session)
        return {**counters, "R2": 2 * counters["R2"]}


KINDS: dict[str, type[ModelDevice]] = {
    "faulty:": Faulty,
    "broken:": Broken,
    "unsettled:": Unsettled,
    "miscounting:": Miscounting,
}


def opener(url: str, **options: Any) -> Device:
    """Opens the devices above, too."""
    if url not in KINDS:
        return open_device(url, **options)
    return KINDS[url](**{name: size for name, size in options.items() if name != "width"})


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command finds the devices above, and works in a folder of its own."""
    monkeypatch.setattr(soak_command, "open_device", opener)
    monkeypatch.chdir(tmp_path)


# The run.


@pytest.mark.parametrize("sessions", [1, 3, 64])
def test_the_model_does_not_differ_from_itself(sessions: int, seed: int) -> None:
    soak = Soak("model:", {**SHAPE, "sessions": sessions, "hold": 5}, seed)
    told: list[int] = []
    outcome = soak.run(4000, told.append)
    assert (outcome.difference, outcome.case) == (None, None)
    assert outcome.messages >= 4000
    assert outcome.rules.total() == outcome.messages == told[-1]
    assert told == sorted(told)
    assert outcome.scenarios > 1
    assert outcome.cycles == 0


def test_the_same_seed_makes_the_same_run() -> None:
    runs = [Soak("model:", SHAPE, seed).run(3000) for seed in (1, 1, 2)]
    assert runs[0].rules == runs[1].rules != runs[2].rules


@pytest.mark.parametrize("url", KINDS)
def test_a_fault_is_found_and_made_small(url: str, seed: int) -> None:
    outcome = Soak(url, SHAPE, seed, opener).run(100_000)
    assert outcome.difference is not None, "100,000 messages show nothing"
    assert outcome.case is not None
    shrinker = Shrinker(outcome.case, opener)
    case = shrinker.run()
    assert check(case, opener) is not None
    assert check(replace(case, url="model:"), opener) is None
    assert len(case.operations) <= 16
    assert len({operation.arguments.get("session", 0) for operation in case.operations}) == 1
    assert case.unbroken == (url == "unsettled:"), "only that one needs it"
    assert (case.stalls is not None) == (url == "unsettled:")
    assert sum(len(operation.arguments.get("data", b"")) for operation in case.operations) < 600
    assert shrinker.trials > 5


def test_what_a_case_needs_stays_in_it(seed: int) -> None:
    """The smallest case of R9: a gap that was asked for, and the late GapFill over it."""
    outcome = Soak("faulty:", SHAPE, seed, opener).run(100_000)
    assert outcome.case is not None
    case = Shrinker(outcome.case, opener).run()
    assert [operation.verb for operation in case.operations][-1] == "receive"
    assert {"configure", "connect", "receive"} <= {operation.verb for operation in case.operations}
    (configured,) = [operation for operation in case.operations if operation.verb == "configure"]
    config = configured.arguments["config"]
    assert (config.policy, config.window, config.resend_timeout, config.fraction) == (Policy.INFINITY, None, 0, None)


def test_a_case_that_does_not_fail_by_itself_stays_as_it_is() -> None:
    case = Case("model:", SHAPE, None, True, every_operation())
    shrinker = Shrinker(case)
    assert shrinker.run() is case
    assert (shrinker.shows, shrinker.trials) == (False, 1)


def test_shrinking_ends_in_time() -> None:
    outcome = Soak("faulty:", SHAPE, 1, opener).run(100_000)
    assert outcome.case is not None
    ticks = iter(range(10**6))
    shrinker = Shrinker(outcome.case, opener, seconds=5, clock=lambda: float(next(ticks)))
    case = shrinker.run()
    assert shrinker.trials == 5
    assert check(case, opener) is not None


def test_shrinking_can_be_interrupted() -> None:
    outcome = Soak("faulty:", SHAPE, 1, opener).run(100_000)
    assert outcome.case is not None
    opened: list[str] = []

    def impatient(url: str, **options: Any) -> Device:
        opened.append(url)
        if len(opened) > 20:
            raise KeyboardInterrupt
        return opener(url, **options)

    case = Shrinker(outcome.case, impatient).run()
    assert len(opened) == 21
    assert check(case, opener) is not None


@pytest.mark.parametrize("needed", [[], [3], [0, 99], [17, 18, 50, 98]])
def test_reduce_leaves_what_is_needed(needed: list[int]) -> None:
    def attempt(kept: Sequence[int]) -> Sequence[int] | None:
        return kept if set(needed) <= set(kept) else None

    assert list(reduce(range(100), attempt)) == needed


def test_reduce_takes_even_less_than_it_asked_for() -> None:
    assert list(reduce(range(100), lambda kept: [n for n in kept if n < 3] if 2 in kept else None)) == [2]


# The file.


def every_operation() -> list[Operation]:
    config = PEER.config(policy=Policy.CHUNK, chunk=3, window=5, resend_timeout=9, resend_retries=1, fraction=6)
    return [
        Operation("advance", {"utc_ns": 1_709_251_199_000_000_001}),
        Operation("configure", {"session": 2, "config": config}),
        Operation("connect", {"session": 2, "phase": Phase.LOGON, "may_request": False}),
        Operation("set_may_request", {"session": 2, "allowed": True}),
        Operation("set_expected", {"session": 2, "expected": 4294967296}),
        Operation("set_next_out", {"session": 2, "next_out": 7}),
        Operation("receive", {"session": 2, "data": bytes(range(256)) + PEER.order(1)}),
        Operation("send", {"session": 2, "msg_type": "AE", "fields": b"58=x\x01", "seq": None}),
        Operation("send", {"session": 2, "msg_type": "D", "fields": b"", "seq": 12}),
        Operation("disconnect", {"session": 2}),
    ]


@pytest.mark.parametrize("stalls", [None, Stalls(7, 0.1, 0.0)])
@pytest.mark.parametrize("unbroken", [False, True])
def test_a_case_comes_out_of_its_file_as_it_went_in(stalls: Stalls | None, unbroken: bool) -> None:
    case = Case("sim:", SHAPE, stalls, unbroken, every_operation())
    lines = list(dump(case, "note\nwith two lines"))
    assert load("\n".join(lines)) == case
    assert all(line.isascii() for line in lines)
    assert r"8=FIX.4.4\u00019=" in lines[7]


def test_a_case_without_operations_shows_nothing() -> None:
    assert check(Case("model:", {}, None, False, [])) is None
    assert check(Case("model:", {}, None, True, [])) is None


def changed(line: int, **values: object) -> str:
    """A file whose line (0: its head) has other values; None takes one away."""
    lines = list(dump(Case("model:", SHAPE, Stalls(1, 0.0, 0.5), True, every_operation()), ""))
    fields = {**json.loads(lines[line]), **values}
    lines[line] = json.dumps({name: value for name, value in fields.items() if value is not None or name == "seq"})
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("hello", "line 1 is no JSON"),
        ("[1]", "line 1 is no JSON object"),
        ("[" * 100_000, "line 1"),
        ("{}", "line 1 is not the head of a case of version 1"),
        (changed(0, version=2), "line 1 is not the head of a case of version 1"),
        (changed(0, device=7), "line 1 has device 7, not str"),
        (changed(0, sessions="x"), "line 1 has sessions 'x', not int"),
        (changed(0, sessions=True), "line 1 has sessions True, not int"),
        (changed(0, unbroken=1), "line 1 has unbroken 1, not bool"),
        (changed(0, stalls=[1]), "line 1 has stalls that are not seed, inputs and outputs"),
        (changed(0, stalls={"seed": 1.5, "inputs": 0, "outputs": 0}), "line 1 has a seed of stalls"),
        (changed(0, stalls={"seed": 1, "inputs": 1, "outputs": 0}), "line 1 has stalls that are not 0 to 0.95"),
        (changed(0, sessions=2), "line 3 speaks of session 2, the device has 2"),
        (changed(1, verb="close"), "line 2 has no operation 'close'"),
        (changed(1, verb=["advance"]), "line 2 has no operation"),
        (changed(1, utc_ns=None), "line 2 has advance with nothing, not with utc_ns"),
        (changed(1, utc_ns=-1), "line 2 tells the time -1"),
        (changed(1, utc_ns=2**63), "line 2 tells the time"),
        (changed(2, config=[]), r"line 3 has config \[\], not dict"),
        (changed(2, config={}), "line 3 has no Policy None"),
        (changed(2, config={"policy": "CLOSED"}), "line 3 has no good configuration"),
        (changed(2, config={"policy": "CLOSED", "colour": 1}), "line 3 has no good configuration"),
        (changed(3, phase="AWAKE"), "line 4 has no Phase 'AWAKE'"),
        (changed(3, session=-1), "line 4 speaks of session -1"),
        (changed(7, data="\u0100"), "line 8"),
        (changed(8, seq="1"), "line 9 has seq '1', not int"),
        (changed(8, more=1), "line 9 has send with"),
    ],
)
def test_a_bad_file_is_told_by_its_line(text: str, complaint: str) -> None:
    with pytest.raises(CaseError, match=complaint):
        load(text)


# The command.


def command(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    status = main(["soak", *options])
    out, err = capsys.readouterr()
    return status, out, err


def test_json_ends_with_one_object(capsys: pytest.CaptureFixture[str], planted: None) -> None:
    status, out, err = command(
        capsys, "--device", "model:", "--messages", "2000", "--sessions", "5", "--seed", "7", "--json"
    )
    assert (status, err, out.count("\n")) == (0, "", 1)
    result = json.loads(out)
    assert result["messages"] >= 2000
    assert (result["sessions"], result["differences"], result["seed"]) == (5, 0, 7)
    assert result["messages_per_second"] > 0
    assert result["cycles_per_second"] is None
    assert (result["device"], result["case"], result["difference"]) == ("model:", None, None)
    assert sum(result["rules"].values()) == result["messages"]
    assert not list(Path().iterdir()), "nothing to be kept"


def test_table_and_sizes(capsys: pytest.CaptureFixture[str], planted: None) -> None:
    sizes = ["--sessions", "3", "--window", "8", "--max-message", "300", "--hold", "10", "--hold-limit", "4"]
    status, out, _ = command(capsys, "--device", "model:", "--messages", "500", *sizes)
    table = {name.strip(): value for name, _, value in (line.partition("  ") for line in out.splitlines())}
    assert status == 0
    assert table["sessions / window / max. message"].strip() == "3 / 8 / 300"
    assert table["held, all sessions / each"].strip() == "10 / 4"
    assert table["differences"].strip() == "0"
    assert table["cycles per second"].strip() == "n/a"
    assert "R8 " in table["judged by"]


def test_a_difference_is_saved_and_found_again(capsys: pytest.CaptureFixture[str], planted: None) -> None:
    options = ["--device", "faulty:", "--sessions", "3", "--window", "8", "--seed", "5", "--json"]
    status, out, err = command(capsys, *options)
    result = json.loads(out)
    assert status == 1
    assert (result["differences"], result["case"]) == (1, "soak-5.jsonl")
    assert "R9" in result["difference"]
    assert err.splitlines()[-1].startswith("tag34: a difference: ")
    assert err.splitlines()[-1].endswith("again: tag34 soak --replay soak-5.jsonl")
    case = load(Path("soak-5.jsonl").read_text())
    assert len(case.operations) <= 16

    status, out, err = command(capsys, "--replay", "soak-5.jsonl", "--json")
    again = json.loads(out)
    assert status == 1
    assert (again["differences"], again["device"], again["sessions"]) == (1, "faulty:", 3)
    assert again["messages"] == sum(again["rules"].values()) > 0
    assert err.splitlines()[-1] == "tag34: a difference"
    assert "  device        MessageRecord" in err

    status, out, err = command(capsys, "--replay", "soak-5.jsonl", "--device", "model:", "--json")
    assert (status, json.loads(out)["differences"], err) == (0, 0, "")


def test_save_names_the_file(capsys: pytest.CaptureFixture[str], planted: None) -> None:
    status, _, err = command(capsys, "--device", "broken:", "--sessions", "2", "--save", "kept.jsonl")
    assert status == 1
    assert "DeviceError: the core did not come to rest" in err
    assert load(Path("kept.jsonl").read_text()).url == "broken:"


def test_a_difference_that_does_not_show_again_is_told(
    capsys: pytest.CaptureFixture[str], planted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shrinker, "_fails", lambda self, case: False)
    status, out, err = command(capsys, "--device", "faulty:", "--sessions", "3", "--seed", "5", "--json")
    assert (status, json.loads(out)["differences"]) == (1, 1)
    assert err.splitlines()[-1] == (
        "tag34: a difference, but none when its case runs by itself, which is in soak-5.jsonl"
    )
    assert load(Path("soak-5.jsonl").read_text()).url == "faulty:"


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str], planted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Soak, messages: int, progress: Callable[[int], None]) -> None:
        self.outcome.messages = 77
        raise KeyboardInterrupt

    monkeypatch.setattr(Soak, "run", interrupted)
    status, out, err = command(capsys, "--device", "model:")
    assert (status, out) == (130, "")
    assert err == "tag34: interrupted after 77 messages without a difference\n"


def test_ctrl_c_leaves_no_device_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device is closed when it has finished, not while it works in the background."""
    closed: list[ModelDevice] = []
    monkeypatch.setattr(ModelDevice, "close", lambda self: closed.append(self))

    def progress(done: int) -> None:
        raise KeyboardInterrupt

    soak = Soak("model:", SHAPE, 1)
    with pytest.raises(KeyboardInterrupt):
        soak.run(10_000, progress)
    assert len(closed) == 2
    assert soak.outcome.seconds > 0


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, (64, 32, 512, 128, 24)),
        ({"sessions": 1}, (1, 32, 512, 16, 16)),
        ({"sessions": 1024, "window": 4}, (1024, 4, 512, 2048, 3)),
        ({"sessions": 2, "window": 2}, (2, 2, 512, 2, 1)),
        ({"hold": 5}, (64, 32, 512, 5, 5)),
        ({"hold": 100, "hold_limit": 7, "max_message": 99}, (64, 32, 99, 100, 7)),
    ],
)
def test_sizes_that_nobody_gave(given: dict[str, int], made: tuple[int, ...]) -> None:
    options = soak_command.sizes(**given)
    assert tuple(options.values()) == (1, *made)
    with open_device("model:", **options) as device:
        info = device.info
    assert (info.sessions, info.window, info.max_message, info.hold, info.hold_limit) == made


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--device", "toaster:"], "no device 'toaster:'"),
        (["--device", "model:x"], "model: takes nothing behind the colon"),
        (["--device", "model:", "--sessions", "70000"], "sessions must be 1 to 65536"),
        (["--device", "model:", "--hold", "9999", "--window", "4", "--sessions", "2"], "hold must be 1 to"),
        (["--device", "sim:", "--sessions", "2000"], "sessions must be"),
        (["--save", "."], ". is a folder"),
        (["--save", "nowhere/file"], "there is no folder nowhere"),
        (["--replay", "nowhere"], "nowhere: No such file or directory"),
        (["--replay", "."], ".: Is a directory"),
        (["--replay", "x", "--messages", "5"], "--messages has no meaning with --replay"),
        (["--replay", "x", "--max-message", "5"], "--max-message has no meaning with --replay"),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], planted: None, options: list[str], line: str
) -> None:
    status, out, err = command(capsys, *options)
    assert (status, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "case: is empty"),
        (b"\xff\xfe", "case: "),
        (b"{}", "case: line 1 is not the head"),
        (changed(0, device="toaster:").encode(), "no device 'toaster:'"),
        (changed(0, window=0).encode(), "window must be 1 to"),
    ],
)
def test_bad_files_are_one_line(capsys: pytest.CaptureFixture[str], planted: None, content: bytes, line: str) -> None:
    Path("case").write_bytes(content)
    status, out, err = command(capsys, "--replay", "case")
    assert (status, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_a_file_that_cannot_be_written_is_told_before_the_run(
    capsys: pytest.CaptureFixture[str], planted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    status, _, err = command(capsys, "--device", "model:", "--save", "kept")
    assert (status, err) == (2, "tag34: kept cannot be written\n")


def test_a_full_disk_is_one_line_and_the_difference_is_told(capsys: pytest.CaptureFixture[str], planted: None) -> None:
    status, out, err = command(capsys, "--device", "faulty:", "--sessions", "2", "--save", "/dev/full", "--json")
    assert status == 1
    assert json.loads(out)["differences"] == 1
    last = err.splitlines()[-1]
    assert last == "tag34: a difference, and /dev/full cannot be written: No space left on device"
    assert "Traceback" not in err
