"""From the simulator's signed webhooks to converged profiles, through the official library, on dynoxide.

Every request is checked against Stripe's contract by the simulator; a violation fails the test that caused it.
"""

import random
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import stripe

from revops.adapters.stripe_client import stripe_client
from revops.adapters.stripe_events import read_stripe_event
from revops.adapters.stripe_gateway import StripeReads
from revops.adapters.stripe_signature import verify_stripe_signature
from revops.billing import ConvergeCustomer, CustomerProfile, ReadCustomer, ReceiveStripeEvent, StripeIdentity
from revops.billing.model import ActivityType
from revops.billing.ports import StripeRefused
from revops.inbox import InboxStatus, ReceiveSignal, Settlement, inbox_id
from revops.inbox.store import INBOX
from revops.kernel import RandomIds, SystemClock, Unavailable, system_call
from revops.settings import SettingsReader
from revops.table import Table
from revops.table.dynamo import DynamoTable
from tests.builders.billing import Accounts
from tests.builders.blobs import MemoryBlobs
from tests.builders.loopback import Received
from tests.integration.stripe_simulator import RunningSimulator, running_simulator

pytestmark = pytest.mark.mission("STR-1", "STR-2", "STR-3")

GOOD, DECLINED = "pm_card_visa", "pm_card_chargeCustomerFail"

SETTLED = {InboxStatus.APPLIED, InboxStatus.IGNORED}
"""What became of events: those that nothing here acts upon, such as a card that was attached, are kept and ignored."""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with running_simulator(Path(tmp_path_factory.mktemp("stripe"))) as running:
        yield running


@pytest.fixture(autouse=True)
def _contract_kept(simulator: RunningSimulator) -> Iterator[None]:
    simulator.control("DELETE", "faults")
    simulator.received.clear()
    yield
    assert simulator.control("GET", "violations") == []


class Deployment:
    """The slice wired as deployed: webhook and worker over one table."""

    def __init__(self, table: Table, simulator: RunningSimulator) -> None:
        clock, blobs = SystemClock(), MemoryBlobs()

        def prove(raw: bytes, header: str, now: datetime) -> None:
            verify_stripe_signature(raw, header, [simulator.secret], now)

        self.table = table
        self.call = system_call("stripe_worker")
        identity = StripeIdentity("acct_ours", livemode=False)
        receive = ReceiveSignal(table, clock, blobs)
        self.webhook = ReceiveStripeEvent(receive, prove, read_stripe_event, lambda: identity, clock)
        self.converge = ConvergeCustomer(
            table,
            clock,
            RandomIds(),
            StripeReads(simulator.client),
            read_stripe_event,
            Accounts(ACC_ONE="user-7"),
            SettingsReader(table),
            Settlement(table, clock, blobs, "test"),
        )

    def take(self, received: list[Received]) -> list[str]:
        """What the webhook stores; the inbox ids."""
        for one in received:
            raw, header = one.body, one.headers["stripe-signature"]
            self.webhook(raw, header, self.call)
        return [inbox_id("stripe", read_stripe_event(one.body).id) for one in received]

    def work(self, entries: list[str]) -> None:
        for entry in entries:
            self.converge(entry, self.call)

    def profile(self, payer: str) -> CustomerProfile:
        read = ReadCustomer(self.table)
        return read(read.find(payer))


@pytest.fixture
def deployment(dynamo_table: DynamoTable, simulator: RunningSimulator) -> Deployment:
    return Deployment(dynamo_table, simulator)


