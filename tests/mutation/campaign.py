"""A campaign: the cores with faults are built, each fault goes through the stages, and what became of it is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tag34_hdl.core import Core
from tag34_hdl.layouts import Shape
from tests.sim.test_differential import SHAPES

from . import equivalence, mutants, relation, suite
from .children import Broken, fan_out
from .faults import Fault, pick, place, plant, transfer
from .netlist import prepare
from .scenarios import Script, scripts
from .suite import ROOT, Suite, file_of
from .survivors import reason

#: Faults are picked in the shape that has most in it.
REFERENCE = "shared"
#: Scenarios that each fault goes through before it is asked whether it can be told at all.
FIRST = 14
#: What is around the gateware in scenarios and tests.
AROUND = (
    "host/tag34/contract/__init__.py",
    *(f"host/tag34/{name}.py" for name in ("checked_device", "core_device", "device", "records")),
    "sim/tag34_sim/golden",
    *(f"sim/tag34_sim/{name}.py" for name in ("differential", "hostile", "messages", "model_device", "peer_traffic")),
    *(f"sim/tag34_sim/{name}" for name in ("harness.cpp", "sim_device.py", "traffic.py", "verilator.py")),
)
#: What decides whether a fault is proved to make no difference.
PROOFS = tuple(f"tests/mutation/{name}.py" for name in ("equivalence", "invariants", "relation"))
#: CPU time for all scenarios, and for all tests, of one core: many times what a whole one takes.
SECONDS = 900
#: CPU time for the one scenario or test that killed a fault before.
SECONDS_AGAIN = 150


@dataclass(frozen=True)
class Fate:
    """What became of a fault: ``how`` is ``scenario``, ``test`` (killed), ``equivalent`` or ``survived``; ``by``, what
    killed it."""

    how: str
    by: str = ""

    @property
    def killed(self) -> bool:
        """Whether the tests saw it."""
        return self.how in ("scenario", "test")


class Store:
    """What is known of the faults of earlier runs, by a key of all that it depends on; written at once.

    Parameters: ``path``, of the file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._known: dict[str, Any] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                key, value = json.loads(line)
                self._known[key] = value

    def get(self, key: str) -> Any:
        """None if it is not known."""
        return self._known.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep it."""
        if self._known.get(key) == value:
            return
        self._known[key] = value
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps([key, value]) + "\n")


def digest(*parts: Any) -> str:
    """A short hash."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def kind(stage: str) -> str:
    """What a fault is killed by in a stage: ``scenario`` or ``test``."""
    return stage.rpartition(" ")[2]


@cache
def sources(*paths: str) -> str:
    """A hash of these Python sources of the project, as they were when it was first asked for; of a folder, all that
    are in it."""
    files = [file for path in paths for file in (sorted((ROOT / path).rglob("*.py")) or [ROOT / path])]
    return digest(*(part for file in files for part in (file.relative_to(ROOT), file.read_text(encoding="utf-8"))))


def depends(stage: str, by: str) -> str:
    """A hash of what it depends on that ``by`` killed a fault: the source of a test, or of the scenarios."""
    if stage.endswith("scenario"):
        return sources("tests/mutation/scenarios.py", "tests/sim/test_differential.py")
    file = file_of(by)
    # A core that hangs names no test.
    return sources(file if (ROOT / file).is_file() else "tests/sim", "tests/sim/conftest.py", "tests/sim/bench.py")


def silent(file: str) -> str:
    """A hash of what it depends on that no test of a file tells a fault: the file, and what tests take from others."""
    return digest(depends("test", file), sources("tests/sim/test_differential.py"))


