"""``tag34 demo`` from end to end, and what it makes of a session that goes wrong."""

from __future__ import annotations

import importlib.util
import json
from argparse import Namespace
from typing import Any

import pytest

from tag34 import FixMessage, Message, RecoveryOpened, Sent
from tag34.cli import main
from tag34.contract import Rule
from tag34.device import DeviceInfo
from tag34_sim.counterparty import Counterparty, Hello
from tag34_sim.demo import Pace, _pace, _take
from tag34_sim.outcome import Outcome
from tag34_sim.relay import Tally
from tests.sim.compiler import needs_compiler

KINDS = [
    "builtin",
    pytest.param(
        "quickfix",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("quickfix") is None, reason="there is no wheel of QuickFIX for this Python"
        ),
    ),
]


def run(capsys: pytest.CaptureFixture[str], *options: str, status: int = 0) -> dict[str, Any]:
    """Run the demo on the model, return its result."""
    assert main(["demo", "--device", "model:", "--timeout", "120", "--json", *options]) == status
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    result: dict[str, Any] = json.loads(out)
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["infinity", "closed", "chunk:2"])
def test_every_message_once_and_in_order(capsys: pytest.CaptureFixture[str], kind: str, policy: str) -> None:
    result = run(capsys, "--messages", "500", "--gaps", "20", "--seed", "7", "--policy", policy, "--counterparty", kind)
    assert result["failure"] is None
    assert (result["sent"], result["delivered"]) == (500, 500)
    assert (result["in_order"], result["lost"], result["duplicated"]) == (True, 0, 0)
    assert result["gaps"] == 20
    assert result["resend_requests"] > 0
    assert result["garbled"] == result["relay"]["garbled"] > 0
    assert result["relay"]["dropped"] > 0
    assert result["relay"]["delayed"] > 0
    assert result["duplicates_dropped"] > 0
    assert (result["device"], result["counterparty"]) == ("model:", kind)


@needs_compiler
def test_gateware(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "--device", "sim:", "--messages", "400", "--gaps", "16", "--seed", "7")
    assert (result["failure"], result["delivered"], result["gaps"]) == (None, 400, 16)
    cycles, nanoseconds = result["resend_latency_cycles"], result["resend_latency_ns"]
    assert 0 < cycles["min"] <= cycles["median"] <= cycles["max"]
    assert nanoseconds == {name: 8 * value for name, value in cycles.items()}


@pytest.mark.parametrize(
    ("given", "slow", "expected"),
    [
        ((None, None, None), False, (2000, 40, 32)),
        ((None, None, None), True, (60, 3, 8)),
        ((500, None, None), False, (500, 10, 32)),
        ((500, 0, 4), True, (500, 0, 4)),
        ((1, None, None), False, (1, 0, 32)),
    ],
)
def test_pace(given: tuple[int | None, ...], slow: bool, expected: tuple[int, ...]) -> None:
    messages, gaps, outstanding = given
    pace = _pace(Namespace(messages=messages, gaps=gaps, outstanding=outstanding), slow)
    assert (pace.messages, pace.gaps, pace.outstanding) == expected
    assert (pace.heartbeat, pace.resend_timeout) == ((600, 60_000) if slow else (10, 1000))


def test_no_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "--messages", "50", "--gaps", "0", "--counterparty", "builtin")
    assert (result["delivered"], result["gaps"], result["resend_requests"], result["garbled"]) == (50, 0, 0, 0)


def test_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--messages", "1", "--gaps", "0", "--counterparty", "builtin")["delivered"] == 1


def test_device_without_cycles_has_no_latency(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "--messages", "100", "--gaps", "5", "--counterparty", "builtin")
    assert result["resend_latency_cycles"] == {"min": None, "median": None, "max": None}
    assert result["resend_latency_ns"] == {"min": None, "median": None, "max": None}


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--messages", "100", "--gaps", "5", "--counterparty", "builtin"]
    assert main(["demo", "--device", "model:", *options]) == 0
    table = dict(line.split("  ", 1) for line in capsys.readouterr().out.strip().splitlines() if line[0] != " ")
    assert table["messages sent / delivered"].strip() == "100 / 100"
    assert table["gaps made by the relay"].strip() == "5"
    assert table["every message once and in order"].strip() == "yes"
    assert "n/a / n/a / n/a" in table["proving byte to ResendRequest, cycles"]


