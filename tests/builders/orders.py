"""Order forms for tests, the CRM's records as far as orders touch them, and everything wired over one table."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from revops.access import Policy
from revops.kernel import CallContext, IdFactory, Invalid, NotFound, Principal, Role, system_call
from revops.orders.decisions import CancelOrder, ResumeOrder, ReviewOrder
from revops.orders.model import ESignMethod, OrderForm, OrderStatus, OrderSubmission, ReviewDecision
from revops.orders.ports import (
    AccountRef,
    CrmRecords,
    ManualSigning,
    NewAccount,
    NewOpportunity,
    OrderEvidence,
    ProvisioningGateway,
)
from revops.orders.provisioning.service import ProvisionOrder
from revops.orders.queries import ReadOrder, ReadProgress
from revops.orders.signature import CaptureSignature, SignedDocument
from revops.orders.steps import order_steps
from revops.orders.store import ORDERS
from revops.orders.submission import SubmitOrder
from revops.orders.workflow import AnswerWait, RestartStalledOrders, RunOrderStep, StartWorkflow, StepTask
from revops.settings import SettingsReader
from revops.table import ABSENT, Key, Row, Table, Transaction
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.fake_stripe import FakeStripe
from tests.builders.memory_table import MemoryTable

PDF = b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\n%%EOF\n"
WORKER = system_call("order_steps")


def caller(identifier: str = "USR_rep", role: Role = Role.SALES_REP) -> CallContext:
    return CallContext(Principal(identifier, role), request_id="req-1", ip="192.0.2.1", user_agent="tests")


REP = caller()
LEGAL = caller("USR_legal", Role.LEGAL)


def submission(**changes: Any) -> OrderSubmission:
    """A standard order form with every document in place."""
    fields: dict[str, Any] = {
        "legal_entity_name": "Musterwerk GmbH",
        "signatory_name": "Anna Beispiel",
        "contact_email": "anna@musterwerk.example",
        "contact_phone": "+49 30 000000",
        "billing_address": {"line1": "Beispielweg 1", "city": "Berlin", "postal_code": "10115", "country": "DE"},
        "plan": "Professional",
        "currency": "EUR",
        "start_date": "2026-11-20",
        "term_months": 12,
        "discount_percent": "0",
        "seats": 25,
        "usage": [{"meter": "Pooled", "monthly_cap": 10000, "overage_price": "0.015"}],
        "region": "EU",
        "spend_cap": {"minor": 500000, "period": "Monthly"},
        "billing_cycle": "Monthly",
        "payment_method": "Invoice",
        "auto_renewal": True,
        "proration": True,
        "dpa": "Yes",
        "sccs": "Module 2",
        "uk_idta": "No",
        "esign_method": "Manual",
    }
    return OrderSubmission.model_validate({**fields, **changes})


@dataclass(slots=True)
class RowCrm:
    """`CrmRecords` over plain rows, written in the caller's transaction like the real ones."""

    table: Table
    ids: IdFactory

    def account(self, account_id: str) -> AccountRef:
        row = self.table.get(Key(f"ACCOUNT#{account_id}", "PROFILE"))
        if row is None:
            raise NotFound("account", account_id)
        return AccountRef(**json.loads(row.doc))

    def create_account(self, transaction: Transaction, now: datetime, wanted: NewAccount) -> AccountRef:
        account = AccountRef(self.ids.new("ACC"), wanted.owner_id)
        doc = json.dumps(asdict(account))
        transaction.put(Row(f"ACCOUNT#{account.id}", "PROFILE", "ACCOUNT", doc=doc), ABSENT)
        return account

    def require_open_opportunity(self, opportunity_id: str, account_id: str) -> None:
        if self.deal(opportunity_id)["account"] != account_id:
            raise Invalid.field("opportunity_id", "account", "a deal of another account", "a deal of the account")

    def build_on(self, transaction: Transaction, account_id: str, opportunity_id: str, order_id: str) -> None:
        """Nothing here is ever taken back."""

    def open_opportunity(self, transaction: Transaction, now: datetime, wanted: NewOpportunity) -> str:
        identifier = self.ids.new("OPP")
        doc = {"account": wanted.account_id, "value": wanted.value.minor, "stage": "Prospect"}
        transaction.put(Row(f"OPPORTUNITY#{identifier}", "PROFILE", "OPPORTUNITY", doc=json.dumps(doc)), ABSENT)
        return identifier

    def record_signature(
        self,
        transaction: Transaction,
        now: datetime,
        opportunity_id: str,
        evidence: OrderEvidence,
    ) -> None:
        self._put(transaction, opportunity_id, signed_on=evidence.signed_on.isoformat())

    def mark_won(self, transaction: Transaction, now: datetime, opportunity_id: str, evidence: OrderEvidence) -> None:
        if self.deal(opportunity_id)["stage"] != "Closed Won":
            self._put(transaction, opportunity_id, stage="Closed Won", subscription=evidence.subscription_id)

    def close_lost(self, transaction: Transaction, now: datetime, opportunity_id: str, reason: str) -> None:
        self._put(transaction, opportunity_id, stage="Closed Lost", reason=reason)

    def deal(self, opportunity_id: str) -> dict[str, Any]:
        row = self.table.get(Key(f"OPPORTUNITY#{opportunity_id}", "PROFILE"))
        if row is None:
            raise NotFound("opportunity", opportunity_id)
        found: dict[str, Any] = json.loads(row.doc)
        return found

    def _put(self, transaction: Transaction, opportunity_id: str, **changes: str) -> None:
        row = self.table.get(Key(f"OPPORTUNITY#{opportunity_id}", "PROFILE"))
        if row is None:
            raise NotFound("opportunity", opportunity_id)
        doc = json.dumps({**json.loads(row.doc), **changes})
        transaction.put(Row(row.pk, row.sk, row.kind, row.version + 1, doc), row.version)


