"""What becomes of an order once it runs: amendments, renewals, cancellations, tenants; and what must be true of the
subscription, the sales order and the invoices that follow (ORD-5, ORD-9, STR-5)."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from revops.billing.cancellation import CANCELLATIONS, CancellationRequest, CancellationState, Mode
from revops.billing.store import CUSTOMER, PAYER
from revops.orders.amending import ChangeSubmission
from revops.orders.model import OrderForm, OrderKind, OrderStatus, TenantStatus
from revops.orders.policies.activation import ActivationRules
from revops.orders.policies.expected import ExpectedSubscription, expected_subscription
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.policies.timeline import Timeline
from revops.orders.provisioning.ports import REVISION, LiveSubscription
from revops.orders.store import ORDERS, TIMELINES
from revops.sales.model import Invoice
from revops.sales.ports import PayerRef
from revops.sales.reflection import invoice_of_fact
from revops.sales.store import INVOICES, SALES_ORDERS, remote_id
from revops.table import claim_holder, claim_key
from tests.builders.activation import SOURCE
from tests.faults.wiring import ADMIN, user

if TYPE_CHECKING:
    from tests.faults.world import World

_STANDING = frozenset({OrderStatus.PROVISIONED, OrderStatus.AWAITING_TENANT, OrderStatus.ACTIVE})
_MIRRORED = ("status", "total", "due", "paid", "credited", "remaining", "paid_at")
_LINKED = ("account_id", "sales_order_id")


def tenant_rules(rng: random.Random) -> ActivationRules:
    """In some worlds a tenant has to be opened before service begins."""
    plans = rng.choice(((), ("Professional",)))
    return ActivationRules.model_validate({"tenant": {"plans": plans, "acknowledge_within": "PT20M"}})


# -- who acts ----------------------------------------------------------------------------------------------------------


def change_orders(world: "World", rng: random.Random, name: str) -> None:
    """A seller amends and renews what runs: at once, tomorrow, later; more seats, fewer, an end."""
    for number in range(rng.randint(2, 4)):
        world.idle(rng.randint(30, 120))
        running = _orders(world, OrderStatus.ACTIVE)
        if running:
            _hand_in(world, rng, rng.choice(running), f"{name} {number}")


def _hand_in(world: "World", rng: random.Random, base: OrderForm, key: str) -> None:
    wanted: dict[str, Any] = {"amends": base.id, "seats": rng.randint(5, 60), "proration": rng.random() < 0.8}
    wanted["esign_method"] = rng.choice(("Manual", "DocuSign", "Adobe Sign"))
    if rng.random() < 0.25:
        wanted |= {"kind": "Renewal", "auto_renewal": rng.random() < 0.5}
    else:
        today = world.clock.now().date()
        days = rng.choice((0, 0, 0, 1, 20))
        wanted |= {"start_date": max(base.terms.start_date, today + timedelta(days=days))}
        wanted |= {"auto_renewal": False} if rng.random() < 0.2 else {}
    said = ChangeSubmission.model_validate(wanted)
    for _ in range(4):
        answer = world.ask(lambda: world.wiring.orders.submit(said, user("USR_ana"), key))
        if answer.good:
            order_id = answer.value.order.id
            world.diary.orders.setdefault(key, set()).add(order_id)
            if rng.random() < 0.85:
                world.diary.to_sign.add(order_id)
            return
        if answer.refusal is not None:
            return


def cancel_subscriptions(world: "World", rng: random.Random, name: str) -> None:
    """Finance ends subscriptions, now or at the period's end, and changes its mind."""
    for _ in range(rng.randint(1, 5)):
        world.idle(rng.randint(20, 100))
        customers = sorted(world.rows_of("CUSTOMER"), key=lambda row: row.pk)
        if not customers:
            continue
        customer = CUSTOMER.load(rng.choice(customers))
        if rng.random() < 0.3:
            world.ask(lambda: world.wiring.cancellation.withdraw(customer.id, "", ADMIN))  # noqa: B023
            continue
        mode = rng.choice((Mode.NOW, Mode.PERIOD_END, Mode.PERIOD_END))
        if customer.running:
            said = CancellationRequest(mode=mode, subscription_id=rng.choice(customer.running))
            world.ask(lambda: world.wiring.cancellation.cancel(customer.id, said, ADMIN))  # noqa: B023


def pay_invoices(world: "World", rng: random.Random, name: str) -> None:
    """Customers pay what was billed, or do not."""
    for _ in range(rng.randint(2, 8)):
        world.idle(rng.randint(10, 60))
        world.outside.provisioning.tell()
        world.outside.books.happens(rng)


def open_tenants(world: "World", rng: random.Random, name: str) -> None:
    """The company's provisioning system: answers late, twice, of an earlier attempt, no, or not at all."""
    for _ in range(rng.randint(10, 40)):
        world.idle()
        asked = _asked(world)
        if asked and rng.random() < 0.5:
            _answer(world, rng.choice(asked), "TenantProvisioned" if rng.random() < 0.7 else "TenantProvisioningFailed")


