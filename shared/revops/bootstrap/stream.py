"""What follows from changes and events."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.nurture import NurtureWiring
from revops.bootstrap.registry import AUDITED, events_of, work_of

if TYPE_CHECKING:
    from revops.adapters.people import MarkPeopleDirty
    from revops.bus import ConsumeEvent
    from revops.crm.telling import TellOwner
    from revops.notices import SendNotice, SendWebhook
    from revops.orders.welcoming import WelcomeCustomer
    from revops.sales.telling import TellOfDunning
    from revops.stream import FindLost, RedriveRecords, RelayChanges, SweepInbox
    from revops.stream.housekeeping import Housekeep


class StreamWiring(NurtureWiring):
    """The relay, the sweepers, the bus consumer and what they hand on to."""

    @cached_property
    def mark_dirty(self) -> MarkPeopleDirty:
        from revops.adapters.people import MarkPeopleDirty

        return MarkPeopleDirty(self.table, self.clock, self.settings)

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
            work_of=work_of(),
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
        envelopes, timelines = self.sweep_envelopes(), self.turn_timelines()
        hand_over, tenants = self.hand_over(), self.block_unacknowledged()
        reconciling = self.sweep_reconciling()
        return Housekeep(
            {
                "inbox": lambda _: inbox(),
                "stream": lambda _: lost().redriven,
                "sync": lambda period: dirty(system_call("housekeeping", period)),
                "memberships": lambda _: memberships(),
                "orders": lambda period: orders(system_call("housekeeping", period)),
                "envelopes": lambda period: envelopes(system_call("housekeeping", period)),
                "tenants": tenants,
                "timelines": lambda period: timelines(system_call("housekeeping", period)),
                "credits": lambda period: hand_over.requests(system_call("housekeeping", period)),
                "mirrors": lambda period: hand_over.payers(system_call("housekeeping", period)),
                "reconciling": lambda period: reconciling(system_call("housekeeping", period)),
            }
        )

    def send_notice(self) -> SendNotice:
        from revops.adapters.mail import SesMailer
        from revops.notices import SendNotice

        return SendNotice(self.table, self.clock, SesMailer(self.aws("sesv2"), self.config.mail_from))

    def send_webhook(self) -> SendWebhook:
        from revops.adapters.outgoing_webhook import OutgoingWebhook
        from revops.kernel import several
        from revops.notices import SendWebhook

        def keys() -> list[str]:
            secret = self.secrets.read("notices")
            return [str(secret["signing_key"]), *several(secret, "earlier_signing_keys")]

        post = OutgoingWebhook(keys, self.clock, loopback=self.config.webhooks_to_loopback)
        return SendWebhook(self.table, self.clock, post)

    def tell_owner(self) -> TellOwner:
        from revops.crm.telling import TellOwner

        return TellOwner(
            self.table, self.clock, self.settings, self.send_notice(), self.send_webhook(), self.config.mail_to_ops
        )

    def tell_of_dunning(self) -> TellOfDunning:
        from revops.sales.telling import TellOfDunning

        return TellOfDunning(self.table, self.settings, self.sales_desk, self.send_notice(), self.config.mail_to_ops)

    def welcome_customer(self) -> WelcomeCustomer:
        from revops.adapters.first_tasks import CrmFirstTasks
        from revops.orders.welcoming import WelcomeCustomer

        tasks = CrmFirstTasks(self.table)
        return WelcomeCustomer(self.table, self.clock, self.crm_records, tasks, self.settings, self.send_notice())

    def reminders(self) -> Housekeep:
        from revops.crm.response import EscalateMissed
        from revops.crm.tasks import RemindAssignees
        from revops.crm.tickets import LeaseTickets
        from revops.stream.housekeeping import Housekeep

        missed, remind = EscalateMissed(self.table, self.clock), RemindAssignees(self.table, self.clock)
        leases = LeaseTickets(self.table, self.clock)
        dunning, renewals, reviews = self.advance_dunning(), self.watch_renewals(), self.watch_reviews()
        return Housekeep(
            {
                "responses": lambda period: missed(period)["missed"],
                "tasks": lambda period: remind(period)["reminded"],
                "tickets": lambda _: leases.settle(),
                "reviews": reviews,
                "dunning": dunning,
                "renewals": renewals,
            }
        )

    def consume_event(self) -> ConsumeEvent:
        from revops.bus import ConsumeEvent
        from revops.bus.activating import activation_reactions, tenant_reactions
        from revops.bus.billing import asset_reactions, ownership_reactions
        from revops.bus.nurturing import nurture_reactions
        from revops.bus.reactions import (
            handover_reactions,
            joined,
            lead_reactions,
            notice_reactions,
            order_reactions,
            qualification_reactions,
        )
        from revops.bus.selling import selling_reactions
        from revops.bus.signing import signing_reactions
        from revops.bus.telling import telling_reactions

        return ConsumeEvent(
            joined(
                order_reactions(self.start_workflow, self.answer_wait, self.apply_order_caps),
                lead_reactions(self.recheck_lead),
                handover_reactions(self.follow_owners, self.tasks_follow_lead),
                qualification_reactions(self.nominate_lead),
                nurture_reactions(self.enrol_lead, self.review_enrolments),
                notice_reactions(self.send_notice, self.config.mail_to_ops),
                telling_reactions(self.tell_owner),
                ownership_reactions(self.follow_owner),
                signing_reactions(self.hand_over_envelopes),
                activation_reactions(self.answer_wait, self.welcome_customer),
                selling_reactions(self.make_sales_order, self.hand_over, self.find_upsells, self.tell_of_dunning),
            ),
            outside=joined(asset_reactions(self.link_assets), tenant_reactions(self.acknowledge_tenant)),
        )
