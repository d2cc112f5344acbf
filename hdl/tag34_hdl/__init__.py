"""The gateware of tag34, in Amaranth.

The parts stand in ``receive``, ``session`` and ``send``; :mod:`tag34_hdl.core` wires them. None of them knows a vendor,
a board or a link.
"""
