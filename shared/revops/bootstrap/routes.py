"""What the HTTP routes call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revops.bootstrap.stream import StreamWiring

if TYPE_CHECKING:
    from revops.api.intake import IntakeUseCases
    from revops.api.leads import LeadUseCases
    from revops.api.meta import MetaUseCases
    from revops.api.operations import OperationUseCases
    from revops.api.records import RecordUseCases
    from revops.api.settings import SettingsUseCases
    from revops.api.usage import UsageUseCases


class Wiring(StreamWiring):
    """Use cases, made from a configuration."""

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

    def usage_use_cases(self) -> UsageUseCases:
        from revops.api.usage import UsageUseCases

        return UsageUseCases(self.record_usage)

    def settings_use_cases(self) -> SettingsUseCases:
        from revops.api.settings import SettingsUseCases

        return SettingsUseCases(self.change_settings)

    def operation_use_cases(self) -> OperationUseCases:
        from revops.api.operations import OperationUseCases
        from revops.inbox.replay import ReplaySignals
        from revops.stream.dead_letters import ReadDeadLetters

        return OperationUseCases(
            ReplaySignals(self.table, self.clock, self.policy, self.settlement),
            ReadDeadLetters(self.table, self.clock, self.policy),
        )

    def meta_use_cases(self) -> MetaUseCases:
        from revops.api.meta import MetaUseCases
        from revops.table import Key

        def check_table() -> None:
            self.table.get(Key("HEALTH", "HEALTH"), consistent=False)

        return MetaUseCases(check_table, self.config.release)
