"""What follows from changes and events."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.hubspot import HubspotWiring
from revops.bootstrap.registry import AUDITED, events_of

if TYPE_CHECKING:
    from revops.adapters.people import MarkPeopleDirty
    from revops.bus import ConsumeEvent
    from revops.notices import SendNotice
    from revops.stream import FindLost, RedriveRecords, RelayChanges, SweepInbox
    from revops.stream.housekeeping import Housekeep


class StreamWiring(HubspotWiring):
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

    def send_notice(self) -> SendNotice:
        from revops.adapters.mail import SesMailer
        from revops.notices import SendNotice

        return SendNotice(self.table, self.clock, SesMailer(self.aws("sesv2"), self.config.mail_from))

    def consume_event(self) -> ConsumeEvent:
        from revops.bus import ConsumeEvent
        from revops.bus.reactions import joined, lead_reactions, notice_reactions, order_reactions

        return ConsumeEvent(
            joined(
                order_reactions(self.start_workflow, self.answer_wait, self.apply_order_caps),
                lead_reactions(self.recheck_lead),
                notice_reactions(self.send_notice, self.config.mail_to_ops),
            )
        )
