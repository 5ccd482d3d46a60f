"""Order forms and the billing provider side by side; adopting what it had before."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.sales import SalesWiring

if TYPE_CHECKING:
    from revops.adapters.reconcile_records import CrmAccounts
    from revops.adapters.stripe_reconcile import StripeRepairs
    from revops.api.adoptions import AdoptionUseCases
    from revops.api.reconcile import ReconcileUseCases
    from revops.orders.decisions import ResumeOrder
    from revops.reconcile.adopting import AdoptCustomer
    from revops.reconcile.expecting import Expect
    from revops.reconcile.handing import DoReconcileWork
    from revops.reconcile.planning import RunAdoption
    from revops.reconcile.repairing import ApplyRepair
    from revops.reconcile.requesting import StartReconciliation
    from revops.reconcile.sweep import SweepReconciling
    from revops.reconcile.walking import RunReconciliation


class ReconcileWiring(SalesWiring):
    """Reconciling, repairing, adopting."""

    def expect(self) -> Expect:
        from revops.adapters.reconcile_records import StoredEndWishes
        from revops.adapters.usage_history import CountedUsage
        from revops.reconcile.expecting import Expect

        wishes, usage = StoredEndWishes(self.table), CountedUsage(self.table)
        return Expect(self.table, self.clock, self.settings, wishes, usage)

    def run_reconciliation(self) -> RunReconciliation:
        from revops.adapters.stripe_reconcile import StripeBooks
        from revops.reconcile.walking import RunReconciliation

        books = StripeBooks(self.stripe_once)
        return RunReconciliation(self.table, self.clock, self.expect(), books, self.crm_records)

    @cached_property
    def stripe_repairs(self) -> StripeRepairs:
        from revops.adapters.stripe_reconcile import StripeRepairs

        return StripeRepairs(self.stripe_once)

    def apply_repair(self) -> ApplyRepair:
        from revops.adapters.reconcile_records import OrderWork
        from revops.adapters.stripe_reconcile import StripeBooks
        from revops.reconcile.repairing import ApplyRepair

        books, desk = StripeBooks(self.stripe_once), OrderWork(self.resume_order, self.change_subscription)
        return ApplyRepair(self.table, self.clock, self.expect(), books, self.stripe_repairs, desk)

    def resume_order(self) -> ResumeOrder:
        return self.order_use_cases().resume

    @cached_property
    def crm_accounts(self) -> CrmAccounts:
        from revops.adapters.reconcile_records import CrmAccounts

        return CrmAccounts(self.table, self.ids, self.settings)

    def run_adoption(self) -> RunAdoption:
        from revops.adapters.stripe_reconcile import StripePayers, StripeSubscribed
        from revops.reconcile.planning import RunAdoption

        payers, subscribed = StripePayers(self.stripe_once), StripeSubscribed(self.stripe_once)
        return RunAdoption(self.table, self.clock, payers, subscribed, self.crm_accounts)

    def adopt_customer(self) -> AdoptCustomer:
        from revops.adapters.reconcile_records import ConvergedProfiles
        from revops.adapters.stripe_reconcile import StripePayers
        from revops.reconcile.adopting import AdoptCustomer

        payers, profiles = StripePayers(self.stripe_once), ConvergedProfiles(self.converge_customer)
        return AdoptCustomer(self.table, self.clock, payers, self.crm_accounts, profiles)

    @cached_property
    def reconcile_work(self) -> DoReconcileWork:
        from revops.reconcile.handing import DoReconcileWork

        return DoReconcileWork(self.run_reconciliation, self.apply_repair, self.run_adoption, self.adopt_customer)

    def start_reconciliation(self) -> StartReconciliation:
        from revops.reconcile.requesting import StartReconciliation

        return StartReconciliation(self.table, self.clock, self.ids, self.policy, self.settings)

    def sweep_reconciling(self) -> SweepReconciling:
        from revops.reconcile.sweep import SweepReconciling

        return SweepReconciling(self.table, self.clock, self.queues, self.start_reconciliation())

    def reconcile_use_cases(self) -> ReconcileUseCases:
        from revops.api.reconcile import ReconcileUseCases
        from revops.reconcile.requesting import ApproveRepairs, ReadReconciliations

        return ReconcileUseCases(
            self.start_reconciliation(),
            ReadReconciliations(self.table, self.clock, self.policy, self.crm_records, lambda: self.cursors),
            ApproveRepairs(self.table, self.clock, self.policy),
        )

    def adoption_use_cases(self) -> AdoptionUseCases:
        from revops.api.adoptions import AdoptionUseCases
        from revops.reconcile.planning import AskForAdoption

        ask = AskForAdoption(self.table, self.clock, self.ids, self.policy, self.crm_accounts, lambda: self.cursors)
        return AdoptionUseCases(ask)
