"""Real FPGAs: what is built for which board, and what the core takes: clock and area after place and route."""
