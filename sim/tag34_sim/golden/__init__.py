"""The golden model: what the device has to do, in plain Python, to be read beside the rules (``docs/rules.md``).

=============  ==========================================================
module         rules
=============  ==========================================================
``framing``    F1, F3 to F6: bytes to frames
``fields``     F2: a frame to the fields that the rules look at
``rules``      R1 to R16a: one session's state and decisions
``memory``     R10b: what all sessions hold together
``composer``   S1, S2, S5: what leaves
``model``      R17, S3, S4: many sessions, one stream of records
=============  ==========================================================

It is the reference for the gateware and shares no code with it, only the names and layouts of :mod:`tag34.contract`.
"""

from .composer import Composer, compose, sending_time
from .fields import Message, parse
from .framing import Frame, FrameKind, Framer
from .memory import Memory
from .model import Golden
from .rules import Session

__all__ = [
    "Composer",
    "Frame",
    "FrameKind",
    "Framer",
    "Golden",
    "Memory",
    "Message",
    "Session",
    "compose",
    "parse",
    "sending_time",
]
