"""A long differential run: a device against the golden model, scenario after scenario, each with another seed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from tag34.contract import RULE_VERDICT
from tag34.device import Device, MessageRecord, open_device

from .differential import Difference, Said, listen, perform_unbroken, unlike
from .messages import Peer
from .soak_case import Case, Opener, Stalls, counters_unlike, difference, open_stalled
from .traffic import HALTING_MIX, MIX, Operation, perform, scenario

#: Operations, and bytes, that are compared at a time where the device gets them unbroken.
_BATCH_OPERATIONS = 2000
_BATCH_BYTES = 1 << 16


@dataclass
class Outcome:
    """What came of a run.

    Members: ``messages`` judged; ``rules``, by the rule that decided; ``scenarios``; ``cycles`` of the device, 0 where
    there are none; ``seconds``; ``difference`` and ``case``, None if there is none.
    """

    messages: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    scenarios: int = 0
    cycles: int = 0
    seconds: float = 0.0
    difference: Difference | None = None
    case: Case | None = None

    def count(self, said: Said) -> None:
        """Count the messages that were judged."""
        judged = Counter(record.rule for record in said.records if type(record) is MessageRecord)
        self.messages += judged.total()
        for rule, count in judged.items():
            self.rules[rule.id] += count


class Soak:
    """Runs scenarios until enough messages have been judged or the device differs from the golden model.

    The size of the device is the same all the time; seeds decide all else: sessions' configurations, peers, what they
    send, how it is cut and mixed, pauses of the streams, and whether bytes of different sessions go in without a
    pause between them.

    Parameters:
        url, options: of the device.
        seed: decides everything.
        opener: of devices.
        clock: tells seconds.

    Members: ``outcome``, so far.
    """

    def __init__(
        self,
        url: str,
        options: dict[str, int],
        seed: int,
        opener: Opener = open_device,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outcome = Outcome()
        self._case = Case(url, options, None, True, [])
        self._seed = seed
        self._opener = opener
        self._clock = clock

    def run(self, messages: int, progress: Callable[[int], None] = lambda done: None) -> Outcome:
        """Judge ``messages`` or a few more. ``progress`` is told how many it were so far. Raises what the device's
        opening raises."""
        outcome, started = self.outcome, self._clock()
        try:
            while outcome.messages < messages and outcome.difference is None:
                self._scenario(random.Random(f"tag34 soak {self._seed} {outcome.scenarios}"), messages, progress)
                outcome.scenarios += 1
        finally:
            outcome.seconds = self._clock() - started
        return outcome

    def _scenario(self, rng: random.Random, messages: int, progress: Callable[[int], None]) -> None:
        case = replace(self._case, stalls=_stalls(rng), unbroken=rng.random() < 0.9, operations=[])
        with self._opener("model:", **case.options) as model, open_stalled(case, self._opener) as device:
            try:
                with ThreadPoolExecutor(max_workers=1) as pool:
                    self._compare(case, model, device, _life(rng, case, model), messages, progress, pool)
            finally:
                self.outcome.cycles += cycles(device)
            if self.outcome.difference is None:
                self._found(case, counters_unlike(model, device, case.operations))

    def _compare(
        self,
        case: Case,
        model: Device,
        device: Device,
        operations: Iterator[Operation],
        messages: int,
        progress: Callable[[int], None],
        pool: Executor,
    ) -> None:
        """The model goes ahead, because its state says what comes next, and the device follows batch by batch. A
        simulation that is compiled works in the background."""

        def settle(batch: Sequence[Operation], wanted: Said, got: Future[Said]) -> None:
            said = got.result()
            case.operations.extend(batch)
            self._found(case, unlike(len(case.operations) - 1, batch[-1], wanted, said))
            self.outcome.count(wanted)
            progress(self.outcome.messages)

        waiting: tuple[Sequence[Operation], Said, Future[Said]] | None = None
        for batch, refused in _batches(operations, model, case.unbroken):
            wanted = listen(model, batch, refused)
            if waiting is not None:
                settle(*waiting)
            if self.outcome.difference is not None:
                return
            waiting = batch, wanted, pool.submit(_follow, device, batch)
            if self.outcome.messages >= messages:
                break
        if waiting is not None:
            settle(*waiting)

    def _found(self, case: Case, found: Difference | None) -> None:
        self.outcome.difference = found
        self.outcome.case = None if found is None else case


def _life(rng: random.Random, case: Case, model: Device) -> Iterator[Operation]:
    """The operations of a scenario. The model has to carry out each before the next one is taken."""
    info = model.info
    pieces = rng.choice((100, 500, 2000, 4000)) + 15 * info.sessions
    return scenario(
        rng,
        messages=pieces if case.unbroken else min(pieces, 300),
        sessions=info.sessions,
        window=info.window,
        max_message=info.max_message,
        mix=_swarm(rng),
        peers=[_peer(rng, index) for index in range(info.sessions)],
        watch=model.state,
    )


def _batches(
    operations: Iterator[Operation], model: Device, unbroken: bool
) -> Iterator[tuple[list[Operation], list[str]]]:
    """Operations that the model has carried out and that the device gets at a time, and what was refused of them."""
    batch: list[Operation] = []
    refused: list[str] = []
    size = 0
    for operation in operations:
        refused += filter(None, [perform(model, operation)])
        batch.append(operation)
        size += len(operation.arguments.get("data", b""))
        if not unbroken or size >= _BATCH_BYTES or len(batch) >= _BATCH_OPERATIONS:
            yield batch, refused
            batch, refused, size = [], [], 0
    if batch:
        yield batch, refused


def _follow(device: Device, batch: Sequence[Operation]) -> Said:
    return listen(device, batch, perform_unbroken(device, batch))


def replay(case: Case, outcome: Outcome, opener: Opener = open_device) -> Difference | None:
    """Run a case again, and count along: the first difference, None if there is none."""
    with opener("model:", **case.options) as model, open_stalled(case, opener) as device:
        found = difference(model, device, case)
        for session in range(model.info.sessions):
            counted = model.counters(session)
            for rule in RULE_VERDICT:
                outcome.rules[rule.id] += counted[rule.id]
        outcome.messages = outcome.rules.total()
        outcome.cycles = cycles(device)
    return found


def cycles(device: Device) -> int:
    """Cycles that the device has simulated, 0 where there are none."""
    return int(getattr(getattr(device, "core", None), "cycles", 0))


def _stalls(rng: random.Random) -> Stalls | None:
    """Every fourth scenario has pauses."""
    if rng.random() < 0.75:
        return None
    shares = (0.0, 0.1, 0.1, 0.3, 0.6)
    return Stalls(rng.getrandbits(32), rng.choice(shares), rng.choice(shares))


def _swarm(rng: random.Random) -> dict[str, float]:
    """A mix in which some kinds are frequent and some are missing: rare kinds meet in ways in which all together
    never would."""
    return {kind: weight * rng.choice((0, 0.3, 1, 1, 3)) for kind, weight in (MIX | HALTING_MIX).items()} | {
        "in_order": 50
    }


def _peer(rng: random.Random, index: int) -> Peer:
    """A counterparty of any version, with CompIDs of any length."""
    version = rng.choice(("FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.4", "FIX.4.4", "FIXT.1.1", "FIX"))
    sender = f"P{index}".ljust(rng.choice((1, 5, 63)), "-") if rng.random() < 0.3 else f"PEER{index}"
    return Peer(version, sender, rng.choice(("TAG34", "T", "T" * 63)) if rng.random() < 0.3 else "TAG34")
