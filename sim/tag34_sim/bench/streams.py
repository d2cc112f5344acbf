"""What is sent through everything that is measured: streams of messages that are all valid and in order, and gaps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..messages import Field, Peer, encode, frame

#: Whose messages these are. Names of one letter: short messages are hard on the gateware.
PEER = Peer("FIX.4.4", sender="V", target="T")
#: The number of the first message of each stream: 1 is the Logon's.
FIRST = 2
#: Messages of a group of the worst case: one of them is missing at first, and comes last.
_GROUP = 8


@dataclass(frozen=True)
class Stream:
    """Messages back to back.

    Members: ``name``; ``messages``, from number FIRST on; ``sessions``: whether a session of a FIX engine accepts them
    (SendingTime and all); ``highest``, the last number.
    """

    name: str
    messages: list[bytes]
    sessions: bool

    @property
    def data(self) -> bytes:
        """All bytes."""
        return b"".join(self.messages)

    @property
    def highest(self) -> int:
        """The last number."""
        return FIRST + len(self.messages) - 1


@dataclass(frozen=True)
class Gap:
    """A message that proves a gap, the one that was missing, and one behind it, before the next gap."""

    proof: bytes
    missing: bytes
    rest: bytes


def short(count: int) -> Stream:
    """64-byte messages. A whole header does not fit: there is no SendingTime, which the device does not look at."""
    messages = []
    for seq in range(FIRST, FIRST + count):
        fields: list[Field] = [(35, "8"), (34, f"{seq:06}"), (49, PEER.sender), (56, PEER.target), (11, f"C{seq:012}")]
        messages.append(frame(encode(fields), begin_string=PEER.begin_string))
    assert {len(message) for message in messages} == {64}
    return Stream("64-byte messages", messages, sessions=False)


def reports(count: int) -> Stream:
    """Execution reports of 250 bytes."""
    messages = []
    for seq in range(FIRST, FIRST + count):
        body: list[Field] = [
            (37, f"O{seq:09}"),
            (11, f"C{seq:09}"),
            (17, seq),
            (150, "F"),
            (39, 2),
            (55, "ACME"),
            (54, 1),
        ]
        body += [(38, 100), (32, 100), (31, "71.25"), (151, 0), (14, 100), (6, "71.25")]
        bare = len(PEER.message("8", f"{seq:06}", [*body, (58, "")]))
        messages.append(PEER.message("8", f"{seq:06}", [*body, (58, "x" * (250 - bare))]))
    assert {len(message) for message in messages} == {250}
    return Stream("250-byte execution reports", messages, sessions=True)


def worst(count: int) -> Stream:
    """What costs most cycles per byte: the shortest messages that have a session's header, all digits of their numbers
    needed, and of each eight the first one missing until the others are there and held. A release takes longer than
    such a message."""
    messages = [
        frame(encode([(35, "0"), (49, PEER.sender), (56, PEER.target), (34, seq)]), begin_string=PEER.begin_string)
        for seq in range(FIRST, FIRST + count)
    ]
    groups = [messages[at : at + _GROUP] for at in range(0, count, _GROUP)]
    turned = [message for first, *others in groups for message in (*others, first)]
    return Stream("shortest messages, seven of eight held", turned, sessions=False)


def gaps(count: int, seed: int, *, apart: int = 1000) -> Iterator[Gap]:
    """Gaps of one message each, the lengths of the messages at random: the proving byte comes in any lane.

    Parameters: ``apart``, bytes that the last message of each is longer: with enough of them a request has left before
    the next gap.
    """
    rng = random.Random(f"{seed} gaps")

    def order(seq: int, *, possdup: bool = False, more: int = 0) -> bytes:
        text = "x" * (rng.randrange(64) + more)
        return PEER.message("D", seq, [(11, f"order-{seq}"), (38, 100), (58, text + ".")], possdup=possdup)

    for seq in range(FIRST, FIRST + 3 * count, 3):
        yield Gap(order(seq + 1), order(seq, possdup=True), order(seq + 2, more=apart))


def logon() -> bytes:
    """The counterparty's Logon, number 1."""
    return PEER.logon(FIRST - 1)
