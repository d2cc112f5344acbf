"""``tag34 demo``: a FIX session with losses on the way, through a device.

A venue (the real QuickFIX engine where it is installed, in a process of its own) sends execution reports over loopback.
A relay on the way loses, garbles, delays and doubles some of them. tag34 is the initiator, with the device that is
asked for. Its application looks at the index that each report carries: every one has to come exactly once and in order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tag34 import ConnectError, Message, SessionClosed, SessionSettings, connect
from tag34.cli import FAILED, CommandError
from tag34.contract import Policy
from tag34.device import Device, DeviceError, open_device
from tag34.playback import parse_number, parse_policy

from .counterparty import KINDS, PEER, Counterparty, CounterpartyError
from .outcome import Outcome
from .relay import Faults, Relay

if TYPE_CHECKING:
    from tag34.cli import Subparsers

_RESEND_RETRIES = 20
_LOGOUT_SECONDS = 5.0
#: Bytes for finding out how fast a device is, and the bytes per second from which on it keeps up with the other side.
_PROBE_BYTES = 600
_FAST = 5000.0

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Pace:
    """How much is done, and how patiently.

    Parameters: ``messages``; ``gaps`` among them; ``outstanding``, reports that may be under way at a time;
    ``heartbeat``, in seconds; ``resend_timeout``, milliseconds after which the device asks again (R14): for a loss at
    the very end of a replay.
    """

    messages: int
    gaps: int
    outstanding: int
    heartbeat: int
    resend_timeout: int


def register(subparsers: Subparsers) -> None:
    """Add the subcommand ``demo``."""
    parser = subparsers.add_parser(
        "demo",
        help="a FIX session with losses on the way, through a device",
        description="A FIX engine sends execution reports, some are lost on the way, a device gets them back.",
        epilog="Exit status: 0 every message was delivered exactly once and in order; 1 one was not, or time ran out; "
        "2 wrong option, or no such device or counterparty.",
    )
    add = parser.add_argument
    add("--messages", type=parse_number, metavar="N", help="reports to send (default: 2000; 60 if the device is slow)")
    add("--gaps", type=_count, metavar="N", help="places where some get lost (default: one in 50 messages)")
    add(
        "--seed", type=int, default=34, metavar="S", help="decides what happens to which message (default: %(default)s)"
    )
    add("--device", default="sim:", metavar="URL", help="model:, sim:, ... (default: %(default)s)")
    add("--baud", type=parse_number, metavar="N", help="bits per second, of serial: (default: usual ones are tried)")
    add(
        "--counterparty", choices=KINDS, default="auto", help="auto: QuickFIX if it is installed (default: %(default)s)"
    )
    add(
        "--policy",
        type=parse_policy,
        default=(Policy.INFINITY, 1),
        metavar="infinity|closed|chunk:N",
        help="what a ResendRequest asks for (default: infinity)",
    )
    add("--outstanding", type=parse_number, metavar="N", help="reports that may be under way at a time (default: 32)")
    add("--timeout", type=_seconds, default=600.0, metavar="SECONDS", help="give up after (default: %(default)g)")
    add("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    return 0 if text == "0" else parse_number(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def run(args: argparse.Namespace) -> int:
    """The subcommand. Returns the exit status."""
    if sys.stderr.isatty():
        print(f"opening {args.device}", file=sys.stderr)
    try:
        device = open_device(args.device, **({} if args.baud is None else {"baud": args.baud}))
    except (DeviceError, ValueError) as error:
        raise CommandError(str(error)) from error
    with device:
        pace = _pace(args, _is_slow(device))
        try:
            faults = Faults(pace.messages, pace.gaps, args.seed)
        except ValueError as error:
            raise CommandError(str(error)) from error
        outcome = Outcome(args.device, device.info, pace.messages, faults.tally)
        with _progress(pace.messages) as progress:
            try:
                asyncio.run(_limited(args, pace, device, faults, outcome, progress))
            except CounterpartyError as error:
                raise CommandError(str(error)) from error
        outcome.count(device.counters(0))
    if args.json:
        print(json.dumps(outcome.as_dict()))
    else:
        print(outcome.as_table())
    if outcome.failure:
        raise CommandError(outcome.failure, FAILED)
    return 0


def _is_slow(device: Device) -> bool:
    """Whether the device, a simulation that is not compiled perhaps, takes its time with bytes that lead nowhere."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        device.receive(0, bytes(_PROBE_BYTES))
        device.poll()  # a board at the end of a wire has only then taken them
        seconds.append(time.perf_counter() - started)
    return _PROBE_BYTES / min(seconds) < _FAST


def _pace(args: argparse.Namespace, slow: bool) -> Pace:
    messages = args.messages or (60 if slow else 2000)
    return Pace(
        messages,
        gaps=messages // (20 if slow else 50) if args.gaps is None else args.gaps,
        outstanding=args.outstanding or (8 if slow else 32),
        heartbeat=600 if slow else 10,
        resend_timeout=60_000 if slow else 1000,
    )


async def _limited(
    args: argparse.Namespace, pace: Pace, device: Device, faults: Faults, outcome: Outcome, progress: Progress
) -> None:
    started = time.monotonic()
    try:
        await asyncio.wait_for(_session(args, pace, device, faults, outcome, progress), args.timeout)
    except asyncio.TimeoutError:
        outcome.problems.append(f"not done after {args.timeout:g} s")
    except (SessionClosed, ConnectError, DeviceError) as error:
        outcome.problems.append(str(error))
    outcome.seconds = time.monotonic() - started


async def _session(
    args: argparse.Namespace, pace: Pace, device: Device, faults: Faults, outcome: Outcome, progress: Progress
) -> None:
    policy, chunk = args.policy
    settings = SessionSettings(
        PEER.begin_string,
        PEER.target,
        PEER.sender,
        heartbeat=pace.heartbeat,
        policy=policy,
        chunk=chunk,
        resend_timeout=pace.resend_timeout,
        resend_retries=_RESEND_RETRIES,
        logout_timeout=_LOGOUT_SECONDS,
    )
    async with Counterparty(args.counterparty, args.seed) as venue, Relay(venue.hello.port, faults) as relay:
        outcome.counterparty = venue.hello
        if venue.hello.note:
            print(f"tag34: {venue.hello.note}; the built-in counterparty takes its place", file=sys.stderr)
        try:
            async with connect("127.0.0.1", relay.port, settings, device=device, on_event=outcome.note) as connection:
                venue.credit(min(pace.outstanding, pace.messages))
                async for message in connection:
                    _take(message, pace, venue, outcome)
                    progress(outcome.delivered)
        finally:
            if relay.failure is not None:
                outcome.problems.append(f"relay: {relay.failure}")


def _take(message: Message, pace: Pace, venue: Counterparty, outcome: Outcome) -> None:
    """The application: one report. The venue sends on as reports come in, so that no replay is longer than that."""
    if message.msg_type != "8":
        outcome.problems.append(f"the counterparty sent 35={message.msg_type}: {message.get(58, 'no text')}")
        return
    outcome.take(int(message[17]))
    taken = outcome.distinct
    if taken == pace.messages:
        venue.logout()
    elif taken % max(1, pace.outstanding // 4) == 0:
        venue.credit(min(taken + pace.outstanding, pace.messages))


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    """A progress bar where somebody looks on and rich is installed."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress as Bar
    except ImportError:
        yield lambda done: None
        return
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("messages", total=total)
        yield lambda done: bar.update(task, completed=done)
