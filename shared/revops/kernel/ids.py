"""Identifiers: a prefix that names the kind and 130 random bits that cannot be guessed (LEAD-1)."""

import secrets
from collections.abc import Callable
from typing import Protocol

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U
_LENGTH = 26


class IdFactory(Protocol):
    """Makes a fresh identifier of a kind, `LEAD` → `LEAD_7ZK…`."""

    def new(self, prefix: str) -> str: ...


class RandomIds:
    """Identifiers from a source of random bits; tests pass a seeded one."""

    def __init__(self, randbits: Callable[[int], int] = secrets.randbits) -> None:
        self._randbits = randbits

    def new(self, prefix: str) -> str:
        bits = self._randbits(_LENGTH * 5)
        return prefix + "_" + "".join(_ALPHABET[(bits >> (5 * i)) & 31] for i in range(_LENGTH))


def id_prefix(identifier: str) -> str:
    """The kind part of an identifier: `LEAD_7ZK…` → `LEAD`; empty when there is none."""
    head, separator, tail = identifier.partition("_")
    return head if separator and tail else ""
