"""What a record adds to which counters, as a pure function of the record as it is now.

A counter is named by its rollup and its field. The sum of all contributions is the counter, at any time: a change
moves a counter by the new contribution less the one counted before.
"""

from collections.abc import Mapping

from revops.crm.model import Lead
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
        if lead.merged_into:
            return {}  # it is part of another lead, which counts
        counts = {f"leads/{lead.status}": 1, f"leads:{lead.owner_id}/{lead.status}": 1}
        for rollup in ("responses", f"responses:{lead.owner_id}"):
            counts |= {f"{rollup}/{field}": amount for field, amount in _responses(lead).items()}
        return counts
    if row.kind == OPPORTUNITIES.kind:
        deal = OPPORTUNITIES.load(row)
        if not deal.active:
            return {}
        amounts = {f"count {deal.stage}": 1, f"value {deal.value.currency} {deal.stage}": deal.value.minor}
        return {
            f"{rollup}/{field}": amount
            for rollup in ("pipeline", f"pipeline:{deal.owner_id}")
            for field, amount in amounts.items()
        }
    return {}


def _responses(lead: Lead) -> dict[str, int]:
    """Sum and number of the times to first touch, and whether the target was met (CAP-14)."""
    counts: dict[str, int] = {}
    if lead.first_touch_seconds is not None:
        counts = {"touched": 1, "seconds": lead.first_touch_seconds}
    target = lead.response
    if target is not None and target.missed_at is not None:
        counts["missed"] = 1
    elif target is not None and lead.first_touch_at is not None:
        counts["in_time" if lead.first_touch_at <= target.due_at else "missed"] = 1
    return counts
