"""A case: operations after which a device and the golden model differ, as something that can be kept and run again.

The file is text, one JSON object a line: first what the device is opened with, then the operations in their order.
Bytes are written as characters of ISO 8859-1, so that FIX stays readable (``\\u0001`` is SOH).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

from tag34.contract import Phase, Policy
from tag34.device import Device, SessionConfig, open_device

from .differential import Difference, compare, listen, perform_unbroken, unlike
from .traffic import Operation

VERSION = 1
#: Opens a device by its URL, with the options of :func:`tag34.device.open_device`.
Opener = Callable[..., Device]

_OPTIONS = ("width", "sessions", "window", "max_message", "hold", "hold_limit")
#: The operations of a case: the arguments of each.
_VERBS: dict[str, dict[str, type]] = {
    "configure": {"session": int, "config": dict},
    "connect": {"session": int, "phase": str, "may_request": bool},
    "disconnect": {"session": int},
    "set_may_request": {"session": int, "allowed": bool},
    "set_expected": {"session": int, "expected": int},
    "set_next_out": {"session": int, "next_out": int},
    "receive": {"session": int, "data": str},
    "send": {"session": int, "msg_type": str, "fields": str, "seq": int},
    "advance": {"utc_ns": int},
}
#: Latest time that a case may tell: as far as 64 bits go.
_LATEST_NS = 2**63


class CaseError(ValueError):
    """A file is not a case; the text says where and why."""


@runtime_checkable
class Stalling(Protocol):
    """A device whose streams can be made to pause."""

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """In these shares of the cycles, at random by ``seed``."""


@dataclass(frozen=True)
class Stalls:
    """Pauses of a device's streams: see :meth:`tag34_sim.sim_device.SimDevice.stalls`."""

    seed: int
    inputs: float
    outputs: float


@dataclass(frozen=True)
class Case:
    """What was done to a device and to the golden model.

    Members: ``url`` and ``options`` of the device; ``stalls`` of its streams; ``unbroken``, True if the bytes of
    neighbouring operations go in without a pause (what is said is then compared at the end, else after each operation);
    ``operations``.
    """

    url: str
    options: dict[str, int]
    stalls: Stalls | None
    unbroken: bool
    operations: list[Operation]


def open_stalled(case: Case, opener: Opener = open_device) -> Device:
    """The case's device, freshly opened. Raises what ``opener`` raises."""
    device = opener(case.url, **case.options)
    if case.stalls is not None and isinstance(device, Stalling):
        device.stalls(case.stalls.seed, case.stalls.inputs, case.stalls.outputs)
    return device


def check(case: Case, opener: Opener = open_device) -> Difference | None:
    """Run a case on its device and on the golden model: the first difference, None if there is none."""
    with opener("model:", **case.options) as model, open_stalled(case, opener) as device:
        return difference(model, device, case)


def difference(model: Device, device: Device, case: Case) -> Difference | None:
    """As :func:`check`, on devices that are open."""
    if not case.operations:
        return None
    if case.unbroken:
        said = [listen(each, case.operations, perform_unbroken(each, case.operations)) for each in (model, device)]
        found = unlike(len(case.operations) - 1, case.operations[-1], said[0], said[1])
    else:
        found = compare(model, device, case.operations)
    return found or counters_unlike(model, device, case.operations)


def counters_unlike(model: Device, device: Device, operations: Sequence[Operation]) -> Difference | None:
    """Compare what was counted in the operations, at each session that they spoke of."""
    for session in sorted({op.arguments["session"] for op in operations if "session" in op.arguments}):
        counted = [each.counters(session) for each in (model, device)]
        if counted[0] != counted[1]:
            return Difference(len(operations) - 1, operations[-1], *map(_counted, (session, session), counted))
    return None


def _counted(session: int, counters: dict[str, int]) -> str:
    return f"session {session} counted " + ", ".join(f"{name} {count}" for name, count in counters.items() if count)


# The file.


