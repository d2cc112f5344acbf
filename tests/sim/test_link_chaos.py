"""The host's driver and a compiled board with bad wires between them, resets of either, and cables that are pulled.

Each test is decided by its ``case``, but for those on a pseudo-terminal, where the operating system has its say.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tag34.device import Device, DeviceError, open_device
from tag34.link.core import LinkCore
from tag34.link.device import LinkDevice
from tag34.link.endpoint import SILENCE, Endpoint
from tag34_boards.bitstream.shells import shells
from tag34_sim.board_chaos import BoardTransport
from tag34_sim.chaos import PERFECT, Faults, PacketWire
from tag34_sim.verilated_top import VerilatedBoard, plugged
from tests.sim.compiler import needs_compiler
from tests.sim.link_life import Life

pytestmark = needs_compiler

#: A fifth of the frames is lost, a tenth doubled, and so on.
BAD = Faults(lost=0.2, doubled=0.1, late=0.15, late_by=0.01, damaged=0.1)
#: Seconds after which the host sends again: more than all takes that a board this small has room for.
TIMEOUT = 0.02
#: Times that somebody fails in a life.
FAILURES = 3
#: Looks at the clock within which a life comes to its end: far above what any takes.
LOOKS = 100_000


@pytest.fixture
def board() -> Iterator[VerilatedBoard]:
    with VerilatedBoard(*shells()["icebreaker"]()) as board:
        yield board


def soon_or_later(rng: random.Random) -> int:
    """Bytes, both ways, up to a failure: a hello takes some 200, what leads to the Logon 3000, a whole life 40 000."""
    return rng.randrange(rng.choice((3000, 15_000)))


class Cable(PacketWire):
    """A wire that is not plugged in from second ``pulled`` to ``back``; ``missed`` frames were sent meanwhile."""

    pulled = back = 0.0
    missed = 0

    def send(self, packet: bytes, now: float) -> None:
        self.cut = self.pulled <= now < self.back
        self.missed += self.cut
        super().send(packet, now)


class Bench:
    """A board on two wires, and hosts that come and go.

    Members: ``hosts``; ``board_fails``, ``host_fails``: how often each of them is still to be reset, somewhere in a
    packet.
    """

    def __init__(self, board: VerilatedBoard, case: int, faults: Faults = PERFECT):
        self.rng = random.Random(case)
        self.there, self.back = Cable(self.rng, faults), Cable(self.rng, faults)
        self.wire = BoardTransport(board, self.there, self.back)
        self.silence = SILENCE
        self.hosts: list[LinkCore] = []
        self.board_fails = self.host_fails = 0
        self.looks = 0

    def clock(self) -> float:
        self.looks += 1
        assert self.looks < LOOKS, "it goes on without end"
        return self.wire.now

    def open(self) -> LinkDevice:
        if self.board_fails and (not self.host_fails or self.rng.random() < 0.5):
            self.board_fails -= 1
            self.wire.end.reset_at = self.wire.end.carried + soon_or_later(self.rng)
        elif self.host_fails:
            self.host_fails -= 1
            self.wire.host_dies_at = self.wire.sent + soon_or_later(self.rng) // 2
        token = self.rng.randrange(1, 1 << 32)
        endpoint = Endpoint(self.wire.now, timeout=TIMEOUT, silence=self.silence, token=lambda: token)
        self.hosts.append(LinkCore(self.wire, endpoint, clock=self.clock))
        return LinkDevice(self.hosts[-1], "board")

    def life(self, **options: int) -> Life:
        return Life(self.rng, self.open, self.clock, **options)


@pytest.mark.parametrize("case", range(2))
def test_everything_arrives_over_a_bad_wire(board: VerilatedBoard, case: int) -> None:
    bench = Bench(board, case, BAD)
    life = bench.life(reports=15, orders=6)
    life.play()
    assert life.lost > 0
    assert bench.hosts[0].endpoint.counts.again > 0
    assert bench.hosts[0].endpoint.counts.dropped > 0


@pytest.mark.parametrize("case", range(4))
def test_a_board_that_is_reset(board: VerilatedBoard, case: int) -> None:
    bench = Bench(board, case)
    bench.board_fails = FAILURES
    life = bench.life(restarts=FAILURES)
    life.play()
    resets = bench.wire.end.resets
    # One in the hello does no harm.
    assert 0 < len(life.failures) <= len(resets)
    for failed, why in life.failures:
        assert why == "the board was reset, or somebody else opened it: the link session is gone; open it again"
        assert failed - max(reset for reset in resets if reset <= failed) < 1.0


@pytest.mark.parametrize("case", range(4))
def test_a_host_that_comes_to_a_sudden_end(board: VerilatedBoard, case: int) -> None:
    bench = Bench(board, case)
    bench.host_fails = FAILURES
    life = bench.life(restarts=FAILURES)
    life.play()
    assert {why for _, why in life.failures} == {"the host died"}


@pytest.mark.parametrize("case", range(2))
def test_resets_of_both_over_a_bad_wire(board: VerilatedBoard, case: int) -> None:
    bench = Bench(board, case, BAD)
    bench.board_fails = bench.host_fails = 2
    life = bench.life(reports=8, orders=3, restarts=4)
    life.play()
    assert life.failures


def test_a_cable_that_is_plugged_in_again_in_time(board: VerilatedBoard) -> None:
    bench = Bench(board, 1)
    for cable in (bench.there, bench.back):
        cable.pulled, cable.back = 0.1, 0.6
    bench.life().play()
    assert bench.there.missed + bench.back.missed > 0
    assert bench.wire.now > 0.6


def test_a_cable_that_is_pulled_for_longer(board: VerilatedBoard) -> None:
    bench = Bench(board, 1)
    bench.silence = 0.5
    for cable in (bench.there, bench.back):
        cable.pulled, cable.back = 0.1, 1.0
    life = bench.life(restarts=1)
    life.play()
    ((when, why),) = life.failures
    assert why == "the board does not answer any more: nothing was heard of it for 0.5 s"
    assert when < 0.1 + 0.5 + 0.2


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("case", range(3))
def test_a_port_that_goes_and_comes(board: VerilatedBoard, case: int, tmp_path: Path) -> None:
    """The cable is pulled in the middle of things; the board keeps its power, or has been without."""
    rng = random.Random(case)
    port = tmp_path / "port"
    pulled = 0
    with ExitStack() as cable:

        def opened() -> Device:
            nonlocal pulled
            cable.close()
            if pulled:
                with pytest.raises(DeviceError, match=f"serial port {port} cannot be opened: there is no such port"):
                    open_device(f"serial:{port}")
                port.unlink()
                if rng.random() < 0.5:
                    board.reset()
            pulled += 1
            limit = soon_or_later(rng) if pulled <= FAILURES else None
            os.symlink(cable.enter_context(plugged(board, limit)), port)
            return open_device(f"serial:{port}", baud=3_000_000)

        life = Life(rng, opened, time.monotonic, restarts=FAILURES)
        life.play()
    assert life.failures
    for _, why in life.failures:
        assert why.startswith(f"serial port {port} ")
        assert why.endswith(": it is gone")
