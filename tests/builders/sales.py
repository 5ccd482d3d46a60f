"""What follows a sale, for tests: Stripe's books that a test sets, the CRM as far as it is touched, and everything
wired over one table."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from revops.access import Policy
from revops.kernel import CallContext, Clock, Principal, Role, system_call
from revops.orders.ports import OutcomeUnknown, ProvisioningRefused, SavedFailure
from revops.orders.provisioning.create_once import CreateOnce
from revops.sales.crediting import PerformCredit, RequestCredit
from revops.sales.dunning import AdvanceDunning
from revops.sales.handing import DoStripeWork, HandOver
from revops.sales.ledger import EnterByHand
from revops.sales.mirroring import MirrorPayer
from revops.sales.model import CreditRequest, Invoice, InvoiceStatus, Payment, SaleKind
from revops.sales.ordering import MakeSalesOrder
from revops.sales.policies.books import Totals
from revops.sales.ports import (
    CreditNoteFact,
    ExecutedOrder,
    InvoiceFact,
    MonthUsage,
    NewDeal,
    NewTask,
    PayerFacts,
    PayerRef,
    PayerSignal,
    PaymentFact,
    RefundFact,
    SubscriptionFact,
    UsageTerm,
)
from revops.sales.queries import ReadSales
from revops.sales.renewing import DecideRenewal, ReadRenewals, WatchRenewals
from revops.sales.store import INVOICES, PAYMENTS, remote_id
from revops.sales.upselling import FindUpsells, OpenUpsell
from revops.settings import SETTINGS, SettingsDocument, SettingsReader, SettingsRecord
from revops.table import ABSENT, CursorSigner, Key, Row, Table, Transaction, begin
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.memory_table import MemoryTable

START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
PAYER, ACCOUNT, OWNER = "cus_Alpha", "ACC_ALPHA", "USR_rep"
WORKER = system_call("stripe_worker")


def caller(identifier: str, role: Role, *members: str) -> CallContext:
    return CallContext(Principal(identifier, role, members=frozenset(members)), request_id="req-1")


FINANCE = caller("USR_fin", Role.FINANCE)
REP = caller(OWNER, Role.SALES_REP)
OTHER = caller("USR_other", Role.SALES_REP)
MANAGER = caller("USR_boss", Role.SALES_MANAGER, OWNER, "USR_boss")
ADMIN = caller("USR_admin", Role.ADMIN)


# -- Stripe ----------------------------------------------------------------------------------------------------------


def invoice(id_: str = "in_one", total: int = 10_000, **changes: Any) -> InvoiceFact:
    """An open invoice that is to be paid in 30 days."""
    fact = InvoiceFact(
        id=id_,
        number=f"A-{id_}",
        status=InvoiceStatus.OPEN,
        currency="EUR",
        total=total,
        due=total,
        paid=0,
        remaining=total,
        credited=0,
        credit_used=0,
        issued_at=START,
        due_at=START + timedelta(days=30),
        paid_at=None,
        period_start=START,
        period_end=START + timedelta(days=30),
        hosted_url=f"https://invoice.example/{id_}",
        subscription_id="sub_one",
        lines=(),
    )
    return replace(fact, **changes)


def paid(fact: InvoiceFact, **changes: Any) -> InvoiceFact:
    """The invoice after it was paid in full."""
    done = {"status": InvoiceStatus.PAID, "paid": fact.due, "remaining": 0, "paid_at": START + timedelta(days=3)}
    return replace(fact, **{**done, **changes})


def charge(id_: str, amount: int, *pays: tuple[str, int], **changes: Any) -> PaymentFact:
    at = START + timedelta(days=3)
    return replace(PaymentFact(id_, at, amount, "EUR", "Credit Card", pays), **changes)


def refund(id_: str, amount: int, **changes: Any) -> RefundFact:
    fact = RefundFact(id_, START + timedelta(days=5), amount, "EUR", "succeeded", "", counts=True)
    return replace(fact, **changes)


def note(id_: str, invoice_id: str, amount: int, **changes: Any) -> CreditNoteFact:
    at = START + timedelta(days=4)
    return replace(CreditNoteFact(id_, f"N-{id_}", invoice_id, at, amount, "EUR", "", False, ()), **changes)


class FakeLedger:
    """`StripeBooks` over facts that a test sets, and `StripeCredits` that keeps keys as Stripe does. `after_fetch` lets
    a test step in between fetch and commit; `mishaps` go wrong in their order: `before` nothing was done, `after` it
    was, `saved` a failure is kept under the key."""

    def __init__(self) -> None:
        self.truth: dict[str, PayerFacts] = {}
        self.fetches = 0
        self.after_fetch: Callable[[], None] = lambda: None
        self.mishaps: list[str] = []
        self.made: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.failed: set[str] = set()

    def of_payer(self, payer: str) -> PayerFacts:
        self.fetches += 1
        found = self.truth.get(payer, PayerFacts())
        step, self.after_fetch = self.after_fetch, lambda: None
        step()
        return found

    def find(self, request: CreditRequest) -> str | None:
        return next((name for name, made_for in self.made.items() if made_for == request.id), None)

    def make(self, request: CreditRequest, key: str) -> str:
        if key in self.keys:
            return self.keys[key]
        if key in self.failed:
            raise SavedFailure("replayed")
        mishap = self.mishaps.pop(0) if self.mishaps else ""
        if mishap == "refused":
            raise ProvisioningRefused("Stripe refused: the charge was refunded already")
        if mishap == "before":
            raise OutcomeUnknown("no answer")
        if mishap == "saved":
            self.failed.add(key)
            raise OutcomeUnknown("server error")
        name = f"cn_{len(self.made) + 1}"
        self.made[name] = request.id
        if mishap == "after saved":
            self.failed.add(key)
            raise OutcomeUnknown("server error")
        self.keys[key] = name
        if mishap == "after":
            raise OutcomeUnknown("no answer")
        return name


# -- the rest of the company -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class FakeDesk:
    """`CrmDesk` over plain rows, written in the caller's transaction like the real ones."""

    table: Table
    owners: dict[str, str] = field(default_factory=lambda: {ACCOUNT: OWNER, "ACC_BETA": "USR_other"})
    deals: int = 0

    def owner_of(self, account_id: str) -> str | None:
        return self.owners.get(account_id)

    def owners_of(self, account_ids: Iterable[str]) -> dict[str, str]:
        return {name: self.owners[name] for name in account_ids if name in self.owners}

    def add_task(self, transaction: Transaction, now: datetime, wanted: NewTask) -> bool:
        key = Key(f"FAKE_TASK#{wanted.origin}", "TASK")
        if self.table.get(key) is not None:
            return False
        doc = json.dumps({"title": wanted.title, "for": wanted.assignee_id, "state": "open", "urgent": wanted.urgent})
        transaction.put(Row(key.pk, key.sk, "FAKE_TASK", doc=doc), ABSENT)
        return True

    def withdraw_task(self, transaction: Transaction, now: datetime, origin: str) -> None:
        row = self.table.get(Key(f"FAKE_TASK#{origin}", "TASK"))
        if row is not None and json.loads(row.doc)["state"] == "open":
            doc = json.dumps({**json.loads(row.doc), "state": "withdrawn"})
            transaction.put(Row(row.pk, row.sk, row.kind, row.version + 1, doc), row.version)

    def open_deal(self, transaction: Transaction, now: datetime, wanted: NewDeal) -> str:
        self.deals += 1
        identifier = f"OPP_{self.deals}"
        doc = json.dumps({"name": wanted.name, "owner": wanted.owner_id, "value": wanted.value.minor})
        transaction.put(Row(f"FAKE_DEAL#{identifier}", "DEAL", "FAKE_DEAL", doc=doc), ABSENT)
        return identifier


