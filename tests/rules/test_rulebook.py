"""The rules are complete: each lives somewhere, each has its tests, and the page is what the sources say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tag34.contract import HEADER_TAGS, Rule
from tag34_sim.rulebook import RULES, SIDES
from tests.formal.__main__ import harnesses
from tests.rules import page, sources

#: A rule's id at the beginning of what is behind ``test_`` in a test's name.
ID_OF_A_NAME = re.compile(r"([FRSHfrsh]\d+[a-f]?)_")


def test_the_page_is_what_the_sources_say() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "docs/rules.md is stale: run `make docs`"


def test_every_rule_has_its_line_on_the_page() -> None:
    lines = re.findall(r"^\| \[([FRSH]\d+[a-f]?)\]\(#[a-z0-9]+\) \|", page.page(), re.MULTILINE)
    assert lines == list(RULES)


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule is not Rule.NONE])
def test_a_rule_of_the_contract_is_written_down(rule: Rule) -> None:
    assert rule.id in RULES


def test_the_header_tags_of_the_contract_are_written_down() -> None:
    listed = re.search(r"standard header fields: ([\d ]+)", RULES["F2"].then)
    assert listed
    assert frozenset(map(int, listed[1].split())) == HEADER_TAGS


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_lives_where_it_says(rule: str) -> None:
    row = RULES[rule]
    for side in SIDES:
        for name in row.places(side):
            sources.place(side, name)
    homes = {side for side in SIDES if row.places(side)}
    assert homes >= ({"host"} if rule.startswith("H") else {"gateware"}), "nothing does what this rule says"
    assert "golden" in homes or rule.startswith("H") or row.note, (
        "the golden model does not know it, and nobody says why"
    )


@pytest.mark.parametrize("rule", RULES)
def test_where_a_rule_lives_it_is_named(rule: str) -> None:
    """Each side that has to do it: at least one of its files says so."""
    named_as = {"R10f": "R10"}.get(rule, rule)  # a HOLD as any other
    for side in ["host"] if rule.startswith("H") else ["golden", "gateware"]:
        places = [sources.place(side, name) for name in RULES[rule].places(side)]
        assert not places or any(named_as in sources.named_rules(place.path) for place in places), places


@pytest.mark.parametrize("name", ["rules:Session.judge", "rule:Session", "rules", "rules:"])
def test_a_place_that_is_not_there_is_found_out(name: str) -> None:
    with pytest.raises(LookupError, match=re.escape(name)):
        sources.place("golden", name)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_tests_or_says_why_not(rule: str) -> None:
    assert sources.tests().get(rule) or RULES[rule].note


def test_markers_and_proofs_name_rules_that_exist() -> None:
    assert set(sources.tests()) <= set(RULES)
    assert set(sources.proofs()) <= set(RULES)


def test_a_test_that_is_named_after_a_rule_is_marked_with_it() -> None:
    wrong = []
    for path in sorted((sources.ROOT / "tests").rglob("*.py")):
        for test, marked in sources.marked_tests(path):
            rest = test.name.removeprefix("test_")
            while match := ID_OF_A_NAME.match(rest):
                rule, rest = match[1][0].upper() + match[1][1:], rest[match.end() :]
                if rule not in marked:
                    wrong.append(f"{test.path}: {test.name} is not marked with {rule}")
    assert not wrong, "\n".join(wrong)


MARKED = """
import cocotb
import pytest

pytestmark = [pytest.mark.rule("F1"), pytest.mark.slow]

@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.rule("R2"))])
@pytest.mark.rule("R1", "R2")
def test_one(x):
    def test_inside():
        pass

@cocotb.test()
@cocotb.parametrize(x=[1])
@pytest.mark.rule("R3")
async def two(dut):
    pass

def helper():
    pass

class TestThree:
    @pytest.mark.rule("R4")
    def test_four(self):
        pass
"""


def test_markers_are_found_wherever_pytest_and_cocotb_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    path = tmp_path / "test_marked.py"
    path.write_text(MARKED, encoding="utf-8")
    assert [(test.path, test.name, ids) for test, ids in sources.marked_tests(path)] == [
        ("test_marked.py", "test_one", ["F1", "R2", "R1"]),
        ("test_marked.py", "two", ["F1", "R3"]),
        ("test_marked.py", "TestThree.test_four", ["F1", "R4"]),
    ]


def test_an_id_that_is_not_written_out_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    path = tmp_path / "test_marked.py"
    path.write_text("@pytest.mark.rule(ID)\ndef test_one(): pass\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has to be written out, not ID"):
        sources.marked_tests(path)


def test_every_property_of_a_rule_is_named_with_it() -> None:
    text = page.page()
    for harness in harnesses():
        for stated in harness.properties:
            for rule in set(stated.rules) & set(RULES):
                section = text.partition(f"\n### {rule}\n")[2].partition("\n### ")[0]
                assert f"[`{stated.name}`](proofs.md#{harness.__name__.lower()})" in section


@pytest.mark.parametrize(("mark", "says"), [('"R8", "R99"', "'R99'"), ("", "no rule")])
def test_a_marker_without_a_rule_fails_the_collection(tmp_path: Path, mark: str, says: str) -> None:
    path = tmp_path / "test_wrong.py"
    path.write_text(f"import pytest\n\n@pytest.mark.rule({mark})\ndef test_one(): pass\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(sources.ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
        + ["-p", "tests.rules.markers", str(path)],
        cwd=sources.ROOT,
        env={**os.environ, "PYTHONPATH": str(sources.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"test_one is marked with {says}: the rules are those of tag34_sim.rulebook" in run.stdout
    assert run.returncode == pytest.ExitCode.INTERRUPTED
