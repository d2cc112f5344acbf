"""What leaves: one composer, one numbering authority (S1 to S6)."""
