"""``tag34 soak``: millions of messages through a device and through the golden model, which have to say the same."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tag34.cli import FAILED, INTERRUPTED, CommandError
from tag34.contract import RULE_VERDICT
from tag34.device import DeviceError, DeviceInfo, open_device
from tag34.playback import parse_number

from .soak import Outcome, Soak, replay
from .soak_case import CaseError, dump, load
from .soak_shrink import Shrinker

if TYPE_CHECKING:
    from tag34.cli import Subparsers

_DEVICE, _MESSAGES, _SEED = "sim:", 100_000, 34
#: A device whose window, memory and messages come to their end again and again.
_SESSIONS, _WINDOW, _MAX_MESSAGE = 64, 32, 512
_SIZES = ("width", "sessions", "window", "max_message", "hold", "hold_limit")
#: How long a case is made smaller.
_SHRINK_SECONDS = 60

Progress = Callable[[int], None]


def register(subparsers: Subparsers) -> None:
    """Add the subcommand ``soak``."""
    parser = subparsers.add_parser(
        "soak",
        help="random traffic through a device and the golden model: do they differ?",
        description="Random traffic of many sessions goes through a device and through the golden model. They have to "
        "agree on every verdict, delivery, byte sent and event. A case on which they do not is made small, "
        "and saved.",
        epilog="Exit status: 0 no difference; 1 a difference; 2 wrong option, unreadable file, no such device.",
    )
    add = parser.add_argument
    add("--messages", type=parse_number, metavar="N", help=f"messages to be judged (default: {_MESSAGES})")
    add("--seed", type=int, metavar="S", help=f"decides everything (default: {_SEED})")
    add("--device", metavar="URL", help=f"model:, sim:, ... (default: {_DEVICE}; with --replay that of the file)")
    add("--width", type=parse_number, metavar="N", help="bytes it takes at a time: 1, 2, 4 or 8 (default: 1)")
    add("--sessions", type=parse_number, metavar="K", help=f"sessions of the device (default: {_SESSIONS})")
    add("--window", type=parse_number, metavar="N", help=f"its hold window, in numbers (default: {_WINDOW})")
    add(
        "--max-message", type=parse_number, metavar="N", help=f"its longest message, in bytes (default: {_MAX_MESSAGE})"
    )
    add(
        "--hold",
        type=parse_number,
        metavar="N",
        help="messages held at a time (default: two per session, half a window)",
    )
    add("--hold-limit", type=parse_number, metavar="N", help="of these, by one session (default: 3/4 of a window)")
    add("--json", action="store_true", help="print the result as one JSON object")
    add("--save", metavar="FILE", help="where a case that differs is kept (default: soak-S.jsonl)")
    add("--replay", metavar="FILE", help="run a saved case again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The subcommand. Returns the exit status."""
    if args.replay is not None:
        return _replay(args)
    url = _DEVICE if args.device is None else args.device
    seed = _SEED if args.seed is None else args.seed
    messages = _MESSAGES if args.messages is None else args.messages
    file = Path(f"soak-{seed}.jsonl" if args.save is None else args.save)
    _check_writable(file)
    options = sizes(**{name: getattr(args, name) for name in _SIZES})
    info = _look(url, options)
    soak = Soak(url, options, seed, open_device)
    try:
        with _progress(messages) as progress:
            outcome = soak.run(messages, progress)
    except KeyboardInterrupt:
        done = f"interrupted after {soak.outcome.messages} messages without a difference"
        raise CommandError(done, INTERRUPTED) from None
    except DeviceError as error:
        raise CommandError(f"{url} {error}", FAILED) from error
    if outcome.case is None or outcome.difference is None:
        _print(args, _result(url, info, outcome, seed))
        return 0
    note = f"seed {seed}: {outcome.difference.of_device()}"
    print(f"tag34: {note}\ntag34: making it smaller, for {_SHRINK_SECONDS} seconds at most", file=sys.stderr)
    shrinker = Shrinker(outcome.case, open_device, seconds=_SHRINK_SECONDS)
    case = shrinker.run()
    _print(args, _result(url, info, outcome, seed, str(file)))
    try:
        file.write_text("".join(f"{line}\n" for line in dump(case, note)), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"a difference, and {file} cannot be written: {error.strerror}", FAILED) from error
    if not shrinker.shows:
        raise CommandError(f"a difference, but none when its case runs by itself, which is in {file}", FAILED)
    count = f"{len(outcome.case.operations)} operations made {len(case.operations)}"
    raise CommandError(f"a difference: {count}; again: tag34 soak --replay {file}", FAILED)