@dataclass(slots=True)
class FakeEngine:
    """`WorkflowEngine` that remembers what it was asked."""

    started: dict[str, str] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    def start(self, name: str, order_id: str, attempt: int) -> None:
        self.started.setdefault(name, order_id)

    def answer(self, token: str, order_id: str) -> bool:
        self.answered.append(token)
        return token not in self.gone


class Desk:
    """Every use case of orders over one table; what a test needs to take an order from form to service."""

    def __init__(
        self,
        table: Table | None = None,
        clock: ManualClock | None = None,
        seed: int = 1,
        *,
        crm: CrmRecords | None = None,
        gateway: ProvisioningGateway | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.memory = MemoryTable()
        self.table: Table = table or self.memory
        ids = seeded_ids(seed)
        self.crm = RowCrm(self.table, ids)
        self.stripe = FakeStripe(self.clock)
        self.engine = FakeEngine()
        self.blobs = MemoryBlobs()
        records = crm or self.crm
        policy = Policy()
        settings = SettingsReader(self.table, ttl=0)
        self.submit = SubmitOrder(self.table, self.clock, ids, records, policy, settings)
        self.review = ReviewOrder(self.table, self.clock, records, policy)
        self.cancel = CancelOrder(self.table, self.clock, records, policy)
        self.resume = ResumeOrder(self.table, self.clock, records, policy)
        self.sign = CaptureSignature(self.table, self.clock, self.blobs, records, policy)
        self.read = ReadOrder(self.table, records, policy)
        self.progress = ReadProgress(self.table, self.read)
        self.answer = AnswerWait(self.table, self.clock, self.engine)
        self.start = StartWorkflow(self.engine)
        self.restart_stalled = RestartStalledOrders(self.table, self.clock)
        provision = ProvisionOrder(self.table, self.clock, gateway or self.stripe, records, settings)
        signing = {ESignMethod.MANUAL: ManualSigning()}
        steps = order_steps(self.table, self.clock, records, provision, settings, signing)
        self.run = RunOrderStep(self.table, self.clock, records, steps, self.answer)

    def order(self, order_id: str) -> OrderForm:
        return ORDERS.require(self.table, order_id)

    def submitted(self, **changes: Any) -> OrderForm:
        return self.submit(submission(**changes), REP).order

    def run_until_it_waits(self, order_id: str) -> OrderForm:
        """What an execution does until the order waits for people or is done."""
        step = "read"
        for _ in range(20):
            result = self.run(StepTask(order_id, step), WORKER)
            step = result.next
            if step in {"await_review", "await_signature", "done"}:
                break
        return self.order(order_id)

    def executed(self, **changes: Any) -> OrderForm:
        """An order that is signed and not yet provisioned, approved by Legal where it had to be."""
        order = self.submitted(**changes)
        if self.run_until_it_waits(order.id).status is OrderStatus.IN_REVIEW:
            self.review(order.id, ReviewDecision.APPROVE, "", LEGAL)
            self.run_until_it_waits(order.id)
        return self.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF), REP)
