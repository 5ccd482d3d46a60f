"""Counters kept up to date as things change: each record's contribution is counted exactly once (SEE-4)."""

from revops.analytics.contributions import COUNTED, contributions
from revops.analytics.service import ApplyRollups, ReadCounts
from revops.analytics.store import contribution_key, rollup_key

__all__ = ["COUNTED", "ApplyRollups", "ReadCounts", "contribution_key", "contributions", "rollup_key"]
