"""STR-7: everybody is synced block by block, goes on where it stopped, and is never in the way."""

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from revops.billing import SweepMemberships
from revops.billing.events import work
from revops.billing.model import ActivityType, BillingFacts, MembershipStatus
from revops.billing.ports import StripeRefused
from revops.billing.resync import BLOCK, RESYNCS, Resync
from revops.billing.store import ACTIVITY_LOG
from revops.kernel import Unavailable
from tests.builders.billing import subscription
from tests.builders.customers import CustomerDesk
from tests.builders.stream import ListeningQueues

pytestmark = pytest.mark.mission("STR-7")

CUSTOMERS = 33


@pytest.fixture
def desk() -> CustomerDesk:
    desk = CustomerDesk()
    for _ in range(CUSTOMERS):
        desk.customer("")
    for payer, facts in list(desk.bench.stripe.truth.items()):  # all of them end, and no webhook says so
        ended = tuple(subscription("canceled", each.id) for each in facts.subscriptions)
        desk.bench.stripe.truth[payer] = BillingFacts(payer, currency="EUR", subscriptions=ended)
    desk.stream()
    return desk


def _begin(desk: CustomerDesk, **body: int) -> str:
    asked = desk.ask("POST", "/customers/resync", body, user="finance")
    assert asked.status == 202, asked.body
    return str(asked.body["id"])


def _statuses(desk: CustomerDesk) -> Counter[str]:
    return Counter(desk.of(payer).membership_status.value for payer in desk.bench.stripe.truth)


def _synced(desk: CustomerDesk) -> int:
    rows = [row for row in desk.bench.table.rows.values() if row.kind == ACTIVITY_LOG.kind]
    return sum(entry.type is ActivityType.FULL_SYNC for entry in ACTIVITY_LOG.load_all(rows))


def _read(desk: CustomerDesk, identifier: str) -> Resync:
    return RESYNCS.require(desk.bench.table, identifier)


def test_everybody_is_synced_and_the_progress_is_read(desk: CustomerDesk) -> None:
    identifier = _begin(desk)
    assert _statuses(desk) == {"active": CUSTOMERS}
    steps = desk.stream()
    assert steps >= CUSTOMERS // BLOCK
    done = desk.ask("GET", f"/customers/resync/{identifier}", user="finance").body
    assert (done["status"], done["synced"], done["failed"], bool(done["finished_at"])) == ("Done", CUSTOMERS, 0, True)
    assert _statuses(desk) == {"inactive": CUSTOMERS}
    assert _synced(desk) == CUSTOMERS
    assert [each["id"] for each in desk.ask("GET", "/customers/resync").body["resyncs"]] == [identifier]


def _goes_away(desk: CustomerDesk, after: int) -> None:
    """Stripe answers so many questions and then no more."""
    answers = iter(range(after))

    def away() -> None:
        if next(answers, None) is None:
            desk.bench.stripe.failure = Unavailable("Stripe answered 503")
        desk.bench.stripe.after_fetch = away

    desk.bench.stripe.after_fetch = away


@pytest.mark.fault("R3", "R16")
def test_it_goes_on_where_it_stopped_and_counts_each_once(desk: CustomerDesk) -> None:
    identifier = _begin(desk)
    for attempt in range(40):
        message = {"kind": "RESYNC", "entity_id": identifier}
        if attempt % 3 == 1:  # Stripe is away in the middle of a block
            _goes_away(desk, after=3)
            with pytest.raises(Unavailable):
                desk.handle(message)
            desk.bench.stripe.failure, desk.bench.stripe.after_fetch = None, lambda: None
        desk.handle(message)
        if _read(desk, identifier).status == "Done":
            break
    assert (_read(desk, identifier).synced, _synced(desk)) == (CUSTOMERS, CUSTOMERS)


def _shard(desk: CustomerDesk) -> int:
    """How many customers the first shard has."""
    return sum(row.index.get("gsi1", ("", ""))[0] == "CUSTOMERS#0" for row in desk.bench.table.rows.values())


@pytest.mark.fault("R1")
def test_two_workers_on_one_block_count_it_once(desk: CustomerDesk) -> None:
    identifier = _begin(desk)
    message = {"kind": "RESYNC", "entity_id": identifier}
    desk.bench.stripe.after_fetch = lambda: desk.handle(message)
    desk.handle(message)
    assert (_read(desk, identifier).synced, _read(desk, identifier).version) == (min(BLOCK, _shard(desk)), 2)
    while _read(desk, identifier).status == "Running":
        desk.handle(message)
    assert _read(desk, identifier).synced == CUSTOMERS


