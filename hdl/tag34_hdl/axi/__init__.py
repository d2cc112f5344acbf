"""The core with the ports of AXI4-Stream and AXI4-Lite (``docs/decisions/0017-axi-ports.md``)."""
