"""A whole board in simulation, as its owner meets it: a serial port, the commands, the device behind it."""

from __future__ import annotations

import json

import pytest

from tag34.cli import main
from tag34.contract import RULE_VERDICT
from tag34.device import DeviceError, open_device
from tests.sim.compiler import needs_compiler

pytestmark = needs_compiler


def test_it_is_found(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", board.removeprefix("serial:")]) == 0
    assert f"{board}  simulated: width 1, sessions 1, window 64" in capsys.readouterr().out


def test_selftest(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", board, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["differences"] == 0
    assert all(result["rules"][rule.id] for rule in RULE_VERDICT)
    assert result["resend_latency_cycles"]["min"] == result["resend_latency_cycles"]["median"] == 3


def test_demo(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--device", board, "--counterparty", "builtin", "--messages", "120", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["sent"], result["delivered"], result["lost"], result["duplicated"]) == (120, 120, 0, 0)
    assert result["in_order"]
    assert result["gaps"] > 0
    # Cycles are those of the board, time is that of its clock.
    assert result["resend_latency_ns"]["min"] == result["resend_latency_cycles"]["min"] * 1000 / 12


def test_what_a_board_decides_cannot_be_asked_for(board: str) -> None:
    with pytest.raises(DeviceError, match="not width: the board's gateware decides all else"):
        open_device(board, width=8)


def test_one_host_at_a_time(board: str) -> None:
    with open_device(board), pytest.raises(DeviceError, match="in use"):
        open_device(board)
