"""`make timing`, `make area`, `make timing-diff`: clock and area of the gateware on ECP5, with PyPI's tools alone.

For work on one component there is ``make timing ARGS="--component composer"``: the component alone within a ring of
registers, its worst path and its area in a minute or two. ``--component my.module:MyClass`` takes any component that is
built with a shape alone; ``--width``, ``--sessions``, ``--part`` and ``--seeds`` choose what of it is routed.
"""
