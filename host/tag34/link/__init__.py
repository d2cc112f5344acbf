"""The host's side of the link to a board (``docs/link.md``).

``packet``       packets and what an INFO says
``streams``      the two streams of a link session: what both sides do with DATA packets
``endpoint``     the host's end: handshake, streams, silence; packets and time go in, packets come out
``core``         a board's core over an endpoint and whatever carries packets
``device``       that core as a Device
``frames``       packets on byte wires
``serial_port``  the ``serial:`` device
``command``      ``tag34 devices``
"""
