"""Credit that customers of the Stripe simulator were granted, as their invoices take it; seen through the official
client."""

from typing import Any

import pytest

from tests.contract.stripe_harness import DAY, Bench, period_of

pytestmark = pytest.mark.usefixtures("no_violations")


def _metered(bench: Bench, name: str) -> str:
    """A price of 10 a call, by the usage of a meter of its own."""
    meter = bench.client.v1.billing.meters.create(
        {"display_name": name, "event_name": name, "default_aggregation": {"formula": "sum"}}
    )
    return bench.price(10, recurring={"interval": "month", "usage_type": "metered", "meter": meter.id}).id


def _use(bench: Bench, customer: str, count: int, name: str = "calls") -> None:
    payload = {"stripe_customer_id": customer, "value": str(count)}
    bench.client.v1.billing.meter_events.create({"event_name": name, "payload": payload})


def _grant(bench: Bench, customer: str, value: int, scope: Any = None, **more: Any) -> str:
    params: Any = {
        "customer": customer,
        "amount": {"type": "monetary", "monetary": {"currency": "gbp", "value": value}},
        "applicability_config": {"scope": scope or {"price_type": "metered"}},
        **more,
    }
    return bench.client.v1.billing.credit_grants.create(params).id


def _moves(bench: Bench, customer: str, grant: str) -> list[tuple[str, int]]:
    params: Any = {"customer": customer, "credit_grant": grant}
    listed: Any = bench.client.v1.billing.credit_balance_transactions.list(params).data
    sides = [one.credit or one.debit for one in reversed(listed)]
    return [(side.type, side.amount.monetary.value) for side in sides]


def _renewed(bench: Bench, subscription: Any) -> Any:
    """The invoice of its renewal, finalised."""
    bench.advance_to(period_of(bench.client.v1.subscriptions.retrieve(subscription.id))[1] + 2 * 3_600)
    return bench.client.v1.invoices.list({"subscription": subscription.id}).data[0]


def test_metered_lines_take_what_was_granted(bench: Bench) -> None:
    customer = bench.customer().id
    items: Any = [{"price": _metered(bench, "calls")}, {"price": bench.price(1_500).id, "quantity": 1}]
    subscription = bench.client.v1.subscriptions.create({"customer": customer, "items": items})
    grant = _grant(bench, customer, 1_000)
    _use(bench, customer, 40)
    invoice = _renewed(bench, subscription)
    assert (invoice.subtotal, invoice.total, invoice.amount_paid) == (1_900, 1_500, 1_500), "seats take none"
    (taken,) = invoice.total_pretax_credit_amounts
    metered = next(line for line in invoice.lines.data if line.pretax_credit_amounts)
    assert (taken.amount, taken.type, metered.amount) == (400, "credit_balance_transaction", 400)
    moved: Any = bench.client.v1.billing.credit_balance_transactions.retrieve(taken.credit_balance_transaction)
    assert (moved.type, moved.debit.type, moved.credit_grant) == ("debit", "credits_applied", grant)
    assert (moved.debit.credits_applied.invoice, moved.debit.credits_applied.invoice_line_item) == (
        invoice.id,
        metered.id,
    )
    assert bench.types(invoice.id).index("billing.credit_balance_transaction.created") < bench.types(invoice.id).index(
        "invoice.finalized"
    )
    _use(bench, customer, 100)
    second = _renewed(bench, subscription)
    assert (second.subtotal, second.total) == (2_500, 1_900), "only 600 were left"
    assert _moves(bench, customer, grant) == [
        ("credits_granted", 1_000),
        ("credits_applied", 400),
        ("credits_applied", 600),
    ]


def test_credit_for_everything_leaves_nothing_to_pay(bench: Bench) -> None:
    customer = bench.customer("pm_card_chargeCustomerFail").id
    coupon = bench.client.v1.coupons.create({"percent_off": 25, "duration": "forever"})
    items: Any = [{"price": _metered(bench, "calls")}]
    discounts: Any = [{"coupon": coupon.id}]
    made: Any = {"customer": customer, "items": items, "discounts": discounts}
    subscription = bench.client.v1.subscriptions.create(made)
    grant = _grant(bench, customer, 1_000)
    _use(bench, customer, 40)
    invoice = _renewed(bench, subscription)
    assert (invoice.status, invoice.subtotal, invoice.total) == ("paid", 400, 0)
    assert [(one.type, one.amount) for one in invoice.total_pretax_credit_amounts] == [
        ("discount", 100),
        ("credit_balance_transaction", 300),
    ], "after the discount"
    assert _moves(bench, customer, grant)[-1] == ("credits_applied", 300)


