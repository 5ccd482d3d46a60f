"""Leads, accounts, people, settings."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.ground import Ground
from revops.bootstrap.registry import SettingsDocuments

if TYPE_CHECKING:
    from revops.adapters.crm_records import StoredCrmRecords
    from revops.adapters.people import CrmPeople
    from revops.analytics import ReadCounts
    from revops.crm.consent import RecordConsent
    from revops.crm.conversion import ConvertLead
    from revops.crm.conversion_undo import UndoConversion
    from revops.crm.duplicates import FollowOwners
    from revops.crm.engagement import RecordEngagement
    from revops.crm.intake import SubmitLead
    from revops.crm.links import Links
    from revops.crm.qualification import NominateLead, QualifyLead
    from revops.crm.rechecking import RecheckLead
    from revops.crm.rescoring import RescoreLeads
    from revops.crm.task_owners import TasksFollowLead
    from revops.scoring.training.service import TrainScoring
    from revops.settings.service import ChangeSettings


class CrmWiring(Ground):
    """The CRM and the rules it runs by."""

    @cached_property
    def submit_lead(self) -> SubmitLead:
        from revops.adapters.roster import TableRoster
        from revops.crm.intake import SubmitLead

        return SubmitLead(self.table, self.clock, self.ids, self.settings, TableRoster(self.table, self.clock))

    def links(self) -> Links:
        """Made anew when asked for: the keys behind it rotate."""
        from revops.crm.links import Links
        from revops.kernel import several

        secret = self.secrets.read("internal")
        earlier = [key.encode() for key in several(secret, "earlier_signing_keys")]
        return Links(self.config.public_url, str(secret["signing_key"]).encode(), earlier=earlier, clock=self.clock)

    def record_engagement(self) -> RecordEngagement:
        from revops.crm.engagement import RecordEngagement

        return RecordEngagement(self.table, self.clock)

    def record_consent(self) -> RecordConsent:
        from revops.crm.consent import RecordConsent

        return RecordConsent(self.table, self.clock)

    @cached_property
    def people(self) -> CrmPeople:
        from revops.adapters.people import CrmPeople

        return CrmPeople(self.table, self.submit_lead, self.settings)

    @cached_property
    def crm_records(self) -> StoredCrmRecords:
        from revops.adapters.crm_records import StoredCrmRecords

        return StoredCrmRecords(self.table, self.ids)

    def follow_owners(self) -> FollowOwners:
        from revops.crm.duplicates import FollowOwners

        return FollowOwners(self.table, self.clock)

    def tasks_follow_lead(self) -> TasksFollowLead:
        from revops.crm.task_owners import TasksFollowLead

        return TasksFollowLead(self.table, self.clock)

    def recheck_lead(self) -> RecheckLead:
        from revops.crm.rechecking import RecheckLead

        return RecheckLead(self.table, self.clock, self.settings)

    def rescore_leads(self) -> RescoreLeads:
        from revops.crm.rescoring import RescoreLeads

        return RescoreLeads(self.table, self.clock, self.settings_as_they_stand)

    def qualify_lead(self) -> QualifyLead:
        from revops.crm.qualification import QualifyLead

        return QualifyLead(self.table, self.clock, self.policy, self.settings)

    def nominate_lead(self) -> NominateLead:
        from revops.crm.qualification import NominateLead

        return NominateLead(self.table, self.clock, self.settings)

    def convert_lead(self) -> ConvertLead:
        from revops.adapters.roster import TableRoster
        from revops.crm.conversion import ConvertLead

        roster = TableRoster(self.table, self.clock)
        return ConvertLead(self.table, self.clock, self.ids, self.policy, self.settings, roster)

    def undo_conversion(self) -> UndoConversion:
        from revops.adapters.account_uses import BilledAccounts
        from revops.crm.conversion_undo import UndoConversion

        return UndoConversion(self.table, self.clock, self.policy, BilledAccounts(self.table))

    def train_scoring(self) -> TrainScoring:
        """Needs the training layer: scikit-learn is imported here and nowhere else."""
        from revops.crm.history import LeadHistory
        from revops.scoring.training.fit import fit
        from revops.scoring.training.service import TrainScoring

        history = LeadHistory(self.table, self.clock).examples
        return TrainScoring(self.table, self.clock, self.settings_as_they_stand, history, self.blobs, fit)

    @cached_property
    def read_counts(self) -> ReadCounts:
        from revops.analytics import ReadCounts

        return ReadCounts(self.table, self.policy)

    @cached_property
    def change_settings(self) -> ChangeSettings:
        from revops.adapters.previews import previews
        from revops.settings.service import ChangeSettings

        return ChangeSettings(
            self.table, self.clock, self.policy, SettingsDocuments(), previews(self.table, self.clock)
        )
