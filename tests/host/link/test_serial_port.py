"""The ``serial:`` device on pseudo-terminals: boards, other neighbours, and ports that are none."""

from __future__ import annotations

import json
import os
import random
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tag34.cli import main
from tag34.contract.link import PacketKind
from tag34.device import Device, DeviceError, open_device
from tag34.link import command, core, serial_port
from tag34.link.device import LinkDevice
from tag34.link.frames import encode
from tag34.link.packet import Packet
from tag34.link.serial_port import SerialTransport, probe
from tag34_sim.link_peer import LinkPeer
from tests.host.link.bench import INFO, EchoCore
from tests.host.link.line import Line, board, line


@pytest.fixture
def peer() -> LinkPeer:
    return LinkPeer(EchoCore(), random.Random(1), info=INFO)


def open_line(at: Line, **options: object) -> LinkDevice:
    device = open_device(f"serial:{at.path}", **options)
    assert isinstance(device, LinkDevice)
    return device


@contextmanager
def opened(at: Line, **options: object) -> Iterator[LinkDevice]:
    device = open_line(at, **options)
    with device:
        yield device


def echoed(device: LinkDevice, data: bytes) -> bytes:
    device._link.receive(1, data)
    return b"".join(piece for _, piece in device._link.take()[1])


# -- A board -----------------------------------------------------------------------------------------------------------


def test_a_board_is_found_and_talks(peer: LinkPeer, rng: random.Random) -> None:
    data = rng.randbytes(20_000)
    with line(board(peer)) as at:
        with opened(at) as device:
            info = device.info
            assert (info.name, info.sessions, info.window, info.board) == ("serial", 4, 64, "test")
            assert info.build_id == "0102030405060708"
            assert info.detail == f"test on {at.path}, 3000000 bits per second"
            assert echoed(device, data) == data
        with opened(at, baud=115200) as device:
            assert echoed(device, data) == data
        assert peer.opened == 2


def test_a_board_is_found_behind_noise(peer: LinkPeer, rng: random.Random) -> None:
    with line(board(peer), lambda: rng.randbytes(100)) as at, opened(at) as device:
        assert echoed(device, b"8=FIX.4.4") == b"8=FIX.4.4"


