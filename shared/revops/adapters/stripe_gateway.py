"""Stripe's current state as billing facts: `StripeGateway` over the official library."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from revops.adapters.stripe_client import stripe_errors
from revops.adapters.stripe_events import plan_of
from revops.billing.model import BillingFacts, InvoiceFact, PaymentFact, SubscriptionFact, SubscriptionStatus
from revops.billing.ports import StripeRefused
from revops.kernel import Money, Unavailable

if TYPE_CHECKING:
    from stripe import StripeClient

_MAX_OBJECTS: Final = 10_000
_ACCOUNT: Final = "account_id"
"""The metadata key under which a Stripe customer names its account; provisioning writes it."""

type Json = Mapping[str, Any]


class StripeReads:
    """`StripeGateway`. `connect` makes the client when it is first needed, and again after it failed."""

    def __init__(self, connect: "Callable[[], StripeClient]") -> None:
        self._connect = connect
        self._client: StripeClient | None = None

    def payer_of(self, object_type: str, object_id: str) -> str | None:
        """Who pays for an object. Raises Unavailable, StripeRefused."""
        with self._asking() as v1:
            match object_type:
                case "customer":
                    return object_id
                case "payment_intent":
                    intent = v1.payment_intents.retrieve(object_id).to_dict()
                    return _id(intent.get("customer")) or object_id
                case "charge":
                    charge = v1.charges.retrieve(object_id).to_dict()
                    return _id(charge.get("customer")) or _id(charge.get("payment_intent")) or None
                case "invoice":
                    return _id(v1.invoices.retrieve(object_id).to_dict().get("customer")) or None
                case "subscription":
                    return _id(v1.subscriptions.retrieve(object_id).to_dict().get("customer")) or None
                case "invoice_payment":
                    invoice = _id(v1.invoice_payments.retrieve(object_id).to_dict().get("invoice"))
                    return _id(v1.invoices.retrieve(invoice).to_dict().get("customer")) or None
                case _:
                    return None

    def facts(self, payer: str) -> BillingFacts:
        """Everything about a payer as it is now. Raises Unavailable, StripeRefused."""
        with self._asking() as v1:
            if payer.startswith("pi_"):
                intent = v1.payment_intents.retrieve(payer, {"expand": ["latest_charge"]}).to_dict()
                return billing_facts(payer, {}, [], [], [intent])
            customer = v1.customers.retrieve(payer).to_dict()
            subscriptions = v1.subscriptions.list({"customer": payer, "status": "all", "limit": 100})
            invoices = v1.invoices.list({"customer": payer, "limit": 100, "expand": ["data.payments"]})
            intents = v1.payment_intents.list({"customer": payer, "limit": 100, "expand": ["data.latest_charge"]})
            return billing_facts(payer, customer, _every(subscriptions), _every(invoices), _every(intents))

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The API; after a refused key it is connected to afresh, with the key as it then is (S8)."""
        if self._client is None:
            self._client = self._connect()
        try:
            with stripe_errors():
                yield self._client.v1
        except Unavailable:
            self._client = None
            raise


def _every(page: Any) -> list[Json]:
    """Every object of a list, page by page, up to a bound no real customer reaches."""
    found: list[Json] = []
    for object_ in page.auto_paging_iter():
        found.append(object_.to_dict())
        if len(found) > _MAX_OBJECTS:
            raise StripeRefused(f"a payer with more than {_MAX_OBJECTS} objects of a kind")
    return found


def billing_facts(
    payer: str, customer: Json, subscriptions: list[Json], invoices: list[Json], intents: list[Json]
) -> BillingFacts:
    """Stripe's objects in our words."""
    invoice_of = {intent: invoice["id"] for invoice in invoices for intent in _paid_by(invoice)}
    currency = _text(customer.get("currency")) or next((_text(each.get("currency")) for each in subscriptions), "")
    currency = currency or next((_text(each.get("currency")) for each in (*invoices, *intents)), "")
    return BillingFacts(
        payer=payer,
        deleted=bool(customer.get("deleted")),
        currency=currency.upper(),
        account_id=_text((customer.get("metadata") or {}).get(_ACCOUNT)),
        subscriptions=tuple(_subscription(each) for each in subscriptions),
        unpaid=tuple(_unpaid(each) for each in invoices if each["status"] in ("open", "uncollectible")),
        payments=tuple(_payments(invoices, intents)),
        lifetime=_lifetime(invoices, intents, invoice_of),
        invoice_of=invoice_of,
    )


