"""Seeded random traffic: what one counterparty on a bad line, or a bad one, may send."""

from __future__ import annotations

import random
from collections.abc import Callable

from tag34.contract import MAX_SEQ

from .hostile import TRICKS, Aim, jump, swallow
from .messages import Field, Peer, checksummed, damaged_checksum, encode, flipped, frame, truncated

#: How often each kind of traffic comes, by the name of the method of :class:`Traffic` that makes it.
MIX: dict[str, float] = {
    "in_order": 50,
    "lost": 7,
    "replayed": 9,
    "doubled": 4,
    "swapped": 4,
    "gap_filled": 2,
    "odd_gap_fill": 2,
    "late_gap_fill": 1,
    "logon": 1,
    "reset_logon": 0.3,
    "resend_request": 3,
    "reset": 2.5,
    "garbled": 4,
    "noise": 2,
    "foreign": 1,
}
#: Kinds that HALT a session (R4, R9b, F5, R16a), may do so, or leave nothing of it that could be judged: more than the
#: others they shorten what a session shows.
HALTING_MIX: dict[str, float] = {
    "no_seqnum": 0.2,
    "too_low": 0.2,
    "oversize": 0.2,
    "hostile": 5,
    "swallowed": 0.1,
    "jumped": 0.1,
}
#: A replay of more messages than this is shortened by GapFills.
_LONG_REPLAY = 30


