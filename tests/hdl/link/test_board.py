"""A whole board, compiled: the core behind its link says what the golden model says, whatever the wire does."""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cobs import cobs

from tag34.contract import DEVICE_ID, REGISTERS
from tag34.contract.link import PacketKind
from tag34_sim.differential import compare
from tag34_sim.model_device import ModelDevice
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import scenario
from tag34_sim.verilated_top import VerilatedBoard, board_on_pty
from tests.hdl.link.host import SHAPES, BoardCore, LinkError, Wire
from tests.hdl.link.packets import Packet, frame


@pytest.fixture
def open_board() -> Iterator[Callable[[int], VerilatedBoard]]:
    """Boards that are closed at the end."""
    boards: list[VerilatedBoard] = []

    def make(width: int = 1) -> VerilatedBoard:
        boards.append(VerilatedBoard(SHAPES[width], divisor=4))
        return boards[-1]

    yield make
    for board in boards:
        board.close()


def play(core: BoardCore, seed: int, messages: int) -> None:
    """A session's life on the board and on the golden model."""
    shape = core.board.shape
    sizes: dict[str, Any] = {
        "sessions": shape.sessions,
        "window": shape.window,
        "max_message": shape.max_message,
    }
    operations = scenario(random.Random(seed), messages=messages, **sizes)
    with SimDevice(core) as device, ModelDevice(hold=shape.hold, **sizes) as model:
        difference = compare(device, model, operations)
    assert difference is None, str(difference)


@pytest.mark.parametrize("width", sorted(SHAPES))
def test_sessions_over_a_good_wire(width: int, open_board: Callable[[int], VerilatedBoard], rng: random.Random) -> None:
    play(BoardCore(open_board(width), rng), 34, 12)


@pytest.mark.parametrize("kind", ["lost", "damaged", "doubled", "late"])
@pytest.mark.parametrize("way", ["to_board", "from_board"])
def test_sessions_over_a_bad_wire(
    way: str, kind: str, open_board: Callable[[int], VerilatedBoard], rng: random.Random
) -> None:
    """Packets that do not come, come spoiled, twice or too late, either way: nobody can tell by the answers."""
    wire = Wire(rng, **{kind: 0.06})
    core = BoardCore(open_board(1), rng, **{way: wire})
    play(core, 35, 4)
    assert wire.spoiled > 3


def test_narrow_host(open_board: Callable[[int], VerilatedBoard], rng: random.Random) -> None:
    """A host that has room for a few bytes only."""
    core = BoardCore(open_board(1), rng)
    core.room = 20
    core.receive(0, rng.randbytes(300))
    assert core.run(1 << 20)
    assert core.read(REGISTERS["ID"].address) == DEVICE_ID


def test_a_reset_is_told(open_board: Callable[[int], VerilatedBoard], rng: random.Random) -> None:
    """The host hears that its link session is gone, and what it opens then is a core just reset."""
    board = open_board(1)
    core = BoardCore(board, rng)
    address = REGISTERS["NUMBER_LO"].address
    core.write(address, 77)
    assert core.read(address) == 77
    challenge = core._challenge
    board.run(4000)  # what is under way arrives
    board.reset()
    board.run(rng.randrange(10_000))  # a challenge depends on when the first packet comes
    core.write(address, 78)
    with pytest.raises(LinkError, match="forgotten"):
        core.read(address)
    core.open()
    assert core._challenge != challenge
    assert core.read(address) == 0
    core.write(address, 79)
    core.open()
    assert core.read(address) == 0


def test_noise(open_board: Callable[[int], VerilatedBoard], rng: random.Random) -> None:
    """Random bytes between the packets, and frames of any length: no word, and nothing is changed by them."""
    board = open_board(1)
    core = BoardCore(board, rng)
    for _ in range(20):
        board.write(rng.randbytes(rng.randrange(40)))
        board.write(frame(rng.randbytes(rng.choice((1, 16, 20, 256, 257, 700)))))
        assert core.read(REGISTERS["ID"].address) == DEVICE_ID
    board.write(b"\0" + bytes([2, 1]) * 400 + b"\xff" * 600)
    assert core.read(REGISTERS["ID"].address) == DEVICE_ID


def test_unknown_request(open_board: Callable[[int], VerilatedBoard], rng: random.Random) -> None:
    core = BoardCore(open_board(1), rng)
    core._requests += b"\x77"
    with pytest.raises(LinkError, match="forgotten"):
        core.run(1 << 20)
    core.open()
    assert core.read(REGISTERS["ID"].address) == DEVICE_ID


def test_board_on_a_pseudo_terminal() -> None:
    """Whoever opens it finds a serial port with a board behind."""
    with board_on_pty(SHAPES[1]) as path:
        port = os.open(path, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(port, frame(Packet(PacketKind.PROBE).encode()))
            got = b""
            until = time.monotonic() + 60
            while not got.strip(b"\0") or got[-1]:
                assert time.monotonic() < until
                if select.select([port], [], [], 1)[0]:
                    got += os.read(port, 4096)
        finally:
            os.close(port)
    first, *_ = filter(None, got.split(b"\0"))
    assert Packet.decode(cobs.decode(first)).kind == PacketKind.INFO
