"""What follows a sale over HTTP: shapes, refusals, who sees and does what (ORD-9)."""

from typing import Any

import pytest

from revops.api.renewals import RenewalUseCases, add_renewal_routes
from revops.api.sales import SalesUseCases, add_sales_routes
from revops.kernel import Principal, Role
from revops.platform.http import Api
from revops.sales.store import renewals_of
from tests.builders.requests import Answer, KnownCallers, ask
from tests.builders.sales import ACCOUNT, OWNER, WORKER, SalesBench, charge, executed, invoice, paid

pytestmark = pytest.mark.mission("ORD-9", "SAFE-1")

CALLERS = [
    Principal("admin", Role.ADMIN),
    Principal("finance", Role.FINANCE),
    Principal(OWNER, Role.SALES_REP),
    Principal("other", Role.SALES_REP),
    Principal("sdr", Role.SDR),
    Principal("legal", Role.LEGAL),
]
INVOICE = {
    "account_id": ACCOUNT, "number": "R-1", "amount": 10_000, "currency": "EUR", "issued_on": "2026-10-01",
    "due_on": "2026-10-31",
}  # fmt: skip
PAYMENT = {
    "account_id": ACCOUNT, "paid_on": "2026-11-01", "amount": 4_000, "currency": "EUR", "method": "Wire Transfer",
}  # fmt: skip


class Desk:
    """The routes over one account with a sales order and Stripe's books."""

    def __init__(self) -> None:
        self.bench = bench = SalesBench()
        self.api = Api(KnownCallers(*CALLERS))
        add_sales_routes(self.api, SalesUseCases(bench.read, bench.enter, bench.request))
        add_renewal_routes(self.api, RenewalUseCases(bench.read, bench.renewal, bench.decide, bench.open_upsell))
        bench.orders.known["ORD_ONE"] = executed()
        bench.sell("ORD_ONE", WORKER)
        bench.mirrored(invoices=(paid(invoice()),), payments=(charge("ch_one", 10_000, ("in_one", 10_000)),))

    def ask(self, method: str, path: str, body: object = None, user: str = "finance", key: str = "") -> Answer:
        headers = {"idempotency-key": key} if key else {}
        return ask(self.api, method, f"/api/v1{path}", body, sub=user, headers=headers)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_from_invoice_to_statement(desk: Desk) -> None:
    made = desk.ask("POST", "/invoices", INVOICE, key="i")
    assert (made.status, made.body["remaining"], made.body["status"]) == (201, 10_000, "Open")
    assert desk.ask("POST", "/invoices", INVOICE, key="i").status == 200
    part = desk.ask("POST", "/payments", PAYMENT, key="p")
    assert (part.status, part.body["applications"]) == (201, [{"invoice_id": made.body["id"], "amount": 4_000}])
    ahead = desk.ask("POST", "/payments", {**PAYMENT, "amount": 7_000}, key="q").body
    assert ahead["unapplied"] == 1_000
    assert desk.ask("GET", f"/payments/{ahead['id']}", user=OWNER).body == ahead
    told = desk.ask("GET", f"/accounts/{ACCOUNT}/statement?limit=2", user=OWNER).body
    assert told["totals"] == [
        {
            "currency": "EUR", "billed": 20_000, "paid": 21_000, "credited": 0, "refunded": 0, "balance": -1_000,
            "unapplied": 1_000, "open": 0, "overdue": 0, "stage": "None",
        }
    ]  # fmt: skip
    assert (len(told["entries"]), told["left_out"]) == (2, 3)
    back = {"version": ahead["version"], "reason": "recalled"}
    assert desk.ask("POST", f"/payments/{ahead['id']}/reversal", back).body["status"] == "Reversed"
    again = desk.ask("POST", f"/payments/{ahead['id']}/reversal", back)
    assert (again.status, again.body["current_version"]) == (409, 2)
    assert desk.ask("GET", f"/invoices/{made.body['id']}").body["remaining"] == 6_000
    credit = desk.ask("POST", f"/invoices/{made.body['id']}/credits", {"amount": 6_000, "reason": "goodwill"}, key="c")
    assert (credit.status, credit.body["credited"]) == (201, 6_000)
    assert desk.ask("GET", f"/accounts/{ACCOUNT}/statement").body["totals"][0]["balance"] == 0


def test_what_moves_money_needs_a_key(desk: Desk) -> None:
    name = desk.bench.invoice("in_one").id
    for path, body in (
        ("/invoices", INVOICE),
        ("/payments", PAYMENT),
        (f"/invoices/{name}/credit-notes", {"amount": 1, "settlement": "refund"}),
    ):
        refused = desk.ask("POST", path, body)
        assert (refused.status, refused.fields) == (400, {"Idempotency-Key"})
        assert desk.ask("POST", path, body, key="k" * 129).status == 400


