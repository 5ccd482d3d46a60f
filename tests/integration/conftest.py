"""Fixtures of the integration suite: the engine, and a table of its own for each test."""

from tests.builders.dynoxide import dynamo_table, dynoxide

__all__ = ["dynamo_table", "dynoxide"]
