"""tag34: FIX sessions whose numbers are kept in hardware."""
