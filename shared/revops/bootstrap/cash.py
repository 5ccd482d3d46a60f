"""Order forms, Stripe, usage."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from revops.bootstrap.imports import ImportWiring

if TYPE_CHECKING:
    from datetime import datetime

    from stripe import StripeClient

    from revops.adapters.order_caps import ApplyOrderCaps
    from revops.adapters.workflow import StepFunctionsWorkflow
    from revops.api.orders import OrderUseCases
    from revops.billing import ConvergeCustomer, ReceiveStripeEvent, SweepMemberships
    from revops.orders.workflow import AnswerWait, RestartStalledOrders, RunOrderStep, StartWorkflow
    from revops.usage import RecordUsage, SetCapPlan, SweepSpendCaps


class CashWiring(ImportWiring):
    """What turns a deal into cash: order forms, billing, usage."""

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
            self.crm_records,
            self.settings,
            self.settlement,
        )

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

    def run_order_step(self) -> RunOrderStep:
        from revops.adapters.stripe_client import stripe_client
        from revops.adapters.stripe_provisioning import StripeProvisioning
        from revops.orders.model import ESignMethod
        from revops.orders.ports import ManualSigning
        from revops.orders.provisioning.service import ProvisionOrder
        from revops.orders.steps import order_steps
        from revops.orders.workflow import RunOrderStep

        client = lru_cache(maxsize=2)(lambda key: stripe_client(key, self.config.stripe_api_base, retries=0))
        gateway = StripeProvisioning(lambda: client(str(self.secrets.read("stripe")["api_key"])))
        provision = ProvisionOrder(self.table, self.clock, gateway, self.crm_records, self.settings)
        signing = {ESignMethod.MANUAL: ManualSigning()}
        steps = order_steps(self.table, self.clock, self.crm_records, provision, self.settings, signing)
        return RunOrderStep(self.table, self.clock, self.crm_records, steps, self.answer_wait())

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
