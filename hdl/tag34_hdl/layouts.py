"""Payloads of the streams and structs that the parts exchange, with widths derived from one :class:`Shape`."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import unsigned
from amaranth.lib import data, enum
from amaranth.utils import ceil_log2

from tag34 import contract

#: A sequence number: ten decimal digits, packed BCD.
NUMBER = unsigned(4 * contract.SEQ_DIGITS)
#: Bits of a byte's place in a region of the ident memory.
IDENT_BITS = ceil_log2(contract.MAX_IDENT + 1)
OFFSET = unsigned(48)
LENGTH = unsigned(24)
CYCLE = unsigned(48)
MSG_TYPE = unsigned(8 * contract.MSG_TYPE_BYTES)
MAX_SEQ_BCD = contract.to_bcd(contract.MAX_SEQ)

#: A device's record, as :data:`tag34.contract.RECORD_FIELDS` lays it out.
Record = data.StructLayout({name: unsigned(bits) for name, bits in contract.RECORD_FIELDS})


@dataclass(frozen=True)
class Shape:
    """Build parameters of the gateware.

    Parameters:
        width: bytes per beat of the byte streams: 1, 2, 4 or 8.
        sessions: number of sessions, 1 to 1024.
        window: largest hold window in numbers, 2 to 1024.
        max_message: largest stored message in bytes, 64 to 65536.
        hold, hold_limit: messages that can be held at a time, over all sessions and by one of them; 0: see
            :func:`tag34.contract.hold_shares`.
        clock_hz: clock of the core: SendingTime and the default of TICK_CYCLES depend on it.
        compact: the core that takes little room and its time (docs/decisions/0018): a program in block memory. At width
            1 only, with a window of up to 64 numbers, messages of up to 32768 bytes, as many sessions and held messages
            as its memory has places for, and a clock of whole megahertz.

    Raises ValueError, naming the parameter, for anything out of range.
    """

    width: int = 1
    sessions: int = 1
    window: int = 64
    max_message: int = 4096
    hold: int = 0
    hold_limit: int = 0
    clock_hz: int = 125_000_000
    compact: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "sessions", "window", "max_message", "hold", "hold_limit", "clock_hz"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, not {value!r}")
        if not isinstance(self.compact, bool):
            raise ValueError(f"compact must be True or False, not {self.compact!r}")
        if self.width not in contract.WIDTHS:
            raise ValueError(f"width must be 1, 2, 4 or 8, not {self.width}")
        for name, (least, most) in contract.SIZE_LIMITS.items():
            if not least <= getattr(self, name) <= most:
                unit = {"window": " numbers", "max_message": " bytes"}.get(name, "")
                raise ValueError(f"{name} must be {least} to {most}{unit}, not {getattr(self, name)}")
        hold, hold_limit = contract.hold_shares(self.sessions, self.window, self.hold, self.hold_limit)
        object.__setattr__(self, "hold", hold)
        object.__setattr__(self, "hold_limit", hold_limit)
        if not 2_000_000 <= self.clock_hz <= 1_000_000_000:
            raise ValueError(f"clock_hz must be 2 MHz to 1 GHz, not {self.clock_hz}")
        if self.compact:
            self._check_compact()

    def _check_compact(self) -> None:
        for name, largest in (("width", 1), ("window", 64), ("max_message", 32768), ("sessions", 32), ("hold", 200)):
            if getattr(self, name) > largest:
                raise ValueError(f"{name} of a compact core must be at most {largest}, not {getattr(self, name)}")
        if self.clock_hz % 1_000_000:
            raise ValueError(f"clock_hz of a compact core must be whole megahertz, not {self.clock_hz}")

    @property
    def window_bits(self) -> int:
        """Bits of a place in the window: number modulo the next power of two."""
        return ceil_log2(self.window)

    @property
    def slots(self) -> int:
        """Message slots: those of held messages, one per session for the message that arrives, and three on their
        way out, so that a full window never keeps the number out that drains it."""
        return self.sessions + self.hold + 3

    @property
    def compact_slots(self) -> int:
        """Message slots of a compact core: those of held messages, one per session for the message that arrives, and
        one for the host's message. What is delivered stays where it is until it is taken."""
        return self.sessions + self.hold + 1

    @property
    def compact_slot_bits(self) -> int:
        """Bits of a slot number of a compact core."""
        return ceil_log2(self.compact_slots)

    @property
    def slot_bits(self) -> int:
        """Bits of a slot number."""
        return ceil_log2(self.slots)

    @property
    def offset_bits(self) -> int:
        """Bits of a byte's place in a slot."""
        return ceil_log2(self.max_message)

    @property
    def lane_bits(self) -> int:
        """Bits of a lane's number (none at width 1)."""
        return ceil_log2(self.width)

    @property
    def session_bits(self) -> int:
        """Bits of a session number (at least one)."""
        return max(1, ceil_log2(self.sessions))

    @property
    def ident_bits(self) -> int:
        """Bits of a place in the ident memory: index, region, session."""
        return IDENT_BITS + 2 + self.session_bits

    @property
    def beat(self) -> data.StructLayout:
        """A beat of bytes. ``count`` of them are valid, the first in the lowest bits; ``last`` marks a message's end
        where there is one."""
        return data.StructLayout(
            {
                "data": unsigned(8 * self.width),
                "count": range(self.width + 1),
                "session": unsigned(self.session_bits),
                "last": 1,
            }
        )

    @property
    def word(self) -> data.StructLayout:
        """A piece of a word, width 2 and more. Words are aligned to the stream: byte n of a connection stands in lane n
        modulo the width. ``mask`` has the lanes that are new, the lanes below them hold what came before; ``full``: the
        word is complete. A piece without new lanes is a bubble, or with ``full`` a word shown again for those who look
        back; with ``turn``, what follows is of ``session``."""
        return data.StructLayout(
            {
                "data": unsigned(8 * self.width),
                "mask": unsigned(self.width),
                "full": 1,
                "session": unsigned(self.session_bits),
                "turn": 1,
            }
        )

    @property
    def structure(self) -> data.StructLayout:
        """Where messages are in a piece: ``starts``: one begins, ``start``: the lane of the X of its ``8=FIX``;
        ``tail``, lanes of the message that began in an earlier piece; ``head``, of the one that began in this one;
        ``body_end``: the last body byte is among them."""
        return data.StructLayout(
            {
                "starts": 1,
                "start": unsigned(self.width),
                "tail": unsigned(self.width),
                "head": unsigned(self.width),
                "body_end": 1,
            }
        )

    @property
    def send_header(self) -> data.StructLayout:
        """What the host says of a message to be sent, before its bytes: ``body`` is 0 if none follow."""
        return data.StructLayout(
            {
                "session": unsigned(self.session_bits),
                "msg_type": MSG_TYPE,
                "replay": 1,
                "seq": NUMBER,
                "body": 1,
            }
        )

    @property
    def command(self) -> data.StructLayout:
        """An operation of the host on a session."""
        return data.StructLayout(
            {
                "op": contract.Command,
                "phase": contract.Phase,
                "may_request": 1,
                "session": unsigned(self.session_bits),
                "number": NUMBER,
            }
        )

    @property
    def fields(self) -> data.StructLayout:
        """What the rules need to know of a message; see :class:`tag34_hdl.receive.fields.Fields`."""
        return data.StructLayout(
            {
                "msg_type": MSG_TYPE,
                "is_logon": 1,
                "is_sequence_reset": 1,
                "is_resend_request": 1,
                "mirror": 1,
                "seq": NUMBER,
                "seq_low": unsigned(self.window_bits),
                "seq_ok": 1,
                "possdup": 1,
                "possresend": 1,
                "gap_fill": 1,
                "reset_seq_num": 1,
                "new_seq": NUMBER,
                "new_seq_low": unsigned(self.window_bits),
                "new_seq_ok": 1,
            }
        )

    @property
    def window_entry(self) -> data.StructLayout:
        """What the window knows of one number."""
        return data.StructLayout(
            {
                "state": EntryState,
                "slot": unsigned(self.slot_bits),
                "length": unsigned(ceil_log2(self.max_message + 1)),
                "msg_type": MSG_TYPE,
                "possdup": 1,
                "possresend": 1,
                "new_seq": NUMBER,
                "new_seq_low": unsigned(self.window_bits),
                "new_seq_ok": 1,
            }
        )

    @property
    def delivery(self) -> data.StructLayout:
        """One message on its way to the host."""
        return data.StructLayout(
            {
                "slot": unsigned(self.slot_bits),
                "length": unsigned(ceil_log2(self.max_message + 1)),
                "session": unsigned(self.session_bits),
            }
        )

    @property
    def request(self) -> data.StructLayout:
        """One ResendRequest to be composed."""
        return data.StructLayout({"session": unsigned(self.session_bits), "begin": NUMBER, "end": NUMBER})


class EntryState(enum.Enum, shape=2):
    """What the window holds at a number."""

    EMPTY = 0
    MESSAGE = 1
    GAP_FILL = 2
    CONSUMED = 3


#: What the framer says of one framed message.
Frame = data.StructLayout({"garbled": 1, "offset": OFFSET, "length": LENGTH, "cycle": CYCLE})

#: One byte of a message on its way to :class:`~tag34_hdl.receive.fields.Fields`: of BeginString's value or of the body.
#: ``soh``, ``equals``, ``digit``: what it is; these go with ``data``.
MessageByte = data.StructLayout(
    {"data": 8, "soh": 1, "equals": 1, "digit": 1, "start": 1, "begin": 1, "body": 1, "last": 1}
)
