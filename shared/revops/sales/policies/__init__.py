"""Decisions after the sale: pure functions over data."""
