"""The product's own wiring with the outside replaced: every use case and handler is the real one."""

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from revops.adapters.stripe_events import read_stripe_event
from revops.billing import ConvergeCustomer
from revops.billing.store import DUE_TOPIC, customer_id_of_key
from revops.bootstrap import AUDITED, Wiring, events_of
from revops.catalogue import SOURCE, Event
from revops.crm.intake import SubmitLead
from revops.crm.notes import Note, NotePriority, NoteType, add_note
from revops.crm.service import ChangeLead
from revops.kernel import CallContext, DomainError, Principal, Role, system_call, time_text
from revops.notices import SendNotice
from revops.orders.decisions import Amendment, CancelOrder, ResumeOrder, ReviewOrder
from revops.orders.model import ESignMethod, OrderStatus
from revops.orders.ports import ManualSigning
from revops.orders.provisioning.service import ProvisionOrder
from revops.orders.signature import CaptureSignature
from revops.orders.store import ORDERS
from revops.orders.submission import SubmitOrder
from revops.orders.workflow import AnswerWait, RestartStalledOrders, RunOrderStep, StartWorkflow, StepTask
from revops.platform.batch import handle_messages
from revops.platform.config import Config
from revops.platform.jobs import run_job
from revops.platform.stream import handle_changes
from revops.settings import SettingsReader
from revops.stream import RedriveLost
from revops.sync import ConvergeContact, HandleMessage, PushPerson, SweepDirty
from revops.sync.exchange import sync_call
from revops.table import ConditionFailed, Key, Page, Row, Table, Transaction, due_now
from revops.usage import Alert, RecordUsage, SetCapPlan, SweepSpendCaps
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import FixedRoster
from tests.builders.memory_table import MemoryTable
from tests.faults.aws import Bus, LaterQueue, Queue, QueueSet, Workflow
from tests.faults.hubspot import FaultyHubspot
from tests.faults.trouble import Trouble
from tests.faults.vendors import FaultyBlobs, Mailbox, StripeTruth, TellingStripe

SELLERS = ("USR_ana", "USR_ben", "USR_cem")
OPS = "ops@revops.example"


def user(identifier: str, role: Role = Role.ADMIN) -> CallContext:
    return CallContext(Principal(identifier, role), request_id="req", ip="192.0.2.7", user_agent="bench")


ADMIN = user("USR_ana")
LEGAL = user("USR_lea", Role.LEGAL)


class MemoryScan:
    """`RollingScan` over the table in memory."""

    def __init__(self, table: MemoryTable, turn: Callable[[str], None]) -> None:
        self._table = table
        self._turn = turn

    def scan(self, after: str, limit: int) -> Page:
        self._turn("scan")
        names = sorted(f"{key.pk}\0{key.sk}" for key in self._table.rows)
        chosen = [name for name in names if name > after][:limit]
        rows: list[Row] = []
        for name in chosen:
            pk, _, sk = name.partition("\0")
            row = self._table.get(Key(pk, sk))
            if row is not None:
                rows.append(row)
        return Page(rows, chosen[-1] if len(chosen) == limit else "")


class Outside:
    """Everything that is not ours."""

    def __init__(self, clock: ManualClock, rng: random.Random, trouble: Trouble, turn: Callable[[str], None]) -> None:
        self.stripe = StripeTruth(clock, rng, trouble, turn)
        self.provisioning = TellingStripe(clock, rng, between=turn)
        self.provisioning.truth = self.stripe
        self.hubspot = FaultyHubspot(clock, trouble, turn)
        self.mail = Mailbox(trouble, turn)
        self.blobs = FaultyBlobs(trouble, turn)
        self.bus = Bus(clock, rng, trouble, turn)
        self.queues = {name: Queue(name, clock, rng, trouble, turn) for name in ("stripe", "hubspot")}
        self.workflow = Workflow(clock, rng, trouble, turn)


