"""Order forms, Stripe, usage."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from revops.bootstrap.signing import SigningWiring

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from stripe import StripeClient

    from revops.adapters.order_caps import ApplyOrderCaps
    from revops.adapters.workflow import StepFunctionsWorkflow
    from revops.api.orders import OrderUseCases
    from revops.api.tenants import TenantUseCases
    from revops.billing import ConvergeCustomer, ReceiveStripeEvent, SweepMemberships
    from revops.billing.assets import LinkAssets
    from revops.billing.cancellation import BringCancellations
    from revops.billing.endings import StandingWishes
    from revops.billing.ownership import FollowOwner
    from revops.billing.resync import RequestResync, RunResync, SyncCustomer
    from revops.billing.rights import CustomerRights
    from revops.kernel import CallContext
    from revops.orders.changing import ChangeSubscription
    from revops.orders.ports import ProvisioningGateway
    from revops.orders.provisioning.catalogue import SyncCatalogue
    from revops.orders.tenant import AcknowledgeTenant, BlockUnacknowledged
    from revops.orders.turning import TurnTimelines
    from revops.orders.what_if import TryTerms
    from revops.orders.workflow import AnswerWait, RestartStalledOrders, RunOrderStep, StartWorkflow
    from revops.usage import RecordUsage, SetCapPlan, SweepSpendCaps


class CashWiring(SigningWiring):
    """What turns a deal into cash: order forms, billing, usage."""

    def receive_stripe_event(self) -> ReceiveStripeEvent:
        from revops.adapters.stripe_events import read_stripe_signal
        from revops.adapters.stripe_signature import verify_stripe_signature
        from revops.billing import ReceiveStripeEvent, StripeIdentity
        from revops.kernel import several

        def prove(raw: bytes, header: str, now: datetime) -> None:
            verify_stripe_signature(raw, header, several(self.secrets.read("stripe"), "webhook_secrets"), now)

        def identity() -> StripeIdentity:
            secret = self.secrets.read("stripe")
            return StripeIdentity(secret["account"], bool(secret["livemode"]))

        return ReceiveStripeEvent(self.receive_signal, prove, read_stripe_signal, identity, self.clock)

    def connect_stripe(self) -> StripeClient:
        """A client with the key as it is now."""
        from revops.adapters.stripe_client import stripe_client

        return stripe_client(str(self.secrets.read("stripe")["api_key"]), self.config.stripe_api_base)

    @cached_property
    def stripe_once(self) -> Callable[[], StripeClient]:
        """A client that does not retry by itself, with the key as it is now: for whatever makes something at Stripe,
        where only the caller knows whether a key may be used again."""
        from revops.adapters.stripe_client import stripe_client

        made = lru_cache(maxsize=2)(lambda key: stripe_client(key, self.config.stripe_api_base, retries=0))
        return lambda: made(str(self.secrets.read("stripe")["api_key"]))

    @cached_property
    def converge_customer(self) -> ConvergeCustomer:
        from revops.adapters.stripe_events import read_stripe_event
        from revops.adapters.stripe_gateway import StripeReads
        from revops.billing import ConvergeCustomer

        return ConvergeCustomer(
            self.table,
            self.clock,
            self.ids,
            StripeReads(self.connect_stripe),
            read_stripe_event,
            self.crm_records,
            self.settings,
            self.settlement,
        )

    @cached_property
    def customer_rights(self) -> CustomerRights:
        from revops.billing.rights import CustomerRights

        return CustomerRights(self.table, self.policy, self.crm_records)

    def link_assets(self) -> LinkAssets:
        from revops.billing.assets import LinkAssets

        return LinkAssets(self.table, self.clock, self.customer_rights)

    @cached_property
    def sync_customer(self) -> SyncCustomer:
        from revops.billing.resync import SyncCustomer

        return SyncCustomer(self.table, self.clock, self.converge_customer, self.link_assets())

    def bring_cancellations(self) -> BringCancellations:
        from revops.adapters.agreed_terms import AgreedTerms
        from revops.adapters.stripe_cancellation import StripeCancellations
        from revops.billing.cancellation import BringCancellations

        keep = AgreedTerms(self.table, self.stripe_provisioning, self.change_subscription)
        stripe = StripeCancellations(self.connect_stripe)
        return BringCancellations(self.table, self.clock, stripe, self.sync_customer, keep)

    @cached_property
    def ending_wishes(self) -> StandingWishes:
        from revops.billing.endings import StandingWishes

        return StandingWishes(self.table, self.clock)

    def change_subscription(self) -> ChangeSubscription:
        from revops.orders.changing import ChangeSubscription

        gateway = self.stripe_provisioning()
        return ChangeSubscription(self.table, self.clock, gateway, self.settings, self.ending_wishes)

    def work_after(self, kind: str) -> Callable[[str, CallContext], object] | None:
        """What the Stripe worker does after the change of a row of a kind, if billing or orders give it something."""
        match kind:
            case "CANCELLATION":
                return self.bring_cancellations()
            case "RESYNC":
                return self.run_resync()
            case "TIMELINE":
                return self.change_subscription().catch_up
        return None

    def run_resync(self) -> RunResync:
        from revops.billing.resync import RunResync

        return RunResync(self.table, self.clock, self.sync_customer)

    def request_resync(self) -> RequestResync:
        from revops.billing.resync import RequestResync

        return RequestResync(self.table, self.clock, self.ids, self.policy)

    def follow_owner(self) -> FollowOwner:
        from revops.billing.ownership import FollowOwner

        return FollowOwner(self.table, self.clock, self.crm_records)

    def sweep_memberships(self) -> SweepMemberships:
        from revops.billing import SweepMemberships

        return SweepMemberships(self.table, self.clock, self.queues)

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

    def block_unacknowledged(self) -> BlockUnacknowledged:
        from revops.orders.tenant import BlockUnacknowledged

        return BlockUnacknowledged(self.table, self.clock)

    def acknowledge_tenant(self) -> AcknowledgeTenant:
        from revops.orders.tenant import AcknowledgeTenant

        rules = self.settings_as_they_stand
        return AcknowledgeTenant(self.table, self.clock, self.crm_records, self.policy, rules)

    def tenant_use_cases(self) -> TenantUseCases:
        from revops.api.tenants import TenantUseCases

        return TenantUseCases(self.acknowledge_tenant(), lambda: self.hold_rate)

    def run_order_step(self) -> RunOrderStep:
        from revops.orders.provisioning.service import ProvisionOrder
        from revops.orders.steps import order_steps
        from revops.orders.workflow import RunOrderStep

        gateway = self.stripe_provisioning()
        provision = ProvisionOrder(self.table, self.clock, gateway, self.crm_records, self.settings, self.ending_wishes)
        signing = self.signature_senders()
        table, clock, settings = self.table, self.clock, self.settings_as_they_stand
        steps = order_steps(table, clock, self.crm_records, provision, settings, signing, self.order_forms)
        return RunOrderStep(self.table, self.clock, self.crm_records, steps, self.answer_wait())

    def sync_catalogue(self) -> SyncCatalogue:
        from revops.adapters.stripe_catalogue import StripeCatalogue
        from revops.orders.provisioning.catalogue import SyncCatalogue

        return SyncCatalogue(self.table, self.clock, StripeCatalogue(self.stripe_once), self.settings)

    def try_terms(self) -> TryTerms:
        from revops.adapters.usage_history import CountedUsage
        from revops.orders.queries import ReadOrder
        from revops.orders.what_if import TryTerms

        read = ReadOrder(self.table, self.crm_records, self.policy)
        return TryTerms(
            self.table,
            self.clock,
            self.crm_records,
            self.policy,
            self.settings,
            CountedUsage(self.table),
            self.stripe_provisioning,
            read,
        )

    def stripe_provisioning(self) -> ProvisioningGateway:
        """Made when it is first needed: Stripe's library is slow to load, and most requests do without."""
        from revops.adapters.stripe_provisioning import StripeProvisioning

        return StripeProvisioning(self.stripe_once)

    def order_use_cases(self) -> OrderUseCases:
        from revops.api.orders import OrderUseCases
        from revops.orders.comments import CommentOrders
        from revops.orders.decisions import CancelOrder, ResumeOrder
        from revops.orders.document import ReadDocument
        from revops.orders.progress import ReadProgress
        from revops.orders.queries import ListOrders, ReadOrder
        from revops.orders.reviewing import ReviewOrder
        from revops.orders.revisions import ReadRevisions
        from revops.orders.signature import CaptureSignature
        from revops.orders.submission import SubmitOrder

        table, clock, crm, policy = self.table, self.clock, self.crm_records, self.policy
        read, tasks = ReadOrder(table, crm, policy), self.review_tasks
        return OrderUseCases(
            submit=SubmitOrder(table, clock, self.ids, crm, policy, self.settings),
            read=read,
            progress=ReadProgress(table, read),
            review=ReviewOrder(table, clock, crm, policy, tasks),
            sign=CaptureSignature(table, clock, self.blobs, crm, policy),
            resume=ResumeOrder(table, clock, crm, policy, self.settings),
            cancel=CancelOrder(table, clock, crm, policy, tasks),
            all=ListOrders(table, crm, policy, lambda: self.cursors),
            revisions=ReadRevisions(table, read),
            comments=CommentOrders(table, clock, self.ids, crm, policy, self.settings, lambda: self.cursors),
            document=ReadDocument(read, self.form_links()),
        )

    @cached_property
    def record_usage(self) -> RecordUsage:
        from revops.usage import RecordUsage

        return RecordUsage(self.table, self.clock, self.settings)

    def set_cap_plan(self) -> SetCapPlan:
        from revops.usage import SetCapPlan

        return SetCapPlan(self.table, self.clock)

    def apply_order_caps(self) -> ApplyOrderCaps:
        from revops.adapters.order_caps import ApplyOrderCaps

        return ApplyOrderCaps(self.table, self.clock, self.set_cap_plan())

    def turn_timelines(self) -> TurnTimelines:
        from revops.orders.turning import TurnTimelines

        return TurnTimelines(self.table, self.clock, self.apply_order_caps())

    def sweep_spend_caps(self) -> SweepSpendCaps:
        from revops.adapters.alert_notes import CrmAlertNotes
        from revops.usage import SweepSpendCaps

        return SweepSpendCaps(self.table, self.clock, self.ids, self.settings, CrmAlertNotes(self.table, self.ids))
