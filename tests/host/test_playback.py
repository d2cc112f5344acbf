"""``tag34 replay``: what is printed, in which order, for which input."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tag34.cli import main
from tag34.contract import EventCode, Rule
from tag34.device import DeliverRecord, DeviceError, EventRecord, MessageRecord, SentRecord
from tag34.playback import Lines
from tag34_sim.messages import Peer, damaged_checksum
from tag34_sim.traffic import MIX, Traffic

PEER = Peer("FIX.4.2")
LOGON, ORDER2, ORDER3, ORDER4 = PEER.logon(1), PEER.order(2), PEER.order(3), PEER.order(4)
REPLAYED = [PEER.order(seq, possdup=True) for seq in range(5)]


class Replay:
    """Runs the command on bytes. ``err``: what it said beside the lines."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file = tmp_path / "stream"
        self._capsys = capsys
        self.err = ""

    def __call__(self, content: bytes, *options: str) -> list[dict[str, Any]]:
        self._file.write_bytes(content)
        status = main(["replay", str(self._file), *options])
        captured = self._capsys.readouterr()
        self.err = captured.err
        assert status == 0, captured.err
        return [json.loads(line) for line in captured.out.splitlines()]


@pytest.fixture
def replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Replay:
    return Replay(tmp_path, capsys)


def judged(lines: list[dict[str, Any]]) -> list[tuple[int | None, str]]:
    return [(line["seq"], line["verdict"]) for line in lines if line["kind"] == "message"]


