"""Money that customers of the Stripe simulator wire: what it pays and in which order, seen through the official client.

Source: https://docs.stripe.com/payments/customer-balance/reconciliation.
"""

from typing import Any

import pytest
import stripe

from tests.contract.stripe_harness import DAY, Bench

_BY_WIRE = {
    "payment_method_types": ["customer_balance"],
    "payment_method_options": {
        "customer_balance": {"funding_type": "bank_transfer", "bank_transfer": {"type": "gb_bank_transfer"}}
    },
}


pytestmark = pytest.mark.usefixtures("no_violations")


def _billed(bench: Bench, customer: str, amount: int, settings: Any = _BY_WIRE, currency: str = "gbp") -> Any:
    """An invoice sent to a customer, finalised."""
    v1 = bench.client.v1
    v1.invoice_items.create({"customer": customer, "amount": amount, "currency": currency})
    asked: Any = {
        "customer": customer,
        "collection_method": "send_invoice",
        "days_until_due": 14,
        "pending_invoice_items_behavior": "include",
        "currency": currency,
    }
    made = v1.invoices.create(asked | ({"payment_settings": settings} if settings else {}))
    return v1.invoices.finalize_invoice(made.id, {"expand": ["payments"]})


def _wire(bench: Bench, customer: str, amount: int, currency: str = "gbp", **more: Any) -> Any:
    params: Any = {"amount": amount, "currency": currency, **more}
    return bench.client.v1.test_helpers.customers.fund_cash_balance(customer, params)


def _status(bench: Bench, *invoices: Any) -> list[str | None]:
    return [bench.client.v1.invoices.retrieve(one.id).status for one in invoices]


def _waits(bench: Bench, customer: str) -> dict[str, int]:
    held: Any = bench.client.v1.customers.cash_balance.retrieve(customer).available
    return held.to_dict() if held else {}


def _moves(bench: Bench, customer: str) -> list[tuple[str, int, int]]:
    listed = bench.client.v1.customers.cash_balance_transactions.list(customer).data
    return [(one.type, one.net_amount, one.ending_balance) for one in reversed(listed)]


def test_what_arrives_pays_the_invoice_that_was_sent(bench: Bench) -> None:
    customer = bench.customer().id
    invoice = _billed(bench, customer, 5_000)
    assert invoice.payment_settings.payment_method_types == ["customer_balance"]
    bench.types()
    bench.receiver.events.clear()
    assert (_wire(bench, customer, 5_000).type, _waits(bench, customer)) == ("funded", {})
    paid: Any = bench.client.v1.invoices.retrieve(invoice.id, {"expand": ["payments"]})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 5_000, 0)
    (payment,) = paid.payments.data
    assert (payment.status, payment.amount_paid) == ("paid", 5_000)
    intent: Any = bench.client.v1.payment_intents.retrieve(
        payment.payment.payment_intent, {"expand": ["latest_charge"]}
    )
    assert (intent.status, intent.amount_received) == ("succeeded", 5_000)
    assert intent.latest_charge.payment_method_details.type == "customer_balance"
    with pytest.raises(stripe.InvalidRequestError, match="cannot be attached"):
        bench.client.v1.payment_methods.attach(intent.payment_method, {"customer": customer})
    assert _moves(bench, customer) == [("funded", 5_000, 5_000), ("applied_to_payment", -5_000, 0)]
    applied = bench.client.v1.customers.cash_balance_transactions.list(customer).data[0]
    again = bench.client.v1.customers.cash_balance_transactions.retrieve(customer, applied.id)
    assert again.applied_to_payment
    assert again.applied_to_payment.payment_intent == intent.id
    assert bench.types() == [
        "customer_cash_balance_transaction.created",
        "customer_cash_balance_transaction.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
    ], "nothing is left that could be told of"


def test_too_little_waits_and_what_is_left_over_pays_the_next(bench: Bench) -> None:
    customer = bench.customer().id
    invoice = _billed(bench, customer, 5_000)
    _wire(bench, customer, 3_000)
    short = bench.client.v1.invoices.retrieve(invoice.id)
    assert (short.status, short.amount_paid, short.amount_remaining) == ("open", 0, 5_000), "whole or not at all"
    assert _waits(bench, customer) == {"gbp": 3_000}
    assert "cash_balance.funds_available" in bench.types(customer)
    _wire(bench, customer, 2_700)
    assert (_status(bench, invoice), _waits(bench, customer)) == (["paid"], {"gbp": 700})
    following = _billed(bench, customer, 600)
    assert (following.status, _waits(bench, customer)) == ("paid", {"gbp": 100}), "paid as it was finalised"
    assert _billed(bench, customer, 600).status == "open"