def dump(case: Case, note: str) -> Iterator[str]:
    """The lines of a case's file; ``note`` is for people."""
    head: dict[str, Any] = {"tag34": "soak", "version": VERSION, "device": case.url, **case.options}
    head["stalls"] = asdict(case.stalls) if case.stalls is not None else None
    head["unbroken"] = case.unbroken
    head["note"] = note
    yield json.dumps(head)
    for operation in case.operations:
        yield json.dumps(
            {"verb": operation.verb, **{name: _plain(value) for name, value in operation.arguments.items()}}
        )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, SessionConfig):
        return {**asdict(value), "policy": value.policy.name}
    return value.name if isinstance(value, Phase) else value


def load(text: str) -> Case:
    """A case from the text of its file. Raises CaseError."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise CaseError("is empty")
    case = _at(lines[0][0], _head, lines[0][1])
    return replace(case, operations=[_at(number, _operation, line, case.options) for number, line in lines[1:]])


def _at(number: int, read: Callable[..., Any], line: str, *more: Any) -> Any:
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise CaseError("is no JSON object")
        return read(value, *more)
    except (ValueError, RecursionError) as error:
        reason = "is no JSON" if isinstance(error, json.JSONDecodeError) else str(error) or type(error).__name__
        raise CaseError(f"line {number} {reason}") from error


def _head(line: dict[str, Any]) -> Case:
    if line.get("tag34") != "soak" or line.get("version") != VERSION:
        raise CaseError(f"is not the head of a case of version {VERSION}")
    stalls = line.get("stalls")
    if stalls is not None:
        if not isinstance(stalls, dict) or set(stalls) != {"seed", "inputs", "outputs"}:
            raise CaseError("has stalls that are not seed, inputs and outputs")
        if not isinstance(stalls["seed"], int) or not 0 <= stalls["seed"] < 2**64:
            raise CaseError("has a seed of stalls that is no number of 64 bits")
        if not all(
            isinstance(stalls[name], (int, float)) and 0 <= stalls[name] <= 0.95 for name in ("inputs", "outputs")
        ):
            raise CaseError("has stalls that are not 0 to 0.95")
    options = {name: _typed(line, name, int) for name in _OPTIONS if name in line}
    url, unbroken = _typed(line, "device", str), _typed(line, "unbroken", bool)
    return Case(url, options, Stalls(**stalls) if stalls is not None else None, unbroken, [])


def _operation(line: dict[str, Any], options: dict[str, int]) -> Operation:
    verb = line.pop("verb", None)
    if not isinstance(verb, str) or verb not in _VERBS:
        raise CaseError(f"has no operation {verb!r}")
    wanted = _VERBS[verb]
    if set(line) != set(wanted):
        raise CaseError(f"has {verb} with {', '.join(line) or 'nothing'}, not with {', '.join(wanted)}")
    arguments: dict[str, Any] = {}
    for name, kind in wanted.items():
        optional = name == "seq" and line[name] is None
        arguments[name] = None if optional else _typed(line, name, kind)
    if not 0 <= arguments.get("session", 0) < options.get("sessions", 1):
        raise CaseError(f"speaks of session {arguments['session']}, the device has {options.get('sessions', 1)}")
    if not 0 <= arguments.get("utc_ns", 0) < _LATEST_NS:
        raise CaseError(f"tells the time {arguments['utc_ns']}")
    for name in ("data", "fields"):
        if name in arguments:
            arguments[name] = arguments[name].encode("latin-1")
    if "phase" in arguments:
        arguments["phase"] = _named(Phase, arguments["phase"])
    if "config" in arguments:
        arguments["config"] = _config(arguments["config"])
    return Operation(verb, arguments)


def _config(values: dict[str, Any]) -> SessionConfig:
    try:
        return SessionConfig(**{**values, "policy": _named(Policy, values.get("policy"))})
    except TypeError as error:
        raise CaseError(f"has no good configuration: {error}") from error


def _named(kind: type[Phase] | type[Policy], name: Any) -> Any:
    if not isinstance(name, str) or name not in kind.__members__:
        raise CaseError(f"has no {kind.__name__} {name!r}")
    return kind[name]


def _typed(line: dict[str, Any], name: str, kind: type) -> Any:
    value = line.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CaseError(f"has {name} {value!r}, not {kind.__name__}")
    return value
