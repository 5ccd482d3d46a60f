"""Order forms and a billing provider that somebody else changes, for tests of reconciling: everything wired over one
table, with the drifts that may happen to a subscription."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from revops.access import Policy
from revops.billing.endings import StandingWishes
from revops.kernel import CallContext, Principal, Role, system_call
from revops.orders.changing import ChangeSubscription
from revops.orders.decisions import Amendment
from revops.orders.model import Meter, OrderForm, OrderStatus
from revops.orders.policies.pricing import SeatPrice
from revops.orders.policies.timeline import Timeline
from revops.orders.ports import ProvisioningRefused, SubscriptionRequest
from revops.orders.provisioning.ports import LiveItem
from revops.reconcile.expecting import Expect
from revops.reconcile.model import Difference, DifferenceState, Reconciliation, RunStatus, SeenItem, SeenSubscription
from revops.reconcile.ports import EndWish, ItemRepair, SeenPage
from revops.reconcile.repairing import ApplyRepair
from revops.reconcile.requesting import ApproveRepairs, ReadReconciliations, RepairApproval, StartReconciliation
from revops.reconcile.store import differences_of
from revops.reconcile.walking import RunReconciliation
from revops.settings import SettingsReader
from revops.table import CursorSigner, Table
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.fake_stripe import FakeStripe
from tests.builders.orders import Desk

WORKER = system_call("stripe_worker")
FINANCE = CallContext(Principal("USR_fin", Role.FINANCE), request_id="req-1")
ADMIN = CallContext(Principal("USR_admin", Role.ADMIN), request_id="req-1")
REP = CallContext(Principal("USR_rep", Role.SALES_REP), request_id="req-1")


def manager(*members: str) -> CallContext:
    """A sales manager with a team."""
    return CallContext(Principal("USR_boss", Role.SALES_MANAGER, members=frozenset(members)), request_id="req-1")


@dataclass(frozen=True, slots=True)
class OddPrice:
    """A price that none of our lookup keys stands for."""

    product_id: str
    unit_amount: str
    months: str = "1"
    metered: bool = False
    included: int = 0


@dataclass(slots=True)
class Terms:
    """What a subscription has beside its items."""

    automatic: bool = False
    days_until_due: int = 30
    created: int = 0
    ended_at: int = 0
    paused: str = ""
    discounts: tuple[str, ...] = ()


@dataclass(slots=True)
class Shelf(FakeStripe):
    """`FakeStripe` that can be listed, repaired one thing at a time, and changed behind our back."""

    odd: dict[str, OddPrice] = field(default_factory=dict)
    terms: dict[str, Terms] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    accounts: dict[str, str] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)
    prorated: list[int] = field(default_factory=list)
    refuses: str = ""

    # -- what stands there -------------------------------------------------------------------------------------------

    def page(self, after: str, limit: int) -> SeenPage:
        self._read("page")
        if self.refuses:
            raise ProvisioningRefused(self.refuses)
        newest = sorted(self.live, reverse=True)
        rest = [name for name in newest if not after or name < after]
        shown = rest[:limit]
        return SeenPage(tuple(map(self.seen, shown)), shown[-1] if len(rest) > limit else "")

    def of_customer(self, customer_id: str) -> tuple[SeenSubscription, ...]:
        self._read("of_customer")
        return tuple(self.seen(name) for name, live in self.live.items() if live.customer_id == customer_id)

    def one(self, subscription_id: str) -> SeenSubscription | None:
        self._read("one")
        return self.seen(subscription_id) if subscription_id in self.live else None

    def seen(self, name: str) -> SeenSubscription:
        live, terms = self.live[name], self.terms.setdefault(name, Terms())
        gone = live.customer_id in self.deleted
        return SeenSubscription(
            id=live.id,
            status=live.status,
            created=terms.created,
            customer_id=live.customer_id,
            customer_deleted=gone,
            customer_account="" if gone else self.accounts.get(live.customer_id, ""),
            customer_can_pay=live.customer_id in self.chargeable,
            currency=live.currency,
            order_id=live.metadata.get("order_form", ""),
            account_id=live.metadata.get("account_id", ""),
            plan=live.metadata.get("plan", ""),
            revision=live.metadata.get("revision", ""),
            items=tuple(map(self._seen_item, live.items)),
            automatic=terms.automatic,
            days_until_due=0 if terms.automatic else terms.days_until_due,
            paused=terms.paused,
            discounts=terms.discounts,
            cancel_at=live.cancel_at,
            ended_at=terms.ended_at,
            schedule_id=live.schedule_id,
            period_start=min((item.period_start for item in live.items), default=0),
            period_end=max((item.period_end for item in live.items), default=0),
        )

    def _seen_item(self, item: LiveItem) -> SeenItem:
        odd = self.odd.get(item.price_id)
        fields = {"id": item.id, "price_id": item.price_id, "quantity": item.quantity}
        if odd is not None:
            told = {"product_id": odd.product_id, "unit_amount": odd.unit_amount, "months": odd.months}
            return SeenItem.model_validate({**fields, **told, "included": odd.included})
        price = self.prices[item.lookup_key]
        said = {"lookup_key": item.lookup_key, "product_id": price.product_id, "unit_amount": price.unit_amount}
        if isinstance(price, SeatPrice):
            return SeenItem.model_validate({**fields, **said, "months": str(price.cycle.months)})
        return SeenItem.model_validate({**fields, **said, "included": price.included})

    def _begin(self, identifier: str, request: SubscriptionRequest) -> None:
        FakeStripe._begin(self, identifier, request)
        live = self.live[identifier]
        metadata = {**live.metadata, "account_id": request.account_id}
        self.live[identifier] = replace(live, metadata=metadata, currency="EUR")
        made = Terms(request.charge_automatically, request.days_until_due, len(self.live))
        self.terms[identifier] = made
        self.accounts[request.customer_id] = request.account_id

    def _item(self, identifier: str, price_id: str, quantity: int | None) -> LiveItem:
        if price_id not in self.odd:
            return FakeStripe._item(self, identifier, price_id, quantity)
        now = int(self.clock.now().timestamp())
        amount = self.odd[price_id].unit_amount
        return LiveItem(identifier, price_id, "", quantity, amount, "month", now, now + 30 * 86_400)

    # -- repairs -----------------------------------------------------------------------------------------------------

    def change_item(self, repair: ItemRepair, key: str) -> str:
        def effect() -> str:
            self.repairs.append(key)
            self.prorated.append(repair.prorated_at)
            live, change = self.live[repair.subscription_id], repair.item
            items = {item.id: item for item in live.items}
            held = items.get(change.item_id)
            if held is not None and not change.price_id and change.quantity is None:
                items.pop(change.item_id)
            else:
                price_id = change.price_id or (held.price_id if held else "")
                quantity = change.quantity
                if quantity is None and held is not None and held.quantity is not None:
                    quantity = 1 if change.price_id else held.quantity  # as Stripe has it
                made = self._item(change.item_id or f"si_new_{len(self.repairs)}", price_id, quantity)
                items[made.id] = made
            self.live[live.id] = replace(live, items=tuple(items.values()))
            return live.id

        parameters = {"repair": str(repair)}
        return self._create("change_item", key, parameters, effect)

    def set_collection(self, subscription_id: str, automatic: bool, days_until_due: int) -> None:
        self._repaired(f"collection {subscription_id}")
        self.terms[subscription_id].automatic = automatic
        self.terms[subscription_id].days_until_due = days_until_due

    def set_metadata(self, subscription_id: str, metadata: Mapping[str, str]) -> None:
        self._repaired(f"metadata {subscription_id}")
        live = self.live[subscription_id]
        merged = {name: text for name, text in {**live.metadata, **metadata}.items() if text}
        self.live[subscription_id] = replace(live, metadata=merged)

    def cancel(self, subscription_id: str) -> None:
        self._repaired(f"cancel {subscription_id}")
        self.end(subscription_id)

    def _repaired(self, what: str) -> None:
        self.repairs.append(what)
        self._read(what)

    # -- behind our back ---------------------------------------------------------------------------------------------

    def drift(self, subscription_id: str, **changes: object) -> None:
        """Somebody changes a subscription by hand."""
        self.live[subscription_id] = replace(self.live[subscription_id], **changes)  # type: ignore[arg-type]

    def set_items(self, subscription_id: str, items: Iterable[LiveItem]) -> None:
        self.drift(subscription_id, items=tuple(items))

    def end(self, subscription_id: str) -> None:
        """It ends, as if somebody had cancelled it."""
        self.drift(subscription_id, status="canceled")
        self.terms[subscription_id].ended_at = int(self.clock.now().timestamp())

    def twin(self, subscription_id: str, **changes: object) -> str:
        """Another one with the same metadata."""
        name = f"sub_{len(self.live) + 1}x"
        held = self.live[subscription_id]
        self.live[name] = replace(held, id=name, **changes)  # type: ignore[arg-type]
        self.terms[name] = replace(self.terms[subscription_id], created=len(self.live) + 1)
        return name


@dataclass(slots=True)
class Wishes:
    """`EndWishes` that a test sets."""

    asked: dict[str, EndWish] = field(default_factory=dict)

    def wanted(self, account_id: str, subscription_id: str) -> EndWish | None:
        return self.asked.get(subscription_id)


@dataclass(slots=True)
class Months:
    """`UsageMonths` that a test sets, by account and month."""

    used: dict[str, dict[str, dict[Meter, int]]] = field(default_factory=dict)

    def months(self, account_id: str, months: Sequence[str]) -> Mapping[str, Mapping[Meter, int]]:
        held = self.used.get(account_id, {})
        return {month: held[month] for month in months if month in held}


class Bench:
    """Orders, their provider, and every use case of reconciling."""

    def __init__(self, clock: ManualClock | None = None, seed: int = 1) -> None:
        self.clock = clock or ManualClock()
        self.stripe = Shelf(self.clock)
        self.desk = Desk(clock=self.clock, gateway=self.stripe, seed=seed)
        self.table: Table = self.desk.table
        self.owners: dict[str, str] = {}
        self.wishes, self.usage = Wishes(), Months()
        settings, policy = SettingsReader(self.table, ttl=0), Policy()
        self.expect = Expect(self.table, self.clock, settings, self.wishes, self.usage)
        self.run = RunReconciliation(self.table, self.clock, self.expect, self.stripe, self)
        self.waits: list[float] = []
        self.repair = ApplyRepair(
            self.table, self.clock, self.expect, self.stripe, self.stripe, self, sleep=self.waits.append
        )
        self.start = StartReconciliation(self.table, self.clock, seeded_ids(seed + 7), policy, settings)
        self.read = ReadReconciliations(
            self.table, self.clock, policy, self, lambda: CursorSigner(b"tests of reconciling, one key.")
        )
        self.approve = ApproveRepairs(self.table, self.clock, policy)
        self.change = ChangeSubscription(
            self.table, self.clock, self.stripe, settings, StandingWishes(self.table, self.clock)
        )

    # -- the ports that a bench is -----------------------------------------------------------------------------------

    def owners_of(self, account_ids: Iterable[str]) -> Mapping[str, str]:
        return {name: self.owners.get(name, "USR_rep") for name in account_ids if name}

    def resume(self, order_id: str, call: CallContext) -> None:
        self.desk.resume(order_id, Amendment(), call)

    def converge(self, timeline: Timeline, subscription_id: str, call: CallContext) -> None:
        self.change.converge(timeline, subscription_id, call)

    # -- what tests do -----------------------------------------------------------------------------------------------

    def sold(self, **terms: object) -> OrderForm:
        """An order in service with its subscription."""
        order = self.desk.run_until_it_waits(self.desk.executed(**terms).id)
        assert order.status is OrderStatus.ACTIVE, order.block
        return order

    def reconciled(self, order_id: str = "") -> Reconciliation:
        """A run from its beginning to its end."""
        run = self.start(order_id, FINANCE)
        for _ in range(500):
            run = self.run(run.id, WORKER)
            if run.status is not RunStatus.RUNNING:
                return run
        raise AssertionError("the run comes to no end")

    def found(self, order_id: str = "") -> list[Difference]:
        """The differences of a new run, the worst first."""
        run = self.reconciled(order_id)
        assert run.status is RunStatus.DONE, run.problem
        held = differences_of(self.table, run.id)
        return sorted(held, key=lambda each: (each.finding.severity.rank, each.finding.kind, each.finding.subject))

    def approved(self, *differences: Difference) -> list[Difference]:
        """The differences after somebody approved their repair."""
        first = differences[0]
        version = self.read.report(first.reconciliation_id, 1, "", FINANCE).run.version
        wanted = RepairApproval(version=version, differences=tuple(each.id for each in differences))
        return self.approve(first.reconciliation_id, wanted, FINANCE)

    def repaired(self, *differences: Difference) -> list[Difference]:
        """The differences after their approved repairs were done."""
        return [self.repair(each.id, WORKER) for each in self.approved(*differences)]

    def all_repaired(self) -> None:
        """Repairs until nothing is left that can be; what is left has no action."""
        for _ in range(4):
            left = [each for each in self.found() if each.finding.action.kind != "none"]
            if not left:
                return
            done = self.repaired(*left)
            assert {each.state for each in done} <= {DifferenceState.REPAIRED, DifferenceState.GONE}, done


def billed(seen: SeenSubscription, units: Mapping[str, int]) -> Fraction:
    """What a subscription bills a month, worked out without the code under test."""
    total = Fraction(0)
    for item in seen.items:
        if item.quantity is None:
            total += max(units.get(item.product_id, 0) - item.included, 0) * Fraction(item.unit_amount)
        else:
            total += Fraction(item.unit_amount) * item.quantity / Fraction(item.months)
    return total
