"""What the core takes on real FPGAs: clock and area after place and route."""