def _subscription(subscription: Json) -> SubscriptionFact:
    items = (subscription.get("items") or {}).get("data", ())
    starts = [item["current_period_start"] for item in items if item.get("current_period_start")]
    ends = [item["current_period_end"] for item in items if item.get("current_period_end")]
    cancel_at = subscription.get("cancel_at")
    if not cancel_at and subscription.get("cancel_at_period_end") and ends:
        cancel_at = max(ends)
    plan_id, plan_name = plan_of(subscription)
    return SubscriptionFact(
        id=subscription["id"],
        status=SubscriptionStatus(subscription["status"]),
        created=_moment(subscription["created"]),
        period_start=_moment(min(starts, default=subscription["created"])),
        plan_id=plan_id,
        plan_name=plan_name,
        cancel_at=_moment(cancel_at) if cancel_at else None,
        ended_at=_moment(subscription["ended_at"]) if subscription.get("ended_at") else None,
    )


def _unpaid(invoice: Json) -> InvoiceFact:
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    finalized = (invoice.get("status_transitions") or {}).get("finalized_at") or invoice["created"]
    due = invoice.get("due_date")
    return InvoiceFact(
        id=invoice["id"],
        remaining=_money(invoice, "amount_remaining"),
        finalized=_moment(finalized),
        automatic=invoice.get("collection_method") != "send_invoice",
        attempted=bool(invoice.get("attempted")),
        due_date=_moment(due) if due else None,
        subscription_id=_id(details.get("subscription")),
    )


def _payments(invoices: list[Json], intents: list[Json]) -> Iterator[PaymentFact]:
    """Payments with an outcome; those without (processing, waiting for the payer, cancelled) say nothing."""
    for intent in intents:
        failed = intent["status"] == "requires_payment_method" and bool(intent.get("last_payment_error"))
        if failed or intent["status"] == "succeeded":
            charge = intent.get("latest_charge")
            at = charge["created"] if isinstance(charge, dict) else intent["created"]
            yield PaymentFact(intent["id"], _moment(at), not failed, _money(intent, "amount"))
    for invoice in invoices:
        paid_at = (invoice.get("status_transitions") or {}).get("paid_at")
        if invoice["status"] == "paid" and paid_at:
            yield PaymentFact(invoice["id"], _moment(paid_at), True, _money(invoice, "amount_paid"))


def _lifetime(invoices: list[Json], intents: list[Json], invoice_of: Mapping[str, str]) -> dict[str, int]:
    """What was paid on invoices (also outside Stripe) and by intents of their own, less what went back."""
    total: dict[str, int] = {}
    for invoice in invoices:
        _add(total, invoice, invoice.get("amount_paid") or 0)
    for intent in intents:
        received = 0 if intent["id"] in invoice_of else intent.get("amount_received") or 0
        charge = intent.get("latest_charge")
        refunded = charge.get("amount_refunded") or 0 if isinstance(charge, dict) else 0
        _add(total, intent, received - refunded)
    return total


def _add(total: dict[str, int], object_: Json, minor: int) -> None:
    if minor:
        currency = object_["currency"].upper()
        total[currency] = total.get(currency, 0) + minor


def _paid_by(invoice: Json) -> Iterator[str]:
    """The payment intents that pay an invoice, or tried to."""
    for payment in (invoice.get("payments") or {}).get("data", ()):
        intent = _id((payment.get("payment") or {}).get("payment_intent"))
        if intent:
            yield intent


def _money(object_: Json, name: str) -> Money:
    return Money(minor=object_.get(name) or 0, currency=object_["currency"].upper())


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id(value: object) -> str:
    return _text(value.get("id") if isinstance(value, dict) else value)
