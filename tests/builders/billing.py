"""Stripe as billing sees it: facts with defaults, signed webhook bodies, and a gateway that holds the truth."""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from revops.adapters.stripe_events import read_stripe_event
from revops.billing import ConvergeCustomer, CustomerProfile, ReadCustomer
from revops.billing.model import (
    BillingFacts,
    InvoiceFact,
    PaymentFact,
    SubscriptionFact,
    SubscriptionStatus,
)
from revops.billing.ports import MeterErrors, StripeGateway
from revops.inbox import INBOX, InboxEntry, ReceiveSignal, Settlement, Signal, inbox_id
from revops.kernel import Money, system_call
from revops.settings import SettingsReader
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.memory_table import MemoryTable

START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
PAYER = "cus_Alpha"


def subscription(status: str = "active", id_: str = "sub_one", **changes: Any) -> SubscriptionFact:
    fact = SubscriptionFact(
        id=id_,
        status=SubscriptionStatus(status),
        created=START,
        period_start=START,
        plan_id="price_pro",
        plan_name="Professional",
        ended_at=START + timedelta(days=5) if status == "canceled" else None,
    )
    return replace(fact, **changes)


def invoice(id_: str = "in_one", *, attempted: bool = True, **changes: Any) -> InvoiceFact:
    fact = InvoiceFact(
        id=id_,
        remaining=Money(minor=12900, currency="EUR"),
        finalized=START,
        attempted=attempted,
        subscription_id="sub_one",
    )
    return replace(fact, **changes)


def payment(succeeded: bool, id_: str = "pi_one", at: datetime = START) -> PaymentFact:
    return PaymentFact(id_, at, succeeded, Money(minor=2000, currency="EUR"))


def signature_header(raw: bytes, secret: str, at: datetime) -> str:
    """What Stripe would send with a body."""
    timestamp = int(at.timestamp())
    signed = f"{timestamp}.".encode() + raw
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def event_body(event_id: str, type_: str, object_: dict[str, Any], at: datetime = START, **more: Any) -> str:
    """A snapshot event as Stripe sends it."""
    return json.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": type_,
            "created": int(at.timestamp()),
            "livemode": False,
            "api_version": "2026-10-28.endive",
            "data": {"object": object_, **more},
        }
    )


class TruthGateway:
    """A `StripeGateway` over facts that a test sets. `after_fetch` lets a test step in between fetch and commit."""

    def __init__(self) -> None:
        self.truth: dict[str, BillingFacts] = {}
        self.payers: dict[str, str] = {}
        self.fetches = 0
        self.after_fetch: Callable[[], None] = lambda: None
        self.failure: Exception | None = None
        self.errors: dict[str, MeterErrors] = {}

    def meter_errors(self, event_id: str) -> MeterErrors:
        if self.failure:
            raise self.failure
        return self.errors[event_id]

    def payer_of(self, object_type: str, object_id: str) -> str | None:
        if self.failure:
            raise self.failure
        return self.payers.get(object_id) or (object_id if object_type == "payment_intent" else None)

    def facts(self, payer: str) -> BillingFacts:
        if self.failure:
            raise self.failure
        self.fetches += 1
        found = self.truth.get(payer, BillingFacts(payer))
        step, self.after_fetch = self.after_fetch, lambda: None
        step()
        return found


class Accounts:
    """An `AccountDirectory` of a few accounts."""

    def __init__(self, **owners: str) -> None:
        self.owners = owners

    def owner_of(self, account_id: str) -> str | None:
        return self.owners.get(account_id)


class BillingBench:
    """The billing slice on the table in memory: events in, a customer's profile out."""

    def __init__(self, seed: int = 1, stripe: StripeGateway | None = None, **owners: str) -> None:
        self.table = MemoryTable()
        self.clock = ManualClock(START + timedelta(days=10))
        self.stripe = TruthGateway()
        self.blobs = MemoryBlobs()
        self.settings = SettingsReader(self.table, ttl=0)
        self.settlement = Settlement(self.table, self.clock, self.blobs, "test")
        self.receive = ReceiveSignal(self.table, self.clock, self.blobs)
        self.accounts = Accounts(**owners)
        self.converge = ConvergeCustomer(
            self.table,
            self.clock,
            seeded_ids(seed),
            stripe or self.stripe,
            read_stripe_event,
            self.accounts,
            self.settings,
            self.settlement,
            sleep=lambda _: None,
        )
        self.call = system_call("stripe_worker")

    def arrive(self, body: str) -> str:
        """Stores an event as the webhook would; its inbox id."""
        event = read_stripe_event(body)
        self.receive(Signal("stripe", event.id, event.type, event.subject, body, event.object_id), self.call)
        return inbox_id("stripe", event.id)

    def work(self, body: str) -> None:
        """Stores an event and settles it."""
        self.converge(self.arrive(body), self.call)

    def profile(self, payer: str = PAYER) -> CustomerProfile:
        read = ReadCustomer(self.table)
        return read(read.find(payer))

    def entry(self, event_id: str) -> InboxEntry:
        return INBOX.require(self.table, inbox_id("stripe", event_id))

    def end_state(self, payer: str = PAYER) -> dict[str, Any]:
        """What must be the same for every order of the same events: everything but ids and versions of ours."""
        profile = self.profile(payer)
        ours = {"id", "version", "created_at", "modified_at", "customer_id", "related_to", "author"}
        return {
            "customer": profile.customer.model_dump(exclude=ours),
            "activity": sorted((entry.id, entry.model_dump_json(exclude=ours | {"id"})) for entry in profile.activity),
            "notes": sorted((note.id, note.model_dump_json(exclude=ours | {"id"})) for note in profile.notes),
        }
