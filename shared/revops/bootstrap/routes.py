"""What the HTTP routes call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revops.bootstrap.stream import StreamWiring

if TYPE_CHECKING:
    from revops.access import AdministerKeys
    from revops.api.activities import ActivityUseCases
    from revops.api.assignment import AssignmentUseCases
    from revops.api.cancellations import CancellationUseCases
    from revops.api.conversion import ConversionUseCases
    from revops.api.customers import CustomerUseCases
    from revops.api.duplicates import DuplicateUseCases
    from revops.api.engagement import EngagementUseCases
    from revops.api.intake import IntakeUseCases
    from revops.api.leads import LeadUseCases
    from revops.api.meta import MetaUseCases
    from revops.api.operations import OperationUseCases
    from revops.api.page_events import PageEventUseCases
    from revops.api.qualification import QualificationUseCases
    from revops.api.records import RecordUseCases
    from revops.api.reports import ReportUseCases
    from revops.api.scoring import ScoringUseCases
    from revops.api.settings import SettingsUseCases
    from revops.api.tasks import TaskUseCases
    from revops.api.tracking import TrackingUseCases
    from revops.api.usage import UsageUseCases
    from revops.api.users import UserUseCases
    from revops.api.webinars import WebinarUseCases
    from revops.crm.consenting import LeadConsents
    from revops.crm.page_events import RecordPageEvents


class Wiring(StreamWiring):
    """Use cases, made from a configuration."""

    def intake_use_cases(self) -> IntakeUseCases:
        from revops.api.intake import IntakeUseCases

        return IntakeUseCases(self.receive_form(), self.submit_lead, self.hold_rate)

    def webinar_use_cases(self) -> WebinarUseCases:
        from revops.api.webinars import WebinarUseCases

        return WebinarUseCases(self.take_attendees(), self.hold_rate, self.authenticate.still_good)

    def administer_keys(self) -> AdministerKeys:
        from revops.access import AdministerKeys, IssueKey

        return AdministerKeys(self.table, self.policy, IssueKey(self.table, self.clock))

    def lead_use_cases(self) -> LeadUseCases:
        from revops.api.leads import LeadUseCases
        from revops.crm.service import ChangeLead, ReadLeads

        return LeadUseCases(
            ReadLeads(self.table, self.policy, lambda: self.cursors),
            ChangeLead(self.table, self.clock, self.policy, self.settings),
            self.read_counts,
        )

    def assignment_use_cases(self) -> AssignmentUseCases:
        from revops.api.assignment import AssignmentUseCases
        from revops.crm.assigning import ReassignLead
        from revops.crm.service import ReadLeads

        read = ReadLeads(self.table, self.policy, lambda: self.cursors)
        reassign = ReassignLead(self.table, self.clock, self.policy, self.settings)
        return AssignmentUseCases(read, reassign, self.read_counts)

    def task_use_cases(self) -> TaskUseCases:
        from revops.api.tasks import TaskUseCases
        from revops.crm.tasks import ChangeTasks, ReadTasks

        read = ReadTasks(self.table, self.policy, lambda: self.cursors)
        return TaskUseCases(read, ChangeTasks(self.table, self.clock, self.ids, self.policy))

    def activity_use_cases(self) -> ActivityUseCases:
        from revops.api.activities import ActivityUseCases
        from revops.crm.activities import LogActivity, ReadTimeline

        log = LogActivity(self.table, self.clock, self.ids, self.policy)
        return ActivityUseCases(log, ReadTimeline(self.table, self.policy, lambda: self.cursors))

    def user_use_cases(self) -> UserUseCases:
        from revops.access.directory import ListUsers, SetAbsence
        from revops.api.users import UserUseCases

        return UserUseCases(ListUsers(self.table, self.policy), SetAbsence(self.table, self.clock, self.policy))

    def engagement_use_cases(self) -> EngagementUseCases:
        from revops.api.engagement import EngagementUseCases
        from revops.crm.service import ReadLeads

        return EngagementUseCases(self.table, ReadLeads(self.table, self.policy, lambda: self.cursors))

    def lead_consents(self) -> LeadConsents:
        from revops.crm.consenting import LeadConsents

        return LeadConsents(self.table, self.clock, self.policy, self.record_consent())

    def tracking_use_cases(self) -> TrackingUseCases:
        from revops.api.tracking import TrackingUseCases
        from revops.crm.consenting import Unsubscribe
        from revops.crm.tracking import TrackMessage

        return TrackingUseCases(
            self.links,
            lambda: TrackMessage(self.table, self.clock, self.settings, self.record_engagement()),
            lambda: Unsubscribe(self.clock, self.record_consent()),
        )

    def page_event_use_cases(self) -> PageEventUseCases:
        from revops.api.page_events import PageEventUseCases

        return PageEventUseCases(self.record_page_events, lambda: self.hold_rate)

    def record_page_events(self) -> RecordPageEvents:
        from revops.crm.page_events import RecordPageEvents

        return RecordPageEvents(self.table, self.settings, self.record_engagement())

    def qualification_use_cases(self) -> QualificationUseCases:
        from revops.api.qualification import QualificationUseCases

        return QualificationUseCases(self.qualify_lead())

    def conversion_use_cases(self) -> ConversionUseCases:
        from revops.api.conversion import ConversionUseCases
        from revops.crm.service import ReadLeads

        read = ReadLeads(self.table, self.policy, lambda: self.cursors)
        return ConversionUseCases(self.convert_lead(), self.undo_conversion(), read)

    def duplicate_use_cases(self) -> DuplicateUseCases:
        from revops.api.duplicates import DuplicateUseCases
        from revops.crm.duplicates import ReadDuplicates, TellApart
        from revops.crm.merging import MergeLeads, UndoMerge

        return DuplicateUseCases(
            ReadDuplicates(self.table, self.policy, lambda: self.cursors),
            TellApart(self.table, self.clock, self.policy),
            MergeLeads(self.table, self.clock, self.policy),
            UndoMerge(self.table, self.clock, self.policy),
        )

    def record_use_cases(self) -> RecordUseCases:
        from revops.api.records import RecordUseCases
        from revops.audit import ReadAudit

        return RecordUseCases(self.table, self.policy, ReadAudit(self.table, self.policy), self.read_counts)

    def customer_use_cases(self) -> CustomerUseCases:
        from revops.api.customers import CustomerUseCases
        from revops.billing.lists import ChangeCustomer, ReadCustomers
        from revops.billing.queries import ReadCustomer
        from revops.billing.reports import ReadAssets

        rights = self.customer_rights
        return CustomerUseCases(
            rights=rights,
            profile=ReadCustomer(self.table),
            read=ReadCustomers(self.table, self.policy, rights, lambda: self.cursors),
            change=ChangeCustomer(self.table, self.clock, rights),
            link=self.link_assets(),
            assets=ReadAssets(self.table, self.clock, rights),
            resync=self.request_resync(),
        )

    def cancellation_use_cases(self) -> CancellationUseCases:
        from revops.api.cancellations import CancellationUseCases
        from revops.billing.cancellation import RequestCancellation

        return CancellationUseCases(RequestCancellation(self.table, self.clock, self.customer_rights))

    def report_use_cases(self) -> ReportUseCases:
        from revops.api.reports import ReportUseCases
        from revops.billing.meters import ReadMeterReports
        from revops.billing.reports import ReadReports

        return ReportUseCases(
            ReadReports(self.table, self.clock, self.policy, lambda: self.cursors),
            ReadMeterReports(self.table, self.clock, self.policy),
            self.request_resync(),
        )

    def usage_use_cases(self) -> UsageUseCases:
        from revops.api.usage import UsageUseCases

        return UsageUseCases(self.record_usage)

    def scoring_use_cases(self) -> ScoringUseCases:
        from revops.api.scoring import ScoringUseCases
        from revops.crm.scores import ExplainScore
        from revops.scoring.service import ReadScoring

        return ScoringUseCases(
            ExplainScore(self.table, self.clock, self.policy, self.settings_as_they_stand),
            ReadScoring(self.table, self.policy, lambda: self.blobs),
        )

    def settings_use_cases(self) -> SettingsUseCases:
        from revops.api.settings import SettingsUseCases

        return SettingsUseCases(self.change_settings)

    def operation_use_cases(self) -> OperationUseCases:
        from revops.api.operations import OperationUseCases
        from revops.inbox.replay import ReplaySignals
        from revops.stream.dead_letters import ReadDeadLetters

        return OperationUseCases(
            ReplaySignals(self.table, self.clock, self.policy, self.settlement, lambda: self.cursors),
            ReadDeadLetters(self.table, self.clock, self.policy),
        )

    def meta_use_cases(self) -> MetaUseCases:
        from revops.api.meta import MetaUseCases
        from revops.table import Key

        def check_table() -> None:
            self.table.get(Key("HEALTH", "HEALTH"), consistent=False)

        return MetaUseCases(check_table, self.config.release)
