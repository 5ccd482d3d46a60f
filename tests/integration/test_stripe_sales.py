"""Stripe's books through the official library and the simulator, mirrored into dynoxide; races on that engine.

Every request is checked against Stripe's contract by the simulator; a violation fails the test that caused it.
"""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from revops.adapters.stripe_sales import StripeLedger
from revops.kernel import SystemClock
from revops.orders.ports import ProvisioningRefused
from revops.orders.provisioning.create_once import CreateOnce
from revops.sales.crediting import CreditWanted, PerformCredit, RefundWanted
from revops.sales.entries import NewInvoice, NewPayment
from revops.sales.mirroring import MirrorPayer
from revops.sales.model import CreditKind, CreditSettlement, RequestStatus
from revops.sales.ports import PayerRef
from revops.sales.store import INVOICES
from revops.table.dynamo import DynamoTable
from tests.builders.sales import ACCOUNT, FINANCE, WORKER, SalesBench, executed
from tests.integration.stripe_simulator import RunningSimulator, running_simulator

pytestmark = pytest.mark.mission("ORD-9")


def _key() -> str:
    """One simulator serves every test, and remembers keys."""
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with running_simulator(Path(tmp_path_factory.mktemp("stripe"))) as running:
        yield running


@pytest.fixture(autouse=True)
def _contract_kept(simulator: RunningSimulator) -> Iterator[None]:
    simulator.control("DELETE", "faults")
    yield
    assert simulator.control("GET", "violations") == []


class Deployment(SalesBench):
    """Sales over dynoxide and the simulator's Stripe."""

    def __init__(self, table: DynamoTable, simulator: RunningSimulator) -> None:
        super().__init__(table, SystemClock())
        client = simulator.client()
        self.ledger = StripeLedger(lambda: client)
        self.api: Any = client.v1
        clock = SystemClock()
        self.mirror = MirrorPayer(table, clock, self.ledger, self.payers, self.desk, self.settings)
        self.perform = PerformCredit(table, clock, CreateOnce(table, clock), self.ledger)

    def customer(self, method: str = "pm_card_visa") -> str:
        made = self.api.customers.create(
            {"payment_method": method, "invoice_settings": {"default_payment_method": method}}
        )
        self.payers.refs[made.id] = PayerRef("CUST_ALPHA", ACCOUNT)
        return str(made.id)

    def subscribe(self, customer: str) -> Any:
        price = self.api.prices.create(
            {
                "currency": "eur",
                "unit_amount": 4900,
                "recurring": {"interval": "month"},
                "product_data": {"name": "Seat"},
            }
        )
        return self.api.subscriptions.create({"customer": customer, "items": [{"price": price.id, "quantity": 2}]})

    def balance(self) -> int:
        return self.total().balance


@pytest.fixture
def deployment(dynamo_table: DynamoTable, simulator: RunningSimulator) -> Deployment:
    return Deployment(dynamo_table, simulator)


