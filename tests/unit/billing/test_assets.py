"""STR-4: assets by route and by bus event, whatever the order; the counts on the profile are those of the links."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from revops.billing.assets import AssetApprovalChanged
from revops.billing.model import AssetApproval, LinkStatus
from revops.billing.store import ASSET_LINK, CUSTOMER, asset_link_id, asset_links
from revops.bus import ConsumeEvent
from revops.bus.billing import asset_reactions
from revops.kernel import Invalid
from revops.sync.marks import dirty_marks
from revops.table import begin
from tests.builders.billing import START
from tests.builders.customers import CustomerDesk

pytestmark = pytest.mark.mission("STR-4")


@pytest.fixture
def desk() -> CustomerDesk:
    return CustomerDesk()


def _said(customer: str, approval: str, minutes: int = 0, asset: str = "flat-3", **more: Any) -> AssetApprovalChanged:
    at = START + timedelta(minutes=minutes)
    given = {"customer": customer, "asset_id": asset, "approval": approval, "approved_at": at}
    return AssetApprovalChanged.model_validate(given | more)


@pytest.mark.parametrize(
    ("approval", "status"), [("approved", "active"), ("pending", "pending"), ("rejected", "inactive")]
)
def test_an_approval_makes_the_link(desk: CustomerDesk, approval: str, status: str) -> None:
    customer = desk.customer()
    path = f"/customers/{customer.id}/assets/Haus 7 ä"
    linked = desk.ask("PUT", path.replace(" ", "%20"), {"approval": approval, "name": "House"}, user="rep")
    assert (linked.status, linked.body["link_status"]) == (200, status)
    profile = desk.ask("GET", f"/customers/{customer.id}", user="rep").body
    assert [link["name"] for link in profile["assets"]] == ["House"]
    assert profile["customer"]["assets"] == {status: 1}


def test_the_same_word_again_changes_nothing(desk: CustomerDesk) -> None:
    customer = desk.customer()
    path, body = f"/customers/{customer.id}/assets/a", {"approval": "approved", "name": "A"}
    first = desk.ask("PUT", path, body, user="rep").body
    desk.bench.clock.advance(minutes=1)
    assert desk.ask("PUT", path, body, user="finance").body == first
    moved = desk.ask("PUT", path, {"approval": "rejected"}, user="finance").body
    assert (moved["link_status"], moved["name"], moved["version"]) == ("inactive", "A", 2)
    assert desk.of(customer.payers[0]).assets == {"inactive": 1}


@pytest.mark.fault("S1")
def test_who_may_register(desk: CustomerDesk) -> None:
    path = f"/customers/{desk.customer().id}/assets/a"
    statuses = {"rep": 200, "manager": 200, "finance": 200, "support": 403, "stranger": 404, "sdr": 404, "legal": 404}
    for user, status in statuses.items():
        assert desk.ask("PUT", path, {"approval": "pending"}, user=user).status == status, user
    assert desk.ask("PUT", path, {"approval": "maybe"}, user="rep").status == 400
    assert desk.ask("PUT", path, {"approval": "pending", "link_status": "active"}, user="rep").status == 400


@pytest.mark.fault("R2")
def test_every_order_of_events_ends_with_the_latest_word() -> None:
    ends = set()
    for order in permutations([("approved", 1), ("rejected", 2), ("approved", 3), ("pending", 3)]):
        desk = CustomerDesk()
        customer = desk.customer()
        for approval, minutes in (*order, *order):
            desk.link.from_bus(_said(customer.id, approval, minutes), desk.bench.call)
        link = ASSET_LINK.require(desk.bench.table, asset_link_id(customer.id, "flat-3"))
        ends.add((link.approval, link.link_status, tuple(desk.of(customer.payers[0]).assets.items())))
    assert ends == {(AssetApproval.APPROVED, LinkStatus.ACTIVE, (("active", 1),))}


def test_the_bus_names_a_customer_in_any_way(desk: CustomerDesk) -> None:
    customer = desk.customer()
    consume = ConsumeEvent({}, asset_reactions(lambda: desk.link))
    for number, name in enumerate((customer.id, customer.payers[0], "ACC_REP")):
        detail = _said(name, "approved", asset=f"a{number}").model_dump(mode="json") | {"more": "is passed over"}
        envelope = {"source": "assets.example", "detail-type": "AssetApprovalChanged", "id": "e-1", "detail": detail}
        assert consume(envelope) == "asset link active"
    assert desk.of(customer.payers[0]).assets == {"active": 3}
    detail = _said("cus_nobody", "approved").model_dump(mode="json")
    said = {"source": "assets.example", "detail-type": "AssetApprovalChanged", "id": "e-2", "detail": detail}
    assert consume(said) == "no such customer"
    with pytest.raises(Invalid) as caught:
        consume(said | {"detail": {"customer": customer.id, "asset_id": "a", "approval": "perhaps"}})
    assert {issue.field for issue in caught.value.issues} == {"approval", "approved_at"}
    with pytest.raises(Invalid):
        consume(said | {"source": "revops"})  # ours would be named otherwise
    with pytest.raises(Invalid):
        consume(said | {"detail-type": "OrderFormExecuted"})  # an outside system may not speak for us


@pytest.mark.fault("R19")
def test_a_convergence_in_between_loses_neither(desk: CustomerDesk) -> None:
    customer = desk.customer()
    raced: list[int] = []

    def race(_: object) -> None:
        desk.bench.table.before_commit = lambda _: None
        raced.append(1)
        held = CUSTOMER.require(desk.bench.table, customer.id)
        transaction = begin(desk.bench.call, desk.bench.clock.now())
        CUSTOMER.update(transaction, held.revised(desk.bench.clock.now(), plan="Enterprise"))
        desk.bench.table.commit(transaction)

    desk.bench.table.before_commit = race
    desk.link.from_bus(_said(customer.id, "approved"), desk.bench.call)
    held = desk.of(customer.payers[0])
    assert (raced, held.plan, held.assets) == ([1], "Enterprise", {"active": 1})


def test_links_are_brought_in_line_alone(desk: CustomerDesk) -> None:
    customer = desk.customer()
    for number in range(120):
        desk.link.from_bus(_said(customer.id, "approved", asset=f"a{number}"), desk.bench.call)
    transaction = begin(desk.bench.call, desk.bench.clock.now())
    for link in asset_links(desk.bench.table, customer.id)[:70]:
        ASSET_LINK.update(transaction, link.revised(desk.bench.clock.now(), link_status=LinkStatus.INACTIVE))
    desk.bench.table.commit(transaction)
    synced = desk.ask("POST", f"/customers/{customer.id}/assets/sync", user="rep")
    assert (synced.status, synced.body) == (200, {"assets": {"active": 120}, "changed": 70})
    assert desk.ask("POST", f"/customers/{customer.id}/assets/sync", user="rep").body["changed"] == 0
    assert desk.bench.stripe.fetches == 1, "Stripe is not asked"


@pytest.mark.mission("HUB-2")
def test_hubspot_hears_of_changed_counts(desk: CustomerDesk) -> None:
    customer = desk.customer()
    before = len(desk.bench.table.changes)
    desk.link.from_bus(_said(customer.id, "pending"), desk.bench.call)
    change = next(each for each in desk.bench.table.changes[before:] if each.kind == CUSTOMER.kind)
    assert change.after is not None
    change.after.doc = change.after.doc.replace('"id":', '"person_ids": ["PER_1"], "id":', 1)
    (mark,) = dirty_marks(change)
    assert (mark.person_id, mark.properties) == ("PER_1", ("revops_pending_assets",))
