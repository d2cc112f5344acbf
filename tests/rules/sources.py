"""What the rules page tells of the sources: where a rule lives, which tests show it, which proofs."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tag34_sim.rulebook import RULES, SIDES
from tests.formal.__main__ import harnesses

ROOT = Path(__file__).parents[2]
#: Folder of each package.
FOLDERS = {"tag34": "host", "tag34_hdl": "hdl", "tag34_sim": "sim", "tag34_boards": "boards"}


@dataclass(frozen=True)
class Place:
    """A symbol in a source file: ``path`` below the project's folder, ``symbol`` as Python qualifies it."""

    path: str
    symbol: str


@dataclass(frozen=True)
class Test:
    """A test that is marked with rules: ``path`` below the project's folder, ``name`` of its function."""

    path: str
    name: str


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """All classes and functions, with their qualified names; nothing that is local to a function."""
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _functions(node.body, f"{prefix}{node.name}.")


def place(side: str, name: str) -> Place:
    """The place that a rule names as ``module:symbol``. Raises LookupError if there is no such thing."""
    package = SIDES[side][1]
    module, colon, symbol = name.partition(":")
    path = Path(FOLDERS[package.partition(".")[0]], *package.split("."), *module.split(".")).with_suffix(".py")
    if not colon or not (ROOT / path).is_file():
        raise LookupError(f"{name}: there is no {path}")
    if symbol not in dict(_functions(_tree(ROOT / path).body)):
        raise LookupError(f"{name}: {path} has no class, function or method {symbol}")
    return Place(str(path), symbol)


_ID = re.compile(r"\b([FRSH]\d+[a-fA-F]?)\b(?:`* to `*([FRSH]\d+[a-f]?)\b)?")


def named_rules(path: str) -> set[str]:
    """The rules that a file names, in its text or by :class:`tag34.contract.Rule`; also those of ``R1 to R6``."""
    order, found = list(RULES), set()
    for first, last in _ID.findall((ROOT / path).read_text(encoding="utf-8")):
        begin, end = (name[:1] + name[1:].lower() for name in (first, last or first))
        if begin in RULES and end in RULES:
            found |= set(order[order.index(begin) : order.index(end) + 1])
    return found


def _marked(nodes: list[ast.expr], where: str) -> Iterator[str]:
    """The rule ids of all ``pytest.mark.rule(...)`` in these expressions."""
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.rule":
                calls = [call for call in ast.walk(top) if isinstance(call, ast.Call) and call.func is node]
                for value in calls[0].args if calls else []:
                    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                        raise ValueError(f"{where}: a rule's id has to be written out, not {ast.unparse(value)}")
                    yield value.value


def tests() -> dict[str, list[Test]]:
    """All tests that are marked with rules, by rule id; also those that cocotb runs. By path, then as they stand."""
    found: dict[str, list[Test]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for test, ids in marked_tests(path):
            for rule in ids:
                found[rule].append(test)
    return found


def marked_tests(path: Path) -> list[tuple[Test, list[str]]]:
    """The tests of one file, each with the ids of its markers (a ``pytestmark`` of the file included)."""
    tree, name = _tree(path), str(path.relative_to(ROOT))
    of_all: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["pytestmark"]:
            of_all += _marked([node.value], name)
    tests = []
    for symbol, function in _functions(tree.body):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
        if function.name.startswith("test_") or "cocotb.test()" in decorators:
            ids = [*of_all, *_marked(function.decorator_list, f"{name}: {symbol}")]
            tests.append((Test(name, symbol), list(dict.fromkeys(ids))))
    return tests


@dataclass(frozen=True)
class Proven:
    """A property that is proved: the ``harness`` whose section docs/proofs.md has, its ``name``."""

    harness: str
    name: str


def proofs() -> dict[str, list[Proven]]:
    """All properties of tests/formal that are tied to a rule, by its id, in the order of docs/proofs.md."""
    found: dict[str, list[Proven]] = defaultdict(list)
    for harness in harnesses():
        for stated in harness.properties:
            # What else than a rule it is tied to (a decision) is not for the rules page.
            for rule in filter(_ID.fullmatch, stated.rules):
                found[rule].append(Proven(harness.__name__, stated.name))
    return found
