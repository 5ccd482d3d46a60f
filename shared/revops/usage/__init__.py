"""Usage, overage and spend caps: what was used is counted once, exactly, and never past a cap."""

from revops.usage.alerts import SweepSpendCaps
from revops.usage.model import (
    Alert,
    Allowance,
    CapPlan,
    CapShare,
    CapTerms,
    Line,
    Meter,
    SpendPeriod,
    UsageEvent,
    UsageReceipt,
)
from revops.usage.plans import PlanTerms, SetCapPlan
from revops.usage.policies import SpendCapRules
from revops.usage.ports import AlertNotes
from revops.usage.service import RecordUsage
from revops.usage.store import ALERTS, PLANS

__all__ = [
    "ALERTS",
    "PLANS",
    "Alert",
    "AlertNotes",
    "Allowance",
    "CapPlan",
    "CapShare",
    "CapTerms",
    "Line",
    "Meter",
    "PlanTerms",
    "RecordUsage",
    "SetCapPlan",
    "SpendCapRules",
    "SpendPeriod",
    "SweepSpendCaps",
    "UsageEvent",
    "UsageReceipt",
]