def test_a_paid_subscription_credit_notes_and_a_refund_in_the_books(deployment: Deployment) -> None:
    customer = deployment.customer()
    subscription = deployment.subscribe(customer)
    deployment.mirror(customer, WORKER)
    bill = deployment.invoice(str(subscription.latest_invoice))
    assert (bill.status, bill.total, bill.subscription_id) == ("Paid", 9_800, subscription.id)
    assert bill.lines[0].period_end is not None
    (payment,) = deployment.read.payments(ACCOUNT, 10, "", FINANCE).records
    assert (payment.method, payment.applied, deployment.balance()) == ("Credit Card", 9_800, 0)

    wanted = CreditWanted(amount=2_000, settlement=CreditSettlement.REFUND, reason="order_change", memo="as agreed")
    asked = deployment.request.note(bill.id, wanted, _key(), FINANCE)
    done = deployment.perform(asked.id, WORKER)
    assert (done.status, deployment.ledger.find(asked)) == (RequestStatus.DONE, done.remote_id)
    kept = CreditWanted(amount=500, settlement=CreditSettlement.BALANCE)
    deployment.perform(deployment.request.note(bill.id, kept, _key(), FINANCE).id, WORKER)
    back = deployment.request.refund(payment.id, RefundWanted(amount=300, reason="duplicate"), _key(), FINANCE)
    assert deployment.perform(back.id, WORKER).remote_id == deployment.ledger.find(back)
    deployment.mirror(customer, WORKER)
    credits = deployment.read.credits(ACCOUNT, 10, "", FINANCE).records
    assert {(one.kind, one.credited, one.refunded) for one in credits} == {
        (CreditKind.CREDIT_NOTE, 2_000, 0),
        (CreditKind.CREDIT_NOTE, 500, 0),
        (CreditKind.REFUND, 0, 2_000),
        (CreditKind.REFUND, 300, 300),
    }
    assert {one.request_id for one in credits} >= {asked.id, back.id}
    assert deployment.balance() == -500, "what is kept for later invoices"
    deployment.api.invoice_items.create({"customer": customer, "amount": 2_000, "currency": "eur"})
    made = deployment.api.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    deployment.api.invoices.finalize_invoice(made.id)
    deployment.mirror(customer, WORKER)
    following = deployment.invoice(made.id)
    assert (following.total, following.due, following.credit_used) == (2_000, 1_500, 500)
    assert deployment.balance() == 1_500
    deployment.api.credit_notes.create({"invoice": made.id, "amount": 400})
    deployment.api.invoices.pay(made.id, {"paid_out_of_band": True})
    deployment.mirror(customer, WORKER)
    assert (deployment.invoice(made.id).status, deployment.balance()) == ("Paid", 0)


def test_money_that_was_wired_is_one_payment_whenever_it_is_looked_at(deployment: Deployment) -> None:
    """What arrives settles the invoice by itself; what is left over waits, and is no payment."""
    customer = deployment.customer()
    price = {"currency": "eur", "unit_amount": 4900, "recurring": {"interval": "month"}, "product_data": {"name": "S"}}
    transfer = {"type": "eu_bank_transfer", "eu_bank_transfer": {"country": "DE"}}
    balance = {"funding_type": "bank_transfer", "bank_transfer": transfer}
    subscription = deployment.api.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": deployment.api.prices.create(price).id, "quantity": 2}],
            "collection_method": "send_invoice",
            "days_until_due": 30,
            "payment_settings": {
                "payment_method_types": ["customer_balance"],
                "payment_method_options": {"customer_balance": balance},
            },
        }
    )
    sent = str(subscription.latest_invoice)
    deployment.api.invoices.finalize_invoice(sent)
    deployment.mirror(customer, WORKER)
    assert (deployment.invoice(sent).remaining, deployment.balance()) == (9_800, 9_800)
    wired: Any = deployment.api.test_helpers.customers.fund_cash_balance
    wired(customer, {"amount": 10_000, "currency": "eur"})
    for _ in range(2):
        deployment.mirror(customer, WORKER)
        (payment,) = deployment.read.payments(ACCOUNT, 10, "", FINANCE).records
        assert (payment.method, payment.amount, payment.applied) == ("Wire Transfer", 9_800, 9_800)
        assert (deployment.invoice(sent).status, deployment.balance()) == ("Paid", 0)


@pytest.mark.parametrize(("evidence", "owed"), [("winning_evidence", 0), ("losing_evidence", 9_800)])
def test_a_payment_that_the_bank_took_back(deployment: Deployment, evidence: str, owed: int) -> None:
    customer = deployment.customer("pm_card_createDispute")
    deployment.subscribe(customer)
    deployment.mirror(customer, WORKER)
    (chargeback,) = deployment.read.credits(ACCOUNT, 10, "", FINANCE).records
    assert (chargeback.kind, chargeback.amount, deployment.balance()) == (CreditKind.CHARGEBACK, 9_800, 0)
    deployment.api.disputes.update(chargeback.remote_id, {"evidence": {"uncategorized_text": evidence}})
    deployment.mirror(customer, WORKER)
    assert deployment.balance() == owed