def test_one_that_stripe_refuses_holds_none_of_the_others_up(desk: CustomerDesk) -> None:
    gone = desk.of("cus_7").id
    truthful = desk.bench.stripe.facts

    def facts(payer: str) -> Any:
        if payer == "cus_7":
            raise StripeRefused("Stripe answered 404 resource_missing: No such customer")
        return truthful(payer)

    desk.bench.stripe.facts = facts  # type: ignore[method-assign]
    identifier = _begin(desk)
    desk.stream()
    done = _read(desk, identifier)
    assert (done.status, done.synced, done.failed) == ("Done", CUSTOMERS - 1, 1)
    assert done.refused == {gone: "Stripe answered 404 resource_missing: No such customer"}
    assert desk.of("cus_7").membership_status is MembershipStatus.ACTIVE


def test_it_keeps_below_its_rate(desk: CustomerDesk) -> None:
    identifier = _begin(desk, per_minute=60)
    before = len(desk.bench.table.changes)
    desk.handle({"kind": "RESYNC", "entity_id": identifier})
    delays = [
        message.get("delay_seconds") for change in desk.bench.table.changes[before:] for _, message in work(change)
    ]
    assert delays == [60 * BLOCK // 60]


def test_a_stalled_one_is_taken_up_again(desk: CustomerDesk) -> None:
    identifier, queue = _begin(desk), ListeningQueues()
    desk.bench.clock.advance(minutes=11)
    SweepMemberships(desk.bench.table, desk.bench.clock, queue)()
    assert {"kind": "RESYNC", "entity_id": identifier} in [message for _, message in queue.sent]


def test_one_at_a_time_and_it_can_be_stopped(desk: CustomerDesk) -> None:
    identifier = _begin(desk)
    assert desk.ask("POST", "/customers/resync", {}, user="admin").status == 409
    desk.handle({"kind": "RESYNC", "entity_id": identifier})
    stopped = desk.ask("POST", f"/customers/resync/{identifier}/cancel", user="finance").body
    assert stopped["status"] == "Cancelled"
    assert desk.stream() <= 2
    assert _read(desk, identifier).synced < CUSTOMERS
    assert desk.ask("POST", "/customers/resync", {}, user="admin").status == 202


@pytest.mark.fault("R17")
def test_two_that_are_begun_in_one_moment_are_one(desk: CustomerDesk) -> None:
    """The second one reads before the first one commits."""
    statuses: list[int] = []
    moment = desk.bench.clock.now

    def meanwhile() -> datetime:
        desk.bench.clock.now = moment  # type: ignore[method-assign]
        statuses.append(desk.ask("POST", "/customers/resync", {}, user="finance").status)
        return moment()

    desk.bench.clock.now = meanwhile  # type: ignore[method-assign]
    statuses.append(desk.ask("POST", "/customers/resync", {}, user="admin").status)
    assert sorted(statuses) == [202, 409]
    running = [each for each in desk.ask("GET", "/customers/resync").body["resyncs"] if each["status"] == "Running"]
    assert len(running) == 1
    desk.stream()
    assert _synced(desk) == CUSTOMERS
    assert desk.ask("POST", "/customers/resync", {}).status == 202, "the next one after it"


@pytest.mark.fault("S1")
def test_who_may_sync_whom(desk: CustomerDesk) -> None:
    own = desk.customer("ACC_REP").id
    for user, status in {"rep": 404, "support": 403, "manager": 404, "sdr": 404}.items():
        assert desk.ask("POST", "/customers/resync", {}, user=user).status == status, user
    everybodys = _begin(desk)
    for user in ("rep", "manager", "sdr"):
        assert desk.ask("GET", "/customers/resync", user=user).status == 404, user
        assert desk.ask("POST", f"/customers/resync/{everybodys}/cancel", user=user).status == 404, user
    assert desk.ask("POST", f"/customers/resync/{everybodys}/cancel", user="support").status == 403
    assert _read(desk, everybodys).status == "Running"
    one = desk.ask("POST", f"/customers/{own}/sync", user="rep")
    assert (one.status, one.body["customer_id"]) == (202, own)
    assert desk.ask("GET", f"/customers/resync/{one.body['id']}", user="rep").status == 200
    assert desk.ask("GET", f"/customers/resync/{one.body['id']}", user="stranger").status == 404
    assert desk.ask("POST", f"/customers/{own}/sync", user="stranger").status == 404
    desk.stream()
    assert _read(desk, one.body["id"]).status == "Done"
    assert desk.ask("GET", f"/customers/{own}/activity?type=full_sync", user="rep").body["activity"]
