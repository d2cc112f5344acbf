"""The gateware against the golden model, message by message: headers and bodies of fields that are nearly right, each
message judged by itself in a session that is set up anew."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from tag34.contract import DATA_FIELDS, HEADER_TAGS, MAX_SEQ, Phase
from tag34.device import open_device
from tag34_sim.differential import compare
from tag34_sim.messages import Peer, frame
from tag34_sim.traffic import Operation, perform
from tests.sim.conftest import MADE, Made
from tests.sim.test_differential import devices

PEER = Peer()
#: The tags that count.
COUNT = [35, 34, 49, 56, 43, 97, 36, 123, 141]
#: The next inbound number of each message.
EXPECTED = 40
MESSAGES = 250


def near(rng: random.Random, tag: int) -> str:
    """A tag that is nearly the one given."""
    text = str(tag)
    digit = rng.randrange(10)
    at = rng.randrange(len(text))
    return rng.choice(
        [
            f"{text}{digit}",
            f"{digit}{text}",
            f"{text}{digit:04}",
            f"{digit + 1}000{text}",
            f"0{text}",
            text[:at] + text[at + 1 :],
            text[:at] + str(digit) + text[at + 1 :],
            text[:at] + chr(ord(text[at]) ^ 1 << rng.randrange(8)) + text[at + 1 :],
            text[::-1],
            text + rng.choice(" :/x+-.\x00"),
            str(tag + rng.choice((-1, 1, 2, -2, 256, 4096))),
        ]
    )


def seq_text(rng: random.Random, around: int) -> str:
    """A sequence number in some spelling, some of them illegal."""
    value = around + rng.choice((-2, -1, 0, 0, 0, 1, 2, 3))
    return rng.choice(
        [
            *(str(value),) * 8,
            *(
                f"{value:010}",
                f"{value:011}",
                f"{value:025}",
                f"{value}{rng.choice(' :/x.')}",
                f"{rng.choice(':/-+ ')}{value}",
            ),
            *(
                str(MAX_SEQ),
                str(MAX_SEQ + 1),
                str(value + 2**32),
                str(value + 10**10),
                str(value * 10),
                "",
                "0",
                "00000000000",
            ),
        ]
    )


def value_of(rng: random.Random, tag: int) -> str:
    """A value for a tag that counts, right or nearly right."""
    if tag in (34, 36):
        return seq_text(rng, EXPECTED)
    if tag in (43, 97, 123, 141):
        return rng.choice(["Y", "Y", "Y", "N", "", "y", "YY", "NY", "YN", "X", "\x59\x20"])
    if tag == 35:
        return rng.choice(
            ["D", "8", "A", "4", "2", "0", "AA", "44", "22", "4A", "", "ABCD", "ABCDE", "ABCDA", "a", "\xc1", "B"]
        )
    right = PEER.sender if tag == 49 else PEER.target
    at = rng.randrange(len(right))
    wrong = [right[:-1], right + "X", right[:at] + chr(ord(right[at]) ^ 1 << rng.randrange(7)) + right[at + 1 :], ""]
    return rng.choice([*(right,) * 12, *wrong])


def data_fields(rng: random.Random) -> list[tuple[str, str]]:
    """A length field and its data field, the length right, nearly right or none; the data looks like fields."""
    length, data = rng.choice(sorted(DATA_FIELDS.items()))
    tag = rng.choice((36, 123, 141, 34, 43))
    text = rng.choice(["", "\x01"]) + f"{tag}={value_of(rng, tag)}" + rng.choice(["", "\x01", "\x01x"])
    size = len(text.encode("latin-1"))
    measure = rng.choice(
        [
            *(str(size),) * 6,
            *(
                str(size + 1),
                str(size - 1),
                f"{size:06}",
                f"{size:07}",
                "",
                "0",
                f"{size}x",
                f"{size}:",
                f"{size + 2**20}",
            ),
        ]
    )
    pair = [(str(length), measure), (str(data), text)]
    return rng.choice([pair, pair, pair, [pair[0], ("58", "x"), pair[1]], pair[::-1], [pair[0], pair[0], pair[1]]])


def message(rng: random.Random) -> bytes:
    """One message; now and then its header has everything in its place."""
    msg_type = value_of(rng, 35)
    header = [(str(tag), value_of(rng, tag)) for tag in (49, 56, 34)]
    header += [(str(tag), value_of(rng, tag)) for tag in (43, 97) if rng.random() < 0.4]
    if rng.random() < 0.7:
        header[:2] = [("49", PEER.sender), ("56", PEER.target)]
    header += [("52", "20240229-23:59:59")]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        tag = rng.choice(COUNT)
        extra = rng.choice([str(tag), near(rng, tag), str(rng.choice(sorted(HEADER_TAGS - {8, 9})))])
        header.append((extra, value_of(rng, tag)))
    if rng.random() < 0.4:
        rng.shuffle(header)
    body: list[tuple[str, str]] = []
    if msg_type == "4" and rng.random() < 0.6:
        body = [("123", "Y"), ("36", str(EXPECTED + rng.randrange(6)))]
    for tag in rng.sample((36, 123, 141), 3):
        if rng.random() < 0.7:
            body.append((str(tag), value_of(rng, tag)))
    for _ in range(rng.choice((0, 0, 1, 2))):
        tag = rng.choice(COUNT)
        body.insert(rng.randrange(len(body) + 1), (rng.choice([str(tag), near(rng, tag)]), value_of(rng, tag)))
    for _ in range(rng.choice((0, 0, 1, 2))):
        at = rng.randrange(len(body) + 1)
        body[at:at] = data_fields(rng)
    fields = [("35", msg_type), *header, *body]
    joined = [f"{tag}={value}\x01" for tag, value in fields]
    if rng.random() < 0.1:
        at = rng.randrange(1, len(joined) + 1)
        joined.insert(at, rng.choice(["\x01", "58\x01", "34\x01", "=\x01", "=Y\x01", "\x0134=7\x01"]))
    return frame("".join(joined).encode("latin-1"), begin_string=PEER.begin_string)


def each_by_itself(rng: random.Random, messages: Sequence[bytes], sessions: int) -> Iterator[Operation]:
    """A new connection for each message, and one in order behind it."""
    for session in range(sessions):
        yield Operation("configure", {"session": session, "config": PEER.config()})
    for data in messages:
        session = rng.randrange(sessions)
        phase = rng.choice([Phase.ACTIVE, Phase.ACTIVE, Phase.LOGON])
        yield Operation("set_expected", {"session": session, "expected": EXPECTED})
        yield Operation("connect", {"session": session, "phase": phase})
        yield Operation("receive", {"session": session, "data": data})
        yield Operation("receive", {"session": session, "data": PEER.order(EXPECTED)})


@pytest.mark.rule("F2", "R2", "R4")
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("seed", range(6))
def test_messages_of_fields_that_are_nearly_right(made: Made, seed: int) -> None:
    rng = random.Random(f"{seed} fields")
    model, gateware = devices("shared", made)
    with model, gateware:
        gateware.stalls(seed, 0.2 * (seed % 2), 0.2 * (seed % 2))
        script = each_by_itself(rng, [message(rng) for _ in range(MESSAGES)], model.info.sessions)
        difference = compare(model, gateware, script)
        assert difference is None, f"seed {seed}, {made}: {difference}"


def test_the_messages_have_all_kinds_of_fate() -> None:
    """What is generated is not all alike: at least these rules decide."""
    rng = random.Random("34 fields")
    with open_device("model:") as model:
        for operation in each_by_itself(rng, [message(rng) for _ in range(2000)], 1):
            perform(model, operation)
        judged = model.counters(0)
    for rule in ("R2", "R3", "R3b", "R4", "R6", "R7", "R7a", "R8", "R9a", "R9b", "R10", "R10c", "R10d"):
        assert judged[rule], rule