class BenchWiring(Wiring):
    """`Wiring` over a table with faults and an outside with faults."""

    def __init__(
        self, table: Table, clock: ManualClock, outside: Outside, seed: int, scan: Callable[[], Any]
    ) -> None:
        super().__init__(Config.from_environment({"MAIL_TO_OPS": OPS, "STAGE": "bench"}))
        self.outside = outside
        self._scan = scan

        def seconds() -> float:
            return clock.now().timestamp()

        ids = seeded_ids(seed)
        settings = SettingsReader(table, monotonic=seconds)
        roster = FixedRoster(*SELLERS)
        vars(self).update(
            table=table,
            clock=clock,
            ids=ids,
            settings=settings,
            blobs=outside.blobs,
            bus=outside.bus,
            queues=QueueSet(outside.queues),
            submit_lead=SubmitLead(
                table, clock, ids, settings, roster, sleep=lambda _: None, jitter=lambda: 0.0
            ),
        )
        self.make()

    def make(self) -> None:
        """The use cases the actors call."""
        self.relay = self.relay_changes()
        self.consume = self.consume_event()
        self.sweep_lost = self.redrive_lost()
        self.change_lead = ChangeLead(self.table, self.clock, self.policy)
        self._billing()
        self._orders()
        self._usage()
        self._sync()

    def _billing(self) -> None:
        self.converge_payer = ConvergeCustomer(
            self.table,
            self.clock,
            self.ids,
            self.outside.stripe,
            read_stripe_event,
            self.crm_records,
            self.settings,
            self.settlement,
        )

    def _orders(self) -> None:
        table, clock, crm, policy = self.table, self.clock, self.crm_records, self.policy
        self.waits = AnswerWait(table, clock, self.outside.workflow)
        self.starts = StartWorkflow(self.outside.workflow)
        self.submit_form = SubmitOrder(table, clock, self.ids, crm, policy, self.settings)
        self.review_form = ReviewOrder(table, clock, crm, policy)
        self.cancel_form = CancelOrder(table, clock, crm, policy)
        self.resume_form = ResumeOrder(table, clock, crm, policy)
        self.sign_form = CaptureSignature(table, clock, self.blobs, crm, policy)
        self.restart_stalled = RestartStalledOrders(table, clock)
        self.run_step = RunOrderStep(
            table,
            clock,
            crm,
            ProvisionOrder(table, clock, self.outside.provisioning, crm, self.settings),
            self.settings,
            {ESignMethod.MANUAL: ManualSigning()},
            self.waits,
        )

    def _usage(self) -> None:
        self.record_usage = RecordUsage(self.table, self.clock, self.settings)
        self.set_caps = SetCapPlan(self.table, self.clock)
        self.sweep_caps = SweepSpendCaps(self.table, self.clock, self.ids, self.settings, self._note_alert)

    def _sync(self) -> None:
        later = LaterQueue(self.outside.queues["hubspot"])
        self.push = PushPerson(self.table, self.clock, self.ids, self.outside.hubspot, self.people, self.settings)
        converge = ConvergeContact(
            self.table, self.clock, self.ids, self.outside.hubspot, self.people, self.settings, self.settlement
        )
        self.handle_sync = HandleMessage(
            self.table, self.clock, converge, self.push, self.settlement, later, jitter=lambda: 0.0
        )
        self.sweep_dirty = SweepDirty(self.table, self.clock, later)

    def _note_alert(self, transaction: Transaction, alert: Alert, text: str) -> None:
        now = self.clock.now()
        note = Note(
            id=self.ids.new("NOTE"),
            created_at=now,
            modified_at=now,
            related_to=alert.account_id,
            content=text,
            author="system:spend_cap_alerts",
            type=NoteType.ISSUE,
            priority=NotePriority.HIGH,
        )
        add_note(transaction, note)

    # -- ports of the wiring -------------------------------------------------------------------------------------

    def start_workflow(self) -> StartWorkflow:
        return self.starts

    def answer_wait(self) -> AnswerWait:
        return self.waits

    def send_notice(self) -> SendNotice:
        return SendNotice(self.table, self.clock, self.outside.mail)

    def redrive_lost(self) -> RedriveLost:
        return RedriveLost(
            self.table,
            self._scan(),
            self.clock,
            audited=AUDITED,
            events_of=events_of(),
            write_audit=self.write_audit,
            rollups=self.apply_rollups,
            bus=self.bus,
            queues=self.queues,
            mark_dirty=self.mark_dirty,
        )

    # -- the Lambdas ---------------------------------------------------------------------------------------------

    def change_relay(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome = self.relay(event["Records"])
        return {"batchItemFailures": [{"itemIdentifier": outcome.retry_from}] if outcome.retry_from else []}

    def rollups(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        return handle_changes(event, self.apply_rollups)[1]

    def stripe_worker(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        def settle(message: dict[str, Any], _: int) -> None:
            self.converge_payer(message["inbox_id"], system_call("stripe_worker", causation_id=message["inbox_id"]))

        return handle_messages(event, settle)

    def hubspot_worker(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        def settle(message: dict[str, Any], _: int) -> None:
            self.handle_sync(message)

        return handle_messages(event, settle)

    def bus_consumer(self, event: Event) -> None:
        detail = event.model_dump(mode="json")
        self.consume({"source": SOURCE, "detail-type": event.name, "detail": detail})

    def order_steps(self, order_id: str, step: str, token: str, failed_step: str, error: str) -> str:
        task = StepTask(order_id, step, token, failed_step, error)
        return self.run_step(task, system_call("order_steps", causation_id=order_id)).next

    def score_leads(self, period: str) -> None:
        self._job("score_leads", period, self.rescore_leads())

    def spend_cap_alerts(self, period: str) -> None:
        self._job("spend_cap_alerts", period, self.sweep_caps)

    def housekeeping(self, period: str) -> None:
        self._job("housekeeping", period, self._keep_house)

    def _job(self, name: str, period: str, work: Callable[[str], dict[str, int]]) -> None:
        run_job(name, {"period": period}, None, self.table, self.clock, work)

    def _keep_house(self, period: str) -> dict[str, int]:
        call = system_call("housekeeping", period)
        self.sweep_inbox()()
        self.sweep_dirty(sync_call(period))
        self.restart_stalled(call)
        for due in list(due_now(self.table, DUE_TOPIC, self.clock.now())):
            self.converge_payer.converge(customer_id_of_key(due.key), call)
        self.sweep_lost()
        return {}

    def resume_blocked(self, order_id: str) -> None:
        """What a person does about an order that is blocked or whose workflow was lost."""
        if ORDERS.require(self.table, order_id).status is OrderStatus.BLOCKED:
            self.resume_form(order_id, Amendment(), ADMIN)


def period_at(moment: datetime) -> str:
    return time_text(moment)[:16]


RACES = (DomainError, ConditionFailed)
"""What a Lambda may end with although nothing is wrong with it: it is asked again."""