def of_kind(kind: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def test_lines_as_they_are_documented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "stream"
    file.write_bytes(LOGON + ORDER3 + REPLAYED[2])
    assert main(["replay", str(file)]) == 0
    first, second, third = len(LOGON), len(ORDER3), len(REPLAYED[2])
    assert capsys.readouterr().out.splitlines() == [
        f'{{"kind":"message","offset":0,"length":{first},"session":0,"msg_type":"A","seq":1,'
        '"verdict":"DELIVER","expected":2}',
        '{"kind":"deliver","seq":1,"msg_type":"A","possdup":false}',
        f'{{"kind":"message","offset":{first},"length":{second},"session":0,"msg_type":"D","seq":3,'
        '"verdict":"HOLD","expected":2}',
        '{"kind":"send","msg_type":"2","seq":1,"begin":2,"end":0}',
        f'{{"kind":"message","offset":{first + second},"length":{third},"session":0,"msg_type":"D","seq":2,'
        '"verdict":"DELIVER","expected":4}',
        '{"kind":"deliver","seq":2,"msg_type":"D","possdup":true}',
        '{"kind":"deliver","seq":3,"msg_type":"D","possdup":false}',
        '{"kind":"event","name":"RECOVERY_CLOSED","seq":4}',
    ]


def test_summary(replay: Replay) -> None:
    replay(b"noise" + LOGON + damaged_checksum(ORDER2) + ORDER3[:-5])
    assert "2 messages" in replay.err
    assert "verdicts: 1 DELIVER, 1 GARBLED" in replay.err
    assert f"bytes: 5 skipped between messages, {len(ORDER3) - 5} of an unfinished message" in replay.err


def test_garbled_message_has_neither_type_nor_number(replay: Replay) -> None:
    (line,) = replay(damaged_checksum(ORDER2))
    assert (line["msg_type"], line["seq"], line["verdict"], line["expected"]) == (None, None, "GARBLED", 1)


@pytest.mark.rule("R4")
def test_unusable_number_is_null_and_halts(replay: Replay) -> None:
    lines = replay(LOGON + PEER.order(-5) + ORDER2)
    assert judged(lines) == [(1, "DELIVER"), (None, "NO_SEQNUM"), (2, "IGNORED")]
    assert of_kind("event", lines) == [{"kind": "event", "name": "HALTED", "seq": 2, "rule": "R4"}]


def test_event_with_number(replay: Replay) -> None:
    lines = replay(LOGON + PEER.gap_fill(3, 5) + REPLAYED[2])
    assert of_kind("event", lines)[0] == {"kind": "event", "name": "HELD_GAP_FILL", "seq": 3, "number": 5}


@pytest.mark.rule("R11")
@pytest.mark.parametrize(
    ("policy", "ends"), [("infinity", [0]), ("closed", [8]), ("chunk:3", [4, 7, 8]), ("chunk:100", [8])]
)
def test_policy(replay: Replay, policy: str, ends: list[int]) -> None:
    content = LOGON + PEER.order(9) + b"".join(PEER.order(seq, possdup=True) for seq in range(2, 9))
    sends = of_kind("send", replay(content, "--policy", policy))
    assert [line["end"] for line in sends] == ends
    assert [line["seq"] for line in sends] == list(range(1, len(ends) + 1))


@pytest.mark.rule("R11")
def test_infinity_of_old_versions(replay: Replay) -> None:
    peer = Peer("FIX.4.0")
    assert of_kind("send", replay(peer.logon(1) + peer.order(3)))[0]["end"] == 999999


def test_time_stands_still(replay: Replay) -> None:
    # No repeated request, however much comes in after the loss.
    lines = replay(LOGON + b"".join(PEER.order(seq) for seq in range(3, 3000)))
    assert len(of_kind("send", lines)) == 1


def test_first_messages_idents_are_the_sessions(replay: Replay) -> None:
    other = Peer("FIX.4.4", sender="X", target="Y")
    assert judged(replay(other.order(1) + PEER.order(1) + other.order(2))) == [
        (1, "DELIVER"),
        (1, "FOREIGN"),
        (2, "DELIVER"),
    ]


@pytest.mark.parametrize("option", [["--begin-string", "FIX.4.4"], ["--sender", "X"], ["--target", "Y"]])
def test_idents_by_option(replay: Replay, option: list[str]) -> None:
    assert judged(replay(ORDER2, *option)) == [(2, "FOREIGN")]


def test_idents_are_those_of_the_incoming_messages(replay: Replay) -> None:
    options = ["--begin-string", "FIX.4.2", "--sender", PEER.sender, "--target", PEER.target]
    assert judged(replay(Peer(sender="X").order(9) + LOGON, *options)) == [(9, "FOREIGN"), (1, "DELIVER")]


def test_expected(replay: Replay) -> None:
    assert judged(replay(ORDER3 + ORDER4, "--expected", "3")) == [(3, "DELIVER"), (4, "DELIVER")]


@pytest.mark.rule("R10", "R10b")
@pytest.mark.parametrize(("window", "held"), [("1", 1), ("2", 1), ("3", 2), ("64", 63), ("200", 199), ("1000", 249)])
def test_window(replay: Replay, window: str, held: int) -> None:
    lines = replay(LOGON + b"".join(PEER.order(seq) for seq in range(3, 252)), "--window", window)
    assert sum(verdict == "HOLD" for _, verdict in judged(lines)) == (held if window != "1" else 0)


@pytest.mark.rule("F5")
def test_max_message(replay: Replay) -> None:
    content = LOGON + PEER.order(2, "long" * 100)
    assert judged(replay(content, "--max-message", "300"))[1] == (None, "OVERSIZE")
    assert judged(replay(content))[1] == (2, "DELIVER")


def test_text_gives_the_same_lines(replay: Replay) -> None:
    raw = LOGON + ORDER3 + REPLAYED[2]
    text = b"".join(b"in | " + m.replace(b"\x01", b"|") + b"\n" for m in (LOGON, ORDER3, REPLAYED[2]))
    assert replay(text) == replay(raw)


def test_offsets_of_a_raw_log_are_those_of_the_file(replay: Replay) -> None:
    content = b"12:00:00 in " + LOGON + b"\n12:00:01 in " + ORDER2 + b"\n"
    lines = of_kind("message", replay(content))
    assert [content[line["offset"] :][: line["length"]] for line in lines] == [LOGON, ORDER2]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stream").write_bytes(LOGON)
    with (tmp_path / "stream").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["replay", "-"]) == 0
    assert '"verdict":"DELIVER"' in capsys.readouterr().out


