"""In what an order form and the provider differ: a pure function of the order, what was seen, and the clock
(ORD-4, ORD-7)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from revops.orders.model import OrderForm, OrderKind, OrderStatus
from revops.orders.policies.collection import Collection
from revops.orders.policies.expected import ExpectedSubscription
from revops.orders.policies.lifecycle import is_executed
from revops.orders.policies.timeline import Timeline
from revops.reconcile.model import Action, ActionKind, DifferenceKind, Finding, SeenSubscription, Severity
from revops.reconcile.policies.items import item_findings
from revops.reconcile.policies.money import Units, cost_of, cost_of_agreed, effect_of
from revops.reconcile.policies.withheld import withheld
from revops.reconcile.ports import EndWish

_CREDIT_BY_HAND = "what it billed before stays billed until somebody credits it"


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed about one subscription. `order` made it, `holding` is the form whose terms hold now; `ends_at` is
    0 when it renews by itself, `changes_later` says that other terms are agreed for later."""

    order: OrderForm
    holding: OrderForm
    expected: ExpectedSubscription
    ends_at: int
    changes_later: bool = False
    timeline: Timeline | None = None

    @property
    def revision(self) -> str:
        """What the metadata says of whose terms it carries."""
        return "" if self.holding.id == self.order.id else self.holding.id


@dataclass(frozen=True, slots=True)
class Situation:
    """An order with every subscription that concerns it: those that name it, and the one it names. `wish`: somebody
    asked to end it. `settles_at` is until when it may still be on its way, in epoch seconds."""

    agreed: Agreed
    seen: tuple[SeenSubscription, ...]
    wish: EndWish | None
    units: Units
    now: int
    settles_at: int = 0

    @property
    def running(self) -> tuple[SeenSubscription, ...]:
        return tuple(sorted((each for each in self.seen if not each.ended), key=lambda each: (each.created, each.id)))

    @property
    def agreed_cost(self) -> Fraction:
        """A month of what was agreed."""
        expected = self.agreed.expected
        return sum(
            (cost_of_agreed(price, expected.items[price.lookup_key], self.units) for price in expected.prices),
            Fraction(0),
        )

    @property
    def may_have_ended(self) -> bool:
        """Whether it was asked to end, or what was agreed is over."""
        return self.wish is not None or 0 < self.agreed.ends_at <= self.now


def concerns(order: OrderForm) -> bool:
    """Whether an order has a subscription of its own."""
    return order.kind is OrderKind.NEW and is_executed(order.status)


def differences(situation: Situation) -> tuple[Finding, ...]:
    """Every difference. None while the order or a change of it may still be on its way to the provider."""
    if situation.settles_at > situation.now:
        return ()
    return tuple(_differences(situation))


def orphan(seen: SeenSubscription, order: OrderForm | None) -> Finding | None:
    """The difference that a running subscription is whose order is not there, not executed, or has none of its own."""
    if seen.ended or not seen.order_id or (order is not None and concerns(order)):
        return None
    if order is None:
        why, action = f"there is no order form {seen.order_id} here", Action()
    else:
        said = f"{order.kind}" if is_executed(order.status) else f"{order.status}"
        why = f"order form {order.id} is {said} and has no subscription of its own"
        action = _cancel(seen)
    return Finding(
        kind=DifferenceKind.ORPHAN,
        severity=Severity.CRITICAL,
        order_id=seen.order_id,
        subject=seen.id,
        subscription_id=seen.id,
        customer_id=seen.customer_id,
        words=f"Subscription {seen.id} bills, but {why}",
        expected="no subscription",
        actual=seen.id,
        effect=effect_of(cost_of(seen, {}), seen.currency),
        action=action,
    )


def _differences(situation: Situation) -> Iterator[Finding]:
    order, running = situation.agreed.order, situation.running
    if not running:
        if not (situation.may_have_ended and order.stripe_subscription_id):
            yield _gone(situation)
        return
    kept = next((each for each in running if each.id == order.stripe_subscription_id), running[0])
    yield from (_doubled(situation, kept, each) for each in running if each.id != kept.id)
    if kept.id != order.stripe_subscription_id:
        yield _unrecorded(situation, kept)
    yield from _customer(situation, kept)
    yield from item_findings(situation.agreed.order.id, situation.agreed.expected, kept, situation.units)
    yield from _collection(situation, kept)
    yield from withheld(situation.agreed.order.id, kept, situation.units)
    yield from _ending(situation, kept)
    yield from _metadata(situation, kept)


def _finding(situation: Situation, kind: DifferenceKind, severity: Severity, **more: object) -> Finding:
    fields = {"kind": kind, "severity": severity, "order_id": situation.agreed.order.id, **more}
    return Finding.model_validate(fields)


