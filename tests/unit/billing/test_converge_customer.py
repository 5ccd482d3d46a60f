"""STR-2, 3, 6: a signal becomes a converged profile, an entry of the log and a note, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from revops.billing import MembershipPolicy, SweepMemberships, customer_for_account, find_customer
from revops.billing import events as billing_events
from revops.billing.model import BillingFacts, Customer
from revops.billing.ports import StripeRefused
from revops.billing.store import CUSTOMER, DUE_TOPIC, customer_of_payer, fence_at
from revops.crm import notes as crm_notes
from revops.inbox import InboxStatus
from revops.kernel import Invalid, NotFound, Unavailable
from revops.settings import SETTINGS, SettingsRecord
from revops.table import ConditionFailed, Contention, begin, due_now
from tests.builders.billing import (
    PAYER,
    START,
    BillingBench,
    event_body,
    invoice,
    payment,
    subscription,
)

ACTIVE = BillingFacts(PAYER, currency="EUR", subscriptions=(subscription(),), lifetime={"EUR": 12900})
FAILING = replace(ACTIVE, subscriptions=(subscription("past_due"),), unpaid=(invoice(),))
ENDED = replace(ACTIVE, subscriptions=(subscription("canceled"),))

_SUB = {"id": "sub_one", "object": "subscription", "customer": PAYER}
CREATED = event_body("evt_created", "customer.subscription.created", _SUB)
DELETED = event_body("evt_deleted", "customer.subscription.deleted", _SUB, START + timedelta(days=5))
_INVOICE = {"id": "in_one", "object": "invoice", "customer": PAYER, "currency": "eur", "amount_remaining": 12900}
FAILED = event_body("evt_failed", "invoice.payment_failed", _INVOICE | {"attempt_count": 1}, START + timedelta(days=1))
_INTENT = {"id": "pi_one", "object": "payment_intent", "customer": PAYER, "currency": "eur", "amount": 12900}
DECLINED = event_body(
    "evt_declined",
    "payment_intent.payment_failed",
    _INTENT | {"last_payment_error": {"message": "Your card was declined.", "charge": "ch_1"}},
    START + timedelta(days=1, seconds=1),
)


@pytest.fixture
def bench() -> BillingBench:
    return BillingBench(ACC_ONE="user-7")


def _customer(bench: BillingBench) -> Customer:
    return bench.profile().customer


@pytest.mark.mission("STR-2", "STR-3")
def test_the_first_signal_creates_the_profile(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(CREATED)
    profile = bench.profile()
    customer = profile.customer
    assert (customer.membership_status, customer.plan, customer.subscription_status) == (
        "active",
        "Professional",
        "active",
    )
    assert (customer.lifetime_value, customer.currency, customer.payers) == ({"EUR": 12900}, "EUR", (PAYER,))
    assert customer.last_contact_at == START
    assert [entry.type for entry in profile.activity] == ["subscription_created"]
    assert profile.notes == []
    assert bench.entry("evt_created").status is InboxStatus.APPLIED


@pytest.mark.mission("STR-2", "STR-3")
def test_a_failure_suspends_and_leaves_one_high_note(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = replace(FAILING, invoice_of={"pi_one": "in_one"})
    for body in (DECLINED, FAILED):  # the invoice's event does not say why; the intent's words stay
        bench.work(body)
    profile = bench.profile()
    assert profile.customer.membership_status == "suspended"
    assert [entry.metadata.invoice_id for entry in profile.activity] == ["in_one", "in_one"]
    (note,) = profile.notes  # both events are about one invoice
    assert (note.priority, note.type, note.related_to) == ("high", "issue", profile.customer.id)
    assert "Your card was declined." in note.content
    assert note.reminder_at == START + timedelta(days=2, seconds=1)


@pytest.mark.mission("STR-2", "STR-3")
def test_a_cancellation_is_inactive_and_noted(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ENDED
    bench.work(DELETED)
    profile = bench.profile()
    assert profile.customer.membership_status == "inactive"
    assert [entry.type for entry in profile.activity] == ["subscription_cancelled"]
    assert [(note.priority, note.type) for note in profile.notes] == [("high", "issue")]


@pytest.mark.fault("R1")
def test_a_repeat_adds_nothing(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = FAILING
    bench.work(FAILED)
    before = bench.end_state()
    version = _customer(bench).version
    bench.work(FAILED)
    bench.work(FAILED.replace("evt_failed", "evt_other"))
    assert bench.end_state() | {"notes": []} == before | {"notes": []}
    assert _customer(bench).version == version
    assert len(bench.profile().notes) == 1
    assert bench.entry("evt_other").status is InboxStatus.APPLIED


@pytest.mark.mission("STR-3")
def test_a_lost_webhook_is_noted_from_the_state(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(CREATED)
    bench.stripe.truth[PAYER] = FAILING
    bench.converge.converge(_customer(bench).id, bench.call)
    assert _customer(bench).membership_status == "suspended"
    assert "129.00 EUR" in bench.profile().notes[0].content
    bench.work(FAILED)  # it comes after all: the same note, with its own words
    assert len(bench.profile().notes) == 1


def test_a_note_a_person_wrote_over_is_theirs(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = FAILING
    bench.work(FAILED)
    (note,) = bench.profile().notes
    transaction = begin(bench.call, bench.clock.now())
    crm_notes.NOTE.update(transaction, note.revised(bench.clock.now(), content="called them", author="user-7"))
    bench.table.commit(transaction)
    bench.stripe.truth[PAYER] = replace(FAILING, invoice_of={"pi_one": "in_one"})
    bench.work(DECLINED)
    assert bench.profile().notes[0].content == "called them"


@pytest.mark.mission("STR-2")
def test_the_clock_alone_ends_the_grace(bench: BillingBench) -> None:
    _apply_grace(bench, days=14)
    bench.stripe.truth[PAYER] = FAILING
    bench.work(FAILED)
    assert _customer(bench).membership_status == "past_due"
    assert list(due_now(bench.table, DUE_TOPIC, bench.clock.now())) == []
    bench.clock.advance(days=4)
    queue = _Queue()
    sweep = SweepMemberships(bench.table, bench.clock, queue)
    assert sweep() == 1
    assert queue.sent == [("stripe", {"entity_id": _customer(bench).id, "kind": "CUSTOMER"})]
    bench.converge.converge(_customer(bench).id, bench.call)
    assert sweep() == 0
    assert _customer(bench).membership_status == "suspended"
    assert list(due_now(bench.table, DUE_TOPIC, bench.clock.now())) == []


class _Queue:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, Any]]] = []

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        self.sent += [(queue, message) for message in messages]
        return []


def _apply_grace(bench: BillingBench, days: int) -> None:
    now = bench.clock.now()
    content = MembershipPolicy(grace_days=days).model_dump(mode="json")
    transaction = begin(bench.call, now)
    SETTINGS.create(transaction, SettingsRecord(id="membership", created_at=now, modified_at=now, content=content))
    bench.table.commit(transaction)


@pytest.mark.fault("R2")
def test_nothing_changed_still_passes_the_fence_and_leaves_no_version(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(CREATED)
    customer = _customer(bench)
    bench.converge.converge(customer.id, bench.call)
    assert _customer(bench) == customer
    assert fence_at(bench.table, customer.id) == 2


@pytest.mark.fault("R2")
def test_an_older_fetch_never_overwrites_a_newer_one(bench: BillingBench) -> None:
    """A → B → A: the slow worker fetched B; Stripe went back to A and a quick worker found nothing to change."""
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(CREATED)
    customer_id = _customer(bench).id

    def meanwhile() -> None:
        bench.stripe.truth[PAYER] = ACTIVE
        bench.converge.converge(customer_id, bench.call)

    bench.stripe.truth[PAYER] = FAILING
    bench.stripe.after_fetch = meanwhile
    bench.work(FAILED)
    assert _customer(bench).membership_status == "active"


@pytest.mark.fault("R18")
def test_two_first_signals_make_one_customer(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ACTIVE
    bench.stripe.after_fetch = lambda: bench.work(FAILED)
    bench.work(CREATED)
    rows = [row for row in bench.table.rows.values() if row.kind == CUSTOMER.kind]
    assert len(rows) == 1
    assert len(bench.profile().activity) == 2


@pytest.mark.fault("R16")
def test_the_same_entry_in_two_workers_at_once(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = FAILING
    entry = bench.arrive(FAILED)

    def meanwhile() -> None:
        bench.converge(entry, bench.call)

    bench.stripe.after_fetch = meanwhile
    bench.converge(entry, bench.call)
    assert bench.stripe.fetches == 2
    assert len(bench.profile().activity) == 1


def test_endless_races_give_the_message_back(bench: BillingBench) -> None:
    def lose(_: object) -> None:
        raise ConditionFailed([])

    entry = bench.arrive(CREATED)
    bench.table.before_commit = lose
    with pytest.raises(Contention) as caught:
        bench.converge(entry, bench.call)
    assert caught.value.retryable


@pytest.mark.mission("STR-6")
def test_stripe_unavailable_is_tried_again_and_nothing_is_written(bench: BillingBench) -> None:
    bench.stripe.failure = Unavailable("Stripe answered 429", retry_after=2)
    entry = bench.arrive(CREATED)
    with pytest.raises(Unavailable):
        bench.converge(entry, bench.call)
    assert bench.entry("evt_created").waiting
    bench.stripe.failure = None
    bench.stripe.truth[PAYER] = ACTIVE
    bench.converge(entry, bench.call)
    assert _customer(bench).membership_status == "active"


@pytest.mark.mission("STR-6")
def test_a_permanent_answer_is_dead_with_its_reason_and_replayable(bench: BillingBench) -> None:
    bench.stripe.failure = StripeRefused("Stripe answered 404 resource_missing: No such customer", "resource_missing")
    bench.work(CREATED)
    entry = bench.entry("evt_created")
    assert entry.status is InboxStatus.DEAD
    assert "No such customer" in entry.reason
    bench.stripe.failure = None
    bench.stripe.truth[PAYER] = ACTIVE
    bench.settlement.again(entry, bench.call)
    bench.converge(entry.id, bench.call)
    assert _customer(bench).membership_status == "active"


@pytest.mark.mission("STR-1", "STR-6")
def test_events_that_concern_nobody_are_kept_and_ignored_aloud(bench: BillingBench) -> None:
    bench.work(event_body("evt_price", "price.created", {"id": "price_1", "object": "price"}))
    entry = bench.entry("evt_price")
    assert (entry.status, entry.reason) == (InboxStatus.IGNORED, "nothing here acts upon price.created")
    assert bench.stripe.fetches == 0
    assert [row for row in bench.table.rows.values() if row.kind == CUSTOMER.kind] == []


def test_the_payer_is_fetched_where_the_event_does_not_carry_it(bench: BillingBench) -> None:
    bench.stripe.payers["ip_1"] = PAYER
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(event_body("evt_ip", "invoice_payment.paid", {"id": "ip_1", "object": "invoice_payment"}))
    assert _customer(bench).membership_status == "active"


@pytest.mark.mission("STR-3")
def test_a_payment_of_nobodys_customer_has_a_profile_of_its_own(bench: BillingBench) -> None:
    bench.stripe.truth["pi_one"] = BillingFacts("pi_one", payments=(payment(False),))
    bench.work(DECLINED.replace(f'"{PAYER}"', "null"))
    profile = bench.profile("pi_one")
    assert profile.customer.membership_status == "suspended"
    assert len(profile.notes) == 1


@pytest.mark.mission("STR-3")
def test_a_payer_that_names_its_account_is_linked(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = replace(FAILING, account_id="ACC_ONE")
    bench.stripe.truth["cus_Beta"] = replace(ACTIVE, payer="cus_Beta", account_id="ACC_ONE", subscriptions=())
    bench.work(FAILED)
    bench.work(event_body("evt_beta", "customer.updated", {"id": "cus_Beta", "object": "customer"}))
    customer = customer_for_account(bench.table, "ACC_ONE")
    assert customer is not None
    assert customer.payers == (PAYER, "cus_Beta")  # one account, one customer, two payers
    assert customer.lifetime_value == {"EUR": 25800}
    assert customer.membership_status == "suspended"
    assert customer_of_payer(bench.table, "cus_Beta") == customer.id
    assert [row.key for row in bench.table.rows.values() if row.kind == CUSTOMER.kind] == [CUSTOMER.key(customer.id)]
    assert bench.profile().notes[0].owner_id == "user-7"


@pytest.mark.mission("STR-3")
@pytest.mark.fault("R18")
def test_two_payers_of_an_account_that_come_at_once_are_one_customer(bench: BillingBench) -> None:
    """The look that found no customer of the account is the one that the profile is written by."""
    bench.stripe.truth[PAYER] = replace(ACTIVE, account_id="ACC_ONE")
    bench.stripe.truth["cus_Beta"] = replace(ACTIVE, payer="cus_Beta", account_id="ACC_ONE", subscriptions=())
    owner_of = bench.accounts.owner_of

    def raced(account_id: str) -> str | None:
        bench.accounts.owner_of = owner_of  # type: ignore[method-assign]
        bench.work(event_body("evt_beta", "customer.updated", {"id": "cus_Beta", "object": "customer"}))
        return owner_of(account_id)

    bench.accounts.owner_of = raced  # type: ignore[method-assign]
    bench.work(CREATED)
    customer = customer_for_account(bench.table, "ACC_ONE")
    assert customer is not None
    assert customer.payers == (PAYER, "cus_Beta")
    assert [row.key for row in bench.table.rows.values() if row.kind == CUSTOMER.kind] == [CUSTOMER.key(customer.id)]


def test_an_account_that_is_not_there_is_not_linked(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = replace(ACTIVE, account_id="ACC_NOWHERE")
    bench.work(CREATED)
    assert _customer(bench).account_id == ""
    assert customer_for_account(bench.table, "ACC_NOWHERE") is None


def test_a_payer_may_learn_its_account_later(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(CREATED)
    bench.stripe.truth[PAYER] = replace(ACTIVE, account_id="ACC_ONE")
    bench.converge.converge(_customer(bench).id, bench.call)
    assert _customer(bench).account_id == "ACC_ONE"


@pytest.mark.mission("STR-2")
def test_what_people_keep_on_the_profile_survives(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(CREATED)
    follow_up = START + timedelta(days=30)
    transaction = begin(bench.call, bench.clock.now())
    edited = _customer(bench).revised(bench.clock.now(), notes="prefers mail", next_follow_up_at=follow_up)
    CUSTOMER.update(transaction, edited)
    bench.table.commit(transaction)
    bench.stripe.truth[PAYER] = ENDED
    bench.work(DELETED)
    customer = _customer(bench)
    assert (customer.notes, customer.next_follow_up_at, customer.membership_status) == (
        "prefers mail",
        follow_up,
        "inactive",
    )


@pytest.mark.mission("STR-2", "BUS-1")
def test_events_follow_from_the_changes(bench: BillingBench) -> None:
    bench.stripe.truth[PAYER] = ACTIVE
    bench.work(CREATED)
    bench.stripe.truth[PAYER] = FAILING
    bench.work(FAILED)
    bench.converge.converge(_customer(bench).id, bench.call)
    told = [
        event
        for change in bench.table.changes
        for events in (billing_events.events, crm_notes.events)
        for event in events(change)
    ]
    assert sorted(event.name for event in told) == sorted(
        ["MembershipStatusChanged"] * 2 + ["ActivityCreated"] * 2 + ["NoteCreated"]
    )
    first, second = (event.data for event in told if event.name == "MembershipStatusChanged")
    assert (first.get("previous_status"), first["status"]) == (None, "active")
    assert (second["previous_status"], second["status"]) == ("active", "suspended")
    assert len({event.id for event in told}) == len(told)


def test_one_transaction_per_event(bench: BillingBench) -> None:
    commits: list[int] = []
    bench.stripe.truth[PAYER] = FAILING
    entry = bench.arrive(FAILED)
    bench.table.before_commit = lambda transaction: commits.append(len(transaction.operations))
    bench.converge(entry, bench.call)
    assert commits == [6]  # customer, claim, fence, log, note, inbox


def test_unknown_identifiers_are_not_found(bench: BillingBench) -> None:
    assert find_customer(bench.table, "CUST_NOBODY") is None
    with pytest.raises(NotFound):
        bench.profile("cus_Nobody")


@pytest.mark.mission("STR-6")
def test_a_stored_body_that_cannot_be_read_is_dead(bench: BillingBench) -> None:
    entry = bench.arrive(CREATED)

    def broken(_: str | bytes) -> None:
        raise Invalid("not an event")

    bench.converge._read = broken  # type: ignore[assignment]
    bench.converge(entry, bench.call)
    assert bench.entry("evt_created").status is InboxStatus.DEAD
