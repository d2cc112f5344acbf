"""Supported boards in simulation, behind the pins of their UART: the golden model's test, the demo, and mistakes."""

from __future__ import annotations

import json

import pytest

from tag34.cli import main
from tag34.contract import RULE_VERDICT
from tag34.device import DeviceError, open_device
from tag34_boards.bitstream.identity import build_id
from tag34_boards.boards import BOARDS
from tag34_sim.board_device import shells
from tests.sim.compiler import needs_compiler


def test_every_board_can_be_simulated() -> None:
    assert shells().keys() == BOARDS.keys()


@needs_compiler
def test_icebreaker_does_what_the_model_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "board:icebreaker", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["differences"] == 0
    assert all(result["rules"][rule.id] for rule in RULE_VERDICT)
    assert result["clock_hz"] == 12_000_000


@needs_compiler
def test_demo_on_icebreaker(capsys: pytest.CaptureFixture[str]) -> None:
    demo = ["demo", "--device", "board:icebreaker", "--counterparty", "builtin", "--messages", "120", "--json"]
    assert main(demo) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["sent"], result["delivered"], result["lost"], result["duplicated"]) == (120, 120, 0, 0)
    assert result["gaps"] > 0


@needs_compiler
def test_it_says_which_board_it_is() -> None:
    with open_device("board:icebreaker") as device:
        info = device.info
    board = BOARDS["icebreaker"]
    assert (info.name, info.board, info.build_id) == ("board", "icebreaker", build_id(board).hex())
    assert (info.sessions, info.window, info.max_message) == (1, board.shape.window, board.shape.max_message)
    with pytest.raises(DeviceError, match="closed"):
        device.poll()


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("board:", {}, "there is no board ''"),
        ("board:icebraker", {}, "of arty_a7, "),
        ("board:icebreaker", {"width": 1}, "width"),
    ],
)
def test_mistakes_get_one_line(url: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        open_device(url, **options)
