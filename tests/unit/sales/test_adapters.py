"""The slices and Stripe's objects behind the ports of sales (ORD-9)."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from revops.adapters.sales_records import CountedUsage, StoredDesk, StoredOrders, StoredPayers
from revops.adapters.stripe_events import read_stripe_event
from revops.adapters.stripe_sales import StripeSignals, payer_facts
from revops.billing.store import PAYER
from revops.crm.model import Account
from revops.crm.store import ACCOUNTS, OPPORTUNITIES
from revops.crm.tasks import TASKS, TaskStatus, task_id
from revops.inbox import ReceiveSignal, Settlement, Signal, inbox_id
from revops.kernel import Money
from revops.orders.model import OrderKind, OrderStatus
from revops.orders.store import ORDERS
from revops.sales.model import InvoiceStatus, SaleKind
from revops.sales.ports import NewDeal, NewTask
from revops.table import ConditionFailed, begin
from revops.usage import Allowance, CapTerms, Line, RecordUsage, SetCapPlan, SpendPeriod
from revops.usage.model import Meter, UsageEvent
from tests.builders.billing import TruthGateway, event_body
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.memory_table import MemoryTable
from tests.builders.orders import Desk
from tests.builders.sales import WORKER, SalesBench

pytestmark = pytest.mark.mission("ORD-9")
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
AT = int(NOW.timestamp())


# -- order forms -----------------------------------------------------------------------------------------------------


def test_an_order_form_counts_once_its_subscription_stands() -> None:
    desk = Desk()
    order = desk.executed(discount_percent="5", list_price=5900)
    orders = StoredOrders(desk.table)
    assert orders.executed(order.id) is None
    assert orders.executed("ORD_NOBODY") is None
    desk.run_until_it_waits(order.id)
    found = orders.executed(order.id)
    assert found is not None
    assert (found.kind, found.seats, found.seat_price) == (SaleKind.NEW, 25, Decimal(5605))
    assert (found.usage[0].unit_price, found.usage[0].included) == (Decimal("1.5"), 10_000)
    assert found.subscription_id == desk.order(order.id).stripe_subscription_id != ""
    form = orders.next_form(order.id, date(2027, 11, 20), 12)
    assert (form["kind"], form["amends"], form["renewal_date"]) == ("Renewal", order.id, "2028-11-20")
    assert (form["seats"], form["account_id"]) == (25, found.account_id)
    json.dumps(form)


def test_every_kind_of_order_is_a_kind_of_sale() -> None:
    assert {kind.value for kind in OrderKind} == {kind.value for kind in SaleKind}


def test_an_order_blocked_after_provisioning_is_sold() -> None:
    desk = Desk()
    order = desk.executed(dpa="No", sccs="No")
    desk.run_until_it_waits(order.id)
    blocked = ORDERS.require(desk.table, order.id)
    assert blocked.status is OrderStatus.BLOCKED
    assert StoredOrders(desk.table).executed(order.id) is not None


# -- the CRM -----------------------------------------------------------------------------------------------------------


def _account(table: MemoryTable, owner: str = "USR_rep") -> Account:
    account = Account(id="ACC_ALPHA", created_at=NOW, modified_at=NOW, name="Alpha", owner_id=owner)
    transaction = begin(WORKER, NOW)
    ACCOUNTS.create(transaction, account)
    table.commit(transaction)
    return account


def test_tasks_are_made_once_and_withdrawn_while_open() -> None:
    table = MemoryTable()
    _account(table)
    desk = StoredDesk(table, seeded_ids(1))
    assert (desk.owner_of("ACC_ALPHA"), desk.owner_of("ACC_BETA")) == ("USR_rep", None)
    assert desk.owners_of(["ACC_ALPHA", "ACC_BETA"]) == {"ACC_ALPHA": "USR_rep"}
    assert desk.owners_of([]) == {}
    wanted = NewTask("dunning:INV_1:Past Due", "Unpaid", "dunning", "ACC_ALPHA", "USR_rep", NOW, urgent=True)
    transaction = begin(WORKER, NOW)
    assert desk.add_task(transaction, NOW, wanted)
    table.commit(transaction)
    again = begin(WORKER, NOW)
    assert not desk.add_task(again, NOW, wanted)
    task = TASKS.require(table, task_id(wanted.origin))
    assert (task.assignee_id, task.remind_at, task.related_to) == ("USR_rep", NOW, "ACC_ALPHA")
    for _ in range(2):
        withdrawn = begin(WORKER, NOW)
        desk.withdraw_task(withdrawn, NOW, wanted.origin)
        if withdrawn.operations:
            table.commit(withdrawn)
    found = TASKS.require(table, task.id)
    assert (found.status, found.version, found.remind_at) == (TaskStatus.CANCELLED, 2, None)


@pytest.mark.fault("R19")
def test_a_deal_stands_on_its_account() -> None:
    table = MemoryTable()
    _account(table)
    desk = StoredDesk(table, seeded_ids(1))
    deal = NewDeal("Upsell: more", "ACC_ALPHA", "USR_rep", Money(minor=5, currency="EUR"), NOW.date(), "near the cap")
    one, two = begin(WORKER, NOW), begin(WORKER, NOW)
    made = desk.open_deal(one, NOW, deal)
    desk.open_deal(two, NOW, deal)
    table.commit(one)
    with pytest.raises(ConditionFailed):
        table.commit(two)  # whoever undoes the account's conversion sees one of them, never none
    found = OPPORTUNITIES.require(table, made)
    assert (found.source, found.owner_id, found.description) == ("Upsell", "USR_rep", "near the cap")


def test_a_payer_nobody_knows_belongs_to_nobody() -> None:
    payers = StoredPayers(MemoryTable())
    assert (payers.of_payer("cus_X").account_id, payers.of_account("ACC_ALPHA")) == ("", "")
    assert PAYER == "stripe_payer"


# -- usage -------------------------------------------------------------------------------------------------------------


def _used(table: MemoryTable, clock: ManualClock, period: SpendPeriod) -> None:
    lines = (Allowance(line=Line.API_CALLS, included=100, overage_price=Decimal("0.01")),)
    terms = CapTerms(
        account_id="ACC_ALPHA", currency="EUR", allowances=lines, spend_cap=100, spend_period=period,
        starts_on=date(2026, 3, 15),
    )  # fmt: skip
    SetCapPlan(table, clock)(terms, WORKER)
    record = RecordUsage(table, clock, SalesBench(table, clock).settings)
    for month, quantity in ((9, 90), (10, 95), (11, 190)):
        clock.moment = datetime(2026, month, 10, tzinfo=UTC)
        event = UsageEvent(id=f"u{month}", account_id="ACC_ALPHA", meter=Meter.API_CALLS, quantity=quantity)
        record(event, WORKER)


def test_months_of_usage_against_the_caps_of_the_plan() -> None:
    table, clock = MemoryTable(), ManualClock(datetime(2026, 9, 1, tzinfo=UTC))
    usage = CountedUsage(table)
    assert (usage.months("ACC_ALPHA", ["2026-11"]), usage.spend("ACC_ALPHA", ["2026-11"])) == ([], [])
    assert usage.currency("ACC_ALPHA") == ""
    _used(table, clock, SpendPeriod.MONTHLY)
    seen = usage.months("ACC_ALPHA", ["2026-11", "2026-10", "2026-08"])
    assert [(one.cap, one.month, one.used, one.limit) for one in seen] == [
        ("API Calls", "2026-11", 190, 100),
        ("API Calls", "2026-10", 95, 100),
    ]
    (money,) = usage.spend("ACC_ALPHA", ["2026-11", "2026-10"])
    assert (money.month, money.used * 100 // money.limit) == ("2026-11", 90)
    assert money.told == "2026-11: 0.90 EUR of 1.00 EUR"
    assert usage.currency("ACC_ALPHA") == "EUR"


def test_months_of_an_annual_spend_cap_are_its_cycle() -> None:
    table, clock = MemoryTable(), ManualClock(datetime(2026, 9, 1, tzinfo=UTC))
    _used(table, clock, SpendPeriod.ANNUAL)
    seen = CountedUsage(table).spend("ACC_ALPHA", ["2026-11", "2026-10", "2026-02"])
    assert [one.month for one in seen] == ["2026-11", "2026-10"]
    assert {one.told for one in seen} == {"Y2026-03-15: 0.90 EUR of 1.00 EUR"}


# -- Stripe's objects --------------------------------------------------------------------------------------------------


def _invoice(**more: Any) -> dict[str, Any]:
    return {
        "id": "in_1",
        "number": "A-1",
        "status": "open",
        "currency": "eur",
        "total": 1000,
        "amount_due": 900,
        "amount_paid": 0,
        "amount_remaining": 900,
        "starting_balance": -100,
        "ending_balance": 0,
        "created": AT,
        "period_start": AT,
        "period_end": AT,
        "status_transitions": {"finalized_at": AT + 5},
        "parent": {"subscription_details": {"subscription": "sub_1"}},
        "lines": {"data": [{"amount": 1000, "period": {"start": AT, "end": AT + 9}}], "total_count": 1},
        **more,
    }


def test_an_invoice_in_our_words() -> None:
    (fact,) = payer_facts([_invoice(), _invoice(id="in_draft", status="draft")], [], [], []).invoices
    assert (fact.status, fact.total, fact.due, fact.credit_used) == (InvoiceStatus.OPEN, 1000, 900, 100)
    assert (fact.subscription_id, fact.issued_at.timestamp()) == ("sub_1", AT + 5)
    assert fact.lines[0].amount == 1000
    many = _invoice(lines={"data": [{"amount": 1}] * 60, "total_count": 75})
    (long,) = payer_facts([many], [], [], []).invoices
    assert (len(long.lines), long.lines_left_out) == (50, 25)
    listed = _invoice(lines={"data": [{"amount": 1}] * 10, "total_count": 30, "has_more": True})
    (short,) = payer_facts([listed], [], [], []).invoices
    assert (len(short.lines), short.lines_left_out) == (10, 20), "a list comes with the first ten of each"


def test_charges_pay_the_invoices_that_their_intents_pay() -> None:
    part = {"status": "paid", "amount_paid": 300, "payment": {"payment_intent": "pi_1", "type": "payment_intent"}}
    other = {"status": "open", "amount_paid": None, "payment": {"payment_intent": "pi_2", "type": "payment_intent"}}
    invoices = [
        _invoice(amount_paid=500, payments={"data": [part, other]}),
        _invoice(id="in_2", payments={"data": [part | {"amount_paid": 200}]}),
    ]
    charge = {
        "id": "ch_1",
        "status": "succeeded",
        "created": AT,
        "amount_captured": 600,
        "currency": "eur",
        "payment_intent": "pi_1",
        "payment_method_details": {"type": "customer_balance"},
        "refunds": {"data": [{"id": "re_1", "created": AT, "amount": 50, "currency": "eur", "status": "canceled"}]},
    }
    failed = charge | {"id": "ch_2", "status": "failed"}
    held = charge | {"id": "ch_3", "amount_captured": 0}
    facts = payer_facts(invoices, [charge, failed, held], [], [])
    (payment,) = facts.payments
    assert (payment.amount, payment.method, payment.pays) == (600, "Wire Transfer", (("in_1", 300), ("in_2", 200)))
    assert not payment.refunds[0].counts
    assert [one.paid_outside for one in facts.invoices] == [200, 0]


def test_subscriptions_tell_how_they_end() -> None:
    items = {"data": [{"current_period_end": AT + 900}, {"current_period_end": AT + 50}]}  # it ends at the first
    running = {"id": "sub_1", "items": items, "cancel_at": None, "cancel_at_period_end": True, "ended_at": None}
    ended = {"id": "sub_2", "items": items, "cancel_at": AT + 7, "ended_at": AT + 8}
    one, two = payer_facts([], [], [], [running, ended]).subscriptions
    assert one.cancels_at is not None
    assert (one.cancels_at.timestamp(), one.ended_at) == (AT + 50, None)
    assert two.ended_at is not None
    assert two.ended_at.timestamp() == AT + 8


@pytest.mark.parametrize(
    ("type_", "object_", "payer"),
    [
        ("invoice.paid", {"object": "invoice", "id": "in_1", "customer": "cus_A"}, "cus_A"),
        ("credit_note.created", {"object": "credit_note", "id": "cn_1", "customer": "cus_A"}, "cus_A"),
        ("invoice_payment.paid", {"object": "invoice_payment", "id": "inpay_1"}, "cus_B"),
        ("payment_intent.succeeded", {"object": "payment_intent", "id": "pi_1"}, ""),
        ("customer.updated", {"object": "customer", "id": "cus_A"}, ""),
        ("product.created", {"object": "product", "id": "prod_1"}, ""),
    ],
)
def test_whom_a_signal_concerns(type_: str, object_: dict[str, Any], payer: str) -> None:
    table, clock, blobs, stripe = MemoryTable(), ManualClock(NOW), MemoryBlobs(), TruthGateway()
    stripe.payers["inpay_1"] = "cus_B"
    body = event_body("evt_1", type_, object_)
    ReceiveSignal(table, clock, blobs)(Signal("stripe", "evt_1", type_, "x", body), WORKER)
    signals = StripeSignals(Settlement(table, clock, blobs, "test"), read_stripe_event, stripe)
    found = signals(inbox_id("stripe", "evt_1"))
    assert (found.payer if found else "") == payer
    assert found is None or found.received_at == NOW


def test_an_entry_that_was_given_up_concerns_nobody_and_one_without_an_effect_may() -> None:
    table, clock, blobs = MemoryTable(), ManualClock(NOW), MemoryBlobs()
    settlement = Settlement(table, clock, blobs, "test")
    signals = StripeSignals(settlement, read_stripe_event, TruthGateway())
    receive = ReceiveSignal(table, clock, blobs)
    for name in ("evt_dead", "evt_quiet"):
        body = event_body(name, "credit_note.created", {"object": "credit_note", "id": "cn_1", "customer": "cus_A"})
        receive(Signal("stripe", name, "credit_note.created", "cus_A", body), WORKER)
    settlement.dead(settlement.load(inbox_id("stripe", "evt_dead")), "refused", WORKER)
    transaction = begin(WORKER, NOW)
    settlement.applied(
        transaction, settlement.load(inbox_id("stripe", "evt_quiet")), "the activity log does not tell it"
    )
    table.commit(transaction)
    assert signals(inbox_id("stripe", "evt_dead")) is None
    assert signals(inbox_id("stripe", "evt_quiet")) is not None