def settle_tenants(world: "World") -> bool:
    """At rest every tenant that is waited for is opened."""
    waiting = {order.id for order in _orders(world, OrderStatus.AWAITING_TENANT)}
    asked = [each for each in _asked(world) if each["order_id"] in waiting]
    for each in asked:
        _answer(world, each, "TenantProvisioned")
    return bool(asked)


def _asked(world: "World") -> list[dict[str, Any]]:
    events = world.outside.bus.published.values()
    return [dict(each.data) for each in events if each.name == "TenantProvisioningRequested"]


def _answer(world: "World", asked: dict[str, Any], name: str) -> None:
    order_id = asked["order_id"]
    said = {"order_id": order_id, "attempt": asked["attempt"]}
    said |= {"tenant_id": f"tnt-{order_id}"} if name == "TenantProvisioned" else {"reason": "no room"}
    world.asynchronously(lambda: world.wiring.hear(SOURCE, name, said))


def _orders(world: "World", status: OrderStatus) -> list[OrderForm]:
    found = (ORDERS.load(row) for row in world.rows_of("ORDER"))
    return sorted((order for order in found if order.status is status), key=lambda order: order.id)


def stands(order: OrderForm) -> bool:
    """Whether what an order agrees was brought about; it may be blocked since then, for want of its tenant."""
    status = order.block.resume_to if order.status is OrderStatus.BLOCKED and order.block else order.status
    return status in _STANDING


def hopeless(world: "World", order: OrderForm) -> bool:
    """Whether a change is about a subscription that has ended, or for a day that one which ends with its period may not
    see: it stays blocked until somebody withdraws the cancellation, or writes a new form."""
    rows = world.rows()
    root = order
    while root.kind is not OrderKind.NEW and ORDERS.key(root.amends) in rows:
        root = ORDERS.load(rows[ORDERS.key(root.amends)])
    live, line = world.outside.provisioning.live.get(root.stripe_subscription_id), rows.get(TIMELINES.key(root.id))
    coming = TIMELINES.load(line).coming(int(world.clock.now().timestamp())) if line else ()
    later = any(segment.order_id == order.id for segment in coming)
    return (
        order.kind is not OrderKind.NEW and live is not None and (live.ended or (live.cancel_at_period_end and later))
    )


# -- I1 and the terms in force -----------------------------------------------------------------------------------------


def terms(world: "World") -> Iterator[str]:
    """What runs at Stripe is what the executed forms about it say, now, later and to its end; each change once."""
    stripe, now = world.outside.provisioning, int(world.clock.now().timestamp())
    orders = {order.id: order for order in map(ORDERS.load, world.rows_of("ORDER"))}
    timelines = {line.id: line for line in map(TIMELINES.load, world.rows_of("TIMELINE"))}
    applied = Counter(change.metadata.get(REVISION, "") for change in stripe.changes)
    for order_id, count in applied.items():
        if count > 1:
            yield f"the change of {order_id} was made {count} times"
        if orders[order_id].signature is None:
            yield f"the change of {order_id} was made, and it is {orders[order_id].status}"
    for order in orders.values():
        if order.kind is OrderKind.NEW:
            yield from _runs(world, order, timelines.get(order.id), orders, now)
            continue
        root = orders[_root(order, orders)]
        if stands(order) and order.stripe_subscription_id != root.stripe_subscription_id:
            yield f"{order.id} changes {root.id} and points at {order.stripe_subscription_id or 'nothing'}"
        named = [each.order_id for each in timelines[root.id].segments] if root.id in timelines else []
        if stands(order) and named.count(order.id) != 1:
            yield f"{order.id} is {order.status} and stands {named.count(order.id)} times among the terms of {root.id}"


def _root(order: OrderForm, orders: dict[str, OrderForm]) -> str:
    while order.kind is not OrderKind.NEW:
        order = orders[order.amends]
    return order.id


def _runs(
    world: "World", order: OrderForm, line: Timeline | None, orders: dict[str, OrderForm], now: int
) -> Iterator[str]:
    live = world.outside.provisioning.live.get(order.stripe_subscription_id)
    if not stands(order) or live is None or live.ended:
        return
    held = orders[line.in_force(now).order_id] if line else order
    wanted = expected_subscription(held.terms, PlanCatalogue())
    yield from _carries(live, held, wanted)
    if live.cancel_at_period_end:
        return
    coming = line.coming(now) if line else ()
    future = world.outside.provisioning.futures.get(live.id)
    planned = [(each.starts_at, each.metadata.get(REVISION)) for each in future.phases] if future else []
    if planned != [(each.starts_at, each.order_id) for each in coming]:
        yield f"{live.id} comes to {planned}, agreed is {[(each.starts_at, each.order_id) for each in coming]}"
    if coming:
        wanted = expected_subscription(orders[coming[-1].order_id].terms, PlanCatalogue())
    ends = future.ends_at if future else live.cancel_at
    if ends != wanted.ends_at:
        yield f"{live.id} ends at {ends}, agreed is {wanted.ends_at}"


