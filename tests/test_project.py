"""The project's own promises: who may import whom, rules that are written down, one version, documents that hold."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import tag34
from tag34_sim.rulebook import RULES

ROOT = Path(__file__).parent.parent

#: Each package: its folder, and which of the four it may import.
LAYERS = {
    "tag34": ("host", {"tag34"}),
    "tag34_hdl": ("hdl", {"tag34", "tag34_hdl"}),
    "tag34_sim": ("sim", {"tag34", "tag34_hdl", "tag34_sim"}),
    "tag34_boards": ("boards", {"tag34", "tag34_hdl", "tag34_boards"}),
}


def imports(path: Path) -> dict[str, int]:
    """Top-level names of all absolute imports in a source file, wherever they stand, and a line each."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found.update((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found[node.module.partition(".")[0]] = node.lineno
    return found


def imports_at_once(path: Path) -> set[str]:
    """Of these, those that stand outside of functions, at the left margin."""
    names = re.findall(r"^(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return set(names)


def sources(package: str) -> list[Path]:
    folder = ROOT / LAYERS[package][0] / package
    files = sorted(folder.rglob("*.py"))
    assert files, f"no sources in {folder}"
    return files


@pytest.mark.parametrize("package", LAYERS)
def test_layers(package: str) -> None:
    allowed = LAYERS[package][1]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {package} must not import {name}"
        for path in sources(package)
        for name, line in imports(path).items()
        if name in LAYERS and name not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_tag34_needs_the_standard_library_only() -> None:
    """But for the extra ``serial``, and that only where a serial port is opened: when it is, not when tag34 is
    imported."""
    serial = {"serial", "cobs"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name} is not in the standard library"
        for path in sources("tag34")
        for name, line in imports(path).items()
        if name != "tag34" and name not in sys.stdlib_module_names
        if not (path.parent.name == "link" and name in serial and name not in imports_at_once(path))
    ]
    assert not wrong, "\n".join(wrong)


def test_rule_ids_named_anywhere_are_written_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {found}"
        for package in LAYERS
        for path in sources(package)
        # The verdict table is in upper case (Rule.R10A): those are the contract's names, covered above.
        for found in re.findall(r"(?<![\w.\"'])[FRSH]\d{1,2}[a-f]?(?![\w(])", ast_docs(path))
        if found not in RULES
    ]
    assert not wrong, "no such rule:\n" + "\n".join(wrong)


def ast_docs(path: Path) -> str:
    """All docstrings of a source file."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    nodes = (
        n for n in ast.walk(tree) if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    )
    return "\n".join(ast.get_docstring(node) or "" for node in nodes)


def test_changelog_has_the_version() -> None:
    # Python 3.10 has no tomllib, and one line needs no parser.
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert newest
    assert newest[1] == version[1]


def markdown() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", markdown(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    dead = [target for target in targets if not target.startswith("http") and not (page.parent / target).exists()]
    assert not dead, f"dead links: {dead}"


def snippets(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page", [page for page in markdown() if snippets(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_snippets_compile_and_import_what_exists(page: Path) -> None:
    for snippet in snippets(page):
        code = compile(snippet, str(page), "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        lines: list[ast.stmt] = [node for node in code.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        exec(compile(ast.Module(lines, []), str(page), "exec"), {})


class _Enough(Exception):
    """The README's program got its first report: it would wait for the next one for ever."""


def test_the_readmes_engine_talks_to_the_guides_venue() -> None:
    [engine_source] = snippets(ROOT / "README.md")
    [venue_source] = [snippet for snippet in snippets(ROOT / "docs" / "guide.md") if "serve" in snippet]
    # What is printed is left as it is, but for the device (any one does here) and for who starts it.
    engine: dict[str, Any] = {}
    exec(engine_source.replace('"sim:"', '"model:"').replace("asyncio.run(main())", ""), engine)
    venue: dict[str, Any] = {}
    exec(venue_source, venue)
    printed: list[tuple[object, ...]] = []

    def show(*values: object) -> None:
        printed.append(values)
        raise _Enough

    engine["print"] = show

    async def both() -> None:
        settings = tag34.SessionSettings("FIX.4.4", sender="VENUE", target="ENGINE", initiator=False)
        async with tag34.serve(venue["handler"], "127.0.0.1", 0, settings) as server:
            with pytest.raises(_Enough):
                await asyncio.wait_for(engine["main"](server.port), timeout=60)

    asyncio.run(both())
    assert printed == [(2, "8", "0")]


def test_make_targets_of_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in markdown():
        named = set(re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8")))
        assert named <= targets, f"{page.relative_to(ROOT)} names {sorted(named - targets)}"
