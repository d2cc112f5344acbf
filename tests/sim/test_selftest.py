"""``tag34 selftest``: the golden model passes, a device with a fault does not, mistakes get one clear line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tag34.cli import main
from tag34.contract import RULE_VERDICT, Rule
from tag34.device import DeliverRecord, Device, DeviceError, MessageRecord, Record, SentRecord, open_device
from tag34_sim import selftest
from tag34_sim.model_device import ModelDevice
from tests.sim.compiler import needs_compiler


class Spoiled(ModelDevice):
    """A golden model whose records are spoiled by ``spoil``."""

    def __init__(self, spoil: Callable[[Record], Record], sessions: int, window: int, max_message: int) -> None:
        super().__init__(sessions, window, max_message)
        self._spoil = spoil

    def _poll(self) -> list[Record]:
        return [self._spoil(record) for record in super()._poll()]


def wrong_delivery(record: Record) -> Record:
    return replace(record, data=record.data[:-1] + b"\x02") if isinstance(record, DeliverRecord) else record


def wrong_sent(record: Record) -> Record:
    return replace(record, data=b"8" + record.data) if isinstance(record, SentRecord) else record


def wrong_verdict(record: Record) -> Record:
    if isinstance(record, MessageRecord) and record.rule is Rule.R10A:
        return replace(record, rule=Rule.R9A)
    return record


def run(*arguments: str) -> int:
    return main(["selftest", *arguments])


def test_the_model_passes_and_every_rule_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("model:", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["differences"] == 0
    assert [rule.id for rule in RULE_VERDICT if not result["rules"][rule.id]] == []
    assert set(result["exercises"]) == {exercise.name for exercise in selftest.EXERCISES}
    assert result["resend_requests"] > 50
    assert (result["resend_latencies"], result["resend_latency_cycles"]) == (0, None), "the model has no cycles"
    assert (result["difference"], result["failure"], result["ended"]) == (None, None, None)


@pytest.mark.parametrize("sizes", [{"sessions": 9}, {"window": 2}, {"max_message": 160, "window": 4}])
def test_devices_of_all_sizes(sizes: dict[str, int]) -> None:
    with open_device("model:", **sizes) as device, selftest.model_like(device.info) as model:
        assert selftest.selftest(device, model).difference is None


@pytest.mark.parametrize("spoil", [wrong_delivery, wrong_sent, wrong_verdict])
def test_a_fault_is_told(
    spoil: Callable[[Record], Record], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(url: str, **options: Any) -> Device:
        return open_device(url, **options) if url == "model:" else Spoiled(spoil, 1, 8, 400)

    monkeypatch.setattr(selftest, "open_device", opened)
    assert run("faulty:") == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    operation, agreed = lines[lines.index("differences: yes, the test has ended there") + 1 :][:2]
    *_, wanted, got = lines
    assert "DIFFERS" in out
    assert operation.startswith("  operation ")
    assert agreed.startswith("  the first ")
    assert wanted.startswith("    golden model  ")
    assert got.startswith("    device        ")
    assert max(map(len, (operation, agreed, wanted, got))) < 400
    assert err.startswith("tag34: the device differs from the golden model in '")
    assert len(err.splitlines()) == 1
    assert len(err) < 100


def test_a_wrong_counter_is_told() -> None:
    class Miscounts(ModelDevice):
        def _counters(self, session: int) -> dict[str, int]:
            counters = super()._counters(session)
            return {**counters, "R8": counters["R8"] + 1}

    with Miscounts(1, 8, 400) as device, selftest.model_like(device.info) as model:
        report = selftest.selftest(device, model)
    assert report.ended == selftest.EXERCISES[0].name
    assert "counted" in str(report.difference)


class Failing(ModelDevice):
    """A golden model whose ``verb`` works ``times`` times, and no more: a link that breaks."""

    def __init__(self, verb: str, times: int) -> None:
        super().__init__(1, 8, 400)
        self._left, method = times, getattr(self, verb)

        def fail(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise DeviceError("the board does not answer any more")
            return method(*arguments, **options)

        setattr(self, verb, fail)


@pytest.mark.parametrize("verb", ["poll", "receive", "state", "counters"])
def test_a_device_that_fails_does_not_differ(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(url: str, **options: Any) -> Device:
        return open_device(url, **options) if url == "model:" else Failing(verb, 0 if verb == "counters" else 5)

    monkeypatch.setattr(selftest, "open_device", opened)
    assert run("failing:") == 1
    out, err = capsys.readouterr()
    assert err == "tag34: the device failed in 'in order': the board does not answer any more\n"
    assert "FAILED" in out
    assert out.endswith("differences: none until the device failed\n")
    assert run("failing:", "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["differences"], result["difference"]) == (0, None)
    assert (result["ended"], result["failure"]) == ("in order", "the board does not answer any more")


@pytest.mark.parametrize(
    "arguments",
    [("nothing:",), ("sim:", "--sessions", "5000"), ("model:elsewhere",), ("model:", "--baud", "9600")],
)
def test_what_cannot_be_opened_gets_one_line(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tag34: ")
    assert err.count("\n") == 1


@needs_compiler
@pytest.mark.parametrize("width", [1, 8])
def test_the_gateware_passes(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sim:", "--width", str(width)) == 0
    out = capsys.readouterr().out
    assert f"rules that decided: {len(RULE_VERDICT)} of {len(RULE_VERDICT)}" in out
    assert "differences: none" in out
    assert "gap to ResendRequest: " in out


def test_it_is_a_subcommand() -> None:
    parser = argparse.ArgumentParser()
    selftest.register(parser.add_subparsers())
    assert parser.parse_args(["selftest", "sim:"]).run is selftest.run