@pytest.mark.rule("F1")
@pytest.mark.parametrize("chunk_seed", range(5))
def test_chunks_have_no_meaning(replay: Replay, rng: random.Random, chunk_seed: int) -> None:
    traffic = Traffic(rng, PEER, mix=MIX)
    content = b"".join(traffic.next() for _ in range(300))
    assert replay(content, "--chunk-seed", str(chunk_seed)) == replay(content)


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to compile the gateware with")
@pytest.mark.parametrize("options", [[], ["--policy", "closed", "--window", "8"], ["--policy", "chunk:3"]])
def test_gateware_prints_the_same_lines(replay: Replay, rng: random.Random, options: list[str]) -> None:
    kinds = set()
    for _ in range(10):  # a session may soon be halted
        traffic = Traffic(rng, PEER, mix=MIX)
        content = b"".join(traffic.next() for _ in range(300)) + rng.randbytes(1000)
        expected = replay(content, *options)
        kinds |= {line["kind"] for line in expected}
        assert replay(content, "--device", "sim:", *options) == expected
    assert kinds == {"message", "deliver", "send", "event"}


@pytest.mark.rule("R12")
def test_damaged_traffic_is_delivered_once_and_in_order(replay: Replay, rng: random.Random) -> None:
    mix = {
        kind: weight for kind, weight in MIX.items() if kind not in ("reset", "reset_logon", "resend_request", "logon")
    }
    traffic = Traffic(rng, PEER, mix=mix)
    lines = replay(b"".join(traffic.next() for _ in range(500)))
    delivered = [line["seq"] for line in of_kind("deliver", lines)]
    assert delivered
    assert delivered == sorted(set(delivered))


def test_random_bytes(replay: Replay, rng: random.Random) -> None:
    for size in (0, 1, 5, 1000, 100_000):
        assert not of_kind("deliver", replay(rng.randbytes(size)))
        assert "no valid message" in replay.err


@pytest.mark.rule("F4", "F6")
def test_random_bytes_before_a_message(replay: Replay, rng: random.Random) -> None:
    assert judged(replay(rng.randbytes(10_000) + LOGON))[-1] == (1, "DELIVER")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["no/such/file"], "no/such/file: No such file or directory"),
        (["."], "Is a directory"),
        (["bad\0name"], "null"),
        (["-", "--device", "toaster:"], "no device 'toaster:'"),
        (["-", "--sender", "S" * 64], "target must be 1 to 63"),
        (["-", "--begin-string", "XML"], "must start with FIX"),
    ],
)
def test_mistakes_get_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    with Path("/dev/null").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["replay", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tag34: ")
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--policy", "all"],
        ["--policy", "chunk:"],
        ["--policy", "chunk:0"],
        ["--policy", "chunk:-1"],
        ["--expected", "0"],
        ["--expected", "4294967296"],
        ["--expected", "9" * 5000],
        ["--window", "x"],
        ["--chunk-seed", "1.5"],
    ],
)
def test_wrong_options(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["replay", "-", *options])
    assert stopped.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_reader_that_goes_away(tmp_path: Path) -> None:
    file = tmp_path / "stream"
    file.write_bytes(b"".join(PEER.order(seq) for seq in range(1, 5000)))
    command = [sys.executable, "-m", "tag34.cli", "replay", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


# A device may send later than it decides.

REQUEST = EventRecord(0, EventCode.REQUEST, 2, 0, Rule.R11)
HELD = MessageRecord(0, 0, 100, "D", 3, Rule.R10, 2, False)
NEXT = MessageRecord(0, 100, 100, "D", 4, Rule.R10, 2, False)
SENT = SentRecord(0, 7, "2", b"8=FIX.4.2\x019=1\x0135=2\x0134=7\x017=2\x0116=0\x0110=000\x01", False, True)


def test_send_stands_where_it_was_decided() -> None:
    lines = Lines()
    first = list(lines.feed([REQUEST, HELD, DeliverRecord(0, 4, "A", False, False, True, b""), NEXT]))
    assert [line["kind"] for line in first] == ["message"]
    rest = [*lines.feed([SENT]), *lines.finish()]
    assert [line["kind"] for line in rest] == ["send", "message", "deliver"]
    assert rest[0] == {"kind": "send", "msg_type": "2", "seq": 7, "begin": 2, "end": 0}


def test_request_that_is_never_sent() -> None:
    lines = Lines()
    list(lines.feed([REQUEST, HELD]))
    with pytest.raises(DeviceError, match="never sent"):
        list(lines.finish())


def test_message_that_nothing_asked_for() -> None:
    with pytest.raises(DeviceError, match="nothing asked for"):
        list(Lines().feed([SENT]))
