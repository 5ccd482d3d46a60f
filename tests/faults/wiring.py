"""The product's own wiring with the outside replaced: every use case and the body of every Lambda is the real one."""

import random
from collections.abc import Callable, Mapping
from functools import cache
from types import CodeType
from typing import Any
from unittest.mock import patch

from revops.adapters.account_uses import BilledAccounts
from revops.adapters.agreed_terms import AgreedTerms
from revops.adapters.crm_records import StoredCrmRecords
from revops.adapters.sales_records import StoredDesk, StoredPayers
from revops.adapters.stripe_events import read_stripe_event
from revops.adapters.stripe_sales import StripeSignals
from revops.billing import ConvergeCustomer
from revops.billing.cancellation import BringCancellations, RequestCancellation
from revops.bootstrap import AUDITED, Wiring
from revops.catalogue import SOURCE, Event
from revops.crm.consent import RecordConsent
from revops.crm.conversion import ConvertLead
from revops.crm.conversion_undo import UndoConversion
from revops.crm.engagement import RecordEngagement
from revops.crm.intake import SubmitLead
from revops.crm.service import ChangeLead
from revops.kernel import CallContext, DomainError, Principal, Role, system_call
from revops.notices import SendNotice
from revops.orders.document import KeepForm
from revops.orders.model import ESignMethod
from revops.orders.ports import ProvisioningGateway
from revops.orders.provisioning.create_once import CreateOnce
from revops.orders.provisioning.service import ProvisionOrder
from revops.orders.steps import order_steps
from revops.orders.workflow import RunOrderStep, StepTask
from revops.platform.batch import handle_messages
from revops.platform.config import Config
from revops.platform.jobs import run_job
from revops.platform.stream import handle_changes
from revops.reconcile.walking import RunReconciliation
from revops.sales.crediting import PerformCredit
from revops.sales.handing import DoStripeWork
from revops.sales.mirroring import MirrorPayer
from revops.settings import SettingsReader
from revops.signing.converging import ConvergeEnvelope
from revops.signing.ports import QUEUES
from revops.stream import FindLost
from revops.sync import BudgetedGateway, ConvergeContact, HandleMessage, PushPerson
from revops.sync.budget import RateBudget
from revops.table import ConditionFailed, Key, Page, Row, Table
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import FixedRoster
from tests.builders.dynoxide import ROOT
from tests.builders.fake_stripe import Mishap as StripeMishap
from tests.builders.forms import PlainPrinter
from tests.builders.memory_table import MemoryTable
from tests.builders.nurture import NamedLinks
from tests.faults.aws import Bus, LaterQueue, Queue, QueueSet, Workflow
from tests.faults.hubspot import FaultyHubspot
from tests.faults.outbound import Door
from tests.faults.signatures import Provider
from tests.faults.subscriptions import Books, Cancellations, RunningStripe
from tests.faults.trouble import Killed, Mishap, Trouble
from tests.faults.vendors import FaultyBlobs, Mailbox, StripeTruth

SELLERS = ("USR_ana", "USR_ben", "USR_cem")


def user(identifier: str, role: Role = Role.ADMIN) -> CallContext:
    return CallContext(Principal(identifier, role), request_id="req", ip="192.0.2.7", user_agent="bench")


_QUEUES = ("stripe", "hubspot", *QUEUES.values())
ADMIN = user("USR_ana")
LEGAL = user("USR_lea", Role.LEGAL)


@cache
def _code(function: str) -> CodeType:
    path = ROOT / "functions" / function / "app.py"
    return compile(path.read_text(), str(path), "exec")


class MemoryScan:
    """`RollingScan` over the table in memory."""

    def __init__(self, table: MemoryTable, turn: Callable[[str], None]) -> None:
        self._table = table
        self._turn = turn

    def scan(self, after: str, limit: int) -> Page:
        self._turn("scan")
        names = (f"{key.pk}\0{key.sk}" for key in self._table.rows)
        chosen = sorted(name for name in names if name > after)[:limit]
        found = self._table.get_many([Key(*name.split("\0")) for name in chosen])
        rows: list[Row] = [row for row in found if row is not None]
        return Page(rows, chosen[-1] if len(chosen) == limit else "")


