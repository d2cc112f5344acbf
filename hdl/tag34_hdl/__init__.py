"""The gateware of tag34, in Amaranth. Parts are composed in :mod:`tag34_hdl.core`; none of them knows a vendor, a board or a link."""