def test_the_rate_at_which_a_board_answers_is_taken(peer: LinkPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    speaks = board(peer)

    def answer(data: bytes) -> bytes:
        rate = termios.tcgetattr(at._slave)[4]
        return speaks(data if rate == termios.B460800 else bytes(byte ^ 0x55 for byte in data))

    with line(lambda data: answer(data) if data else b"") as at, opened(at) as device:
        assert device.info.detail.endswith(", 460800 bits per second")


def test_what_a_board_of_another_version_says_is_told(peer: LinkPeer) -> None:
    peer.info = replace(INFO, contract_version=99)
    with line(board(peer)) as at, pytest.raises(DeviceError, match="contract version 99, this tag34 speaks"):
        open_line(at)


# -- Other neighbours --------------------------------------------------------------------------------------------------


def silent(data: bytes) -> bytes:
    return b""


def loopback(data: bytes) -> bytes:
    return data


def modem(data: bytes) -> bytes:
    return data + b"\r\nERROR\r\nNO CARRIER\r\n" if data else b"RING\r\n"


def login(data: bytes) -> bytes:
    return b"\r\nLogin incorrect\r\nlogin: " if data else b"\r\nDebian GNU/Linux 12 host ttyS0\r\n\r\nhost login: "


def false_board(data: bytes) -> bytes:
    """Packets that are right, and nonsense."""
    packets = [Packet(kind, 1, 2, 3, 4, payload=b"x") for kind in PacketKind]
    return b"".join(encode(packet.encode()) for packet in packets) if data else b""


@pytest.mark.parametrize("neighbour", [silent, loopback, modem, login, false_board])
def test_a_neighbour_that_is_no_board_is_a_clear_error(neighbour: Callable[[bytes], bytes]) -> None:
    with line(neighbour) as at:
        expected = rf"no tag34 board answers on serial port {at.path} \(tried 115200 bits per second\)"
        with pytest.raises(DeviceError, match=expected):
            open_line(at, baud=115200)


@pytest.mark.parametrize("what", ["random", "zeros", "no zeros", "text"])
def test_a_neighbour_that_talks_without_end_is_a_clear_error(what: str, rng: random.Random) -> None:
    said = {"random": rng.randbytes(4000), "zeros": bytes(4000), "no zeros": b"\xff" * 4000, "text": b"RING\r\n" * 600}
    with line(silent, lambda: said[what]) as at:
        with pytest.raises(DeviceError, match="no tag34 board answers"):
            open_line(at, baud=115200)


def test_a_port_of_somebody_else_is_left_as_it_was() -> None:
    with line(login) as at:
        port = os.open(at.path, os.O_RDWR | os.O_NOCTTY)
        try:
            settings = termios.tcgetattr(port)
            settings[1] |= termios.OPOST
            settings[3] |= termios.ECHO | termios.ICANON
            settings[4] = settings[5] = termios.B9600
            termios.tcsetattr(port, termios.TCSANOW, settings)
            before = termios.tcgetattr(port)
            assert command.ask(at.path, (115200,)).info is None
            assert termios.tcgetattr(port) == before
        finally:
            os.close(port)


def test_a_hello_to_nobody_ends_within_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on only where something is waited for."""
    now = 0.0

    class Deaf:
        def set_rate(self, rate: int) -> bool:
            rates.append(rate)
            return rate != 2_000_000  # this port cannot do that

        def send(self, packet: bytes) -> None:
            sent.append(now)

        def receive(self, timeout: float) -> list[bytes]:
            nonlocal now
            now += timeout
            return [b"noise"]

    sent: list[float] = []
    rates: list[int] = []
    deaf: Any = Deaf()
    assert probe(deaf, clock=lambda: now) is None
    assert now < 1.5
    assert rates == list(serial_port.RATES)
    assert len(sent) >= 2 * (len(serial_port.RATES) - 1), "more than one try at each"
    assert serial_port.PROBE < core.HELLO < 2.0


# -- The port ----------------------------------------------------------------------------------------------------------


def gone(device: Device) -> str:
    with pytest.raises(DeviceError) as caught:
        device.state(0)
    return str(caught.value)


def test_a_cable_that_is_pulled_is_a_clear_error_that_stays(peer: LinkPeer) -> None:
    with line(board(peer)) as at:
        device = open_line(at)
        path = at.path
        at.pull()
        first = gone(device)
        assert first.startswith(f"serial port {path} ")
        assert first.endswith("it is gone")
        assert gone(device) == first
        with pytest.raises(DeviceError, match="it is gone"):
            device.poll()
        device.close()


def test_a_board_that_falls_silent_is_a_clear_error(peer: LinkPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    with line(board(peer)) as at, opened(at) as device:
        monkeypatch.setattr(peer, "feed", lambda data, now: None)
        monkeypatch.setattr(peer, "outgoing", lambda now: [])
        device._link.endpoint._silence = 0.3
        first = gone(device)
        assert "the board does not answer any more" in first
        assert gone(device) == first
        # The port is free again.
        SerialTransport(at.path, 115200).close()


def test_a_port_that_is_in_use_is_a_clear_error_and_its_user_does_not_notice(peer: LinkPeer) -> None:
    with line(board(peer)) as at, opened(at) as device:
        with pytest.raises(DeviceError, match=f"serial port {at.path} cannot be opened: it is in use"):
            open_line(at)
        assert echoed(device, b"x") == b"x"
        found = command.ask(at.path)
        assert str(found) == f"serial:{at.path}  serial port {at.path} cannot be opened: it is in use"
        assert found.info is None
        assert echoed(device, b"y") == b"y"
        assert peer.opened == 1


def test_ports_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="serial port /dev/no-such-port cannot be opened: there is no such port"):
        open_device("serial:/dev/no-such-port")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DeviceError, match=f"serial port {tmp_path} cannot be opened: it is no serial port"):
        open_device(f"serial:{tmp_path}")
    with pytest.raises(DeviceError, match=f"serial port {file} cannot be opened: it is no serial port"):
        open_device(f"serial:{file}")
    with pytest.raises(DeviceError, match="cannot be opened"):
        open_device(f"serial:{tmp_path}")


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("serial:", {}, "takes a port behind the colon, for example serial:/dev/ttyUSB1"),
        ("serial:/dev/null", {"sessions": 4, "colour": "red"}, "has the option baud, not colour, sessions"),
        ("serial:/dev/null", {"baud": "fast"}, "baud must be a number of bits per second, not 'fast'"),
        ("serial:/dev/null", {"baud": 0}, "baud must be a number"),
    ],
)
def test_what_it_cannot_be_asked_for(url: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        open_device(url, **options)


@pytest.mark.parametrize("missing", ["serial", "cobs"])
def test_without_its_packages_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing] or [missing]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DeviceError, match=r"needs pyserial and cobs .*: pip install 'tag34\[serial\]'"):
        open_device("serial:/dev/ttyUSB0")


# -- tag34 devices -----------------------------------------------------------------------------------------------------


def test_devices_lists_what_answers_and_what_does_not(
    peer: LinkPeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with line(board(peer)) as at, line(modem) as other:
        monkeypatch.setattr(command, "found_ports", lambda: [other.path, at.path])
        assert main(["devices", at.path, "--baud", "115200"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"serial:{at.path}  test: width 1, sessions 4, window 64, build 0102030405060708, 115200 bits per second",
            f"serial:{other.path}  does not answer",
        ]
        assert peer.opened == 0


def test_devices_for_programs(
    peer: LinkPeer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with line(board(peer)) as at, line(modem) as other:
        monkeypatch.setattr(command, "found_ports", lambda: [other.path, at.path])
        assert main(["devices", "--json", "--baud", "115200"]) == 0
        found = json.loads(capsys.readouterr().out)
    assert found[f"serial:{other.path}"] == {"answers": False, "reason": "does not answer"}
    told = found[f"serial:{at.path}"]
    assert (told["answers"], told["board"], told["sessions"], told["baud"]) == (True, "test", 4, 115200)
    assert told["build_id"] == "0102030405060708"
    monkeypatch.setattr(command, "found_ports", list)
    assert main(["devices", "--json"]) == 1
    assert capsys.readouterr().out == "{}\n"


def test_devices_without_a_board(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "found_ports", list)
    assert main(["devices"]) == 1
    assert capsys.readouterr().out == "no serial ports\n"
    assert main(["devices", "/dev/no-such-port"]) == 1
    assert "there is no such port" in capsys.readouterr().out


def test_devices_finds_the_ports_of_this_machine() -> None:
    assert all(isinstance(port, str) for port in command.found_ports())
