"""The host link in gateware: packets of :mod:`tag34.contract.link` around a core (``docs/link.md``)."""
