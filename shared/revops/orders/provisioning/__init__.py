"""From an executed order to exactly one subscription (ORD-4, ORD-5)."""
