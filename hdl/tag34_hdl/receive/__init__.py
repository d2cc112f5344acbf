"""From bytes to framed messages and the fields that the session rules need (F1 to F6)."""
