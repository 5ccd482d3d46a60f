"""Usage, caps and alerts."""
