"""Mirroring Stripe's books: level-triggered, fenced, and right in the account's statement (ORD-9)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from revops.kernel import NotFound
from revops.sales.model import CreditKind, InvoiceStatus, RenewalStatus, SaleKind
from revops.sales.policies.dunning import DunningRules
from revops.sales.policies.renewing import RenewalRules
from revops.sales.ports import PayerFacts, PayerRef, PayerSignal
from revops.sales.store import INVOICES, invoices_of, mirror_key, mirror_state, payments_of, renewals_of
from revops.table import Contention, Page, Query
from tests.builders.sales import (
    ACCOUNT,
    FINANCE,
    OTHER,
    PAYER,
    REP,
    START,
    WORKER,
    SalesBench,
    charge,
    executed,
    invoice,
    note,
    paid,
    refund,
    subscription,
)

pytestmark = pytest.mark.mission("ORD-9")


def _balance(bench: SalesBench) -> tuple[int, ...]:
    total = bench.total()
    return total.billed, total.paid, total.credited, total.refunded, total.balance


def test_an_invoice_and_its_payment_end_up_in_the_books() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed()
    sold = bench.sell("ORD_ONE", WORKER)
    bench.mirrored(invoices=(invoice(),))
    assert _balance(bench) == (10_000, 0, 0, 0, 10_000)
    bench.mirrored(invoices=(paid(invoice()),), payments=(charge("ch_one", 10_000, ("in_one", 10_000)),))
    kept, payment = bench.invoice("in_one"), bench.payment("ch_one")
    assert sold is not None
    assert (kept.status, kept.remaining, kept.account_id, kept.sales_order_id) == ("Paid", 0, ACCOUNT, sold.id)
    assert (payment.applied, payment.unapplied, payment.applications[0].invoice_id) == (10_000, 0, kept.id)
    assert _balance(bench) == (10_000, 10_000, 0, 0, 0)


@pytest.mark.fault("R1", "R2")
def test_mirroring_again_writes_nothing_but_the_fence() -> None:
    bench = SalesBench()
    facts: dict[str, Any] = {
        "invoices": (paid(invoice()), invoice("in_two")),
        "payments": (charge("ch_one", 10_000, ("in_one", 10_000)),),
        "subscriptions": (subscription(),),
    }
    bench.mirrored(**facts)
    before = {key: row for key, row in bench.memory.rows.items() if not key.pk.startswith("MIRROR#")}
    bench.manual.advance(hours=5)
    bench.mirrored(**facts)
    assert {key: row for key, row in bench.memory.rows.items() if not key.pk.startswith("MIRROR#")} == before
    assert mirror_state(bench.table.get(mirror_key(PAYER))).fence == 2


@pytest.mark.fault("R2")
def test_what_was_fetched_before_somebody_elses_commit_is_thrown_away() -> None:
    """A worker fetches "open", another one fetches and writes "paid": the first one must not bring "open" back."""
    bench = SalesBench()
    bench.stripe.truth[PAYER] = PayerFacts(invoices=(invoice(),))

    def overtaken() -> None:
        bench.mirrored(invoices=(paid(invoice()),))

    bench.stripe.after_fetch = overtaken
    bench.mirror(PAYER, WORKER)
    assert bench.invoice("in_one").status is InvoiceStatus.PAID
    assert bench.stripe.fetches == 3


@pytest.mark.fault("R2", "R6")
def test_a_race_without_end_gives_the_message_back() -> None:
    bench = SalesBench()

    def always() -> None:
        bench.stripe.after_fetch = lambda: None
        bench.mirror(PAYER, WORKER)
        bench.stripe.after_fetch = always

    bench.stripe.after_fetch = always
    with pytest.raises(Contention):
        bench.mirror(PAYER, WORKER)


def test_more_invoices_than_a_transaction_takes() -> None:
    bench = SalesBench()
    many = tuple(invoice(f"in_{number}", total=number + 1) for number in range(120))
    bench.mirrored(invoices=many)
    assert bench.total().billed == sum(range(1, 121))
    bench.mirrored(invoices=tuple(paid(one) for one in many))
    assert (bench.total().open, bench.total().billed) == (0, sum(range(1, 121)))
    assert bench.hand_over.payers(WORKER) == 0, "mirrored to the end: due tomorrow"


@pytest.mark.fault("R24")
def test_a_transaction_holds_all_that_its_records_may_take() -> None:
    """The most a record takes: the account changes hands while the invoice, asked for in every stage, is paid."""
    rules = DunningRules(stages=tuple(rule.model_copy(update={"task": True}) for rule in DunningRules().stages))
    bench = SalesBench()
    bench.rules(rules)
    many = tuple(invoice(f"in_{number}") for number in range(40))
    bench.mirrored(invoices=many)
    for days in (33, 44, 60):
        bench.manual.moment = START + timedelta(days=days)
        assert bench.dun(f"day {days}") == 40
    assert len(bench.tasks()) == 120
    bench.payers.refs[PAYER] = PayerRef("CUST_BETA", "ACC_BETA")
    sizes: list[int] = []
    bench.memory.before_commit = lambda transaction: sizes.append(len(transaction.operations))
    bench.mirrored(invoices=tuple(paid(one) for one in many))
    assert (bench.total().billed, bench.total("ACC_BETA").billed, bench.total("ACC_BETA").open) == (0, 400_000, 0)
    assert not bench.tasks()
    assert max(sizes) > 90, "as few transactions as they fit into"


@pytest.mark.fault("R24")
def test_more_terms_end_than_a_transaction_takes() -> None:
    bench = SalesBench()
    bench.rules(RenewalRules(remind_days=(120, 90, 60, 30, 14, 7)))
    for number in range(30):
        bench.orders.known[f"ORD_{number}"] = executed(f"ORD_{number}", subscription_id=f"sub_{number}")
        bench.sell(f"ORD_{number}", WORKER)
    for days in (120, 90, 60, 30, 14, 7):
        bench.manual.moment = datetime(2027, 11, 1, tzinfo=UTC) - timedelta(days=days)
        bench.watch(f"{days} days before")
    assert len(bench.tasks()) == 180
    gone = tuple(subscription(f"sub_{number}", ended_at=bench.manual.moment) for number in range(30))
    bench.mirrored(invoices=tuple(invoice(f"in_{number}") for number in range(8)), subscriptions=gone)
    assert {term.status for term in renewals_of(bench.table, ACCOUNT)} == {RenewalStatus.CANCELLED}
    assert not bench.tasks()
    assert bench.hand_over.payers(WORKER) == 0, "mirrored to the end: due tomorrow"


def test_a_subscription_that_another_replaced_does_not_end_the_term_of_the_other() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed()
    bench.orders.known["ORD_TWO"] = executed(
        "ORD_TWO", kind=SaleKind.RENEWAL, amends="ORD_ONE", subscription_id="sub_two"
    )
    bench.sell("ORD_TWO", WORKER)
    bench.mirrored(subscriptions=(subscription(ended_at=START), subscription("sub_two")))
    assert [term.status for term in renewals_of(bench.table, ACCOUNT) if not term.next_id] == [RenewalStatus.OPEN]


@pytest.mark.fault("R22", "S1")
def test_an_account_is_not_shown_what_an_index_that_lags_still_has_of_it() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(),), payments=(charge("ch_one", 5_000),))
    ask = bench.memory.query
    before = {
        (asked.index, asked.pk): ask(asked)
        for asked in (*invoices_of(ACCOUNT).values(), *payments_of(ACCOUNT).values())
    }
    bench.payers.refs[PAYER] = PayerRef("CUST_BETA", "ACC_BETA")
    bench.mirror(PAYER, WORKER)

    def lagging(query: Query) -> Page:
        return before.get((query.index, query.pk)) or ask(query)

    bench.memory.query = lagging  # type: ignore[method-assign]
    assert bench.read.invoices(ACCOUNT, None, 10, "", REP).records == []
    assert bench.read.payments(ACCOUNT, 10, "", REP).records == []
    assert len(bench.read.invoices("ACC_BETA", None, 10, "", FINANCE).records) == 1


@pytest.mark.fault("R3")
def test_a_mirroring_that_dies_between_chunks_is_due_at_once() -> None:
    bench = SalesBench()
    bench.stripe.truth[PAYER] = PayerFacts(invoices=tuple(invoice(f"in_{number}") for number in range(40)))
    commits = 0

    def dies(_: object) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:
            raise RuntimeError("killed")

    bench.memory.before_commit = dies
    with pytest.raises(RuntimeError):
        bench.mirror(PAYER, WORKER)
    bench.memory.before_commit = lambda _: None
    assert bench.hand_over.payers(WORKER) == 1
    assert bench.mirror.follow(PayerSignal(PAYER, START - timedelta(hours=1)), WORKER), "it was not mirrored to the end"
    assert bench.total().billed == 400_000


def test_a_payer_that_is_linked_later_brings_its_books_along() -> None:
    bench = SalesBench()
    bench.payers.refs.clear()
    bench.mirrored(invoices=(invoice(),))
    assert bench.total().billed == 0
    with pytest.raises(NotFound):
        bench.read.invoice(bench.invoice("in_one").id, REP)
    assert bench.read.invoice(bench.invoice("in_one").id, FINANCE).account_id == ""
    bench.payers.refs[PAYER] = PayerRef("CUST_ALPHA", ACCOUNT)
    bench.manual.advance(hours=25)
    assert bench.hand_over.payers(WORKER) == 1, "once a day, without any signal"
    bench.mirror(PAYER, WORKER)
    assert bench.total().billed == 10_000
    bench.payers.refs[PAYER] = PayerRef("CUST_BETA", "ACC_BETA")
    bench.mirror(PAYER, WORKER)
    assert (bench.total().billed, bench.total("ACC_BETA").billed) == (0, 10_000)


def test_a_void_invoice_was_never_owed_and_an_uncollectible_one_still_is() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(), invoice("in_two")))
    gone = invoice(status=InvoiceStatus.VOID)
    lost = invoice("in_two", status=InvoiceStatus.UNCOLLECTIBLE)
    bench.mirrored(invoices=(gone, lost))
    assert (bench.total().billed, bench.total().open) == (10_000, 10_000)
    assert bench.invoice("in_one").remaining == 0


def test_credit_notes_and_refunds_keep_the_balance() -> None:
    """Paid 100.00; 30.00 credited and refunded; 20.00 credited to the balance; 10.00 given back just so."""
    bench = SalesBench()
    refunds = (
        refund("re_one", 3_000),
        refund("re_alone", 1_000),
        refund("re_failed", 500, status="failed", counts=False),
    )
    bench.mirrored(
        invoices=(paid(invoice(), credited=5_000),),
        payments=(charge("ch_one", 10_000, ("in_one", 10_000), refunds=refunds),),
        credit_notes=(
            note("cn_one", "in_one", 3_000, refunds=("re_one",)),
            note("cn_two", "in_one", 2_000),
            note("cn_void", "in_one", 700, void=True),
        ),
    )
    assert _balance(bench) == (10_000, 10_000, 6_000, 4_000, -2_000)
    listed = bench.read.credits(ACCOUNT, 10, "", REP).records
    assert {(one.kind, one.credited, one.refunded) for one in listed} == {
        (CreditKind.CREDIT_NOTE, 3_000, 0),
        (CreditKind.CREDIT_NOTE, 2_000, 0),
        (CreditKind.CREDIT_NOTE, 0, 0),
        (CreditKind.REFUND, 0, 3_000),
        (CreditKind.REFUND, 1_000, 1_000),
        (CreditKind.REFUND, 0, 0),
    }
    following = paid(invoice("in_two", total=10_000, due=8_000, credit_used=2_000))
    bench.mirrored(
        invoices=(paid(invoice(), credited=5_000), following),
        payments=(
            charge("ch_one", 10_000, ("in_one", 10_000), refunds=refunds),
            charge("ch_two", 8_000, ("in_two", 8_000)),
        ),
        credit_notes=(note("cn_one", "in_one", 3_000, refunds=("re_one",)), note("cn_two", "in_one", 2_000)),
    )
    assert bench.total().balance == 0, "the credit balance was used"


def test_what_was_paid_outside_stripe_is_a_payment_too() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(paid(invoice(), paid_outside=10_000),))
    (payment,) = bench.read.payments(ACCOUNT, 10, "", FINANCE).records
    assert (payment.method, payment.amount, bench.total().balance) == ("Outside Stripe", 10_000, 0)


def test_a_payment_without_an_invoice_is_unapplied() -> None:
    bench = SalesBench()
    bench.mirrored(payments=(charge("ch_one", 5_000),))
    assert (bench.total().unapplied, bench.total().balance) == (5_000, -5_000)
    bench.mirrored(payments=(charge("ch_one", 5_000, refunds=(refund("re_one", 5_000),)),))
    assert bench.total().balance == 0


def test_currencies_stay_apart() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(), invoice("in_usd", currency="USD", total=700, due=700, remaining=700)))
    assert (bench.total().billed, bench.total(currency="USD").billed) == (10_000, 700)


def test_a_signal_that_came_before_the_last_fetch_needs_no_other() -> None:
    bench = SalesBench()
    bench.stripe.truth[PAYER] = PayerFacts(invoices=(invoice(),))
    early = PayerSignal(PAYER, START)
    assert bench.mirror.follow(early, WORKER)
    bench.manual.advance(seconds=1)
    assert bench.mirror.follow(early, WORKER), "too close to tell apart"
    bench.manual.advance(seconds=10)
    assert bench.mirror.follow(PayerSignal(PAYER, START + timedelta(seconds=10)), WORKER)
    assert not bench.mirror.follow(early, WORKER)
    assert bench.stripe.fetches == 3


def test_the_worker_follows_what_tells_something() -> None:
    bench = SalesBench()
    bench.stripe.truth[PAYER] = PayerFacts(invoices=(invoice(),))
    bench.work.follow("INB_nothing", WORKER)
    assert bench.stripe.fetches == 0
    bench.signals["INB_one"] = PayerSignal(PAYER, START)
    bench.work.follow("INB_one", WORKER)
    assert bench.invoice("in_one").total == 10_000
    assert bench.work.takes("SALES_MIRROR")
    assert not bench.work.takes("CUSTOMER")
    bench.work("SALES_MIRROR", PAYER, WORKER)
    assert bench.stripe.fetches == 2


def test_sellers_read_their_own_and_finance_everybodys() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(),))
    found = bench.invoice("in_one")
    assert bench.read.invoice(found.id, REP) == found
    with pytest.raises(NotFound):
        bench.read.invoice(found.id, OTHER)
    assert [one.id for one in bench.read.invoices("", InvoiceStatus.OPEN, 10, "", FINANCE).records] == [found.id]
    assert [one.id for one in bench.read.invoices(ACCOUNT, None, 10, "", REP).records] == [found.id]


def test_a_subscription_that_ends_ends_its_term() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed()
    bench.sell("ORD_ONE", WORKER)
    announced = START + timedelta(days=90)
    bench.mirrored(subscriptions=(subscription(cancels_at=announced),))
    (term,) = renewals_of(bench.table, ACCOUNT)
    assert (term.status, term.cancels_on) == (RenewalStatus.OPEN, announced.date())
    bench.mirrored(subscriptions=(subscription(),))
    assert renewals_of(bench.table, ACCOUNT)[0].cancels_on is None
    bench.mirrored(subscriptions=(subscription(ended_at=announced),))
    (term,) = renewals_of(bench.table, ACCOUNT)
    assert (term.status, term.ended_by, term.look_at) == (RenewalStatus.CANCELLED, "Stripe", None)
    assert [event.what for event in term.history] == [
        "begun",
        "cancellation announced",
        "cancellation withdrawn",
        "cancelled",
    ]


def test_no_invoice_is_there_twice_under_the_same_id() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(),))
    bench.payers.refs["cus_Beta"] = PayerRef("CUST_ALPHA", ACCOUNT)
    bench.stripe.truth["cus_Beta"] = PayerFacts(invoices=(invoice("in_beta"),))
    bench.mirror("cus_Beta", WORKER)
    rows = [row for row in bench.memory.rows.values() if row.kind == INVOICES.kind]
    assert (len(rows), bench.total().billed) == (2, 20_000)