def test_time_runs_out(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "--timeout", "0.001", "--counterparty", "builtin", status=1)
    assert result["failure"].startswith("not done after 0.001 s")


def test_message_that_is_doubled_behind_the_session_layer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Outcome.take

    def twice(self: Outcome, index: int) -> None:
        # As if the counterparty had given a new number to an old report: only the application can tell.
        take(self, index)
        if index == 20:
            take(self, index)

    monkeypatch.setattr(Outcome, "take", twice)
    result = run(capsys, "--messages", "50", "--gaps", "0", "--counterparty", "builtin", status=1)
    assert (result["delivered"], result["lost"], result["duplicated"], result["in_order"]) == (51, 0, 1, False)
    assert "1 messages delivered twice" in result["failure"]


def test_reject_of_the_counterparty_is_a_failure() -> None:
    made = outcome(1, 2, 3)
    reject = Message(5, "3", False, False, FixMessage(b"35=3\x0145=2\x0158=Required tag missing\x01"))
    _take(reject, Pace(3, 0, 1, 10, 1000), Counterparty("builtin", 1), made)
    assert made.failure == "the counterparty sent 35=3: Required tag missing"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--messages", "10", "--gaps", "5"], "gaps must be 0 to 4 for 10 messages, not 5"),
        (["--device", "toaster:"], "no device 'toaster:'"),
        (["--baud", "9600"], "model: has the options"),
    ],
)
def test_mistakes_get_one_line(capsys: pytest.CaptureFixture[str], options: list[str], text: str) -> None:
    assert main(["demo", "--device", "model:", *options]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "options", [["--messages", "0"], ["--gaps", "-1"], ["--timeout", "0"], ["--timeout", "nan"], ["--policy", "x"]]
)
def test_wrong_options(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["demo", *options])
    assert stopped.value.code == 2
    assert options[0] in capsys.readouterr().err


# The reckoning.


def outcome(*indexes: int, messages: int = 3, width: int = 1) -> Outcome:
    made = Outcome(
        "sim:",
        DeviceInfo("sim", 1, 64, 4096, 63, 63, width=width, clock_hz=125_000_000),
        messages,
        Tally(messages=messages),
    )
    made.counterparty = Hello("quickfix", "QuickFIX", 1)
    for index in indexes:
        made.take(index)
    return made


@pytest.mark.parametrize(
    ("indexes", "lost", "duplicated", "in_order", "failure"),
    [
        ((1, 2, 3), 0, 0, True, None),
        ((1, 2), 1, 0, True, "1 messages not delivered"),
        ((1, 3), 1, 0, False, "1 messages not delivered, messages delivered out of order"),
        ((1, 3, 2), 0, 0, False, "messages delivered out of order"),
        ((2, 1, 3), 0, 0, False, "messages delivered out of order"),
        ((1, 2, 2, 3), 0, 1, False, "1 messages delivered twice, messages delivered out of order"),
        ((), 3, 0, True, "3 messages not delivered"),
    ],
)
def test_reckoning(indexes: tuple[int, ...], lost: int, duplicated: int, in_order: bool, failure: str | None) -> None:
    result = outcome(*indexes).as_dict()
    assert (result["lost"], result["duplicated"], result["in_order"]) == (lost, duplicated, in_order)
    assert result["failure"] == failure


def test_latency_is_from_the_proof_to_the_first_byte() -> None:
    made = outcome(1, 2, 3)
    for cycle, request in ((100, 103), (200, 204), (300, 312)):
        made.note(RecoveryOpened(2, 0, Rule.R11, cycle))
        made.note(Sent(1, "D", b"", False, False, cycle + 1))
        made.note(Sent(2, "2", b"", False, True, request))
    result = made.as_dict()
    assert result["resend_requests"] == 3
    assert result["resend_latency_cycles"] == {"min": 3, "median": 4, "max": 12}
    assert result["resend_latency_ns"] == {"min": 24.0, "median": 32.0, "max": 96.0}
    assert "3 / 4 / 12 (min / median / max)" in made.as_table()
    assert "24 / 32 / 96" in made.as_table()
