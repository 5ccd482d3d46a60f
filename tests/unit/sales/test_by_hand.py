"""What Finance enters by hand: invoices, payments over and under the amount, reversals, credits (ORD-9)."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from revops.kernel import Conflict, Forbidden, Invalid, NotFound, Refused, Role, VersionConflict
from revops.sales.entries import NewCredit, NewInvoice, NewPayment
from revops.sales.model import Invoice, InvoiceStatus, Payment, PaymentStatus
from revops.sales.store import INVOICES
from revops.table import Key, Row
from tests.builders.sales import ACCOUNT, FINANCE, OTHER, REP, SalesBench, caller, charge, executed, invoice

pytestmark = pytest.mark.mission("ORD-9")


def _invoice(bench: SalesBench, number: str = "R-1", amount: int = 10_000, key: str = "", **more: Any) -> Invoice:
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "number": number,
        "amount": amount,
        "currency": "EUR",
        "issued_on": date(2026, 10, 1),
        "due_on": date(2026, 10, 31),
    }
    wanted = NewInvoice.model_validate(fields | more)
    return bench.enter.invoice(wanted, key or number, FINANCE).record


def _payment(bench: SalesBench, amount: int, key: str = "p", pays: Any = None, **more: Any) -> Payment:
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "paid_on": date(2026, 11, 1),
        "amount": amount,
        "currency": "EUR",
        "method": "Wire Transfer",
        "reference": "TRN 77",
        "pays": pays or {},
    }
    return bench.enter.payment(NewPayment.model_validate(fields | more), key, FINANCE).record


def _now(bench: SalesBench, made: Invoice) -> tuple[str, int, int]:
    found = INVOICES.require(bench.table, made.id)
    return found.status.value, found.paid, found.remaining


def test_an_underpayment_leaves_the_rest_open_and_a_further_one_closes_it() -> None:
    bench = SalesBench()
    made = _invoice(bench)
    _payment(bench, 4_000, "one")
    assert _now(bench, made) == ("Open", 4_000, 6_000)
    assert (bench.total().open, bench.total().overdue, bench.total().balance) == (6_000, 6_000, 6_000)
    _payment(bench, 6_000, "two")
    assert _now(bench, made) == ("Paid", 10_000, 0)
    assert (bench.total().open, bench.total().balance) == (0, 0)


def test_a_payment_pays_what_is_due_longest_and_the_rest_stays_unapplied() -> None:
    bench = SalesBench()
    later = _invoice(bench, "R-2", 3_000, due_on=date(2026, 12, 1))
    first = _invoice(bench, "R-1", 10_000)
    paid = _payment(bench, 15_000)
    assert [part.invoice_id for part in paid.applications] == [first.id, later.id]
    assert (paid.applied, paid.unapplied) == (13_000, 2_000)
    assert (bench.total().unapplied, bench.total().balance) == (2_000, -2_000)
    third = _invoice(bench, "R-3", 5_000)
    applied = bench.enter.apply(paid.id, third.id, 2_000, paid.version, FINANCE)
    assert (applied.unapplied, _now(bench, third)) == (0, ("Open", 2_000, 3_000))
    assert bench.total().balance == 3_000
    with pytest.raises(VersionConflict):
        bench.enter.apply(paid.id, third.id, 2_000, paid.version, FINANCE)
    with pytest.raises(Invalid):
        bench.enter.apply(paid.id, third.id, 1, applied.version, FINANCE)


def test_a_reversal_opens_the_invoices_again() -> None:
    bench = SalesBench()
    one, two = _invoice(bench, "R-1", 4_000), _invoice(bench, "R-2", 6_000)
    paid = _payment(bench, 10_000)
    back = bench.enter.reverse(paid.id, "recalled", paid.version, FINANCE)
    assert (back.status, back.applications, back.reversal_reason) == (PaymentStatus.REVERSED, (), "recalled")
    assert (_now(bench, one), _now(bench, two)) == (("Open", 0, 4_000), ("Open", 0, 6_000))
    assert (bench.total().paid, bench.total().balance, bench.total().unapplied) == (0, 10_000, 0)
    with pytest.raises(Refused):
        bench.enter.reverse(paid.id, "again", back.version, FINANCE)
    with pytest.raises(VersionConflict):
        bench.enter.reverse(paid.id, "again", paid.version, FINANCE)


@pytest.mark.fault("R24")
def test_a_payment_pays_no_more_invoices_than_can_be_opened_again_at_once() -> None:
    bench = SalesBench()
    made = [_invoice(bench, f"R-{number}", 100, due_on=date(2027, 1, 1)) for number in range(46)]
    paid = _payment(bench, 10_000, pays={made[0].id: 100})
    for one in made[1:45]:
        paid = bench.enter.apply(paid.id, one.id, 100, paid.version, FINANCE)
    with pytest.raises(Refused, match="45 invoices"):
        bench.enter.apply(paid.id, made[45].id, 100, paid.version, FINANCE)
    back = bench.enter.reverse(paid.id, "recalled", paid.version, FINANCE)
    assert (back.status, bench.total().open, bench.total().paid) == (PaymentStatus.REVERSED, 4_600, 0)


@pytest.mark.fault("R4", "R7")
def test_one_key_enters_one_record_and_another_content_is_refused() -> None:
    bench = SalesBench()
    made = _invoice(bench, key="k")
    assert _invoice(bench, key="k").id == made.id
    with pytest.raises(Conflict):
        _invoice(bench, "R-9", key="k")
    paid = _payment(bench, 4_000, "k2")
    assert _payment(bench, 4_000, "k2") == paid
    assert _now(bench, made) == ("Open", 4_000, 6_000)
    with pytest.raises(Conflict):
        _payment(bench, 4_001, "k2")


@pytest.mark.fault("R7")
def test_a_key_is_its_users_own() -> None:
    """Two people may number their entries alike: the second one's is not taken for a repeat of the first one's."""
    bench = SalesBench()
    _invoice(bench)
    wanted = NewPayment(account_id=ACCOUNT, paid_on=date(2026, 11, 1), amount=100, currency="EUR", method="ACH")
    mine = bench.enter.payment(wanted, "k", FINANCE)
    theirs = bench.enter.payment(wanted, "k", caller("USR_fin2", Role.FINANCE))
    assert (mine.created, theirs.created, mine.record.id == theirs.record.id) == (True, True, False)
    assert bench.total().paid == 200


@pytest.mark.fault("R19")
def test_two_payments_at_once_pay_no_invoice_twice() -> None:
    bench = SalesBench()
    made = _invoice(bench)
    raced = [True]

    def step_in(_: object) -> None:
        if raced:
            raced.clear()
            _payment(bench, 10_000, "other")

    bench.memory.before_commit = step_in
    mine = _payment(bench, 10_000, "mine")
    assert (mine.applied, mine.unapplied) == (0, 10_000), "it looked again and found the invoice paid"
    assert _now(bench, made) == ("Paid", 10_000, 0)
    assert bench.total().balance == -10_000


@pytest.mark.fault("R19")
def test_an_invoice_that_is_paid_after_it_was_looked_at_is_looked_at_again() -> None:
    bench = SalesBench()
    made, look = _invoice(bench), bench.memory.get_many

    def overtaken(keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        found = look(keys, consistent)
        bench.memory.get_many = look  # type: ignore[method-assign]
        _payment(bench, 10_000, "other")
        return found

    bench.memory.get_many = overtaken  # type: ignore[method-assign]
    mine = _payment(bench, 10_000, "mine")
    assert (mine.applied, mine.unapplied) == (0, 10_000)
    assert _now(bench, made) == ("Paid", 10_000, 0)


@pytest.mark.fault("S1")
def test_a_payment_pays_nobody_elses_invoice() -> None:
    bench = SalesBench()
    theirs = _invoice(bench, account_id="ACC_BETA")
    with pytest.raises(Invalid, match="no invoice of this account"):
        _payment(bench, 10_000, pays={theirs.id: 10_000})
    mine = _payment(bench, 10_000)
    with pytest.raises(Invalid, match="no invoice of this account"):
        bench.enter.apply(mine.id, theirs.id, 10_000, mine.version, FINANCE)
    assert _now(bench, theirs) == ("Open", 0, 10_000)


def test_a_credit_takes_back_at_most_what_is_open() -> None:
    bench = SalesBench()
    made = _invoice(bench)
    _payment(bench, 7_000)
    with pytest.raises(Invalid):
        bench.enter.credit(made.id, NewCredit(amount=3_001, reason="goodwill"), "c", FINANCE)
    credit = bench.enter.credit(made.id, NewCredit(amount=3_000, reason="goodwill"), "c", FINANCE)
    again = bench.enter.credit(made.id, NewCredit(amount=3_000, reason="goodwill"), "c", FINANCE)
    assert (again.created, again.record) == (False, credit.record)
    assert _now(bench, made) == ("Paid", 7_000, 0)
    assert (bench.total().credited, bench.total().balance) == (3_000, 0)


@pytest.mark.mission("SAFE-1")
def test_finance_writes_and_nobody_else() -> None:
    bench = SalesBench()
    wanted = NewInvoice(
        account_id=ACCOUNT, number="R-1", amount=1, currency="EUR", issued_on=date(2026, 1, 1), due_on=date(2026, 1, 2)
    )
    with pytest.raises(Forbidden):
        bench.enter.invoice(wanted, "k", REP)
    with pytest.raises(NotFound):
        bench.enter.invoice(wanted, "k", OTHER)
    with pytest.raises(NotFound):
        bench.enter.invoice(wanted.model_copy(update={"account_id": "ACC_NOBODY"}), "k", FINANCE)
    made = _invoice(bench)
    paid = _payment(bench, 100)
    for call, error in ((REP, Forbidden), (OTHER, NotFound)):
        with pytest.raises(error):
            bench.enter.reverse(paid.id, "x", paid.version, call)
        with pytest.raises(error):
            bench.enter.credit(made.id, NewCredit(amount=1, reason="x"), "c", call)


def test_what_stripe_bills_is_paid_at_stripe() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(),))
    theirs = bench.invoice("in_one")
    with pytest.raises(Refused):
        _payment(bench, 10_000, pays={theirs.id: 10_000})
    with pytest.raises(Refused):
        bench.enter.credit(theirs.id, NewCredit(amount=1, reason="x"), "c", FINANCE)
    assert _payment(bench, 10_000).unapplied == 10_000, "nor by itself"
    bench.mirrored(invoices=(invoice(),), payments=(charge("ch_one", 5_000),))
    charged, mine = bench.payment("ch_one"), _invoice(bench)
    with pytest.raises(Refused, match="is Stripe's"):
        bench.enter.reverse(charged.id, "x", charged.version, FINANCE)
    with pytest.raises(Refused, match="is Stripe's"):
        bench.enter.apply(charged.id, mine.id, 5_000, charged.version, FINANCE)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pays": {"INV_NOBODY": 5}}, "pays"),
        ({"pays": "more than the payment"}, "pays"),
        ({"pays": "more than is open"}, "pays"),
        ({"currency": "USD", "pays": "own"}, "pays"),
        ({"paid_on": date(2026, 12, 24)}, "paid_on"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], field: str) -> None:
    bench = SalesBench()
    made = _invoice(bench)
    amounts = {"more than the payment": 9_000, "more than is open": 10_001, "own": 100}
    if isinstance(changes.get("pays"), str):
        changes = changes | {"pays": {made.id: amounts[changes["pays"]]}}
    amount = 20_000 if changes.get("pays") == {made.id: 10_001} else 5_000
    with pytest.raises(Invalid) as refused:
        _payment(bench, amount, **changes)
    assert refused.value.issues[0].field == field
    assert _now(bench, made) == ("Open", 0, 10_000)


def test_an_invoice_names_a_sales_order_of_its_own_account() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed(account_id="ACC_BETA")
    sold = bench.sell("ORD_ONE", FINANCE)
    assert sold is not None
    with pytest.raises(Invalid):
        _invoice(bench, sales_order_id=sold.id)
    with pytest.raises(Invalid):
        _invoice(bench, due_on=date(2026, 9, 1))
    assert _invoice(bench, account_id="ACC_BETA", sales_order_id=sold.id).status is InvoiceStatus.OPEN
