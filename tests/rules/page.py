"""docs/rules.md, made of the rules, the tests' markers and the table of proofs: ``python -m tests.rules.page``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby

from tag34_sim.rulebook import INTRODUCTION, RULES, SIDES, TABLES, WORDS, Row, Table
from tests.rules import sources

PAGE = sources.ROOT / "docs" / "rules.md"

NOTICE = """\
<!-- Made by `make docs` of sim/tag34_sim/rulebook.py, the markers of the tests and the table of tests/formal: change
those. -->"""

CONTENTS = """\
- [Words](#words)
- [F: framing](#f-framing), from bytes to messages
- [R: receiving](#r-receiving), what is decided about a message
- [S: sending](#s-sending), what leaves
- [H: host](#h-host), what is left to software
- [Where each rule lives](#where-each-rule-lives), which tests show it and which proofs"""

WHERE = """\
## Where each rule lives

The places in the golden model, the gateware and the host; the tests that are marked with the rule
(`@pytest.mark.rule`); the [properties](proofs.md) that `make formal` proves. `make coverage` counts how often each rule
is seen at work on each device."""


def cells(row: Row, columns: int) -> list[str]:
    """What stands in a rule's line."""
    texts = [row.then] if columns == 1 else [row.when, row.then]
    return [f"[{row.id}](#{row.id.lower()})", *texts]


def table(part: Table) -> Iterator[str]:
    """A table of rules, its title and lead above it."""
    yield part.title
    if part.lead:
        yield part.lead
    if part.rows:
        lines = [["id", *part.heads], ["---"] * (1 + len(part.heads))]
        lines += [cells(row, len(part.heads)) for row in part.rows]
        yield "\n".join("|" + "|".join(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines)


def bullet(text: str, depth: int = 0) -> str:
    """An item of a list, in lines of bounded length; nothing is broken but at spaces."""
    indent = "  " * depth
    return textwrap.fill(
        text,
        width=120,
        initial_indent=f"{indent}- ",
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def where(row: Row, tests: list[sources.Test], proofs: list[sources.Proven]) -> str:
    """One rule: its places, tests and proofs."""
    lines = [f"### {row.id}", ""]
    for side, (name, _) in SIDES.items():
        places = [sources.place(side, place) for place in row.places(side)]
        if places:
            links = [f"[{place.path.rpartition('/')[2]} `{place.symbol}`](../{place.path})" for place in places]
            lines.append(bullet(f"{name}: {', '.join(links)}"))
    if tests:
        lines.append("- tests:")
        for path, group in groupby(tests, key=lambda test: test.path):
            lines.append(bullet(f"[{path}](../{path}): {', '.join(f'`{test.name}`' for test in group)}", 1))
    if proofs:
        links = [f"[`{proof.name}`](proofs.md#{proof.harness.lower()})" for proof in proofs]
        lines.append(bullet(f"proofs: {', '.join(links)}"))
    if row.note:
        lines.append(bullet(row.note))
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    tests, proofs = sources.tests(), sources.proofs()
    blocks = ["# Session rules", NOTICE, INTRODUCTION, CONTENTS]
    blocks += ["## Words", "Tags are written as bare numbers: *34* is MsgSeqNum, *35=A* a Logon. SOH is the byte 0x01."]
    words = [f"| {word} | {meaning} |" for word, meaning in WORDS.items()]
    blocks.append("\n".join(["| word | meaning |", "|---|---|", *words]))
    for part in TABLES:
        blocks += table(part)
    blocks.append(WHERE)
    blocks += [where(row, tests.get(row.id, []), proofs.get(row.id, [])) for row in RULES.values()]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