def _carries(live: LiveSubscription, held: OrderForm, wanted: ExpectedSubscription) -> Iterator[str]:
    items = {item.lookup_key: item.quantity for item in live.items}
    if items != dict(wanted.items) or len(live.items) != len(items):
        yield f"{live.id} has {items}, {held.id} says {dict(wanted.items)}"
    if held.kind is not OrderKind.NEW and live.metadata.get(REVISION) != held.id:
        yield f"{live.id} carries {live.metadata.get(REVISION)}, in force is {held.id}"


# -- cancellations -----------------------------------------------------------------------------------------------------


def cancellations(world: "World") -> Iterator[str]:
    """What was wanted last of a subscription is what stands at Stripe."""
    for row in world.rows_of(CANCELLATIONS.kind):
        wish = CANCELLATIONS.load(row)
        live = world.outside.provisioning.live.get(wish.subscription_id)
        if wish.state is CancellationState.REQUESTED:
            yield f"{wish.id} is still {wish.state}"
        if live is None or wish.state is CancellationState.REFUSED:
            continue  # what happens at Stripe by itself may have come after it
        if wish.mode is Mode.NOW and not live.ended:
            yield f"{live.id} was to end now, and is {live.status}"
        if wish.mode is Mode.PERIOD_END and not live.ended and not live.cancel_at_period_end:
            yield f"{live.id} was to end with its period, and goes on"
        if wish.mode is Mode.KEEP and not live.ended and live.cancel_at_period_end:
            yield f"{live.id} was to be kept, and ends"


# -- tenants -----------------------------------------------------------------------------------------------------------


def tenants(world: "World") -> Iterator[str]:
    """Where a tenant is needed nobody is in service without one, and each order has one."""
    needed = bool(world.activation.tenant.plans)
    asked = Counter((each["order_id"], each["attempt"]) for each in _asked(world))
    for row in world.rows_of("ORDER"):
        order = ORDERS.load(row)
        ready = order.tenant is not None and order.tenant.status is TenantStatus.READY
        if order.status is OrderStatus.ACTIVE and ready is not needed:
            yield f"{order.id} is in service {'without a' if needed else 'with a needless'} tenant"
        if order.tenant is not None and ready and order.tenant.tenant_id != f"tnt-{order.id}":
            yield f"{order.id} has the tenant {order.tenant.tenant_id}"
        lost = any(key == row.key for key, _ in world.diary.late)
        if order.tenant is not None and not lost and (order.id, order.tenant.attempt) not in asked:
            yield f"the tenant of {order.id} was never asked for"


# -- after the sale ----------------------------------------------------------------------------------------------------


def sales(world: "World") -> Iterator[str]:
    """One sales order per executed form whose subscription stands, each with a number of its own; what Stripe billed
    is what we say it billed."""
    orders = [ORDERS.load(row) for row in world.rows_of("ORDER")]
    sold = [SALES_ORDERS.load(row) for row in world.rows_of("SALES_ORDER")]
    made = Counter(each.order_id for each in sold)
    for order in orders:
        if made[order.id] != (1 if stands(order) else 0):
            yield f"{order.id} is {order.status} and has {made[order.id]} sales orders"
    numbers = sorted(int(each.number.rpartition("-")[2]) for each in sold)
    if numbers != list(range(1, len(sold) + 1)):
        yield f"the numbers of the sales orders are {numbers}"
    yield from mirrored(world)


def mirrored(world: "World", *, linked: bool = True) -> Iterator[str]:
    """Every invoice of Stripe's stands here as it is there, and `linked` to its account, which may come within the day,
    and its sales order."""
    rows, books = world.rows(), world.outside.books
    for payer in books.truth:
        holder = claim_holder(rows.get(claim_key(PAYER, payer)))
        for fact in books.at(payer).invoices:
            sold = claim_holder(rows.get(claim_key("sales_subscription", fact.subscription_id))) or ""
            request = world.outside.provisioning.subscriptions[fact.subscription_id]
            ref = PayerRef(holder or "", request.account_id)
            wanted = invoice_of_fact(fact, payer, ref, sold, world.clock.now())
            row = rows.get(INVOICES.key(remote_id("INV", fact.id)))
            found = INVOICES.load(row) if row else None
            there, here = _facts(wanted, linked), _facts(found, linked) if found else "nothing"
            if here != there:
                yield f"{fact.id} is {there}, and here {here}"
    known = {remote_id("INV", fact.id) for facts in books.truth.values() for fact in facts.invoices}
    for row in world.rows_of("INVOICE"):
        if INVOICES.load(row).id not in known:
            yield f"{row.pk} is no invoice of Stripe's"


def _facts(invoice: Invoice, linked: bool) -> dict[str, Any]:
    return {name: getattr(invoice, name) for name in (*_MIRRORED, *(_LINKED if linked else ()))}
