"""Claims make uniqueness race-safe: an item per exclusive value, written in the same transaction as what it is for.

Key `CLAIM#<name>#<sha256 of the value>` / `CLAIM`: the value itself never stands in a key.
"""

import hashlib
import json

from revops.table.port import Table
from revops.table.row import Key, Row
from revops.table.transaction import ABSENT, Transaction

CLAIM = "CLAIM"


def claim_key(name: str, value: str) -> Key:
    """Where the claim on a value stands. `name` says what is exclusive, such as `email`."""
    return Key(f"CLAIM#{name}#{hashlib.sha256(value.encode()).hexdigest()}", "CLAIM")


def claim(
    transaction: Transaction, name: str, value: str, holder: str, *, ttl: int | None = None, note: str = ""
) -> None:
    """Adds the claim of `holder` (an id) on a value; the commit fails if anybody holds it already."""
    key = claim_key(name, value)
    doc = {"holder": holder, "note": note} if note else {"holder": holder}
    transaction.put(Row(pk=key.pk, sk=key.sk, kind=CLAIM, doc=json.dumps(doc), ttl=ttl), ABSENT)


def release(transaction: Transaction, name: str, value: str) -> None:
    """Gives a value free."""
    transaction.delete(claim_key(name, value))


def claim_holder(row: Row | None) -> str | None:
    """Who holds a claim row, if anybody."""
    return None if row is None else str(json.loads(row.doc)["holder"])


def holder_of(table: Table, name: str, value: str) -> str | None:
    """Who holds a value, strongly consistent."""
    return claim_holder(table.get(claim_key(name, value)))
