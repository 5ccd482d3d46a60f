"""STR-5: what is wanted is written down, brought about once, synced whole and settled, whatever happens between."""

from typing import Any

import pytest

from revops.billing import SweepMemberships
from revops.billing.cancellation import CANCELLATIONS, CancellationState, cancellations_of
from revops.billing.model import BillingFacts
from revops.kernel import Unavailable
from tests.builders.billing import event_body, subscription
from tests.builders.customers import CustomerDesk, refused
from tests.builders.stream import ListeningQueues

pytestmark = pytest.mark.mission("STR-5")


@pytest.fixture
def desk() -> CustomerDesk:
    return CustomerDesk()


def _path(desk: CustomerDesk, **facts: Any) -> str:
    return f"/customers/{desk.customer(**facts).id}/cancellation"


def test_cancelled_now_and_synced_whole(desk: CustomerDesk) -> None:
    customer = desk.customer()
    path = f"/customers/{customer.id}/cancellation"
    asked = desk.ask("POST", path, {"mode": "now", "reason": "moves away", "feedback": "unused"}, user="finance")
    assert (asked.status, asked.body["state"], asked.body["subscription_id"]) == (202, "Requested", "sub_1")
    assert desk.of(customer.payers[0]).membership_status == "active"
    assert desk.stream() == 1
    (settled,) = desk.ask("GET", path, user="rep").body["cancellations"]
    assert (settled["state"], settled["requested_by"]) == ("Cancelled", "finance")
    assert settled["ends_at"]
    profile = desk.ask("GET", f"/customers/{customer.id}", user="rep").body
    assert profile["customer"]["membership_status"] == "inactive"
    assert [entry["type"] for entry in profile["activity"]] == ["full_sync"]
    assert [note["priority"] for note in profile["notes"]] == ["high"], "noted from the state, before any webhook"
    assert profile["cancellations"][0]["id"] == settled["id"]
    deleted = {"id": "sub_1", "object": "subscription", "customer": customer.payers[0], "status": "canceled"}
    desk.bench.work(event_body("evt_deleted", "customer.subscription.deleted", deleted, desk.bench.clock.now()))
    assert len(desk.ask("GET", f"/customers/{customer.id}", user="rep").body["notes"]) == 1, "the same cancellation"


def test_at_the_period_end_and_taken_back(desk: CustomerDesk) -> None:
    path = _path(desk)
    desk.ask("POST", path, {"mode": "period_end"}, user="rep")
    desk.stream()
    (scheduled,) = desk.ask("GET", path).body["cancellations"]
    assert (scheduled["state"], bool(scheduled["ends_at"])) == ("Scheduled", True)
    assert desk.of("cus_1").membership_status == "active"
    assert desk.of("cus_1").changes_at is not None
    kept = desk.ask("DELETE", path, user="manager")
    assert (kept.status, kept.body["mode"], kept.body["state"]) == (202, "keep", "Requested")
    desk.stream()
    assert desk.ask("GET", path).body["cancellations"][0]["state"] == "Kept"
    assert desk.of("cus_1").changes_at is None
    assert desk.stripe.done == [("period_end", "sub_1"), ("keep", "sub_1")]
    assert desk.ask("DELETE", path, user="manager").status == 404


def test_what_has_ended_stays_ended(desk: CustomerDesk) -> None:
    path = _path(desk)
    desk.ask("POST", path, {"mode": "now"})
    desk.stream()
    assert desk.ask("DELETE", path).status == 409
    again = desk.ask("POST", path, {"mode": "now"})
    assert (again.status, again.body["detail"]) == (409, "no subscription of this customer is running")


def test_which_subscription_has_to_be_clear(desk: CustomerDesk) -> None:
    path = _path(desk, subscriptions=(subscription(id_="sub_a"), subscription("trialing", "sub_b")))
    unclear = desk.ask("POST", path, {"mode": "now"})
    assert (unclear.status, unclear.body["issues"][0]["accepted"]) == (400, "sub_a, sub_b")
    assert desk.ask("POST", path, {"mode": "now", "subscription_id": "sub_other"}).fields == {"subscription_id"}
    assert desk.ask("POST", path, {"mode": "now", "subscription_id": "sub_b"}).status == 202
    desk.stream()
    assert desk.stripe.done == [("now", "sub_b")]
    assert desk.of("cus_1").running == ("sub_a",)
    for body in ({"mode": "keep"}, {"mode": "later"}, {}, {"mode": "now", "at": "x"}):
        assert desk.ask("POST", path, body).status == 400


