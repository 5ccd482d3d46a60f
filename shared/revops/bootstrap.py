"""The one place where ports meet adapters.

A `Wiring` makes each part when it is first asked for, and imports it then: a webhook that verifies and stores must not
pay for loading what converts leads (the cold-start budget of docs/benchmarks.md).
"""

from __future__ import annotations

from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from revops.kernel import Clock, IdFactory, RandomIds, SystemClock
from revops.platform.config import Config
from revops.settings import SettingsDocument, SettingsReader
from revops.table.dynamo import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from stripe import StripeClient

    from revops.access import Authenticate, Policy
    from revops.adapters.blobs import S3Blobs
    from revops.adapters.bus import EventBridgeBus
    from revops.adapters.crm_records import StoredCrmRecords
    from revops.adapters.hubspot_queue import SqsSyncQueue
    from revops.adapters.order_caps import ApplyOrderCaps
    from revops.adapters.people import CrmPeople, MarkPeopleDirty
    from revops.adapters.queues import SqsQueues
    from revops.adapters.secrets import Secrets
    from revops.adapters.workflow import StepFunctionsWorkflow
    from revops.analytics import ApplyRollups, ReadCounts
    from revops.api.intake import IntakeUseCases
    from revops.api.leads import LeadUseCases
    from revops.api.meta import MetaUseCases
    from revops.api.orders import OrderUseCases
    from revops.api.records import RecordUseCases
    from revops.api.settings import SettingsUseCases
    from revops.api.usage import UsageUseCases
    from revops.audit import WriteAudit
    from revops.billing import ConvergeCustomer, ReceiveStripeEvent, SweepMemberships
    from revops.bus import ConsumeEvent
    from revops.catalogue import Event
    from revops.crm.intake import SubmitLead
    from revops.crm.service import RecheckLead, RescoreLeads
    from revops.inbox import ReceiveSignal, Settlement
    from revops.notices import SendNotice
    from revops.orders.workflow import AnswerWait, RestartStalledOrders, RunOrderStep, StartWorkflow
    from revops.platform.http import Api
    from revops.settings.service import ChangeSettings
    from revops.stream import FindLost, KeepDeadLetter, RedriveRecords, RelayChanges, SweepInbox
    from revops.stream.housekeeping import Housekeep
    from revops.sync import BudgetedGateway, EnsureProperties, HandleMessage, ReportDrift, SweepDirty
    from revops.sync.webhook import ReceiveDelivery
    from revops.table import Change, CursorSigner
    from revops.usage import RecordUsage, SetCapPlan, SweepSpendCaps

