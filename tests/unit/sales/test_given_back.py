"""What was given back, by whatever way, stands in the account's books once (ORD-9)."""

import pytest

from revops.sales.model import CreditKind
from tests.builders.sales import ACCOUNT, FINANCE, SalesBench, charge, invoice, note, paid, refund

pytestmark = pytest.mark.mission("ORD-9")


def _books(bench: SalesBench) -> tuple[int, int, int]:
    total = bench.total()
    return total.credited, total.refunded, total.balance


def test_a_credit_that_was_paid_back_outside_stripe_is_credited_and_given_back() -> None:
    bench = SalesBench()
    bench.mirrored(
        invoices=(paid(invoice(), credited=1_000),),
        payments=(charge("ch_one", 10_000, ("in_one", 10_000)),),
        credit_notes=(note("cn_one", "in_one", 1_000, outside=1_000),),
    )
    assert _books(bench) == (1_000, 1_000, 0)


@pytest.mark.parametrize("void", [False, True])
def test_a_refund_whose_credit_note_is_void_stands_alone(void: bool) -> None:
    bench = SalesBench()
    bench.mirrored(
        invoices=(paid(invoice()),),
        payments=(charge("ch_one", 10_000, ("in_one", 10_000), refunds=(refund("re_one", 3_000),)),),
        credit_notes=(note("cn_one", "in_one", 3_000, refunds=("re_one",), void=void),),
    )
    assert _books(bench) == (3_000, 3_000, 0)


def test_nothing_is_open_of_an_invoice_that_stripe_calls_paid() -> None:
    """As one that was marked as paid although part of it never came."""
    bench = SalesBench()
    bench.mirrored(invoices=(paid(invoice(), paid=9_500, remaining=500),))
    assert (bench.total().billed, bench.total().open) == (10_000, 0)


def test_what_the_payers_bank_took_back_is_owed_again_once_that_is_final() -> None:
    bench = SalesBench()
    books = []
    for status in ("needs_response", "under_review", "won", "lost"):
        dispute = refund("du_one", 10_000, status=status, counts=status == "lost")
        bench.mirrored(
            invoices=(paid(invoice()),), payments=(charge("ch_one", 10_000, ("in_one", 10_000), disputes=(dispute,)),)
        )
        books.append(_books(bench))
        (credit,) = bench.read.credits(ACCOUNT, 10, "", FINANCE).records
        assert (credit.kind, credit.status, credit.credited) == (CreditKind.CHARGEBACK, status, 0)
        assert credit.payment_id == bench.payment("ch_one").id
    assert books == [(0, 0, 0)] * 3 + [(0, 10_000, 10_000)]
