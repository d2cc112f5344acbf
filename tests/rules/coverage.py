"""Counts what the tests see of each rule on each device: a plugin of pytest, by ``--rule-coverage``.

Whatever opens a device or a session is watched: the watch is put around the methods of the classes themselves. A device
in process has finished all work when a call returns, so the records that a call caused are fetched right behind it and
handed out with the next ``poll``.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tag34 import checked_device, session
from tag34.device import Record
from tag34.store import MessageStore
from tag34_sim import sim_device
from tests.rules import report
from tests.rules.bins import DeviceWatch, SessionWatch

#: Methods of a device that are watched, and those of a session that return events.
DEVICE_CALLS = [
    "configure",
    "connect",
    "disconnect",
    "set_may_request",
    "set_expected",
    "set_next_out",
    "receive",
    "send",
    "advance",
]
SESSION_CALLS = ["connect", "bytes_received", "tick", "continue_replay", "connection_lost", "send", "logout"]

Hits = defaultdict[str, Counter[str]]


class _Stored:
    """The numbers in a store, as a container."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store

    def __contains__(self, seq: object) -> bool:
        return isinstance(seq, int) and any(self._store.messages(seq, seq))


class _Watched:
    """A device's watch, and the records that its owner has not fetched yet."""

    def __init__(self, hits: Counter[str]) -> None:
        self.watch = DeviceWatch(hits)
        self.waiting: list[Record] = []


def _around(owner: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(make(original)))


def watch_devices(hits: Hits) -> None:
    """Count what every device in process shows from now on, by its name."""
    poll = checked_device.CheckedDevice.poll

    def watched(device: Any) -> _Watched:
        if not hasattr(device, "_watched"):
            # A device that a test has made for itself, with a fault in it perhaps, shows nothing of the real ones.
            real = type(device).__module__.startswith("tag34")
            device._watched = _Watched(hits[device.info.name] if real else Counter())
        found: _Watched = device._watched
        return found

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        def call(device: Any, *args: Any, **options: Any) -> Any:
            result = original(device, *args, **options)
            arguments = signature.bind(device, *args, **options)
            arguments.apply_defaults()
            state, records = watched(device), poll(device)
            state.watch.call(original.__name__, arguments.arguments, records)
            state.waiting += records
            return result

        return call

    def fetched(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(device: Any) -> list[Record]:
            records = original(device)
            state = watched(device)
            state.watch.call("poll", {}, records)
            records, state.waiting = state.waiting + records, []
            return records

        return call

    def renewed(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(device: Any) -> None:
            original(device)
            device.__dict__.pop("_watched", None)  # as new: what nobody has fetched is lost

        return call

    for name in DEVICE_CALLS:
        _around(checked_device.CheckedDevice, name, counted)
    _around(checked_device.CheckedDevice, "poll", fetched)
    _around(sim_device.SimDevice, "stalls", counted)
    _around(sim_device.SimDevice, "reset", renewed)


def watch_sessions(hits: Hits) -> None:
    """Count what every session of the host shows from now on, by the name of its device."""

    def watched(host: Any) -> SessionWatch:
        if not hasattr(host, "_watched"):
            host._watched = SessionWatch(hits[host.device.info.name])
        found: SessionWatch = host._watched
        return found

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(host: Any, *args: Any, **options: Any) -> Any:
            events = original(host, *args, **options)
            watched(host).call(original.__name__, events)
            return events

        return call

    def left(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(host: Any) -> bytes:
            data: bytes = original(host)
            watched(host).left(data, _Stored(host.store))
            return data

        return call

    for name in SESSION_CALLS:
        _around(session.Session, name, counted)
    _around(session.Session, "data_to_send", left)


class Coverage:
    """Counts while the tests run; each test process leaves its counts in a file, the last one sums them up.

    Parameters: ``target``, where the sum goes; the files of the processes are in the folder of the same name.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = target.with_suffix("")
        self.hits: Hits = defaultdict(Counter)
        self.total: dict[str, Counter[str]] = {}
        self.worker = os.environ.get("PYTEST_XDIST_WORKER")
        if self.worker is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            target.unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        watch_devices(self.hits)
        watch_sessions(self.hits)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        path = self.folder / f"{self.worker or 'main'}.json"
        path.write_text(json.dumps(self.hits, indent=1), encoding="utf-8")
        if self.worker is None:
            self.total = report.read(self.folder)
            self.target.write_text(json.dumps({**self.total}, indent=1) + "\n", encoding="utf-8")
            if report.missing(self.total) and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.worker is None and self.total:
            terminalreporter.section("rules seen")
            for line in report.table(self.total):
                terminalreporter.write_line(line)
            for line in report.missing(self.total):
                terminalreporter.write_line(line, red=True)
