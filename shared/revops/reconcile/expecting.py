"""What was agreed about the subscription of an order: its own terms, or those of the form in force (ORD-5, ORD-7)."""

from datetime import UTC, timedelta

from revops.kernel import Clock
from revops.orders.model import Meter, OrderForm, OrderStatus
from revops.orders.policies.expected import expected_subscription
from revops.orders.policies.pricing import PlanCatalogue, usage_product
from revops.orders.store import ORDERS, TIMELINES
from revops.reconcile.model import SeenSubscription
from revops.reconcile.policies.comparing import Agreed, Situation
from revops.reconcile.policies.money import Units
from revops.reconcile.policies.rules import ReconcileRules
from revops.reconcile.ports import EndWishes, UsageMonths
from revops.settings import SettingsReader
from revops.table import Table


class Expect:
    """Puts an order beside what was seen of it."""

    def __init__(
        self, table: Table, clock: Clock, settings: SettingsReader, wishes: EndWishes, usage: UsageMonths
    ) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings
        self._wishes = wishes
        self._usage = usage

    def agreed(self, order: OrderForm) -> Agreed:
        """Raises Refused for terms that the catalogue does not know."""
        catalogue = self._settings.read(PlanCatalogue)
        timeline = TIMELINES.get(self._table, order.id)
        own = expected_subscription(order.terms, catalogue)
        if timeline is None:
            return Agreed(order, order, own, own.ends_at)
        now = int(self._clock.now().timestamp())
        held, coming = timeline.in_force(now), timeline.coming(now)
        holding = order if held.order_id == order.id else ORDERS.require(self._table, held.order_id)
        expected = own if holding.id == order.id else expected_subscription(holding.terms, catalogue)
        return Agreed(order, holding, expected, expected.ends_at, bool(coming), timeline)

    def situation(self, order: OrderForm, seen: tuple[SeenSubscription, ...]) -> Situation:
        """Raises Refused for terms that the catalogue does not know."""
        agreed = self.agreed(order)
        return Situation(
            agreed=agreed,
            seen=seen,
            wish=self._wishes.wanted(order.account_id, order.stripe_subscription_id),
            units=self._units(order.account_id),
            now=int(self._clock.now().timestamp()),
            settles_at=self._settles_at(agreed),
        )

    def _settles_at(self, agreed: Agreed) -> int:
        """Until when the workflow may still be about to bring it to the provider."""
        wait = timedelta(minutes=self._settings.read(ReconcileRules).settle_minutes)
        moving = [each for each in (agreed.order, agreed.holding) if each.status is OrderStatus.EXECUTED]
        return max((int((each.status_since + wait).timestamp()) for each in moving), default=0)

    def _units(self, account_id: str) -> Units:
        """What was used in the last whole month, by the product it is billed as; the pooled one counts everything."""
        first = self._clock.now().astimezone(UTC).replace(day=1)
        month = f"{first - timedelta(days=1):%Y-%m}"
        used = self._usage.months(account_id, [month]).get(month, {})
        catalogue = self._settings.read(PlanCatalogue)
        counted = {usage_product(offer): used.get(meter, 0) for meter, offer in catalogue.meters.items()}
        pooled = catalogue.meters.get(Meter.POOLED)
        return counted | ({usage_product(pooled): sum(used.values())} if pooled else {})
