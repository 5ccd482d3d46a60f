"""Keeping step with HubSpot."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.reconcile import ReconcileWiring

if TYPE_CHECKING:
    from revops.adapters.hubspot_queue import SqsSyncQueue
    from revops.sync import BudgetedGateway, EnsureProperties, HandleMessage, ReportDrift, SweepDirty
    from revops.sync.webhook import ReceiveDelivery


class HubspotWiring(ReconcileWiring):
    """Both directions of the HubSpot sync."""

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
