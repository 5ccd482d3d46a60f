"""Credit notes and refunds of the Stripe simulator, seen through the official client and checked by its contract."""

from typing import Any

import pytest
import stripe

from tests.contract.stripe_harness import Bench

pytestmark = pytest.mark.usefixtures("no_violations")


def _paid(bench: Bench) -> Any:
    customer = bench.customer()
    subscription = bench.subscribe(customer.id, bench.price().id, expand=["latest_invoice"])
    return subscription.latest_invoice


def _open(bench: Bench) -> Any:
    customer = bench.customer()
    options: Any = {"collection_method": "send_invoice", "days_until_due": 14, "expand": ["latest_invoice"]}
    invoice: Any = bench.subscribe(customer.id, bench.price().id, **options).latest_invoice
    return invoice if invoice.status == "open" else bench.client.v1.invoices.finalize_invoice(invoice.id)


def test_a_credit_note_on_an_open_invoice_is_less_to_pay(bench: Bench) -> None:
    invoice = _open(bench)
    note = bench.client.v1.credit_notes.create({"invoice": invoice.id, "amount": 500, "metadata": {"why": "one"}})
    assert (note.status, note.type, note.total, note.pre_payment_amount) == ("issued", "pre_payment", 500, 500)
    after = bench.client.v1.invoices.retrieve(invoice.id)
    assert (after.total, after.amount_remaining, after.pre_payment_credit_notes_amount) == (1500, 1000, 500)
    assert {"credit_note.created", "invoice.updated"} <= set(bench.types())
    bench.client.v1.credit_notes.void_credit_note(note.id)
    again = bench.client.v1.invoices.retrieve(invoice.id)
    assert (again.amount_remaining, bench.client.v1.credit_notes.retrieve(note.id).status) == (1500, "void")
    bench.client.v1.credit_notes.create({"invoice": invoice.id, "amount": 1500})
    whole = bench.client.v1.invoices.retrieve(invoice.id)
    assert (whole.status, whole.amount_remaining, whole.amount_paid) == ("paid", 0, 0)


def test_a_credit_note_on_a_paid_invoice_says_where_its_money_goes(bench: Bench) -> None:
    invoice = _paid(bench)
    with pytest.raises(stripe.InvalidRequestError):
        bench.client.v1.credit_notes.create({"invoice": invoice.id, "amount": 500})
    refunded = bench.client.v1.credit_notes.create({"invoice": invoice.id, "amount": 500, "refund_amount": 500})
    refund = bench.client.v1.refunds.retrieve(str(refunded.refunds[0].refund))
    assert (refund.amount, refunded.post_payment_amount) == (500, 500)
    bench.client.v1.credit_notes.create({"invoice": invoice.id, "amount": 300, "credit_amount": 300})
    assert bench.client.v1.customers.retrieve(str(invoice.customer)).balance == -300
    bench.client.v1.credit_notes.create({"invoice": invoice.id, "amount": 100, "out_of_band_amount": 100})
    with pytest.raises(stripe.InvalidRequestError):
        bench.client.v1.credit_notes.create({"invoice": invoice.id, "amount": 700, "refund_amount": 700})
    listed = bench.client.v1.credit_notes.list({"invoice": invoice.id}).data
    assert [note.total for note in listed] == [100, 300, 500]
    charge = bench.client.v1.charges.list({"customer": str(invoice.customer), "expand": ["data.refunds"]}).data[0]
    assert [each.id for each in charge.refunds.data] == [refund.id] if charge.refunds else False
    assert {"charge.refunded", "credit_note.created"} <= set(bench.types())


def test_a_credit_note_is_made_once_for_a_key(bench: Bench) -> None:
    invoice = _paid(bench)
    params: Any = {"invoice": invoice.id, "amount": 500, "credit_amount": 500}
    made = [bench.client.v1.credit_notes.create(params, {"idempotency_key": "one"}).id for _ in range(3)]
    assert len(set(made)) == 1
    assert len(bench.client.v1.credit_notes.list({"invoice": invoice.id}).data) == 1