def test_the_reference_then_the_exact_sum_then_the_oldest(bench: Bench) -> None:
    customer = bench.customer().id
    first, second, third, fourth = (_billed(bench, customer, amount) for amount in (1_000, 2_000, 3_500, 900))
    _wire(bench, customer, 900, reference=f" {third.number.lower()} ")
    assert _waits(bench, customer) == {"gbp": 900}, "it names one that it does not cover"
    _wire(bench, customer, 2_600, reference=third.number)
    assert _status(bench, first, second, third, fourth) == ["open", "open", "paid", "open"]
    _wire(bench, customer, 2_900, reference="for your trouble")
    assert _status(bench, first, second, fourth) == ["open", "paid", "paid"], "two that are the sum"
    fifth = _billed(bench, customer, 700)
    _wire(bench, customer, 1_100)
    assert (_status(bench, first, fifth), _waits(bench, customer)) == (["paid", "open"], {"gbp": 100})


@pytest.mark.parametrize(
    ("currency", "settings"),
    [("eur", _BY_WIRE), ("gbp", None), ("gbp", {"payment_method_types": ["card"]})],
    ids=["another currency", "nothing said", "cards only"],
)
def test_money_passes_by_what_it_may_not_pay(bench: Bench, currency: str, settings: Any) -> None:
    customer = bench.customer().id
    invoice = _billed(bench, customer, 5_000, settings, currency)
    _wire(bench, customer, 5_000)
    assert (_status(bench, invoice), _waits(bench, customer)) == (["open"], {"gbp": 5_000})


def test_an_invoice_long_overdue_takes_no_part(bench: Bench) -> None:
    customer = bench.customer().id
    invoice = _billed(bench, customer, 5_000)
    bench.advance((14 + 31) * DAY)
    _wire(bench, customer, 5_000)
    assert (_status(bench, invoice), _waits(bench, customer)) == (["open"], {"gbp": 5_000})


def test_money_is_applied_on_demand_where_that_was_chosen(bench: Bench) -> None:
    customer = bench.customer().id
    balances = bench.client.v1.customers.cash_balance
    settings = balances.retrieve(customer).settings
    assert (settings.reconciliation_mode, settings.using_merchant_default) == ("automatic", True)
    settings = balances.update(customer, {"settings": {"reconciliation_mode": "manual"}}).settings
    assert (settings.reconciliation_mode, settings.using_merchant_default) == ("manual", False)
    invoice = _billed(bench, customer, 5_000)
    intents = bench.client.v1.payment_intents
    intent = invoice.payments.data[0].payment.payment_intent
    with pytest.raises(stripe.InvalidRequestError, match="enough funds"):
        intents.apply_customer_balance(intent)
    _wire(bench, customer, 6_000)
    assert (_status(bench, invoice), _waits(bench, customer)) == (["open"], {"gbp": 6_000})
    assert "cash_balance.funds_available" in bench.types(customer)
    assert intents.apply_customer_balance(intent).status == "succeeded"
    assert (_status(bench, invoice), _waits(bench, customer)) == (["paid"], {"gbp": 1_000})
    with pytest.raises(stripe.InvalidRequestError, match="does not await funds"):
        intents.apply_customer_balance(intent)
    balances.update(customer, {"settings": {"reconciliation_mode": "merchant_default"}})
    assert _billed(bench, customer, 1_000).status == "paid"
    manual: Any = {"cash_balance": {"settings": {"reconciliation_mode": "manual"}}}
    other = bench.client.v1.customers.create(manual)
    assert balances.retrieve(other.id).settings.reconciliation_mode == "manual"


def test_a_subscription_by_wire_is_paid_as_its_money_comes(bench: Bench) -> None:
    customer = bench.customer().id
    options: Any = {"collection_method": "send_invoice", "days_until_due": 30, "payment_settings": _BY_WIRE}
    subscription = bench.subscribe(customer, bench.price().id, **options)
    first: Any = bench.client.v1.invoices.list({"customer": customer}).data[0]
    _wire(bench, customer, 3_000)
    assert first.status == "draft"
    bench.advance(2 * 3_600)
    assert (_status(bench, first), _waits(bench, customer)) == (["paid"], {"gbp": 1_500})
    assert "invoice.sent" not in bench.types(first.id)
    bench.advance(32 * DAY)
    invoices = bench.client.v1.invoices.list({"customer": customer}).data
    assert [one.status for one in invoices] == ["paid", "paid"]
    assert _waits(bench, customer) == {}
    assert bench.client.v1.subscriptions.retrieve(subscription.id).status == "active"


def test_an_invoice_whose_collection_is_paused_leaves_the_money_alone(bench: Bench) -> None:
    customer = bench.customer().id
    options: Any = {"collection_method": "send_invoice", "days_until_due": 30, "payment_settings": _BY_WIRE}
    subscription = bench.subscribe(customer, bench.price().id, **options)
    bench.advance(2 * 3_600)
    first = bench.client.v1.invoices.list({"customer": customer}).data[0]
    bench.client.v1.invoices.void_invoice(first.id)
    bench.client.v1.subscriptions.update(subscription.id, {"pause_collection": {"behavior": "void"}})
    _wire(bench, customer, 1_500)
    bench.advance(32 * DAY)
    invoices = bench.client.v1.invoices.list({"customer": customer}).data
    assert [one.status for one in invoices] == ["void", "void"]
    assert _waits(bench, customer) == {"gbp": 1_500}
