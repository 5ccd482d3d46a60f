"""Where counters stand.

| item | pk | sk | read by |
|---|---|---|---|
| rollup | ROLLUP#<name> | COUNTERS | name |
| what a record is counted for | COUNTED#<primary key of the record> | CONTRIBUTION | record |

Counters are moved only in the transaction that replaces a record's contribution, so none is moved twice.
"""

import json
from collections.abc import Mapping

from revops.table import Key, Row

ROLLUP = "ROLLUP"
CONTRIBUTION = "CONTRIBUTION"


def rollup_key(name: str) -> Key:
    """Where the counters of a rollup stand."""
    return Key(f"ROLLUP#{name}", "COUNTERS")


def contribution_key(record: Key) -> Key:
    """Where it stands what a record is counted for."""
    return Key(f"COUNTED#{record.pk}|{record.sk}", "CONTRIBUTION")


def contribution_row(record: Key, version: int, counted: Mapping[str, int]) -> Row:
    """`version` is the record's; it fences an older change out."""
    key = contribution_key(record)
    return Row(pk=key.pk, sk=key.sk, kind=CONTRIBUTION, version=version, doc=json.dumps(counted, sort_keys=True))