def _gone(situation: Situation) -> Finding:
    order = situation.agreed.order
    ended = max(situation.seen, key=lambda each: (each.ended_at, each.created), default=None)
    deleted = ended is not None and ended.customer_deleted
    kind = DifferenceKind.MISSING if ended is None else DifferenceKind.ENDED
    words = f"Order form {order.id} is executed and has no subscription"
    if ended is not None:
        kind = DifferenceKind.CUSTOMER_DELETED if deleted else kind
        by = f"with its customer {ended.customer_id}, which was deleted" if deleted else "although the contract runs"
        words = f"Subscription {ended.id} of order form {order.id} ended {by}"
    return _finding(
        situation,
        kind,
        Severity.CRITICAL,
        subject=ended.id if ended else "",
        subscription_id=ended.id if ended else "",
        customer_id=ended.customer_id if ended else order.stripe_customer_id,
        words=words,
        expected="one subscription",
        actual=f"{ended.status} {ended.id}" if ended else "none",
        effect=effect_of(-situation.agreed_cost, situation.agreed.expected.currency),
        action=_resume(order) if ended is None else Action(),
    )


def _resume(order: OrderForm) -> Action:
    """Resuming makes the missing subscription, or finds the one that is there; only from where the workflow stands."""
    if order.status not in {OrderStatus.EXECUTED, OrderStatus.BLOCKED} or order.stripe_subscription_id:
        return Action()
    words = f"Resume order form {order.id}: its one subscription is made, or found and recorded"
    return Action(kind=ActionKind.RESUME_ORDER, words=words)


def _doubled(situation: Situation, kept: SeenSubscription, other: SeenSubscription) -> Finding:
    return _finding(
        situation,
        DifferenceKind.DOUBLED,
        Severity.CRITICAL,
        subject=other.id,
        subscription_id=other.id,
        customer_id=other.customer_id,
        words=f"Order form {situation.agreed.order.id} has {kept.id}, and {other.id} beside it",
        expected=kept.id,
        actual=other.id,
        effect=effect_of(cost_of(other, situation.units), other.currency),
        action=_cancel(other),
    )


def _cancel(seen: SeenSubscription) -> Action:
    words = f"Cancel {seen.id} at once, without proration; {_CREDIT_BY_HAND}"
    return Action(kind=ActionKind.CANCEL_SUBSCRIPTION, words=words, subscription_id=seen.id)


def _unrecorded(situation: Situation, kept: SeenSubscription) -> Finding:
    order = situation.agreed.order
    recorded = order.stripe_subscription_id or "none"
    return _finding(
        situation,
        DifferenceKind.UNRECORDED,
        Severity.MEDIUM,
        subject=kept.id,
        subscription_id=kept.id,
        customer_id=kept.customer_id,
        words=f"Subscription {kept.id} runs for order form {order.id}, which records {recorded}",
        expected=kept.id,
        actual=recorded,
        effect=effect_of(Fraction(0), kept.currency),
        action=_resume(order),
    )


def _customer(situation: Situation, kept: SeenSubscription) -> Iterator[Finding]:
    order = situation.agreed.order
    known = {
        "subject": kept.id,
        "subscription_id": kept.id,
        "customer_id": kept.customer_id,
        "effect": effect_of(Fraction(0), kept.currency),
    }
    if kept.customer_deleted:
        words = f"The customer {kept.customer_id} of subscription {kept.id} was deleted"
        yield _finding(situation, DifferenceKind.CUSTOMER_DELETED, Severity.CRITICAL, words=words, **known)
    elif order.stripe_customer_id and kept.customer_id != order.stripe_customer_id:
        words = (
            f"Subscription {kept.id} bills {kept.customer_id}, order form {order.id} names {order.stripe_customer_id}"
        )
        yield _finding(
            situation,
            DifferenceKind.WRONG_CUSTOMER,
            Severity.CRITICAL,
            words=words,
            expected=order.stripe_customer_id,
            actual=kept.customer_id,
            **known,
        )
    elif kept.customer_account not in ("", order.account_id):
        words = f"The customer {kept.customer_id} is said to be account {kept.customer_account}, not {order.account_id}"
        yield _finding(
            situation,
            DifferenceKind.WRONG_CUSTOMER,
            Severity.CRITICAL,
            words=words,
            expected=order.account_id,
            actual=kept.customer_account,
            **known,
        )


def _collection(situation: Situation, kept: SeenSubscription) -> Iterator[Finding]:
    """A card that may be charged is charged; an invoice is sent where that was agreed, and while there is no card."""
    expected = situation.agreed.expected
    automatic = expected.collection is Collection.AUTOMATIC and (kept.automatic or kept.customer_can_pay)
    due = 0 if automatic else expected.days_until_due
    if (automatic, due) == (kept.automatic, 0 if kept.automatic else kept.days_until_due):
        return
    wanted, found = _collected(automatic, due), _collected(kept.automatic, kept.days_until_due)
    yield _finding(
        situation,
        DifferenceKind.COLLECTION,
        Severity.HIGH if kept.automatic and not automatic else Severity.MEDIUM,
        subscription_id=kept.id,
        customer_id=kept.customer_id,
        words=f"Subscription {kept.id} is collected by {found}; agreed is {wanted}",
        expected=wanted,
        actual=found,
        effect=effect_of(Fraction(0), kept.currency),
        action=Action(
            kind=ActionKind.SET_COLLECTION,
            words=f"Collect by {wanted} from the next invoice on",
            subscription_id=kept.id,
            automatic=automatic,
            days_until_due=due,
        ),
    )


