"""``tag34 bench``: what the gateware does per cycle, what software does per second, side by side in one run."""