class Outside:
    """Everything that is not ours."""

    def __init__(self, clock: ManualClock, rng: random.Random, trouble: Trouble, turn: Callable[[str], None]) -> None:
        self.stripe = StripeTruth(clock, rng, trouble, turn)
        self.provisioning = RunningStripe(clock, rng, between=self._crossing)
        self.books = Books(clock, self.stripe, trouble, turn)
        self.provisioning.truth, self.provisioning.books = self.stripe, self.books
        self.cancellations = Cancellations(self.provisioning, trouble, turn)
        self.signing = {
            method: Provider(method, clock, rng, trouble, turn, self.stripe.outbox)
            for method in (ESignMethod.DOCUSIGN, ESignMethod.ADOBE_SIGN)
        }
        self.provisioning.likelihood = {mishap: rng.choice((0, 0.05, 0.15, 0.3)) for mishap in StripeMishap}
        self.provisioning.read_failure = rng.choice((0, 0.1))
        self._trouble, self._turn = trouble, turn
        self.hubspot = FaultyHubspot(clock, trouble, turn)
        self.mail = Mailbox(trouble, turn)
        self.door = Door(clock, trouble, turn)
        self.idle: Callable[[], None] = lambda: None
        self.blobs = FaultyBlobs(trouble, turn)
        self.bus = Bus(clock, rng, trouble, turn)
        self.queues = {name: Queue(name, clock, rng, trouble, turn) for name in _QUEUES}
        self.workflow = Workflow(clock, rng, trouble, turn)

    def _crossing(self, site: str) -> None:
        """A call of provisioning; what else can go wrong with it `FakeStripe` knows."""
        self._turn(f"stripe {site}")
        if self._trouble.strikes(f"stripe {site}", (Mishap.KILL_BEFORE,)):
            raise Killed