class FakeOrders:
    """`Orders` over what a test sets."""

    def __init__(self) -> None:
        self.known: dict[str, ExecutedOrder] = {}

    def executed(self, order_id: str) -> ExecutedOrder | None:
        return self.known.get(order_id)

    def next_form(self, order_id: str, starts_on: date, months: int) -> Mapping[str, Any]:
        return {"amends": order_id, "start_date": starts_on.isoformat(), "term_months": months}


class FakePayers:
    """`Payers` over what a test sets."""

    def __init__(self) -> None:
        self.refs = {PAYER: PayerRef("CUST_ALPHA", ACCOUNT)}

    def of_payer(self, payer: str) -> PayerRef:
        return self.refs.get(payer, PayerRef())

    def of_account(self, account_id: str) -> str:
        return next((ref.customer_id for ref in self.refs.values() if ref.account_id == account_id), "")


class FakeUsage:
    """`UsageHistory` over what a test sets."""

    def __init__(self) -> None:
        self.units: list[MonthUsage] = []
        self.money: list[MonthUsage] = []

    def currency(self, account_id: str) -> str:
        return "EUR"

    def months(self, account_id: str, months: Sequence[str]) -> list[MonthUsage]:
        return [one for one in self.units if one.month in months]

    def spend(self, account_id: str, months: Sequence[str]) -> list[MonthUsage]:
        return [one for one in self.money if one.month in months]