@pytest.mark.fault("S1")
def test_who_may_cancel(desk: CustomerDesk) -> None:
    path = _path(desk)
    statuses = {"support": 403, "stranger": 404, "sdr": 404, "legal": 404, "rep2": 404, "rep": 202, "manager": 202}
    for user, status in {**statuses, "finance": 202, "admin": 202}.items():
        assert desk.ask("POST", path, {"mode": "period_end"}, user=user).status == status, user
    assert desk.ask("GET", path, user="stranger").status == 404
    assert desk.ask("DELETE", path, user="support").status == 403


@pytest.mark.fault("R1", "R3")
def test_the_same_wish_twice_is_brought_about_once(desk: CustomerDesk) -> None:
    path = _path(desk)
    first = desk.ask("POST", path, {"mode": "now"}).body
    assert desk.ask("POST", path, {"mode": "now"}).body == first
    message = {"kind": "CANCELLATION", "entity_id": first["id"]}
    desk.handle(message)
    desk.handle(message)
    assert desk.stripe.done == [("now", "sub_1")]
    profile = desk.ask("GET", path.removesuffix("/cancellation")).body
    assert [entry["type"] for entry in profile["activity"]] == ["full_sync"]


@pytest.mark.fault("R8")
@pytest.mark.parametrize("after_work", [False, True])
def test_a_lost_answer_is_looked_at_again(desk: CustomerDesk, after_work: bool) -> None:
    path = _path(desk)
    identifier = desk.ask("POST", path, {"mode": "now"}).body["id"]
    desk.stripe.failure, desk.stripe.after_work = Unavailable("Stripe did not answer"), after_work
    message = {"kind": "CANCELLATION", "entity_id": identifier}
    with pytest.raises(Unavailable):
        desk.handle(message)
    assert CANCELLATIONS.require(desk.bench.table, identifier).state is CancellationState.REQUESTED
    desk.handle(message)
    assert desk.stripe.done == [("now", "sub_1")]
    assert desk.of("cus_1").membership_status == "inactive"


@pytest.mark.fault("R3")
def test_a_sync_that_fails_is_not_forgotten(desk: CustomerDesk) -> None:
    path = _path(desk)
    identifier = desk.ask("POST", path, {"mode": "now"}).body["id"]
    desk.bench.stripe.failure = Unavailable("Stripe answered 503")
    message = {"kind": "CANCELLATION", "entity_id": identifier}
    with pytest.raises(Unavailable):
        desk.handle(message)
    assert CANCELLATIONS.require(desk.bench.table, identifier).state is CancellationState.REQUESTED
    desk.bench.stripe.failure = None
    desk.handle(message)
    assert desk.of("cus_1").membership_status == "inactive"
    assert desk.stripe.done == [("now", "sub_1")]


def test_a_lost_message_is_swept_up(desk: CustomerDesk) -> None:
    path = _path(desk)
    wish = desk.ask("POST", path, {"mode": "now"}).body
    queue = ListeningQueues()
    sweep = SweepMemberships(desk.bench.table, desk.bench.clock, queue)
    assert sweep() == 0
    desk.bench.clock.advance(minutes=6)
    assert sweep() == 1
    assert queue.sent == [("stripe", {"kind": "CANCELLATION", "entity_id": wish["id"]})]
    desk.handle(queue.sent[0][1])
    assert sweep() == 0


def test_a_refusal_is_settled_with_stripes_words_and_can_be_asked_again(desk: CustomerDesk) -> None:
    path = _path(desk)
    desk.ask("POST", path, {"mode": "now"})
    desk.stripe.failure = refused()
    desk.stream()
    (settled,) = desk.ask("GET", path).body["cancellations"]
    assert (settled["state"], "No such subscription" in settled["detail"]) == ("Refused", True)
    assert desk.ask("POST", path, {"mode": "now"}).body["state"] == "Requested"
    desk.stream()
    assert desk.ask("GET", path).body["cancellations"][0]["state"] == "Cancelled"


