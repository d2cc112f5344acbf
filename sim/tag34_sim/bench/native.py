"""Peers in C++, compiled into the cache as the gateware is: a scanner of our own, and QuickFIX's library."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.resources
import os
import sys
import tarfile
from pathlib import Path

from ..verilator import BuildError, cached, compiler, run, run_all, writable_cache

#: The source distribution on PyPI that holds QuickFIX's C++ library; the wheel that the demo talks to does not.
QUICKFIX = "quickfix==1.16.0"
#: Nothing of this depends on the machine: a cache may be shared.
_FLAGS = ("-std=c++17", "-O3", "-fPIC")
#: Not the binding, and nothing that needs another library.
_LEFT_OUT = ("QuickfixPython.cpp", "SSL", "UtilitySSL", "MySQL", "PostgreSQL", "Odbc")


def source(name: str) -> str:
    """The text of a C++ file of this package."""
    return importlib.resources.files(__package__).joinpath(name).read_text()


def key(*what: object) -> str:
    """A name for what is made of this by this compiler."""
    return hashlib.sha256(repr((what, compiler(), _FLAGS, sys.platform)).encode()).hexdigest()[:24]


def scanner() -> ctypes.CDLL:
    """The scanner (scanner.cpp). Raises BuildError."""
    text = source("scanner.cpp")

    def make(work: Path, library: Path) -> None:
        (work / "scanner.cpp").write_text(text)
        run([compiler(), *_FLAGS, "-shared", str(work / "scanner.cpp"), "-o", str(work / "scanner.so")])
        os.replace(work / "scanner.so", library)

    loaded = ctypes.CDLL(str(cached(f"scanner-{key(text)}", make)))
    loaded.tag34_scan.restype = ctypes.c_size_t
    loaded.tag34_scan.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
    return loaded


def quickfix(*, build: bool) -> ctypes.CDLL:
    """QuickFIX's C++ library and a driver (quickfix_driver.cpp).

    Parameters: ``build``: fetch its sources from PyPI and compile them, which takes minutes, if it is not in the cache.

    Raises BuildError.
    """
    text = source("quickfix_driver.cpp")
    name = f"quickfix-{key(text, QUICKFIX)}"
    if not build and not (writable_cache() / f"{name}.so").exists():
        raise BuildError("not compiled here; --quickfix-cpp fetches its sources from PyPI and does so, in minutes")

    def make(work: Path, library: Path) -> None:
        compiled = cached(f"quickfix-{key(QUICKFIX)}", make_quickfix, ".o")
        (work / "driver.cpp").write_text(text)
        command = [compiler(), *_FLAGS, "-w", f"-I{fetch(work)}", "-shared", "-pthread", str(work / "driver.cpp")]
        run([*command, str(compiled), "-o", str(work / "driver.so")])
        os.replace(work / "driver.so", library)

    loaded = ctypes.CDLL(str(cached(name, make)))
    size = ctypes.c_size_t
    for name, result, arguments in (
        ("qf_new", ctypes.c_void_p, [ctypes.c_char_p] * 4),
        ("qf_expect", None, [ctypes.c_void_p, ctypes.c_uint]),
        ("qf_run", size, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, size]),
        ("qf_gap", ctypes.c_int64, [ctypes.c_void_p, ctypes.c_char_p, size]),
    ):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def make_quickfix(work: Path, target: Path) -> None:
    """Compile QuickFIX's library to one object file."""
    folder = fetch(work)
    files = [path for path in sorted(folder.glob("*.cpp")) if not path.name.startswith(_LEFT_OUT)]
    objects = [work / f"{path.stem}.o" for path in files]
    flags = (*_FLAGS, "-w", f"-I{folder}", "-c")
    run_all([compiler(), *flags, str(path), "-o", str(into)] for path, into in zip(files, objects, strict=True))
    run([compiler(), "-r", "-nostdlib", *map(str, objects), "-o", str(work / "all.o")])
    os.replace(work / "all.o", target)


def fetch(work: Path) -> Path:
    """QuickFIX's C++ sources, from PyPI; their folder, below ``work``. Raises BuildError."""
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    run([*pip, "--dest", str(work), QUICKFIX])
    [archive] = work.glob("quickfix-*.tar.gz")
    folder = work / "C++"
    folder.mkdir()
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            content = packed.extractfile(member) if "/C++/" in member.name else None
            if content is not None:
                (folder / Path(member.name).name).write_bytes(content.read())
    return folder