def _subscribed(bench: Bench, customer: str, price: str) -> Any:
    items: Any = [{"price": price}]
    return bench.client.v1.subscriptions.create({"customer": customer, "items": items})


def _taken_from(bench: Bench, invoice: Any) -> list[tuple[str, int]]:
    """The grants an invoice took from, in order."""
    transactions = bench.client.v1.billing.credit_balance_transactions
    taken = [entry for line in invoice.lines.data for entry in line.pretax_credit_amounts]
    moved = [transactions.retrieve(str(entry.credit_balance_transaction)) for entry in taken]
    return [(str(one.credit_grant), entry.amount) for one, entry in zip(moved, taken, strict=True)]


def test_which_grant_goes_first(bench: Bench) -> None:
    customer = bench.customer().id
    subscription = _subscribed(bench, customer, _metered(bench, "calls"))
    ends = period_of(subscription)[1] + 30 * DAY
    paid, given, late, soon, first = (
        _grant(bench, customer, 100),
        _grant(bench, customer, 100, category="promotional"),
        _grant(bench, customer, 100, expires_at=ends + DAY),
        _grant(bench, customer, 100, expires_at=ends),
        _grant(bench, customer, 100, priority=1),
    )
    _use(bench, customer, 45)
    invoice = _renewed(bench, subscription)
    assert _taken_from(bench, invoice) == [(first, 100), (soon, 100), (late, 100), (given, 100), (paid, 50)]
    assert (invoice.total, invoice.status) == (0, "paid")


def test_a_grant_for_some_prices_and_grants_that_do_not_count(bench: Bench) -> None:
    customer = bench.customer().id
    calls, texts = _metered(bench, "calls"), _metered(bench, "texts")
    items: Any = [{"price": calls}, {"price": texts}]
    subscription = bench.client.v1.subscriptions.create({"customer": customer, "items": items})
    ends = period_of(subscription)[1]
    mine = _grant(bench, customer, 500, {"prices": [{"id": texts}]})
    gone = _grant(bench, customer, 500, expires_at=ends - DAY)
    yet = _grant(bench, customer, 500, effective_at=ends + 30 * DAY)
    void = _grant(bench, customer, 500)
    bench.client.v1.billing.credit_grants.void_grant(void)
    _grant(bench, bench.customer().id, 500)
    _use(bench, customer, 20)
    _use(bench, customer, 30, "texts")
    invoice = _renewed(bench, subscription)
    assert (invoice.total, _taken_from(bench, invoice)) == (200, [(mine, 300)])
    assert _moves(bench, customer, gone) == [("credits_granted", 500), ("credits_expired", 500)]
    assert _moves(bench, customer, yet) == [("credits_granted", 500)]
    assert _moves(bench, customer, void) == [("credits_granted", 500), ("credits_voided", 500)]


def test_credit_in_another_currency_is_not_taken(bench: Bench) -> None:
    customer = bench.customer().id
    subscription = _subscribed(bench, customer, _metered(bench, "calls"))
    money: Any = {"type": "monetary", "monetary": {"currency": "usd", "value": 500}}
    scope: Any = {"scope": {"price_type": "metered"}}
    made = bench.client.v1.billing.credit_grants.create(
        {"customer": customer, "amount": money, "applicability_config": scope}
    )
    assert (made.category, made.priority) == ("paid", 50)
    _use(bench, customer, 20)
    invoice = _renewed(bench, subscription)
    assert (invoice.total, invoice.total_pretax_credit_amounts) == (200, [])


def test_a_voided_invoice_gives_back_and_an_ended_grant_loses_what_is_left(bench: Bench) -> None:
    customer = bench.customer("pm_card_chargeCustomerFail").id
    items: Any = [{"price": _metered(bench, "calls")}]
    terms: Any = {"customer": customer, "collection_method": "send_invoice", "days_until_due": 30, "items": items}
    subscription = bench.client.v1.subscriptions.create(terms)
    grant = _grant(bench, customer, 150)
    _use(bench, customer, 20)
    invoice = _renewed(bench, subscription)
    assert (invoice.status, invoice.total) == ("open", 50)
    bench.client.v1.invoices.void_invoice(invoice.id)
    kept = [("credits_granted", 150), ("credits_applied", 150), ("credits_application_invoice_voided", 150)]
    assert _moves(bench, customer, grant) == kept
    _use(bench, customer, 10)
    assert _taken_from(bench, _renewed(bench, subscription)) == [(grant, 100)]
    bench.client.v1.billing.credit_grants.expire(grant)
    assert _moves(bench, customer, grant) == [*kept, ("credits_applied", 100), ("credits_expired", 50)]
    bench.advance(DAY)
    assert len(_moves(bench, customer, grant)) == 5, "it expires once"