AUDITED = frozenset(
    {
        "ACCOUNT",
        "ALERT",
        "APIKEY",
        "ASSET_LINK",
        "CAP_PLAN",
        "CONTACT",
        "CUSTOMER",
        "LEAD",
        "NOTE",
        "OPPORTUNITY",
        "ORDER",
        "SETTINGS",
        "SYNC_CONFLICT",
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


class Wiring:
    """Use cases, made from a configuration."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config.from_environment()

    # -- ground --------------------------------------------------------------------------------------------------

    @cached_property
    def table(self) -> DynamoTable:
        return DynamoTable(self.config.table_name, self.config.region, self.config.endpoint_url)

    @cached_property
    def clock(self) -> Clock:
        return SystemClock()

    @cached_property
    def ids(self) -> IdFactory:
        return RandomIds()

    @cached_property
    def settings(self) -> SettingsReader:
        return SettingsReader(self.table)

    @cached_property
    def policy(self) -> Policy:
        from revops.access import Policy

        return Policy()

    @cached_property
    def authenticate(self) -> Authenticate:
        from revops.access import Authenticate

        return Authenticate(self.table)

    def aws(self, service: str) -> Any:
        """A client of an AWS service."""
        from revops.adapters.aws import client

        return client(service, self.config.region, self.config.endpoint_url)

    @cached_property
    def secrets(self) -> Secrets:
        from revops.adapters.secrets import Secrets

        return Secrets(self.aws("secretsmanager"), self.config.secret_prefix)

    @cached_property
    def blobs(self) -> S3Blobs:
        from revops.adapters.blobs import S3Blobs

        return S3Blobs(self.aws("s3"), self.config.blob_bucket)

    @cached_property
    def cursors(self) -> CursorSigner:
        from revops.table import CursorSigner

        return CursorSigner(str(self.secrets.read("internal")["signing_key"]).encode())

    def api(self, *, max_body: int = 1_000_000) -> Api:
        """An API whose callers are told apart by this deployment's users and keys."""
        from revops.platform.http import Api

        return Api(self.authenticate, max_body=max_body)

    # -- the inbox -----------------------------------------------------------------------------------------------

    @cached_property
    def receive_signal(self) -> ReceiveSignal:
        from revops.inbox import ReceiveSignal

        return ReceiveSignal(self.table, self.clock, self.blobs)

    @cached_property
    def settlement(self) -> Settlement:
        from revops.inbox import Settlement

        return Settlement(self.table, self.clock, self.blobs, self.config.release)

    # -- the stream ----------------------------------------------------------------------------------------------

    @cached_property
    def write_audit(self) -> WriteAudit:
        from revops.audit import WriteAudit

        return WriteAudit(self.table, self.clock)

    @cached_property
    def bus(self) -> EventBridgeBus:
        from revops.adapters.bus import EventBridgeBus

        return EventBridgeBus(self.aws("events"), self.config.bus_name)

    @cached_property
    def queues(self) -> SqsQueues:
        from revops.adapters.queues import SqsQueues

        urls = {"stripe": self.config.stripe_queue_url, "hubspot": self.config.hubspot_queue_url}
        return SqsQueues(self.aws("sqs"), urls)

    @cached_property
    def keep_dead_letter(self) -> KeepDeadLetter:
        from revops.stream import KeepDeadLetter

        return KeepDeadLetter(self.table, self.clock, self.blobs)

    @cached_property
    def mark_dirty(self) -> MarkPeopleDirty:
        from revops.adapters.people import MarkPeopleDirty

        return MarkPeopleDirty(self.table, self.clock, self.settings)

    @cached_property
    def apply_rollups(self) -> ApplyRollups:
        from revops.analytics import ApplyRollups

        return ApplyRollups(self.table, self.clock)

    def relay_changes(self) -> RelayChanges:
        from revops.stream import RelayChanges

        return RelayChanges(
            audited=AUDITED,
            events_of=events_of(),
            write_audit=self.write_audit,
            bus=self.bus,
            queues=self.queues,
            mark_dirty=self.mark_dirty,
            keep_dead_letter=self.keep_dead_letter,
        )

    def redrive_records(self) -> RedriveRecords:
        from revops.stream import RedriveRecords

        return RedriveRecords(
            self.table,
            self.clock,
            events_of=events_of(),
            write_audit=self.write_audit,
            rollups=self.apply_rollups,
            bus=self.bus,
            queues=self.queues,
            mark_dirty=self.mark_dirty,
        )

    def find_lost(self) -> FindLost:
        from revops.adapters.redrive import RelayRedrive
        from revops.adapters.scan import TableScan
        from revops.stream import FindLost

        redrive = RelayRedrive(self.aws("lambda"), self.config.change_relay_function)
        return FindLost(self.table, TableScan(self.table), self.clock, audited=AUDITED, redrive=redrive)

    def sweep_inbox(self) -> SweepInbox:
        from revops.stream import SweepInbox

        return SweepInbox(self.table, self.clock, self.settlement)

    def housekeeping(self) -> Housekeep:
        from revops.kernel import system_call
        from revops.stream.housekeeping import Housekeep

        inbox, lost, dirty = self.sweep_inbox(), self.find_lost(), self.sweep_dirty()
        memberships, orders = self.sweep_memberships(), self.restart_stalled_orders()
        return Housekeep(
            {
                "inbox": lambda _: inbox(),
                "stream": lambda _: lost().redriven,
                "sync": lambda period: dirty(system_call("housekeeping", period)),
                "memberships": lambda _: memberships(),
                "orders": lambda period: orders(system_call("housekeeping", period)),
            }
        )

    # -- the CRM -------------------------------------------------------------------------------------------------

    @cached_property
    def submit_lead(self) -> SubmitLead:
        from revops.adapters.roster import TableRoster
        from revops.crm.intake import SubmitLead

        return SubmitLead(self.table, self.clock, self.ids, self.settings, TableRoster(self.table, self.clock))

    @cached_property
    def people(self) -> CrmPeople:
        from revops.adapters.people import CrmPeople

        return CrmPeople(self.table, self.submit_lead)

    @cached_property
    def crm_records(self) -> StoredCrmRecords:
        from revops.adapters.crm_records import StoredCrmRecords

        return StoredCrmRecords(self.table, self.ids)

    def recheck_lead(self) -> RecheckLead:
        from revops.crm.service import RecheckLead

        return RecheckLead(self.table, self.clock, self.settings)

    def rescore_leads(self) -> RescoreLeads:
        from revops.crm.service import RescoreLeads

        return RescoreLeads(self.table, self.clock, self.settings)

    @cached_property
    def read_counts(self) -> ReadCounts:
        from revops.analytics import ReadCounts

        return ReadCounts(self.table, self.policy)

    def send_notice(self) -> SendNotice:
        from revops.adapters.mail import SesMailer
        from revops.notices import SendNotice

        return SendNotice(self.table, self.clock, SesMailer(self.aws("sesv2"), self.config.mail_from))

    def consume_event(self) -> ConsumeEvent:
        from revops.bus import ConsumeEvent

        return ConsumeEvent(
            start_workflow=self.start_workflow,
            answer_wait=self.answer_wait,
            recheck_lead=self.recheck_lead,
            send_notice=self.send_notice,
            apply_order_caps=self.apply_order_caps,
            mail_to_ops=self.config.mail_to_ops,
        )

    # -- billing -------------------------------------------------------------------------------------------------

    def receive_stripe_event(self) -> ReceiveStripeEvent:
        from revops.adapters.stripe_events import read_stripe_event
        from revops.adapters.stripe_signature import verify_stripe_signature
        from revops.billing import ReceiveStripeEvent, StripeIdentity

        def prove(raw: bytes, header: str, now: datetime) -> None:
            verify_stripe_signature(raw, header, self.secrets.read("stripe")["webhook_secrets"], now)

        def identity() -> StripeIdentity:
            secret = self.secrets.read("stripe")
            return StripeIdentity(secret["account"], bool(secret["livemode"]))

        return ReceiveStripeEvent(self.receive_signal, prove, read_stripe_event, identity, self.clock)

    @cached_property
    def converge_customer(self) -> ConvergeCustomer:
        from revops.adapters.accounts import StoredAccounts
        from revops.adapters.stripe_client import stripe_client
        from revops.adapters.stripe_events import read_stripe_event
        from revops.adapters.stripe_gateway import StripeReads
        from revops.billing import ConvergeCustomer

        def connect() -> StripeClient:
            return stripe_client(str(self.secrets.read("stripe")["api_key"]), self.config.stripe_api_base)

        return ConvergeCustomer(
            self.table,
            self.clock,
            self.ids,
            StripeReads(connect),
            read_stripe_event,
            StoredAccounts(self.table),
            self.settings,
            self.settlement,
        )

    def sweep_memberships(self) -> SweepMemberships:
        from revops.billing import SweepMemberships

        return SweepMemberships(self.table, self.clock, self.queues)

    # -- orders --------------------------------------------------------------------------------------------------

    @cached_property
    def workflow_engine(self) -> StepFunctionsWorkflow:
        from revops.adapters.workflow import StepFunctionsWorkflow

        return StepFunctionsWorkflow(self.aws("stepfunctions"), self.config.order_state_machine_arn)

    def start_workflow(self) -> StartWorkflow:
        from revops.orders.workflow import StartWorkflow

        return StartWorkflow(self.workflow_engine)

    def answer_wait(self) -> AnswerWait:
        from revops.orders.workflow import AnswerWait

        return AnswerWait(self.table, self.clock, self.workflow_engine)

    def restart_stalled_orders(self) -> RestartStalledOrders:
        from revops.orders.workflow import RestartStalledOrders

        return RestartStalledOrders(self.table, self.clock)

    def run_order_step(self) -> RunOrderStep:
        from revops.adapters.stripe_client import stripe_client
        from revops.adapters.stripe_provisioning import StripeProvisioning
        from revops.orders.model import ESignMethod
        from revops.orders.ports import ManualSigning
        from revops.orders.provisioning.service import ProvisionOrder
        from revops.orders.workflow import RunOrderStep

        client = lru_cache(maxsize=2)(lambda key: stripe_client(key, self.config.stripe_api_base, retries=0))
        gateway = StripeProvisioning(lambda: client(str(self.secrets.read("stripe")["api_key"])))
        return RunOrderStep(
            self.table,
            self.clock,
            self.crm_records,
            ProvisionOrder(self.table, self.clock, gateway, self.crm_records, self.settings),
            self.settings,
            {ESignMethod.MANUAL: ManualSigning()},
            self.answer_wait(),
        )

    def order_use_cases(self) -> OrderUseCases:
        from revops.api.orders import OrderUseCases
        from revops.orders.decisions import CancelOrder, ResumeOrder, ReviewOrder
        from revops.orders.queries import ReadOrder, ReadProgress
        from revops.orders.signature import CaptureSignature
        from revops.orders.submission import SubmitOrder

        table, clock, crm, policy = self.table, self.clock, self.crm_records, self.policy
        read = ReadOrder(table, crm, policy)
        return OrderUseCases(
            submit=SubmitOrder(table, clock, self.ids, crm, policy, self.settings),
            read=read,
            progress=ReadProgress(table, read),
            review=ReviewOrder(table, clock, crm, policy),
            sign=CaptureSignature(table, clock, self.blobs, crm, policy),
            resume=ResumeOrder(table, clock, crm, policy),
            cancel=CancelOrder(table, clock, crm, policy),
        )

    # -- usage and caps ------------------------------------------------------------------------------------------

    @cached_property
    def record_usage(self) -> RecordUsage:
        from revops.usage import RecordUsage

        return RecordUsage(self.table, self.clock, self.settings)

    def set_cap_plan(self) -> SetCapPlan:
        from revops.usage import SetCapPlan

        return SetCapPlan(self.table, self.clock)

    def apply_order_caps(self) -> ApplyOrderCaps:
        from revops.adapters.order_caps import ApplyOrderCaps

        return ApplyOrderCaps(self.table, self.set_cap_plan())

    def sweep_spend_caps(self) -> SweepSpendCaps:
        from revops.adapters.alert_notes import CrmAlertNotes
        from revops.usage import SweepSpendCaps

        return SweepSpendCaps(self.table, self.clock, self.ids, self.settings, CrmAlertNotes(self.table, self.ids))

    # -- HubSpot -------------------------------------------------------------------------------------------------

    def receive_hubspot_delivery(self) -> ReceiveDelivery:
        from revops.adapters.hubspot_signature import verify_hubspot_signature
        from revops.sync.webhook import ReceiveDelivery, ReceiveEvents

        return ReceiveDelivery(
            self.clock,
            verify_hubspot_signature,
            lambda: self.secrets.read("hubspot"),
            ReceiveEvents(self.table, self.clock, self.receive_signal),
            self.config.hubspot_webhook_url,
        )

    @cached_property
    def hubspot(self) -> BudgetedGateway:
        from revops.adapters.hubspot_gateway import HttpHubspotGateway
        from revops.sync.budget import BudgetedGateway, RateBudget

        gateway = HttpHubspotGateway(lambda: str(self.secrets.read("hubspot")["token"]), self.config.hubspot_api_base)
        return BudgetedGateway(gateway, RateBudget(self.table, self.clock, self.settings))

    @cached_property
    def hubspot_queue(self) -> SqsSyncQueue:
        from revops.adapters.hubspot_queue import SqsSyncQueue

        return SqsSyncQueue(self.aws("sqs"), self.config.hubspot_queue_url)

    def handle_hubspot_message(self) -> HandleMessage:
        from revops.sync import ConvergeContact, HandleMessage, PushPerson

        converge = ConvergeContact(
            self.table, self.clock, self.ids, self.hubspot, self.people, self.settings, self.settlement
        )
        push = PushPerson(self.table, self.clock, self.ids, self.hubspot, self.people, self.settings)
        return HandleMessage(self.table, self.clock, converge, push, self.settlement, self.hubspot_queue)

    def sweep_dirty(self) -> SweepDirty:
        from revops.sync import SweepDirty

        return SweepDirty(self.table, self.clock, self.hubspot_queue)

    def ensure_hubspot_properties(self) -> EnsureProperties:
        from revops.sync import EnsureProperties

        return EnsureProperties(self.hubspot, self.settings)

    def report_hubspot_drift(self) -> ReportDrift:
        from revops.sync import ReportDrift

        return ReportDrift(self.table, self.hubspot, self.people, self.settings)

    # -- what the routes call ------------------------------------------------------------------------------------

    def intake_use_cases(self) -> IntakeUseCases:
        from revops.api.intake import IntakeUseCases

        return IntakeUseCases(self.submit_lead, self.ids)

    def lead_use_cases(self) -> LeadUseCases:
        from revops.api.leads import LeadUseCases
        from revops.crm.service import ChangeLead, ReadLeads

        return LeadUseCases(
            ReadLeads(self.table, self.policy, lambda: self.cursors),
            ChangeLead(self.table, self.clock, self.policy),
            self.read_counts,
        )

    def record_use_cases(self) -> RecordUseCases:
        from revops.api.records import RecordUseCases
        from revops.audit import ReadAudit
        from revops.billing.queries import ReadCustomer

        return RecordUseCases(
            self.table, self.policy, ReadCustomer(self.table), ReadAudit(self.table, self.policy), self.read_counts
        )

    @cached_property
    def change_settings(self) -> ChangeSettings:
        from revops.adapters.previews import previews
        from revops.settings.service import ChangeSettings

        return ChangeSettings(self.table, self.clock, self.policy, settings_documents(), previews(self.table))

    def usage_use_cases(self) -> UsageUseCases:
        from revops.api.usage import UsageUseCases

        return UsageUseCases(self.record_usage)

    def settings_use_cases(self) -> SettingsUseCases:
        from revops.api.settings import SettingsUseCases

        return SettingsUseCases(self.change_settings)

    def meta_use_cases(self) -> MetaUseCases:
        from revops.api.meta import MetaUseCases
        from revops.table import Key

        def check_table() -> None:
            self.table.get(Key("HEALTH", "HEALTH"), consistent=False)

        return MetaUseCases(check_table, self.config.release)


@cache
def wiring() -> Wiring:
    """The wiring of this process, from its environment."""
    return Wiring()
