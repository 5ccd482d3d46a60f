"""Order forms for tests, the CRM's records as far as orders touch them, and everything wired over one table."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from revops.access import Policy
from revops.adapters.review_tasks import CrmReviewTasks
from revops.billing.endings import StandingWishes
from revops.kernel import CallContext, IdFactory, Invalid, NotFound, Principal, Role, add_months, system_call
from revops.orders.comments import CommentOrders
from revops.orders.decisions import CancelOrder, ResumeOrder
from revops.orders.document import KeepForm, ReadDocument
from revops.orders.model import ESignMethod, OrderForm, OrderStatus, OrderSubmission, OrderTerms
from revops.orders.policies.lifecycle import WAITS, all_ended
from revops.orders.policies.stages import current
from revops.orders.ports import (
    AccountRef,
    CrmRecords,
    ManualSigning,
    NewAccount,
    NewOpportunity,
    OrderEvidence,
    ProvisioningGateway,
    SignatureSender,
)
from revops.orders.progress import ReadProgress
from revops.orders.provisioning.service import ProvisionOrder
from revops.orders.queries import ListOrders, ReadOrder
from revops.orders.reviewing import ReviewOrder, WatchReviews
from revops.orders.reviews import ReviewDecision
from revops.orders.revisions import ReadRevisions
from revops.orders.signature import CaptureSignature, SignedDocument
from revops.orders.steps import order_steps
from revops.orders.store import ORDERS
from revops.orders.submission import SubmitOrder
from revops.orders.tenant import AcknowledgeTenant, BlockUnacknowledged
from revops.orders.workflow import AnswerWait, RestartStalledOrders, RunOrderStep, StartWorkflow, StepTask
from revops.settings import SettingsReader
from revops.table import ABSENT, CursorSigner, Key, Row, Table, Transaction, begin
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.fake_stripe import FakeStripe
from tests.builders.forms import PlainLinks, PlainPrinter
from tests.builders.memory_table import MemoryTable

PDF = b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\n%%EOF\n"
WORKER = system_call("order_steps")


def caller(identifier: str = "USR_rep", role: Role = Role.SALES_REP) -> CallContext:
    return CallContext(Principal(identifier, role), request_id="req-1", ip="192.0.2.1", user_agent="tests")


REP = caller()
LEGAL = caller("USR_legal", Role.LEGAL)
FINANCE = caller("USR_finance", Role.FINANCE)
MANAGER = CallContext(Principal("USR_manager", Role.SALES_MANAGER, members=frozenset({"USR_rep"})), request_id="req-1")


def decider(role: Role) -> CallContext:
    """Somebody of a role that has a say in reviews."""
    return {Role.LEGAL: LEGAL, Role.FINANCE: FINANCE, Role.SALES_MANAGER: MANAGER}[role]


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


def order_terms(**changes: Any) -> OrderTerms:
    """The terms of a standard order form, at the list price."""
    said = submission(**changes)
    agreed = {name: getattr(said, name) for name in OrderTerms.model_fields}
    agreed["list_price"] = 5900 if said.list_price is None else said.list_price
    agreed["renewal_date"] = said.renewal_date or add_months(said.start_date, said.term_months)
    return OrderTerms(**agreed)


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

    def hand_over(self, account_id: str, owner_id: str) -> None:
        """The account is somebody else's from now on."""
        key, moment = Key(f"ACCOUNT#{account_id}", "PROFILE"), datetime(2026, 11, 20, tzinfo=UTC)
        row, transaction = self.table.get(key), begin(WORKER, moment)
        if row is not None:
            doc = json.dumps({**json.loads(row.doc), "owner_id": owner_id})
            transaction.put(Row(key.pk, key.sk, row.kind, row.version + 1, doc), row.version)
        self.table.commit(transaction)

    def require_open_opportunity(self, opportunity_id: str, account_id: str) -> None:
        if self.deal(opportunity_id)["account"] != account_id:
            raise Invalid.field("opportunity_id", "account", "a deal of another account", "a deal of the account")

    def build_on(self, transaction: Transaction, account_id: str, opportunity_id: str, order_id: str) -> None:
        """Nothing here is ever taken back; who names a deal is remembered."""
        if opportunity_id:
            self._named(transaction, opportunity_id, order_id)

    def owners_of(self, account_ids: Iterable[str]) -> dict[str, str]:
        rows = {each: self.table.get(Key(f"ACCOUNT#{each}", "PROFILE")) for each in account_ids}
        return {each: json.loads(row.doc)["owner_id"] for each, row in rows.items() if row is not None}

    def _named(self, transaction: Transaction, opportunity_id: str, *order_ids: str) -> list[str]:
        """Adds orders to those that name a deal; the commit fails if another came at the same time."""
        key = Key(f"OPPORTUNITY#{opportunity_id}", "NAMED")
        row = self.table.get(key)
        named = [*(json.loads(row.doc) if row else []), *order_ids]
        version = row.version if row else 0
        transaction.put(Row(key.pk, key.sk, "BUILT_ON", version + 1, json.dumps(named)), version or ABSENT)
        return named

    def open_opportunity(self, transaction: Transaction, now: datetime, wanted: NewOpportunity) -> str:
        identifier = self.ids.new("OPP")
        doc = {"account": wanted.account_id, "value": wanted.value.minor, "stage": "Prospect", "source": wanted.source}
        transaction.put(Row(f"OPPORTUNITY#{identifier}", "PROFILE", "OPPORTUNITY", doc=json.dumps(doc)), ABSENT)
        self._named(transaction, identifier, wanted.order_id)
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

    def close_lost(self, transaction: Transaction, now: datetime, order: OrderForm, reason: str) -> None:
        named = self._named(transaction, order.opportunity_id)
        others = [ORDERS.require(self.table, each) for each in named if each != order.id]
        if all_ended(others) and any(each.opened_opportunity for each in (order, *others)):
            self._put(transaction, order.opportunity_id, stage="Closed Lost", reason=reason)

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
        signing: Callable[["Desk"], Mapping[ESignMethod, SignatureSender]] | None = None,
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
        self.review_tasks = CrmReviewTasks(self.table)
        self.review = ReviewOrder(self.table, self.clock, records, policy, self.review_tasks)
        self.watch_reviews = WatchReviews(self.table, self.clock, records, self.review_tasks)
        self.cancel = CancelOrder(self.table, self.clock, records, policy, self.review_tasks)
        self.resume = ResumeOrder(self.table, self.clock, records, policy, settings)
        self.sign = CaptureSignature(self.table, self.clock, self.blobs, records, policy)
        self.read = ReadOrder(self.table, records, policy)
        self.progress = ReadProgress(self.table, self.read)
        cursors = CursorSigner(b"tests")
        self.all = ListOrders(self.table, records, policy, lambda: cursors)
        self.revisions = ReadRevisions(self.table, self.read)
        self.comments = CommentOrders(self.table, self.clock, ids, records, policy, settings, lambda: cursors)
        self.printer = PlainPrinter()
        self.forms = KeepForm(self.printer, self.blobs)
        self.document = ReadDocument(self.read, PlainLinks())
        self.answer = AnswerWait(self.table, self.clock, self.engine)
        self.start = StartWorkflow(self.engine)
        self.restart_stalled = RestartStalledOrders(self.table, self.clock)
        self.wishes = StandingWishes(self.table, self.clock)
        provision = ProvisionOrder(self.table, self.clock, gateway or self.stripe, records, settings, self.wishes)
        self.acknowledge = AcknowledgeTenant(self.table, self.clock, records, policy, settings)
        self.block_unacknowledged = BlockUnacknowledged(self.table, self.clock)
        senders = signing(self) if signing else {ESignMethod.MANUAL: ManualSigning()}
        steps = order_steps(self.table, self.clock, records, provision, settings, senders, self.forms)
        self.run = RunOrderStep(self.table, self.clock, records, steps, self.answer)

    def order(self, order_id: str) -> OrderForm:
        return ORDERS.require(self.table, order_id)

    form = staticmethod(submission)

    def submitted(self, **changes: Any) -> OrderForm:
        return self.submit(submission(**changes), REP).order

    def run_until_it_waits(self, order_id: str) -> OrderForm:
        """What an execution does until the order waits for people or is done."""
        step = "read"
        for _ in range(20):
            result = self.run(StepTask(order_id, step), WORKER)
            step = result.next
            if step in {*WAITS, "done"}:
                break
        return self.order(order_id)

    def approve(self, order_id: str) -> OrderForm:
        """The order once every stage of its review approved it."""
        order = self.order(order_id)
        while order.status is OrderStatus.IN_REVIEW and (stage := current(order.review)) is not None:
            order = self.review(order_id, ReviewDecision.APPROVE, "", decider(stage.roles[0]))
        return order

    def executed(self, **changes: Any) -> OrderForm:
        """An order that is signed and not yet provisioned, approved by everybody who had to."""
        order = self.submitted(**changes)
        if self.run_until_it_waits(order.id).status is OrderStatus.IN_REVIEW:
            self.approve(order.id)
            self.run_until_it_waits(order.id)
        return self.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF), REP)
