"""The gateware against the golden model: each tag, value and length that is nearly one that counts, one by one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product, zip_longest

import pytest

from tag34.contract import DATA_FIELDS, HEADER_TAGS, MAX_SEQ, Phase
from tag34_sim.differential import compare, listen, perform_unbroken, unlike
from tag34_sim.messages import frame
from tag34_sim.traffic import Operation
from tests.sim.conftest import MADE, Made
from tests.sim.test_differential import devices
from tests.sim.test_differential_fields import COUNT, EXPECTED, PEER, each_by_itself, message

#: A value with which a field makes a difference, and one with which it makes another.
VALUES = {
    35: ("D", "0"),
    34: (str(EXPECTED), str(EXPECTED + 2)),
    49: (PEER.sender, "NOBODY"),
    56: (PEER.target, "NOBODY"),
    43: ("Y", "N"),
    97: ("Y", "N"),
    36: (str(EXPECTED + 5), str(EXPECTED + 9)),
    123: ("Y", "N"),
    141: ("Y", "N"),
}
Fields = list[tuple[int | str, object]]


def of(msg_type: object, seq: object, *more: tuple[int | str, object], body: Fields | None = None) -> bytes:
    """A message; ``more`` stands before 34."""
    header: Fields = [(35, msg_type), (49, PEER.sender), (56, PEER.target), *more, (34, seq), (52, "20240229-23:59:59")]
    text = "".join(f"{tag}={value}\x01" for tag, value in [*header, *(body or [])])
    return frame(text.encode("latin-1"), begin_string=PEER.begin_string)


def carrier(tag: int) -> tuple[str, int]:
    """A MsgType in which the tag makes a difference, and a number."""
    if tag in (36, 123):
        return "4", EXPECTED
    return ("A", 1) if tag == 141 else ("D", EXPECTED - 1 if tag == 43 else EXPECTED)


def first_and_second() -> Iterator[bytes]:
    """Every tag that counts, twice, right and wrong: the first one counts."""
    for tag, (one, other) in VALUES.items():
        msg_type, seq = carrier(tag)
        for pair in ((one, other), (other, one), (one, one), (other, other)):
            twice: Fields = [(tag, value) for value in pair]
            if tag in (36, 123, 141):
                rest: Fields = [(36, EXPECTED + 3), (123, "Y")] if msg_type == "4" else []
                yield of(msg_type, seq, body=[*twice, *rest])
                yield of(msg_type, seq, body=[*rest[::-1], *twice])
                yield of(msg_type, seq, body=[twice[0], *rest, twice[1]])
                continue
            header: Fields = [(35, msg_type), (49, PEER.sender), (56, PEER.target), (34, seq)]
            kept = [field for field in header if field[0] != tag or tag == 35]
            for fields in ([*kept, *twice], [*kept[:1], twice[0], *kept[1:], twice[1]], [*kept[:1], *twice, *kept[1:]]):
                text = "".join(f"{name}={value}\x01" for name, value in fields)
                yield frame(text.encode(), begin_string=PEER.begin_string)


def spellings(least: int = 10) -> Iterator[bytes]:
    """Tags, from ``least`` on, with a digit that is none, though its low bits are those of one, or with another one;
    with a zero or a digit before or behind."""
    for tag in sorted(tag for tag in {*COUNT, *HEADER_TAGS} if tag >= least):
        text = str(tag)
        wrong = {f"0{tag}", f"{tag}0", *(f"{digit}{'0' * (4 - len(text))}{tag}" for digit in "123")}
        for at, high in product(range(len(text)), range(16)):
            byte = chr(ord(text[at]) & 15 | high << 4)
            if byte not in "=\x01":
                wrong.add(text[:at] + byte + text[at + 1 :])
        wrong.update(
            text[:at] + str(int(text[at]) ^ 1 << bit) + text[at + 1 :]
            for at, bit in product(range(len(text)), range(4))
            if int(text[at]) ^ 1 << bit < 10
        )
        for name in sorted(wrong):
            if tag in (36, 123, 141):
                msg_type, seq = carrier(tag)
                rest: Fields = [(36, EXPECTED + 3), (123, "Y")] if msg_type == "4" else []
                yield of(msg_type, seq, body=[(name, VALUES[tag][1]), *rest])
            else:
                # What is no header field ends the header: what comes behind it does not count.
                yield of("D", EXPECTED, (name, VALUES.get(tag, ("x", "x"))[1]))


def numbers() -> Iterator[bytes]:
    """Numbers that differ from the last one in one digit, and powers of ten, with zeros before them."""
    last = str(MAX_SEQ)
    values = {last[:at] + digit + last[at + 1 :] for at, digit in product(range(len(last)), "0123456789")}
    values |= {
        last[:at] + str(int(last[at]) + step) + rest * (len(last) - 1 - at)
        for at, step, rest in product(range(len(last)), (-1, 0, 1), "09")
        if 0 <= int(last[at]) + step <= 9
    }
    values |= {str(10**power + step) for power in range(11) for step in (-1, 0, 1)}
    for value in sorted(values):
        for text in (value, "0" + value, value.zfill(12)):
            yield of("D", text)
        yield of("4", EXPECTED, body=[(123, "Y"), (36, value)])
        yield of("4", 1, body=[(36, value)])


def msg_types() -> Iterator[bytes]:
    """One to five characters that begin with what the rules ask for."""
    for first, rest in product("A42D", ("", "x", "A", "4x", "A4", "xyz", "2222", "AAAA")):
        for seq in (1, EXPECTED, EXPECTED + 1):
            yield of(first + rest, seq, body=[(141, "Y"), (123, "Y"), (36, EXPECTED + 4)])


def data_fields() -> Iterator[bytes]:
    """Each length field before each data field and before others, with lengths in all spellings: what looks like a
    field inside of data counts where it is not data."""
    for length, data in product(sorted(DATA_FIELDS), (*sorted(DATA_FIELDS.values()), 58, 3, 35096)):
        inside = "\x0136=44\x01123=N"
        yield of("4", EXPECTED, body=[(length, len(inside)), (data, inside), (123, "Y"), (36, EXPECTED + 3)])
    for length, data in sorted(DATA_FIELDS.items()):
        for size in (0, 1, 9, 10, 11):
            inside = ("\x01141=Y\x01" + "x" * size)[:size]
            for text in (str(size), *(str(size).zfill(digits) for digits in range(2, 9)), f"{size}:", f"x{size}", ""):
                yield of("A", 1, body=[(length, text), (data, inside), (141, "Y"), (58, "x")])


TOPICS = [first_and_second, spellings, numbers, msg_types, data_fields]
Topic = Callable[[], Iterator[bytes]]


@pytest.mark.rule("F2", "R2", "R4")
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("topic", TOPICS)
def test_F2_what_is_nearly_a_field_that_counts(topic: Topic, made: Made) -> None:
    model, gateware = devices("shared", made)
    with model, gateware:
        script = each_by_itself(random.Random("one by one"), list(topic()), model.info.sessions)
        difference = compare(model, gateware, script)
        assert difference is None, f"{made}: {difference}"


@pytest.mark.rule("F2", "R17")
@pytest.mark.parametrize("made", MADE)
def test_R17_sessions_take_turns_byte_by_byte(made: Made) -> None:
    """Nothing of a field gets lost, or into another session's message, wherever the turn changes."""
    model, gateware = devices("shared", made)
    rng = random.Random("turns")
    messages = [data for topic in TOPICS for data in rng.sample(list(topic()), 40)]
    messages += [*spellings(1000), *(message(rng) for _ in range(100))]
    rng.shuffle(messages)
    with model, gateware:
        sessions = range(model.info.sessions)
        setup = [Operation("configure", {"session": session, "config": PEER.config()}) for session in sessions]
        perform_unbroken(gateware, setup)
        perform_unbroken(model, setup)
        for at in range(0, len(messages), len(sessions)):
            script = []
            for session in sessions:
                script.append(Operation("set_expected", {"session": session, "expected": EXPECTED}))
                script.append(Operation("connect", {"session": session, "phase": Phase.ACTIVE}))
            for turn in zip_longest(*messages[at : at + len(sessions)]):
                for session, byte in enumerate(turn):
                    if byte is not None:
                        script.append(Operation("receive", {"session": session, "data": bytes([byte])}))
            said = [listen(device, script, perform_unbroken(device, script)) for device in (model, gateware)]
            difference = unlike(at, script[-1], *said)
            assert difference is None, f"{made}: {difference}"