def _collected(automatic: bool, days: int) -> str:
    return "charging the saved payment method" if automatic else f"an invoice due in {days} days"


def _ending(situation: Situation, kept: SeenSubscription) -> Iterator[Finding]:
    agreed = situation.agreed
    if situation.wish is not None:
        yield from _wished_for(situation, situation.wish, kept)
        return
    known = {"subscription_id": kept.id, "customer_id": kept.customer_id}
    if agreed.changes_later or kept.schedule_id:
        if not agreed.changes_later or not kept.schedule_id:
            yield _scheduled(situation, kept)
        return
    ends_at = kept.cancel_at or (kept.period_end if kept.cancel_at_period_end else 0)
    if ends_at == agreed.ends_at:
        return
    cost = situation.agreed_cost
    early = bool(ends_at) and (not agreed.ends_at or ends_at < agreed.ends_at)
    begins = ends_at if early else agreed.ends_at
    over = 0 < agreed.ends_at <= situation.now
    yield _finding(
        situation,
        DifferenceKind.ENDING,
        Severity.HIGH if over else Severity.MEDIUM,
        words=f"Subscription {kept.id} is to {_ends(ends_at)}; agreed is to {_ends(agreed.ends_at)}",
        expected=str(agreed.ends_at),
        actual=str(ends_at),
        effect=effect_of(-cost if early else cost, kept.currency, max(begins, 0)),
        action=_cancel(kept) if over else _let_end(kept, agreed.ends_at),
        **known,
    )


def _wished_for(situation: Situation, wish: EndWish, kept: SeenSubscription) -> Iterator[Finding]:
    """Billing brings about what was asked for, and says so on the customer; once it was planned, it stays so."""
    if wish.planned_for <= situation.now or kept.cancel_at or kept.cancel_at_period_end or kept.schedule_id:
        return
    wanted = _ends(wish.planned_for)
    yield _finding(
        situation,
        DifferenceKind.ENDING,
        Severity.HIGH,
        subscription_id=kept.id,
        customer_id=kept.customer_id,
        words=f"Subscription {kept.id} is to go on; its cancellation was asked for and planned: it is to {wanted}",
        expected=str(wish.planned_for),
        actual="0",
        effect=effect_of(situation.agreed_cost, kept.currency, wish.planned_for),
        action=_let_end(kept, wish.planned_for),
    )


def _let_end(kept: SeenSubscription, instant: int) -> Action:
    words = f"Let it {_ends(instant)}"
    return Action(kind=ActionKind.SET_ENDING, words=words, subscription_id=kept.id, instant=instant)


def _ends(instant: int) -> str:
    return f"end on {datetime.fromtimestamp(instant, UTC):%Y-%m-%d}" if instant else "go on"


def _scheduled(situation: Situation, kept: SeenSubscription) -> Finding:
    wanted, found = ("a planned change", "none") if situation.agreed.changes_later else ("none", kept.schedule_id)
    action = Action()
    if situation.agreed.timeline is not None:
        words = "Plan at the provider exactly what is agreed for later"
        action = Action(kind=ActionKind.SET_SCHEDULE, words=words, subscription_id=kept.id)
    return _finding(
        situation,
        DifferenceKind.SCHEDULE,
        Severity.MEDIUM,
        subscription_id=kept.id,
        customer_id=kept.customer_id,
        words=f"Subscription {kept.id} has {found} planned; agreed is {wanted}",
        expected=wanted,
        actual=found,
        effect=effect_of(Fraction(0), kept.currency),
        action=action,
    )


def _metadata(situation: Situation, kept: SeenSubscription) -> Iterator[Finding]:
    """What a subscription says of itself is how it is found again, and what it is known to carry."""
    agreed = situation.agreed
    wanted = {
        "order_form": agreed.order.id,
        "account_id": agreed.order.account_id,
        "revision": agreed.revision,
        **{name: text for name, text in agreed.expected.metadata.items() if name == "plan"},
    }
    found = {
        "order_form": kept.order_id,
        "account_id": kept.account_id,
        "revision": kept.revision,
        "plan": kept.plan,
    }
    wrong = {name: text for name, text in wanted.items() if found[name] != text}
    if not wrong:
        return
    names = ", ".join(sorted(wrong))
    yield _finding(
        situation,
        DifferenceKind.METADATA,
        Severity.LOW,
        subscription_id=kept.id,
        customer_id=kept.customer_id,
        words=f"Subscription {kept.id} does not say what it is: {names}",
        expected="; ".join(f"{name}={text}" for name, text in sorted(wrong.items())),
        actual="; ".join(f"{name}={found[name]}" for name in sorted(wrong)),
        effect=effect_of(Fraction(0), kept.currency),
        action=Action(
            kind=ActionKind.SET_METADATA,
            words=f"Write {names} on the subscription",
            subscription_id=kept.id,
            metadata=wrong,
        ),
    )
