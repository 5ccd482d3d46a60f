"""The provisioning step: price, customer, subscription, each exactly once."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time

from revops.kernel import CallContext, Clock
from revops.orders.model import OrderForm, PaymentMethod
from revops.orders.policies.pricing import PlanCatalogue, seat_price
from revops.orders.ports import CrmRecords, CustomerRequest, ProvisioningGateway, SubscriptionRequest
from revops.orders.provisioning.create_once import CreateOnce, Request
from revops.settings import SettingsReader
from revops.table import Table

_PAYMENT_TYPES: dict[PaymentMethod, tuple[str, ...]] = {
    PaymentMethod.CREDIT_CARD: ("card",),
    PaymentMethod.ACH: ("us_bank_account",),
    PaymentMethod.WIRE_TRANSFER: ("customer_balance",),
    PaymentMethod.INVOICE: (),
}
"""How an invoice may be paid, in the provider's words; nothing said for `Invoice`: whatever the account allows."""

DAYS_UNTIL_DUE = 30


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What stands at the provider for an order."""

    customer_id: str
    subscription_id: str


class ProvisionOrder:
    """Makes sure that the one subscription of an executed order exists. Safe to call at any time, any number of times.

    A customer belongs to the account and is reused by its later orders.
    """

    def __init__(
        self, table: Table, clock: Clock, gateway: ProvisioningGateway, crm: CrmRecords, settings: SettingsReader
    ) -> None:
        self._create_once = CreateOnce(table, clock)
        self._clock = clock
        self._gateway = gateway
        self._crm = crm
        self._settings = settings

    def __call__(self, order: OrderForm, call: CallContext) -> Provisioned:
        """Raises Unavailable (try again) and ProvisioningRefused (needs a person)."""
        customer_id = self._customer(order, call)
        subscription_id = self._create_once(
            f"SUBSCRIPTION#{order.id}",
            f"of:{order.id}:v{{n}}:subscription",
            call,
            freeze=lambda: asdict(self._subscription(order, customer_id)),
            find=lambda request: self._gateway.find_subscription(str(request["customer_id"]), order.id),
            create=lambda request, key: self._gateway.create_subscription(_subscription_request(request), key),
        )
        return Provisioned(customer_id, subscription_id)

    def _customer(self, order: OrderForm, call: CallContext) -> str:
        if order.terms.stripe_customer_id:
            self._gateway.require_customer_of(order.terms.stripe_customer_id, order.account_id)
            return order.terms.stripe_customer_id
        known = self._crm.account(order.account_id).stripe_customer_id
        if known:
            return known
        return self._create_once(
            f"CUSTOMER#{order.account_id}",
            f"of:{order.account_id}:v{{n}}:customer",
            call,
            freeze=lambda: asdict(_customer(order)),
            find=lambda request: self._gateway.find_customer(order.account_id, str(request["email"])),
            create=lambda request, key: self._gateway.create_customer(CustomerRequest(**request), key),
        )

    def _subscription(self, order: OrderForm, customer_id: str) -> SubscriptionRequest:
        terms = order.terms
        price_id = self._gateway.ensure_price(seat_price(terms, self._settings.read(PlanCatalogue)))
        automatic = terms.payment_method in {PaymentMethod.CREDIT_CARD, PaymentMethod.ACH}
        starts_at = _midnight(terms.start_date)
        return SubscriptionRequest(
            order_id=order.id,
            account_id=order.account_id,
            customer_id=customer_id,
            price_id=price_id,
            seats=terms.seats,
            # without a saved card or bank account the first invoice is sent, to be paid by that method
            charge_automatically=automatic and self._gateway.can_charge(customer_id),
            payment_types=_PAYMENT_TYPES[terms.payment_method],
            days_until_due=DAYS_UNTIL_DUE,
            starts_at=starts_at if starts_at > self._clock.now().timestamp() else 0,
            ends_at=0 if terms.auto_renewal else _midnight(terms.renewal_date),
            plan=terms.plan,
        )


def _customer(order: OrderForm) -> CustomerRequest:
    address = order.terms.billing_address
    parts = {
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "state": address.state,
        "postal_code": address.postal_code,
        "country": address.country,
    }
    return CustomerRequest(
        account_id=order.account_id,
        name=order.terms.legal_entity_name,
        email=order.terms.contact_email,
        phone=order.terms.contact_phone,
        address={name: value for name, value in parts.items() if value},
    )


def _subscription_request(request: Request) -> SubscriptionRequest:
    return SubscriptionRequest(**{**request, "payment_types": tuple(request["payment_types"])})


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