@pytest.mark.fault("R8", "R9")
@pytest.mark.parametrize(
    "rule",
    [
        {"do": "lose_response"},
        {"do": "status", "status": 500},
        {"do": "status", "status": 500, "after_work": True},
        {"do": "status", "status": 429},
    ],
    ids=["answer lost", "500 saved", "done and 500", "429"],
)
def test_exactly_one_credit_note_whatever_stripe_answers(
    deployment: Deployment, simulator: RunningSimulator, rule: dict[str, Any]
) -> None:
    customer = deployment.customer()
    subscription = deployment.subscribe(customer)
    deployment.mirror(customer, WORKER)
    bill = deployment.invoice(str(subscription.latest_invoice))
    wanted = CreditWanted(amount=700, settlement=CreditSettlement.BALANCE)
    asked = deployment.request.note(bill.id, wanted, _key(), FINANCE)
    match = {"on": "request", "match": {"method": "POST", "path": "^/v1/credit_notes$"}, "times": 1}
    simulator.control("POST", "faults", [match | rule])
    status = RequestStatus.REQUESTED
    for _ in range(5):
        try:
            status = deployment.perform(asked.id, WORKER).status
        except Exception as error:
            assert getattr(error, "retryable", False), error  # noqa: PT017 - anything else would be final
    assert status is RequestStatus.DONE
    assert len(deployment.api.credit_notes.list({"invoice": bill.remote_id}).data) == 1


def test_what_stripe_refuses_for_good_ends_the_request(deployment: Deployment) -> None:
    customer = deployment.customer()
    subscription = deployment.subscribe(customer)
    deployment.mirror(customer, WORKER)
    bill = deployment.invoice(str(subscription.latest_invoice))
    wanted = CreditWanted(amount=9_800, settlement=CreditSettlement.OUTSIDE)
    first, second = (deployment.request.note(bill.id, wanted, _key(), FINANCE) for _ in range(2))
    assert deployment.perform(first.id, WORKER).status is RequestStatus.DONE
    refused = deployment.perform(second.id, WORKER)
    assert refused.status is RequestStatus.REFUSED
    assert "exceeds" in refused.refusal
    with pytest.raises(ProvisioningRefused):
        deployment.ledger.make(second, _key())


@pytest.mark.fault("R4", "R6", "R19")
def test_numbers_raced_on_the_engine_have_no_gap(dynamo_table: DynamoTable) -> None:
    bench = SalesBench(dynamo_table, SystemClock())
    names = [f"ORD_{number:02d}" for number in range(24)]
    bench.orders.known.update({name: executed(name, subscription_id=f"sub_{name}") for name in names})
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda name: bench.sell(name, WORKER), names * 2))
    numbers = {one.number for one in made if one is not None}
    assert sorted(int(number.rpartition("-")[2]) for number in numbers) == list(range(1, 25))


@pytest.mark.fault("R7", "R19")
def test_payments_raced_on_the_engine_pay_nothing_twice(dynamo_table: DynamoTable) -> None:
    bench = SalesBench(dynamo_table, SystemClock())
    today = SystemClock().now().date()
    bill = NewInvoice(
        account_id=ACCOUNT, number="R-1", amount=1_000, currency="EUR", issued_on=date(2026, 1, 1),
        due_on=today + timedelta(days=1),
    )  # fmt: skip
    made = bench.enter.invoice(bill, "bill", FINANCE).record
    wire = NewPayment(account_id=ACCOUNT, paid_on=today, amount=400, currency="EUR", method="Wire Transfer")

    def pay(number: int) -> int:
        return bench.enter.payment(wire, f"wire {number % 4}", FINANCE).record.applied

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(pay, range(8)))
    total, stands = bench.total(), INVOICES.require(dynamo_table, made.id)
    assert (stands.paid, stands.remaining, stands.status) == (1_000, 0, "Paid")
    assert (total.paid, total.unapplied, total.balance) == (1_600, 600, -600)
