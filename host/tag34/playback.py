"""``tag34 replay FILE``: a recorded byte stream through a device, what it decided as JSON lines.

One line per thing that happens, in the order in which things happen: first the message, then what it caused.

- ``{"kind":"message","offset","length","session","msg_type","seq","verdict","expected"}``: one framed message was
  judged. ``expected`` is the next inbound number after it and all that it released; ``seq`` is null if there is no
  usable number. ``offset`` and ``length`` count bytes of the stream that the device got: the file itself if it is raw,
  else what :func:`tag34.recording.read_stream` made of it.
- ``{"kind":"deliver","seq","msg_type","possdup"}``: a message for the application.
- ``{"kind":"send","msg_type","seq","begin","end"}``: the device sent a ResendRequest, with these 34, 7 and 16. It
  stands where it was decided (event REQUEST of the contract), whenever its bytes left.
- ``{"kind":"event","name",...}``: any other event of the contract, with its ``seq``, ``number`` and ``rule`` if it has
  them.

The session starts in phase ACTIVE and may request, outbound numbers start at 1, time stands still. All devices print
the same lines.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import contract
from .cli import FAILED, CommandError
from .contract import EventCode, Phase, Policy
from .device import (
    DeliverRecord,
    Device,
    DeviceError,
    EventRecord,
    MessageRecord,
    Record,
    SentRecord,
    SessionConfig,
    open_device,
)
from .recording import Idents, cut, find_idents, read_stream

if TYPE_CHECKING:
    from .cli import Subparsers

#: For a stream in which no message names any. Nothing will match them; what is garbled is reported all the same.
NO_IDENTS = Idents("FIX.4.2", "SENDER", "TARGET")

Line = dict[str, object]


@dataclass
class Summary:
    """What came of a replay: messages per verdict, bytes in messages, ResendRequests."""

    verdicts: Counter[str] = field(default_factory=Counter)
    framed: int = 0
    requests: int = 0


class Lines:
    """Makes lines of a device's records. ``summary`` counts along.

    A device tells a message's consequences before the message, because only then it knows the number expected
    afterwards; and a ResendRequest's number when its first byte leaves, which may be later than its decision. Both are
    put in their place here.
    """

    def __init__(self) -> None:
        self.summary = Summary()
        self._consequences: list[Line] = []
        self._lines: deque[Line] = deque()
        self._unsent: deque[Line] = deque()

    def feed(self, records: Iterable[Record]) -> Iterator[Line]:
        """Take records in, give the lines that are complete."""
        for record in records:
            if isinstance(record, MessageRecord):
                self._message(record)
            elif isinstance(record, DeliverRecord):
                self._consequences.append(
                    {"kind": "deliver", "seq": record.seq, "msg_type": record.msg_type, "possdup": record.possdup}
                )
            elif isinstance(record, SentRecord):
                self._sent(record)
            elif record.code is EventCode.REQUEST:
                send: Line = {"kind": "send"}
                self._consequences.append(send)
                self._unsent.append(send)
                self.summary.requests += 1
            else:
                self._consequences.append(_event(record))
        while self._lines and (not self._unsent or self._lines[0] is not self._unsent[0]):
            yield self._lines.popleft()

    def finish(self) -> Iterator[Line]:
        """The lines that no message followed. Raises DeviceError if a ResendRequest was decided and never sent."""
        self._close()
        yield from self.feed(())
        if self._unsent:
            raise DeviceError(f"the device decided {len(self._unsent)} ResendRequests that it never sent")

    def _close(self) -> None:
        self._lines += self._consequences
        self._consequences = []

    def _message(self, record: MessageRecord) -> None:
        verdict = record.verdict.name
        self.summary.verdicts[verdict] += 1
        self.summary.framed += record.length
        self._lines.append(
            {
                "kind": "message",
                "offset": record.offset,
                "length": record.length,
                "session": record.session,
                "msg_type": record.msg_type,
                "seq": record.seq,
                "verdict": verdict,
                "expected": record.expected,
            }
        )
        self._close()

    def _sent(self, record: SentRecord) -> None:
        if not self._unsent:
            raise DeviceError(f"the device sent a message (35={record.msg_type}) that nothing asked for")
        fields = {tag: value for tag, _, value in (part.partition(b"=") for part in record.data.split(b"\x01"))}
        line = self._unsent.popleft()
        line["msg_type"] = fields[b"35"].decode("ascii")
        line["seq"] = int(fields[b"34"])
        line["begin"] = int(fields[b"7"])
        line["end"] = int(fields[b"16"])


def _event(record: EventRecord) -> Line:
    line: Line = {"kind": "event", "name": record.code.name}
    if record.seq is not None:
        line["seq"] = record.seq
    if record.number is not None:
        line["number"] = record.number
    if record.rule is not None:
        line["rule"] = record.rule.id
    return line


def play(
    device: Device, config: SessionConfig, chunks: Iterable[bytes], lines: Lines, expected: int = 1
) -> Iterator[Line]:
    """Feed ``chunks`` to session 0 of ``device``, give what it did. Raises DeviceError if the device fails."""
    device.configure(0, config)
    device.set_expected(0, expected)
    device.set_next_out(0, 1)
    device.connect(0, phase=Phase.ACTIVE, may_request=True)
    for chunk in chunks:
        device.receive(0, chunk)
        yield from lines.feed(device.poll())
    yield from lines.finish()


def register(subparsers: Subparsers) -> None:
    """Add the subcommand ``replay``."""
    parser = subparsers.add_parser(
        "replay",
        help="feed a recorded FIX stream to a device, print its decisions as JSON lines",
        description="Feed a recorded FIX stream to a device; print what it decides, delivers and sends as JSON lines.",
        epilog="Exit status: 0 replayed, whatever the verdicts; 1 the device failed; 2 wrong option, unreadable file.",
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="raw FIX, |-delimited, or a log with a message a line; - is standard input")
    add("--device", default="model:", metavar="URL", help="model:, sim:, ... (default: %(default)s)")
    add("--begin-string", metavar="8", help="8 of the messages (default: that of the first valid one)")
    add("--sender", metavar="49", help="49 of the messages (default: that of the first valid one)")
    add("--target", metavar="56", help="56 of the messages (default: that of the first valid one)")
    add("--expected", type=parse_number, default=1, metavar="N", help="first number expected (default: %(default)s)")
    add("--window", type=parse_number, metavar="N", help="hold window, in numbers (default: the device's)")
    add("--max-message", type=parse_number, metavar="N", help="longest message kept, in bytes (default: the device's)")
    add(
        "--policy",
        type=parse_policy,
        default=(Policy.INFINITY, 1),
        metavar="infinity|closed|chunk:N",
        help="what a ResendRequest asks for (default: infinity)",
    )
    add("--chunk-seed", type=int, metavar="S", help="cut the stream into random chunks")
    parser.set_defaults(run=run)


def parse_policy(text: str) -> tuple[Policy, int]:
    """``infinity``, ``closed`` or ``chunk:N`` as policy and chunk. Raises ArgumentTypeError for anything else."""
    if text == "infinity":
        return Policy.INFINITY, 1
    if text == "closed":
        return Policy.CLOSED, 1
    name, _, number = text.partition(":")
    if name == "chunk":
        return Policy.CHUNK, parse_number(number)
    raise argparse.ArgumentTypeError(f"{text!r} is not infinity, closed or chunk:N")


def parse_number(text: str) -> int:
    """A number from 1 to 4294967295. Raises ArgumentTypeError for anything else."""
    # Short enough to be converted at all: int() refuses thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= contract.MAX_SEQ):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {contract.MAX_SEQ}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """The subcommand: ``args`` in, lines on stdout, the summary on stderr. Returns the exit status."""
    stream = read_stream(_read(args.file))
    found = find_idents(stream.data)
    config = _config(args, found or NO_IDENTS)
    lines = Lines()
    with _open(args) as device:
        try:
            for line in play(device, config, cut(stream.data, args.chunk_seed), lines, args.expected):
                sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        except DeviceError as error:
            raise CommandError(f"{args.device} {error}", FAILED) from error
        skipped = device.counters(0)["skipped"]
        expected = device.state(0).expected
    sys.stdout.flush()
    summary = lines.summary
    if found is None:
        print("tag34: no valid message that names its session (8, 49, 56)", file=sys.stderr)
    print(
        f"{args.device} {summary.verdicts.total()} messages in {len(stream.data)} bytes ({stream.form}), "
        f"{summary.requests} ResendRequests, next expected {expected}\n"
        f"verdicts: {', '.join(f'{n} {verdict}' for verdict, n in sorted(summary.verdicts.items())) or 'none'}\n"
        f"bytes: {skipped} skipped between messages, {len(stream.data) - summary.framed - skipped} "
        f"of an unfinished message at the end",
        file=sys.stderr,
    )
    return 0


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise CommandError(f"{name}: {getattr(error, 'strerror', None) or error}") from error


def _config(args: argparse.Namespace, idents: Idents) -> SessionConfig:
    policy, chunk = args.policy
    try:
        return SessionConfig(
            begin_string=idents.begin_string if args.begin_string is None else args.begin_string,
            sender=idents.target if args.target is None else args.target,
            target=idents.sender if args.sender is None else args.sender,
            policy=policy,
            chunk=chunk,
            window=args.window,
        )
    except ValueError as error:
        raise CommandError(str(error)) from error


def _open(args: argparse.Namespace) -> Device:
    """The device, built anew if the window that it comes with is too small."""
    options = {} if args.max_message is None else {"max_message": args.max_message}
    try:
        device = open_device(args.device, **options)
        if args.window is not None and args.window > device.info.window:
            device.close()
            # A power of two: a number's place in the window is made of its low bits.
            device = open_device(args.device, window=1 << (args.window - 1).bit_length(), **options)
    except (DeviceError, ValueError) as error:
        raise CommandError(str(error)) from error
    return device
