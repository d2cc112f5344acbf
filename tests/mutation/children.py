"""Work in child processes that inherit all that is loaded, so many at a time, each with so much time of the CPU."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Broken:
    """What became of a child that gave no answer: why; ``raised``, by itself, with an exception."""

    reason: str
    raised: bool = False


@dataclass
class _Child:
    pid: int
    pipe: int
    said: bytes = b""


def fan_out(
    work: Callable[[Any], Any], items: Iterable[Any], jobs: int, seconds: int
) -> Iterator[tuple[Any, Any | Broken]]:
    """``work`` on each item, in a child of its own; the item and the answer, which has to be plain enough for JSON, in
    the order in which they come.

    Parameters: ``jobs``, children at a time; ``seconds`` of CPU time that each of them has (so a busy machine changes
    nothing).
    """
    waiting = list(items)[::-1]
    children: dict[Any, tuple[Any, _Child]] = {}
    try:
        while waiting or children:
            while waiting and len(children) < jobs:
                item = waiting.pop()
                child = _start(work, item, seconds)
                children[child.pipe] = item, child
            ready, _, _ = select.select(list(children), [], [])
            for pipe in ready:
                item, child = children[pipe]
                said = os.read(pipe, 1 << 16)
                child.said += said
                if not said:
                    os.close(pipe)
                    del children[pipe]
                    _, status = os.waitpid(child.pid, 0)
                    yield item, _answer(child.said, status, seconds)
    finally:
        for _, child in children.values():
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            os.close(child.pipe)


def _start(work: Callable[[Any], Any], item: Any, seconds: int) -> _Child:
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(pid, reading)
    status = 1
    try:
        os.close(reading)
        # It inherits what its parent has used of its time.
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = seconds + int(used.ru_utime + used.ru_stime) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        answer = json.dumps(work(item)).encode()
        while answer:
            answer = answer[os.write(writing, answer) :]
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it was, the parent is told
        os.write(writing, traceback.format_exc().encode()[-4000:])
    finally:
        os._exit(status)


def _answer(said: bytes, status: int, seconds: int) -> Any | Broken:
    if status == 0:
        return json.loads(said)
    number = os.waitstatus_to_exitcode(status)
    if number in (-signal.SIGXCPU, -signal.SIGKILL):
        return Broken(f"not done after {seconds} s")
    if number < 0:
        return Broken(f"stopped by {signal.Signals(-number).name}")
    return Broken(said.decode(errors="replace").strip() or f"status {number}", raised=True)