@pytest.mark.fault("R2", "R19")
@pytest.mark.parametrize(
    ("first", "second", "status"), [("period_end", "now", "inactive"), ("period_end", None, "active")]
)
def test_a_wish_that_changes_meanwhile_is_brought_about_last(
    desk: CustomerDesk, first: str, second: str | None, status: str
) -> None:
    """The worker is at Stripe with the first wish; somebody wishes otherwise, and a second worker is quicker."""
    path = _path(desk)
    identifier = desk.ask("POST", path, {"mode": first}).body["id"]
    message = {"kind": "CANCELLATION", "entity_id": identifier}

    def meanwhile() -> None:
        answer = desk.ask("POST", path, {"mode": second}) if second else desk.ask("DELETE", path)
        assert answer.status == 202
        desk.handle(message)

    desk.stripe.meanwhile = meanwhile
    desk.handle(message)
    desk.stream()
    customer = desk.of("cus_1")
    assert customer.membership_status == status
    (held,) = cancellations_of(desk.bench.table, customer.id)
    assert held.state is (CancellationState.CANCELLED if second else CancellationState.KEPT)
    assert desk.bench.stripe.truth["cus_1"].subscriptions[0].cancel_at is None


@pytest.mark.fault("R3", "R8", "R19")
def test_who_was_overtaken_and_lost_the_answer_undoes_nothing(desk: CustomerDesk) -> None:
    """It was at Stripe with the first wish when another was brought about; its own call came last, and it did not learn
    so. The message that comes again has what is wanted now looked at once more."""
    path = _path(desk)
    identifier = desk.ask("POST", path, {"mode": "period_end"}).body["id"]
    message = {"kind": "CANCELLATION", "entity_id": identifier}

    def meanwhile() -> None:
        assert desk.ask("DELETE", path).status == 202
        desk.handle(message)
        desk.stripe.failure, desk.stripe.after_work = Unavailable("Stripe did not answer"), True

    desk.stripe.meanwhile = meanwhile
    with pytest.raises(Unavailable):
        desk.handle(message)
    assert desk.bench.stripe.truth["cus_1"].subscriptions[0].cancel_at is not None
    kept = len(desk.kept)
    desk.handle(message)
    assert desk.bench.stripe.truth["cus_1"].subscriptions[0].cancel_at is None
    assert len(desk.kept) == kept + 1, "what is agreed is put back as well"
    held = CANCELLATIONS.require(desk.bench.table, identifier)
    assert held.state is CancellationState.KEPT
    desk.handle(message)
    assert CANCELLATIONS.require(desk.bench.table, identifier) == held


def test_a_message_that_comes_days_later_announces_no_end_again(desk: CustomerDesk) -> None:
    path = _path(desk)
    identifier = desk.ask("POST", path, {"mode": "period_end"}).body["id"]
    desk.stream()
    running = (subscription(id_="sub_1"),)
    desk.bench.stripe.truth["cus_1"] = BillingFacts("cus_1", account_id="ACC_REP", subscriptions=running)
    desk.bench.clock.advance(days=2)
    desk.handle({"kind": "CANCELLATION", "entity_id": identifier})
    assert desk.bench.stripe.truth["cus_1"].subscriptions[0].cancel_at is None, "somebody undid it at Stripe"


def test_somebody_undid_it_at_stripe(desk: CustomerDesk) -> None:
    path = _path(desk)
    desk.ask("POST", path, {"mode": "period_end"})
    desk.stream()
    running = (subscription(id_="sub_1"),)
    desk.bench.stripe.truth["cus_1"] = BillingFacts("cus_1", account_id="ACC_REP", subscriptions=running)
    assert desk.ask("POST", path, {"mode": "period_end"}).body["state"] == "Requested"
    desk.stream()
    assert desk.bench.stripe.truth["cus_1"].subscriptions[0].cancel_at is not None
    desk.bench.clock.advance(days=60)
    desk.bench.converge.converge(desk.of("cus_1").id, desk.bench.call)
    assert desk.of("cus_1").membership_status == "inactive"
