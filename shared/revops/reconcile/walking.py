"""One run over all orders and all subscriptions, block by block (ORD-4, ORD-7).

Each block is a message to the Stripe worker. What it found is written first, under ids that a repeat gives again; then
the run moves on, in one conditional write that makes the next message. So a run goes on where it stopped, whatever
dies, two workers on one block count it once, and no block holds more than a page.

Both sides move while a run walks over them. So nothing is written down as a difference before the order and its
subscriptions were looked at once more, at the same moment.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from revops.kernel import CallContext, Clock, Refused
from revops.orders.model import OrderForm, OrderStatus
from revops.orders.ports import ProvisioningRefused
from revops.orders.store import ORDERS, order_key, walk_in
from revops.reconcile.expecting import Expect
from revops.reconcile.model import (
    Difference,
    Finding,
    Phase,
    Reconciliation,
    RunStatus,
    SeenSubscription,
    Severity,
    Total,
)
from revops.reconcile.policies.comparing import concerns, differences, orphan
from revops.reconcile.ports import Owners, SubscriptionBooks
from revops.reconcile.store import (
    DIFFERENCES,
    RECONCILIATIONS,
    add_sighting,
    difference_id,
    differences_of,
    sightings,
)
from revops.table import ConditionFailed, Contention, Table, begin, present

PAGE = 50
"""Subscriptions, and orders, of one block."""
_AT_ONCE = 50
_WALKED = (
    OrderStatus.BLOCKED,
    OrderStatus.EXECUTED,
    OrderStatus.PROVISIONED,
    OrderStatus.AWAITING_TENANT,
    OrderStatus.ACTIVE,
)
"""In the order in which orders move: one that moves meanwhile is met twice rather than never."""


class Look:
    """The differences of one order or subscription as they are at this moment: the provider is asked, not the notes."""

    def __init__(self, table: Table, expect: Expect, books: SubscriptionBooks) -> None:
        self._table = table
        self._expect = expect
        self._books = books

    def at_order(self, order_id: str) -> tuple[Finding, ...]:
        """Of an order that has a subscription; orphans of one that has none. Raises Unavailable."""
        order = ORDERS.get(self._table, order_id)
        if order is None or not concerns(order):
            named = self._named(order_id, order.stripe_customer_id if order else "")
            return tuple(found for each in named if (found := orphan(each, order)) is not None)
        return self.compared(order, self.of_order(order))

    def at_subscription(self, subscription_id: str) -> tuple[Finding, ...]:
        """Whether a subscription is an orphan. Raises Unavailable."""
        seen = self._books.one(subscription_id)
        if seen is None:
            return ()
        found = orphan(seen, ORDERS.get(self._table, seen.order_id) if seen.order_id else None)
        return (found,) if found else ()

    def compared(self, order: OrderForm, seen: Sequence[SeenSubscription]) -> tuple[Finding, ...]:
        """Terms that the catalogue does not know have no expectation: the order says so where it is blocked."""
        try:
            return differences(self._expect.situation(order, tuple(seen)))
        except Refused:
            return ()

    def of_order(self, order: OrderForm) -> list[SeenSubscription]:
        """Every subscription that concerns an order, as it is now: of its customer, those that name it; and the one it
        names, wherever that is."""
        found = {each.id: each for each in self._named(order.id, order.stripe_customer_id)}
        if order.stripe_subscription_id and order.stripe_subscription_id not in found:
            recorded = self._books.one(order.stripe_subscription_id)
            if recorded is not None:
                found[recorded.id] = recorded
        return list(found.values())

    def _named(self, order_id: str, customer_id: str) -> list[SeenSubscription]:
        held = self._books.of_customer(customer_id) if customer_id else ()
        return [each for each in held if each.order_id == order_id]


class RunReconciliation:
    """The worker's part: one block of a run."""

    def __init__(self, table: Table, clock: Clock, expect: Expect, books: SubscriptionBooks, owners: Owners) -> None:
        self._table = table
        self._clock = clock
        self._books = books
        self._owners = owners
        self._look = Look(table, expect, books)

    def __call__(self, identifier: str, call: CallContext) -> Reconciliation:
        """The run as it stands after its next block. Raises NotFound; Unavailable and Contention when the block should
        come again."""
        run = RECONCILIATIONS.require(self._table, identifier)
        if run.status is not RunStatus.RUNNING:
            return run
        try:
            changes = self._block(run, call)
        except ProvisioningRefused as error:
            changes = {"status": RunStatus.FAILED, "problem": error.detail[:500], "finished_at": self._clock.now()}
        after = run.revised(self._clock.now(), **changes)
        transaction = begin(call, self._clock.now())
        RECONCILIATIONS.update(transaction, after)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return RECONCILIATIONS.require(self._table, identifier)  # another worker did this block
        return after

    def _block(self, run: Reconciliation, call: CallContext) -> dict[str, Any]:
        if run.phase is Phase.TOTALS:
            return self._totals(run)
        if run.order_id:
            self._keep(run, self._look.at_order(run.order_id), call)
            return {"phase": Phase.TOTALS, "orders": 1}
        return self._listing(run, call) if run.phase is Phase.LISTING else self._orders(run, call)

    # -- noting every subscription ---------------------------------------------------------------------------------

    def _listing(self, run: Reconciliation, call: CallContext) -> dict[str, Any]:
        page = self._books.page(run.place, PAGE)
        self._note(run, page.subscriptions, call)
        running = [each for each in page.subscriptions if not each.ended]
        named = list(dict.fromkeys(each.order_id for each in running if each.order_id))
        rows = present(self._table.get_many([order_key(name) for name in named])) if named else []
        orders = {order.id: order for order in ORDERS.load_all(rows)}
        suspects = [each for each in running if orphan(each, orders.get(each.order_id)) is not None]
        found = [one for each in suspects for one in self._look.at_subscription(each.id)]
        self._keep(run, found, call)
        on = {"place": page.last} if page.last else {"phase": Phase.ORDERS, "place": ""}
        return {
            **on,
            "subscriptions": run.subscriptions + len(page.subscriptions),
            "unclaimed": run.unclaimed + sum(not each.order_id for each in running),
        }

    def _note(self, run: Reconciliation, seen: Iterable[SeenSubscription], call: CallContext) -> None:
        by_order: dict[str, dict[str, SeenSubscription]] = {}
        for each in seen:
            if each.order_id:
                by_order.setdefault(each.order_id, {})[each.id] = each
        before = sightings(self._table, run.id, by_order)
        wanted = {name: {**before.seen[name], **more} for name, more in by_order.items()}
        changed = [name for name, subscriptions in wanted.items() if subscriptions != before.seen[name]]
        now = self._clock.now()
        for start in range(0, len(changed), _AT_ONCE):
            transaction = begin(call, now)
            for name in changed[start : start + _AT_ONCE]:
                add_sighting(transaction, run.id, name, before.rows[name], wanted[name], now)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise Contention("another worker notes the same page") from error

    # -- comparing every order -------------------------------------------------------------------------------------

    def _orders(self, run: Reconciliation, call: CallContext) -> dict[str, Any]:
        page = self._table.query(walk_in(_WALKED[run.stage], PAGE, run.place))
        orders = [order for order in ORDERS.load_all(page.rows) if concerns(order)]
        noted = sightings(self._table, run.id, [order.id for order in orders]).seen
        for order in orders:
            if self._look.compared(order, tuple(noted[order.id].values())):
                self._keep(run, self._look.at_order(order.id), call)
        done = not page.last and run.stage + 1 == len(_WALKED)
        stage = run.stage if page.last or done else run.stage + 1
        return {
            "phase": Phase.TOTALS if done else Phase.ORDERS,
            "stage": stage,
            "place": page.last,
            "orders": run.orders + len(orders),
        }

    def _keep(self, run: Reconciliation, found: Iterable[Finding], call: CallContext) -> None:
        """Writes differences down once, however often the run comes past them."""
        by_id = {difference_id(run.id, finding): finding for finding in found}
        rows = self._table.get_many([DIFFERENCES.key(name) for name in by_id]) if by_id else []
        new = [name for name, row in zip(by_id, rows, strict=True) if row is None]
        accounts = self._accounts({by_id[name].order_id for name in new})
        owners = self._owners.owners_of(set(accounts.values())) if accounts else {}
        now = self._clock.now()
        for start in range(0, len(new), _AT_ONCE):
            transaction = begin(call, now)
            for name in new[start : start + _AT_ONCE]:
                account = accounts.get(by_id[name].order_id, "")
                made = Difference(
                    id=name,
                    created_at=now,
                    modified_at=now,
                    reconciliation_id=run.id,
                    account_id=account,
                    owner_id=owners.get(account, ""),
                    finding=by_id[name],
                )
                DIFFERENCES.create(transaction, made)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise Contention("another worker keeps the same differences") from error

    def _accounts(self, order_ids: Iterable[str]) -> dict[str, str]:
        keys = [order_key(name) for name in sorted(order_ids) if name]
        rows = present(self._table.get_many(keys)) if keys else []
        return {order.id: order.account_id for order in ORDERS.load_all(rows)}

    # -- adding up -------------------------------------------------------------------------------------------------

    def _totals(self, run: Reconciliation) -> dict[str, Any]:
        count, sums = 0, dict[tuple[str, ...], _Sum]()
        for difference in differences_of(self._table, run.id):
            finding, count = difference.finding, count + 1
            currency = finding.effect.currency if finding.effect else ""
            key = (str(finding.severity.rank), finding.kind.value, finding.severity.value, currency)
            sums.setdefault(key, _Sum()).add(finding)
        totals = tuple(sums[key].total(*key[1:]) for key in sorted(sums))
        return {
            "status": RunStatus.DONE,
            "differences": count,
            "totals": totals,
            "worst": min((total.severity for total in totals), key=lambda each: each.rank, default=None),
            "finished_at": self._clock.now(),
        }


class _Sum:
    """The differences of one kind, severity and currency, as they are added up."""

    def __init__(self) -> None:
        self.count, self.unknown, self.amount = 0, 0, Fraction(0)

    def add(self, finding: Finding) -> None:
        self.count += 1
        self.unknown += finding.effect is None
        self.amount += finding.effect.amount if finding.effect else 0

    def total(self, kind: str, severity: str, currency: str) -> Total:
        said = {"kind": kind, "severity": Severity(severity), "currency": currency, "exact": str(self.amount)}
        return Total.model_validate({**said, "count": self.count, "unknown": self.unknown})
