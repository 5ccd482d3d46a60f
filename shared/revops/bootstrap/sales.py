"""What follows a sale."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.cash import CashWiring

if TYPE_CHECKING:
    from revops.adapters.sales_records import StoredDesk, StoredOrders, StoredPayers
    from revops.adapters.stripe_sales import StripeLedger
    from revops.api.renewals import RenewalUseCases
    from revops.api.sales import SalesUseCases
    from revops.sales.dunning import AdvanceDunning
    from revops.sales.handing import DoStripeWork, HandOver
    from revops.sales.ordering import MakeSalesOrder
    from revops.sales.queries import ReadSales
    from revops.sales.renewing import WatchRenewals
    from revops.sales.upselling import FindUpsells


class SalesWiring(CashWiring):
    """Sales orders, invoices, payments, credits, dunning, renewals, upsells."""

    @cached_property
    def sales_desk(self) -> StoredDesk:
        from revops.adapters.sales_records import StoredDesk

        return StoredDesk(self.table, self.ids)

    @cached_property
    def sold_orders(self) -> StoredOrders:
        from revops.adapters.sales_records import StoredOrders

        return StoredOrders(self.table)

    @cached_property
    def stripe_payers(self) -> StoredPayers:
        from revops.adapters.sales_records import StoredPayers

        return StoredPayers(self.table)

    @cached_property
    def stripe_ledger(self) -> StripeLedger:
        from revops.adapters.stripe_sales import StripeLedger

        return StripeLedger(self.stripe_once)

    def make_sales_order(self) -> MakeSalesOrder:
        from revops.sales.ordering import MakeSalesOrder

        return MakeSalesOrder(self.table, self.clock, self.sold_orders, self.sales_desk, self.settings)

    @cached_property
    def sales_stripe_work(self) -> DoStripeWork:
        """What the Stripe worker does for sales: after a signal was settled, and for messages of its own."""
        from revops.adapters.stripe_events import read_stripe_event
        from revops.adapters.stripe_gateway import StripeReads
        from revops.adapters.stripe_sales import StripeSignals
        from revops.orders.provisioning.create_once import CreateOnce
        from revops.sales.crediting import PerformCredit
        from revops.sales.handing import DoStripeWork
        from revops.sales.mirroring import MirrorPayer

        reads = StripeReads(self.connect_stripe)
        mirror = MirrorPayer(
            self.table, self.clock, self.stripe_ledger, self.stripe_payers, self.sales_desk, self.settings
        )
        perform = PerformCredit(self.table, self.clock, CreateOnce(self.table, self.clock), self.stripe_ledger)
        signals = StripeSignals(self.settlement, read_stripe_event, reads)
        return DoStripeWork(self.table, mirror, perform, signals)

    def hand_over(self) -> HandOver:
        from revops.sales.handing import HandOver

        return HandOver(self.table, self.clock, self.queues)

    def advance_dunning(self) -> AdvanceDunning:
        from revops.sales.dunning import AdvanceDunning

        return AdvanceDunning(self.table, self.clock, self.sales_desk, self.settings)

    def watch_renewals(self) -> WatchRenewals:
        from revops.sales.renewing import WatchRenewals

        return WatchRenewals(self.table, self.clock, self.sales_desk, self.settings)

    def find_upsells(self) -> FindUpsells:
        from revops.adapters.sales_records import CountedUsage
        from revops.sales.upselling import FindUpsells

        return FindUpsells(self.table, self.clock, self.sales_desk, CountedUsage(self.table), self.settings)

    @cached_property
    def read_sales(self) -> ReadSales:
        from revops.sales.queries import ReadSales

        return ReadSales(self.table, self.clock, self.policy, self.sales_desk, self.settings, lambda: self.cursors)

    def sales_use_cases(self) -> SalesUseCases:
        from revops.api.sales import SalesUseCases
        from revops.sales.crediting import RequestCredit
        from revops.sales.ledger import EnterByHand

        enter = EnterByHand(
            self.table, self.clock, self.ids, self.policy, self.sales_desk, self.stripe_payers, self.settings
        )
        request = RequestCredit(self.table, self.clock, self.policy, self.sales_desk)
        return SalesUseCases(self.read_sales, enter, request)

    def renewal_use_cases(self) -> RenewalUseCases:
        from revops.api.renewals import RenewalUseCases
        from revops.sales.renewing import DecideRenewal, ReadRenewals
        from revops.sales.upselling import OpenUpsell

        return RenewalUseCases(
            self.read_sales,
            ReadRenewals(self.table, self.policy, self.sales_desk, self.sold_orders),
            DecideRenewal(self.table, self.clock, self.policy, self.sales_desk, self.sold_orders),
            OpenUpsell(self.table, self.clock, self.ids, self.policy, self.sales_desk),
        )