class Traffic:
    """An endless stream of messages of one peer.

    The peer numbers its messages, loses some, replays what it lost, and behaves badly in many ways. A replay comes
    when the random numbers say so, not when it is asked for.

    Parameters:
        rng: decides everything.
        peer: writes the messages.
        mix: kinds and their weights.
        window, max_message: of the device, so that gaps and sizes fall on both sides of them.
        expected: tells the number that the other side waits for, so that a replay begins there; None: the peer goes by
            what it lost itself.

    Members: ``next_seq``, the number of the next new message; ``missing``, numbers that were used and have not arrived;
    ``halting``, True once there was something that may halt a session.
    """

    def __init__(
        self,
        rng: random.Random,
        peer: Peer | None = None,
        *,
        mix: dict[str, float] | None = None,
        window: int = 64,
        max_message: int = 4096,
        expected: Callable[[], int] | None = None,
    ) -> None:
        mix = {**MIX, **HALTING_MIX} if mix is None else mix
        self.rng = rng
        self.peer = peer or Peer()
        self.next_seq = 1
        self.missing: list[int] = []
        self.halting = False
        self._window = window
        self._max_message = max_message
        self._expected = expected
        self._kinds: list[Callable[[], bytes]] = [getattr(self, kind) for kind in mix]
        self._weights = list(mix.values())

    def next(self) -> bytes:
        """The next piece of traffic: one message, a few, or none."""
        (kind,) = self.rng.choices(self._kinds, self._weights)
        self.halting |= kind.__name__ in HALTING_MIX
        return kind()

    def restart(self, next_seq: int) -> None:
        """Go on from another number, with nothing lost."""
        self.next_seq = min(next_seq, MAX_SEQ)
        self.missing.clear()

    # Kinds of traffic.

    def in_order(self) -> bytes:
        """The next message."""
        return self._any(self._number())

    def lost(self) -> bytes:
        """Nothing: one message or more are lost, now and then more than the window takes."""
        rng = self.rng
        beyond = rng.random() < 0.05
        for _ in range(self._window + rng.randint(-2, 2) if beyond else rng.randint(1, 4)):
            self.missing.append(self._number())
        return b""

    def replayed(self) -> bytes:
        """Replay of all that is missing, up to a random number, some of it as GapFill, perhaps with new losses."""
        rng, out = self.rng, b""
        seq = self._first_missing()
        if seq >= self.next_seq:
            return self.in_order()
        end = self.next_seq if rng.random() < 0.7 else rng.randint(seq, self.next_seq)
        if end - seq > _LONG_REPLAY and (rng.random() < 0.9 or end - seq > 2 * self._window):
            new = end - rng.randint(0, _LONG_REPLAY)
            out += self.peer.gap_fill(seq, new, possdup=True)
            self._arrived(seq, new)
            seq = new
        while seq < end:
            if rng.random() < 0.3:
                new = rng.randint(seq + 1, min(seq + 6, end))
                piece = self.peer.gap_fill(seq, new, possdup=True)
            else:
                new = seq + 1
                piece = self._any(seq, possdup=True)
            if rng.random() < 0.9:
                out += piece
                self._arrived(seq, new)
            seq = new
        return out

    def doubled(self) -> bytes:
        """An old message once more."""
        return self._any(self._old(), possdup=True)

    def swapped(self) -> bytes:
        """Two or three messages in another order."""
        pieces = [self._any(self._number()) for _ in range(self.rng.randint(2, 3))]
        self.rng.shuffle(pieces)
        return b"".join(pieces)

    def gap_filled(self) -> bytes:
        """A GapFill in its turn: some numbers stand for nothing."""
        seq = self._number()
        self.next_seq = min(seq + self.rng.randint(1, 8), MAX_SEQ)
        return self.peer.gap_fill(seq, self.next_seq)

    def odd_gap_fill(self) -> bytes:
        """A GapFill that goes nowhere or back, in its turn or above it."""
        seq = self.next_seq + self.rng.randint(0, 2)
        new = self.rng.choice((None, "", "x", "0", seq, seq - 1, 2**32 + seq, f"000{seq + 1}"))
        return self.peer.gap_fill(seq, new, possdup=self.rng.random() < 0.3)

    def late_gap_fill(self) -> bytes:
        """A GapFill from an old number to one that may be new."""
        return self.peer.gap_fill(self._old(), self.next_seq + self.rng.randint(-2, 2), possdup=True)

    def logon(self) -> bytes:
        """A Logon, in its turn or above it."""
        return self.peer.logon(self._number(), possdup=self.rng.random() < 0.2)

    def reset_logon(self) -> bytes:
        """A Logon that begins the numbers anew."""
        self.restart(2)
        return self.peer.logon(1, reset=True)

    def resend_request(self) -> bytes:
        """A ResendRequest, in its turn, or a few numbers or a window above it."""
        if self.rng.random() < 0.3:
            self.lost()
        begin = self.rng.randint(1, 9)
        message = self.peer.resend_request(self._number(), begin, self.rng.choice((0, begin, begin + 3)))
        return message * self.rng.choice((1, 1, 2))

    def reset(self) -> bytes:
        """A SequenceReset: onwards, to where we are, back, or to nowhere."""
        jump = self.rng.choice((0, 0, 0, 0, 1, 2, self._window // 2, self._window, -1))
        if self.rng.random() < 0.2:
            return self.peer.reset(self.rng.choice((None, "", "1x", "0", "4294967296")))
        new = max(1, self.next_seq + jump)
        if jump >= 0 and self.rng.random() < 0.8:
            self.restart(new)
        return self.peer.reset(new, seq=self.rng.choice((None, 1, new, "junk")))

    def garbled(self) -> bytes:
        """A damaged message; its number is lost."""
        rng = self.rng
        seq = self._number()
        self.missing.append(seq)
        message = self._any(seq)
        body = message[message.index(b"\x0135=") + 1 : -7]
        off = rng.choice((-10, -1, 1, 3, 7, 8, 20))
        ways: tuple[Callable[[], bytes], ...] = (
            lambda: damaged_checksum(message),
            lambda: flipped(message, rng),
            lambda: truncated(message, rng),
            lambda: frame(body, begin_string=self.peer.begin_string, length=len(body) + off),
            lambda: frame(
                body, begin_string=self.peer.begin_string, length=rng.choice(("", "-5", "1234567", "x", "0", "8="))
            ),
            lambda: checksummed(encode([(8, self.peer.begin_string), (9, len(body))]) + body[:-1] + b"x"),
            lambda: frame(b"34=%d\x01%b" % (seq, body), begin_string=self.peer.begin_string),
            lambda: message[:-1] + rng.choice((b"8", b"10=", b"0\x01")),
        )
        return rng.choice(ways)()

    def noise(self) -> bytes:
        """Bytes that belong to no message, or seem to."""
        rng = self.rng
        return rng.choice(
            (
                rng.randbytes(rng.randint(1, 40)),
                b"\x01" * rng.randint(1, 40),
                b"8=FIX" * rng.randint(1, 6),
                b"8=FIX.4.4\x019=",
                b"8=FI",
                b"\r\n",
                b"10=000\x01",
                frame(b"", begin_string=self.peer.begin_string),
                frame(b"35=0\x01"),
                frame(b"x" * rng.randint(0, 99), length=rng.randint(0, 400)),
            )
        )

    def foreign(self) -> bytes:
        """A good message of another session."""
        peer = self.peer
        other = self.rng.choice(
            (
                Peer(peer.begin_string, peer.sender + "X", peer.target),
                Peer(peer.begin_string, peer.sender, peer.target[:-1]),
                Peer(peer.begin_string + ".1", peer.sender, peer.target),
                Peer(peer.begin_string, peer.target, peer.sender),
            )
        )
        return other.order(self.next_seq)

    def no_seqnum(self) -> bytes:
        """A number that is none."""
        seq = self.rng.choice((None, "", "0", "-5", "2.0", "abc", "4294967296", str(2**32 + self.next_seq), "1 "))
        return self.peer.message("D", seq)

    def too_low(self) -> bytes:
        """An old number without 43=Y."""
        return self._any(self._old())

    def oversize(self) -> bytes:
        """A message that is too long, or just not."""
        message = self.peer.message("B", self.next_seq, [(58, "")])
        room = self._max_message - len(message) - (len(str(self._max_message)) - 2)
        text = "x" * max(0, room + self.rng.choice((-1, 0, 1, 2, 300)))
        return self.peer.message("B", self._number(), [(58, text)])

    def hostile(self) -> bytes:
        """A trick of :mod:`tag34_sim.hostile`; whether its number has arrived is anybody's guess."""
        message = self.rng.choice(TRICKS)(self._aim())
        if self.rng.random() < 0.5:
            self.missing.append(self._number())
        return message

    def swallowed(self) -> bytes:
        """What follows is not there any more."""
        return swallow(self._aim())

    def jumped(self) -> bytes:
        """The numbers come to their end."""
        return jump(self._aim())

    # Parts.

    def _aim(self) -> Aim:
        return Aim(self.rng, self.peer, self.next_seq, self._window, self._max_message)

    def _first_missing(self) -> int:
        """Where a replay begins; ``next_seq`` if nothing is missing."""
        if self._expected is not None and self.rng.random() < 0.8:
            return self._expected()
        return self.missing[0] if self.missing else self.next_seq

    def _arrived(self, seq: int, new: int) -> None:
        """The numbers from ``seq`` to below ``new`` are no longer missing."""
        self.missing = [number for number in self.missing if not seq <= number < new]

    def _number(self) -> int:
        seq = self.next_seq
        self.next_seq = min(seq + 1, MAX_SEQ)
        return seq

    def _old(self) -> int:
        return self.rng.randint(max(1, self.next_seq - 20), max(1, self.next_seq - 1))

    def _any(self, seq: int, *, possdup: bool = False) -> bytes:
        """An ordinary message with this number."""
        rng = self.rng
        body: list[Field] = [(11, rng.getrandbits(rng.randint(1, 60)))]
        if rng.random() < 0.1:  # a data field that holds what looks like fields and messages
            data = rng.choice((b"\x0134=1\x0143=Y\x01", b"\x0110=000\x01", b"8=FIX.4.4\x019=5\x01", rng.randbytes(12)))
            body += [(95, len(data)), (96, data)]
        text = "8" if rng.random() < 0.1 else str(seq).zfill(rng.choice((0, 0, 0, 9)))
        seq_text = str(seq).zfill(rng.choice((0, 0, 0, 0, 9)))
        return self.peer.message(
            rng.choice("0138DFj"),
            seq_text,
            [*body, (58, text)],
            possdup=possdup,
            possresend=rng.random() < 0.05,
            header=[(57, "DESK")] if rng.random() < 0.2 else (),
        )