def sizes(
    width: int | None = None,
    sessions: int | None = None,
    window: int | None = None,
    max_message: int | None = None,
    hold: int | None = None,
    hold_limit: int | None = None,
) -> dict[str, int]:
    """The options of a device: those that are None so that its memory is rather small for what it gets."""
    sessions, window = sessions or _SESSIONS, window or _WINDOW
    hold = hold or min(sessions * (window - 1), max(2 * sessions, window // 2))
    return {
        "width": width or 1,
        "sessions": sessions,
        "window": window,
        "max_message": max_message or _MAX_MESSAGE,
        "hold": hold,
        "hold_limit": hold_limit or min(hold, max(1, window * 3 // 4)),
    }


def _replay(args: argparse.Namespace) -> int:
    """A saved case once more."""
    for name in ("messages", "seed", "save", *_SIZES):
        if getattr(args, name) is not None:
            raise CommandError(f"--{name.replace('_', '-')} has no meaning with --replay: the file has all of it")
    try:
        case = load(Path(args.replay).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{args.replay}: {error.strerror}") from error
    except (CaseError, UnicodeDecodeError, ValueError) as error:
        raise CommandError(f"{args.replay}: {error}") from error
    if args.device is not None:
        case = replace(case, url=args.device)
    info = _look(case.url, case.options)
    outcome = Outcome(scenarios=1)
    started = time.monotonic()
    outcome.difference = replay(case, outcome, open_device)
    outcome.seconds = time.monotonic() - started
    _print(args, _result(case.url, info, outcome, None, args.replay))
    if outcome.difference is not None:
        print(f"tag34: {outcome.difference.of_device()}", file=sys.stderr)
        raise CommandError("a difference", FAILED)
    return 0


def _look(url: str, options: dict[str, int]) -> DeviceInfo:
    """What the device is; the first time it is built. Raises CommandError if it cannot be opened."""
    if sys.stderr.isatty():
        print(f"opening {url}", file=sys.stderr)
    try:
        # The model first: it complains of sizes that no device can have without building anything.
        with open_device("model:", **options), open_device(url, **options) as device:
            return device.info
    except (DeviceError, ValueError) as error:
        raise CommandError(str(error)) from error


def _check_writable(file: Path) -> None:
    """Before hours of work and not behind them."""
    folder = file.parent
    if file.is_dir():
        raise CommandError(f"{file} is a folder")
    if not folder.is_dir():
        raise CommandError(f"{file}: there is no folder {folder}")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise CommandError(f"{file} cannot be written")


def _result(
    url: str, info: DeviceInfo, outcome: Outcome, seed: int | None, file: str | None = None
) -> dict[str, object]:
    """What is printed."""
    seconds = max(outcome.seconds, 1e-9)
    return {
        "messages": outcome.messages,
        "sessions": info.sessions,
        "differences": int(outcome.difference is not None),
        "seed": seed,
        "messages_per_second": round(outcome.messages / seconds),
        "cycles_per_second": round(outcome.cycles / seconds) if outcome.cycles else None,
        "seconds": round(outcome.seconds, 3),
        "cycles": outcome.cycles,
        "scenarios": outcome.scenarios,
        "device": url,
        "device_detail": info.detail,
        "window": info.window,
        "max_message": info.max_message,
        "hold": info.hold,
        "hold_limit": info.hold_limit,
        "rules": {rule.id: outcome.rules[rule.id] for rule in RULE_VERDICT},
        "difference": None if outcome.difference is None else outcome.difference.of_device(),
        "case": file,
    }


def _print(args: argparse.Namespace, result: dict[str, object]) -> None:
    if args.json:
        print(json.dumps(result))
        return
    rules = result["rules"]
    assert isinstance(rules, dict)
    rows = {
        "device": f"{result['device']} {result['device_detail']}",
        "sessions / window / max. message": f"{result['sessions']} / {result['window']} / {result['max_message']}",
        "held, all sessions / each": f"{result['hold']} / {result['hold_limit']}",
        "messages": f"{result['messages']} in {result['scenarios']} scenarios",
        "judged by": ", ".join(f"{rule} {count}" for rule, count in rules.items()),
        "seconds": f"{result['seconds']}",
        "messages per second": f"{result['messages_per_second']}",
        "cycles per second": "n/a" if result["cycles_per_second"] is None else f"{result['cycles_per_second']}",
        "differences": f"{result['differences']}",
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    """A progress bar where somebody looks on and rich is installed."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError:
        yield lambda done: None
        return
    columns = (TextColumn("messages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("messages", total=total)
        yield lambda done: bar.update(task, completed=min(done, total))
