"""What exists, by name: audited kinds, event functions, settings documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from revops.settings import SettingsDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from revops.catalogue import Event
    from revops.table import Change

AUDITED = frozenset(
    {
        "ACCOUNT",
        "ACTIVITY",
        "ADOPTION",
        "ADOPTION_CANDIDATE",
        "ALERT",
        "APIKEY",
        "ASSET_LINK",
        "CANCELLATION",
        "CAP_PLAN",
        "CATALOGUE_CHECK",
        "CONSENT",
        "CONTACT",
        "CREDIT",
        "CREDIT_REQUEST",
        "CUSTOMER",
        "DIFFERENCE",
        "DUPLICATE",
        "IMPORT",
        "INVOICE",
        "LEAD",
        "NOTE",
        "OPPORTUNITY",
        "METER_REPORT",
        "ORDER",
        "PAYMENT",
        "RECONCILIATION",
        "RENEWAL",
        "SALES_ORDER",
        "RESYNC",
        "SETTINGS",
        "SYNC_CONFLICT",
        "TASK",
        "TEAM",
        "TIMELINE",
        "TRAINING_RUN",
        "UPSELL",
        "USER",
    }
)
"""Kinds of rows whose every version is audited."""


def events_of() -> tuple[Callable[[Change], list[Event]], ...]:
    """Each slice's function from a change to its events."""
    from revops.billing.events import events as billing
    from revops.crm.events import events as crm
    from revops.crm.notes import events as notes
    from revops.nurture.events import events as nurture
    from revops.orders.events import events as orders
    from revops.reconcile.events import events as reconcile
    from revops.sales.events import events as sales
    from revops.settings.events import events as settings
    from revops.sync.events import events as sync
    from revops.usage.events import events as usage

    return crm, nurture, notes, billing, orders, reconcile, sales, usage, sync, settings


def work_of() -> tuple[Callable[[Change], list[tuple[str, Mapping[str, Any]]]], ...]:
    """Each slice's function from a change to what it gives a worker to do."""
    from revops.billing.events import work as billing
    from revops.orders.events import work as orders
    from revops.reconcile.events import work as reconcile

    return billing, orders, reconcile


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
    documents = (*_lead_documents(), *_cash_documents())
    return {document.SETTING: document for document in documents}


def _lead_documents() -> tuple[type[SettingsDocument], ...]:
    """Rules of leads, of what comes in and of what goes out to them."""
    from revops.channels.calls import VoiceRules
    from revops.channels.imports.columns import ImportColumns
    from revops.channels.mail import MailRules
    from revops.channels.whatsapp import WhatsappRules
    from revops.crm.policies.assignment import AssignmentRules
    from revops.crm.policies.custom_fields import CustomFields
    from revops.crm.policies.machines import EngagementRules
    from revops.crm.policies.matching import MatchRules
    from revops.crm.policies.qualification import QualificationRules
    from revops.crm.policies.response import ResponseRules
    from revops.crm.policies.spam import SpamRules
    from revops.crm.telling import NoticeRules
    from revops.nurture.policies import NurtureRules
    from revops.nurture.templates import NurtureTemplates
    from revops.scoring import LearnedModel, ScoringTable
    from revops.scoring.training.rules import TrainingRules

    return (
        AssignmentRules,
        CustomFields,
        EngagementRules,
        ImportColumns,
        LearnedModel,
        MailRules,
        MatchRules,
        NoticeRules,
        NurtureRules,
        NurtureTemplates,
        QualificationRules,
        ResponseRules,
        ScoringTable,
        SpamRules,
        TrainingRules,
        VoiceRules,
        WhatsappRules,
    )


def _cash_documents() -> tuple[type[SettingsDocument], ...]:
    """Rules of orders, money, usage and the portal."""
    from revops.billing.policies import MembershipPolicy
    from revops.orders.policies.activation import ActivationRules
    from revops.orders.policies.compliance import ComplianceRules
    from revops.orders.policies.form import OrderFormRules
    from revops.orders.policies.pricing import PlanCatalogue
    from revops.orders.policies.review import ReviewRules
    from revops.reconcile.policies.rules import ReconcileRules
    from revops.sales.policies.dunning import DunningRules
    from revops.sales.policies.renewing import RenewalRules
    from revops.sales.policies.upselling import UpsellRules
    from revops.signing.policies import SigningRules
    from revops.sync.budget import HubspotBudget
    from revops.sync.fields import HubspotFields
    from revops.usage.policies import SpendCapRules

    return (
        ActivationRules,
        ComplianceRules,
        DunningRules,
        HubspotBudget,
        HubspotFields,
        MembershipPolicy,
        OrderFormRules,
        PlanCatalogue,
        ReconcileRules,
        RenewalRules,
        ReviewRules,
        SigningRules,
        SpendCapRules,
        UpsellRules,
    )
