"""Provisioning at Stripe: prices by lookup key, customers and subscriptions by metadata.

API 2026-10-28.endive. Sources: https://docs.stripe.com/api/idempotent_requests (a key's first answer is saved, 500s
included, and replayed for 24 hours; a request that was refused before it began is not saved),
https://docs.stripe.com/error-low-level (what is known after which failure). Searching lags behind; listing does not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import stripe
from stripe import StripeClient

from revops.kernel import Unavailable
from revops.orders.model import BillingCycle
from revops.orders.policies.pricing import SeatPrice
from revops.orders.ports import (
    CustomerRequest,
    OutcomeUnknown,
    ProvisioningRefused,
    SavedFailure,
    SubscriptionRequest,
)

if TYPE_CHECKING:
    from stripe.params import CustomerCreateParams, PriceCreateParams, SubscriptionCreateParams

_INTERVALS: dict[BillingCycle, "stripe.params.PriceCreateParamsRecurring"] = {
    BillingCycle.MONTHLY: {"interval": "month"},
    BillingCycle.ANNUAL: {"interval": "year"},
}


class StripeProvisioning:
    """`ProvisioningGateway` over a Stripe client, which is asked for at each use, because keys rotate.

    The client must not retry by itself: who retries has to know whether the idempotency key is still good.
    """

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        self._client = client

    def ensure_price(self, price: SeatPrice) -> str:
        found = self._find_price(price.lookup_key)
        if found is not None:
            return found
        self._ensure_product(price.product_id, price.product_name)
        params: PriceCreateParams = {
            "product": price.product_id,
            "currency": price.currency.lower(),
            "unit_amount_decimal": Decimal(price.unit_amount),
            "recurring": _INTERVALS[price.cycle],
            "lookup_key": price.lookup_key,
        }
        try:
            with _creating():
                # no idempotency key: a lookup key is unique, so a repeat cannot make a second price
                return self._client().v1.prices.create(params).id
        except ProvisioningRefused:
            made_meanwhile = self._find_price(price.lookup_key)
            if made_meanwhile is None:
                raise
            return made_meanwhile

    def find_customer(self, account_id: str, email: str) -> str | None:
        with _reading():
            customers = self._client().v1.customers.list({"email": email, "limit": 100})
            for customer in customers.auto_paging_iter():
                if _tag(customer.metadata, "account_id") == account_id:
                    return customer.id
        return None

    def create_customer(self, request: CustomerRequest, key: str) -> str:
        params: CustomerCreateParams = {
            "name": request.name,
            "email": request.email,
            "address": {**request.address},  # type: ignore[typeddict-item]  # its fields are Stripe's
            "metadata": {"account_id": request.account_id},
        }
        if request.phone:
            params["phone"] = request.phone
        with _creating():
            return self._client().v1.customers.create(params, {"idempotency_key": key}).id

    def require_customer_of(self, customer_id: str, account_id: str) -> None:
        with _reading():
            customer = self._client().v1.customers.retrieve(customer_id)
        if getattr(customer, "deleted", False):
            raise ProvisioningRefused(f"the Stripe customer {customer_id} was deleted")
        if _tag(customer.metadata, "account_id") not in {"", account_id}:
            raise ProvisioningRefused(f"the Stripe customer {customer_id} belongs to another account")

    def can_charge(self, customer_id: str) -> bool:
        with _reading():
            customer = self._client().v1.customers.retrieve(customer_id)
        if getattr(customer, "deleted", False):
            raise ProvisioningRefused(f"the Stripe customer {customer_id} was deleted")
        settings = customer.invoice_settings
        return bool(customer.default_source or (settings and settings.default_payment_method))

    def find_subscription(self, customer_id: str, order_id: str) -> str | None:
        with _reading():
            listed = self._client().v1.subscriptions.list({"customer": customer_id, "status": "all", "limit": 100})
            for subscription in listed.auto_paging_iter():
                if _tag(subscription.metadata, "order_form") == order_id:
                    return subscription.id
        return None

    def create_subscription(self, request: SubscriptionRequest, key: str) -> str:
        params: SubscriptionCreateParams = {
            "customer": request.customer_id,
            "items": [{"price": request.price_id, "quantity": request.seats}],
            "metadata": {"order_form": request.order_id, "account_id": request.account_id, "plan": request.plan},
        }
        if request.charge_automatically:
            params["collection_method"] = "charge_automatically"
        else:
            params["collection_method"] = "send_invoice"
            params["days_until_due"] = request.days_until_due
        if request.payment_types:
            params["payment_settings"] = {"payment_method_types": [*request.payment_types]}
        if request.starts_at:
            params["trial_end"] = request.starts_at  # nothing is charged before the start
        if request.ends_at:
            params["cancel_at"] = request.ends_at
        with _creating():
            return self._client().v1.subscriptions.create(params, {"idempotency_key": key}).id

    def _find_price(self, lookup_key: str) -> str | None:
        with _reading():
            for price in self._client().v1.prices.list({"lookup_keys": [lookup_key], "limit": 1}).data:
                if not price.active:
                    raise ProvisioningRefused(f"the Stripe price {price.id} is archived; activate it and resume")
                return price.id
        return None

    def _ensure_product(self, product_id: str, name: str) -> None:
        try:
            with _creating():
                self._client().v1.products.create({"id": product_id, "name": name})
        except ProvisioningRefused as refused:
            if refused.extra.get("code") != "resource_already_exists":
                raise


@contextmanager
def _reading() -> Iterator[None]:
    """A read has no outcome to lose: it is answered, refused, or asked again later."""
    try:
        yield
    except stripe.StripeError as error:
        if _is_refusal(error):
            raise _refused(error) from error
        raise Unavailable("Stripe did not answer") from error


@contextmanager
def _creating() -> Iterator[None]:
    """What is known after a create went wrong, by kind of failure."""
    try:
        yield
    except stripe.StripeError as error:
        status = error.http_status or 0
        if isinstance(error, stripe.RateLimitError) or status in {401, 403, 429}:
            raise Unavailable("Stripe takes no requests from us just now") from error
        if isinstance(error, stripe.IdempotencyError) and status == 400:
            # the key stands for other parameters, which an older release sent: look, then take the next key
            raise SavedFailure("this key was used for another request") from error
        if status >= 500 and _header(error, "idempotent-replayed") == "true":
            raise SavedFailure("Stripe replays the failure it saved for this key") from error
        if _is_refusal(error):
            raise _refused(error) from error
        raise OutcomeUnknown("Stripe did not tell whether it was done") from error


def _is_refusal(error: stripe.StripeError) -> bool:
    """Understood and declined. Not among these: another call with the same key is under way (409)."""
    return 400 <= (error.http_status or 0) < 500 and error.http_status not in {401, 403, 409, 429}


def _refused(error: stripe.StripeError) -> ProvisioningRefused:
    return ProvisioningRefused(f"Stripe refused: {error.user_message or 'no reason given'}", {"code": error.code or ""})


def _header(error: stripe.StripeError, name: str) -> str:
    return next((value for key, value in (error.headers or {}).items() if key.lower() == name), "").lower()


def _tag(metadata: object, name: str) -> str:
    """A metadata value; the SDK shows metadata as attributes."""
    return str(getattr(metadata, name, "") or "")