class Campaign:
    """Faults in the cores of all shapes of the tests.

    Parameters: ``build``, a folder; ``seed``, which decides the faults; ``sample``, how many of them, evenly over all,
    None: all; ``components``, names, empty: all; ``jobs``, processes; ``tell``, takes a line on what goes on.

    Members: ``faults``.
    """

    def __init__(
        self,
        build: Path,
        seed: int,
        sample: int | None = None,
        components: Collection[str] = (),
        jobs: int = 2,
        tell: Callable[[str], None] = print,
    ):
        self._build, self._jobs, self._tell = build, jobs, tell
        build.mkdir(parents=True, exist_ok=True)
        self._store = Store(build / "known.jsonl")
        self._netlists = {name: prepare(Core(Shape(**options)), build / name) for name, options in SHAPES.items()}
        faults = pick(self._netlists[REFERENCE], seed)
        if components:
            faults = [fault for fault in faults if fault.component in components]
        if sample is not None:
            faults = [faults[index * len(faults) // sample] for index in range(min(sample, len(faults)))]
        self.faults = faults
        self._planted: dict[str, list[Fault]] = {}
        self._libraries: dict[Shape, Path] = {}
        self._sampled = sample is not None
        self._gateware = digest(*(netlist.text for netlist in self._netlists.values()), sources(*AROUND))

    def run(self) -> dict[int, Fate]:
        """Build the cores, and what became of each fault. RuntimeError if a core without a fault does not pass."""
        self._plant()
        fates: dict[int, Fate] = {}

        def stages(tests: Suite) -> None:
            fates.update(self._stages(tests))

        suite.run(stages)
        return fates

    def _plant(self) -> None:
        reference = self._netlists[REFERENCE]
        for name, netlist in self._netlists.items():
            self._planted[name] = transfer(self.faults, reference, netlist)

        def build(name: str) -> str:
            text = plant(self._planted[name], self._build / name)
            return str(mutants.library(Shape(**SHAPES[name]), text))

        self._tell(f"{len(self.faults)} faults; building {len(SHAPES)} cores with them")
        for name, path in self._each(build, SHAPES, "the core of the shape {} cannot be built"):
            self._libraries[Shape(**SHAPES[name])] = Path(path)

    def _each(self, work: Callable[[Any], Any], items: Iterable[Any], failure: str) -> Iterable[tuple[Any, Any]]:
        """``work`` on each item, in children. RuntimeError, with what ``failure`` says of an item, if one breaks."""
        for item, said in fan_out(work, items, self._jobs, 3600):
            if isinstance(said, Broken):
                raise RuntimeError(f"{failure.format(item)}: {said.reason}")
            yield item, said

    def _stages(self, tests: Suite) -> dict[int, Fate]:
        fates: dict[int, Fate] = {}

        def left() -> list[Fault]:
            return [fault for fault in self.faults if fault.number not in fates]

        def without_reason() -> list[Fault]:
            # That nothing tells what has a reason to survive, the whole campaign shows.
            return [fault for fault in left() if not (self._sampled and reason(fault))]

        told = list(scripts())
        first, others = told[:FIRST], told[FIRST:]
        fates.update(self._again(told, tests))
        for number, by in self._stage("scenario", left(), lambda number: self._scenarios(number, first), SECONDS):
            fates[number] = Fate("scenario", by)
        for number in self._equivalents(left()):
            fates[number] = Fate("equivalent")
        for number, by in self._tested(without_reason(), tests):
            fates[number] = Fate("test", by)
        further = self._stage("further scenario", without_reason(), lambda n: self._scenarios(n, others), SECONDS)
        for number, by in further:
            fates[number] = Fate("scenario", by)
        return {fault.number: fates.get(fault.number, Fate("survived")) for fault in self.faults}

    def _key(self, number: int, *more: str) -> str:
        fault = next((replace(fault, number=0) for fault in self.faults if fault.number == number), None)
        return digest(self._gateware, fault, *more)

    def _keep(self, number: int, stage: str, by: str) -> None:
        self._store.put(self._key(number, stage), [by, depends(stage, by)])
        if by and number:
            self._store.put(self._name(number), [stage, by])

    def _name(self, number: int) -> str:
        """What keeps its meaning when other gateware changes."""
        fault = next(fault for fault in self.faults if fault.number == number)
        return digest("killer", fault.component, place(fault.module), fault.code, fault.what)

    def _again(self, scripts: Iterable[Script], tests: Suite) -> dict[int, Fate]:
        """The faults that are killed by what killed them before, even if that was in other gateware."""
        fates: dict[int, Fate] = {}
        killers: dict[int, tuple[str, str]] = {}
        by_name = {script.name: script for script in scripts}
        for fault in self.faults:
            stage, by = self._store.get(self._name(fault.number)) or ("", "")
            if by and self._store.get(self._key(fault.number, stage)) == [by, depends(stage, by)]:
                fates[fault.number] = Fate(kind(stage), by)
            elif stage == "test" or by in by_name:
                killers[fault.number] = stage, by

        def kill(number: int) -> str:
            stage, by = killers[number]
            return self._tests(number, tests, [by]) if stage == "test" else self._scenarios(number, [by_name[by]])

        self._tell(f"{len(fates)} faults known to be killed, {len(killers)} were killed before something changed")
        for number, said in fan_out(kill, killers, self._jobs, SECONDS_AGAIN):
            stage, by = killers[number]
            if said == by:
                self._keep(number, stage, by)
                fates[number] = Fate(kind(stage), by)
        return fates

    def _stage(
        self, stage: str, faults: list[Fault], work: Callable[[int], str], seconds: int
    ) -> Iterable[tuple[int, str]]:
        """What scenarios killed which faults: what is known from before, and what ``work`` says of the others and of no
        fault."""
        found: dict[int, str] = {}
        missing = []
        for number in (0, *(fault.number for fault in faults)):
            known = self._store.get(self._key(number, stage))
            if known is not None and known[1] == depends(stage, known[0]):
                self._keep(number, stage, known[0])
                found[number] = known[0]
            else:
                missing.append(number)
        self._tell(f"{stage}s: {len(faults)} faults, {len(found)} known")
        for number, by in self._found(stage, missing, work, seconds):
            found[number] = by
            self._keep(number, stage, by)
        return [(number, by) for number, by in found.items() if by]

    def _tested(self, faults: list[Fault], tests: Suite) -> Iterator[tuple[int, str]]:
        """Which test killed which faults. A file of tests that told nothing, and has not changed, is not run again."""
        unknown = {
            number: [file for file in tests.files if self._store.get(self._key(number, "test", file)) != silent(file)]
            for number in (0, *(fault.number for fault in faults))
        }
        missing = [number for number, files in unknown.items() if files]
        self._tell(f"tests: {len(faults)} faults, {len(unknown) - len(missing)} known")
        for number, by in self._found("test", missing, lambda n: self._tests(n, tests, unknown[n]), SECONDS):
            if by:
                self._keep(number, "test", by)
                yield number, by
            else:
                for file in unknown[number]:
                    self._store.put(self._key(number, "test", file), silent(file))

    def _found(
        self, stage: str, missing: Collection[int], work: Callable[[int], str], seconds: int
    ) -> Iterator[tuple[int, str]]:
        """What ``work`` says of each, as it comes."""
        killed = 0
        for done, (number, said) in enumerate(fan_out(work, missing, self._jobs, seconds), 1):
            if isinstance(said, Broken) and said.raised:
                raise RuntimeError(f"fault {number}: {said.reason}")
            by = said.reason if isinstance(said, Broken) else said
            if number == 0 and by:
                raise RuntimeError(f"the core without a fault does not pass: {by}")
            killed += bool(by)
            yield number, by
            if done % 25 == 0:
                self._tell(f"{stage}s: {done} of {len(missing)}, {killed} killed")

    def _scenarios(self, number: int, scripts: Iterable[Script]) -> str:
        """Which scenario tells the fault, if one does."""
        with mutants.instead(self._libraries, number):
            for script in scripts:
                try:
                    same = script.run()
                except Exception:  # noqa: BLE001 - a broken core may do anything
                    same = False
                if not same:
                    return script.name
        return ""

    def _tests(self, number: int, tests: Suite, names: Collection[str]) -> str:
        """Which test of these names, or in files of these names, tells the fault, if one does."""
        with mutants.instead(self._libraries, number):
            return tests.run(names)

    def _equivalents(self, faults: list[Fault]) -> set[int]:
        """The faults that are proved to make no difference, in each of the shapes that they are planted in."""
        proofs = sources(*PROOFS)
        keys = {fault.number: self._key(fault.number, "equivalent", proofs) for fault in faults}
        unknown = {number for number, key in keys.items() if self._store.get(key) is None}
        self._tell(f"equivalence: {len(faults)} faults, {len(faults) - len(unknown)} known")
        left = set(unknown)

        def know(name: str) -> int:
            equivalence.write(self._build / name)
            return len(equivalence.known(self._build / name))

        # The reference first: what is known of it takes longest, and most can be told in it.
        shapes = sorted(SHAPES, key=lambda name: name != REFERENCE)
        for _ in self._each(know, shapes if left else (), "nothing is known of the shape {}"):
            pass
        # One shape after another: what can be told in the first one, the others need not be asked about.
        for name in shapes:
            here = [fault for fault in self._planted[name] if fault.number in left]
            shares = [here[part :: self._jobs] for part in range(min(self._jobs, len(here)))]

            def prove(part: int, name: str = name, shares: list[list[Fault]] = shares) -> list[int]:
                return sorted(relation.proved(shares[part], self._build / name))

            for part, said in self._each(prove, range(len(shares)), f"no proofs of the shape {name}, part {{}}"):
                left -= {fault.number for fault in shares[part]} - set(said)
            self._tell(f"equivalence: {len(left)} of {len(unknown)} not told apart in {name}")
        for number in unknown:
            self._store.put(keys[number], number in left)
        return {fault.number for fault in faults if self._store.get(keys[fault.number])}
