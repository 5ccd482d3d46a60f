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
    from revops.crm.intake import SubmitLead
    from revops.crm.service import RecheckLead, RescoreLeads
    from revops.settings.service import ChangeSettings


class CrmWiring(Ground):
    """The CRM and the rules it runs by."""

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

    @cached_property
    def change_settings(self) -> ChangeSettings:
        from revops.adapters.previews import previews
        from revops.settings.service import ChangeSettings

        return ChangeSettings(self.table, self.clock, self.policy, SettingsDocuments(), previews(self.table))
