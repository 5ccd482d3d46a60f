"""What exists, by name: audited kinds, event functions, settings documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from revops.settings import SettingsDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from revops.catalogue import Event
    from revops.table import Change

AUDITED = frozenset(
    {
        "ACCOUNT",
        "ACTIVITY",
        "ALERT",
        "APIKEY",
        "ASSET_LINK",
        "CAP_PLAN",
        "CONSENT",
        "CONTACT",
        "CUSTOMER",
        "LEAD",
        "NOTE",
        "OPPORTUNITY",
        "ORDER",
        "SETTINGS",
        "SYNC_CONFLICT",
        "TASK",
        "TEAM",
        "USER",
    }
)
"""Kinds of rows whose every version is audited."""


def events_of() -> tuple[Callable[[Change], list[Event]], ...]:
    """Each slice's function from a change to its events."""
    from revops.billing.events import events as billing
    from revops.crm.events import events as crm
    from revops.crm.notes import events as notes
    from revops.orders.events import events as orders
    from revops.settings.events import events as settings
    from revops.sync.events import events as sync
    from revops.usage.events import events as usage

    return crm, notes, billing, orders, usage, sync, settings


class SettingsDocuments(Mapping[str, type[SettingsDocument]]):
    """`settings_documents()`, loaded when first looked into: their rules are spread over every slice, and an API that
    serves settings serves much else first."""

    @cached_property
    def _all(self) -> dict[str, type[SettingsDocument]]:
        return settings_documents()

    def __getitem__(self, name: str) -> type[SettingsDocument]:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def settings_documents() -> dict[str, type[SettingsDocument]]:
    """Every set of rules that can be planned and applied, by name."""
    from revops.billing.policies import MembershipPolicy
    from revops.crm.policies.assignment import AssignmentRules
    from revops.crm.policies.matching import MatchRules
    from revops.orders.policies.compliance import ComplianceRules
    from revops.orders.policies.pricing import PlanCatalogue
    from revops.orders.policies.review import ReviewRules
    from revops.scoring import ScoringTable
    from revops.sync.budget import HubspotBudget
    from revops.sync.fields import HubspotFields
    from revops.usage.policies import SpendCapRules

    documents: tuple[type[SettingsDocument], ...] = (
        AssignmentRules,
        ComplianceRules,
        HubspotBudget,
        HubspotFields,
        MatchRules,
        MembershipPolicy,
        PlanCatalogue,
        ReviewRules,
        ScoringTable,
        SpendCapRules,
    )
    return {document.SETTING: document for document in documents}
