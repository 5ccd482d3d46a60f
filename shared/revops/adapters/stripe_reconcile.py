"""Every subscription and customer at Stripe, seen and put right one thing at a time. API 2026-10-28.endive.

Sources: https://docs.stripe.com/api/subscriptions/list (`status=all`), https://docs.stripe.com/api/expanding_objects
(four levels: a price's tiers are one too many for the list, so a tiered price is read by itself; it never changes),
https://docs.stripe.com/api/subscriptions/update (`deleted` items, `proration_date`).
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from stripe import StripeClient

from revops.adapters.stripe_calls import creating, reading, tag, writing
from revops.adapters.stripe_provisioning import StripeProvisioning
from revops.orders.policies.pricing import decimal_text
from revops.orders.ports import ProvisioningRefused
from revops.reconcile.adopting_ports import PayerCard, PayerPage
from revops.reconcile.model import SeenItem, SeenSubscription
from revops.reconcile.ports import ItemRepair, SeenPage

if TYPE_CHECKING:
    import stripe
    from stripe.params import SubscriptionUpdateParams, SubscriptionUpdateParamsItem

_MONTHS = {"month": Fraction(1), "year": Fraction(12), "week": Fraction(7 * 12, 365), "day": Fraction(12, 365)}
"""A billing interval in months, with years of 365 days."""
_MISSING = "resource_missing"


class StripeBooks:
    """`SubscriptionBooks` and `Subscribed` over a client that is asked for at each use, because keys rotate."""

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        self._client = client
        self._tiers = lru_cache(maxsize=4096)(self._read_tiers)

    def page(self, after: str, limit: int) -> SeenPage:
        params: stripe.params.SubscriptionListParams = {"status": "all", "limit": limit, "expand": ["data.customer"]}
        if after:
            params["starting_after"] = after
        with reading():
            listed = self._client().v1.subscriptions.list(params)
        seen = tuple(self._seen(each) for each in listed.data)
        return SeenPage(seen, listed.data[-1].id if listed.has_more else "")

    def of_customer(self, customer_id: str) -> tuple[SeenSubscription, ...]:
        try:
            with reading():
                listed = self._client().v1.subscriptions.list(
                    {"customer": customer_id, "status": "all", "limit": 100, "expand": ["data.customer"]}
                )
                return tuple(self._seen(each) for each in listed.auto_paging_iter())
        except ProvisioningRefused as refused:
            if refused.extra.get("code") == _MISSING:
                return ()
            raise

    def one(self, subscription_id: str) -> SeenSubscription | None:
        try:
            with reading():
                found = self._client().v1.subscriptions.retrieve(subscription_id, {"expand": ["customer"]})
        except ProvisioningRefused as refused:
            if refused.extra.get("code") == _MISSING:
                return None
            raise
        return self._seen(found)

    def _seen(self, found: "stripe.Subscription") -> SeenSubscription:
        customer = found.customer
        deleted = not isinstance(customer, str) and bool(getattr(customer, "deleted", False))
        items = tuple(self._item(item) for item in found.items.data)
        periods = [(item.current_period_start, item.current_period_end) for item in found.items.data]
        start, end = max(periods, default=(0, 0), key=lambda period: period[1])
        return SeenSubscription(
            id=found.id,
            status=found.status,
            created=found.created,
            customer_id=customer if isinstance(customer, str) else customer.id,
            customer_deleted=deleted,
            customer_account="" if deleted else tag(getattr(customer, "metadata", None), "account_id"),
            customer_can_pay=not deleted and _can_pay(customer),
            currency=found.currency.upper(),
            order_id=tag(found.metadata, "order_form"),
            account_id=tag(found.metadata, "account_id"),
            plan=tag(found.metadata, "plan"),
            revision=tag(found.metadata, "revision"),
            items=items,
            automatic=found.collection_method == "charge_automatically",
            days_until_due=found.days_until_due or 0,
            paused=_paused(found),
            discounts=_discounts(found),
            cancel_at=found.cancel_at or 0,
            cancel_at_period_end=bool(found.cancel_at_period_end),
            ended_at=found.ended_at or 0,
            schedule_id=_id(found.schedule),
            period_start=start,
            period_end=end,
        )

    def _item(self, item: "stripe.SubscriptionItem") -> SeenItem:
        price = item.price
        recurring = price.recurring
        metered = recurring is not None and recurring.usage_type == "metered"
        every = _MONTHS[recurring.interval] * recurring.interval_count if recurring else Fraction(1)
        included, amount = (0, _text(price.unit_amount_decimal)) if not _odd(price) else self._tiers(price.id)
        return SeenItem(
            id=item.id,
            price_id=price.id,
            lookup_key=price.lookup_key or "",
            product_id=_id(price.product),
            quantity=None if metered else getattr(item, "quantity", None) or 0,
            unit_amount=amount,
            months=str(every),
            included=included,
        )

    def _read_tiers(self, price_id: str) -> tuple[int, str]:
        """Units for nothing and the price of each beyond; no amount for a price that is not of this shape."""
        with reading():
            price = self._client().v1.prices.retrieve(price_id, {"expand": ["tiers"]})
        tiers = price.tiers or []
        plain = not price.transform_quantity and price.tiers_mode == "graduated" and len(tiers) == 2
        free = plain and not any(tier.flat_amount for tier in tiers) and not tiers[0].unit_amount_decimal
        if not free or price.recurring is None or price.recurring.usage_type != "metered":
            return 0, ""
        return tiers[0].up_to or 0, _text(tiers[1].unit_amount_decimal)


class StripeSubscribed:
    """`Subscribed`: who has subscriptions that run."""

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        self._client = client

    def page(self, after: str, limit: int) -> tuple[Sequence[tuple[str, str]], str]:
        params: stripe.params.SubscriptionListParams = {"limit": limit}  # without `status`: those that have not ended
        if after:
            params["starting_after"] = after
        with reading():
            listed = self._client().v1.subscriptions.list(params)
        return [(_id(each.customer), each.id) for each in listed.data], listed.data[-1].id if listed.has_more else ""


class StripeRepairs(StripeProvisioning):
    """`Provider`: what provisioning does, and one thing of a subscription at a time."""

    def change_item(self, repair: ItemRepair, key: str) -> str:
        params: SubscriptionUpdateParams = {
            "items": [_item_params(repair)],
            "proration_behavior": "create_prorations" if repair.prorated_at else "none",
        }
        if repair.prorated_at:
            params["proration_date"] = repair.prorated_at
        with creating():
            return self._client().v1.subscriptions.update(repair.subscription_id, params, {"idempotency_key": key}).id

    def set_collection(self, subscription_id: str, automatic: bool, days_until_due: int) -> None:
        params: SubscriptionUpdateParams = {"collection_method": "charge_automatically"}
        if not automatic:
            params = {"collection_method": "send_invoice", "days_until_due": days_until_due}
        with writing():
            self._client().v1.subscriptions.update(subscription_id, params)

    def set_metadata(self, subscription_id: str, metadata: Mapping[str, str]) -> None:
        with writing():
            self._client().v1.subscriptions.update(subscription_id, {"metadata": {**metadata}})

    def cancel(self, subscription_id: str) -> None:
        try:
            with writing():
                self._client().v1.subscriptions.cancel(subscription_id, {"invoice_now": False, "prorate": False})
        except ProvisioningRefused as refused:
            if refused.extra.get("code") != _MISSING:
                raise


class StripePayers:
    """`StripeCustomers` over a client that is asked for at each use."""

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        self._client = client

    def customers(self, after: str, limit: int) -> PayerPage:
        params: stripe.params.CustomerListParams = {"limit": limit}
        if after:
            params["starting_after"] = after
        with reading():
            listed = self._client().v1.customers.list(params)
        return PayerPage(tuple(_card(each) for each in listed.data), listed.data[-1].id if listed.has_more else "")

    def customer(self, payer: str) -> PayerCard | None:
        try:
            with reading():
                found = self._client().v1.customers.retrieve(payer)
        except ProvisioningRefused as refused:
            if refused.extra.get("code") == _MISSING:
                return None
            raise
        return None if getattr(found, "deleted", False) else _card(found)

    def name_account(self, payer: str, account_id: str) -> None:
        with writing():
            self._client().v1.customers.update(payer, {"metadata": {"account_id": account_id}})


def _card(customer: "stripe.Customer") -> PayerCard:
    return PayerCard(
        id=customer.id,
        name=(getattr(customer, "business_name", None) or customer.name or "")[:200],
        email=customer.email or "",
        address=_address(customer.address),
        account_id=tag(customer.metadata, "account_id"),
    )


def _address(address: object) -> str:
    parts = ("line1", "line2", "postal_code", "city", "state", "country")
    return ", ".join(str(text) for part in parts if (text := getattr(address, part, None)))


def _item_params(repair: ItemRepair) -> "SubscriptionUpdateParamsItem":
    item = repair.item
    params: SubscriptionUpdateParamsItem = {"id": item.item_id} if item.item_id else {}
    if item.price_id:
        params["price"] = item.price_id
    if item.quantity is not None:
        params["quantity"] = item.quantity
    if item.item_id and not item.price_id and item.quantity is None:
        params["deleted"] = True
    return params


def _odd(price: "stripe.Price") -> bool:
    return price.billing_scheme == "tiered" or bool(price.transform_quantity)


def _paused(found: "stripe.Subscription") -> str:
    """Somebody paused collection, or a trial ended without a way to pay."""
    held = getattr(found, "pause_collection", None)
    return str(held.behavior) if held else "a trial ended unpaid" if found.status == "paused" else ""


def _discounts(found: "stripe.Subscription") -> tuple[str, ...]:
    given = [each for part in (found, *found.items.data) for each in getattr(part, "discounts", None) or ()]
    return tuple(sorted({_id(each) for each in given}))


def _can_pay(customer: object) -> bool:
    settings = getattr(customer, "invoice_settings", None)
    return bool(getattr(customer, "default_source", None) or getattr(settings, "default_payment_method", None))


def _text(amount: Decimal | str | None) -> str:
    return "" if amount is None else decimal_text(Decimal(str(amount)))


def _id(value: object) -> str:
    return value if isinstance(value, str) else str(getattr(value, "id", "") or "")
