"""The routes of orders as API Gateway calls them."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest

from revops.api.order_views import EXAMPLE
from revops.api.orders import OrderUseCases, add_order_routes
from revops.kernel import Principal, Role
from revops.orders.model import OrderStatus
from revops.platform.http import Api
from tests.builders.orders import PDF, Desk

pytestmark = pytest.mark.mission("ORD-1")


class _Tokens:
    """Everybody is who the claims say."""

    def token(self, claims: Mapping[str, str]) -> Principal:
        return Principal(claims["sub"], Role(claims["role"]))

    def key(self, presented: str) -> Principal:
        raise AssertionError(presented)


class _Http:
    def __init__(self) -> None:
        self.desk = Desk()
        self.api = Api(_Tokens())
        desk = self.desk
        add_order_routes(
            self.api,
            OrderUseCases(
                desk.submit,
                desk.read,
                desk.progress,
                desk.review,
                desk.sign,
                desk.resume,
                desk.cancel,
                desk.all,
                desk.revisions,
                desk.comments,
                desk.document,
            ),
        )

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        sub: str = "USR_rep",
        role: Role = Role.SALES_REP,
        **h: str,
    ) -> tuple[int, Any]:
        event = {
            "version": "2.0",
            "rawPath": path.partition("?")[0],
            "rawQueryString": path.partition("?")[2],
            "queryStringParameters": dict(parse_qsl(path.partition("?")[2])),
            "headers": {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in h.items()}},
            "requestContext": {
                "requestId": "req-1",
                "http": {
                    "method": method,
                    "path": path.partition("?")[0],
                    "sourceIp": "192.0.2.1",
                    "userAgent": "tests",
                },
                "authorizer": {"jwt": {"claims": {"sub": sub, "role": role.value}}},
                "stage": "$default",
            },
            "body": json.dumps(body) if body is not None else None,
            "isBase64Encoded": False,
        }
        answer = self.api(event, None)
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def http() -> _Http:
    return _Http()


def test_an_order_over_http_from_form_to_service(http: _Http) -> None:
    status, order = http("POST", "/api/v1/orders", EXAMPLE, idempotency_key="k-1")
    assert (status, order["status"], order["discount_percent"]) == (201, "Submitted", "5")
    assert {name: order[name] for name in EXAMPLE if name != "billing_address"} == {
        name: value for name, value in EXAMPLE.items() if name != "billing_address"
    }
    assert http("POST", "/api/v1/orders", EXAMPLE, idempotency_key="k-1") == (200, order)
    path = f"/api/v1/orders/{order['id']}"
    http.desk.run_until_it_waits(order["id"])
    status, progress = http("GET", f"{path}/progress")
    assert (status, progress["step"], progress["waits_for"]) == (200, "await_signature", "signature")
    signed = {
        "signatory_name": "Anna Beispiel",
        "signed_on": "2026-11-20",
        "document": base64.b64encode(PDF).decode(),
    }
    status, order = http("POST", f"{path}/signature", signed)
    assert (status, order["status"], order["signature"]["size"]) == (200, "Executed", len(PDF))
    http.desk.run_until_it_waits(order["id"])
    status, order = http("GET", path)
    assert (status, order["status"]) == (200, "Active")
    assert order["stripe_subscription_id"]


def test_review_resume_and_cancel_over_http(http: _Http) -> None:
    _, order = http("POST", "/api/v1/orders", {**EXAMPLE, "term_months": 6, "renewal_date": "2027-06-01"})
    path = f"/api/v1/orders/{order['id']}"
    http.desk.run_until_it_waits(order["id"])
    assert http("POST", f"{path}/review", {"decision": "approve"})[0] == 403
    legal: dict[str, Any] = {"sub": "USR_legal", "role": Role.LEGAL}
    assert http("POST", f"{path}/review", {"decision": "maybe"}, **legal)[0] == 400
    assert http("POST", f"{path}/review", {"decision": "approve"}, **legal)[1]["status"] == "Approved"
    assert http("POST", f"{path}/review", {"decision": "approve"}, **legal)[0] == 409
    assert http("POST", f"{path}/resume", {})[1]["attempt"] == 2
    assert http("POST", f"{path}/cancel", {"reason": "no budget"})[1]["status"] == "Cancelled"
    status, problem = http("POST", f"{path}/resume", {})
    assert (status, problem["type"].rpartition("/")[2]) == (409, "step-not-allowed")


def test_stages_revisions_comments_document_and_lists_over_http(http: _Http) -> None:
    _, order = http("POST", "/api/v1/orders", {**EXAMPLE, "discount_percent": "40"})
    path = f"/api/v1/orders/{order['id']}"
    assert http("GET", f"{path}/document")[0] == 409
    http.desk.run_until_it_waits(order["id"])
    finance: dict[str, Any] = {"sub": "USR_finance", "role": Role.FINANCE}
    assert http("POST", f"{path}/review", {"decision": "approve"}, **finance)[0] == 403
    admin: dict[str, Any] = {"sub": "USR_admin", "role": Role.ADMIN}
    status, order = http("POST", f"{path}/review", {"decision": "approve"}, **admin)
    assert (status, order["status"]) == (200, "InReview")
    _, progress = http("GET", f"{path}/progress")
    assert (progress["waits_for"], progress["stages"][0]["decided_by"]) == ("finance review", "USR_admin")
    assert progress["next"][0]["path"] == f"{path}/review"
    for read in ({"stage": "Manager"}, {"stage": "Finance", "revision": 2}):
        assert http("POST", f"{path}/review", {"decision": "approve", **read}, **admin)[0] == 409
    ask = {"decision": "ask", "comment": "at most 20 %", "stage": "Finance", "revision": 1}
    assert http("POST", f"{path}/review", ask, **finance)[1]["status"] == "ChangesRequested"
    status, said = http("POST", f"{path}/comments", {"text": "they will take 10 %"})
    assert (status, said["by"], said["revision"]) == (201, "USR_rep", 1)
    assert http("GET", f"{path}/comments")[1] == {"comments": [said], "next": ""}
    assert http("POST", f"{path}/comments", {"text": ""})[0] == 400
    assert http("POST", f"{path}/resume", {"terms": {**EXAMPLE, "discount_percent": "10"}})[1]["revision"] == 2
    http.desk.run_until_it_waits(order["id"])
    _, told = http("GET", f"{path}/revisions")
    first, second = told["revisions"]
    assert (first["number"], first["changes"], first["review"]["comment"]) == (1, [], "at most 20 %")
    assert second["changes"] == [{"field": "discount_percent", "old": "40", "new": "10"}]
    status, link = http("GET", f"{path}/document")
    assert (status, link["revision"], link["sha256"]) == (200, 2, second["document"]["sha256"])
    _, listed = http("GET", "/api/v1/orders")
    assert [(each["id"], each["status"]) for each in listed["orders"]] == [(order["id"], "AwaitingSignature")]
    assert http("GET", "/api/v1/orders?scope=all")[0] == 403
    assert http("GET", "/api/v1/orders?status=Nowhere")[0] == 400
    assert http("GET", "/api/v1/orders?colour=red")[0] == 400


@pytest.mark.mission("ORD-5")
def test_a_change_of_a_live_order_over_http(http: _Http) -> None:
    base = http.desk.run_until_it_waits(http.desk.executed().id)
    wanted = {"amends": base.id, "start_date": "2026-12-20", "seats": 30}
    status, order = http("POST", "/api/v1/orders", wanted, idempotency_key="k-2")
    assert (status, order["kind"], order["amends"], order["seats"]) == (201, "Amendment", base.id, 30)
    assert order["legal_entity_name"] == "Musterwerk GmbH"
    assert http("POST", "/api/v1/orders", wanted, idempotency_key="k-2")[0] == 200
    for wrong, named in (
        ({**wanted, "seats": "many"}, "seats"),
        ({**wanted, "usage": [{"meter": "Pooled", "monthly_cap": 1, "overage_price": "-1"}]}, "usage.0.overage_price"),
        ({**wanted, "colour": "red"}, "colour"),
        ({**wanted, "kind": "New"}, "kind"),
        ({**wanted, "kind": "Renewal", "currency": "USD"}, "currency"),
        ({"kind": "Renewal"} | EXAMPLE, "amends"),
        ({**wanted, "start_date": "9999-12-31"}, "start_date"),
        ({**wanted, "kind": "Renewal", "start_date": "9999-12-31"}, "start_date"),
        ({**wanted, "kind": "Renewal", "term_months": 10**9}, "term_months"),
        ({**wanted, "renewal_date": "9999-12-31"}, "renewal_date"),
        ({**EXAMPLE, "renewal_date": "9999-12-31"}, "renewal_date"),
    ):
        status, problem = http("POST", "/api/v1/orders", wrong)
        assert (status, [issue["field"] for issue in problem["issues"]]) == (400, [named]), problem


@pytest.mark.fault("S1", "S2", "S13")
def test_what_may_not_be_is_told_and_stored_nowhere(http: _Http) -> None:
    _, order = http("POST", "/api/v1/orders", EXAMPLE)
    path = f"/api/v1/orders/{order['id']}"
    before = len(http.desk.memory.rows)
    for wrong in ({**EXAMPLE, "status": "Executed"}, {**EXAMPLE, "owner_id": "USR_2"}, {**EXAMPLE, "seats": 0}):
        status, problem = http("POST", "/api/v1/orders", wrong)
        assert (status, len(problem["issues"])) == (400, 1), problem
    assert http("POST", "/api/v1/orders", {})[0] == 400
    assert http("GET", path, sub="USR_stranger")[0] == 404
    assert http("GET", f"{path}/progress", sub="USR_stranger")[0] == 404
    assert http("POST", f"{path}/cancel", {"reason": "x"}, sub="USR_finance", role=Role.FINANCE)[0] == 403
    signed = {"signatory_name": "A", "signed_on": "2026-11-20", "document": "not base64!"}
    assert http("POST", f"{path}/signature", signed)[0] == 400
    assert http.desk.order(order["id"]).status is OrderStatus.SUBMITTED
    assert len(http.desk.memory.rows) == before


def test_the_routes_are_in_the_document(http: _Http) -> None:
    document = json.loads(http.api.app.get_openapi_json_schema(title="t", version="1"))
    paths = [path for path in document["paths"] if path.startswith("/api/v1/orders")]
    assert len(paths) == 10
