"""Credit notes and refunds asked of Stripe: Finance only, exactly once whatever fails (ORD-9)."""

from datetime import timedelta

import pytest

from revops.kernel import Conflict, Forbidden, Invalid, NotFound, Refused, Role, Unavailable
from revops.payloads_sales import CreditRequested
from revops.sales.crediting import CreditWanted, RefundWanted
from revops.sales.events import events
from revops.sales.model import CreditRequest, CreditSettlement, InvoiceStatus, RequestStatus
from tests.builders.sales import FINANCE, OTHER, REP, WORKER, SalesBench, caller, charge, invoice, paid

pytestmark = pytest.mark.mission("ORD-9")


def _bench() -> SalesBench:
    bench = SalesBench()
    bench.mirrored(
        invoices=(paid(invoice()), invoice("in_open")), payments=(charge("ch_one", 10_000, ("in_one", 10_000)),)
    )
    return bench


def _asked(bench: SalesBench, key: str = "k", amount: int = 2_000) -> CreditRequest:
    wanted = CreditWanted(amount=amount, settlement=CreditSettlement.REFUND, reason="order_change")
    return bench.request.note(bench.invoice("in_one").id, wanted, key, FINANCE)


def test_a_request_is_stored_told_and_made() -> None:
    bench = _bench()
    request = _asked(bench)
    assert (request.status, request.remote_invoice, request.requested_by) == ("Requested", "in_one", "USR_fin")
    said = [one for change in bench.memory.changes for one in events(change) if one.name == "CreditRequested"]
    assert [CreditRequested.model_validate(one.data).request_id for one in said] == [request.id]
    bench.hand_over.request(request.id)
    (message,) = bench.queue.sent
    assert bench.work.takes(str(message["kind"]))
    fetches = bench.stripe.fetches
    bench.work(str(message["kind"]), str(message["entity_id"]), WORKER)
    done = bench.request.read(request.id, FINANCE)
    assert (done.status, done.remote_id, done.check_at) == (RequestStatus.DONE, "cn_1", None)
    assert bench.stripe.fetches == fetches + 1, "what was made is mirrored at once"
    assert bench.perform(request.id, WORKER) == done


@pytest.mark.fault("R7")
def test_one_key_asks_once() -> None:
    bench = _bench()
    assert _asked(bench) == _asked(bench)
    with pytest.raises(Conflict):
        _asked(bench, amount=2_001)
    assert _asked(bench, "other").id != _asked(bench).id
    wanted = CreditWanted(amount=2_000, settlement=CreditSettlement.REFUND, reason="order_change")
    theirs = bench.request.note(bench.invoice("in_one").id, wanted, "k", caller("USR_fin2", Role.FINANCE))
    assert theirs.id != _asked(bench).id, "a key is its user's own"


@pytest.mark.fault("R8", "R9", "R10")
@pytest.mark.parametrize(
    "mishaps", [["before"], ["after"], ["saved"], ["after saved"], ["before", "after"], ["saved", "saved", "after"]]
)
def test_exactly_one_credit_whatever_stripe_answers(mishaps: list[str]) -> None:
    bench = _bench()
    request = _asked(bench)
    bench.stripe.mishaps = list(mishaps)
    for _ in range(8):
        try:
            done = bench.perform(request.id, WORKER)
        except Unavailable:
            bench.manual.advance(minutes=10)
            continue
        break
    assert (done.status, len(bench.stripe.made)) == (RequestStatus.DONE, 1)
    assert done.remote_id in bench.stripe.made


@pytest.mark.fault("R10")
def test_a_key_that_is_a_day_old_is_looked_up_first() -> None:
    bench = _bench()
    request = _asked(bench)
    bench.stripe.mishaps = ["after"]
    with pytest.raises(Unavailable):
        bench.perform(request.id, WORKER)
    bench.stripe.keys.clear()
    bench.manual.advance(hours=25)
    assert bench.perform(request.id, WORKER).status is RequestStatus.DONE
    assert len(bench.stripe.made) == 1


def test_what_stripe_refuses_is_told_in_its_words() -> None:
    bench = _bench()
    request = _asked(bench)
    bench.stripe.mishaps = ["refused"]
    ended = bench.perform(request.id, WORKER)
    assert (ended.status, ended.refusal) == (
        RequestStatus.REFUSED,
        "Stripe refused: the charge was refunded already",
    )
    assert bench.perform(request.id, WORKER) == ended


