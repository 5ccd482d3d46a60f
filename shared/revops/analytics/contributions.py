"""What a record adds to which counters, as a pure function of the record as it is now.

A counter is named by its rollup and its field. The sum of all contributions is the counter, at any time: a change
moves a counter by the new contribution less the one counted before.
"""

from collections.abc import Mapping

from revops.crm.store import LEADS, OPPORTUNITIES
from revops.table import Row

Contribution = Mapping[str, int]
"""`<rollup>/<field>` → whole number."""

COUNTED = frozenset({LEADS.kind, OPPORTUNITIES.kind})
"""Kinds of rows that contribute to counters."""


def contributions(row: Row | None) -> dict[str, int]:
    """What a row counts for; nothing when it is gone or of a kind that is not counted."""
    if row is None:
        return {}
    if row.kind == LEADS.kind:
        lead = LEADS.load(row)
        return {f"leads/{lead.status}": 1, f"leads:{lead.owner_id}/{lead.status}": 1}
    if row.kind == OPPORTUNITIES.kind:
        deal = OPPORTUNITIES.load(row)
        amounts = {f"count {deal.stage}": 1, f"value {deal.value.currency} {deal.stage}": deal.value.minor}
        return {
            f"{rollup}/{field}": amount
            for rollup in ("pipeline", f"pipeline:{deal.owner_id}")
            for field, amount in amounts.items()
        }
    return {}