class MemoryQueue:
    """A work queue that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.refuses = False

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        if self.refuses:
            return list(range(len(messages)))
        self.sent += messages
        return []


def executed(order_id: str = "ORD_ONE", **changes: Any) -> ExecutedOrder:
    """An executed order for 25 seats over a year from now."""
    order = ExecutedOrder(
        id=order_id,
        kind=SaleKind.NEW,
        amends="",
        account_id=ACCOUNT,
        opportunity_id="OPP_ONE",
        payer=PAYER,
        subscription_id="sub_one",
        plan="Professional",
        currency="EUR",
        seats=25,
        seat_price=Decimal("5605"),
        usage=(UsageTerm("Pooled", 10_000, Decimal("1.5")),),
        term_months=12,
        starts_on=date(2026, 11, 1),
        ends_on=date(2027, 11, 1),
        auto_renewal=True,
    )
    return replace(order, **changes)


class SalesBench:
    """Every use case of sales over one table in memory, or another one."""

    def __init__(self, table: Table | None = None, clock: Clock | None = None, seed: int = 1) -> None:
        self.memory = MemoryTable()
        self.table: Table = table or self.memory
        self.manual = ManualClock(START)
        time: Clock = clock or self.manual
        ids, policy, settings = seeded_ids(seed), Policy(), SettingsReader(self.table, ttl=0)
        self.settings = settings
        self.desk, self.orders, self.payers = FakeDesk(self.table), FakeOrders(), FakePayers()
        self.stripe, self.usage, self.queue = FakeLedger(), FakeUsage(), MemoryQueue()
        self.sell = MakeSalesOrder(self.table, time, self.orders, self.desk, settings)
        self.mirror = MirrorPayer(
            self.table, time, self.stripe, self.payers, self.desk, settings, sleep=lambda _: None, jitter=lambda: 0
        )
        self.enter = EnterByHand(self.table, time, ids, policy, self.desk, self.payers, settings)
        self.request = RequestCredit(self.table, time, policy, self.desk)
        self.perform = PerformCredit(self.table, time, CreateOnce(self.table, time), self.stripe)
        self.hand_over = HandOver(self.table, time, self.queue)
        self.signals: dict[str, PayerSignal] = {}
        self.work = DoStripeWork(self.table, self.mirror, self.perform, self.signals.get)
        self.dun = AdvanceDunning(self.table, time, self.desk, settings)
        self.watch = WatchRenewals(self.table, time, self.desk, settings)
        self.decide = DecideRenewal(self.table, time, policy, self.desk, self.orders)
        self.renewal = ReadRenewals(self.table, policy, self.desk, self.orders)
        self.look_for_more = FindUpsells(self.table, time, self.desk, self.usage, settings)
        self.open_upsell = OpenUpsell(self.table, time, ids, policy, self.desk)
        signer = CursorSigner(b"a signing key of tests")
        self.read = ReadSales(self.table, time, policy, self.desk, settings, lambda: signer)

    def rules(self, document: SettingsDocument) -> None:
        """Puts rules in force."""
        now = self.manual.now()
        content = document.model_dump(mode="json")
        record = SettingsRecord(id=document.SETTING, created_at=now, modified_at=now, content=content)
        transaction = begin(WORKER, now)
        SETTINGS.create(transaction, record)
        self.table.commit(transaction)

    def mirrored(self, **facts: Any) -> None:
        """Stripe's books are these now, and are mirrored."""
        self.stripe.truth[PAYER] = PayerFacts(**facts)
        self.mirror(PAYER, WORKER)

    def invoice(self, remote: str) -> Invoice:
        return INVOICES.require(self.table, remote_id("INV", remote))

    def payment(self, remote: str) -> Payment:
        return PAYMENTS.require(self.table, remote_id("PAY", remote))

    def total(self, account_id: str = ACCOUNT, currency: str = "EUR") -> Totals:
        found = self.read.statement(account_id, 100, FINANCE).totals
        return next((one for one in found if one.currency == currency), Totals(currency))

    def tasks(self, state: str = "open") -> dict[str, str]:
        """Origin → title of the tasks in a state."""
        rows = [row for row in self.memory.rows.values() if row.kind == "FAKE_TASK"]
        found = [(row.pk.removeprefix("FAKE_TASK#"), json.loads(row.doc)) for row in rows]
        return {origin: doc["title"] for origin, doc in sorted(found) if doc["state"] == state}


def subscription(id_: str = "sub_one", **changes: Any) -> SubscriptionFact:
    return replace(SubscriptionFact(id_), **changes)
