"""Provisioning at Stripe: prices by lookup key, customers and subscriptions by metadata.

API 2026-10-28.endive. Searching lags behind; listing does not. Seats and usage stand on one subscription although their
intervals may differ: flexible billing mode allows it (https://docs.stripe.com/billing/subscriptions/mixed-interval).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from stripe import StripeClient

from revops.adapters.stripe_calls import creating, reading, tag
from revops.adapters.stripe_changes import StripeChanges, payment_settings
from revops.adapters.stripe_prices import StripePrices
from revops.orders.policies.pricing import SeatPrice, UsagePrice
from revops.orders.ports import CustomerRequest, ProvisioningRefused, SubscriptionItem, SubscriptionRequest

if TYPE_CHECKING:
    import stripe
    from stripe.params import CustomerCreateParams, SubscriptionCreateParams, SubscriptionCreateParamsItem


class StripeProvisioning(StripeChanges):
    """`ProvisioningGateway` over a Stripe client, which is asked for at each use, because keys rotate.

    The client must not retry by itself: who retries has to know whether the idempotency key is still good.
    """

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        super().__init__(client)
        self._prices = StripePrices(client)

    def ensure_price(self, price: SeatPrice | UsagePrice) -> str:
        return self._prices.ensure(price)

    def find_customer(self, account_id: str, email: str) -> str | None:
        with reading():
            customers = self._client().v1.customers.list({"email": email, "limit": 100})
            for customer in customers.auto_paging_iter():
                if tag(customer.metadata, "account_id") == account_id:
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
        if request.tax_exempt == "exempt" or request.tax_exempt == "reverse":
            params["tax_exempt"] = request.tax_exempt
        with creating():
            return self._client().v1.customers.create(params, {"idempotency_key": key}).id

    def require_customer_of(self, customer_id: str, account_id: str) -> None:
        with reading():
            customer = self._client().v1.customers.retrieve(customer_id)
        if getattr(customer, "deleted", False):
            raise ProvisioningRefused(f"the Stripe customer {customer_id} was deleted")
        if tag(customer.metadata, "account_id") not in {"", account_id}:
            raise ProvisioningRefused(f"the Stripe customer {customer_id} belongs to another account")

    def can_charge(self, customer_id: str) -> bool:
        with reading():
            customer = self._client().v1.customers.retrieve(customer_id)
        if getattr(customer, "deleted", False):
            raise ProvisioningRefused(f"the Stripe customer {customer_id} was deleted")
        settings = customer.invoice_settings
        return bool(customer.default_source or (settings and settings.default_payment_method))

    def find_subscription(self, customer_id: str, order_id: str) -> str | None:
        with reading():
            listed = self._client().v1.subscriptions.list({"customer": customer_id, "status": "all", "limit": 100})
            for subscription in listed.auto_paging_iter():
                if tag(subscription.metadata, "order_form") == order_id:
                    return subscription.id
        return None

    def create_subscription(self, request: SubscriptionRequest, key: str) -> str:
        params: SubscriptionCreateParams = {
            "customer": request.customer_id,
            "items": [_item(item) for item in request.items],
            "billing_mode": {"type": "flexible"},
            "metadata": {**request.metadata, "order_form": request.order_id, "account_id": request.account_id},
        }
        if request.charge_automatically:
            params["collection_method"] = "charge_automatically"
        else:
            params["collection_method"] = "send_invoice"
            params["days_until_due"] = request.days_until_due
        settings = payment_settings(request.payment_types, request.transfer)
        if settings:
            params["payment_settings"] = cast("stripe.params.SubscriptionCreateParamsPaymentSettings", settings)
        if request.automatic_tax:
            params["automatic_tax"] = {"enabled": True}
        if request.starts_at:
            params["trial_end"] = request.starts_at  # nothing is charged before the start
        if request.ends_at:
            params["cancel_at"] = request.ends_at
        with creating():
            return self._client().v1.subscriptions.create(params, {"idempotency_key": key}).id


def _item(item: SubscriptionItem) -> "SubscriptionCreateParamsItem":
    if item.quantity is None:
        return {"price": item.price_id}
    return {"price": item.price_id, "quantity": item.quantity}