def test_stripe_is_asked_for_credits(desk: Desk) -> None:
    name, payment = desk.bench.invoice("in_one").id, desk.bench.payment("ch_one").id
    wanted = {"amount": 2_000, "settlement": "refund", "reason": "order_change"}
    asked = desk.ask("POST", f"/invoices/{name}/credit-notes", wanted, key="k")
    assert (asked.status, asked.body["status"], asked.body["invoice_id"]) == (202, "Requested", name)
    assert desk.ask("POST", f"/invoices/{name}/credit-notes", wanted, key="k").body["id"] == asked.body["id"]
    desk.bench.work("CREDIT_REQUEST", asked.body["id"], WORKER)
    assert desk.ask("GET", f"/credit-requests/{asked.body['id']}", user=OWNER).body["status"] == "Done"
    assert desk.ask("POST", f"/payments/{payment}/refund", {"amount": 100}, key="r").status == 202
    for user, status in ((OWNER, 403), ("other", 404), ("legal", 404), ("sdr", 404)):
        assert desk.ask("POST", f"/payments/{payment}/refund", {"amount": 100}, user, "x").status == status


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/invoices", {**INVOICE, "amount": 0}, "amount"),
        ("/invoices", {**INVOICE, "amount": 1.5}, "amount"),
        ("/invoices", {**INVOICE, "status": "Paid"}, "status"),
        ("/invoices", {**INVOICE, "currency": "eur"}, "currency"),
        ("/invoices", {**INVOICE, "due_on": "2026-09-01"}, "due_on"),
        ("/payments", {**PAYMENT, "method": "Shells"}, "method"),
        ("/payments", {**PAYMENT, "pays": {"INV_X": -1}}, "pays.INV_X"),
        ("/payments", {**PAYMENT, "paid_on": "2027-01-01"}, "paid_on"),
        ("/payments", {**PAYMENT, "reference": "a\nb"}, "reference"),
    ],
)
@pytest.mark.fault("S2", "S13")
def test_what_does_not_fit_is_named(desk: Desk, path: str, body: Any, field: str) -> None:
    refused = desk.ask("POST", path, body, key="k")
    assert (refused.status, refused.fields) == (400, {field})


@pytest.mark.fault("S1")
def test_who_reads_what(desk: Desk) -> None:
    account = f"account_id={ACCOUNT}"
    sold = desk.ask("GET", f"/sales-orders?{account}", user=OWNER).body["sales_orders"][0]
    assert sold["number"] == "SO-2026-000001"
    paths = (f"/invoices?{account}", f"/payments?{account}", f"/credits?{account}", f"/accounts/{ACCOUNT}/statement")
    for path in paths:
        seen = {user: desk.ask("GET", path, user=user).status for user in ("finance", OWNER, "other", "legal", "sdr")}
        assert seen == {"finance": 200, OWNER: 200, "other": 404, "legal": 403, "sdr": 403}
    orders = (f"/sales-orders?{account}", f"/sales-orders/{sold['id']}")
    for path in orders:
        seen = {user: desk.ask("GET", path, user=user).status for user in ("finance", OWNER, "other", "legal")}
        assert seen == {"finance": 200, OWNER: 200, "other": 404, "legal": 200}
    assert desk.ask("GET", "/invoices?status=Paid").body["invoices"][0]["number"] == "A-in_one"
    assert desk.ask("GET", "/invoices?status=Paid", user=OWNER).status == 403
    assert desk.ask("GET", f"/invoices?status=Paid&{account}").fields == {"account_id"}
    assert desk.ask("GET", "/invoices").fields == {"account_id"}
    assert desk.ask("GET", "/invoices/INV_NOBODY").status == 404


def test_a_renewal_is_listed_read_and_decided(desk: Desk) -> None:
    desk.bench.manual.advance(days=300)
    (listed,) = desk.ask("GET", "/renewals", user=OWNER).body["renewals"]
    assert desk.ask("GET", "/renewals?days=30", user=OWNER).body == {"renewals": [], "next": ""}
    assert desk.ask("GET", "/renewals?scope=all").body["renewals"] == [listed]
    assert desk.ask("GET", "/renewals?scope=all", user=OWNER).status == 403
    one = desk.ask("GET", f"/renewals/{listed['id']}", user=OWNER).body
    assert one["suggested_order"]["start_date"] == "2027-11-01"
    assert desk.ask("GET", f"/renewals/{listed['id']}", user="other").status == 404
    body = {"version": one["version"], "outcome": "Cancelled", "reason": "they leave"}
    path = f"/renewals/{listed['id']}/outcome"
    assert desk.ask("POST", path, body).status == 403
    assert desk.ask("POST", path, {**body, "outcome": "Open"}, OWNER).fields == {"outcome"}
    assert desk.ask("POST", path, body, OWNER).body["status"] == "Cancelled"
    assert desk.ask("POST", path, body, OWNER).status == 409
    assert renewals_of(desk.bench.table, ACCOUNT)[0].status == "Cancelled"


def test_an_upsell_by_hand(desk: Desk) -> None:
    body = {"offer": "20 more seats", "reason": "they hire", "value": {"minor": 50_000, "currency": "EUR"}}
    made = desk.ask("POST", f"/accounts/{ACCOUNT}/upsells", body, OWNER)
    assert (made.status, made.body["signal"]["rule"]) == (201, "manual")
    assert desk.ask("GET", f"/accounts/{ACCOUNT}/upsells", user=OWNER).body["upsells"] == [made.body]
    assert desk.ask("POST", f"/accounts/{ACCOUNT}/upsells", body, "other").status == 404
    assert desk.ask("POST", f"/accounts/{ACCOUNT}/upsells", body, "finance").status == 403


@pytest.mark.fault("S18")
def test_cursors_are_of_their_list(desk: Desk) -> None:
    for number in range(3):
        desk.ask("POST", "/invoices", {**INVOICE, "number": f"R-{number}"}, key=f"i{number}")
    page = desk.ask("GET", f"/invoices?account_id={ACCOUNT}&limit=2").body
    rest = desk.ask("GET", f"/invoices?account_id={ACCOUNT}&limit=9&cursor={page['next']}").body
    assert len({one["id"] for one in (*page["invoices"], *rest["invoices"])}) == 4
    for path, user in ((f"/payments?account_id={ACCOUNT}", "finance"), (f"/invoices?account_id={ACCOUNT}", OWNER)):
        assert desk.ask("GET", f"{path}&cursor={page['next']}", user=user).fields == {"cursor"}