class BenchWiring(Wiring):
    """`Wiring` over a table with faults and an outside with faults."""

    def __init__(self, table: Table, clock: ManualClock, outside: Outside, seed: int, scan: Callable[[], Any]) -> None:
        environment = {"MAIL_TO_OPS": "ops@revops.example", "STAGE": "bench", "PUBLIC_URL": "https://api.example"}
        super().__init__(Config.from_environment(environment))
        self.outside, self.manual_clock = outside, clock
        self._scan = scan
        ids, settings = seeded_ids(seed), SettingsReader(table, monotonic=lambda: clock.now().timestamp())
        roster = FixedRoster(*SELLERS)
        vars(self).update(  # cached properties, already there
            table=table,
            clock=clock,
            ids=ids,
            settings=settings,
            blobs=outside.blobs,
            bus=outside.bus,
            queues=QueueSet(outside.queues),
            come_again=lambda *_: None,  # the bench's queues take their own time
            workflow_engine=outside.workflow,
            hubspot=BudgetedGateway(outside.hubspot, RateBudget(table, clock, settings)),
            nurture_mail=outside.door,
            whatsapp=outside.door,
            hubspot_queue=LaterQueue(outside.queues["hubspot"]),
            sales_stripe_work=self._sales_work(table, clock, outside, settings),
            signature_providers=outside.signing,
            order_forms=KeepForm(PlainPrinter(), outside.blobs),
            submit_lead=SubmitLead(table, clock, ids, settings, roster, sleep=lambda _: None, jitter=lambda: 0.0),
            converge_customer=ConvergeCustomer(
                table,
                clock,
                ids,
                outside.stripe,
                read_stripe_event,
                StoredCrmRecords(table, ids),
                settings,
                self._settlement(table, clock, outside),
                sleep=lambda _: None,
                jitter=lambda: 0.0,
            ),
        )
        self.change_lead = ChangeLead(table, clock, self.policy)
        self.qualify = self.qualify_lead()
        quiet: dict[str, Callable[..., Any]] = {"sleep": lambda _: None, "jitter": lambda: 0.0}
        self.convert = ConvertLead(table, clock, ids, self.policy, settings, roster, **quiet)
        self.undo = UndoConversion(table, clock, self.policy, BilledAccounts(table), **quiet)
        self.orders = self.order_use_cases()
        self.set_caps = self.set_cap_plan()
        self.cancellation = RequestCancellation(table, clock, self.customer_rights)
        self._relay = self.relay_changes()
        self._consume = self.consume_event()
        self._steps = self.run_order_step()
        self._sync = self.handle_hubspot_message()
        self._caps = self.sweep_spend_caps()
        self._house = self.housekeeping()
        self._rescore = self.rescore_leads()
        self._nurture = self.run_nurture()
        self._stripe_worker = self._lambda("stripe_worker")
        self._esign_worker = self._lambda("esign_worker")

    def _settlement(self, table: Table, clock: ManualClock, outside: Outside) -> Any:
        vars(self).update(table=table, clock=clock, blobs=outside.blobs)
        return self.settlement

    # -- what stands at the border, replaced ----------

    def send_notice(self) -> SendNotice:
        return SendNotice(self.table, self.clock, self.outside.mail)

    def links(self) -> Any:
        return NamedLinks()

    def record_engagement(self) -> RecordEngagement:
        return RecordEngagement(self.table, self.clock, sleep=lambda _: None, jitter=lambda: 0.0)

    def record_consent(self) -> RecordConsent:
        def wait(seconds: float) -> None:
            self.manual_clock.advance(seconds=seconds)
            self.outside.idle()

        return RecordConsent(self.table, self.clock, sleep=wait)

    def find_lost(self) -> FindLost:
        return FindLost(self.table, self._scan(), self.clock, audited=AUDITED, redrive=self.redrive_records())

    def run_order_step(self) -> RunOrderStep:
        gateway = self.stripe_provisioning()
        provision = ProvisionOrder(self.table, self.clock, gateway, self.crm_records, self.settings, self.ending_wishes)
        signing, forms = self.signature_senders(), self.order_forms
        steps = order_steps(self.table, self.clock, self.crm_records, provision, self.settings, signing, forms)
        return RunOrderStep(self.table, self.clock, self.crm_records, steps, self.answer_wait())

    def handle_hubspot_message(self) -> HandleMessage:
        converge = ConvergeContact(
            self.table, self.clock, self.ids, self.hubspot, self.people, self.settings, self.settlement
        )
        push = PushPerson(self.table, self.clock, self.ids, self.hubspot, self.people, self.settings)
        queue = self.hubspot_queue
        return HandleMessage(self.table, self.clock, converge, push, self.settlement, queue, jitter=lambda: 0.0)

    def converge_envelope(self) -> ConvergeEnvelope:
        return ConvergeEnvelope(
            self.table,
            self.clock,
            self.blobs,
            self.crm_records,
            self.signature_providers,
            self.settings,
            self.settlement,
            sleep=lambda _: None,
            jitter=lambda: 0.0,
        )

    def bring_cancellations(self) -> BringCancellations:
        keep = AgreedTerms(self.table, self.stripe_provisioning, self.change_subscription)
        return BringCancellations(self.table, self.clock, self.outside.cancellations, self.sync_customer, keep)

    def stripe_provisioning(self) -> ProvisioningGateway:
        return self.outside.provisioning

    def run_reconciliation(self) -> RunReconciliation:
        return RunReconciliation(self.table, self.clock, self.expect(), self.outside.provisioning, self.crm_records)

    def _sales_work(self, table: Table, clock: ManualClock, outside: Outside, settings: SettingsReader) -> DoStripeWork:
        ledger = outside.books
        quiet: dict[str, Callable[..., Any]] = {"sleep": lambda _: None, "jitter": lambda: 0.0}
        desk, payers = StoredDesk(table, seeded_ids(0)), StoredPayers(table)
        mirror = MirrorPayer(table, clock, ledger, payers, desk, settings, **quiet)
        perform = PerformCredit(table, clock, CreateOnce(table, clock), ledger)
        signals = StripeSignals(self._settlement(table, clock, outside), read_stripe_event, outside.stripe)
        return DoStripeWork(table, mirror, perform, signals)

    # -- the Lambdas: what their app.py does, or their app.py itself ----------

    def _lambda(self, name: str) -> Callable[[Mapping[str, Any], None], Mapping[str, Any]]:
        """The handler of a function, over this wiring; it logs nothing."""
        names: dict[str, Any] = {}
        with patch("revops.bootstrap.wiring", lambda: self):
            exec(_code(name), names)  # noqa: S102 - our own function, as Lambda loads it
        names["log"] = lambda *_, **__: None
        handler: Callable[[Mapping[str, Any], None], Mapping[str, Any]] = names["handler"]
        return handler

    def change_relay(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome = self._relay(event["Records"])
        return {"batchItemFailures": [{"itemIdentifier": outcome.retry_from}] if outcome.retry_from else []}

    def rollups(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        return handle_changes(event, self.apply_rollups)[1]

    def stripe_worker(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._stripe_worker(event, None)

    def hubspot_worker(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        def settle(message: dict[str, Any], _: int) -> None:
            self._sync(message)

        return handle_messages(event, settle, self.come_again)

    def esign_worker(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._esign_worker(event, None)

    def bus_consumer(self, event: Event) -> None:
        self._consume({"source": SOURCE, "detail-type": event.name, "detail": event.model_dump(mode="json")})

    def hear(self, source: str, name: str, detail: Mapping[str, Any]) -> None:
        """The bus consumer, of an event of another system."""
        self._consume({"source": source, "detail-type": name, "id": name, "detail": dict(detail)})

    def order_steps(self, order_id: str, step: str, token: str, failed_step: str, error: str) -> str:
        task = StepTask(order_id, step, token, failed_step, error)
        return self._steps(task, system_call("order_steps", causation_id=order_id)).next

    def fire(self, name: str, period: str) -> None:
        """A schedule fires."""
        jobs: dict[str, Callable[[str], dict[str, int]]] = {
            "score_leads": self._rescore,
            "spend_cap_alerts": self._caps,
            "housekeeping": self._house,
            "nurture": self._nurture,
        }
        run_job(name, {"period": period}, None, self.table, self.clock, jobs[name])


RACES = (DomainError, ConditionFailed)
"""What a Lambda may end with although nothing is wrong with it: it is asked again."""
