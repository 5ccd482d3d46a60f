"""Stripe's current state as billing facts: `StripeGateway` over the official library."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from revops.adapters.stripe_client import stripe_errors
from revops.adapters.stripe_fields import period_ends, plan_of
from revops.billing.model import BillingFacts, InvoiceFact, PaymentFact, SubscriptionFact, SubscriptionStatus
from revops.billing.ports import MeterErrors, StripeRefused
from revops.kernel import Money, Unavailable, parse_time

if TYPE_CHECKING:
    from stripe import StripeClient

_MAX_OBJECTS: Final = 10_000
_MAX_SAMPLES: Final = 20
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
                case "dispute" | "refund":
                    kind = v1.disputes if object_type == "dispute" else v1.refunds
                    return _charged(kind.retrieve(object_id, {"expand": ["charge"]}).to_dict())
                case "subscription_schedule":
                    return _id(v1.subscription_schedules.retrieve(object_id).to_dict().get("customer")) or None
                case "billing.credit_grant":
                    return _id(v1.billing.credit_grants.retrieve(object_id).to_dict().get("customer")) or None
                case "billing.credit_balance_transaction":
                    expanded = {"expand": ["credit_grant"]}
                    moved = v1.billing.credit_balance_transactions.retrieve(object_id, expanded).to_dict()
                    return _id((moved.get("credit_grant") or {}).get("customer")) or None
                case "billing.alert":
                    return _watched(v1.billing.alerts.retrieve(object_id).to_dict())
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
            known = billing_facts(payer, customer, _every(subscriptions), _every(invoices), _every(intents))
            if known.deleted:
                return known  # entitlements went with it: Stripe knows no such customer there
            held = _every(v1.entitlements.active_entitlements.list({"customer": payer, "limit": 100}))
            return replace(known, features=tuple(sorted(_text(each.get("lookup_key")) for each in held)))

    def meter_errors(self, event_id: str) -> MeterErrors:
        """The event itself: what is delivered leaves its data out. Raises Unavailable, StripeRefused."""
        with self._asking("v2") as v2:
            return meter_errors(v2.core.events.retrieve(event_id).to_dict())

    @contextmanager
    def _asking(self, version: str = "v1") -> Iterator[Any]:
        """The API; after a refused key it is connected to afresh, with the key as it then is (S8)."""
        if self._client is None:
            self._client = self._connect()
        try:
            with stripe_errors():
                yield getattr(self._client, version)
        except Unavailable:
            self._client = None
            raise


def _charged(object_: Json) -> str | None:
    """Who was charged: of a dispute or refund with its charge expanded."""
    charge = object_.get("charge")
    customer = _id(charge.get("customer")) if isinstance(charge, dict) else ""
    return customer or _id(object_.get("payment_intent")) or None


def _watched(alert: Json) -> str | None:
    """The one customer whom an alert watches; None for an alert about everybody."""
    filters = (alert.get("usage_threshold") or {}).get("filters") or ()
    return next((_id(each.get("customer")) for each in filters if _id(each.get("customer"))), None)


def meter_errors(event: Json) -> MeterErrors:
    """The report of an event about a meter (https://docs.stripe.com/api/v2/core/events), in our words."""
    data = event.get("data") or {}
    reason = data.get("reason") or {}
    types = [each for each in reason.get("error_types") or () if isinstance(each, dict)]
    samples = [sample for each in types for sample in each.get("sample_errors") or () if isinstance(sample, dict)]
    return MeterErrors(
        meter_id=_id(event.get("related_object")),
        summary=_text(data.get("developer_message_summary"))[:500],
        start=_written(data.get("validation_start")),
        end=_written(data.get("validation_end")),
        count=int(reason.get("error_count") or 0),
        codes={_text(each.get("code")): int(each.get("error_count") or 0) for each in types},
        samples=tuple(_text((sample.get("request") or {}).get("identifier")) for sample in samples)[:_MAX_SAMPLES],
    )


def _written(value: object) -> datetime | None:
    """A time as v2 writes it."""
    if isinstance(value, datetime):
        return value
    return parse_time(value) if isinstance(value, str) and value else None


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
        subscription_of={each["id"]: bills for each in invoices if (bills := _bills(each))},
    )


def _subscription(subscription: Json) -> SubscriptionFact:
    items = (subscription.get("items") or {}).get("data", ())
    starts = [item["current_period_start"] for item in items if item.get("current_period_start")]
    cancel_at = subscription.get("cancel_at")
    if not cancel_at and subscription.get("cancel_at_period_end"):
        cancel_at = min(period_ends(subscription), default=None)
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
    finalized = (invoice.get("status_transitions") or {}).get("finalized_at") or invoice["created"]
    due = invoice.get("due_date")
    return InvoiceFact(
        id=invoice["id"],
        remaining=_money(invoice, "amount_remaining"),
        finalized=_moment(finalized),
        automatic=invoice.get("collection_method") != "send_invoice",
        attempted=bool(invoice.get("attempted")),
        due_date=_moment(due) if due else None,
        subscription_id=_bills(invoice),
    )


def _bills(invoice: Json) -> str:
    """The subscription an invoice bills, if it bills one."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return _id(details.get("subscription"))


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
