"""Shared fixtures. Every random choice of a test comes from a printed seed."""
