"""Counters kept up to date as things change: each record's contribution is counted exactly once (SEE-4)."""

from revops.analytics.contributions import contributions
from revops.analytics.service import ApplyRollups, ReadCounts
from revops.analytics.store import rollup_key

__all__ = ["ApplyRollups", "ReadCounts", "contributions", "rollup_key"]