@pytest.mark.fault("R15", "R26")
def test_a_request_whose_event_was_lost_is_handed_over_by_the_sweep() -> None:
    bench = _bench()
    request = _asked(bench)
    assert bench.hand_over.requests(WORKER) == 0, "not yet"
    bench.manual.advance(minutes=11)
    assert bench.hand_over.requests(WORKER) == 1
    assert bench.hand_over.requests(WORKER) == 0, "it moved on"
    bench.queue.refuses = True
    bench.manual.advance(hours=2)
    assert bench.hand_over.requests(WORKER) == 0, "the queue refused"
    bench.queue.refuses = False
    bench.manual.advance(hours=2)
    assert bench.hand_over.requests(WORKER) == 1
    assert bench.perform(request.id, WORKER).status is RequestStatus.DONE
    bench.manual.advance(days=2)
    assert bench.hand_over.requests(WORKER) == 0


def test_a_request_ends_although_the_sweep_steps_in() -> None:
    bench = _bench()
    request = _asked(bench)
    bench.manual.advance(minutes=11)
    commits: list[int] = []

    def step_in(transaction: object) -> None:
        commits.append(1)
        if len(commits) == 3:  # kept before the call, made, and now it is to be written as done
            bench.hand_over.requests(WORKER)

    bench.memory.before_commit = step_in
    assert bench.perform(request.id, WORKER).status is RequestStatus.DONE


@pytest.mark.mission("SAFE-1")
def test_only_finance_asks() -> None:
    bench = _bench()
    name, payment = bench.invoice("in_one").id, bench.payment("ch_one").id
    wanted = CreditWanted(amount=1, settlement=CreditSettlement.REFUND)
    for call, error in ((REP, Forbidden), (OTHER, NotFound)):
        with pytest.raises(error):
            bench.request.note(name, wanted, "k", call)
        with pytest.raises(error):
            bench.request.refund(payment, RefundWanted(amount=1), "k", call)
    request = _asked(bench)
    assert bench.request.read(request.id, REP) == request
    with pytest.raises(NotFound):
        bench.request.read(request.id, OTHER)


@pytest.mark.parametrize(
    ("remote", "settlement", "amount", "field"),
    [
        ("in_one", CreditSettlement.REDUCE, 1, "settlement"),
        ("in_open", CreditSettlement.REFUND, 1, "settlement"),
        ("in_one", CreditSettlement.BALANCE, 10_001, "amount"),
        ("in_open", CreditSettlement.REDUCE, 10_001, "amount"),
    ],
)
def test_what_stripe_would_refuse_is_refused_here(
    remote: str, settlement: CreditSettlement, amount: int, field: str
) -> None:
    bench = _bench()
    with pytest.raises(Invalid) as refused:
        bench.request.note(bench.invoice(remote).id, CreditWanted(amount=amount, settlement=settlement), "k", FINANCE)
    assert refused.value.issues[0].field == field


def test_a_void_invoice_and_a_payment_of_no_charge_are_refused() -> None:
    bench = _bench()
    bench.mirrored(invoices=(invoice("in_gone", status=InvoiceStatus.VOID), paid(invoice("in_x"), paid_outside=500)))
    wanted = CreditWanted(amount=1, settlement=CreditSettlement.REDUCE)
    with pytest.raises(Refused):
        bench.request.note(bench.invoice("in_gone").id, wanted, "k", FINANCE)
    with pytest.raises(Refused):
        bench.request.refund(bench.payment("outside:in_x").id, RefundWanted(amount=1), "k", FINANCE)
    with pytest.raises(Invalid):
        bench.request.refund(bench.payment("ch_one").id, RefundWanted(amount=10_001), "k", FINANCE)


def test_a_refund_names_its_charge() -> None:
    bench = _bench()
    request = bench.request.refund(bench.payment("ch_one").id, RefundWanted(amount=500), "k", FINANCE)
    assert (request.remote_payment, request.settlement) == ("ch_one", CreditSettlement.REFUND)
    assert request.check_at is not None
    assert request.check_at - request.created_at == timedelta(minutes=10)
    bench.work("CREDIT_REQUEST", request.id, WORKER)
    assert bench.request.read(request.id, FINANCE).status is RequestStatus.DONE
