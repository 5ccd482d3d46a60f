"""Reconciliations and adoptions over HTTP: shapes, refusals, who sees and does what."""

from dataclasses import replace

import pytest

from revops.api.adoptions import AdoptionUseCases, add_adoption_routes
from revops.api.reconcile import ReconcileUseCases, add_reconcile_routes
from revops.kernel import Principal, Role
from revops.platform.http import Api
from tests.builders.reconcile import Bench
from tests.builders.requests import Answer, KnownCallers, ask
from tests.unit.reconcile.test_adoption import Office

pytestmark = pytest.mark.mission("ORD-7", "STR-8", "SAFE-1")

CALLERS = [
    Principal("finance", Role.FINANCE),
    Principal("admin", Role.ADMIN),
    Principal("USR_rep", Role.SALES_REP),
    Principal("legal", Role.LEGAL),
]


class Door:
    """The routes over a bench and an office."""

    def __init__(self) -> None:
        self.bench, self.office = Bench(), Office()
        self.api = Api(KnownCallers(*CALLERS))
        add_reconcile_routes(self.api, ReconcileUseCases(self.bench.start, self.bench.read, self.bench.approve))
        add_adoption_routes(self.api, AdoptionUseCases(self.office.ask))

    def ask(self, method: str, path: str, body: object = None, user: str = "finance") -> Answer:
        return ask(self.api, method, f"/api/v1{path}", body, sub=user)


@pytest.fixture
def door() -> Door:
    return Door()


def test_from_a_run_to_its_repair(door: Door) -> None:
    order = door.bench.sold()
    first, *others = door.bench.stripe.live[order.stripe_subscription_id].items
    door.bench.stripe.set_items(order.stripe_subscription_id, [replace(first, quantity=28), *others])
    begun = door.ask("POST", "/reconciliations", {"order_id": order.id})
    assert (begun.status, begun.body["status"], begun.body["order_id"]) == (202, "Running", order.id)
    run = door.bench.reconciled(order.id)
    told = door.ask("GET", f"/reconciliations/{run.id}").body
    (difference,) = told["differences"]
    assert difference["effect"] == {"minor": 17_700, "exact": "17700", "currency": "EUR", "from_time": 0}
    assert difference["action"] == {"kind": "set_quantity", "words": "Bill 25 seats instead of 28"}
    (total,) = told["reconciliation"]["totals"]
    assert (total["kind"], total["count"], total["minor"], total["currency"]) == ("quantity", 1, 17_700, "EUR")
    wanted = {"version": told["reconciliation"]["version"], "differences": [difference["id"]]}
    assert door.ask("POST", f"/reconciliations/{run.id}/repairs", wanted, "USR_rep").status == 403
    approved = door.ask("POST", f"/reconciliations/{run.id}/repairs", wanted)
    assert (approved.status, approved.body["differences"][0]["state"]) == (202, "approved")
    stale = door.ask("POST", f"/reconciliations/{run.id}/repairs", {**wanted, "version": 1})
    assert (stale.status, stale.body["current_version"]) == (409, wanted["version"])
    listed = door.ask("GET", "/reconciliations").body["reconciliations"]
    assert run.id in {each["id"] for each in listed}
    mine = door.ask("GET", f"/reconciliations/{run.id}", user="USR_rep").body
    assert [each["id"] for each in mine["differences"]] == [difference["id"]]
    assert (mine["reconciliation"]["totals"], mine["reconciliation"]["differences"]) == (None, None)


@pytest.mark.parametrize("user", ["USR_rep", "legal"])
def test_who_may_not(door: Door, user: str) -> None:
    run = door.bench.reconciled()
    assert door.ask("POST", "/reconciliations", {}, user).status == 403
    assert door.ask("POST", "/adoptions", user=user).status == 403
    plan = door.office.planned()
    assert door.ask("GET", f"/adoptions/{plan.id}", user=user).status == 404
    assert door.ask("GET", f"/reconciliations/{run.id}", user="legal").status == 404


def test_bad_input(door: Door) -> None:
    assert door.ask("POST", "/reconciliations", {"all": True}).status == 400
    assert door.ask("POST", "/reconciliations", {"order_id": "ORD_NOBODY"}).status == 404
    assert door.ask("GET", "/reconciliations/REC_NOBODY").status == 404
    run = door.bench.reconciled()
    path = f"/reconciliations/{run.id}/repairs"
    assert door.ask("POST", path, {"version": run.version, "differences": []}).status == 400
    assert door.ask("POST", path, {"version": run.version, "differences": ["x"]}).status == 400
    assert door.ask("GET", f"/reconciliations/{run.id}?cursor=AAAA").status == 400
    assert door.ask("GET", f"/adoptions/{door.office.planned().id}?verdict=sure").status == 400


def test_from_a_plan_to_its_adoption(door: Door) -> None:
    door.office.account("Nordlicht GmbH", "a@nordlicht.example")
    door.office.stripe.add("cus_one", "Agentur Meier", "b@nordlicht.example", "", "sub_1")
    begun = door.ask("POST", "/adoptions")
    assert (begun.status, begun.body["status"]) == (202, "Planning")
    plan = door.office.worked(begun.body["id"])
    told = door.ask("GET", f"/adoptions/{plan.id}?verdict=doubtful").body
    (one,) = told["candidates"]
    assert (one["verdict"], one["running"], one["subscriptions"], one["state"]) == ("doubtful", 1, ["sub_1"], "planned")
    assert one["matches"][0]["reasons"] == ["mail domain"]
    path, version = f"/adoptions/{plan.id}/adopt", told["adoption"]["version"]
    choice = {"stripe_customer_id": "cus_one"}
    assert door.ask("POST", path, {"version": version, "customers": [choice]}).status == 400
    named = {**choice, "account_id": one["matches"][0]["account_id"]}
    assert door.ask("POST", path, {"version": version, "customers": [named]}).status == 202
    (done,) = door.office.all_adopted(plan)
    assert door.ask("GET", f"/adoptions/{plan.id}").body["candidates"][0]["state"] == done.state == "adopted"
