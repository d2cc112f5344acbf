"""The compact core: the same rules, carried out by a small engine whose program is in block memory."""
