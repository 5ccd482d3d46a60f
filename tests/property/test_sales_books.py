"""An account's books under any sequence of entries, mirrorings and races: nothing is applied twice, and the statement
is what the records say (ORD-9)."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revops.kernel import DomainError
from revops.sales.entries import NewCredit, NewInvoice, NewPayment
from revops.sales.model import Credit, Invoice, InvoiceStatus, Payment, PaymentStatus
from revops.sales.ports import PayerFacts
from revops.sales.store import CREDITS, INVOICES, PAYMENTS
from tests.builders.sales import (
    ACCOUNT,
    FINANCE,
    PAYER,
    START,
    WORKER,
    SalesBench,
    charge,
    invoice,
    note,
    paid,
    refund,
)

pytestmark = pytest.mark.mission("ORD-9")

_AMOUNT = st.integers(1, 900)
_WHICH = st.integers(0, 2)
_STEP = st.one_of(
    st.tuples(st.just("invoice"), _AMOUNT, st.sampled_from(("EUR", "USD")), _WHICH),
    st.tuples(st.just("payment"), _AMOUNT, st.sampled_from(("EUR", "USD")), _WHICH),
    st.tuples(st.just("apply"), _WHICH, _WHICH, _AMOUNT),
    st.tuples(st.just("reverse"), _WHICH, st.just(0), _WHICH),
    st.tuples(st.just("credit"), _WHICH, _AMOUNT, _WHICH),
    st.tuples(st.just("stripe"), _WHICH, _AMOUNT, _WHICH),
    st.tuples(st.just("dun"), st.integers(0, 40), st.just(0), _WHICH),
)


@dataclass
class _Books:
    """The use cases over one table, and what Stripe says."""

    bench: SalesBench = field(default_factory=SalesBench)
    billed: dict[int, int] = field(default_factory=dict)
    paid: set[int] = field(default_factory=set)
    credited: dict[int, int] = field(default_factory=dict)

    def _all(self, kind: Any) -> list[Any]:
        rows = sorted((row.pk, row) for row in self.bench.memory.rows.values() if row.kind == kind.kind)
        return [kind.load(row) for _, row in rows]

    @property
    def invoices(self) -> list[Invoice]:
        return self._all(INVOICES)

    @property
    def payments(self) -> list[Payment]:
        return self._all(PAYMENTS)

    @property
    def credits(self) -> list[Credit]:
        return self._all(CREDITS)

    def take(self, step: tuple[Any, ...], key: str) -> None:
        """One step; what does not fit is refused and must leave no trace."""
        kind, first, second, third = step
        rows = dict(self.bench.memory.rows)
        try:
            getattr(self, f"_{kind}")(first, second, third, key)
        except DomainError:
            assert self.bench.memory.rows == rows, "a refusal wrote something"

    def _invoice(self, amount: int, currency: str, _: int, key: str) -> None:
        wanted = NewInvoice(
            account_id=ACCOUNT, number=key, amount=amount, currency=currency, issued_on=date(2026, 10, 1),
            due_on=date(2026, 10, 1) + timedelta(days=amount % 60),
        )  # fmt: skip
        self.bench.enter.invoice(wanted, key, FINANCE)

    def _payment(self, amount: int, currency: str, which: int, key: str) -> None:
        part = amount + 1 if amount % 3 == 0 else amount // 2 + 1  # the first is more than there is
        named = {one.id: part for one in self.invoices[which : which + 1]} if which % 2 else {}
        wanted = NewPayment(
            account_id=ACCOUNT, paid_on=date(2026, 11, 1), amount=amount, currency=currency, method="Other", pays=named
        )
        self.bench.enter.payment(wanted, key, FINANCE)

    def _apply(self, which: int, to: int, amount: int, _: str) -> None:
        for payment, target in zip(self.payments[which : which + 1], self.invoices[to : to + 1], strict=False):
            self.bench.enter.apply(payment.id, target.id, amount, payment.version, FINANCE)

    def _reverse(self, which: int, *_: Any) -> None:
        for payment in self.payments[which : which + 1]:
            self.bench.enter.reverse(payment.id, "recalled", payment.version, FINANCE)

    def _credit(self, which: int, amount: int, _: int, key: str) -> None:
        for target in self.invoices[which : which + 1]:
            self.bench.enter.credit(target.id, NewCredit(amount=amount, reason="x"), key, FINANCE)

    def _stripe(self, which: int, amount: int, what: int, _: str) -> None:
        """An invoice more, one paid, or a part of a paid one given back."""
        match what % 3:
            case 0:
                self.billed.setdefault(which, amount)
            case 1 if which in self.billed:
                self.paid.add(which)
            case 2 if which in self.paid:
                self.credited[which] = min(amount, self.billed[which])
        self.bench.stripe.truth[PAYER] = self._facts()
        self.bench.mirror(PAYER, WORKER)

    def _dun(self, days: int, *_: Any) -> None:
        self.bench.manual.advance(days=days)
        self.bench.dun("now")

    def _facts(self) -> PayerFacts:
        open_ones = [invoice(f"in_{which}", total=amount) for which, amount in self.billed.items()]
        back = self.credited
        return PayerFacts(
            invoices=tuple(
                paid(one, credited=back.get(which, 0)) if which in self.paid else one
                for which, one in zip(self.billed, open_ones, strict=True)
            ),
            payments=tuple(
                charge(
                    f"ch_{which}", self.billed[which], (f"in_{which}", self.billed[which]),
                    refunds=(refund(f"re_{which}", back[which]),) if which in back else (),
                )
                for which in sorted(self.paid)
            ),
            credit_notes=tuple(
                note(f"cn_{which}", f"in_{which}", amount, refunds=(f"re_{which}",)) for which, amount in back.items()
            ),
        )  # fmt: skip


def _require_right(books: _Books) -> None:
    applied: dict[str, int] = {}
    for payment in books.payments:
        assert payment.applied <= payment.amount
        assert payment.status is PaymentStatus.RECEIVED or not payment.applications
        for part in payment.applications:
            applied[part.invoice_id] = applied.get(part.invoice_id, 0) + part.amount
    by_hand = {credit.invoice_id: 0 for credit in books.credits}
    for credit in books.credits:
        by_hand[credit.invoice_id] += credit.credited
    for one in books.invoices:
        assert one.paid == applied.get(one.id, 0), "paid is the sum of what payments apply"
        assert 0 <= one.remaining <= one.total
        assert one.credited == by_hand.get(one.id, 0)
        assert (one.status is InvoiceStatus.PAID) == (one.remaining == 0)
        assert one.owed or (one.stage == "None" and one.dun_at is None), "nobody asks for what is not owed"
    for currency in ("EUR", "USD"):
        total = books.bench.total(currency=currency)
        billed = sum(one.total for one in books.invoices if one.currency == currency)
        received = [one for one in books.payments if one.currency == currency and one.status == "Received"]
        credits = [one for one in books.credits if one.currency == currency]
        assert total.billed == billed
        assert total.paid == sum(one.amount for one in received)
        assert total.unapplied == sum(one.unapplied for one in received)
        assert total.open == sum(one.remaining for one in books.invoices if one.currency == currency)
        owed = billed - total.paid - sum(one.credited for one in credits) + sum(one.refunded for one in credits)
        assert total.balance == owed
        assert total.balance == total.open - total.unapplied, "nothing is lost between invoices and payments"


@settings(max_examples=150, deadline=None)
@given(st.lists(_STEP, min_size=10, max_size=30))
def test_the_books_are_right_after_any_sequence(steps: list[tuple[Any, ...]]) -> None:
    books = _Books()
    for number, step in enumerate(steps):
        books.take(step, f"k{number}")
        _require_right(books)


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, min_size=1, max_size=8), st.data())
def test_repeats_and_races_apply_nothing_twice(steps: list[tuple[Any, ...]], data: st.DataObject) -> None:
    """Another step comes in between look and commit of a step, and the step itself is sent again."""
    books = _Books()
    for number, step in enumerate(steps):
        other, inside = data.draw(_STEP), [True]

        def step_in(_: object, other: tuple[Any, ...] = other, inside: list[bool] = inside, n: int = number) -> None:
            if inside:
                inside.clear()
                books.bench.memory.before_commit = lambda _: None
                books.take(other, f"other{n}")

        books.bench.memory.before_commit = step_in
        refused = False
        try:
            getattr(books, f"_{step[0]}")(*step[1:], f"k{number}")
        except DomainError:
            refused = True
        books.bench.memory.before_commit = lambda _: None
        if step[0] in {"invoice", "payment", "credit", "stripe"} and not refused:
            before = books.payments, books.invoices, books.credits
            books.take(step, f"k{number}")
            after = books.payments, books.invoices, books.credits
            assert after == before or step[0] == "stripe", "sent again, it found what it had made"
        _require_right(books)
    assert books.bench.manual.now() >= START
