"""Messages as the rules see them, read by the golden model."""

from __future__ import annotations

from tag34.contract import MSG_TYPE_BYTES, to_bcd
from tag34_hdl.layouts import Shape
from tag34_sim.golden import Frame, FrameKind, parse
from tag34_sim.messages import Peer


def fields_of(raw: bytes, peer: Peer, shape: Shape) -> dict[str, int]:
    """What the golden model reads in a whole message of ``peer``'s session, as :class:`Fields` has to show it.

    What nobody may rely on, as a number that is none, is left out.
    """
    size = 1 << shape.window_bits
    m = parse(Frame(FrameKind.VALID, 0, len(raw), None, raw))
    found = {
        "msg_type": int.from_bytes(m.msg_type[:MSG_TYPE_BYTES], "little"),
        "is_logon": m.is_logon,
        "is_sequence_reset": m.msg_type == b"4",
        "is_resend_request": m.is_resend_request,
        "mirror": (m.begin_string, m.sender, m.target)
        == (peer.begin_string.encode(), peer.sender.encode(), peer.target.encode()),
        "seq_ok": m.seq is not None,
        "possdup": m.possdup,
        "possresend": m.possresend,
        "gap_fill": m.gap_fill,
        "reset_seq_num": m.reset_seq_num,
    }
    if m.seq is not None:
        found |= {"seq": to_bcd(m.seq), "seq_low": m.seq % size}
    if m.msg_type == b"4":
        found["new_seq_ok"] = m.new_seq_no is not None
        if m.new_seq_no is not None:
            found |= {"new_seq": to_bcd(m.new_seq_no), "new_seq_low": m.new_seq_no % size}
    return {name: int(value) for name, value in found.items()}
