"""Synthesize and route what was asked for, and gather what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .area import area_by_component
from .measure import AreaOf, ClockOf, key_of
from .ring import build, convert
from .route import Routed, route
from .synthesis import Netlist, synthesize
from .targets import Part, Size
from .tools import ToolError

#: Takes a line that tells how far it is.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """How it is done: ``component`` in the ring (the core, if it is for the tables), ``build`` folder, ``jobs`` at a
    time, and where to tell."""

    build: Path
    jobs: int
    say: Say
    component: str = "core"

    def netlists(self, sizes: Iterable[Size]) -> dict[Size, Netlist | ToolError]:
        """Netlists of the sizes, each only once; the error where there is none."""

        def one(size: Size) -> Netlist | ToolError:
            try:
                name, made = build(self.component, size.shape())
                netlist = synthesize(convert(name, made), self.build)
            except ToolError as error:
                self.say(f"{size}: {first_line(error)}")
                return error
            self.say(f"{size}: {'synthesized before' if netlist.cached else 'synthesized'}")
            return netlist

        wanted = list(dict.fromkeys(sizes))
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            return dict(zip(wanted, pool.map(one, wanted), strict=True))

    def routes(
        self, netlists: Sequence[tuple[Part, Size, Netlist]], seeds: Sequence[int]
    ) -> dict[tuple[Part, Size], list[Routed] | ToolError]:
        """Routes of the netlists with all seeds; the error if one of them fails."""

        def one(job: tuple[Part, Size, Netlist, int]) -> Routed | ToolError:
            part, size, netlist, seed = job
            try:
                routed = route(netlist, part, seed)
            except ToolError as error:
                self.say(f"{part.name}, {size}, seed {seed}: {first_line(error)}")
                return error
            self.say(f"{part.name}, {size}, seed {seed}: {routed.mhz} MHz")
            return routed

        jobs = [(*what, seed) for what in netlists for seed in seeds]
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            done = list(pool.map(one, jobs))
        found: dict[tuple[Part, Size], list[Routed] | ToolError] = {}
        for (part, size, _, _), result in zip(jobs, done, strict=True):
            before = found.setdefault((part, size), [])
            if isinstance(result, ToolError):
                found[part, size] = result
            elif isinstance(before, list):
                before.append(result)
        return found

    def clocks(self, cells: Sequence[tuple[Part, Size]], seeds: Sequence[int]) -> list[ClockOf]:
        """Clock of each size on each part, in the order asked for."""
        netlists = self.netlists(size for _, size in cells)
        ready = [(part, size, made) for part, size in cells if isinstance(made := netlists[size], Netlist)]
        routes = self.routes(ready, seeds)
        return [clock_of_cell(part, size, netlists[size], routes.get((part, size), [])) for part, size in cells]

    def areas(self, sizes: Sequence[Size]) -> list[AreaOf]:
        """Area of each size, in the order asked for."""
        netlists = self.netlists(sizes)
        return [area_of_cell(size, netlists[size]) for size in sizes]


def first_line(error: object) -> str:
    """The first line of an error's text."""
    return str(error).partition("\n")[0]


def clock_of_cell(part: Part, size: Size, made: Netlist | ToolError, routes: list[Routed] | ToolError) -> ClockOf:
    """What came out for one size on one part."""
    if isinstance(made, ToolError) or isinstance(routes, ToolError):
        error = made if isinstance(made, ToolError) else routes
        return ClockOf(part.name, size.width, size.sessions, size.as_data(), {}, (), {}, first_line(error))
    worst = min(routes, key=lambda result: (result.mhz, result.seed))
    return ClockOf(
        part=part.name,
        width=size.width,
        sessions=size.sessions,
        shape=key_of(size.shape()),
        mhz={result.seed: result.mhz for result in routes},
        paths=worst.paths,
        components=area_by_component(made),
    )


def area_of_cell(size: Size, made: Netlist | ToolError) -> AreaOf:
    """What came out for one size."""
    if isinstance(made, ToolError):
        return AreaOf(size.width, size.sessions, size.as_data(), {}, first_line(made))
    return AreaOf(size.width, size.sessions, key_of(size.shape()), area_by_component(made))
