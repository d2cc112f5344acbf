"""What is decided about a message and where it waits until its turn (R1 to R17)."""
