"""What an attacker would send: messages made to confuse a session engine, most of them with a right CheckSum."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tag34.contract import MAX_SEQ

from .messages import SENDING_TIME, Field, Peer, checksummed, damaged_checksum, encode, frame


@dataclass(frozen=True)
class Aim:
    """What an attacker knows.

    Members: ``rng`` decides everything; ``peer`` whose connection it is; ``seq``, the number that would be next;
    ``window`` and ``max_message`` of the device.
    """

    rng: random.Random
    peer: Peer
    seq: int
    window: int
    max_message: int

    def frame(self, body: bytes, length: int | str | None = None) -> bytes:
        """8, 9 and 10 around ``body``."""
        return frame(body, begin_string=self.peer.begin_string, length=length)

    def header(self, msg_type: str = "D", seq: object = None) -> list[Field]:
        """35, 49, 56, 34."""
        number = str(self.seq if seq is None else seq)
        return [(35, msg_type), (49, self.peer.sender), (56, self.peer.target), (34, number)]

    def target(self) -> bytes:
        """What must not act when it stands where no message can stand: most of it would move numbers."""
        peer, seq = self.peer, self.seq
        return self.rng.choice(
            (
                peer.order(seq),
                peer.order(seq + 1),
                peer.gap_fill(seq, seq + 9),
                peer.reset(seq + 9),
                peer.logon(1, reset=True),
                peer.resend_request(seq),
            )
        )


def lengths(aim: Aim) -> bytes:
    """BodyLength in every spelling; some are legal."""
    body = encode(aim.header())
    size = len(body)
    return aim.frame(
        body,
        aim.rng.choice(
            (f"{size:06}", f"{size:07}", f"+{size}", f" {size}", f"{size} ", f"{size}.0", f"0x{size:x}", f"{size}\x00")
            + (f"-{size}", f"1_{size}", "0", "000000", "", "=", str(size + 1), str(size - 1), str(size + 2**16))
        ),
    )


def inner_ends(aim: Aim) -> bytes:
    """A whole message, its trailer the right one, inside what looks like a longer one."""
    inner = aim.peer.order(aim.seq)
    return (
        inner + aim.rng.choice((b"", b"58=x\x01", aim.target()[1:], b"8=FI")) + b"10=%03d\x01" % aim.rng.randrange(256)
    )


def nested(aim: Aim) -> bytes:
    """A message inside a data field: of the right length, of a wrong one, or of none."""
    rng, data = aim.rng, aim.target()
    msg_type = rng.choice("DA4B")
    length: Field = (95, rng.choice((len(data), len(data), len(data), len(data) - 1, 5, 0, 999999, "", "x", "0000099")))
    between: list[Field] = [(58, "x")] if rng.random() < 0.2 else []
    acts: dict[str, list[Field]] = {"A": [(98, 0), (108, 30)], "4": [(123, "Y"), (36, aim.seq + 1)]}
    own = acts.get(msg_type, [])
    before, after = (own, []) if rng.random() < 0.5 else ([], own)
    return aim.frame(encode([*aim.header(msg_type), *before, length, *between, (96, data), *after]))


def text(aim: Aim) -> bytes:
    """A message inside a field that is no data field: its SOHs close fields."""
    return aim.frame(encode([*aim.header(aim.rng.choice("DB")), (58, aim.target())]))


def fields_twice(aim: Aim) -> bytes:
    """Header fields that come twice, and fields of the body that come twice: the first counts."""
    rng, seq = aim.rng, aim.seq
    fields = aim.header()
    again: list[Field] = [
        (34, seq + 1),
        (34, ""),
        (34, 0),
        (43, "Y"),
        (43, "N"),
        (35, "A"),
        (35, "4"),
        (49, "X"),
        (56, ""),
    ]
    for _ in range(rng.randint(1, 3)):
        fields.insert(rng.randint(1, len(fields)), rng.choice(again))
    return aim.frame(encode(fields))


def body_twice(aim: Aim) -> bytes:
    """36, 123 and 141 that come twice, in a data field too."""
    rng, seq = aim.rng, aim.seq
    new, flag = rng.choice((seq + 1, seq + 3, "")), rng.choice("YN")
    hidden = encode([(36, seq + 5), (123, "Y"), (141, "Y")])
    fields: list[Field] = [(36, new), (36, seq + 2), (123, flag), (123, "Y"), (95, len(hidden)), (96, hidden)]
    if rng.random() < 0.5:
        fields = [(141, rng.choice("YN")), (141, "Y"), (354, len(hidden)), (355, hidden)]
        return aim.frame(encode([*aim.header("A", rng.choice((1, seq))), *fields]))
    rng.shuffle(fields)
    return aim.frame(encode([*aim.header("4"), *fields]))


def behind_the_header(aim: Aim) -> bytes:
    """Header fields behind the first field that is none."""
    rng = aim.rng
    fields = [*aim.header(), (43, "Y"), (97, "Y")]
    fields.insert(
        rng.randint(1, len(fields)), rng.choice(((58, "x"), (11, ""), ("034", 1), ("", ""), (91, "x"), (213, "x")))
    )
    return aim.frame(encode(fields))


def tags(aim: Aim) -> bytes:
    """Tags as no sane peer writes them."""
    rng = aim.rng
    odd = rng.choice(("034", "34 ", " 34", "+34", "3 4", "", "34=34", "\x0034", "\uff14", "343", "3", "4294967330"))
    fields = aim.header()
    fields.insert(rng.randint(1, 4), (odd, aim.seq))
    body = encode(fields)
    return aim.frame(rng.choice((body, body + b"=\x01", body + b"58\x01", body + b"\x01", b"35\x01" + body)))


def numbers(aim: Aim) -> bytes:
    """34 at and beyond what a number can be."""
    seq = aim.seq
    return aim.peer.message(
        aim.rng.choice("D02A4"),
        aim.rng.choice(
            (
                f"{seq:020}",
                f"{seq:0200}",
                2**32 + seq,
                2**64 + seq,
                10**10 + seq,
                MAX_SEQ,
                MAX_SEQ + 1,
                f"{seq} ",
                f"+{seq}",
            )
            + (f"{seq}.", f"{seq},0", f"0x{seq:x}", f"{seq}\x00", f"{seq}e0", "00000000000", "9" * 30, "²")
        ),
    )


def far_away(aim: Aim) -> bytes:
    """Numbers all over the range: what would make a device keep without end."""
    rng, peer = aim.rng, aim.peer
    seqs = [aim.seq + aim.window - 1, aim.seq + aim.window, aim.seq + aim.window + 1, aim.seq + 10**6, 2**31, 2**31 - 1]
    seqs += [MAX_SEQ, MAX_SEQ - 1, aim.seq + 1, aim.seq + aim.window // 2]
    picked = [min(seq, MAX_SEQ) for seq in rng.sample(seqs, rng.randint(1, 5))]
    return b"".join(peer.order(seq, possdup=rng.random() < 0.4) for seq in picked)


def new_numbers(aim: Aim) -> bytes:
    """GapFill and Reset to nowhere."""
    rng, seq = aim.rng, aim.seq
    new = rng.choice(
        (seq, 0, -1, "", "x", f"{seq + 2:030}", 2**32, 2**32 + seq + 1, 2**64 + seq + 1, f"{seq + 1} ", "+9")
    )
    flag = rng.choice(("Y", "Y", "N", "y", "YES", "", " Y"))
    fields: list[Field] = [(123, flag), (36, new)]
    if rng.random() < 0.3:
        fields.reverse()
    return aim.frame(encode([*aim.header("4", rng.choice((seq, seq, seq + 1))), *fields]))


def ladders(aim: Aim) -> bytes:
    """Held GapFills that lead over, into and behind each other, and what they stand on at last."""
    rng, peer, seq = aim.rng, aim.peer, aim.seq
    held = []
    for above in rng.sample(range(1, 9), rng.randint(2, 6)):
        here = seq + above
        new = here + rng.choice((-1, 0, 1, 1, 2, 3, 5))
        held.append(
            rng.choice((peer.gap_fill(here, new), peer.gap_fill(here, new), peer.order(here), peer.logon(here)))
        )
    last = rng.choice((peer.order(seq), peer.gap_fill(seq, seq + rng.randint(1, 4)), b""))
    # What was passed over has given its memory back, if there is room for these.
    beyond = [peer.order(seq + distance) for distance in rng.sample(range(9, 20), rng.randint(0, 6))]
    return b"".join([*held, last, *beyond])


def late_gap_fills(aim: Aim) -> bytes:
    """GapFills from below to above, and to exactly where we are (R9)."""
    rng, peer, seq = aim.rng, aim.peer, aim.seq
    old = max(1, seq - rng.randint(1, 12))
    return b"".join(
        peer.gap_fill(old, seq + rng.choice((-1, 0, 1, 3, aim.window)), possdup=True) for _ in range(rng.randint(1, 3))
    )


def resets(aim: Aim) -> bytes:
    """Logons that nearly begin the numbers anew."""
    rng, peer = aim.rng, aim.peer
    flag = rng.choice(("Y", "Y", "N", "y", "", "YY"))
    seq = rng.choice((1, 1, "01", aim.seq, 2, 0))
    message = peer.message("A", seq, [(98, 0), (108, 30), (141, flag)], possdup=rng.random() < 0.3)
    return damaged_checksum(message) if rng.random() < 0.3 else message


def requests(aim: Aim) -> bytes:
    """ResendRequests at one number, at many, at those that are missing, and back again."""
    rng, seq = aim.rng, aim.seq
    seqs = [seq + rng.choice((0, 1, 1, 2, 5, aim.window - 1, aim.window)) for _ in range(rng.randint(2, 8))]
    return b"".join(
        aim.peer.resend_request(min(at, MAX_SEQ), rng.randint(0, 9), possdup=rng.random() < 0.3) for at in seqs
    )


def replays_of_nothing(aim: Aim) -> bytes:
    """43=Y above the gap, over and over: each would be a reason to ask again (R13a)."""
    rng, seq = aim.rng, aim.seq
    seqs = [seq + rng.randint(1, 6) for _ in range(rng.randint(2, 8))]
    flags: list[bool | str] = [True, True, True, "y", "N", ""]
    return b"".join(aim.peer.message("D", at, possdup=rng.choice(flags)) for at in seqs)


def msg_types(aim: Aim) -> bytes:
    """35 that is none, or nearly one that acts."""
    kinds = ("", " A", "A ", "AA", "a", "44", "4 ", "22", "A\x00", "ABCDEFGH", "4" * 70, "\xff", "=", "A=4", "5" * 5)
    return aim.peer.message(aim.rng.choice(kinds), aim.seq, [(36, aim.seq + 5), (141, "Y")])


def comp_ids(aim: Aim) -> bytes:
    """Nearly our session."""
    rng, peer = aim.rng, aim.peer
    sender = rng.choice((peer.sender + "X", peer.sender[:-1], peer.sender.lower(), "", peer.sender + "\x00", "x" * 90))
    target = rng.choice((peer.target, peer.target, peer.target + " ", "", peer.target[1:]))
    fields: list[Field] = [(35, "D"), (49, sender), (56, target), (34, aim.seq)]
    swapped: list[Field] = [
        (35, "D"),
        (34, aim.seq),
        (115, peer.sender),
        (128, peer.target),
        (58, "x"),
        *aim.header()[1:],
    ]
    return aim.frame(encode(rng.choice((fields, fields, swapped))))


def begin_strings(aim: Aim) -> bytes:
    """8 that is nearly ours, or very long."""
    own = aim.peer.begin_string
    odd = aim.rng.choice(
        (own + ".1", own[:-1], "FIX", "FIX" + own, own + "\x00", own.lower(), "FIX" + "4" * 80, own + "8=FIX")
    )
    return frame(encode(aim.header()), begin_string=odd)


def trailers(aim: Aim) -> bytes:
    """The right sum in a wrong spelling, and what stands in the place of the trailer."""
    rng = aim.rng
    message = aim.peer.order(aim.seq)
    total = int(message[-4:-1])
    ends: list[bytes] = [b"10=%d \x01", b"10=+%02d\x01", b"10=%04d\x01", b"010=%03d\x01", b"10 =%03d\x01", b"10=%03d"]
    ends += [b"10=%03d\x00", b"10=%03d10=000\x01", b"10=\x01%03d", b"11=%03d\x01", b"1\x010=%03d\x01"]
    return message[:-7] + rng.choice(ends) % total + rng.choice((b"", aim.target()))


def sizes(aim: Aim) -> bytes:
    """As long as a message may be, one byte more or less; in one field of the header or in the text."""
    rng = aim.rng
    field = rng.choice((58, 50, 115))
    empty = aim.peer.message("B", aim.seq, [], header=[(field, "")])
    room = aim.max_message - len(empty) - (len(str(aim.max_message)) - 2)
    return aim.peer.message("B", aim.seq, [], header=[(field, "x" * max(0, room + rng.choice((-1, 0, 0, 1))))])


def starts(aim: Aim) -> bytes:
    """8=FIX in places where no message starts, and messages that begin inside of others."""
    rng, message = aim.rng, aim.target()
    at = rng.randint(1, len(message) - 1)
    return rng.choice(
        (
            b"8=FIX" + message,
            b"8=FIX.4.4\x01" + message,
            b"8=FIX.4.4\x019=5\x01" + message,
            b"8=FIX.4.4\x019=7\x0135=D\x01" + message,
            b"8=FI8=F8=" + message,
            message[:at] + message,
            message[:-8] + message,
            aim.peer.message("D", aim.seq, [], header=[(50, "8=FIX"), (57, "9=5")]),
        )
    )


def control_bytes(aim: Aim) -> bytes:
    """Every byte there is, SOH apart, in values and in tags."""
    rng = aim.rng
    junk = bytes(byte for byte in rng.randbytes(rng.randint(1, 60)) if byte != 1)
    fields = aim.header()
    fields.insert(rng.randint(1, 4), (rng.choice((50, 57, 58, 11)), junk))
    body = encode(fields)
    return aim.frame(body + rng.choice((b"", junk + b"\x01", junk + b"=\x01", b"=" + junk + b"\x01")))


def unclosed(aim: Aim) -> bytes:
    """The last field runs into the trailer, or there is a SOH too many."""
    body = encode([*aim.header(), (52, SENDING_TIME)])
    head = encode([(8, aim.peer.begin_string), (9, len(body))])
    return aim.rng.choice(
        (
            checksummed(head + body[:-1] + b"x"),
            checksummed(head[:-1] + b"\x01\x01" + body),
            checksummed(b"\x01" + head + body),
            checksummed(encode([(8, ""), (9, len(body))]) + body),
        )
    )


#: All of the above.
TRICKS: tuple[Callable[[Aim], bytes], ...] = (
    *(lengths, inner_ends, nested, text, fields_twice, body_twice, behind_the_header, tags, numbers, far_away),
    *(new_numbers, ladders, late_gap_fills, resets, requests, replays_of_nothing, msg_types, comp_ids, begin_strings),
    *(trailers, sizes, starts, control_bytes, unclosed),
)


def swallow(aim: Aim) -> bytes:
    """A declared end so far away that what follows is eaten."""
    size = aim.rng.choice((999999, 99999, aim.max_message, aim.max_message + 1))
    return aim.rng.choice((aim.frame(b"", size), aim.frame(encode(aim.header()), size)))


def jump(aim: Aim) -> bytes:
    """A GapFill or a Reset to the end of the numbers (R16a)."""
    rng, peer = aim.rng, aim.peer
    new = MAX_SEQ - rng.choice((0, 0, 1, 2))
    moved = rng.choice(
        (peer.gap_fill(aim.seq, new), peer.reset(new), peer.gap_fill(aim.seq + 1, new) + peer.order(aim.seq))
    )
    return moved + b"".join(peer.order(seq) for seq in range(new, MAX_SEQ + 1)) + rng.choice((b"", peer.order(1)))
