"""The provisioning step: prices, customer, subscription, each exactly once; or a change of the subscription that an
amendment names."""

from dataclasses import asdict, dataclass

from revops.kernel import CallContext, Clock
from revops.orders.changing import ChangeSubscription, root_of
from revops.orders.model import OrderForm, OrderKind
from revops.orders.policies.collection import Collection, thawed_transfer, uncollectable
from revops.orders.policies.expected import expected_subscription
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.ports import (
    CrmRecords,
    CustomerRequest,
    EndingWishes,
    ProvisioningGateway,
    ProvisioningRefused,
    SubscriptionItem,
    SubscriptionRequest,
)
from revops.orders.provisioning.create_once import CreateOnce, Request
from revops.settings import SettingsReader
from revops.table import Table


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What stands at the provider for an order."""

    customer_id: str
    subscription_id: str


class ProvisionOrder:
    """Makes sure that what an executed order asks for stands at the provider. Safe to call at any time, any number of
    times.

    A new order gets the one subscription of its own (I1); an amendment or renewal changes that of the order it names,
    and never makes a second. A customer belongs to the account and is reused by its later orders.
    """

    def __init__(
        self,
        table: Table,
        clock: Clock,
        gateway: ProvisioningGateway,
        crm: CrmRecords,
        settings: SettingsReader,
        wishes: EndingWishes,
    ) -> None:
        self._table = table
        self._create_once = CreateOnce(table, clock)
        self._change = ChangeSubscription(table, clock, gateway, settings, wishes)
        self._clock = clock
        self._gateway = gateway
        self._crm = crm
        self._settings = settings

    def __call__(self, order: OrderForm, call: CallContext) -> Provisioned:
        """Raises Unavailable (try again) and ProvisioningRefused (needs a person)."""
        if order.kind is not OrderKind.NEW:
            self._change(order, call)
            root = root_of(self._table, order)
            return Provisioned(root.stripe_customer_id, root.stripe_subscription_id)
        reason = uncollectable(order.terms, self._settings.read(PlanCatalogue).collection)
        if reason:
            raise ProvisioningRefused(reason)
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
        tax_exempt = self._settings.read(PlanCatalogue).collection.tax_of(order.terms.region).exempt
        return self._create_once(
            f"CUSTOMER#{order.account_id}",
            f"of:{order.account_id}:v{{n}}:customer",
            call,
            freeze=lambda: asdict(_customer(order, tax_exempt)),
            find=lambda request: self._gateway.find_customer(order.account_id, str(request["email"])),
            create=lambda request, key: self._gateway.create_customer(CustomerRequest(**request), key),
        )

    def _subscription(self, order: OrderForm, customer_id: str) -> SubscriptionRequest:
        expected = expected_subscription(order.terms, self._settings.read(PlanCatalogue))
        prices = {price.lookup_key: self._gateway.ensure_price(price) for price in expected.prices}
        automatic = expected.collection is Collection.AUTOMATIC
        return SubscriptionRequest(
            order_id=order.id,
            account_id=order.account_id,
            customer_id=customer_id,
            items=tuple(SubscriptionItem(prices[key], quantity) for key, quantity in expected.items.items()),
            # without a saved card or bank account the first invoice is sent, to be paid by that method
            charge_automatically=automatic and self._gateway.can_charge(customer_id),
            payment_types=expected.payment_types,
            days_until_due=expected.days_until_due,
            starts_at=expected.starts_at if expected.starts_at > self._clock.now().timestamp() else 0,
            ends_at=expected.ends_at,
            transfer=expected.transfer,
            automatic_tax=expected.automatic_tax,
            metadata=dict(expected.metadata),
        )


def _customer(order: OrderForm, tax_exempt: str) -> CustomerRequest:
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
        tax_exempt=tax_exempt,
    )


def _subscription_request(request: Request) -> SubscriptionRequest:
    """A request from the form it was frozen in; also one of a release that knew seats alone, so that an order on its
    way meets this one safely (ORD-2)."""
    frozen = dict(request)
    if "items" not in frozen:
        frozen["items"] = [{"price_id": frozen.pop("price_id"), "quantity": frozen.pop("seats")}]
        frozen["metadata"] = {"plan": frozen.pop("plan", "")}
    return SubscriptionRequest(
        **{
            **frozen,
            "items": tuple(SubscriptionItem(**item) for item in frozen["items"]),
            "payment_types": tuple(frozen["payment_types"]),
            "transfer": thawed_transfer(frozen.get("transfer")),
        }
    )