def _customer(client: stripe.StripeClient, method: str) -> str:
    customer = client.v1.customers.create({"name": "Birch Ltd", "metadata": {"account_id": "ACC_ONE"}})
    attached = client.v1.payment_methods.attach(method, {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": attached.id}})
    return customer.id


def _subscribe(client: stripe.StripeClient, customer: str) -> str:
    product = client.v1.products.create({"name": "Professional"})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": 12900, "recurring": {"interval": "month"}}
    )
    return client.v1.subscriptions.create(
        {"customer": customer, "items": [{"price": price.id}], "metadata": {"plan": "Professional"}}
    ).id


def test_a_subscription_becomes_active_then_inactive(deployment: Deployment, simulator: RunningSimulator) -> None:
    client = simulator.client()
    payer = _customer(client, GOOD)
    subscription = _subscribe(client, payer)
    entries = deployment.take(simulator.settled())
    deployment.work(entries)
    profile = deployment.profile(payer)
    assert (profile.customer.membership_status, profile.customer.plan) == ("active", "Professional")
    assert profile.customer.account_id == "ACC_ONE"
    assert profile.customer.lifetime_value == {"EUR": 12900}
    assert {"payment_success", "subscription_created"} <= {entry.type.value for entry in profile.activity}
    simulator.received.clear()
    client.v1.subscriptions.cancel(subscription)
    deployment.work(deployment.take(simulator.settled()))
    profile = deployment.profile(payer)
    assert profile.customer.membership_status == "inactive"
    (note,) = profile.notes
    assert (note.priority, note.type, note.owner_id) == ("high", "issue", "user-7")
    assert {INBOX.require(deployment.table, entry).status for entry in entries} == SETTLED


def test_a_failed_payment_suspends_and_a_paid_one_restores(deployment: Deployment, simulator: RunningSimulator) -> None:
    client = simulator.client()
    payer = _customer(client, DECLINED)
    client.v1.invoice_items.create({"customer": payer, "amount": 5000, "currency": "eur"})
    invoice = client.v1.invoices.create({"customer": payer, "pending_invoice_items_behavior": "include"})
    with pytest.raises(stripe.CardError):
        client.v1.invoices.pay(invoice.id)
    deployment.work(deployment.take(simulator.settled()))
    profile = deployment.profile(payer)
    assert profile.customer.membership_status == "suspended"
    assert "payment_failure" in {entry.type.value for entry in profile.activity}
    (note,) = profile.notes  # the intent's event and the invoice's are one failure
    assert note.priority == "high"
    assert {entry.metadata.invoice_id for entry in profile.activity} == {invoice.id}
    simulator.received.clear()
    card = client.v1.payment_methods.attach(GOOD, {"customer": payer})
    client.v1.invoices.pay(invoice.id, {"payment_method": card.id})
    deployment.work(deployment.take(simulator.settled()))
    profile = deployment.profile(payer)
    assert profile.customer.membership_status == "active"
    assert profile.customer.lifetime_value == {"EUR": 5000}
    assert len(profile.notes) == 1


def test_a_payment_without_a_customer(deployment: Deployment, simulator: RunningSimulator) -> None:
    client = simulator.client()
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.create(
            {
                "amount": 2000,
                "currency": "gbp",
                "payment_method": "pm_card_chargeDeclined",
                "confirm": True,
                "metadata": {"payment_type": "deposit"},
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            }
        )
    received = simulator.settled()
    deployment.work(deployment.take(received))
    (intent,) = {
        read_stripe_event(one.body).object_id for one in received if b'"payment_intent.payment_failed"' in one.body
    }
    profile = deployment.profile(intent)
    assert profile.customer.membership_status == "suspended"
    (entry,) = profile.activity
    assert entry.metadata.payment_type == "deposit"
    assert entry.metadata.error_message
    assert len(profile.notes) == 1


@pytest.mark.fault("R1", "R2")
def test_shuffled_repeated_and_in_parallel_on_a_real_engine(
    deployment: Deployment, simulator: RunningSimulator
) -> None:
    client = simulator.client()
    payer = _customer(client, GOOD)
    client.v1.subscriptions.cancel(_subscribe(client, payer))
    _subscribe(client, payer)
    entries = deployment.take(simulator.settled()) * 2
    random.Random(7).shuffle(entries)
    failures: list[Exception] = []

    def worker(share: list[str]) -> None:
        for entry in share:
            for _ in range(10):
                try:
                    deployment.converge(entry, deployment.call)
                    break
                except Exception as error:
                    if not getattr(error, "retryable", False):
                        failures.append(error)
                        break

    threads = [threading.Thread(target=worker, args=(entries[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    profile = deployment.profile(payer)
    assert profile.customer.membership_status == "active"
    assert len(profile.notes) == 1  # the one that was cancelled
    told = [entry.type for entry in profile.activity]
    assert (told.count(ActivityType.SUBSCRIPTION_CREATED), told.count(ActivityType.SUBSCRIPTION_CANCELLED)) == (2, 1)
    assert {INBOX.require(deployment.table, entry).status for entry in entries} == SETTLED


@pytest.mark.mission("STR-6")
@pytest.mark.parametrize("status", [429, 500])
def test_stripe_refusing_for_now_is_unavailable(simulator: RunningSimulator, status: int) -> None:
    simulator.control("POST", "faults", [{"on": "request", "do": "status", "status": status, "times": 1}])
    with pytest.raises(Unavailable):
        StripeReads(simulator.client).facts("cus_nobody")


@pytest.mark.mission("STR-6")
def test_stripe_refusing_for_good(simulator: RunningSimulator) -> None:
    with pytest.raises(StripeRefused, match="No such customer"):
        StripeReads(simulator.client).facts("cus_nobody")
    wrong_key = StripeReads(lambda: stripe_client("wrong", simulator.url, retries=0))
    with pytest.raises(Unavailable):  # a key that is being rotated
        wrong_key.facts("cus_nobody")
